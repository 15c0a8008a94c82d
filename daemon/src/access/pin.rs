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
    /// `PinLenRange` unless the PIN has [`min_pin_bytes`] to [`MAX_PIN_BYTES`] bytes; `PinWeak` in `strict` for one that
    /// everybody tries first.
    pub fn new(pin: &[u8], profile: Profile, pepper: &Pepper) -> Result<PinVerifier> {
        let min = min_pin_bytes(profile);
        if !(min..=MAX_PIN_BYTES).contains(&pin.len()) {
            return Err(Error::PinLenRange { length: pin.len(), min, max: MAX_PIN_BYTES });
        }
        if profile == Profile::Strict && is_weak(pin) {
            return Err(Error::PinWeak);
        }
        let _turn = Turn::take();
        let mut salt = [0; 16];
        openssl::rand::rand_bytes(&mut salt)?;
        let tag = tag(pin, &salt, PARAMETERS, pepper)?;
        Ok(PinVerifier { parameters: PARAMETERS, salt, tag, failures: 0 })
    }

    /// One whose KDF costs as little as it can: for what comes after it.
    #[cfg(test)]
    pub(crate) fn cheap(pin: &[u8], pepper: &Pepper) -> PinVerifier {
        let parameters = Parameters { memory_kib: 8, passes: 1, lanes: 1 };
        let salt = [7; 16];
        let tag = tag(pin, &salt, parameters, pepper).unwrap();
        PinVerifier { parameters, salt, tag, failures: 0 }
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

/// Words that lead the published lists of leaked passwords and have no other pattern, in lower case; digits that stand
/// for letters are read as the letters.
const COMMON: &[&str] = &[
    "password",
    "passphrase",
    "qwerty",
    "qwertyuiop",
    "qwertz",
    "azerty",
    "asdfgh",
    "asdfghjkl",
    "zxcvbn",
    "letmein",
    "changeme",
    "default",
    "secret",
    "welcome",
    "iloveyou",
    "dragon",
    "monkey",
    "football",
    "baseball",
    "sunshine",
    "princess",
    "master",
    "shadow",
    "trustno",
    "administrator",
    "claviger",
    "useruser",
    "userpin",
    "sopin",
    "testtest",
    "qazwsx",
    "qazwsxedc",
];

/// True for a PIN that everybody tries first: one or two different bytes, a piece of up to three bytes again and again,
/// bytes that rise or fall by one, a common word with digits around it.
fn is_weak(pin: &[u8]) -> bool {
    let again =
        (1..=3).any(|period| pin.len() >= 2 * period && pin.iter().zip(&pin[period..]).all(|(a, b)| a == b));
    let few = pin.iter().collect::<std::collections::BTreeSet<_>>().len() <= 2;
    let step = |by: u8| pin.windows(2).all(|pair| pair[0].wrapping_add(by) == pair[1]);
    // 0 comes after 9 on a keypad.
    let digits =
        pin.windows(2).all(|pair| pair[1] == if pair[0] == b'9' { b'0' } else { pair[0].wrapping_add(1) });
    let as_letter = |byte: u8| match byte {
        b'0' => b'o',
        b'1' | b'!' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        other => other.to_ascii_lowercase(),
    };
    let is_around = |byte: &u8| !byte.is_ascii_alphabetic();
    let from = pin.iter().position(|byte| !is_around(byte)).unwrap_or(pin.len());
    let end = pin.iter().rposition(|byte| !is_around(byte)).map_or(from, |last| last + 1);
    let spelled = |part: &[u8]| Zeroizing::new(part.iter().map(|byte| as_letter(*byte)).collect::<Vec<u8>>());
    // With what may stand for a letter as part of the word, and as something around it.
    let words = [spelled(pin), spelled(&pin[from..]), spelled(&pin[..end]), spelled(&pin[from..end])];
    let common = words.iter().any(|word| COMMON.iter().any(|common| common.as_bytes() == word.as_slice()));
    again || few || step(1) || step(0xff) || digits || common
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
    fn weak_pins_are_known() {
        let weak = [
            "111111",
            "121212",
            "112211",
            "123456",
            "654321",
            "345678901",
            "abcdef",
            "fedcba",
            "123123",
            "abcabcab",
            "Password",
            "P@ssw0rd",
            "password1",
            "12qwerty",
            "letmein!",
            "Welcome2024",
            "CHANGEME",
            "s3cret99",
            "aaaaaaaa",
        ];
        for pin in weak {
            assert!(is_weak(pin.as_bytes()), "{pin}");
            assert_eq!(
                PinVerifier::new(pin.as_bytes(), Profile::Strict, &pepper(1)).unwrap_err(),
                Error::PinWeak
            );
        }
        for pin in [
            "135246",
            "so-pin-0",
            "user-pin-12",
            "the PIN of the user",
            "271828",
            "correct horse",
            "\u{e4}\u{f6}\u{fc}7",
        ] {
            assert!(!is_weak(pin.as_bytes()), "{pin}");
        }
        PinVerifier::new(b"1234", Profile::Standard, &pepper(1)).unwrap();
    }

    #[test]
    fn a_pin_of_a_wrong_length_is_refused() {
        for (profile, min) in [(Profile::Standard, 4), (Profile::Legacy, 4), (Profile::Strict, 6)] {
            for length in [0, min - 1, 256] {
                let error = PinVerifier::new(&vec![b'1'; length], profile, &pepper(1)).unwrap_err();
                assert_eq!(error, Error::PinLenRange { length, min, max: 255 });
            }
            for length in [min, 255] {
                PinVerifier::new(&b"7261".repeat(64)[..length], profile, &pepper(1)).unwrap();
            }
        }
    }
}
