//! Cryptography: a mechanism's recipe carried out by OpenSSL. Bytes go in, bytes come out; nothing here knows
//! sessions, objects, policies or the store.
//!
//! * [`key`] a live key, parsed once: [`components`] makes it from a template, [`attributes`] describes it
//! * [`curve`] the table of named curves; `field` keys over prime fields (DSA, Diffie-Hellman)
//! * [`digest`], [`sign`], [`verify`], [`cipher`] the operations, one type each
//! * `signature` signature schemes, shared by [`sign`] and [`verify`], [`post_quantum`] those of FIPS 204 and 205, and ML-KEM; `mac`
//!   message authentication codes
//! * `rsa` padding of RSA; `block`, `cfb64`, `aead`, `whole` and `key_wrap` the kinds of symmetric ciphers
//! * [`sm2`], [`xwing`] pairs that only the key service uses; [`argon2id`] keys from PINs and passphrases
//! * [`generate`] new keys; [`derive`] keys from keys and passwords; [`wrap`] keys under keys; [`random`] the random generator
//! * [`hmac_sha256`] for the store and the audit log
//! * `algorithm` OpenSSL's hashes and ciphers, fetched once; `der` the little DER that PKCS#11 attributes need
//! * `ffi` what the `openssl` crate lacks, and the only unsafe code

mod aead;
mod algorithm;
pub mod argon2id;
pub mod attributes;
mod blake2b;
mod block;
mod cbc_mac;
mod cfb64;
pub mod cipher;
pub mod components;
pub mod curve;
mod der;
pub mod derive;
pub mod digest;
#[allow(unsafe_code, reason = "calls of OpenSSL functions that the `openssl` crate lacks")]
mod ffi;
pub mod field;
pub mod generate;
pub mod hmac_sha256;
pub mod key;
mod key_wrap;
mod mac;
mod message;
pub mod post_quantum;
pub mod random;
mod rsa;
mod sha3;
pub mod sign;
mod signature;
pub mod sm2;
#[cfg(test)]
mod tests;
pub mod verify;
mod whole;
pub mod wrap;
pub mod xwing;

pub use cipher::{Cipher, Direction};
pub use digest::Digest;
pub use ffi::secure_heap;
pub use key::Key;
pub use sign::Signer;
pub use verify::Verifier;
