//! Keys under keys: `C_WrapKey` and `C_UnwrapKey` by a mechanism, and the same three algorithms as plain functions
//! for import jobs.
//!
//! Unwrapping knows one failure, `WrappedKeyInvalid`, whatever went wrong inside: which step failed would be an
//! oracle.

use claviger_protocol::mechanism::{Cipher as BlockCipher, Hash, MechanismRow, Mode, Recipe};
use claviger_protocol::params::Params;
use claviger_protocol::{Bytes, KeyType};
use openssl::pkey::Id;
use zeroize::Zeroizing;

use super::cipher::{Cipher, Direction, Transform};
use super::curve::Curve;
use super::ffi::octets;
use super::key::{Key, secret_length_is_valid};
use super::key_wrap::KeyWrap;
use super::rsa::EncryptionPadding;
use super::{algorithm, derive, generate, random};
use crate::error::{Error, Result};

/// Wraps a stored form. RSA takes the public key.
///
/// `WrappingKeyTypeInconsistent`, `WrappingKeySizeRange`, `MechanismParamInvalid`; `KeySizeRange` when the mechanism
/// cannot take so long a key; `MechanismInvalid` for a mechanism that does not wrap.
pub fn wrap(row: &MechanismRow, params: &Params, wrapping: &Key, material: &[u8]) -> Result<Bytes> {
    let wrapped = match (row.recipe, params) {
        (Recipe::RsaAesKeyWrap, Params::RsaAesKeyWrap { aes_key_bits, oaep }) => wrapping
            .expect(&[Id::RSA])
            .and_then(|()| wrapping.check_size(row))
            .and_then(|()| Ok((aes_length(*aes_key_bits)?, EncryptionPadding::oaep(oaep)?)))
            .and_then(|(length, padding)| rsa_aes_key_wrap_with(wrapping, &padding, length, material))
            .map(Bytes::from),
        (Recipe::EcdhAesKeyWrap, Params::EcdhAesKeyWrap { aes_key_bits, kdf, shared_data }) => {
            aes_length(*aes_key_bits)
                .and_then(|length| ecdh_aes_key_wrap(wrapping, *kdf, shared_data, length, material))
                .map(Bytes::from)
        }
        (Recipe::RsaAesKeyWrap | Recipe::EcdhAesKeyWrap, _) => Err(Error::MechanismParamInvalid),
        (Recipe::Cipher(cipher, Mode::Ecb | Mode::Cbc), _) => {
            // A block cipher without padding fills the last block up with zeros (PKCS#11 3.2, 6.10.5).
            let block = algorithm::cipher(cipher, Mode::Cbc, wrapping.secret().map_or(0, <[u8]>::len))
                .map_or(1, |cipher| cipher.block_size());
            let mut filled = Zeroizing::new(vec![0; material.len().next_multiple_of(block)]);
            filled[..material.len()].copy_from_slice(material);
            Cipher::with(Direction::Encrypt, row, params, wrapping)
                .and_then(|cipher| cipher.one_shot(&filled))
        }
        _ => Cipher::with(Direction::Encrypt, row, params, wrapping)
            .and_then(|cipher| cipher.one_shot(material)),
    };
    wrapped.map_err(|error| match error {
        Error::KeyTypeInconsistent => Error::WrappingKeyTypeInconsistent,
        Error::KeySizeRange => Error::WrappingKeySizeRange,
        Error::DataLenRange => Error::KeySizeRange,
        other => other,
    })
}

/// Unwraps to a stored form, which is unchecked: see [`Key::from_untrusted`]. RSA takes the private key.
///
/// `UnwrappingKeyTypeInconsistent`, `UnwrappingKeySizeRange`, `MechanismParamInvalid`, `WrappedKeyLenRange`,
/// `WrappedKeyInvalid`; `MechanismInvalid` for a mechanism that does not unwrap.
pub fn unwrap(
    row: &MechanismRow,
    params: &Params,
    unwrapping: &Key,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let material = match (row.recipe, params) {
        (Recipe::RsaAesKeyWrap, Params::RsaAesKeyWrap { aes_key_bits, oaep }) => unwrapping
            .expect(&[Id::RSA])
            .and_then(|()| unwrapping.check_size(row))
            .and_then(|()| Ok((aes_length(*aes_key_bits)?, EncryptionPadding::oaep(oaep)?)))
            .and_then(|(length, padding)| {
                rsa_aes_key_unwrap_with(unwrapping, &padding, Some(length), wrapped)
            }),
        (Recipe::EcdhAesKeyWrap, Params::EcdhAesKeyWrap { aes_key_bits, kdf, shared_data }) => {
            aes_length(*aes_key_bits)
                .and_then(|length| ecdh_aes_key_unwrap(unwrapping, *kdf, shared_data, length, wrapped))
        }
        (Recipe::RsaAesKeyWrap | Recipe::EcdhAesKeyWrap, _) => Err(Error::MechanismParamInvalid),
        _ => Cipher::with(Direction::Decrypt, row, params, unwrapping)
            .and_then(|cipher| cipher.one_shot(wrapped))
            .map(|material| Zeroizing::new(material.into_vec())),
    };
    material.map_err(|error| match error {
        Error::KeyTypeInconsistent => Error::UnwrappingKeyTypeInconsistent,
        Error::KeySizeRange => Error::UnwrappingKeySizeRange,
        Error::EncryptedDataLenRange => Error::WrappedKeyLenRange,
        Error::EncryptedDataInvalid => Error::WrappedKeyInvalid,
        other => other,
    })
}

/// Wraps with AES-KWP (RFC 5649). `KeySizeRange` unless `kek` is an AES key, `DataLenRange` for no material.
pub fn aes_kwp(kek: &[u8], material: &[u8]) -> Result<Vec<u8>> {
    let wrap = KeyWrap::new(Direction::Encrypt, BlockCipher::Aes, Mode::KeyWrapPad, &Params::None, kek)?;
    let mut wrapped = Vec::with_capacity(wrap.one_shot_length(material.len()));
    Box::new(wrap).one_shot(material, &mut wrapped)?;
    Ok(wrapped)
}

/// Unwraps AES-KWP. `KeySizeRange`, `EncryptedDataLenRange`, `EncryptedDataInvalid`.
pub fn aes_kwp_unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let wrap = KeyWrap::new(Direction::Decrypt, BlockCipher::Aes, Mode::KeyWrapPad, &Params::None, kek)?;
    // OpenSSL's unwrap may write a semiblock more than it gives.
    let mut material = Zeroizing::new(Vec::with_capacity(wrapped.len() + 16));
    Box::new(wrap).one_shot(wrapped, &mut material)?;
    Ok(material)
}

/// Wraps with RSAES-OAEP, this hash for label and MGF1, and no label. `KeyTypeInconsistent` unless `key` is an RSA
/// public key, `DataLenRange`.
pub fn rsa_oaep(key: &Key, hash: Hash, material: &[u8]) -> Result<Vec<u8>> {
    key.expect(&[Id::RSA])?;
    oaep(hash).encrypt(key.public_key()?, material)
}

/// Unwraps RSAES-OAEP as [`rsa_oaep`] wraps. `EncryptedDataLenRange`, `EncryptedDataInvalid`.
pub fn rsa_oaep_unwrap(key: &Key, hash: Hash, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    key.expect(&[Id::RSA])?;
    oaep(hash).decrypt(key.private()?, wrapped)
}

/// Wraps with a fresh AES-256 key, which goes in front under RSAES-OAEP. Errors as of [`rsa_oaep`].
pub fn rsa_aes_key_wrap(key: &Key, hash: Hash, material: &[u8]) -> Result<Vec<u8>> {
    rsa_aes_key_wrap_with(key, &oaep(hash), 32, material)
}

/// Unwraps what [`rsa_aes_key_wrap`] wraps, with an AES key of any length. `WrappedKeyLenRange`,
/// `WrappedKeyInvalid`, `KeyTypeInconsistent`.
pub fn rsa_aes_key_unwrap(key: &Key, hash: Hash, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    rsa_aes_key_unwrap_with(key, &oaep(hash), None, wrapped)
}

/// Wraps with RSAES-PKCS1-v1_5. Errors as of [`rsa_oaep`].
pub fn rsa_pkcs1(key: &Key, material: &[u8]) -> Result<Vec<u8>> {
    key.expect(&[Id::RSA])?;
    EncryptionPadding::Pkcs1.encrypt(key.public_key()?, material)
}

/// Unwraps RSAES-PKCS1-v1_5; whatever is padded wrongly gives some bytes, always the same (implicit rejection).
/// `EncryptedDataLenRange`.
pub fn rsa_pkcs1_unwrap(key: &Key, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    key.expect(&[Id::RSA])?;
    EncryptionPadding::Pkcs1.decrypt(key.private()?, wrapped)
}

fn oaep(hash: Hash) -> EncryptionPadding {
    EncryptionPadding::Oaep { hash, mgf: hash, label: Bytes::default() }
}

fn rsa_aes_key_wrap_with(
    key: &Key,
    padding: &EncryptionPadding,
    aes_length: usize,
    material: &[u8],
) -> Result<Vec<u8>> {
    key.expect(&[Id::RSA])?;
    let aes = random::secret(aes_length)?;
    let mut wrapped = padding.encrypt(key.public_key()?, &aes)?;
    wrapped.extend(aes_kwp(&aes, material)?);
    Ok(wrapped)
}

fn rsa_aes_key_unwrap_with(
    key: &Key,
    padding: &EncryptionPadding,
    aes_length: Option<usize>,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    key.expect(&[Id::RSA])?;
    let key = key.private()?;
    let (first, second) = wrapped.split_at_checked(key.size()).ok_or(Error::WrappedKeyLenRange)?;
    let invalid = |_| Error::WrappedKeyInvalid;
    let aes = padding.decrypt(key, first).map_err(invalid)?;
    if aes_length.is_some_and(|length| length != aes.len())
        || !secret_length_is_valid(KeyType::AES, aes.len())
    {
        return Err(Error::WrappedKeyInvalid);
    }
    aes_kwp_unwrap(&aes, second).map_err(invalid)
}

/// The public key of a fresh pair, then the material under the AES key that both pairs agree on (PKCS#11 3.2,
/// 6.3.21): a point as it is, uncompressed.
fn ecdh_aes_key_wrap(
    key: &Key,
    kdf: u64,
    shared: &[u8],
    aes_length: usize,
    material: &[u8],
) -> Result<Vec<u8>> {
    key.expect(&[Id::EC, Id::X25519, Id::X448])?;
    let curve = Curve::of(key.public_key()?)?;
    let theirs = octets(key.public_key()?, c"pub").ok_or(Error::KeyTypeInconsistent)?;
    let ours = Key::Private(generate::on(curve)?);
    let mut wrapped = octets(ours.private()?, c"pub").ok_or(Error::KeyTypeInconsistent)?.to_vec();
    let aes = derive::agreed_aes(&ours, &theirs, kdf, shared, aes_length)?;
    wrapped.extend(aes_kwp(&aes, material)?);
    Ok(wrapped)
}

fn ecdh_aes_key_unwrap(
    key: &Key,
    kdf: u64,
    shared: &[u8],
    aes_length: usize,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    key.expect(&[Id::EC, Id::X25519, Id::X448])?;
    let ours = octets(key.private()?, c"pub").ok_or(Error::KeyTypeInconsistent)?;
    derive::check_kdf(kdf, shared)?;
    let (point, wrapped) = wrapped.split_at_checked(ours.len()).ok_or(Error::WrappedKeyLenRange)?;
    let invalid = |_| Error::WrappedKeyInvalid;
    let aes = derive::agreed_aes(key, point, kdf, shared, aes_length).map_err(invalid)?;
    aes_kwp_unwrap(&aes, wrapped).map_err(invalid)
}

fn aes_length(bits: u64) -> Result<usize> {
    match bits {
        128 | 192 | 256 => Ok((bits / 8) as usize),
        _ => Err(Error::MechanismParamInvalid),
    }
}
