//! SM2 (GB/T 32918): signatures with SM3, and public-key encryption. Only the key service uses such pairs.

use std::ffi::CStr;

use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use openssl::pkey::{PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use super::key::Key;
use super::{der, ffi};
use crate::error::{Error, Result};

/// OpenSSL's name of it.
const NAME: &CStr = c"SM2";
/// Bytes of an SM3 digest, which SM2 signs.
pub const SM3_BYTES: usize = 32;
/// Who signs when nobody says so (GB/T 35276, 10).
const USER: &[u8] = b"1234567812345678";

/// A new pair.
pub fn generate() -> Result<Key> {
    Ok(Key::Private(ffi::new_pair(NAME)?))
}

/// True when a key is one of SM2.
pub fn is<T>(key: &PKeyRef<T>) -> bool {
    ffi::is_a(key, NAME)
}

/// The private number, in one form.
pub fn private_value(key: &PKeyRef<Private>) -> Result<Zeroizing<Vec<u8>>> {
    ffi::number(key, c"priv").ok_or(Error::DataInvalid)
}

/// Signs SM3 of the standard's preamble, for the user of its standard, and a message.
pub fn sign(key: &Key, message: &[u8]) -> Result<Vec<u8>> {
    let (mut context, mut signature) = (MdCtx::new()?, Vec::new());
    let sm3 = Md::fetch(None, "SM3", None)?;
    let operation = context.digest_sign_init(Some(&sm3), key.private()?)?;
    ffi::set_octets(operation, c"distid", USER)?;
    context.digest_sign_to_vec(message, &mut signature)?;
    Ok(signature)
}

/// Verifies what [`sign`] makes, with the public key.
pub fn verify(key: &Key, message: &[u8], signature: &[u8]) -> Result<bool> {
    let mut context = MdCtx::new()?;
    let sm3 = Md::fetch(None, "SM3", None)?;
    let operation = context.digest_verify_init(Some(&sm3), key.public_key()?)?;
    ffi::set_octets(operation, c"distid", USER)?;
    // What is no signature at all is an error to OpenSSL, and a wrong signature here.
    Ok(context.digest_verify(message, signature).unwrap_or(false))
}

/// Signs an SM3 digest, preamble included.
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

/// Encrypts with a public key: C1, C3 and C2 in ASN.1.
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

/// Bytes of a coordinate.
const COORDINATE_BYTES: usize = 32;
/// How an uncompressed point begins (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// C1, C3 and C2 one after the other, from their ASN.1 (GM/T 0009). `EncryptedDataInvalid`.
pub fn to_parts(asn1: &[u8]) -> Result<Vec<u8>> {
    parts(asn1).ok_or(Error::EncryptedDataInvalid)
}

fn parts(asn1: &[u8]) -> Option<Vec<u8>> {
    let (_, content) = der::element(asn1).filter(|(tag, _)| *tag == der::SEQUENCE)?;
    let mut text = vec![UNCOMPRESSED];
    let mut rest = content;
    for _ in 0..2 {
        let (_, number, behind) = der::first(rest).filter(|(tag, ..)| *tag == der::INTEGER)?;
        let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        text.resize(text.len() + COORDINATE_BYTES.checked_sub(number.len())?, 0);
        text.extend_from_slice(number);
        rest = behind;
    }
    for _ in 0..2 {
        let (_, octets, behind) = der::first(rest).filter(|(tag, ..)| *tag == der::OCTET_STRING)?;
        text.extend_from_slice(octets);
        rest = behind;
    }
    rest.is_empty().then_some(text)
}

/// The ASN.1 of C1, C3 and C2 one after the other. `EncryptedDataInvalid`.
pub fn from_parts(text: &[u8]) -> Result<Vec<u8>> {
    let Some(([UNCOMPRESSED, point @ ..], rest)) = text.split_at_checked(1 + 2 * COORDINATE_BYTES) else {
        return Err(Error::EncryptedDataInvalid);
    };
    let (digest, masked) = rest.split_at_checked(SM3_BYTES).ok_or(Error::EncryptedDataInvalid)?;
    let (x, y) = point.split_at(COORDINATE_BYTES);
    let parts = [der::integer(x), der::integer(y), der::octet_string(digest), der::octet_string(masked)];
    Ok(der::of(der::SEQUENCE, &[&parts.concat()]))
}
