//! Typed records over an engine: encoded, sealed, and cut into chunks where they are long.
//!
//! The plaintext of a record starts with one byte: 0, then the whole value; or 1, then the number of
//! further chunks (u32, big endian), a random id of this writing (16 bytes), and the first part. Further
//! chunks are in [`Tree::Chunk`] under tree number, key and index (u32, big endian), each the id and its
//! part. The id tells the chunks of one writing from those of another.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bincode::{Decode, Encode};
use claviger_protocol::codec;
use zeroize::Zeroizing;

use super::engine::{Batch, Expect, MAX_RECORD_BYTES, Record, RecordKey, Store, Tree};
use super::error::{Error, Result};
use super::keyring::Keyring;
use super::open::DirectoryLock;
use super::purge::REMOVED_KEY;
use super::root_key::{RootKey, label};
use super::schema::{decode, upgraded};
use super::seal::{Key, SEAL_BYTES, Sealer};
use super::tombstone::{Tombstone, now};
use super::verify::{Findings, Opened};

const WHOLE: u8 = 0;
const HEAD: u8 = 1;
const ID_BYTES: usize = 16;

/// Most value bytes in one record: what an engine takes less the seal and the longest framing.
const PART_BYTES: usize = MAX_RECORD_BYTES - SEAL_BYTES - (1 + 4 + ID_BYTES);

/// How many opened records are decoded together, and how many such lots wait for who wants them.
const LOT: usize = 2048;
const LOTS_AHEAD: usize = 2;

/// How often a read or a commit starts again because others change the same record meanwhile.
const ATTEMPTS: usize = 16;

type Plaintext = Zeroizing<Vec<u8>>;

/// A record's key and value; none when it has been removed meanwhile.
type Decoded<T> = Result<Option<(Vec<u8>, T)>>;

/// The typed layer that the daemon uses. Every call blocks until it is done: call it from threads that may
/// block.
pub struct Records {
    engine: Arc<dyn Store>,
    pub(super) sealer: Sealer,
    /// Where the keyring is saved; `None` for records that end with the process.
    custody: Option<Custody>,
    /// Held for reading while a commit seals and is applied, for writing while a new epoch begins.
    pub(super) gate: RwLock<()>,
    /// Held during a purge.
    pub(super) purging: Mutex<()>,
    /// When this process began its last daily purge, in milliseconds on a clock that only goes forward.
    pub(super) last_purge: Mutex<Option<i64>>,
    /// The last epoch for which [`REMOVED_KEY`] was written; 0 before the first.
    removed_in: AtomicU32,
    /// What the start has opened already, by tree. The first who reads such a tree whole takes it; a commit to the tree
    /// drops it.
    opened: Mutex<HashMap<Tree, Vec<Opened>>>,
    /// Held for as long as the records are open.
    _lock: Option<DirectoryLock>,
}

/// Directory and key of the keyring.
struct Custody {
    dir: PathBuf,
    /// Changes with the root key.
    kek: Mutex<Key>,
}

/// Puts and removes that one commit does together or not at all. A record may be named once.
#[derive(Default)]
pub struct Change {
    steps: Vec<Step>,
}

struct Step {
    place: RecordKey,
    expect: Expect,
    /// The new value; `None` removes the record.
    value: Option<Plaintext>,
}

impl Change {
    /// A change that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `value` at `key` of `tree`, whatever is there.
    ///
    /// # Errors
    /// [`Error::Unencodable`] when the codec refuses the value.
    pub fn put<T: Encode>(&mut self, tree: Tree, key: impl Into<Vec<u8>>, value: &T) -> Result<()> {
        self.put_if(tree, key, Expect::Any, value)
    }

    /// As [`Change::put`], provided that the record there is as expected when the change is committed.
    ///
    /// # Errors
    /// [`Error::Unencodable`] when the codec refuses the value.
    pub fn put_if<T: Encode>(
        &mut self,
        tree: Tree,
        key: impl Into<Vec<u8>>,
        expect: Expect,
        value: &T,
    ) -> Result<()> {
        let place = RecordKey::new(tree, key);
        match codec::encode(value) {
            Ok(bytes) => {
                self.steps.push(Step { place, expect, value: Some(Zeroizing::new(bytes)) });
                Ok(())
            }
            Err(_) => Err(Error::Unencodable { place }),
        }
    }

    /// Removes the record at `key` of `tree`, if there is one.
    pub fn remove(&mut self, tree: Tree, key: impl Into<Vec<u8>>) {
        self.remove_if(tree, key, Expect::Any);
    }

    /// As [`Change::remove`], provided that the record there is as expected.
    pub fn remove_if(&mut self, tree: Tree, key: impl Into<Vec<u8>>, expect: Expect) {
        self.steps.push(Step { place: RecordKey::new(tree, key), expect, value: None });
    }

    /// Writes secret bytes at `key` of [`Tree::Material`], sealed by envelope.
    pub fn put_material(&mut self, key: impl Into<Vec<u8>>, material: &[u8]) {
        let place = RecordKey::new(Tree::Material, key);
        let value = Some(Zeroizing::new(material.to_vec()));
        self.steps.push(Step { place, expect: Expect::Any, value });
    }

    /// Writes a value that is encoded already.
    pub(super) fn put_encoded(&mut self, place: RecordKey, value: Plaintext) {
        self.steps.push(Step { place, expect: Expect::Any, value: Some(value) });
    }

    /// Removes the material at `key`. It stays in old parts of the disk, sealed, until its epoch is dropped.
    pub fn remove_material(&mut self, key: impl Into<Vec<u8>>) {
        self.remove(Tree::Material, key);
    }

    /// Whether the change does nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Records {
    /// Records in `engine`, sealed by `sealer`.
    pub fn open(engine: Arc<dyn Store>, sealer: Sealer) -> Self {
        Self {
            engine,
            sealer,
            custody: None,
            gate: RwLock::default(),
            purging: Mutex::default(),
            last_purge: Mutex::default(),
            removed_in: AtomicU32::new(0),
            opened: Mutex::default(),
            _lock: None,
        }
    }

    /// The same records, whose keyring is saved in `dir` under `kek`.
    pub(super) fn in_custody(self, dir: PathBuf, kek: Key) -> Self {
        Self { custody: Some(Custody { dir, kek: Mutex::new(kek) }), ..self }
    }

    /// Makes `keyring` durable and then uses it.
    pub(super) fn save_keyring(&self, mut keyring: Keyring) -> Result<()> {
        if let Some(Custody { dir, kek }) = &self.custody {
            keyring.save_under(dir, &kek.lock().unwrap_or_else(PoisonError::into_inner))?;
            block_on(self.engine.note_keyring(keyring.generation()))?;
        }
        self.sealer.replace_keyring(keyring);
        Ok(())
    }

    /// Seals the keyring under another root key, which opens the store from now on in place of the present one.
    /// No record changes.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NoSpace`]: it is then unknown which of the two root keys opens the store after a
    /// restart, and one of them does.
    pub fn change_root(&self, root: &RootKey) -> Result<()> {
        let Some(Custody { dir, kek }) = &self.custody else { return Ok(()) };
        let _one = self.purging.lock().unwrap_or_else(PoisonError::into_inner);
        let new = root.subkey(label::KEYRING_KEK)?;
        let mut keyring = self.sealer.keyring().clone();
        keyring.save_under(dir, &new)?;
        *kek.lock().unwrap_or_else(PoisonError::into_inner) = new;
        block_on(self.engine.note_keyring(keyring.generation()))?;
        self.sealer.replace_keyring(keyring);
        Ok(())
    }

    /// The daemon's key for the purpose `label`, one of the constants in [`label`]. It stays when the root key
    /// changes, and goes with a backup.
    ///
    /// # Errors
    /// [`Error::Crypto`] when OpenSSL fails.
    pub fn subkey(&self, label: &str) -> Result<Key> {
        self.sealer.keyring().subkey(label)
    }

    /// The state directory; `None` for records that end with the process.
    pub fn directory(&self) -> Option<&Path> {
        self.custody.as_ref().map(|custody| custody.dir.as_path())
    }

    /// The same records, which keep `lock` until they are dropped.
    pub(super) fn holding(self, lock: DirectoryLock) -> Self {
        Self { _lock: Some(lock), ..self }
    }

    /// The same records, of which the start has opened these already; nothing was committed since.
    pub(super) fn with_opened(self, opened: Vec<Opened>) -> Self {
        let mut trees: HashMap<Tree, Vec<Opened>> = HashMap::new();
        for record in opened {
            trees.entry(record.place.tree).or_default().push(record);
        }
        Self { opened: Mutex::new(trees), ..self }
    }

    /// Gives up what the start has opened and nobody took.
    pub fn forget_opened(&self) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The engine beneath, for watching.
    pub fn engine(&self) -> &Arc<dyn Store> {
        &self.engine
    }

    /// The value at `key` of `tree`.
    ///
    /// # Errors
    /// What the engine and the sealer say; [`Error::Undecodable`] when the record is of another type.
    pub fn get<T: Decode<()>>(&self, tree: Tree, key: &[u8]) -> Result<Option<T>> {
        Ok(self.get_versioned(tree, key)?.map(|(_, value)| value))
    }

    /// The value at `key` of `tree` and its version, for [`Expect::Version`].
    ///
    /// # Errors
    /// As [`Records::get`].
    pub fn get_versioned<T: Decode<()>>(&self, tree: Tree, key: &[u8]) -> Result<Option<(u64, T)>> {
        let place = RecordKey::new(tree, key);
        match self.read(&place)? {
            Some((version, plaintext)) => Ok(Some((version, decode(&place, &plaintext)?))),
            None => Ok(None),
        }
    }

    /// The material at `key`.
    ///
    /// # Errors
    /// What the engine and the sealer say.
    pub fn material(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.read(&RecordKey::new(Tree::Material, key))?.map(|(_, material)| material))
    }

    /// Calls `each` with every key and value of `tree`, in the order of keys, a page in memory at a time. The records
    /// of a page are opened and decoded by all processors.
    ///
    /// # Errors
    /// As [`Records::get`], of the first record that fails; records before it have been passed on.
    pub fn for_each<T: Decode<()> + Send>(&self, tree: Tree, mut each: impl FnMut(Vec<u8>, T)) -> Result<()> {
        self.for_each_made(tree, b"", |key, value| (key, value), |(key, value)| each(key, value))
    }

    /// As [`Records::for_each`], of the keys that start with `prefix`.
    ///
    /// # Errors
    /// As [`Records::for_each`].
    pub fn for_each_under<T: Decode<()> + Send>(
        &self,
        tree: Tree,
        prefix: &[u8],
        mut each: impl FnMut(Vec<u8>, T),
    ) -> Result<()> {
        self.for_each_made(tree, prefix, |key, value| (key, value), |(key, value)| each(key, value))
    }

    /// As [`Records::for_each_under`], with what `make` makes of each key and value. All processors make at once, in no
    /// order, of a page or of more before `each` has the first.
    ///
    /// # Errors
    /// As [`Records::for_each`]; records behind the one that fails may have been made something of.
    pub fn for_each_made<T: Decode<()>, M: Send>(
        &self,
        tree: Tree,
        prefix: &[u8],
        make: impl Fn(Vec<u8>, T) -> M + Sync,
        mut each: impl FnMut(M),
    ) -> Result<()> {
        let made = |decoded: Decoded<T>| Ok(decoded?.map(|(key, value)| make(key, value)));
        let opened = match prefix {
            b"" => self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&tree),
            _ => None,
        };
        if let Some(opened) = opened {
            return in_lots(
                opened,
                |record| made(self.decode_opened(record)),
                |made: Result<Option<M>>| {
                    made?.into_iter().for_each(&mut each);
                    Ok(())
                },
            );
        }
        let prefix = RecordKey::new(tree, prefix);
        let mut after = None;
        loop {
            let page = block_on(self.engine.scan(&prefix, after.as_ref()))?;
            let decode_one = |(place, record): (RecordKey, Record)| {
                let Some((_, plaintext)) = self.assemble(&place, record)? else { return Ok(None) };
                let value = decode(&place, &plaintext)?;
                Ok(Some((place.key, value)))
            };
            for made in in_parallel(page.records, |record| made(decode_one(record))) {
                // Absent: removed while the page was read.
                made?.into_iter().for_each(&mut each);
            }
            match page.next {
                Some(place) => after = Some(place),
                None => return Ok(()),
            }
        }
    }

    /// The key and value of a record that was opened before.
    fn decode_opened<T: Decode<()>>(&self, record: Opened) -> Decoded<T> {
        let Opened { place, schema, mut plaintext } = record;
        let value = match plaintext.first() {
            Some(&WHOLE) => {
                plaintext.drain(..1);
                let value = upgraded(&place, schema, plaintext)?;
                decode(&place, &value)?
            }
            // The rest of it is elsewhere.
            _ => match self.read(&place)? {
                Some((_, value)) => decode(&place, &value)?,
                None => return Ok(None),
            },
        };
        Ok(Some((place.key, value)))
    }

    /// Calls `each` with every place of `tree` and its value as it was encoded; material is its own encoding.
    pub(super) fn for_each_encoded(
        &self,
        tree: Tree,
        mut each: impl FnMut(RecordKey, Plaintext) -> Result<()>,
    ) -> Result<()> {
        let prefix = RecordKey::new(tree, "");
        let mut after = None;
        loop {
            let page = block_on(self.engine.scan(&prefix, after.as_ref()))?;
            for (place, record) in page.records {
                // Absent: removed while the page was read.
                if let Some((_, plaintext)) = self.assemble(&place, record)? {
                    each(place, plaintext)?;
                }
            }
            match page.next {
                Some(place) => after = Some(place),
                None => return Ok(()),
            }
        }
    }

    /// Examines every record and compares all of them with the anchor, while commits wait.
    ///
    /// # Errors
    /// What keeps the records from being read.
    pub fn examine(&self) -> Result<Findings> {
        block_on(self.engine.examine(&self.sealer))
    }

    /// Does the whole change, or nothing of it. `Ok` means durable.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub fn commit(&self, change: Change) -> Result<()> {
        self.begin(change)?.wait()
    }

    /// The first half of a commit, after which the change has its place among all others: who holds a lock for the
    /// sake of order may give it back and then [wait](Begun::wait). Others that wait at the same time share the work
    /// of the disk. Nobody may be told of the change before.
    ///
    /// # Errors
    /// As [`Records::commit`].
    pub fn begin(&self, change: Change) -> Result<Begun<'_>> {
        if change.is_empty() {
            return Ok(Begun { records: self, revision: 0 });
        }
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let change = self.with_removal_noted(change)?;
        {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if !opened.is_empty() {
                opened.retain(|tree, _| !change.steps.iter().any(|step| step.place.tree == *tree));
            }
        }
        let mut attempt = 1;
        loop {
            match block_on(self.engine.apply(self.batch(&change)?)) {
                // Chunks that came or went since the batch was made; the caller expects nothing of those.
                Err(Error::Conflict { place, .. }) if place.tree == Tree::Chunk && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                result => return result.map(|revision| Begun { records: self, revision }),
            }
        }
    }

    /// The change, which also keeps the tombstones of the material that it removes or writes again, and writes the
    /// current epoch to [`REMOVED_KEY`] if it is the first since the start to remove material in this epoch.
    fn with_removal_noted(&self, mut change: Change) -> Result<Change> {
        let epoch = self.sealer.keyring().current_epoch().0;
        let material = change.steps.iter().filter(|step| step.place.tree == Tree::Material);
        let (mut removed, mut written) = (Vec::new(), Vec::new());
        for step in material {
            let of = if step.value.is_none() { &mut removed } else { &mut written };
            of.push(step.place.key.clone());
        }
        let removes = !removed.is_empty();
        for key in removed {
            if block_on(self.engine.get(&RecordKey::new(Tree::Material, key.as_slice())))?.is_some() {
                change.put(Tree::Tombstone, key, &Tombstone { removed: now(), epoch, erased: None })?;
            }
        }
        for key in written {
            if block_on(self.engine.get(&RecordKey::new(Tree::Tombstone, key.as_slice())))?.is_some() {
                change.remove(Tree::Tombstone, key);
            }
        }
        // Noting it twice does no harm, noting it before the commit has succeeded would.
        if removes && self.removed_in.load(Ordering::Acquire) != epoch {
            if self.get::<u32>(Tree::Meta, REMOVED_KEY)? == Some(epoch) {
                self.removed_in.store(epoch, Ordering::Release);
            } else {
                change.put(Tree::Meta, REMOVED_KEY, &epoch)?;
            }
        }
        Ok(change)
    }

    /// The sealed batch for a change, including the removal of chunks that it leaves without a head.
    fn batch(&self, change: &Change) -> Result<Batch> {
        let mut batch = Batch::new();
        for Step { place, expect, value } in &change.steps {
            let chunks = match value {
                Some(value) if value.len() > PART_BYTES => {
                    let (head, chunks) = cut(value)?;
                    batch.put(place.clone(), *expect, self.seal(place, &head)?);
                    chunks
                }
                Some(value) => {
                    let whole = Zeroizing::new([&[WHOLE], value.as_slice()].concat());
                    batch.put(place.clone(), *expect, self.seal(place, &whole)?);
                    Vec::new()
                }
                None => {
                    batch.remove(place.clone(), *expect);
                    Vec::new()
                }
            };
            // Chunks have no gaps, so the first that is absent ends those of the old value.
            let mut old = true;
            for index in 0.. {
                let new = chunks.get(index);
                if new.is_none() && !old {
                    break;
                }
                let chunk_place = chunk_place(place, index);
                let found = if old { block_on(self.engine.get(&chunk_place))? } else { None };
                old = found.is_some();
                let expect = found.map_or(Expect::Absent, |record| Expect::Version(record.version));
                match new {
                    Some(plaintext) => {
                        let sealed = self.seal(&chunk_place, plaintext)?;
                        batch.put(chunk_place, expect, sealed);
                    }
                    None if old => batch.remove(chunk_place, expect),
                    None => {}
                }
            }
        }
        Ok(batch)
    }

    /// Version and value of the record at `place`.
    fn read(&self, place: &RecordKey) -> Result<Option<(u64, Plaintext)>> {
        match block_on(self.engine.get(place))? {
            Some(record) => self.assemble(place, record),
            None => Ok(None),
        }
    }

    /// Version and value of `record`, read at `place`; when it is chunked and replaced meanwhile, or its epoch
    /// ends meanwhile, those of its successor.
    pub(super) fn assemble(&self, place: &RecordKey, mut record: Record) -> Result<Option<(u64, Plaintext)>> {
        for _ in 0..ATTEMPTS {
            let (value, failure) = match self.join(place, &record) {
                Ok(value) => (value, None),
                Err(error @ Error::UnknownEpoch { .. }) => (None, Some(error)),
                Err(error) => return Err(error),
            };
            if let Some(value) = value {
                return Ok(Some((record.version, value)));
            }
            match block_on(self.engine.get(place))? {
                None => return Ok(None),
                // The head is as it was: the failure was that of a chunk, which may have changed.
                Some(newer) if newer.version == record.version => match failure {
                    Some(Error::UnknownEpoch { place: part, epoch }) if part == *place => {
                        return Err(Error::UnknownEpoch { place: part, epoch });
                    }
                    Some(_) => {}
                    None => break,
                },
                Some(newer) => record = newer,
            }
        }
        Err(Error::Corrupt { what: format!("{place} lacks a part") })
    }

    /// The value of a record with its chunks; `None` when the chunks there are not, or no longer, its own.
    fn join(&self, place: &RecordKey, record: &Record) -> Result<Option<Plaintext>> {
        let no_frame = || Error::Undecodable { place: place.clone() };
        let (schema, plaintext) = self.unseal(place, &record.bytes)?;
        let (&kind, rest) = plaintext.split_first().ok_or_else(no_frame)?;
        match kind {
            WHOLE => return upgraded(place, schema, Zeroizing::new(rest.to_vec())).map(Some),
            HEAD => {}
            _ => return Err(no_frame()),
        }
        let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(no_frame)?;
        let (id, part) = rest.split_first_chunk::<ID_BYTES>().ok_or_else(no_frame)?;

        let mut parts = vec![Zeroizing::new(part.to_vec())];
        for index in 0..u32::from_be_bytes(*count) {
            let place = chunk_place(place, index as usize);
            let Some(chunk) = block_on(self.engine.get(&place))? else { return Ok(None) };
            let (_, chunk) = self.unseal(&place, &chunk.bytes)?;
            let Some(part) = chunk.strip_prefix(id) else { return Ok(None) };
            parts.push(Zeroizing::new(part.to_vec()));
        }
        // Of the final size at once: growing would leave copies of secrets behind.
        let mut value = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| value.extend_from_slice(part));
        upgraded(place, schema, value).map(Some)
    }

    fn seal(&self, place: &RecordKey, plaintext: &[u8]) -> Result<Vec<u8>> {
        if is_material(place) {
            self.sealer.seal_material(place, plaintext)
        } else {
            self.sealer.seal(place, plaintext)
        }
    }

    fn unseal(&self, place: &RecordKey, sealed: &[u8]) -> Result<(u8, Plaintext)> {
        self.sealer.open_any(place, sealed)
    }
}

/// Calls `each` with what `work` makes of the items, in their order. All processors work, a few lots ahead of it.
fn in_lots<I: Send, O: Send>(
    items: Vec<I>,
    work: impl Fn(I) -> O + Sync,
    mut each: impl FnMut(O) -> Result<()>,
) -> Result<()> {
    let threads =
        thread::available_parallelism().map_or(1, usize::from).min(8).min(items.len().div_ceil(LOT));
    let lots = Mutex::new((0.., items.into_iter()));
    let (send, receive) = mpsc::sync_channel(LOTS_AHEAD);
    thread::scope(|scope| {
        for send in vec![send; threads] {
            let (lots, work) = (&lots, &work);
            scope.spawn(move || {
                loop {
                    let mut lots = lots.lock().unwrap_or_else(PoisonError::into_inner);
                    let (Some(number), lot) = (lots.0.next(), lots.1.by_ref().take(LOT).collect::<Vec<_>>())
                    else {
                        return;
                    };
                    drop(lots);
                    // Nobody receives any more after an error.
                    if lot.is_empty() || send.send((number, lot.into_iter().map(work).collect())).is_err() {
                        return;
                    }
                }
            });
        }
        let (mut early, mut next) = (BTreeMap::new(), 0u64);
        for (number, lot) in receive {
            let _: Option<Vec<O>> = early.insert(number, lot);
            while let Some(lot) = early.remove(&next) {
                next += 1;
                lot.into_iter().try_for_each(&mut each)?;
            }
        }
        Ok(())
    })
}

/// What `work` makes of the items, in their order, by all processors.
fn in_parallel<I: Send, O: Send>(items: Vec<I>, work: impl Fn(I) -> O + Sync) -> Vec<O> {
    /// Fewer are not worth a thread.
    const FEW: usize = 64;
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    if threads == 1 || items.len() <= FEW {
        return items.into_iter().map(work).collect();
    }
    let share = items.len().div_ceil(threads);
    let mut items = items.into_iter();
    let shares: Vec<Vec<_>> = (0..threads).map(|_| items.by_ref().take(share).collect()).collect();
    thread::scope(|scope| {
        let work = &work;
        let run = |share: Vec<I>| scope.spawn(move || share.into_iter().map(work).collect::<Vec<_>>());
        let running: Vec<_> = shares.into_iter().map(run).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Vec<O>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().flat_map(join).collect()
    })
}

/// A change that is not durable yet.
#[must_use = "the change can be lost until it has been waited for"]
pub struct Begun<'a> {
    records: &'a Records,
    revision: u64,
}

impl Begun<'_> {
    /// Returns once the change is durable.
    ///
    /// # Errors
    /// As [`Records::commit`].
    pub fn wait(self) -> Result<()> {
        block_on(self.records.engine.settle(self.revision))
    }
}

/// The value of a short record of an engine that is not served yet.
///
/// # Errors
/// What the engine and the sealer say; [`Error::Undecodable`] when it is of another type.
pub(super) fn read_one<T: Decode<()>>(
    engine: &dyn Store,
    sealer: &Sealer,
    place: &RecordKey,
) -> Result<Option<T>> {
    let Some(record) = block_on(engine.get(place))? else { return Ok(None) };
    let (_, plaintext) = sealer.open_any(place, &record.bytes)?;
    let value =
        plaintext.strip_prefix(&[WHOLE]).ok_or_else(|| Error::Undecodable { place: place.clone() })?;
    decode(place, value).map(Some)
}

/// Whether records at `place` are sealed by envelope: material, and chunks of material.
pub(super) fn is_material(place: &RecordKey) -> bool {
    match place.tree {
        Tree::Material => true,
        Tree::Chunk => place.key.first() == Some(&(Tree::Material as u8)),
        _ => false,
    }
}

/// The place of chunk `index` after the head at `place`. The index has a fixed length, so no two heads
/// share a chunk's place.
fn chunk_place(place: &RecordKey, index: usize) -> RecordKey {
    // A value is bounded by memory; 2^32 chunks are 128 TiB.
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    RecordKey::new(Tree::Chunk, [place.to_bytes().as_slice(), &index.to_be_bytes()].concat())
}

/// Head and further chunks of a long value.
fn cut(value: &[u8]) -> Result<(Plaintext, Vec<Plaintext>)> {
    let mut id = [0; ID_BYTES];
    openssl::rand::rand_bytes(&mut id)?;
    let (first, rest) = value.split_at(PART_BYTES.min(value.len()));
    let chunks: Vec<_> = rest.chunks(PART_BYTES).map(|part| Zeroizing::new([&id, part].concat())).collect();
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let head = Zeroizing::new([&[HEAD], count.to_be_bytes().as_slice(), &id, first].concat());
    Ok((head, chunks))
}

/// Runs a future on this thread, which sleeps while the future waits.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
