//! Handles: numbers that are never reused.

use crate::error::Result;
use std::sync::atomic::{AtomicU64, Ordering};

/// Session handles and session-object handles start here, so that they never meet a token object's.
const SESSION_BASE: u64 = 1 << 62;

/// Numbers that suites of other projects use as handles that cannot exist.
const NEVER: [u64; 3] = [77_777, 88_888, 99_999];

/// Gives out handles of sessions and session objects; they live as long as the daemon.
pub struct Handles(AtomicU64);

impl Handles {
    /// Begins anywhere, so that a handle from before a restart is not a new session's by accident.
    ///
    /// # Errors
    /// `Internal` when no random bytes are to be had.
    pub fn new() -> Result<Handles> {
        let mut random = [0; 8];
        crate::crypto::random::fill(&mut random[..5])?;
        Ok(Self(AtomicU64::new(SESSION_BASE + (u64::from_le_bytes(random) << 16))))
    }

    /// A handle nobody has had.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Where the number of logouts stands in the handle of a private token object, above all handles of the store and below
/// [`SESSION_BASE`].
const LOGOUTS_SHIFT: u32 = 48;
/// Logouts are counted modulo this.
const MOST_LOGOUTS: u64 = 1 << 14;

/// The handle that an application is given for a private token object after so many logouts: `C_Logout` makes private
/// handles invalid for good (PKCS#11 3.2, 5.6.10), and the store's handle stays the same for ever. Before the first
/// logout they are the same.
pub fn shown(stored: u64, logouts: u64) -> u64 {
    stored | (logouts % MOST_LOGOUTS) << LOGOUTS_SHIFT
}

/// The store's handle in the handle of a token object that an application gives.
pub fn stored(shown: u64) -> u64 {
    shown & ((1 << LOGOUTS_SHIFT) - 1)
}

/// The token-object handle after `last`.
pub fn after(last: u64) -> u64 {
    let mut next = last + 1;
    while NEVER.contains(&next) {
        next += 1;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logout_changes_what_is_shown_and_not_what_is_stored() {
        assert_eq!(shown(123, 0), 123);
        for logouts in [0, 1, 2, MOST_LOGOUTS - 1] {
            assert_eq!(stored(shown(123, logouts)), 123);
            assert!(shown((1 << LOGOUTS_SHIFT) - 1, logouts) < SESSION_BASE);
            assert_ne!(shown(123, logouts), shown(123, logouts + 1));
        }
    }

    #[test]
    fn handles_that_cannot_exist_are_skipped() {
        assert_eq!(after(0), 1);
        assert_eq!(after(77_776), 77_778);
        assert_eq!(after(99_998), 100_000);
    }
}
