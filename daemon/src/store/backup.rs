//! Backups and exports: all records in one archive, for another directory and another root key.
//!
//! Values are those of `records.rs`, whole, each after the number of its schema, and material among them: whoever
//! opens the archive has the keys. One entry that is no record carries the base key, so that PINs and the audit log
//! go on after a restore.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::PoisonError;

use zeroize::Zeroizing;

use super::archive::{About, OpenedWith, Reader, SealedFor, Writer};
use super::durable::{parent, sync_dir};
use super::engine::{Expect, RecordKey, Tree};
use super::error::{Error, Result};
use super::open::{FORMAT, FORMAT_KEY, FORMAT_UNFINISHED, holds_data, open_new};
use super::purge::REMOVED_KEY;
use super::records::{Change, Records, block_on};
use super::root_key::{RootKey, derive, label};
use super::schema::{SCHEMA, decode, upgraded};
use super::seal::Key;
use super::tombstone::{self, Tombstone};

/// The entry with the base key; no record has this key.
const BASE_KEY: &[u8] = b"archive/base-key";

/// Records that one commit of a restore writes, and the bytes at which it ends.
const BATCH_RECORDS: usize = 256;
const BATCH_BYTES: usize = 512 * 1024;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// What it says of itself.
    pub about: About,
    /// Its records.
    pub records: u64,
    /// Versions and jobs whose material it holds.
    pub materials: u64,
    /// Tombstones of material that was gone when it was made.
    pub tombstones: u64,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What was in the backup.
    pub contents: Contents,
    /// Material that was left out because it was destroyed after the backup was made.
    pub withheld: u64,
}

/// Writes all `records`, as they are at one moment, to `output`. Commits wait meanwhile; nothing else does.
///
/// # Errors
/// What the records and the output say. `path` names the output in messages.
pub fn back_up<W: Write>(
    records: &Records,
    output: W,
    path: &Path,
    sealed_for: &SealedFor,
) -> Result<(W, Contents)> {
    let _gate = records.gate.write().unwrap_or_else(PoisonError::into_inner);
    let (store_id, base_key) = {
        let keyring = records.sealer.keyring();
        (keyring.store_id, keyring.base_key.clone())
    };
    let revision = block_on(records.engine().revision());
    let about = About { created: tombstone::now(), store_id, revision };
    let mut writer = Writer::begin(output, path, &about, sealed_for)?;
    writer.entry(&RecordKey::new(Tree::Meta, BASE_KEY), &with_schema(&*base_key))?;
    let mut contents = Contents { about, records: 0, materials: 0, tombstones: 0 };
    for &tree in Tree::ALL.iter().filter(|tree| **tree != Tree::Chunk) {
        records.for_each_encoded(tree, |place, value| {
            if is_of_this_directory(&place) {
                return Ok(());
            }
            contents.count(&place);
            writer.entry(&place, &with_schema(&value))
        })?;
    }
    let (output, _) = writer.end()?;
    Ok((output, contents))
}

/// Writes all `records` to the new file at `path`.
///
/// # Errors
/// What the records say; [`Error::Io`] when the file cannot be written or exists. No part of it stays then.
pub fn export(records: &Records, path: &Path, sealed_for: &SealedFor) -> Result<Contents> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = created.map_err(|error| Error::io("create", path, error))?;
    let written = back_up(records, file, path, sealed_for).and_then(|(file, contents)| {
        file.sync_all().map_err(|error| Error::io("sync", path, error))?;
        sync_dir(parent(path))?;
        Ok(contents)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Reads the backup at `path` to its end.
///
/// # Errors
/// [`Error::Archive`] when it is not whole, or is not opened with this.
pub fn verify_backup(path: &Path, opened_with: &OpenedWith) -> Result<Contents> {
    read(path, opened_with, |_, _, _| Ok(())).map(|(contents, _)| contents)
}

/// Makes a store of the backup at `path` in `dir`, which holds none. The whole file is read once before anything
/// is written. Material that is listed in the file `tombstones` is left out, with a tombstone in its place.
///
/// # Errors
/// [`Error::Archive`] when a file is not what it has to be, [`Error::NotEmpty`] when there is a store. A restore
/// that was cut short leaves a store that is not served.
pub fn restore(
    dir: &Path,
    root: &RootKey,
    path: &Path,
    opened_with: &OpenedWith,
    tombstones: Option<&Path>,
) -> Result<Restored> {
    if holds_data(dir) {
        return Err(Error::NotEmpty { path: dir.to_owned() });
    }
    let (contents, base_key) = read(path, opened_with, |_, _, _| Ok(()))?;
    let destroyed = match tombstones {
        Some(file) => tombstone::read(file, &*derive(&base_key, label::TOMBSTONE_MAC)?)?,
        None => BTreeMap::new(),
    };
    let records = open_new(dir, root, base_key)?;
    set_format(&records, Change::new(), FORMAT_UNFINISHED)?;
    let (mut change, mut pending, mut bytes, mut withheld) = (Change::new(), 0, 0, 0);
    read(path, opened_with, |place, schema, value| {
        if place.tree == Tree::Material && destroyed.contains_key(&place.key) {
            withheld += 1;
            return Ok(());
        }
        let value = upgraded(&place, schema, value)?;
        bytes += value.len();
        pending += 1;
        if place.tree == Tree::Tombstone {
            // Its material was never in these files.
            let tombstone: Tombstone = decode(&place, &value)?;
            let erased = Some(tombstone.erased.unwrap_or_else(tombstone::now));
            change.put(Tree::Tombstone, place.key, &Tombstone { erased, ..tombstone })?;
        } else {
            change.put_encoded(place, value);
        }
        if pending == BATCH_RECORDS || bytes >= BATCH_BYTES {
            records.commit(std::mem::take(&mut change))?;
            (pending, bytes) = (0, 0);
        }
        Ok(())
    })?;
    records.commit(std::mem::take(&mut change))?;
    for (key, removed) in destroyed {
        if records.tombstone(&key)?.is_none() {
            let tombstone = Tombstone { removed, epoch: 0, erased: Some(tombstone::now()) };
            change.put(Tree::Tombstone, key, &tombstone)?;
        }
    }
    set_format(&records, change, FORMAT)?;
    Ok(Restored { contents, withheld })
}

fn set_format(records: &Records, mut change: Change, format: u32) -> Result<()> {
    change.put_if(Tree::Meta, FORMAT_KEY, Expect::Any, &format)?;
    records.commit(change)
}

/// Passes place, schema and value of every record to `each`; gives the base key beside the contents.
fn read(
    path: &Path,
    opened_with: &OpenedWith,
    mut each: impl FnMut(RecordKey, u8, Zeroizing<Vec<u8>>) -> Result<()>,
) -> Result<(Contents, Key)> {
    let wrong = |what| Error::Archive { path: path.to_owned(), what };
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let reader = Reader::begin(BufReader::new(file), path, opened_with)?;
    let mut contents = Contents { about: reader.about().clone(), records: 0, materials: 0, tombstones: 0 };
    let mut base_key = None;
    reader.for_each(|place, value| {
        let (&schema, value) = value.split_first().ok_or_else(|| wrong("is damaged"))?;
        if !(1..=SCHEMA).contains(&schema) {
            return Err(wrong("has a record of a newer version"));
        }
        if place.tree == Tree::Meta && place.key == BASE_KEY {
            base_key = value.first_chunk().map(|key| Zeroizing::new(*key));
            return Ok(());
        }
        contents.count(&place);
        each(place, schema, Zeroizing::new(value.to_vec()))
    })?;
    Ok((contents, base_key.ok_or_else(|| wrong("lacks the base key"))?))
}

impl Contents {
    fn count(&mut self, place: &RecordKey) {
        self.records += 1;
        self.materials += u64::from(place.tree == Tree::Material);
        self.tombstones += u64::from(place.tree == Tree::Tombstone);
    }
}

/// Records that a new directory makes for itself.
fn is_of_this_directory(place: &RecordKey) -> bool {
    place.tree == Tree::Meta && [FORMAT_KEY, REMOVED_KEY].contains(&place.key.as_slice())
}

fn with_schema(value: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&[SCHEMA], value].concat())
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
