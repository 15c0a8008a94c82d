//! Signing and MACs (`C_Sign*`, `C_SignRecover*`).

use std::sync::Arc;

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::MechanismRow;
use claviger_protocol::params::Params;

use super::digest::Digest;
use super::key::Key;
use super::mac::Mac;
use super::signature::Scheme;
use crate::error::{Error, Result};

/// A signature or MAC being made.
pub struct Signer(Inner);

#[allow(clippy::large_enum_variant, reason = "one lives per operation, and signatures are the common one")]
enum Inner {
    Mac(Mac),
    Signature { scheme: Scheme, digest: Option<Digest>, key: Arc<Key> },
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
        let digest = hash.map(Digest::with).transpose()?;
        Ok(Signer(Inner::Signature { scheme, digest, key }))
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
        !matches!(&self.0, Inner::Signature { digest: None, .. })
    }

    /// Takes more data. `KeyFunctionNotPermitted` for a mechanism that is not multi-part.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.0 {
            Inner::Mac(mac) => mac.update(data),
            Inner::Signature { digest: Some(digest), .. } => digest.update(data),
            Inner::Signature { digest: None, .. } => Err(Error::KeyFunctionNotPermitted),
        }
    }

    /// The signature of all data taken. `KeyFunctionNotPermitted` for a mechanism that is not multi-part.
    pub fn finish(self) -> Result<Bytes> {
        match self.0 {
            Inner::Mac(mac) => mac.finish(),
            Inner::Signature { scheme, digest: Some(digest), key } => {
                scheme.sign(key.private()?, &digest.finish()?)
            }
            Inner::Signature { digest: None, .. } => Err(Error::KeyFunctionNotPermitted),
        }
    }

    /// The signature of `data`, when nothing was taken before; also of `C_SignRecover`. `DataLenRange` when the
    /// mechanism cannot sign so much.
    pub fn sign(mut self, data: &[u8]) -> Result<Bytes> {
        if let Inner::Signature { scheme, digest: None, key } = &self.0 {
            return scheme.sign(key.private()?, data);
        }
        self.update(data)?;
        self.finish()
    }
}
