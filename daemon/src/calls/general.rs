//! General-purpose functions (PKCS#11 3.2, section 5.4).

use claviger_protocol::call::Finalize;

use super::{Context, Handle};
use crate::error::Result;

impl Handle for Finalize {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        context.daemon.applications.end(context.application);
        Ok(())
    }
}
