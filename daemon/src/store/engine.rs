//! `trait Store`: what an engine promises, over opaque bytes.

use std::fmt;

use async_trait::async_trait;

use super::error::{Error, Result};
use super::seal::Sealer;
use super::verify::Findings;
use super::watch::Watch;

/// Largest value of one record, in bytes. Up to here sled keeps values in its log; larger ones can go to
/// `blobs/`, which sled never syncs.
pub const MAX_RECORD_BYTES: usize = 32 * 1024;

/// Largest key of one record, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// Most records in one page of a scan.
pub(super) const PAGE_RECORDS: usize = 512;

/// A page ends once its values reach this many bytes.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

/// Declares the trees. The numbers are on disk, in keys and under every seal: never change or reuse one.
macro_rules! trees {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The kind of a record, the first byte of its key on disk.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Tree {
            $($(#[$doc])* $name = $number,)*
        }

        impl Tree {
            /// Every tree.
            pub const ALL: &[Tree] = &[$(Tree::$name),*];
        }
    };
}

trees! {
    /// Facts about the store itself.
    Meta = 1,
    /// Key rings, which are tokens.
    KeyRing = 2,
    /// Crypto keys.
    CryptoKey = 3,
    /// Crypto key versions, without their material.
    Version = 4,
    /// The material of a version, the only records sealed by envelope.
    Material = 5,
    /// Token objects that are no version: certificates, data objects.
    Object = 6,
    /// Import jobs.
    ImportJob = 7,
    /// Aliases.
    Alias = 8,
    /// Counters of use.
    Usage = 9,
    /// Policies: who may do what where.
    Policy = 10,
    /// Principals and their credentials.
    Principal = 11,
    /// PINs, failure counters and lockout of tokens.
    Pin = 12,
    /// What is due at a later time: rotation, destruction, expiry.
    Schedule = 13,
    /// What was removed from [`Tree::Material`].
    Tombstone = 14,
    /// Second and later chunks of values that are longer than one record.
    Chunk = 255,
}

impl Tree {
    /// The tree with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|&tree| tree as u8 == number)
    }
}

/// The place of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Its kind.
    pub tree: Tree,
    /// Its name among its kind: at most [`MAX_KEY_BYTES`] bytes, not secret.
    pub key: Vec<u8>,
}

impl RecordKey {
    /// The place `key` in `tree`.
    pub fn new(tree: Tree, key: impl Into<Vec<u8>>) -> Self {
        Self { tree, key: key.into() }
    }

    /// Whether this place lies under `prefix`: same tree, and a key that starts with the prefix's.
    pub fn is_under(&self, prefix: &RecordKey) -> bool {
        self.tree == prefix.tree && self.key.starts_with(&prefix.key)
    }

    /// Tree number and key in one string of bytes, ordered as places are.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&[self.tree as u8], self.key.as_slice()].concat()
    }

    /// The reverse of [`RecordKey::to_bytes`]; `None` when no tree has that number.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&number, key) = bytes.split_first()?;
        Some(Self::new(Tree::from_number(number)?, key))
    }
}

impl fmt::Display for RecordKey {
    /// Tree and key; a key that is no plain text is shown in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/", self.tree)?;
        match std::str::from_utf8(&self.key) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => f.write_str(text),
            _ => self.key.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// What is stored at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The revision of the commit that wrote it. A place that was removed and written again never gets an
    /// old version back.
    pub version: u64,
    /// The value, opaque to engines.
    pub bytes: Vec<u8>,
}

/// What a batch expects of a place before it writes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// That there is no record.
    Absent,
    /// That there is a record of this version.
    Version(u64),
}

impl Expect {
    /// Whether a place whose record has version `found` is as expected.
    fn holds(self, found: Option<u64>) -> bool {
        match self {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found == Some(version),
        }
    }
}

/// One step of a batch.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub place: RecordKey,
    pub expect: Expect,
    /// The new value; `None` removes the record.
    pub value: Option<Vec<u8>>,
}

/// Puts and removes that happen together or not at all. A place may appear once.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(super) writes: Vec<Write>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `bytes` at `place`.
    pub fn put(&mut self, place: RecordKey, expect: Expect, bytes: Vec<u8>) {
        self.writes.push(Write { place, expect, value: Some(bytes) });
    }

    /// Removes the record at `place`; absent already is no error unless `expect` says so.
    pub fn remove(&mut self, place: RecordKey, expect: Expect) {
        self.writes.push(Write { place, expect, value: None });
    }

    /// Whether the batch does nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Checks what needs no store: sizes, and that each place appears once.
    pub(super) fn check_form(&self) -> Result<()> {
        let mut places: Vec<&RecordKey> = self.writes.iter().map(|write| &write.place).collect();
        places.sort_unstable();
        if let Some(pair) = places.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::Repeated { place: pair[0].clone() });
        }
        for write in &self.writes {
            let size = write.place.key.len();
            if size > MAX_KEY_BYTES {
                return Err(Error::KeyTooLong { size, limit: MAX_KEY_BYTES });
            }
            let size = write.value.as_ref().map_or(0, Vec::len);
            if size > MAX_RECORD_BYTES {
                return Err(Error::TooLarge { place: write.place.clone(), size, limit: MAX_RECORD_BYTES });
            }
        }
        Ok(())
    }

    /// Checks every expectation against `present`, the records at the batch's places, in its order.
    pub(super) fn check_expectations(&self, present: &[Option<Record>]) -> Result<()> {
        for (Write { place, expect, .. }, record) in self.writes.iter().zip(present) {
            let found = record.as_ref().map(|record| record.version);
            if !expect.holds(found) {
                return Err(Error::Conflict { place: place.clone(), found });
            }
        }
        Ok(())
    }
}

/// A part of a scan, bounded in records and bytes.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Records in the order of their keys.
    pub records: Vec<(RecordKey, Record)>,
    /// Pass this as `after` to get the next page; `None` when the scan is complete.
    pub next: Option<RecordKey>,
}

impl Page {
    /// Takes records from `source`, which is in key order, until the page is full or the source ends.
    pub(super) fn fill(source: impl Iterator<Item = Result<(RecordKey, Record)>>) -> Result<Self> {
        let mut records = Vec::new();
        let mut bytes = 0;
        for item in source {
            let (place, record) = item?;
            bytes += record.bytes.len();
            records.push((place, record));
            if records.len() == PAGE_RECORDS || bytes >= PAGE_BYTES {
                let next = records.last().map(|(place, _)| place.clone());
                return Ok(Self { records, next });
            }
        }
        Ok(Self { records, next: None })
    }
}

/// An engine: ordered records of opaque bytes with atomic, durable batches.
///
/// The trait is async so that an engine across a network fits. The engines here do their work in the first
/// poll and block in it: call them from a blocking thread.
#[async_trait]
pub trait Store: Send + Sync {
    /// The record at `place`.
    async fn get(&self, place: &RecordKey) -> Result<Option<Record>>;

    /// The records under `prefix` whose keys come after `after`, in key order, one page at a time. Each
    /// record is whole; commits between or during pages may show in part.
    async fn scan(&self, prefix: &RecordKey, after: Option<&RecordKey>) -> Result<Page>;

    /// Checks every expectation, then writes the whole batch and returns its revision, which is greater
    /// than every earlier one. `Ok` means durable: the batch survives a crash and a loss of power.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Repeated`], [`Error::TooLarge`] and [`Error::KeyTooLong`] leave the
    /// store as it was. So does [`Error::NoSpace`] seen before writing. After any failure on the way to the
    /// disk it is unknown whether the batch will be there after a restart, and every further commit returns
    /// [`Error::Poisoned`]: a second fsync after a failed one can claim success for pages the kernel has
    /// already dropped.
    async fn commit(&self, batch: Batch) -> Result<u64> {
        let revision = self.apply(batch).await?;
        self.settle(revision).await?;
        Ok(revision)
    }

    /// The first half of a commit: the batch has its place among all others, and readers see it. It may be lost in
    /// a crash until [`Store::settle`] has returned.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn apply(&self, batch: Batch) -> Result<u64>;

    /// The second half: returns once `revision` is durable. Who waits at the same time shares the work.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn settle(&self, revision: u64) -> Result<()>;

    /// Durable changes under `prefix` from now on, in the order of their revisions.
    async fn watch(&self, prefix: &RecordKey) -> Result<Watch>;

    /// The revision of the last commit; 0 before the first.
    async fn revision(&self) -> u64;

    /// Examines every record while commits wait; opens each with `sealer`.
    ///
    /// # Errors
    /// What keeps the records from being read.
    async fn examine(&self, sealer: &Sealer) -> Result<Findings>;

    /// Remembers, where it outlives the engine's files, that the keyring reached `generation`; an older one is
    /// refused from then on. `Ok` means durable.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn note_keyring(&self, generation: u64) -> Result<()>;
}
