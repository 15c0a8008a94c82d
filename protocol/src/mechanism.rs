//! Table 3: every mechanism offered. The module reads parameters by it, the daemon checks keys and runs
//! recipes by it, `C_GetMechanismList` and `C_GetMechanismInfo` print it, the conformance matrix walks it.
//!
//! A mechanism is one row here; a new family is one row, one file in the daemon's `crypto/`, one [`Recipe`].

use crate::flags::mechanism::*;
use crate::mechanism_type::MechanismType;
use crate::object::KeyType;
use crate::params::Shape;

/// One row: a mechanism and all that is known of it without running it.
#[derive(Debug, Clone, Copy)]
pub struct MechanismRow {
    /// Its number.
    pub r#type: MechanismType,
    /// How the daemon performs it.
    pub recipe: Recipe,
    /// Types of the key it uses or makes; empty for mechanisms without a key.
    pub key_types: &'static [KeyType],
    /// Smallest and largest key, in the unit the standard gives this mechanism (RSA, EC: bits; AES: bytes).
    pub key_sizes: (u64, u64),
    /// `CKF_*` of `C_GetMechanismInfo`, exactly the functions that accept it.
    pub flags: u64,
    /// How its parameter looks.
    pub params: Shape,
    /// In which token profiles it exists.
    pub profiles: Profiles,
}

/// A set of token profiles (a ring has one; the admin sets it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profiles(pub u8);

impl Profiles {
    /// What common clients need.
    pub const STANDARD: Profiles = Profiles(1);
    /// Only what leaks nothing through the API.
    pub const STRICT: Profiles = Profiles(2);
    /// `STANDARD` and the broken mechanisms.
    pub const LEGACY: Profiles = Profiles(4);

    /// True when every profile of `other` is in `self`.
    pub const fn contains(self, other: Profiles) -> bool {
        self.0 & other.0 == other.0
    }
}

/// In every profile.
const ALL: Profiles = Profiles(7);
/// In `standard` and `legacy`.
const COMPATIBLE: Profiles = Profiles(5);

/// How a mechanism is performed; the daemon's `crypto/` has one file per family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipe {
    /// A message digest.
    Digest(Hash),
    /// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2); without a hash the caller's data is the `DigestInfo`.
    /// Without a hash also RSAES-PKCS1-v1_5 (7.2).
    RsaPkcs(Option<Hash>),
    /// RSASSA-PSS (RFC 8017, 8.1); without a hash the caller's data is the digest.
    RsaPss(Option<Hash>),
    /// RSAES-OAEP (RFC 8017, 7.1).
    RsaOaep,
    /// Raw RSA (`CKM_RSA_X_509`).
    RsaX509,
    /// ECDSA (FIPS 186-5, 6), signature r || s; without a hash the caller's data is the digest.
    Ecdsa(Option<Hash>),
    /// Ed25519 and Ed448 (RFC 8032).
    Eddsa,
    /// HMAC (RFC 2104); `general` takes the length of the MAC as its parameter.
    Hmac {
        /// The hash.
        hash: Hash,
        /// `CKM_*_HMAC_GENERAL`.
        general: bool,
    },
    /// A cipher in a mode.
    Cipher(Cipher, Mode),
    /// A key under a fresh AES key (KWP), and that one under an RSA key (OAEP), one after the other
    /// (PKCS#11 3.2, 6.1.20).
    RsaAesKeyWrap,
    /// A secret key of random bytes; the key type is the row's.
    GenerateSecret,
    /// An RSA key pair.
    GenerateRsa,
    /// A key pair on a named curve of this kind.
    GenerateEc(CurveKind),
}

/// Message digests.
#[allow(missing_docs, reason = "the names are FIPS 180-4's and FIPS 202's")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Ciphers.
#[allow(missing_docs, reason = "the names are the ciphers'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cipher {
    Aes,
}

/// Modes of operation (NIST SP 800-38A, 38C, 38D, 38F).
#[allow(missing_docs, reason = "the names are the modes'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    Ecb,
    Cbc,
    /// CBC with PKCS #7 padding (RFC 5652, 6.3).
    CbcPad,
    Ctr,
    Gcm,
    /// KW (SP 800-38F, 6.2; RFC 3394).
    KeyWrap,
    /// KWP (SP 800-38F, 6.3; RFC 5649).
    KeyWrapPad,
}

/// Kinds of elliptic curves, which PKCS#11 gives a key type each.
#[allow(missing_docs, reason = "the names are the curves'")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CurveKind {
    Weierstrass,
    Edwards,
    Montgomery,
}

use MechanismType as M;

const RSA: &[KeyType] = &[KeyType::RSA];
const EC: &[KeyType] = &[KeyType::EC];
const EDWARDS: &[KeyType] = &[KeyType::EC_EDWARDS];
const AES: &[KeyType] = &[KeyType::AES];
const GENERIC: &[KeyType] = &[KeyType::GENERIC_SECRET];

const SIGN_VERIFY: u64 = SIGN | VERIFY;
const RECOVER: u64 = SIGN_RECOVER | VERIFY_RECOVER;
const ENCRYPT_DECRYPT: u64 = ENCRYPT | DECRYPT;
const WRAP_UNWRAP: u64 = WRAP | UNWRAP;
/// Named curves over prime fields, points uncompressed.
const CURVES: u64 = EC_F_P | EC_OID | EC_UNCOMPRESS | EC_CURVENAME;

/// RSA modulus sizes, in bits.
pub const RSA_BITS: (u64, u64) = (1024, 8192);
/// Curve sizes, in bits.
const EC_BITS: (u64, u64) = (224, 521);
/// Edwards curve sizes, in bits.
const EDWARDS_BITS: (u64, u64) = (255, 448);
/// AES key sizes, in bytes.
const AES_BYTES: (u64, u64) = (16, 32);
/// Generic secret sizes, in bytes.
pub const SECRET_BYTES: (u64, u64) = (1, 4096);

const fn row(
    r#type: MechanismType,
    recipe: Recipe,
    key_types: &'static [KeyType],
    key_sizes: (u64, u64),
    flags: u64,
    params: Shape,
    profiles: Profiles,
) -> MechanismRow {
    MechanismRow { r#type, recipe, key_types, key_sizes, flags, params, profiles }
}

const fn digest(r#type: MechanismType, hash: Hash) -> MechanismRow {
    row(r#type, Recipe::Digest(hash), &[], (0, 0), DIGEST, Shape::None, ALL)
}

const fn rsa_sign(r#type: MechanismType, hash: Hash) -> MechanismRow {
    row(r#type, Recipe::RsaPkcs(Some(hash)), RSA, RSA_BITS, SIGN_VERIFY, Shape::None, ALL)
}

const fn rsa_pss(r#type: MechanismType, hash: Hash) -> MechanismRow {
    row(r#type, Recipe::RsaPss(Some(hash)), RSA, RSA_BITS, SIGN_VERIFY, Shape::Pss, ALL)
}

const fn ecdsa(r#type: MechanismType, hash: Hash) -> MechanismRow {
    row(r#type, Recipe::Ecdsa(Some(hash)), EC, EC_BITS, SIGN_VERIFY | CURVES, Shape::None, ALL)
}

const fn hmac(r#type: MechanismType, hash: Hash, key_types: &'static [KeyType]) -> MechanismRow {
    let recipe = Recipe::Hmac { hash, general: false };
    row(r#type, recipe, key_types, SECRET_BYTES, SIGN_VERIFY, Shape::None, ALL)
}

const fn hmac_general(r#type: MechanismType, hash: Hash, key_types: &'static [KeyType]) -> MechanismRow {
    let recipe = Recipe::Hmac { hash, general: true };
    row(r#type, recipe, key_types, SECRET_BYTES, SIGN_VERIFY, Shape::Ulong, ALL)
}

const fn aes(
    r#type: MechanismType,
    mode: Mode,
    flags: u64,
    params: Shape,
    profiles: Profiles,
) -> MechanismRow {
    row(r#type, Recipe::Cipher(Cipher::Aes, mode), AES, AES_BYTES, flags, params, profiles)
}

/// The table, in the order of the standard's chapters.
pub const MECHANISMS: &[MechanismRow] = &[
    // RSA (PKCS#11 3.2, section 6.1)
    row(M::RSA_PKCS_KEY_PAIR_GEN, Recipe::GenerateRsa, RSA, RSA_BITS, GENERATE_KEY_PAIR, Shape::None, ALL),
    row(
        M::RSA_PKCS,
        Recipe::RsaPkcs(None),
        RSA,
        RSA_BITS,
        SIGN_VERIFY | RECOVER | ENCRYPT_DECRYPT | WRAP_UNWRAP,
        Shape::None,
        COMPATIBLE,
    ),
    row(M::RSA_PKCS_OAEP, Recipe::RsaOaep, RSA, RSA_BITS, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::Oaep, ALL),
    row(M::RSA_PKCS_PSS, Recipe::RsaPss(None), RSA, RSA_BITS, SIGN_VERIFY, Shape::Pss, ALL),
    rsa_sign(M::SHA1_RSA_PKCS, Hash::Sha1),
    rsa_sign(M::SHA224_RSA_PKCS, Hash::Sha224),
    rsa_sign(M::SHA256_RSA_PKCS, Hash::Sha256),
    rsa_sign(M::SHA384_RSA_PKCS, Hash::Sha384),
    rsa_sign(M::SHA512_RSA_PKCS, Hash::Sha512),
    rsa_pss(M::SHA1_RSA_PKCS_PSS, Hash::Sha1),
    rsa_pss(M::SHA224_RSA_PKCS_PSS, Hash::Sha224),
    rsa_pss(M::SHA256_RSA_PKCS_PSS, Hash::Sha256),
    rsa_pss(M::SHA384_RSA_PKCS_PSS, Hash::Sha384),
    rsa_pss(M::SHA512_RSA_PKCS_PSS, Hash::Sha512),
    row(M::RSA_AES_KEY_WRAP, Recipe::RsaAesKeyWrap, RSA, RSA_BITS, WRAP_UNWRAP, Shape::RsaAesKeyWrap, ALL),
    // Elliptic curves (6.3)
    row(
        M::EC_KEY_PAIR_GEN,
        Recipe::GenerateEc(CurveKind::Weierstrass),
        EC,
        EC_BITS,
        GENERATE_KEY_PAIR | CURVES,
        Shape::None,
        ALL,
    ),
    row(M::ECDSA, Recipe::Ecdsa(None), EC, EC_BITS, SIGN_VERIFY | CURVES, Shape::None, ALL),
    ecdsa(M::ECDSA_SHA1, Hash::Sha1),
    ecdsa(M::ECDSA_SHA224, Hash::Sha224),
    ecdsa(M::ECDSA_SHA256, Hash::Sha256),
    ecdsa(M::ECDSA_SHA384, Hash::Sha384),
    ecdsa(M::ECDSA_SHA512, Hash::Sha512),
    row(
        M::EC_EDWARDS_KEY_PAIR_GEN,
        Recipe::GenerateEc(CurveKind::Edwards),
        EDWARDS,
        EDWARDS_BITS,
        GENERATE_KEY_PAIR | CURVES,
        Shape::None,
        ALL,
    ),
    row(M::EDDSA, Recipe::Eddsa, EDWARDS, EDWARDS_BITS, SIGN_VERIFY | CURVES, Shape::Eddsa, ALL),
    // AES (6.10 to 6.15)
    row(M::AES_KEY_GEN, Recipe::GenerateSecret, AES, AES_BYTES, GENERATE, Shape::None, ALL),
    aes(M::AES_ECB, Mode::Ecb, ENCRYPT_DECRYPT, Shape::None, COMPATIBLE),
    aes(M::AES_CBC, Mode::Cbc, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
    aes(M::AES_CBC_PAD, Mode::CbcPad, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
    aes(M::AES_CTR, Mode::Ctr, ENCRYPT_DECRYPT, Shape::Ctr, ALL),
    aes(M::AES_GCM, Mode::Gcm, ENCRYPT_DECRYPT, Shape::Gcm, ALL),
    aes(M::AES_KEY_WRAP, Mode::KeyWrap, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::OptionalBytes, ALL),
    aes(M::AES_KEY_WRAP_KWP, Mode::KeyWrapPad, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::OptionalBytes, ALL),
    // Digests and HMAC (6.17 to 6.22)
    digest(M::SHA_1, Hash::Sha1),
    digest(M::SHA224, Hash::Sha224),
    digest(M::SHA256, Hash::Sha256),
    digest(M::SHA384, Hash::Sha384),
    digest(M::SHA512, Hash::Sha512),
    hmac(M::SHA_1_HMAC, Hash::Sha1, &[KeyType::SHA_1_HMAC, KeyType::GENERIC_SECRET]),
    hmac(M::SHA224_HMAC, Hash::Sha224, &[KeyType::SHA224_HMAC, KeyType::GENERIC_SECRET]),
    hmac(M::SHA256_HMAC, Hash::Sha256, &[KeyType::SHA256_HMAC, KeyType::GENERIC_SECRET]),
    hmac(M::SHA384_HMAC, Hash::Sha384, &[KeyType::SHA384_HMAC, KeyType::GENERIC_SECRET]),
    hmac(M::SHA512_HMAC, Hash::Sha512, &[KeyType::SHA512_HMAC, KeyType::GENERIC_SECRET]),
    hmac_general(M::SHA_1_HMAC_GENERAL, Hash::Sha1, &[KeyType::SHA_1_HMAC, KeyType::GENERIC_SECRET]),
    hmac_general(M::SHA224_HMAC_GENERAL, Hash::Sha224, &[KeyType::SHA224_HMAC, KeyType::GENERIC_SECRET]),
    hmac_general(M::SHA256_HMAC_GENERAL, Hash::Sha256, &[KeyType::SHA256_HMAC, KeyType::GENERIC_SECRET]),
    hmac_general(M::SHA384_HMAC_GENERAL, Hash::Sha384, &[KeyType::SHA384_HMAC, KeyType::GENERIC_SECRET]),
    hmac_general(M::SHA512_HMAC_GENERAL, Hash::Sha512, &[KeyType::SHA512_HMAC, KeyType::GENERIC_SECRET]),
    // Generic secrets (6.8)
    row(M::GENERIC_SECRET_KEY_GEN, Recipe::GenerateSecret, GENERIC, SECRET_BYTES, GENERATE, Shape::None, ALL),
];

/// The row of a mechanism, if it is offered in any profile.
pub fn mechanism(r#type: MechanismType) -> Option<&'static MechanismRow> {
    MECHANISMS.iter().find(|row| row.r#type == r#type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mechanism_has_two_rows() {
        for (i, row) in MECHANISMS.iter().enumerate() {
            assert!(MECHANISMS[..i].iter().all(|other| other.r#type != row.r#type), "{}", row.r#type);
        }
    }

    #[test]
    fn every_mechanism_has_a_name_and_every_key_mechanism_a_key_type() {
        for row in MECHANISMS {
            assert!(row.r#type.name().is_some() || row.r#type.0 >= M::VENDOR_DEFINED.0);
            assert_eq!(row.key_types.is_empty(), row.flags & DIGEST != 0, "{}", row.r#type);
            assert!(row.key_sizes.0 <= row.key_sizes.1, "{}", row.r#type);
        }
    }
}
