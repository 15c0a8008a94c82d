//! `CK_MECHANISM` in. A parameter is read by its mechanism's shape (table 3).

use std::marker::PhantomData;

use claviger_protocol::frame::MAX_DATA_BYTES;
use claviger_protocol::mechanism;
use claviger_protocol::params::{CounterFormat, HkdfSalt, Mechanism, OaepParams, Params, PrfData, Shape};
use claviger_protocol::{Bytes, MechanismType, Result, Rv};

use super::template::Attributes;
use super::{Place, Plain, copy, read};
use crate::sys::*;

/// The most parts of an SP800-108 parameter, and the most further keys of one derivation.
const MAX_PARTS: CK_ULONG = 256;

macro_rules! plain {
    ($($type:ty)*) => {
        $(
            // SAFETY: a structure of integers, arrays of bytes and raw pointers.
            unsafe impl Plain for $type {}
        )*
    };
}

plain! {
    CK_MECHANISM CK_RSA_PKCS_PSS_PARAMS CK_RSA_PKCS_OAEP_PARAMS CK_AES_CTR_PARAMS CK_GCM_PARAMS
    CK_GCM_PARAMS_SHORT CK_CCM_PARAMS CK_CHACHA20_PARAMS CK_SALSA20_CHACHA20_POLY1305_PARAMS CK_EDDSA_PARAMS
    CK_ECDH1_DERIVE_PARAMS CK_ECDH_AES_KEY_WRAP_PARAMS CK_RSA_AES_KEY_WRAP_PARAMS CK_HKDF_PARAMS
    CK_PKCS5_PBKD2_PARAMS2 CK_SP800_108_KDF_PARAMS CK_SP800_108_FEEDBACK_KDF_PARAMS CK_PRF_DATA_PARAM
    CK_SP800_108_COUNTER_FORMAT CK_SP800_108_DKM_LENGTH_FORMAT CK_DERIVED_KEY CK_AES_CBC_ENCRYPT_DATA_PARAMS
    CK_DES_CBC_ENCRYPT_DATA_PARAMS CK_X9_42_DH1_DERIVE_PARAMS CK_KEY_DERIVATION_STRING_DATA
    CK_SIGN_ADDITIONAL_CONTEXT CK_HASH_SIGN_ADDITIONAL_CONTEXT
}

/// `CK_MECHANISM_PTR`.
pub struct MechanismIn<'call> {
    mechanism: Option<CK_MECHANISM>,
    call: PhantomData<&'call CK_MECHANISM>,
}

impl MechanismIn<'_> {
    /// # Safety
    /// `pointer` is NULL or points to a mechanism whose parameter is NULL or readable over its length and, when
    /// it is the structure that the standard gives this mechanism, whole itself; all during the call.
    pub unsafe fn new(pointer: CK_MECHANISM_PTR) -> Self {
        // SAFETY: the caller's promise.
        Self { mechanism: unsafe { read(pointer) }, call: PhantomData }
    }

    /// The mechanism; none for NULL, which cancels an operation (PKCS#11 3.2, section 5.8.1).
    ///
    /// # Errors
    /// `CKR_MECHANISM_PARAM_INVALID` for a parameter that is not what the mechanism takes.
    pub fn optional(&self) -> Result<Option<Mechanism>> {
        let Some(raw) = self.mechanism else { return Ok(None) };
        let r#type = MechanismType(raw.mechanism);
        let parameter = Parameter { pointer: raw.pParameter, length: raw.ulParameterLen };
        let params = match mechanism::mechanism(r#type) {
            Some(row) => parameter.read_as(row.params)?,
            // Not ours: the daemon says so, after it has looked at the session.
            None => Params::None,
        };
        Ok(Some(Mechanism { r#type, params }))
    }

    /// The mechanism, where NULL has no meaning.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL, else as [`Self::optional`].
    pub fn required(&self) -> Result<Mechanism> {
        self.optional()?.ok_or(Rv::ARGUMENTS_BAD)
    }

    /// Writes the handles of further derived keys to where the parameter wants them (`phKey` of `CK_DERIVED_KEY`).
    ///
    /// # Errors
    /// `CKR_MECHANISM_PARAM_INVALID` for a parameter that is no longer what it was when it was read.
    pub fn write_further_keys(&self, handles: &[u64]) -> Result<()> {
        let Some(raw) = self.mechanism.filter(|_| !handles.is_empty()) else { return Ok(()) };
        let parameter = Parameter { pointer: raw.pParameter, length: raw.ulParameterLen };
        let (keys, count) = match mechanism::mechanism(MechanismType(raw.mechanism)).map(|row| row.params) {
            Some(Shape::Sp800108) => {
                let p: CK_SP800_108_KDF_PARAMS = parameter.structure()?;
                (p.pAdditionalDerivedKeys, p.ulAdditionalDerivedKeys)
            }
            Some(Shape::Sp800108Feedback) => {
                let p: CK_SP800_108_FEEDBACK_KDF_PARAMS = parameter.structure()?;
                (p.pAdditionalDerivedKeys, p.ulAdditionalDerivedKeys)
            }
            _ => return Err(INVALID),
        };
        for (key, handle) in array(keys, count)?.into_iter().zip(handles) {
            // SAFETY: MechanismIn::new was promised that a parameter is whole: `phKey` is NULL or writable.
            unsafe { Place::new(key.phKey) }.map_err(|_| INVALID)?.write(*handle as CK_ULONG);
        }
        Ok(())
    }
}

/// A parameter that [`MechanismIn::new`] was promised to be whole. Every function below that reads through a
/// pointer relies on that promise alone.
#[derive(Clone, Copy)]
struct Parameter {
    pointer: CK_VOID_PTR,
    length: CK_ULONG,
}

const INVALID: Rv = Rv::MECHANISM_PARAM_INVALID;

/// Bytes of a pointer inside a parameter.
fn bytes<T>(pointer: *mut T, length: CK_ULONG) -> Result<Bytes> {
    // SAFETY: MechanismIn::new was promised that a parameter's pointers are NULL or readable.
    unsafe { copy(pointer.cast(), length, INVALID, INVALID) }
}

/// The elements of an array inside a parameter.
fn array<T: Plain>(pointer: *mut T, count: CK_ULONG) -> Result<Vec<T>> {
    if count > MAX_PARTS {
        return Err(INVALID);
    }
    // SAFETY: MechanismIn::new was promised that a parameter's pointers are NULL or readable.
    (0..count as usize).map(|index| unsafe { read(pointer.wrapping_add(index)) }.ok_or(INVALID)).collect()
}

/// Bytes whose length is given in bits.
fn bits<T>(pointer: *mut T, length_bits: CK_ULONG) -> Result<Bytes> {
    if !length_bits.is_multiple_of(8) {
        return Err(INVALID);
    }
    bytes(pointer, length_bits / 8)
}

impl Parameter {
    fn is_empty(self) -> bool {
        self.pointer.is_null() || self.length == 0
    }

    /// The parameter as the structure it must be: exactly as long.
    fn structure<T: Plain>(self) -> Result<T> {
        if self.length != size_of::<T>() as CK_ULONG {
            return Err(INVALID);
        }
        // SAFETY: as long as T and, by MechanismIn::new's promise, readable over its length; NULL is refused.
        unsafe { read(self.pointer.cast::<T>()) }.ok_or(INVALID)
    }

    fn read_as(self, shape: Shape) -> Result<Params> {
        match shape {
            Shape::None if self.length == 0 => Ok(Params::None),
            Shape::None => Err(INVALID),
            Shape::Bytes | Shape::OptionalBytes if self.length == 0 => Ok(Params::None),
            Shape::Bytes | Shape::OptionalBytes => Ok(Params::Bytes(bytes(self.pointer, self.length)?)),
            Shape::Eddsa | Shape::SignContext if self.is_empty() => Ok(Params::None),
            Shape::Ulong => Ok(Params::Ulong(self.structure::<CK_ULONG>()?)),
            Shape::Data => self.data(),
            Shape::Pss => self.pss(),
            Shape::Oaep => Ok(Params::Oaep(oaep(self.structure()?)?)),
            Shape::Ctr => self.ctr(),
            Shape::Gcm => self.gcm(),
            Shape::Ccm => self.ccm(),
            Shape::ChaCha20 => self.chacha20(),
            Shape::ChaCha20Poly1305 => self.chacha20_poly1305(),
            Shape::Eddsa => self.eddsa(),
            Shape::Ecdh => self.ecdh(),
            Shape::EcdhAesKeyWrap => self.ecdh_aes_key_wrap(),
            Shape::RsaAesKeyWrap => self.rsa_aes_key_wrap(),
            Shape::Hkdf => self.hkdf(),
            Shape::Pbkdf2 => self.pbkdf2(),
            Shape::Sp800108 => self.sp800_108(),
            Shape::Sp800108Feedback => self.sp800_108_feedback(),
            Shape::CbcEncryptData(iv_length) => self.cbc_encrypt_data(iv_length),
            Shape::X942Dh => self.x9_42_dh(),
            Shape::SignContext => self.sign_context(),
            Shape::HashSignContext => self.hash_sign_context(),
        }
    }

    fn data(self) -> Result<Params> {
        let p: CK_KEY_DERIVATION_STRING_DATA = self.structure()?;
        Ok(Params::Bytes(bytes(p.pData, p.ulLen)?))
    }

    fn pss(self) -> Result<Params> {
        let p: CK_RSA_PKCS_PSS_PARAMS = self.structure()?;
        Ok(Params::Pss { hash: MechanismType(p.hashAlg), mgf: p.mgf, salt_len: p.sLen })
    }

    fn ctr(self) -> Result<Params> {
        let p: CK_AES_CTR_PARAMS = self.structure()?;
        Ok(Params::Ctr { counter_bits: p.ulCounterBits, block: p.cb })
    }

    /// `ulIvBits` is not read: many applications leave it 0, and the IV's length is in `ulIvLen`.
    fn gcm(self) -> Result<Params> {
        let p = match self.structure::<CK_GCM_PARAMS>() {
            Ok(long) => CK_GCM_PARAMS_SHORT {
                pIv: long.pIv,
                ulIvLen: long.ulIvLen,
                pAAD: long.pAAD,
                ulAADLen: long.ulAADLen,
                ulTagBits: long.ulTagBits,
            },
            Err(_) => self.structure()?,
        };
        Ok(Params::Gcm {
            iv: bytes(p.pIv, p.ulIvLen)?,
            aad: bytes(p.pAAD, p.ulAADLen)?,
            tag_bits: p.ulTagBits,
        })
    }

    fn ccm(self) -> Result<Params> {
        let p: CK_CCM_PARAMS = self.structure()?;
        Ok(Params::Ccm {
            data_len: p.ulDataLen,
            nonce: bytes(p.pNonce, p.ulNonceLen)?,
            aad: bytes(p.pAAD, p.ulAADLen)?,
            mac_len: p.ulMACLen,
        })
    }

    fn chacha20(self) -> Result<Params> {
        let p: CK_CHACHA20_PARAMS = self.structure()?;
        Ok(Params::ChaCha20 {
            block_counter: bits(p.pBlockCounter, p.blockCounterBits)?,
            nonce: bits(p.pNonce, p.ulNonceBits)?,
        })
    }

    fn chacha20_poly1305(self) -> Result<Params> {
        let p: CK_SALSA20_CHACHA20_POLY1305_PARAMS = self.structure()?;
        Ok(Params::ChaCha20Poly1305 {
            nonce: bytes(p.pNonce, p.ulNonceLen)?,
            aad: bytes(p.pAAD, p.ulAADLen)?,
        })
    }

    fn eddsa(self) -> Result<Params> {
        let p: CK_EDDSA_PARAMS = self.structure()?;
        Ok(Params::Eddsa { prehash: p.phFlag != 0, context: bytes(p.pContextData, p.ulContextDataLen)? })
    }

    fn ecdh(self) -> Result<Params> {
        let p: CK_ECDH1_DERIVE_PARAMS = self.structure()?;
        Ok(Params::Ecdh {
            kdf: p.kdf,
            shared_data: bytes(p.pSharedData, p.ulSharedDataLen)?,
            public_data: bytes(p.pPublicData, p.ulPublicDataLen)?,
        })
    }

    fn ecdh_aes_key_wrap(self) -> Result<Params> {
        let p: CK_ECDH_AES_KEY_WRAP_PARAMS = self.structure()?;
        Ok(Params::EcdhAesKeyWrap {
            aes_key_bits: p.ulAESKeyBits,
            kdf: p.kdf,
            shared_data: bytes(p.pSharedData, p.ulSharedDataLen)?,
        })
    }

    fn rsa_aes_key_wrap(self) -> Result<Params> {
        let p: CK_RSA_AES_KEY_WRAP_PARAMS = self.structure()?;
        // SAFETY: MechanismIn::new was promised that a parameter's pointers are NULL or readable.
        let inner = unsafe { read(p.pOAEPParams) }.ok_or(INVALID)?;
        Ok(Params::RsaAesKeyWrap { aes_key_bits: p.ulAESKeyBits, oaep: oaep(inner)? })
    }

    fn hkdf(self) -> Result<Params> {
        let p: CK_HKDF_PARAMS = self.structure()?;
        let salt = match p.ulSaltType {
            CKF_HKDF_SALT_NULL => HkdfSalt::Null,
            CKF_HKDF_SALT_DATA => HkdfSalt::Data(bytes(p.pSalt, p.ulSaltLen)?),
            CKF_HKDF_SALT_KEY => HkdfSalt::Key(p.hSaltKey),
            // Without an extract step there is no salt, and applications leave the type 0.
            _ if p.bExtract == 0 => HkdfSalt::Null,
            _ => return Err(INVALID),
        };
        Ok(Params::Hkdf {
            extract: p.bExtract != 0,
            expand: p.bExpand != 0,
            prf: MechanismType(p.prfHashMechanism),
            salt,
            info: bytes(p.pInfo, p.ulInfoLen)?,
        })
    }

    /// `CK_PKCS5_PBKD2_PARAMS2`, and the older structure of the same size, which NSS uses: it has a pointer to the
    /// password's length where this has the length. What is over the limit can only be such a pointer.
    fn pbkdf2(self) -> Result<Params> {
        let p: CK_PKCS5_PBKD2_PARAMS2 = self.structure()?;
        let limit = MAX_DATA_BYTES as CK_ULONG;
        let length = if p.ulPasswordLen <= limit { Some(p.ulPasswordLen) } else { word_at(p.ulPasswordLen) };
        let length = length.filter(|length| *length <= limit).ok_or(INVALID)?;
        if p.saltSource != CKZ_SALT_SPECIFIED {
            return Err(INVALID);
        }
        Ok(Params::Pbkdf2 {
            salt: bytes(p.pSaltSourceData, p.ulSaltSourceDataLen)?,
            iterations: p.iterations,
            prf: p.prf,
            prf_data: bytes(p.pPrfData, p.ulPrfDataLen)?,
            password: bytes(p.pPassword, length)?,
        })
    }

    fn sp800_108(self) -> Result<Params> {
        let p: CK_SP800_108_KDF_PARAMS = self.structure()?;
        Ok(Params::Sp800108 {
            prf: MechanismType(p.prfType),
            data: prf_data(p.pDataParams, p.ulNumberOfDataParams)?,
            iv: None,
            further_keys: further_keys(p.pAdditionalDerivedKeys, p.ulAdditionalDerivedKeys)?,
        })
    }

    fn sp800_108_feedback(self) -> Result<Params> {
        let p: CK_SP800_108_FEEDBACK_KDF_PARAMS = self.structure()?;
        Ok(Params::Sp800108 {
            prf: MechanismType(p.prfType),
            data: prf_data(p.pDataParams, p.ulNumberOfDataParams)?,
            iv: Some(bytes(p.pIV, p.ulIVLen)?),
            further_keys: further_keys(p.pAdditionalDerivedKeys, p.ulAdditionalDerivedKeys)?,
        })
    }

    fn cbc_encrypt_data(self, iv_length: u8) -> Result<Params> {
        let (iv, data, length) = match iv_length {
            8 => {
                let p: CK_DES_CBC_ENCRYPT_DATA_PARAMS = self.structure()?;
                (Bytes::from(&p.iv), p.pData, p.length)
            }
            16 => {
                let p: CK_AES_CBC_ENCRYPT_DATA_PARAMS = self.structure()?;
                (Bytes::from(&p.iv), p.pData, p.length)
            }
            _ => return Err(INVALID),
        };
        Ok(Params::CbcEncryptData { iv, data: bytes(data, length)? })
    }

    fn x9_42_dh(self) -> Result<Params> {
        let p: CK_X9_42_DH1_DERIVE_PARAMS = self.structure()?;
        Ok(Params::X942Dh {
            kdf: p.kdf,
            other_info: bytes(p.pOtherInfo, p.ulOtherInfoLen)?,
            public_data: bytes(p.pPublicData, p.ulPublicDataLen)?,
        })
    }

    fn sign_context(self) -> Result<Params> {
        let p: CK_SIGN_ADDITIONAL_CONTEXT = self.structure()?;
        let context = bytes(p.pContext, p.ulContextLen)?;
        Ok(Params::SignContext { hedge: p.hedgeVariant, context, hash: None })
    }

    fn hash_sign_context(self) -> Result<Params> {
        let p: CK_HASH_SIGN_ADDITIONAL_CONTEXT = self.structure()?;
        let context = bytes(p.pContext, p.ulContextLen)?;
        Ok(Params::SignContext { hedge: p.hedgeVariant, context, hash: Some(MechanismType(p.hash)) })
    }
}

fn oaep(p: CK_RSA_PKCS_OAEP_PARAMS) -> Result<OaepParams> {
    Ok(OaepParams {
        hash: MechanismType(p.hashAlg),
        mgf: p.mgf,
        source: p.source,
        source_data: bytes(p.pSourceData, p.ulSourceDataLen)?,
    })
}

/// The data parameters of an SP800-108 derivation (PKCS#11 3.2, section 6.42.2).
fn prf_data(pointer: *mut CK_PRF_DATA_PARAM, count: CK_ULONG) -> Result<Vec<PrfData>> {
    array(pointer, count)?.into_iter().map(prf_datum).collect()
}

fn prf_datum(p: CK_PRF_DATA_PARAM) -> Result<PrfData> {
    let value = Parameter { pointer: p.pValue, length: p.ulValueLen };
    Ok(match p.type_ {
        CK_SP800_108_ITERATION_VARIABLE if value.is_empty() => PrfData::Iteration(None),
        CK_SP800_108_ITERATION_VARIABLE => PrfData::Iteration(Some(counter(value.structure()?))),
        CK_SP800_108_COUNTER => PrfData::Counter(counter(value.structure()?)),
        CK_SP800_108_DKM_LENGTH => {
            let f: CK_SP800_108_DKM_LENGTH_FORMAT = value.structure()?;
            let format = CounterFormat { little_endian: f.bLittleEndian != 0, width_bits: f.ulWidthInBits };
            PrfData::DkmLength { method: f.dkmLengthMethod, format }
        }
        CK_SP800_108_BYTE_ARRAY => PrfData::Bytes(bytes(p.pValue, p.ulValueLen)?),
        CK_SP800_108_KEY_HANDLE => PrfData::Key(value.structure::<CK_ULONG>()?),
        _ => return Err(INVALID),
    })
}

fn counter(f: CK_SP800_108_COUNTER_FORMAT) -> CounterFormat {
    CounterFormat { little_endian: f.bLittleEndian != 0, width_bits: f.ulWidthInBits }
}

/// The templates of the keys that a derivation makes besides its first.
fn further_keys(
    pointer: *mut CK_DERIVED_KEY,
    count: CK_ULONG,
) -> Result<Vec<claviger_protocol::template::Template>> {
    array(pointer, count)?
        .into_iter()
        .map(|key| {
            if key.phKey.is_null() {
                return Err(INVALID);
            }
            // SAFETY: MechanismIn::new was promised that the parameter is whole, its templates included.
            unsafe { Attributes::new(key.pTemplate, key.ulAttributeCount) }.map_err(|_| INVALID)?.read()
        })
        .collect()
}

/// The word at an address that may be none: the kernel reads it, so that a wrong one is an error and no fault.
fn word_at(address: CK_ULONG) -> Option<CK_ULONG> {
    let mut word: CK_ULONG = 0;
    let bytes = size_of::<CK_ULONG>();
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: bytes };
    let remote = libc::iovec { iov_base: usize::try_from(address).ok()? as *mut _, iov_len: bytes };
    // SAFETY: one local vector, of `word`; the remote one is only ever read by the kernel, which checks it.
    let read =
        unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    (usize::try_from(read) == Ok(bytes)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null_mut;

    fn read_struct<T>(shape: Shape, mut value: T) -> Result<Params> {
        read_length(shape, &mut value, size_of::<T>())
    }

    fn read_length<T>(shape: Shape, value: &mut T, length: usize) -> Result<Params> {
        Parameter { pointer: (&raw mut *value).cast(), length: length as CK_ULONG }.read_as(shape)
    }

    const NOTHING: Parameter = Parameter { pointer: null_mut(), length: 0 };

    #[test]
    fn a_mechanism_is_read_by_its_row() {
        let mut iv = [7u8; 16];
        let mut raw = CK_MECHANISM {
            mechanism: MechanismType::AES_CBC.0,
            pParameter: iv.as_mut_ptr().cast(),
            ulParameterLen: 16,
        };
        // SAFETY: whole, or NULL.
        let read = |raw: &mut CK_MECHANISM| unsafe { MechanismIn::new(raw) }.required();
        let cbc = read(&mut raw).unwrap();
        assert_eq!((cbc.r#type, cbc.params), (MechanismType::AES_CBC, Params::Bytes(Bytes::from(&iv))));
        raw.mechanism = MechanismType::SHA256.0;
        assert_eq!(read(&mut raw), Err(INVALID));
        raw.mechanism = 0x8765_4321;
        assert_eq!(read(&mut raw).unwrap().params, Params::None);
        // SAFETY: NULL is allowed.
        let null = unsafe { MechanismIn::new(null_mut()) };
        assert_eq!((null.optional(), null.required()), (Ok(None), Err(Rv::ARGUMENTS_BAD)));
    }

    #[test]
    fn every_structure_of_a_wrong_length_is_refused() {
        let mut zeros = [0u64; 32];
        for shape in [
            Shape::Ulong,
            Shape::Data,
            Shape::Pss,
            Shape::Oaep,
            Shape::Ctr,
            Shape::Gcm,
            Shape::Ccm,
            Shape::ChaCha20,
            Shape::ChaCha20Poly1305,
            Shape::Eddsa,
            Shape::Ecdh,
            Shape::EcdhAesKeyWrap,
            Shape::RsaAesKeyWrap,
            Shape::Hkdf,
            Shape::Pbkdf2,
            Shape::Sp800108,
            Shape::Sp800108Feedback,
            Shape::CbcEncryptData(8),
            Shape::CbcEncryptData(16),
            Shape::CbcEncryptData(5),
            Shape::X942Dh,
            Shape::SignContext,
            Shape::HashSignContext,
        ] {
            for length in [1, 7, 9, 250] {
                assert_eq!(read_length(shape, &mut zeros, length), Err(INVALID), "{shape:?} {length}");
            }
            let null = Parameter { pointer: null_mut(), length: 48 };
            if !matches!(shape, Shape::Eddsa | Shape::SignContext) {
                assert_eq!(null.read_as(shape), Err(INVALID), "{shape:?}");
                assert_eq!(NOTHING.read_as(shape), Err(INVALID), "{shape:?}");
            }
        }
    }

    #[test]
    fn optional_parameters_may_be_missing() {
        for shape in [Shape::None, Shape::Bytes, Shape::OptionalBytes, Shape::Eddsa, Shape::SignContext] {
            assert_eq!(NOTHING.read_as(shape), Ok(Params::None), "{shape:?}");
        }
    }

    #[test]
    fn gcm_has_two_forms() {
        let (mut iv, mut aad) = ([1u8; 12], *b"aad");
        let expected = Params::Gcm { iv: Bytes::from(&iv), aad: Bytes::from(b"aad"), tag_bits: 128 };
        let long = CK_GCM_PARAMS {
            pIv: iv.as_mut_ptr(),
            ulIvLen: 12,
            ulIvBits: 0,
            pAAD: aad.as_mut_ptr(),
            ulAADLen: 3,
            ulTagBits: 128,
        };
        let short = CK_GCM_PARAMS_SHORT {
            pIv: iv.as_mut_ptr(),
            ulIvLen: 12,
            pAAD: aad.as_mut_ptr(),
            ulAADLen: 3,
            ulTagBits: 128,
        };
        assert_eq!(read_struct(Shape::Gcm, long), Ok(expected.clone()));
        assert_eq!(read_struct(Shape::Gcm, short), Ok(expected));
        let lying = CK_GCM_PARAMS { pIv: null_mut(), ..long };
        assert_eq!(read_struct(Shape::Gcm, lying), Err(INVALID));
        let endless = CK_GCM_PARAMS { ulAADLen: CK_ULONG::MAX, ..long };
        assert_eq!(read_struct(Shape::Gcm, endless), Err(INVALID));
    }

    #[test]
    fn nested_structures_are_followed() {
        let mut label = *b"label";
        let mut inner = CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: MechanismType::SHA256.0,
            mgf: 2,
            source: 1,
            pSourceData: label.as_mut_ptr().cast(),
            ulSourceDataLen: 5,
        };
        let oaep =
            OaepParams { hash: MechanismType::SHA256, mgf: 2, source: 1, source_data: Bytes::from(b"label") };
        assert_eq!(read_struct(Shape::Oaep, inner), Ok(Params::Oaep(oaep.clone())));
        let wrap = CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: &mut inner };
        let expected = Params::RsaAesKeyWrap { aes_key_bits: 256, oaep };
        assert_eq!(read_struct(Shape::RsaAesKeyWrap, wrap), Ok(expected));
        let null = CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: 256, pOAEPParams: null_mut() };
        assert_eq!(read_struct(Shape::RsaAesKeyWrap, null), Err(INVALID));
    }

    #[test]
    fn numbers_of_bits_are_whole_bytes() {
        let (mut counter, mut nonce) = ([0u8; 4], [1u8; 12]);
        let whole = CK_CHACHA20_PARAMS {
            pBlockCounter: counter.as_mut_ptr(),
            blockCounterBits: 32,
            pNonce: nonce.as_mut_ptr(),
            ulNonceBits: 96,
        };
        let expected = Params::ChaCha20 { block_counter: Bytes::from(&counter), nonce: Bytes::from(&nonce) };
        assert_eq!(read_struct(Shape::ChaCha20, whole), Ok(expected));
        let odd = CK_CHACHA20_PARAMS { ulNonceBits: 95, ..whole };
        assert_eq!(read_struct(Shape::ChaCha20, odd), Err(INVALID));
    }

    #[test]
    fn sp800_108_reads_its_parts_and_templates() {
        let mut format = CK_SP800_108_COUNTER_FORMAT { bLittleEndian: 0, ulWidthInBits: 32 };
        let mut length =
            CK_SP800_108_DKM_LENGTH_FORMAT { dkmLengthMethod: 1, bLittleEndian: 1, ulWidthInBits: 16 };
        let mut fixed = *b"fixed";
        let part = |type_, value: CK_VOID_PTR, length: usize| CK_PRF_DATA_PARAM {
            type_,
            pValue: value,
            ulValueLen: length as CK_ULONG,
        };
        let mut parts = [
            part(CK_SP800_108_ITERATION_VARIABLE, (&raw mut format).cast(), size_of_val(&format)),
            part(CK_SP800_108_ITERATION_VARIABLE, null_mut(), 0),
            part(CK_SP800_108_DKM_LENGTH, (&raw mut length).cast(), size_of_val(&length)),
            part(CK_SP800_108_BYTE_ARRAY, fixed.as_mut_ptr().cast(), 5),
        ];
        let mut value_len = 16u64;
        let mut attribute = CK_ATTRIBUTE { type_: 0x161, pValue: (&raw mut value_len).cast(), ulValueLen: 8 };
        let mut handle = 0;
        let mut key = CK_DERIVED_KEY { pTemplate: &mut attribute, ulAttributeCount: 1, phKey: &mut handle };
        let raw = CK_SP800_108_KDF_PARAMS {
            prfType: MechanismType::SHA256_HMAC.0,
            ulNumberOfDataParams: 4,
            pDataParams: parts.as_mut_ptr(),
            ulAdditionalDerivedKeys: 1,
            pAdditionalDerivedKeys: &mut key,
        };
        let Ok(Params::Sp800108 { data, iv, further_keys, .. }) = read_struct(Shape::Sp800108, raw) else {
            panic!("not read");
        };
        let counter = CounterFormat { little_endian: false, width_bits: 32 };
        assert_eq!(
            data,
            [
                PrfData::Iteration(Some(counter)),
                PrfData::Iteration(None),
                PrfData::DkmLength {
                    method: 1,
                    format: CounterFormat { little_endian: true, width_bits: 16 }
                },
                PrfData::Bytes(Bytes::from(b"fixed")),
            ]
        );
        assert_eq!((iv, further_keys.len(), further_keys[0].len()), (None, 1, 1));
        let mut whole = raw;
        let mut mechanism = CK_MECHANISM {
            mechanism: MechanismType::SP800_108_COUNTER_KDF.0,
            pParameter: (&raw mut whole).cast(),
            ulParameterLen: size_of_val(&whole) as CK_ULONG,
        };
        // SAFETY: whole.
        unsafe { MechanismIn::new(&mut mechanism) }.write_further_keys(&[77]).unwrap();
        assert_eq!(handle, 77);
        let many = CK_SP800_108_KDF_PARAMS { ulNumberOfDataParams: CK_ULONG::MAX, ..raw };
        assert_eq!(read_struct(Shape::Sp800108, many), Err(INVALID));
        let mut wrong = [part(99, null_mut(), 0)];
        let raw = CK_SP800_108_KDF_PARAMS { ulNumberOfDataParams: 1, pDataParams: wrong.as_mut_ptr(), ..raw };
        assert_eq!(read_struct(Shape::Sp800108, raw), Err(INVALID));
    }

    #[test]
    fn the_older_pbkdf2_structure_is_read_and_a_wild_length_is_not_followed() {
        let mut password = *b"password";
        let mut raw = CK_PKCS5_PBKD2_PARAMS2 {
            saltSource: CKZ_SALT_SPECIFIED,
            pSaltSourceData: null_mut(),
            ulSaltSourceDataLen: 0,
            iterations: 1000,
            prf: 1,
            pPrfData: null_mut(),
            ulPrfDataLen: 0,
            pPassword: password.as_mut_ptr(),
            ulPasswordLen: 8,
        };
        let newer = read_struct(Shape::Pbkdf2, raw);
        assert!(matches!(&newer, Ok(Params::Pbkdf2 { password, .. }) if **password == *b"password"));
        let mut length: CK_ULONG = 8;
        raw.ulPasswordLen = (&raw mut length) as CK_ULONG;
        assert!(read_struct(Shape::Pbkdf2, raw) == newer);
        for wild in [(&raw const password) as CK_ULONG, CK_ULONG::MAX, 1 << 40] {
            raw.ulPasswordLen = wild;
            assert_eq!(read_struct(Shape::Pbkdf2, raw), Err(INVALID));
        }
    }
}
