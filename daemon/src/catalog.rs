//! All that the store holds, in memory but for the material: rings, keys, versions, jobs, objects.
//!
//! Readers take what they need without waiting for the disk. A change goes through one writer at a time: it
//! reads, commits to the store, and only then puts the new records here, so nobody ever sees what is not durable.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use crate::error::{Error, Result};
use crate::generation;
use crate::kms::algorithm::Purpose;
use crate::kms::record::{Counters, CryptoKey, ImportJob, RingName, Uid, Version};
use crate::kms::state::{VersionState, effective_state, expired_state};
use crate::kms::time::Time;
use crate::kms::usage::Usage;
use crate::lock;
use crate::map::Map;
use crate::token::Token;

/// The catalog.
#[derive(Default)]
pub struct Catalog {
    state: RwLock<State>,
    writer: Mutex<()>,
    /// Ids of keys that are on their way to the disk: taken, and shown to nobody yet.
    coming: Mutex<HashSet<(Uid, String)>>,
}

/// The id of a key that is on its way to the disk; free again when this is dropped.
pub struct Coming<'a> {
    catalog: &'a Catalog,
    id: (Uid, String),
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        lock::lock(&self.catalog.coming).remove(&self.id);
    }
}

#[derive(Default)]
struct State {
    counters: Counters,
    tokens: BTreeMap<u64, Arc<Token>>,
    rings: BTreeMap<RingName, Arc<Token>>,
    keys: Map<Uid, Arc<KeyCell>>,
    /// Keys by ring and id.
    key_ids: BTreeMap<Uid, BTreeMap<Arc<str>, Arc<KeyCell>>>,
    jobs: BTreeMap<(Uid, String), Arc<ImportJob>>,
    /// Versions that are scheduled for destruction, by uid; and their uids by name and by the handles of their objects.
    scheduled: HashMap<Uid, Scheduled>,
    scheduled_names: HashMap<String, Uid>,
    scheduled_handles: HashMap<u64, Uid>,
    /// Projects that are shut, in order.
    shut_projects: Vec<String>,
    /// Keys by project, location and alias.
    aliases: BTreeMap<(String, String, String), Arc<KeyCell>>,
}

struct Scheduled {
    cell: Arc<VersionCell>,
    /// Handles that its objects had.
    handles: Vec<u64>,
}

/// A key with its versions.
pub struct KeyCell {
    /// Names the key.
    pub uid: Uid,
    /// Full resource name.
    pub name: Arc<str>,
    record: RwLock<Arc<CryptoKey>>,
    /// By number: a list, since nearly all keys have few.
    versions: RwLock<Vec<Arc<VersionCell>>>,
}

/// A version, shared by the key service and the objects that show it.
pub struct VersionCell {
    /// Names the version and its material.
    pub uid: Uid,
    /// Key it belongs to.
    pub key: Uid,
    /// Ring its key is on.
    pub ring: Uid,
    /// From 1.
    pub number: u32,
    /// Full resource name of its key.
    key_name: Arc<str>,
    /// Its key was made by the key service, and not by a PKCS#11 application.
    pub made_by_key_service: bool,
    /// PKCS#11 mechanisms may use it in every ring. Keys of the key service that encrypt do so in its own format
    /// alone, unless their ring says otherwise.
    pub raw_use: bool,
    /// How it was used.
    pub usage: Usage,
    record: RwLock<Arc<Version>>,
}

impl KeyCell {
    /// A key without versions.
    pub fn new(ring: &RingName, record: CryptoKey) -> KeyCell {
        KeyCell {
            uid: record.uid,
            name: format!("{ring}/cryptoKeys/{}", record.id).into(),
            record: RwLock::new(Arc::new(record)),
            versions: RwLock::default(),
        }
    }

    /// The key as it is now.
    pub fn record(&self) -> Arc<CryptoKey> {
        lock::read(&self.record).clone()
    }

    /// Puts the changed key in place of the old one.
    pub fn replace(&self, record: CryptoKey) {
        *lock::write(&self.record) = Arc::new(record);
        generation::changed();
    }

    /// All versions, by number.
    pub fn versions(&self) -> Vec<Arc<VersionCell>> {
        lock::read(&self.versions).clone()
    }

    /// One version.
    pub fn version(&self, number: u32) -> Option<Arc<VersionCell>> {
        let versions = lock::read(&self.versions);
        let place = versions.binary_search_by_key(&number, |version| version.number).ok()?;
        Some(versions[place].clone())
    }

    /// Full resource name of a version.
    pub fn version_name(&self, number: u32) -> String {
        version_name(&self.name, number)
    }

    /// Adds a version.
    pub fn insert(&self, version: Version) -> Arc<VersionCell> {
        let key = self.record();
        let cell = Arc::new(VersionCell {
            uid: version.uid,
            key: version.key,
            ring: key.ring,
            number: version.number,
            key_name: self.name.clone(),
            made_by_key_service: !key.made_by_pkcs11,
            raw_use: key.made_by_pkcs11 || key.purpose != Purpose::EncryptDecrypt,
            usage: Usage::default(),
            record: RwLock::new(Arc::new(version)),
        });
        let mut versions = lock::write(&self.versions);
        match versions.binary_search_by_key(&cell.number, |version| version.number) {
            Ok(place) => versions[place] = cell.clone(),
            Err(place) => {
                if versions.is_empty() {
                    versions.reserve_exact(1);
                }
                versions.insert(place, cell.clone());
            }
        }
        drop(versions);
        cell
    }
}

fn version_name(key: &str, number: u32) -> String {
    format!("{key}/cryptoKeyVersions/{number}")
}

impl VersionCell {
    /// Full resource name. There may be very many versions, so it is made when somebody asks.
    pub fn name(&self) -> String {
        version_name(&self.key_name, self.number)
    }

    /// The version as it was last written.
    pub fn record(&self) -> Arc<Version> {
        lock::read(&self.record).clone()
    }

    /// Puts the changed version in place of the old one.
    pub fn replace(&self, record: Version) {
        *lock::write(&self.record) = Arc::new(record);
        generation::changed();
    }

    /// The state that holds at `now`.
    pub fn state(&self, now: Time) -> VersionState {
        let record = lock::read(&self.record);
        let state = effective_state(record.state, record.fate.destroy_time, now);
        expired_state(state, record.expire_material_time, now)
    }
}

impl Catalog {
    /// The right to change something. Held from reading what the change rests on until it is in place.
    pub fn write(&self) -> MutexGuard<'_, ()> {
        lock::lock(&self.writer)
    }

    /// Whether a ring has no key with this id, and none is on its way.
    pub fn is_free(&self, ring: &Uid, id: &str) -> bool {
        self.key_by_id(ring, id).is_none() && !lock::lock(&self.coming).contains(&(*ring, id.to_owned()))
    }

    /// Takes a free id for a key that is put into the catalog only once it is durable. The caller holds the writer
    /// lock here, and not while it waits for the disk.
    pub fn take_id(&self, ring: &Uid, id: &str) -> Coming<'_> {
        let id = (*ring, id.to_owned());
        lock::lock(&self.coming).insert(id.clone());
        Coming { catalog: self, id }
    }

    /// The counters as they are now.
    pub fn counters(&self) -> Counters {
        lock::read(&self.state).counters.clone()
    }

    /// Puts the changed counters in place.
    pub fn set_counters(&self, counters: Counters) {
        lock::write(&self.state).counters = counters;
        generation::changed();
    }

    /// All tokens, by slot.
    pub fn tokens(&self) -> Vec<Arc<Token>> {
        lock::read(&self.state).tokens.values().cloned().collect()
    }

    /// The token in a slot.
    pub fn token(&self, slot: u64) -> Option<Arc<Token>> {
        lock::read(&self.state).tokens.get(&slot).cloned()
    }

    /// The token of a ring, by uid.
    pub fn token_of(&self, ring: &Uid) -> Option<Arc<Token>> {
        lock::read(&self.state).tokens.values().find(|token| token.uid == *ring).cloned()
    }

    /// The token of a ring, by name.
    pub fn ring(&self, name: &RingName) -> Result<Arc<Token>> {
        let state = lock::read(&self.state);
        state.rings.get(name).cloned().ok_or_else(|| Error::NotFound { resource: name.to_string() })
    }

    /// Adds a ring.
    pub fn insert_ring(&self, token: Arc<Token>) {
        let mut state = lock::write(&self.state);
        state.rings.insert(token.ring().name.clone(), token.clone());
        state.tokens.insert(token.slot, token);
        drop(state);
        generation::changed();
    }

    /// All keys of a ring, by id.
    pub fn keys(&self, ring: &Uid) -> Vec<Arc<KeyCell>> {
        let state = lock::read(&self.state);
        state.key_ids.get(ring).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The first key of a ring, by id, of which `is_wanted` is true.
    pub fn find_key(&self, ring: &Uid, is_wanted: impl Fn(&Arc<KeyCell>) -> bool) -> Option<Arc<KeyCell>> {
        let mut after = String::new();
        loop {
            // What is asked may need the catalog too, so nothing is locked meanwhile.
            let some = self.keys_after(ring, &after, 64);
            if let Some(found) = some.iter().find(|key| is_wanted(key)) {
                return Some(found.clone());
            }
            after = some.last()?.record().id.to_string();
        }
    }

    /// How many keys there are in all rings.
    pub fn key_count(&self) -> usize {
        lock::read(&self.state).keys.len()
    }

    /// A key by uid.
    pub fn key(&self, uid: &Uid) -> Option<Arc<KeyCell>> {
        lock::read(&self.state).keys.get(uid).cloned()
    }

    /// A key of a ring, by id.
    pub fn key_by_id(&self, ring: &Uid, id: &str) -> Option<Arc<KeyCell>> {
        lock::read(&self.state).key_ids.get(ring)?.get(id).cloned()
    }

    /// Adds a key.
    pub fn insert_key(&self, key: Arc<KeyCell>) {
        let record = key.record();
        let mut state = lock::write(&self.state);
        state.key_ids.entry(record.ring).or_default().insert(record.id.clone(), key.clone());
        state.keys.insert(key.uid, key);
    }

    /// All import jobs of a ring, by id.
    pub fn jobs(&self, ring: &Uid) -> Vec<Arc<ImportJob>> {
        let state = lock::read(&self.state);
        let from = (*ring, String::new());
        state.jobs.range(from..).take_while(|((r, _), _)| r == ring).map(|(_, job)| job.clone()).collect()
    }

    /// An import job of a ring, by id.
    pub fn job(&self, ring: &Uid, id: &str) -> Option<Arc<ImportJob>> {
        lock::read(&self.state).jobs.get(&(*ring, id.to_owned())).cloned()
    }

    /// The import job that belongs to one key alone, by uid.
    pub fn job_of_key(&self, ring: &Uid, key: &Uid, job: &Uid) -> Option<Arc<ImportJob>> {
        self.jobs(ring).into_iter().find(|found| found.only_key == Some(*key) && found.uid == *job)
    }

    /// Takes an import job out.
    pub fn remove_job(&self, job: &ImportJob) {
        lock::write(&self.state).jobs.remove(&(job.ring, job.id.clone()));
    }

    /// Adds an import job, or puts its changed record in place.
    pub fn put_job(&self, job: ImportJob) {
        lock::write(&self.state).jobs.insert((job.ring, job.id.clone()), Arc::new(job));
    }

    /// Up to `limit` keys of a ring, by id, behind this id.
    pub fn keys_after(&self, ring: &Uid, after: &str, limit: usize) -> Vec<Arc<KeyCell>> {
        let state = lock::read(&self.state);
        let Some(keys) = state.key_ids.get(ring) else { return Vec::new() };
        let range = keys.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        range.take(limit).map(|(_, key)| key.clone()).collect()
    }

    /// All versions whose destruction has a time: those that are scheduled, and those with material that expires.
    pub fn scheduled(&self) -> Vec<Arc<VersionCell>> {
        lock::read(&self.state).scheduled.values().map(|scheduled| scheduled.cell.clone()).collect()
    }

    /// The version with this name, if it is scheduled for destruction.
    pub fn scheduled_by_name(&self, name: &str) -> Option<Arc<VersionCell>> {
        let state = lock::read(&self.state);
        state.scheduled.get(state.scheduled_names.get(name)?).map(|scheduled| scheduled.cell.clone())
    }

    /// The version that an object of this handle showed, if it is scheduled for destruction.
    pub fn scheduled_by_handle(&self, handle: u64) -> Option<Arc<VersionCell>> {
        let state = lock::read(&self.state);
        state.scheduled.get(state.scheduled_handles.get(&handle)?).map(|scheduled| scheduled.cell.clone())
    }

    /// Notes that a version is scheduled for destruction.
    pub fn schedule(&self, cell: &Arc<VersionCell>) {
        let mut state = lock::write(&self.state);
        state.scheduled_names.insert(cell.name(), cell.uid);
        let handles: Vec<u64> = cell.record().objects.iter().map(|object| object.handle).collect();
        for handle in &handles {
            state.scheduled_handles.insert(*handle, cell.uid);
        }
        state.scheduled.insert(cell.uid, Scheduled { cell: cell.clone(), handles });
    }

    /// Notes that a version is no longer scheduled for destruction.
    pub fn unschedule(&self, cell: &VersionCell) {
        let mut state = lock::write(&self.state);
        state.scheduled_names.remove(&cell.name());
        for handle in state.scheduled.remove(&cell.uid).map(|scheduled| scheduled.handles).unwrap_or_default()
        {
            state.scheduled_handles.remove(&handle);
        }
    }

    /// The projects that are shut.
    pub fn shut_projects(&self) -> Vec<String> {
        lock::read(&self.state).shut_projects.clone()
    }

    /// Puts the changed list of projects that are shut in place.
    pub fn set_shut_projects(&self, ids: Vec<String>) {
        lock::write(&self.state).shut_projects = ids;
    }

    /// The key with an alias in a location.
    pub fn key_by_alias(&self, project: &str, location: &str, alias: &str) -> Option<Arc<KeyCell>> {
        let place = (project.to_owned(), location.to_owned(), alias.to_owned());
        lock::read(&self.state).aliases.get(&place).cloned()
    }

    /// Points an alias to a key, or to none.
    pub fn set_alias(&self, project: &str, location: &str, alias: &str, key: Option<Arc<KeyCell>>) {
        let place = (project.to_owned(), location.to_owned(), alias.to_owned());
        let mut state = lock::write(&self.state);
        match key {
            Some(key) => state.aliases.insert(place, key),
            None => state.aliases.remove(&place),
        };
    }

    /// All aliases of a location with their keys, by alias.
    pub fn aliases(&self, project: &str, location: &str) -> Vec<(String, Arc<KeyCell>)> {
        let state = lock::read(&self.state);
        let from = (project.to_owned(), location.to_owned(), String::new());
        let here = state.aliases.range(from..).take_while(|((p, l, _), _)| p == project && l == location);
        here.map(|((_, _, alias), key)| (alias.clone(), key.clone())).collect()
    }
}
