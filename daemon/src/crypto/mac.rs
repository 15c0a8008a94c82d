//! Message authentication codes: HMAC (RFC 2104), CMAC (SP 800-38B), GMAC (SP 800-38D), Poly1305 (RFC 8439), and
//! those of `cbc_mac`.

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::{Cipher, Hash, MechanismRow, Recipe};
use claviger_protocol::params::Params;
use zeroize::Zeroizing;

use super::cbc_mac::CbcMac;
use super::digest::Digest;
use super::key::Key;
use super::{algorithm, ffi};
use crate::error::{Error, Result};

/// Length of the longest MAC, in bytes.
const LONGEST: usize = 64;

/// A MAC being computed.
pub struct Mac {
    state: State,
    /// How many bytes of it the mechanism shows.
    length: usize,
}

#[allow(clippy::large_enum_variant, reason = "one per operation; a box would cost every MAC an allocation")]
enum State {
    /// One that OpenSSL has.
    Evp(ffi::Mac),
    /// HMAC with a hash that OpenSSL's own cannot be told about: the inner and the outer digest.
    Hmac(Digest, Digest),
    Cbc(CbcMac),
}

impl Mac {
    /// Starts a MAC; `None` for a mechanism that is none.
    ///
    /// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`.
    pub fn new(row: &MechanismRow, params: &Params, key: &Key) -> Result<Option<Mac>> {
        let (state, length) = match row.recipe {
            Recipe::Hmac { hash, general } => {
                let value = checked(row, key)?;
                let length = shown(params, general, algorithm::hash_row(hash).length)?;
                (hmac(hash, value)?, length)
            }
            Recipe::HmacSha512T => {
                let value = checked(row, key)?;
                let Params::Ulong(bits) = params else { return Err(Error::MechanismParamInvalid) };
                let digest = Digest::sha512_t(*bits)?;
                let length = digest.length();
                (hmac_of(&digest, value)?, length)
            }
            Recipe::Cmac { cipher, general } => {
                let value = key.secret()?;
                let mac = cmac(cipher, value)?;
                (State::Evp(mac), shown(params, general, block_length(cipher))?)
            }
            Recipe::CbcMac { cipher, general } => {
                let full = block_length(cipher);
                let mac = CbcMac::new(cipher, key.secret()?)?;
                // Half a block when nothing else is asked for (PKCS#11 3.2, 6.10.8).
                let length =
                    if general { shown(params, true, full)? } else { shown(params, false, full / 2)? };
                (State::Cbc(mac), length)
            }
            Recipe::XcbcMac { length } => {
                (State::Cbc(CbcMac::xcbc(key.secret()?)?), shown(params, false, length)?)
            }
            Recipe::Gmac => {
                let value = key.secret()?;
                let Params::Gcm { iv, aad, tag_bits } = params else {
                    return Err(Error::MechanismParamInvalid);
                };
                // What is authenticated is the data, so there is no room for more in the parameter.
                let valid = (1..=128).contains(&iv.len())
                    && aad.is_empty()
                    && matches!(tag_bits, 32 | 64 | 96 | 104 | 112 | 120 | 128);
                if !valid {
                    return Err(Error::MechanismParamInvalid);
                }
                let mut mac = algorithm::cipher_mac(c"GMAC", Cipher::Aes, value.len())?;
                mac.set(c"iv", ffi::Part::Octets(iv))?;
                mac.start(value)?;
                (State::Evp(mac), (*tag_bits / 8) as usize)
            }
            Recipe::Poly1305 => {
                let value = checked(row, key)?;
                let length = shown(params, false, 16)?;
                let mut mac = algorithm::poly1305()?;
                mac.start(value)?;
                (State::Evp(mac), length)
            }
            _ => return Ok(None),
        };
        Ok(Some(Mac { state, length }))
    }

    /// HMAC with this hash, whole.
    pub fn hmac(hash: Hash, key: &[u8]) -> Result<Mac> {
        Ok(Mac { state: hmac(hash, key)?, length: algorithm::hash_row(hash).length })
    }

    /// CMAC with this cipher, whole. `KeySizeRange`.
    pub fn cmac(cipher: Cipher, key: &[u8]) -> Result<Mac> {
        Ok(Mac { state: State::Evp(cmac(cipher, key)?), length: block_length(cipher) })
    }

    /// Length of the MAC in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.state {
            State::Evp(mac) => Ok(mac.update(data)?),
            State::Hmac(inner, _) => inner.update(data),
            State::Cbc(mac) => mac.update(data),
        }
    }

    /// The MAC.
    pub fn finish(self) -> Result<Bytes> {
        let mut mac = Zeroizing::new([0; LONGEST]);
        match self.state {
            State::Evp(state) => {
                state.finish(&mut *mac)?;
            }
            State::Hmac(inner, mut outer) => {
                outer.update(&inner.finish()?)?;
                let whole = outer.finish()?;
                mac[..whole.len()].copy_from_slice(&whole);
            }
            State::Cbc(state) => {
                let whole = state.finish()?;
                mac[..whole.len()].copy_from_slice(&whole);
            }
        }
        Ok(Bytes::from(&mac[..self.length]))
    }
}

/// The value of a key whose size the mechanism takes.
fn checked<'a>(row: &MechanismRow, key: &'a Key) -> Result<&'a [u8]> {
    let value = key.secret()?;
    key.check_size(row)?;
    Ok(value)
}

/// How many of `full` bytes the parameter asks for; all when the mechanism takes none.
fn shown(params: &Params, general: bool, full: usize) -> Result<usize> {
    match params {
        Params::None if !general => Ok(full),
        Params::Ulong(length) if general => usize::try_from(*length)
            .ok()
            .filter(|length| (1..=full).contains(length))
            .ok_or(Error::MechanismParamInvalid),
        _ => Err(Error::MechanismParamInvalid),
    }
}

fn hmac(hash: Hash, key: &[u8]) -> Result<State> {
    if algorithm::is_shortened(hash) {
        return hmac_of(&Digest::with(hash)?, key);
    }
    let mut context = algorithm::hmac(hash)?;
    context.start(key)?;
    Ok(State::Evp(context))
}

/// HMAC by its definition (RFC 2104, 2), with a digest that has taken nothing yet.
fn hmac_of(digest: &Digest, key: &[u8]) -> Result<State> {
    let mut block = Zeroizing::new(vec![0; digest.block_length()]);
    if key.len() > block.len() {
        let mut hashed = digest.try_clone()?;
        hashed.update(key)?;
        let hashed = hashed.finish()?;
        block[..hashed.len()].copy_from_slice(&hashed);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let (mut inner, mut outer) = (digest.try_clone()?, digest.try_clone()?);
    let padded = |pad: u8| Zeroizing::new(block.iter().map(|byte| byte ^ pad).collect::<Vec<_>>());
    inner.update(&padded(0x36))?;
    outer.update(&padded(0x5c))?;
    Ok(State::Hmac(inner, outer))
}

fn cmac(cipher: Cipher, key: &[u8]) -> Result<ffi::Mac> {
    let mut mac = algorithm::cipher_mac(c"CMAC", cipher, key.len())?;
    mac.start(&algorithm::CipherKey::new(cipher, key))?;
    Ok(mac)
}

/// Length of a cipher's block in bytes.
fn block_length(cipher: Cipher) -> usize {
    match cipher {
        Cipher::Des | Cipher::Des3 => 8,
        Cipher::Aes | Cipher::Aria | Cipher::Sm4 => 16,
        Cipher::ChaCha20 => 64,
    }
}
