//! Random number generation functions (PKCS#11 3.2, section 5.19).

use claviger_protocol::Bytes;
use claviger_protocol::call::{GenerateRandom, SeedRandom};
use claviger_protocol::frame::MAX_DATA_BYTES;

use super::{Context, Handle};
use crate::crypto::random;
use crate::error::{Error, Result};

impl Handle for SeedRandom {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        context.session(self.session)?;
        random::seed(&self.seed);
        Ok(())
    }
}

impl Handle for GenerateRandom {
    fn handle(self, context: &Context<'_>) -> Result<Bytes> {
        context.session(self.session)?;
        let length = usize::try_from(self.length).ok().filter(|length| *length <= MAX_DATA_BYTES);
        let mut bytes = vec![0; length.ok_or(Error::DataLenRange)?];
        random::fill(&mut bytes)?;
        Ok(bytes.into())
    }
}
