//! Token objects: keys that PKCS#11 applications make become key + version 1; certificates, data and lone public
//! keys are kept as they are.

use std::sync::Arc;

use claviger_protocol::AttributeType;
use claviger_protocol::object::ObjectClass;

use super::algorithm::{Algorithm, ProtectionLevel};
use super::load::COUNTERS;
use super::record::{CryptoKey, Fate, P11Destroy, PlainObject, StoredObject, Version};
use super::rings::new_uid;
use super::state::{Transition, VersionState};
use super::time::Time;
use crate::attributes::Attributes;
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::key::Key;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::handle;
use crate::object::{HexUid, Home, Object};
use crate::seldom::Seldom;
use crate::store::{Change, Tree};
use crate::token::Token;

/// Longest key id, in characters.
const MAX_ID_CHARS: usize = 63;

/// A key that a PKCS#11 application brings or has made.
pub struct Pkcs11Key<'a> {
    /// Attributes of its objects, completed: a secret key, or the private key and then the public key of a pair.
    pub objects: Vec<Attributes>,
    /// The private or secret key.
    pub key: &'a Key,
    /// Generated here, and not brought by the application.
    pub generated: bool,
}

/// The objects that show a version, which are none of what is not there to be used.
///
/// # Errors
/// `TemplateIncomplete` for an object without a class.
pub(super) fn version_objects(cell: &Arc<VersionCell>) -> Result<Vec<Arc<Object>>> {
    let record = cell.record();
    if !matches!(record.state, VersionState::Enabled | VersionState::Disabled) {
        return Ok(Vec::new());
    }
    let shown = record.objects.iter().filter(|object| !object.hidden);
    let object = |stored: &StoredObject| {
        Object::new(stored.handle, Home::Version(cell.clone()), stored.attributes.clone(), None).map(Arc::new)
    };
    shown.map(object).collect()
}

impl Daemon {
    /// Makes a key with version 1 from objects with `CKA_TOKEN` true. Gives the objects in the order they came.
    ///
    /// # Errors
    /// What the store says.
    pub fn create_pkcs11_key(&self, token: &Token, new: Pkcs11Key<'_>) -> Result<Vec<Arc<Object>>> {
        let leader = new.objects.first().ok_or(Error::TemplateIncomplete)?;
        let (purpose, algorithm) = Algorithm::for_pkcs11(leader);
        let material = new.key.to_material()?;
        let now = Time::now();
        let (key_uid, version_uid) = (new_uid()?, new_uid()?);

        let writer = self.catalog.write();
        let id = self.free_key_id(token, leader.bytes(AttributeType::LABEL))?;
        let key = CryptoKey {
            uid: key_uid,
            ring: token.uid,
            id: id.into(),
            purpose,
            protection_level: ProtectionLevel::Software,
            algorithm,
            primary: None,
            next_version: 2,
            create_time: now,
            notes: Seldom::default(),
            import_only: false,
            destroy_scheduled_millis: self.settings.default_destroy_scheduled_duration,
            made_by_pkcs11: true,
            care: Seldom::default(),
            etag: 1,
            managed_by: String::new(),
        };
        let mut change = Change::new();
        let handles = self.allot_handles(&mut change, new.objects.len())?;
        let mut objects = Vec::new();
        for (i, (mut attributes, handle)) in new.objects.into_iter().zip(&handles).enumerate() {
            let uid = if i == 0 { version_uid } else { new_uid()? };
            attributes.set(AttributeType::UNIQUE_ID, HexUid::from(&uid).into());
            let class = attributes.class().ok_or(Error::TemplateIncomplete)?;
            let attributes = attributes.compact();
            objects.push(StoredObject { handle: *handle, class, attributes, hidden: false });
        }
        let cell = Arc::new(KeyCell::new(&token.ring().name, key.clone()));
        let material_digest = match new.generated {
            true => None,
            false => Some(self.material_digest(&mut change, &cell.version_name(1), algorithm, new.key)?),
        };
        let version = Version {
            uid: version_uid,
            key: key_uid,
            number: 1,
            state: VersionState::Enabled,
            algorithm,
            create_time: now,
            generate_time: new.generated.then_some(now),
            fate: Fate { import_time: (!new.generated).then_some(now), material_digest, ..Fate::default() }
                .into(),
            expire_material_time: None,
            objects,
            etag: 1,
        };
        change.put(Tree::CryptoKey, key.uid, &key)?;
        change.put(Tree::Version, version.uid, &version)?;
        change.put_material(version.uid, &material);
        let coming = self.catalog.take_id(&token.uid, &key.id);
        let begun = self.records.begin(change)?;
        // Whoever creates keys at the same time shares the sync.
        drop(writer);
        begun.wait()?;

        let version = cell.insert(version);
        self.catalog.insert_key(cell);
        drop(coming);
        self.show_version(token, &version)?;
        Ok(handles.into_iter().filter_map(|handle| token.object(handle)).collect())
    }

    /// Keeps a token object that holds no private or secret key.
    ///
    /// # Errors
    /// What the store says.
    pub fn create_plain_object(&self, token: &Token, mut attributes: Attributes) -> Result<Arc<Object>> {
        attributes.set(AttributeType::UNIQUE_ID, HexUid::from(&new_uid()?).into());
        let class = attributes.class().ok_or(Error::TemplateIncomplete)?;

        let _writer = self.catalog.write();
        let mut change = Change::new();
        let handle = self.allot_handles(&mut change, 1)?[0];
        let object = StoredObject { handle, class, attributes: attributes.compact(), hidden: false };
        let record = PlainObject { ring: token.uid, object };
        change.put(Tree::Object, handle.to_be_bytes(), &record)?;
        self.records.commit(change)?;
        self.show_plain_object(token, record.object)?;
        token.object(handle).ok_or(Error::ObjectHandleInvalid)
    }

    /// Changes the attributes of a token object. `change_attributes` sees them as they are when its turn comes, so that of
    /// two changes at the same time none is lost.
    ///
    /// # Errors
    /// What `change_attributes` gives and what the store says; `ObjectHandleInvalid` when the object has gone meanwhile.
    pub fn set_token_attributes(
        &self,
        token: &Token,
        object: &Arc<Object>,
        change_attributes: impl FnOnce(&Attributes) -> Result<Attributes>,
    ) -> Result<()> {
        let _writer = self.catalog.write();
        if token.object(object.handle).is_none() {
            return Err(Error::ObjectHandleInvalid);
        }
        let attributes = change_attributes(&object.attributes())?.compact();
        let mut change = Change::new();
        let stored = StoredObject {
            handle: object.handle,
            class: object.class,
            attributes: attributes.clone(),
            hidden: false,
        };
        match &object.home {
            Home::Session { .. } | Home::Builtin => return Err(Error::ObjectHandleInvalid),
            Home::Token { ring } => {
                let record = PlainObject { ring: *ring, object: stored };
                change.put(Tree::Object, object.handle.to_be_bytes(), &record)?;
                self.records.commit(change)?;
            }
            Home::Version(cell) => {
                let mut version = Version::clone(&cell.record());
                let place = version.objects.iter_mut().find(|o| o.handle == object.handle);
                *place.ok_or(Error::ObjectHandleInvalid)? = stored;
                version.etag += 1;
                change.put(Tree::Version, version.uid, &version)?;
                self.records.commit(change)?;
                cell.replace(version);
            }
        }
        token.reindex(object, || object.replace_attributes(attributes));
        Ok(())
    }

    /// `C_DestroyObject` on a token object. A key's version goes the way its ring says, and the public half of a pair
    /// stays; the public half itself is only hidden.
    ///
    /// # Errors
    /// `ActionProhibited` when the ring denies it, else what the store says.
    pub fn destroy_token_object(&self, token: &Token, object: &Arc<Object>) -> Result<()> {
        match &object.home {
            Home::Session { .. } | Home::Builtin => Err(Error::ObjectHandleInvalid),
            Home::Token { .. } => {
                let _writer = self.catalog.write();
                let mut change = Change::new();
                change.remove(Tree::Object, object.handle.to_be_bytes());
                self.records.commit(change)?;
                token.remove(object.handle);
                Ok(())
            }
            Home::Version(cell) if object.class == ObjectClass::PUBLIC_KEY => {
                self.hide_object(token, cell, object)
            }
            Home::Version(cell) => {
                let policy = token.ring().p11_destroy;
                if policy == P11Destroy::Deny {
                    return Err(Error::ActionProhibited);
                }
                let key = self.catalog.key(&cell.key);
                let service =
                    key.map(|key| key.record().managed_by.clone()).filter(|service| !service.is_empty());
                if let Some(service) = service {
                    return Err(Error::Managed { resource: cell.name(), service });
                }
                self.check_may_destroy(cell, Time::now())?;
                self.detach_public(token, cell)?;
                match policy {
                    P11Destroy::Schedule => self.transition(cell, Transition::Destroy, Time::now()),
                    _ => self.destroy_now(cell, Time::now()),
                }
            }
        }
    }

    /// Makes the public half of a pair an object of its own, with the same handle: an application that destroys the
    /// private half has not asked for the other one to go (PKCS#11 3.2, 5.7.3), and destroys it next.
    fn detach_public(&self, token: &Token, cell: &Arc<VersionCell>) -> Result<()> {
        let _writer = self.catalog.write();
        let mut version = Version::clone(&cell.record());
        let is_public =
            |stored: &&mut StoredObject| stored.class == ObjectClass::PUBLIC_KEY && !stored.hidden;
        let Some(stored) = version.objects.iter_mut().find(is_public) else { return Ok(()) };
        let record = PlainObject { ring: token.uid, object: stored.clone() };
        stored.hidden = true;
        version.etag += 1;
        let mut change = Change::new();
        change.put(Tree::Version, version.uid, &version)?;
        change.put(Tree::Object, record.object.handle.to_be_bytes(), &record)?;
        self.records.commit(change)?;
        cell.replace(version);
        token.remove(record.object.handle);
        self.show_plain_object(token, record.object)
    }

    /// Takes back what [`Daemon::detach_public`] made of a version that is restored, before it gets new handles. The
    /// caller holds the writer lock, commits the change, and then removes the handles that it is given from the index.
    pub(super) fn reclaim_public(&self, token: &Token, change: &mut Change, version: &Version) -> Vec<u64> {
        let detached = |stored: &&StoredObject| {
            let object = token.object(stored.handle);
            stored.hidden && object.is_some_and(|object| matches!(object.home, Home::Token { .. }))
        };
        let handles: Vec<_> = version.objects.iter().filter(detached).map(|stored| stored.handle).collect();
        for handle in &handles {
            change.remove(Tree::Object, handle.to_be_bytes());
        }
        handles
    }

    /// Makes the objects that show a version, and puts them in the token's index. Hidden ones stay away, and so
    /// do all of a version that has no material.
    pub(crate) fn show_version(&self, token: &Token, cell: &Arc<VersionCell>) -> Result<()> {
        version_objects(cell)?.into_iter().for_each(|object| token.insert(object));
        Ok(())
    }

    /// Takes the objects that show a version out of the token's index.
    pub(crate) fn hide_version(&self, token: &Token, cell: &VersionCell) {
        for stored in cell.record().objects.iter().filter(|object| !object.hidden) {
            token.remove(stored.handle);
        }
    }

    /// Puts a certificate, data object or lone public key in the token's index.
    pub(super) fn show_plain_object(&self, token: &Token, stored: StoredObject) -> Result<()> {
        let home = Home::Token { ring: token.uid };
        token.insert(Arc::new(Object::new(stored.handle, home, stored.attributes, None)?));
        Ok(())
    }

    /// Allots handles for `count` token objects, for good even if the change is never committed. The caller
    /// holds the catalog's writer lock.
    pub(crate) fn allot_handles(&self, change: &mut Change, count: usize) -> Result<Vec<u64>> {
        let mut counters = self.catalog.counters();
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            counters.last_handle = handle::after(counters.last_handle);
            handles.push(counters.last_handle);
        }
        change.put(Tree::Meta, COUNTERS, &counters)?;
        self.catalog.set_counters(counters);
        Ok(handles)
    }

    fn hide_object(&self, token: &Token, cell: &Arc<VersionCell>, object: &Object) -> Result<()> {
        let _writer = self.catalog.write();
        let mut version = Version::clone(&cell.record());
        for stored in version.objects.iter_mut().filter(|stored| stored.handle == object.handle) {
            stored.hidden = true;
        }
        version.etag += 1;
        let mut change = Change::new();
        change.put(Tree::Version, version.uid, &version)?;
        self.records.commit(change)?;
        cell.replace(version);
        token.remove(object.handle);
        Ok(())
    }

    /// A key id from a label: itself where it can be an id and is free, else with random digits behind it.
    fn free_key_id(&self, token: &Token, label: &[u8]) -> Result<String> {
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
        let label: String = String::from_utf8_lossy(label).chars().map(legal).take(MAX_ID_CHARS).collect();
        let free = |id: &str| self.catalog.is_free(&token.uid, id);
        let reserved = label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("kms-"));
        if !label.is_empty() && !reserved && free(&label) {
            return Ok(label);
        }
        loop {
            let digits = HexUid::from(&new_uid()?).0;
            let id = match label.is_empty() || reserved {
                true => format!("p11-{}", &digits[..16]),
                false => {
                    format!("{}-{}", label.chars().take(MAX_ID_CHARS - 9).collect::<String>(), &digits[..8])
                }
            };
            if free(&id) {
                return Ok(id);
            }
        }
    }
}
