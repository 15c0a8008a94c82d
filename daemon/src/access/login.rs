//! Checking PINs of a token, with the count of wrong tries and the lock at their end.

use super::pin::{PinVerifier, Turn};
use crate::application::User;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::record::KeyRing;
use crate::token::Token;

/// Where a ring keeps a user's PIN.
pub fn pin_of(ring: &mut KeyRing, user: User) -> &mut Option<PinVerifier> {
    match user {
        User::So => &mut ring.so_pin,
        User::User => &mut ring.user_pin,
    }
}

/// Checks a PIN, in turn, so that right PINs at the same time do not count up to a lock. The try is counted, durably, before the PIN is looked at, so that killing the daemon in the
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
