//! Key derivation functions: ANSI X9.63 and SP 800-56C after an agreement, HKDF (RFC 5869), PBKDF2 (RFC 8018).

use claviger_protocol::flags::pbkdf2 as prf;
use claviger_protocol::mechanism::Hash;
use claviger_protocol::params::{HkdfSalt, Params};
use openssl::hash::MessageDigest;
use zeroize::Zeroizing;

use super::{FurtherKey, Secret, Wanted};
use crate::crypto::algorithm::{hash_of, hash_row};
use crate::crypto::digest::Digest;
use crate::crypto::key::Key;
use crate::crypto::mac::Mac;
use crate::error::{Error, Result};

/// Where the counter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// After the secret (ANSI X9.63, 5.6.3; SEC 1, 3.6.1).
    X963,
    /// Before the secret (SP 800-56C Rev. 2, 4).
    Sp80056,
}

/// `length` bytes of hashes of counter, secret and shared information.
pub fn one_step(hash: Hash, form: Form, secret: &[u8], shared: &[u8], length: usize) -> Result<Secret> {
    let mut output = Zeroizing::new(Vec::with_capacity(length + hash_row(hash).length));
    for counter in 1u32.. {
        if output.len() >= length {
            break;
        }
        let counter = counter.to_be_bytes();
        let parts: [&[u8]; 3] = match form {
            Form::X963 => [secret, &counter, shared],
            Form::Sp80056 => [&counter, secret, shared],
        };
        let mut digest = Digest::with(hash)?;
        for part in parts {
            digest.update(part)?;
        }
        output.extend_from_slice(&digest.finish()?);
    }
    output.truncate(length);
    Ok(output)
}

/// HKDF. `length_of` says how many bytes are wanted, given how many there are when nothing is expanded.
pub fn hkdf(
    params: &Params,
    base: &[u8],
    further: FurtherKey,
    length_of: impl FnOnce(Option<usize>) -> Result<usize>,
) -> Result<Secret> {
    let Params::Hkdf { extract, expand, prf, salt, info } = params else {
        return Err(Error::MechanismParamInvalid);
    };
    let hash = hash_of(*prf).ok_or(Error::MechanismParamInvalid)?;
    if !extract && !expand {
        return Err(Error::MechanismParamInvalid);
    }
    let full = hash_row(hash).length;
    let pseudo_random = if *extract {
        let extracted = match salt {
            HkdfSalt::Null => hmac(hash, &vec![0; full], &[base])?,
            HkdfSalt::Data(salt) => hmac(hash, salt, &[base])?,
            HkdfSalt::Key(handle) => hmac(hash, further(*handle)?.secret()?, &[base])?,
        };
        Zeroizing::new(extracted.into_vec())
    } else {
        Zeroizing::new(base.to_vec())
    };
    if !expand {
        let length = length_of(Some(full))?;
        if length > full {
            return Err(Error::TemplateInconsistent);
        }
        return Ok(Zeroizing::new(pseudo_random[..length].to_vec()));
    }
    let length = length_of(None)?;
    // RFC 5869, 2.3
    if length > 255 * full {
        return Err(Error::KeySizeRange);
    }
    let mut output = Zeroizing::new(Vec::with_capacity(length + full));
    let mut last = claviger_protocol::Bytes::default();
    for counter in 1..=u8::MAX {
        if output.len() >= length {
            break;
        }
        last = hmac(hash, &pseudo_random, &[&last, info, &[counter]])?;
        output.extend_from_slice(&last);
    }
    output.truncate(length);
    Ok(output)
}

fn hmac(hash: Hash, key: &[u8], data: &[&[u8]]) -> Result<claviger_protocol::Bytes> {
    let mut mac = Mac::hmac(hash, key)?;
    for data in data {
        mac.update(data)?;
    }
    mac.finish()
}

/// Most iterations that are run for one call: about ten seconds of work.
const MOST_ITERATIONS: u64 = 1 << 24;

/// The pseudo-random functions of PBKDF2, by OpenSSL's names.
const PRFS: &[(u64, &str)] = &[
    (prf::PKCS5_PBKD2_HMAC_SHA1, "SHA1"),
    (prf::PKCS5_PBKD2_HMAC_SHA224, "SHA224"),
    (prf::PKCS5_PBKD2_HMAC_SHA256, "SHA256"),
    (prf::PKCS5_PBKD2_HMAC_SHA384, "SHA384"),
    (prf::PKCS5_PBKD2_HMAC_SHA512, "SHA512"),
    (prf::PKCS5_PBKD2_HMAC_SHA512_224, "SHA512-224"),
    (prf::PKCS5_PBKD2_HMAC_SHA512_256, "SHA512-256"),
];

/// A key of a password (`CKM_PKCS5_PBKD2`). `MechanismParamInvalid`, `TemplateIncomplete`, `TemplateInconsistent`,
/// `KeySizeRange`.
pub fn pbkdf2(params: &Params, wanted: Wanted) -> Result<Key> {
    let Params::Pbkdf2 { salt, iterations, prf, prf_data, password } = params else {
        return Err(Error::MechanismParamInvalid);
    };
    let row = PRFS.iter().find(|row| row.0 == *prf).ok_or(Error::MechanismParamInvalid)?;
    let digest = MessageDigest::from_name(row.1).ok_or(Error::MechanismParamInvalid)?;
    let valid = (1..=MOST_ITERATIONS).contains(iterations) && prf_data.is_empty();
    if !valid {
        return Err(Error::MechanismParamInvalid);
    }
    let mut value = Zeroizing::new(vec![0; wanted.any_length()?]);
    openssl::pkcs5::pbkdf2_hmac(password, salt, *iterations as usize, digest, &mut value)?;
    wanted.key(&value)
}
