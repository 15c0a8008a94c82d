//! Message authentication codes: HMAC (RFC 2104).

use claviger_protocol::Bytes;
use claviger_protocol::mechanism::{MechanismRow, Recipe};
use claviger_protocol::params::Params;

use super::key::Key;
use super::{algorithm, ffi};
use crate::error::{Error, Result};

/// Length of the longest MAC, in bytes.
const LONGEST: usize = 64;

/// A MAC being computed.
pub struct Mac {
    context: ffi::Mac,
    /// How many bytes of it the mechanism shows.
    length: usize,
}

impl Mac {
    /// Starts a MAC; `None` for a mechanism that is none.
    ///
    /// `KeyTypeInconsistent`, `KeySizeRange`, `MechanismParamInvalid`.
    pub fn new(row: &MechanismRow, params: &Params, key: &Key) -> Result<Option<Mac>> {
        let Recipe::Hmac { hash, general } = row.recipe else { return Ok(None) };
        let value = key.secret()?;
        key.check_size(row)?;
        let full = algorithm::hash_row(hash).length;
        let length = match params {
            Params::None if !general => full,
            Params::Ulong(length) if general => usize::try_from(*length)
                .ok()
                .filter(|length| (1..=full).contains(length))
                .ok_or(Error::MechanismParamInvalid)?,
            _ => return Err(Error::MechanismParamInvalid),
        };
        let mut context = algorithm::hmac(hash)?;
        context.start(value)?;
        Ok(Some(Mac { context, length }))
    }

    /// Length of the MAC in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        Ok(self.context.update(data)?)
    }

    /// The MAC.
    pub fn finish(self) -> Result<Bytes> {
        let mut mac = [0; LONGEST];
        self.context.finish(&mut mac)?;
        Ok(Bytes::from(&mac[..self.length]))
    }
}
