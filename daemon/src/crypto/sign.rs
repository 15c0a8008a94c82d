//! Signing and MACs (`C_Sign*`, `C_SignRecover*`).

use std::sync::Arc;

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::MechanismRow;
use claviger_protocol::params::Params;

use super::key::Key;
use super::mac::Mac;
use super::message::Message;
use super::signature::Scheme;
use crate::error::Result;

/// A signature or MAC being made.
pub struct Signer(Inner);

#[allow(clippy::large_enum_variant, reason = "one lives per operation, and signatures are the common one")]
enum Inner {
    Mac(Mac),
    Signature { scheme: Scheme, message: Message, key: Arc<Key> },
}

impl Signer {
    /// Starts with a private or secret key, whose key type the caller has checked against the row.
    ///
    /// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`; `MechanismInvalid` for a mechanism that does
    /// not sign.
    pub fn new(row: &'static MechanismRow, params: &Params, key: Arc<Key>) -> Result<Signer> {
        if let Some(mac) = Mac::new(row, params, &key)? {
            return Ok(Signer(Inner::Mac(mac)));
        }
        let (scheme, hash) = Scheme::new(row, params, &key)?;
        key.private()?;
        let message = Message::new(&scheme, hash)?;
        Ok(Signer(Inner::Signature { scheme, message, key }))
    }

    /// Length of the signature in bytes.
    pub fn length(&self) -> usize {
        match &self.0 {
            Inner::Mac(mac) => mac.length(),
            Inner::Signature { scheme, key, .. } => scheme.length(key),
        }
    }

    /// False for mechanisms that take all data in one call.
    pub fn multi_part(&self) -> bool {
        match &self.0 {
            Inner::Mac(_) => true,
            Inner::Signature { message, .. } => message.multi_part(),
        }
    }

    /// Takes more data. `DataLenRange`; `KeyFunctionNotPermitted` for a mechanism that is not multi-part.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.0 {
            Inner::Mac(mac) => mac.update(data),
            Inner::Signature { message, .. } => message.update(data),
        }
    }

    /// The signature of all data taken. `KeyFunctionNotPermitted` for a mechanism that is not multi-part.
    pub fn finish(self) -> Result<Bytes> {
        match self.0 {
            Inner::Mac(mac) => mac.finish(),
            Inner::Signature { scheme, message, key } => scheme.sign(key.private()?, &message.finish()?),
        }
    }

    /// The signature of `data`, when nothing was taken before; also of `C_SignRecover`. `DataLenRange` when the
    /// mechanism cannot sign so much.
    pub fn sign(mut self, data: &[u8]) -> Result<Bytes> {
        if let Inner::Signature { scheme, message: Message::Held(_) | Message::Whole, key } = &self.0 {
            return scheme.sign(key.private()?, data);
        }
        self.update(data)?;
        self.finish()
    }
}
