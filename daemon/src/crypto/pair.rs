//! Pairs that only the key service uses, by OpenSSL's name of their algorithm: SM2 (GB/T 32918), ML-DSA (FIPS 204),
//! SLH-DSA (FIPS 205), ML-KEM (FIPS 203). Their stored form is PKCS #8, as of every private key.

use std::ffi::CStr;

use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use super::ffi;
use super::key::Key;
use crate::error::{Error, Result};

/// The name of SM2, the one of them that encrypts, and that signs digests.
pub const SM2: &CStr = c"SM2";
/// Bytes of an SM3 digest, which SM2 signs.
pub const SM3_BYTES: usize = 32;
/// Who signs when nobody says so (GB/T 35276, 10).
const SM2_USER: &[u8] = b"1234567812345678";

/// A new pair.
pub fn generate(name: &CStr) -> Result<Key> {
    Ok(Key::Private(ffi::new_pair(name)?))
}

/// The private key of a stored form. `DataInvalid`, `KeyTypeInconsistent`.
pub fn from_material(name: &CStr, material: &[u8]) -> Result<Key> {
    let key = PKey::private_key_from_pkcs8(material).map_err(|_| Error::DataInvalid)?;
    match is(&key, name) {
        true => Ok(Key::Private(key)),
        false => Err(Error::KeyTypeInconsistent),
    }
}

/// True when a key is of the algorithm.
pub fn is<T>(key: &PKeyRef<T>, name: &CStr) -> bool {
    ffi::is_a(key, name)
}

/// What makes the private key it, in one form.
pub fn private_value(key: &PKeyRef<Private>) -> Result<Zeroizing<Vec<u8>>> {
    ffi::octets(key, c"priv").or_else(|| ffi::number(key, c"priv")).ok_or(Error::DataInvalid)
}

/// The public key as its standard writes it, from `SubjectPublicKeyInfo`.
pub fn raw_public(info: &[u8]) -> Result<Vec<u8>> {
    let key = PKey::public_key_from_der(info)?;
    ffi::octets(&key, c"pub").map(|octets| octets.to_vec()).ok_or(Error::KeyTypeInconsistent)
}

/// Signs a message. SM2 signs SM3 of the standard's preamble, for the user of its standard, and the message.
pub fn sign(name: &CStr, key: &Key, message: &[u8]) -> Result<Vec<u8>> {
    let (mut context, mut signature) = (MdCtx::new()?, Vec::new());
    let sm3 = sm3_of(name)?;
    let operation = context.digest_sign_init(sm3.as_deref(), key.private()?)?;
    if name == SM2 {
        ffi::set_octets(operation, c"distid", SM2_USER)?;
    }
    context.digest_sign_to_vec(message, &mut signature)?;
    Ok(signature)
}

/// Verifies what [`sign`] makes, with the public key.
pub fn verify(name: &CStr, key: &Key, message: &[u8], signature: &[u8]) -> Result<bool> {
    let mut context = MdCtx::new()?;
    let sm3 = sm3_of(name)?;
    let operation = context.digest_verify_init(sm3.as_deref(), key.public_key()?)?;
    if name == SM2 {
        ffi::set_octets(operation, c"distid", SM2_USER)?;
    }
    // What is no signature at all is an error to OpenSSL, and a wrong signature here.
    Ok(context.digest_verify(message, signature).unwrap_or(false))
}

/// Signs an SM3 digest, preamble included, with SM2.
pub fn sign_digest(key: &Key, digest: &[u8]) -> Result<Vec<u8>> {
    let (mut context, mut signature) = (PkeyCtx::new(key.private()?)?, Vec::new());
    context.sign_init()?;
    context.sign_to_vec(digest, &mut signature)?;
    Ok(signature)
}

/// Verifies what [`sign_digest`] makes, with the public key.
pub fn verify_digest(key: &Key, digest: &[u8], signature: &[u8]) -> Result<bool> {
    let mut context = PkeyCtx::new(key.public_key()?)?;
    context.verify_init()?;
    Ok(context.verify(digest, signature).unwrap_or(false))
}

/// Encrypts with an SM2 public key: C1, C3 and C2 in ASN.1.
pub fn encrypt(key: &PKeyRef<Public>, plaintext: &[u8]) -> Result<Vec<u8>> {
    let (mut context, mut ciphertext) = (PkeyCtx::new(key)?, Vec::new());
    context.encrypt_init()?;
    context.encrypt_to_vec(plaintext, &mut ciphertext)?;
    Ok(ciphertext)
}

/// As [`encrypt`], with a key of any kind; `KeyTypeInconsistent` unless it is public.
pub fn encrypt_to(key: &Key, plaintext: &[u8]) -> Result<Vec<u8>> {
    encrypt(key.public_key()?, plaintext)
}

/// Decrypts what [`encrypt`] makes. `EncryptedDataInvalid`.
pub fn decrypt(key: &Key, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut context = PkeyCtx::new(key.private()?)?;
    context.decrypt_init()?;
    // OpenSSL may need more room than it gives back.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    context.decrypt_to_vec(ciphertext, &mut plaintext).map_err(|_| Error::EncryptedDataInvalid)?;
    Ok(plaintext)
}

/// The secret that a ciphertext of ML-KEM carries. `EncryptedDataLenRange` for another length; anything else of the
/// right length gives some secret (FIPS 203, 6.3).
pub fn decapsulate(key: &Key, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    ffi::decapsulate(key.private()?, ciphertext).map_err(|_| Error::EncryptedDataLenRange)
}

fn sm3_of(name: &CStr) -> Result<Option<Md>> {
    Ok(if name == SM2 { Some(Md::fetch(None, "SM3", None)?) } else { None })
}
