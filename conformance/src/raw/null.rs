//! Calls with a NULL pointer where something must be, one row each. The functions of an operation run while that
//! operation is active.
#![allow(unsafe_code, reason = "calls through C function pointers")]

use std::ptr::{null_mut, with_exposed_provenance_mut};

use claviger_protocol::{MechanismType as M, Rv};
use cryptoki_sys::*;

use super::{Operation, Raw};
use crate::mechanism::Mechanism;

/// Where the calls are made.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// A slot with a token.
    pub slot: u64,
    /// A read-write session on it, the user logged in.
    pub session: u64,
    /// A secret key in it.
    pub key: u64,
}

/// One call.
pub struct Row {
    /// The function, without `C_`, and the argument that is NULL.
    pub name: &'static str,
    /// The operations that must be active, and that the call ends.
    pub ends: &'static [Operation],
    /// What it must answer.
    pub rv: Rv,
    /// The call.
    pub call: fn(&Raw, Place) -> Rv,
}

const BAD: Rv = Rv::ARGUMENTS_BAD;

/// A row: `name ends [operations] => expression over raw and at`.
macro_rules! rows {
    ($($name:literal $([$($ends:ident)*])? $(= $rv:expr)? => |$raw:ident, $at:ident| $call:expr;)*) => {
        &[$(Row {
            name: $name,
            ends: &[$($(Operation::$ends),*)?],
            rv: rows!(@rv $($rv)?),
            call: |$raw: &Raw, $at: Place| Rv($call),
        }),*]
    };
    (@rv $rv:expr) => { $rv };
    (@rv) => { BAD };
}

/// A buffer of the caller.
fn buffer() -> [u8; 512] {
    [0; 512]
}

/// Its length.
fn length() -> CK_ULONG {
    512
}

/// An attribute for templates: a label.
fn attribute() -> CK_ATTRIBUTE {
    CK_ATTRIBUTE { type_: CKA_LABEL, pValue: null_mut(), ulValueLen: 0 }
}

fn mechanism(r#type: M) -> CK_MECHANISM {
    CK_MECHANISM { mechanism: r#type.0, pParameter: null_mut(), ulParameterLen: 0 }
}

/// A one-shot or part function with NULL data and a length.
macro_rules! no_data {
    ($raw:ident, $at:ident, $function:ident) => {
        call!($raw.$function($at.session, null_mut(), 16, buffer().as_mut_ptr(), &mut length()))
    };
}

/// A function that feeds with NULL data and a length.
macro_rules! no_part {
    ($raw:ident, $at:ident, $function:ident) => {
        call!($raw.$function($at.session, null_mut(), 16))
    };
}

/// A function that fills a buffer, with NULL for the length.
macro_rules! no_length {
    ($raw:ident, $at:ident, $function:ident) => {
        call!($raw.$function($at.session, buffer().as_mut_ptr(), 16, buffer().as_mut_ptr(), null_mut()))
    };
    ($raw:ident, $at:ident, $function:ident, last) => {
        call!($raw.$function($at.session, buffer().as_mut_ptr(), null_mut()))
    };
}

/// An Init with a NULL mechanism and nothing to cancel.
macro_rules! no_mechanism {
    ($raw:ident, $at:ident, $function:ident) => {
        call!($raw.$function($at.session, null_mut(), $at.key))
    };
}

/// The table.
pub const ROWS: &[Row] = rows! {
    "GetFunctionList ppFunctionList" => |raw, _at| raw.get_function_list_null().0;
    "GetInfo pInfo" => |raw, _at| call!(raw.C_GetInfo(null_mut()));
    "GetSlotList pulCount" => |raw, _at| call!(raw.C_GetSlotList(1, null_mut(), null_mut()));
    "GetSlotInfo pInfo" => |raw, at| call!(raw.C_GetSlotInfo(at.slot, null_mut()));
    "GetTokenInfo pInfo" => |raw, at| call!(raw.C_GetTokenInfo(at.slot, null_mut()));
    "GetMechanismList pulCount" => |raw, at| call!(raw.C_GetMechanismList(at.slot, null_mut(), null_mut()));
    "GetMechanismInfo pInfo" => |raw, at| call!(raw.C_GetMechanismInfo(at.slot, M::AES_GCM.0, null_mut()));
    "InitToken pLabel" => |raw, at| call!(raw.C_InitToken(at.slot, buffer().as_mut_ptr(), 8, null_mut()));
    "InitToken pPin" => |raw, at| call!(raw.C_InitToken(at.slot, null_mut(), 8, buffer().as_mut_ptr()));
    "InitPIN pPin" => |raw, at| call!(raw.C_InitPIN(at.session, null_mut(), 8));
    "SetPIN pOldPin" => |raw, at| call!(raw.C_SetPIN(at.session, null_mut(), 8, buffer().as_mut_ptr(), 8));
    "SetPIN pNewPin" => |raw, at| call!(raw.C_SetPIN(at.session, buffer().as_mut_ptr(), 8, null_mut(), 8));
    "WaitForSlotEvent pSlot" => |raw, _at| call!(raw.C_WaitForSlotEvent(CKF_DONT_BLOCK, null_mut(), null_mut()));
    "WaitForSlotEvent pReserved, which is not NULL" => |raw, _at|
        call!(raw.C_WaitForSlotEvent(CKF_DONT_BLOCK, &mut 0, with_exposed_provenance_mut(8)));
    "Initialize pReserved, which is not NULL" => |raw, _at|
        raw.initialize(super::Arguments::Reserved).map_or_else(|rv| rv.0, |()| 0);
    "Finalize pReserved, which is not NULL" => |raw, _at| call!(raw.C_Finalize(with_exposed_provenance_mut(8)));
    "OpenSession phSession" => |raw, at| call!(raw.C_OpenSession(at.slot, 6, null_mut(), None, null_mut()));
    "GetSessionInfo pInfo" => |raw, at| call!(raw.C_GetSessionInfo(at.session, null_mut()));
    "GetOperationState pulOperationStateLen" [Digest] => |raw, at|
        call!(raw.C_GetOperationState(at.session, buffer().as_mut_ptr(), null_mut()));
    "SetOperationState pOperationState" => |raw, at|
        call!(raw.C_SetOperationState(at.session, null_mut(), 16, 0, 0));
    "Login pPin" => |raw, at| call!(raw.C_Login(at.session, CKU_USER, null_mut(), 8));
    "CreateObject pTemplate" => |raw, at| call!(raw.C_CreateObject(at.session, null_mut(), 1, &mut 0));
    "CreateObject phObject" => |raw, at|
        call!(raw.C_CreateObject(at.session, &mut attribute(), 1, null_mut()));
    "CopyObject pTemplate" => |raw, at| call!(raw.C_CopyObject(at.session, at.key, null_mut(), 1, &mut 0));
    "CopyObject phNewObject" => |raw, at|
        call!(raw.C_CopyObject(at.session, at.key, &mut attribute(), 1, null_mut()));
    "GetObjectSize pulSize" => |raw, at| call!(raw.C_GetObjectSize(at.session, at.key, null_mut()));
    "GetAttributeValue pTemplate" => |raw, at|
        call!(raw.C_GetAttributeValue(at.session, at.key, null_mut(), 1));
    "SetAttributeValue pTemplate" => |raw, at|
        call!(raw.C_SetAttributeValue(at.session, at.key, null_mut(), 1));
    "SetAttributeValue pValue" = Rv::ATTRIBUTE_VALUE_INVALID => |raw, at|
        call!(raw.C_SetAttributeValue(at.session, at.key, &mut CK_ATTRIBUTE { ulValueLen: 4, ..attribute() }, 1));
    "FindObjectsInit pTemplate" => |raw, at| call!(raw.C_FindObjectsInit(at.session, null_mut(), 1));
    "FindObjects phObject" => |raw, at| call!(raw.C_FindObjects(at.session, null_mut(), 1, &mut 0));
    "FindObjects pulObjectCount" => |raw, at| call!(raw.C_FindObjects(at.session, &mut 0, 1, null_mut()));

    "EncryptInit pMechanism" => |raw, at| no_mechanism!(raw, at, C_EncryptInit);
    "Encrypt pData" [Encrypt] => |raw, at| no_data!(raw, at, C_Encrypt);
    "Encrypt pulEncryptedDataLen" [Encrypt] => |raw, at| no_length!(raw, at, C_Encrypt);
    "EncryptUpdate pPart" [Encrypt] => |raw, at| no_data!(raw, at, C_EncryptUpdate);
    "EncryptUpdate pulEncryptedPartLen" [Encrypt] => |raw, at| no_length!(raw, at, C_EncryptUpdate);
    "EncryptFinal pulLastEncryptedPartLen" [Encrypt] => |raw, at| no_length!(raw, at, C_EncryptFinal, last);
    "DecryptInit pMechanism" => |raw, at| no_mechanism!(raw, at, C_DecryptInit);
    "Decrypt pEncryptedData" [Decrypt] => |raw, at| no_data!(raw, at, C_Decrypt);
    "Decrypt pulDataLen" [Decrypt] => |raw, at| no_length!(raw, at, C_Decrypt);
    "DecryptUpdate pEncryptedPart" [Decrypt] => |raw, at| no_data!(raw, at, C_DecryptUpdate);
    "DecryptUpdate pulPartLen" [Decrypt] => |raw, at| no_length!(raw, at, C_DecryptUpdate);
    "DecryptFinal pulLastPartLen" [Decrypt] => |raw, at| no_length!(raw, at, C_DecryptFinal, last);
    "DigestInit pMechanism" => |raw, at| call!(raw.C_DigestInit(at.session, null_mut()));
    "Digest pData" [Digest] => |raw, at| no_data!(raw, at, C_Digest);
    "Digest pulDigestLen" [Digest] => |raw, at| no_length!(raw, at, C_Digest);
    "DigestUpdate pPart" [Digest] => |raw, at| no_part!(raw, at, C_DigestUpdate);
    "DigestFinal pulDigestLen" [Digest] => |raw, at| no_length!(raw, at, C_DigestFinal, last);
    "SignInit pMechanism" => |raw, at| no_mechanism!(raw, at, C_SignInit);
    "Sign pData" [Sign] => |raw, at| no_data!(raw, at, C_Sign);
    "Sign pulSignatureLen" [Sign] => |raw, at| no_length!(raw, at, C_Sign);
    "SignUpdate pPart" [Sign] => |raw, at| no_part!(raw, at, C_SignUpdate);
    "SignFinal pulSignatureLen" [Sign] => |raw, at| no_length!(raw, at, C_SignFinal, last);
    "SignRecoverInit pMechanism" => |raw, at| no_mechanism!(raw, at, C_SignRecoverInit);
    "SignRecover pData" [SignRecover] => |raw, at| no_data!(raw, at, C_SignRecover);
    "SignRecover pulSignatureLen" [SignRecover] => |raw, at| no_length!(raw, at, C_SignRecover);
    "VerifyInit pMechanism" => |raw, at| no_mechanism!(raw, at, C_VerifyInit);
    "Verify pData" [Verify] => |raw, at|
        call!(raw.C_Verify(at.session, null_mut(), 16, buffer().as_mut_ptr(), 32));
    "Verify pSignature" [Verify] => |raw, at|
        call!(raw.C_Verify(at.session, buffer().as_mut_ptr(), 16, null_mut(), 32));
    "VerifyUpdate pPart" [Verify] => |raw, at| no_part!(raw, at, C_VerifyUpdate);
    "VerifyFinal pSignature" [Verify] => |raw, at| no_part!(raw, at, C_VerifyFinal);
    "VerifyRecoverInit pMechanism" => |raw, at| no_mechanism!(raw, at, C_VerifyRecoverInit);
    "VerifyRecover pSignature" [VerifyRecover] => |raw, at| no_data!(raw, at, C_VerifyRecover);
    "VerifyRecover pulDataLen" [VerifyRecover] => |raw, at| no_length!(raw, at, C_VerifyRecover);

    "DigestEncryptUpdate pPart" [Digest Encrypt] => |raw, at| no_data!(raw, at, C_DigestEncryptUpdate);
    "DigestEncryptUpdate pulEncryptedPartLen" [Digest Encrypt] => |raw, at|
        no_length!(raw, at, C_DigestEncryptUpdate);
    "DecryptDigestUpdate pEncryptedPart" [Decrypt Digest] => |raw, at| no_data!(raw, at, C_DecryptDigestUpdate);
    "DecryptDigestUpdate pulPartLen" [Decrypt Digest] => |raw, at| no_length!(raw, at, C_DecryptDigestUpdate);
    "SignEncryptUpdate pPart" [Sign Encrypt] => |raw, at| no_data!(raw, at, C_SignEncryptUpdate);
    "SignEncryptUpdate pulEncryptedPartLen" [Sign Encrypt] => |raw, at|
        no_length!(raw, at, C_SignEncryptUpdate);
    "DecryptVerifyUpdate pEncryptedPart" [Decrypt Verify] => |raw, at| no_data!(raw, at, C_DecryptVerifyUpdate);
    "DecryptVerifyUpdate pulPartLen" [Decrypt Verify] => |raw, at| no_length!(raw, at, C_DecryptVerifyUpdate);

    "GenerateKey pMechanism" => |raw, at|
        call!(raw.C_GenerateKey(at.session, null_mut(), &mut attribute(), 1, &mut 0));
    "GenerateKey pTemplate" => |raw, at|
        call!(raw.C_GenerateKey(at.session, &mut mechanism(M::AES_KEY_GEN), null_mut(), 1, &mut 0));
    "GenerateKey phKey" => |raw, at|
        call!(raw.C_GenerateKey(at.session, &mut mechanism(M::DES3_KEY_GEN), &mut attribute(), 1, null_mut()));
    "GenerateKeyPair pMechanism" => |raw, at| call!(raw.C_GenerateKeyPair(
        at.session, null_mut(), &mut attribute(), 1, &mut attribute(), 1, &mut 0, &mut 0));
    "GenerateKeyPair pPublicKeyTemplate" => |raw, at| call!(raw.C_GenerateKeyPair(
        at.session, &mut mechanism(M::EC_KEY_PAIR_GEN), null_mut(), 1, &mut attribute(), 1, &mut 0, &mut 0));
    "GenerateKeyPair pPrivateKeyTemplate" => |raw, at| call!(raw.C_GenerateKeyPair(
        at.session, &mut mechanism(M::EC_KEY_PAIR_GEN), &mut attribute(), 1, null_mut(), 1, &mut 0, &mut 0));
    "GenerateKeyPair phPublicKey" => |raw, at| call!(raw.C_GenerateKeyPair(
        at.session, &mut mechanism(M::EC_KEY_PAIR_GEN), &mut attribute(), 1, &mut attribute(), 1, null_mut(), &mut 0));
    "GenerateKeyPair phPrivateKey" => |raw, at| call!(raw.C_GenerateKeyPair(
        at.session, &mut mechanism(M::EC_KEY_PAIR_GEN), &mut attribute(), 1, &mut attribute(), 1, &mut 0, null_mut()));
    "WrapKey pMechanism" => |raw, at|
        call!(raw.C_WrapKey(at.session, null_mut(), at.key, at.key, buffer().as_mut_ptr(), &mut length()));
    "WrapKey pulWrappedKeyLen" => |raw, at| call!(raw.C_WrapKey(
        at.session, &mut mechanism(M::AES_KEY_WRAP), at.key, at.key, buffer().as_mut_ptr(), null_mut()));
    "UnwrapKey pMechanism" => |raw, at| call!(raw.C_UnwrapKey(
        at.session, null_mut(), at.key, buffer().as_mut_ptr(), 24, &mut attribute(), 1, &mut 0));
    "UnwrapKey pWrappedKey" => |raw, at| call!(raw.C_UnwrapKey(
        at.session, &mut mechanism(M::AES_KEY_WRAP), at.key, null_mut(), 24, &mut attribute(), 1, &mut 0));
    "UnwrapKey pTemplate" => |raw, at| call!(raw.C_UnwrapKey(
        at.session, &mut mechanism(M::AES_KEY_WRAP), at.key, buffer().as_mut_ptr(), 24, null_mut(), 1, &mut 0));
    "UnwrapKey phKey" => |raw, at| call!(raw.C_UnwrapKey(
        at.session, &mut mechanism(M::AES_KEY_WRAP), at.key, buffer().as_mut_ptr(), 24, &mut attribute(), 1,
        null_mut()));
    "DeriveKey pMechanism" => |raw, at|
        call!(raw.C_DeriveKey(at.session, null_mut(), at.key, &mut attribute(), 1, &mut 0));
    "DeriveKey pTemplate" => |raw, at| call!(raw.C_DeriveKey(
        at.session, &mut mechanism(M::SHA256_KEY_DERIVATION), at.key, null_mut(), 1, &mut 0));
    "DeriveKey phKey" => |raw, at| call!(raw.C_DeriveKey(
        at.session, &mut mechanism(M::SHA256_KEY_DERIVATION), at.key, &mut attribute(), 1, null_mut()));
    "SeedRandom pSeed" => |raw, at| call!(raw.C_SeedRandom(at.session, null_mut(), 8));
    "GenerateRandom pRandomData" => |raw, at| call!(raw.C_GenerateRandom(at.session, null_mut(), 8));
};

/// A mechanism whose parameter is NULL and yet has a length is refused by every Init.
pub fn null_parameter(raw: &Raw, at: Place, operation: Operation, r#type: M) -> Rv {
    let mechanism = Mechanism::null_with_length(r#type, 16);
    raw.start(operation, at.session, Some(&mechanism), at.key).err().unwrap_or(Rv::OK)
}
