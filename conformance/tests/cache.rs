//! What the module answers without the daemon (the rule is in `pkcs11-module/src/cache.rs`): it needs no daemon, it is
//! what the daemon would say, and a change by anybody ends it at the next call.

use claviger_conformance::prelude::*;
use claviger_protocol::flags::{mechanism as functions, session as flags, user};

const RW: u64 = flags::RW_SESSION | flags::SERIAL_SESSION;
const HASH: [u8; 32] = [7; 32];

/// An application with a key pair and a secret key on its token, and what is to be done with them.
struct Warm {
    setup: Setup,
    session: u64,
    public: u64,
    private: u64,
    aes: u64,
}

impl Warm {
    fn new() -> Warm {
        Warm::with(&[])
    }

    fn with(options: &[&str]) -> Warm {
        let setup = Setup::with(options);
        Warm::of(setup)
    }

    fn of(setup: Setup) -> Warm {
        let session = setup.app.login(&setup.ring);
        let (public, private) = setup.app.ec(session, curve::P256, &on_token("pair")).unwrap();
        let aes = setup.app.aes(session, 32, &on_token("aes")).unwrap();
        let warm = Warm { setup, session, public, private, aes };
        warm.warm();
        warm
    }

    fn raw(&self) -> &Raw {
        &self.setup.app.raw
    }

    /// Does everything often enough for the module to know it.
    fn warm(&self) {
        for _ in 0..3 {
            self.sign(self.session).unwrap();
            self.encrypt(self.session, 1).unwrap();
            self.look(self.session);
        }
    }

    fn init(&self, session: u64) -> Result<(), Rv> {
        self.raw().start(Operation::Sign, session, Some(&M::ECDSA.into()), self.private)
    }

    fn sign(&self, session: u64) -> Result<Vec<u8>, Rv> {
        self.init(session)?;
        let size = ok(self.raw().one_shot(Operation::Sign, session, &HASH, Room::Query))?;
        assert!(size.is_empty());
        ok(self.raw().one_shot(Operation::Sign, session, &HASH, Room::Bytes(64)))
    }

    fn encrypt(&self, session: u64, iv: u8) -> Result<Vec<u8>, Rv> {
        self.raw().start(
            Operation::Encrypt,
            session,
            Some(&Mechanism::gcm(&[iv; 12], b"", 128)),
            self.aes,
        )?;
        ok(self.raw().one_shot(Operation::Encrypt, session, b"plain", Room::Bytes(64)))
    }

    /// What only looks around.
    fn look(&self, session: u64) -> Vec<Result<Vec<u8>, Rv>> {
        let raw = self.raw();
        let slot = self.setup.app.slot(&self.setup.ring);
        let mut seen = vec![
            raw.session_info(session).map(|info| vec![info.state as u8]),
            raw.token_info(slot).map(|info| info.label.to_vec()),
            raw.mechanism_info(slot, M::ECDSA).map(|info| info.flags.to_le_bytes().to_vec()),
        ];
        for object in [self.public, self.private, self.aes] {
            for r#type in [A::CLASS, A::LABEL, A::ID, A::EC_POINT, A::SIGN, A::VALUE_LEN] {
                seen.push(raw.attribute(session, object, r#type));
            }
        }
        seen
    }

    /// What an application says of the key that has never asked before.
    fn cold(&self) -> Result<(), Rv> {
        let app = Application::on(self.setup.daemon);
        let session = app.login(&self.setup.ring);
        app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), self.private)
    }

    fn admin(&self, verb: &str) {
        let words: Vec<_> = verb.split(' ').chain(["--keyring", &self.setup.ring.name]).collect();
        self.setup.daemon.admin().json(words);
    }
}

fn ok(output: Output) -> Result<Vec<u8>, Rv> {
    if output.rv == Rv::OK { Ok(output.data) } else { Err(output.rv) }
}

/// Stops a process, and lets it go on when dropped.
struct Frozen<'a>(&'a Daemon);

impl<'a> Frozen<'a> {
    fn new(daemon: &'a Daemon) -> Self {
        daemon.pause();
        Frozen(daemon)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.proceed();
    }
}

#[test]
fn what_was_told_and_still_holds_needs_no_daemon() {
    let daemon: &'static Daemon = Box::leak(Box::new(Daemon::start()));
    let ring = Ring::create(daemon, &[]);
    let warm = Warm::of(Setup { daemon, ring, app: Application::on(daemon) });
    let (session, raw) = (warm.session, warm.raw());
    let before = warm.look(session);
    raw.find_init(session, &[label("pair")]).unwrap();
    {
        // A call that went to the daemon now would find nobody.
        let _frozen = Frozen::new(daemon);
        assert_eq!(warm.look(session), before);
        assert_eq!(raw.find_next(session, 1).unwrap().len(), 1);
        assert_eq!(raw.find_next(session, 9).unwrap().len(), 1);
        assert_eq!(raw.find_final(session), Ok(()));
        assert_eq!(raw.attribute(session, warm.private, A::LABEL), Ok(b"pair".to_vec()));
        assert_eq!(warm.init(session), Ok(()));
        let size = raw.one_shot(Operation::Sign, session, &HASH, Room::Query);
        assert_eq!((size.rv, size.length), (Rv::OK, 64));
        let iv = Mechanism::gcm(&[9; 12], b"", 128);
        raw.start(Operation::Encrypt, session, Some(&iv), warm.aes).unwrap();
    }
    assert_eq!(raw.one_shot(Operation::Sign, session, &HASH, Room::Bytes(64)).unwrap().len(), 64);
    assert_eq!(raw.one_shot(Operation::Encrypt, session, b"plain", Room::Bytes(64)).unwrap().len(), 21);
    daemon.kill();
    // Nobody vouches for anything any more.
    assert_eq!(warm.init(session), Err(Rv::DEVICE_REMOVED));
    assert_eq!(raw.attribute(session, warm.private, A::LABEL), Err(Rv::DEVICE_REMOVED));
    daemon.restart();
    // The session goes on, and the daemon is asked again.
    assert!(raw.session_info(session).is_ok());
    assert_eq!(warm.sign(session).map(|signature| signature.len()), Ok(64));
}

/// A change, and its way back.
type Change<'a> = (&'a str, Box<dyn Fn() + 'a>, Box<dyn Fn() + 'a>);

#[test]
fn an_init_never_succeeds_on_what_was_so_before_a_change() {
    let warm = Warm::new();
    let other = Application::on(warm.setup.daemon);
    let theirs = other.login(&warm.setup.ring);
    let set = |on: bool| other.raw.set_attributes(theirs, warm.private, &[flag(A::SIGN, on)]).unwrap();
    let changes: [Change; 3] = [
        (
            "disabled",
            Box::new(|| warm.admin("keys versions disable 1 --key pair")),
            Box::new(|| warm.admin("keys versions enable 1 --key pair")),
        ),
        ("CKA_SIGN", Box::new(|| set(false)), Box::new(|| set(true))),
        (
            "disabled again",
            Box::new(|| warm.admin("keys versions disable 1 --key pair")),
            Box::new(|| warm.admin("keys versions enable 1 --key pair")),
        ),
    ];
    for (name, change, back) in changes {
        change();
        let expected = warm.cold();
        assert_ne!(expected, Ok(()), "{name}");
        assert_eq!(warm.init(warm.session), expected, "{name}: before Init");
        assert_eq!(warm.init(warm.session), expected, "{name}: and again");
        back();
        warm.warm();
        assert_eq!(warm.init(warm.session), Ok(()), "{name}");
        change();
        let output = warm.raw().one_shot(Operation::Sign, warm.session, &HASH, Room::Bytes(64));
        assert_eq!(Err(output.rv), expected, "{name}: between Init and C_Sign");
        let output = warm.raw().one_shot(Operation::Sign, warm.session, &HASH, Room::Bytes(64));
        assert_eq!(output.rv, Rv::OPERATION_NOT_INITIALIZED, "{name}: the error has ended it");
        back();
        warm.warm();
    }
    assert_eq!(warm.sign(warm.session).map(|signature| signature.len()), Ok(64));
    warm.admin("keys versions destroy 1 --yes --key pair");
    assert_eq!(warm.init(warm.session), Err(Rv::KEY_HANDLE_INVALID));
    assert_eq!(warm.raw().attribute(warm.session, warm.private, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
    assert_eq!(warm.cold(), Err(Rv::KEY_HANDLE_INVALID));
    other.raw.destroy_object(theirs, warm.aes).unwrap();
    assert_eq!(warm.encrypt(warm.session, 3), Err(Rv::KEY_HANDLE_INVALID));
}

#[test]
fn rotation_shows_the_new_version_and_keeps_the_old_one() {
    let warm = Warm::new();
    let raw = warm.raw();
    warm.admin("keys create signer --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256");
    let template = [class(ObjectClass::PRIVATE_KEY), label("signer")];
    let first = raw.find(warm.session, &template).unwrap();
    let sign = |key| {
        raw.start(Operation::Sign, warm.session, Some(&M::ECDSA_SHA256.into()), key)?;
        ok(raw.one_shot(Operation::Sign, warm.session, b"data", Room::Bytes(64)))
    };
    for versions in 1..4 {
        let found = raw.find(warm.session, &template).unwrap();
        assert_eq!(found.len(), versions);
        for key in found {
            assert_eq!(sign(key).map(|signature| signature.len()), Ok(64));
            assert_eq!(sign(key).map(|signature| signature.len()), Ok(64));
        }
        warm.admin("keys versions create --key signer");
    }
    warm.admin("keys versions destroy 1 --yes --key signer");
    assert_eq!(sign(first[0]), Err(Rv::KEY_HANDLE_INVALID));
}

#[test]
fn attributes_and_information_follow_changes_by_others() {
    let warm = Warm::new();
    let raw = warm.raw();
    let other = Application::on(warm.setup.daemon);
    let theirs = other.login(&warm.setup.ring);
    for name in ["one", "two", "three"] {
        other.raw.set_attributes(theirs, warm.aes, &[label(name)]).unwrap();
        assert_eq!(raw.attribute(warm.session, warm.aes, A::LABEL), Ok(name.as_bytes().to_vec()));
        assert_eq!(raw.find(warm.session, &[label(name)]), Ok(vec![warm.aes]));
        assert_eq!(raw.attribute(warm.session, warm.aes, A::LABEL), Ok(name.as_bytes().to_vec()));
    }
    let slot = warm.setup.app.slot(&warm.setup.ring);
    for sessions in 2..5 {
        assert_eq!(raw.token_info(slot).unwrap().ulSessionCount, sessions - 1);
        raw.open_session(slot, RW).unwrap();
        assert_eq!(raw.token_info(slot).unwrap().ulSessionCount, sessions);
    }
    assert_eq!(raw.token_info(slot).unwrap().flags & 0x0001_0000, 0);
    let wrong = Application::on(warm.setup.daemon);
    let session = wrong.open(&warm.setup.ring);
    while raw.token_info(slot).unwrap().flags & 0x0001_0000 == 0 {
        // CKF_USER_PIN_COUNT_LOW, after somebody else's wrong PINs.
        assert_eq!(wrong.raw.login(session, user::USER, Some(b"wrong")), Err(Rv::PIN_INCORRECT));
    }
    let (_, before, _) = raw.slots(true, None);
    Ring::create(warm.setup.daemon, &[]);
    assert!(raw.slots(true, None).1 > before);
}

#[test]
fn logging_out_ends_what_needed_the_login() {
    let mut warm = Warm::new();
    let raw = &warm.setup.app.raw;
    assert_eq!(raw.find_init(warm.session, &[]), Ok(()));
    assert_eq!(warm.init(warm.session), Ok(()));
    raw.logout(warm.session).unwrap();
    let output = raw.one_shot(Operation::Sign, warm.session, &HASH, Room::Bytes(64));
    assert_eq!(output.rv, Rv::OPERATION_NOT_INITIALIZED);
    assert_eq!(raw.find_next(warm.session, 1), Err(Rv::OPERATION_NOT_INITIALIZED));
    assert_eq!(warm.init(warm.session), Err(Rv::KEY_HANDLE_INVALID));
    assert_eq!(raw.attribute(warm.session, warm.private, A::CLASS), Err(Rv::OBJECT_HANDLE_INVALID));
    assert_eq!(raw.session_info(warm.session).unwrap().state, 2);
    raw.login(warm.session, user::USER, Some(warm.setup.ring.user_pin.as_bytes())).unwrap();
    // Handles of private objects are others after a logout.
    assert_eq!(warm.init(warm.session), Err(Rv::KEY_HANDLE_INVALID));
    let find = |wanted: ObjectClass| raw.find(warm.session, &[class(wanted)]).unwrap()[0];
    (warm.private, warm.aes) = (find(ObjectClass::PRIVATE_KEY), find(ObjectClass::SECRET_KEY));
    warm.warm();
    // The last session takes the login with it.
    raw.close_session(warm.session).unwrap();
    let session = warm.setup.app.open(&warm.setup.ring);
    assert_eq!(warm.init(session), Err(Rv::KEY_HANDLE_INVALID));
    assert_eq!(warm.init(warm.session), Err(Rv::SESSION_HANDLE_INVALID));
    assert_eq!(raw.session_info(warm.session).err(), Some(Rv::SESSION_HANDLE_INVALID));
}

#[test]
fn a_session_takes_its_objects_with_it() {
    let warm = Warm::new();
    let raw = warm.raw();
    let owner = raw.open_session(warm.setup.app.slot(&warm.setup.ring), RW).unwrap();
    let key = warm.setup.app.aes(owner, 16, &[]).unwrap();
    let ecb = M::AES_ECB.into();
    for _ in 0..3 {
        raw.start(Operation::Encrypt, warm.session, Some(&ecb), key).unwrap();
        raw.one_shot(Operation::Encrypt, warm.session, &[0; 16], Room::Bytes(16)).unwrap();
    }
    raw.close_session(owner).unwrap();
    assert_eq!(raw.start(Operation::Encrypt, warm.session, Some(&ecb), key), Err(Rv::KEY_HANDLE_INVALID));
}

/// A step of a script, by name, and its return value.
type Told = Vec<(&'static str, Rv)>;

/// Everything that can come between an Init and its end.
fn script(warm: &Warm, session: u64) -> Told {
    let raw = warm.raw();
    let mut told = Told::new();
    let rv = |result: Result<(), Rv>| result.err().unwrap_or(Rv::OK);
    let init = || rv(warm.init(session));
    let sign = |room| raw.one_shot(Operation::Sign, session, &HASH, room).rv;
    let cancel = || rv(raw.start(Operation::Sign, session, None, 0));
    let feed = || rv(raw.feed(Operation::Sign, session, b"part"));
    let sha = M::ECDSA_SHA256.into();
    let init_parts = || rv(raw.start(Operation::Sign, session, Some(&sha), warm.private));
    let finish = || raw.finish(Operation::Sign, session, Room::Bytes(64)).rv;

    told.push(("cancel nothing", cancel()));
    told.push(("init", init()));
    told.push(("init again", init()));
    told.push(("cancel", cancel()));
    told.push(("sign nothing", sign(Room::Bytes(64))));
    told.push(("init", init()));
    told.push(("no length", sign(Room::NoLength)));
    told.push(("sign after an error", sign(Room::Bytes(64))));
    told.push(("init", init()));
    told.push(("too small", sign(Room::Bytes(63))));
    told.push(("init again", init()));
    told.push(("size", sign(Room::Query)));
    told.push(("sign", sign(Room::Bytes(64))));
    told.push(("init", init()));
    told.push(("size", sign(Room::Query)));
    told.push(("a part of a digest", feed()));
    told.push(("sign after an error", sign(Room::Bytes(64))));
    told.push(("init in parts", init_parts()));
    told.push(("part", feed()));
    told.push(("whole after parts", sign(Room::Bytes(64))));
    told.push(("init in parts", init_parts()));
    told.push(("part", feed()));
    told.push(("finish", finish()));
    told.push(("init in parts", init_parts()));
    told.push(("size in parts", raw.finish(Operation::Sign, session, Room::Query).rv));
    told.push(("finish without parts", finish()));
    told.push(("init in parts", init_parts()));
    told.push(("size of the whole", sign(Room::Query)));
    told.push(("part after that", feed()));
    told.push(("init", init()));
    told.push(("state", raw.operation_state(session, Room::Query).rv));
    told.push(("sign", sign(Room::Bytes(64))));
    told.push(("init", init()));
    told.push(("session cancel", rv(raw.session_cancel(session, functions::SIGN))));
    told.push(("sign", sign(Room::Bytes(64))));
    told.push(("init", init()));
    told.push(("session cancel of others", rv(raw.session_cancel(session, functions::DIGEST))));
    told.push(("sign", sign(Room::Bytes(64))));
    told.push(("init", init()));
    told.push(("bad data", raw.one_shot(Operation::Sign, session, &[1; 100], Room::Bytes(64)).rv));
    told.push(("sign after bad data", sign(Room::Bytes(64))));
    let digest: Mechanism = M::SHA256.into();
    let start_digest = || rv(raw.start(Operation::Digest, session, Some(&digest), 0));
    told.push(("digest", start_digest()));
    told.push(("digest again", start_digest()));
    told.push(("state", raw.operation_state(session, Room::Bytes(4096)).rv));
    told.push(("digest", raw.one_shot(Operation::Digest, session, b"x", Room::Bytes(32)).rv));
    told.push(("digest over", raw.one_shot(Operation::Digest, session, b"x", Room::Bytes(32)).rv));
    told.push(("digest", start_digest()));
    told.push(("digest key", rv(raw.digest_key(session, warm.aes))));
    told.push(("digest", raw.finish(Operation::Digest, session, Room::Bytes(32)).rv));
    let verify = || rv(raw.start(Operation::Verify, session, Some(&M::ECDSA.into()), warm.public));
    told.push(("verify", verify()));
    told.push(("wrong", rv(raw.verify(session, &HASH, &[1; 64]))));
    told.push(("over", rv(raw.verify(session, &HASH, &[1; 64]))));
    told.push(("verify", verify()));
    told.push(("wrong length", rv(raw.verify(session, &HASH, &[1; 63]))));
    told.push(("verify", verify()));
    told.push(("no signature", rv(raw.verify_final(session, &[1; 64]))));
    told.push(("wrong key", rv(raw.start(Operation::Verify, session, Some(&M::ECDSA.into()), warm.aes))));
    told.push(("find", rv(raw.find_init(session, &[]))));
    told.push(("find again", rv(raw.find_init(session, &[]))));
    told.push(("cancel find", rv(raw.session_cancel(session, functions::FIND_OBJECTS))));
    told.push(("next", rv(raw.find_next(session, 1).map(drop))));
    told.push(("final", rv(raw.find_final(session))));
    told.push(("init", init()));
    told.push(("close", rv(raw.close_session(session))));
    told.push(("sign", sign(Room::Bytes(64))));
    told.push(("init", init()));
    told
}

#[test]
fn a_module_that_knows_says_what_one_says_that_asks() {
    let warm = Warm::new();
    let other = Application::on(warm.setup.daemon);
    let theirs = other.login(&warm.setup.ring);
    let raw = warm.raw();
    let slot = warm.setup.app.slot(&warm.setup.ring);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(script(&warm, raw.open_session(slot, RW).unwrap()));
    }
    // Nothing holds while somebody keeps changing something.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                other.raw.set_attributes(theirs, warm.aes, &[label("changing")]).unwrap();
            }
        });
        for _ in 0..2 {
            told.push(script(&warm, raw.open_session(slot, RW).unwrap()));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    for run in &told[1..] {
        for (step, (one, other)) in told[0].iter().zip(run).enumerate() {
            assert_eq!(one, other, "step {step}");
        }
    }
}

#[test]
fn more_objects_than_one_answer_holds_are_found_once_each() {
    let warm = Warm::new();
    let raw = warm.raw();
    let data = |n: u32| {
        let name = format!("object {n}");
        raw.create_object(warm.session, &[class(ObjectClass::DATA), label(&name), bytes(A::VALUE, "x")])
    };
    let mut expected: Vec<u64> = (0..600).map(|n| data(n).unwrap()).collect();
    expected.sort_unstable();
    for max in [1, 7, 256, 300, 1000] {
        raw.find_init(warm.session, &[class(ObjectClass::DATA)]).unwrap();
        let mut found = Vec::new();
        loop {
            let next = raw.find_next(warm.session, max).unwrap();
            assert_eq!(next.len(), (600 - found.len()).min(max as usize), "{max} at a time");
            if next.is_empty() {
                break;
            }
            found.extend(next);
        }
        raw.find_final(warm.session).unwrap();
        assert_eq!(found, expected, "{max} at a time");
    }
    raw.find_init(warm.session, &[class(ObjectClass::DATA)]).unwrap();
    raw.find_next(warm.session, 10).unwrap();
    raw.find_final(warm.session).unwrap();
    assert_eq!(raw.find_final(warm.session), Err(Rv::OPERATION_NOT_INITIALIZED));
}
