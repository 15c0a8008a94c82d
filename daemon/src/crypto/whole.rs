//! Ciphers that take all data at once, though it may come in parts: CCM (SP 800-38C), CBC with ciphertext stealing
//! (SP 800-38A, addendum, CBC-CS1), XTS (SP 800-38E).

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::{Cipher, Mode};
use claviger_protocol::params::Params;
use openssl::cipher::CipherRef;
use openssl::cipher_ctx::{CipherCtx, CipherCtxRef};
use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::aead::MOST_HELD;
use super::algorithm;
use super::cipher::{Direction, Transform};
use crate::error::{Error, Result};

/// Length of a block in bytes.
const BLOCK: usize = 16;

/// A cipher at work, and what it has taken.
pub struct Whole {
    cipher: &'static CipherRef,
    direction: Direction,
    key: Zeroizing<Vec<u8>>,
    iv: Bytes,
    /// CCM alone.
    ccm: Option<Ccm>,
    held: Zeroizing<Vec<u8>>,
}

struct Ccm {
    aad: Bytes,
    /// Length of the plaintext in bytes.
    data: usize,
    /// Length of the tag in bytes.
    tag: usize,
}

impl Whole {
    /// `KeySizeRange`, `MechanismParamInvalid`; `KeyFunctionNotPermitted` for an XTS key of two equal halves, which
    /// SP 800-38E's implementation guidance forbids.
    pub fn new(
        direction: Direction,
        cipher: Cipher,
        mode: Mode,
        params: &Params,
        key: &[u8],
    ) -> Result<Whole> {
        let cipher = algorithm::cipher(cipher, mode, key.len())?;
        let (iv, ccm) = match (mode, params) {
            (Mode::Cts | Mode::Xts, Params::Bytes(iv)) if iv.len() == BLOCK => (iv.clone(), None),
            (Mode::Ccm, Params::Ccm { data_len, nonce, aad, mac_len }) => {
                (nonce.clone(), Some(Ccm::new(*data_len, nonce, aad, *mac_len)?))
            }
            _ => return Err(Error::MechanismParamInvalid),
        };
        let (first, second) = key.split_at(key.len() / 2);
        if mode == Mode::Xts && openssl::memcmp::eq(first, second) {
            return Err(Error::KeyFunctionNotPermitted);
        }
        let key = Zeroizing::new(key.to_vec());
        Ok(Whole { cipher, direction, key, iv, ccm, held: Zeroizing::default() })
    }

    fn length_is_valid(&self, input: usize) -> bool {
        match (&self.ccm, self.direction) {
            (None, _) => input >= BLOCK,
            (Some(ccm), Direction::Encrypt) => input == ccm.data,
            (Some(ccm), Direction::Decrypt) => input == ccm.data + ccm.tag,
        }
    }

    fn run(&self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        if !self.length_is_valid(input.len()) {
            return Err(self.direction.length_error());
        }
        let init = match self.direction {
            Direction::Encrypt => CipherCtxRef::encrypt_init,
            Direction::Decrypt => CipherCtxRef::decrypt_init,
        };
        let mut context = CipherCtx::new()?;
        let Some(ccm) = &self.ccm else {
            init(&mut context, Some(self.cipher), Some(&self.key), Some(&self.iv))?;
            context.cipher_update_vec(input, output)?;
            context.cipher_final_vec(output)?;
            return Ok(());
        };
        let (data, tag) = match self.direction {
            Direction::Encrypt => (input, &[][..]),
            Direction::Decrypt => input.split_at(ccm.data),
        };
        init(&mut context, Some(self.cipher), None, None)?;
        context.set_iv_length(self.iv.len())?;
        match self.direction {
            Direction::Encrypt => context.set_tag_length(ccm.tag)?,
            Direction::Decrypt => context.set_tag(tag)?,
        }
        init(&mut context, None, Some(&self.key), Some(&self.iv))?;
        context.set_data_len(ccm.data)?;
        if !ccm.aad.is_empty() {
            context.cipher_update(&ccm.aad, None)?;
        }
        // CCM verifies the tag here, and gives nothing when it is wrong.
        let result: std::result::Result<usize, ErrorStack> = context.cipher_update_vec(data, output);
        match (result, self.direction) {
            (Ok(_), Direction::Decrypt) => Ok(()),
            (Ok(_), Direction::Encrypt) => {
                let mut tag = [0; BLOCK];
                context.tag(&mut tag[..ccm.tag])?;
                output.extend_from_slice(&tag[..ccm.tag]);
                Ok(())
            }
            (Err(_), Direction::Decrypt) => Err(Error::EncryptedDataInvalid),
            (Err(stack), Direction::Encrypt) => Err(stack.into()),
        }
    }
}

impl Ccm {
    /// SP 800-38C, A.1
    fn new(data: u64, nonce: &[u8], aad: &Bytes, tag: u64) -> Result<Ccm> {
        let valid = (7..=13).contains(&nonce.len())
            && matches!(tag, 4 | 6 | 8 | 10 | 12 | 14 | 16)
            && data <= MOST_HELD as u64
            // The length of the data is written in what the nonce leaves of 15 bytes.
            && (nonce.len() <= 7 || data >> (8 * (15 - nonce.len())) == 0)
            && i32::try_from(aad.len()).is_ok();
        if !valid {
            return Err(Error::MechanismParamInvalid);
        }
        Ok(Ccm { aad: aad.clone(), data: data as usize, tag: tag as usize })
    }
}

impl Transform for Whole {
    fn update_length(&self, _input: usize) -> usize {
        0
    }

    fn finish_length(&self) -> usize {
        self.one_shot_length(self.held.len())
    }

    fn one_shot_length(&self, input: usize) -> usize {
        match (&self.ccm, self.direction) {
            (None, _) => input,
            (Some(ccm), Direction::Encrypt) => input + ccm.tag,
            (Some(ccm), Direction::Decrypt) => input.saturating_sub(ccm.tag),
        }
    }

    fn update(&mut self, input: &[u8], _output: &mut Vec<u8>) -> Result<()> {
        if input.len() > MOST_HELD - self.held.len() {
            return Err(self.direction.length_error());
        }
        if self.held.capacity() - self.held.len() < input.len() {
            // A growing vector would leave its old memory unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity((self.held.len() + input.len()) * 2));
            larger.extend_from_slice(&self.held);
            self.held = larger;
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    fn finish(self: Box<Self>, output: &mut Vec<u8>) -> Result<()> {
        self.run(&self.held, output)
    }

    fn one_shot(self: Box<Self>, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        self.run(input, output)
    }
}
