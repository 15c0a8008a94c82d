//! Key management functions (PKCS#11 3.2, section 5.18).

use std::sync::Arc;

use claviger_protocol::call::{DeriveKey, Derived, GenerateKey, GenerateKeyPair, Output, UnwrapKey, WrapKey};
use claviger_protocol::flags::mechanism;
use claviger_protocol::mechanism::MechanismRow;
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::params::Mechanism;
use claviger_protocol::template::{Attribute, FlatAttribute, Value};
use claviger_protocol::{AttributeType, MechanismType};

use super::{Context, Handle};
use crate::attributes::Attributes;
use crate::crypto::key::Key;
use crate::crypto::{generate, wrap};
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::object::Object;
use crate::session::Session;
use crate::template::{self, Making, Origin};

impl Handle for GenerateKey {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        let session = context.session(self.session)?;
        let row = context.mechanism(&session, self.mechanism.r#type, mechanism::GENERATE)?;
        let key_type = made_type(row)?;
        let making = making(context, &session, ObjectClass::SECRET_KEY, key_type);
        let mut built = template::build(&self.template, making)?;
        context.check_may_keep(&session, &built.attributes)?;
        let length = built.given.ulong(AttributeType::VALUE_LEN).unwrap_or(0);
        let length = usize::try_from(length).map_err(|_| Error::KeySizeRange)?;
        let key = generate::secret(key_type, length)?;
        template::complete(&mut built, &key, Origin::Generate, Some(row.r#type))?;
        Ok(context.keep(&session, built, Some(key), Origin::Generate)?.handle)
    }
}

impl Handle for GenerateKeyPair {
    fn handle(self, context: &Context<'_>) -> Result<(u64, u64)> {
        let session = context.session(self.session)?;
        // GnuTLS 3.7 names the signing mechanism when it generates an Edwards key.
        let r#type = match self.mechanism.r#type {
            MechanismType::EDDSA => MechanismType::EC_EDWARDS_KEY_PAIR_GEN,
            r#type => r#type,
        };
        let row = context.mechanism(&session, r#type, mechanism::GENERATE_KEY_PAIR)?;
        let key_type = made_type(row)?;
        let making = |class| making(context, &session, class, key_type);
        let mut public = template::build(&self.public_key_template, making(ObjectClass::PUBLIC_KEY))?;
        let mut private = template::build(&self.private_key_template, making(ObjectClass::PRIVATE_KEY))?;
        context.check_may_keep(&session, &public.attributes)?;
        context.check_may_keep(&session, &private.attributes)?;
        let key = generate::pair(row, &|r#type| public.given.value(r#type).cloned())?;
        template::complete(&mut public, &key.public()?, Origin::Generate, Some(row.r#type))?;
        template::complete(&mut private, &key, Origin::Generate, Some(row.r#type))?;
        context.keep_pair(&session, public, private, key)
    }
}

impl Handle for WrapKey {
    fn handle(self, context: &Context<'_>) -> Result<Output> {
        let session = context.session(self.session)?;
        let row = context.mechanism(&session, self.mechanism.r#type, mechanism::WRAP)?;
        let wrapping = context
            .wrapper(&session, self.wrapping_key, &self.mechanism, row, AttributeType::WRAP)
            .map_err(as_wrapping)?;
        let target = context.object(&session, self.key).map_err(|_| Error::KeyHandleInvalid)?;
        target.admit(Time::now())?;
        check_wrappable(&target, &wrapping.attributes())?;
        let (wrapping_key, key) =
            (wrapping.key(&context.daemon.records)?, target.key(&context.daemon.records)?);
        let material = key.to_material()?;
        let wrapped = wrap::wrap(row, &self.mechanism.params, &wrapping_key, &material)
            .map_err(as_wrapping_size)?;
        let length = wrapped.len() as u64;
        Ok(match self.room {
            None => Output::Length(length),
            Some(room) if room < length => Output::TooSmall(length),
            Some(_) => Output::Data(wrapped.into()),
        })
    }
}

impl Handle for UnwrapKey {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        let session = context.session(self.session)?;
        let row = context.mechanism(&session, self.mechanism.r#type, mechanism::UNWRAP)?;
        let unwrapping = context
            .wrapper(&session, self.unwrapping_key, &self.mechanism, row, AttributeType::UNWRAP)
            .map_err(as_unwrapping)?;
        let template =
            merged(self.template, unwrapping.attributes().template(AttributeType::UNWRAP_TEMPLATE))?;
        let making =
            Making { origin: Origin::Unwrap, class: None, key_type: None, so: context.is_so(&session) };
        let mut built = template::build(&template, making)?;
        context.check_may_keep(&session, &built.attributes)?;
        let (class, key_type) = (built.class()?, built.key_type()?);
        if !matches!(class, ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY) {
            return Err(Error::TemplateInconsistent);
        }
        let unwrapping_key = unwrapping.key(&context.daemon.records)?;
        let length = built.given.ulong(AttributeType::VALUE_LEN);
        let material = wrap::unwrap(row, &self.mechanism.params, &unwrapping_key, &self.wrapped_key)
            .map_err(as_unwrapping_size)?;
        if length.is_some_and(|length| length != material.len() as u64) {
            return Err(Error::TemplateInconsistent);
        }
        let key = Key::from_untrusted(class, key_type, &material).map_err(|_| Error::WrappedKeyInvalid)?;
        template::complete(&mut built, &key, Origin::Unwrap, None)?;
        Ok(context.keep(&session, built, Some(key), Origin::Unwrap)?.handle)
    }
}

impl Handle for DeriveKey {
    fn handle(self, context: &Context<'_>) -> Result<Derived> {
        let session = context.session(self.session)?;
        context.mechanism(&session, self.mechanism.r#type, mechanism::DERIVE)?;
        Err(Error::MechanismInvalid)
    }
}

/// The type of the keys that a generating mechanism makes.
fn made_type(row: &MechanismRow) -> Result<KeyType> {
    row.key_types.first().copied().ok_or(Error::MechanismInvalid)
}

fn making(context: &Context<'_>, session: &Session, class: ObjectClass, key_type: KeyType) -> Making {
    let so = context.is_so(session);
    Making { origin: Origin::Generate, class: Some(class), key_type: Some(key_type), so }
}

impl Context<'_> {
    /// A key that wraps or unwraps; the errors are a key's, which the caller names by its role.
    fn wrapper(
        &self,
        session: &Session,
        handle: u64,
        mechanism: &Mechanism,
        row: &'static MechanismRow,
        usage: AttributeType,
    ) -> Result<Arc<Object>> {
        Ok(self.key(session, handle, mechanism, row, usage)?.object)
    }
}

/// What PKCS#11 3.2, section 5.18.3 asks of a key before it leaves the token wrapped.
fn check_wrappable(target: &Object, wrapping: &Attributes) -> Result<()> {
    if !matches!(target.class, ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY) {
        return Err(Error::KeyNotWrappable);
    }
    let attributes = target.attributes();
    if !attributes.is_true(AttributeType::EXTRACTABLE) {
        return Err(Error::KeyUnextractable);
    }
    let trusted = wrapping.is_true(AttributeType::TRUSTED);
    if attributes.is_true(AttributeType::WRAP_WITH_TRUSTED) && !trusted {
        return Err(Error::KeyNotWrappable);
    }
    let wanted = wrapping.template(AttributeType::WRAP_TEMPLATE);
    let fits = |wanted: &FlatAttribute| {
        attributes.value(wanted.r#type).is_some_and(|value| *value == Value::from(wanted.value.clone()))
    };
    if wanted.iter().all(fits) { Ok(()) } else { Err(Error::KeyNotWrappable) }
}

/// The caller's template with what the unwrapping key's `CKA_UNWRAP_TEMPLATE` demands.
fn merged(mut template: Vec<Attribute>, demanded: &[FlatAttribute]) -> Result<Vec<Attribute>> {
    for demand in demanded {
        let demand = Attribute::from(demand.clone());
        match template.iter().find(|attribute| attribute.r#type == demand.r#type) {
            Some(given) if given.value != demand.value => return Err(Error::TemplateInconsistent),
            Some(_) => {}
            None => template.push(demand),
        }
    }
    Ok(template)
}

fn as_wrapping(error: Error) -> Error {
    match error {
        Error::KeyHandleInvalid => Error::WrappingKeyHandleInvalid,
        Error::KeyTypeInconsistent => Error::WrappingKeyTypeInconsistent,
        error => error,
    }
}

fn as_wrapping_size(error: Error) -> Error {
    match error {
        Error::KeySizeRange => Error::WrappingKeySizeRange,
        Error::DataLenRange => Error::KeySizeRange,
        error => error,
    }
}

fn as_unwrapping(error: Error) -> Error {
    match error {
        Error::KeyHandleInvalid => Error::UnwrappingKeyHandleInvalid,
        Error::KeyTypeInconsistent => Error::UnwrappingKeyTypeInconsistent,
        error => error,
    }
}

fn as_unwrapping_size(error: Error) -> Error {
    match error {
        Error::KeySizeRange => Error::UnwrappingKeySizeRange,
        Error::EncryptedDataInvalid => Error::WrappedKeyInvalid,
        Error::EncryptedDataLenRange => Error::WrappedKeyLenRange,
        error => error,
    }
}
