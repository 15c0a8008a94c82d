//! The keyring: the keys that seal records, in two slot files beside the store.
//!
//! ```text
//! slot       magic[8] | schema u8 | generation u64 | store id[16] | nonce[12] | ciphertext | tag[16]
//! plaintext  store key[32] | base key[32] | current epoch u32 | count u32 | count × (epoch u32 | key[32])
//! ```
//!
//! Schema 1 had no base key: what comes from it now came from the root key then, so that the root key could not
//! be changed. A keyring of schema 1 takes its root key for the base key and is saved as schema 2.
//!
//! Integers are big endian; everything before the nonce is additional data; the key is the root key's
//! subkey `keyring-kek`. A save writes both slots, one whole file after the other, so that each moment
//! leaves one that opens, and a key that was dropped is in neither.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::durable::{open_private, overwrite, replace};
use super::error::{Error, Result};
use super::root_key::{RootKey, derive, label};
use super::seal::{KEY_BYTES, Key, decrypt, encrypt, random_key};
use super::tally::{Authenticator, take};

const MAGIC: &[u8; 8] = b"CLVKRING";
/// Without a base key.
const SCHEMA_WITHOUT_BASE: u8 = 1;
const SCHEMA: u8 = 2;
const CLEAR_BYTES: usize = MAGIC.len() + 1 + 8 + STORE_ID_BYTES;
const STORE_ID_BYTES: usize = 16;
const SLOTS: [&str; 2] = ["keyring.a", "keyring.b"];

/// A keyring is a few hundred bytes; more than this is none.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The keys of one store. Wiped when dropped.
#[derive(Clone)]
pub struct Keyring {
    /// Random identity of the store, bound into every record.
    pub(super) store_id: [u8; STORE_ID_BYTES],
    /// Seals metadata.
    pub(super) store_key: Key,
    /// What the daemon's other keys come from: of PINs, of the audit log. It stays when the root key changes.
    pub(super) base_key: Key,
    /// The schema of the file it was read from.
    schema: u8,
    /// Counts saves, from 1.
    generation: u64,
    current: u32,
    epochs: BTreeMap<u32, Key>,
    /// The current epoch's key once more, so that there always is one.
    current_key: Key,
}

/// What a slot file turned out to be.
enum Slot {
    Missing,
    /// Damaged, or of another root key.
    Foreign,
    Authentic(Keyring),
}

impl Keyring {
    /// New random keys, for a new store.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the system has no randomness to give.
    pub fn random() -> Result<Self> {
        let mut store_id = [0; STORE_ID_BYTES];
        openssl::rand::rand_bytes(&mut store_id)?;
        let first = random_key()?;
        Ok(Self {
            store_id,
            store_key: random_key()?,
            base_key: random_key()?,
            schema: SCHEMA,
            generation: 0,
            current: 1,
            epochs: BTreeMap::from([(1, first.clone())]),
            current_key: first,
        })
    }

    /// The newest keyring in `dir` that opens under `root`, or `None` when there is none at all. A slot that
    /// is missing, damaged or older is written anew.
    ///
    /// # Errors
    /// [`Error::KeyringNotAuthentic`] when there are slot files and none opens; [`Error::KeyringForm`] when
    /// the newest is of a form this program does not know.
    pub fn load(dir: &Path, root: &RootKey) -> Result<Option<Self>> {
        let kek = root.subkey(label::KEYRING_KEK)?;
        let (found, stale) = Self::newest(dir, root)?;
        if let Some(keyring) = &found {
            let bytes = keyring.to_file(&kek)?;
            for path in stale {
                tracing::warn!(file = %path.display(), "restoring a keyring slot from its twin");
                replace(&path, &bytes)?;
            }
        }
        Ok(found)
    }

    /// As [`Keyring::load`], and changes no file.
    pub(super) fn peek(dir: &Path, root: &RootKey) -> Result<Option<Self>> {
        Ok(Self::newest(dir, root)?.0)
    }

    /// Whether a keyring in `dir` opens under `root`.
    ///
    /// # Errors
    /// What keeps the files from being read.
    pub(super) fn opens_under(dir: &Path, root: &RootKey) -> Result<bool> {
        match Self::peek(dir, root) {
            Ok(found) => Ok(found.is_some()),
            Err(Error::KeyringNotAuthentic { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The newest keyring, and the slots that do not hold it.
    fn newest(dir: &Path, root: &RootKey) -> Result<(Option<Self>, Vec<PathBuf>)> {
        let slots = [Self::load_slot(dir, 0, root)?, Self::load_slot(dir, 1, root)?];
        if slots.iter().all(|slot| matches!(slot, Slot::Missing)) {
            return Ok((None, Vec::new()));
        }
        let generations = slots.each_ref().map(|slot| match slot {
            Slot::Authentic(keyring) => keyring.generation,
            Slot::Missing | Slot::Foreign => 0,
        });
        let newest = slots
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Authentic(keyring) => Some(keyring),
                Slot::Missing | Slot::Foreign => None,
            })
            .max_by_key(|keyring| keyring.generation)
            .ok_or_else(|| Error::KeyringNotAuthentic { path: slot_path(dir, 0) })?;
        let stale =
            generations.iter().enumerate().filter(|(_, generation)| **generation != newest.generation);
        let stale = stale.map(|(index, _)| slot_path(dir, index)).collect();
        Ok((Some(newest), stale))
    }

    /// Writes the keyring to both slots of `dir` as the next generation. When it returns, neither slot holds
    /// a key that this keyring does not hold.
    ///
    /// # Errors
    /// After [`Error::Io`] or [`Error::NoSpace`] the next load finds this generation or the one before.
    pub fn save(&mut self, dir: &Path, root: &RootKey) -> Result<()> {
        let kek = root.subkey(label::KEYRING_KEK)?;
        self.save_under(dir, &kek)
    }

    /// As [`Keyring::save`], under the root key's subkey itself.
    pub(super) fn save_under(&mut self, dir: &Path, kek: &[u8; KEY_BYTES]) -> Result<()> {
        self.generation += 1;
        self.schema = SCHEMA;
        let bytes = self.to_file(kek)?;
        (0..SLOTS.len()).try_for_each(|index| {
            let path = slot_path(dir, index);
            // The name moves to the new file; the old one lives on until this handle is closed.
            let old = open_private(&path).ok();
            replace(&path, &bytes)?;
            if let Some(old) = old {
                overwrite(&old, &path);
            }
            Ok(())
        })
    }

    /// Whether it was read from a file of an older schema.
    pub(super) fn is_of_older_schema(&self) -> bool {
        self.schema != SCHEMA
    }

    /// The daemon's key for the purpose `label`, one of the constants in [`label`].
    ///
    /// # Errors
    /// [`Error::Crypto`] when OpenSSL fails.
    pub(super) fn subkey(&self, label: &str) -> Result<Key> {
        derive(&self.base_key, label)
    }

    /// How often the keyring was saved.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether older epochs than the current one are still held.
    pub(super) fn holds_old_epochs(&self) -> bool {
        self.epochs.len() > 1
    }

    /// What authenticates the store's state and its anchor. Its key comes from the store key, so that it stays
    /// when the root key changes.
    ///
    /// # Errors
    /// [`Error::Crypto`] when OpenSSL fails.
    pub(super) fn authenticator(&self) -> Result<Authenticator> {
        Ok(Authenticator::new(&*derive(&self.store_key, label::ANCHOR_MAC)?, self.store_id))
    }

    /// Whether `dir` has a slot file.
    pub(super) fn exists(dir: &Path) -> bool {
        (0..SLOTS.len()).any(|index| slot_path(dir, index).exists())
    }

    /// The first of the two slot files.
    pub(super) fn first_path(dir: &Path) -> PathBuf {
        slot_path(dir, 0)
    }

    /// Number and key of the epoch that new material is wrapped under.
    pub(super) fn current_epoch(&self) -> (u32, &Key) {
        (self.current, &self.current_key)
    }

    /// The key of an epoch.
    pub(super) fn epoch(&self, number: u32) -> Option<&Key> {
        self.epochs.get(&number)
    }

    /// Makes a new epoch current; the older ones stay usable for opening.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the system has no randomness to give.
    pub fn begin_epoch(&mut self) -> Result<()> {
        self.current_key = random_key()?;
        self.current += 1;
        self.epochs.insert(self.current, self.current_key.clone());
        Ok(())
    }

    /// Forgets every epoch but the current one. Once saved, what is still wrapped under them is lost for
    /// good; the caller has made sure that nothing live is.
    pub fn drop_epochs_before_current(&mut self) {
        self.epochs.retain(|&number, _| number == self.current);
    }

    fn load_slot(dir: &Path, index: usize, root: &RootKey) -> Result<Slot> {
        let path = slot_path(dir, index);
        let bytes = match std::fs::metadata(&path) {
            Ok(status) if status.len() > MAX_FILE_BYTES => return Ok(Slot::Foreign),
            _ => match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Slot::Missing),
                Err(error) => return Err(Error::io("read", &path, error)),
            },
        };
        let kek = root.subkey(label::KEYRING_KEK)?;
        let Some(plaintext) = open_file(&bytes, &kek) else { return Ok(Slot::Foreign) };
        let (schema, generation, store_id) = clear_part(&bytes).ok_or_else(|| damaged(&path))?;
        let base = match schema {
            SCHEMA => None,
            SCHEMA_WITHOUT_BASE => Some(root.bytes()),
            _ => return Err(Error::KeyringForm { path, schema }),
        };
        let keyring = Self::from_plaintext(&plaintext, generation, store_id, base);
        let keyring = keyring.ok_or_else(|| damaged(&path))?;
        Ok(Slot::Authentic(Self { schema, ..keyring }))
    }

    fn to_file(&self, kek: &[u8; KEY_BYTES]) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        file.extend_from_slice(MAGIC);
        file.push(SCHEMA);
        file.extend_from_slice(&self.generation.to_be_bytes());
        file.extend_from_slice(&self.store_id);
        let clear = file.clone();
        encrypt(kek, &clear, &self.to_plaintext(), &mut file)?;
        Ok(file)
    }

    fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        let count = self.epochs.len();
        // Of the final size at once: growing would leave copies of keys behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + 8 + count * (4 + KEY_BYTES)));
        plaintext.extend_from_slice(&*self.store_key);
        plaintext.extend_from_slice(&*self.base_key);
        plaintext.extend_from_slice(&self.current.to_be_bytes());
        plaintext.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        for (number, key) in &self.epochs {
            plaintext.extend_from_slice(&number.to_be_bytes());
            plaintext.extend_from_slice(&**key);
        }
        plaintext
    }

    /// With `base` for the base key of a schema that has none.
    fn from_plaintext(
        mut rest: &[u8],
        generation: u64,
        store_id: [u8; STORE_ID_BYTES],
        base: Option<&[u8; KEY_BYTES]>,
    ) -> Option<Self> {
        let store_key = Zeroizing::new(take::<KEY_BYTES>(&mut rest)?);
        let base_key = Zeroizing::new(match base {
            Some(base) => *base,
            None => take::<KEY_BYTES>(&mut rest)?,
        });
        let current = u32::from_be_bytes(take(&mut rest)?);
        let count = u32::from_be_bytes(take(&mut rest)?);
        let mut epochs = BTreeMap::new();
        for _ in 0..count {
            let number = u32::from_be_bytes(take(&mut rest)?);
            epochs.insert(number, Zeroizing::new(take::<KEY_BYTES>(&mut rest)?));
        }
        let current_key = epochs.get(&current)?.clone();
        let keyring =
            Self { store_id, store_key, base_key, schema: SCHEMA, generation, current, epochs, current_key };
        rest.is_empty().then_some(keyring)
    }
}

fn slot_path(dir: &Path, index: usize) -> PathBuf {
    dir.join(SLOTS[index])
}

/// An authentic file with a content that makes no sense.
fn damaged(path: &Path) -> Error {
    Error::Corrupt { what: format!("{} has a content that makes no sense", path.display()) }
}

/// Schema, generation and store id of a slot file.
fn clear_part(file: &[u8]) -> Option<(u8, u64, [u8; STORE_ID_BYTES])> {
    let mut rest = file.strip_prefix(MAGIC)?;
    let [schema] = take(&mut rest)?;
    Some((schema, u64::from_be_bytes(take(&mut rest)?), take(&mut rest)?))
}

fn open_file(file: &[u8], kek: &[u8; KEY_BYTES]) -> Option<Zeroizing<Vec<u8>>> {
    clear_part(file)?;
    let (clear, sealed) = file.split_at_checked(CLEAR_BYTES)?;
    decrypt(kek, clear, sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &Keyring, two: &Keyring) -> bool {
        one.generation == two.generation
            && one.store_id == two.store_id
            && *one.to_plaintext() == *two.to_plaintext()
    }

    /// A keyring saved twice with an epoch in between, its directory and its root key.
    fn saved() -> (tempfile::TempDir, RootKey, Keyring) {
        let dir = tempfile::tempdir().unwrap();
        let root = RootKey::random().unwrap();
        let mut keyring = Keyring::random().unwrap();
        keyring.save(dir.path(), &root).unwrap();
        keyring.begin_epoch().unwrap();
        keyring.save(dir.path(), &root).unwrap();
        (dir, root, keyring)
    }

    fn flip(path: &Path, offset: usize) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[offset] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let (dir, root, keyring) = saved();
        assert!(same(&Keyring::load(dir.path(), &root).unwrap().unwrap(), &keyring));
        assert_eq!(keyring.current_epoch().0, 2);
        assert_eq!(keyring.generation, 2);
    }

    #[test]
    fn an_empty_directory_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Keyring::load(dir.path(), &RootKey::random().unwrap()).unwrap().is_none());
    }

    #[test]
    fn either_slot_alone_is_enough_and_is_copied_to_the_other() {
        for index in 0..2 {
            let (dir, root, keyring) = saved();
            let length = std::fs::read(slot_path(dir.path(), index)).unwrap().len();
            for offset in [0, 8, 10, 20, 40, length - 1] {
                flip(&slot_path(dir.path(), index), offset);
                assert!(same(&Keyring::load(dir.path(), &root).unwrap().unwrap(), &keyring), "at {offset}");
                let slots = [0, 1].map(|slot| {
                    let bytes = std::fs::read(slot_path(dir.path(), slot)).unwrap();
                    open_file(&bytes, &root.subkey(label::KEYRING_KEK).unwrap()).unwrap()
                });
                assert_eq!(*slots[0], *slots[1]);
            }
            std::fs::remove_file(slot_path(dir.path(), index)).unwrap();
            assert!(same(&Keyring::load(dir.path(), &root).unwrap().unwrap(), &keyring));
        }
    }

    #[test]
    fn a_crash_between_the_slots_leaves_the_newer_one() {
        let (dir, root, mut keyring) = saved();
        let older = std::fs::read(slot_path(dir.path(), 1)).unwrap();
        keyring.drop_epochs_before_current();
        keyring.save(dir.path(), &root).unwrap();
        std::fs::write(slot_path(dir.path(), 1), &older).unwrap();
        assert!(same(&Keyring::load(dir.path(), &root).unwrap().unwrap(), &keyring));
        // Loading finished the save: the dropped epoch is in neither slot.
        std::fs::remove_file(slot_path(dir.path(), 0)).unwrap();
        let loaded = Keyring::load(dir.path(), &root).unwrap().unwrap();
        assert!(loaded.epoch(1).is_none() && loaded.epoch(2).is_some());
    }

    #[test]
    fn two_unreadable_slots_name_the_file_and_the_next_step() {
        let (dir, root, _) = saved();
        let wrong = Keyring::load(dir.path(), &RootKey::random().unwrap()).err().unwrap();
        assert!(matches!(wrong, Error::KeyringNotAuthentic { .. }));
        assert!(wrong.to_string().contains("keyring.a") && wrong.to_string().contains("backup"), "{wrong}");
        flip(&slot_path(dir.path(), 0), 50);
        std::fs::write(slot_path(dir.path(), 1), b"").unwrap();
        let both = Keyring::load(dir.path(), &root).err().unwrap();
        assert!(matches!(both, Error::KeyringNotAuthentic { .. }));
    }

    #[test]
    fn the_files_show_no_key_and_are_private() {
        use std::os::unix::fs::MetadataExt;
        let (dir, _, keyring) = saved();
        for index in 0..2 {
            let path = slot_path(dir.path(), index);
            assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
            let bytes = std::fs::read(path).unwrap();
            for key in [&keyring.store_key, &keyring.base_key, &keyring.current_key] {
                assert!(!bytes.windows(8).any(|window| window == &key[..8]));
            }
        }
    }
}
