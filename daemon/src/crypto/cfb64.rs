//! CFB with segments of 64 bits over a cipher with blocks of 128 (SP 800-38A, 6.3), which OpenSSL lacks.

use claviger_protocol::mechanism::{Cipher, Mode};
use claviger_protocol::params::Params;
use openssl::cipher_ctx::CipherCtx;
use zeroize::Zeroizing;

use super::algorithm;
use super::cipher::{Direction, Transform};
use crate::error::{Error, Result};

/// Length of a block in bytes.
const BLOCK: usize = 16;
/// Length of a segment in bytes.
const SEGMENT: usize = 8;

/// A cipher at work.
pub struct Cfb64 {
    /// The forward cipher, block by block.
    context: CipherCtx,
    direction: Direction,
    /// The input block: in its second half the segment under way, as far as it is known.
    input: [u8; BLOCK],
    /// The output block; the segment is combined with its first half.
    output: Zeroizing<Vec<u8>>,
    /// Bytes of the segment done.
    done: usize,
}

impl Cfb64 {
    /// `KeySizeRange`, `MechanismParamInvalid`.
    pub fn new(direction: Direction, cipher: Cipher, params: &Params, key: &[u8]) -> Result<Cfb64> {
        let cipher = algorithm::cipher(cipher, Mode::Ecb, key.len())?;
        let Params::Bytes(iv) = params else { return Err(Error::MechanismParamInvalid) };
        let input = <[u8; BLOCK]>::try_from(&iv[..]).map_err(|_| Error::MechanismParamInvalid)?;
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(cipher), Some(key), None)?;
        context.set_padding(false);
        Ok(Cfb64 { context, direction, input, output: Zeroizing::default(), done: SEGMENT })
    }

    fn next_segment(&mut self) -> Result<()> {
        let mut output = Zeroizing::new(Vec::with_capacity(2 * BLOCK));
        self.context.cipher_update_vec(&self.input, &mut output)?;
        self.output = output;
        self.input.copy_within(SEGMENT.., 0);
        self.done = 0;
        Ok(())
    }
}

impl Transform for Cfb64 {
    fn update_length(&self, input: usize) -> usize {
        input
    }

    fn finish_length(&self) -> usize {
        0
    }

    fn one_shot_length(&self, input: usize) -> usize {
        input
    }

    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        for byte in input {
            if self.done == SEGMENT {
                self.next_segment()?;
            }
            let result = byte ^ self.output[self.done];
            self.input[SEGMENT + self.done] =
                if self.direction == Direction::Encrypt { result } else { *byte };
            self.done += 1;
            output.push(result);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _output: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
