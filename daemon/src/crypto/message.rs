//! The message of a signature, as it comes in parts.

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::Hash;
use zeroize::Zeroizing;

use super::aead::MOST_HELD;
use super::digest::Digest;
use super::signature::Scheme;
use crate::error::{Error, Result};

/// What a [`Scheme`] is given at the end.
#[allow(clippy::large_enum_variant, reason = "one lives per operation, and digests are the common one")]
pub enum Message {
    /// The digest of all parts.
    Hashed(Digest),
    /// All parts: the scheme reads the message more than once (PKCS#11 3.2: EdDSA 6.3.14, ML-DSA 6.67.6, SLH-DSA
    /// 6.68.6).
    Held(Zeroizing<Vec<u8>>),
    /// What one call gives: the mechanism takes a digest or a block, not a message.
    Whole,
}

impl Message {
    /// How `scheme` takes a message that goes through `hash` before it, if any.
    pub fn new(scheme: &Scheme, hash: Option<Hash>) -> Result<Message> {
        Ok(match hash {
            Some(hash) => Message::Hashed(Digest::with(hash)?),
            None if scheme.takes_a_message() => Message::Held(Zeroizing::default()),
            None => Message::Whole,
        })
    }

    /// False for mechanisms that take all data in one call.
    pub fn multi_part(&self) -> bool {
        !matches!(self, Message::Whole)
    }

    /// Takes more. `DataLenRange` over 256 MiB held; `KeyFunctionNotPermitted` for a mechanism that is not multi-part.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        match self {
            Message::Hashed(digest) => digest.update(data),
            Message::Held(held) if data.len() > MOST_HELD - held.len() => Err(Error::DataLenRange),
            Message::Held(held) => {
                held.extend_from_slice(data);
                Ok(())
            }
            Message::Whole => Err(Error::KeyFunctionNotPermitted),
        }
    }

    /// What the scheme signs. `KeyFunctionNotPermitted` for a mechanism that is not multi-part.
    pub fn finish(self) -> Result<Bytes> {
        match self {
            Message::Hashed(digest) => digest.finish(),
            Message::Held(mut held) => Ok(std::mem::take(&mut *held).into()),
            Message::Whole => Err(Error::KeyFunctionNotPermitted),
        }
    }
}
