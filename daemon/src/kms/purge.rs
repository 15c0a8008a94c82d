//! The purge of destroyed material, and destroyed material that a restore has met.

use std::collections::HashMap;

use serde_json::json;

use super::clock;
use super::record::{Uid, Version};
use super::state::VersionState;
use super::time::Time;
use super::transitions::destroy;
use crate::audit::{Principal, Record};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::events::Name;
use crate::store::{Change, Purged, Tree};

impl Daemon {
    /// Makes all material that was destroyed unreadable for whoever has every file and the root key. The caller has
    /// written the intent to the audit log.
    ///
    /// # Errors
    /// What the store says; nothing that lives is lost.
    pub fn purge(&self, by: &Principal) -> Result<Purged> {
        let purged = self.records.purge()?;
        let details = json!({
            "epoch": purged.epoch,
            "rewrappedRecords": purged.rewrapped,
            "purgedMaterials": purged.erased,
        });
        self.raise(Name::Purged, "Daemon", "store", by, details);
        Ok(purged)
    }

    /// Purges when there is something to purge, once a day.
    ///
    /// # Errors
    /// What the audit log and the store say; after an error the next try is a day later.
    pub fn purge_daily(&self) -> Result<()> {
        if !self.records.begin_daily_purge(clock::reading().monotonic)? {
            return Ok(());
        }
        let record = Record::new("PurgeMaterial", &Principal::Timer, "timer");
        let intent = self.audit.begin(&record)?;
        let purged = self.purge(&Principal::Timer);
        match &purged {
            Ok(Purged { epoch, rewrapped, erased }) => {
                tracing::info!(epoch, rewrapped, erased, "purged what was destroyed");
                self.audit.end(&intent, &record);
            }
            Err(error) => {
                let message = error.to_string();
                self.audit.end(&intent, &record.with_error(error, &message));
            }
        }
        purged.map(drop)
    }

    /// Says of every version whose material a restore has left out, because it had been destroyed, that it is
    /// destroyed.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn bury(&self, now: Time) -> Result<()> {
        let mut removed: HashMap<Vec<u8>, u64> = HashMap::new();
        self.records.for_each_tombstone(|key, tombstone| {
            removed.insert(key, tombstone.removed);
        })?;
        if removed.is_empty() {
            return Ok(());
        }
        let _writer = self.catalog.write();
        for token in self.catalog.tokens() {
            for version in self.catalog.keys(&token.uid).iter().flat_map(|key| key.versions()) {
                let gone = removed.get(Uid::as_slice(&version.uid));
                let (Some(removed), false) = (gone, version.record().state == VersionState::Destroyed) else {
                    continue;
                };
                let mut record = Version::clone(&version.record());
                let mut change = Change::new();
                destroy(&mut record, &mut change, now);
                record.fate.destroy_event_time = Some(i64::try_from(*removed).map_or(now, Time).min(now));
                record.etag += 1;
                change.put(Tree::Version, record.uid, &record)?;
                self.records.commit(change)?;
                self.hide_version(&token, &version);
                self.catalog.unschedule(&version);
                version.replace(record);
                self.tell_destroyed(&version);
            }
        }
        Ok(())
    }
}
