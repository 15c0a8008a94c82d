//! AES key wrap: KW (RFC 3394) and KWP (RFC 5649), as SP 800-38F has them.

use claviger_protocol::mechanism::{Cipher, Mode};
use claviger_protocol::params::Params;
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};

use super::algorithm;
use super::cipher::{Direction, Transform};
use crate::error::{Error, Result};

/// Half a block, in bytes: what both algorithms work on, and what they add.
const SEMIBLOCK: usize = 8;

/// A key wrap: all data in one call.
pub struct KeyWrap {
    context: CipherCtx,
    direction: Direction,
    /// KWP.
    padded: bool,
}

impl KeyWrap {
    /// The parameter is the initial value, or nothing for the standard's own. `KeySizeRange`,
    /// `MechanismParamInvalid`.
    pub fn new(
        direction: Direction,
        cipher: Cipher,
        mode: Mode,
        params: &Params,
        key: &[u8],
    ) -> Result<KeyWrap> {
        let cipher = algorithm::cipher(cipher, mode, key.len())?;
        let iv = match params {
            Params::None => None,
            Params::Bytes(iv) if iv.is_empty() => None,
            Params::Bytes(iv) if iv.len() == cipher.iv_length() => Some(&iv[..]),
            _ => return Err(Error::MechanismParamInvalid),
        };
        let mut context = CipherCtx::new()?;
        context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
        match direction {
            Direction::Encrypt => context.encrypt_init(Some(cipher), Some(key), iv)?,
            Direction::Decrypt => context.decrypt_init(Some(cipher), Some(key), iv)?,
        }
        Ok(KeyWrap { context, direction, padded: mode == Mode::KeyWrapPad })
    }

    fn length_is_valid(&self, input: usize) -> bool {
        let whole = input.is_multiple_of(SEMIBLOCK);
        match (self.direction, self.padded) {
            (Direction::Encrypt, false) => whole && input >= 2 * SEMIBLOCK,
            (Direction::Encrypt, true) => input >= 1,
            (Direction::Decrypt, false) => whole && input >= 3 * SEMIBLOCK,
            (Direction::Decrypt, true) => whole && input >= 2 * SEMIBLOCK,
        }
    }
}

impl Transform for KeyWrap {
    fn multi_part(&self) -> bool {
        false
    }

    fn update_length(&self, _input: usize) -> usize {
        0
    }

    fn finish_length(&self) -> usize {
        0
    }

    fn one_shot_length(&self, input: usize) -> usize {
        match self.direction {
            Direction::Encrypt => input.div_ceil(SEMIBLOCK) * SEMIBLOCK + SEMIBLOCK,
            Direction::Decrypt => input.saturating_sub(SEMIBLOCK),
        }
    }

    fn update(&mut self, _input: &[u8], _output: &mut Vec<u8>) -> Result<()> {
        Err(Error::KeyFunctionNotPermitted)
    }

    fn finish(self: Box<Self>, _output: &mut Vec<u8>) -> Result<()> {
        Err(Error::KeyFunctionNotPermitted)
    }

    fn one_shot(mut self: Box<Self>, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        if !self.length_is_valid(input.len()) {
            return Err(self.direction.length_error());
        }
        match (self.context.cipher_update_vec(input, output), self.direction) {
            (Ok(_), _) => Ok(()),
            (Err(_), Direction::Decrypt) => Err(Error::EncryptedDataInvalid),
            (Err(stack), Direction::Encrypt) => Err(stack.into()),
        }
    }
}
