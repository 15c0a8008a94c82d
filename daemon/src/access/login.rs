//! Checking PINs of a token, with the count of wrong tries, the wait after them and the lock at their end; and logins
//! that need no PIN.

use std::time::{Duration, Instant};

use super::identity::{Identity, Who};
use super::pin::{PinVerifier, Turn};
use super::policy::Principal;
use super::settings::Settings;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::record::KeyRing;
use crate::lock;
use crate::session_table::User;
use crate::token::Token;

/// Wrong tries in a row that cost no wait: people mistype.
const FREE_TRIES: u32 = 3;
/// The longest wait, in the configured unit.
const MAX_UNITS: u64 = 10;

/// Where a ring keeps a user's PIN.
pub fn pin_of(ring: &mut KeyRing, user: User) -> &mut Option<PinVerifier> {
    match user {
        User::So => &mut ring.so_pin,
        User::User => &mut ring.user_pin,
    }
}

/// Checks a PIN, in turn, so that right PINs at the same time do not count up to a lock. The try is counted, durably,
/// before the PIN is looked at, so that killing the daemon in the middle wins no further try; a right PIN sets the
/// count back. After some wrong tries each further one waits, whoever makes it, and holds up nobody else.
///
/// # Errors
/// `PinIncorrect`, `PinLocked` after too many wrong ones, `UserPinNotInitialized` when there is none.
pub fn check_pin(daemon: &Daemon, token: &Token, user: User, pin: &[u8]) -> Result<()> {
    let settings = daemon.access.settings();
    let wrong = &token.wrong_pins[usize::from(user == User::User)];
    let turn = loop {
        let turn = Turn::take();
        let mut ring = KeyRing::clone(&token.ring());
        let verifier = pin_of(&mut ring, user).as_ref().ok_or(Error::UserPinNotInitialized)?;
        if verifier.tries_left(settings.max_pin_failures) == 0 {
            return Err(Error::PinLocked);
        }
        let last = (*lock::lock(wrong)).unwrap_or(daemon.started);
        let left = (last + wait_after(verifier.failures, settings)).saturating_duration_since(Instant::now());
        if left.is_zero() {
            break turn;
        }
        drop(turn);
        std::thread::sleep(left);
    };
    let verifier = daemon.change_ring_quietly(token, |ring| {
        let verifier = pin_of(ring, user).as_mut().ok_or(Error::UserPinNotInitialized)?;
        if verifier.tries_left(settings.max_pin_failures) == 0 {
            return Err(Error::PinLocked);
        }
        verifier.failures += 1;
        Ok(verifier.clone())
    })?;
    if !verifier.matches(pin, &daemon.pepper)? {
        *lock::lock(wrong) = Some(Instant::now());
        return Err(Error::PinIncorrect);
    }
    let outcome = daemon.change_ring_quietly(token, |ring| {
        if let Some(verifier) = pin_of(ring, user) {
            verifier.failures = 0;
        }
        Ok(())
    });
    drop(turn);
    outcome
}

/// How long a try waits after so many wrong ones.
fn wait_after(failures: u32, settings: &Settings) -> Duration {
    let Some(beyond) = failures.checked_sub(FREE_TRIES + 1) else { return Duration::ZERO };
    let units = 1u64.checked_shl(beyond).unwrap_or(MAX_UNITS).clamp(1, MAX_UNITS);
    Duration::from_millis(settings.pin_delay_millis.saturating_mul(units))
}

/// True when the ring lets somebody log in without a PIN, by who they are.
pub fn without_pin(daemon: &Daemon, token: &Token, identity: &std::sync::Arc<Identity>, user: User) -> bool {
    let kept = {
        let name = token.ring().name.to_string();
        daemon.access.policies().attached(&name)
    };
    let who = Who::process(identity.clone());
    kept.logins.iter().any(|login| {
        login.so == (user == User::So)
            && Principal::parse(&login.principal).is_ok_and(|principal| principal.matches(&who))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let settings = Settings { pin_delay_millis: 100, ..Settings::default() };
        let waits: Vec<_> = (0..12).map(|failures| wait_after(failures, &settings).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 100, 200, 400, 800, 1000, 1000, 1000, 1000]);
        assert_eq!(wait_after(u32::MAX, &settings).as_millis(), 1000);
        let none = Settings { pin_delay_millis: 0, ..Settings::default() };
        assert_eq!(wait_after(9, &none), Duration::ZERO);
    }
}
