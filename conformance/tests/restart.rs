//! What survives the end of the daemon, however it comes: everything that was acknowledged.

use claviger_conformance::openssl::{digest, ecdsa_der, verifies};
use claviger_conformance::prelude::*;
use claviger_protocol::flags::{token as token_flags, user};

/// An attribute's value, or why not.
type Reading = Result<Vec<u8>, Rv>;

/// All objects of a token with what can be read of them.
fn inventory(app: &Application, session: u64) -> Vec<(u64, Vec<Reading>)> {
    const READ: [A; 9] = [
        A::CLASS,
        A::KEY_TYPE,
        A::LABEL,
        A::ID,
        A::UNIQUE_ID,
        A::PUBLIC_KEY_INFO,
        A::CHECK_VALUE,
        A::KEY_GEN_MECHANISM,
        A::VALUE_LEN,
    ];
    let objects = app.raw.find(session, &[token(true)]).unwrap();
    objects
        .into_iter()
        .map(|object| (object, READ.map(|read| app.raw.attribute(session, object, read)).to_vec()))
        .collect()
}

/// Ends the daemon in one of three ways.
fn end(daemon: &Daemon, way: &str) {
    match way {
        "SIGKILL" => daemon.kill(),
        "SIGTERM" => assert!(daemon.stop(libc::SIGTERM).success()),
        _ => assert!(daemon.stop(libc::SIGINT).success()),
    }
}

#[test]
fn every_key_is_there_with_its_handle_and_works() {
    for way in ["SIGKILL", "SIGTERM", "SIGINT"] {
        let daemon = Daemon::start();
        let ring = Ring::create(&daemon, &[]);
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        app.rsa(session, 2048, &on_token("rsa")).unwrap();
        let (ec_public, ec) = app.ec(session, curve::P256, &on_token("ec")).unwrap();
        app.edwards(session, curve::ED25519, &on_token("ed")).unwrap();
        let aes = app.aes(session, 32, &on_token("aes")).unwrap();
        app.secret(session, 20, &on_token("secret")).unwrap();
        let data = [class(ObjectClass::DATA), token(true), label("data"), bytes(A::VALUE, "kept")];
        let data = app.raw.create_object(session, &data).unwrap();
        app.aes(session, 16, &[label("session object")]).unwrap();
        let spki = app.raw.attribute(session, ec_public, A::PUBLIC_KEY_INFO).unwrap();
        let cbc = Mechanism::bytes(M::AES_CBC_PAD, &[0; 16]);
        app.raw.start(Operation::Encrypt, session, Some(&cbc), aes).unwrap();
        let encrypted = app.raw.one_shot(Operation::Encrypt, session, b"before", Room::Bytes(16)).unwrap();
        let before = inventory(&app, session);
        assert_eq!(before.len(), 9);

        end(&daemon, way);
        daemon.restart();
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        assert_eq!(inventory(&app, session), before, "after {way}");
        app.raw.start(Operation::Decrypt, session, Some(&cbc), aes).unwrap();
        let decrypted = app.raw.one_shot(Operation::Decrypt, session, &encrypted, Room::Bytes(16)).unwrap();
        assert_eq!(decrypted, b"before", "after {way}");
        app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), ec).unwrap();
        let hash = digest("sha256", b"after");
        let signature = app.raw.one_shot(Operation::Sign, session, &hash, Room::Bytes(64)).unwrap();
        verifies(&spki, "-sha256", b"after", &ecdsa_der(&signature));
        assert_eq!(app.raw.attribute(session, data, A::VALUE), Ok(b"kept".to_vec()));
    }
}

#[test]
fn handles_are_never_used_again() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &["--p11-destroy", "immediate"]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        for _ in 0..3 {
            let key = app.aes(session, 16, &on_token("short-lived")).unwrap();
            let object = app.raw.create_object(session, &[class(ObjectClass::DATA), token(true)]).unwrap();
            seen.extend([key, object]);
            app.raw.destroy_object(session, key).unwrap();
            app.raw.destroy_object(session, object).unwrap();
        }
        daemon.kill();
        daemon.restart();
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "{seen:?}");
}

#[test]
fn an_application_lives_on_over_a_restart() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let key = app.aes(session, 16, &on_token("key")).unwrap();
    app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();

    daemon.kill();
    for _ in 0..2 {
        let gone = app.raw.session_info(session).err();
        assert!(matches!(gone, Some(Rv::DEVICE_REMOVED | Rv::DEVICE_ERROR)), "{gone:?}");
    }
    assert_eq!(app.raw.open_session(0, 6), Err(Rv::DEVICE_REMOVED));
    daemon.restart();

    // No C_Initialize is needed, nor a login. Sessions and handles are what they were; the operation is lost, and
    // that is said once.
    assert_eq!(app.raw.session_info(session).unwrap().state, 3, "CKS_RW_USER_FUNCTIONS");
    let output = app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16));
    assert_eq!(output.rv, Rv::DEVICE_ERROR);
    let output = app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16));
    assert_eq!(output.rv, Rv::OPERATION_NOT_INITIALIZED);
    app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
    assert_eq!(app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16)).rv, Rv::OK);
}

#[test]
fn a_call_waits_for_a_daemon_that_is_being_started_anew() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let key = app.aes(session, 16, &on_token("key")).unwrap();
    for _ in 0..3 {
        daemon.kill();
        std::thread::scope(|scope| {
            let started = scope.spawn(|| {
                let begin = std::time::Instant::now();
                daemon.restart();
                begin.elapsed()
            });
            // Neither an error nor a login in between, for all that the application sees.
            let rv = app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key);
            let took = started.join().unwrap();
            // On a machine that is too busy the daemon takes longer than a call may wait.
            let late = rv == Err(Rv::DEVICE_REMOVED) && took.as_secs_f64() > 1.0;
            assert!(rv == Ok(()) || late, "{rv:?}, the daemon took {took:?}");
            if rv == Ok(()) {
                let output = app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16));
                assert_eq!(output.rv, Rv::OK);
            }
        });
        assert_eq!(app.raw.session_info(session).unwrap().state, 3, "CKS_RW_USER_FUNCTIONS");
    }
}

#[test]
fn a_resume_ticket_is_good_for_its_process_and_its_pin_alone() {
    use claviger_conformance::wire::Wire;
    use claviger_protocol::call;
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let socket = daemon.pkcs11_socket();
    let pin = Some(ring.user_pin.as_bytes().into());
    let mut wire = Wire::greet(&socket, None).0;
    let slot = wire.call(&call::GetSlotList { token_present: true }).unwrap()[0];
    let session = wire.call(&call::OpenSession { slot, flags: 6 }).unwrap();
    wire.call(&call::Login { session, user_type: user::USER, pin }).unwrap();
    let numbered = wire.call(&call::GetResumption { session: 0 }).unwrap();
    let (number, ticket) = numbered.split_first_chunk::<8>().unwrap();
    assert_eq!((u64::from_le_bytes(*number), ticket.len() > 32), (1, true));
    let ticket = claviger_protocol::Bytes::from(ticket);
    assert_eq!(wire.call(&call::Resume { ticket: ticket.clone() }), Err(Rv::SESSION_EXISTS));
    daemon.kill();
    daemon.restart();
    let resume = |ticket: &[u8]| {
        let mut wire = Wire::greet(&socket, None).0;
        let rv = wire.call(&call::Resume { ticket: ticket.into() }).err().unwrap_or(Rv::OK);
        (rv, wire.call(&call::GetSessionInfo { session }).map(|info| info.state))
    };
    assert_eq!(resume(&ticket), (Rv::OK, Ok(3)));
    let none = (Rv::SESSION_HANDLE_INVALID, Err(Rv::SESSION_HANDLE_INVALID));
    for position in 0..ticket.len() {
        let mut forged = ticket.to_vec();
        forged[position] ^= 1;
        assert_eq!(resume(&forged), none, "byte {position}");
        assert_eq!(resume(&ticket[..position]), none, "{position} bytes");
    }
    // With another PIN the session comes back and the login does not.
    let fresh = daemon.file("fresh.pin", "another pin");
    daemon.admin().json(["keyrings", "reset-pin", &ring.name, "--user-pin-file", &fresh.to_string_lossy()]);
    assert_eq!(resume(&ticket), (Rv::OK, Ok(2)));
}

#[test]
fn wrong_pins_are_remembered() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    for wrong in 1..=10 {
        let app = Application::on(&daemon);
        let session = app.open(&ring);
        assert_eq!(app.raw.login(session, user::USER, Some(b"wrong pin")), Err(Rv::PIN_INCORRECT), "{wrong}");
        if wrong % 3 == 0 {
            daemon.kill();
            daemon.restart();
        }
    }
    daemon.kill();
    daemon.restart();
    let app = Application::on(&daemon);
    let session = app.open(&ring);
    assert_ne!(app.raw.token_info(app.slot(&ring)).unwrap().flags & token_flags::USER_PIN_LOCKED, 0);
    assert_eq!(app.raw.login(session, user::USER, Some(ring.user_pin.as_bytes())), Err(Rv::PIN_LOCKED));
}

#[test]
fn states_of_versions_survive() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    for name in ["enabled", "disabled", "scheduled", "restored"] {
        app.aes(session, 16, &on_token(name)).unwrap();
    }
    let verb = |verb: &str, key: &str| {
        daemon.admin().json(["keys", "versions", verb, "1", "--keyring", &ring.name, "--key", key, "--yes"])
    };
    verb("disable", "disabled");
    verb("destroy", "scheduled");
    verb("destroy", "restored");
    verb("restore", "restored");
    let describe = || ["enabled", "disabled", "scheduled", "restored"].map(|key| verb("describe", key));
    let before = describe();
    assert_eq!(
        before.each_ref().map(|v| v["state"].as_str().unwrap()),
        ["ENABLED", "DISABLED", "DESTROY_SCHEDULED", "DISABLED"]
    );
    daemon.kill();
    daemon.restart();
    assert_eq!(describe(), before);
    verb("restore", "scheduled");
    verb("enable", "scheduled");
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let key = app.raw.find(session, &[label("scheduled")]).unwrap()[0];
    assert_eq!(app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key), Ok(()));
}

#[test]
fn the_daemon_stops_at_once_when_clients_are_idle() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    assert!(daemon.stop(libc::SIGTERM).success());
    let gone = app.raw.session_info(session).err();
    assert!(matches!(gone, Some(Rv::DEVICE_REMOVED | Rv::DEVICE_ERROR)), "{gone:?}");
    daemon.restart();
    assert_eq!(daemon.admin().json(["keyrings", "list"]).as_array().unwrap().len(), 1);
}
