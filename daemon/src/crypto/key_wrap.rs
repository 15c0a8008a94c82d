//! AES key wrap: KW (RFC 3394) and KWP (RFC 5649), as SP 800-38F has them, and KW of data with PKCS #7 padding to
//! semiblocks (PKCS#11 3.2, 6.14).

use claviger_protocol::mechanism::{Cipher, Mode};
use claviger_protocol::params::Params;
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use zeroize::Zeroizing;

use super::algorithm;
use super::cipher::{Direction, Transform};
use crate::error::{Error, Result};

/// Half a block, in bytes: what both algorithms work on, and what they add.
const SEMIBLOCK: usize = 8;

/// A key wrap: all data in one call.
pub struct KeyWrap {
    context: CipherCtx,
    direction: Direction,
    padding: Padding,
}

/// How data of any length is brought to semiblocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    None,
    /// As KWP has it, inside the algorithm.
    Kwp,
    /// Before the algorithm.
    Pkcs7,
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
        let padding = match mode {
            Mode::KeyWrapPad => Padding::Kwp,
            Mode::KeyWrapPkcs7 => Padding::Pkcs7,
            _ => Padding::None,
        };
        Ok(KeyWrap { context, direction, padding })
    }

    fn length_is_valid(&self, input: usize) -> bool {
        let whole = input.is_multiple_of(SEMIBLOCK);
        match (self.direction, self.padding) {
            (Direction::Encrypt, Padding::None) => whole && input >= 2 * SEMIBLOCK,
            (Direction::Encrypt, Padding::Kwp) => input >= 1,
            // Padded, at least two semiblocks, which is what KW takes.
            (Direction::Encrypt, Padding::Pkcs7) => input >= SEMIBLOCK,
            (Direction::Decrypt, Padding::None | Padding::Pkcs7) => whole && input >= 3 * SEMIBLOCK,
            (Direction::Decrypt, Padding::Kwp) => whole && input >= 2 * SEMIBLOCK,
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
            Direction::Encrypt if self.padding == Padding::Pkcs7 => (input / SEMIBLOCK + 2) * SEMIBLOCK,
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
        let padded = match (self.padding, self.direction) {
            (Padding::Pkcs7, Direction::Encrypt) => {
                let fill = SEMIBLOCK - input.len() % SEMIBLOCK;
                Some(Zeroizing::new([input, &vec![fill as u8; fill]].concat()))
            }
            _ => None,
        };
        let input = padded.as_ref().map_or(input, |padded| &padded[..]);
        match (self.context.cipher_update_vec(input, output), self.direction) {
            (Ok(_), Direction::Decrypt) if self.padding == Padding::Pkcs7 => unpad(output),
            (Ok(_), _) => Ok(()),
            (Err(_), Direction::Decrypt) => Err(Error::EncryptedDataInvalid),
            (Err(stack), Direction::Encrypt) => Err(stack.into()),
        }
    }
}

/// Takes PKCS #7 padding to semiblocks off. What it stands in is authenticated, so its check is no oracle.
fn unpad(output: &mut Vec<u8>) -> Result<()> {
    let fill = usize::from(*output.last().ok_or(Error::EncryptedDataInvalid)?);
    let data = output.len().checked_sub(fill).filter(|_| (1..=SEMIBLOCK).contains(&fill));
    let data = data.ok_or(Error::EncryptedDataInvalid)?;
    if output[data..].iter().any(|byte| usize::from(*byte) != fill) {
        return Err(Error::EncryptedDataInvalid);
    }
    output.truncate(data);
    Ok(())
}
