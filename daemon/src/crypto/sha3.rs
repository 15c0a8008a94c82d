//! SHA-3 (FIPS 202) with a state that can be saved, which OpenSSL has no call for.

use claviger_protocol::mechanism::Hash;
use sha3::digest::common::hazmat::SerializableState;
use sha3::digest::{FixedOutput, Update};

/// A SHA-3 being computed.
#[derive(Clone)]
pub enum Sha3 {
    /// SHA3-224
    Bits224(sha3::Sha3_224),
    /// SHA3-256
    Bits256(sha3::Sha3_256),
    /// SHA3-384
    Bits384(sha3::Sha3_384),
    /// SHA3-512
    Bits512(sha3::Sha3_512),
}

/// Runs the same expression on whichever there is.
macro_rules! each {
    ($state:expr, $inner:ident => $body:expr) => {
        match $state {
            Sha3::Bits224($inner) => $body,
            Sha3::Bits256($inner) => $body,
            Sha3::Bits384($inner) => $body,
            Sha3::Bits512($inner) => $body,
        }
    };
}

impl Sha3 {
    /// The state before any data; `None` for other hashes.
    pub fn new(hash: Hash) -> Option<Sha3> {
        Some(match hash {
            Hash::Sha3_224 => Sha3::Bits224(sha3::Sha3_224::default()),
            Hash::Sha3_256 => Sha3::Bits256(sha3::Sha3_256::default()),
            Hash::Sha3_384 => Sha3::Bits384(sha3::Sha3_384::default()),
            Hash::Sha3_512 => Sha3::Bits512(sha3::Sha3_512::default()),
            _ => return None,
        })
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) {
        each!(self, state => state.update(data));
    }

    /// Writes the digest to the front of `digest`.
    pub fn finish(self, digest: &mut [u8; 64]) {
        each!(self, state => {
            let output = state.finalize_fixed();
            digest[..output.len()].copy_from_slice(&output);
        });
    }

    /// The state as bytes.
    pub fn save(&self) -> Vec<u8> {
        each!(self, state => state.serialize().to_vec())
    }

    /// The state of these bytes, of the same function; `None` if they are no saved state.
    pub fn restore(&self, saved: &[u8]) -> Option<Sha3> {
        Some(match self {
            Sha3::Bits224(_) => Sha3::Bits224(sha3::Sha3_224::deserialize(saved.try_into().ok()?).ok()?),
            Sha3::Bits256(_) => Sha3::Bits256(sha3::Sha3_256::deserialize(saved.try_into().ok()?).ok()?),
            Sha3::Bits384(_) => Sha3::Bits384(sha3::Sha3_384::deserialize(saved.try_into().ok()?).ok()?),
            Sha3::Bits512(_) => Sha3::Bits512(sha3::Sha3_512::deserialize(saved.try_into().ok()?).ok()?),
        })
    }
}
