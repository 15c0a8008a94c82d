//! What the key service does with keys: its own symmetric encryption, raw modes, signatures, decryption, MACs, data
//! keys.
//!
//! A ciphertext of the key service ("format 1") says by itself which version opens it:
//!
//! `0x0A 'K' | 1 | key uid (16) | version (LEB128) | algorithm (1) | salt (16) | IV (12) | ciphertext | tag (16)`
//!
//! Each message has its own key, HKDF-SHA-256 (RFC 5869) of the version's key with the salt, so that the bound of
//! 2^32 random IVs under one key (SP 800-38D, 8.3) is never met. The additional data is everything before the IV,
//! SHA-256 of the key's full name, and the caller's data behind its length.

use std::sync::Arc;

use claviger_protocol::params::Params;
use claviger_protocol::{Bytes, KeyType, MechanismType, ObjectClass};
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, KeyShape, ProtectionLevel, Purpose};
use super::record::Uid;
use super::state::VersionState;
use super::time::Time;
use super::usage::Use;
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::{self, Direction, Key};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use envelope::{Envelope, Header, MAGIC, additional_data, leb128};
use mechanisms::{SM3_HMAC, row};

mod asymmetric;
mod envelope;
mod mechanisms;
mod raw;
mod service_cipher;
mod signature;

pub use asymmetric::wrap_for;
pub use service_cipher::{ServiceCipher, ServiceTransform};
pub use signature::check_digest_name;

const SALT_BYTES: usize = 16;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Bytes of a ciphertext beyond those of the plaintext and of the number of the version.
const ENVELOPE_BYTES: usize = MAGIC.len() + size_of::<Uid>() + 1 + SALT_BYTES + IV_BYTES + TAG_BYTES;
/// Most bytes of a plaintext and of its additional data, each.
const MAX_SOFTWARE_BYTES: usize = 64 << 10;
/// Most bytes of both together at protection level HSM.
const MAX_HSM_BYTES: usize = 8 << 10;
/// Most bytes of a data key.
const MAX_DATA_KEY_BYTES: usize = 1024;

/// What is signed.
pub enum Message<'a> {
    /// Data; the daemon makes the digest.
    Data(&'a [u8]),
    /// The digest itself.
    Digest(&'a [u8]),
}

/// Somebody's use of a version.
pub struct Caller {
    /// Who.
    pub uid: u32,
    /// When.
    pub now: Time,
}

/// A data key.
pub struct DataKey {
    /// The data key.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// It, encrypted.
    pub ciphertext: Vec<u8>,
    /// With what.
    pub version: Arc<VersionCell>,
}

impl Daemon {
    /// Encrypts with a version, or with the primary one.
    ///
    /// # Errors
    /// `FailedPrecondition` for a key of another purpose or without a version, `InvalidArgument` for too much,
    /// `Archived`, `VersionNotEnabled`.
    pub fn encrypt(
        &self,
        key: &KeyCell,
        version: Option<&Arc<VersionCell>>,
        plaintext: &[u8],
        aad: &[u8],
        caller: &Caller,
    ) -> Result<(Arc<VersionCell>, Vec<u8>)> {
        check_purpose(key, Purpose::EncryptDecrypt, "encrypt")?;
        check_size(key, plaintext.len(), aad.len())?;
        let version = match version {
            Some(version) => version.clone(),
            None => key.record().primary.and_then(|number| key.version(number)).ok_or_else(|| {
                Error::FailedPrecondition { message: format!("{} has no primary version", key.name) }
            })?,
        };
        let live = self.admit(key, &version, caller, Use::Encrypt, true)?;
        let output = seal(key, &version, &live, plaintext, aad)?;
        Ok((version, output))
    }

    /// Decrypts; `key` absent: the ciphertext tells. Gives the version, and whether it is the primary one.
    ///
    /// # Errors
    /// `InvalidArgument`, always the same, for whatever does not open; `VersionNotEnabled`.
    pub fn decrypt(
        &self,
        key: Option<&Arc<KeyCell>>,
        ciphertext: &[u8],
        aad: &[u8],
        caller: &Caller,
    ) -> Result<(Arc<VersionCell>, Zeroizing<Vec<u8>>)> {
        if let Some(key) = key {
            check_purpose(key, Purpose::EncryptDecrypt, "decrypt")?;
        }
        let header = Header::read(ciphertext).ok_or_else(cannot_decrypt)?;
        let found = self.catalog.key(&header.key).ok_or_else(cannot_decrypt)?;
        if key.is_some_and(|key| key.uid != found.uid) {
            return Err(cannot_decrypt());
        }
        let version = found.version(header.version).ok_or_else(cannot_decrypt)?;
        let live = self.admit(&found, &version, caller, Use::Decrypt, false)?;
        let plaintext = open(&found, &version, &live, &header, aad)?;
        Ok((version, Zeroizing::new(plaintext.into_vec())))
    }

    /// The key that a ciphertext says it is of.
    pub fn key_of_ciphertext(&self, ciphertext: &[u8]) -> Option<Arc<KeyCell>> {
        Header::read(ciphertext).and_then(|header| self.catalog.key(&header.key))
    }

    /// Makes a data key of `length` bytes and encrypts it; nothing of it is kept.
    ///
    /// # Errors
    /// As of [`Daemon::encrypt`]; `InvalidArgument` for another length than 1 to 1024.
    pub fn generate_data_key(
        &self,
        key: &KeyCell,
        length: usize,
        aad: &[u8],
        caller: &Caller,
    ) -> Result<DataKey> {
        check_purpose(key, Purpose::EncryptDecrypt, "generate data keys")?;
        if !(1..=MAX_DATA_KEY_BYTES).contains(&length) {
            return refuse(format!("a data key has 1 to {MAX_DATA_KEY_BYTES} bytes"));
        }
        let plaintext = crypto::random::secret(length)?;
        let (version, ciphertext) = self.encrypt(key, None, &plaintext, aad, caller)?;
        Ok(DataKey { plaintext, ciphertext, version })
    }

    /// Makes a message authentication code.
    ///
    /// # Errors
    /// `InvalidArgument` for too much data.
    pub fn mac_sign(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        data: &[u8],
        caller: &Caller,
    ) -> Result<Bytes> {
        self.mac(key, version, data, caller, Use::GenerateMac)
    }

    /// Checks a message authentication code, in constant time.
    ///
    /// # Errors
    /// As of [`Daemon::mac_sign`]; a code that is wrong is no error.
    pub fn mac_verify(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        data: &[u8],
        mac: &[u8],
        caller: &Caller,
    ) -> Result<bool> {
        let expected = self.mac(key, version, data, caller, Use::VerifyMac)?;
        Ok(expected.len() == mac.len() && openssl::memcmp::eq(&expected, mac))
    }

    fn mac(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        data: &[u8],
        caller: &Caller,
        used: Use,
    ) -> Result<Bytes> {
        check_purpose(key, Purpose::Mac, "mac-sign and mac-verify")?;
        check_size(key, data.len(), 0)?;
        let mechanism = match version.record().algorithm {
            Algorithm::HmacSha1 => row(MechanismType::SHA_1_HMAC)?,
            Algorithm::HmacSha224 => row(MechanismType::SHA224_HMAC)?,
            Algorithm::HmacSha256 => row(MechanismType::SHA256_HMAC)?,
            Algorithm::HmacSha384 => row(MechanismType::SHA384_HMAC)?,
            Algorithm::HmacSha512 => row(MechanismType::SHA512_HMAC)?,
            Algorithm::HmacSm3 => &SM3_HMAC,
            other => return not_here(other),
        };
        let live = self.admit(key, version, caller, used, used == Use::GenerateMac)?;
        crypto::Signer::new(mechanism, &Params::None, Arc::new(live))?.sign(data)
    }

    /// Lets a use of a version through, counts it, and gives the live key. `makes_new`: an archived key refuses.
    fn admit(
        &self,
        key: &KeyCell,
        version: &Arc<VersionCell>,
        caller: &Caller,
        used: Use,
        makes_new: bool,
    ) -> Result<Key> {
        if makes_new && key.record().care.archived {
            return Err(Error::Archived { resource: key.name.to_string() });
        }
        if let Some(token) = self.catalog.token_of(&version.ring) {
            self.check_project_open(&token.ring().name.project)?;
        }
        let state = version.state(caller.now);
        if state == VersionState::DestroyScheduled {
            return Err(Error::VersionScheduled { version: version.name() });
        }
        if state != VersionState::Enabled {
            return Err(Error::VersionNotEnabled { version: version.name(), state: state.name() });
        }
        let gone = || Error::VersionNotEnabled { version: version.name(), state: "DESTROYED" };
        let material = self.records.material(&version.uid)?.ok_or_else(gone)?;
        let shape = version.record().algorithm.shape();
        let class = match shape {
            // The seed.
            KeyShape::Secret(..) | KeyShape::XWing => ObjectClass::SECRET_KEY,
            _ => ObjectClass::PRIVATE_KEY,
        };
        let key_type = shape.key_type().unwrap_or(KeyType::GENERIC_SECRET);
        let live = Key::from_material(class, key_type, &material)?;
        self.note_use(version, used, caller.uid);
        Ok(live)
    }
}

/// A ciphertext of format 1.
fn seal(key: &KeyCell, version: &VersionCell, live: &Key, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>> {
    let cipher = Envelope::of(version.record().algorithm)?;
    let mut output = MAGIC.to_vec();
    output.extend(key.uid);
    leb128(version.number, &mut output);
    output.push(cipher.number);
    let mut random = [0; SALT_BYTES + IV_BYTES];
    crypto::random::fill(&mut random)?;
    let (salt, iv) = random.split_at(SALT_BYTES);
    output.extend(salt);
    let message_key = cipher.message_key(secret(live)?, salt)?;
    let authenticated = additional_data(&output, &key.name, aad);
    let sealed = cipher.crypt(Direction::Encrypt, message_key, iv, authenticated, plaintext)?;
    output.extend(iv);
    output.extend(&sealed[..]);
    Ok(output)
}

/// What a ciphertext of format 1 holds. `InvalidArgument`, always the same, when it does not open.
fn open(key: &KeyCell, version: &VersionCell, live: &Key, header: &Header<'_>, aad: &[u8]) -> Result<Bytes> {
    let cipher = Envelope::of(version.record().algorithm)?;
    if cipher.number != header.algorithm {
        return Err(cannot_decrypt());
    }
    let message_key = cipher.message_key(secret(live)?, header.salt)?;
    let authenticated = additional_data(header.all, &key.name, aad);
    let opened = cipher.crypt(Direction::Decrypt, message_key, header.iv, authenticated, header.sealed);
    opened.map_err(|_| cannot_decrypt())
}

fn secret(live: &Key) -> Result<&[u8]> {
    match live {
        Key::Secret(value) => Ok(value),
        _ => Err(Error::KeyTypeInconsistent),
    }
}

fn check_purpose(key: &KeyCell, purpose: Purpose, verb: &str) -> Result<()> {
    let has = key.record().purpose;
    if has == purpose {
        return Ok(());
    }
    let message = format!("{} cannot {verb}: it is for {}", key.name, has.name());
    Err(Error::FailedPrecondition { message })
}

fn check_size(key: &KeyCell, data: usize, aad: usize) -> Result<()> {
    match key.record().protection_level {
        ProtectionLevel::Software if data > MAX_SOFTWARE_BYTES || aad > MAX_SOFTWARE_BYTES => {
            refuse(format!("data and authenticated data have at most {} KiB each", MAX_SOFTWARE_BYTES >> 10))
        }
        ProtectionLevel::Hsm if data + aad > MAX_HSM_BYTES => refuse(format!(
            "data and authenticated data have at most {} KiB together at protection level HSM",
            MAX_HSM_BYTES >> 10
        )),
        _ => Ok(()),
    }
}

/// One answer for everything that does not open, whatever the reason.
fn cannot_decrypt() -> Error {
    Error::InvalidArgument { message: "the ciphertext cannot be decrypted".to_owned() }
}

fn not_here<T>(algorithm: Algorithm) -> Result<T> {
    let message = format!("keys of algorithm {} do not do this", algorithm.name());
    Err(Error::FailedPrecondition { message })
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
#[path = "cryptography_tests.rs"]
mod tests;
