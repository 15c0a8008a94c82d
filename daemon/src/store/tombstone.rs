//! Tombstones: which material was removed, and when, so that no backup brings it back.
//!
//! They are records, written in the commit that removes the material and removed in one that writes material
//! there again (a re-import). Before a purge drops keys it also lists them in the file `tombstones` of the state
//! directory, which can be kept elsewhere: a restore that is given it leaves out what was destroyed after the
//! backup was made.
//!
//! ```text
//! file       magic[8] | schema u8 | count u32 | entries | mac[32]
//! entry      length u16 | key | removed u64, in milliseconds since 1970, integers big endian
//! ```
//!
//! The MAC is HMAC-SHA-256 under the base key's subkey `tombstone-mac`, which backups carry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bincode::{Decode, Encode};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use super::durable::replace;
use super::engine::Tree;
use super::error::{Error, Result};
use super::records::{Change, Records};
use super::tally::take;

const MAGIC: &[u8; 8] = b"CLVTOMBS";
const SCHEMA: u8 = 1;
const MAC_BYTES: usize = 32;

/// Tombstones that one commit changes.
const BATCH_RECORDS: usize = 256;

/// Material that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Tombstone {
    /// When, in milliseconds since 1970.
    pub removed: u64,
    /// The epoch whose key its copies on the disk are under.
    pub epoch: u32,
    /// When that key was destroyed; `None` until the purge.
    pub erased: Option<u64>,
}

/// The wall clock, in milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The file in the state directory `dir`.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("tombstones")
}

impl Records {
    /// The tombstone of the material at `key`.
    ///
    /// # Errors
    /// As [`Records::get`].
    pub fn tombstone(&self, key: &[u8]) -> Result<Option<Tombstone>> {
        self.get(Tree::Tombstone, key)
    }

    /// Calls `each` with the key of every removed material and its tombstone.
    ///
    /// # Errors
    /// As [`Records::for_each`].
    pub fn for_each_tombstone(&self, each: impl FnMut(Vec<u8>, Tombstone)) -> Result<()> {
        self.for_each(Tree::Tombstone, each)
    }

    /// Lists all tombstones in the file at `path`.
    pub(super) fn list_tombstones(&self, path: &Path) -> Result<()> {
        let (mut entries, mut count) = (Vec::new(), 0u32);
        self.for_each_tombstone(|key, tombstone| {
            count += 1;
            entries.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
            entries.extend_from_slice(&key);
            entries.extend_from_slice(&tombstone.removed.to_be_bytes());
        })?;
        let mut file = [MAGIC.as_slice(), &[SCHEMA], &count.to_be_bytes(), &entries].concat();
        let mac = mac(&*self.subkey(super::label::TOMBSTONE_MAC)?, &file)?;
        file.extend_from_slice(&mac);
        replace(path, &file)
    }

    /// Says of everything that was removed before `epoch` began that its key is destroyed, and tells how much it
    /// was.
    pub(super) fn mark_erased(&self, epoch: u32) -> Result<usize> {
        let mut erased = Vec::new();
        self.for_each_tombstone(|key, tombstone| {
            if tombstone.erased.is_none() && tombstone.epoch < epoch {
                erased.push((key, Tombstone { erased: Some(now()), ..tombstone }));
            }
        })?;
        for batch in erased.chunks(BATCH_RECORDS) {
            let mut change = Change::new();
            for (key, tombstone) in batch {
                change.put(Tree::Tombstone, key.as_slice(), tombstone)?;
            }
            self.commit(change)?;
        }
        Ok(erased.len())
    }
}

/// When the material at each key was removed, by the file at `path`, whose MAC is under `key`.
///
/// # Errors
/// [`Error::Archive`] for a file that is damaged or of another store.
pub(super) fn read(path: &Path, key: &[u8; 32]) -> Result<BTreeMap<Vec<u8>, u64>> {
    let wrong = |what| Error::Archive { path: path.to_owned(), what };
    let file = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    let (content, found) =
        file.split_last_chunk::<MAC_BYTES>().ok_or_else(|| wrong("is no list of tombstones"))?;
    let mut rest = match content.strip_prefix(MAGIC) {
        Some([SCHEMA, rest @ ..]) => rest,
        Some(_) => return Err(wrong("was written by a newer version")),
        None => return Err(wrong("is no list of tombstones")),
    };
    if !openssl::memcmp::eq(&mac(key, content)?, found) {
        return Err(wrong("is damaged, or of another store than the backup"));
    }
    entries(&mut rest).ok_or_else(|| wrong("is damaged"))
}

fn entries(rest: &mut &[u8]) -> Option<BTreeMap<Vec<u8>, u64>> {
    let count = u32::from_be_bytes(take(rest)?);
    let mut removed = BTreeMap::new();
    for _ in 0..count {
        let length = u16::from_be_bytes(take(rest)?);
        let (key, after) = rest.split_at_checked(length.into())?;
        *rest = after;
        removed.insert(key.to_vec(), u64::from_be_bytes(take(rest)?));
    }
    rest.is_empty().then_some(removed)
}

fn mac(key: &[u8], content: &[u8]) -> Result<[u8; MAC_BYTES]> {
    let key = PKey::hmac(key)?;
    let mut mac = [0; MAC_BYTES];
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    signer.update(content)?;
    signer.sign(&mut mac)?;
    Ok(mac)
}
