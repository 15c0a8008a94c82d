//! The export: all records in one file, sealed under a passphrase, for another directory and another root key.
//!
//! ```text
//! file       header | chunks
//! header     magic[8] | schema u8 | argon2id: memory KiB u32, passes u32, lanes u32 | salt[16]
//! chunk      last u8 | length u32 | nonce[12] | ciphertext | tag[16]
//! content    entries | 0 u8 | number of entries u64
//! entry      tree u8 | length u16 | key | length u32 | value, integers big endian
//! ```
//!
//! A chunk is AES-256-GCM under the key that argon2id (RFC 9106) makes of the passphrase, with the header, its
//! index and its `last` as additional data, so that chunks cannot be left out, moved or cut off: the STREAM
//! construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015). Values are those of `records.rs`, whole, and
//! material among them: whoever has file and passphrase has the keys.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::durable::{parent, sync_dir};
use super::engine::{RecordKey, Tree};
use super::error::{Error, Result};
use super::open::{FORMAT_KEY, holds_data, open};
use super::purge::REMOVED_KEY;
use super::records::{Change, Records};
use super::root_key::RootKey;
use super::seal::{Key, decrypt, encrypt};
use super::tally::take;

const MAGIC: &[u8; 8] = b"CLVEXPRT";
const SCHEMA: u8 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 1 + 12 + SALT_BYTES;
const SALT_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;
const SEAL_BYTES: usize = 12 + 16;

/// Cost of new files: RFC 9106, 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 4 };

/// Highest cost that a file may ask for, so that a false one cannot exhaust the machine.
const MAX_COST: Cost = Cost { memory_kib: 1 << 20, passes: 64, lanes: 64 };

/// Records that one commit of an import writes, and the bytes at which it ends.
const BATCH_RECORDS: usize = 256;
const BATCH_BYTES: usize = 512 * 1024;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Writes all `records` to the new file at `path` and tells how many there were.
///
/// # Errors
/// What the records say; [`Error::Io`] when the file cannot be written or exists. No part of it stays then.
pub fn export(records: &Records, path: &Path, passphrase: &[u8]) -> Result<u64> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = created.map_err(|error| Error::io("create", path, error))?;
    let written = write_all(records, path, file, passphrase);
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Makes a store of the exported file at `path` in `dir`, which holds none, and tells how many records it has.
/// The whole file is read once before anything is written.
///
/// # Errors
/// [`Error::Export`] when the file is not what it has to be, [`Error::NotEmpty`] when there is a store.
pub fn import(dir: &Path, root: &RootKey, path: &Path, passphrase: &[u8]) -> Result<u64> {
    if holds_data(dir) {
        return Err(Error::NotEmpty { path: dir.to_owned() });
    }
    read_all(path, passphrase, |_, _| Ok(()))?;
    let records = open(dir, root)?;
    let (mut change, mut pending, mut bytes) = (Change::new(), 0, 0);
    let entries = read_all(path, passphrase, |place, value| {
        bytes += value.len();
        pending += 1;
        change.put_encoded(place, value);
        if pending == BATCH_RECORDS || bytes >= BATCH_BYTES {
            records.commit(std::mem::take(&mut change))?;
            (pending, bytes) = (0, 0);
        }
        Ok(())
    })?;
    records.commit(change)?;
    Ok(entries)
}

fn write_all(records: &Records, path: &Path, file: File, passphrase: &[u8]) -> Result<u64> {
    let io_error = |error| Error::io("write", path, error);
    let mut salt = [0; SALT_BYTES];
    openssl::rand::rand_bytes(&mut salt)?;
    let mut header = MAGIC.to_vec();
    header.push(SCHEMA);
    [COST.memory_kib, COST.passes, COST.lanes]
        .iter()
        .for_each(|number| header.extend_from_slice(&number.to_be_bytes()));
    header.extend_from_slice(&salt);
    let mut writer =
        Writer { file, key: stretch(passphrase, &salt, COST)?, header, index: 0, chunk: empty() };
    writer.file.write_all(&writer.header).map_err(io_error)?;

    let mut entries = 0u64;
    for &tree in Tree::ALL.iter().filter(|tree| **tree != Tree::Chunk) {
        records.for_each_encoded(tree, |place, value| {
            if is_of_this_directory(&place) {
                return Ok(());
            }
            entries += 1;
            let mut head = vec![tree as u8];
            head.extend_from_slice(&u16::try_from(place.key.len()).unwrap_or(u16::MAX).to_be_bytes());
            head.extend_from_slice(&place.key);
            head.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            writer.push(&head, path)?;
            writer.push(&value, path)
        })?;
    }
    writer.push(&[0], path)?;
    writer.push(&entries.to_be_bytes(), path)?;
    writer.end_chunk(true, path)?;
    writer.file.sync_all().map_err(io_error)?;
    sync_dir(parent(path))?;
    Ok(entries)
}

/// Records that a new directory makes for itself.
fn is_of_this_directory(place: &RecordKey) -> bool {
    place.tree == Tree::Meta && [FORMAT_KEY, REMOVED_KEY].contains(&place.key.as_slice())
}

fn empty() -> Zeroizing<Vec<u8>> {
    // Of the final size at once: growing would leave copies of secrets behind.
    Zeroizing::new(Vec::with_capacity(CHUNK_BYTES))
}

struct Writer {
    file: File,
    key: Key,
    header: Vec<u8>,
    index: u64,
    chunk: Zeroizing<Vec<u8>>,
}

impl Writer {
    fn push(&mut self, mut bytes: &[u8], path: &Path) -> Result<()> {
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK_BYTES {
                self.end_chunk(false, path)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn end_chunk(&mut self, last: bool, path: &Path) -> Result<()> {
        let mut sealed = Vec::with_capacity(self.chunk.len() + SEAL_BYTES);
        encrypt(&self.key, &chunk_aad(&self.header, self.index, last), &self.chunk, &mut sealed)?;
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_be_bytes();
        let chunk = [&[u8::from(last)], length.as_slice(), &sealed].concat();
        self.file.write_all(&chunk).map_err(|error| Error::io("write", path, error))?;
        self.index += 1;
        self.chunk = empty();
        Ok(())
    }
}

/// Passes every entry of the file to `each`, in their order, and tells how many there were.
fn read_all(
    path: &Path,
    passphrase: &[u8],
    mut each: impl FnMut(RecordKey, Zeroizing<Vec<u8>>) -> Result<()>,
) -> Result<u64> {
    let wrong = |what| Error::Export { path: path.to_owned(), what };
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let mut file = BufReader::new(file);
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).map_err(|_| wrong("is no export of a store"))?;
    match header.strip_prefix(MAGIC) {
        Some([SCHEMA, ..]) => {}
        Some(_) => return Err(wrong("was written by a newer version")),
        None => return Err(wrong("is no export of a store")),
    }
    let mut rest = &header[MAGIC.len() + 1..];
    let mut number = || take::<4>(&mut rest).map(u32::from_be_bytes);
    let (Some(memory_kib), Some(passes), Some(lanes)) = (number(), number(), number()) else {
        return Err(wrong("is no export of a store"));
    };
    let cost = Cost { memory_kib, passes, lanes };
    if memory_kib > MAX_COST.memory_kib || passes > MAX_COST.passes || lanes > MAX_COST.lanes {
        return Err(wrong("asks for more work than any export does"));
    }
    let key = stretch(passphrase, rest, cost)?;
    let mut reader = Reader { file, key, header, index: 0, chunk: empty(), at: 0, ended: false };

    let mut entries = 0;
    loop {
        let [tree] = reader.array(path)?;
        if tree == 0 {
            break;
        }
        let tree = Tree::from_number(tree).ok_or_else(|| wrong("has a record of a newer version"))?;
        let length = u16::from_be_bytes(reader.array(path)?);
        let key = reader.take(length.into(), path)?.to_vec();
        let length = u32::from_be_bytes(reader.array(path)?);
        let value = reader.take(length as usize, path)?;
        entries += 1;
        each(RecordKey::new(tree, key), value)?;
    }
    let expected = u64::from_be_bytes(reader.array(path)?);
    if expected != entries || !reader.is_at_end(path)? {
        return Err(wrong("does not hold what its end says"));
    }
    Ok(entries)
}

struct Reader {
    file: BufReader<File>,
    key: Key,
    header: [u8; HEADER_BYTES],
    index: u64,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl Reader {
    fn array<const N: usize>(&mut self, path: &Path) -> Result<[u8; N]> {
        let taken = self.take(N, path)?;
        let mut array = [0; N];
        array.copy_from_slice(&taken);
        Ok(array)
    }

    fn take(&mut self, length: usize, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let mut taken = Zeroizing::new(Vec::with_capacity(length.min(CHUNK_BYTES)));
        while taken.len() < length {
            if self.at == self.chunk.len() {
                self.next_chunk(path)?;
            }
            let available = &self.chunk[self.at..];
            let now = available.len().min(length - taken.len());
            taken.extend_from_slice(&available[..now]);
            self.at += now;
        }
        Ok(taken)
    }

    fn next_chunk(&mut self, path: &Path) -> Result<()> {
        let wrong = |what| Error::Export { path: path.to_owned(), what };
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => wrong("is cut off"),
            _ => Error::io("read", path, error),
        };
        if self.ended {
            return Err(wrong("is cut off"));
        }
        let mut head = [0; 5];
        self.file.read_exact(&mut head).map_err(cut)?;
        let [last, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if last > 1 || length > CHUNK_BYTES + SEAL_BYTES || length <= SEAL_BYTES {
            return Err(wrong("is damaged"));
        }
        let mut sealed = vec![0; length];
        self.file.read_exact(&mut sealed).map_err(cut)?;
        let aad = chunk_aad(&self.header, self.index, last == 1);
        let failure =
            if self.index == 0 { "opens not under this passphrase, or is damaged" } else { "is damaged" };
        self.chunk = decrypt(&self.key, &aad, &sealed).ok_or_else(|| wrong(failure))?;
        (self.at, self.ended) = (0, last == 1);
        self.index += 1;
        Ok(())
    }

    fn is_at_end(&mut self, path: &Path) -> Result<bool> {
        let more = self.file.read(&mut [0]).map_err(|error| Error::io("read", path, error))?;
        Ok(self.ended && self.at == self.chunk.len() && more == 0)
    }
}

fn chunk_aad(header: &[u8], index: u64, last: bool) -> Vec<u8> {
    [header, &index.to_be_bytes(), &[u8::from(last)]].concat()
}

fn stretch(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<Key> {
    let mut key = Zeroizing::new([0; 32]);
    let Cost { memory_kib, passes, lanes } = cost;
    openssl::kdf::argon2id(None, passphrase, salt, None, None, passes, lanes, memory_kib, &mut *key)?;
    Ok(key)
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
