//! The engine on disk: sled 0.34, with what it lacks to keep a promise through a loss of power.
//!
//! * sled's `flush` ends in `sync_file_range`, which leaves data in the disk's cache (sled issues 1351 and
//!   1452), so every commit ends with fdatasync on a descriptor of our own.
//! * A crash inside a snapshot leaves `snap.*.generating`, which makes the next open fail (sled issues
//!   1527 and 1533). The file is no part of the database and is removed first.
//! * sled panics on some damage; no panic leaves this file.
//! * Values above about a quarter of a segment go to `blobs/`, which is never synced; hence the segment
//!   size here and [`MAX_RECORD_BYTES`](super::MAX_RECORD_BYTES).
//!
//! All records are in one sled tree: space and open time grow with the number of trees (sled issue 1374).
//! A key there is the tree number and the record's key, a value is the version (u64, big endian) and the
//! record's bytes. Key 0x00, which no record has, holds the state after the last commit (`anchor.rs`), with
//! the revision that was anchored when it began and a MAC:
//!
//! ```text
//! anchored u64 | revision u64 | tally | mac[32]
//! ```
//!
//! A commit is one sled batch, `flush`, fdatasync of the log, the anchor and its fdatasync, and then the
//! reply. An opened store takes no commit before [`SledStore::adopt`], which the caller does once it has
//! compared every record with the state and the anchor (`verify.rs`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nix::fcntl::Flock;
use nix::sys::prctl;

use super::anchor::{Anchor, Anchored, State};
use super::durable::{lock_file, make_private_dir, parent, remove_if_present, sync_dir};
use super::engine::{Batch, Page, Record, RecordKey, Store, Write};
use super::error::{Error, Result};
use super::group::{Durable, Group};
use super::inventory::Inventory;
use super::seal::Sealer;
use super::tally::{Authenticator, Domain, take};
use super::verify::{Findings, Survey};
use super::watch::{Event, Watch, Watchers, events_of};
use super::watchdog::Watchdog;

const SEGMENT_BYTES: usize = 4 * 1024 * 1024;
/// Of sled's own cache. What the daemon knows of its records it keeps itself, and asks sled for material alone, once for
/// each key; the system's cache has the file besides.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
const VERSION_BYTES: usize = 8;
const STATE_KEY: &[u8] = &[0];

/// How often, and how far apart, sled's lock is tried.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Below this many free bytes nothing more is written: sled cannot be opened again on a full disk, so the
/// last space is kept for the restart.
pub(super) const LOW_WATER_BYTES: u64 = 64 * 1024 * 1024;

/// A key or a value as the database has it.
pub(super) use ::sled::IVec as Raw;

type SyncFile = Box<dyn Fn(&File) -> io::Result<()> + Send + Sync>;
type FreeBytes = Box<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// What the engine asks of the disk besides sled; tests put failures here.
pub(super) struct Disk {
    /// Makes a file's data durable.
    pub sync: SyncFile,
    /// Free bytes for this user on the file system of a path.
    pub free: FreeBytes,
}

impl Default for Disk {
    fn default() -> Self {
        Self { sync: Box::new(File::sync_data), free: Box::new(free_bytes) }
    }
}

pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Where the files beside the engine's are, and the key that ties them to it.
#[derive(Clone)]
pub struct Anchoring {
    /// The anchor file.
    pub anchor: PathBuf,
    /// The inventory file.
    pub inventory: PathBuf,
    /// Authenticates states and the anchor.
    pub key: Arc<Authenticator>,
}

/// What the engine's own files say of its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// There is no state: nothing was ever committed, or it was lost.
    None,
    /// There is one of another store, or a damaged one.
    NotAuthentic,
    /// The state after the last commit.
    State {
        /// The state.
        state: State,
        /// The revision that was anchored when that commit began.
        anchored: u64,
    },
}

/// A sled database in a directory of its own.
pub struct SledStore {
    dir: PathBuf,
    /// `None` only while being dropped.
    db: Option<::sled::Db>,
    /// The file that sled's log is in.
    log: File,
    disk: Disk,
    anchoring: Anchoring,
    watchdog: Watchdog,
    writer: Mutex<Writer>,
    /// What is durable. Its lock is taken before `writer`'s and is not held during a sync.
    durable: Group<Anchor>,
    /// The revision in the anchor.
    anchored: AtomicU64,
    /// Set by the first failure on the way to the disk; writes end here, reads go on.
    poisoned: AtomicBool,
    watchers: Watchers,
    _lock: Flock<File>,
}

/// What has been applied to sled, durable or not.
struct Writer {
    /// Whether commits are taken.
    adopted: bool,
    state: State,
    /// `None` until the store is adopted, or when it cannot be written.
    inventory: Option<Inventory>,
    /// Changes that watchers learn once they are durable.
    unpublished: Vec<Event>,
}

impl SledStore {
    /// Opens the database in `dir`, making both if missing. It takes no commits yet.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process, or another value of this type, has it open;
    /// [`Error::Corrupt`] when sled cannot make sense of the files.
    pub fn open(dir: &Path, anchoring: &Anchoring) -> Result<Self> {
        Self::open_with(dir, anchoring, Disk::default())
    }

    /// As [`SledStore::open`], on a disk of the caller's.
    pub(super) fn open_with(dir: &Path, anchoring: &Anchoring, disk: Disk) -> Result<Self> {
        make_private_dir(dir)?;
        let lock = lock_file(&dir.join("lock"))?;
        wait_for_sleds_lock(&dir.join("db"))?;
        remove_unfinished_snapshots(dir)?;

        let config = ::sled::Config::new()
            .path(dir)
            .mode(::sled::Mode::HighThroughput)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None);
        let db = with_patient_threads(|| caught(|| config.open().map_err(|error| sled_error(dir, error))))?;
        let log_path = dir.join("db");
        let log = File::open(&log_path).map_err(|error| Error::io("open", &log_path, error))?;
        sync_names(dir, &log, &disk)?;
        warn_of_blobs(dir);
        Ok(Self {
            dir: dir.to_owned(),
            watchdog: Watchdog::start(db.clone()).map_err(|error| Error::io("watch", dir, error))?,
            db: Some(db),
            log,
            disk,
            anchoring: anchoring.clone(),
            writer: Mutex::new(Writer {
                adopted: false,
                state: State::default(),
                inventory: None,
                unpublished: Vec::new(),
            }),
            durable: Group::new(),
            anchored: AtomicU64::new(0),
            poisoned: AtomicBool::new(false),
            watchers: Watchers::default(),
            _lock: lock,
        })
    }

    /// What the database says of its records.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Io`] when sled cannot read it.
    pub fn stored(&self) -> Result<Stored> {
        let bytes = self.on_sled(|db| db.get(STATE_KEY).map_err(|error| sled_error(&self.dir, error)))?;
        let Some(bytes) = bytes else { return Ok(Stored::None) };
        let decode = |mut rest: &[u8]| {
            let anchored = u64::from_be_bytes(take(&mut rest)?);
            let state = State::decode(&mut rest)?;
            rest.is_empty().then_some(Stored::State { state, anchored })
        };
        let content = self.anchoring.key.verified(Domain::State, &bytes);
        Ok(content.and_then(decode).unwrap_or(Stored::NotAuthentic))
    }

    /// Starts taking commits from `state`, which the caller has found to be that of the records: writes it to
    /// the anchor, beside the generation of the `keyring`, and the `places` to the inventory.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NoSpace`] when they cannot be written; nothing is lost.
    pub fn adopt(
        &self,
        anchor: Option<Anchored>,
        state: &State,
        keyring: u64,
        places: impl Iterator<Item = (RecordKey, u64)>,
    ) -> Result<()> {
        let mut durable = self.durable.lock();
        let mut writer = locked(&self.writer);
        let Anchoring { anchor: path, inventory, key } = &self.anchoring;
        let wanted = Anchored { keyring, state: state.clone() };
        let opened = match anchor {
            Some(_) => Anchor::open(path, key.clone())?,
            None => None,
        };
        let anchor = match opened {
            Some(anchor) if *anchor.anchored() == wanted => anchor,
            Some(mut anchor) => {
                anchor.write(wanted, &self.disk.sync)?;
                anchor
            }
            None => Anchor::create(path, key.clone(), wanted)?,
        };
        // Only names: a disk that is too full for them must not keep the daemon from starting.
        writer.inventory = Inventory::create(inventory, places)
            .inspect_err(|error| tracing::warn!(%error, "there is no inventory"))
            .ok();
        (writer.state, writer.adopted) = (state.clone(), true);
        durable.open(state.revision, anchor);
        self.anchored.store(state.revision, Ordering::Release);
        Ok(())
    }

    /// Writes `state` over what the database says of its records, for a caller that has decided to take the
    /// records as they are, and removes `places`. Call [`SledStore::adopt`] afterwards.
    pub(super) fn overrule(&self, state: &State, places: &[Vec<u8>]) -> Result<()> {
        self.on_sled(|db| {
            let mut batch = ::sled::Batch::default();
            batch.insert(STATE_KEY, self.state_bytes(state));
            places.iter().for_each(|place| batch.remove(place.as_slice()));
            db.apply_batch(batch).map_err(|error| sled_error(&self.dir, error))?;
            db.flush().map(drop).map_err(|error| sled_error(&self.dir, error))
        })?;
        (self.disk.sync)(&self.log).map_err(|error| Error::io("sync", &self.dir.join("db"), error))
    }

    /// Calls `each` with every entry of the database but the state, as it is: also keys of no known tree and
    /// values that are no record.
    pub(super) fn for_each_raw(&self, mut each: impl FnMut(Raw, Raw) -> Result<()>) -> Result<()> {
        self.on_sled(|db| {
            for item in db.iter() {
                let (key, value) = item.map_err(|error| sled_error(&self.dir, error))?;
                if *key != *STATE_KEY {
                    each(key, value)?;
                }
            }
            Ok(())
        })
    }

    fn state_bytes(&self, state: &State) -> Vec<u8> {
        let mut bytes = self.anchored.load(Ordering::Acquire).to_be_bytes().to_vec();
        state.encode(&mut bytes);
        let mac = self.anchoring.key.mac(Domain::State, &[&bytes]);
        bytes.extend_from_slice(&mac);
        bytes
    }

    fn db(&self) -> Result<&::sled::Db> {
        self.db.as_ref().ok_or(Error::Closed)
    }

    /// Runs `work` on sled. Any failure of sled ends all writing: its own threads write too, and what
    /// failed may have been theirs.
    fn on_sled<T>(&self, work: impl FnOnce(&::sled::Db) -> Result<T>) -> Result<T> {
        let db = self.db()?;
        let result = with_patient_threads(|| caught(|| work(db)));
        if let Err(Error::Corrupt { .. } | Error::Io { .. } | Error::NoSpace { .. }) = result {
            self.poison();
        }
        result
    }

    fn poison(&self) {
        if !self.poisoned.swap(true, Ordering::AcqRel) {
            tracing::error!(dir = %self.dir.display(), "the store takes no more writes");
        }
    }

    fn refuse_if_poisoned(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) { Err(Error::Poisoned) } else { Ok(()) }
    }

    fn refuse_if_nearly_full(&self) -> Result<()> {
        let free = (self.disk.free)(&self.dir).map_err(|error| Error::io("examine", &self.dir, error))?;
        if free < LOW_WATER_BYTES { Err(Error::NoSpace { path: self.dir.clone() }) } else { Ok(()) }
    }

    fn read(&self, db: &::sled::Db, place: &RecordKey) -> Result<Option<Record>> {
        let value = db.get(place.to_bytes()).map_err(|error| sled_error(&self.dir, error))?;
        value.map(|value| record_from(place, &value)).transpose()
    }

    /// Checks and applies a batch, and returns its revision. Not durable yet, though readers see it.
    fn apply_batch(&self, batch: Batch) -> Result<u64> {
        let mut writer = locked(&self.writer);
        if !writer.adopted {
            return Err(Error::Closed);
        }
        self.refuse_if_poisoned()?;
        self.refuse_if_nearly_full()?;
        let places = batch.writes.iter().map(|write| &write.place);
        let old = self.on_sled(|db| places.map(|place| self.read(db, place)).collect::<Result<Vec<_>>>())?;
        batch.check_expectations(&old)?;

        let key = &self.anchoring.key;
        let mut state = writer.state.clone();
        state.revision += 1;
        let revision = state.revision;
        let events = events_of(&batch, revision);
        let mut sled_batch = ::sled::Batch::default();
        for (Write { place, value, .. }, old) in batch.writes.into_iter().zip(old) {
            if let Some(old) = old {
                state.tally.remove(key, &place, &old);
            }
            match value {
                Some(bytes) => {
                    let versioned = [revision.to_be_bytes().as_slice(), &bytes].concat();
                    state.tally.add(key, &place, &Record { version: revision, bytes });
                    sled_batch.insert(place.to_bytes(), versioned);
                }
                None => sled_batch.remove(place.to_bytes()),
            }
        }
        sled_batch.insert(STATE_KEY, self.state_bytes(&state));
        // The same code path as a transaction of one tree; the writer lock joins check and write.
        let watched = self.watchdog.watch();
        self.on_sled(|db| db.apply_batch(sled_batch).map_err(|error| sled_error(&self.dir, error)))?;
        drop(watched);
        writer.state = state;
        self.take_stock(&mut writer, revision, &events);
        writer.unpublished.extend(events);
        Ok(revision)
    }

    /// Brings the inventory up to date.
    fn take_stock(&self, writer: &mut Writer, revision: u64, events: &[Event]) {
        let Some(inventory) = &mut writer.inventory else { return };
        inventory.append(revision, events.iter().map(|event| (&event.place, event.removed)));
        if !inventory.is_overgrown() {
            return;
        }
        let mut places = Vec::new();
        let listed = self.for_each_raw(|key, value| {
            if let Some(place) = RecordKey::from_bytes(&key) {
                let version = record_from(&place, &value)?.version;
                places.push((place, version));
            }
            Ok(())
        });
        match listed.and_then(|()| Inventory::create(&self.anchoring.inventory, places.into_iter())) {
            Ok(inventory) => writer.inventory = Some(inventory),
            Err(error) => tracing::warn!(%error, "the inventory cannot be written anew"),
        }
    }

    /// Returns once `revision` is on the disk and in the anchor.
    fn make_durable(&self, revision: u64) -> Result<()> {
        self.durable.reach(
            revision,
            || self.refuse_if_poisoned(),
            |anchor| {
                let (anchor, result) = self.sync_all(anchor);
                let reached = anchor.anchored().state.revision;
                (anchor, reached, result)
            },
        )
    }

    /// Makes everything durable that is applied, and tells the watchers. Gives the anchor back.
    fn sync_all(&self, mut anchor: Anchor) -> (Anchor, Result<()>) {
        let (state, events) = {
            let mut writer = locked(&self.writer);
            (writer.state.clone(), std::mem::take(&mut writer.unpublished))
        };
        let keyring = anchor.anchored().keyring;
        let watched = self.watchdog.watch();
        let result = self
            .on_sled(|db| db.flush().map(drop).map_err(|error| sled_error(&self.dir, error)))
            .inspect(|()| {
                SLED_HAS_THREADS.store(true, Ordering::Relaxed);
                drop(watched);
            })
            .and_then(|()| {
                (self.disk.sync)(&self.log).map_err(|error| Error::io("sync", &self.dir.join("db"), error))
            })
            .and_then(|()| self.write_anchor(&mut anchor, Anchored { keyring, state }))
            .inspect_err(|_| self.poison());
        if result.is_ok() {
            self.watchers.notify(&events);
        }
        (anchor, result)
    }

    /// The lock on what is durable while nobody syncs, so that the anchor is there.
    fn settled(&self) -> Result<MutexGuard<'_, Durable<Anchor>>> {
        self.durable.settled(|| self.refuse_if_poisoned())?.ok_or(Error::Closed)
    }

    fn write_anchor(&self, anchor: &mut Anchor, anchored: Anchored) -> Result<()> {
        let revision = anchored.state.revision;
        anchor.write(anchored, &self.disk.sync)?;
        self.anchored.store(revision, Ordering::Release);
        Ok(())
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, place: &RecordKey) -> Result<Option<Record>> {
        self.on_sled(|db| self.read(db, place))
    }

    async fn scan(&self, prefix: &RecordKey, after: Option<&RecordKey>) -> Result<Page> {
        let from = match after {
            Some(place) if place >= prefix => Bound::Excluded(place.to_bytes()),
            _ => Bound::Included(prefix.to_bytes()),
        };
        let prefix = prefix.to_bytes();
        self.on_sled(|db| {
            let under = |item: &::sled::Result<(::sled::IVec, ::sled::IVec)>| match item {
                Ok((key, _)) => key.starts_with(&prefix),
                Err(_) => true,
            };
            Page::fill(db.range((from, Bound::Unbounded)).take_while(under).map(|item| {
                let (key, value) = item.map_err(|error| sled_error(&self.dir, error))?;
                let place =
                    RecordKey::from_bytes(&key).ok_or_else(|| corrupt("a key is of no known tree"))?;
                let record = record_from(&place, &value)?;
                Ok((place, record))
            }))
        })
    }

    async fn apply(&self, batch: Batch) -> Result<u64> {
        batch.check_form()?;
        self.apply_batch(batch)
    }

    async fn settle(&self, revision: u64) -> Result<()> {
        self.make_durable(revision)
    }

    async fn watch(&self, prefix: &RecordKey) -> Result<Watch> {
        Ok(self.watchers.add(prefix))
    }

    async fn revision(&self) -> u64 {
        locked(&self.writer).state.revision
    }

    async fn examine(&self, sealer: &Sealer) -> Result<Findings> {
        let mut durable = self.settled()?;
        let writer = locked(&self.writer);
        let anchored = durable.anchor().ok_or(Error::Closed)?.anchored().clone();
        let generation = sealer.keyring().generation();
        let survey = Survey::of(self, &self.anchoring.key, Some(sealer), false)?;
        let judged = survey.judge(&anchored, generation, BTreeMap::new);
        drop(writer);
        Ok(judged.map_or_else(
            |findings| findings,
            |state| Findings {
                tally: state.tally,
                reached: state.revision,
                acknowledged: anchored.state.revision,
                faults: Vec::new(),
            },
        ))
    }

    async fn note_keyring(&self, generation: u64) -> Result<()> {
        let mut durable = self.settled()?;
        let anchor = durable.anchor().ok_or(Error::Closed)?;
        let state = anchor.anchored().state.clone();
        self.write_anchor(anchor, Anchored { keyring: generation, state }).inspect_err(|_| self.poison())
    }
}

impl Drop for SledStore {
    /// Closes sled, whose own closing panics when the disk fails. Nothing is lost then: every commit that
    /// was reported is durable already.
    fn drop(&mut self) {
        let db = self.db.take();
        let watched = self.watchdog.watch();
        if let Some(db) = &db {
            let _ = caught(|| db.flush().map(drop).map_err(|error| sled_error(&self.dir, error)));
        }
        drop(watched);
        // Its handle goes first, so that ours is the last and closes the database here.
        self.watchdog.stop();
        if let Err(error) = caught(|| {
            drop(db);
            Ok(())
        }) {
            tracing::error!(%error, "closing the store failed");
        }
    }
}

/// Runs `work` and turns a panic into [`Error::Corrupt`].
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(corrupt(format!("sled panicked: {text}")))
    })
}

fn sled_error(dir: &Path, error: ::sled::Error) -> Error {
    match error {
        ::sled::Error::Io(source) => Error::io("use the database in", dir, source),
        damage => corrupt(damage.to_string()),
    }
}

fn corrupt(what: impl Into<String>) -> Error {
    Error::Corrupt { what: what.into() }
}

pub(super) fn record_from(place: &RecordKey, value: &[u8]) -> Result<Record> {
    let (version, bytes) = value
        .split_first_chunk::<VERSION_BYTES>()
        .ok_or_else(|| corrupt(format!("{place} has no version")))?;
    Ok(Record { version: u64::from_be_bytes(*version), bytes: bytes.to_vec() })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work`, whose threads wake no processor that sleeps. sled starts its threads when it opens or first writes; they wait for
/// work a second at most and then look once more, for ever. With this much slack in their timers the system lets them look
/// when something else has woken it (prctl(2), `PR_SET_TIMERSLACK`); work wakes them as before. A thread has the slack of
/// the one that starts it.
fn with_patient_threads<T>(work: impl FnOnce() -> T) -> T {
    const SLACK_NANOS: u64 = 3_600_000_000_000;
    if SLED_HAS_THREADS.load(Ordering::Relaxed) {
        return work();
    }
    let own = prctl::get_timerslack().ok().and_then(|slack| u64::try_from(slack).ok());
    let changed = own.is_some() && prctl::set_timerslack(SLACK_NANOS).is_ok();
    let done = work();
    if let (Some(own), true) = (own, changed) {
        let _ = prctl::set_timerslack(own);
    }
    done
}

/// Set once sled has written, and so has all threads that stay.
static SLED_HAS_THREADS: AtomicBool = AtomicBool::new(false);

/// Waits until nobody holds the lock that sled keeps on its log. Since our own lock is ours, only what is
/// left of an earlier handle can: sled's threads at their end, or a child between fork and exec.
fn wait_for_sleds_lock(log: &Path) -> Result<()> {
    if !log.exists() {
        return Ok(());
    }
    for _ in 0..LOCK_ATTEMPTS {
        match lock_file(log) {
            Err(Error::Locked { .. }) => std::thread::sleep(LOCK_PAUSE),
            result => return result.map(drop),
        }
    }
    Err(Error::Locked { path: log.to_owned() })
}

fn remove_unfinished_snapshots(dir: &Path) -> Result<()> {
    let io_error = |error| Error::io("read", dir, error);
    for entry in std::fs::read_dir(dir).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %path.display(), "removing an unfinished snapshot");
            remove_if_present(&path)?;
        }
    }
    Ok(())
}

/// Makes what sled created or rewrote while opening last: its files and their names.
fn sync_names(dir: &Path, log: &File, disk: &Disk) -> Result<()> {
    (disk.sync)(log).map_err(|error| Error::io("sync", &dir.join("db"), error))?;
    let conf = dir.join("conf");
    File::open(&conf).and_then(|file| file.sync_all()).map_err(|error| Error::io("sync", &conf, error))?;
    sync_dir(dir)?;
    sync_dir(parent(dir))
}

/// A blob means a value that sled does not sync. The size limits exclude it; say so if they ever do not.
fn warn_of_blobs(dir: &Path) {
    let blobs = std::fs::read_dir(dir.join("blobs")).map(Iterator::count).unwrap_or(0);
    if blobs > 0 {
        tracing::error!(blobs, dir = %dir.display(), "sled holds values outside its log");
    }
}

#[cfg(test)]
#[path = "sled_tests.rs"]
mod tests;
