//! A live key: parsed once, then shared by every operation that uses it.

use claviger_protocol::mechanism::{FIELD_BITS, MechanismRow, RSA_BITS, SECRET_BYTES};
use claviger_protocol::{KeyType, ObjectClass};
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};
use zeroize::Zeroizing;

use super::curve::Curve;
use super::ffi;
use super::field;
use super::post_quantum;
use super::sm2;
use crate::error::{Error, Result};

/// A live key.
///
/// Its stored form ("material") is PKCS#8 `PrivateKeyInfo` in DER for a private key, `SubjectPublicKeyInfo` in
/// DER for a public key, and the value itself for a secret key.
pub enum Key {
    /// A private key with its public half.
    Private(PKey<Private>),
    /// A public key.
    Public(PKey<Public>),
    /// A secret key.
    Secret(Zeroizing<Vec<u8>>),
}

/// Why a stored form was not read.
fn unreadable() -> Error {
    if ffi::secure_heap_is_full() { Error::SecureHeapFull } else { Error::DataInvalid }
}

impl Key {
    /// The key of a stored form, taken on trust: what was checked when it was made is not checked again.
    ///
    /// `DataInvalid` when it is no such form, `KeyTypeInconsistent` when it holds a key of another type,
    /// `CurveNotSupported`, `SecureHeapFull`.
    pub fn from_material(class: ObjectClass, key_type: KeyType, material: &[u8]) -> Result<Key> {
        match class {
            ObjectClass::PRIVATE_KEY => {
                let key = PKey::private_key_from_pkcs8(material).map_err(|_| unreadable())?;
                fits(&key, key_type)?;
                Ok(Key::Private(key))
            }
            ObjectClass::PUBLIC_KEY => {
                let key = PKey::public_key_from_der(material).map_err(|_| Error::DataInvalid)?;
                fits(&key, key_type)?;
                Ok(Key::Public(key))
            }
            ObjectClass::SECRET_KEY => Ok(Key::Secret(Zeroizing::new(material.to_vec()))),
            _ => Err(Error::KeyTypeInconsistent),
        }
    }

    /// The key of a stored form that came from outside (unwrapped or imported), checked as [`Key::check`] does.
    pub fn from_untrusted(class: ObjectClass, key_type: KeyType, material: &[u8]) -> Result<Key> {
        let key = Key::from_material(class, key_type, material)?;
        key.check(key_type)?;
        Ok(key)
    }

    /// Checks a key that was not made here: that its halves belong together, that its point is on its curve,
    /// that its size is offered.
    ///
    /// `KeySizeRange` or `AttributeValueInvalid`.
    pub fn check(&self, key_type: KeyType) -> Result<()> {
        let bits = self.size_bits();
        let (valid, in_range) = match self {
            Key::Secret(value) => (true, secret_length_is_valid(key_type, value.len())),
            // The size first: checking a huge number is slow.
            Key::Private(_) | Key::Public(_)
                if key_type == KeyType::RSA && !(RSA_BITS.0..=RSA_BITS.1).contains(&bits) =>
            {
                (true, false)
            }
            Key::Private(_) | Key::Public(_)
                if field::is_field(key_type) && !(FIELD_BITS.0..=FIELD_BITS.1).contains(&bits) =>
            {
                (true, false)
            }
            Key::Private(key) if field::is_field(key_type) => (field::pair_is_valid(key)?, true),
            Key::Private(key) => (ffi::pair_is_valid(key), true),
            // Applications bring RSA moduli of unknown making; one that is no product of primes hurts nobody else.
            Key::Public(key) if key_type == KeyType::RSA => (rsa_exponent_is_valid(key), true),
            Key::Public(key) => (ffi::public_is_valid(key), true),
        };
        if !in_range {
            return Err(Error::KeySizeRange);
        }
        if !valid {
            return Err(Error::AttributeValueInvalid);
        }
        Ok(())
    }

    /// The stored form.
    pub fn to_material(&self) -> Result<Zeroizing<Vec<u8>>> {
        Ok(match self {
            Key::Private(key) => Zeroizing::new(key.private_key_to_pkcs8()?),
            Key::Public(key) => Zeroizing::new(key.public_key_to_der()?),
            Key::Secret(value) => value.clone(),
        })
    }

    /// The public half of a private key; a public key is its own. `KeyTypeInconsistent` for a secret key.
    pub fn public(&self) -> Result<Key> {
        match self {
            Key::Private(key) => Ok(Key::Public(PKey::public_key_from_der(&key.public_key_to_der()?)?)),
            Key::Public(key) => Ok(Key::Public(key.clone())),
            Key::Secret(_) => Err(Error::KeyTypeInconsistent),
        }
    }

    /// Its size in bits: of the modulus, of the curve, of the value.
    pub fn size_bits(&self) -> u64 {
        match self {
            Key::Private(key) => pair_bits(key),
            Key::Public(key) => pair_bits(key),
            Key::Secret(value) => value.len() as u64 * 8,
        }
    }

    /// Its size in the unit of a mechanism's `key_sizes`: bits for pairs, bytes for secret keys.
    pub fn size(&self, _row: &MechanismRow) -> u64 {
        match self {
            Key::Private(_) | Key::Public(_) => self.size_bits(),
            Key::Secret(value) => value.len() as u64,
        }
    }

    /// `KeySizeRange` unless the key's size is one that the mechanism takes.
    pub fn check_size(&self, row: &MechanismRow) -> Result<()> {
        if (row.key_sizes.0..=row.key_sizes.1).contains(&self.size(row)) {
            Ok(())
        } else {
            Err(Error::KeySizeRange)
        }
    }

    /// The private key, or `KeyTypeInconsistent`.
    pub(super) fn private(&self) -> Result<&PKeyRef<Private>> {
        match self {
            Key::Private(key) => Ok(key),
            _ => Err(Error::KeyTypeInconsistent),
        }
    }

    /// The public key, or `KeyTypeInconsistent`.
    pub(super) fn public_key(&self) -> Result<&PKeyRef<Public>> {
        match self {
            Key::Public(key) => Ok(key),
            _ => Err(Error::KeyTypeInconsistent),
        }
    }

    /// The value of a secret key, or `KeyTypeInconsistent`.
    pub(super) fn secret(&self) -> Result<&[u8]> {
        match self {
            Key::Secret(value) => Ok(value),
            _ => Err(Error::KeyTypeInconsistent),
        }
    }

    /// `KeyTypeInconsistent` unless it is a pair's half of one of these algorithms.
    pub(super) fn expect(&self, ids: &[Id]) -> Result<()> {
        let id = match self {
            Key::Private(key) => key.id(),
            Key::Public(key) => key.id(),
            Key::Secret(_) => return Err(Error::KeyTypeInconsistent),
        };
        if ids.contains(&id) { Ok(()) } else { Err(Error::KeyTypeInconsistent) }
    }
}

/// True when a secret key of this type may have a value of `length` bytes.
pub fn secret_length_is_valid(key_type: KeyType, length: usize) -> bool {
    match key_type {
        KeyType::AES | KeyType::CAMELLIA | KeyType::ARIA => matches!(length, 16 | 24 | 32),
        KeyType::AES_XTS => matches!(length, 32 | 64),
        KeyType::CHACHA20 | KeyType::POLY1305 => length == 32,
        KeyType::DES => length == 8,
        KeyType::DES2 | KeyType::SEED | KeyType::SM4 => length == 16,
        KeyType::DES3 => length == 24,
        _ => (SECRET_BYTES.0..=SECRET_BYTES.1).contains(&(length as u64)),
    }
}

/// Sets the parity bits that DES keys have (FIPS 46-3): each byte has an odd number of ones. Other keys stay.
pub fn set_parity(key_type: KeyType, value: &mut [u8]) {
    if matches!(key_type, KeyType::DES | KeyType::DES2 | KeyType::DES3) {
        for byte in value {
            *byte = *byte & 0xfe | u8::from((*byte & 0xfe).count_ones().is_multiple_of(2));
        }
    }
}

fn pair_bits<T: openssl::pkey::HasPublic>(key: &PKeyRef<T>) -> u64 {
    match key.id() {
        // OpenSSL counts 253 and 456 bits; PKCS#11 counts the curve's.
        Id::ED25519 | Id::ED448 | Id::X25519 | Id::X448 => Curve::of(key).map_or(0, |curve| curve.bits),
        _ => u64::from(key.bits()),
    }
}

fn fits<T>(key: &PKeyRef<T>, key_type: KeyType) -> Result<()> {
    if post_quantum::has_sets(key_type) {
        return if post_quantum::is_of(key, key_type) { Ok(()) } else { Err(Error::KeyTypeInconsistent) };
    }
    if key_type == KeyType::SM2 {
        return if sm2::is(key) { Ok(()) } else { Err(Error::KeyTypeInconsistent) };
    }
    let ids: &[Id] = match key_type {
        KeyType::RSA => &[Id::RSA],
        KeyType::EC => &[Id::EC],
        KeyType::EC_EDWARDS => &[Id::ED25519, Id::ED448],
        KeyType::EC_MONTGOMERY => &[Id::X25519, Id::X448],
        KeyType::DSA => &[Id::DSA],
        KeyType::DH => &[Id::DH],
        KeyType::X9_42_DH => &[Id::DHX],
        _ => &[],
    };
    if !ids.contains(&key.id()) {
        return Err(Error::KeyTypeInconsistent);
    }
    if key_type == KeyType::EC {
        Curve::of(key)?;
    }
    Ok(())
}

/// An even or tiny public exponent is no RSA key, though OpenSSL's own check of public keys lets some pass.
fn rsa_exponent_is_valid(key: &PKeyRef<Public>) -> bool {
    if key.id() != Id::RSA {
        return true;
    }
    ffi::number(key, c"e").is_some_and(|e| match e.as_slice() {
        [] => false,
        [one] => *one >= 3 && one % 2 == 1,
        [.., last] => last % 2 == 1,
    })
}
