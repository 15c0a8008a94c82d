//! Verifying signatures and MACs (`C_Verify*`, `C_VerifyRecover*`).

use std::sync::Arc;

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::MechanismRow;
use claviger_protocol::params::Params;

use super::key::Key;
use super::mac::Mac;
use super::message::Message;
use super::signature::Scheme;
use crate::error::{Error, Result};

/// A signature or MAC being verified.
pub struct Verifier(Inner);

#[allow(clippy::large_enum_variant, reason = "one lives per operation, and signatures are the common one")]
enum Inner {
    Mac(Mac),
    Signature { scheme: Scheme, message: Message, key: Arc<Key> },
}

impl Verifier {
    /// Starts with a public or secret key, whose key type the caller has checked against the row.
    ///
    /// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`; `MechanismInvalid` for a mechanism that does
    /// not sign.
    pub fn new(row: &'static MechanismRow, params: &Params, key: Arc<Key>) -> Result<Verifier> {
        if let Some(mac) = Mac::new(row, params, &key)? {
            return Ok(Verifier(Inner::Mac(mac)));
        }
        let (scheme, hash) = Scheme::new(row, params, &key)?;
        key.public_key()?;
        let message = Message::new(&scheme, hash)?;
        Ok(Verifier(Inner::Signature { scheme, message, key }))
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

    /// Checks the signature of all data taken. `SignatureLenRange`, `SignatureInvalid`; `KeyFunctionNotPermitted`
    /// for a mechanism that is not multi-part.
    pub fn finish(self, signature: &[u8]) -> Result<()> {
        match self.0 {
            Inner::Mac(mac) => {
                // Two steps: the comparison below takes equal lengths, and the length is no secret.
                if signature.len() != mac.length() {
                    return Err(Error::SignatureLenRange);
                }
                let expected = mac.finish()?;
                if openssl::memcmp::eq(&expected, signature) { Ok(()) } else { Err(Error::SignatureInvalid) }
            }
            Inner::Signature { scheme, message, key } => {
                scheme.verify(key.public_key()?, &message.finish()?, signature)
            }
        }
    }

    /// Checks the signature of `data`, when nothing was taken before. As [`Verifier::finish`], and `DataLenRange`.
    pub fn verify(mut self, data: &[u8], signature: &[u8]) -> Result<()> {
        if let Inner::Signature { scheme, message: Message::Held(_) | Message::Whole, key } = &self.0 {
            return scheme.verify(key.public_key()?, data, signature);
        }
        self.update(data)?;
        self.finish(signature)
    }

    /// The data in the signature. `SignatureLenRange`, `SignatureInvalid`; `MechanismInvalid` where it cannot be
    /// recovered.
    pub fn recover(self, signature: &[u8]) -> Result<Bytes> {
        match self.0 {
            Inner::Signature { scheme, message: Message::Whole, key } => {
                scheme.recover(key.public_key()?, signature)
            }
            _ => Err(Error::MechanismInvalid),
        }
    }
}
