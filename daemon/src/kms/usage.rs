//! When and how versions were used. Counted in memory without a lock on the way of the operation, and written in
//! batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use bincode::{Decode, Encode};
use claviger_protocol::AttributeType;

use super::record::Uid;
use super::time::Time;
use crate::catalog::VersionCell;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::lock;
use crate::map::Map;
use crate::store::{Change, Tree};

/// How many days of counts are kept.
const KEPT_DAYS: i64 = 400;
/// The day under which the encryptions of days that are not kept are kept, for the limit of a key's lifetime.
const OLDER: i64 = 0;

macro_rules! uses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What a version is used for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Use { $($(#[$doc])* $name = $number,)* }

        impl Use {
            /// How many there are.
            const COUNT: usize = [$($number),*].len();

            /// The audit log's name of this use, by its number in the store.
            fn text(number: u8) -> &'static str {
                match number { $($number => $text,)* _ => "Unknown" }
            }
        }
    };
}

uses! {
    /// Encryption, also of data keys.
    Encrypt = 0, "Encrypt";
    /// Decryption.
    Decrypt = 1, "Decrypt";
    /// A signature.
    Sign = 2, "AsymmetricSign";
    /// The check of a signature.
    Verify = 3, "AsymmetricVerify";
    /// A message authentication code.
    GenerateMac = 4, "GenerateMac";
    /// The check of one.
    VerifyMac = 5, "VerifyMac";
    /// Other keys under it.
    Wrap = 6, "Wrap";
    /// Other keys from under it.
    Unwrap = 7, "Unwrap";
    /// Other keys from it.
    Derive = 8, "Derive";
    /// The opening of an encapsulated secret.
    Decapsulate = 9, "Decapsulate";
}

/// What the store keeps of the use of a version.
#[derive(Debug, Clone, Default, Encode, Decode)]
struct Kept {
    last: Option<(Time, u32, u8)>,
    /// Counts by day (from 1970) and use.
    days: BTreeMap<i64, BTreeMap<u8, u64>>,
}

/// The use of one version. Most versions of a large store rest, and take a pointer.
#[derive(Default)]
pub struct Usage(OnceLock<Box<Counted>>);

#[derive(Default)]
struct Counted {
    last_time: AtomicI64,
    last_uid: AtomicU32,
    last_use: AtomicU8,
    /// Uses that are not in `kept` yet.
    counts: [AtomicU64; Use::COUNT],
    /// Encryptions of all time, as far as they were kept; those that no restart forgot.
    encryptions: AtomicU64,
    is_noted: AtomicBool,
    kept: Mutex<Kept>,
}

/// The use of a version, for people.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// When it was last used, by whom, for what.
    pub last: Option<(Time, u32, &'static str)>,
    /// Use, day (from 1970) and count, newest day first.
    pub counts: Vec<(&'static str, i64, u64)>,
}

impl Usage {
    fn counted(&self) -> &Counted {
        self.0.get_or_init(Box::default)
    }

    /// Everything so far.
    pub fn shown(&self) -> Shown {
        self.0.get().map(|counted| counted.shown()).unwrap_or_default()
    }

    /// Encryptions so far, of all mechanisms.
    pub fn encryptions(&self) -> u64 {
        self.0.get().map_or(0, |counted| counted.encryptions.load(Ordering::Acquire))
    }
}

impl Counted {
    fn shown(&self) -> Shown {
        let kept = lock::lock(&self.kept).clone();
        let mut days = kept.days;
        let mut last = kept.last;
        let time = Time(self.last_time.load(Ordering::Acquire));
        if self.is_noted.load(Ordering::Acquire) && time.0 != 0 {
            last = Some((time, self.last_uid.load(Ordering::Acquire), self.last_use.load(Ordering::Acquire)));
            for (number, count) in self.counts.iter().enumerate() {
                let count = count.load(Ordering::Acquire);
                if count > 0 {
                    *days.entry(time.day()).or_default().entry(number as u8).or_default() += count;
                }
            }
        }
        days.remove(&OLDER);
        let counts = days.into_iter().rev().flat_map(|(day, uses)| {
            uses.into_iter().map(move |(number, count)| (Use::text(number), day, count))
        });
        Shown { last: last.map(|(time, uid, used)| (time, uid, Use::text(used))), counts: counts.collect() }
    }

    /// Moves what was counted into what is kept.
    fn gather(&self, now: Time) -> Kept {
        let mut kept = lock::lock(&self.kept);
        self.is_noted.store(false, Ordering::Release);
        let time = Time(self.last_time.load(Ordering::Acquire));
        if time.0 != 0 {
            kept.last =
                Some((time, self.last_uid.load(Ordering::Acquire), self.last_use.load(Ordering::Acquire)));
        }
        let day = kept.days.entry(time.day()).or_default();
        for (number, count) in self.counts.iter().enumerate() {
            let count = count.swap(0, Ordering::AcqRel);
            if count > 0 {
                *day.entry(number as u8).or_default() += count;
            }
        }
        let forgotten = now.day() - KEPT_DAYS;
        let encrypt = Use::Encrypt as u8;
        let older = kept.days.range(..=forgotten).filter_map(|(_, uses)| uses.get(&encrypt)).sum::<u64>();
        kept.days.retain(|day, uses| *day > forgotten && !uses.is_empty());
        if older > 0 {
            kept.days.insert(OLDER, BTreeMap::from([(encrypt, older)]));
        }
        kept.clone()
    }
}

impl Daemon {
    /// Counts a use of a version.
    pub fn note_use(&self, cell: &Arc<VersionCell>, used: Use, uid: u32) {
        let usage = cell.usage.counted();
        usage.last_time.store(Time::now().0, Ordering::Release);
        usage.last_uid.store(uid, Ordering::Relaxed);
        usage.last_use.store(used as u8, Ordering::Relaxed);
        usage.counts[used as usize].fetch_add(1, Ordering::AcqRel);
        if used == Use::Encrypt {
            usage.encryptions.fetch_add(1, Ordering::AcqRel);
        }
        if !usage.is_noted.swap(true, Ordering::AcqRel) {
            lock::lock(&self.used).push(cell.clone());
        }
    }

    /// Counts encryptions of a version that it never makes: they are another's.
    pub fn spend_encryptions(&self, cell: &Arc<VersionCell>, count: u64) {
        let usage = cell.usage.counted();
        usage.encryptions.fetch_add(count, Ordering::AcqRel);
        *lock::lock(&usage.kept).days.entry(OLDER).or_default().entry(Use::Encrypt as u8).or_default() +=
            count;
        if !usage.is_noted.swap(true, Ordering::AcqRel) {
            lock::lock(&self.used).push(cell.clone());
        }
    }

    /// Lets a PKCS#11 application's use of a version begin, by the usage flag that it needs, and counts it.
    ///
    /// # Errors
    /// `Archived` for a use that makes something new with an archived key.
    pub fn gate_use(&self, cell: &Arc<VersionCell>, flag: AttributeType, uid: u32) -> Result<()> {
        let (used, makes_new) = match flag {
            AttributeType::ENCRYPT => (Use::Encrypt, true),
            AttributeType::DECRYPT => (Use::Decrypt, false),
            AttributeType::SIGN | AttributeType::SIGN_RECOVER => (Use::Sign, true),
            AttributeType::VERIFY | AttributeType::VERIFY_RECOVER => (Use::Verify, false),
            AttributeType::WRAP => (Use::Wrap, true),
            AttributeType::UNWRAP => (Use::Unwrap, false),
            AttributeType::DERIVE => (Use::Derive, true),
            _ => return Ok(()),
        };
        let key = self.catalog.key(&cell.key);
        if makes_new && key.as_ref().is_some_and(|key| key.record().care.archived) {
            let resource = key.map(|key| key.name.to_string()).unwrap_or_default();
            return Err(Error::Archived { resource });
        }
        self.note_use(cell, used, uid);
        Ok(())
    }

    /// Writes what was counted since the last time.
    ///
    /// # Errors
    /// What the store says; nothing that was counted is lost by it.
    pub fn flush_usage(&self) -> Result<()> {
        /// Records of one commit.
        const BATCH: usize = 256;
        let used = std::mem::take(&mut *lock::lock(&self.used));
        for (number, cells) in used.chunks(BATCH).enumerate() {
            let kept: Vec<Kept> = cells.iter().map(|cell| cell.usage.counted().gather(Time::now())).collect();
            let mut change = Change::new();
            let put = |(cell, kept): (&Arc<VersionCell>, &Kept)| change.put(Tree::Usage, cell.uid, kept);
            let encoded = cells.iter().zip(&kept).try_for_each(put);
            if let Err(error) = encoded.and_then(|()| self.records.commit(change)) {
                let (gathered, rest) = used[number * BATCH..].split_at(cells.len());
                let mut next = lock::lock(&self.used);
                // Each is to be there once: who used a gathered one meanwhile has noted it, and nobody notes the rest,
                // which counts as noted still.
                let unnoted =
                    |cell: &&Arc<VersionCell>| !cell.usage.counted().is_noted.swap(true, Ordering::AcqRel);
                next.extend(gathered.iter().filter(unnoted).cloned());
                next.extend_from_slice(rest);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// The use of all versions, as far as it was written.
    pub(super) fn stored_usage(&self) -> Result<StoredUsage> {
        let mut all = Map::default();
        self.records.for_each(Tree::Usage, |uid, kept: Kept| {
            if let Ok(uid) = Uid::try_from(uid) {
                all.insert(uid, kept);
            }
        })?;
        Ok(StoredUsage(all))
    }
}

/// How versions were used before the start, by uid.
pub(super) struct StoredUsage(Map<Uid, Kept>);

impl StoredUsage {
    /// Lets a version go on from what was written of it.
    pub fn restore(&self, cell: &VersionCell) {
        let Some(kept) = self.0.get(&cell.uid) else { return };
        let encryptions = |uses: &BTreeMap<u8, u64>| uses.get(&(Use::Encrypt as u8)).copied();
        let encryptions = kept.days.values().filter_map(encryptions).sum();
        let usage = cell.usage.counted();
        usage.encryptions.store(encryptions, Ordering::Release);
        *lock::lock(&usage.kept) = kept.clone();
    }
}
