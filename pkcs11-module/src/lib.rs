//! `libclaviger_pkcs11.so`: forwards every C_* to clavigerd. It holds no key, does no cryptography, starts no
//! thread and leaves nothing to run at exit.
//!
//! * this file: THE TABLE of C functions, and the exported symbols and function lists made from it
//! * [`shell`] what surrounds every function: panics, logging; [`ptr`] every raw pointer; [`sys`] the C ABI
//! * [`abi`] the functions' bodies, a file per chapter of the standard
//! * [`library`] what lives from `C_Initialize` to `C_Finalize`, and what a forked child keeps of it: nothing
//! * [`cache`] what is answered without asking the daemon, and the rule for that
//! * [`client`] calls and the pool of connections; [`connection`] one of them; [`socket`] where the daemon is
#![deny(unsafe_code)]

mod abi;
mod cache;
mod client;
mod connection;
mod library;
mod pool;
#[allow(unsafe_code, reason = "raw pointers of the application become safe types there")]
mod ptr;
#[allow(unsafe_code, reason = "the function table's macro, and one write(2)")]
mod shell;
mod socket;
mod sync;
mod sys;

use abi::general::{self, INTERFACE_NAME, Interface};
use abi::{decrypt, digest, dual, encrypt, key, object, random, session, sign, slot_token, verify};
use library::LIBRARY;
use ptr::params::MechanismIn;
use ptr::template::Attributes;
use ptr::{In, Out, OutArray, OutList, Place};
use shell::enter;
use sys::*;

const VERSION_2_40: CK_VERSION = CK_VERSION { major: 2, minor: 40 };
const VERSION_3_0: CK_VERSION = CK_VERSION { major: 3, minor: 0 };
const VERSION_3_2: CK_VERSION = CK_VERSION { major: 3, minor: 2 };

/// What `C_GetFunctionList` gives.
static FUNCTION_LIST_2_40: CK_FUNCTION_LIST = CK_FUNCTION_LIST { C_GetInfo: Some(get_info_2_40), ..ALL_2_40 };
static FUNCTION_LIST_3_0: CK_FUNCTION_LIST_3_0 =
    CK_FUNCTION_LIST_3_0 { C_GetInfo: Some(get_info_3_0), ..ALL_3_0 };
static FUNCTION_LIST_3_2: CK_FUNCTION_LIST_3_2 =
    CK_FUNCTION_LIST_3_2 { v3_0: CK_FUNCTION_LIST_3_0 { version: VERSION_3_2, ..ALL_3_0 }, ..ALL_3_2 };

/// The interfaces; the first is the default.
static INTERFACES: Interfaces = Interfaces([
    interface(VERSION_3_2, &raw const FUNCTION_LIST_3_2),
    interface(VERSION_3_0, &raw const FUNCTION_LIST_3_0),
    interface(VERSION_2_40, &raw const FUNCTION_LIST_2_40),
]);

struct Interfaces([Interface; 3]);

// SAFETY: the raw pointers are to statics that nobody writes to.
#[allow(unsafe_code, reason = "raw pointers in a static")]
unsafe impl Sync for Interfaces {}

const fn interface<T>(version: CK_VERSION, functions: *const T) -> Interface {
    let raw = CK_INTERFACE {
        pInterfaceName: INTERFACE_NAME.as_ptr().cast_mut().cast(),
        pFunctionList: functions.cast_mut().cast(),
        flags: CKF_INTERFACE_FORK_SAFE,
    };
    Interface { raw, version }
}

/// `C_GetInfo` of the 2.40 list. The exported symbol answers for the default interface.
#[allow(unsafe_code, reason = "a C function that is not exported")]
unsafe extern "C" fn get_info_2_40(info: CK_INFO_PTR) -> CK_RV {
    // SAFETY: the application gives what PKCS#11 asks for.
    enter("C_GetInfo", || unsafe { initialized_info(VERSION_2_40, info) })
}

/// `C_GetInfo` of the 3.0 list.
#[allow(unsafe_code, reason = "a C function that is not exported")]
unsafe extern "C" fn get_info_3_0(info: CK_INFO_PTR) -> CK_RV {
    // SAFETY: the application gives what PKCS#11 asks for.
    enter("C_GetInfo", || unsafe { initialized_info(VERSION_3_0, info) })
}

/// # Safety
/// As [`Place::new`].
#[allow(unsafe_code, reason = "the argument is a raw pointer still")]
unsafe fn initialized_info(version: CK_VERSION, info: CK_INFO_PTR) -> claviger_protocol::Result<()> {
    LIBRARY.client()?;
    // SAFETY: the caller's promise.
    general::get_info(version, unsafe { Place::new(info) }?)
}

// THE TABLE. Names and arguments as in the standard's header; each body says how its arguments are read.
shell::functions! {
    client;
    v2_40 always {
        C_Initialize(pInitArgs: CK_VOID_PTR) => general::initialize(ptr::initialize_args(pInitArgs));
        C_GetFunctionList(ppFunctionList: CK_FUNCTION_LIST_PTR_PTR)
            => general::get_function_list(&FUNCTION_LIST_2_40, Place::new(ppFunctionList)?);
    }
    v2_40 initialized {
        C_Finalize(pReserved: CK_VOID_PTR) => general::finalize(!pReserved.is_null());
        C_GetInfo(pInfo: CK_INFO_PTR) => general::get_info(VERSION_3_2, Place::new(pInfo)?);
        C_GetSlotList(tokenPresent: CK_BBOOL, pSlotList: CK_SLOT_ID_PTR, pulCount: CK_ULONG_PTR)
            => slot_token::get_slot_list(client, tokenPresent, OutList::new(pSlotList, pulCount)?);
        C_GetSlotInfo(slotID: CK_SLOT_ID, pInfo: CK_SLOT_INFO_PTR)
            => slot_token::get_slot_info(client, slotID, Place::new(pInfo)?);
        C_GetTokenInfo(slotID: CK_SLOT_ID, pInfo: CK_TOKEN_INFO_PTR)
            => slot_token::get_token_info(client, slotID, Place::new(pInfo)?);
        C_GetMechanismList(
            slotID: CK_SLOT_ID, pMechanismList: CK_MECHANISM_TYPE_PTR, pulCount: CK_ULONG_PTR,
        ) => slot_token::get_mechanism_list(client, slotID, OutList::new(pMechanismList, pulCount)?);
        C_GetMechanismInfo(slotID: CK_SLOT_ID, type_: CK_MECHANISM_TYPE, pInfo: CK_MECHANISM_INFO_PTR)
            => slot_token::get_mechanism_info(client, slotID, type_, Place::new(pInfo)?);
        C_InitToken(slotID: CK_SLOT_ID, pPin: CK_UTF8CHAR_PTR, ulPinLen: CK_ULONG, pLabel: CK_UTF8CHAR_PTR)
            => slot_token::init_token(client, slotID, In::new(pPin, ulPinLen), ptr::label(pLabel)?);
        C_InitPIN(hSession: CK_SESSION_HANDLE, pPin: CK_UTF8CHAR_PTR, ulPinLen: CK_ULONG)
            => slot_token::init_pin(client, hSession, In::new(pPin, ulPinLen));
        C_SetPIN(
            hSession: CK_SESSION_HANDLE, pOldPin: CK_UTF8CHAR_PTR, ulOldLen: CK_ULONG,
            pNewPin: CK_UTF8CHAR_PTR, ulNewLen: CK_ULONG,
        ) => slot_token::set_pin(client, hSession, In::new(pOldPin, ulOldLen), In::new(pNewPin, ulNewLen));
        C_OpenSession(
            slotID: CK_SLOT_ID, flags: CK_FLAGS, pApplication: CK_VOID_PTR, Notify: CK_NOTIFY,
            phSession: CK_SESSION_HANDLE_PTR,
        ) => session::open_session(client, slotID, flags, Place::new(phSession)?);
        C_CloseSession(hSession: CK_SESSION_HANDLE) => session::close_session(client, hSession);
        C_CloseAllSessions(slotID: CK_SLOT_ID) => session::close_all_sessions(client, slotID);
        C_GetSessionInfo(hSession: CK_SESSION_HANDLE, pInfo: CK_SESSION_INFO_PTR)
            => session::get_session_info(client, hSession, Place::new(pInfo)?);
        C_GetOperationState(
            hSession: CK_SESSION_HANDLE, pOperationState: CK_BYTE_PTR, pulOperationStateLen: CK_ULONG_PTR,
        ) => session::get_operation_state(
                client, hSession, Out::new(pOperationState, pulOperationStateLen),
            );
        C_SetOperationState(
            hSession: CK_SESSION_HANDLE, pOperationState: CK_BYTE_PTR, ulOperationStateLen: CK_ULONG,
            hEncryptionKey: CK_OBJECT_HANDLE, hAuthenticationKey: CK_OBJECT_HANDLE,
        ) => session::set_operation_state(
                client, hSession, In::new(pOperationState, ulOperationStateLen), hEncryptionKey,
                hAuthenticationKey,
            );
        C_Login(
            hSession: CK_SESSION_HANDLE, userType: CK_USER_TYPE, pPin: CK_UTF8CHAR_PTR,
            ulPinLen: CK_ULONG,
        ) => session::login(client, hSession, userType, In::new(pPin, ulPinLen));
        C_Logout(hSession: CK_SESSION_HANDLE) => session::logout(client, hSession);
        C_CreateObject(
            hSession: CK_SESSION_HANDLE, pTemplate: CK_ATTRIBUTE_PTR, ulCount: CK_ULONG,
            phObject: CK_OBJECT_HANDLE_PTR,
        ) => object::create_object(
                client, hSession, Attributes::new(pTemplate, ulCount)?, Place::new(phObject)?,
            );
        C_CopyObject(
            hSession: CK_SESSION_HANDLE, hObject: CK_OBJECT_HANDLE, pTemplate: CK_ATTRIBUTE_PTR,
            ulCount: CK_ULONG, phNewObject: CK_OBJECT_HANDLE_PTR,
        ) => object::copy_object(
                client, hSession, hObject, Attributes::new(pTemplate, ulCount)?, Place::new(phNewObject)?,
            );
        C_DestroyObject(hSession: CK_SESSION_HANDLE, hObject: CK_OBJECT_HANDLE)
            => object::destroy_object(client, hSession, hObject);
        C_GetObjectSize(hSession: CK_SESSION_HANDLE, hObject: CK_OBJECT_HANDLE, pulSize: CK_ULONG_PTR)
            => object::get_object_size(client, hSession, hObject, Place::new(pulSize)?);
        C_GetAttributeValue(
            hSession: CK_SESSION_HANDLE, hObject: CK_OBJECT_HANDLE, pTemplate: CK_ATTRIBUTE_PTR,
            ulCount: CK_ULONG,
        ) => object::get_attribute_value(client, hSession, hObject, Attributes::new(pTemplate, ulCount)?);
        C_SetAttributeValue(
            hSession: CK_SESSION_HANDLE, hObject: CK_OBJECT_HANDLE, pTemplate: CK_ATTRIBUTE_PTR,
            ulCount: CK_ULONG,
        ) => object::set_attribute_value(client, hSession, hObject, Attributes::new(pTemplate, ulCount)?);
        C_FindObjectsInit(hSession: CK_SESSION_HANDLE, pTemplate: CK_ATTRIBUTE_PTR, ulCount: CK_ULONG)
            => object::find_objects_init(client, hSession, Attributes::new(pTemplate, ulCount)?);
        C_FindObjects(
            hSession: CK_SESSION_HANDLE, phObject: CK_OBJECT_HANDLE_PTR, ulMaxObjectCount: CK_ULONG,
            pulObjectCount: CK_ULONG_PTR,
        ) => object::find_objects(
                client, hSession, OutArray::new(phObject, ulMaxObjectCount)?, Place::new(pulObjectCount)?,
            );
        C_FindObjectsFinal(hSession: CK_SESSION_HANDLE) => object::find_objects_final(client, hSession);
        C_EncryptInit(hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE)
            => encrypt::encrypt_init(client, hSession, MechanismIn::new(pMechanism), hKey);
        C_Encrypt(
            hSession: CK_SESSION_HANDLE, pData: CK_BYTE_PTR, ulDataLen: CK_ULONG,
            pEncryptedData: CK_BYTE_PTR, pulEncryptedDataLen: CK_ULONG_PTR,
        ) => encrypt::encrypt(
                client, hSession, In::new(pData, ulDataLen),
                Out::new(pEncryptedData, pulEncryptedDataLen),
            );
        C_EncryptUpdate(
            hSession: CK_SESSION_HANDLE, pPart: CK_BYTE_PTR, ulPartLen: CK_ULONG,
            pEncryptedPart: CK_BYTE_PTR, pulEncryptedPartLen: CK_ULONG_PTR,
        ) => encrypt::encrypt_update(
                client, hSession, In::new(pPart, ulPartLen),
                Out::new(pEncryptedPart, pulEncryptedPartLen),
            );
        C_EncryptFinal(
            hSession: CK_SESSION_HANDLE, pLastEncryptedPart: CK_BYTE_PTR,
            pulLastEncryptedPartLen: CK_ULONG_PTR,
        ) => encrypt::encrypt_final(
                client, hSession, Out::new(pLastEncryptedPart, pulLastEncryptedPartLen),
            );
        C_DecryptInit(hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE)
            => decrypt::decrypt_init(client, hSession, MechanismIn::new(pMechanism), hKey);
        C_Decrypt(
            hSession: CK_SESSION_HANDLE, pEncryptedData: CK_BYTE_PTR, ulEncryptedDataLen: CK_ULONG,
            pData: CK_BYTE_PTR, pulDataLen: CK_ULONG_PTR,
        ) => decrypt::decrypt(
                client, hSession, In::new(pEncryptedData, ulEncryptedDataLen),
                Out::new(pData, pulDataLen),
            );
        C_DecryptUpdate(
            hSession: CK_SESSION_HANDLE, pEncryptedPart: CK_BYTE_PTR, ulEncryptedPartLen: CK_ULONG,
            pPart: CK_BYTE_PTR, pulPartLen: CK_ULONG_PTR,
        ) => decrypt::decrypt_update(
                client, hSession, In::new(pEncryptedPart, ulEncryptedPartLen),
                Out::new(pPart, pulPartLen),
            );
        C_DecryptFinal(hSession: CK_SESSION_HANDLE, pLastPart: CK_BYTE_PTR, pulLastPartLen: CK_ULONG_PTR)
            => decrypt::decrypt_final(client, hSession, Out::new(pLastPart, pulLastPartLen));
        C_DigestInit(hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR)
            => digest::digest_init(client, hSession, MechanismIn::new(pMechanism));
        C_Digest(
            hSession: CK_SESSION_HANDLE, pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pDigest: CK_BYTE_PTR,
            pulDigestLen: CK_ULONG_PTR,
        ) => digest::digest(client, hSession, In::new(pData, ulDataLen), Out::new(pDigest, pulDigestLen));
        C_DigestUpdate(hSession: CK_SESSION_HANDLE, pPart: CK_BYTE_PTR, ulPartLen: CK_ULONG)
            => digest::digest_update(client, hSession, In::new(pPart, ulPartLen));
        C_DigestKey(hSession: CK_SESSION_HANDLE, hKey: CK_OBJECT_HANDLE)
            => digest::digest_key(client, hSession, hKey);
        C_DigestFinal(hSession: CK_SESSION_HANDLE, pDigest: CK_BYTE_PTR, pulDigestLen: CK_ULONG_PTR)
            => digest::digest_final(client, hSession, Out::new(pDigest, pulDigestLen));
        C_SignInit(hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE)
            => sign::sign_init(client, hSession, MechanismIn::new(pMechanism), hKey);
        C_Sign(
            hSession: CK_SESSION_HANDLE, pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pSignature: CK_BYTE_PTR,
            pulSignatureLen: CK_ULONG_PTR,
        ) => sign::sign(client, hSession, In::new(pData, ulDataLen), Out::new(pSignature, pulSignatureLen));
        C_SignUpdate(hSession: CK_SESSION_HANDLE, pPart: CK_BYTE_PTR, ulPartLen: CK_ULONG)
            => sign::sign_update(client, hSession, In::new(pPart, ulPartLen));
        C_SignFinal(hSession: CK_SESSION_HANDLE, pSignature: CK_BYTE_PTR, pulSignatureLen: CK_ULONG_PTR)
            => sign::sign_final(client, hSession, Out::new(pSignature, pulSignatureLen));
        C_SignRecoverInit(hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE)
            => sign::sign_recover_init(client, hSession, MechanismIn::new(pMechanism), hKey);
        C_SignRecover(
            hSession: CK_SESSION_HANDLE, pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pSignature: CK_BYTE_PTR,
            pulSignatureLen: CK_ULONG_PTR,
        ) => sign::sign_recover(
                client, hSession, In::new(pData, ulDataLen), Out::new(pSignature, pulSignatureLen),
            );
        C_VerifyInit(hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE)
            => verify::verify_init(client, hSession, MechanismIn::new(pMechanism), hKey);
        C_Verify(
            hSession: CK_SESSION_HANDLE, pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pSignature: CK_BYTE_PTR,
            ulSignatureLen: CK_ULONG,
        ) => verify::verify(
                client, hSession, In::new(pData, ulDataLen), In::new(pSignature, ulSignatureLen),
            );
        C_VerifyUpdate(hSession: CK_SESSION_HANDLE, pPart: CK_BYTE_PTR, ulPartLen: CK_ULONG)
            => verify::verify_update(client, hSession, In::new(pPart, ulPartLen));
        C_VerifyFinal(hSession: CK_SESSION_HANDLE, pSignature: CK_BYTE_PTR, ulSignatureLen: CK_ULONG)
            => verify::verify_final(client, hSession, In::new(pSignature, ulSignatureLen));
        C_VerifyRecoverInit(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE,
        ) => verify::verify_recover_init(client, hSession, MechanismIn::new(pMechanism), hKey);
        C_VerifyRecover(
            hSession: CK_SESSION_HANDLE, pSignature: CK_BYTE_PTR, ulSignatureLen: CK_ULONG,
            pData: CK_BYTE_PTR, pulDataLen: CK_ULONG_PTR,
        ) => verify::verify_recover(
                client, hSession, In::new(pSignature, ulSignatureLen), Out::new(pData, pulDataLen),
            );
        C_DigestEncryptUpdate(
            hSession: CK_SESSION_HANDLE, pPart: CK_BYTE_PTR, ulPartLen: CK_ULONG,
            pEncryptedPart: CK_BYTE_PTR, pulEncryptedPartLen: CK_ULONG_PTR,
        ) => dual::digest_encrypt_update(
                client, hSession, In::new(pPart, ulPartLen),
                Out::new(pEncryptedPart, pulEncryptedPartLen),
            );
        C_DecryptDigestUpdate(
            hSession: CK_SESSION_HANDLE, pEncryptedPart: CK_BYTE_PTR, ulEncryptedPartLen: CK_ULONG,
            pPart: CK_BYTE_PTR, pulPartLen: CK_ULONG_PTR,
        ) => dual::decrypt_digest_update(
                client, hSession, In::new(pEncryptedPart, ulEncryptedPartLen),
                Out::new(pPart, pulPartLen),
            );
        C_SignEncryptUpdate(
            hSession: CK_SESSION_HANDLE, pPart: CK_BYTE_PTR, ulPartLen: CK_ULONG,
            pEncryptedPart: CK_BYTE_PTR, pulEncryptedPartLen: CK_ULONG_PTR,
        ) => dual::sign_encrypt_update(
                client, hSession, In::new(pPart, ulPartLen),
                Out::new(pEncryptedPart, pulEncryptedPartLen),
            );
        C_DecryptVerifyUpdate(
            hSession: CK_SESSION_HANDLE, pEncryptedPart: CK_BYTE_PTR, ulEncryptedPartLen: CK_ULONG,
            pPart: CK_BYTE_PTR, pulPartLen: CK_ULONG_PTR,
        ) => dual::decrypt_verify_update(
                client, hSession, In::new(pEncryptedPart, ulEncryptedPartLen),
                Out::new(pPart, pulPartLen),
            );
        C_GenerateKey(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, pTemplate: CK_ATTRIBUTE_PTR,
            ulCount: CK_ULONG, phKey: CK_OBJECT_HANDLE_PTR,
        ) => key::generate_key(
                client, hSession, MechanismIn::new(pMechanism), Attributes::new(pTemplate, ulCount)?,
                Place::new(phKey)?,
            );
        C_GenerateKeyPair(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR,
            pPublicKeyTemplate: CK_ATTRIBUTE_PTR, ulPublicKeyAttributeCount: CK_ULONG,
            pPrivateKeyTemplate: CK_ATTRIBUTE_PTR, ulPrivateKeyAttributeCount: CK_ULONG,
            phPublicKey: CK_OBJECT_HANDLE_PTR, phPrivateKey: CK_OBJECT_HANDLE_PTR,
        ) => key::generate_key_pair(
                client, hSession, MechanismIn::new(pMechanism),
                Attributes::new(pPublicKeyTemplate, ulPublicKeyAttributeCount)?,
                Attributes::new(pPrivateKeyTemplate, ulPrivateKeyAttributeCount)?,
                Place::new(phPublicKey)?, Place::new(phPrivateKey)?,
            );
        C_WrapKey(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hWrappingKey: CK_OBJECT_HANDLE,
            hKey: CK_OBJECT_HANDLE, pWrappedKey: CK_BYTE_PTR, pulWrappedKeyLen: CK_ULONG_PTR,
        ) => key::wrap_key(
                client, hSession, MechanismIn::new(pMechanism), hWrappingKey, hKey,
                Out::new(pWrappedKey, pulWrappedKeyLen),
            );
        C_UnwrapKey(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hUnwrappingKey: CK_OBJECT_HANDLE,
            pWrappedKey: CK_BYTE_PTR, ulWrappedKeyLen: CK_ULONG, pTemplate: CK_ATTRIBUTE_PTR,
            ulAttributeCount: CK_ULONG, phKey: CK_OBJECT_HANDLE_PTR,
        ) => key::unwrap_key(
                client, hSession, MechanismIn::new(pMechanism), hUnwrappingKey,
                In::new(pWrappedKey, ulWrappedKeyLen), Attributes::new(pTemplate, ulAttributeCount)?,
                Place::new(phKey)?,
            );
        C_DeriveKey(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hBaseKey: CK_OBJECT_HANDLE,
            pTemplate: CK_ATTRIBUTE_PTR, ulAttributeCount: CK_ULONG, phKey: CK_OBJECT_HANDLE_PTR,
        ) => key::derive_key(
                client, hSession, MechanismIn::new(pMechanism), hBaseKey,
                Attributes::new(pTemplate, ulAttributeCount)?, Place::new(phKey)?,
            );
        C_SeedRandom(hSession: CK_SESSION_HANDLE, pSeed: CK_BYTE_PTR, ulSeedLen: CK_ULONG)
            => random::seed_random(client, hSession, In::new(pSeed, ulSeedLen));
        C_GenerateRandom(hSession: CK_SESSION_HANDLE, RandomData: CK_BYTE_PTR, ulRandomLen: CK_ULONG)
            => random::generate_random(client, hSession, OutArray::new(RandomData, ulRandomLen)?);
        C_GetFunctionStatus(hSession: CK_SESSION_HANDLE) => session::not_parallel();
        C_CancelFunction(hSession: CK_SESSION_HANDLE) => session::not_parallel();
        C_WaitForSlotEvent(flags: CK_FLAGS, pSlot: CK_SLOT_ID_PTR, pReserved: CK_VOID_PTR)
            => slot_token::wait_for_slot_event(client, flags, Place::new(pSlot)?, !pReserved.is_null());
    }
    v3_0 always {
        C_GetInterfaceList(pInterfacesList: CK_INTERFACE_PTR, pulCount: CK_ULONG_PTR)
            => general::get_interface_list(&INTERFACES.0, OutList::new(pInterfacesList, pulCount)?);
        C_GetInterface(
            pInterfaceName: CK_UTF8CHAR_PTR, pVersion: CK_VERSION_PTR, ppInterface: CK_INTERFACE_PTR_PTR,
            flags: CK_FLAGS,
        ) => general::get_interface(
                &INTERFACES.0, ptr::text(pInterfaceName), ptr::read(pVersion), flags,
                Place::new(ppInterface)?,
            );
    }
    v3_0 initialized {
        C_LoginUser(
            hSession: CK_SESSION_HANDLE, userType: CK_USER_TYPE, pPin: CK_UTF8CHAR_PTR,
            ulPinLen: CK_ULONG, pUsername: CK_UTF8CHAR_PTR, ulUsernameLen: CK_ULONG,
        ) => session::login_user(
                client, hSession, userType, In::new(pPin, ulPinLen), In::new(pUsername, ulUsernameLen),
            );
        C_SessionCancel(hSession: CK_SESSION_HANDLE, flags: CK_FLAGS)
            => session::session_cancel(client, hSession, flags);
    }
    v3_0 not_supported {
        C_MessageEncryptInit(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE,
        );
        C_EncryptMessage(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pAssociatedData: CK_BYTE_PTR, ulAssociatedDataLen: CK_ULONG, pPlaintext: CK_BYTE_PTR,
            ulPlaintextLen: CK_ULONG, pCiphertext: CK_BYTE_PTR, pulCiphertextLen: CK_ULONG_PTR,
        );
        C_EncryptMessageBegin(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pAssociatedData: CK_BYTE_PTR, ulAssociatedDataLen: CK_ULONG,
        );
        C_EncryptMessageNext(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pPlaintextPart: CK_BYTE_PTR, ulPlaintextPartLen: CK_ULONG, pCiphertextPart: CK_BYTE_PTR,
            pulCiphertextPartLen: CK_ULONG_PTR, flags: CK_FLAGS,
        );
        C_MessageEncryptFinal(hSession: CK_SESSION_HANDLE);
        C_MessageDecryptInit(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE,
        );
        C_DecryptMessage(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pAssociatedData: CK_BYTE_PTR, ulAssociatedDataLen: CK_ULONG, pCiphertext: CK_BYTE_PTR,
            ulCiphertextLen: CK_ULONG, pPlaintext: CK_BYTE_PTR, pulPlaintextLen: CK_ULONG_PTR,
        );
        C_DecryptMessageBegin(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pAssociatedData: CK_BYTE_PTR, ulAssociatedDataLen: CK_ULONG,
        );
        C_DecryptMessageNext(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pCiphertextPart: CK_BYTE_PTR, ulCiphertextPartLen: CK_ULONG, pPlaintextPart: CK_BYTE_PTR,
            pulPlaintextPartLen: CK_ULONG_PTR, flags: CK_FLAGS,
        );
        C_MessageDecryptFinal(hSession: CK_SESSION_HANDLE);
        C_MessageSignInit(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE,
        );
        C_SignMessage(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pSignature: CK_BYTE_PTR,
            pulSignatureLen: CK_ULONG_PTR,
        );
        C_SignMessageBegin(hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG);
        C_SignMessageNext(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pSignature: CK_BYTE_PTR,
            pulSignatureLen: CK_ULONG_PTR,
        );
        C_MessageSignFinal(hSession: CK_SESSION_HANDLE);
        C_MessageVerifyInit(
            hSession: CK_SESSION_HANDLE, pMechanism: CK_MECHANISM_PTR, hKey: CK_OBJECT_HANDLE,
        );
        C_VerifyMessage(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pSignature: CK_BYTE_PTR, ulSignatureLen: CK_ULONG,
        );
        C_VerifyMessageBegin(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
        );
        C_VerifyMessageNext(
            hSession: CK_SESSION_HANDLE, pParameter: CK_VOID_PTR, ulParameterLen: CK_ULONG,
            pData: CK_BYTE_PTR, ulDataLen: CK_ULONG, pSignature: CK_BYTE_PTR, ulSignatureLen: CK_ULONG,
        );
        C_MessageVerifyFinal(hSession: CK_SESSION_HANDLE);
    }
    v3_2 initialized {
        C_GetSessionValidationFlags(
            hSession: v3_2::CK_SESSION_HANDLE, type_: v3_2::CK_SESSION_VALIDATION_FLAGS_TYPE,
            pFlags: *mut v3_2::CK_FLAGS,
        ) => session::get_session_validation_flags(client, hSession, type_, Place::new(pFlags)?);
    }
    v3_2 not_supported {
        C_EncapsulateKey(
            hSession: v3_2::CK_SESSION_HANDLE, pMechanism: *mut v3_2::CK_MECHANISM,
            hPublicKey: v3_2::CK_OBJECT_HANDLE, pTemplate: *mut v3_2::CK_ATTRIBUTE,
            ulAttributeCount: v3_2::CK_ULONG, pCiphertext: *mut v3_2::CK_BYTE,
            pulCiphertextLen: *mut v3_2::CK_ULONG, phKey: *mut v3_2::CK_OBJECT_HANDLE,
        );
        C_DecapsulateKey(
            hSession: v3_2::CK_SESSION_HANDLE, pMechanism: *mut v3_2::CK_MECHANISM,
            hPrivateKey: v3_2::CK_OBJECT_HANDLE, pTemplate: *mut v3_2::CK_ATTRIBUTE,
            ulAttributeCount: v3_2::CK_ULONG, pCiphertext: *mut v3_2::CK_BYTE,
            ulCiphertextLen: v3_2::CK_ULONG, phKey: *mut v3_2::CK_OBJECT_HANDLE,
        );
        C_VerifySignatureInit(
            hSession: v3_2::CK_SESSION_HANDLE, pMechanism: *mut v3_2::CK_MECHANISM,
            hKey: v3_2::CK_OBJECT_HANDLE, pSignature: *mut v3_2::CK_BYTE, ulSignatureLen: v3_2::CK_ULONG,
        );
        C_VerifySignature(
            hSession: v3_2::CK_SESSION_HANDLE, pData: *mut v3_2::CK_BYTE, ulDataLen: v3_2::CK_ULONG,
        );
        C_VerifySignatureUpdate(
            hSession: v3_2::CK_SESSION_HANDLE, pPart: *mut v3_2::CK_BYTE, ulPartLen: v3_2::CK_ULONG,
        );
        C_VerifySignatureFinal(hSession: v3_2::CK_SESSION_HANDLE);
        C_AsyncComplete(
            hSession: v3_2::CK_SESSION_HANDLE, pFunctionName: *mut v3_2::CK_UTF8CHAR,
            pResult: *mut v3_2::CK_ASYNC_DATA,
        );
        C_AsyncGetID(
            hSession: v3_2::CK_SESSION_HANDLE, pFunctionName: *mut v3_2::CK_UTF8CHAR,
            pulID: *mut v3_2::CK_ULONG,
        );
        C_AsyncJoin(
            hSession: v3_2::CK_SESSION_HANDLE, pFunctionName: *mut v3_2::CK_UTF8CHAR,
            ulID: v3_2::CK_ULONG, pData: *mut v3_2::CK_BYTE, ulData: v3_2::CK_ULONG,
        );
        C_WrapKeyAuthenticated(
            hSession: v3_2::CK_SESSION_HANDLE, pMechanism: *mut v3_2::CK_MECHANISM,
            hWrappingKey: v3_2::CK_OBJECT_HANDLE, hKey: v3_2::CK_OBJECT_HANDLE,
            pAssociatedData: *mut v3_2::CK_BYTE, ulAssociatedDataLen: v3_2::CK_ULONG,
            pWrappedKey: *mut v3_2::CK_BYTE, pulWrappedKeyLen: *mut v3_2::CK_ULONG,
        );
        C_UnwrapKeyAuthenticated(
            hSession: v3_2::CK_SESSION_HANDLE, pMechanism: *mut v3_2::CK_MECHANISM,
            hUnwrappingKey: v3_2::CK_OBJECT_HANDLE, pWrappedKey: *mut v3_2::CK_BYTE,
            ulWrappedKeyLen: v3_2::CK_ULONG, pTemplate: *mut v3_2::CK_ATTRIBUTE,
            ulAttributeCount: v3_2::CK_ULONG, pAssociatedData: *mut v3_2::CK_BYTE,
            ulAssociatedDataLen: v3_2::CK_ULONG, phKey: *mut v3_2::CK_OBJECT_HANDLE,
        );
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "calls C functions")]
mod tests;
