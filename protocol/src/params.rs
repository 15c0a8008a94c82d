//! A mechanism with its parameter, as it travels. [`Shape`] says how the module reads `pParameter`.

use bincode::{Decode, Encode};

use crate::bytes::Bytes;
use crate::mechanism_type::MechanismType;

/// `CK_MECHANISM`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Mechanism {
    /// Which mechanism.
    pub r#type: MechanismType,
    /// Its parameter.
    pub params: Params,
}

impl Mechanism {
    /// True when an Init that admits one of the two admits the other as well: they are the same, but for bytes of the
    /// same number that are fresh in every message (IVs, nonces, counters), of which no value is better than another.
    pub fn is_alike(&self, other: &Mechanism) -> bool {
        self.r#type == other.r#type && self.params.is_alike(&other.params)
    }
}

impl Params {
    fn is_alike(&self, other: &Params) -> bool {
        match (self, other) {
            (Params::Bytes(one), Params::Bytes(two)) => one.len() == two.len(),
            (Params::Gcm { iv, aad, tag_bits }, Params::Gcm { iv: iv2, aad: aad2, tag_bits: tag2 }) => {
                (iv.len(), aad.len(), tag_bits) == (iv2.len(), aad2.len(), tag2)
            }
            (
                Params::ChaCha20Poly1305 { nonce, aad },
                Params::ChaCha20Poly1305 { nonce: nonce2, aad: aad2 },
            ) => (nonce.len(), aad.len()) == (nonce2.len(), aad2.len()),
            _ => self == other,
        }
    }
}

/// How a mechanism's parameter looks in C. Column of table 3; the module reads by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No parameter; a non-empty one is `CKR_MECHANISM_PARAM_INVALID`.
    None,
    /// Plain bytes (an IV, data of `CKM_CONCATENATE_BASE_AND_DATA`'s kind is [`Shape::Data`]).
    Bytes,
    /// Nothing, or plain bytes.
    OptionalBytes,
    /// `CK_ULONG` (`CK_MAC_GENERAL_PARAMS`, `CK_EXTRACT_PARAMS`, an object handle).
    Ulong,
    /// `CK_KEY_DERIVATION_STRING_DATA`.
    Data,
    /// `CK_RSA_PKCS_PSS_PARAMS`.
    Pss,
    /// `CK_RSA_PKCS_OAEP_PARAMS`.
    Oaep,
    /// `CK_AES_CTR_PARAMS`, `CK_CAMELLIA_CTR_PARAMS`.
    Ctr,
    /// `CK_GCM_PARAMS`, in the 2.40 form with `ulIvBits` and the short form without.
    Gcm,
    /// `CK_CCM_PARAMS`.
    Ccm,
    /// `CK_CHACHA20_PARAMS`.
    ChaCha20,
    /// `CK_SALSA20_CHACHA20_POLY1305_PARAMS`.
    ChaCha20Poly1305,
    /// `CK_EDDSA_PARAMS`, or nothing.
    Eddsa,
    /// `CK_ECDH1_DERIVE_PARAMS`.
    Ecdh,
    /// `CK_ECDH_AES_KEY_WRAP_PARAMS`.
    EcdhAesKeyWrap,
    /// `CK_RSA_AES_KEY_WRAP_PARAMS`.
    RsaAesKeyWrap,
    /// `CK_HKDF_PARAMS`.
    Hkdf,
    /// `CK_PKCS5_PBKD2_PARAMS2`.
    Pbkdf2,
    /// `CK_SP800_108_KDF_PARAMS`.
    Sp800108,
    /// `CK_SP800_108_FEEDBACK_KDF_PARAMS`.
    Sp800108Feedback,
    /// `CK_AES_CBC_ENCRYPT_DATA_PARAMS` and its like: an IV of this many bytes, then data.
    CbcEncryptData(u8),
    /// `CK_X9_42_DH1_DERIVE_PARAMS`.
    X942Dh,
    /// `CK_SIGN_ADDITIONAL_CONTEXT`, or nothing (ML-DSA, SLH-DSA).
    SignContext,
    /// `CK_HASH_SIGN_ADDITIONAL_CONTEXT`.
    HashSignContext,
}

/// A mechanism's parameter, read. Numbers of hashes, MGFs and KDFs are checked by the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs, reason = "the fields are the structure's, named as in the standard")]
pub enum Params {
    /// No parameter.
    None,
    /// Plain bytes.
    Bytes(Bytes),
    /// `CK_ULONG`.
    Ulong(u64),
    /// `CK_RSA_PKCS_PSS_PARAMS`; `salt_len` in bytes.
    Pss { hash: MechanismType, mgf: u64, salt_len: u64 },
    /// `CK_RSA_PKCS_OAEP_PARAMS`.
    Oaep(OaepParams),
    /// `CK_AES_CTR_PARAMS`.
    Ctr { counter_bits: u64, block: [u8; 16] },
    /// `CK_GCM_PARAMS`.
    Gcm { iv: Bytes, aad: Bytes, tag_bits: u64 },
    /// `CK_CCM_PARAMS`; lengths in bytes.
    Ccm { data_len: u64, nonce: Bytes, aad: Bytes, mac_len: u64 },
    /// `CK_CHACHA20_PARAMS`.
    ChaCha20 { block_counter: Bytes, nonce: Bytes },
    /// `CK_SALSA20_CHACHA20_POLY1305_PARAMS`.
    ChaCha20Poly1305 { nonce: Bytes, aad: Bytes },
    /// `CK_EDDSA_PARAMS`.
    Eddsa { prehash: bool, context: Bytes },
    /// `CK_ECDH1_DERIVE_PARAMS`.
    Ecdh { kdf: u64, shared_data: Bytes, public_data: Bytes },
    /// `CK_ECDH_AES_KEY_WRAP_PARAMS`.
    EcdhAesKeyWrap { aes_key_bits: u64, kdf: u64, shared_data: Bytes },
    /// `CK_RSA_AES_KEY_WRAP_PARAMS`.
    RsaAesKeyWrap { aes_key_bits: u64, oaep: OaepParams },
    /// `CK_HKDF_PARAMS`.
    Hkdf { extract: bool, expand: bool, prf: MechanismType, salt: HkdfSalt, info: Bytes },
    /// `CK_PKCS5_PBKD2_PARAMS2`.
    Pbkdf2 { salt: Bytes, iterations: u64, prf: u64, prf_data: Bytes, password: Bytes },
    /// `CK_SP800_108_KDF_PARAMS`, and with an `iv` `CK_SP800_108_FEEDBACK_KDF_PARAMS`.
    Sp800108 {
        prf: MechanismType,
        data: Vec<PrfData>,
        iv: Option<Bytes>,
        further_keys: Vec<crate::template::Template>,
    },
    /// `CK_AES_CBC_ENCRYPT_DATA_PARAMS` and its like.
    CbcEncryptData { iv: Bytes, data: Bytes },
    /// `CK_X9_42_DH1_DERIVE_PARAMS`.
    X942Dh { kdf: u64, other_info: Bytes, public_data: Bytes },
    /// `CK_SIGN_ADDITIONAL_CONTEXT`, and with a `hash` `CK_HASH_SIGN_ADDITIONAL_CONTEXT`.
    SignContext { hedge: u64, context: Bytes, hash: Option<MechanismType> },
}

/// `CK_RSA_PKCS_OAEP_PARAMS`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OaepParams {
    /// The hash of the label.
    pub hash: MechanismType,
    /// `CKG_MGF1_SHA1` and its like.
    pub mgf: u64,
    /// `CKZ_DATA_SPECIFIED`, or 0 with no data.
    pub source: u64,
    /// The label.
    pub source_data: Bytes,
}

/// The salt of HKDF-Extract (RFC 5869).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum HkdfSalt {
    /// `CKF_HKDF_SALT_NULL`: as many zeros as the hash is long.
    Null,
    /// `CKF_HKDF_SALT_DATA`.
    Data(Bytes),
    /// `CKF_HKDF_SALT_KEY`: a key's value.
    Key(u64),
}

/// One `CK_PRF_DATA_PARAM`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs, reason = "the fields are the structure's, named as in the standard")]
pub enum PrfData {
    /// `CK_SP800_108_ITERATION_VARIABLE`; without a format in feedback and double-pipeline mode.
    Iteration(Option<CounterFormat>),
    /// `CK_SP800_108_COUNTER`.
    Counter(CounterFormat),
    /// `CK_SP800_108_DKM_LENGTH`; `method` is `CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS` or `.._SEGMENTS`.
    DkmLength { method: u64, format: CounterFormat },
    /// `CK_SP800_108_BYTE_ARRAY`.
    Bytes(Bytes),
    /// `CK_SP800_108_KEY_HANDLE`.
    Key(u64),
}

/// `CK_SP800_108_COUNTER_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct CounterFormat {
    /// Least significant byte first.
    pub little_endian: bool,
    /// 8, 16, 24, 32 or 64.
    pub width_bits: u64,
}
