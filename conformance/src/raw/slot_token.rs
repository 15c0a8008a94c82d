//! Slot and token management (PKCS#11 3.2, section 5.5).
#![allow(unsafe_code, reason = "calls through C function pointers")]

use std::ptr::null_mut;

use claviger_protocol::{MechanismType, Result, Rv};
use cryptoki_sys::*;

use super::{Raw, check, input};

impl Raw {
    /// `C_GetSlotList`; `room` none is a size query. Gives the count left and the slots.
    pub fn slots(&self, token_present: bool, room: Option<u64>) -> (Rv, u64, Vec<u64>) {
        let mut slots = vec![0; room.unwrap_or(0) as usize];
        let mut count = room.unwrap_or(0);
        let pointer = if room.is_some() { slots.as_mut_ptr() } else { null_mut() };
        let rv = Rv(call!(self.C_GetSlotList(u8::from(token_present), pointer, &mut count)));
        slots.truncate(if rv == Rv::OK { count as usize } else { 0 });
        (rv, count, slots)
    }

    /// `C_GetSlotInfo`.
    pub fn slot_info(&self, slot: u64) -> Result<CK_SLOT_INFO> {
        let mut info = CK_SLOT_INFO::default();
        check(call!(self.C_GetSlotInfo(slot, &mut info))).map(|()| info)
    }

    /// `C_GetTokenInfo`.
    pub fn token_info(&self, slot: u64) -> Result<CK_TOKEN_INFO> {
        let mut info = CK_TOKEN_INFO::default();
        check(call!(self.C_GetTokenInfo(slot, &mut info))).map(|()| info)
    }

    /// `C_GetMechanismList`; `room` none is a size query.
    pub fn mechanisms(&self, slot: u64, room: Option<u64>) -> (Rv, u64, Vec<MechanismType>) {
        let mut mechanisms = vec![0; room.unwrap_or(0) as usize];
        let mut count = room.unwrap_or(0);
        let pointer = if room.is_some() { mechanisms.as_mut_ptr() } else { null_mut() };
        let rv = Rv(call!(self.C_GetMechanismList(slot, pointer, &mut count)));
        mechanisms.truncate(if rv == Rv::OK { count as usize } else { 0 });
        (rv, count, mechanisms.into_iter().map(MechanismType).collect())
    }

    /// `C_GetMechanismInfo`.
    pub fn mechanism_info(&self, slot: u64, mechanism: MechanismType) -> Result<CK_MECHANISM_INFO> {
        let mut info = CK_MECHANISM_INFO::default();
        check(call!(self.C_GetMechanismInfo(slot, mechanism.0, &mut info))).map(|()| info)
    }

    /// `C_WaitForSlotEvent`.
    pub fn wait_for_slot_event(&self, flags: u64) -> Result<u64> {
        let mut slot = 0;
        check(call!(self.C_WaitForSlotEvent(flags, &mut slot, null_mut()))).map(|()| slot)
    }

    /// `C_InitToken`; the label is padded with blanks.
    pub fn init_token(&self, slot: u64, pin: &[u8], label: &str) -> Result<()> {
        let mut padded = [b' '; 32];
        padded[..label.len()].copy_from_slice(label.as_bytes());
        let (pin, length) = input(pin);
        check(call!(self.C_InitToken(slot, pin, length, padded.as_mut_ptr())))
    }

    /// `C_InitPIN`.
    pub fn init_pin(&self, session: u64, pin: &[u8]) -> Result<()> {
        let (pin, length) = input(pin);
        check(call!(self.C_InitPIN(session, pin, length)))
    }

    /// `C_SetPIN`.
    pub fn set_pin(&self, session: u64, old: &[u8], new: &[u8]) -> Result<()> {
        let (old, old_length) = input(old);
        let (new, new_length) = input(new);
        check(call!(self.C_SetPIN(session, old, old_length, new, new_length)))
    }
}
