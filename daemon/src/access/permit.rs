//! Permits of PKCS#11 applications: decisions that are remembered as long as nothing has changed, so that signing
//! does not read policies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use claviger_protocol::{AttributeType, ObjectClass};

use super::evaluate::{Question, Target};
use super::identity::{Identity, Who};
use crate::catalog::VersionCell;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::algorithm::Purpose;
use crate::kms::record::Uid;
use crate::kms::time::Time;
use crate::lock;
use crate::map::Map;
use crate::session_table::User;
use crate::token::Token;

/// Decisions that one application remembers; beyond, it starts anew.
const MAX_REMEMBERED: usize = 65_536;

/// What a decision was about: ring or key, action, login, `CKA_PRIVATE`.
type Subject = (Uid, &'static str, Option<User>, bool);

/// Decisions that an application remembers.
#[derive(Default)]
pub struct Remembered(Mutex<(u64, Map<Subject, bool>)>);

/// Somebody's wish to do something on a token, through PKCS#11.
pub struct Permit {
    /// The daemon.
    pub daemon: Arc<Daemon>,
    /// Who.
    pub identity: Arc<Identity>,
    /// As whom they are logged in.
    pub login: Option<User>,
    /// On which token.
    pub token: Arc<Token>,
    /// With a version of this key; none: with the token itself.
    pub key: Option<Arc<VersionCell>>,
    /// What.
    pub action: &'static str,
    /// Whether it is about an object with `CKA_PRIVATE`.
    pub private: bool,
    /// The policies' generation for which it was last allowed; 1 is none, since remembered ones are even.
    allowed_in: AtomicU64,
}

impl Permit {
    /// A wish that nobody has decided about.
    pub fn new(
        daemon: &Arc<Daemon>,
        identity: &Arc<Identity>,
        login: Option<User>,
        token: &Arc<Token>,
        action: &'static str,
    ) -> Permit {
        Permit {
            daemon: daemon.clone(),
            identity: identity.clone(),
            login,
            token: token.clone(),
            key: None,
            action,
            private: false,
            allowed_in: AtomicU64::new(1),
        }
    }

    /// The same, about an object of a key or, without one, of the token alone.
    #[must_use]
    pub fn about(mut self, key: Option<&Arc<VersionCell>>, private: bool) -> Permit {
        self.key = key.cloned();
        self.private = private;
        self
    }

    /// True when it is allowed now; looks first at what is remembered.
    pub fn is_allowed(&self, remembered: Option<&Remembered>) -> bool {
        let generation = self.daemon.access.generation();
        if let Some(generation) = generation
            && self.allowed_in.load(Ordering::Acquire) == generation
        {
            return true;
        }
        let subject = (
            self.key.as_ref().map_or(self.token.uid, |cell| cell.key),
            self.action,
            self.login,
            self.private,
        );
        if let (Some(generation), Some(Remembered(remembered))) = (generation, remembered) {
            let remembered = lock::lock(remembered);
            if remembered.0 == generation
                && let Some(allowed) = remembered.1.get(&subject)
            {
                self.note(generation, *allowed);
                return *allowed;
            }
        }
        let allowed = self.decide(self.login);
        // Had a policy changed meanwhile, its generation would be another one by now.
        if let Some(generation) = generation {
            self.note(generation, allowed);
            if let Some(Remembered(remembered)) = remembered {
                let mut remembered = lock::lock(remembered);
                if remembered.0 != generation || remembered.1.len() >= MAX_REMEMBERED {
                    *remembered = (generation, Map::default());
                }
                remembered.1.insert(subject, allowed);
            }
        }
        allowed
    }

    /// Allows it or not.
    ///
    /// # Errors
    /// `UserNotLoggedIn` when a login as the user is all that is missing, else `PermissionDenied`.
    pub fn check(&self, remembered: Option<&Remembered>) -> Result<()> {
        if self.is_allowed(remembered) {
            return Ok(());
        }
        if self.login.is_none() && self.decide(Some(User::User)) {
            return Err(Error::UserNotLoggedIn);
        }
        Err(Error::PermissionDenied {
            principal: crate::audit::user_name(self.identity.peer.uid),
            action: self.action.to_owned(),
            resource: self.target().name().to_owned(),
        })
    }

    fn note(&self, generation: u64, allowed: bool) {
        self.allowed_in.store(if allowed { generation } else { 1 }, Ordering::Release);
    }

    fn target(&self) -> Target {
        let ring = self.token.ring();
        match self.key.as_ref().and_then(|cell| self.daemon.catalog.key(&cell.key)) {
            Some(key) => Target::key(&ring.name, &key),
            None => Target::ring(&ring.name),
        }
    }

    fn decide(&self, login: Option<User>) -> bool {
        let ring = self.token.ring().name.clone();
        let who = Who { identity: Some(self.identity.clone()), login: login.map(|user| (ring, user)) };
        let question = Question {
            who: &who,
            action: self.action,
            target: &self.target(),
            via_pkcs11: true,
            private: self.private,
            now: Time::now(),
        };
        self.daemon.access.decide(&question).allowed
    }
}

/// The action that a use of a key is, from the usage flag that it needs.
pub fn action_of_use(usage: AttributeType, class: ObjectClass, purpose: Option<Purpose>) -> &'static str {
    let secret = class == ObjectClass::SECRET_KEY;
    let raw = purpose == Some(Purpose::RawEncryptDecrypt);
    match usage {
        AttributeType::ENCRYPT if !secret => "AsymmetricEncrypt",
        AttributeType::ENCRYPT if raw => "RawEncrypt",
        AttributeType::ENCRYPT => "Encrypt",
        AttributeType::DECRYPT if !secret => "AsymmetricDecrypt",
        AttributeType::DECRYPT if raw => "RawDecrypt",
        AttributeType::DECRYPT => "Decrypt",
        AttributeType::SIGN if secret => "GenerateMac",
        AttributeType::SIGN | AttributeType::SIGN_RECOVER => "AsymmetricSign",
        AttributeType::VERIFY if secret => "VerifyMac",
        AttributeType::VERIFY | AttributeType::VERIFY_RECOVER => "AsymmetricVerify",
        AttributeType::WRAP => "P11.C_WrapKey",
        AttributeType::UNWRAP => "P11.C_UnwrapKey",
        AttributeType::ENCAPSULATE => "Encapsulate",
        AttributeType::DECAPSULATE => "Decapsulate",
        _ => "P11.C_DeriveKey",
    }
}
