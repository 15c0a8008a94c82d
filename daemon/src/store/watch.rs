//! Notices of durable changes, shared by the engines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::engine::{Batch, RecordKey};
use super::error::{Error, Result};

/// Events a watcher may leave unread before it is told to scan again.
const CAPACITY: usize = 1024;

/// A record that was put or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The commit that did it.
    pub revision: u64,
    /// The record's place.
    pub place: RecordKey,
    /// Whether it was removed.
    pub removed: bool,
}

/// The receiving end of a watch; dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<Event>,
    lagged: Arc<AtomicBool>,
}

impl Watch {
    /// The next change.
    ///
    /// # Errors
    /// [`Error::WatchLagged`] when changes were missed, [`Error::Closed`] when the store is closed. Both
    /// come after all events that were received before.
    pub async fn next(&mut self) -> Result<Event> {
        match self.events.recv().await {
            Some(event) => Ok(event),
            None if self.lagged.load(Ordering::Acquire) => Err(Error::WatchLagged),
            None => Err(Error::Closed),
        }
    }
}

struct Watcher {
    prefix: RecordKey,
    events: mpsc::Sender<Event>,
    lagged: Arc<AtomicBool>,
}

impl Watcher {
    /// Sends one event; false when the watch has ended and can be forgotten.
    fn send(&self, event: Event) -> bool {
        match self.events.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lagged.store(true, Ordering::Release);
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// All watchers of one engine.
#[derive(Default)]
pub(super) struct Watchers(Mutex<Vec<Watcher>>);

impl Watchers {
    /// A watch over `prefix`.
    pub fn add(&self, prefix: &RecordKey) -> Watch {
        let (sender, events) = mpsc::channel(CAPACITY);
        let lagged = Arc::new(AtomicBool::new(false));
        let watcher = Watcher { prefix: prefix.clone(), events: sender, lagged: lagged.clone() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        Watch { events, lagged }
    }

    /// Sends the events of one durable commit to whom they concern.
    pub fn notify(&self, events: &[Event]) {
        let mut watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| {
            !watcher.events.is_closed()
                && events
                    .iter()
                    .filter(|event| event.place.is_under(&watcher.prefix))
                    .all(|event| watcher.send(event.clone()))
        });
    }
}

/// The events of `batch`, committed as `revision`.
pub(super) fn events_of(batch: &Batch, revision: u64) -> Vec<Event> {
    let event = |write: &super::engine::Write| Event {
        revision,
        place: write.place.clone(),
        removed: write.value.is_none(),
    };
    batch.writes.iter().map(event).collect()
}
