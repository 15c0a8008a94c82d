//! Message digests (FIPS 180-4).

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::{Hash, MechanismRow, Recipe};
use claviger_protocol::params::Params;

use super::algorithm::hash_row;
use super::ffi::{Sha1, Sha224, Sha256, Sha384, Sha512};
use super::key::Key;
use crate::error::{Error, Result};

/// A digest being computed.
pub struct Digest {
    hash: Hash,
    state: State,
    /// A key was digested, so the state must not be shown.
    secret: bool,
}

#[derive(Clone)]
enum State {
    Sha1(Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

/// Runs the same expression on whichever state there is.
macro_rules! each {
    ($state:expr, $inner:ident => $body:expr) => {
        match $state {
            State::Sha1($inner) => $body,
            State::Sha224($inner) => $body,
            State::Sha256($inner) => $body,
            State::Sha384($inner) => $body,
            State::Sha512($inner) => $body,
        }
    };
}

/// First byte of a saved state: the version of its form.
const SAVED_VERSION: u8 = 1;

impl Digest {
    /// Starts a digest. `MechanismInvalid` for a mechanism that is none, `MechanismParamInvalid` for a parameter.
    pub fn new(row: &MechanismRow, params: &Params) -> Result<Digest> {
        let Recipe::Digest(hash) = row.recipe else { return Err(Error::MechanismInvalid) };
        if *params != Params::None {
            return Err(Error::MechanismParamInvalid);
        }
        Digest::with(hash)
    }

    /// Starts a digest with this hash.
    pub fn with(hash: Hash) -> Result<Digest> {
        let state = match hash {
            Hash::Sha1 => State::Sha1(Sha1::new()?),
            Hash::Sha224 => State::Sha224(Sha224::new()?),
            Hash::Sha256 => State::Sha256(Sha256::new()?),
            Hash::Sha384 => State::Sha384(Sha384::new()?),
            Hash::Sha512 => State::Sha512(Sha512::new()?),
        };
        Ok(Digest { hash, state, secret: false })
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        Ok(each!(&mut self.state, state => state.update(data))?)
    }

    /// Takes the value of a secret key (`C_DigestKey`); the state cannot be saved afterwards. `KeyIndigestible` for
    /// other keys.
    pub fn update_key(&mut self, key: &Key) -> Result<()> {
        let value = key.secret().map_err(|_| Error::KeyIndigestible)?;
        self.secret = true;
        self.update(value)
    }

    /// The digest.
    pub fn finish(self) -> Result<Bytes> {
        let length = self.length();
        let mut digest = [0; 64];
        each!(self.state, state => state.finish(&mut digest))?;
        Ok(Bytes::from(&digest[..length]))
    }

    /// Length of the digest in bytes.
    pub fn length(&self) -> usize {
        hash_row(self.hash).length
    }

    /// A copy in the same state.
    pub fn try_clone(&self) -> Result<Digest> {
        Ok(Digest { hash: self.hash, state: self.state.clone(), secret: self.secret })
    }

    /// The state as bytes for `C_GetOperationState`: a version, the hash, the hash's own state. `StateUnsaveable`
    /// once a key was digested, because the state would show it.
    pub fn save(&self) -> Result<Bytes> {
        if self.secret {
            return Err(Error::StateUnsaveable);
        }
        let mut saved = vec![SAVED_VERSION, self.hash as u8];
        saved.extend(each!(&self.state, state => state.save()));
        Ok(saved.into())
    }

    /// The digest of a saved state of this mechanism. `SavedStateInvalid` when it is none.
    pub fn restore(row: &MechanismRow, saved: &[u8]) -> Result<Digest> {
        let mut digest = Digest::new(row, &Params::None)?;
        let state = match saved {
            [SAVED_VERSION, hash, state @ ..] if *hash == digest.hash as u8 => state,
            _ => return Err(Error::SavedStateInvalid),
        };
        digest.state = match digest.hash {
            Hash::Sha1 => Sha1::restore(state).map(State::Sha1),
            Hash::Sha224 => Sha224::restore(state).map(State::Sha224),
            Hash::Sha256 => Sha256::restore(state).map(State::Sha256),
            Hash::Sha384 => Sha384::restore(state).map(State::Sha384),
            Hash::Sha512 => Sha512::restore(state).map(State::Sha512),
        }
        .ok_or(Error::SavedStateInvalid)?;
        Ok(digest)
    }
}
