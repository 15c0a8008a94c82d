//! Appending: every record gets its place in the chain under one lock, and reaches the disk together with others.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use claviger_protocol::audit::with_mac;
use serde_json::json;

use super::chain::{self, Checkpoint, Hash, Keys, MacKey, hex};
use super::head::{Head, HeadFile};
use super::principal::Principal;
use super::record::{Phase, Record, event_id};
use super::segment;
use super::settings::Settings;
use super::uses::Uses;
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::lock;

/// Lines that wait in memory before they are written of themselves, in bytes.
const BUFFER_BYTES: usize = 256 << 10;
/// Lines that wait in memory while the disk takes none, in bytes. What comes then is only counted.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// Records that a log without a directory keeps.
const KEPT_IN_MEMORY: usize = 10_000;

/// The log.
pub struct Audit {
    pub(super) settings: Settings,
    pub(super) keys: Option<Keys>,
    pub(super) log: Mutex<Log>,
    /// The last record that is on the disk. Who holds this syncs for all.
    synced: Mutex<u64>,
    pub(super) uses: Uses,
    unlogged: AtomicU64,
    /// Intents of earlier runs whose outcome is not recorded.
    pub(super) open: Mutex<Vec<super::open::OpenIntent>>,
}

/// What is needed to write the next record.
pub(super) struct Log {
    /// Number of the next record.
    pub next: u64,
    /// Hash of the last.
    pub previous: Hash,
    pub place: Place,
    /// Records since the last checkpoint, which was then.
    pub since_checkpoint: u64,
    pub last_checkpoint: Option<(u64, Time)>,
    pub checkpoint_at: Instant,
    /// How many lost records have been told of.
    pub told: u64,
    /// Nothing more can be written: this is why.
    pub broken: Option<String>,
}

/// Where records go.
pub(super) enum Place {
    Memory(VecDeque<String>),
    Disk(Box<Disk>),
}

/// The open segment.
pub(super) struct Disk {
    pub directory: PathBuf,
    pub file: Arc<File>,
    pub path: PathBuf,
    pub day: String,
    /// Good bytes in the file.
    pub written: u64,
    /// Lines behind them.
    pub waiting: Vec<u8>,
    pub mac: MacKey,
    pub mac_changed: bool,
    pub head_file: HeadFile,
    pub head: Head,
}

/// Where the log ended when it was synced.
struct End {
    last: u64,
    hash: Hash,
    mac: MacKey,
    changed: bool,
}

/// Something that is about to happen and is recorded as such.
#[derive(Debug)]
pub struct Intent {
    /// Id of its record.
    pub id: String,
    at: Instant,
}

impl Intent {
    /// How long ago it was recorded, in microseconds.
    pub fn micros(&self) -> u64 {
        u64::try_from(self.at.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// How the log stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// Number of the last record.
    pub last: u64,
    /// Number of the first that is kept.
    pub first: u64,
    /// Records that could not be written, ever.
    pub unlogged: u64,
    /// The last checkpoint and when it was.
    pub last_checkpoint: Option<(u64, Time)>,
    /// The last record that was exported.
    pub exported: u64,
    /// Why nothing can be written; none when all is well.
    pub broken: Option<String>,
}

impl Audit {
    /// A log in memory, without MACs and signatures.
    pub fn in_memory() -> Audit {
        Audit::new(Settings::default(), None, 1, [0; 32], Place::Memory(VecDeque::new()), 0)
    }

    pub(super) fn new(
        settings: Settings,
        keys: Option<Keys>,
        next: u64,
        previous: Hash,
        place: Place,
        unlogged: u64,
    ) -> Audit {
        let log = Log {
            next,
            previous,
            place,
            since_checkpoint: 0,
            last_checkpoint: None,
            checkpoint_at: Instant::now(),
            told: unlogged,
            broken: None,
        };
        Audit {
            settings,
            keys,
            log: Mutex::new(log),
            synced: Mutex::new(next - 1),
            uses: Uses::default(),
            unlogged: AtomicU64::new(unlogged),
            open: Mutex::default(),
        }
    }

    /// Records what is about to happen. It is on the disk when this returns.
    ///
    /// # Errors
    /// `StoreRefused` when it cannot be written: what cannot be recorded must not happen.
    pub fn begin(&self, record: &Record<'_>) -> Result<Intent> {
        let (id, sequence) = self.put(record, Phase::Intent)?;
        let intent = Intent { id, at: Instant::now() };
        match self.sync(sequence) {
            Ok(()) => Ok(intent),
            Err(error) => {
                let refused = refused(&error);
                let message = refused.to_string();
                self.end(&intent, &record.clone().with_error(&refused, &message));
                Err(refused)
            }
        }
    }

    /// As [`Audit::begin`] for many at once.
    ///
    /// # Errors
    /// As of [`Audit::begin`]: then none of them must happen.
    pub fn begin_all(&self, records: &[Record<'_>]) -> Result<Vec<Intent>> {
        let (mut intents, mut last) = (Vec::with_capacity(records.len()), 0);
        let mut put_all = || {
            for record in records {
                let (id, sequence) = self.put(record, Phase::Intent)?;
                intents.push(Intent { id, at: Instant::now() });
                last = sequence;
            }
            self.sync(last).map_err(|error| refused(&error))
        };
        if let Err(error) = put_all() {
            let message = error.to_string();
            for (intent, record) in intents.iter().zip(records) {
                self.end(intent, &record.clone().with_error(&error, &message));
            }
            return Err(error);
        }
        Ok(intents)
    }

    /// Records what came of an intent. A crash before it reaches the disk leaves the intent open, which the next
    /// start closes.
    pub fn end(&self, intent: &Intent, record: &Record<'_>) {
        // What could not be put is counted.
        let _ = self.put(record, Phase::Outcome(&intent.id));
    }

    /// Records something that changes nothing, or has happened already; it reaches the disk within 100 ms.
    ///
    /// # Errors
    /// `StoreRefused` when too many records wait for a disk that takes none.
    pub fn append(&self, record: &Record<'_>) -> Result<String> {
        Ok(self.put(record, Phase::Whole)?.0)
    }

    /// Records something, on the disk when this returns.
    ///
    /// # Errors
    /// `StoreRefused` when it cannot be written.
    pub fn append_durably(&self, record: &Record<'_>) -> Result<String> {
        let (id, sequence) = self.put(record, Phase::Whole)?;
        self.sync(sequence).map_err(|error| refused(&error))?;
        Ok(id)
    }

    /// Notes that the outcome of an intent of an earlier run is not known.
    pub(super) fn close_open(&self, intent: &str, record: &Record<'_>) {
        let _ = self.put(record, Phase::Outcome(intent));
    }

    fn put(&self, record: &Record<'_>, phase: Phase<'_>) -> Result<(String, u64)> {
        let now = Time::wall();
        let id = event_id(now)?;
        let body = record.body(&id, now, phase);
        let mut log = lock::lock(&self.log);
        match self.link(&mut log, now, &body) {
            Ok(sequence) => {
                drop(log);
                self.uses.ring();
                Ok((id, sequence))
            }
            Err(error) => {
                self.unlogged.fetch_add(1, Ordering::Relaxed);
                Err(refused(&error))
            }
        }
    }

    /// Makes a body the next link of the chain.
    fn link(&self, log: &mut Log, now: Time, body: &str) -> io::Result<u64> {
        if let Some(why) = &log.broken {
            return Err(io::Error::other(why.clone()));
        }
        log.make_room(now, &self.settings)?;
        let unlogged = self.unlogged.load(Ordering::Relaxed);
        if unlogged > log.told {
            let lost = unlogged - log.told;
            log.told = unlogged;
            let by = Principal::Timer;
            let record = Record {
                request: json!({"lost": lost, "lostEver": unlogged}),
                ..Record::new("Event.AUDIT_UNLOGGED", &by, "daemon")
            };
            let id = event_id(now).map_err(io::Error::other)?;
            log.push(&record.body(&id, now, Phase::Whole))?;
        }
        log.push(body)
    }

    /// Brings what was recorded up to a number onto the disk, together with what others wait for.
    pub(super) fn sync(&self, upto: u64) -> io::Result<()> {
        let mut synced = lock::lock(&self.synced);
        if *synced >= upto {
            return Ok(());
        }
        let (file, end) = {
            let mut log = lock::lock(&self.log);
            if let Some(why) = &log.broken {
                return Err(io::Error::other(why.clone()));
            }
            let (last, hash) = (log.next - 1, log.previous);
            match &mut log.place {
                Place::Memory(_) => return Ok(()),
                Place::Disk(disk) => {
                    disk.write()?;
                    let changed = std::mem::take(&mut disk.mac_changed);
                    (disk.file.clone(), End { last, hash, mac: disk.mac.clone(), changed })
                }
            }
        };
        if let Err(error) = file.sync_data() {
            // What the kernel could not write it may have forgotten: nothing after it can be trusted.
            lock::lock(&self.log).broken = Some(format!("it was not synced: {error}"));
            return Err(error);
        }
        *synced = end.last;
        self.keep_head(Some(end))
    }

    /// Keeps where the log ends; never ahead of what is on the disk, since a log that is shorter has been cut.
    fn keep_head(&self, end: Option<End>) -> io::Result<()> {
        let mut log = lock::lock(&self.log);
        let Place::Disk(disk) = &mut log.place else { return Ok(()) };
        let head = &mut disk.head;
        let mut changed = false;
        if let Some(end) = end {
            changed = end.changed;
            (head.last, head.hash, head.mac) = (end.last, end.hash, end.mac);
        }
        head.counter += 1;
        head.unlogged = self.unlogged.load(Ordering::Relaxed);
        disk.head_file.write(head, changed)
    }

    /// Signs everything so far, when it is time or `at_once`.
    ///
    /// # Errors
    /// `StoreRefused` when it cannot be written.
    pub(super) fn checkpoint(&self, at_once: bool) -> Result<()> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let sequence = {
            let mut log = lock::lock(&self.log);
            let interval = std::time::Duration::from_millis(self.settings.checkpoint_interval);
            let due = log.since_checkpoint >= self.settings.checkpoint_records
                || log.since_checkpoint > 0 && log.checkpoint_at.elapsed() >= interval;
            if !(due || at_once && log.since_checkpoint > 0) {
                return Ok(());
            }
            let now = Time::wall();
            let unlogged = self.unlogged.load(Ordering::Relaxed);
            log.make_room(now, &self.settings).map_err(|error| refused(&error))?;
            let (log_name, time) = (keys.log_name(), now.rfc3339());
            let signature = keys.sign(&Checkpoint {
                log: &log_name,
                sequence: log.next,
                previous_hash: &hex(&log.previous),
                event_time: &time,
                unlogged,
            })?;
            let by = Principal::Timer;
            let record = Record {
                request: json!({"log": log_name, "unlogged": unlogged, "signature": signature}),
                ..Record::new(claviger_protocol::audit::CHECKPOINT, &by, "daemon")
            };
            let body = record.body(&event_id(now)?, now, Phase::Whole);
            let sequence = log.push(&body).map_err(|error| refused(&error))?;
            log.since_checkpoint = 0;
            log.last_checkpoint = Some((sequence, now));
            log.checkpoint_at = Instant::now();
            sequence
        };
        self.sync(sequence).map_err(|error| refused(&error))
    }

    /// How long until a checkpoint is due although nothing more is recorded; none when all is signed.
    pub(super) fn until_checkpoint(&self) -> Option<std::time::Duration> {
        self.keys.as_ref()?;
        let log = lock::lock(&self.log);
        let interval = std::time::Duration::from_millis(self.settings.checkpoint_interval);
        (log.since_checkpoint > 0).then(|| interval.saturating_sub(log.checkpoint_at.elapsed()))
    }

    /// Notes how far the log was exported.
    ///
    /// # Errors
    /// `InvalidArgument` for a record that is not there.
    pub fn exported(&self, upto: u64) -> Result<()> {
        {
            let mut log = lock::lock(&self.log);
            if upto >= log.next {
                let message = format!("the audit log has no record {upto} yet");
                return Err(Error::InvalidArgument { message });
            }
            if let Place::Disk(disk) = &mut log.place {
                disk.head.exported = disk.head.exported.max(upto);
            }
        }
        self.keep_head(None).map_err(|error| refused(&error))
    }

    /// Brings everything recorded so far onto the disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        let last = lock::lock(&self.log).next - 1;
        self.sync(last)
    }

    /// Removes the segments that are over for longer than they are kept.
    ///
    /// # Errors
    /// What the file system says.
    pub fn expire(&self, now: Time) -> io::Result<()> {
        let oldest = segment::day(Time(now.0.saturating_sub(self.settings.retention as i64)));
        let mut log = lock::lock(&self.log);
        let Place::Disk(disk) = &mut log.place else { return Ok(()) };
        let segments = segment::all(&disk.directory)?;
        let exported = disk.head.exported;
        let mut kept = None;
        for pair in segments.windows(2) {
            let [old, next] = pair else { break };
            let waits_for_export = exported > 0 && next.first > exported + 1;
            if old.day >= oldest || waits_for_export {
                break;
            }
            kept = Some((old, next.clone()));
        }
        let Some((_, first)) = kept else { return Ok(()) };
        // The head knows the new beginning before the old one goes: a crash in between leaves too much, not too little.
        let before = super::open::previous_hash(&first.path)?;
        let head = &mut disk.head;
        (head.first, head.before_first) = (first.first, before.unwrap_or([0; 32]));
        head.counter += 1;
        disk.head_file.write(head, true)?;
        for old in segments.iter().filter(|segment| segment.first < first.first) {
            std::fs::remove_file(&old.path)?;
        }
        Ok(())
    }

    /// The log's name and the key that checks its checkpoints, in PEM.
    ///
    /// # Errors
    /// `Unimplemented` for a log in memory.
    pub fn public_key(&self) -> Result<(String, String)> {
        let none = || Error::Unimplemented { what: "a signed audit log".to_owned() };
        let keys = self.keys.as_ref().ok_or_else(none)?;
        Ok((keys.log_name(), keys.public_pem()?))
    }

    /// How the log stands.
    pub fn status(&self) -> Status {
        let log = lock::lock(&self.log);
        let (first, exported) = match &log.place {
            Place::Disk(disk) => (disk.head.first, disk.head.exported),
            Place::Memory(_) => (1, 0),
        };
        Status {
            last: log.next - 1,
            first,
            unlogged: self.unlogged.load(Ordering::Relaxed),
            last_checkpoint: log.last_checkpoint,
            exported,
            broken: log.broken.clone(),
        }
    }

    /// Counts records that are lost.
    pub(super) fn lose(&self, count: u64) {
        self.unlogged.fetch_add(count, Ordering::Relaxed);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.collect();
        if let Err(error) = self.flush() {
            tracing::error!(%error, "the last records are not in the audit log");
        }
        // The thread looks, and finds nobody who needs it.
        self.uses.ring();
    }
}

impl Log {
    /// Sees to it that a line can be taken: begins a new segment when it is time, and writes what has waited.
    fn make_room(&mut self, now: Time, settings: &Settings) -> io::Result<()> {
        let next = self.next;
        let Place::Disk(disk) = &mut self.place else { return Ok(()) };
        let size = disk.written + disk.waiting.len() as u64;
        let is_over = size >= settings.segment_bytes || disk.day != segment::day(now);
        if size > 0 && is_over {
            disk.write()?;
            disk.file.sync_data()?;
            let path = disk.directory.join(segment::name(next, now));
            disk.file = Arc::new(segment::create(&path)?);
            disk.path = path;
            disk.written = 0;
            disk.day = segment::day(now);
        } else if disk.waiting.len() >= BUFFER_BYTES {
            let written = disk.write();
            if disk.waiting.len() >= MAX_WAITING_BYTES {
                written?;
            }
        }
        Ok(())
    }

    /// Appends a body as the next line.
    fn push(&mut self, body: &str) -> io::Result<u64> {
        let sequence = self.next;
        let text = format!("{{\"sequence\":{sequence},{body},\"previousHash\":\"{}\"}}", hex(&self.previous));
        let hash = chain::hash(&text);
        match &mut self.place {
            Place::Memory(lines) => {
                lines.push_back(text);
                if lines.len() > KEPT_IN_MEMORY {
                    lines.pop_front();
                }
            }
            Place::Disk(disk) => {
                disk.mac_changed |= disk.mac.advance(sequence);
                let mac = disk.mac.of(&hash);
                disk.waiting.extend_from_slice(with_mac(&text, &mac).as_bytes());
                disk.waiting.push(b'\n');
            }
        }
        self.previous = hash;
        self.next += 1;
        self.since_checkpoint += 1;
        Ok(sequence)
    }
}

impl Disk {
    /// Writes what waits. What could not be written waits on, and is written at the same place.
    pub fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(&self.waiting, self.written)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// What cannot be recorded.
pub(super) fn refused(error: &dyn std::fmt::Display) -> Error {
    Error::StoreRefused { detail: format!("the audit log cannot be written: {error}") }
}
