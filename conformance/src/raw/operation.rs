//! Encryption, decryption, digests, signatures and their pairs (PKCS#11 3.2, sections 5.8 to 5.17).
#![allow(unsafe_code, reason = "calls through C function pointers")]

use std::ptr::null_mut;

use claviger_protocol::{Result, Rv};
use cryptoki_sys::*;

use super::{Output, Raw, Room, check, input, output};
use crate::mechanism::Mechanism;

/// The operations that begin with an Init, and have one-shot and multi-part forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum Operation {
    Encrypt,
    Decrypt,
    Digest,
    Sign,
    SignRecover,
    Verify,
    VerifyRecover,
}

type Start = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE) -> CK_RV;
type Transform =
    unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG) -> CK_RV;
type Finish = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_BYTE, *mut CK_ULONG) -> CK_RV;
type Feed = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG) -> CK_RV;

impl Raw {
    /// `C_XxxInit`; no mechanism is a NULL pointer, which cancels. `C_DigestInit` takes no key.
    pub fn start(
        &self,
        operation: Operation,
        session: u64,
        mechanism: Option<&Mechanism>,
        key: u64,
    ) -> Result<()> {
        let functions = &self.functions;
        let f: Option<Start> = match operation {
            Operation::Encrypt => functions.C_EncryptInit,
            Operation::Decrypt => functions.C_DecryptInit,
            Operation::Sign => functions.C_SignInit,
            Operation::SignRecover => functions.C_SignRecoverInit,
            Operation::Verify => functions.C_VerifyInit,
            Operation::VerifyRecover => functions.C_VerifyRecoverInit,
            Operation::Digest => {
                return check(match mechanism {
                    Some(mechanism) => mechanism.with(|m| call!(self.C_DigestInit(session, m))),
                    None => call!(self.C_DigestInit(session, null_mut())),
                });
            }
        };
        let f = f.expect("every Init is in the list");
        // SAFETY: the mechanism's pointers live through the call, or it is NULL on purpose.
        check(unsafe {
            match mechanism {
                Some(mechanism) => mechanism.with(|m| f(session, m, key)),
                None => f(session, null_mut(), key),
            }
        })
    }

    fn one_shot_function(&self, operation: Operation) -> Transform {
        let functions = &self.functions;
        let f: Option<Transform> = match operation {
            Operation::Encrypt => functions.C_Encrypt,
            Operation::Decrypt => functions.C_Decrypt,
            Operation::Digest => functions.C_Digest,
            Operation::Sign => functions.C_Sign,
            Operation::SignRecover => functions.C_SignRecover,
            Operation::VerifyRecover => functions.C_VerifyRecover,
            Operation::Verify => unreachable!("C_Verify gives no output"),
        };
        f.expect("in the list")
    }

    /// The one-shot function of an operation that gives output.
    pub fn one_shot(&self, operation: Operation, session: u64, data: &[u8], room: Room) -> Output {
        let (f, (data, size)) = (self.one_shot_function(operation), input(data));
        // SAFETY: as in `call!`.
        output(room, |out, length| unsafe { f(session, data, size, out, length) })
    }

    /// As [`one_shot`](Self::one_shot), into a buffer of the caller's, which costs nothing. Gives the output's length.
    pub fn one_shot_into(
        &self,
        operation: Operation,
        session: u64,
        data: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize> {
        into(self.one_shot_function(operation), session, data, buffer)
    }

    /// As [`one_shot`](Self::one_shot) of `C_Encrypt` and `C_Decrypt`, where the first `length` bytes of the buffer are the
    /// data and all of it is room for the output.
    pub fn in_place(&self, operation: Operation, session: u64, mut buffer: Vec<u8>, length: usize) -> Output {
        let functions = &self.functions;
        let f: Option<Transform> = match operation {
            Operation::Encrypt => functions.C_Encrypt,
            Operation::Decrypt => functions.C_Decrypt,
            _ => unreachable!("only ciphers work in place"),
        };
        let (mut room, data) = (buffer.len() as CK_ULONG, buffer.as_mut_ptr());
        // SAFETY: as in `call!`; both pointers are to the buffer, as section 5.2 allows.
        let rv = Rv(unsafe { f.expect("in the list")(session, data, length as CK_ULONG, data, &mut room) });
        buffer.truncate(if rv == Rv::OK { room as usize } else { 0 });
        Output { rv, length: room, data: buffer }
    }

    fn update_function(&self, operation: Operation) -> Transform {
        let functions = &self.functions;
        let f: Option<Transform> = match operation {
            Operation::Encrypt => functions.C_EncryptUpdate,
            Operation::Decrypt => functions.C_DecryptUpdate,
            _ => unreachable!("only ciphers give output as they go"),
        };
        f.expect("in the list")
    }

    /// `C_EncryptUpdate` or `C_DecryptUpdate`.
    pub fn update(&self, operation: Operation, session: u64, part: &[u8], room: Room) -> Output {
        let (f, (part, size)) = (self.update_function(operation), input(part));
        // SAFETY: as in `call!`.
        output(room, |out, length| unsafe { f(session, part, size, out, length) })
    }

    /// As [`update`](Self::update), into a buffer of the caller's.
    pub fn update_into(
        &self,
        operation: Operation,
        session: u64,
        part: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize> {
        into(self.update_function(operation), session, part, buffer)
    }

    /// `C_DigestUpdate`, `C_SignUpdate` or `C_VerifyUpdate`.
    pub fn feed(&self, operation: Operation, session: u64, part: &[u8]) -> Result<()> {
        let functions = &self.functions;
        let f: Option<Feed> = match operation {
            Operation::Digest => functions.C_DigestUpdate,
            Operation::Sign => functions.C_SignUpdate,
            Operation::Verify => functions.C_VerifyUpdate,
            _ => unreachable!("this operation is not fed"),
        };
        let (part, size) = input(part);
        // SAFETY: as in `call!`.
        check(unsafe { f.expect("in the list")(session, part, size) })
    }

    /// `C_XxxFinal` of an operation that gives output.
    pub fn finish(&self, operation: Operation, session: u64, room: Room) -> Output {
        let functions = &self.functions;
        let f: Option<Finish> = match operation {
            Operation::Encrypt => functions.C_EncryptFinal,
            Operation::Decrypt => functions.C_DecryptFinal,
            Operation::Digest => functions.C_DigestFinal,
            Operation::Sign => functions.C_SignFinal,
            _ => unreachable!("this operation has no such Final"),
        };
        // SAFETY: as in `call!`.
        output(room, |out, length| unsafe { f.expect("in the list")(session, out, length) })
    }

    /// `C_Verify`.
    pub fn verify(&self, session: u64, data: &[u8], signature: &[u8]) -> Result<()> {
        let ((data, size), (signature, length)) = (input(data), input(signature));
        check(call!(self.C_Verify(session, data, size, signature, length)))
    }

    /// `C_VerifyFinal`.
    pub fn verify_final(&self, session: u64, signature: &[u8]) -> Result<()> {
        let (signature, length) = input(signature);
        check(call!(self.C_VerifyFinal(session, signature, length)))
    }

    /// `C_DigestKey`.
    pub fn digest_key(&self, session: u64, key: u64) -> Result<()> {
        check(call!(self.C_DigestKey(session, key)))
    }

    /// The four dual-function calls, by name without `C_`.
    pub fn dual(&self, name: &str, session: u64, part: &[u8], room: Room) -> Output {
        let functions = &self.functions;
        let f: Option<Transform> = match name {
            "DigestEncryptUpdate" => functions.C_DigestEncryptUpdate,
            "DecryptDigestUpdate" => functions.C_DecryptDigestUpdate,
            "SignEncryptUpdate" => functions.C_SignEncryptUpdate,
            "DecryptVerifyUpdate" => functions.C_DecryptVerifyUpdate,
            _ => unreachable!("there are four"),
        };
        let (part, size) = input(part);
        // SAFETY: as in `call!`.
        output(room, |out, length| unsafe { f.expect("in the list")(session, part, size, out, length) })
    }

    /// `C_Sign` with NULL data and a length.
    pub fn sign_null(&self, session: u64, room: Room) -> Output {
        output(room, |out, length| call!(self.C_Sign(session, null_mut(), 32, out, length)))
    }
}

/// Calls a function with room for its output in a buffer of the caller's. Gives the output's length.
fn into(f: Transform, session: u64, data: &[u8], buffer: &mut [u8]) -> Result<usize> {
    let ((data, size), mut length) = (input(data), buffer.len() as CK_ULONG);
    // SAFETY: as in `call!`.
    check(unsafe { f(session, data, size, buffer.as_mut_ptr(), &mut length) })?;
    Ok(length as usize)
}
