//! `CK_MECHANISM` with parameters that own what they point to.

use std::ffi::c_void;

use claviger_protocol::MechanismType;
use cryptoki_sys::{
    CK_AES_CTR_PARAMS, CK_EDDSA_PARAMS, CK_GCM_PARAMS, CK_KEY_DERIVATION_STRING_DATA, CK_MECHANISM,
    CK_RSA_PKCS_OAEP_PARAMS, CK_RSA_PKCS_PSS_PARAMS,
};

/// A mechanism and its parameter.
#[derive(Debug, Clone)]
pub struct Mechanism {
    /// Its number.
    pub r#type: MechanismType,
    parameter: Parameter,
}

#[derive(Debug, Clone)]
enum Parameter {
    None,
    Bytes(Vec<u8>),
    Ulong(u64),
    /// `CK_KEY_DERIVATION_STRING_DATA`
    String(Vec<u8>),
    /// A NULL pointer with a length.
    NullWithLength(u64),
    Pss(CK_RSA_PKCS_PSS_PARAMS),
    Oaep {
        hash: u64,
        mgf: u64,
        source: u64,
        label: Vec<u8>,
    },
    Gcm {
        iv: Vec<u8>,
        aad: Vec<u8>,
        tag_bits: u64,
    },
    Ctr {
        bits: u64,
        block: [u8; 16],
    },
    Eddsa {
        prehash: bool,
        context: Vec<u8>,
    },
}

impl From<MechanismType> for Mechanism {
    fn from(r#type: MechanismType) -> Self {
        Mechanism { r#type, parameter: Parameter::None }
    }
}

impl Mechanism {
    /// A mechanism without a parameter.
    pub fn new(r#type: MechanismType) -> Self {
        r#type.into()
    }

    /// A mechanism whose parameter is bytes: an IV, or anything wrong.
    pub fn bytes(r#type: MechanismType, bytes: &[u8]) -> Self {
        Mechanism { r#type, parameter: Parameter::Bytes(bytes.to_vec()) }
    }

    /// A mechanism whose parameter is a `CK_ULONG`.
    pub fn ulong(r#type: MechanismType, value: u64) -> Self {
        Mechanism { r#type, parameter: Parameter::Ulong(value) }
    }

    /// A mechanism whose parameter is `CK_KEY_DERIVATION_STRING_DATA`.
    pub fn string(r#type: MechanismType, data: &[u8]) -> Self {
        Mechanism { r#type, parameter: Parameter::String(data.to_vec()) }
    }

    /// A mechanism whose parameter is NULL and yet has a length.
    pub fn null_with_length(r#type: MechanismType, length: u64) -> Self {
        Mechanism { r#type, parameter: Parameter::NullWithLength(length) }
    }

    /// RSASSA-PSS; `salt_len` in bytes.
    pub fn pss(r#type: MechanismType, hash: MechanismType, mgf: u64, salt_len: u64) -> Self {
        let parameter = CK_RSA_PKCS_PSS_PARAMS { hashAlg: hash.0, mgf, sLen: salt_len };
        Mechanism { r#type, parameter: Parameter::Pss(parameter) }
    }

    /// RSAES-OAEP.
    pub fn oaep(hash: MechanismType, mgf: u64, source: u64, label: &[u8]) -> Self {
        let parameter = Parameter::Oaep { hash: hash.0, mgf, source, label: label.to_vec() };
        Mechanism { r#type: MechanismType::RSA_PKCS_OAEP, parameter }
    }

    /// AES-GCM.
    pub fn gcm(iv: &[u8], aad: &[u8], tag_bits: u64) -> Self {
        let parameter = Parameter::Gcm { iv: iv.to_vec(), aad: aad.to_vec(), tag_bits };
        Mechanism { r#type: MechanismType::AES_GCM, parameter }
    }

    /// AES-CTR.
    pub fn ctr(bits: u64, block: [u8; 16]) -> Self {
        Mechanism { r#type: MechanismType::AES_CTR, parameter: Parameter::Ctr { bits, block } }
    }

    /// EdDSA with `CK_EDDSA_PARAMS`.
    pub fn eddsa(prehash: bool, context: &[u8]) -> Self {
        let parameter = Parameter::Eddsa { prehash, context: context.to_vec() };
        Mechanism { r#type: MechanismType::EDDSA, parameter }
    }

    /// Calls `f` with the structure; its pointers live that long.
    pub fn with<R>(&self, f: impl FnOnce(*mut CK_MECHANISM) -> R) -> R {
        let finish = |pointer: *const c_void, length: usize| {
            let mut mechanism = CK_MECHANISM {
                mechanism: self.r#type.0,
                pParameter: pointer.cast_mut(),
                ulParameterLen: length as u64,
            };
            f(&mut mechanism)
        };
        fn of<T>(value: &T) -> (*const c_void, usize) {
            (std::ptr::from_ref(value).cast(), size_of::<T>())
        }
        match &self.parameter {
            Parameter::None => finish(std::ptr::null(), 0),
            Parameter::Bytes(bytes) => finish(bytes.as_ptr().cast(), bytes.len()),
            Parameter::NullWithLength(length) => finish(std::ptr::null(), *length as usize),
            Parameter::Ulong(value) => {
                let (pointer, length) = of(value);
                finish(pointer, length)
            }
            Parameter::String(data) => {
                let parameter =
                    CK_KEY_DERIVATION_STRING_DATA { pData: null_if_empty(data), ulLen: data.len() as u64 };
                let (pointer, length) = of(&parameter);
                finish(pointer, length)
            }
            Parameter::Pss(parameter) => {
                let (pointer, length) = of(parameter);
                finish(pointer, length)
            }
            Parameter::Oaep { hash, mgf, source, label } => {
                let parameter = CK_RSA_PKCS_OAEP_PARAMS {
                    hashAlg: *hash,
                    mgf: *mgf,
                    source: *source,
                    pSourceData: null_if_empty(label).cast(),
                    ulSourceDataLen: label.len() as u64,
                };
                let (pointer, length) = of(&parameter);
                finish(pointer, length)
            }
            Parameter::Gcm { iv, aad, tag_bits } => {
                let parameter = CK_GCM_PARAMS {
                    pIv: null_if_empty(iv),
                    ulIvLen: iv.len() as u64,
                    ulIvBits: iv.len() as u64 * 8,
                    pAAD: null_if_empty(aad),
                    ulAADLen: aad.len() as u64,
                    ulTagBits: *tag_bits,
                };
                let (pointer, length) = of(&parameter);
                finish(pointer, length)
            }
            Parameter::Ctr { bits, block } => {
                let parameter = CK_AES_CTR_PARAMS { ulCounterBits: *bits, cb: *block };
                let (pointer, length) = of(&parameter);
                finish(pointer, length)
            }
            Parameter::Eddsa { prehash, context } => {
                let parameter = CK_EDDSA_PARAMS {
                    phFlag: u8::from(*prehash),
                    pContextData: null_if_empty(context),
                    ulContextDataLen: context.len() as u64,
                };
                let (pointer, length) = of(&parameter);
                finish(pointer, length)
            }
        }
    }
}

fn null_if_empty(bytes: &[u8]) -> *mut u8 {
    if bytes.is_empty() { std::ptr::null_mut() } else { bytes.as_ptr().cast_mut() }
}
