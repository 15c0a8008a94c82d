//! Object management functions (PKCS#11 3.2, section 5.7).

use std::collections::VecDeque;
use std::sync::Arc;

use claviger_protocol::call::{
    CopyObject, CreateObject, DestroyObject, FindFirst, FindObjects, FindObjectsFinal, FindObjectsInit,
    Found, GetAttributeValue, GetObjectSize, SetAttributeValue,
};
use claviger_protocol::frame::MAX_DATA_BYTES;
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::template::{Attribute, AttributeReply, Template, Value};
use claviger_protocol::{AttributeType, attribute};

use super::{Context, Handle, order};
use crate::attributes::Attributes;
use crate::builtin;
use crate::crypto::key::Key;
use crate::error::{Error, Result};
use crate::kms::objects::Pkcs11Key;
use crate::kms::state::VersionState;
use crate::kms::time::Time;
use crate::lock;
use crate::object::{Home, Object};
use crate::operation::Find;
use crate::session::Session;
use crate::template::{self, Built, Origin};

impl Handle for CreateObject {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        let session = context.session(self.session)?;
        let making = context.making(&session, Origin::Create);
        let mut built = template::build(&self.template, making)?;
        context.check_may_keep(&session, &built.attributes)?;
        let class = built.class()?;
        let key = if is_key(class) {
            let key_type = built.key_type()?;
            let key = Key::from_components(class, key_type, &|r#type| built.given.value(r#type).cloned())?;
            session.token.check_size(key_type, &key).map_err(|error| match error {
                Error::KeySizeRange => Error::AttributeValueInvalid,
                error => error,
            })?;
            template::complete(&mut built, &key, Origin::Create, None)?;
            Some(key)
        } else {
            match class {
                ObjectClass::CERTIFICATE => template::complete_certificate(&mut built.attributes)?,
                ObjectClass::DOMAIN_PARAMETERS => template::complete_parameters(&mut built, Origin::Create)?,
                _ => {}
            }
            None
        };
        let object = context.keep(&session, built, key, Origin::Create)?;
        Ok(context.handle(&session, &object))
    }
}

impl Handle for CopyObject {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        let session = context.session(self.session)?;
        let object = context.object(&session, self.object)?;
        if object.is_key() {
            object.admit(Time::now())?;
        }
        let profile = session.token.profile();
        let attributes =
            template::copy(&object.attributes(), &self.template, context.is_so(&session), profile)?;
        let built = Built { attributes, given: Attributes::default() };
        let key = match object.is_key() {
            true => Some(object.key(&context.daemon.records)?),
            false => None,
        };
        if !built.attributes.is_true(AttributeType::TOKEN) {
            context.check_may_keep(&session, &built.attributes)?;
            return Ok(context.keep_in_session(&session, built.attributes, key, Some(&object))?.handle);
        }
        let copy = context.keep_shared(&session, built, key, Origin::Create)?;
        context.share_encryptions(&object, &copy)?;
        Ok(context.handle(&session, &copy))
    }
}

impl Handle for DestroyObject {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let object = context.object(&session, self.object)?;
        if object.is_token() && !session.read_write {
            return Err(Error::SessionReadOnly);
        }
        context.check_may_change(&session, &object)?;
        if !object.attributes().is_true(AttributeType::DESTROYABLE) {
            return Err(Error::ActionProhibited);
        }
        if object.is_token() {
            context.check_may(&session, &object, "ScheduleKeyDeletion")?;
            context.daemon.destroy_token_object(&session.token, &object)
        } else {
            context.application.table.remove(object.handle);
            Ok(())
        }
    }
}

impl Handle for GetObjectSize {
    fn handle(self, context: &Context<'_>) -> Result<u64> {
        let session = context.session(self.session)?;
        Ok(context.object(&session, self.object)?.size())
    }
}

impl Handle for GetAttributeValue {
    fn handle(self, context: &Context<'_>) -> Result<Vec<AttributeReply>> {
        let session = context.session(self.session)?;
        let object = context.object(&session, self.object)?;
        if self.types.len() > MAX_ATTRIBUTES {
            return Err(Error::ArgumentsBad);
        }
        let now = Time::now();
        let (mut replies, mut room) = (Vec::with_capacity(self.types.len()), MAX_DATA_BYTES);
        // To read a secret is to take the key out, as wrapping is.
        let secret = matches!(object.class, ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY);
        let asks = secret && self.types.iter().any(|r#type| attribute::may_be_sensitive(*r#type));
        let keeps_secret = asks && context.check_may(&session, &object, "P11.C_WrapKey").is_err();
        for r#type in self.types {
            let reply = match object.reveal(r#type, context.daemon, now)? {
                AttributeReply::Value(_) if keeps_secret && attribute::may_be_sensitive(r#type) => {
                    AttributeReply::Sensitive
                }
                reply => reply,
            };
            if let AttributeReply::Value(Value::Bytes(value)) = &reply {
                room = room.checked_sub(value.len()).ok_or(Error::DeviceMemory)?;
            }
            replies.push(reply);
        }
        Ok(replies)
    }
}

impl Handle for SetAttributeValue {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let object = context.object(&session, self.object)?;
        if object.is_token() && !session.read_write {
            return Err(Error::SessionReadOnly);
        }
        context.check_may_change(&session, &object)?;
        let so = context.is_so(&session);
        let profile = session.token.profile();
        let change = |current: &Attributes| {
            let changed = template::change(current, &self.template, so, profile)?;
            if object.made_by_key_service() && template::widens_usage(current, &changed) {
                return Err(Error::AttributeReadOnly);
            }
            check_size(&changed)?;
            Ok(changed)
        };
        if object.is_token() {
            context.check_may(&session, &object, "UpdateKey")?;
            context.daemon.set_token_attributes(&session.token, &object, change)
        } else {
            object.change_attributes(change)
        }
    }
}

impl Handle for FindObjectsInit {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        if operations.find.is_some() {
            return Err(Error::OperationActive);
        }
        let rest = search(context, &session, &self.template, |_| false)?;
        operations.find = Some(Find { rest });
        Ok(())
    }
}

impl Handle for FindFirst {
    /// Nothing stays behind of a search whose objects are all in the answer.
    fn handle(self, context: &Context<'_>) -> Result<Found> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        if operations.find.is_some() {
            return Err(Error::OperationActive);
        }
        let max = usize::try_from(self.max).unwrap_or(usize::MAX).min(MAX_DESCRIBED);
        let (mut objects, mut bytes) = (Vec::new(), 0);
        let rest = search(context, &session, &self.template, |object| {
            let takes = objects.len() < max && bytes < MAX_DESCRIBED_BYTES;
            if takes {
                let template = described(object);
                bytes += template.iter().map(size_of_value).sum::<usize>();
                objects.push((context.handle(&session, object), template));
            }
            takes
        })?;
        let more = !rest.is_empty();
        operations.find = more.then_some(Find { rest });
        Ok(Found { objects, more })
    }
}

/// Looks for objects. `take` sees them in the order in which they are given, until it refuses one; gives the handles of that
/// one and the others.
fn search(
    context: &Context<'_>,
    session: &Session,
    template: &[Attribute],
    mut take: impl FnMut(&Object) -> bool,
) -> Result<VecDeque<u64>> {
    let (daemon, now) = (context.daemon, Time::now());
    let shows_disabled = daemon.settings.show_disabled;
    let user = context.is_user(session);
    let mut rest = VecDeque::new();
    let mut found = |object: &Object| {
        if !rest.is_empty() || !take(object) {
            rest.push_back(context.handle(session, object));
        }
    };
    let candidates = match builtin::wanted_class(template) {
        Some(_) => session.token.builtin()?,
        None => session.token.candidates(template),
    };
    let mut seen = Vec::new();
    for object in candidates {
        let visible = match object.state(now) {
            VersionState::Enabled => true,
            VersionState::Disabled => shows_disabled,
            _ => false,
        };
        if visible && context.sees(session, &object, user) && object.matches(template, daemon, now)? {
            seen.push(object);
        }
    }
    let rule = session.token.ring().rules.find_versions;
    order::versions(daemon, seen, rule, now).iter().for_each(|object| found(object));
    for object in context.application.find(session.slot, template, daemon, now)? {
        if context.sees(session, &object, user) {
            found(&object);
        }
    }
    Ok(rest)
}

/// What applications ask of the objects that they find; nothing that is ever sensitive.
const DESCRIBED: [AttributeType; 6] = [
    AttributeType::CLASS,
    AttributeType::KEY_TYPE,
    AttributeType::TOKEN,
    AttributeType::PRIVATE,
    AttributeType::LABEL,
    AttributeType::ID,
];
/// Most objects that one answer describes, and about how many bytes of values.
const MAX_DESCRIBED: usize = 256;
const MAX_DESCRIBED_BYTES: usize = 64 << 10;

fn described(object: &Object) -> Template {
    let attributes = object.attributes();
    let attribute = |r#type| attributes.value(r#type).map(|value| Attribute { r#type, value: value.clone() });
    DESCRIBED.into_iter().filter_map(attribute).collect()
}

fn size_of_value(attribute: &Attribute) -> usize {
    match &attribute.value {
        Value::Bytes(bytes) => bytes.len(),
        _ => size_of::<u64>(),
    }
}

impl Handle for FindObjects {
    fn handle(self, context: &Context<'_>) -> Result<Vec<u64>> {
        let session = context.session(self.session)?;
        let mut operations = lock::lock(&session.operations);
        let find = operations.find.as_mut().ok_or(Error::OperationNotInitialized)?;
        let count = find.rest.len().min(usize::try_from(self.max).unwrap_or(usize::MAX)).min(MAX_FOUND);
        Ok(find.rest.drain(..count).collect())
    }
}

impl Handle for FindObjectsFinal {
    fn handle(self, context: &Context<'_>) -> Result<()> {
        let session = context.session(self.session)?;
        let find = lock::lock(&session.operations).find.take();
        find.map(drop).ok_or(Error::OperationNotInitialized)
    }
}

/// Most attributes in one `C_GetAttributeValue`; an object has about fifty.
const MAX_ATTRIBUTES: usize = 1024;

/// Largest object, in bytes of its attributes.
const MAX_OBJECT_BYTES: u64 = 256 << 10;

/// `DeviceMemory` for an object beyond [`MAX_OBJECT_BYTES`].
fn check_size(attributes: &Attributes) -> Result<()> {
    if attributes.size() > MAX_OBJECT_BYTES { Err(Error::DeviceMemory) } else { Ok(()) }
}

/// Most handles in one reply of `C_FindObjects`, so that it fits a frame.
const MAX_FOUND: usize = 65_536;

fn is_key(class: ObjectClass) -> bool {
    matches!(class, ObjectClass::PUBLIC_KEY | ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY)
}

impl Context<'_> {
    /// Keeps a new object, in the token or in the session as its `CKA_TOKEN` says.
    ///
    /// # Errors
    /// `SessionReadOnly` and `UserNotLoggedIn` as PKCS#11 3.2, section 5.6.1 gives them, else what the store says.
    pub fn keep(
        &self,
        session: &Session,
        built: Built,
        key: Option<Key>,
        origin: Origin,
    ) -> Result<Arc<Object>> {
        self.keep_shared(session, built, key.map(Arc::new), origin)
    }

    /// As [`Context::keep`], with a key that other objects use too.
    pub fn keep_shared(
        &self,
        session: &Session,
        built: Built,
        key: Option<Arc<Key>>,
        origin: Origin,
    ) -> Result<Arc<Object>> {
        let attributes = built.attributes;
        self.check_may_keep(session, &attributes)?;
        if !attributes.is_true(AttributeType::TOKEN) {
            return self.keep_in_session(session, attributes, key, None);
        }
        let holds_secret =
            matches!(attributes.class(), Some(ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY));
        let token = &session.token;
        match key {
            Some(key) if holds_secret => {
                let generated = origin == Origin::Generate;
                let new = Pkcs11Key { objects: vec![attributes], key: &key, generated };
                let objects = self.daemon.create_pkcs11_key(token, new)?;
                objects.into_iter().next().ok_or(Error::ObjectHandleInvalid)
            }
            _ => self.daemon.create_plain_object(token, attributes),
        }
    }

    /// Keeps the two halves of a generated pair: public first, then private.
    ///
    /// # Errors
    /// As [`Context::keep`].
    pub fn keep_pair(
        &self,
        session: &Session,
        public: Built,
        private: Built,
        key: Key,
    ) -> Result<(u64, u64)> {
        self.check_may_keep(session, &public.attributes)?;
        self.check_may_keep(session, &private.attributes)?;
        let in_token = |built: &Built| built.attributes.is_true(AttributeType::TOKEN);
        if in_token(&public) && in_token(&private) {
            let objects = vec![private.attributes, public.attributes];
            let new = Pkcs11Key { objects, key: &key, generated: true };
            let objects = self.daemon.create_pkcs11_key(&session.token, new)?;
            return match objects.as_slice() {
                [private, public] => Ok((self.handle(session, public), self.handle(session, private))),
                _ => Err(Error::ObjectHandleInvalid),
            };
        }
        let public_key = key.public()?;
        let private = self.keep(session, private, Some(key), Origin::Generate)?;
        let public = self.keep(session, public, Some(public_key), Origin::Generate)?;
        Ok((self.handle(session, &public), self.handle(session, &private)))
    }

    /// Admits a change to an object: what the admin made is not for those without a PIN, public or not.
    ///
    /// # Errors
    /// `UserNotLoggedIn`.
    fn check_may_change(&self, session: &Session, object: &Object) -> Result<()> {
        match object.made_by_key_service() && !self.is_user(session) {
            true => Err(Error::UserNotLoggedIn),
            false => Ok(()),
        }
    }

    /// Admits an object with these attributes to this session.
    ///
    /// # Errors
    /// `SessionReadOnly`, `UserNotLoggedIn`, `DeviceMemory`.
    pub fn check_may_keep(&self, session: &Session, attributes: &Attributes) -> Result<()> {
        if attributes.is_true(AttributeType::TOKEN) && !session.read_write {
            return Err(Error::SessionReadOnly);
        }
        let private = attributes.is_true(AttributeType::PRIVATE);
        if private && !self.is_user(session) {
            return Err(Error::UserNotLoggedIn);
        }
        if attributes.is_true(AttributeType::TOKEN) {
            let login = self.application.table.login(session.slot);
            let permit = self.permit(&session.token, login, "CreateKey").about(None, private);
            permit.check(self.remembered())?;
        }
        check_size(attributes)
    }

    /// One key in two versions has one limit (NIST SP 800-38D, 8.3): an original and its copy on the token get half each of
    /// the GCM encryptions that `strict` leaves to the original.
    fn share_encryptions(&self, original: &Object, copy: &Object) -> Result<()> {
        if original.key_type != Some(KeyType::AES) {
            return Ok(());
        }
        let limit = self.daemon.settings.strict_gcm_encryptions;
        let left = limit.saturating_sub(original.encryptions());
        original.spend_encryptions(self.daemon, left - left / 2);
        copy.spend_encryptions(self.daemon, limit - left / 2);
        // Not with the next minute: a daemon that is killed before would forget it.
        self.daemon.flush_usage()
    }

    fn keep_in_session(
        &self,
        session: &Session,
        mut attributes: Attributes,
        key: Option<Arc<Key>>,
        original: Option<&Object>,
    ) -> Result<Arc<Object>> {
        let uid = crate::kms::rings::new_uid()?;
        attributes.set(AttributeType::UNIQUE_ID, crate::object::HexUid::from(&uid).into());
        let origin = original.and_then(Object::origin).cloned();
        let home = Home::Session { session: session.handle, slot: session.slot, origin };
        let mut object = Object::new(self.daemon.handles.next(), home, attributes, key)?;
        original.iter().for_each(|original| object.count_with(original));
        let object = Arc::new(object);
        self.application.insert(object.clone())?;
        Ok(object)
    }
}
