//! Attacks on keys through the API, by a client that holds a login.
//!
//! `roles` and the files beside it try what `strict` must refuse, and what it must still allow, in the order A1 to
//! A20 of the threat list: A1 wrap and decrypt, A2 usage switched in between, A3 import again with other attributes,
//! A4 and A5 a wrapping key that the attacker knows, A6 a weak one, A7 bare blocks, A8 padding oracles, A9 DES,
//! A10 to A12 derivations, A13 digests of keys, A14 copies, A15 forged history, A16 templates, A17 what is seen
//! before login, A18 one RSA key for two purposes, A19 nonces, A20 wiping a token. `classic` tries the four
//! that break most tokens on a default key in `standard`; `walk` tries calls at random.

mod classic;
mod derivations;
mod objects;
mod roles;
mod walk;
mod wrapping;

use claviger_conformance::prelude::*;
use claviger_conformance::structure;

/// A `strict` ring with its user logged in.
struct Strict {
    setup: Setup,
    session: u64,
}

impl Strict {
    fn new() -> Strict {
        Strict::of("strict")
    }

    fn of(profile: &str) -> Strict {
        let setup = Setup::with(&["--profile", profile]);
        let session = setup.app.login(&setup.ring);
        Strict { setup, session }
    }

    fn raw(&self) -> &Raw {
        &self.setup.app.raw
    }

    /// An AES key of the session.
    fn aes(&self, bytes: u64, more: &[Attribute]) -> Result<u64, Rv> {
        self.setup.app.aes(self.session, bytes, more)
    }

    /// An AES key that only wraps and unwraps.
    fn wrapper(&self, bytes: u64) -> u64 {
        self.aes(bytes, &usage(&[A::WRAP, A::UNWRAP])).unwrap()
    }

    /// An AES key that may leave the token under any wrapping key.
    fn target(&self, bytes: u64) -> u64 {
        let leave = [flag(A::EXTRACTABLE, true), flag(A::WRAP_WITH_TRUSTED, false)];
        self.aes(bytes, &leave).unwrap()
    }

    fn wrap(&self, mechanism: &Mechanism, with: u64, key: u64) -> Result<Vec<u8>, Rv> {
        let output = self.raw().wrap_key(self.session, mechanism, with, key, Room::Bytes(8192));
        if output.rv == Rv::OK { Ok(output.data) } else { Err(output.rv) }
    }

    fn unwrap(&self, with: u64, wrapped: &[u8], more: &[Attribute]) -> Result<u64, Rv> {
        let template = [&[class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)], more].concat();
        self.raw().unwrap_key(self.session, &KWP, with, wrapped, &template)
    }

    fn crypt(
        &self,
        operation: Operation,
        mechanism: &Mechanism,
        key: u64,
        data: &[u8],
    ) -> Result<Vec<u8>, Rv> {
        self.raw().start(operation, self.session, Some(mechanism), key)?;
        let output = self.raw().one_shot(operation, self.session, data, Room::Bytes(data.len() + 512));
        if output.rv == Rv::OK { Ok(output.data) } else { Err(output.rv) }
    }

    fn is(&self, key: u64, r#type: A) -> bool {
        self.raw().attribute(self.session, key, r#type) == Ok(vec![1])
    }

    /// What the security officer of the ring does, in an application of its own.
    fn as_so<R>(&self, act: impl FnOnce(&Application, u64) -> R) -> R {
        let app = Application::on(self.setup.daemon);
        let session = app.open(&self.setup.ring);
        app.raw.login(session, 0, Some(self.setup.ring.so_pin.as_bytes())).unwrap();
        act(&app, session)
    }

    /// Makes the security officer trust a public token object.
    fn trust(&self, object: u64) {
        let trusted = [flag(A::TRUSTED, true)];
        self.as_so(|app, session| app.raw.set_attributes(session, object, &trusted)).unwrap();
    }
}

/// AES-KWP.
static KWP: std::sync::LazyLock<Mechanism> = std::sync::LazyLock::new(|| M::AES_KEY_WRAP_KWP.into());

/// What refuses two roles in one template.
const CONFLICT: Rv = Rv::TEMPLATE_INCONSISTENT;
