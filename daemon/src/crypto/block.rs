//! Block ciphers in the modes of SP 800-38A (ECB, CBC, CBC with PKCS #7 padding, CTR, OFB, CFB), and the stream
//! cipher ChaCha20 (RFC 8439).

use claviger_protocol::mechanism::{Cipher, Mode};
use claviger_protocol::params::Params;
use openssl::cipher_ctx::CipherCtx;

use super::algorithm;
use super::cipher::{Direction, Transform};
use crate::error::{Error, Result};

/// A block cipher at work.
pub struct Block {
    context: CipherCtx,
    direction: Direction,
    /// PKCS #7 padding is added or removed.
    padded: bool,
    /// Length of a block in bytes; 1 for modes that have no blocks to fill.
    block: usize,
    /// Bytes taken and not given yet.
    held: usize,
    /// CTR and streams: bytes left until the counter would repeat.
    left: Option<u128>,
}

impl Block {
    /// `KeySizeRange`, `MechanismParamInvalid`.
    pub fn new(
        direction: Direction,
        cipher: Cipher,
        mode: Mode,
        params: &Params,
        key: &[u8],
    ) -> Result<Block> {
        let expanded = algorithm::CipherKey::new(cipher, key);
        let cipher = algorithm::cipher(cipher, mode, key.len())?;
        let key = &*expanded;
        let stream;
        let (iv, left) = match (mode, params) {
            (Mode::Ecb, Params::None) => (None, None),
            (
                Mode::Cbc | Mode::CbcPad | Mode::Ofb | Mode::Cfb1 | Mode::Cfb8 | Mode::Cfb64 | Mode::Cfb128,
                Params::Bytes(iv),
            ) if iv.len() == cipher.iv_length() => (Some(&iv[..]), None),
            (Mode::Ctr, Params::Ctr { counter_bits, block }) => {
                (Some(&block[..]), Some(bytes_until_wrap(*counter_bits, block)?))
            }
            (Mode::Stream, Params::ChaCha20 { block_counter, nonce }) => {
                stream = [&block_counter[..], nonce].concat();
                (Some(&stream[..]), Some(stream_bytes(block_counter, nonce)?))
            }
            _ => return Err(Error::MechanismParamInvalid),
        };
        let mut context = CipherCtx::new()?;
        match direction {
            Direction::Encrypt => context.encrypt_init(Some(cipher), Some(key), iv)?,
            Direction::Decrypt => context.decrypt_init(Some(cipher), Some(key), iv)?,
        }
        let padded = mode == Mode::CbcPad;
        context.set_padding(padded);
        Ok(Block { context, direction, padded, block: cipher.block_size(), held: 0, left })
    }

    /// True when the last whole block is held back, because only the end tells whether it is padding.
    fn holds_last(&self) -> bool {
        self.padded && self.direction == Direction::Decrypt
    }
}

/// Length of the padding at the end of a block (RFC 5652, 6.3), in the same time for every content of it.
fn padding(block: &[u8]) -> Option<usize> {
    let length = usize::from(*block.last()?);
    let mut bad = usize::from(length == 0) | usize::from(length > block.len());
    for (place, byte) in block.iter().rev().enumerate() {
        // All ones for a byte that is padding.
        let mask = 0usize.wrapping_sub(usize::from(place < length));
        bad |= mask & (usize::from(*byte) ^ length);
    }
    (std::hint::black_box(bad) == 0).then_some(length)
}

/// How many bytes the counter's `bits` low bits suffice for. The mechanism must not run on after that
/// (PKCS#11 3.2, 6.11.3), so within it OpenSSL's 128-bit counter counts the same.
fn bytes_until_wrap(bits: u64, block: &[u8; 16]) -> Result<u128> {
    if !(1..=128).contains(&bits) {
        return Err(Error::MechanismParamInvalid);
    }
    let most = u128::MAX >> (128 - bits);
    let start = u128::from_be_bytes(*block) & most;
    Ok((most - start).saturating_add(1).saturating_mul(16))
}

/// How many bytes ChaCha20's counter suffices for: 32 bits of it go with 96 bits of nonce (RFC 8439), 64 with 64
/// (the original cipher), least significant byte first, 64 bytes a block.
fn stream_bytes(counter: &[u8], nonce: &[u8]) -> Result<u128> {
    let (start, blocks) = match (counter.len(), nonce.len()) {
        (4, 12) | (8, 8) => {
            let start = counter.iter().rev().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
            (start, 1u128 << (counter.len() * 8))
        }
        _ => return Err(Error::MechanismParamInvalid),
    };
    Ok((blocks - start) * 64)
}

impl Transform for Block {
    fn streams(&self) -> bool {
        true
    }

    fn update_length(&self, input: usize) -> usize {
        let total = self.held + input;
        if self.holds_last() {
            total.saturating_sub(1) / self.block * self.block
        } else {
            total / self.block * self.block
        }
    }

    fn finish_length(&self) -> usize {
        if self.padded { self.block } else { 0 }
    }

    fn one_shot_length(&self, input: usize) -> usize {
        match (self.padded, self.direction) {
            (true, Direction::Encrypt) => (input / self.block + 1) * self.block,
            _ => input,
        }
    }

    fn check_length(&self, input: usize) -> Result<()> {
        let whole = match (self.padded, self.direction) {
            (true, Direction::Encrypt) => true,
            (true, Direction::Decrypt) => input > 0 && input.is_multiple_of(self.block),
            (false, _) => input.is_multiple_of(self.block),
        };
        if whole { self.check_part(input) } else { Err(self.direction.length_error()) }
    }

    fn check_part(&self, input: usize) -> Result<()> {
        match self.left {
            Some(left) if left < input as u128 => Err(self.direction.length_error()),
            _ => Ok(()),
        }
    }

    fn check_end(&self) -> Result<()> {
        let whole = match (self.padded, self.direction) {
            (true, Direction::Encrypt) => true,
            (true, Direction::Decrypt) => self.held == self.block,
            (false, _) => self.held == 0,
        };
        if whole { Ok(()) } else { Err(self.direction.length_error()) }
    }

    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(input.len() as u128).ok_or(self.direction.length_error())?;
        }
        let given = self.update_length(input.len());
        self.context.cipher_update_vec(input, output)?;
        self.held = self.held + input.len() - given;
        Ok(())
    }

    fn finish(mut self: Box<Self>, output: &mut Vec<u8>) -> Result<()> {
        self.check_end()?;
        if !self.holds_last() {
            self.context.cipher_final_vec(output)?;
            return Ok(());
        }
        // OpenSSL would raise an error for a bad padding, which takes half a microsecond: enough to tell it from a
        // good one around something else that is refused.
        self.context.set_padding(false);
        self.context.cipher_final_vec(output)?;
        let last = output.len().checked_sub(self.block).ok_or(Error::EncryptedDataInvalid)?;
        match padding(&output[last..]) {
            Some(length) => {
                output.truncate(last + self.block - length);
                Ok(())
            }
            None => {
                output.truncate(last);
                Err(Error::EncryptedDataInvalid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padding_is_whole_or_none() {
        for block in [8usize, 16] {
            for length in 0..=255u8 {
                let good = (1..=block).contains(&usize::from(length));
                let padded = |change: Option<usize>| {
                    let mut bytes = vec![0xee; block];
                    let from = block.saturating_sub(usize::from(length).max(1));
                    bytes[from..].fill(length);
                    bytes[block - 1] = length;
                    if let Some(place) = change {
                        bytes[place] ^= 0x40;
                    }
                    padding(&bytes)
                };
                assert_eq!(padded(None), good.then_some(usize::from(length)), "{length} of {block}");
                if good {
                    for place in 0..block - 1 {
                        let in_it = place >= block - usize::from(length);
                        assert_eq!(padded(Some(place)).is_none(), in_it, "{place}, {length} of {block}");
                    }
                }
            }
        }
    }
}
