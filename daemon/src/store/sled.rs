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
//! record's bytes. Key 0x00, which no record has, holds the revision of the last commit.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nix::fcntl::Flock;

use super::durable::{lock_file, make_private_dir, parent, remove_if_present, sync_dir};
use super::engine::{Batch, Page, Record, RecordKey, Store, Write};
use super::error::{Error, Result};
use super::watch::{Event, Watch, Watchers, events_of};

const SEGMENT_BYTES: usize = 4 * 1024 * 1024;
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
const VERSION_BYTES: usize = 8;
const REVISION_KEY: &[u8] = &[0];

/// How often, and how far apart, sled's lock is tried.
const LOCK_ATTEMPTS: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Below this many free bytes nothing more is written: sled cannot be opened again on a full disk, so the
/// last space is kept for the restart.
const LOW_WATER_BYTES: u64 = 64 * 1024 * 1024;

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

fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// A sled database in a directory of its own.
pub struct SledStore {
    dir: PathBuf,
    /// `None` only while being dropped.
    db: Option<::sled::Db>,
    /// The file that sled's log is in.
    log: File,
    disk: Disk,
    writer: Mutex<Writer>,
    /// The last revision that is durable. Its lock is held during a sync and is taken before `writer`.
    durable: Mutex<u64>,
    /// Set by the first failure on the way to the disk; writes end here, reads go on.
    poisoned: AtomicBool,
    watchers: Watchers,
    _lock: Flock<File>,
}

/// What has been applied to sled, durable or not.
struct Writer {
    revision: u64,
    /// Changes that watchers learn once they are durable.
    unpublished: Vec<Event>,
}

impl SledStore {
    /// Opens the database in `dir`, making both if missing.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process, or another value of this type, has it open;
    /// [`Error::Corrupt`] when sled cannot make sense of the files.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, Disk::default())
    }

    /// As [`SledStore::open`], on a disk of the caller's.
    pub(super) fn open_with(dir: &Path, disk: Disk) -> Result<Self> {
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
        let db = caught(|| config.open().map_err(|error| sled_error(dir, error)))?;
        let log_path = dir.join("db");
        let log = File::open(&log_path).map_err(|error| Error::io("open", &log_path, error))?;
        sync_names(dir, &log, &disk)?;
        warn_of_blobs(dir);

        let stored = caught(|| db.get(REVISION_KEY).map_err(|error| sled_error(dir, error)))?;
        let revision = match stored {
            None => 0,
            Some(bytes) => u64::from_be_bytes(
                bytes.as_ref().try_into().map_err(|_| corrupt("the revision has a wrong length"))?,
            ),
        };
        Ok(Self {
            dir: dir.to_owned(),
            db: Some(db),
            log,
            disk,
            writer: Mutex::new(Writer { revision, unpublished: Vec::new() }),
            durable: Mutex::new(revision),
            poisoned: AtomicBool::new(false),
            watchers: Watchers::default(),
            _lock: lock,
        })
    }

    fn db(&self) -> Result<&::sled::Db> {
        self.db.as_ref().ok_or(Error::Closed)
    }

    /// Runs `work` on sled. Any failure of sled ends all writing: its own threads write too, and what
    /// failed may have been theirs.
    fn on_sled<T>(&self, work: impl FnOnce(&::sled::Db) -> Result<T>) -> Result<T> {
        let db = self.db()?;
        let result = caught(|| work(db));
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
    fn apply(&self, batch: Batch) -> Result<u64> {
        let mut writer = locked(&self.writer);
        self.refuse_if_poisoned()?;
        self.refuse_if_nearly_full()?;
        self.on_sled(|db| {
            batch.check_expectations(|place| Ok(self.read(db, place)?.map(|record| record.version)))
        })?;

        let revision = writer.revision + 1;
        let events = events_of(&batch, revision);
        let mut sled_batch = ::sled::Batch::default();
        sled_batch.insert(REVISION_KEY, &revision.to_be_bytes());
        for Write { place, value, .. } in batch.writes {
            match value {
                Some(bytes) => {
                    let versioned = [revision.to_be_bytes().as_slice(), &bytes].concat();
                    sled_batch.insert(place.to_bytes(), versioned);
                }
                None => sled_batch.remove(place.to_bytes()),
            }
        }
        // The same code path as a transaction of one tree; the writer lock joins check and write.
        self.on_sled(|db| db.apply_batch(sled_batch).map_err(|error| sled_error(&self.dir, error)))?;
        writer.revision = revision;
        writer.unpublished.extend(events);
        Ok(revision)
    }

    /// Returns once `revision` is on the disk. Whoever comes first syncs for all who have applied by then,
    /// so the commits that wait during one sync share the next (group commit).
    fn make_durable(&self, revision: u64) -> Result<()> {
        let mut durable = locked(&self.durable);
        if *durable >= revision {
            return Ok(());
        }
        self.refuse_if_poisoned()?;
        let (applied, events) = {
            let mut writer = locked(&self.writer);
            (writer.revision, std::mem::take(&mut writer.unpublished))
        };
        self.on_sled(|db| db.flush().map(drop).map_err(|error| sled_error(&self.dir, error)))
            .and_then(|()| {
                (self.disk.sync)(&self.log).map_err(|error| Error::io("sync", &self.dir.join("db"), error))
            })
            .inspect_err(|_| self.poison())?;
        *durable = applied;
        self.watchers.notify(&events);
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

    async fn commit(&self, batch: Batch) -> Result<u64> {
        batch.check_form()?;
        let revision = self.apply(batch)?;
        self.make_durable(revision)?;
        Ok(revision)
    }

    async fn watch(&self, prefix: &RecordKey) -> Result<Watch> {
        Ok(self.watchers.add(prefix))
    }
}

impl Drop for SledStore {
    /// Closes sled, whose own closing panics when the disk fails. Nothing is lost then: every commit that
    /// was reported is durable already.
    fn drop(&mut self) {
        let db = self.db.take();
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

fn record_from(place: &RecordKey, value: &[u8]) -> Result<Record> {
    let (version, bytes) = value
        .split_first_chunk::<VERSION_BYTES>()
        .ok_or_else(|| corrupt(format!("{place} has no version")))?;
    Ok(Record { version: u64::from_be_bytes(*version), bytes: bytes.to_vec() })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
