//! The purge: makes material that was removed unreadable for whoever has every file and the root key.
//!
//! sled keeps what it removed until the space is used again, and so may the disk. But removed material is
//! wrapped under an epoch key, and an epoch key is in the keyring alone:
//!
//! 1. a new epoch begins; keyring and anchor are durable; from here new material is under it
//! 2. the data keys of all live material are wrapped under it, in batches
//! 3. every live material is opened under it, and what was removed is listed (`tombstone.rs`); any failure ends
//!    the purge with the old keys in place
//! 4. the old epochs' keys leave both slots of the keyring and the memory; what is still wrapped under them
//!    is lost for good
//!
//! A crash in 1 to 3 leaves both epochs usable, and [`Records::purge_is_due`] says so; the next purge begins
//! another epoch, so that what was removed meanwhile is covered too. A crash in 4 leaves one slot of each, and
//! the next start copies the newer. A purge promises nothing about old blocks of the disk that held an old
//! keyring, nor about backups.

use std::sync::PoisonError;

use super::engine::{Batch, Expect, RecordKey, Tree};
use super::error::{Error, Result};
use super::records::{Records, block_on, is_material};
use super::tombstone;

/// Records that one commit wraps again.
const BATCH_RECORDS: usize = 256;
/// A batch ends once its records reach this many bytes: sled takes a batch into one buffer of its log.
const BATCH_BYTES: usize = 1024 * 1024;

/// The record that says in which epoch material was removed last.
pub(super) const REMOVED_KEY: &[u8] = b"material-removed";

/// In milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// The epoch that all material is under now, and the only one left.
    pub epoch: u32,
    /// Records whose data keys were wrapped again.
    pub rewrapped: usize,
    /// Removed material whose keys are gone now.
    pub erased: usize,
}

impl Records {
    /// Whether material was removed since the last purge, or a purge was cut short.
    ///
    /// # Errors
    /// What the engine and the sealer say.
    pub fn purge_is_due(&self) -> Result<bool> {
        let (current, holds_old) = {
            let keyring = self.sealer.keyring();
            (keyring.current_epoch().0, keyring.holds_old_epochs())
        };
        Ok(holds_old || self.get::<u32>(Tree::Meta, REMOVED_KEY)? == Some(current))
    }

    /// Makes all material that was removed before the call unreadable for good. Other commits go on meanwhile.
    ///
    /// # Errors
    /// Those of a commit, and [`Error::NotAuthentic`] when a live material does not open. Nothing live is lost
    /// by a failure; what was removed stays as readable as it was.
    pub fn purge(&self) -> Result<Purged> {
        let _one = self.purging.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.begin_epoch()?;
        let rewrapped = self.rewrap_all()?;
        self.check_all_under(epoch)?;
        if let Some(dir) = self.directory() {
            self.list_tombstones(&tombstone::path(dir))?;
        }
        self.drop_old_epochs()?;
        let erased = self.mark_erased(epoch)?;
        Ok(Purged { epoch, rewrapped, erased })
    }

    /// Whether a purge is due and this process has begun none within a day of `now`, in milliseconds on a clock that
    /// only goes forward; one counts as begun now. For whoever comes by regularly.
    ///
    /// # Errors
    /// As [`Records::purge_is_due`].
    pub fn begin_daily_purge(&self, now: i64) -> Result<bool> {
        let mut last = self.last_purge.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.saturating_sub(last) < DAY) || !self.purge_is_due()? {
            return Ok(false);
        }
        *last = Some(now);
        Ok(true)
    }

    fn begin_epoch(&self) -> Result<u32> {
        // No commit may have sealed under the old epoch and not yet be applied.
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut keyring = self.sealer.keyring().clone();
        keyring.begin_epoch()?;
        self.save_keyring(keyring)?;
        Ok(self.sealer.keyring().current_epoch().0)
    }

    fn rewrap_all(&self) -> Result<usize> {
        let mut rewrapped = 0;
        for prefix in material_prefixes() {
            let mut after = None;
            loop {
                let page = block_on(self.engine().scan(&prefix, after.as_ref()))?;
                let mut batch = Batch::new();
                let mut bytes = 0;
                for (place, record) in page.records {
                    // Removed and written anew since the page was read: under the new epoch then.
                    if let Some(sealed) = self.sealer.rewrap(&place, &record.bytes)? {
                        bytes += sealed.len();
                        batch.put(place, Expect::Version(record.version), sealed);
                        if batch.writes.len() == BATCH_RECORDS || bytes >= BATCH_BYTES {
                            rewrapped += self.commit_unless_changed(std::mem::take(&mut batch))?;
                            bytes = 0;
                        }
                    }
                }
                rewrapped += self.commit_unless_changed(batch)?;
                match page.next {
                    Some(place) => after = Some(place),
                    None => break,
                }
            }
        }
        Ok(rewrapped)
    }

    /// Commits a batch without the records that have changed meanwhile, and tells how many are left.
    fn commit_unless_changed(&self, mut batch: Batch) -> Result<usize> {
        while !batch.is_empty() {
            match block_on(self.engine().commit(batch.clone())) {
                Ok(_) => return Ok(batch.writes.len()),
                Err(Error::Conflict { place, .. }) => batch.writes.retain(|write| write.place != place),
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }

    /// Opens every live material; one that is still under another epoch is none that may be left behind.
    fn check_all_under(&self, epoch: u32) -> Result<()> {
        for prefix in material_prefixes() {
            let mut after = None;
            loop {
                let page = block_on(self.engine().scan(&prefix, after.as_ref()))?;
                for (place, record) in page.records {
                    debug_assert!(is_material(&place));
                    if self.sealer.rewrap(&place, &record.bytes)?.is_some() {
                        return Err(Error::Corrupt {
                            what: format!(
                                "{place} is not under epoch {epoch} after a purge; its keys are kept"
                            ),
                        });
                    }
                    self.sealer.open_material(&place, &record.bytes)?;
                }
                match page.next {
                    Some(place) => after = Some(place),
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn drop_old_epochs(&self) -> Result<()> {
        let mut keyring = self.sealer.keyring().clone();
        keyring.drop_epochs_before_current();
        self.save_keyring(keyring)
    }
}

/// Where material is: its own records, and their further chunks.
fn material_prefixes() -> [RecordKey; 2] {
    [RecordKey::new(Tree::Material, ""), RecordKey::new(Tree::Chunk, [Tree::Material as u8])]
}

#[cfg(test)]
#[path = "purge_tests.rs"]
mod tests;
