//! The one interpreter of table 4: what a template may say, for every function that makes or changes objects.

use claviger_protocol::attribute::{self, AttributeRow, DefaultValue, Kind};
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::template::{Attribute, FlatAttribute, Value};
use claviger_protocol::{AttributeType, MechanismType};
use openssl::hash::MessageDigest;
use openssl::x509::X509;

use crate::attributes::{Attributes, bytes};
use crate::crypto::field;
use crate::crypto::key::Key;
use crate::error::{Error, Result};
use crate::kms::record::Profile;
use crate::profile;

/// Which kind of function makes the object; decides which rules of table 4 apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `C_CreateObject`.
    Create,
    /// `C_GenerateKey`, `C_GenerateKeyPair`, and versions that the key service makes.
    Generate,
    /// `C_UnwrapKey`, and versions that the key service imports.
    Unwrap,
    /// `C_DeriveKey`.
    Derive,
}

/// What the function knows about the object it makes, besides the template.
#[derive(Debug, Clone, Copy)]
pub struct Making<'a> {
    /// Kind of function.
    pub origin: Origin,
    /// Class that the function implies.
    pub class: Option<ObjectClass>,
    /// Key type that the mechanism implies.
    pub key_type: Option<KeyType>,
    /// The security officer is logged in.
    pub so: bool,
    /// Profile of the token it is made for.
    pub profile: Profile,
    /// What the unwrapping or base key demands of it; merged into the template already.
    pub demanded: &'a [FlatAttribute],
}

/// Components and a value that a template brought, besides the object's own attributes.
pub struct Built {
    /// The object's attributes, defaults filled in, nothing secret and nothing computed from the key yet.
    pub attributes: Attributes,
    /// Everything the template said, components of the key included.
    pub given: Attributes,
}

impl Built {
    /// Class of the object.
    pub fn class(&self) -> Result<ObjectClass> {
        self.attributes.class().ok_or(Error::TemplateIncomplete)
    }

    /// Type of the key, which every key's template ends up with.
    pub fn key_type(&self) -> Result<KeyType> {
        self.attributes.key_type().ok_or(Error::TemplateIncomplete)
    }
}

/// Reads a template for a new object.
///
/// # Errors
/// `AttributeTypeInvalid`, `AttributeValueInvalid`, `AttributeReadOnly`, `TemplateIncomplete` or
/// `TemplateInconsistent`, as PKCS#11 3.2, section 4.1 gives them.
pub fn build(template: &[Attribute], making: Making<'_>) -> Result<Built> {
    let given = collect(template)?;
    for r#type in [AttributeType::CLASS, AttributeType::KEY_TYPE] {
        if given.value(r#type).is_some() && given.ulong(r#type).is_none() {
            return Err(Error::AttributeValueInvalid);
        }
    }
    let class = agree(given.class(), making.class)?.ok_or(Error::TemplateIncomplete)?;
    if !class_can_be_made(class) {
        return Err(Error::AttributeValueInvalid);
    }
    let key_type = agree(given.key_type(), making.key_type)?;
    if is_typed(class) {
        check_key_type(key_type.ok_or(Error::TemplateIncomplete)?, class)?;
    }
    for (r#type, value) in given.iter() {
        let row = attribute::attribute(r#type, class, key_type).ok_or(Error::AttributeTypeInvalid)?;
        check_kind(row, value)?;
        check_given(row, value, making)?;
    }
    let silent_on_usage = !given.iter().any(|(r#type, _)| row_has(r#type, class, key_type, attribute::USAGE));
    let mut attributes = Attributes::default();
    for row in attribute::rows(class, key_type) {
        match given.value(row.r#type) {
            Some(_) if row.rules.has(attribute::SENSITIVE) || row.rules.has(attribute::STATED) => {}
            Some(value) => attributes.set(row.r#type, value.clone()),
            None => {
                check_missing(row, making, key_type)?;
                if let Some(value) = default_value(row, key_type, silent_on_usage) {
                    attributes.set(row.r#type, value);
                }
            }
        }
    }
    attributes.set(AttributeType::CLASS, Value::Ulong(class.0));
    if let Some(key_type) = key_type {
        attributes.set(AttributeType::KEY_TYPE, Value::Ulong(key_type.0));
    }
    check_profile_independent(&attributes)?;
    let mut built = Built { attributes, given };
    profile::judge_new(making.profile, &mut built, making.origin, silent_on_usage, making.demanded)?;
    Ok(built)
}

/// Fills in what the daemon computes for a key: its public components, and where it came from.
///
/// # Errors
/// What reading the key's components gives; `AttributeValueInvalid` when the template named other ones.
pub fn complete(
    built: &mut Built,
    key: &Key,
    origin: Origin,
    mechanism: Option<MechanismType>,
) -> Result<()> {
    let (class, key_type) = (built.class()?, built.key_type()?);
    for component in key.public_attributes(class, key_type)? {
        // A check value that is given empty is not wanted (PKCS#11 3.2, 4.10.2).
        let unwanted = component.r#type == AttributeType::CHECK_VALUE
            && built.given.value(component.r#type).is_some_and(|given| *given == bytes(Vec::new()));
        let Some(row) = attribute::attribute(component.r#type, class, Some(key_type)) else { continue };
        if !unwanted {
            if let Some(given) = built.given.value(component.r#type)
                && *given != component.value
                && is_checked(component.r#type)
                && !key.has_public_info(given)
            {
                return Err(Error::AttributeValueInvalid);
            }
            if !row.rules.has(attribute::STATED) {
                built.attributes.set(component.r#type, component.value);
            }
        }
    }
    let local = origin == Origin::Generate;
    let attributes = &mut built.attributes;
    attributes.set(AttributeType::LOCAL, Value::Bool(local));
    let mechanism =
        mechanism.filter(|_| local).map_or(claviger_protocol::flags::UNAVAILABLE_INFORMATION, |m| m.0);
    attributes.set(AttributeType::KEY_GEN_MECHANISM, Value::Ulong(mechanism));
    if class == ObjectClass::PRIVATE_KEY || class == ObjectClass::SECRET_KEY {
        let sensitive = local && attributes.is_true(AttributeType::SENSITIVE);
        let unextractable = local && !attributes.is_true(AttributeType::EXTRACTABLE);
        attributes.set(AttributeType::ALWAYS_SENSITIVE, Value::Bool(sensitive));
        attributes.set(AttributeType::NEVER_EXTRACTABLE, Value::Bool(unextractable));
    }
    Ok(())
}

/// Fills in what the daemon computes for a certificate: its check value, the first 3 bytes of its SHA-1, and its
/// public key (PKCS#11 3.2, section 4.6.3).
///
/// # Errors
/// `AttributeValueInvalid` for a check value that is not the certificate's.
pub fn complete_certificate(attributes: &mut Attributes) -> Result<()> {
    let value = attributes.bytes(AttributeType::VALUE).to_vec();
    if value.is_empty() {
        return Ok(());
    }
    let digest = openssl::hash::hash(MessageDigest::sha1(), &value)?;
    match attributes.value(AttributeType::CHECK_VALUE) {
        None => attributes.set(AttributeType::CHECK_VALUE, bytes(&digest[..3])),
        Some(Value::Bytes(given)) if given.is_empty() || given[..] == digest[..3] => {}
        Some(_) => return Err(Error::AttributeValueInvalid),
    }
    let public = X509::from_der(&value).and_then(|x509| x509.public_key()?.public_key_to_der());
    if let (Ok(public), None) = (public, attributes.value(AttributeType::PUBLIC_KEY_INFO)) {
        attributes.set(AttributeType::PUBLIC_KEY_INFO, bytes(public));
    }
    Ok(())
}

/// Fills in what the daemon computes for domain parameters: their sizes, and where they came from.
///
/// # Errors
/// `DomainParamsInvalid` for numbers that are no group.
pub fn complete_parameters(built: &mut Built, origin: Origin) -> Result<()> {
    let key_type = built.key_type()?;
    let attributes = &mut built.attributes;
    for (r#type, value) in field::sizes(key_type, &|r#type| attributes.value(r#type).cloned())? {
        if attribute::attribute(r#type, ObjectClass::DOMAIN_PARAMETERS, Some(key_type)).is_some() {
            attributes.set(r#type, value);
        }
    }
    attributes.set(AttributeType::LOCAL, Value::Bool(origin == Origin::Generate));
    Ok(())
}

/// The attributes of `current` after `C_SetAttributeValue`.
///
/// # Errors
/// `ActionProhibited` for an object that is not modifiable, `AttributeReadOnly` for an attribute that cannot be
/// changed or not in this direction, else as [`build`].
pub fn change(
    current: &Attributes,
    template: &[Attribute],
    so: bool,
    profile: Profile,
) -> Result<Attributes> {
    if !current.is_true(AttributeType::MODIFIABLE) {
        return Err(Error::ActionProhibited);
    }
    merge(current, template, (so, profile), attribute::MODIFIABLE)
}

/// True when `after` may be used for something that `before` may not.
pub fn widens_usage(before: &Attributes, after: &Attributes) -> bool {
    let (Some(class), key_type) = (after.class(), after.key_type()) else { return false };
    after.iter().any(|(r#type, value)| {
        *value == Value::Bool(true)
            && !before.is_true(r#type)
            && row_has(r#type, class, key_type, attribute::USAGE)
    })
}

/// The attributes of a copy of `current`: modifiable ones, and `CKA_TOKEN`, `CKA_PRIVATE`, `CKA_MODIFIABLE`.
///
/// # Errors
/// `ActionProhibited` for an object that is not copyable, `TemplateInconsistent` for a copy that would be less
/// protected, else as [`change`].
pub fn copy(current: &Attributes, template: &[Attribute], so: bool, profile: Profile) -> Result<Attributes> {
    if !current.is_true(AttributeType::COPYABLE) {
        return Err(Error::ActionProhibited);
    }
    let allowed = match current.is_true(AttributeType::MODIFIABLE) {
        true => attribute::MODIFIABLE.and(attribute::COPY),
        false => attribute::COPY,
    };
    let copied = merge(current, template, (so, profile), allowed)?;
    if copied.is_true(AttributeType::MODIFIABLE) && !current.is_true(AttributeType::MODIFIABLE) {
        return Err(Error::AttributeReadOnly);
    }
    let loses = |r#type| current.is_true(r#type) && !copied.is_true(r#type);
    if loses(AttributeType::PRIVATE) {
        return Err(Error::TemplateInconsistent);
    }
    Ok(copied)
}

fn merge(
    current: &Attributes,
    template: &[Attribute],
    (so, profile): (bool, Profile),
    allowed: attribute::Rules,
) -> Result<Attributes> {
    let class = current.class().ok_or(Error::ObjectHandleInvalid)?;
    let key_type = current.key_type();
    let mut merged = current.clone();
    for (r#type, value) in collect(template)?.iter() {
        let row = attribute::attribute(r#type, class, key_type).ok_or(Error::AttributeTypeInvalid)?;
        check_kind(row, value)?;
        let before = current.value(r#type);
        if row.rules.0 & allowed.0 & (attribute::MODIFIABLE.0 | attribute::COPY.0) == 0 {
            return Err(Error::AttributeReadOnly);
        }
        let (from, to) = (before == Some(&Value::Bool(true)), *value == Value::Bool(true));
        // What may be changed in one direction is read-only once it was (footnotes 11 and 12), so that even the value
        // that it has is refused; a copy may name it, because there it is no change.
        let as_it_is = allowed.has(attribute::COPY) && from == to;
        let is_stuck = row.rules.has(if from { attribute::STICKY_TRUE } else { attribute::STICKY_FALSE });
        if is_stuck && !as_it_is || row.rules.has(attribute::SO_ONLY) && to && !so && !from {
            return Err(Error::AttributeReadOnly);
        }
        merged.set(r#type, value.clone());
    }
    profile::judge_change(profile, current, &mut merged)?;
    Ok(merged)
}

/// A template as a map. An attribute named twice counts once, unless it contradicts itself (PKCS#11 3.2, 4.1.1).
fn collect(template: &[Attribute]) -> Result<Attributes> {
    let mut attributes = Attributes::default();
    for attribute in template {
        if attributes.value(attribute.r#type).is_some_and(|value| *value != attribute.value) {
            return Err(Error::TemplateInconsistent);
        }
        attributes.set(attribute.r#type, attribute.value.clone());
    }
    Ok(attributes)
}

/// What template and function say together; contradiction is `TemplateInconsistent`.
fn agree<T: PartialEq>(given: Option<T>, implied: Option<T>) -> Result<Option<T>> {
    match (given, implied) {
        (Some(given), Some(implied)) if given != implied => Err(Error::TemplateInconsistent),
        (given, implied) => Ok(given.or(implied)),
    }
}

fn class_can_be_made(class: ObjectClass) -> bool {
    matches!(
        class,
        ObjectClass::DATA
            | ObjectClass::CERTIFICATE
            | ObjectClass::PUBLIC_KEY
            | ObjectClass::PRIVATE_KEY
            | ObjectClass::SECRET_KEY
            | ObjectClass::DOMAIN_PARAMETERS
    )
}

/// Classes whose objects have a `CKA_KEY_TYPE`.
fn is_typed(class: ObjectClass) -> bool {
    !matches!(class, ObjectClass::DATA | ObjectClass::CERTIFICATE)
}

/// Refuses a secret key of a pair's type and the like, and types of which nobody has keys.
fn check_key_type(key_type: KeyType, class: ObjectClass) -> Result<()> {
    let of = |class| attribute::is_type_of(key_type, class);
    if of(class) {
        return Ok(());
    }
    let known = of(ObjectClass::SECRET_KEY) || of(ObjectClass::PRIVATE_KEY);
    Err(if known { Error::TemplateInconsistent } else { Error::AttributeValueInvalid })
}

/// Components that a template and the key itself may state differently only by mistake. EC parameters and
/// points have several right spellings, of which the daemon keeps its own.
fn is_checked(r#type: AttributeType) -> bool {
    use AttributeType as A;
    matches!(r#type, A::CHECK_VALUE | A::VALUE_LEN | A::PUBLIC_KEY_INFO)
}

fn row_has(
    r#type: AttributeType,
    class: ObjectClass,
    key_type: Option<KeyType>,
    rule: attribute::Rules,
) -> bool {
    attribute::attribute(r#type, class, key_type).is_some_and(|row| row.rules.has(rule))
}

fn check_kind(row: &AttributeRow, value: &Value) -> Result<()> {
    let fits = match (row.kind, value) {
        (Kind::Bool, Value::Bool(_))
        | (Kind::Ulong, Value::Ulong(_))
        | (Kind::Bytes, Value::Bytes(_))
        | (Kind::Mechanisms, Value::Mechanisms(_)) => true,
        (Kind::Date, Value::Bytes(date)) => {
            date.is_empty() || date.len() == 8 && date.iter().all(u8::is_ascii_digit)
        }
        (Kind::Template, Value::Template(inner)) => {
            inner.iter().all(|a| attribute::kind(a.r#type) != Kind::Template)
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(Error::AttributeValueInvalid) }
}

/// Refuses what the function does not take.
fn check_given(row: &AttributeRow, value: &Value, making: Making<'_>) -> Result<()> {
    let forbidden = match making.origin {
        Origin::Create => attribute::CREATE_NOT,
        Origin::Generate => attribute::GENERATE_NOT,
        Origin::Unwrap | Origin::Derive => attribute::UNWRAP_NOT,
    };
    if row.rules.has(attribute::DAEMON) {
        return Err(Error::AttributeReadOnly);
    }
    if row.rules.has(forbidden) {
        return Err(if making.origin == Origin::Create {
            Error::AttributeReadOnly
        } else {
            Error::TemplateInconsistent
        });
    }
    if row.rules.has(attribute::SO_ONLY) && *value == Value::Bool(true) && !making.so {
        return Err(Error::AttributeReadOnly);
    }
    Ok(())
}

/// Refuses a template that leaves out what the function needs.
fn check_missing(row: &AttributeRow, making: Making<'_>, key_type: Option<KeyType>) -> Result<()> {
    let implied = row.r#type == AttributeType::CLASS && making.class.is_some()
        || row.r#type == AttributeType::KEY_TYPE && key_type.is_some();
    let needed = match making.origin {
        Origin::Create => attribute::CREATE_MUST,
        Origin::Generate => attribute::GENERATE_MUST,
        Origin::Unwrap => attribute::UNWRAP_MUST,
        Origin::Derive => return Ok(()),
    };
    if row.rules.has(needed) && !implied { Err(Error::TemplateIncomplete) } else { Ok(()) }
}

fn default_value(row: &AttributeRow, key_type: Option<KeyType>, silent_on_usage: bool) -> Option<Value> {
    match row.default {
        DefaultValue::Absent | DefaultValue::Computed => None,
        DefaultValue::Bool(value) => Some(Value::Bool(value)),
        DefaultValue::Ulong(value) => Some(Value::Ulong(value)),
        DefaultValue::Empty => Some(bytes(Vec::new())),
        DefaultValue::Usage(natural) => {
            Some(Value::Bool(silent_on_usage && key_type.is_some_and(|t| natural.contains(&t))))
        }
    }
}

/// Contradictions that no profile allows.
fn check_profile_independent(attributes: &Attributes) -> Result<()> {
    let always_authenticate = attributes.is_true(AttributeType::ALWAYS_AUTHENTICATE);
    if always_authenticate && !attributes.is_true(AttributeType::PRIVATE) {
        return Err(Error::TemplateInconsistent);
    }
    Ok(())
}
