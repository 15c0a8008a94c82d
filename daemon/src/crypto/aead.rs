//! Authenticated encryption: GCM (SP 800-38D), ChaCha20-Poly1305 (RFC 8439). The tag stands at the end of the
//! ciphertext.

use claviger_protocol::mechanism::{Cipher, Mode};
use claviger_protocol::params::Params;
use openssl::cipher_ctx::CipherCtx;

use super::algorithm;
use super::cipher::{Direction, Transform};
use crate::error::{Error, Result};

/// Longest initialization vector in bytes that OpenSSL takes.
const LONGEST_IV: usize = 128;
/// Lengths of a tag in bits (SP 800-38D, 5.2.1.2).
const TAG_BITS: &[u64] = &[32, 64, 96, 104, 112, 120, 128];
/// Most plaintext in bytes (SP 800-38D, 5.2.1.1; RFC 8439, 2.8, allows 32 more).
const MOST_PLAINTEXT: u64 = (1 << 36) - 32;
/// Most ciphertext in bytes that a multi-part decryption takes: it is held back until the tag is known.
pub(super) const MOST_HELD: usize = 256 << 20;

/// An authenticated cipher at work.
pub struct Aead {
    context: CipherCtx,
    direction: Direction,
    /// Length of the tag in bytes.
    tag: usize,
    /// Plaintext taken so far, in bytes.
    taken: u64,
    /// Decryption: the ciphertext so far. No plaintext exists before the tag is verified.
    held: Vec<u8>,
}

impl Aead {
    /// `KeySizeRange`, `MechanismParamInvalid`.
    pub fn new(
        direction: Direction,
        cipher: Cipher,
        mode: Mode,
        params: &Params,
        key: &[u8],
    ) -> Result<Aead> {
        let cipher = algorithm::cipher(cipher, mode, key.len())?;
        let (iv, aad, tag_bits) = match (mode, params) {
            (Mode::Gcm, Params::Gcm { iv, aad, tag_bits }) => (iv, aad, tag_bits),
            (Mode::Poly1305, Params::ChaCha20Poly1305 { nonce, aad }) if nonce.len() == 12 => {
                (nonce, aad, &128)
            }
            _ => return Err(Error::MechanismParamInvalid),
        };
        let params_are_valid = (1..=LONGEST_IV).contains(&iv.len())
            && TAG_BITS.contains(tag_bits)
            && i32::try_from(aad.len()).is_ok();
        if !params_are_valid {
            return Err(Error::MechanismParamInvalid);
        }
        let mut context = CipherCtx::new()?;
        let init = match direction {
            Direction::Encrypt => openssl::cipher_ctx::CipherCtxRef::encrypt_init,
            Direction::Decrypt => openssl::cipher_ctx::CipherCtxRef::decrypt_init,
        };
        if iv.len() == cipher.iv_length() {
            init(&mut context, Some(cipher), Some(key), Some(iv))?;
        } else {
            init(&mut context, Some(cipher), None, None)?;
            context.set_iv_length(iv.len())?;
            init(&mut context, None, Some(key), Some(iv))?;
        }
        if !aad.is_empty() {
            context.cipher_update(aad, None)?;
        }
        let tag = (*tag_bits / 8) as usize;
        Ok(Aead { context, direction, tag, taken: 0, held: Vec::new() })
    }

    /// Decrypts all of `input`, ciphertext and tag. What it appends is wiped by the caller on an error.
    fn open(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let end = input.len().checked_sub(self.tag).ok_or(Error::EncryptedDataLenRange)?;
        let (data, tag) = input.split_at(end);
        self.context.set_tag(tag)?;
        self.context.cipher_update_vec(data, output)?;
        self.context.cipher_final_vec(output).map_err(|_| Error::EncryptedDataInvalid)?;
        Ok(())
    }
}

impl Transform for Aead {
    fn streams(&self) -> bool {
        self.direction == Direction::Encrypt
    }

    fn update_length(&self, input: usize) -> usize {
        match self.direction {
            Direction::Encrypt => input,
            Direction::Decrypt => 0,
        }
    }

    fn finish_length(&self) -> usize {
        match self.direction {
            Direction::Encrypt => self.tag,
            Direction::Decrypt => self.held.len().saturating_sub(self.tag),
        }
    }

    fn one_shot_length(&self, input: usize) -> usize {
        match self.direction {
            Direction::Encrypt => input + self.tag,
            Direction::Decrypt => input.saturating_sub(self.tag),
        }
    }

    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        match self.direction {
            Direction::Encrypt => {
                self.taken += input.len() as u64;
                if self.taken > MOST_PLAINTEXT {
                    return Err(Error::DataLenRange);
                }
                self.context.cipher_update_vec(input, output)?;
            }
            Direction::Decrypt => {
                if input.len() > MOST_HELD - self.held.len() {
                    return Err(Error::EncryptedDataLenRange);
                }
                self.held.extend_from_slice(input);
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, output: &mut Vec<u8>) -> Result<()> {
        match self.direction {
            Direction::Encrypt => {
                self.context.cipher_final_vec(output)?;
                let mut tag = [0; 16];
                self.context.tag(&mut tag[..self.tag])?;
                output.extend_from_slice(&tag[..self.tag]);
                Ok(())
            }
            Direction::Decrypt => {
                let held = std::mem::take(&mut self.held);
                self.open(&held, output)
            }
        }
    }

    fn one_shot(mut self: Box<Self>, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        match self.direction {
            Direction::Encrypt => {
                self.update(input, output)?;
                self.finish(output)
            }
            Direction::Decrypt => self.open(input, output),
        }
    }
}
