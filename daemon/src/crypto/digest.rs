//! Message digests (FIPS 180-4, FIPS 202, RFC 7693).

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::{Hash, MechanismRow, Recipe};
use claviger_protocol::params::Params;

use super::algorithm::{hash_row, md};
use super::blake2b::Blake2b;
use super::ffi::{self, Md5, Ripemd160, Sha1, Sha224, Sha256, Sha384, Sha512};
use super::key::Key;
use super::sha3::Sha3;
use crate::error::{Error, Result};

/// A digest being computed.
pub struct Digest {
    kind: Kind,
    state: State,
    /// A key was digested, so the state must not be shown.
    secret: bool,
}

/// Which function it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed(Hash),
    /// SHA-512/t with t / 8.
    Sha512T(usize),
    /// A SHAKE with this many bytes of output.
    Shake(Hash, usize),
}

enum State {
    Sha1(Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
    Md5(Md5),
    Ripemd160(Ripemd160),
    Sha3(Sha3),
    Blake2b(Blake2b),
    /// Those whose state OpenSSL does not give away, of which none is a message digest of its own.
    Evp(ffi::Digest),
}

/// First byte of a saved state: the version of its form.
const SAVED_VERSION: u8 = 1;

impl Digest {
    /// Starts a digest. `MechanismInvalid` for a mechanism that is none, `MechanismParamInvalid` for a parameter.
    pub fn new(row: &MechanismRow, params: &Params) -> Result<Digest> {
        match (row.recipe, params) {
            (Recipe::Digest(hash), Params::None) => Digest::with(hash),
            (Recipe::DigestSha512T, Params::Ulong(bits)) => Digest::sha512_t(*bits),
            (Recipe::Digest(_) | Recipe::DigestSha512T, _) => Err(Error::MechanismParamInvalid),
            _ => Err(Error::MechanismInvalid),
        }
    }

    /// Starts a digest with this hash.
    pub fn with(hash: Hash) -> Result<Digest> {
        let state = match hash {
            Hash::Sha1 => State::Sha1(Sha1::new()?),
            Hash::Sha224 => State::Sha224(Sha224::new()?),
            Hash::Sha256 => State::Sha256(Sha256::new()?),
            Hash::Sha384 => State::Sha384(Sha384::new()?),
            Hash::Sha512 => State::Sha512(Sha512::new()?),
            Hash::Sha512_224 | Hash::Sha512_256 => State::Sha512(sha512_t(hash_row(hash).length * 8)?),
            Hash::Md5 => State::Md5(Md5::new()?),
            Hash::Ripemd160 => State::Ripemd160(Ripemd160::new()?),
            Hash::Shake128 | Hash::Shake256 => return Digest::shake(hash, hash_row(hash).length),
            Hash::Blake2b160 | Hash::Blake2b256 | Hash::Blake2b384 | Hash::Blake2b512 => {
                State::Blake2b(Blake2b::new(hash_row(hash).length))
            }
            hash => match Sha3::new(hash) {
                Some(state) => State::Sha3(state),
                None => State::Evp(ffi::Digest::new(md(hash)?, None, hash_row(hash).length)?),
            },
        };
        Ok(Digest { kind: Kind::Fixed(hash), state, secret: false })
    }

    /// Starts SHA-512/t. `MechanismParamInvalid` unless t is one that FIPS 180-4 (5.3.6) allows and whole bytes.
    pub fn sha512_t(bits: u64) -> Result<Digest> {
        let valid = (8..512).contains(&bits) && bits != 384 && bits.is_multiple_of(8);
        if !valid {
            return Err(Error::MechanismParamInvalid);
        }
        let bits = bits as usize;
        Ok(Digest { kind: Kind::Sha512T(bits / 8), state: State::Sha512(sha512_t(bits)?), secret: false })
    }

    /// Starts a SHAKE that gives `length` bytes. `MechanismInvalid` for other hashes.
    pub fn shake(hash: Hash, length: usize) -> Result<Digest> {
        if !matches!(hash, Hash::Shake128 | Hash::Shake256) {
            return Err(Error::MechanismInvalid);
        }
        let state = State::Evp(ffi::Digest::extendable(md(hash)?, length)?);
        Ok(Digest { kind: Kind::Shake(hash, length), state, secret: false })
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.state {
            State::Sha1(state) => state.update(data)?,
            State::Sha224(state) => state.update(data)?,
            State::Sha256(state) => state.update(data)?,
            State::Sha384(state) => state.update(data)?,
            State::Sha512(state) => state.update(data)?,
            State::Md5(state) => state.update(data)?,
            State::Ripemd160(state) => state.update(data)?,
            State::Sha3(state) => state.update(data),
            State::Blake2b(state) => state.update(data),
            State::Evp(state) => state.update(data)?,
        }
        Ok(())
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
        match self.state {
            State::Sha1(state) => state.finish(&mut digest)?,
            State::Sha224(state) => state.finish(&mut digest)?,
            State::Sha256(state) => state.finish(&mut digest)?,
            State::Sha384(state) => state.finish(&mut digest)?,
            State::Sha512(state) => state.finish(&mut digest)?,
            State::Md5(state) => state.finish(&mut digest)?,
            State::Ripemd160(state) => state.finish(&mut digest)?,
            State::Sha3(state) => state.finish(&mut digest),
            State::Blake2b(state) => digest = state.finish(),
            State::Evp(state) => {
                let mut digest = vec![0; length];
                state.finish(&mut digest)?;
                return Ok(digest.into());
            }
        }
        Ok(Bytes::from(&digest[..length]))
    }

    /// Length of the digest in bytes.
    pub fn length(&self) -> usize {
        match self.kind {
            Kind::Fixed(hash) => hash_row(hash).length,
            Kind::Sha512T(length) | Kind::Shake(_, length) => length,
        }
    }

    /// Length in bytes of the blocks that the hash works on, which HMAC is built from (RFC 2104).
    pub fn block_length(&self) -> usize {
        match self.kind {
            Kind::Sha512T(_) => 128,
            Kind::Fixed(hash) | Kind::Shake(hash, _) => match hash {
                Hash::Sha1 | Hash::Sha224 | Hash::Sha256 | Hash::Md5 | Hash::Ripemd160 | Hash::Sm3 => 64,
                Hash::Sha384 | Hash::Sha512 | Hash::Sha512_224 | Hash::Sha512_256 => 128,
                Hash::Blake2b160 | Hash::Blake2b256 | Hash::Blake2b384 | Hash::Blake2b512 => 128,
                // The rate: 200 bytes less twice the capacity's security strength (FIPS 202, 5.2 and 6.2).
                Hash::Sha3_224 => 144,
                Hash::Sha3_256 | Hash::Shake256 => 136,
                Hash::Sha3_384 => 104,
                Hash::Sha3_512 => 72,
                Hash::Shake128 => 168,
            },
        }
    }

    /// A copy in the same state.
    pub fn try_clone(&self) -> Result<Digest> {
        let state = match &self.state {
            State::Sha1(state) => State::Sha1(state.clone()),
            State::Sha224(state) => State::Sha224(state.clone()),
            State::Sha256(state) => State::Sha256(state.clone()),
            State::Sha384(state) => State::Sha384(state.clone()),
            State::Sha512(state) => State::Sha512(state.clone()),
            State::Md5(state) => State::Md5(state.clone()),
            State::Ripemd160(state) => State::Ripemd160(state.clone()),
            State::Sha3(state) => State::Sha3(state.clone()),
            State::Blake2b(state) => State::Blake2b(state.clone()),
            State::Evp(state) => State::Evp(state.try_clone()?),
        };
        Ok(Digest { kind: self.kind, state, secret: self.secret })
    }

    /// The state as bytes for `C_GetOperationState`: a version, the hash, the hash's own state. `StateUnsaveable`
    /// once a key was digested, because the state would show it.
    pub fn save(&self) -> Result<Bytes> {
        if self.secret {
            return Err(Error::StateUnsaveable);
        }
        let state = match &self.state {
            State::Sha1(state) => state.save(),
            State::Sha224(state) => state.save(),
            State::Sha256(state) => state.save(),
            State::Sha384(state) => state.save(),
            State::Sha512(state) => state.save(),
            State::Md5(state) => state.save(),
            State::Ripemd160(state) => state.save(),
            State::Sha3(state) => state.save(),
            State::Blake2b(state) => state.save(),
            State::Evp(_) => return Err(Error::StateUnsaveable),
        };
        let mut saved = vec![SAVED_VERSION];
        saved.extend(self.kind.saved().ok_or(Error::StateUnsaveable)?);
        saved.extend(state);
        Ok(saved.into())
    }

    /// The digest of a saved state of this mechanism. `SavedStateInvalid` when it is none.
    pub fn restore(row: &MechanismRow, saved: &[u8]) -> Result<Digest> {
        let (kind, state) = match saved {
            [SAVED_VERSION, kind @ .., _] if kind.len() > 2 => saved[1..].split_at(2),
            _ => return Err(Error::SavedStateInvalid),
        };
        let mut digest = match row.recipe {
            Recipe::Digest(hash) => Digest::with(hash)?,
            Recipe::DigestSha512T => {
                Digest::sha512_t(u64::from(kind[1]) * 8).map_err(|_| Error::SavedStateInvalid)?
            }
            _ => return Err(Error::MechanismInvalid),
        };
        if digest.kind.saved().is_none_or(|own| own != kind) {
            return Err(Error::SavedStateInvalid);
        }
        digest.state = match digest.state {
            State::Sha1(_) => Sha1::restore(state).map(State::Sha1),
            State::Sha224(_) => Sha224::restore(state).map(State::Sha224),
            State::Sha256(_) => Sha256::restore(state).map(State::Sha256),
            State::Sha384(_) => Sha384::restore(state).map(State::Sha384),
            State::Sha512(_) => Sha512::restore(state).map(State::Sha512),
            State::Md5(_) => Md5::restore(state).map(State::Md5),
            State::Ripemd160(_) => Ripemd160::restore(state).map(State::Ripemd160),
            State::Sha3(own) => own.restore(state).map(State::Sha3),
            State::Blake2b(_) => Blake2b::restore(state).map(State::Blake2b),
            State::Evp(_) => None,
        }
        .ok_or(Error::SavedStateInvalid)?;
        Ok(digest)
    }
}

impl Kind {
    /// The kind as two bytes of a saved state; `None` for kinds without one.
    fn saved(self) -> Option<[u8; 2]> {
        match self {
            Kind::Fixed(hash) => Some([hash as u8, 0]),
            Kind::Sha512T(length) => Some([u8::MAX, length as u8]),
            Kind::Shake(..) => None,
        }
    }
}

/// SHA-512 with the initial value of SHA-512/t for t in bits (FIPS 180-4, 5.3.6).
fn sha512_t(bits: usize) -> Result<Sha512> {
    /// What each word of SHA-512's own initial value is changed by.
    const CHANGE: u64 = 0xa5a5_a5a5_a5a5_a5a5;
    let mut generator = Sha512::new()?;
    let changed = generator.chain().map(|word| word ^ CHANGE);
    generator.set_chain(changed);
    generator.update(format!("SHA-512/{bits}").as_bytes())?;
    let mut value = [0; 64];
    generator.finish(&mut value)?;
    let mut chain = [0; 8];
    for (word, bytes) in chain.iter_mut().zip(value.as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    let mut state = Sha512::new()?;
    state.set_chain(chain);
    Ok(state)
}
