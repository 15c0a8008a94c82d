//! Checking PINs of a token, with the count of wrong tries and the lock at their end.

use std::sync::{Condvar, Mutex, PoisonError};

use super::pin::PinVerifier;
use crate::application::User;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::record::KeyRing;
use crate::lock;
use crate::token::Token;

/// PINs that are checked at a time. Each takes a core and 19 MiB; more would slow signers down.
const CHECKS_AT_A_TIME: usize = 2;

static CHECKS: Mutex<usize> = Mutex::new(0);
static CHECK_DONE: Condvar = Condvar::new();

/// A place among those who check a PIN; waits for one.
struct Turn;

impl Turn {
    fn take() -> Turn {
        let busy = |checks: &mut usize| *checks >= CHECKS_AT_A_TIME;
        let waited = CHECK_DONE.wait_while(lock::lock(&CHECKS), busy);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock::lock(&CHECKS) -= 1;
        CHECK_DONE.notify_one();
    }
}

/// Where a ring keeps a user's PIN.
pub fn pin_of(ring: &mut KeyRing, user: User) -> &mut Option<PinVerifier> {
    match user {
        User::So => &mut ring.so_pin,
        User::User => &mut ring.user_pin,
    }
}

/// Checks a PIN. The try is counted, durably, before the PIN is looked at, so that killing the daemon in the
/// middle wins no further try; a right PIN sets the count back.
///
/// # Errors
/// `PinIncorrect`, `PinLocked` after too many wrong ones, `UserPinNotInitialized` when there is none.
pub fn check_pin(daemon: &Daemon, token: &Token, user: User, pin: &[u8]) -> Result<()> {
    let _turn = Turn::take();
    let verifier = daemon.change_ring(token, |ring| {
        let verifier = pin_of(ring, user).as_mut().ok_or(Error::UserPinNotInitialized)?;
        if verifier.locked() {
            return Err(Error::PinLocked);
        }
        verifier.failures += 1;
        Ok(verifier.clone())
    })?;
    if !verifier.matches(pin, &daemon.pepper)? {
        return Err(Error::PinIncorrect);
    }
    daemon.change_ring(token, |ring| {
        if let Some(verifier) = pin_of(ring, user) {
            verifier.failures = 0;
        }
        Ok(())
    })
}
