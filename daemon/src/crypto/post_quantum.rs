//! ML-KEM (FIPS 203), ML-DSA (FIPS 204) and SLH-DSA (FIPS 205): keys of numbered parameter sets, signatures, and the
//! opening of secrets.

use std::ffi::CStr;

use claviger_protocol::mechanism::{Hash, PreHash};
use claviger_protocol::params::Params;
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, Bytes, KeyType, ObjectClass};
use openssl::md_ctx::MdCtx;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtxRef;
use zeroize::Zeroizing;

use super::algorithm::{hash_of, hash_row};
use super::components::{Get, number, optional, required};
use super::ffi::{self, Part};
use super::key::Key;
use crate::error::{Error, Result};

/// A parameter set: key type, `CKP_*`, OpenSSL's name.
pub struct Set(KeyType, u64, &'static CStr);

const SETS: &[Set] = &[
    Set(KeyType::ML_KEM, 1, c"ML-KEM-512"),
    Set(KeyType::ML_KEM, 2, c"ML-KEM-768"),
    Set(KeyType::ML_KEM, 3, c"ML-KEM-1024"),
    Set(KeyType::ML_DSA, 1, c"ML-DSA-44"),
    Set(KeyType::ML_DSA, 2, c"ML-DSA-65"),
    Set(KeyType::ML_DSA, 3, c"ML-DSA-87"),
    Set(KeyType::SLH_DSA, 1, c"SLH-DSA-SHA2-128s"),
    Set(KeyType::SLH_DSA, 2, c"SLH-DSA-SHAKE-128s"),
    Set(KeyType::SLH_DSA, 3, c"SLH-DSA-SHA2-128f"),
    Set(KeyType::SLH_DSA, 4, c"SLH-DSA-SHAKE-128f"),
    Set(KeyType::SLH_DSA, 5, c"SLH-DSA-SHA2-192s"),
    Set(KeyType::SLH_DSA, 6, c"SLH-DSA-SHAKE-192s"),
    Set(KeyType::SLH_DSA, 7, c"SLH-DSA-SHA2-192f"),
    Set(KeyType::SLH_DSA, 8, c"SLH-DSA-SHAKE-192f"),
    Set(KeyType::SLH_DSA, 9, c"SLH-DSA-SHA2-256s"),
    Set(KeyType::SLH_DSA, 10, c"SLH-DSA-SHAKE-256s"),
    Set(KeyType::SLH_DSA, 11, c"SLH-DSA-SHA2-256f"),
    Set(KeyType::SLH_DSA, 12, c"SLH-DSA-SHAKE-256f"),
];

/// True for key types with numbered parameter sets.
pub fn has_sets(key_type: KeyType) -> bool {
    SETS.iter().any(|set| set.0 == key_type)
}

/// True when it is a key of this type.
pub fn is_of<T>(key: &PKeyRef<T>, key_type: KeyType) -> bool {
    set_of(key).is_some_and(|set| set.0 == key_type)
}

/// True when it is a key of this type and parameter set.
pub fn is_of_set<T>(key: &PKeyRef<T>, key_type: KeyType, number: u64) -> bool {
    set_of(key).is_some_and(|set| set.0 == key_type && set.1 == number)
}

fn set_of<T>(key: &PKeyRef<T>) -> Option<&'static Set> {
    SETS.iter().find(|set| ffi::is_a(key, set.2))
}

fn set(key_type: KeyType, number: u64) -> Result<&'static Set> {
    let set = SETS.iter().find(|set| set.0 == key_type && set.1 == number);
    set.ok_or(Error::AttributeValueInvalid)
}

/// The set of `CKA_PARAMETER_SET`. `TemplateIncomplete`, `AttributeValueInvalid`.
fn given_set(key_type: KeyType, get: Get) -> Result<&'static Set> {
    set(key_type, number(get, A::PARAMETER_SET)?.ok_or(Error::TemplateIncomplete)?)
}

/// A new pair of a parameter set, by its `CKP_*`. `AttributeValueInvalid` when there is no such set.
pub fn generate(key_type: KeyType, number: u64) -> Result<Key> {
    Ok(Key::Private(ffi::new_pair(set(key_type, number)?.2)?))
}

/// A new pair of the parameter set that the public template names.
pub fn pair(key_type: KeyType, get: Get) -> Result<PKey<Private>> {
    Ok(ffi::new_pair(given_set(key_type, get)?.2)?)
}

/// A key of its components: the value of a public key; of a private one its value, its seed, or both.
///
/// `TemplateIncomplete`; `AttributeValueInvalid` when they make no key.
pub fn from_components(class: ObjectClass, key_type: KeyType, get: Get) -> Result<Key> {
    let set = given_set(key_type, get)?;
    let invalid = |_| Error::AttributeValueInvalid;
    if class == ObjectClass::PUBLIC_KEY {
        let value = required(get, A::VALUE)?;
        let key = ffi::public_key(set.2, &[(c"pub", Part::Octets(&value))]).map_err(invalid)?;
        return Ok(Key::Public(key));
    }
    let (value, seed) = (optional(get, A::VALUE)?, optional(get, A::SEED)?);
    let mut parts = Vec::new();
    if let Some(value) = &value {
        parts.push((c"priv", Part::Octets(value)));
    }
    if let Some(seed) = &seed {
        parts.push((c"seed", Part::Octets(seed)));
    }
    if parts.is_empty() {
        return Err(Error::TemplateIncomplete);
    }
    let key = ffi::private_key(set.2, &parts).map_err(invalid)?;
    if !ffi::pair_is_valid(&key) {
        return Err(Error::AttributeValueInvalid);
    }
    Ok(Key::Private(key))
}

/// The attributes of a key that are no secret; `None` for keys without a parameter set.
pub fn attributes<T: HasPublic>(key: &PKeyRef<T>, public: bool) -> Result<Option<Vec<(A, Value)>>> {
    let Some(set) = set_of(key) else { return Ok(None) };
    let mut attributes = vec![(A::PARAMETER_SET, Value::Ulong(set.1))];
    if public {
        let value = ffi::octets(key, c"pub").ok_or(Error::DataInvalid)?;
        attributes.push((A::VALUE, Value::Bytes(value.as_slice().into())));
    }
    Ok(Some(attributes))
}

/// OpenSSL's name of a secret component of keys with a parameter set.
pub fn secret_part(key: &PKeyRef<Private>, r#type: A) -> Option<&'static CStr> {
    set_of(key)?;
    match r#type {
        A::VALUE => Some(c"priv"),
        A::SEED => Some(c"seed"),
        _ => None,
    }
}

/// The public key as its standard writes it, from `SubjectPublicKeyInfo`. `KeyTypeInconsistent` for other keys.
pub fn raw_public(info: &[u8]) -> Result<Vec<u8>> {
    let key = PKey::public_key_from_der(info)?;
    set_of(&key).ok_or(Error::KeyTypeInconsistent)?;
    ffi::octets(&key, c"pub").map(|octets| octets.to_vec()).ok_or(Error::DataInvalid)
}

/// The secret that a ciphertext of ML-KEM carries. `EncryptedDataLenRange` for another length; anything else of the
/// right length gives some secret (FIPS 203, 6.3).
pub fn decapsulate(key: &Key, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    ffi::decapsulate(key.private()?, ciphertext).map_err(|_| Error::EncryptedDataLenRange)
}

/// Bytes of what ML-DSA signs in place of a message: the digest of message, context and public key (FIPS 204,
/// algorithm 7, line 6).
pub const MU_BYTES: usize = 64;

/// Signs such a digest that somebody has made outside, with ML-DSA. `DataLenRange`.
pub fn sign_mu(key: &Key, mu: &[u8]) -> Result<Vec<u8>> {
    check_mu(mu)?;
    let key = key.private()?;
    let mut md = MdCtx::new()?;
    ffi::set_number(md.digest_sign_init(None, key)?, c"mu", 1)?;
    let mut signature = vec![0; key.size()];
    let length = md.digest_sign(mu, Some(&mut signature))?;
    signature.truncate(length);
    Ok(signature)
}

/// Verifies what [`sign_mu`] makes, with the public key. `DataLenRange`.
pub fn verify_mu(key: &Key, mu: &[u8], signature: &[u8]) -> Result<bool> {
    check_mu(mu)?;
    let mut md = MdCtx::new()?;
    ffi::set_number(md.digest_verify_init(None, key.public_key()?)?, c"mu", 1)?;
    Ok(md.digest_verify(mu, signature).unwrap_or(false))
}

fn check_mu(mu: &[u8]) -> Result<()> {
    if mu.len() == MU_BYTES { Ok(()) } else { Err(Error::DataLenRange) }
}

/// FIPS 204 and 205: the longest context, in bytes.
const LONGEST_CONTEXT: usize = 255;
/// `CKH_HEDGE_PREFERRED`, `CKH_HEDGE_REQUIRED`
const HEDGED: [u64; 2] = [0, 1];
/// `CKH_DETERMINISTIC_REQUIRED`
const DETERMINISTIC: u64 = 2;

/// A signature scheme with its parameters.
pub struct Signature {
    context: Bytes,
    deterministic: bool,
    /// The hash whose digest is signed.
    hash: Option<Hash>,
}

impl Signature {
    /// True for the pure scheme, false where a digest is signed.
    pub fn takes_a_message(&self) -> bool {
        self.hash.is_none()
    }

    /// The scheme of a mechanism, and the hash that the message goes through before it. `MechanismParamInvalid`.
    pub fn new(pre_hash: PreHash, params: &Params) -> Result<(Signature, Option<Hash>)> {
        let (hedge, context, given) = match params {
            Params::None => (HEDGED[0], Bytes::default(), None),
            Params::SignContext { hedge, context, hash } => (*hedge, context.clone(), *hash),
            _ => return Err(Error::MechanismParamInvalid),
        };
        let known = HEDGED.contains(&hedge) || hedge == DETERMINISTIC;
        if !known || context.len() > LONGEST_CONTEXT {
            return Err(Error::MechanismParamInvalid);
        }
        let (hash, made) = match (pre_hash, given) {
            (PreHash::None, None) => (None, None),
            (PreHash::Made(hash), None) => (Some(hash), Some(hash)),
            (PreHash::Given, Some(given)) => {
                let hash = hash_of(given).filter(|hash| oid(*hash).is_some());
                (Some(hash.ok_or(Error::MechanismParamInvalid)?), None)
            }
            _ => return Err(Error::MechanismParamInvalid),
        };
        Ok((Signature { context, deterministic: hedge == DETERMINISTIC, hash }, made))
    }

    /// Signs. `DataLenRange` for a digest of a wrong length.
    pub fn sign(&self, key: &PKeyRef<Private>, data: &[u8]) -> Result<Vec<u8>> {
        let message = self.message(data)?;
        let mut md = MdCtx::new()?;
        let context = md.digest_sign_init(None, key)?;
        self.set(context)?;
        if self.deterministic {
            ffi::set_number(context, c"deterministic", 1)?;
        }
        let mut signature = vec![0; key.size()];
        let length = md.digest_sign(message.as_deref().unwrap_or(data), Some(&mut signature))?;
        signature.truncate(length);
        Ok(signature)
    }

    /// True for a valid signature. `DataLenRange` for a digest of a wrong length.
    pub fn verify(&self, key: &PKeyRef<Public>, data: &[u8], signature: &[u8]) -> Result<bool> {
        let message = self.message(data)?;
        let mut md = MdCtx::new()?;
        self.set(md.digest_verify_init(None, key)?)?;
        Ok(md.digest_verify(message.as_deref().unwrap_or(data), signature).unwrap_or(false))
    }

    /// The message that goes into the inner function when a digest is signed (FIPS 204, algorithm 4; FIPS 205,
    /// algorithm 23): 1, the context's length, the context, the hash's object identifier, the digest.
    fn message(&self, digest: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(hash) = self.hash else { return Ok(None) };
        if digest.len() != hash_row(hash).length {
            return Err(Error::DataLenRange);
        }
        let oid = oid(hash).ok_or(Error::MechanismParamInvalid)?;
        Ok(Some([&[1, self.context.len() as u8], &self.context[..], &OID, &[oid], digest].concat()))
    }

    fn set<T>(&self, context: &mut PkeyCtxRef<T>) -> Result<()> {
        if self.hash.is_some() {
            // The message is encoded already.
            ffi::set_number(context, c"message-encoding", 0)?;
        } else if !self.context.is_empty() {
            context.set_context_string(&self.context)?;
        }
        Ok(())
    }
}

/// 2.16.840.1.101.3.4.2, NIST's hashes, up to the last number.
const OID: [u8; 10] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// The last number of the hash's object identifier.
fn oid(hash: Hash) -> Option<u8> {
    Some(match hash {
        Hash::Sha256 => 1,
        Hash::Sha384 => 2,
        Hash::Sha512 => 3,
        Hash::Sha224 => 4,
        Hash::Sha512_224 => 5,
        Hash::Sha512_256 => 6,
        Hash::Sha3_224 => 7,
        Hash::Sha3_256 => 8,
        Hash::Sha3_384 => 9,
        Hash::Sha3_512 => 10,
        Hash::Shake128 => 11,
        Hash::Shake256 => 12,
        _ => return None,
    })
}
