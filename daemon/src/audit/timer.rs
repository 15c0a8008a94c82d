//! The thread that brings records onto the disk and signs checkpoints.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::log::Audit;
use crate::error::Error;

/// How long records wait for others.
const BATCH: Duration = Duration::from_millis(80);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl Audit {
    /// Starts the thread, which sleeps for as long as nothing is recorded. It ends when the log is dropped.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(self: &Arc<Self>) -> io::Result<()> {
        let (audit, bell) = (Arc::downgrade(self), self.uses.bell.clone());
        let run = move || {
            let mut failing = false;
            let mut patience = Some(Duration::ZERO);
            loop {
                if bell.wait(patience) {
                    std::thread::sleep(BATCH);
                }
                let Some(audit) = Weak::upgrade(&audit) else { return };
                let outcome = audit.bring();
                if let (Err(error), false) = (&outcome, failing) {
                    tracing::error!(%error, "records wait");
                }
                failing = outcome.is_err();
                patience = if failing { Some(AGAIN) } else { audit.until_checkpoint() };
            }
        };
        std::thread::Builder::new().name("audit".to_owned()).spawn(run).map(drop)
    }

    fn bring(&self) -> Result<(), Error> {
        self.collect();
        self.flush().map_err(|error| super::log::refused(&error))?;
        self.checkpoint(false)
    }

    /// Brings everything onto the disk and signs it: at the end, and before an export.
    ///
    /// # Errors
    /// `StoreRefused` when it cannot be written.
    pub fn settle(&self) -> Result<(), Error> {
        self.collect();
        self.flush().map_err(|error| super::log::refused(&error))?;
        self.checkpoint(true)
    }
}
