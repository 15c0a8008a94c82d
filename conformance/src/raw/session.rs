//! Sessions and random numbers (PKCS#11 3.2, sections 5.6 and 5.19).
#![allow(unsafe_code, reason = "calls through C function pointers")]

use std::ptr::null_mut;

use claviger_protocol::Result;
use cryptoki_sys::*;

use super::{GUARD, Output, Raw, Room, check, input, optional, output};

impl Raw {
    /// `C_OpenSession`.
    pub fn open_session(&self, slot: u64, flags: u64) -> Result<u64> {
        let mut session = 0;
        check(call!(self.C_OpenSession(slot, flags, null_mut(), None, &mut session))).map(|()| session)
    }

    /// `C_CloseSession`.
    pub fn close_session(&self, session: u64) -> Result<()> {
        check(call!(self.C_CloseSession(session)))
    }

    /// `C_CloseAllSessions`.
    pub fn close_all_sessions(&self, slot: u64) -> Result<()> {
        check(call!(self.C_CloseAllSessions(slot)))
    }

    /// `C_GetSessionInfo`.
    pub fn session_info(&self, session: u64) -> Result<CK_SESSION_INFO> {
        let mut info = CK_SESSION_INFO::default();
        check(call!(self.C_GetSessionInfo(session, &mut info))).map(|()| info)
    }

    /// `C_Login`.
    pub fn login(&self, session: u64, user: u64, pin: Option<&[u8]>) -> Result<()> {
        let (pin, length) = optional(pin);
        check(call!(self.C_Login(session, user, pin, length)))
    }

    /// `C_Logout`.
    pub fn logout(&self, session: u64) -> Result<()> {
        check(call!(self.C_Logout(session)))
    }

    /// `C_SessionCancel`, which the list of 2.40 has not.
    pub fn session_cancel(&self, session: u64, flags: u64) -> Result<()> {
        let f = self.library.C_SessionCancel.as_ref().expect("C_SessionCancel is exported");
        // SAFETY: takes two numbers.
        check(unsafe { f(session, flags) })
    }

    /// `C_GetOperationState`.
    pub fn operation_state(&self, session: u64, room: Room) -> Output {
        output(room, |out, length| call!(self.C_GetOperationState(session, out, length)))
    }

    /// `C_SetOperationState`, without keys.
    pub fn set_operation_state(&self, session: u64, state: &[u8]) -> Result<()> {
        let (state, length) = input(state);
        check(call!(self.C_SetOperationState(session, state, length, 0, 0)))
    }

    /// `C_SeedRandom`.
    pub fn seed_random(&self, session: u64, seed: &[u8]) -> Result<()> {
        let (seed, length) = input(seed);
        check(call!(self.C_SeedRandom(session, seed, length)))
    }

    /// `C_GenerateRandom`.
    pub fn generate_random(&self, session: u64, length: usize) -> Result<Vec<u8>> {
        let mut random = [vec![0; length], GUARD.to_vec()].concat();
        check(call!(self.C_GenerateRandom(session, random.as_mut_ptr(), length as u64)))?;
        assert_eq!(random[length..], GUARD, "the call wrote beyond the buffer of {length} bytes");
        random.truncate(length);
        Ok(random)
    }

    /// `C_GenerateRandom` with a NULL buffer and a length.
    pub fn generate_random_null(&self, session: u64) -> Result<()> {
        check(call!(self.C_GenerateRandom(session, null_mut(), 8)))
    }
}
