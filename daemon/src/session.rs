//! Sessions: an application's conversation with a token.

use std::sync::{Arc, Mutex};

use claviger_protocol::flags::state;

use crate::access::permit::Permit;
use crate::operation::Operations;
use crate::session_table::User;
use crate::token::Token;

/// One session.
pub struct Session {
    /// `CK_SESSION_HANDLE`, never reused.
    pub handle: u64,
    /// Slot it is open on.
    pub slot: u64,
    /// Token in that slot.
    pub token: Arc<Token>,
    /// `CKF_RW_SESSION`.
    pub read_write: bool,
    /// What it is in the middle of.
    pub operations: Mutex<Operations>,
    /// Leave to see the token, as it was last looked at.
    pub sight: Permit,
}

impl Session {
    /// A session that is in the middle of nothing.
    pub fn new(handle: u64, token: Arc<Token>, read_write: bool, sight: Permit) -> Session {
        Session { handle, slot: token.slot, token, read_write, operations: Mutex::default(), sight }
    }

    /// `CK_STATE`, which depends on who is logged in (PKCS#11 3.2, section 5.6.1).
    pub fn state(&self, login: Option<User>) -> u64 {
        match (login, self.read_write) {
            (None, false) => state::RO_PUBLIC_SESSION,
            (None, true) => state::RW_PUBLIC_SESSION,
            (Some(User::User), false) => state::RO_USER_FUNCTIONS,
            (Some(User::User), true) => state::RW_USER_FUNCTIONS,
            (Some(User::So), _) => state::RW_SO_FUNCTIONS,
        }
    }
}
