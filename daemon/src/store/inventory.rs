//! The inventory: the names of all live records, so that a start that finds some missing can say which.
//!
//! Nothing is decided by it. It is appended to without a sync and without a MAC, and a start that finds the
//! store whole writes it anew; after a loss of power it can lack the last names. Places are no secrets: they
//! are in clear in the engine's files too.
//!
//! ```text
//! entry      put or removed u8 | version u64 | length u16 | place, integers big endian
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::durable::replace;
use super::engine::RecordKey;
use super::error::{Error, Result};
use super::tally::take;

const PUT: u8 = 1;
const REMOVED: u8 = 2;

/// Written anew once it grew to this many times its size, and by at least [`GROWTH_BYTES`].
const GROWTH_FACTOR: u64 = 4;
const GROWTH_BYTES: u64 = 16 * 1024 * 1024;

/// The inventory file, open for appending.
pub(super) struct Inventory {
    path: PathBuf,
    file: File,
    /// Bytes when it was written anew, and now.
    base: u64,
    length: u64,
}

impl Inventory {
    /// Writes the inventory anew, with `places` and their versions.
    pub fn create(path: &Path, places: impl Iterator<Item = (RecordKey, u64)>) -> Result<Self> {
        let mut bytes = Vec::new();
        places.for_each(|(place, version)| entry(&mut bytes, PUT, version, &place));
        replace(path, &bytes)?;
        let file = OpenOptions::new()
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| Error::io("open", path, error))?;
        let length = bytes.len() as u64;
        Ok(Self { path: path.to_owned(), file, base: length, length })
    }

    /// Adds what one commit did: places, and whether they were removed. A failure costs names alone, so it is
    /// said in the log.
    pub fn append<'a>(&mut self, revision: u64, changes: impl Iterator<Item = (&'a RecordKey, bool)>) {
        let mut bytes = Vec::new();
        for (place, removed) in changes {
            entry(&mut bytes, if removed { REMOVED } else { PUT }, revision, place);
        }
        self.length += bytes.len() as u64;
        if let Err(error) = self.file.write_all(&bytes) {
            tracing::warn!(file = %self.path.display(), %error, "the inventory falls behind");
        }
    }

    /// Whether it is worth writing anew.
    pub fn is_overgrown(&self) -> bool {
        self.length > (self.base * GROWTH_FACTOR).max(GROWTH_BYTES)
    }
}

/// The places in the inventory at `path` with their versions; empty when there is none. What follows a torn
/// entry is left out.
pub(super) fn read(path: &Path) -> Result<BTreeMap<RecordKey, u64>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let mut places = BTreeMap::new();
    let mut rest = bytes.as_slice();
    while let Some((kind, version, place)) = next_entry(&mut rest) {
        match kind {
            PUT => places.insert(place, version),
            _ => places.remove(&place),
        };
    }
    Ok(places)
}

/// As [`read`], for naming what is missing: where the names cannot be read, the faults are told without.
pub(super) fn names(path: &Path) -> BTreeMap<RecordKey, u64> {
    read(path).unwrap_or_else(|error| {
        tracing::warn!(%error, "what is missing cannot be named");
        BTreeMap::new()
    })
}

fn entry(output: &mut Vec<u8>, kind: u8, version: u64, place: &RecordKey) {
    let place = place.to_bytes();
    output.push(kind);
    output.extend_from_slice(&version.to_be_bytes());
    // Keys are at most MAX_KEY_BYTES long.
    output.extend_from_slice(&u16::try_from(place.len()).unwrap_or(u16::MAX).to_be_bytes());
    output.extend_from_slice(&place);
}

fn next_entry(rest: &mut &[u8]) -> Option<(u8, u64, RecordKey)> {
    let [kind] = take(rest)?;
    let version = u64::from_be_bytes(take(rest)?);
    let length = u16::from_be_bytes(take(rest)?);
    let (place, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    let known = [PUT, REMOVED].contains(&kind);
    Some((kind, version, RecordKey::from_bytes(place).filter(|_| known)?))
}

#[cfg(test)]
mod tests {
    use super::super::engine::Tree;
    use super::*;

    #[test]
    fn it_tells_what_is_live_and_survives_a_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory");
        assert!(read(&path).unwrap().is_empty());
        let place = |key: &str| RecordKey::new(Tree::Version, key);
        let mut inventory =
            Inventory::create(&path, ["a", "b"].map(|key| (place(key), 1)).into_iter()).unwrap();
        inventory.append(2, [(&place("b"), true), (&place("c"), false)].into_iter());
        inventory.append(3, [(&place("a"), false)].into_iter());
        assert_eq!(read(&path).unwrap(), BTreeMap::from([(place("a"), 3), (place("c"), 2)]));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(read(&path).unwrap(), BTreeMap::from([(place("a"), 1), (place("c"), 2)]));
        assert!(!inventory.is_overgrown());
    }
}
