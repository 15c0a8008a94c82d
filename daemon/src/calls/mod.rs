//! The meaning of each C_*, one file per chapter of the standard, with the same names as the module's `abi/`.

pub mod audited;
mod decrypt;
mod digest;
mod dual;
mod encrypt;
mod general;
mod key;
mod large;
mod object;
mod order;
mod random;
mod session;
mod sign;
mod slot_token;
mod verify;

use std::sync::Arc;

use claviger_protocol::call::Call;
use claviger_protocol::mechanism::{self, MechanismRow, Recipe};
use claviger_protocol::params::{Mechanism, Params};
use claviger_protocol::{AttributeType, MechanismType};

use crate::access::action::{SEE_KEY, SEE_RING};
use crate::access::permit::{Permit, Remembered, action_of_use};
use crate::access::{Question, Target, Who};
use crate::application::Application;
use crate::audit::{Principal, Use};
use crate::crypto::Direction;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::handle;
use crate::kms::algorithm::Purpose;
use crate::kms::cryptography::ServiceCipher;
use crate::kms::time::Time;
use crate::object::Object;
use crate::operation::{CipherOperation, KeyUse};
use crate::profile;
use crate::session::Session;
use crate::session_table::User;
use crate::sharing::{Input, Sharing, Span};
use crate::template::{Making, Origin};
use crate::token::Token;

/// A call that the daemon answers.
pub trait Handle: Call {
    /// Performs the call.
    ///
    /// # Errors
    /// The fact that stops it.
    fn handle(self, context: &Context<'_>) -> Result<Self::Reply>;
}

/// Who calls.
pub struct Context<'a> {
    /// The daemon.
    pub daemon: &'a Arc<Daemon>,
    /// The caller's application.
    pub application: &'a Arc<Application>,
    /// False once the caller has closed its end.
    pub alive: &'a dyn Fn() -> bool,
    /// What the connection shares.
    pub sharing: &'a Sharing,
    /// The call's data, when it is there.
    pub span: Option<&'a Span>,
}

impl Context<'_> {
    /// The call's data: what its frame has, unless it is elsewhere.
    pub fn input<'data>(&self, data: &'data [u8]) -> Input<'data> {
        self.span.map_or(Input::Frame(data), |span| Input::Memory(span.clone()))
    }

    /// A session of the caller.
    pub fn session(&self, handle: u64) -> Result<Arc<Session>> {
        let session = self.application.table.session(handle)?;
        if session.token.is_shut() {
            return Err(Error::TokenShut);
        }
        // A token that is no longer to be seen is as good as taken out of its slot.
        if session.sight.is_allowed(self.remembered()) {
            Ok(session)
        } else {
            Err(Error::SessionHandleInvalid)
        }
    }

    /// What the caller's application remembers of what it may do.
    pub fn remembered(&self) -> Option<&Remembered> {
        Some(&self.application.permits)
    }

    /// The caller's wish to do something on a token, logged in as that.
    pub fn permit(&self, token: &Arc<Token>, login: Option<User>, action: &'static str) -> Permit {
        Permit::new(self.daemon, &self.application.identity, login, token, action)
    }

    /// Allows the caller an action on an object of the session's token; session objects that are no copies of keys
    /// are the application's own.
    ///
    /// # Errors
    /// `PermissionDenied`, `UserNotLoggedIn`.
    pub fn check_may(&self, session: &Session, object: &Object, action: &'static str) -> Result<()> {
        match self.permit_on(session, object, action) {
            Some(permit) => permit.check(self.remembered()),
            None => Ok(()),
        }
    }

    fn permit_on(&self, session: &Session, object: &Object, action: &'static str) -> Option<Permit> {
        use crate::object::Home;
        let key = match &object.home {
            Home::Builtin | Home::Session { origin: None, .. } => return None,
            Home::Token { .. } => None,
            Home::Version(cell) | Home::Session { origin: Some(cell), .. } => Some(cell),
        };
        let login = self.application.table.login(session.slot);
        Some(self.permit(&session.token, login, action).about(key, object.is_private()))
    }

    /// Allows the caller to make a ring of the free slot.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn check_may_create_ring(&self) -> Result<()> {
        let who = Who::process(self.application.identity.clone());
        let target = Target::location("local", "global");
        let question = Question {
            who: &who,
            action: "CreateKeyRing",
            target: &target,
            via_pkcs11: true,
            private: false,
            now: Time::now(),
        };
        match self.daemon.access.decide(&question).allowed {
            true => Ok(()),
            false => Err(Error::PermissionDenied {
                principal: who.name(),
                action: question.action.to_owned(),
                resource: target.name().to_owned(),
            }),
        }
    }

    /// The slots that the caller sees.
    pub fn slots(&self) -> Vec<u64> {
        self.daemon.slots_of(&self.application.identity, self.remembered())
    }

    /// True when the caller may see an object of the session's token at all.
    pub fn sees(&self, session: &Session, object: &Object, user: bool) -> bool {
        if object.is_private() && !user {
            return false;
        }
        match self.permit_on(session, object, SEE_KEY) {
            Some(permit) => permit.is_allowed(self.remembered()),
            None => true,
        }
    }

    /// A read-write session of the caller.
    pub fn read_write_session(&self, handle: u64) -> Result<Arc<Session>> {
        let session = self.session(handle)?;
        if session.read_write { Ok(session) } else { Err(Error::SessionReadOnly) }
    }

    /// The token in a slot; the free slot at the end has none that is initialised.
    pub fn token(&self, slot: u64) -> Result<Arc<Token>> {
        let token = self.daemon.catalog.token(slot);
        match token {
            Some(token) if self.permit(&token, None, SEE_RING).is_allowed(self.remembered()) => {
                if token.is_shut() { Err(Error::TokenShut) } else { Ok(token) }
            }
            Some(_) => Err(Error::SlotIdInvalid),
            None if slot == self.daemon.free_slot() => Err(Error::TokenNotInitialized),
            None => Err(Error::SlotIdInvalid),
        }
    }

    /// True when the user (not the security officer) is logged in on the session's token.
    pub fn is_user(&self, session: &Session) -> bool {
        self.application.table.login(session.slot) == Some(User::User)
    }

    /// True when the security officer is logged in on the session's token.
    pub fn is_so(&self, session: &Session) -> bool {
        self.application.table.login(session.slot) == Some(User::So)
    }

    /// What is known of every object that a function of this kind makes.
    pub fn making(&self, session: &Session, origin: Origin) -> Making<'static> {
        let (so, profile) = (self.is_so(session), session.token.profile());
        Making { origin, class: None, key_type: None, so, profile, demanded: &[] }
    }

    /// An object that the session can see: private ones need the user logged in.
    pub fn object(&self, session: &Session, handle: u64) -> Result<Arc<Object>> {
        let object = match self.application.table.object(handle) {
            Some(object) if matches!(object.home, crate::object::Home::Session { slot, .. } if slot == session.slot) => {
                object
            }
            Some(_) => return Err(Error::ObjectHandleInvalid),
            None => match session.token.object(handle::stored(handle)) {
                Some(object) if self.handle(session, &object) == handle => object,
                Some(_) => return Err(Error::ObjectHandleInvalid),
                None => builtin_object(session, handle)?,
            },
        };
        let visible = object.is_visible(Time::now()) && self.sees(session, &object, self.is_user(session));
        if visible { Ok(object) } else { Err(Error::ObjectHandleInvalid) }
    }

    /// The handle by which the application knows an object.
    pub fn handle(&self, session: &Session, object: &Object) -> u64 {
        if object.is_token() && object.is_private() {
            handle::shown(object.handle, self.application.table.logouts(session.slot))
        } else {
            object.handle
        }
    }

    /// A mechanism as the session's token offers it for a function, given by its `CKF_*` flag.
    pub fn mechanism(
        &self,
        session: &Session,
        r#type: MechanismType,
        flag: u64,
    ) -> Result<&'static MechanismRow> {
        mechanism::mechanism(r#type)
            .filter(|row| session.token.functions(row) & flag != 0)
            .ok_or(Error::MechanismInvalid)
    }

    /// A key for an operation: its handle is good, its type fits the mechanism, its usage flag `usage` and
    /// `CKA_ALLOWED_MECHANISMS` permit it, and its version is enabled. The use is recorded, and so is one that is
    /// refused.
    pub fn key(
        &self,
        session: &Session,
        handle: u64,
        mechanism: &Mechanism,
        row: &'static MechanismRow,
        usage: AttributeType,
    ) -> Result<KeyUse> {
        let admitted = self.admit_key(session, handle, mechanism, row, usage);
        let operation = used_by(usage);
        let found = match &admitted {
            Ok(_) => None,
            Err(Error::VersionScheduled { version }) => {
                let by = Principal::Peer(self.application.peer);
                self.daemon.scheduled_use(version, &by, operation);
                self.daemon.catalog.scheduled_by_name(version)
            }
            Err(_) => self.object(session, handle).ok().and_then(|object| object.origin().cloned()),
        };
        let version = admitted.as_ref().map_or(found.as_ref(), |key| key.object.origin());
        self.daemon.audit.used(&Use {
            operation,
            version,
            name: "",
            token: Some(&session.token),
            mechanism: Some(mechanism.r#type.0),
            session: session.handle,
            login: self.application.table.login(session.slot),
            peer: self.application.peer,
            error: admitted.as_ref().err(),
        })?;
        admitted
    }

    fn admit_key(
        &self,
        session: &Session,
        handle: u64,
        mechanism: &Mechanism,
        row: &'static MechanismRow,
        usage: AttributeType,
    ) -> Result<KeyUse> {
        let object = self.object(session, handle).map_err(|_| self.no_key(session, handle))?;
        if !object.is_key() {
            return Err(Error::KeyHandleInvalid);
        }
        object.admit(Time::now())?;
        if !object.key_type.is_some_and(|key_type| row.key_types.contains(&key_type)) {
            return Err(Error::KeyTypeInconsistent);
        }
        let attributes = object.attributes();
        if !attributes.is_true(usage) {
            return Err(Error::KeyFunctionNotPermitted);
        }
        object.check_rules(&session.token, row.recipe == Recipe::KmsEnvelope, Time::now())?;
        profile::judge_use(session.token.profile(), &attributes, usage)?;
        if !attributes.allows(mechanism.r#type) {
            return Err(Error::MechanismInvalid);
        }
        let key = object.key(&self.daemon.records)?;
        if let Some(key_type) = object.key_type {
            session.token.check_size(key_type, &key).map_err(|_| Error::KeySizeRange)?;
        }
        let awaits_login = attributes.is_true(AttributeType::ALWAYS_AUTHENTICATE);
        let purpose = object.origin().and_then(|cell| self.daemon.catalog.key(&cell.key));
        let purpose = purpose.map(|key| key.record().purpose);
        let of_service = object.is_view() && purpose == Some(Purpose::EncryptDecrypt);
        if row.recipe == Recipe::KmsEnvelope && !of_service {
            return Err(Error::KeyTypeInconsistent);
        }
        let permit = self.permit_on(session, &object, action_of_use(usage, object.class, purpose));
        if let Some(permit) = &permit {
            permit.check(self.remembered())?;
        }
        // A copy in a session is the version too.
        if let Some(cell) = object.origin() {
            self.daemon.gate_use(cell, usage, self.application.peer.uid)?;
        }
        let limit = self.daemon.settings.strict_gcm_encryptions;
        let counts =
            usage == AttributeType::ENCRYPT && profile::limits_encryptions(session.token.profile(), row);
        if counts && object.count_encryption() > limit {
            return Err(Error::KeyFunctionNotPermitted);
        }
        Ok(KeyUse { object, key, awaits_login, permit })
    }

    /// An encryption or decryption with a key that was admitted.
    pub fn cipher(
        &self,
        direction: Direction,
        row: &'static MechanismRow,
        params: Params,
        key: KeyUse,
    ) -> Result<CipherOperation> {
        if row.recipe != Recipe::KmsEnvelope {
            return CipherOperation::new(direction, row, params, key);
        }
        let version = key.object.origin().ok_or(Error::KeyTypeInconsistent)?;
        let peer = self.application.peer;
        let service = ServiceCipher::new(self.daemon, version, key.key.clone(), direction, &params, peer)?;
        Ok(CipherOperation::of_service(direction, row, service, key))
    }

    /// What is wrong with a handle that names no key: perhaps it named one that is scheduled for destruction.
    fn no_key(&self, session: &Session, handle: u64) -> Error {
        match self.daemon.catalog.scheduled_by_handle(handle) {
            Some(version) if version.ring == session.token.uid => {
                Error::VersionScheduled { version: version.name() }
            }
            _ => Error::KeyHandleInvalid,
        }
    }
}

fn builtin_object(session: &Session, handle: u64) -> Result<Arc<Object>> {
    let objects = session.token.builtin()?;
    objects.into_iter().find(|object| object.handle == handle).ok_or(Error::ObjectHandleInvalid)
}

/// The name in the audit log of what a key with this usage flag is used for.
fn used_by(usage: AttributeType) -> &'static str {
    match usage {
        AttributeType::ENCRYPT => "P11.C_Encrypt",
        AttributeType::DECRYPT => "P11.C_Decrypt",
        AttributeType::SIGN => "P11.C_Sign",
        AttributeType::SIGN_RECOVER => "P11.C_SignRecover",
        AttributeType::VERIFY => "P11.C_Verify",
        AttributeType::VERIFY_RECOVER => "P11.C_VerifyRecover",
        AttributeType::WRAP => "P11.Wrap",
        AttributeType::UNWRAP => "P11.Unwrap",
        AttributeType::DERIVE => "P11.Derive",
        _ => "P11.Use",
    }
}
