//! Slots: one per key ring, and the free one at the end that `C_InitToken` turns into a ring.

use claviger_protocol::call::{SlotInfo, TokenInfo};
use claviger_protocol::flags::{EFFECTIVELY_INFINITE, slot, token};

use crate::access::pin::{COUNT_LOW, MAX_PIN_BYTES, MIN_PIN_BYTES, PinVerifier};
use crate::application::Application;
use crate::daemon::Daemon;
use crate::token::Token;

const MANUFACTURER: &str = "Claviger";
const MODEL: &str = "Claviger token";

impl Daemon {
    /// Number of the slot whose token is not initialised.
    pub fn free_slot(&self) -> u64 {
        self.catalog.counters().next_slot
    }

    /// Numbers of all slots, the free one last.
    pub fn slots(&self) -> Vec<u64> {
        let tokens = self.catalog.tokens();
        tokens.iter().map(|token| token.slot).chain([self.free_slot()]).collect()
    }
}

/// `CK_SLOT_INFO`; every slot holds a token, if only an uninitialised one.
pub fn slot_info(token: Option<&Token>) -> SlotInfo {
    let description = match token {
        Some(token) => format!("Claviger key ring {}", token.ring().name.id),
        None => "Claviger free slot".to_owned(),
    };
    SlotInfo {
        description,
        manufacturer: MANUFACTURER.to_owned(),
        flags: slot::TOKEN_PRESENT,
        hardware_version: version(),
        firmware_version: version(),
    }
}

/// `CK_TOKEN_INFO` of an initialised token, as one application sees it.
pub fn token_info(token: &Token, application: &Application) -> TokenInfo {
    let ring = token.ring();
    let (session_count, rw_session_count) = application.session_counts(token.slot);
    let mut flags =
        token::RNG | token::LOGIN_REQUIRED | token::TOKEN_INITIALIZED | token::DUAL_CRYPTO_OPERATIONS;
    if ring.user_pin.is_some() {
        flags |= token::USER_PIN_INITIALIZED;
    }
    flags |= pin_flags(
        ring.user_pin.as_ref(),
        [token::USER_PIN_COUNT_LOW, token::USER_PIN_FINAL_TRY, token::USER_PIN_LOCKED],
    );
    flags |= pin_flags(
        ring.so_pin.as_ref(),
        [token::SO_PIN_COUNT_LOW, token::SO_PIN_FINAL_TRY, token::SO_PIN_LOCKED],
    );
    TokenInfo {
        label: ring.token_label.clone().into(),
        serial_number: ring.token_serial.clone(),
        flags,
        session_count,
        rw_session_count,
        ..blank_token_info()
    }
}

/// `CK_TOKEN_INFO` of the free slot.
pub fn free_token_info() -> TokenInfo {
    TokenInfo { flags: token::RNG | token::LOGIN_REQUIRED, ..blank_token_info() }
}

fn blank_token_info() -> TokenInfo {
    TokenInfo {
        label: Vec::new().into(),
        manufacturer: MANUFACTURER.to_owned(),
        model: MODEL.to_owned(),
        serial_number: String::new(),
        flags: 0,
        max_session_count: EFFECTIVELY_INFINITE,
        session_count: 0,
        max_rw_session_count: EFFECTIVELY_INFINITE,
        rw_session_count: 0,
        max_pin_len: MAX_PIN_BYTES as u64,
        min_pin_len: MIN_PIN_BYTES as u64,
        hardware_version: version(),
        firmware_version: version(),
        utc_time: [b' '; 16],
    }
}

/// The three flags that tell how a PIN stands: few tries left, one left, none left.
fn pin_flags(pin: Option<&PinVerifier>, [low, last, locked]: [u64; 3]) -> u64 {
    match pin.map(PinVerifier::tries_left) {
        Some(0) => locked,
        Some(1) => low | last,
        Some(left) if left <= COUNT_LOW => low,
        _ => 0,
    }
}

/// Major and minor version of this build.
fn version() -> (u8, u8) {
    let part = |text: &str| text.parse().unwrap_or(0);
    (part(env!("CARGO_PKG_VERSION_MAJOR")), part(env!("CARGO_PKG_VERSION_MINOR")))
}
