//! Versions: creating them, their objects, and every change of their state.

use std::sync::Arc;

use claviger_protocol::mechanism::mechanism;
use claviger_protocol::template::{Attribute, Value};
use claviger_protocol::{AttributeType, MechanismType, ObjectClass, attribute};

use super::algorithm::{Algorithm, KeyShape, Purpose};
use super::record::{CryptoKey, Profile, StoredObject, Version};
use super::rings::new_uid;
use super::settings::CkaId;
use super::state::VersionState;
use super::time::Time;
use super::transitions::check_etag;
use crate::attributes::{Attributes, bytes};
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::curve::Curve;
use crate::crypto::{self, Key};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::object::HexUid;
use crate::seldom::Seldom;
use crate::store::{Change, Tree};
use crate::template::{self, Making, Origin};
use crate::token::Token;

/// The field that a refused transition names.
pub(super) const STATE_FIELD: &str = "crypto_key_version.state";

impl Daemon {
    /// Creates a version with new material. Slow for RSA: generates on the calling thread, while others may write.
    ///
    /// The first version of an `ENCRYPT_DECRYPT` key becomes its primary one.
    ///
    /// # Errors
    /// `FailedPrecondition` when the key takes no generated versions or has no primary one, what the store says.
    pub fn create_version(
        &self,
        token: &Token,
        key: &KeyCell,
        make_primary: bool,
    ) -> Result<Arc<VersionCell>> {
        self.create_version_if(token, key, None, make_primary)
    }

    /// As [`Daemon::create_version`], if the key has this etag.
    ///
    /// # Errors
    /// As of [`Daemon::create_version`]; `Aborted` for another etag.
    pub fn create_version_if(
        &self,
        token: &Token,
        key: &KeyCell,
        etag: Option<u64>,
        make_primary: bool,
    ) -> Result<Arc<VersionCell>> {
        let template = key.record();
        check_etag(etag, template.etag)?;
        self.settings.check_offers(template.algorithm)?;
        check_takes_generated(&key.name, &template, make_primary)?;
        let algorithm = template.algorithm;
        let live = generate(algorithm)?;

        let _writer = self.catalog.write();
        let mut record = CryptoKey::clone(&key.record());
        check_etag(etag, record.etag)?;
        let is_first = record.next_version == 1;
        let mut change = Change::new();
        let version =
            self.add_version(&mut change, &mut record, algorithm, &live, Origin::Generate, Time::now())?;
        check_takes_generated(&key.name, &record, make_primary)?;
        if make_primary || is_first && record.purpose == Purpose::EncryptDecrypt {
            record.primary = Some(version.number);
        }
        change.put(Tree::CryptoKey, record.uid, &record)?;
        self.records.commit(change)?;

        key.replace(record);
        let version = key.insert(version);
        self.show_version(token, &version)?;
        Ok(version)
    }

    /// The next version of a key with its objects and material, enabled: puts handles, version and material in the
    /// change, and moves the key's counter, which the caller puts. The caller holds the writer lock.
    pub(super) fn add_version(
        &self,
        change: &mut Change,
        key: &mut CryptoKey,
        algorithm: Algorithm,
        live: &Key,
        origin: Origin,
        now: Time,
    ) -> Result<Version> {
        let mut version = next_version(key, algorithm, now)?;
        version.state = VersionState::Enabled;
        version.generate_time = (origin == Origin::Generate).then_some(now);
        version.objects = self.new_objects(change, key, &version, live, origin, now)?;
        change.put(Tree::Version, version.uid, &version)?;
        change.put_material(version.uid, &live.to_material()?);
        Ok(version)
    }

    /// The objects that show a version, with new handles. The caller holds the writer lock.
    pub(super) fn new_objects(
        &self,
        change: &mut Change,
        key: &CryptoKey,
        version: &Version,
        live: &Key,
        origin: Origin,
        now: Time,
    ) -> Result<Vec<StoredObject>> {
        let classes = version.algorithm.shape().classes();
        let handles = self.allot_handles(change, classes.len())?;
        // Unlike a label, it tells the versions of a key apart.
        let id = match self.settings.cka_id {
            CkaId::UidAndNumber => [&key.uid[..], version.number.to_string().as_bytes()].concat(),
            CkaId::FullName => {
                let token = self.catalog.token_of(&key.ring).ok_or(Error::KeyHandleInvalid)?;
                let ring = token.ring().name.clone();
                format!("{ring}/cryptoKeys/{}/cryptoKeyVersions/{}", key.id, version.number).into_bytes()
            }
        };
        let mut objects = Vec::with_capacity(classes.len());
        for (i, (class, handle)) in classes.iter().zip(handles).enumerate() {
            let mut attributes = view(key, version, *class, live, origin, now)?;
            attributes.set(AttributeType::ID, bytes(id.clone()));
            let uid = if i == 0 { version.uid } else { new_uid()? };
            attributes.set(AttributeType::UNIQUE_ID, HexUid::from(&uid).into());
            let attributes = attributes.compact();
            objects.push(StoredObject { handle, class: *class, attributes, hidden: false });
        }
        Ok(objects)
    }

    /// New handles for all objects of a version that comes back, those that were hidden too. The caller holds the
    /// writer lock.
    pub(super) fn renew_handles(&self, change: &mut Change, record: &mut Version) -> Result<()> {
        let handles = self.allot_handles(change, record.objects.len())?;
        for (object, handle) in record.objects.iter_mut().zip(handles) {
            object.handle = handle;
            object.hidden = false;
        }
        Ok(())
    }

    /// Commits a change with the changed version, and puts it in place. The caller holds the writer lock.
    pub(super) fn put_version(
        &self,
        mut change: Change,
        cell: &VersionCell,
        mut record: Version,
    ) -> Result<()> {
        record.etag += 1;
        change.put(Tree::Version, record.uid, &record)?;
        self.records.commit(change)?;
        cell.replace(record);
        Ok(())
    }

    /// Key and token of a version.
    pub(super) fn owners(&self, cell: &VersionCell) -> Result<(Arc<KeyCell>, Arc<Token>)> {
        let missing = |what| Error::Internal { detail: format!("{} has no {what}", cell.name()) };
        let key = self.catalog.key(&cell.key).ok_or_else(|| missing("key"))?;
        let token = self.catalog.token_of(&cell.ring).ok_or_else(|| missing("ring"))?;
        Ok((key, token))
    }
}

/// A new key of an algorithm. `P11_GENERIC` names no key: `FailedPrecondition`.
pub(super) fn generate(algorithm: Algorithm) -> Result<Key> {
    let shape = algorithm.shape();
    let pair = |r#type: AttributeType, value: Value| {
        let row = shape.key_gen_mechanism().and_then(mechanism).ok_or(Error::MechanismInvalid)?;
        crypto::generate::pair(row, &|asked| (asked == r#type).then(|| value.clone()))
    };
    match shape {
        KeyShape::Secret(key_type, length) => crypto::generate::secret(key_type, length),
        KeyShape::Rsa(bits) => pair(AttributeType::MODULUS_BITS, Value::Ulong(u64::from(bits))),
        KeyShape::Curve(name) => {
            let curve = Curve::named(name).ok_or(Error::CurveNotSupported)?;
            pair(AttributeType::EC_PARAMS, bytes(curve.oid))
        }
        KeyShape::Set(key_type, set) => crypto::post_quantum::generate(key_type, set),
        KeyShape::Sm2 => crypto::sm2::generate(),
        KeyShape::XWing => crypto::xwing::generate(),
        KeyShape::Any => Err(Error::FailedPrecondition {
            message: format!("keys of algorithm {} are made by PKCS#11 applications only", algorithm.name()),
        }),
    }
}

/// The next version of a key, pending import and without objects; moves the key's counter.
pub(super) fn next_version(key: &mut CryptoKey, algorithm: Algorithm, now: Time) -> Result<Version> {
    let number = key.next_version;
    key.next_version = number.checked_add(1).ok_or(Error::DeviceMemory)?;
    key.etag += 1;
    Ok(Version {
        uid: new_uid()?,
        key: key.uid,
        number,
        state: VersionState::PendingImport,
        algorithm,
        create_time: now,
        generate_time: None,
        fate: Seldom::default(),
        expire_material_time: None,
        objects: Vec::new(),
        etag: 1,
    })
}

pub(super) fn wrong_state(cell: &VersionCell, state: VersionState) -> Error {
    Error::WrongState { resource: cell.name(), field: STATE_FIELD, state: state.name() }
}

fn check_takes_generated(name: &str, key: &CryptoKey, make_primary: bool) -> Result<()> {
    let refuse = |why: &str| Err(Error::FailedPrecondition { message: format!("{name} {why}") });
    if key.import_only {
        return refuse("takes imported versions only");
    }
    if key.care.archived {
        return Err(Error::Archived { resource: name.to_owned() });
    }
    if make_primary && key.purpose != Purpose::EncryptDecrypt {
        return refuse("has no primary version: only keys for ENCRYPT_DECRYPT have");
    }
    Ok(())
}

/// Attributes of one object of a version.
fn view(
    key: &CryptoKey,
    version: &Version,
    class: ObjectClass,
    live: &Key,
    origin: Origin,
    now: Time,
) -> Result<Attributes> {
    let shape = version.algorithm.shape();
    let key_type = shape.key_type().ok_or(Error::KeyTypeInconsistent)?;
    let holds_secret = class != ObjectClass::PUBLIC_KEY;
    // Of some types a component is the value of the public key, and another one that of the private key.
    let half = if holds_secret { None } else { Some(live.public()?) };
    let live = half.as_ref().unwrap_or(live);
    let mut given = vec![
        (AttributeType::TOKEN, Value::Bool(true)),
        (AttributeType::PRIVATE, Value::Bool(holds_secret)),
        // A copy would outlive the destruction of its version.
        (AttributeType::COPYABLE, Value::Bool(false)),
        (AttributeType::LABEL, bytes(key.id.as_bytes())),
        (AttributeType::START_DATE, bytes(&now.date())),
    ];
    if let Some(mechanism) = version.algorithm.only_mechanism() {
        given.push((AttributeType::ALLOWED_MECHANISMS, Value::Mechanisms(vec![mechanism])));
    }
    if holds_secret {
        given.push((AttributeType::SENSITIVE, Value::Bool(true)));
        given.push((AttributeType::EXTRACTABLE, Value::Bool(false)));
    }
    given.extend(key.purpose.usage(class).map(|flag| (flag, Value::Bool(true))));
    let mut given: Vec<_> = given.into_iter().map(|(r#type, value)| Attribute { r#type, value }).collect();
    if origin == Origin::Generate {
        // What a template for C_GenerateKey or C_GenerateKeyPair must say of the key.
        given.extend(live.public_attributes(class, key_type)?.into_iter().filter(|computed| {
            attribute::attribute(computed.r#type, class, Some(key_type))
                .is_some_and(|row| row.rules.has(attribute::GENERATE_MUST))
        }));
    }
    // One purpose is one role, in every profile.
    let making = Making {
        origin,
        class: Some(class),
        key_type: Some(key_type),
        so: false,
        profile: Profile::Standard,
        demanded: &[],
    };
    let mut built = template::build(&given, making)?;
    let made_by: Option<MechanismType> = shape.key_gen_mechanism();
    template::complete(&mut built, live, origin, made_by)?;
    Ok(built.attributes)
}

#[cfg(test)]
use super::state::Transition;
#[cfg(test)]
#[path = "versions_tests.rs"]
pub(crate) mod tests;
