//! OpenSSL's hashes and ciphers by the names of the mechanism table, fetched once per process: an implicit
//! fetch per operation would cost as much as hashing a small message.

use std::ffi::CStr;
use std::sync::OnceLock;

use claviger_protocol::MechanismType;
use claviger_protocol::MechanismType as M;
use claviger_protocol::flags::mgf;
use claviger_protocol::mechanism::{Cipher, Hash, Mode};
use openssl::cipher::{Cipher as EvpCipher, CipherRef};
use openssl::md::{Md, MdRef};

use zeroize::Zeroizing;

use super::ffi;
use crate::error::{Error, Result};

/// What is known of a hash.
pub struct HashRow {
    /// Which hash.
    pub hash: Hash,
    /// OpenSSL's name of it; of the longest where OpenSSL takes the length as a parameter.
    pub name: &'static CStr,
    /// Its length in bytes.
    pub length: usize,
    /// The mechanism that stands for it in parameters.
    pub mechanism: Option<MechanismType>,
    /// `CKG_*` of MGF1 with it.
    pub mgf: Option<u64>,
}

const fn hash(
    hash: Hash,
    name: &'static CStr,
    length: usize,
    mechanism: Option<MechanismType>,
    mgf: Option<u64>,
) -> HashRow {
    HashRow { hash, name, length, mechanism, mgf }
}

/// The hashes, in the order of [`Hash`].
const HASHES: &[HashRow] = &[
    hash(Hash::Sha1, c"SHA1", 20, Some(M::SHA_1), Some(mgf::MGF1_SHA1)),
    hash(Hash::Sha224, c"SHA2-224", 28, Some(M::SHA224), Some(mgf::MGF1_SHA224)),
    hash(Hash::Sha256, c"SHA2-256", 32, Some(M::SHA256), Some(mgf::MGF1_SHA256)),
    hash(Hash::Sha384, c"SHA2-384", 48, Some(M::SHA384), Some(mgf::MGF1_SHA384)),
    hash(Hash::Sha512, c"SHA2-512", 64, Some(M::SHA512), Some(mgf::MGF1_SHA512)),
    hash(Hash::Sha512_224, c"SHA2-512/224", 28, Some(M::SHA512_224), None),
    hash(Hash::Sha512_256, c"SHA2-512/256", 32, Some(M::SHA512_256), None),
    hash(Hash::Sha3_224, c"SHA3-224", 28, Some(M::SHA3_224), Some(mgf::MGF1_SHA3_224)),
    hash(Hash::Sha3_256, c"SHA3-256", 32, Some(M::SHA3_256), Some(mgf::MGF1_SHA3_256)),
    hash(Hash::Sha3_384, c"SHA3-384", 48, Some(M::SHA3_384), Some(mgf::MGF1_SHA3_384)),
    hash(Hash::Sha3_512, c"SHA3-512", 64, Some(M::SHA3_512), Some(mgf::MGF1_SHA3_512)),
    hash(Hash::Shake128, c"SHAKE-128", 32, None, None),
    hash(Hash::Shake256, c"SHAKE-256", 64, None, None),
    hash(Hash::Blake2b160, c"BLAKE2B-512", 20, Some(M::BLAKE2B_160), None),
    hash(Hash::Blake2b256, c"BLAKE2B-512", 32, Some(M::BLAKE2B_256), None),
    hash(Hash::Blake2b384, c"BLAKE2B-512", 48, Some(M::BLAKE2B_384), None),
    hash(Hash::Blake2b512, c"BLAKE2B-512", 64, Some(M::BLAKE2B_512), None),
    hash(Hash::Md5, c"MD5", 16, Some(M::MD5), None),
    hash(Hash::Ripemd160, c"RIPEMD-160", 20, Some(M::RIPEMD160), None),
    hash(Hash::Sm3, c"SM3", 32, None, None),
];

/// The row of a hash.
pub fn hash_row(hash: Hash) -> &'static HashRow {
    &HASHES[hash as usize]
}

/// The hash that a mechanism stands for in a parameter.
pub fn hash_of(mechanism: MechanismType) -> Option<Hash> {
    HASHES.iter().find(|row| row.mechanism == Some(mechanism)).map(|row| row.hash)
}

/// The hash that a mechanism stands for in a parameter of RSA: the SHA families (RFC 8017, appendix B.1).
pub fn hash_of_rsa(mechanism: MechanismType) -> Option<Hash> {
    let is_truncated = |hash| matches!(hash, Hash::Sha512_224 | Hash::Sha512_256);
    hash_of(mechanism).filter(|hash| hash_row(*hash).mgf.is_some() || is_truncated(*hash))
}

/// The hash of a mask generation function.
pub fn hash_of_mgf(mgf: u64) -> Option<Hash> {
    HASHES.iter().find(|row| row.mgf == Some(mgf)).map(|row| row.hash)
}

/// True for the sizes of BLAKE2b that OpenSSL has only as a parameter.
pub fn is_shortened(hash: Hash) -> bool {
    matches!(hash, Hash::Blake2b160 | Hash::Blake2b256 | Hash::Blake2b384)
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

/// A cipher in some modes with keys of one length, in bytes, by OpenSSL's name.
struct CipherRow(Cipher, &'static [Mode], usize, &'static str);

const CBC: &[Mode] = &[Mode::Cbc, Mode::CbcPad];
const KW: &[Mode] = &[Mode::KeyWrap, Mode::KeyWrapPkcs7];
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
    CipherRow(Cipher::Aes, &[Mode::Ccm], 16, "AES-128-CCM"),
    CipherRow(Cipher::Aes, &[Mode::Ccm], 24, "AES-192-CCM"),
    CipherRow(Cipher::Aes, &[Mode::Ccm], 32, "AES-256-CCM"),
    CipherRow(Cipher::Aes, &[Mode::Cts], 16, "AES-128-CBC-CTS"),
    CipherRow(Cipher::Aes, &[Mode::Cts], 24, "AES-192-CBC-CTS"),
    CipherRow(Cipher::Aes, &[Mode::Cts], 32, "AES-256-CBC-CTS"),
    CipherRow(Cipher::Aes, &[Mode::Ofb], 16, "AES-128-OFB"),
    CipherRow(Cipher::Aes, &[Mode::Ofb], 24, "AES-192-OFB"),
    CipherRow(Cipher::Aes, &[Mode::Ofb], 32, "AES-256-OFB"),
    CipherRow(Cipher::Aes, &[Mode::Cfb1], 16, "AES-128-CFB1"),
    CipherRow(Cipher::Aes, &[Mode::Cfb1], 24, "AES-192-CFB1"),
    CipherRow(Cipher::Aes, &[Mode::Cfb1], 32, "AES-256-CFB1"),
    CipherRow(Cipher::Aes, &[Mode::Cfb8], 16, "AES-128-CFB8"),
    CipherRow(Cipher::Aes, &[Mode::Cfb8], 24, "AES-192-CFB8"),
    CipherRow(Cipher::Aes, &[Mode::Cfb8], 32, "AES-256-CFB8"),
    CipherRow(Cipher::Aes, &[Mode::Cfb128], 16, "AES-128-CFB"),
    CipherRow(Cipher::Aes, &[Mode::Cfb128], 24, "AES-192-CFB"),
    CipherRow(Cipher::Aes, &[Mode::Cfb128], 32, "AES-256-CFB"),
    CipherRow(Cipher::Aes, KW, 16, "AES-128-WRAP"),
    CipherRow(Cipher::Aes, KW, 24, "AES-192-WRAP"),
    CipherRow(Cipher::Aes, KW, 32, "AES-256-WRAP"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrapPad], 16, "AES-128-WRAP-PAD"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrapPad], 24, "AES-192-WRAP-PAD"),
    CipherRow(Cipher::Aes, &[Mode::KeyWrapPad], 32, "AES-256-WRAP-PAD"),
    CipherRow(Cipher::Aes, &[Mode::Xts], 32, "AES-128-XTS"),
    CipherRow(Cipher::Aes, &[Mode::Xts], 64, "AES-256-XTS"),
    CipherRow(Cipher::Aria, &[Mode::Ecb], 16, "ARIA-128-ECB"),
    CipherRow(Cipher::Aria, &[Mode::Ecb], 24, "ARIA-192-ECB"),
    CipherRow(Cipher::Aria, &[Mode::Ecb], 32, "ARIA-256-ECB"),
    CipherRow(Cipher::Aria, CBC, 16, "ARIA-128-CBC"),
    CipherRow(Cipher::Aria, CBC, 24, "ARIA-192-CBC"),
    CipherRow(Cipher::Aria, CBC, 32, "ARIA-256-CBC"),
    CipherRow(Cipher::Aria, &[Mode::Ctr], 16, "ARIA-128-CTR"),
    CipherRow(Cipher::Aria, &[Mode::Ctr], 24, "ARIA-192-CTR"),
    CipherRow(Cipher::Aria, &[Mode::Ctr], 32, "ARIA-256-CTR"),
    CipherRow(Cipher::Sm4, &[Mode::Ecb], 16, "SM4-ECB"),
    CipherRow(Cipher::Sm4, CBC, 16, "SM4-CBC"),
    CipherRow(Cipher::Sm4, &[Mode::Ctr], 16, "SM4-CTR"),
    CipherRow(Cipher::Sm4, &[Mode::Gcm], 16, "SM4-GCM"),
    CipherRow(Cipher::Des3, &[Mode::Ecb], 24, "DES-EDE3"),
    CipherRow(Cipher::Des3, &[Mode::Ecb], 16, "DES-EDE3"),
    CipherRow(Cipher::Des, &[Mode::Ecb], 8, "DES-EDE3"),
    CipherRow(Cipher::Des3, CBC, 24, "DES-EDE3-CBC"),
    CipherRow(Cipher::Des3, CBC, 16, "DES-EDE3-CBC"),
    CipherRow(Cipher::Des, CBC, 8, "DES-EDE3-CBC"),
    CipherRow(Cipher::Des3, &[Mode::Ofb], 24, "DES-EDE3-OFB"),
    CipherRow(Cipher::Des3, &[Mode::Ofb], 16, "DES-EDE3-OFB"),
    CipherRow(Cipher::Des, &[Mode::Ofb], 8, "DES-EDE3-OFB"),
    CipherRow(Cipher::Des3, &[Mode::Cfb8], 24, "DES-EDE3-CFB8"),
    CipherRow(Cipher::Des3, &[Mode::Cfb8], 16, "DES-EDE3-CFB8"),
    CipherRow(Cipher::Des, &[Mode::Cfb8], 8, "DES-EDE3-CFB8"),
    CipherRow(Cipher::Des3, &[Mode::Cfb64], 24, "DES-EDE3-CFB"),
    CipherRow(Cipher::Des3, &[Mode::Cfb64], 16, "DES-EDE3-CFB"),
    CipherRow(Cipher::Des, &[Mode::Cfb64], 8, "DES-EDE3-CFB"),
    CipherRow(Cipher::ChaCha20, &[Mode::Stream], 32, "ChaCha20"),
    CipherRow(Cipher::ChaCha20, &[Mode::Poly1305], 32, "ChaCha20-Poly1305"),
];

/// OpenSSL's implementation of a cipher in a mode for keys of this length, in bytes. [`CipherKey`] is what it takes.
///
/// `KeySizeRange` when the cipher has no keys of this length.
pub fn cipher(cipher: Cipher, mode: Mode, key_length: usize) -> Result<&'static CipherRef> {
    static FETCHED: [OnceLock<EvpCipher>; CIPHERS.len()] = [const { OnceLock::new() }; CIPHERS.len()];
    let index = CIPHERS
        .iter()
        .position(|row| row.0 == cipher && row.2 == key_length && row.1.contains(&mode))
        .ok_or(Error::KeySizeRange)?;
    let slot = &FETCHED[index];
    if let Some(fetched) = slot.get() {
        return Ok(fetched);
    }
    let fetched = EvpCipher::fetch(None, CIPHERS[index].3, None)?;
    Ok(slot.get_or_init(|| fetched))
}

/// A key as OpenSSL's implementation takes it: DES keys of one and two parts become the three that they stand for
/// (ANSI X9.52, keying options 3 and 2), so that single DES needs no provider of its own.
pub enum CipherKey<'a> {
    /// As it is.
    Given(&'a [u8]),
    /// Of three parts.
    Expanded(Zeroizing<Vec<u8>>),
}

impl CipherKey<'_> {
    /// The key of a cipher.
    pub fn new(cipher: Cipher, key: &[u8]) -> CipherKey<'_> {
        match (cipher, key.len()) {
            (Cipher::Des, 8) => CipherKey::Expanded(Zeroizing::new([key, key, key].concat())),
            (Cipher::Des3, 16) => CipherKey::Expanded(Zeroizing::new([key, &key[..8]].concat())),
            _ => CipherKey::Given(key),
        }
    }
}

impl std::ops::Deref for CipherKey<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            CipherKey::Given(key) => key,
            CipherKey::Expanded(key) => key,
        }
    }
}

/// A MAC made of a cipher, without a key yet.
struct CipherMacRow(&'static CStr, Cipher, usize, &'static CStr);

const CIPHER_MACS: &[CipherMacRow] = &[
    CipherMacRow(c"CMAC", Cipher::Aes, 16, c"AES-128-CBC"),
    CipherMacRow(c"CMAC", Cipher::Aes, 24, c"AES-192-CBC"),
    CipherMacRow(c"CMAC", Cipher::Aes, 32, c"AES-256-CBC"),
    CipherMacRow(c"CMAC", Cipher::Des3, 24, c"DES-EDE3-CBC"),
    CipherMacRow(c"CMAC", Cipher::Des3, 16, c"DES-EDE3-CBC"),
    CipherMacRow(c"GMAC", Cipher::Aes, 16, c"AES-128-GCM"),
    CipherMacRow(c"GMAC", Cipher::Aes, 24, c"AES-192-GCM"),
    CipherMacRow(c"GMAC", Cipher::Aes, 32, c"AES-256-GCM"),
];

/// CMAC or GMAC (by OpenSSL's name) with a cipher and keys of this length, without a key yet.
///
/// `KeySizeRange` when there is none for keys of this length.
pub fn cipher_mac(name: &CStr, cipher: Cipher, key_length: usize) -> Result<ffi::Mac> {
    static PREPARED: [OnceLock<ffi::Mac>; CIPHER_MACS.len()] = [const { OnceLock::new() }; CIPHER_MACS.len()];
    let index = CIPHER_MACS
        .iter()
        .position(|row| row.0 == name && row.1 == cipher && row.2 == key_length)
        .ok_or(Error::KeySizeRange)?;
    let slot = &PREPARED[index];
    if let Some(mac) = slot.get() {
        return Ok(mac.try_clone()?);
    }
    let row = &CIPHER_MACS[index];
    let mut mac = ffi::Mac::new(row.0, &[(c"cipher", ffi::Part::Text(row.3))])?;
    if row.0 == c"CMAC" {
        // OpenSSL copies no CMAC that has no key yet; the real key takes this one's place.
        mac.start(&CipherKey::new(cipher, &vec![0; key_length]))?;
    }
    Ok(slot.get_or_init(|| mac).try_clone()?)
}

/// Poly1305 (RFC 8439, 2.5) without a key yet.
pub fn poly1305() -> Result<ffi::Mac> {
    static PREPARED: OnceLock<ffi::Mac> = OnceLock::new();
    if let Some(mac) = PREPARED.get() {
        return Ok(mac.try_clone()?);
    }
    let mac = ffi::Mac::new(c"POLY1305", &[])?;
    Ok(PREPARED.get_or_init(|| mac).try_clone()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_at_its_index_and_openssl_knows_it() {
        for (i, row) in HASHES.iter().enumerate() {
            assert_eq!(row.hash as usize, i);
            let md = md(row.hash).unwrap();
            match row.hash {
                // OpenSSL gives extendable output no length of its own.
                Hash::Shake128 | Hash::Shake256 => {}
                hash if is_shortened(hash) => assert!(md.size() > row.length),
                _ => assert_eq!(md.size(), row.length),
            }
            if let Some(mechanism) = row.mechanism {
                assert_eq!(hash_of(mechanism), Some(row.hash));
            }
            if let Some(mgf) = row.mgf {
                assert_eq!(hash_of_mgf(mgf), Some(row.hash));
            }
        }
    }

    #[test]
    fn every_cipher_is_known_to_openssl() {
        for CipherRow(name, modes, length, _) in CIPHERS {
            for mode in *modes {
                let key = vec![0; *length];
                let taken = CipherKey::new(*name, &key).len();
                assert_eq!(cipher(*name, *mode, *length).unwrap().key_length(), taken);
            }
        }
        assert_eq!(cipher(Cipher::Aes, Mode::Ecb, 17).err(), Some(Error::KeySizeRange));
    }
}
