//! Known answers for what Wycheproof has no vectors of. An expected value is published (its source is beside
//! it), or comes from another implementation: the `openssl` program, or the construction spelled out here over
//! libcrypto's primitives.
//!
//! One line per mechanism that the token does not list tells that it was skipped.

mod cipher;
mod counts;
mod derivation;
mod digest;
mod field;
mod legacy;
mod mac;
mod pairs;
mod post_quantum;
mod rsa;

#[allow(dead_code, reason = "shared with the Wycheproof tests")]
#[path = "../wycheproof/refusal.rs"]
mod refusal;
#[allow(dead_code, reason = "shared with the Wycheproof tests")]
#[path = "../wycheproof/token.rs"]
mod token;

use std::io::Write as _;

use claviger_conformance::prelude::*;
use claviger_conformance::structure;

use crate::token::Token;

/// True when the token lists the mechanism; says so when it does not.
fn lists(token: &Token, mechanism: M) -> bool {
    let listed = token.offers(mechanism);
    if !listed {
        let _ =
            writeln!(std::io::stdout().lock(), "known answers: skipped: the token does not list {mechanism}");
    }
    listed
}

/// Bytes that are different everywhere.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 151 + i / 256 + 7) as u8).collect()
}

/// A key whose bytes have odd parity, as DES wants it (FIPS 46-3).
fn key_bytes(length: usize) -> Vec<u8> {
    pattern(length)
        .into_iter()
        .map(|byte| byte & 0xfe | u8::from((byte >> 1).count_ones() % 2 == 0))
        .collect()
}

const ENCRYPT_DECRYPT: &[A] = &[A::ENCRYPT, A::DECRYPT];
const SIGN_VERIFY: &[A] = &[A::SIGN, A::VERIFY];
