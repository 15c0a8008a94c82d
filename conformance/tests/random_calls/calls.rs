//! One random call after the other, and the pool that they keep alive.

use std::path::PathBuf;

use claviger_conformance::prelude::*;
use claviger_conformance::structure::Pointing;
use claviger_protocol::flags::mechanism as function;
use claviger_protocol::flags::user;

use crate::choice::Choice;
use crate::pool::{self, MOST_OBJECTS, Object, Pool};

/// Most sessions of the random calls.
const MOST_SESSIONS: usize = 12;
/// Token objects of one run: each is a write to the disk, and stays in the store when it is destroyed.
const TOKEN_OBJECTS: usize = 60;

/// An application that makes random calls, and another one whose handles it has no business with.
pub struct Caller {
    socket: PathBuf,
    ring: Ring,
    app: Application,
    other: Application,
    slot: u64,
    choice: Choice,
    pool: Pool,
    made: u64,
    succeeded: u64,
    token_objects: usize,
}

/// The functions, each use of which is a call.
macro_rules! raw {
    ($caller:ident) => {{
        $caller.made += 1;
        &$caller.app.raw
    }};
}

type Step = fn(&mut Caller) -> Rv;

/// A step is a call or a few that go together; how often each is made beside the others.
const STEPS: &[(usize, Step)] = &[
    (2, Caller::open_session),
    (1, Caller::close_session),
    (4, Caller::session_functions),
    (1, Caller::slot_functions),
    (6, Caller::create),
    (4, Caller::generate),
    (2, Caller::generate_pair),
    (6, Caller::attributes),
    (3, Caller::copy_or_destroy),
    (5, Caller::find),
    (12, Caller::encrypt_or_decrypt),
    (6, Caller::digest),
    (10, Caller::sign),
    (8, Caller::verify),
    (3, Caller::recover),
    (3, Caller::dual),
    (4, Caller::wrap),
    (4, Caller::unwrap),
    (6, Caller::derive),
    (2, Caller::random),
];

impl Caller {
    pub fn new(daemon: &Daemon, ring: &Ring, choice: Choice) -> Caller {
        let (app, other) = (Application::on(daemon), Application::on(daemon));
        let slot = app.slot(ring);
        let mut caller = Caller {
            socket: daemon.pkcs11_socket(),
            ring: ring.clone(),
            app,
            other,
            slot,
            choice,
            pool: Pool::default(),
            made: 0,
            succeeded: 0,
            token_objects: 0,
        };
        let theirs = caller.other.login(ring);
        let their_key = caller.other.aes(theirs, 16, &[]).expect("C_GenerateKey");
        caller.pool.foreign = vec![theirs, their_key];
        caller.begin();
        caller
    }

    /// A session with the user logged in, and a pair of each kind, which take long to make.
    fn begin(&mut self) {
        let old = self.pool.objects.drain(..).map(|object| object.handle);
        self.pool.stale.extend(old.chain(self.pool.sessions.drain(..)));
        let excess = self.pool.stale.len().saturating_sub(100);
        self.pool.stale.drain(..excess);
        let session = self.app.login(&self.ring);
        self.pool.sessions.push(session);
        let all = [
            A::ENCRYPT,
            A::VERIFY,
            A::VERIFY_RECOVER,
            A::WRAP,
            A::DECRYPT,
            A::SIGN,
            A::SIGN_RECOVER,
            A::UNWRAP,
        ];
        let (public, private) = (usage(&all[..4]), usage(&all[4..]));
        let bits = ulong(A::MODULUS_BITS, 1024);
        let rsa = raw!(self).generate_key_pair(
            session,
            &M::RSA_PKCS_KEY_PAIR_GEN.into(),
            &[&[bits][..], &public].concat(),
            &private,
        );
        let mut pairs = vec![(rsa, KeyType::RSA)];
        for (mechanism, curve, key_type) in [
            (M::EC_KEY_PAIR_GEN, curve::P256, KeyType::EC),
            (M::EC_EDWARDS_KEY_PAIR_GEN, curve::ED25519, KeyType::EC_EDWARDS),
            (M::EC_MONTGOMERY_KEY_PAIR_GEN, curve::X25519, KeyType::EC_MONTGOMERY),
        ] {
            let on = [bytes(A::EC_PARAMS, curve)];
            pairs.push((raw!(self).generate_key_pair(session, &mechanism.into(), &on, &[]), key_type));
        }
        for (pair, key_type) in pairs {
            self.keep_pair(pair.expect("C_GenerateKeyPair"), key_type);
        }
        for key_type in [KeyType::AES, KeyType::DES3, KeyType::CHACHA20, KeyType::GENERIC_SECRET] {
            self.known_key(session, key_type);
        }
    }

    fn known_key(&mut self, session: u64, key_type: KeyType) -> Rv {
        let length = match key_type {
            KeyType::AES | KeyType::ARIA | KeyType::DES2 => 16,
            KeyType::DES => 8,
            KeyType::DES3 => 24,
            _ => 32,
        };
        let all = [A::ENCRYPT, A::DECRYPT, A::SIGN, A::VERIFY, A::WRAP, A::UNWRAP, A::DERIVE];
        let mut template = secret_key(key_type, &self.choice.bytes(length), &all);
        template.push(flag(A::EXTRACTABLE, !self.choice.one_in(4)));
        let made = raw!(self).create_object(session, &template);
        self.keep(made, Some(key_type), true)
    }

    fn keep(&mut self, made: Result<u64, Rv>, key_type: Option<KeyType>, is_private: bool) -> Rv {
        if let Ok(handle) = made {
            self.pool.objects.push(Object { handle, key_type, is_private });
        }
        made.rv()
    }

    fn keep_pair(&mut self, (public, private): (u64, u64), key_type: KeyType) {
        self.pool.objects.push(Object { handle: public, key_type: Some(key_type), is_private: false });
        self.pool.objects.push(Object { handle: private, key_type: Some(key_type), is_private: true });
        for attribute in [A::EC_POINT, A::VALUE] {
            if let Ok(value) = raw!(self).attribute(self.pool.sessions[0], public, attribute) {
                self.pool.public_values.truncate(20);
                self.pool.public_values.insert(0, value);
            }
        }
    }

    /// How many calls there were.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// One step.
    pub fn step(&mut self) {
        let total: usize = STEPS.iter().map(|(weight, _)| weight).sum();
        let mut index = self.choice.below(total);
        let (_, step) = STEPS
            .iter()
            .find(|(weight, _)| {
                let found = index < *weight;
                index = index.saturating_sub(*weight);
                found
            })
            .expect("the weights add up");
        if step(self) == Rv::OK {
            self.succeeded += 1;
        }
        while self.pool.objects.len() > MOST_OBJECTS {
            // The first ones took long to make.
            let index = 12 + self.choice.below(50);
            let object = self.pool.objects.remove(index);
            let _ = raw!(self).destroy_object(self.pool.sessions[0], object.handle);
            self.pool.stale.push(object.handle);
        }
        if self.choice.one_in(20_000) {
            self.restart();
        }
    }

    /// The end of everything, and a new beginning.
    fn restart(&mut self) {
        match self.choice.below(3) {
            0 => {
                let _ = raw!(self).finalize(false);
                let again = claviger_conformance::application::initialize(
                    raw!(self),
                    &self.socket,
                    Arguments::Flags(2),
                );
                again.expect("C_Initialize");
            }
            1 => drop(raw!(self).close_all_sessions(self.slot)),
            _ => {
                let _ = raw!(self).logout(self.pool.sessions[0]);
                let _ = raw!(self).close_all_sessions(self.slot);
            }
        }
        self.begin();
    }

    /// Destroys what is in the token and may be destroyed, and ends both applications; gives how many steps succeeded.
    pub fn end(self) -> u64 {
        let session = self.other.open(&self.ring);
        for object in self.other.raw.find(session, &[token(true)]).expect("C_FindObjects") {
            let may =
                self.other.raw.attribute(session, object, A::DESTROYABLE).expect("CKA_DESTROYABLE") == [1];
            let destroyed = self.other.raw.destroy_object(session, object);
            assert_eq!(destroyed.rv(), if may { Rv::OK } else { Rv::ACTION_PROHIBITED }, "C_DestroyObject");
        }
        self.succeeded
    }

    fn session(&mut self) -> u64 {
        self.pool.session(&mut self.choice)
    }

    fn object(&mut self) -> u64 {
        self.pool.object(&mut self.choice)
    }

    fn mechanism(&mut self, flag: u64, private: bool) -> (Pointing, u64) {
        let row = pool::row(&mut self.choice, flag);
        let mechanism = pool::parameter(&mut self.choice, row, &self.pool);
        (mechanism, self.pool.key(&mut self.choice, row, private))
    }

    fn room(&mut self) -> Room {
        match self.choice.below(12) {
            0 => Room::Query,
            1 => Room::Bytes(self.choice.below(40)),
            2 if self.choice.one_in(10) => Room::NoLength,
            3 => Room::Bytes(1 << 17),
            _ => Room::Bytes(1200),
        }
    }

    fn open_session(&mut self) -> Rv {
        if self.pool.sessions.len() >= MOST_SESSIONS {
            return self.close_session();
        }
        let slot = if self.choice.one_in(8) { self.choice.ulong() } else { self.slot };
        let flags =
            if self.choice.one_in(8) { self.choice.ulong() } else { 4 + 2 * self.choice.below(2) as u64 };
        let session = raw!(self).open_session(slot, flags);
        if let Ok(session) = session {
            self.pool.sessions.push(session);
        }
        session.rv()
    }

    /// Any but the first one, to which the long-lived keys belong.
    fn close_session(&mut self) -> Rv {
        if self.pool.sessions.len() < 2 {
            return raw!(self).close_session(self.choice.ulong()).rv();
        }
        let index = 1 + self.choice.below(self.pool.sessions.len() - 1);
        let session = self.pool.sessions.remove(index);
        self.pool.stale.push(session);
        raw!(self).close_session(session).rv()
    }

    fn session_functions(&mut self) -> Rv {
        let session = self.session();
        let data = self.choice.data();
        let room = self.room();
        match self.choice.below(7) {
            0 => raw!(self).session_info(session).rv(),
            1 => raw!(self).operation_state(session, room).rv,
            2 => raw!(self).set_operation_state(session, &data).rv(),
            3 => {
                // Back and forth, unless a key was digested.
                let state = raw!(self).operation_state(session, Room::Bytes(4096));
                raw!(self).set_operation_state(session, &state.data).rv()
            }
            // A PIN takes as long to check as a thousand calls, and wrong ones lock it.
            4 if self.choice.one_in(500) => {
                raw!(self).login(session, user::USER, Some(self.ring.user_pin.as_bytes())).rv()
            }
            4 => raw!(self).login(session, self.choice.ulong() | 8, Some(&data)).rv(),
            5 => raw!(self).init_pin(session, &data).rv(),
            _ => raw!(self).function_status(session).rv(),
        }
    }

    fn slot_functions(&mut self) -> Rv {
        let slot = if self.choice.one_in(3) { self.choice.ulong() | 1 << 40 } else { self.slot };
        let room = self.choice.one_in(2).then(|| self.choice.below(600) as u64);
        match self.choice.below(8) {
            0 => raw!(self).slots(self.choice.number().is_multiple_of(2), room).0,
            1 => raw!(self).slot_info(slot).rv(),
            2 => raw!(self).token_info(slot).rv(),
            3 => raw!(self).mechanisms(slot, room).0,
            4 => {
                let mechanism = M(self.choice.ulong());
                raw!(self).mechanism_info(slot, mechanism).rv()
            }
            5 => raw!(self).wait_for_slot_event(1).rv(),
            // The token has sessions, or the slot is none.
            6 => raw!(self).init_token(slot, self.ring.so_pin.as_bytes(), "label").rv(),
            _ => raw!(self).info().rv(),
        }
    }

    fn create(&mut self) -> Rv {
        let session = self.session();
        if self.token_objects < TOKEN_OBJECTS && self.choice.one_in(500) {
            self.token_objects += 1;
            let key = self.app.aes(session, 16, &on_token("random"));
            return self.keep(key, Some(KeyType::AES), true);
        }
        let secrets = [
            KeyType::AES,
            KeyType::GENERIC_SECRET,
            KeyType::DES3,
            KeyType::DES2,
            KeyType::DES,
            KeyType::ARIA,
            KeyType::CHACHA20,
            KeyType::POLY1305,
            KeyType::HKDF,
            KeyType::SHA256_HMAC,
        ];
        let key_type = secrets[self.choice.below(secrets.len())];
        match self.choice.below(4) {
            0 => {
                let more = pool::template(&mut self.choice, ObjectClass::DATA, None);
                let template = [&[class(ObjectClass::DATA)], &more[..]].concat();
                let made = raw!(self).create_object(session, &template);
                self.keep(made, None, false)
            }
            1 => {
                let classes = [ObjectClass::SECRET_KEY, ObjectClass::PUBLIC_KEY, ObjectClass::PRIVATE_KEY];
                let of = classes[self.choice.below(3)];
                let types =
                    [KeyType::RSA, KeyType::EC, KeyType::AES, KeyType::DSA, KeyType(self.choice.ulong())];
                let r#type = types[self.choice.below(5)];
                let more = pool::template(&mut self.choice, of, Some(r#type));
                let template = [&[class(of), key_type_of(r#type)], &more[..]].concat();
                let made = raw!(self).create_object(session, &template);
                self.keep(made, Some(r#type), true)
            }
            _ => self.known_key(session, key_type),
        }
    }

    fn generate(&mut self) -> Rv {
        let session = self.session();
        let row = pool::row(&mut self.choice, function::GENERATE);
        let mechanism = pool::parameter(&mut self.choice, row, &self.pool);
        let r#type = row.key_types.first().copied();
        let mut template = pool::template(&mut self.choice, ObjectClass::SECRET_KEY, r#type);
        template.retain(|attribute| attribute.r#type != A::VALUE);
        template.push(ulong(A::VALUE_LEN, [16, 24, 32, 64, 20, 7][self.choice.below(6)]));
        let made = raw!(self).generate_key(session, &mechanism, &template);
        self.keep(made, r#type, true)
    }

    fn generate_pair(&mut self) -> Rv {
        let session = self.session();
        let row = pool::row(&mut self.choice, function::GENERATE_KEY_PAIR);
        let mechanism = pool::parameter(&mut self.choice, row, &self.pool);
        let r#type = row.key_types.first().copied();
        let curves = [curve::P256, curve::P384, curve::ED25519, curve::X25519, curve::SECP160R1];
        let mut public = pool::template(&mut self.choice, ObjectClass::PUBLIC_KEY, r#type);
        public.push(bytes(A::EC_PARAMS, curves[self.choice.below(5)]));
        let private = pool::template(&mut self.choice, ObjectClass::PRIVATE_KEY, r#type);
        let pair = raw!(self).generate_key_pair(session, &mechanism, &public, &private);
        if let (Ok(pair), Some(r#type)) = (pair, r#type) {
            self.keep_pair(pair, r#type);
        }
        pair.rv()
    }

    fn attributes(&mut self) -> Rv {
        let (session, object) = (self.session(), self.object());
        match self.choice.below(4) {
            0 => {
                let of = [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY, ObjectClass::DATA]
                    [self.choice.below(3)];
                let template = pool::template(&mut self.choice, of, Some(KeyType::AES));
                raw!(self).set_attributes(session, object, &template).rv()
            }
            1 => raw!(self).object_size(session, object).rv(),
            _ => {
                let types = claviger_protocol::attribute::ATTRIBUTES;
                let wanted: Vec<(A, Room)> = (0..self.choice.below(12))
                    .map(|_| {
                        let room = if self.choice.one_in(3) {
                            Room::Query
                        } else {
                            Room::Bytes(self.choice.length())
                        };
                        (types[self.choice.below(types.len())].r#type, room)
                    })
                    // The elements of a template have pointers of their own.
                    .filter(|(r#type, _)| {
                        claviger_protocol::attribute::kind(*r#type)
                            != claviger_protocol::attribute::Kind::Template
                    })
                    .collect();
                raw!(self).attribute_values(session, object, &wanted).0
            }
        }
    }

    fn copy_or_destroy(&mut self) -> Rv {
        let (session, object) = (self.session(), self.object());
        if self.choice.one_in(3) {
            // The long-lived keys stay.
            let kept = self.pool.objects.iter().take(12).any(|kept| kept.handle == object);
            let object = if kept { self.choice.ulong() } else { object };
            let destroyed = raw!(self).destroy_object(session, object);
            if destroyed.is_ok() {
                self.pool.objects.retain(|other| other.handle != object);
                self.pool.stale.push(object);
            }
            return destroyed.rv();
        }
        let template = match self.choice.one_in(2) {
            true => vec![label("copy")],
            false => pool::template(&mut self.choice, ObjectClass::SECRET_KEY, Some(KeyType::AES)),
        };
        let known = self.pool.objects.iter().find(|other| other.handle == object).copied();
        let copy = raw!(self).copy_object(session, object, &template);
        self.keep(copy, known.and_then(|known| known.key_type), known.is_some_and(|known| known.is_private))
    }

    fn find(&mut self) -> Rv {
        let session = self.session();
        match self.choice.below(5) {
            0 | 1 => {
                let template = pool::template(&mut self.choice, ObjectClass::SECRET_KEY, Some(KeyType::AES));
                raw!(self).find_init(session, &template[..template.len().min(2)]).rv()
            }
            2 | 3 => {
                let most = self.choice.below(30) as u64;
                raw!(self).find_next(session, most).rv()
            }
            _ => raw!(self).find_final(session).rv(),
        }
    }

    /// An Init, and the calls that might follow it; or one of these alone.
    fn cipher(&mut self, operation: Operation, session: u64) -> Rv {
        let (data, room) = (self.choice.data(), self.room());
        match self.choice.below(4) {
            0 | 1 => raw!(self).one_shot(operation, session, &data, room).rv,
            2 => {
                let first = raw!(self).update(operation, session, &data, room).rv;
                let room = self.room();
                raw!(self).finish(operation, session, room);
                first
            }
            _ => raw!(self).finish(operation, session, room).rv,
        }
    }

    fn start(&mut self, operation: Operation, flag: u64, private: bool) -> (u64, Rv) {
        let session = self.session();
        if self.choice.one_in(25) {
            return (session, raw!(self).start(operation, session, None, 0).rv());
        }
        if self.choice.one_in(6) {
            return (session, Rv::OK);
        }
        let (mechanism, key) = self.mechanism(flag, private);
        (session, raw!(self).start(operation, session, Some(&mechanism), key).rv())
    }

    fn encrypt_or_decrypt(&mut self) -> Rv {
        let (operation, flag, private) = match self.choice.one_in(2) {
            true => (Operation::Encrypt, function::ENCRYPT, false),
            false => (Operation::Decrypt, function::DECRYPT, true),
        };
        let (session, _) = self.start(operation, flag, private);
        self.cipher(operation, session)
    }

    fn fed(&mut self, operation: Operation, session: u64) -> Rv {
        let (data, room) = (self.choice.data(), self.room());
        match self.choice.below(4) {
            0 | 1 if operation != Operation::Verify => {
                raw!(self).one_shot(operation, session, &data, room).rv
            }
            0 | 1 => raw!(self).verify(session, &data, &self.choice.data()).rv(),
            2 => {
                let fed = raw!(self).feed(operation, session, &data).rv();
                match operation {
                    Operation::Verify => drop(raw!(self).verify_final(session, &data)),
                    _ => drop(raw!(self).finish(operation, session, room)),
                }
                fed
            }
            _ => raw!(self).feed(operation, session, &data).rv(),
        }
    }

    fn digest(&mut self) -> Rv {
        let (session, _) = self.start(Operation::Digest, function::DIGEST, false);
        if self.choice.one_in(6) {
            let key = self.object();
            return raw!(self).digest_key(session, key).rv();
        }
        self.fed(Operation::Digest, session)
    }

    fn sign(&mut self) -> Rv {
        let (session, _) = self.start(Operation::Sign, function::SIGN, true);
        self.fed(Operation::Sign, session)
    }

    fn verify(&mut self) -> Rv {
        let (session, _) = self.start(Operation::Verify, function::VERIFY, false);
        self.fed(Operation::Verify, session)
    }

    fn recover(&mut self) -> Rv {
        let (operation, flag, private) = match self.choice.one_in(2) {
            true => (Operation::SignRecover, function::SIGN_RECOVER, true),
            false => (Operation::VerifyRecover, function::VERIFY_RECOVER, false),
        };
        let (session, _) = self.start(operation, flag, private);
        let (data, room) = (self.choice.data(), self.room());
        raw!(self).one_shot(operation, session, &data, room).rv
    }

    fn dual(&mut self) -> Rv {
        let (name, one, other) = [
            ("DigestEncryptUpdate", Operation::Digest, Operation::Encrypt),
            ("DecryptDigestUpdate", Operation::Decrypt, Operation::Digest),
            ("SignEncryptUpdate", Operation::Sign, Operation::Encrypt),
            ("DecryptVerifyUpdate", Operation::Decrypt, Operation::Verify),
        ][self.choice.below(4)];
        let session = self.session();
        for operation in [one, other] {
            let flag = match operation {
                Operation::Digest => function::DIGEST,
                Operation::Encrypt => function::ENCRYPT,
                Operation::Decrypt => function::DECRYPT,
                Operation::Sign => function::SIGN,
                _ => function::VERIFY,
            };
            let (mechanism, key) = self.mechanism(flag, operation == Operation::Sign);
            let _ = raw!(self).start(operation, session, Some(&mechanism), key);
        }
        let (data, room) = (self.choice.data(), self.room());
        raw!(self).dual(name, session, &data, room).rv
    }

    fn wrap(&mut self) -> Rv {
        let (session, target) = (self.session(), self.object());
        let (mechanism, key) = self.mechanism(function::WRAP, false);
        let room = self.room();
        raw!(self).wrap_key(session, &mechanism, key, target, room).rv
    }

    fn unwrap(&mut self) -> Rv {
        let (session, target) = (self.session(), self.object());
        let row = pool::row(&mut self.choice, function::UNWRAP);
        let mechanism = pool::parameter(&mut self.choice, row, &self.pool);
        let (with, from) =
            (self.pool.key(&mut self.choice, row, false), self.pool.key(&mut self.choice, row, true));
        let wrapped = raw!(self).wrap_key(session, &mechanism, with, target, Room::Bytes(1 << 15));
        let mut wrapped = if wrapped.rv == Rv::OK { wrapped.data } else { self.choice.data() };
        if self.choice.one_in(4) && !wrapped.is_empty() {
            let index = self.choice.below(wrapped.len());
            wrapped[index] ^= 1 << self.choice.below(8);
        }
        let more = pool::template(&mut self.choice, ObjectClass::SECRET_KEY, Some(KeyType::GENERIC_SECRET));
        let template =
            [&[class(ObjectClass::SECRET_KEY), key_type_of(KeyType::GENERIC_SECRET)], &more[..]].concat();
        let made = raw!(self).unwrap_key(session, &mechanism, from, &wrapped, &template);
        self.keep(made, Some(KeyType::GENERIC_SECRET), true)
    }

    fn derive(&mut self) -> Rv {
        let session = self.session();
        let (mechanism, base) = self.mechanism(function::DERIVE, true);
        let more = pool::template(&mut self.choice, ObjectClass::SECRET_KEY, Some(KeyType::GENERIC_SECRET));
        let length = ulong(A::VALUE_LEN, [16, 20, 32, 0, 64, 20_000][self.choice.below(6)]);
        let template = match self.choice.below(3) {
            0 => more,
            _ => [&[class(ObjectClass::SECRET_KEY), key_type_of(KeyType::GENERIC_SECRET), length], &more[..]]
                .concat(),
        };
        let made = raw!(self).derive_key(session, &mechanism, base, &template);
        self.keep(made, Some(KeyType::GENERIC_SECRET), true)
    }

    fn random(&mut self) -> Rv {
        let (session, length) = (self.session(), self.choice.length());
        if self.choice.one_in(3) {
            let seed = self.choice.data();
            return raw!(self).seed_random(session, &seed).rv();
        }
        raw!(self).generate_random(session, length).rv()
    }
}

/// `CKA_KEY_TYPE`; the name is taken by fields here.
fn key_type_of(r#type: KeyType) -> Attribute {
    key_type(r#type)
}
