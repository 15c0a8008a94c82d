//! The daemon's state, shared by all connections.

use std::sync::Arc;
use std::time::Instant;

use crate::access::pin::Pepper;
use crate::application::Applications;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::handle::Handles;
use crate::kms::time::Time;
use crate::store::{Records, RootKey, label};

/// Everything that lives as long as the daemon.
pub struct Daemon {
    /// The durable records.
    pub records: Records,
    /// The records in memory.
    pub catalog: Catalog,
    /// The applications that are connected.
    pub applications: Applications,
    /// Keys the PIN verifiers.
    pub pepper: Pepper,
    /// Gives out handles of sessions and session objects.
    pub handles: Handles,
    /// When the daemon started.
    pub started: Instant,
}

impl Daemon {
    /// A daemon over an open store.
    ///
    /// # Errors
    /// What reading the store gives.
    pub fn new(records: Records, root: &RootKey) -> Result<Arc<Daemon>> {
        let daemon = Daemon {
            records,
            catalog: Catalog::default(),
            applications: Applications::default(),
            pepper: Pepper::new(root.subkey(label::PIN_PEPPER)?),
            handles: Handles::new()?,
            started: Instant::now(),
        };
        daemon.load()?;
        let daemon = Arc::new(daemon);
        daemon.destroy_due(Time::now())?;
        daemon.resume_import_jobs();
        Ok(daemon)
    }
}
