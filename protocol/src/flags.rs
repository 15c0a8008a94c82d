//! The flag bits and small numbers of the standard, grouped by the structure they stand in.

/// Flags of `CK_MECHANISM_INFO`.
pub mod mechanism {
    /// `CKF_HW`
    pub const HW: u64 = 0x1;
    /// `CKF_MESSAGE_ENCRYPT`
    pub const MESSAGE_ENCRYPT: u64 = 0x2;
    /// `CKF_MESSAGE_DECRYPT`
    pub const MESSAGE_DECRYPT: u64 = 0x4;
    /// `CKF_MESSAGE_SIGN`
    pub const MESSAGE_SIGN: u64 = 0x8;
    /// `CKF_MESSAGE_VERIFY`
    pub const MESSAGE_VERIFY: u64 = 0x10;
    /// `CKF_MULTI_MESSAGE`
    pub const MULTI_MESSAGE: u64 = 0x20;
    /// `CKF_FIND_OBJECTS`
    pub const FIND_OBJECTS: u64 = 0x40;
    /// `CKF_ENCRYPT`
    pub const ENCRYPT: u64 = 0x100;
    /// `CKF_DECRYPT`
    pub const DECRYPT: u64 = 0x200;
    /// `CKF_DIGEST`
    pub const DIGEST: u64 = 0x400;
    /// `CKF_SIGN`
    pub const SIGN: u64 = 0x800;
    /// `CKF_SIGN_RECOVER`
    pub const SIGN_RECOVER: u64 = 0x1000;
    /// `CKF_VERIFY`
    pub const VERIFY: u64 = 0x2000;
    /// `CKF_VERIFY_RECOVER`
    pub const VERIFY_RECOVER: u64 = 0x4000;
    /// `CKF_GENERATE`
    pub const GENERATE: u64 = 0x8000;
    /// `CKF_GENERATE_KEY_PAIR`
    pub const GENERATE_KEY_PAIR: u64 = 0x10000;
    /// `CKF_WRAP`
    pub const WRAP: u64 = 0x20000;
    /// `CKF_UNWRAP`
    pub const UNWRAP: u64 = 0x40000;
    /// `CKF_DERIVE`
    pub const DERIVE: u64 = 0x80000;
    /// `CKF_EC_F_P`
    pub const EC_F_P: u64 = 0x100000;
    /// `CKF_EC_F_2M`
    pub const EC_F_2M: u64 = 0x200000;
    /// `CKF_EC_ECPARAMETERS`
    pub const EC_ECPARAMETERS: u64 = 0x400000;
    /// `CKF_EC_OID`
    pub const EC_OID: u64 = 0x800000;
    /// `CKF_EC_UNCOMPRESS`
    pub const EC_UNCOMPRESS: u64 = 0x1000000;
    /// `CKF_EC_COMPRESS`
    pub const EC_COMPRESS: u64 = 0x2000000;
    /// `CKF_EC_CURVENAME`
    pub const EC_CURVENAME: u64 = 0x4000000;
    /// `CKF_ENCAPSULATE`
    pub const ENCAPSULATE: u64 = 0x10000000;
    /// `CKF_DECAPSULATE`
    pub const DECAPSULATE: u64 = 0x20000000;
}

/// Flags of `CK_SLOT_INFO`.
pub mod slot {
    /// `CKF_TOKEN_PRESENT`
    pub const TOKEN_PRESENT: u64 = 0x1;
    /// `CKF_REMOVABLE_DEVICE`
    pub const REMOVABLE_DEVICE: u64 = 0x2;
    /// `CKF_HW_SLOT`
    pub const HW_SLOT: u64 = 0x4;
}

/// Flags of `CK_TOKEN_INFO`.
pub mod token {
    /// `CKF_RNG`
    pub const RNG: u64 = 0x1;
    /// `CKF_WRITE_PROTECTED`
    pub const WRITE_PROTECTED: u64 = 0x2;
    /// `CKF_LOGIN_REQUIRED`
    pub const LOGIN_REQUIRED: u64 = 0x4;
    /// `CKF_USER_PIN_INITIALIZED`
    pub const USER_PIN_INITIALIZED: u64 = 0x8;
    /// `CKF_RESTORE_KEY_NOT_NEEDED`
    pub const RESTORE_KEY_NOT_NEEDED: u64 = 0x20;
    /// `CKF_CLOCK_ON_TOKEN`
    pub const CLOCK_ON_TOKEN: u64 = 0x40;
    /// `CKF_PROTECTED_AUTHENTICATION_PATH`
    pub const PROTECTED_AUTHENTICATION_PATH: u64 = 0x100;
    /// `CKF_DUAL_CRYPTO_OPERATIONS`
    pub const DUAL_CRYPTO_OPERATIONS: u64 = 0x200;
    /// `CKF_TOKEN_INITIALIZED`
    pub const TOKEN_INITIALIZED: u64 = 0x400;
    /// `CKF_USER_PIN_COUNT_LOW`
    pub const USER_PIN_COUNT_LOW: u64 = 0x10000;
    /// `CKF_USER_PIN_FINAL_TRY`
    pub const USER_PIN_FINAL_TRY: u64 = 0x20000;
    /// `CKF_USER_PIN_LOCKED`
    pub const USER_PIN_LOCKED: u64 = 0x40000;
    /// `CKF_USER_PIN_TO_BE_CHANGED`
    pub const USER_PIN_TO_BE_CHANGED: u64 = 0x80000;
    /// `CKF_SO_PIN_COUNT_LOW`
    pub const SO_PIN_COUNT_LOW: u64 = 0x100000;
    /// `CKF_SO_PIN_FINAL_TRY`
    pub const SO_PIN_FINAL_TRY: u64 = 0x200000;
    /// `CKF_SO_PIN_LOCKED`
    pub const SO_PIN_LOCKED: u64 = 0x400000;
    /// `CKF_SO_PIN_TO_BE_CHANGED`
    pub const SO_PIN_TO_BE_CHANGED: u64 = 0x800000;
    /// `CKF_ERROR_STATE`
    pub const ERROR_STATE: u64 = 0x1000000;
}

/// Flags of `C_OpenSession`.
pub mod session {
    /// `CKF_RW_SESSION`
    pub const RW_SESSION: u64 = 0x2;
    /// `CKF_SERIAL_SESSION`
    pub const SERIAL_SESSION: u64 = 0x4;
    /// `CKF_ASYNC_SESSION`
    pub const ASYNC_SESSION: u64 = 0x8;
}

/// Session states, `CK_STATE`.
pub mod state {
    /// `CKS_RO_PUBLIC_SESSION`
    pub const RO_PUBLIC_SESSION: u64 = 0x0;
    /// `CKS_RO_USER_FUNCTIONS`
    pub const RO_USER_FUNCTIONS: u64 = 0x1;
    /// `CKS_RW_PUBLIC_SESSION`
    pub const RW_PUBLIC_SESSION: u64 = 0x2;
    /// `CKS_RW_USER_FUNCTIONS`
    pub const RW_USER_FUNCTIONS: u64 = 0x3;
    /// `CKS_RW_SO_FUNCTIONS`
    pub const RW_SO_FUNCTIONS: u64 = 0x4;
}

/// User types, `CK_USER_TYPE`.
pub mod user {
    /// `CKU_SO`
    pub const SO: u64 = 0x0;
    /// `CKU_USER`
    pub const USER: u64 = 0x1;
    /// `CKU_CONTEXT_SPECIFIC`
    pub const CONTEXT_SPECIFIC: u64 = 0x2;
}

/// Mask generation functions, `CK_RSA_PKCS_MGF_TYPE`.
pub mod mgf {
    /// `CKG_MGF1_SHA1`
    pub const MGF1_SHA1: u64 = 0x1;
    /// `CKG_MGF1_SHA224`
    pub const MGF1_SHA224: u64 = 0x5;
    /// `CKG_MGF1_SHA256`
    pub const MGF1_SHA256: u64 = 0x2;
    /// `CKG_MGF1_SHA384`
    pub const MGF1_SHA384: u64 = 0x3;
    /// `CKG_MGF1_SHA512`
    pub const MGF1_SHA512: u64 = 0x4;
    /// `CKG_MGF1_SHA3_224`
    pub const MGF1_SHA3_224: u64 = 0x6;
    /// `CKG_MGF1_SHA3_256`
    pub const MGF1_SHA3_256: u64 = 0x7;
    /// `CKG_MGF1_SHA3_384`
    pub const MGF1_SHA3_384: u64 = 0x8;
    /// `CKG_MGF1_SHA3_512`
    pub const MGF1_SHA3_512: u64 = 0x9;
}

/// Source of the OAEP label, `CK_RSA_PKCS_OAEP_SOURCE_TYPE`.
pub mod oaep {
    /// `CKZ_DATA_SPECIFIED`
    pub const DATA_SPECIFIED: u64 = 0x1;
}

/// Key derivation functions of `CK_ECDH1_DERIVE_PARAMS`, `CK_EC_KDF_TYPE`.
pub mod kdf {
    /// `CKD_NULL`
    pub const NULL: u64 = 0x1;
    /// `CKD_SHA1_KDF`
    pub const SHA1_KDF: u64 = 0x2;
    /// `CKD_SHA1_KDF_ASN1`
    pub const SHA1_KDF_ASN1: u64 = 0x3;
    /// `CKD_SHA1_KDF_CONCATENATE`
    pub const SHA1_KDF_CONCATENATE: u64 = 0x4;
    /// `CKD_SHA224_KDF`
    pub const SHA224_KDF: u64 = 0x5;
    /// `CKD_SHA256_KDF`
    pub const SHA256_KDF: u64 = 0x6;
    /// `CKD_SHA384_KDF`
    pub const SHA384_KDF: u64 = 0x7;
    /// `CKD_SHA512_KDF`
    pub const SHA512_KDF: u64 = 0x8;
    /// `CKD_CPDIVERSIFY_KDF`
    pub const CPDIVERSIFY_KDF: u64 = 0x9;
    /// `CKD_SHA3_224_KDF`
    pub const SHA3_224_KDF: u64 = 0xa;
    /// `CKD_SHA3_256_KDF`
    pub const SHA3_256_KDF: u64 = 0xb;
    /// `CKD_SHA3_384_KDF`
    pub const SHA3_384_KDF: u64 = 0xc;
    /// `CKD_SHA3_512_KDF`
    pub const SHA3_512_KDF: u64 = 0xd;
    /// `CKD_SHA1_KDF_SP800`
    pub const SHA1_KDF_SP800: u64 = 0xe;
    /// `CKD_SHA224_KDF_SP800`
    pub const SHA224_KDF_SP800: u64 = 0xf;
    /// `CKD_SHA256_KDF_SP800`
    pub const SHA256_KDF_SP800: u64 = 0x10;
    /// `CKD_SHA384_KDF_SP800`
    pub const SHA384_KDF_SP800: u64 = 0x11;
    /// `CKD_SHA512_KDF_SP800`
    pub const SHA512_KDF_SP800: u64 = 0x12;
    /// `CKD_SHA3_224_KDF_SP800`
    pub const SHA3_224_KDF_SP800: u64 = 0x13;
    /// `CKD_SHA3_256_KDF_SP800`
    pub const SHA3_256_KDF_SP800: u64 = 0x14;
    /// `CKD_SHA3_384_KDF_SP800`
    pub const SHA3_384_KDF_SP800: u64 = 0x15;
    /// `CKD_SHA3_512_KDF_SP800`
    pub const SHA3_512_KDF_SP800: u64 = 0x16;
    /// `CKD_BLAKE2B_160_KDF`
    pub const BLAKE2B_160_KDF: u64 = 0x17;
    /// `CKD_BLAKE2B_256_KDF`
    pub const BLAKE2B_256_KDF: u64 = 0x18;
    /// `CKD_BLAKE2B_384_KDF`
    pub const BLAKE2B_384_KDF: u64 = 0x19;
    /// `CKD_BLAKE2B_512_KDF`
    pub const BLAKE2B_512_KDF: u64 = 0x1a;
}

/// Pseudo-random functions of `CK_PKCS5_PBKD2_PARAMS2`.
pub mod pbkdf2 {
    /// `CKP_PKCS5_PBKD2_HMAC_SHA1`
    pub const PKCS5_PBKD2_HMAC_SHA1: u64 = 0x1;
    /// `CKP_PKCS5_PBKD2_HMAC_GOSTR3411`
    pub const PKCS5_PBKD2_HMAC_GOSTR3411: u64 = 0x2;
    /// `CKP_PKCS5_PBKD2_HMAC_SHA224`
    pub const PKCS5_PBKD2_HMAC_SHA224: u64 = 0x3;
    /// `CKP_PKCS5_PBKD2_HMAC_SHA256`
    pub const PKCS5_PBKD2_HMAC_SHA256: u64 = 0x4;
    /// `CKP_PKCS5_PBKD2_HMAC_SHA384`
    pub const PKCS5_PBKD2_HMAC_SHA384: u64 = 0x5;
    /// `CKP_PKCS5_PBKD2_HMAC_SHA512`
    pub const PKCS5_PBKD2_HMAC_SHA512: u64 = 0x6;
    /// `CKP_PKCS5_PBKD2_HMAC_SHA512_224`
    pub const PKCS5_PBKD2_HMAC_SHA512_224: u64 = 0x7;
    /// `CKP_PKCS5_PBKD2_HMAC_SHA512_256`
    pub const PKCS5_PBKD2_HMAC_SHA512_256: u64 = 0x8;
}

/// `CK_UNAVAILABLE_INFORMATION`: a length or count that cannot be told.
pub const UNAVAILABLE_INFORMATION: u64 = u64::MAX;
/// `CK_EFFECTIVELY_INFINITE`: a limit that no application meets.
pub const EFFECTIVELY_INFINITE: u64 = 0;
