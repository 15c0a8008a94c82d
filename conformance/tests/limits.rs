//! What one application, one user and all users may hold: every key of the configuration's `[limits]`, and the limits on
//! connections. One user at his limits takes nothing from another.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use claviger_conformance::application::initialize;
use claviger_conformance::prelude::*;
use claviger_conformance::process;
use claviger_conformance::wire::Wire;

const ALICE: u32 = 12_345;
const BOB: u32 = 12_346;

fn with(settings: &str) -> Daemon {
    let daemon = Daemon::prepare();
    fs::create_dir(daemon.directory()).unwrap();
    fs::write(daemon.directory().join("clavigerd.toml"), settings).unwrap();
    daemon.restart();
    for directory in [daemon.root().to_owned(), daemon.directory()] {
        fs::set_permissions(directory, PermissionsExt::from_mode(0o711)).unwrap();
    }
    daemon
}

/// Does it until it is refused; gives what it made, and why it made no more.
fn until_refused<T>(mut make: impl FnMut() -> Result<T, Rv>) -> (Vec<T>, Rv) {
    let mut made = Vec::new();
    loop {
        match make() {
            Ok(one) => made.push(one),
            Err(rv) => return (made, rv),
        }
        assert!(made.len() < 10_000, "no limit");
    }
}

fn data(app: &Application, session: u64, size: usize) -> Result<u64, Rv> {
    app.raw.create_object(session, &[class(ObjectClass::DATA), bytes(A::VALUE, vec![7; size])])
}

#[test]
fn sessions_of_an_application_and_of_a_user() {
    let daemon = with("[limits]\nsessions = 5\nsessions_per_uid = 8\n");
    let ring = Ring::create(&daemon, &[]);
    let (one, two) = (Application::on(&daemon), Application::on(&daemon));
    let slot = one.slot(&ring);
    let (mine, rv) = until_refused(|| one.raw.open_session(slot, 6));
    assert_eq!((mine.len(), rv), (5, Rv::SESSION_COUNT));
    let (others, rv) = until_refused(|| two.raw.open_session(slot, 6));
    assert_eq!((others.len(), rv), (3, Rv::SESSION_COUNT), "eight of the user, five are taken");
    // What one gives back, the other gets.
    one.raw.close_session(mine[0]).unwrap();
    assert!(two.raw.open_session(slot, 6).is_ok());
    assert_eq!(one.raw.open_session(slot, 6), Err(Rv::SESSION_COUNT));
    drop(one);
    let (more, _) = until_refused(|| two.raw.open_session(slot, 6));
    assert_eq!(more.len(), 1, "five of an application");
}

#[test]
fn session_objects_of_an_application_and_of_a_user() {
    let daemon = with("[limits]\nsession_objects = 7\nsession_objects_per_uid = 10\n");
    let ring = Ring::create(&daemon, &[]);
    let (one, two) = (Application::on(&daemon), Application::on(&daemon));
    let (here, there) = (one.login(&ring), two.login(&ring));
    let (mine, rv) = until_refused(|| data(&one, here, 1));
    assert_eq!((mine.len(), rv), (7, Rv::DEVICE_MEMORY));
    // Keys count as data do; objects on the token do not.
    assert_eq!(one.aes(here, 16, &[]), Err(Rv::DEVICE_MEMORY));
    one.aes(here, 16, &on_token("kept")).unwrap();
    let (others, rv) = until_refused(|| two.aes(there, 16, &[]));
    assert_eq!((others.len(), rv), (3, Rv::DEVICE_MEMORY), "ten of the user, seven are taken");
    one.raw.destroy_object(here, mine[0]).unwrap();
    two.aes(there, 16, &[]).unwrap();
    assert_eq!(data(&one, here, 1), Err(Rv::DEVICE_MEMORY));
    // A session takes its objects with it.
    one.raw.close_session(here).unwrap();
    let (others, _) = until_refused(|| two.aes(there, 16, &[]));
    assert_eq!(others.len(), 3, "seven of an application");
}

#[test]
fn bytes_of_session_objects_of_an_application_and_of_a_user() {
    let settings = "[limits]\nsession_object_bytes = 20000\nsession_object_bytes_per_uid = 30000\n";
    let daemon = with(settings);
    let ring = Ring::create(&daemon, &[]);
    let (one, two) = (Application::on(&daemon), Application::on(&daemon));
    let (here, there) = (one.login(&ring), two.login(&ring));
    let (mine, rv) = until_refused(|| data(&one, here, 4000));
    assert_eq!(
        (mine.len(), rv),
        (4, Rv::DEVICE_MEMORY),
        "five of 4,000 bytes and their attributes are too many"
    );
    assert!(data(&one, here, 100).is_ok(), "a small one still fits");
    let (others, rv) = until_refused(|| {
        two.raw.create_object(there, &[class(ObjectClass::DATA), bytes(A::VALUE, vec![7; 4000])])
    });
    assert_eq!(
        (others.len(), rv),
        (3, Rv::DEVICE_MEMORY),
        "of 30,000 bytes of the user more than 16,000 are taken"
    );
    assert_eq!(data(&one, here, 20_001), Err(Rv::DEVICE_MEMORY));
    for object in mine {
        one.raw.destroy_object(here, object).unwrap();
    }
    assert!(data(&two, there, 4000).is_ok());
}

#[test]
fn a_limit_that_is_none_is_refused_by_name() {
    let daemon = Daemon::prepare();
    fs::create_dir(daemon.directory()).unwrap();
    for (settings, named) in [
        ("[limits]\nsesions = 5\n", "sesions"),
        ("[limits]\nsessions = -1\n", "sessions"),
        ("[limits]\nsession_object_bytes = \"16 MiB\"\n", "session_object_bytes"),
        ("max_connections = \"many\"\n", "max_connections"),
    ] {
        fs::write(daemon.directory().join("clavigerd.toml"), settings).unwrap();
        let failure = daemon.launch(daemon.command()).unwrap_err();
        assert!(failure.contains("64") && failure.contains(named), "{failure}");
    }
}

#[test]
fn one_user_at_his_limits_takes_nothing_from_another() {
    if !process::is_root() {
        return println!("only root can become other users; nothing is tested");
    }
    let daemon = with(
        "pkcs11_socket_mode = 0o666\nmax_connections = 12\nmax_connections_per_uid = 4\n\
         [limits]\nsessions = 5\nsessions_per_uid = 8\nsession_objects_per_uid = 10\n",
    );
    let ring = Ring::create(&daemon, &[]);
    for uid in [ALICE, BOB] {
        let member = format!("uid:{uid}");
        daemon.admin().json([
            "keyrings",
            "add-binding",
            &ring.name,
            "--member",
            &member,
            "--role",
            "kms.user",
        ]);
    }
    let socket = daemon.pkcs11_socket();
    let application = |uid: u32| {
        let app = Application::load(daemon.root());
        process::as_user(uid, uid, || {
            initialize(&app.raw, &socket, Arguments::Flags(2)).expect("C_Initialize")
        });
        app
    };
    // Alice: two applications with all her sessions and objects, and the rest of her connections, dribbling.
    let hers = [application(ALICE), application(ALICE)];
    let slot = hers[0].slot(&ring);
    let session = hers[0].raw.open_session(slot, 6).unwrap();
    let sessions: usize =
        hers.iter().map(|app| until_refused(|| app.raw.open_session(slot, 6)).0.len()).sum();
    assert_eq!(sessions + 1, 8);
    let (objects, rv) = until_refused(|| data(&hers[0], session, 1));
    assert_eq!((objects.len(), rv), (10, Rv::DEVICE_MEMORY));
    let mut wires: Vec<Wire> =
        process::as_user(ALICE, ALICE, || (0..20).map(|_| Wire::connect(&socket)).collect());
    for wire in &mut wires {
        wire.send_unframed(&[64]);
    }
    // All but two of them are refused, and say so by the end of the stream.
    let refused = wires.iter_mut().rev().take(18).filter_map(|wire| wire.hung_up().then_some(())).count();
    assert_eq!(refused, 18);
    // Bob has all that the limits give him, as if she were not there.
    let his = [application(BOB), application(BOB)];
    let session = his[0].raw.open_session(slot, 6).unwrap();
    his[0].raw.login(session, 1, Some(ring.user_pin.as_bytes())).unwrap();
    let sessions: usize = his.iter().map(|app| until_refused(|| app.raw.open_session(slot, 6)).0.len()).sum();
    assert_eq!(sessions + 1, 8);
    assert_eq!(until_refused(|| data(&his[0], session, 1)).0.len(), 10);
    let key = his[0].aes(session, 32, &on_token("his")).unwrap();
    his[0].raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
    assert_eq!(his[0].raw.one_shot(Operation::Encrypt, session, &[1; 16], Room::Bytes(16)).rv, Rv::OK);
    for app in hers.iter().chain(&his) {
        app.raw.finalize(false).unwrap();
    }
}

/// Each takes about a KiB of what is set apart for private keys.
const RSA_KEYS: usize = 60;

#[test]
fn private_keys_beyond_the_memory_set_apart_for_them() {
    let daemon = with("");
    let ring = Ring::create(&daemon, &[]);
    let rsa = openssl::rsa::Rsa::generate(2048).unwrap();
    let template = |number: usize| {
        let name = format!("key {number}");
        let mut template = vec![
            class(ObjectClass::PRIVATE_KEY),
            key_type(KeyType::RSA),
            bytes(A::MODULUS, rsa.n().to_vec()),
            bytes(A::PUBLIC_EXPONENT, rsa.e().to_vec()),
            bytes(A::PRIVATE_EXPONENT, rsa.d().to_vec()),
            bytes(A::PRIME_1, rsa.p().unwrap().to_vec()),
            bytes(A::PRIME_2, rsa.q().unwrap().to_vec()),
            bytes(A::EXPONENT_1, rsa.dmp1().unwrap().to_vec()),
            bytes(A::EXPONENT_2, rsa.dmq1().unwrap().to_vec()),
            bytes(A::COEFFICIENT, rsa.iqmp().unwrap().to_vec()),
            flag(A::SIGN, true),
        ];
        template.extend(on_token(&name));
        template
    };
    let keys: Vec<u64> = {
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        (0..RSA_KEYS).map(|number| app.raw.create_object(session, &template(number)).unwrap()).collect()
    };
    // Each key is loaded when it is first used, and stays.
    let uses = |settings: &str| {
        daemon.stop(libc::SIGTERM);
        fs::write(daemon.directory().join("clavigerd.toml"), settings).unwrap();
        daemon.restart();
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        let sign = |key: u64| {
            app.raw.start(Operation::Sign, session, Some(&M::SHA256_RSA_PKCS.into()), key)?;
            match app.raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(256)).rv {
                Rv::OK => Ok(()),
                rv => Err(rv),
            }
        };
        let outcomes: Vec<_> = keys.iter().map(|key| sign(*key)).collect();
        // Whatever happens to them, other keys are no matter.
        let aes = app.aes(session, 32, &[]).unwrap();
        app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), aes).unwrap();
        assert_eq!(app.raw.one_shot(Operation::Encrypt, session, &[1; 16], Room::Bytes(16)).rv, Rv::OK);
        let good = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let bad: std::collections::BTreeSet<_> =
            outcomes.iter().filter_map(|outcome| outcome.err().map(|rv| rv.to_string())).collect();
        println!("{settings:?}: {good} of {RSA_KEYS} RSA-2048 keys used, {bad:?}");
        (good, bad)
    };
    let (good, bad) = uses("[hardening]\nsecure_heap_bytes = 32768\n");
    // As many as there is room for, and then a name and a remedy; or all, by forgetting some.
    assert!(good > 5, "{good}");
    assert!(bad.iter().all(|rv| rv == "CKR_DEVICE_MEMORY"), "{bad:?}");
    assert!(
        bad.is_empty() || daemon.log().contains("secure_heap_bytes"),
        "the log says what helps: {}",
        daemon.log()
    );
    assert_eq!(uses("").0, RSA_KEYS);
}
