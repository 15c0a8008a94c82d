//! The role matrix: every call of table 2, said by somebody who is not logged in, by the user, by the security officer,
//! by a session on another slot, by another application with handles that are not its own, and by another user whom a
//! policy hides the token from; in read-only and read-write sessions, and for objects with and without `CKA_PRIVATE`.
//!
//! A call that has no row here fails the first test: add one, with its rule.

use claviger_conformance::prelude::{A, Daemon, KeyType, M, ObjectClass, Ring, Rv, curve};
use claviger_conformance::process;
use claviger_conformance::wire::Wire;
use claviger_protocol::call::{self, CALLS};
use claviger_protocol::params::{Mechanism, Params};
use claviger_protocol::template::{Attribute, Template, Value};
use claviger_protocol::{Bytes, Result};

/// Whoever is not root and may not see the token.
const STRANGER: u32 = 12_345;
const READ_ONLY: u64 = 4;
const READ_WRITE: u64 = 6;
const ENCRYPT: u64 = claviger_protocol::flags::mechanism::ENCRYPT;
const SIGN: u64 = claviger_protocol::flags::mechanism::SIGN;
const SO: u64 = 0;
const USER: u64 = 1;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Nobody is logged in.
    Nobody,
    /// The user.
    User,
    /// The security officer.
    So,
    /// The user of another ring, in a session there, with handles of this ring.
    OtherSlot,
    /// Another application of the same user id, with a session handle that is not its own.
    OtherApplication,
    /// An application of another user id that does not see the token, with such a handle.
    OtherUid,
}

const ROLES: [Role; 6] =
    [Role::Nobody, Role::User, Role::So, Role::OtherSlot, Role::OtherApplication, Role::OtherUid];

/// What an expectation is made from.
#[derive(Debug, Clone, Copy)]
struct Situation {
    role: Role,
    read_write: bool,
    private: bool,
}

impl Situation {
    /// The session is the speaker's own.
    fn own(self) -> bool {
        !matches!(self.role, Role::OtherApplication | Role::OtherUid)
    }

    /// The speaker's session sees objects of the ring with this `CKA_PRIVATE` (PKCS#11 3.2, section 5.6.1).
    fn sees(self) -> bool {
        match self.role {
            Role::User => true,
            Role::Nobody | Role::So => !self.private,
            Role::OtherSlot | Role::OtherApplication | Role::OtherUid => false,
        }
    }

    /// The speaker may make private objects.
    fn is_user(self) -> bool {
        matches!(self.role, Role::User | Role::OtherSlot)
    }
}

/// What is on the ring. Each kind of key is there with and without `CKA_PRIVATE`.
#[derive(Default)]
struct Fixture {
    slot: u64,
    other_slot: u64,
    free_slot: u64,
    user_pin: String,
    so_pin: String,
    other_pin: String,
    /// Handles by `CKA_PRIVATE`: AES, generic secret, RSA private key, RSA public key.
    keys: [[u64; 4]; 2],
    /// A key that may leave, public.
    target: u64,
    wrapped: Bytes,
    /// A session of an application that stays, logged in as the user.
    session: u64,
}

/// One call in one situation.
struct Cell<'a> {
    wire: &'a mut Wire,
    fixture: &'a Fixture,
    session: u64,
    situation: Situation,
    /// Slot that slot functions are asked about.
    slot: u64,
    /// An object made for this cell, which it may spoil.
    spare: u64,
}

impl Cell<'_> {
    fn key(&self, kind: usize) -> u64 {
        self.fixture.keys[usize::from(self.situation.private)][kind]
    }

    fn aes(&self) -> u64 {
        self.key(0)
    }

    fn secret(&self) -> u64 {
        self.key(1)
    }

    fn rsa_private(&self) -> u64 {
        self.key(2)
    }

    fn rsa_public(&self) -> u64 {
        self.key(3)
    }

    fn say<C: call::Call>(&mut self, call: C) -> Rv {
        rv(self.wire.call(&call))
    }

    /// A template of a new token object with the situation's `CKA_PRIVATE`.
    fn token_object(&self, more: &[(A, Value)]) -> Template {
        let private = (A::PRIVATE, Value::Bool(self.situation.private));
        template(&[&[(A::TOKEN, Value::Bool(true)), private], more].concat())
    }

    /// The PIN of whoever is logged in, or the user's.
    fn pin(&self) -> Bytes {
        match self.situation.role {
            Role::So => self.fixture.so_pin.as_bytes().into(),
            Role::OtherSlot => self.fixture.other_pin.as_bytes().into(),
            _ => self.fixture.user_pin.as_bytes().into(),
        }
    }

    fn encrypt_init(&mut self) -> Rv {
        let (session, key) = (self.session, self.aes());
        self.say(call::EncryptInit { session, mechanism: plain(M::AES_ECB), key })
    }

    fn decrypt_init(&mut self) -> Rv {
        let (session, key) = (self.session, self.aes());
        self.say(call::DecryptInit { session, mechanism: plain(M::AES_ECB), key })
    }

    fn sign_init(&mut self) -> Rv {
        let (session, key) = (self.session, self.secret());
        self.say(call::SignInit { session, mechanism: plain(M::SHA256_HMAC), key })
    }

    fn verify_init(&mut self) -> Rv {
        let (session, key) = (self.session, self.secret());
        self.say(call::VerifyInit { session, mechanism: plain(M::SHA256_HMAC), key })
    }

    fn digest_init(&mut self) -> Rv {
        let session = self.session;
        self.say(call::DigestInit { session, mechanism: plain(M::SHA256) })
    }

    fn sign_recover_init(&mut self) -> Rv {
        let (session, key) = (self.session, self.rsa_private());
        self.say(call::SignRecoverInit { session, mechanism: plain(M::RSA_PKCS), key })
    }

    fn verify_recover_init(&mut self) -> Rv {
        let (session, key) = (self.session, self.rsa_public());
        self.say(call::VerifyRecoverInit { session, mechanism: plain(M::RSA_PKCS), key })
    }
}

fn rv<T>(result: Result<T>) -> Rv {
    result.err().unwrap_or(Rv::OK)
}

fn plain(r#type: M) -> Option<Mechanism> {
    Some(mechanism(r#type))
}

fn mechanism(r#type: M) -> Mechanism {
    Mechanism { r#type, params: Params::None }
}

fn template(attributes: &[(A, Value)]) -> Template {
    attributes.iter().map(|(r#type, value)| Attribute { r#type: *r#type, value: value.clone() }).collect()
}

fn block() -> Bytes {
    vec![7; 16].into()
}

const YES: Value = Value::Bool(true);

/// What the standard, or our rule, says.
type Rule = fn(Situation) -> Rv;

/// The session is all that matters.
fn own(s: Situation) -> Rv {
    if s.own() { Rv::OK } else { Rv::SESSION_HANDLE_INVALID }
}

/// A slot that is there for all but those who may not see its token.
fn slot(s: Situation) -> Rv {
    if s.role == Role::OtherUid { Rv::SLOT_ID_INVALID } else { Rv::OK }
}

/// An object's handle.
fn object(s: Situation) -> Rv {
    if s.own() && !s.sees() { Rv::OBJECT_HANDLE_INVALID } else { own(s) }
}

/// A change of a token object.
fn change(s: Situation) -> Rv {
    if s.sees() && !s.read_write { Rv::SESSION_READ_ONLY } else { object(s) }
}

/// A key's handle.
fn keyed(s: Situation) -> Rv {
    if s.own() && !s.sees() { Rv::KEY_HANDLE_INVALID } else { own(s) }
}

/// What follows an Init that only succeeded with a key that is seen.
fn follows(s: Situation) -> Rv {
    if s.own() && !s.sees() { Rv::OPERATION_NOT_INITIALIZED } else { own(s) }
}

/// As [`keyed`] and [`follows`], but what is seen is then refused for what it is.
fn refused(rule: Rule, s: Situation, with: Rv) -> Rv {
    match rule(s) {
        Rv::OK => with,
        rv => rv,
    }
}

/// A new token object.
fn made(s: Situation) -> Rv {
    match own(s) {
        Rv::OK if !s.read_write => Rv::SESSION_READ_ONLY,
        Rv::OK if s.private && !s.is_user() => Rv::USER_NOT_LOGGED_IN,
        rv => rv,
    }
}

/// A new token object made with a public key of the ring, which is not there on another slot.
fn made_with(s: Situation, missing: Rv) -> Rv {
    if s.role == Role::OtherSlot { missing } else { made(s) }
}

/// One row: the call's name, whether the object matters, how it is said, and what must come of it.
struct Row(&'static str, bool, fn(&mut Cell<'_>) -> Rv, Rule);

const ROWS: &[Row] = &[
    Row("Finalize", false, |c| c.say(call::Finalize {}), |_| Rv::OK),
    Row("GetSlotList", false, |c| c.say(call::GetSlotList { token_present: true }), |_| Rv::OK),
    Row("GetSlotInfo", false, |c| c.say(call::GetSlotInfo { slot: c.slot }), slot),
    Row("GetTokenInfo", false, |c| c.say(call::GetTokenInfo { slot: c.slot }), slot),
    Row("WaitForSlotEvent", false, |c| c.say(call::WaitForSlotEvent { block: false }), |_| Rv::NO_EVENT),
    Row("GetMechanismList", false, |c| c.say(call::GetMechanismList { slot: c.slot }), slot),
    Row(
        "GetMechanismInfo",
        false,
        |c| c.say(call::GetMechanismInfo { slot: c.slot, mechanism: M::AES_ECB }),
        slot,
    ),
    Row(
        "InitToken",
        false,
        |c| c.say(call::InitToken { slot: c.slot, pin: Some(b"wrong"[..].into()), label: [b' '; 32] }),
        // The fixture's application has a session open.
        |s| refused(slot, s, Rv::SESSION_EXISTS),
    ),
    Row(
        "InitPin",
        false,
        |c| {
            let pin = Some(c.fixture.user_pin.as_bytes().into());
            c.say(call::InitPin { session: c.session, pin })
        },
        |s| if s.own() && s.role != Role::So { Rv::USER_NOT_LOGGED_IN } else { own(s) },
    ),
    Row(
        "SetPin",
        false,
        |c| c.say(call::SetPin { session: c.session, old_pin: Some(c.pin()), new_pin: Some(c.pin()) }),
        |s| if s.own() && !s.read_write { Rv::SESSION_READ_ONLY } else { own(s) },
    ),
    Row("OpenSession", false, |c| c.say(call::OpenSession { slot: c.slot, flags: READ_WRITE }), slot),
    Row("CloseSession", false, |c| c.say(call::CloseSession { session: c.session }), own),
    Row("CloseAllSessions", false, |c| c.say(call::CloseAllSessions { slot: c.slot }), slot),
    Row("GetSessionInfo", false, |c| c.say(call::GetSessionInfo { session: c.session }), own),
    Row("SessionCancel", false, |c| c.say(call::SessionCancel { session: c.session, flags: 0 }), own),
    Row(
        "GetOperationState",
        false,
        |c| {
            c.digest_init();
            c.say(call::GetOperationState { session: c.session, room: None })
        },
        own,
    ),
    Row(
        "SetOperationState",
        false,
        |c| {
            let state = Bytes::default();
            c.say(call::SetOperationState {
                session: c.session,
                state,
                encryption_key: 0,
                authentication_key: 0,
            })
        },
        |s| refused(own, s, Rv::SAVED_STATE_INVALID),
    ),
    Row(
        "Login",
        false,
        |c| c.say(call::Login { session: c.session, user_type: USER, pin: None }),
        |s| match s.role {
            Role::User | Role::OtherSlot => Rv::USER_ALREADY_LOGGED_IN,
            Role::So => Rv::USER_ANOTHER_ALREADY_LOGGED_IN,
            _ => own(s),
        },
    ),
    Row(
        "LoginUser",
        false,
        |c| {
            let username = Bytes::default();
            c.say(call::LoginUser { session: c.session, user_type: SO, pin: None, username })
        },
        |s| match s.role {
            Role::User | Role::OtherSlot => Rv::USER_ANOTHER_ALREADY_LOGGED_IN,
            Role::So => Rv::USER_ALREADY_LOGGED_IN,
            Role::Nobody if !s.read_write => Rv::SESSION_READ_ONLY_EXISTS,
            _ => own(s),
        },
    ),
    Row(
        "Logout",
        false,
        |c| c.say(call::Logout { session: c.session }),
        |s| if s.role == Role::Nobody { Rv::USER_NOT_LOGGED_IN } else { own(s) },
    ),
    Row(
        "GetSessionValidationFlags",
        false,
        |c| c.say(call::GetSessionValidationFlags { session: c.session, r#type: 1 }),
        own,
    ),
    Row(
        "CreateObject",
        true,
        |c| {
            let template = c.token_object(&[(A::CLASS, Value::Ulong(ObjectClass::DATA.0))]);
            c.say(call::CreateObject { session: c.session, template })
        },
        made,
    ),
    Row(
        "CopyObject",
        true,
        |c| {
            let template = template(&[(A::TOKEN, Value::Bool(false))]);
            c.say(call::CopyObject { session: c.session, object: c.aes(), template })
        },
        object,
    ),
    Row(
        "DestroyObject",
        true,
        |c| c.say(call::DestroyObject { session: c.session, object: c.spare }),
        change,
    ),
    Row(
        "GetObjectSize",
        true,
        |c| c.say(call::GetObjectSize { session: c.session, object: c.aes() }),
        object,
    ),
    Row(
        "GetAttributeValue",
        true,
        |c| {
            let types = vec![A::LABEL, A::VALUE];
            c.say(call::GetAttributeValue { session: c.session, object: c.aes(), types })
        },
        object,
    ),
    Row(
        "SetAttributeValue",
        true,
        |c| {
            let template = template(&[(A::LABEL, Value::Bytes(b"x"[..].into()))]);
            c.say(call::SetAttributeValue { session: c.session, object: c.spare, template })
        },
        change,
    ),
    Row(
        "FindObjectsInit",
        false,
        |c| c.say(call::FindObjectsInit { session: c.session, template: vec![] }),
        own,
    ),
    Row(
        "FindObjects",
        true,
        |c| {
            // Finds exactly what the speaker sees.
            let wanted = template(&[
                (A::CLASS, Value::Ulong(ObjectClass::SECRET_KEY.0)),
                (A::PRIVATE, Value::Bool(c.situation.private)),
            ]);
            c.say(call::FindObjectsInit { session: c.session, template: wanted });
            match c.wire.call(&call::FindObjects { session: c.session, max: 10_000 }) {
                Ok(found) => {
                    assert_eq!(found.contains(&c.aes()), c.situation.sees(), "{:?}", c.situation);
                    Rv::OK
                }
                Err(rv) => rv,
            }
        },
        own,
    ),
    Row(
        "FindObjectsFinal",
        false,
        |c| {
            c.say(call::FindObjectsInit { session: c.session, template: vec![] });
            c.say(call::FindObjectsFinal { session: c.session })
        },
        own,
    ),
    Row(
        "FindFirst",
        true,
        |c| {
            let wanted = template(&[
                (A::CLASS, Value::Ulong(ObjectClass::SECRET_KEY.0)),
                (A::PRIVATE, Value::Bool(c.situation.private)),
            ]);
            match c.wire.call(&call::FindFirst { session: c.session, template: wanted, max: 10_000 }) {
                Ok(found) => {
                    let found = found.objects.iter().any(|(handle, _)| *handle == c.aes());
                    assert_eq!(found, c.situation.sees(), "{:?}", c.situation);
                    Rv::OK
                }
                Err(rv) => rv,
            }
        },
        own,
    ),
    Row("EncryptInit", true, |c| c.encrypt_init(), keyed),
    Row(
        "Encrypt",
        true,
        |c| {
            c.encrypt_init();
            c.say(call::Encrypt { session: c.session, data: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "EncryptUpdate",
        true,
        |c| {
            c.encrypt_init();
            c.say(call::EncryptUpdate { session: c.session, part: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "EncryptFinal",
        true,
        |c| {
            c.encrypt_init();
            c.say(call::EncryptFinal { session: c.session, room: Some(64) })
        },
        follows,
    ),
    Row("DecryptInit", true, |c| c.decrypt_init(), keyed),
    Row(
        "Decrypt",
        true,
        |c| {
            c.decrypt_init();
            c.say(call::Decrypt { session: c.session, encrypted_data: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "DecryptUpdate",
        true,
        |c| {
            c.decrypt_init();
            c.say(call::DecryptUpdate { session: c.session, encrypted_part: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "DecryptFinal",
        true,
        |c| {
            c.decrypt_init();
            c.say(call::DecryptFinal { session: c.session, room: Some(64) })
        },
        follows,
    ),
    Row("DigestInit", false, |c| c.digest_init(), own),
    Row(
        "Digest",
        false,
        |c| {
            c.digest_init();
            c.say(call::Digest { session: c.session, data: block(), room: Some(64) })
        },
        own,
    ),
    Row(
        "DigestUpdate",
        false,
        |c| {
            c.digest_init();
            c.say(call::DigestUpdate { session: c.session, part: block() })
        },
        own,
    ),
    Row(
        "DigestKey",
        true,
        |c| {
            c.digest_init();
            c.say(call::DigestKey { session: c.session, key: c.secret() })
        },
        keyed,
    ),
    Row(
        "DigestFinal",
        false,
        |c| {
            c.digest_init();
            c.say(call::DigestFinal { session: c.session, room: Some(64) })
        },
        own,
    ),
    Row("SignInit", true, |c| c.sign_init(), keyed),
    Row(
        "Sign",
        true,
        |c| {
            c.sign_init();
            c.say(call::Sign { session: c.session, data: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "SignUpdate",
        true,
        |c| {
            c.sign_init();
            c.say(call::SignUpdate { session: c.session, part: block() })
        },
        follows,
    ),
    Row(
        "SignFinal",
        true,
        |c| {
            c.sign_init();
            c.say(call::SignUpdate { session: c.session, part: block() });
            c.say(call::SignFinal { session: c.session, room: Some(64) })
        },
        follows,
    ),
    Row("SignRecoverInit", true, |c| c.sign_recover_init(), keyed),
    Row(
        "SignRecover",
        true,
        |c| {
            c.sign_recover_init();
            c.say(call::SignRecover { session: c.session, data: block(), room: Some(512) })
        },
        follows,
    ),
    Row("VerifyInit", true, |c| c.verify_init(), keyed),
    Row(
        "Verify",
        true,
        |c| {
            c.verify_init();
            c.say(call::Verify { session: c.session, data: block(), signature: vec![0; 32].into() })
        },
        |s| refused(follows, s, Rv::SIGNATURE_INVALID),
    ),
    Row(
        "VerifyUpdate",
        true,
        |c| {
            c.verify_init();
            c.say(call::VerifyUpdate { session: c.session, part: block() })
        },
        follows,
    ),
    Row(
        "VerifyFinal",
        true,
        |c| {
            c.verify_init();
            c.say(call::VerifyUpdate { session: c.session, part: block() });
            c.say(call::VerifyFinal { session: c.session, signature: vec![0; 32].into() })
        },
        |s| refused(follows, s, Rv::SIGNATURE_INVALID),
    ),
    Row("VerifyRecoverInit", true, |c| c.verify_recover_init(), keyed),
    Row(
        "VerifyRecover",
        true,
        |c| {
            c.verify_recover_init();
            c.say(call::VerifyRecover { session: c.session, signature: vec![0; 256].into(), room: Some(512) })
        },
        |s| refused(follows, s, Rv::SIGNATURE_INVALID),
    ),
    Row(
        "DigestEncryptUpdate",
        true,
        |c| {
            c.digest_init();
            c.encrypt_init();
            c.say(call::DigestEncryptUpdate { session: c.session, part: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "DecryptDigestUpdate",
        true,
        |c| {
            c.digest_init();
            c.decrypt_init();
            c.say(call::DecryptDigestUpdate { session: c.session, encrypted_part: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "SignEncryptUpdate",
        true,
        |c| {
            c.sign_init();
            c.encrypt_init();
            c.say(call::SignEncryptUpdate { session: c.session, part: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "DecryptVerifyUpdate",
        true,
        |c| {
            c.verify_init();
            c.decrypt_init();
            c.say(call::DecryptVerifyUpdate { session: c.session, encrypted_part: block(), room: Some(64) })
        },
        follows,
    ),
    Row(
        "GenerateKey",
        true,
        |c| {
            let template = c.token_object(&[(A::VALUE_LEN, Value::Ulong(16))]);
            c.say(call::GenerateKey { session: c.session, mechanism: mechanism(M::AES_KEY_GEN), template })
        },
        made,
    ),
    Row(
        "GenerateKeyPair",
        true,
        |c| {
            let public_key_template = c.token_object(&[(A::EC_PARAMS, Value::Bytes(curve::P256[..].into()))]);
            c.say(call::GenerateKeyPair {
                session: c.session,
                mechanism: mechanism(M::EC_KEY_PAIR_GEN),
                public_key_template,
                private_key_template: c.token_object(&[]),
            })
        },
        made,
    ),
    Row(
        "WrapKey",
        true,
        |c| {
            c.say(call::WrapKey {
                session: c.session,
                mechanism: mechanism(M::AES_KEY_WRAP),
                wrapping_key: c.aes(),
                key: c.fixture.target,
                room: None,
            })
        },
        |s| if s.own() && !s.sees() { Rv::WRAPPING_KEY_HANDLE_INVALID } else { own(s) },
    ),
    Row(
        "UnwrapKey",
        true,
        |c| {
            let template = c.token_object(&[
                (A::CLASS, Value::Ulong(ObjectClass::SECRET_KEY.0)),
                (A::KEY_TYPE, Value::Ulong(KeyType::GENERIC_SECRET.0)),
            ]);
            c.say(call::UnwrapKey {
                session: c.session,
                mechanism: mechanism(M::AES_KEY_WRAP),
                unwrapping_key: c.fixture.keys[0][0],
                wrapped_key: c.fixture.wrapped.clone(),
                template,
            })
        },
        |s| made_with(s, Rv::UNWRAPPING_KEY_HANDLE_INVALID),
    ),
    Row(
        "DeriveKey",
        true,
        |c| {
            let template = c.token_object(&[(A::VALUE_LEN, Value::Ulong(16))]);
            c.say(call::DeriveKey {
                session: c.session,
                mechanism: mechanism(M::SHA256_KEY_DERIVATION),
                base_key: c.fixture.keys[0][1],
                template,
            })
        },
        |s| made_with(s, Rv::KEY_HANDLE_INVALID),
    ),
    Row("SeedRandom", false, |c| c.say(call::SeedRandom { session: c.session, seed: block() }), own),
    Row("GenerateRandom", false, |c| c.say(call::GenerateRandom { session: c.session, length: 8 }), own),
    Row(
        "EncryptOnce",
        true,
        |c| {
            c.say(call::EncryptOnce {
                session: c.session,
                mechanism: mechanism(M::AES_ECB),
                key: c.aes(),
                data: block(),
                room: Some(64),
            })
        },
        keyed,
    ),
    Row(
        "DecryptOnce",
        true,
        |c| {
            c.say(call::DecryptOnce {
                session: c.session,
                mechanism: mechanism(M::AES_ECB),
                key: c.aes(),
                encrypted_data: block(),
                room: Some(64),
            })
        },
        keyed,
    ),
    Row(
        "Announce",
        true,
        |c| {
            c.sign_init();
            c.say(call::Announce {
                session: c.session,
                operation: SIGN,
                length: 16,
                one_shot: true,
                room: Some(64),
            })
        },
        follows,
    ),
    Row(
        "Rest",
        false,
        |c| c.say(call::Rest { session: c.session, operation: ENCRYPT, offset: 0 }),
        |s| refused(own, s, Rv::OPERATION_NOT_INITIALIZED),
    ),
    Row("Share", false, |c| c.say(call::Share { bytes: 4096 }), |_| Rv::OK),
    // Nothing comes with it.
    Row("Attach", false, |c| c.say(call::Attach {}), |_| Rv::ARGUMENTS_BAD),
    Row("AttachMailbox", false, |c| c.say(call::AttachMailbox {}), |_| Rv::ARGUMENTS_BAD),
    Row("GetResumption", false, |c| c.say(call::GetResumption { session: c.session }), own),
    Row("OpenResumable", false, |c| c.say(call::OpenResumable { slot: c.slot, flags: READ_WRITE }), slot),
    Row("CloseResumable", false, |c| c.say(call::CloseResumable { session: c.session }), own),
    // Nobody makes a ticket.
    Row(
        "Resume",
        false,
        |c| c.say(call::Resume { ticket: vec![7; 100].into() }),
        |_| Rv::SESSION_HANDLE_INVALID,
    ),
    Row(
        "DigestOnce",
        false,
        |c| {
            c.say(call::DigestOnce {
                session: c.session,
                mechanism: mechanism(M::SHA256),
                data: block(),
                room: Some(64),
            })
        },
        own,
    ),
    Row(
        "SignOnce",
        true,
        |c| {
            c.say(call::SignOnce {
                session: c.session,
                mechanism: mechanism(M::SHA256_HMAC),
                key: c.secret(),
                data: block(),
                room: Some(64),
            })
        },
        keyed,
    ),
    Row(
        "VerifyOnce",
        true,
        |c| {
            c.say(call::VerifyOnce {
                session: c.session,
                mechanism: mechanism(M::SHA256_HMAC),
                key: c.secret(),
                data: block(),
                signature: vec![0; 32].into(),
            })
        },
        |s| refused(keyed, s, Rv::SIGNATURE_INVALID),
    ),
];

#[test]
fn every_call_has_its_row() {
    let rows: Vec<_> = ROWS.iter().map(|row| row.0).collect();
    let calls: Vec<_> = CALLS.iter().map(|(_, name)| *name).collect();
    let missing: Vec<_> = calls.iter().filter(|name| !rows.contains(name)).collect();
    assert!(missing.is_empty(), "calls without a row in the role matrix: {missing:?}");
    assert!(rows.iter().all(|name| calls.contains(name)));
}

/// A daemon that everybody may connect to, with two rings on whose tokens root logs in without a PIN.
fn prepare() -> (Daemon, Fixture, Wire) {
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    std::fs::write(
        daemon.directory().join("clavigerd.toml"),
        "pkcs11_socket_mode = 0o666\n[access]\npin_delay_millis = 0\n",
    )
    .unwrap();
    daemon.restart();
    for directory in [daemon.root().to_owned(), daemon.directory()] {
        std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    }
    let (ring, other) = (Ring::create(&daemon, &["--p11-destroy", "immediate"]), Ring::create(&daemon, &[]));
    let own = std::os::unix::fs::MetadataExt::uid(&daemon.root().metadata().unwrap());
    for name in [&ring.name, &other.name] {
        for role in ["user", "so"] {
            let member = format!("uid:{own}");
            daemon.admin().json(["keyrings", "logins", "add", name, "--member", &member, "--role", role]);
        }
    }
    let hide = format!(
        r#"{{"Version": "1", "Statement": [{{"Effect": "Deny", "Principal": "uid:{STRANGER}", "Action": "*"}}]}}"#
    );
    let file = daemon.file("hide.json", hide);
    let file = file.to_string_lossy();
    daemon.admin().json(["policies", "create", "hide", "--from-file", &file]);
    daemon.admin().json(["policies", "attach", "hide", "--principal", &format!("uid:{STRANGER}")]);

    let mut wire = Wire::greet(&daemon.pkcs11_socket(), None).0;
    let slots = wire.call(&call::GetSlotList { token_present: true }).unwrap();
    let [slot, other_slot, free_slot] = slots[..] else { panic!("{slots:?}") };
    let session = wire.call(&call::OpenSession { slot, flags: READ_WRITE }).unwrap();
    wire.call(&call::Login { session, user_type: USER, pin: None }).unwrap();
    let mut fixture = Fixture {
        slot,
        other_slot,
        free_slot,
        session,
        user_pin: ring.user_pin,
        so_pin: ring.so_pin,
        other_pin: other.user_pin,
        ..Fixture::default()
    };
    let mut generate = |r#type: M, size: u64, private: bool, more: &[(A, Value)]| {
        let common =
            [(A::TOKEN, YES), (A::PRIVATE, Value::Bool(private)), (A::VALUE_LEN, Value::Ulong(size))];
        let template = template(&[&common, more].concat());
        wire.call(&call::GenerateKey { session, mechanism: mechanism(r#type), template }).unwrap()
    };
    let usage = |types: &[A]| types.iter().map(|r#type| (*r#type, YES)).collect::<Vec<_>>();
    for private in [false, true] {
        let keys = &mut fixture.keys[usize::from(private)];
        keys[0] =
            generate(M::AES_KEY_GEN, 32, private, &usage(&[A::ENCRYPT, A::DECRYPT, A::WRAP, A::UNWRAP]));
        keys[1] = generate(M::GENERIC_SECRET_KEY_GEN, 32, private, &usage(&[A::SIGN, A::VERIFY, A::DERIVE]));
    }
    fixture.target = generate(M::GENERIC_SECRET_KEY_GEN, 32, false, &usage(&[A::EXTRACTABLE, A::SIGN]));
    for private in [false, true] {
        let common = [(A::TOKEN, YES), (A::PRIVATE, Value::Bool(private))];
        let public = [
            (A::MODULUS_BITS, Value::Ulong(2048)),
            (A::PUBLIC_EXPONENT, Value::Bytes(vec![1, 0, 1].into())),
            (A::VERIFY_RECOVER, YES),
        ];
        let (public, private_key) = wire
            .call(&call::GenerateKeyPair {
                session,
                mechanism: mechanism(M::RSA_PKCS_KEY_PAIR_GEN),
                public_key_template: template(&[&common[..], &public].concat()),
                private_key_template: template(&[&common[..], &[(A::SIGN_RECOVER, YES)]].concat()),
            })
            .unwrap();
        fixture.keys[usize::from(private)][2..].copy_from_slice(&[private_key, public]);
    }
    let wrapped = wire
        .call(&call::WrapKey {
            session,
            mechanism: mechanism(M::AES_KEY_WRAP),
            wrapping_key: fixture.keys[0][0],
            key: fixture.target,
            room: Some(256),
        })
        .unwrap();
    let call::Output::Data(wrapped) = wrapped else { panic!("{wrapped:?}") };
    fixture.wrapped = wrapped;
    (daemon, fixture, wire)
}

// ACL-05
#[test]
fn every_call_by_every_role_is_answered_by_its_rule() {
    if !process::is_root() {
        println!("only root can become other users; nothing is tested");
        return;
    }
    let (daemon, fixture, mut owner) = prepare();
    let socket = daemon.pkcs11_socket();
    let (mut cells, mut wrong) = (0, Vec::new());
    for Row(name, about_object, say, rule) in ROWS {
        for role in ROLES {
            for read_write in [false, true] {
                for private in [false, true] {
                    if (private && !about_object) || (role == Role::So && !read_write) {
                        // A security officer has no read-only session (PKCS#11 3.2, section 5.6.1).
                        continue;
                    }
                    let situation = Situation { role, read_write, private };
                    let mut wire = match role {
                        Role::OtherUid => {
                            process::as_user(STRANGER, STRANGER, || Wire::greet(&socket, None).0)
                        }
                        _ => Wire::greet(&socket, None).0,
                    };
                    let slot = if role == Role::OtherSlot { fixture.other_slot } else { fixture.slot };
                    let flags = if read_write { READ_WRITE } else { READ_ONLY };
                    let session = match situation.own() {
                        true => wire.call(&call::OpenSession { slot, flags }).unwrap(),
                        false => fixture.session,
                    };
                    let user = match role {
                        Role::User | Role::OtherSlot => Some(USER),
                        Role::So => Some(SO),
                        _ => None,
                    };
                    if let Some(user_type) = user {
                        wire.call(&call::Login { session, user_type, pin: None }).unwrap();
                    }
                    let spare = match *name {
                        "DestroyObject" | "SetAttributeValue" => {
                            let data = [
                                (A::CLASS, Value::Ulong(ObjectClass::DATA.0)),
                                (A::TOKEN, YES),
                                (A::PRIVATE, Value::Bool(private)),
                            ];
                            let template = template(&data);
                            owner.call(&call::CreateObject { session: fixture.session, template }).unwrap()
                        }
                        _ => 0,
                    };
                    let mut cell =
                        Cell { wire: &mut wire, fixture: &fixture, session, situation, slot, spare };
                    let (got, expected) = (say(&mut cell), rule(situation));
                    cells += 1;
                    if got != expected {
                        wrong.push(format!("C_{name} {situation:?}: {got}, expected {expected}"));
                    }
                }
            }
        }
    }
    println!("{cells} cells of the role matrix hold, {} calls", ROWS.len());
    assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cells >= 900, "{cells}");

    // Nobody joins an application of another user, ticket or not; and the free slot is for all.
    let (mut wire, welcome) = Wire::greet(&socket, None);
    let ticket = Some(welcome.application);
    let refused = process::as_user(STRANGER, STRANGER, || Wire::greet(&socket, ticket).1.rv);
    assert_eq!(refused, Rv::CRYPTOKI_NOT_INITIALIZED);
    wire.call(&call::GetTokenInfo { slot: fixture.free_slot }).unwrap();

    // Nor does another process go on where this one stopped.
    let numbered = owner.call(&call::GetResumption { session: 0 }).unwrap();
    let ticket = claviger_protocol::Bytes::from(&numbered[8..]);
    let mut stranger = process::as_user(STRANGER, STRANGER, || Wire::greet(&socket, None).0);
    assert_eq!(stranger.call(&call::Resume { ticket: ticket.clone() }), Err(Rv::SESSION_HANDLE_INVALID));
    assert_eq!(wire.call(&call::Resume { ticket }), Ok(()), "who may, may");
}
