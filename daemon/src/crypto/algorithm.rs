//! OpenSSL's hashes and ciphers by the names of the mechanism table, fetched once per process: an implicit
//! fetch per operation would cost as much as hashing a small message.

use std::ffi::CStr;
use std::sync::OnceLock;

use claviger_protocol::MechanismType;
use claviger_protocol::flags::mgf;
use claviger_protocol::mechanism::{Cipher, Hash, Mode};
use openssl::cipher::{Cipher as EvpCipher, CipherRef};
use openssl::md::{Md, MdRef};

use super::ffi;
use crate::error::{Error, Result};

/// What is known of a hash.
pub struct HashRow {
    /// Which hash.
    pub hash: Hash,
    /// OpenSSL's name of it.
    pub name: &'static CStr,
    /// Its length in bytes.
    pub length: usize,
    /// The mechanism that stands for it in parameters.
    pub mechanism: MechanismType,
    /// `CKG_*` of MGF1 with it.
    pub mgf: u64,
}

const fn hash(hash: Hash, name: &'static CStr, length: usize, mechanism: MechanismType, mgf: u64) -> HashRow {
    HashRow { hash, name, length, mechanism, mgf }
}

/// The hashes, in the order of [`Hash`].
const HASHES: &[HashRow] = &[
    hash(Hash::Sha1, c"SHA1", 20, MechanismType::SHA_1, mgf::MGF1_SHA1),
    hash(Hash::Sha224, c"SHA2-224", 28, MechanismType::SHA224, mgf::MGF1_SHA224),
    hash(Hash::Sha256, c"SHA2-256", 32, MechanismType::SHA256, mgf::MGF1_SHA256),
    hash(Hash::Sha384, c"SHA2-384", 48, MechanismType::SHA384, mgf::MGF1_SHA384),
    hash(Hash::Sha512, c"SHA2-512", 64, MechanismType::SHA512, mgf::MGF1_SHA512),
];

/// The row of a hash.
pub fn hash_row(hash: Hash) -> &'static HashRow {
    &HASHES[hash as usize]
}

/// The hash that a mechanism stands for in a parameter.
pub fn hash_of(mechanism: MechanismType) -> Option<Hash> {
    HASHES.iter().find(|row| row.mechanism == mechanism).map(|row| row.hash)
}

/// The hash of a mask generation function.
pub fn hash_of_mgf(mgf: u64) -> Option<Hash> {
    HASHES.iter().find(|row| row.mgf == mgf).map(|row| row.hash)
}

/// OpenSSL's implementation of a hash.
pub fn md(hash: Hash) -> Result<&'static MdRef> {
    static FETCHED: [OnceLock<Md>; HASHES.len()] = [const { OnceLock::new() }; HASHES.len()];
    let slot = &FETCHED[hash as usize];
    if let Some(md) = slot.get() {
        return Ok(md);
    }
    let md = Md::fetch(None, &hash_row(hash).name.to_string_lossy(), None)?;
    Ok(slot.get_or_init(|| md))
}

/// An HMAC with this hash, without a key yet. Copying a prepared context saves the fetch of MAC and hash.
pub fn hmac(hash: Hash) -> Result<ffi::Mac> {
    static PREPARED: [OnceLock<ffi::Mac>; HASHES.len()] = [const { OnceLock::new() }; HASHES.len()];
    let slot = &PREPARED[hash as usize];
    if let Some(mac) = slot.get() {
        return Ok(mac.try_clone()?);
    }
    let mac = ffi::Mac::new(c"HMAC", &[(c"digest", ffi::Part::Text(hash_row(hash).name))])?;
    Ok(slot.get_or_init(|| mac).try_clone()?)
}

/// A cipher in a mode with keys of one length, in bytes, by OpenSSL's name.
struct CipherRow(Cipher, &'static [Mode], usize, &'static str);

const CBC: &[Mode] = &[Mode::Cbc, Mode::CbcPad];
const CIPHERS: &[CipherRow] = &[
    CipherRow(Cipher::Aes, &[Mode::Ecb], 16, "AES-128-ECB"),
    CipherRow(Cipher::Aes, &[Mode::Ecb], 24, "AES-192-ECB"),
    CipherRow(Cipher::Aes, &[Mode::Ecb], 32, "AES-256-ECB"),
    CipherRow(Cipher::Aes, CBC, 16, "AES-128-CBC"),
    CipherRow(Cipher::Aes, CBC, 24, "AES-192-CBC"),
    CipherRow(Cipher::Aes, CBC, 32, "AES-256-CBC"),
    CipherRow(Cipher::Aes, &[Mode::Ctr], 16, "AES-128-CTR"),
    CipherRow(Cipher::Aes, &[Mode::Ctr], 24, "AES-192-CTR"),
    CipherRow(Cipher::Aes, &[Mode::Ctr], 32, "AES-256-CTR"),
    CipherRow(Cipher::Aes, &[Mode::Gcm], 16, "AES-128-GCM"),
    CipherRow(Cipher::Aes, &[Mode::Gcm], 24, "AES-192-GCM"),
    CipherRow(Cipher::Aes, &[Mode::Gcm], 32, "AES-256-GCM"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrap], 16, "AES-128-WRAP"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrap], 24, "AES-192-WRAP"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrap], 32, "AES-256-WRAP"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrapPad], 16, "AES-128-WRAP-PAD"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrapPad], 24, "AES-192-WRAP-PAD"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrapPad], 32, "AES-256-WRAP-PAD"),
];

/// OpenSSL's implementation of a cipher in a mode for keys of this length, in bytes.
///
/// `KeySizeRange` when the cipher has no keys of this length.
pub fn cipher(cipher: Cipher, mode: Mode, key_length: usize) -> Result<&'static CipherRef> {
    static FETCHED: [OnceLock<EvpCipher>; CIPHERS.len()] = [const { OnceLock::new() }; CIPHERS.len()];
    let index = CIPHERS
        .iter()
        .position(|row| row.0 == cipher && row.1.contains(&mode) && row.2 == key_length)
        .ok_or(Error::KeySizeRange)?;
    let slot = &FETCHED[index];
    if let Some(fetched) = slot.get() {
        return Ok(fetched);
    }
    let fetched = EvpCipher::fetch(None, CIPHERS[index].3, None)?;
    Ok(slot.get_or_init(|| fetched))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_at_its_index_and_openssl_knows_it() {
        for (i, row) in HASHES.iter().enumerate() {
            assert_eq!(row.hash as usize, i);
            assert_eq!(md(row.hash).unwrap().size(), row.length);
            assert_eq!(hash_of(row.mechanism), Some(row.hash));
            assert_eq!(hash_of_mgf(row.mgf), Some(row.hash));
        }
    }

    #[test]
    fn every_cipher_is_known_to_openssl() {
        for CipherRow(name, modes, length, _) in CIPHERS {
            for mode in *modes {
                assert_eq!(cipher(*name, *mode, *length).unwrap().key_length(), *length);
            }
        }
        assert_eq!(cipher(Cipher::Aes, Mode::Ecb, 17).err(), Some(Error::KeySizeRange));
    }
}
