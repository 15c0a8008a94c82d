//! The C ABI in one namespace: 2.40 and 3.0 from `pkcs11-sys`, what 3.2 adds from `cryptoki-sys`.

pub use cryptoki_sys::{CK_HASH_SIGN_ADDITIONAL_CONTEXT, CK_SIGN_ADDITIONAL_CONTEXT};
pub use pkcs11_sys::{
    CK_AES_CBC_ENCRYPT_DATA_PARAMS, CK_AES_CTR_PARAMS, CK_ATTRIBUTE, CK_ATTRIBUTE_PTR, CK_BBOOL, CK_BYTE_PTR,
    CK_C_INITIALIZE_ARGS, CK_CCM_PARAMS, CK_CHACHA20_PARAMS, CK_DERIVED_KEY, CK_DES_CBC_ENCRYPT_DATA_PARAMS,
    CK_ECDH_AES_KEY_WRAP_PARAMS, CK_ECDH1_DERIVE_PARAMS, CK_EDDSA_PARAMS, CK_FLAGS, CK_FUNCTION_LIST,
    CK_FUNCTION_LIST_3_0, CK_FUNCTION_LIST_PTR_PTR, CK_GCM_PARAMS, CK_HKDF_PARAMS, CK_INFO, CK_INFO_PTR,
    CK_INTERFACE, CK_INTERFACE_PTR, CK_INTERFACE_PTR_PTR, CK_KEY_DERIVATION_STRING_DATA, CK_MECHANISM,
    CK_MECHANISM_INFO, CK_MECHANISM_INFO_PTR, CK_MECHANISM_PTR, CK_MECHANISM_TYPE, CK_MECHANISM_TYPE_PTR,
    CK_NOTIFY, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE_PTR, CK_PKCS5_PBKD2_PARAMS2, CK_PRF_DATA_PARAM,
    CK_RSA_AES_KEY_WRAP_PARAMS, CK_RSA_PKCS_OAEP_PARAMS, CK_RSA_PKCS_PSS_PARAMS, CK_RV,
    CK_SALSA20_CHACHA20_POLY1305_PARAMS, CK_SESSION_HANDLE, CK_SESSION_HANDLE_PTR, CK_SESSION_INFO,
    CK_SESSION_INFO_PTR, CK_SLOT_ID, CK_SLOT_ID_PTR, CK_SLOT_INFO, CK_SLOT_INFO_PTR,
    CK_SP800_108_COUNTER_FORMAT, CK_SP800_108_DKM_LENGTH_FORMAT, CK_SP800_108_FEEDBACK_KDF_PARAMS,
    CK_SP800_108_KDF_PARAMS, CK_TOKEN_INFO, CK_TOKEN_INFO_PTR, CK_ULONG, CK_ULONG_PTR, CK_USER_TYPE,
    CK_UTF8CHAR_PTR, CK_VERSION, CK_VERSION_PTR, CK_VOID_PTR, CK_X9_42_DH1_DERIVE_PARAMS,
};
pub use pkcs11_sys::{
    CK_SP800_108_BYTE_ARRAY, CK_SP800_108_COUNTER, CK_SP800_108_DKM_LENGTH, CK_SP800_108_ITERATION_VARIABLE,
    CK_UNAVAILABLE_INFORMATION, CKF_DONT_BLOCK, CKF_HKDF_SALT_DATA, CKF_HKDF_SALT_KEY, CKF_HKDF_SALT_NULL,
    CKF_INTERFACE_FORK_SAFE, CKZ_SALT_SPECIFIED,
};

/// `cryptoki-sys`' own spelling of the types that the functions of 3.2 take. Same layout as those above.
pub mod v3_2 {
    pub use cryptoki_sys::{
        CK_ASYNC_DATA, CK_ATTRIBUTE, CK_BYTE, CK_FLAGS, CK_MECHANISM, CK_OBJECT_HANDLE, CK_SESSION_HANDLE,
        CK_SESSION_VALIDATION_FLAGS_TYPE, CK_ULONG, CK_UTF8CHAR,
    };
}

/// `CK_SP800_108_KEY_HANDLE` (PKCS#11 3.2, section 6.42.2), which neither crate has.
pub const CK_SP800_108_KEY_HANDLE: CK_ULONG = 5;

// Numbers travel as u64 and are written back as CK_ULONG: the module is for LP64 platforms.
const _: () = assert!(size_of::<CK_ULONG>() == size_of::<u64>());

/// `CK_GCM_PARAMS` as PKCS#11 2.20 amendments had it and some applications still pass it: no `ulIvBits`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_snake_case, non_camel_case_types, reason = "fields and name as in the standard")]
pub struct CK_GCM_PARAMS_SHORT {
    pub pIv: CK_BYTE_PTR,
    pub ulIvLen: CK_ULONG,
    pub pAAD: CK_BYTE_PTR,
    pub ulAADLen: CK_ULONG,
    pub ulTagBits: CK_ULONG,
}

/// Declares the 3.2 function list as the 3.0 list and what comes after it, and checks the layout against
/// `cryptoki-sys`' declaration of the whole.
macro_rules! function_list_3_2 {
    ($($function:ident: $type:ident,)*) => {
        /// `CK_FUNCTION_LIST_3_2`.
        #[repr(C)]
        #[allow(non_snake_case, non_camel_case_types, reason = "fields and name as in the standard")]
        pub struct CK_FUNCTION_LIST_3_2 {
            pub v3_0: CK_FUNCTION_LIST_3_0,
            $(pub $function: cryptoki_sys::$type,)*
        }

        const _: () = {
            use std::mem::offset_of;
            type Whole = cryptoki_sys::CK_FUNCTION_LIST_3_2;
            assert!(size_of::<CK_FUNCTION_LIST_3_2>() == size_of::<Whole>());
            assert!(size_of::<CK_FUNCTION_LIST_3_0>() == offset_of!(Whole, C_EncapsulateKey));
            assert!(offset_of!(CK_FUNCTION_LIST_3_0, C_CancelFunction) == offset_of!(Whole, C_CancelFunction));
            assert!(
                offset_of!(CK_FUNCTION_LIST_3_0, C_MessageVerifyFinal)
                    == offset_of!(Whole, C_MessageVerifyFinal)
            );
            $(assert!(offset_of!(CK_FUNCTION_LIST_3_2, $function) == offset_of!(Whole, $function));)*
        };
    };
}

function_list_3_2! {
    C_EncapsulateKey: CK_C_EncapsulateKey,
    C_DecapsulateKey: CK_C_DecapsulateKey,
    C_VerifySignatureInit: CK_C_VerifySignatureInit,
    C_VerifySignature: CK_C_VerifySignature,
    C_VerifySignatureUpdate: CK_C_VerifySignatureUpdate,
    C_VerifySignatureFinal: CK_C_VerifySignatureFinal,
    C_GetSessionValidationFlags: CK_C_GetSessionValidationFlags,
    C_AsyncComplete: CK_C_AsyncComplete,
    C_AsyncGetID: CK_C_AsyncGetID,
    C_AsyncJoin: CK_C_AsyncJoin,
    C_WrapKeyAuthenticated: CK_C_WrapKeyAuthenticated,
    C_UnwrapKeyAuthenticated: CK_C_UnwrapKeyAuthenticated,
}
