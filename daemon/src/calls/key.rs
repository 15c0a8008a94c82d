//! Key management functions (PKCS#11 3.2, section 5.18).

use std::sync::Arc;

use claviger_protocol::call::{DeriveKey, Derived, GenerateKey, GenerateKeyPair, Output, UnwrapKey, WrapKey};
use claviger_protocol::flags::mechanism;
use claviger_protocol::mechanism::{Concatenation, MechanismRow, Mode, Recipe, SECRET_BYTES};
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::params::{Mechanism, Params};
use claviger_protocol::template::{Attribute, FlatAttribute, Template, Value};
use claviger_protocol::{AttributeType, MechanismType, attribute};
use zeroize::Zeroizing;

use super::{Context, Handle};
use crate::attributes::{Attributes, bytes};
use crate::crypto::derive::{self, Wanted};
use crate::crypto::key::Key;
use crate::crypto::{field, generate, wrap};
use crate::error::{Error, Result};
use crate::kms::record::Profile;
use crate::kms::time::Time;
use crate::object::Object;
use crate::operation::KeyUse;
use crate::profile::{self, Subject};
use crate::session::Session;
use crate::template::{self, Built, Making, Origin};

impl Handle for GenerateKey {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        let session = context.session(self.session)?;
        let row = context.mechanism(&session, self.mechanism.r#type, mechanism::GENERATE)?;
        if row.recipe == Recipe::GenerateFieldParameters {
            return domain_parameters(context, &session, row, &self.template, &self.mechanism.params);
        }
        // PBKDF2 makes keys of whatever type the template names.
        let key_type = (row.recipe != Recipe::Pbkdf2).then(|| made_type(row)).transpose()?;
        let mut making = making(context, &session, ObjectClass::SECRET_KEY, KeyType::GENERIC_SECRET);
        making.key_type = key_type;
        let mut built = template::build(&self.template, making)?;
        context.check_may_keep(&session, &built.attributes)?;
        let wanted = wanted(&built)?;
        let key = match (row.recipe, &self.mechanism.params) {
            (Recipe::Pbkdf2, params) => derive::pbkdf2(params, wanted)?,
            (_, Params::None) => {
                let length = wanted.fixed_length()?.ok_or(Error::TemplateIncomplete)?;
                generate::secret(wanted.key_type, length)?
            }
            _ => return Err(Error::MechanismParamInvalid),
        };
        template::complete(&mut built, &key, Origin::Generate, Some(row.r#type))?;
        let object = context.keep(&session, built, Some(key), Origin::Generate)?;
        Ok(context.handle(&session, &object))
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
        profile::judge_pair(session.token.profile(), &public.attributes, &private.attributes)?;
        context.check_may_keep(&session, &public.attributes)?;
        context.check_may_keep(&session, &private.attributes)?;
        let key = generate::pair(row, &|r#type| public.given.value(r#type).cloned())?;
        session.token.check_size(key_type, &key)?;
        template::complete(&mut public, &key, Origin::Generate, Some(row.r#type))?;
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
        context.check_may(&session, &target, "P11.C_WrapKey")?;
        check_wrappable(&target, &wrapping.attributes())?;
        if is_unpadded(row) && target.class != ObjectClass::SECRET_KEY {
            return Err(Error::KeyNotWrappable);
        }
        let (wrapping_key, key) =
            (wrapping.key(&context.daemon.records)?, target.key(&context.daemon.records)?);
        let wrapper = Subject { attributes: &wrapping.attributes(), bits: wrapping_key.size_bits() };
        let wrapped = Subject { attributes: &target.attributes(), bits: key.size_bits() };
        profile::judge_wrap(session.token.profile(), &wrapper, &self.mechanism.params, &wrapped)?;
        let material = key.to_material()?;
        let wrapped = wrap::wrap(row, &self.mechanism.params, &wrapping_key, &material)?;
        let length = wrapped.len() as u64;
        Ok(match self.room {
            None => Output::Length(length),
            Some(room) if room < length => Output::TooSmall(length),
            Some(_) => Output::Data(wrapped),
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
        let unwrapping_attributes = unwrapping.attributes();
        let demanded = unwrapping_attributes.template(AttributeType::UNWRAP_TEMPLATE);
        let template = merged(self.template, demanded)?;
        let making = Making { demanded, ..context.making(&session, Origin::Unwrap) };
        let mut built = template::build(&template, making)?;
        context.check_may_keep(&session, &built.attributes)?;
        let class = built.class()?;
        if !matches!(class, ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY) {
            return Err(Error::TemplateInconsistent);
        }
        let key_type = built.key_type()?;
        let unwrapping_key = unwrapping.key(&context.daemon.records)?;
        let length = built.given.ulong(AttributeType::VALUE_LEN);
        let material = wrap::unwrap(row, &self.mechanism.params, &unwrapping_key, &self.wrapped_key)?;
        let material = if is_unpadded(row) { shortened(row, &wanted(&built)?, material)? } else { material };
        if length.is_some_and(|length| length != material.len() as u64) {
            return Err(Error::TemplateInconsistent);
        }
        let key = Key::from_untrusted(class, key_type, &material)
            .and_then(|key| session.token.check_size(key_type, &key).map(|()| key))
            .map_err(|_| Error::WrappedKeyInvalid)?;
        template::complete(&mut built, &key, Origin::Unwrap, None)?;
        let object = context.keep(&session, built, Some(key), Origin::Unwrap)?;
        Ok(context.handle(&session, &object))
    }
}

impl Handle for DeriveKey {
    fn handle(mut self, context: &Context<'_>) -> Result<Derived> {
        let session = context.session(self.session)?;
        let row = context.mechanism(&session, self.mechanism.r#type, mechanism::DERIVE)?;
        let base = context.key(&session, self.base_key, &self.mechanism, row, AttributeType::DERIVE)?;
        if base.awaits_login {
            return Err(Error::UserNotLoggedIn);
        }
        let mut templates = vec![self.template];
        if let Params::Sp800108 { further_keys, .. } = &mut self.mechanism.params {
            templates.append(further_keys);
        }
        let params = &self.mechanism.params;
        let derivation = Derivation { context, session: &session, row, base: &base };
        let handles = match row.recipe {
            Recipe::PublicFromPrivate if *params != Params::None => return Err(Error::MechanismParamInvalid),
            Recipe::PublicFromPrivate => derivation.public_key(templates)?,
            Recipe::Hkdf { data: true } => derivation.data(templates, params)?,
            _ => derivation.secret_keys(templates, params)?,
        };
        let (key, further_keys) = handles.split_first().ok_or(Error::MechanismParamInvalid)?;
        Ok(Derived { key: *key, further_keys: further_keys.to_vec(), data: Vec::new() })
    }
}

/// A derivation: what the templates of its keys are completed with.
struct Derivation<'a> {
    context: &'a Context<'a>,
    session: &'a Session,
    row: &'static MechanismRow,
    base: &'a KeyUse,
}

impl Derivation<'_> {
    fn secret_keys(&self, templates: Vec<Template>, params: &Params) -> Result<Vec<u64>> {
        let built = templates
            .into_iter()
            .map(|template| self.build(template, ObjectClass::SECRET_KEY, Some(KeyType::GENERIC_SECRET)))
            .collect::<Result<Vec<_>>>()?;
        let wanted = built.iter().map(wanted).collect::<Result<Vec<_>>>()?;
        let further = |handle| self.further_key(handle).map(|(_, key)| key);
        let keys = derive::derive(self.row, params, &self.base.key, &further, &wanted)?;
        let mut parents = vec![self.base.object.attributes()];
        if let (Recipe::Concatenate(Concatenation::BaseAndKey), Params::Ulong(handle)) =
            (self.row.recipe, params)
        {
            parents.push(self.further_key(*handle)?.0.attributes());
        }
        let made = built
            .into_iter()
            .zip(keys)
            .map(|(mut built, key)| {
                template::complete(&mut built, &key, Origin::Derive, None)?;
                self.inherit(&mut built, &parents)?;
                let derived = Subject { attributes: &built.attributes, bits: key.size_bits() };
                profile::judge_derived_size(self.session.token.profile(), &derived)?;
                Ok((built, key))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut kept: Vec<Arc<Object>> = Vec::with_capacity(made.len());
        for (built, key) in made {
            match self.context.keep(self.session, built, Some(key), Origin::Derive) {
                Ok(object) => kept.push(object),
                Err(error) => {
                    // All of them or none.
                    for object in &kept {
                        self.undo(object)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(kept.iter().map(|object| self.context.handle(self.session, object)).collect())
    }

    fn public_key(&self, templates: Vec<Template>) -> Result<Vec<u64>> {
        if !matches!(*self.base.key, Key::Private(_)) {
            return Err(Error::KeyTypeInconsistent);
        }
        let key = self.base.key.public()?;
        let template = templates.into_iter().next().unwrap_or_default();
        let mut built = self.build(template, ObjectClass::PUBLIC_KEY, self.base.object.key_type)?;
        if built.class()? != ObjectClass::PUBLIC_KEY || Some(built.key_type()?) != self.base.object.key_type {
            return Err(Error::TemplateInconsistent);
        }
        template::complete(&mut built, &key, Origin::Derive, None)?;
        let object = self.context.keep(self.session, built, Some(key), Origin::Derive)?;
        Ok(vec![self.context.handle(self.session, &object)])
    }

    /// `CKM_HKDF_DATA` makes a data object, whose length the template gives as a key's.
    fn data(&self, templates: Vec<Template>, params: &Params) -> Result<Vec<u64>> {
        profile::judge_data_derivation(self.session.token.profile(), &self.base.object.attributes())?;
        let mut template = templates.into_iter().next().unwrap_or_default();
        let is_length = |attribute: &Attribute| attribute.r#type == AttributeType::VALUE_LEN;
        let length = template.iter().position(is_length).map(|index| template.remove(index).value);
        let length = match length {
            None => None,
            Some(Value::Ulong(length)) if (1..=SECRET_BYTES.1).contains(&length) => Some(length as usize),
            Some(_) => return Err(Error::AttributeValueInvalid),
        };
        let mut built = self.build(template, ObjectClass::DATA, None)?;
        if built.class()? != ObjectClass::DATA || built.given.value(AttributeType::VALUE).is_some() {
            return Err(Error::TemplateInconsistent);
        }
        let further = |handle| self.further_key(handle).map(|(_, key)| key);
        let value = derive::data(self.row, params, &self.base.key, &further, length)?;
        built.attributes.set(AttributeType::VALUE, bytes(value.to_vec()));
        let object = self.context.keep(self.session, built, None, Origin::Derive)?;
        Ok(vec![self.context.handle(self.session, &object)])
    }

    /// Reads a template, with what the base key's `CKA_DERIVE_TEMPLATE` demands and what is implied when it is
    /// silent.
    fn build(&self, template: Template, class: ObjectClass, key_type: Option<KeyType>) -> Result<Built> {
        let base = self.base.object.attributes();
        // It speaks of keys; data has some of their attributes.
        let fits = |demand: &&FlatAttribute| {
            class != ObjectClass::DATA || attribute::attribute(demand.r#type, class, None).is_some()
        };
        let demanded: Vec<_> =
            base.template(AttributeType::DERIVE_TEMPLATE).iter().filter(fits).cloned().collect();
        let template = merged(template, &demanded)?;
        let is_named = |r#type| template.iter().any(|attribute| attribute.r#type == r#type);
        let class = (!is_named(AttributeType::CLASS)).then_some(class);
        let key_type = key_type.filter(|_| !is_named(AttributeType::KEY_TYPE));
        let making = Making { class, key_type, ..self.context.making(self.session, Origin::Derive) };
        let built = template::build(&template, making)?;
        self.context.check_may_keep(self.session, &built.attributes)?;
        Ok(built)
    }

    /// A key named by a handle inside the parameter.
    fn further_key(&self, handle: u64) -> Result<(Arc<Object>, Arc<Key>)> {
        let object = self.context.object(self.session, handle).map_err(|_| Error::KeyHandleInvalid)?;
        if object.class != ObjectClass::SECRET_KEY {
            return Err(Error::KeyHandleInvalid);
        }
        object.admit(Time::now())?;
        self.context.check_may(self.session, &object, "P11.C_DeriveKey")?;
        object.check_rules(&self.session.token, false, Time::now())?;
        let key = object.key(&self.context.daemon.records)?;
        Ok((object, key))
    }

    /// What a key takes over from those it is made of: the history of being sensitive and unextractable always
    /// (PKCS#11 3.2, 6.20.6 and its like); being so itself, where its value gives away theirs (6.43), and in
    /// `strict` everywhere.
    fn inherit(&self, built: &mut Built, parents: &[Arc<Attributes>]) -> Result<()> {
        let reversible = matches!(self.row.recipe, Recipe::Concatenate(_) | Recipe::Xor | Recipe::Extract);
        let strict = self.session.token.profile() == Profile::Strict;
        for (r#type, history, protected) in [
            (AttributeType::SENSITIVE, AttributeType::ALWAYS_SENSITIVE, true),
            (AttributeType::EXTRACTABLE, AttributeType::NEVER_EXTRACTABLE, false),
        ] {
            let is_protected = |attributes: &Attributes| attributes.is_true(r#type) == protected;
            let kept = reversible || strict && !profile::derives_freely(&parents[0], r#type, protected);
            if kept && parents.iter().any(|parent| is_protected(parent)) {
                if built.given.value(r#type).is_some_and(|given| *given != Value::Bool(protected)) {
                    return Err(Error::TemplateInconsistent);
                }
                built.attributes.set(r#type, Value::Bool(protected));
            }
            let always =
                is_protected(&built.attributes) && parents.iter().all(|parent| parent.is_true(history));
            built.attributes.set(history, Value::Bool(always));
        }
        Ok(())
    }

    fn undo(&self, object: &Arc<Object>) -> Result<()> {
        if object.is_token() {
            self.context.daemon.destroy_token_object(&self.session.token, object)
        } else {
            self.context.application.table.remove(object.handle);
            Ok(())
        }
    }
}

/// Type and length of the secret key that a template asks for.
fn wanted(built: &Built) -> Result<Wanted> {
    if built.class()? != ObjectClass::SECRET_KEY {
        return Err(Error::TemplateInconsistent);
    }
    let length = built.given.ulong(AttributeType::VALUE_LEN);
    let length = length.map(|length| usize::try_from(length).map_err(|_| Error::KeySizeRange)).transpose()?;
    Ok(Wanted { key_type: built.key_type()?, length })
}

fn domain_parameters(
    context: &Context<'_>,
    session: &Session,
    row: &'static MechanismRow,
    template: &[Attribute],
    params: &Params,
) -> Result<u64> {
    if *params != Params::None {
        return Err(Error::MechanismParamInvalid);
    }
    let key_type = made_type(row)?;
    let making = making(context, session, ObjectClass::DOMAIN_PARAMETERS, key_type);
    let mut built = template::build(template, making)?;
    context.check_may_keep(session, &built.attributes)?;
    for (r#type, value) in field::parameters(key_type, &|r#type| built.given.value(r#type).cloned())? {
        built.attributes.set(r#type, value);
    }
    template::complete_parameters(&mut built, Origin::Generate)?;
    let object = context.keep(session, built, None, Origin::Generate)?;
    Ok(context.handle(session, &object))
}

/// The type of the keys that a generating mechanism makes.
fn made_type(row: &MechanismRow) -> Result<KeyType> {
    row.key_types.first().copied().ok_or(Error::MechanismInvalid)
}

fn making(
    context: &Context<'_>,
    session: &Session,
    class: ObjectClass,
    key_type: KeyType,
) -> Making<'static> {
    Making { class: Some(class), key_type: Some(key_type), ..context.making(session, Origin::Generate) }
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
        let key = self.key(session, handle, mechanism, row, usage)?;
        // These functions have no Init after which a context-specific login could come.
        if key.awaits_login { Err(Error::UserNotLoggedIn) } else { Ok(key.object) }
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

/// True for mechanisms that wrap the bare value of a secret key, filled up with zeros: behind for a block cipher
/// (PKCS#11 3.2, 6.10.5), before for a number (6.1.7).
fn is_unpadded(row: &MechanismRow) -> bool {
    matches!(row.recipe, Recipe::RsaX509 | Recipe::Cipher(_, Mode::Ecb | Mode::Cbc))
}

/// The value without the zeros, when type or template say how long it is.
fn shortened(
    row: &MechanismRow,
    wanted: &Wanted,
    mut value: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>> {
    let Some(length) = wanted.fixed_length()? else { return Ok(value) };
    if length > value.len() {
        return Err(Error::WrappedKeyLenRange);
    }
    if row.recipe == Recipe::RsaX509 {
        return Ok(Zeroizing::new(value[value.len() - length..].to_vec()));
    }
    value.truncate(length);
    Ok(value)
}

/// The caller's template with what the `CKA_UNWRAP_TEMPLATE` or `CKA_DERIVE_TEMPLATE` of a key demands.
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
        Error::KeyHandleInvalid | Error::VersionScheduled { .. } => Error::WrappingKeyHandleInvalid,
        Error::KeyTypeInconsistent => Error::WrappingKeyTypeInconsistent,
        error => error,
    }
}

fn as_unwrapping(error: Error) -> Error {
    match error {
        Error::KeyHandleInvalid | Error::VersionScheduled { .. } => Error::UnwrappingKeyHandleInvalid,
        Error::KeyTypeInconsistent => Error::UnwrappingKeyTypeInconsistent,
        error => error,
    }
}
