//! Object classes, key types and the other small vocabularies that attributes take as values.

use crate::numbers::numbers;

numbers! {
    /// An object class, value of `CKA_CLASS`.
    ObjectClass, "CKO_" {
        DATA = 0x0,
        CERTIFICATE = 0x1,
        PUBLIC_KEY = 0x2,
        PRIVATE_KEY = 0x3,
        SECRET_KEY = 0x4,
        HW_FEATURE = 0x5,
        DOMAIN_PARAMETERS = 0x6,
        MECHANISM = 0x7,
        OTP_KEY = 0x8,
        PROFILE = 0x9,
        VALIDATION = 0xa,
        TRUST = 0xb,
    }
}
numbers! {
    /// A key type, value of `CKA_KEY_TYPE`.
    KeyType, "CKK_" {
        RSA = 0x0,
        DSA = 0x1,
        DH = 0x2,
        EC = 0x3,
        X9_42_DH = 0x4,
        KEA = 0x5,
        GENERIC_SECRET = 0x10,
        RC2 = 0x11,
        RC4 = 0x12,
        DES = 0x13,
        DES2 = 0x14,
        DES3 = 0x15,
        CAST = 0x16,
        CAST3 = 0x17,
        CAST128 = 0x18,
        RC5 = 0x19,
        IDEA = 0x1a,
        SKIPJACK = 0x1b,
        BATON = 0x1c,
        JUNIPER = 0x1d,
        CDMF = 0x1e,
        AES = 0x1f,
        BLOWFISH = 0x20,
        TWOFISH = 0x21,
        SECURID = 0x22,
        HOTP = 0x23,
        ACTI = 0x24,
        CAMELLIA = 0x25,
        ARIA = 0x26,
        MD5_HMAC = 0x27,
        SHA_1_HMAC = 0x28,
        RIPEMD128_HMAC = 0x29,
        RIPEMD160_HMAC = 0x2a,
        SHA256_HMAC = 0x2b,
        SHA384_HMAC = 0x2c,
        SHA512_HMAC = 0x2d,
        SHA224_HMAC = 0x2e,
        SEED = 0x2f,
        GOSTR3410 = 0x30,
        GOSTR3411 = 0x31,
        GOST28147 = 0x32,
        CHACHA20 = 0x33,
        POLY1305 = 0x34,
        AES_XTS = 0x35,
        SHA3_224_HMAC = 0x36,
        SHA3_256_HMAC = 0x37,
        SHA3_384_HMAC = 0x38,
        SHA3_512_HMAC = 0x39,
        BLAKE2B_160_HMAC = 0x3a,
        BLAKE2B_256_HMAC = 0x3b,
        BLAKE2B_384_HMAC = 0x3c,
        BLAKE2B_512_HMAC = 0x3d,
        SALSA20 = 0x3e,
        X2RATCHET = 0x3f,
        EC_EDWARDS = 0x40,
        EC_MONTGOMERY = 0x41,
        HKDF = 0x42,
        SHA512_224_HMAC = 0x43,
        SHA512_256_HMAC = 0x44,
        SHA512_T_HMAC = 0x45,
        HSS = 0x46,
        XMSS = 0x47,
        XMSSMT = 0x48,
        ML_KEM = 0x49,
        ML_DSA = 0x4a,
        SLH_DSA = 0x4b,
        ECDSA = 0x3,
        CAST5 = 0x18,
        SM2 = 0xc34c0001,
        SM4 = 0xc34c0002,
        SM3_HMAC = 0xc34c0003,
    }
}
numbers! {
    /// A certificate type, value of `CKA_CERTIFICATE_TYPE`.
    CertificateType, "CKC_" {
        X_509 = 0x0,
        X_509_ATTR_CERT = 0x1,
        WTLS = 0x2,
    }
}
numbers! {
    /// A hardware feature type, value of `CKA_HW_FEATURE_TYPE`.
    HardwareFeature, "CKH_" {
        MONOTONIC_COUNTER = 0x1,
        CLOCK = 0x2,
        USER_INTERFACE = 0x3,
    }
}
numbers! {
    /// An ML-DSA parameter set, value of `CKA_PARAMETER_SET` (FIPS 204).
    MlDsaSet, "CKP_" {
        ML_DSA_44 = 0x1,
        ML_DSA_65 = 0x2,
        ML_DSA_87 = 0x3,
    }
}
numbers! {
    /// An ML-KEM parameter set, value of `CKA_PARAMETER_SET` (FIPS 203).
    MlKemSet, "CKP_" {
        ML_KEM_512 = 0x1,
        ML_KEM_768 = 0x2,
        ML_KEM_1024 = 0x3,
    }
}
numbers! {
    /// An SLH-DSA parameter set, value of `CKA_PARAMETER_SET` (FIPS 205).
    SlhDsaSet, "CKP_SLH_DSA_" {
        SHA2_128S = 0x1,
        SHAKE_128S = 0x2,
        SHA2_128F = 0x3,
        SHAKE_128F = 0x4,
        SHA2_192S = 0x5,
        SHAKE_192S = 0x6,
        SHA2_192F = 0x7,
        SHAKE_192F = 0x8,
        SHA2_256S = 0x9,
        SHAKE_256S = 0xa,
        SHA2_256F = 0xb,
        SHAKE_256F = 0xc,
    }
}
numbers! {
    /// A profile, value of `CKA_PROFILE_ID`.
    ProfileId, "CKP_" {
        INVALID_ID = 0x0,
        BASELINE_PROVIDER = 0x1,
        EXTENDED_PROVIDER = 0x2,
        AUTHENTICATION_TOKEN = 0x3,
        PUBLIC_CERTIFICATES_TOKEN = 0x4,
        COMPLETE_PROVIDER = 0x5,
        HKDF_TLS_TOKEN = 0x6,
    }
}
