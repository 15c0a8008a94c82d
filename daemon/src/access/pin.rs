//! PINs: how they are kept and checked.
//!
//! A verifier is HMAC-SHA-256(pepper, argon2id(PIN, salt)): without the pepper, which comes from the root key, a
//! stolen store does not let anybody guess even a four-digit PIN. The wrong tries are counted in the ring's
//! record before the PIN is looked at.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use bincode::{Decode, Encode};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

use crate::crypto::argon2id::{Cost, argon2id};
use crate::error::{Error, Result};
use crate::kms::record::Profile;
use crate::lock;

/// Shortest PIN, in bytes, by the profile of its token.
pub fn min_pin_bytes(profile: Profile) -> usize {
    match profile {
        Profile::Standard | Profile::Legacy => 4,
        Profile::Strict => 6,
    }
}

/// Longest PIN, in bytes.
pub const MAX_PIN_BYTES: usize = 255;

/// Argon2id (RFC 9106) for new verifiers: 19 MiB, 2 passes, 1 lane (OWASP's first choice for interactive use).
const PARAMETERS: Parameters = Parameters { memory_kib: 19 << 10, passes: 2, lanes: 1 };

/// Cost of an argon2id run, kept with each verifier so that it can rise for new ones.
#[derive(Debug, Clone, Copy, Encode, Decode)]
struct Parameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// PINs that are worked on at a time: each takes a core and 19 MiB, and half of the cores are the signers'.
fn turns() -> usize {
    static TURNS: OnceLock<usize> = OnceLock::new();
    *TURNS.get_or_init(|| std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)))
}

static TAKEN: Mutex<usize> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

/// A place among those who work on a PIN.
pub struct Turn;

impl Turn {
    /// Waits for a place. Whoever has one must not wait for another.
    pub fn take() -> Turn {
        let full = |taken: &mut usize| *taken >= turns();
        let waited = RETURNED.wait_while(lock::lock(&TAKEN), full);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock::lock(&TAKEN) -= 1;
        RETURNED.notify_one();
    }
}

/// What is kept of a PIN.
#[derive(Clone, Encode, Decode)]
pub struct PinVerifier {
    parameters: Parameters,
    salt: [u8; 16],
    tag: [u8; 32],
    /// Wrong tries since the last right one.
    pub failures: u32,
}

impl std::fmt::Debug for PinVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PinVerifier").field("failures", &self.failures).finish_non_exhaustive()
    }
}

/// The secret that every verifier is keyed with.
pub struct Pepper(Zeroizing<[u8; 32]>);

impl Pepper {
    /// From the root key's subkey for PINs.
    pub fn new(subkey: Zeroizing<[u8; 32]>) -> Pepper {
        Pepper(subkey)
    }
}

impl PinVerifier {
    /// A verifier for a new PIN.
    ///
    /// # Errors
    /// `PinLenRange` unless the PIN has [`min_pin_bytes`] to [`MAX_PIN_BYTES`] bytes.
    pub fn new(pin: &[u8], profile: Profile, pepper: &Pepper) -> Result<PinVerifier> {
        let min = min_pin_bytes(profile);
        if !(min..=MAX_PIN_BYTES).contains(&pin.len()) {
            return Err(Error::PinLenRange { length: pin.len(), min, max: MAX_PIN_BYTES });
        }
        let _turn = Turn::take();
        let mut salt = [0; 16];
        openssl::rand::rand_bytes(&mut salt)?;
        let tag = tag(pin, &salt, PARAMETERS, pepper)?;
        Ok(PinVerifier { parameters: PARAMETERS, salt, tag, failures: 0 })
    }

    /// True when this is the PIN. Takes the same time for every PIN. The caller has a [`Turn`].
    pub fn matches(&self, pin: &[u8], pepper: &Pepper) -> Result<bool> {
        let tag = tag(pin, &self.salt, self.parameters, pepper)?;
        Ok(openssl::memcmp::eq(&tag, &self.tag))
    }

    /// What tells it from the verifiers of all other PINs, also of the same.
    pub fn salt(&self) -> [u8; 16] {
        self.salt
    }

    /// Tries left, of `max` in a row.
    pub fn tries_left(&self, max: u32) -> u32 {
        max.saturating_sub(self.failures)
    }
}

fn tag(pin: &[u8], salt: &[u8; 16], parameters: Parameters, pepper: &Pepper) -> Result<[u8; 32]> {
    let Parameters { memory_kib, passes, lanes } = parameters;
    let stretched = argon2id(pin, salt, Cost { memory_kib, passes, lanes })
        .map_err(|error| Error::Internal { detail: format!("argon2id: {error}") })?;
    let key = PKey::hmac(pepper.0.as_slice())?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    signer.update(stretched.as_slice())?;
    let mut tag = [0; 32];
    signer.sign(&mut tag)?;
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(byte: u8) -> Pepper {
        Pepper::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn only_the_pin_with_its_pepper_matches() {
        let verifier = PinVerifier::new(b"1234", Profile::Standard, &pepper(1)).unwrap();
        assert!(verifier.matches(b"1234", &pepper(1)).unwrap());
        assert!(!verifier.matches(b"1235", &pepper(1)).unwrap());
        assert!(!verifier.matches(b"1234", &pepper(2)).unwrap());
        assert!(!verifier.matches(b"", &pepper(1)).unwrap());
    }

    #[test]
    fn a_pin_of_a_wrong_length_is_refused() {
        for (profile, min) in [(Profile::Standard, 4), (Profile::Legacy, 4), (Profile::Strict, 6)] {
            for length in [0, min - 1, 256] {
                let error = PinVerifier::new(&vec![b'1'; length], profile, &pepper(1)).unwrap_err();
                assert_eq!(error, Error::PinLenRange { length, min, max: 255 });
            }
            for length in [min, 255] {
                PinVerifier::new(&vec![b'1'; length], profile, &pepper(1)).unwrap();
            }
        }
    }
}
