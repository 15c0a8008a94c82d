//! Slots: one per key ring, and the free one at the end that `C_InitToken` turns into a ring.

use std::sync::Arc;

use claviger_protocol::call::{SlotInfo, TokenInfo};
use claviger_protocol::flags::{EFFECTIVELY_INFINITE, slot, token};

use crate::access::Identity;
use crate::access::action::SEE_RING;
use crate::access::login;
use crate::access::permit::{Permit, Remembered};
use crate::access::pin::{MAX_PIN_BYTES, PinVerifier, min_pin_bytes};
use crate::application::Application;
use crate::daemon::Daemon;
use crate::kms::record::Profile;
use crate::session_table::User;
use crate::token::Token;

const MANUFACTURER: &str = "Claviger";
const MODEL: &str = "Claviger token";

impl Daemon {
    /// Number of the slot whose token is not initialised.
    pub fn free_slot(&self) -> u64 {
        self.catalog.counters().next_slot
    }

    /// Numbers of the slots that somebody sees, the free one last. A ring that they may not see has no slot.
    pub fn slots_of(self: &Arc<Self>, who: &Arc<Identity>, remembered: Option<&Remembered>) -> Vec<u64> {
        let seen = |token: &Arc<Token>| {
            Permit::new(self, who, None, token, SEE_RING).is_allowed(remembered).then_some(token.slot)
        };
        self.catalog.tokens().iter().filter_map(seen).chain([self.free_slot()]).collect()
    }
}

/// `CK_SLOT_INFO`; every slot holds a token, if only an uninitialised one, unless its project is shut.
pub fn slot_info(token: Option<&Token>) -> SlotInfo {
    let description = match token {
        Some(token) => format!("Claviger key ring {}", token.ring().name.id),
        None => "Claviger free slot".to_owned(),
    };
    SlotInfo {
        description,
        manufacturer: MANUFACTURER.to_owned(),
        flags: if token.is_some_and(Token::is_shut) { 0 } else { slot::TOKEN_PRESENT },
        hardware_version: version(),
        firmware_version: version(),
    }
}

/// `CK_TOKEN_INFO` of an initialised token, as one application sees it.
pub fn token_info(daemon: &Daemon, token: &Token, application: &Application) -> TokenInfo {
    let ring = token.ring();
    let without_pin = login::without_pin(daemon, token, &application.identity, User::User);
    let (session_count, rw_session_count) = application.table.session_counts(token.slot);
    let mut flags =
        token::RNG | token::LOGIN_REQUIRED | token::TOKEN_INITIALIZED | token::DUAL_CRYPTO_OPERATIONS;
    if ring.user_pin.is_some() || without_pin {
        flags |= token::USER_PIN_INITIALIZED;
    }
    if without_pin {
        flags |= token::PROTECTED_AUTHENTICATION_PATH;
    }
    let max = daemon.access.settings().max_pin_failures;
    flags |= pin_flags(
        ring.user_pin.as_ref(),
        max,
        [token::USER_PIN_COUNT_LOW, token::USER_PIN_FINAL_TRY, token::USER_PIN_LOCKED],
    );
    flags |= pin_flags(
        ring.so_pin.as_ref(),
        max,
        [token::SO_PIN_COUNT_LOW, token::SO_PIN_FINAL_TRY, token::SO_PIN_LOCKED],
    );
    TokenInfo {
        label: ring.token_label.clone().into(),
        serial_number: ring.token_serial.clone(),
        flags,
        session_count,
        rw_session_count,
        min_pin_len: min_pin_bytes(ring.profile) as u64,
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
        min_pin_len: min_pin_bytes(Profile::Standard) as u64,
        hardware_version: version(),
        firmware_version: version(),
        utc_time: [b' '; 16],
    }
}

/// The three flags that tell how a PIN stands: a wrong one has been given since the last right one, the next wrong
/// one locks it, it is locked (PKCS#11 3.2, table 9).
fn pin_flags(pin: Option<&PinVerifier>, max: u32, [low, last, locked]: [u64; 3]) -> u64 {
    match pin.map(|pin| (pin.tries_left(max), pin.failures)) {
        Some((0, _)) => low | locked,
        Some((1, _)) => low | last,
        Some((_, 1..)) => low,
        _ => 0,
    }
}

/// Major and minor version of this build.
fn version() -> (u8, u8) {
    let part = |text: &str| text.parse().unwrap_or(0);
    (part(env!("CARGO_PKG_VERSION_MAJOR")), part(env!("CARGO_PKG_VERSION_MINOR")))
}
