//! Encryption and decryption (`C_Encrypt*`, `C_Decrypt*`): one face for symmetric ciphers, authenticated ones, key
//! wraps and RSA.

use std::sync::Arc;

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::{Cipher as BlockCipher, MechanismRow, Mode, Recipe};
use claviger_protocol::params::Params;
use zeroize::Zeroizing;

use super::aead::Aead;
use super::block::Block;
use super::cfb64::Cfb64;
use super::key::Key;
use super::key_wrap::KeyWrap;
use super::rsa::RsaCipher;
use super::whole::Whole;
use crate::error::{Error, Result};
use crate::sharing::{Input, Span};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt,
    /// Ciphertext to plaintext.
    Decrypt,
}

impl Direction {
    /// What a wrong length of the input is called: `DataLenRange` or `EncryptedDataLenRange`.
    pub(crate) fn length_error(self) -> Error {
        match self {
            Direction::Encrypt => Error::DataLenRange,
            Direction::Decrypt => Error::EncryptedDataLenRange,
        }
    }
}

/// Longest input of one call, in bytes: OpenSSL takes a C `int`.
const LONGEST_INPUT: usize = i32::MAX as usize - MARGIN;
/// Room beyond the expected output that OpenSSL's functions ask for: two blocks.
const MARGIN: usize = 64;

/// A kind of cipher. Lengths are in bytes; output is appended.
pub(crate) trait Transform: Send {
    /// False when all data comes in one call.
    fn multi_part(&self) -> bool {
        true
    }
    /// Most bytes that `update` gives.
    fn update_length(&self, input: usize) -> usize;
    /// Most bytes that `finish` gives.
    fn finish_length(&self) -> usize;
    /// Most bytes that `one_shot` gives.
    fn one_shot_length(&self, input: usize) -> usize;
    /// True when `update` gives output that may be shown before `finish`, and never more than it has taken.
    fn streams(&self) -> bool {
        false
    }
    /// Whether `one_shot` may take so many bytes, for those that can tell before they see them.
    fn check_length(&self, _input: usize) -> Result<()> {
        Ok(())
    }
    /// Whether `update` may take so many bytes, likewise.
    fn check_part(&self, _input: usize) -> Result<()> {
        Ok(())
    }
    /// Whether `finish` may come now, likewise.
    fn check_end(&self) -> Result<()> {
        Ok(())
    }
    /// Takes more data.
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()>;
    /// Ends.
    fn finish(self: Box<Self>, output: &mut Vec<u8>) -> Result<()>;
    /// All data in one call.
    fn one_shot(mut self: Box<Self>, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        self.update(input, output)?;
        self.finish(output)
    }
}

/// An encryption or decryption under way.
pub struct Cipher {
    transform: Box<dyn Transform>,
    direction: Direction,
}

impl Cipher {
    /// Starts. RSA encrypts with a public and decrypts with a private key; the caller has checked the key type
    /// against the row.
    ///
    /// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`; `MechanismInvalid` for a mechanism that does
    /// not encrypt.
    pub fn new(
        direction: Direction,
        row: &'static MechanismRow,
        params: &Params,
        key: Arc<Key>,
    ) -> Result<Cipher> {
        Cipher::with(direction, row, params, &key)
    }

    /// As [`Cipher::new`], with a key that is not shared.
    pub(super) fn with(
        direction: Direction,
        row: &MechanismRow,
        params: &Params,
        key: &Key,
    ) -> Result<Cipher> {
        let transform: Box<dyn Transform> = match row.recipe {
            Recipe::RsaPkcs(None) | Recipe::RsaOaep | Recipe::RsaX509 => {
                let rsa = RsaCipher::new(direction, row, params, key)?;
                key.check_size(row)?;
                Box::new(rsa)
            }
            Recipe::Cipher(cipher, mode) => return Cipher::in_mode(direction, cipher, mode, params, key),
            _ => return Err(Error::MechanismInvalid),
        };
        Ok(Cipher { transform, direction })
    }

    /// One that is not made of a mechanism's row.
    pub(crate) fn of(direction: Direction, transform: Box<dyn Transform>) -> Cipher {
        Cipher { transform, direction }
    }

    /// A symmetric cipher in a mode.
    pub(super) fn in_mode(
        direction: Direction,
        cipher: BlockCipher,
        mode: Mode,
        params: &Params,
        key: &Key,
    ) -> Result<Cipher> {
        let key = key.secret()?;
        let transform: Box<dyn Transform> = match mode {
            Mode::Cfb64 if cipher == BlockCipher::Aes => {
                Box::new(Cfb64::new(direction, cipher, params, key)?)
            }
            Mode::Ecb
            | Mode::Cbc
            | Mode::CbcPad
            | Mode::Ctr
            | Mode::Ofb
            | Mode::Cfb1
            | Mode::Cfb8
            | Mode::Cfb64
            | Mode::Cfb128
            | Mode::Stream => Box::new(Block::new(direction, cipher, mode, params, key)?),
            Mode::Gcm | Mode::Poly1305 => Box::new(Aead::new(direction, cipher, mode, params, key)?),
            Mode::Ccm | Mode::Cts | Mode::Xts => Box::new(Whole::new(direction, cipher, mode, params, key)?),
            Mode::KeyWrap | Mode::KeyWrapPad | Mode::KeyWrapPkcs7 => {
                Box::new(KeyWrap::new(direction, cipher, mode, params, key)?)
            }
        };
        Ok(Cipher { transform, direction })
    }

    /// False for mechanisms that take all data in one call.
    pub fn multi_part(&self) -> bool {
        self.transform.multi_part()
    }

    /// Most bytes that [`Cipher::update`] gives for `input` more bytes; exact for block and stream ciphers.
    pub fn update_length(&self, input: usize) -> usize {
        self.transform.update_length(input)
    }

    /// Most bytes that [`Cipher::finish`] gives now; exact but where a padding is removed.
    pub fn finish_length(&self) -> usize {
        self.transform.finish_length()
    }

    /// Most bytes that [`Cipher::one_shot`] gives for `input` bytes; exact but where a padding is removed.
    pub fn one_shot_length(&self, input: usize) -> usize {
        self.transform.one_shot_length(input)
    }

    /// Whether [`Cipher::one_shot`] may take `input` bytes, as far as that can be told before it sees them.
    /// `DataLenRange` or `EncryptedDataLenRange`.
    pub fn check_length(&self, input: usize) -> Result<()> {
        self.transform.check_length(input)
    }

    /// As [`Cipher::check_length`], for [`Cipher::update`].
    pub fn check_part(&self, input: usize) -> Result<()> {
        self.transform.check_part(input)
    }

    /// As [`Cipher::check_length`], for [`Cipher::finish`].
    pub fn check_end(&self) -> Result<()> {
        self.transform.check_end()
    }

    /// Takes more data. `DataLenRange` or `EncryptedDataLenRange` when it is too much; `KeyFunctionNotPermitted` for
    /// a mechanism that is not multi-part.
    pub fn update(&mut self, input: &[u8]) -> Result<Bytes> {
        let expected = self.transform.update_length(input.len());
        let (transform, direction) = (&mut self.transform, self.direction);
        collect(direction, input.len(), expected, |output| transform.update(input, output))
    }

    /// Ends. Wrong length of all data: `DataLenRange` or `EncryptedDataLenRange`; wrong tag or padding:
    /// `EncryptedDataInvalid`.
    pub fn finish(self) -> Result<Bytes> {
        let expected = self.transform.finish_length();
        collect(self.direction, 0, expected, |output| self.transform.finish(output))
    }

    /// All data in one call, when nothing was taken before. Errors as of [`Cipher::update`] and [`Cipher::finish`].
    pub fn one_shot(self, input: &[u8]) -> Result<Bytes> {
        let expected = self.transform.one_shot_length(input.len());
        collect(self.direction, input.len(), expected, |output| self.transform.one_shot(input, output))
    }
}

impl Cipher {
    /// As [`Cipher::update`], where the input is; gives the length of the output.
    pub fn update_in(&mut self, span: &Span) -> Result<usize> {
        span.replace(|piece, output| self.transform.update(piece, output))
    }

    /// As [`Cipher::one_shot`], where the input is; gives the length of the output.
    pub fn one_shot_in(mut self, span: &Span) -> Result<usize> {
        if !self.transform.streams() {
            let output = Input::Memory(span.clone()).whole(|data| self.one_shot(data))?;
            return span.append(0, &output);
        }
        let written = self.update_in(span)?;
        span.append(written, &self.finish()?)
    }
}

/// Runs `fill` with a buffer that never grows, because growing would leave plaintext behind, and that is wiped
/// when `fill` fails.
fn collect(
    direction: Direction,
    input: usize,
    expected: usize,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<Bytes> {
    if input > LONGEST_INPUT {
        return Err(direction.length_error());
    }
    let mut output = Zeroizing::new(Vec::with_capacity(expected.max(input) + MARGIN));
    fill(&mut output)?;
    Ok(Bytes::from(std::mem::take(&mut *output)))
}
