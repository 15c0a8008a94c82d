//! The engine in memory: the same rules as on disk, nothing kept after the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::engine::{Batch, Page, Record, RecordKey, Store, Write};
use super::error::Result;
use super::seal::Sealer;
use super::verify::Findings;
use super::watch::{Watch, Watchers, events_of};

/// Records in a sorted map.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    watchers: Watchers,
    /// It has no space left, for tests.
    #[cfg(test)]
    pub(crate) is_full: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct State {
    revision: u64,
    records: BTreeMap<RecordKey, Record>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, place: &RecordKey) -> Result<Option<Record>> {
        Ok(self.state().records.get(place).cloned())
    }

    async fn scan(&self, prefix: &RecordKey, after: Option<&RecordKey>) -> Result<Page> {
        let from = match after {
            Some(place) if place >= prefix => Bound::Excluded(place),
            _ => Bound::Included(prefix),
        };
        let state = self.state();
        let records = state.records.range((from, Bound::Unbounded));
        Page::fill(
            records
                .take_while(|(place, _)| place.is_under(prefix))
                .map(|(place, record)| Ok((place.clone(), record.clone()))),
        )
    }

    async fn apply(&self, batch: Batch) -> Result<u64> {
        #[cfg(test)]
        if self.is_full.load(std::sync::atomic::Ordering::Acquire) {
            return Err(super::Error::NoSpace { path: std::path::PathBuf::new() });
        }
        batch.check_form()?;
        let mut state = self.state();
        let present: Vec<_> =
            batch.writes.iter().map(|write| state.records.get(&write.place).cloned()).collect();
        batch.check_expectations(&present)?;
        state.revision += 1;
        let revision = state.revision;
        let events = events_of(&batch, revision);
        for Write { place, value, .. } in batch.writes {
            match value {
                Some(bytes) => state.records.insert(place, Record { version: revision, bytes }),
                None => state.records.remove(&place),
            };
        }
        // Under the lock, so that watchers see revisions in order.
        self.watchers.notify(&events);
        Ok(revision)
    }

    async fn settle(&self, _revision: u64) -> Result<()> {
        Ok(())
    }

    async fn watch(&self, prefix: &RecordKey) -> Result<Watch> {
        Ok(self.watchers.add(prefix))
    }

    async fn revision(&self) -> u64 {
        self.state().revision
    }

    async fn examine(&self, _sealer: &Sealer) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn note_keyring(&self, _generation: u64) -> Result<()> {
        Ok(())
    }
}
