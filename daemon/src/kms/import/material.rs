//! Unwrapped material: is it a sound key of the algorithm, and is it the same as before?

use claviger_protocol::AttributeType;
use openssl::ec::Asn1Flag;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;
use zeroize::Zeroizing;

use super::FailureReason;
use crate::crypto::Key;
use crate::crypto::curve::Curve;
use crate::crypto::{post_quantum, sm2};
use crate::error::{Error, Result};
use crate::kms::algorithm::{Algorithm, KeyShape};

/// The public exponent that imported RSA keys must have.
const RSA_EXPONENT: u32 = 65537;

/// The key in unwrapped material, if it is a sound one of the algorithm.
pub(crate) fn check_material(
    algorithm: Algorithm,
    material: &[u8],
) -> std::result::Result<Key, FailureReason> {
    let shape = algorithm.shape();
    if let KeyShape::Secret(_, length) = shape {
        if material.len() != length {
            return Err(FailureReason::WrongLength);
        }
        return Ok(Key::Secret(Zeroizing::new(material.to_vec())));
    }
    let private = parse_pkcs8(material).ok_or(FailureReason::BadKeyFormat)?;
    match shape {
        KeyShape::Rsa(bits) => {
            if private.id() != Id::RSA {
                return Err(FailureReason::WrongAlgorithm);
            }
            // Before the key's own check, which is slow for huge numbers.
            if private.bits() != bits {
                return Err(FailureReason::WrongLength);
            }
            let exponent = openssl::bn::BigNum::from_u32(RSA_EXPONENT);
            let has_exponent = exponent.and_then(|exponent| Ok(*private.rsa()?.e() == exponent));
            if !has_exponent.unwrap_or(false) {
                return Err(FailureReason::WeakKey);
            }
        }
        KeyShape::Curve(name) => {
            let is_on_curve = Curve::of(&private)
                .is_ok_and(|curve| Curve::named(name).is_some_and(|named| named.oid == curve.oid));
            if !is_on_curve {
                return Err(FailureReason::WrongAlgorithm);
            }
        }
        KeyShape::Set(key_type, set) if post_quantum::is_of_set(&private, key_type, set) => {}
        KeyShape::Sm2 if sm2::is(&private) => {}
        KeyShape::Set(..) | KeyShape::Sm2 => return Err(FailureReason::WrongAlgorithm),
        KeyShape::Secret(..) | KeyShape::XWing | KeyShape::Any => return Err(FailureReason::Internal),
    }
    let key_type = shape.key_type().ok_or(FailureReason::Internal)?;
    let live = Key::Private(private);
    live.check(key_type).map_err(|_| FailureReason::WeakKey)?;
    Ok(live)
}

/// A private key in PKCS #8, with nothing behind it.
fn parse_pkcs8(der: &[u8]) -> Option<PKey<Private>> {
    // OpenSSL stops reading where the outer SEQUENCE ends.
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let length_bytes = if first & 0x80 == 0 { 0 } else { usize::from(first & 0x7f) };
    let (length, content) = rest.split_at_checked(length_bytes)?;
    let length = match length_bytes {
        0 => usize::from(first),
        1..=4 => length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)),
        _ => return None,
    };
    if tag != 0x30 || length != content.len() {
        return None;
    }
    let key = PKey::private_key_from_pkcs8(der).ok()?;
    // Explicit parameters that happen to be a named curve's would be stored, and shown, as they came.
    let is_explicit = key.ec_key().is_ok_and(|key| key.group().asn1_flag() != Asn1Flag::NAMED_CURVE);
    (!is_explicit).then_some(key)
}

/// The keyed digest of a version's material; see [`material_digest`](crate::daemon::Daemon::material_digest).
pub(super) fn digest(key: &[u8], version: &str, algorithm: Algorithm, live: &Key) -> Result<[u8; 32]> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    let mut add = |part: &[u8]| {
        // Lengths in front, so that no two lists of parts read the same.
        signer.update(&(part.len() as u64).to_be_bytes())?;
        signer.update(part)
    };
    add(b"reimport-v1")?;
    add(version.as_bytes())?;
    add(algorithm.name().as_bytes())?;
    for part in canonical(live)? {
        add(&part)?;
    }
    let mut digest = [0; 32];
    signer.sign(&mut digest)?;
    Ok(digest)
}

/// The private values of a key in one order and form, so that two encodings of it are recognised as the same.
fn canonical(live: &Key) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let part = |r#type| {
        let part = live.secret_attribute(r#type)?.ok_or(Error::DataInvalid)?;
        Ok::<_, Error>(Zeroizing::new(part.into_vec()))
    };
    match live {
        Key::Secret(value) => Ok(vec![value.clone()]),
        Key::Private(key) if key.id() == Id::RSA => {
            let mut primes = [part(AttributeType::PRIME_1)?, part(AttributeType::PRIME_2)?];
            // Numbers without leading zeros: longer is greater.
            primes.sort_by(|one, two| one.len().cmp(&two.len()).then_with(|| one.cmp(two)));
            let modulus = Zeroizing::new(key.rsa()?.n().to_vec());
            Ok([modulus].into_iter().chain(primes).collect())
        }
        Key::Private(key) if sm2::is(key) => Ok(vec![sm2::private_value(key)?]),
        Key::Private(_) => Ok(vec![part(AttributeType::VALUE)?]),
        Key::Public(_) => Err(Error::KeyTypeInconsistent),
    }
}
