//! Tokens: key rings as PKCS#11 sees them, with their objects and the index that finds them.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use claviger_protocol::mechanism::{self, MechanismRow};
use claviger_protocol::template::{Attribute, Value};
use claviger_protocol::{AttributeType, KeyType};

use crate::builtin;
use crate::crypto::key::Key;
use crate::error::{Error, Result};
use crate::generation;
use crate::kms::record::{KeyRing, Profile, Uid};
use crate::lock;
use crate::map::Map;
use crate::object::Object;

/// A token: one per key ring.
pub struct Token {
    /// Names its ring.
    pub uid: Uid,
    /// Its slot.
    pub slot: u64,
    /// Its project is shut: applications see a slot without a token.
    shut: AtomicBool,
    ring: RwLock<Arc<KeyRing>>,
    objects: RwLock<ObjectIndex>,
    /// Rises with every change to the ring or its objects.
    generation: AtomicU64,
    /// When the last wrong PIN was given: the security officer's, the user's.
    pub wrong_pins: [Mutex<Option<Instant>>; 2],
}

impl Token {
    /// The token of a ring, without objects.
    pub fn new(ring: KeyRing) -> Token {
        Token {
            uid: ring.uid,
            slot: ring.slot,
            shut: AtomicBool::new(false),
            ring: RwLock::new(Arc::new(ring)),
            objects: RwLock::default(),
            generation: AtomicU64::new(0),
            wrong_pins: Default::default(),
        }
    }

    /// Notes that its project is shut, or open again.
    pub fn set_shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Release);
        self.changed();
    }

    /// True while its project is shut.
    pub fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// The ring as it is now.
    pub fn ring(&self) -> Arc<KeyRing> {
        lock::read(&self.ring).clone()
    }

    /// The ring's profile.
    pub fn profile(&self) -> Profile {
        lock::read(&self.ring).profile
    }

    /// Puts the changed ring in place of the old one.
    pub fn replace_ring(&self, ring: KeyRing) {
        *lock::write(&self.ring) = Arc::new(ring);
        self.changed();
    }

    /// The token object with this handle.
    pub fn object(&self, handle: u64) -> Option<Arc<Object>> {
        lock::read(&self.objects).by_handle.get(&handle).cloned()
    }

    /// The objects that the token has of itself.
    pub fn builtin(&self) -> Result<Vec<Arc<Object>>> {
        builtin::objects(|row| self.offers(row))
    }

    /// True when the token's profile has the mechanism.
    pub fn offers(&self, row: &MechanismRow) -> bool {
        self.functions(row) != 0
    }

    /// Whether the token's profile has keys of this type and size.
    ///
    /// # Errors
    /// `KeySizeRange`; `CurveNotSupported` for a key on a curve.
    pub fn check_size(&self, key_type: KeyType, key: &Key) -> Result<()> {
        let secret = matches!(key, Key::Secret(_));
        if secret || key.size_bits() >= mechanism::least_bits(key_type, self.profile().bit()) {
            return Ok(());
        }
        Err(if key_type == KeyType::EC { Error::CurveNotSupported } else { Error::KeySizeRange })
    }

    /// The functions that accept the mechanism in the token's profile, as `CKF_*`; none when it has not.
    pub fn functions(&self, row: &MechanismRow) -> u64 {
        let profile = self.profile().bit();
        if row.profiles.contains(profile) { row.flags_in(profile) } else { 0 }
    }

    /// Objects that may match a template, by the narrowest index that the template names; in handle order.
    pub fn candidates(&self, template: &[Attribute]) -> Vec<Arc<Object>> {
        lock::read(&self.objects).candidates(template)
    }

    /// Adds an object.
    pub fn insert(&self, object: Arc<Object>) {
        lock::write(&self.objects).insert(object);
        self.changed();
    }

    /// Removes an object.
    pub fn remove(&self, handle: u64) {
        lock::write(&self.objects).remove(handle);
        self.changed();
    }

    /// Runs `change` on an object and brings the index up to date with its attributes.
    pub fn reindex(&self, object: &Arc<Object>, change: impl FnOnce()) {
        let mut objects = lock::write(&self.objects);
        objects.remove(object.handle);
        change();
        objects.insert(object.clone());
        drop(objects);
        self.changed();
    }

    /// How often the token has changed since the daemon started.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// How many token objects there are.
    pub fn object_count(&self) -> usize {
        lock::read(&self.objects).by_handle.len()
    }

    /// Counts a change that is not in the ring or its objects: of who may see them.
    pub fn touch(&self) {
        self.changed();
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        generation::changed();
    }
}

/// Attributes that applications look objects up by.
const INDEXED: [AttributeType; 5] = [
    AttributeType::ID,
    AttributeType::LABEL,
    AttributeType::UNIQUE_ID,
    AttributeType::CLASS,
    AttributeType::KEY_TYPE,
];

/// Objects by handle, and their handles by the hash of an attribute that they have. Two values may have one hash: the
/// index gives candidates, and [`Object::matches`] decides.
#[derive(Default)]
struct ObjectIndex {
    by_handle: BTreeMap<u64, Arc<Object>>,
    /// The object of a value that one has, and the objects of a value that several have. Nearly all values are of the
    /// first kind, and a token may have hundreds of thousands.
    with_value: Map<u64, u64>,
    with_common_value: Map<u64, BTreeSet<u64>>,
    /// Keyed at random, so that nobody can make values that meet.
    hasher: RandomState,
}

impl ObjectIndex {
    fn insert(&mut self, object: Arc<Object>) {
        for key in self.keys(&object) {
            if let Some(handles) = self.with_common_value.get_mut(&key) {
                handles.insert(object.handle);
            } else if let Some(other) = self.with_value.insert(key, object.handle)
                && other != object.handle
            {
                self.with_value.remove(&key);
                self.with_common_value.insert(key, BTreeSet::from([other, object.handle]));
            }
        }
        self.by_handle.insert(object.handle, object);
    }

    fn remove(&mut self, handle: u64) {
        let Some(object) = self.by_handle.remove(&handle) else { return };
        for key in self.keys(&object) {
            if let Entry::Occupied(mut handles) = self.with_common_value.entry(key) {
                handles.get_mut().remove(&handle);
                if handles.get().is_empty() {
                    handles.remove();
                }
            } else if self.with_value.get(&key) == Some(&handle) {
                self.with_value.remove(&key);
            }
        }
    }

    fn candidates(&self, template: &[Attribute]) -> Vec<Arc<Object>> {
        let narrowest = template
            .iter()
            .filter(|attribute| INDEXED.contains(&attribute.r#type))
            .map(|attribute| self.handles(self.key(attribute.r#type, &attribute.value)))
            .min_by_key(Handles::count);
        let object = |handle: &u64| self.by_handle.get(handle).cloned();
        match narrowest {
            Some(Handles::None) => Vec::new(),
            Some(Handles::One(handle)) => object(&handle).into_iter().collect(),
            Some(Handles::Many(handles)) => handles.iter().filter_map(object).collect(),
            None => self.by_handle.values().cloned().collect(),
        }
    }

    fn handles(&self, key: u64) -> Handles<'_> {
        match (self.with_value.get(&key), self.with_common_value.get(&key)) {
            (Some(handle), _) => Handles::One(*handle),
            (None, Some(handles)) => Handles::Many(handles),
            (None, None) => Handles::None,
        }
    }

    fn keys(&self, object: &Object) -> Vec<u64> {
        let attributes = object.attributes();
        let key = |r#type: &AttributeType| Some(self.key(*r#type, attributes.value(*r#type)?));
        INDEXED.iter().filter_map(key).collect()
    }

    fn key(&self, r#type: AttributeType, value: &Value) -> u64 {
        self.hasher.hash_one((r#type, value))
    }
}

/// Objects that have a value, in rising order of their handles.
enum Handles<'a> {
    None,
    One(u64),
    Many(&'a BTreeSet<u64>),
}

impl Handles<'_> {
    fn count(&self) -> usize {
        match self {
            Handles::None => 0,
            Handles::One(_) => 1,
            Handles::Many(handles) => handles.len(),
        }
    }
}
