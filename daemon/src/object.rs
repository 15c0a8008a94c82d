//! Objects: what a handle stands for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

use claviger_protocol::attribute;
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::template::{Attribute, AttributeReply, Value};
use claviger_protocol::{AttributeType, Bytes};

use crate::attributes::Attributes;
use crate::builtin;
use crate::catalog::VersionCell;
use crate::crypto::key::Key;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::record::Uid;
use crate::kms::state::VersionState;
use crate::kms::time::Time;
use crate::live_keys::{LIVE_KEYS, LiveKey};
use crate::lock;
use crate::store::Records;
use crate::token::Token;

/// An object of a token or a session.
pub struct Object {
    /// `CK_OBJECT_HANDLE`. Token objects keep it for ever.
    pub handle: u64,
    /// `CKA_CLASS`.
    pub class: ObjectClass,
    /// `CKA_KEY_TYPE`, for keys and domain parameters.
    pub key_type: Option<KeyType>,
    /// Where it lives.
    pub home: Home,
    /// What its attributes took when it was made, in bytes.
    pub size_when_made: u64,
    attributes: RwLock<Arc<Attributes>>,
    /// Encryptions with a key that has no version to count them, and with its copies.
    encryptions: OnceLock<Arc<AtomicU64>>,
    /// The live key, once it was used.
    key: OnceLock<Arc<LiveKey>>,
}

/// Where an object lives, and so when it dies.
pub enum Home {
    /// In a session of an application; gone when the session closes.
    Session {
        /// The session.
        session: u64,
        /// The token the session is open on.
        slot: u64,
        /// The version it is a copy of: it is as usable as that is.
        origin: Option<Arc<VersionCell>>,
    },
    /// A view of a key version.
    Version(Arc<VersionCell>),
    /// In every token, made by nobody.
    Builtin,
    /// A token object of its own: certificate, data, lone public key.
    Token {
        /// Ring it is on.
        ring: Uid,
    },
}

impl Object {
    /// An object; session objects bring their live key.
    pub fn new(handle: u64, home: Home, attributes: Attributes, key: Option<Arc<Key>>) -> Result<Object> {
        let class = attributes.class().ok_or(Error::TemplateIncomplete)?;
        let cell = OnceLock::new();
        if let Some(key) = key {
            let _ = cell.set(Arc::new(LiveKey::lasting(key)));
        }
        Ok(Object {
            handle,
            class,
            key_type: attributes.key_type(),
            home,
            size_when_made: attributes.size(),
            attributes: RwLock::new(Arc::new(attributes)),
            encryptions: OnceLock::new(),
            key: cell,
        })
    }

    /// Its attributes as they are now.
    pub fn attributes(&self) -> Arc<Attributes> {
        lock::read(&self.attributes).clone()
    }

    /// Changes the attributes of a session object; of two changes at the same time none is lost.
    ///
    /// # Errors
    /// What `change` gives.
    pub fn change_attributes(&self, change: impl FnOnce(&Attributes) -> Result<Attributes>) -> Result<()> {
        let mut attributes = lock::write(&self.attributes);
        let changed = change(&attributes)?;
        *attributes = Arc::new(changed);
        Ok(())
    }

    /// Puts changed attributes in place of the old ones.
    pub fn replace_attributes(&self, attributes: Attributes) {
        *lock::write(&self.attributes) = Arc::new(attributes);
    }

    /// True for token objects.
    pub fn is_token(&self) -> bool {
        !matches!(self.home, Home::Session { .. })
    }

    /// The version that decides whether it may be used.
    pub fn origin(&self) -> Option<&Arc<VersionCell>> {
        match &self.home {
            Home::Version(cell) | Home::Session { origin: Some(cell), .. } => Some(cell),
            _ => None,
        }
    }

    /// True for views of a key version.
    pub fn is_view(&self) -> bool {
        matches!(self.home, Home::Version(_))
    }

    /// True for views of a key that the key service made.
    pub fn made_by_key_service(&self) -> bool {
        matches!(&self.home, Home::Version(cell) if cell.made_by_key_service)
    }

    /// Judges a use by an application against the rules of its ring. `by_service`: with the key service's own encryption.
    ///
    /// # Errors
    /// `KeyFunctionNotPermitted` for keys that only the key service's own verbs may use, and outside of the dates of a
    /// key where they count.
    pub fn check_rules(&self, token: &Token, by_service: bool, now: Time) -> Result<()> {
        let rules = token.ring().rules;
        let is_held_back = !by_service && matches!(&self.home, Home::Version(cell) if !cell.raw_use);
        if is_held_back && !rules.p11_raw_use_of_kms_keys {
            return Err(Error::KeyFunctionNotPermitted);
        }
        if rules.enforce_dates {
            let (attributes, today) = (self.attributes(), now.date());
            let date = |r#type| Some(attributes.bytes(r#type)).filter(|date| !date.is_empty());
            let is_early = date(AttributeType::START_DATE).is_some_and(|start| today[..] < *start);
            let is_late = date(AttributeType::END_DATE).is_some_and(|end| today[..] > *end);
            if is_early || is_late {
                return Err(Error::KeyFunctionNotPermitted);
            }
        }
        Ok(())
    }

    fn own_encryptions(&self) -> &Arc<AtomicU64> {
        self.encryptions.get_or_init(Arc::default)
    }

    /// Encryptions with the key, this one included; those of a version count already.
    pub fn count_encryption(&self) -> u64 {
        match self.origin() {
            Some(cell) => cell.usage.encryptions(),
            None => self.own_encryptions().fetch_add(1, Ordering::AcqRel) + 1,
        }
    }

    /// Counts encryptions together with the object that it is a copy of.
    pub fn count_with(&mut self, original: &Object) {
        self.encryptions = original.own_encryptions().clone().into();
    }

    /// Encryptions with the key so far, and with what is that key too.
    pub fn encryptions(&self) -> u64 {
        self.origin()
            .map_or_else(|| self.own_encryptions().load(Ordering::Acquire), |cell| cell.usage.encryptions())
    }

    /// Counts encryptions that it never makes.
    pub fn spend_encryptions(&self, daemon: &Daemon, count: u64) {
        match self.origin() {
            Some(cell) => daemon.spend_encryptions(cell, count),
            None => drop(self.own_encryptions().fetch_add(count, Ordering::AcqRel)),
        }
    }

    /// `CKA_PRIVATE`.
    pub fn is_private(&self) -> bool {
        self.attributes().is_true(AttributeType::PRIVATE)
    }

    /// True for the classes that hold a key.
    pub fn is_key(&self) -> bool {
        matches!(self.class, ObjectClass::PUBLIC_KEY | ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY)
    }

    /// The state of the version it shows; session objects and plain token objects are always enabled.
    pub fn state(&self, now: Time) -> VersionState {
        match &self.home {
            Home::Version(cell) | Home::Session { origin: Some(cell), .. } => cell.state(now),
            Home::Session { origin: None, .. } | Home::Builtin | Home::Token { .. } => VersionState::Enabled,
        }
    }

    /// True while handles of it are good: its version is enabled or disabled.
    pub fn is_visible(&self, now: Time) -> bool {
        matches!(self.state(now), VersionState::Enabled | VersionState::Disabled)
    }

    /// Admits a use of the key at `now`.
    ///
    /// # Errors
    /// `KeyHandleInvalid` when its version is no longer there, `VersionScheduled` when it soon will not be,
    /// `VersionNotEnabled` when it is disabled.
    pub fn admit(&self, now: Time) -> Result<()> {
        match (self.state(now), &self.home) {
            (VersionState::Enabled, _) => Ok(()),
            (VersionState::Disabled, Home::Version(cell) | Home::Session { origin: Some(cell), .. }) => {
                Err(Error::VersionNotEnabled { version: cell.name(), state: VersionState::Disabled.name() })
            }
            (
                VersionState::DestroyScheduled,
                Home::Version(cell) | Home::Session { origin: Some(cell), .. },
            ) => Err(Error::VersionScheduled { version: cell.name() }),
            _ => Err(Error::KeyHandleInvalid),
        }
    }

    /// The live key. The first use of a token key, and the first after others took its place, reads its material from
    /// the store.
    ///
    /// # Errors
    /// What the store says; `KeyHandleInvalid` for objects that hold no key.
    pub fn key(&self, records: &Records) -> Result<Arc<Key>> {
        LIVE_KEYS.get(self.key.get_or_init(Arc::default), || self.load_key(records))
    }

    fn load_key(&self, records: &Records) -> Result<Key> {
        let key_type = self.key_type.ok_or(Error::KeyHandleInvalid)?;
        if self.class == ObjectClass::PUBLIC_KEY {
            let attributes = self.attributes();
            let info = attributes.bytes(AttributeType::PUBLIC_KEY_INFO);
            return Key::from_material(self.class, key_type, info);
        }
        let Home::Version(cell) = &self.home else { return Err(Error::KeyHandleInvalid) };
        let material = records.material(&cell.uid)?.ok_or(Error::KeyHandleInvalid)?;
        Key::from_material(self.class, key_type, &material)
    }

    /// One attribute as `C_GetAttributeValue` answers it.
    ///
    /// # Errors
    /// What reading the key gives; attributes that are missing or sensitive are answers, not errors.
    pub fn reveal(&self, r#type: AttributeType, daemon: &Daemon, now: Time) -> Result<AttributeReply> {
        let Some(row) = attribute::attribute(r#type, self.class, self.key_type) else {
            return Ok(AttributeReply::Invalid);
        };
        let attributes = self.attributes();
        if r#type == AttributeType::VALUE
            && let Some(reading) = builtin::reading(&attributes)
        {
            return Ok(AttributeReply::Value(Value::Bytes(reading.into())));
        }
        if row.rules.has(attribute::SENSITIVE) {
            let hidden = attributes.is_true(AttributeType::SENSITIVE)
                || !attributes.is_true(AttributeType::EXTRACTABLE)
                || self.state(now) != VersionState::Enabled;
            if hidden {
                return Ok(AttributeReply::Sensitive);
            }
            let component = self.key(&daemon.records)?.secret_attribute(r#type)?;
            return Ok(
                component.map_or(AttributeReply::Invalid, |value| AttributeReply::Value(Value::Bytes(value)))
            );
        }
        if row.rules.has(attribute::KEY_SERVICE) {
            let Home::Version(cell) = &self.home else { return Ok(AttributeReply::Invalid) };
            let told = cell.told(r#type, &daemon.catalog, now);
            return Ok(told.map_or(AttributeReply::Invalid, AttributeReply::Value));
        }
        Ok(match attributes.value(r#type) {
            Some(value) => AttributeReply::Value(value.clone()),
            None if row.kind == attribute::Kind::Mechanisms => {
                AttributeReply::Value(Value::Mechanisms(Vec::new()))
            }
            None if row.kind == attribute::Kind::Template => {
                AttributeReply::Value(Value::Template(Vec::new()))
            }
            None => AttributeReply::Invalid,
        })
    }

    /// True when the object has every attribute of the template with exactly that value. A value that is not
    /// revealed matches nothing.
    pub fn matches(&self, template: &[Attribute], daemon: &Daemon, now: Time) -> Result<bool> {
        for wanted in template {
            match self.reveal(wanted.r#type, daemon, now)? {
                AttributeReply::Value(value) if value == wanted.value => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// `C_GetObjectSize`: what its attributes take, in bytes.
    pub fn size(&self) -> u64 {
        self.attributes().size()
    }
}

impl From<&Uid> for HexUid {
    fn from(uid: &Uid) -> Self {
        HexUid(uid.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// A uid in hexadecimal, as `CKA_UNIQUE_ID` shows it.
pub struct HexUid(pub String);

impl From<HexUid> for Value {
    fn from(uid: HexUid) -> Self {
        Value::Bytes(Bytes::from(uid.0.into_bytes()))
    }
}
