//! The rows of table 3, by family.

use super::{
    Cipher, Concatenation, CurveKind, Hash, MechanismRow, Mode, PreHash, Profiles, Recipe, Sp800108,
};
use crate::flags::mechanism::*;
use crate::mechanism_type::MechanismType;
use crate::object::KeyType;
use crate::params::Shape;

/// In every profile.
const ALL: Profiles = Profiles(7);
/// In `standard` and `legacy`.
const COMPATIBLE: Profiles = Profiles(5);
/// Broken ones.
const LEGACY: Profiles = Profiles::LEGACY;

use MechanismType as M;

const RSA: &[KeyType] = &[KeyType::RSA];
const EC: &[KeyType] = &[KeyType::EC];
const EDWARDS: &[KeyType] = &[KeyType::EC_EDWARDS];
const AES: &[KeyType] = &[KeyType::AES];
const XTS: &[KeyType] = &[KeyType::AES_XTS];
const DSA: &[KeyType] = &[KeyType::DSA];
const DH: &[KeyType] = &[KeyType::DH];
const X9_42: &[KeyType] = &[KeyType::X9_42_DH];
const DES: &[KeyType] = &[KeyType::DES];
const DES2: &[KeyType] = &[KeyType::DES2];
const DES3: &[KeyType] = &[KeyType::DES3];
const TRIPLE_DES: &[KeyType] = &[KeyType::DES3, KeyType::DES2];
const ARIA: &[KeyType] = &[KeyType::ARIA];
const CHACHA20: &[KeyType] = &[KeyType::CHACHA20];
const POLY1305: &[KeyType] = &[KeyType::POLY1305];
const MONTGOMERY: &[KeyType] = &[KeyType::EC_MONTGOMERY];
const GENERIC: &[KeyType] = &[KeyType::GENERIC_SECRET];
const ML_DSA: &[KeyType] = &[KeyType::ML_DSA];
const SLH_DSA: &[KeyType] = &[KeyType::SLH_DSA];

/// Secret keys whose value other keys are derived from.
const DERIVABLE: &[KeyType] = &[
    KeyType::GENERIC_SECRET,
    KeyType::AES,
    KeyType::AES_XTS,
    KeyType::DES,
    KeyType::DES2,
    KeyType::DES3,
    KeyType::ARIA,
    KeyType::CHACHA20,
    KeyType::POLY1305,
    KeyType::HKDF,
    KeyType::HOTP,
    KeyType::SM4,
    KeyType::MD5_HMAC,
    KeyType::RIPEMD160_HMAC,
    KeyType::SHA_1_HMAC,
    KeyType::SHA224_HMAC,
    KeyType::SHA256_HMAC,
    KeyType::SHA384_HMAC,
    KeyType::SHA512_HMAC,
    KeyType::SHA512_224_HMAC,
    KeyType::SHA512_256_HMAC,
    KeyType::SHA512_T_HMAC,
    KeyType::SHA3_224_HMAC,
    KeyType::SHA3_256_HMAC,
    KeyType::SHA3_384_HMAC,
    KeyType::SHA3_512_HMAC,
    KeyType::BLAKE2B_160_HMAC,
    KeyType::BLAKE2B_256_HMAC,
    KeyType::BLAKE2B_384_HMAC,
    KeyType::BLAKE2B_512_HMAC,
];

const SIGN_VERIFY: u64 = SIGN | VERIFY;
const RECOVER: u64 = SIGN_RECOVER | VERIFY_RECOVER;
const ENCRYPT_DECRYPT: u64 = ENCRYPT | DECRYPT;
const WRAP_UNWRAP: u64 = WRAP | UNWRAP;
/// Named curves over prime fields, points uncompressed.
const CURVES: u64 = EC_F_P | EC_OID | EC_UNCOMPRESS | EC_CURVENAME;

/// RSA modulus sizes, in bits; [`MechanismRow::sizes_in`] says from where on in each profile.
pub const RSA_BITS: (u64, u64) = (512, 8192);
/// Sizes of the prime of DSA and Diffie-Hellman keys, in bits.
pub const FIELD_BITS: (u64, u64) = (1024, 8192);
/// Sizes of the prime of groups that FIPS 186-4 (4.2) generates, in bits.
const DSA_BITS: (u64, u64) = (1024, 3072);
/// Curve sizes, in bits; as with RSA.
const EC_BITS: (u64, u64) = (192, 521);
/// Edwards and Montgomery curve sizes, in bits.
const EDWARDS_BITS: (u64, u64) = (255, 448);
/// Sizes of ML-DSA public keys, in bytes (FIPS 204, table 2).
const ML_DSA_BYTES: (u64, u64) = (1312, 2592);
/// Sizes of SLH-DSA public keys, in bytes (FIPS 205, table 2).
const SLH_DSA_BYTES: (u64, u64) = (32, 64);
/// AES key sizes, in bytes.
const AES_BYTES: (u64, u64) = (16, 32);
/// Two AES keys of 128 or 256 bits, in bytes.
const XTS_BYTES: (u64, u64) = (32, 64);
/// Keys of 256 bits, in bytes.
const BYTES_32: (u64, u64) = (32, 32);
/// Generic secret sizes as `CKM_GENERIC_SECRET_KEY_GEN` counts them, in bits.
const SECRET_BITS: (u64, u64) = (SECRET_BYTES.0 * 8, SECRET_BYTES.1 * 8);
/// Sizes of generic secrets and of keys of HMAC and key derivation, in bytes.
pub const SECRET_BYTES: (u64, u64) = (1, 16_384);

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

/// The mechanisms of one hash, in this order: digest, HMAC, HMAC of any length, key generation, key derivation.
/// The first of `keys` is the hash's own type of HMAC keys.
const fn hashed(
    hash: Hash,
    types: [MechanismType; 5],
    keys: &'static [KeyType],
    profiles: Profiles,
) -> [MechanismRow; 5] {
    let [digest, hmac, general, key_gen, derivation] = types;
    let own = keys.split_at(1).0;
    let [hmac, general] = hmacs(hash, [hmac, general], keys, profiles);
    [
        row(digest, Recipe::Digest(hash), &[], (0, 0), DIGEST, Shape::None, profiles),
        hmac,
        general,
        row(key_gen, Recipe::GenerateSecret, own, SECRET_BYTES, GENERATE, Shape::None, profiles),
        hash_key(derivation, hash, profiles),
    ]
}

const fn hash_key(r#type: MechanismType, hash: Hash, profiles: Profiles) -> MechanismRow {
    row(r#type, Recipe::HashKey(hash), DERIVABLE, SECRET_BYTES, DERIVE, Shape::None, profiles)
}

/// HMAC with a hash, and HMAC of any length.
const fn hmacs(
    hash: Hash,
    types: [MechanismType; 2],
    keys: &'static [KeyType],
    profiles: Profiles,
) -> [MechanismRow; 2] {
    let [whole, general] = types;
    [
        row(
            whole,
            Recipe::Hmac { hash, general: false },
            keys,
            SECRET_BYTES,
            SIGN_VERIFY,
            Shape::None,
            profiles,
        ),
        row(
            general,
            Recipe::Hmac { hash, general: true },
            keys,
            SECRET_BYTES,
            SIGN_VERIFY,
            Shape::Ulong,
            profiles,
        ),
    ]
}

/// The same row in `legacy` alone.
const fn in_legacy(row: MechanismRow) -> MechanismRow {
    MechanismRow { profiles: LEGACY, ..row }
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

const fn derive(r#type: MechanismType, recipe: Recipe, params: Shape, profiles: Profiles) -> MechanismRow {
    row(r#type, recipe, DERIVABLE, SECRET_BYTES, DERIVE, params, profiles)
}

const fn parameters(r#type: MechanismType, keys: &'static [KeyType], sizes: (u64, u64)) -> MechanismRow {
    row(r#type, Recipe::GenerateFieldParameters, keys, sizes, GENERATE, Shape::None, ALL)
}

const fn dsa(r#type: MechanismType, hash: Hash, profiles: Profiles) -> MechanismRow {
    row(r#type, Recipe::Dsa(Some(hash)), DSA, FIELD_BITS, SIGN_VERIFY, Shape::None, profiles)
}

const fn ecdh_wrap(r#type: MechanismType, keys: &'static [KeyType], sizes: (u64, u64)) -> MechanismRow {
    row(r#type, Recipe::EcdhAesKeyWrap, keys, sizes, WRAP_UNWRAP | CURVES, Shape::EcdhAesKeyWrap, ALL)
}

const fn cmac(
    r#type: MechanismType,
    cipher: Cipher,
    keys: &'static [KeyType],
    sizes: (u64, u64),
    profiles: Profiles,
) -> MechanismRow {
    row(r#type, Recipe::Cmac { cipher, general: false }, keys, sizes, SIGN_VERIFY, Shape::None, profiles)
}

const fn cmac_general(
    r#type: MechanismType,
    cipher: Cipher,
    keys: &'static [KeyType],
    sizes: (u64, u64),
    profiles: Profiles,
) -> MechanismRow {
    row(r#type, Recipe::Cmac { cipher, general: true }, keys, sizes, SIGN_VERIFY, Shape::Ulong, profiles)
}

const fn des(r#type: MechanismType, mode: Mode) -> MechanismRow {
    row(r#type, Recipe::Cipher(Cipher::Des, mode), DES, (0, 0), ENCRYPT_DECRYPT, Shape::Bytes, LEGACY)
}

/// The mechanisms that the standard has for every block cipher, in this order: ECB, CBC, CBC with padding, MAC, MAC
/// of any length, and key derivation by ECB and CBC. `keys` are key types, key sizes, and the length of a block in
/// bytes. ECB is not in `strict`.
const fn block_cipher(
    cipher: Cipher,
    types: [MechanismType; 7],
    keys: (&'static [KeyType], (u64, u64), u8),
    profiles: Profiles,
) -> [MechanismRow; 7] {
    let [ecb, cbc, cbc_pad, mac, mac_general, ecb_data, cbc_data] = types;
    let (keys, sizes, block) = keys;
    let without_strict = Profiles(profiles.0 & COMPATIBLE.0);
    const CRYPT_AND_WRAP: u64 = ENCRYPT_DECRYPT | WRAP_UNWRAP;
    [
        row(ecb, Recipe::Cipher(cipher, Mode::Ecb), keys, sizes, CRYPT_AND_WRAP, Shape::None, without_strict),
        row(cbc, Recipe::Cipher(cipher, Mode::Cbc), keys, sizes, CRYPT_AND_WRAP, Shape::Bytes, profiles),
        row(
            cbc_pad,
            Recipe::Cipher(cipher, Mode::CbcPad),
            keys,
            sizes,
            CRYPT_AND_WRAP,
            Shape::Bytes,
            profiles,
        ),
        row(mac, Recipe::CbcMac { cipher, general: false }, keys, sizes, SIGN_VERIFY, Shape::None, profiles),
        row(
            mac_general,
            Recipe::CbcMac { cipher, general: true },
            keys,
            sizes,
            SIGN_VERIFY,
            Shape::Ulong,
            profiles,
        ),
        row(
            ecb_data,
            Recipe::EncryptData(cipher, Mode::Ecb),
            keys,
            sizes,
            DERIVE,
            Shape::Data,
            without_strict,
        ),
        row(
            cbc_data,
            Recipe::EncryptData(cipher, Mode::Cbc),
            keys,
            sizes,
            DERIVE,
            Shape::CbcEncryptData(block),
            without_strict,
        ),
    ]
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

/// RSA (PKCS#11 3.2, 6.1).
const RSA_ROWS: &[MechanismRow] = &[
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
    row(
        M::RSA_X_509,
        Recipe::RsaX509,
        RSA,
        RSA_BITS,
        SIGN_VERIFY | RECOVER | ENCRYPT_DECRYPT | WRAP_UNWRAP,
        Shape::None,
        COMPATIBLE,
    ),
    row(M::RSA_PKCS_OAEP, Recipe::RsaOaep, RSA, RSA_BITS, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::Oaep, ALL),
    row(M::RSA_PKCS_PSS, Recipe::RsaPss(None), RSA, RSA_BITS, SIGN_VERIFY, Shape::Pss, ALL),
    in_legacy(rsa_sign(M::MD5_RSA_PKCS, Hash::Md5)),
    in_legacy(rsa_sign(M::RIPEMD160_RSA_PKCS, Hash::Ripemd160)),
    rsa_sign(M::SHA1_RSA_PKCS, Hash::Sha1),
    rsa_sign(M::SHA224_RSA_PKCS, Hash::Sha224),
    rsa_sign(M::SHA256_RSA_PKCS, Hash::Sha256),
    rsa_sign(M::SHA384_RSA_PKCS, Hash::Sha384),
    rsa_sign(M::SHA512_RSA_PKCS, Hash::Sha512),
    rsa_sign(M::SHA3_224_RSA_PKCS, Hash::Sha3_224),
    rsa_sign(M::SHA3_256_RSA_PKCS, Hash::Sha3_256),
    rsa_sign(M::SHA3_384_RSA_PKCS, Hash::Sha3_384),
    rsa_sign(M::SHA3_512_RSA_PKCS, Hash::Sha3_512),
    rsa_pss(M::SHA1_RSA_PKCS_PSS, Hash::Sha1),
    rsa_pss(M::SHA224_RSA_PKCS_PSS, Hash::Sha224),
    rsa_pss(M::SHA256_RSA_PKCS_PSS, Hash::Sha256),
    rsa_pss(M::SHA384_RSA_PKCS_PSS, Hash::Sha384),
    rsa_pss(M::SHA512_RSA_PKCS_PSS, Hash::Sha512),
    rsa_pss(M::SHA3_224_RSA_PKCS_PSS, Hash::Sha3_224),
    rsa_pss(M::SHA3_256_RSA_PKCS_PSS, Hash::Sha3_256),
    rsa_pss(M::SHA3_384_RSA_PKCS_PSS, Hash::Sha3_384),
    rsa_pss(M::SHA3_512_RSA_PKCS_PSS, Hash::Sha3_512),
    row(M::RSA_AES_KEY_WRAP, Recipe::RsaAesKeyWrap, RSA, RSA_BITS, WRAP_UNWRAP, Shape::RsaAesKeyWrap, ALL),
];

/// Elliptic curves (6.3).
const EC_ROWS: &[MechanismRow] = &[
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
    ecdsa(M::ECDSA_SHA3_224, Hash::Sha3_224),
    ecdsa(M::ECDSA_SHA3_256, Hash::Sha3_256),
    ecdsa(M::ECDSA_SHA3_384, Hash::Sha3_384),
    ecdsa(M::ECDSA_SHA3_512, Hash::Sha3_512),
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
    row(
        M::EC_MONTGOMERY_KEY_PAIR_GEN,
        Recipe::GenerateEc(CurveKind::Montgomery),
        MONTGOMERY,
        EDWARDS_BITS,
        GENERATE_KEY_PAIR | CURVES,
        Shape::None,
        ALL,
    ),
    row(
        M::ECDH1_DERIVE,
        Recipe::Ecdh { cofactor: false },
        &[KeyType::EC, KeyType::EC_MONTGOMERY],
        EC_BITS,
        DERIVE | CURVES,
        Shape::Ecdh,
        ALL,
    ),
    row(
        M::ECDH1_COFACTOR_DERIVE,
        Recipe::Ecdh { cofactor: true },
        EC,
        EC_BITS,
        DERIVE | CURVES,
        Shape::Ecdh,
        ALL,
    ),
    ecdh_wrap(M::ECDH_AES_KEY_WRAP, EC, EC_BITS),
    ecdh_wrap(M::ECDH_COF_AES_KEY_WRAP, EC, EC_BITS),
    ecdh_wrap(M::ECDH_X_AES_KEY_WRAP, MONTGOMERY, EDWARDS_BITS),
    row(
        M::PUB_KEY_FROM_PRIV_KEY,
        Recipe::PublicFromPrivate,
        &[
            KeyType::RSA,
            KeyType::EC,
            KeyType::EC_EDWARDS,
            KeyType::EC_MONTGOMERY,
            KeyType::DSA,
            KeyType::DH,
            KeyType::X9_42_DH,
        ],
        (0, 0),
        DERIVE,
        Shape::None,
        ALL,
    ),
];

/// DSA and Diffie-Hellman (6.2, 6.4).
const FIELD_ROWS: &[MechanismRow] = &[
    row(M::DSA_KEY_PAIR_GEN, Recipe::GenerateField, DSA, FIELD_BITS, GENERATE_KEY_PAIR, Shape::None, ALL),
    parameters(M::DSA_PARAMETER_GEN, DSA, DSA_BITS),
    parameters(M::DH_PKCS_PARAMETER_GEN, DH, FIELD_BITS),
    parameters(M::X9_42_DH_PARAMETER_GEN, X9_42, DSA_BITS),
    row(M::DSA, Recipe::Dsa(None), DSA, FIELD_BITS, SIGN_VERIFY, Shape::None, ALL),
    dsa(M::DSA_SHA1, Hash::Sha1, LEGACY),
    dsa(M::DSA_SHA224, Hash::Sha224, ALL),
    dsa(M::DSA_SHA256, Hash::Sha256, ALL),
    dsa(M::DSA_SHA384, Hash::Sha384, ALL),
    dsa(M::DSA_SHA512, Hash::Sha512, ALL),
    dsa(M::DSA_SHA3_224, Hash::Sha3_224, ALL),
    dsa(M::DSA_SHA3_256, Hash::Sha3_256, ALL),
    dsa(M::DSA_SHA3_384, Hash::Sha3_384, ALL),
    dsa(M::DSA_SHA3_512, Hash::Sha3_512, ALL),
    row(M::DH_PKCS_KEY_PAIR_GEN, Recipe::GenerateField, DH, FIELD_BITS, GENERATE_KEY_PAIR, Shape::None, ALL),
    row(M::DH_PKCS_DERIVE, Recipe::Dh, DH, FIELD_BITS, DERIVE, Shape::Bytes, ALL),
    row(
        M::X9_42_DH_KEY_PAIR_GEN,
        Recipe::GenerateField,
        X9_42,
        FIELD_BITS,
        GENERATE_KEY_PAIR,
        Shape::None,
        ALL,
    ),
    row(M::X9_42_DH_DERIVE, Recipe::X942Dh, X9_42, FIELD_BITS, DERIVE, Shape::X942Dh, ALL),
];

/// AES (6.10 to 6.15).
const AES_ROWS: &[&[MechanismRow]] = &[
    &[row(M::AES_KEY_GEN, Recipe::GenerateSecret, AES, AES_BYTES, GENERATE, Shape::None, ALL)],
    &block_cipher(
        Cipher::Aes,
        [
            M::AES_ECB,
            M::AES_CBC,
            M::AES_CBC_PAD,
            M::AES_MAC,
            M::AES_MAC_GENERAL,
            M::AES_ECB_ENCRYPT_DATA,
            M::AES_CBC_ENCRYPT_DATA,
        ],
        (AES, AES_BYTES, 16),
        ALL,
    ),
    &[
        aes(M::AES_CTR, Mode::Ctr, ENCRYPT_DECRYPT, Shape::Ctr, ALL),
        aes(M::AES_CTS, Mode::Cts, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
        aes(M::AES_OFB, Mode::Ofb, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
        aes(M::AES_CFB1, Mode::Cfb1, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
        aes(M::AES_CFB8, Mode::Cfb8, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
        aes(M::AES_CFB64, Mode::Cfb64, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
        aes(M::AES_CFB128, Mode::Cfb128, ENCRYPT_DECRYPT, Shape::Bytes, ALL),
        aes(M::AES_GCM, Mode::Gcm, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::Gcm, ALL),
        aes(M::AES_CCM, Mode::Ccm, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::Ccm, ALL),
        row(M::AES_XTS_KEY_GEN, Recipe::GenerateSecret, XTS, XTS_BYTES, GENERATE, Shape::None, ALL),
        row(
            M::AES_XTS,
            Recipe::Cipher(Cipher::Aes, Mode::Xts),
            XTS,
            XTS_BYTES,
            ENCRYPT_DECRYPT,
            Shape::Bytes,
            ALL,
        ),
        cmac(M::AES_CMAC, Cipher::Aes, AES, AES_BYTES, ALL),
        cmac_general(M::AES_CMAC_GENERAL, Cipher::Aes, AES, AES_BYTES, ALL),
        row(M::AES_GMAC, Recipe::Gmac, AES, AES_BYTES, SIGN_VERIFY, Shape::Gcm, ALL),
        // RFC 3566 has keys of 128 bits alone.
        row(M::AES_XCBC_MAC, Recipe::XcbcMac { length: 16 }, AES, (16, 16), SIGN_VERIFY, Shape::None, ALL),
        row(M::AES_XCBC_MAC_96, Recipe::XcbcMac { length: 12 }, AES, (16, 16), SIGN_VERIFY, Shape::None, ALL),
        aes(M::AES_KEY_WRAP, Mode::KeyWrap, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::OptionalBytes, ALL),
        // Since 3.0 another name of the next but one (6.14): older tokens took it for KWP.
        aes(
            M::AES_KEY_WRAP_PAD,
            Mode::KeyWrapPkcs7,
            ENCRYPT_DECRYPT | WRAP_UNWRAP,
            Shape::OptionalBytes,
            ALL,
        ),
        aes(M::AES_KEY_WRAP_KWP, Mode::KeyWrapPad, ENCRYPT_DECRYPT | WRAP_UNWRAP, Shape::OptionalBytes, ALL),
        aes(
            M::AES_KEY_WRAP_PKCS7,
            Mode::KeyWrapPkcs7,
            ENCRYPT_DECRYPT | WRAP_UNWRAP,
            Shape::OptionalBytes,
            ALL,
        ),
    ],
];

/// Digests, and MACs and keys by them (6.17 to 6.34).
const HASH_ROWS: &[&[MechanismRow]] = &[
    &hashed(
        Hash::Sha1,
        [M::SHA_1, M::SHA_1_HMAC, M::SHA_1_HMAC_GENERAL, M::SHA_1_KEY_GEN, M::SHA1_KEY_DERIVATION],
        &[KeyType::SHA_1_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha224,
        [M::SHA224, M::SHA224_HMAC, M::SHA224_HMAC_GENERAL, M::SHA224_KEY_GEN, M::SHA224_KEY_DERIVATION],
        &[KeyType::SHA224_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha256,
        [M::SHA256, M::SHA256_HMAC, M::SHA256_HMAC_GENERAL, M::SHA256_KEY_GEN, M::SHA256_KEY_DERIVATION],
        &[KeyType::SHA256_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha384,
        [M::SHA384, M::SHA384_HMAC, M::SHA384_HMAC_GENERAL, M::SHA384_KEY_GEN, M::SHA384_KEY_DERIVATION],
        &[KeyType::SHA384_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha512,
        [M::SHA512, M::SHA512_HMAC, M::SHA512_HMAC_GENERAL, M::SHA512_KEY_GEN, M::SHA512_KEY_DERIVATION],
        &[KeyType::SHA512_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha512_224,
        [
            M::SHA512_224,
            M::SHA512_224_HMAC,
            M::SHA512_224_HMAC_GENERAL,
            M::SHA512_224_KEY_GEN,
            M::SHA512_224_KEY_DERIVATION,
        ],
        &[KeyType::SHA512_224_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha512_256,
        [
            M::SHA512_256,
            M::SHA512_256_HMAC,
            M::SHA512_256_HMAC_GENERAL,
            M::SHA512_256_KEY_GEN,
            M::SHA512_256_KEY_DERIVATION,
        ],
        &[KeyType::SHA512_256_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha3_224,
        [
            M::SHA3_224,
            M::SHA3_224_HMAC,
            M::SHA3_224_HMAC_GENERAL,
            M::SHA3_224_KEY_GEN,
            M::SHA3_224_KEY_DERIVATION,
        ],
        &[KeyType::SHA3_224_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha3_256,
        [
            M::SHA3_256,
            M::SHA3_256_HMAC,
            M::SHA3_256_HMAC_GENERAL,
            M::SHA3_256_KEY_GEN,
            M::SHA3_256_KEY_DERIVATION,
        ],
        &[KeyType::SHA3_256_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha3_384,
        [
            M::SHA3_384,
            M::SHA3_384_HMAC,
            M::SHA3_384_HMAC_GENERAL,
            M::SHA3_384_KEY_GEN,
            M::SHA3_384_KEY_DERIVATION,
        ],
        &[KeyType::SHA3_384_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Sha3_512,
        [
            M::SHA3_512,
            M::SHA3_512_HMAC,
            M::SHA3_512_HMAC_GENERAL,
            M::SHA3_512_KEY_GEN,
            M::SHA3_512_KEY_DERIVATION,
        ],
        &[KeyType::SHA3_512_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Blake2b160,
        [
            M::BLAKE2B_160,
            M::BLAKE2B_160_HMAC,
            M::BLAKE2B_160_HMAC_GENERAL,
            M::BLAKE2B_160_KEY_GEN,
            M::BLAKE2B_160_KEY_DERIVE,
        ],
        &[KeyType::BLAKE2B_160_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Blake2b256,
        [
            M::BLAKE2B_256,
            M::BLAKE2B_256_HMAC,
            M::BLAKE2B_256_HMAC_GENERAL,
            M::BLAKE2B_256_KEY_GEN,
            M::BLAKE2B_256_KEY_DERIVE,
        ],
        &[KeyType::BLAKE2B_256_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Blake2b384,
        [
            M::BLAKE2B_384,
            M::BLAKE2B_384_HMAC,
            M::BLAKE2B_384_HMAC_GENERAL,
            M::BLAKE2B_384_KEY_GEN,
            M::BLAKE2B_384_KEY_DERIVE,
        ],
        &[KeyType::BLAKE2B_384_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &hashed(
        Hash::Blake2b512,
        [
            M::BLAKE2B_512,
            M::BLAKE2B_512_HMAC,
            M::BLAKE2B_512_HMAC_GENERAL,
            M::BLAKE2B_512_KEY_GEN,
            M::BLAKE2B_512_KEY_DERIVE,
        ],
        &[KeyType::BLAKE2B_512_HMAC, KeyType::GENERIC_SECRET],
        ALL,
    ),
    &[
        row(M::SHA512_T, Recipe::DigestSha512T, &[], (0, 0), DIGEST, Shape::Ulong, ALL),
        row(
            M::SHA512_T_HMAC,
            Recipe::HmacSha512T,
            &[KeyType::SHA512_T_HMAC, KeyType::GENERIC_SECRET],
            SECRET_BYTES,
            SIGN_VERIFY,
            Shape::Ulong,
            ALL,
        ),
        row(
            M::SHA512_T_KEY_GEN,
            Recipe::GenerateSecret,
            &[KeyType::SHA512_T_HMAC],
            SECRET_BYTES,
            GENERATE,
            Shape::None,
            ALL,
        ),
        row(
            M::SHA512_T_KEY_DERIVATION,
            Recipe::HashKeySha512T,
            DERIVABLE,
            SECRET_BYTES,
            DERIVE,
            Shape::Ulong,
            ALL,
        ),
        hash_key(M::SHAKE_128_KEY_DERIVATION, Hash::Shake128, ALL),
        hash_key(M::SHAKE_256_KEY_DERIVATION, Hash::Shake256, ALL),
        hash_key(M::MD5_KEY_DERIVATION, Hash::Md5, LEGACY),
        row(M::MD5, Recipe::Digest(Hash::Md5), &[], (0, 0), DIGEST, Shape::None, LEGACY),
        row(M::RIPEMD160, Recipe::Digest(Hash::Ripemd160), &[], (0, 0), DIGEST, Shape::None, LEGACY),
    ],
    &hmacs(
        Hash::Md5,
        [M::MD5_HMAC, M::MD5_HMAC_GENERAL],
        &[KeyType::MD5_HMAC, KeyType::GENERIC_SECRET],
        LEGACY,
    ),
    &hmacs(
        Hash::Ripemd160,
        [M::RIPEMD160_HMAC, M::RIPEMD160_HMAC_GENERAL],
        &[KeyType::RIPEMD160_HMAC, KeyType::GENERIC_SECRET],
        LEGACY,
    ),
];

/// Secrets and key derivation (6.8, 6.18, 6.40 to 6.44, 6.62).
const SECRET_ROWS: &[MechanismRow] = &[
    row(M::GENERIC_SECRET_KEY_GEN, Recipe::GenerateSecret, GENERIC, SECRET_BITS, GENERATE, Shape::None, ALL),
    row(M::PKCS5_PBKD2, Recipe::Pbkdf2, DERIVABLE, (0, 0), GENERATE, Shape::Pbkdf2, ALL),
    row(M::HKDF_KEY_GEN, Recipe::GenerateSecret, &[KeyType::HKDF], SECRET_BYTES, GENERATE, Shape::None, ALL),
    derive(M::HKDF_DERIVE, Recipe::Hkdf { data: false }, Shape::Hkdf, ALL),
    derive(M::HKDF_DATA, Recipe::Hkdf { data: true }, Shape::Hkdf, ALL),
    derive(M::SP800_108_COUNTER_KDF, Recipe::Sp800108(Sp800108::Counter), Shape::Sp800108, ALL),
    derive(M::SP800_108_FEEDBACK_KDF, Recipe::Sp800108(Sp800108::Feedback), Shape::Sp800108Feedback, ALL),
    derive(
        M::SP800_108_DOUBLE_PIPELINE_KDF,
        Recipe::Sp800108(Sp800108::DoublePipeline),
        Shape::Sp800108,
        ALL,
    ),
    derive(
        M::CONCATENATE_BASE_AND_KEY,
        Recipe::Concatenate(Concatenation::BaseAndKey),
        Shape::Ulong,
        COMPATIBLE,
    ),
    derive(
        M::CONCATENATE_BASE_AND_DATA,
        Recipe::Concatenate(Concatenation::BaseAndData),
        Shape::Data,
        COMPATIBLE,
    ),
    derive(
        M::CONCATENATE_DATA_AND_BASE,
        Recipe::Concatenate(Concatenation::DataAndBase),
        Shape::Data,
        COMPATIBLE,
    ),
    derive(M::XOR_BASE_AND_DATA, Recipe::Xor, Shape::Data, COMPATIBLE),
    derive(M::EXTRACT_KEY_FROM_KEY, Recipe::Extract, Shape::Ulong, COMPATIBLE),
];

/// Ciphers besides AES (6.9, 6.15, 6.16, 6.18, 6.56 to 6.59).
const CIPHER_ROWS: &[&[MechanismRow]] = &[
    &[
        row(M::DES2_KEY_GEN, Recipe::GenerateSecret, DES2, (0, 0), GENERATE, Shape::None, COMPATIBLE),
        row(M::DES3_KEY_GEN, Recipe::GenerateSecret, DES3, (0, 0), GENERATE, Shape::None, COMPATIBLE),
        row(M::DES_KEY_GEN, Recipe::GenerateSecret, DES, (0, 0), GENERATE, Shape::None, LEGACY),
        row(M::ARIA_KEY_GEN, Recipe::GenerateSecret, ARIA, AES_BYTES, GENERATE, Shape::None, ALL),
    ],
    &block_cipher(
        Cipher::Des3,
        [
            M::DES3_ECB,
            M::DES3_CBC,
            M::DES3_CBC_PAD,
            M::DES3_MAC,
            M::DES3_MAC_GENERAL,
            M::DES3_ECB_ENCRYPT_DATA,
            M::DES3_CBC_ENCRYPT_DATA,
        ],
        (TRIPLE_DES, (0, 0), 8),
        COMPATIBLE,
    ),
    &[
        cmac(M::DES3_CMAC, Cipher::Des3, TRIPLE_DES, (0, 0), COMPATIBLE),
        cmac_general(M::DES3_CMAC_GENERAL, Cipher::Des3, TRIPLE_DES, (0, 0), COMPATIBLE),
    ],
    &block_cipher(
        Cipher::Des,
        [
            M::DES_ECB,
            M::DES_CBC,
            M::DES_CBC_PAD,
            M::DES_MAC,
            M::DES_MAC_GENERAL,
            M::DES_ECB_ENCRYPT_DATA,
            M::DES_CBC_ENCRYPT_DATA,
        ],
        (DES, (0, 0), 8),
        LEGACY,
    ),
    &[des(M::DES_OFB64, Mode::Ofb), des(M::DES_CFB64, Mode::Cfb64), des(M::DES_CFB8, Mode::Cfb8)],
    &block_cipher(
        Cipher::Aria,
        [
            M::ARIA_ECB,
            M::ARIA_CBC,
            M::ARIA_CBC_PAD,
            M::ARIA_MAC,
            M::ARIA_MAC_GENERAL,
            M::ARIA_ECB_ENCRYPT_DATA,
            M::ARIA_CBC_ENCRYPT_DATA,
        ],
        (ARIA, AES_BYTES, 16),
        ALL,
    ),
    &[
        row(M::CHACHA20_KEY_GEN, Recipe::GenerateSecret, CHACHA20, BYTES_32, GENERATE, Shape::None, ALL),
        row(
            M::CHACHA20,
            Recipe::Cipher(Cipher::ChaCha20, Mode::Stream),
            CHACHA20,
            BYTES_32,
            ENCRYPT_DECRYPT,
            Shape::ChaCha20,
            ALL,
        ),
        row(
            M::CHACHA20_POLY1305,
            Recipe::Cipher(Cipher::ChaCha20, Mode::Poly1305),
            CHACHA20,
            BYTES_32,
            ENCRYPT_DECRYPT,
            Shape::ChaCha20Poly1305,
            ALL,
        ),
        row(M::POLY1305_KEY_GEN, Recipe::GenerateSecret, POLY1305, BYTES_32, GENERATE, Shape::None, ALL),
        row(M::POLY1305, Recipe::Poly1305, POLY1305, BYTES_32, SIGN_VERIFY, Shape::None, ALL),
    ],
];

const fn ml_dsa(r#type: MechanismType, hash: PreHash, params: Shape) -> MechanismRow {
    row(r#type, Recipe::MlDsa(hash), ML_DSA, ML_DSA_BYTES, SIGN_VERIFY, params, ALL)
}

const fn slh_dsa(r#type: MechanismType, hash: PreHash, params: Shape) -> MechanismRow {
    row(r#type, Recipe::SlhDsa(hash), SLH_DSA, SLH_DSA_BYTES, SIGN_VERIFY, params, ALL)
}

const fn hash_ml_dsa(r#type: MechanismType, hash: Hash) -> MechanismRow {
    ml_dsa(r#type, PreHash::Made(hash), Shape::SignContext)
}

const fn hash_slh_dsa(r#type: MechanismType, hash: Hash) -> MechanismRow {
    slh_dsa(r#type, PreHash::Made(hash), Shape::SignContext)
}

/// Signatures that no quantum computer is known to forge (6.68, 6.69).
const POST_QUANTUM_ROWS: &[MechanismRow] = &[
    row(
        M::ML_DSA_KEY_PAIR_GEN,
        Recipe::GenerateSet,
        ML_DSA,
        ML_DSA_BYTES,
        GENERATE_KEY_PAIR,
        Shape::None,
        ALL,
    ),
    ml_dsa(M::ML_DSA, PreHash::None, Shape::SignContext),
    ml_dsa(M::HASH_ML_DSA, PreHash::Given, Shape::HashSignContext),
    hash_ml_dsa(M::HASH_ML_DSA_SHA224, Hash::Sha224),
    hash_ml_dsa(M::HASH_ML_DSA_SHA256, Hash::Sha256),
    hash_ml_dsa(M::HASH_ML_DSA_SHA384, Hash::Sha384),
    hash_ml_dsa(M::HASH_ML_DSA_SHA512, Hash::Sha512),
    hash_ml_dsa(M::HASH_ML_DSA_SHA3_224, Hash::Sha3_224),
    hash_ml_dsa(M::HASH_ML_DSA_SHA3_256, Hash::Sha3_256),
    hash_ml_dsa(M::HASH_ML_DSA_SHA3_384, Hash::Sha3_384),
    hash_ml_dsa(M::HASH_ML_DSA_SHA3_512, Hash::Sha3_512),
    hash_ml_dsa(M::HASH_ML_DSA_SHAKE128, Hash::Shake128),
    hash_ml_dsa(M::HASH_ML_DSA_SHAKE256, Hash::Shake256),
    row(
        M::SLH_DSA_KEY_PAIR_GEN,
        Recipe::GenerateSet,
        SLH_DSA,
        SLH_DSA_BYTES,
        GENERATE_KEY_PAIR,
        Shape::None,
        ALL,
    ),
    slh_dsa(M::SLH_DSA, PreHash::None, Shape::SignContext),
    slh_dsa(M::HASH_SLH_DSA, PreHash::Given, Shape::HashSignContext),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA224, Hash::Sha224),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA256, Hash::Sha256),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA384, Hash::Sha384),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA512, Hash::Sha512),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA3_224, Hash::Sha3_224),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA3_256, Hash::Sha3_256),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA3_384, Hash::Sha3_384),
    hash_slh_dsa(M::HASH_SLH_DSA_SHA3_512, Hash::Sha3_512),
    hash_slh_dsa(M::HASH_SLH_DSA_SHAKE128, Hash::Shake128),
    hash_slh_dsa(M::HASH_SLH_DSA_SHAKE256, Hash::Shake256),
];

/// Claviger's own.
const VENDOR_ROWS: &[MechanismRow] = &[row(
    M::KMS_ENVELOPE,
    Recipe::KmsEnvelope,
    &[KeyType::AES, KeyType::SM4],
    AES_BYTES,
    ENCRYPT_DECRYPT,
    Shape::OptionalBytes,
    ALL,
)];

/// The families, in the order of the standard's chapters.
const FAMILIES: &[&[&[MechanismRow]]] = &[
    &[RSA_ROWS, EC_ROWS, FIELD_ROWS],
    AES_ROWS,
    CIPHER_ROWS,
    HASH_ROWS,
    &[SECRET_ROWS, POST_QUANTUM_ROWS, VENDOR_ROWS],
];

const COUNT: usize = {
    let (mut count, mut i) = (0, 0);
    while i < FAMILIES.len() {
        let mut j = 0;
        while j < FAMILIES[i].len() {
            count += FAMILIES[i][j].len();
            j += 1;
        }
        i += 1;
    }
    count
};

#[allow(clippy::large_const_arrays, reason = "used once, behind the reference that is the table")]
const ROWS: [MechanismRow; COUNT] = {
    let mut rows = [RSA_ROWS[0]; COUNT];
    let (mut next, mut i) = (0, 0);
    while i < FAMILIES.len() {
        let mut j = 0;
        while j < FAMILIES[i].len() {
            let mut k = 0;
            while k < FAMILIES[i][j].len() {
                rows[next] = FAMILIES[i][j][k];
                next += 1;
                k += 1;
            }
            j += 1;
        }
        i += 1;
    }
    rows
};

/// The table.
pub const MECHANISMS: &[MechanismRow] = &ROWS;
