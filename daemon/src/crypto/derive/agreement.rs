//! Key agreement: ECDH (SP 800-56A Rev. 3, 5.7.1.2; RFC 7748), Diffie-Hellman over fields (5.7.1.1; PKCS #3).

use claviger_protocol::flags::kdf;
use claviger_protocol::mechanism::{CurveKind, Hash};
use openssl::pkey::{Id, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use super::Secret;
use super::kdf::Form;
use crate::crypto::curve::Curve;
use crate::crypto::ffi::{self, Part};
use crate::crypto::key::Key;
use crate::error::{Error, Result};

/// The key derivation functions that follow an agreement: number, hash, form.
const KDFS: &[(u64, Hash, Form)] = &[
    (kdf::SHA1_KDF, Hash::Sha1, Form::X963),
    (kdf::SHA224_KDF, Hash::Sha224, Form::X963),
    (kdf::SHA256_KDF, Hash::Sha256, Form::X963),
    (kdf::SHA384_KDF, Hash::Sha384, Form::X963),
    (kdf::SHA512_KDF, Hash::Sha512, Form::X963),
    (kdf::SHA3_224_KDF, Hash::Sha3_224, Form::X963),
    (kdf::SHA3_256_KDF, Hash::Sha3_256, Form::X963),
    (kdf::SHA3_384_KDF, Hash::Sha3_384, Form::X963),
    (kdf::SHA3_512_KDF, Hash::Sha3_512, Form::X963),
    (kdf::BLAKE2B_160_KDF, Hash::Blake2b160, Form::X963),
    (kdf::BLAKE2B_256_KDF, Hash::Blake2b256, Form::X963),
    (kdf::BLAKE2B_384_KDF, Hash::Blake2b384, Form::X963),
    (kdf::BLAKE2B_512_KDF, Hash::Blake2b512, Form::X963),
    (kdf::SHA1_KDF_SP800, Hash::Sha1, Form::Sp80056),
    (kdf::SHA224_KDF_SP800, Hash::Sha224, Form::Sp80056),
    (kdf::SHA256_KDF_SP800, Hash::Sha256, Form::Sp80056),
    (kdf::SHA384_KDF_SP800, Hash::Sha384, Form::Sp80056),
    (kdf::SHA512_KDF_SP800, Hash::Sha512, Form::Sp80056),
    (kdf::SHA3_224_KDF_SP800, Hash::Sha3_224, Form::Sp80056),
    (kdf::SHA3_256_KDF_SP800, Hash::Sha3_256, Form::Sp80056),
    (kdf::SHA3_384_KDF_SP800, Hash::Sha3_384, Form::Sp80056),
    (kdf::SHA3_512_KDF_SP800, Hash::Sha3_512, Form::Sp80056),
];

/// Hash and form of a function; `None` for `CKD_NULL`. `MechanismParamInvalid` for one that is not offered.
pub fn kdf_row(number: u64) -> Result<Option<(Hash, Form)>> {
    if number == kdf::NULL {
        return Ok(None);
    }
    let row = KDFS.iter().find(|row| row.0 == number).ok_or(Error::MechanismParamInvalid)?;
    Ok(Some((row.1, row.2)))
}

/// `MechanismParamInvalid` for a function that is not offered, or for `CKD_NULL` with shared data, which it would
/// leave out unseen.
pub fn check_kdf(number: u64, shared: &[u8]) -> Result<()> {
    match kdf_row(number)? {
        None if !shared.is_empty() => Err(Error::MechanismParamInvalid),
        _ => Ok(()),
    }
}

/// The shared secret with a peer's point: the x coordinate, as long as the field; on Montgomery curves the bytes of
/// RFC 7748. The curves of the table have cofactor 1, or one that X25519 and X448 clear themselves, so plain and
/// cofactor Diffie-Hellman are the same.
///
/// `KeyTypeInconsistent`; `MechanismParamInvalid` when the peer's point is none of the curve, or of small order.
pub fn ecdh(base: &Key, public: &[u8]) -> Result<Secret> {
    base.expect(&[Id::EC, Id::X25519, Id::X448])?;
    let base = base.private()?;
    let curve = Curve::of(base)?;
    let point = curve.point(public).ok_or(Error::MechanismParamInvalid)?;
    agree(base, &*peer(curve, &point)?)
}

/// A peer's key of its point, which is in the form that [`Curve::point`] gives.
pub fn peer(curve: &Curve, point: &[u8]) -> Result<openssl::pkey::PKey<Public>> {
    let name = std::ffi::CString::new(curve.name).map_err(|_| Error::CurveNotSupported)?;
    let key = match curve.kind {
        CurveKind::Weierstrass => {
            ffi::public_key(c"EC", &[(c"group", Part::Text(&name)), (c"pub", Part::Octets(point))])
        }
        CurveKind::Edwards | CurveKind::Montgomery => {
            ffi::public_key(&name, &[(c"pub", Part::Octets(point))])
        }
    };
    key.map_err(|_| Error::MechanismParamInvalid)
}

/// The shared secret with a peer's public value, as long as the prime.
///
/// `KeyTypeInconsistent`; `MechanismParamInvalid` when the value is no element of the group.
pub fn dh(base: &Key, public: &[u8]) -> Result<Secret> {
    base.expect(&[Id::DH, Id::DHX])?;
    let base = base.private()?;
    let name = if base.id() == Id::DH { c"DH" } else { c"DHX" };
    let numbers: Vec<_> =
        [c"p", c"q", c"g"].into_iter().filter_map(|name| Some((name, ffi::number(base, name)?))).collect();
    let length = numbers.first().map_or(0, |(_, prime)| prime.len());
    let mut parts: Vec<_> = numbers.iter().map(|(name, number)| (*name, Part::Number(number))).collect();
    parts.push((c"pub", Part::Number(public)));
    let peer = ffi::public_key(name, &parts).map_err(|_| Error::MechanismParamInvalid)?;
    let secret = agree(base, &peer)?;
    let zeros = length.checked_sub(secret.len()).ok_or(Error::MechanismParamInvalid)?;
    let mut padded = Zeroizing::new(vec![0; length]);
    padded[zeros..].copy_from_slice(&secret);
    Ok(padded)
}

fn agree(base: &PKeyRef<Private>, peer: &PKeyRef<Public>) -> Result<Secret> {
    let invalid = |_| Error::MechanismParamInvalid;
    let mut context = PkeyCtx::new(base)?;
    context.derive_init()?;
    // Checks that the peer's value is in the group.
    context.derive_set_peer(peer).map_err(invalid)?;
    let length = context.derive(None)?;
    let mut secret = Zeroizing::new(vec![0; length]);
    let length = context.derive(Some(&mut secret)).map_err(invalid)?;
    secret.truncate(length);
    Ok(secret)
}
