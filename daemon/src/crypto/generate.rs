//! New keys (`C_GenerateKey`, `C_GenerateKeyPair`, and the admin's).

use claviger_protocol::mechanism::{CurveKind, MechanismRow, Recipe};
use claviger_protocol::{AttributeType as A, KeyType};
use openssl::bn::BigNum;
use openssl::pkey::{Id, PKey, Private};
use openssl::pkey_ctx::PkeyCtx;

use super::components::{Get, number, optional, required};
use super::curve::Curve;
use super::field;
use super::key::{Key, secret_length_is_valid, set_parity};
use super::{post_quantum, random};
use crate::error::{Error, Result};

/// The public exponent when a template names none (FIPS 186-5, A.1.1, in common use).
const DEFAULT_EXPONENT: u32 = 65537;
/// Small public exponents that old clients still ask for.
const SMALL_EXPONENTS: &[&[u8]] = &[&[3], &[17]];

/// A secret key of `length` random bytes. `KeySizeRange` when keys of this type have no such length.
pub fn secret(key_type: KeyType, length: usize) -> Result<Key> {
    if !secret_length_is_valid(key_type, length) {
        return Err(Error::KeySizeRange);
    }
    let mut value = random::secret(length)?;
    set_parity(key_type, &mut value);
    Ok(Key::Secret(value))
}

/// A key pair, as its private key, by a mechanism and the attributes of the public template.
///
/// RSA: `CKA_MODULUS_BITS`, and `CKA_PUBLIC_EXPONENT` if it is not 65537. Curves: `CKA_EC_PARAMS`.
///
/// `TemplateIncomplete`, `KeySizeRange`, `AttributeValueInvalid`, `CurveNotSupported`, `DomainParamsInvalid`;
/// `MechanismInvalid` for a mechanism that makes no pair.
pub fn pair(row: &MechanismRow, get: Get) -> Result<Key> {
    let key = match row.recipe {
        Recipe::GenerateRsa => {
            let bits = number(get, A::MODULUS_BITS)?.ok_or(Error::TemplateIncomplete)?;
            if !(row.key_sizes.0..=row.key_sizes.1).contains(&bits) {
                return Err(Error::KeySizeRange);
            }
            let bits = u32::try_from(bits).map_err(|_| Error::KeySizeRange)?;
            rsa(bits, &exponent(get)?)?
        }
        Recipe::GenerateEc(kind) => on_curve(kind, get)?,
        Recipe::GenerateSet => {
            let key_type = row.key_types.first().copied().ok_or(Error::MechanismInvalid)?;
            post_quantum::pair(key_type, get)?
        }
        Recipe::GenerateField => field::pair(row.key_types.first().copied().unwrap_or(KeyType::DH), get)?,
        // GnuTLS before 3.8 generates with the signature mechanism.
        Recipe::Eddsa => on_curve(CurveKind::Edwards, get)?,
        _ => return Err(Error::MechanismInvalid),
    };
    Ok(Key::Private(key))
}

/// An RSA key with a modulus of `bits` bits.
fn rsa(bits: u32, exponent: &BigNum) -> Result<PKey<Private>> {
    let mut context = PkeyCtx::new_id(Id::RSA)?;
    context.keygen_init()?;
    context.set_rsa_keygen_bits(bits)?;
    context.set_rsa_keygen_pubexp(exponent)?;
    Ok(context.keygen()?)
}

/// The public exponent: odd, above 2^16 and below 2^256 (FIPS 186-5, A.1.1), or one of the small ones.
fn exponent(get: Get) -> Result<BigNum> {
    let Some(given) = optional(get, A::PUBLIC_EXPONENT)? else {
        return Ok(BigNum::from_u32(DEFAULT_EXPONENT)?);
    };
    let exponent = BigNum::from_slice(&given)?;
    let is_small = SMALL_EXPONENTS.contains(&exponent.to_vec().as_slice());
    if exponent.is_odd() && ((17..=256).contains(&exponent.num_bits()) || is_small) {
        Ok(exponent)
    } else {
        Err(Error::AttributeValueInvalid)
    }
}

fn on_curve(kind: CurveKind, get: Get) -> Result<PKey<Private>> {
    let curve = Curve::from_params(&required(get, A::EC_PARAMS)?)?;
    if curve.kind != kind {
        return Err(Error::CurveNotSupported);
    }
    on(curve)
}

/// A key on a curve.
pub(super) fn on(curve: &Curve) -> Result<PKey<Private>> {
    Ok(match (curve.kind, curve.bits) {
        (CurveKind::Weierstrass, _) => PKey::ec_gen(curve.name)?,
        (CurveKind::Edwards, 255) => PKey::generate_ed25519()?,
        (CurveKind::Edwards, _) => PKey::generate_ed448()?,
        (CurveKind::Montgomery, 255) => PKey::generate_x25519()?,
        (CurveKind::Montgomery, _) => PKey::generate_x448()?,
    })
}
