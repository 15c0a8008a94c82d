//! Where the log ends, sealed and in a file of its own: a log that is cut off shows when it is opened again.
//!
//! Two slots are written in turn, so that a torn write loses one step and not the head. When the MAC key changes
//! both are written, so that the old key is on the disk no more.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use bincode::{Decode, Encode};
use claviger_protocol::codec;

use super::chain::{Hash, MacKey};
use crate::store::{open_bytes, seal_bytes};

/// Bytes of a slot.
const SLOT_BYTES: u64 = 512;
/// What the seal is bound to.
const PURPOSE: &[u8] = b"claviger audit head v1";
/// The file's name in the log's directory.
pub const FILE: &str = "head";

/// What is kept.
#[derive(Clone, Encode, Decode)]
pub struct Head {
    /// Rises with every writing.
    pub counter: u64,
    /// The last record's number; 0 before the first.
    pub last: u64,
    /// Its hash.
    pub hash: Hash,
    /// Key of the MACs of the next records.
    pub mac: MacKey,
    /// The first record that is kept.
    pub first: u64,
    /// The hash that it has as that of the one before it.
    pub before_first: Hash,
    /// The last record that was exported.
    pub exported: u64,
    /// Records that could not be written, ever.
    pub unlogged: u64,
}

/// The file.
pub struct HeadFile {
    file: File,
    key: [u8; 32],
}

impl HeadFile {
    /// Opens or makes it, and reads the newest head. None when there is none that is whole.
    pub fn open(directory: &Path, key: [u8; 32]) -> io::Result<(HeadFile, Option<Head>)> {
        let path = directory.join(FILE);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let head = HeadFile { file, key };
        let found = (0..2).filter_map(|slot| head.read(slot)).max_by_key(|head| head.counter);
        Ok((head, found))
    }

    fn read(&self, slot: u64) -> Option<Head> {
        let mut bytes = vec![0; SLOT_BYTES as usize];
        self.file.read_exact_at(&mut bytes, slot * SLOT_BYTES).ok()?;
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let sealed = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        codec::decode(&open_bytes(&self.key, PURPOSE, sealed)?).ok()
    }

    /// Writes the head into its slot; into both, and onto the disk, when the key has changed.
    pub fn write(&self, head: &Head, key_changed: bool) -> io::Result<()> {
        let plain = zeroize::Zeroizing::new(codec::encode(head).map_err(io::Error::other)?);
        for slot in [head.counter % 2, (head.counter + 1) % 2].iter().take(if key_changed { 2 } else { 1 }) {
            let sealed = seal_bytes(&self.key, PURPOSE, &plain).map_err(io::Error::other)?;
            let mut bytes = vec![0; SLOT_BYTES as usize];
            let length = u16::try_from(sealed.len()).map_err(io::Error::other)?;
            bytes[..2].copy_from_slice(&length.to_be_bytes());
            bytes
                .get_mut(2..2 + sealed.len())
                .ok_or_else(|| io::Error::other("the head does not fit its slot"))?
                .copy_from_slice(&sealed);
            self.file.write_all_at(&bytes, slot * SLOT_BYTES)?;
        }
        if key_changed { self.file.sync_data() } else { Ok(()) }
    }
}
