//! Project Wycheproof's vectors through the module: what they call valid must give exactly their result, what
//! they call invalid must be refused, and with a return value that says what is wrong.
//!
//! One line per vector set tells how many ran, how the token refused, and what was skipped and why. A set whose
//! mechanism is not in `C_GetMechanismList` is named and skipped.

mod aead;
mod cipher;
mod curve;
mod der;
mod dsa;
mod ecdh;
mod ecdsa;
mod eddsa;
mod hash;
mod kdf;
mod key_wrap;
mod mac;
mod mldsa;
mod others;
mod pbe;
mod refusal;
mod report;
mod rsa_encryption;
mod rsa_signature;
#[allow(dead_code, reason = "shared with the known answers")]
mod token;

use claviger_conformance::structure;
