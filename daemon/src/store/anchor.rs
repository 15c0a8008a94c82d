//! The anchor: outside the engine, what the engine's records have to come to.
//!
//! sled can open with records silently missing: a flipped bit, a zeroed page or a cut file makes it recover to
//! an earlier state, or to less. So a commit is acknowledged only once the anchor holds its revision, and a
//! store that does not reach the anchor is not served.
//!
//! ```text
//! anchor     two slots of 4096 bytes, written in turn, so that a torn write leaves the other
//! slot       magic[8] | schema u8 | writes u64 | keyring generation u64 | state | mac[32] | zeros
//! state      revision u64 | tally, see `tally.rs`
//! ```
//!
//! The engine keeps the state of each commit in the same atomic batch, with a MAC of its own and the revision
//! that was anchored by then (`sled.rs`). A crash between the two leaves the engine ahead of the anchor: its
//! state is authentic, agrees with its records, and the anchor is at least where it was when the commit
//! began. That is legal, for nobody was told of those commits. Behind the anchor, or an anchor older than the
//! state says, never is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::durable::{open_private, replace};
use super::error::{Error, Result};
use super::tally::{Authenticator, Domain, MAC_BYTES, Tally, take};

const MAGIC: &[u8; 8] = b"CLVANCHR";
const SCHEMA: u8 = 1;
const SLOTS: u64 = 2;

/// One page, so that no write to a slot touches a block of the other.
const SLOT_BYTES: usize = 4096;

/// A revision and what the records came to then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The revision of the last commit; 0 before the first.
    pub revision: u64,
    /// The records after it.
    pub tally: Tally,
}

impl State {
    pub(super) fn encode(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.revision.to_be_bytes());
        self.tally.encode(output);
    }

    pub(super) fn decode(rest: &mut &[u8]) -> Option<Self> {
        let revision = u64::from_be_bytes(take(rest)?);
        Some(Self { revision, tally: Tally::decode(rest)? })
    }
}

/// What the anchor says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Anchored {
    /// The keyring's generation when it was written.
    pub keyring: u64,
    /// The last state that may have been acknowledged.
    pub state: State,
}

/// The anchor file, open for writing.
pub(super) struct Anchor {
    path: PathBuf,
    file: File,
    key: Arc<Authenticator>,
    /// How often it was written; its parity tells the slot.
    writes: u64,
    anchored: Anchored,
}

impl Anchor {
    /// Makes the anchor of a store that has no record yet, replacing any other.
    pub fn create(path: &Path, key: Arc<Authenticator>, anchored: Anchored) -> Result<Self> {
        let mut bytes = slot_bytes(&key, 0, &anchored);
        bytes.resize(SLOT_BYTES * SLOTS as usize, 0);
        replace(path, &bytes)?;
        let file = open_private(path)?;
        Ok(Self { path: path.to_owned(), file, key, writes: 0, anchored })
    }

    /// The anchor at `path`, or `None` when there is no such file.
    ///
    /// # Errors
    /// [`Error::AnchorNotAuthentic`] when neither slot is.
    pub fn open(path: &Path, key: Arc<Authenticator>) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        let mut newest: Option<(u64, Anchored)> = None;
        for slot in bytes.chunks(SLOT_BYTES).take(SLOTS as usize) {
            match read_slot(&key, path, slot)? {
                Some(read) if newest.as_ref().is_none_or(|(writes, _)| read.0 > *writes) => {
                    newest = Some(read);
                }
                Some(_) => {}
                None if slot.iter().all(|byte| *byte == 0) => {}
                None => tracing::warn!(file = %path.display(), "a slot of the anchor is damaged"),
            }
        }
        let (writes, anchored) = newest.ok_or_else(|| Error::AnchorNotAuthentic { path: path.to_owned() })?;
        let file = open_private(path)?;
        Ok(Some(Self { path: path.to_owned(), file, key, writes, anchored }))
    }

    /// What was written last.
    pub fn anchored(&self) -> &Anchored {
        &self.anchored
    }

    /// Writes the next slot and makes it durable with `sync`. After an error the next opening finds this one or
    /// the one before.
    pub fn write(&mut self, anchored: Anchored, sync: impl FnOnce(&File) -> io::Result<()>) -> Result<()> {
        let writes = self.writes + 1;
        let bytes = slot_bytes(&self.key, writes, &anchored);
        let offset = (writes % SLOTS) * SLOT_BYTES as u64;
        self.file.write_all_at(&bytes, offset).map_err(|error| Error::io("write", &self.path, error))?;
        sync(&self.file).map_err(|error| Error::io("sync", &self.path, error))?;
        (self.writes, self.anchored) = (writes, anchored);
        Ok(())
    }
}

/// The number of the last revision that the anchor at `path` names, taken without a key: for telling a lost
/// keyring from a store that never had one. 0 when there is none.
pub(super) fn unverified_revision(path: &Path) -> u64 {
    let Ok(bytes) = std::fs::read(path) else { return 0 };
    let revision = |slot: &[u8]| {
        let (_, _, mut rest) = clear_part(slot)?;
        take::<8>(&mut rest)?;
        State::decode(&mut rest).map(|state| state.revision)
    };
    bytes.chunks(SLOT_BYTES).filter_map(revision).max().unwrap_or(0)
}

fn slot_bytes(key: &Authenticator, writes: u64, anchored: &Anchored) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.push(SCHEMA);
    bytes.extend_from_slice(&writes.to_be_bytes());
    bytes.extend_from_slice(&anchored.keyring.to_be_bytes());
    anchored.state.encode(&mut bytes);
    let mac = key.mac(Domain::Slot, &[&bytes]);
    bytes.extend_from_slice(&mac);
    // The next revision can be shorter: no byte of an older one stays behind it.
    bytes.resize(SLOT_BYTES, 0);
    bytes
}

/// Schema, number of writes and what follows.
fn clear_part(slot: &[u8]) -> Option<(u8, u64, &[u8])> {
    let mut rest = slot.strip_prefix(MAGIC)?;
    let [schema] = take(&mut rest)?;
    Some((schema, u64::from_be_bytes(take(&mut rest)?), rest))
}

/// Number of writes and content of a slot; `None` unless it is whole and authentic.
fn read_slot(key: &Authenticator, path: &Path, slot: &[u8]) -> Result<Option<(u64, Anchored)>> {
    let Some((schema, writes, mut rest)) = clear_part(slot) else { return Ok(None) };
    let decode = |rest: &mut &[u8]| {
        let keyring = u64::from_be_bytes(take(rest)?);
        Some(Anchored { keyring, state: State::decode(rest)? })
    };
    let Some(anchored) = decode(&mut rest) else { return Ok(None) };
    let length = slot.len() - rest.len() + MAC_BYTES;
    let Some(signed) = slot.get(..length) else { return Ok(None) };
    if key.verified(Domain::Slot, signed).is_none() {
        return Ok(None);
    }
    if schema != SCHEMA {
        return Err(Error::AnchorForm { path: path.to_owned(), schema });
    }
    Ok(Some((writes, anchored)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Arc<Authenticator> {
        Arc::new(Authenticator::new(&[3; 32], [4; 16]))
    }

    fn at(revision: u64) -> Anchored {
        Anchored { keyring: 2, state: State { revision, tally: Tally::default() } }
    }

    fn write(anchor: &mut Anchor, revision: u64) {
        anchor.write(at(revision), File::sync_data).unwrap();
    }

    fn read(path: &Path) -> Option<Anchored> {
        Anchor::open(path, key()).unwrap().map(|anchor| anchor.anchored)
    }

    #[test]
    fn what_is_written_last_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        assert_eq!(read(&path), None);
        let mut anchor = Anchor::create(&path, key(), at(0)).unwrap();
        assert_eq!(read(&path), Some(at(0)));
        for revision in 1..9 {
            write(&mut anchor, revision);
            assert_eq!(read(&path), Some(at(revision)));
            assert_eq!(unverified_revision(&path), revision);
        }
        // Writing goes on after opening.
        let mut anchor = Anchor::open(&path, key()).unwrap().unwrap();
        write(&mut anchor, 9);
        assert_eq!(read(&path), Some(at(9)));
        assert_eq!(path.metadata().unwrap().len(), 8192);
    }

    #[test]
    fn a_torn_or_damaged_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        let mut anchor = Anchor::create(&path, key(), at(0)).unwrap();
        (1..=4).for_each(|revision| write(&mut anchor, revision));
        let before = std::fs::read(&path).unwrap();
        write(&mut anchor, 5);
        let after = std::fs::read(&path).unwrap();
        // Revision 5 is in the second slot; a write may stop at any byte.
        let end = SLOT_BYTES + 200;
        for cut in SLOT_BYTES..end {
            let torn = [&after[..cut], &before[cut..]].concat();
            std::fs::write(&path, torn).unwrap();
            assert!([Some(at(4)), Some(at(5))].contains(&read(&path)), "cut at {cut}");
        }
        for offset in SLOT_BYTES..SLOT_BYTES + 8 + 1 + 8 + 8 + 8 + 1 + 32 + 32 {
            let mut damaged = after.clone();
            damaged[offset] ^= 0x10;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path), Some(at(4)), "byte {offset}");
        }
    }

    #[test]
    fn an_anchor_of_no_worth_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        for bytes in [vec![], vec![0; 8192], vec![7; 100]] {
            std::fs::write(&path, bytes).unwrap();
            let error = Anchor::open(&path, key()).err().unwrap();
            assert!(matches!(&error, Error::AnchorNotAuthentic { path: named } if *named == path));
        }
        Anchor::create(&path, key(), at(3)).unwrap();
        let other = Arc::new(Authenticator::new(&[9; 32], [4; 16]));
        assert!(matches!(Anchor::open(&path, other), Err(Error::AnchorNotAuthentic { .. })));
        let other = Arc::new(Authenticator::new(&[3; 32], [9; 16]));
        assert!(matches!(Anchor::open(&path, other), Err(Error::AnchorNotAuthentic { .. })));
    }

    #[test]
    fn a_sync_that_fails_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anchor");
        let mut anchor = Anchor::create(&path, key(), at(0)).unwrap();
        let error = anchor.write(at(1), |_| Err(io::Error::from_raw_os_error(libc::EIO))).unwrap_err();
        assert!(matches!(error, Error::Io { doing: "sync", .. }));
    }
}
