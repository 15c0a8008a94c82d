//! Tokens: key rings as PKCS#11 sees them, with their objects and the index that finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use claviger_protocol::mechanism::MechanismRow;
use claviger_protocol::template::{Attribute, Value};
use claviger_protocol::{AttributeType, Bytes};

use crate::builtin;
use crate::error::Result;
use crate::generation;
use crate::kms::record::{KeyRing, Profile, Uid};
use crate::lock;
use crate::object::Object;

/// A token: one per key ring.
pub struct Token {
    /// Names its ring.
    pub uid: Uid,
    /// Its slot.
    pub slot: u64,
    ring: RwLock<Arc<KeyRing>>,
    objects: RwLock<ObjectIndex>,
    /// Rises with every change to the ring or its objects.
    generation: AtomicU64,
}

impl Token {
    /// The token of a ring, without objects.
    pub fn new(ring: KeyRing) -> Token {
        Token {
            uid: ring.uid,
            slot: ring.slot,
            ring: RwLock::new(Arc::new(ring)),
            objects: RwLock::default(),
            generation: AtomicU64::new(0),
        }
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

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        generation::changed();
    }
}

/// Attributes that applications look keys up by.
const INDEXED: [AttributeType; 3] = [AttributeType::ID, AttributeType::LABEL, AttributeType::UNIQUE_ID];

#[derive(Default)]
struct ObjectIndex {
    by_handle: BTreeMap<u64, Arc<Object>>,
    by_value: HashMap<(AttributeType, Bytes), BTreeSet<u64>>,
}

impl ObjectIndex {
    fn insert(&mut self, object: Arc<Object>) {
        for key in index_keys(&object) {
            self.by_value.entry(key).or_default().insert(object.handle);
        }
        self.by_handle.insert(object.handle, object);
    }

    fn remove(&mut self, handle: u64) {
        let Some(object) = self.by_handle.remove(&handle) else { return };
        for key in index_keys(&object) {
            if let Some(handles) = self.by_value.get_mut(&key) {
                handles.remove(&handle);
                if handles.is_empty() {
                    self.by_value.remove(&key);
                }
            }
        }
    }

    fn candidates(&self, template: &[Attribute]) -> Vec<Arc<Object>> {
        let narrowest = template
            .iter()
            .filter(|attribute| INDEXED.contains(&attribute.r#type))
            .map(|attribute| match &attribute.value {
                Value::Bytes(value) => self.by_value.get(&(attribute.r#type, value.clone())),
                _ => None,
            })
            .min_by_key(|handles| handles.map_or(0, BTreeSet::len));
        match narrowest {
            Some(None) => Vec::new(),
            Some(Some(handles)) => {
                handles.iter().filter_map(|handle| self.by_handle.get(handle)).cloned().collect()
            }
            None => self.by_handle.values().cloned().collect(),
        }
    }
}

fn index_keys(object: &Object) -> Vec<(AttributeType, Bytes)> {
    let attributes = object.attributes();
    INDEXED
        .iter()
        .filter_map(|r#type| match attributes.value(*r#type) {
            Some(Value::Bytes(value)) => Some((*r#type, value.clone())),
            _ => None,
        })
        .collect()
}
