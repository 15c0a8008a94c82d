//! Keys from keys (`C_DeriveKey`), and from passwords: which recipe gives which bytes, and how they become a key of
//! the wanted type and length.
//!
//! * [`agreement`] Diffie-Hellman, over curves and fields; `kdf` the functions that follow it, HKDF, PBKDF2
//! * `counter` the three modes of SP 800-108

mod agreement;
mod counter;
mod kdf;

use std::sync::Arc;

use claviger_protocol::KeyType;
use claviger_protocol::mechanism::{Concatenation, Hash, MechanismRow, Recipe};
use claviger_protocol::params::Params;
use zeroize::Zeroizing;

use super::cipher::{Cipher, Direction};
use super::digest::Digest;
use super::key::{Key, secret_length_is_valid};
use crate::error::{Error, Result};

pub use agreement::check_kdf;
pub use kdf::pbkdf2;

/// Bytes that become a key's value.
type Secret = Zeroizing<Vec<u8>>;

/// Finds the key of a handle inside a parameter.
pub type FurtherKey<'a> = &'a dyn Fn(u64) -> Result<Arc<Key>>;

/// A key to be derived.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Its type.
    pub key_type: KeyType,
    /// Its length in bytes, if the template says.
    pub length: Option<usize>,
}

impl Wanted {
    /// The length that the type or the template fixes. `TemplateInconsistent` when they contradict each other.
    pub fn fixed_length(self) -> Result<Option<usize>> {
        let fixed = match self.key_type {
            KeyType::DES => Some(8),
            KeyType::DES2 | KeyType::SEED | KeyType::SM4 => Some(16),
            KeyType::DES3 => Some(24),
            KeyType::CHACHA20 | KeyType::POLY1305 => Some(32),
            _ => None,
        };
        match (fixed, self.length) {
            (Some(fixed), Some(given)) if fixed != given => Err(Error::TemplateInconsistent),
            (fixed, given) => Ok(fixed.or(given)),
        }
    }

    /// The length for a function that gives as many bytes as it is asked for. `TemplateIncomplete`.
    fn any_length(self) -> Result<usize> {
        let length = self.fixed_length()?.ok_or(Error::TemplateIncomplete)?;
        if secret_length_is_valid(self.key_type, length) { Ok(length) } else { Err(Error::KeySizeRange) }
    }

    /// The length for a function that gives `natural` bytes and no more. `TemplateInconsistent` when more are
    /// wanted, `TemplateIncomplete` when keys of this type have no such length.
    fn length_of(self, natural: usize) -> Result<usize> {
        match self.fixed_length()? {
            Some(length) if length > natural => Err(Error::TemplateInconsistent),
            Some(length) if secret_length_is_valid(self.key_type, length) => Ok(length),
            Some(_) => Err(Error::KeySizeRange),
            None if secret_length_is_valid(self.key_type, natural) => Ok(natural),
            None => Err(Error::TemplateIncomplete),
        }
    }

    /// A key of the first bytes of `value`.
    fn first_of(self, value: &[u8]) -> Result<Key> {
        self.key(&value[..self.length_of(value.len())?])
    }

    /// A key of the last bytes of `value`: what key agreement shortens loses its leading end (PKCS#11 3.2, 6.3.17).
    fn last_of(self, value: &[u8]) -> Result<Key> {
        self.key(&value[value.len() - self.length_of(value.len())?..])
    }

    fn key(self, value: &[u8]) -> Result<Key> {
        let mut value = Zeroizing::new(value.to_vec());
        super::key::set_parity(self.key_type, &mut value);
        Ok(Key::Secret(value))
    }
}

/// Derives the keys of `wanted` from `base`, whose type the caller has checked against the row. All mechanisms but
/// those of SP 800-108 derive one.
///
/// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`, `TemplateIncomplete`, `TemplateInconsistent`;
/// `MechanismInvalid` for a mechanism that does not derive.
pub fn derive(
    row: &MechanismRow,
    params: &Params,
    base: &Key,
    further: FurtherKey,
    wanted: &[Wanted],
) -> Result<Vec<Key>> {
    if let Recipe::Sp800108(mode) = row.recipe {
        return counter::derive(mode, params, base, further, wanted);
    }
    let [wanted] = wanted else { return Err(Error::MechanismParamInvalid) };
    one(row, params, base, further, *wanted).map(|key| vec![key])
}

/// The bytes that HKDF gives for a data object (`CKM_HKDF_DATA`). Errors as of [`derive`].
pub fn data(
    row: &MechanismRow,
    params: &Params,
    base: &Key,
    further: FurtherKey,
    length: Option<usize>,
) -> Result<Secret> {
    let Recipe::Hkdf { .. } = row.recipe else { return Err(Error::MechanismInvalid) };
    kdf::hkdf(params, base.secret()?, further, |natural| match (length, natural) {
        (Some(length), _) => Ok(length),
        (None, Some(natural)) => Ok(natural),
        (None, None) => Err(Error::TemplateIncomplete),
    })
}

fn one(row: &MechanismRow, params: &Params, base: &Key, further: FurtherKey, wanted: Wanted) -> Result<Key> {
    match row.recipe {
        Recipe::Ecdh { .. } => {
            let Params::Ecdh { kdf, shared_data, public_data } = params else {
                return Err(Error::MechanismParamInvalid);
            };
            agreement::check_kdf(*kdf, shared_data)?;
            agreed(&agreement::ecdh(base, public_data)?, *kdf, shared_data, wanted)
        }
        Recipe::Dh => {
            let Params::Bytes(public) = params else { return Err(Error::MechanismParamInvalid) };
            wanted.last_of(&agreement::dh(base, public)?)
        }
        Recipe::X942Dh => {
            let Params::X942Dh { kdf, other_info, public_data } = params else {
                return Err(Error::MechanismParamInvalid);
            };
            agreement::check_kdf(*kdf, other_info)?;
            agreed(&agreement::dh(base, public_data)?, *kdf, other_info, wanted)
        }
        Recipe::HashKey(hash) => hash_key(hash, params, base.secret()?, wanted),
        Recipe::HashKeySha512T => {
            let Params::Ulong(bits) = params else { return Err(Error::MechanismParamInvalid) };
            let mut digest = Digest::sha512_t(*bits)?;
            digest.update(base.secret()?)?;
            wanted.first_of(&digest.finish()?)
        }
        Recipe::Hkdf { .. } => {
            let value = kdf::hkdf(params, base.secret()?, further, |natural| match natural {
                Some(natural) => wanted.length_of(natural),
                None => wanted.any_length(),
            })?;
            wanted.key(&value)
        }
        Recipe::Concatenate(way) => {
            let base = base.secret()?;
            let value = match (way, params) {
                (Concatenation::BaseAndKey, Params::Ulong(handle)) => {
                    Zeroizing::new([base, further(*handle)?.secret()?].concat())
                }
                (Concatenation::BaseAndData, Params::Bytes(data)) => Zeroizing::new([base, data].concat()),
                (Concatenation::DataAndBase, Params::Bytes(data)) => Zeroizing::new([data, base].concat()),
                _ => return Err(Error::MechanismParamInvalid),
            };
            wanted.first_of(&value)
        }
        Recipe::Xor => {
            let Params::Bytes(data) = params else { return Err(Error::MechanismParamInvalid) };
            let value: Vec<u8> = base.secret()?.iter().zip(data.iter()).map(|(a, b)| a ^ b).collect();
            wanted.first_of(&Zeroizing::new(value))
        }
        Recipe::Extract => {
            let Params::Ulong(position) = params else { return Err(Error::MechanismParamInvalid) };
            extract(base.secret()?, *position, wanted)
        }
        Recipe::EncryptData(cipher, mode) => {
            let (params, data) = match params {
                Params::Bytes(data) => (Params::None, data),
                Params::CbcEncryptData { iv, data } => (Params::Bytes(iv.clone()), data),
                _ => return Err(Error::MechanismParamInvalid),
            };
            let cipher = Cipher::in_mode(Direction::Encrypt, cipher, mode, &params, base)?;
            let value = cipher.one_shot(data).map_err(|error| match error {
                // The data is part of the parameter here.
                Error::DataLenRange => Error::MechanismParamInvalid,
                error => error,
            })?;
            // The data, which is too short, is part of the parameter here.
            if wanted.fixed_length()?.is_some_and(|length| length > value.len()) {
                return Err(Error::MechanismParamInvalid);
            }
            wanted.first_of(&value)
        }
        _ => Err(Error::MechanismInvalid),
    }
}

/// The AES key of `length` bytes that two parties agree on. Errors as of [`derive`].
pub(super) fn agreed_aes(
    base: &Key,
    public: &[u8],
    kdf: u64,
    shared: &[u8],
    length: usize,
) -> Result<Secret> {
    agreement::check_kdf(kdf, shared)?;
    let wanted = Wanted { key_type: KeyType::AES, length: Some(length) };
    match agreed(&agreement::ecdh(base, public)?, kdf, shared, wanted)? {
        Key::Secret(value) => Ok(value),
        _ => Err(Error::KeyTypeInconsistent),
    }
}

/// A key of what two parties agreed on: as it is, or through a key derivation function.
fn agreed(secret: &[u8], kdf: u64, shared: &[u8], wanted: Wanted) -> Result<Key> {
    match agreement::kdf_row(kdf)? {
        None => wanted.last_of(secret),
        Some((hash, form)) => wanted.key(&kdf::one_step(hash, form, secret, shared, wanted.any_length()?)?),
    }
}

/// PKCS#11 3.2, 6.20.6; SHAKE gives as much as is wanted.
fn hash_key(hash: Hash, params: &Params, base: &[u8], wanted: Wanted) -> Result<Key> {
    if *params != Params::None {
        return Err(Error::MechanismParamInvalid);
    }
    let mut digest = match hash {
        Hash::Shake128 | Hash::Shake256 => Digest::shake(hash, wanted.any_length()?)?,
        hash => Digest::with(hash)?,
    };
    digest.update(base)?;
    wanted.first_of(&digest.finish()?)
}

/// As many bits as are wanted, from bit `position` of the base key on and around its end (PKCS#11 3.2, 6.43.7): bit
/// 0 is the most significant one of the first byte.
fn extract(base: &[u8], position: u64, wanted: Wanted) -> Result<Key> {
    let length = wanted.any_length()?;
    let bits = base.len() * 8;
    let position = usize::try_from(position).ok().filter(|position| *position < bits);
    let position = position.ok_or(Error::MechanismParamInvalid)?;
    if length > base.len() {
        return Err(Error::TemplateInconsistent);
    }
    let mut value = Zeroizing::new(vec![0u8; length]);
    for index in 0..length * 8 {
        let from = (position + index) % bits;
        let bit = base[from / 8] >> (7 - from % 8) & 1;
        value[index / 8] |= bit << (7 - index % 8);
    }
    wanted.key(&value)
}
