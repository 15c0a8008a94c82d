//! Another process for tests that need one: `conformance-client SCENARIO MODULE [ARGUMENT]...`.
//!
//! Each step prints one line, "name: CKR_...", which the test compares. The daemon's socket is in
//! `CLAVIGER_SOCKET`, the user's PIN in `PIN`. This process has one thread, so that it may fork.

use std::io::Write;
use std::path::Path;

use claviger_conformance::prelude::*;
use claviger_conformance::{openssl, process};
use claviger_protocol::flags::{session, user};

const RW: u64 = session::RW_SESSION | session::SERIAL_SESSION;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, module, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: conformance-client SCENARIO MODULE [ARGUMENT]...");
        std::process::exit(2);
    };
    let raw = Raw::load(Path::new(module));
    match (scenario.as_str(), rest) {
        ("list", []) => list(&raw),
        ("sign", [token, count]) => sign(&raw, token, count.parse().expect("a number")),
        ("sign-again", [token, count]) => sign_again(&raw, token, count.parse().expect("a number")),
        ("hold", [token]) => hold(&raw, token),
        ("use", [token, label]) => r#use(&raw, token, label),
        ("die", [token]) => die(&raw, token),
        ("exit", [token]) => {
            login(&raw, token);
        }
        ("exit-late", [token]) => exit_late(raw, token),
        ("fork", [token]) => fork(&raw, token),
        ("fork-long", [token]) => fork_long(&raw, token),
        ("exec", [token]) => exec(&raw, token),
        _ => panic!("no scenario {scenario} with {} arguments", rest.len()),
    }
}

/// Prints how a step went.
fn told<T>(name: &str, result: Result<T, Rv>) -> Result<T, Rv> {
    println!("{name}: {}", result.as_ref().err().copied().unwrap_or(Rv::OK));
    std::io::stdout().flush().expect("writing to the test");
    result
}

fn slot(raw: &Raw, token: &str) -> Result<u64, Rv> {
    let (rv, _, slots) = raw.slots(true, Some(1000));
    if rv != Rv::OK {
        return Err(rv);
    }
    let label = format!("{token:32}");
    let is_it = |slot: &u64| raw.token_info(*slot).is_ok_and(|info| info.label == label.as_bytes());
    slots.into_iter().find(is_it).ok_or(Rv::TOKEN_NOT_PRESENT)
}

/// A session with the user logged in.
fn login(raw: &Raw, token: &str) -> u64 {
    raw.initialize(Arguments::Null).expect("C_Initialize");
    log_in(raw, token).expect("C_Login")
}

fn log_in(raw: &Raw, token: &str) -> Result<u64, Rv> {
    let pin = std::env::var("PIN").expect("the PIN is in the environment");
    let session = raw.open_session(slot(raw, token)?, RW)?;
    raw.login(session, user::USER, Some(pin.as_bytes())).map(|()| session)
}

/// The private key labelled "key".
fn key(raw: &Raw, session: u64) -> Result<u64, Rv> {
    let found = raw.find(session, &[class(ObjectClass::PRIVATE_KEY), label("key")])?;
    found.first().copied().ok_or(Rv::KEY_HANDLE_INVALID)
}

fn sign_once(raw: &Raw, session: u64) -> Result<(), Rv> {
    raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), key(raw, session)?)?;
    match raw.one_shot(Operation::Sign, session, &[7; 32], Room::Bytes(64)).rv {
        Rv::OK => Ok(()),
        rv => Err(rv),
    }
}

/// What an application sees that only looks around.
fn list(raw: &Raw) {
    let _ = told("C_Initialize", raw.initialize(Arguments::Null));
    let (rv, count, _) = raw.slots(true, None);
    println!("C_GetSlotList: {rv} {count}");
    let _ = told("C_GetInfo", raw.info());
    let _ = told("C_OpenSession", raw.open_session(0, RW));
    let _ = told("C_Finalize", raw.finalize(false));
}

/// Starts, signs, ends.
fn sign(raw: &Raw, token: &str, count: usize) {
    let session = login(raw, token);
    for _ in 0..count {
        sign_once(raw, session).expect("C_Sign");
    }
    raw.finalize(false).expect("C_Finalize");
    println!("signed {count}");
}

/// Signs with one key over and over, and does nothing else.
fn sign_again(raw: &Raw, token: &str, count: usize) {
    let session = login(raw, token);
    let key = key(raw, session).expect("a key");
    for _ in 0..count {
        raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), key).expect("C_SignInit");
        raw.one_shot(Operation::Sign, session, &[7; 32], Room::Bytes(64)).unwrap();
    }
    raw.finalize(false).expect("C_Finalize");
    println!("signed {count}");
}

/// Logs in, has an operation going, and waits until stdin ends.
fn hold(raw: &Raw, token: &str) {
    begin(raw, token);
    println!("holding");
    std::io::stdout().flush().expect("writing to the test");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Uses all keys with a label, forgets the PIN, and waits until stdin ends. The PIN comes on stdin, each byte
/// inverted, so that this process has no other copy of it.
fn r#use(raw: &Raw, token: &str, name: &str) {
    let mut inverted = Vec::new();
    std::io::BufRead::read_until(&mut std::io::stdin().lock(), b'\n', &mut inverted).expect("the PIN");
    inverted.pop();
    let mut pin: Vec<u8> = inverted.iter().map(|byte| !byte).collect();
    raw.initialize(Arguments::Null).expect("C_Initialize");
    let session = raw.open_session(slot(raw, token).expect("the token"), RW).expect("C_OpenSession");
    raw.login(session, user::USER, Some(&pin)).expect("C_Login");
    pin.fill(0);
    std::hint::black_box(&pin);
    for key in raw.find(session, &[label(name)]).expect("C_FindObjects") {
        let (operation, mechanism) = match raw.attribute(session, key, A::CLASS).map(|v| as_ulong(&v)) {
            Ok(private) if private == ObjectClass::PRIVATE_KEY.0 => {
                (Operation::Sign, M::SHA256_RSA_PKCS.into())
            }
            _ => (Operation::Encrypt, Mechanism::gcm(&[1; 12], b"", 128)),
        };
        raw.start(operation, session, Some(&mechanism), key).expect("an Init");
        assert_eq!(raw.one_shot(operation, session, b"data", Room::Bytes(512)).rv, Rv::OK);
        let secrets = [A::VALUE, A::PRIVATE_EXPONENT, A::PRIME_1];
        assert!(secrets.iter().all(|secret| raw.attribute(session, key, *secret).is_err()));
    }
    println!("used");
    std::io::stdout().flush().expect("writing to the test");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// In the middle of several operations, dies as a process can: at once.
fn die(raw: &Raw, token: &str) {
    begin(raw, token);
    println!("dying");
    std::io::stdout().flush().expect("writing to the test");
    process::die();
}

/// A session in the middle of a signature, a digest, an encryption and a search, with objects of its own.
fn begin(raw: &Raw, token: &str) {
    let session = login(raw, token);
    let template = secret_key(KeyType::AES, &[1; 32], &[A::ENCRYPT]);
    let aes = raw.create_object(session, &template).expect("C_CreateObject");
    let signing = key(raw, session).expect("the key");
    raw.start(Operation::Sign, session, Some(&M::ECDSA_SHA256.into()), signing).expect("C_SignInit");
    raw.feed(Operation::Sign, session, b"half of it").expect("C_SignUpdate");
    raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).expect("C_DigestInit");
    raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), aes).expect("C_EncryptInit");
    raw.find_init(session, &[]).expect("C_FindObjectsInit");
}

/// Calls C_Finalize from an `atexit` handler, as some applications do.
fn exit_late(raw: Raw, token: &str) {
    login(&raw, token);
    process::at_exit(move || {
        let _ = told("C_Finalize", raw.finalize(false));
    });
}

/// What a child of fork sees, and that its parent sees nothing of it.
/// Long data, of which a forked child sees nothing.
fn fork_long(raw: &Raw, token: &str) {
    let session = login(raw, token);
    let data = vec![7; 100_000];
    let digest = |session| {
        raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).expect("C_DigestInit");
        raw.one_shot(Operation::Digest, session, &data, Room::Bytes(32)).unwrap()
    };
    let expected = digest(session);
    println!("parent shares memory: {}", process::maps_shared_memory());
    let status = process::fork(|| {
        println!("child shares memory: {}", process::maps_shared_memory());
        raw.initialize(Arguments::Null).expect("C_Initialize");
        let own = log_in(raw, token).expect("C_Login");
        println!("child: {}, shares memory: {}", digest(own) == expected, process::maps_shared_memory());
        raw.finalize(false).expect("C_Finalize");
    });
    println!("child: {status}");
    println!("parent: {}", digest(session) == expected);
    raw.finalize(false).expect("C_Finalize");
    println!("parent shares memory: {}", process::maps_shared_memory());
}

fn fork(raw: &Raw, token: &str) {
    let session = login(raw, token);
    raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).expect("C_DigestInit");
    raw.feed(Operation::Digest, session, b"the parent's data").expect("C_DigestUpdate");

    let status = process::fork(|| {
        // It has not called C_Initialize (PKCS#11 3.2, section 5.4.1).
        let _ = told("child C_GetSlotList", rv_result(raw.slots(true, None).0));
        let _ = told("child C_GetSessionInfo", raw.session_info(session));
        let _ = told("child C_Finalize", raw.finalize(false));
        let _ = told("child C_Initialize", raw.initialize(Arguments::Null));
        let _ = told("child parent's session", raw.session_info(session));
        if let Ok(own) = told("child C_Login", log_in(raw, token)) {
            let _ = told("child C_Sign", sign_once(raw, own));
        }
        let _ = told("child C_Finalize", raw.finalize(false));
    });
    println!("child: {status}");
    let parent = |name: &str| {
        let _ = told(&format!("parent {name}"), sign_once(raw, session));
    };
    parent("C_Sign");
    // One that does nothing, and one that ends without a word.
    println!("idle child: {}", process::fork(|| {}));
    parent("C_Sign after an idle child");
    println!("rude child: {}", process::fork(process::die));
    parent("C_Sign after a rude child");
    // A grandchild, while the child is initialised.
    let status = process::fork(|| {
        raw.initialize(Arguments::Null).expect("C_Initialize");
        println!(
            "grandchild: {}",
            process::fork(|| {
                let _ = told("grandchild C_GetSlotList", rv_result(raw.slots(true, None).0));
                let _ = told("grandchild C_Initialize", raw.initialize(Arguments::Null));
                let _ = told("grandchild C_Login", log_in(raw, token));
            })
        );
        let _ = told("child C_Login", log_in(raw, token));
    });
    println!("child: {status}");
    let digest = raw.finish(Operation::Digest, session, Room::Bytes(32));
    println!("parent C_DigestFinal: {}", digest.rv);
    println!("parent digest: {}", digest.data == openssl::digest("sha256", b"the parent's data"));
    let _ = told("parent C_Finalize", raw.finalize(false));
}

/// Lists the open descriptors of a program that this process starts.
fn exec(raw: &Raw, token: &str) {
    let session = login(raw, token);
    sign_once(raw, session).expect("C_Sign");
    let output = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().expect("ls");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

fn rv_result(rv: Rv) -> Result<(), Rv> {
    if rv == Rv::OK { Ok(()) } else { Err(rv) }
}
