//! Inputs that nobody meant: valid ones of every kind, with bytes changed, taken out, repeated and spliced.
//!
//! `make fuzz` runs 2,000,000 of each target (`CLAVIGER_FUZZ_RUNS`), `make test` a few thousand. A finding prints
//! its seed; the same seed gives the same run again. Targets that need no socket are in the daemon's `fuzz_tests` and
//! `store/archive_fuzz.rs`.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use claviger_conformance::prelude::*;
use claviger_conformance::wire::Wire;
use claviger_protocol::call::{self, CALLS, Call};
use claviger_protocol::frame::{self, ApplicationTicket, HELLO_MAGIC, Hello, PROTOCOL_VERSION, Welcome};
use claviger_protocol::params::{HkdfSalt, Mechanism as Wired, OaepParams, Params};
use claviger_protocol::template::{Attribute as Stored, FlatAttribute, FlatValue, Template, Value};
use claviger_protocol::{Bytes, codec};

use dice::{Dice, peak_kib, runs};

#[path = "../../daemon/src/fuzz_tests/dice.rs"]
mod dice;

fn some(text: &[u8]) -> Bytes {
    text.to_vec().into()
}

fn stored(r#type: A, value: Value) -> Stored {
    Stored { r#type, value }
}

/// One parameter of each kind.
fn params() -> Vec<Params> {
    let oaep = || OaepParams { hash: M::SHA256, mgf: 2, source: 1, source_data: some(b"l") };
    vec![
        Params::None,
        Params::Bytes(some(&[0; 16])),
        Params::Ulong(16),
        Params::Pss { hash: M::SHA256, mgf: 2, salt_len: 32 },
        Params::Oaep(oaep()),
        Params::Ctr { counter_bits: 128, block: [0; 16] },
        Params::Gcm { iv: some(&[1; 12]), aad: some(b"aad"), tag_bits: 128 },
        Params::Ccm { data_len: 16, nonce: some(&[1; 12]), aad: some(b"aad"), mac_len: 16 },
        Params::ChaCha20 { block_counter: some(&[0; 4]), nonce: some(&[0; 12]) },
        Params::ChaCha20Poly1305 { nonce: some(&[0; 12]), aad: some(b"aad") },
        Params::Eddsa { prehash: false, context: some(b"context") },
        Params::Ecdh { kdf: 1, shared_data: some(b""), public_data: some(&[4; 65]) },
        Params::EcdhAesKeyWrap { aes_key_bits: 256, kdf: 1, shared_data: some(b"") },
        Params::RsaAesKeyWrap { aes_key_bits: 256, oaep: oaep() },
        Params::Hkdf {
            extract: true,
            expand: true,
            prf: M::SHA256,
            salt: HkdfSalt::Null,
            info: some(b"info"),
        },
        Params::Pbkdf2 {
            salt: some(b"salt"),
            iterations: 3,
            prf: 4,
            prf_data: some(b""),
            password: some(b"pw"),
        },
    ]
}

/// Seeds of calls: number and body. Handles are good ones where the daemon has them.
fn seeds(slot: u64, session: u64, keys: &[u64]) -> Vec<(u16, Vec<u8>)> {
    fn of<C: Call>(call: C) -> (u16, Vec<u8>) {
        (C::NUMBER, codec::encode(&call).unwrap())
    }
    let key = keys[0];
    let template: Template = vec![
        stored(A::CLASS, Value::Ulong(ObjectClass::SECRET_KEY.0)),
        stored(A::KEY_TYPE, Value::Ulong(KeyType::AES.0)),
        stored(A::VALUE, Value::Bytes(some(&[7; 32]))),
        stored(A::ALLOWED_MECHANISMS, Value::Mechanisms(vec![M::AES_GCM])),
        stored(
            A::WRAP_TEMPLATE,
            Value::Template(vec![FlatAttribute { r#type: A::ID, value: FlatValue::Bytes(some(b"id")) }]),
        ),
        stored(A::START_DATE, Value::Bytes(some(b"20260101"))),
        stored(A::ENCRYPT, Value::Bool(true)),
    ];
    let room = Some(512);
    let mut seeds = vec![
        of(call::GetSlotList { token_present: true }),
        of(call::GetSlotInfo { slot }),
        of(call::GetTokenInfo { slot }),
        of(call::GetMechanismList { slot }),
        of(call::GetMechanismInfo { slot, mechanism: M::AES_GCM }),
        of(call::GetSessionInfo { session }),
        of(call::SessionCancel { session, flags: u64::MAX }),
        of(call::GetOperationState { session, room }),
        of(call::SetOperationState {
            session,
            state: some(&[1; 64]),
            encryption_key: 0,
            authentication_key: 0,
        }),
        of(call::CreateObject { session, template: template.clone() }),
        of(call::CopyObject { session, object: key, template: template[5..].to_vec() }),
        of(call::DestroyObject { session, object: key + 50 }),
        of(call::GetObjectSize { session, object: key }),
        of(call::GetAttributeValue {
            session,
            object: key,
            types: vec![A::CLASS, A::VALUE, A::WRAP_TEMPLATE],
        }),
        of(call::SetAttributeValue { session, object: key, template: template[5..].to_vec() }),
        of(call::FindObjectsInit { session, template: template[..2].to_vec() }),
        of(call::FindObjects { session, max: 10 }),
        of(call::FindObjectsFinal { session }),
        of(call::Encrypt { session, data: some(&[1; 32]), room }),
        of(call::EncryptUpdate { session, part: some(&[1; 33]), room }),
        of(call::EncryptFinal { session, room }),
        of(call::Decrypt { session, encrypted_data: some(&[1; 48]), room }),
        of(call::DecryptUpdate { session, encrypted_part: some(&[1; 48]), room }),
        of(call::DecryptFinal { session, room: None }),
        of(call::Digest { session, data: some(b"data"), room }),
        of(call::DigestUpdate { session, part: some(b"data") }),
        of(call::DigestKey { session, key }),
        of(call::DigestFinal { session, room }),
        of(call::Sign { session, data: some(&[7; 32]), room }),
        of(call::SignUpdate { session, part: some(b"part") }),
        of(call::SignFinal { session, room }),
        of(call::Verify { session, data: some(&[7; 32]), signature: some(&[9; 64]) }),
        of(call::VerifyFinal { session, signature: some(&[9; 64]) }),
        of(call::DigestEncryptUpdate { session, part: some(b"part"), room }),
        of(call::DecryptVerifyUpdate { session, encrypted_part: some(&[1; 32]), room }),
        of(call::SeedRandom { session, seed: some(b"seed") }),
        of(call::GenerateRandom { session, length: 32 }),
    ];
    let secret = template[6..].to_vec();
    for params in params() {
        for r#type in [M::AES_GCM, M::AES_CBC, M::AES_CTR, M::ECDSA, M::SHA256_HMAC, M::AES_CMAC, M::EDDSA] {
            let mechanism = || Some(Wired { r#type, params: params.clone() });
            for &key in keys {
                seeds.push(of(call::EncryptInit { session, mechanism: mechanism(), key }));
                seeds.push(of(call::DecryptInit { session, mechanism: mechanism(), key }));
                seeds.push(of(call::SignInit { session, mechanism: mechanism(), key }));
                seeds.push(of(call::VerifyInit { session, mechanism: mechanism(), key }));
            }
        }
        for r#type in
            [M::AES_KEY_WRAP_KWP, M::AES_CBC_PAD, M::AES_GCM, M::HKDF_DERIVE, M::ECDH1_DERIVE, M::AES_KEY_GEN]
        {
            let mechanism = || Wired { r#type, params: params.clone() };
            let template = secret.clone();
            seeds.push(of(call::WrapKey { session, mechanism: mechanism(), wrapping_key: key, key, room }));
            seeds.push(of(call::DeriveKey {
                session,
                mechanism: mechanism(),
                base_key: key,
                template: template.clone(),
            }));
            seeds.push(of(call::GenerateKey { session, mechanism: mechanism(), template: template.clone() }));
            let wrapped_key = some(&[3; 40]);
            seeds.push(of(call::UnwrapKey {
                session,
                mechanism: mechanism(),
                unwrapping_key: key,
                wrapped_key,
                template,
            }));
        }
        seeds.push(of(call::DigestInit { session, mechanism: Some(Wired { r#type: M::SHA256, params }) }));
    }
    seeds
}

/// Calls that end the conversation, wait for events, take seconds by design, or would lock the PIN of others.
fn is_left_out(call: u16) -> bool {
    use call::*;
    let left_out = [
        Finalize::NUMBER,
        WaitForSlotEvent::NUMBER,
        InitToken::NUMBER,
        InitPin::NUMBER,
        SetPin::NUMBER,
        Login::NUMBER,
        LoginUser::NUMBER,
        Logout::NUMBER,
        CloseSession::NUMBER,
        CloseResumable::NUMBER,
        CloseAllSessions::NUMBER,
        GenerateKeyPair::NUMBER,
    ];
    left_out.contains(&call)
}

/// A conversation with a logged-in session and two keys.
fn converse(daemon: &Daemon, ring: &Ring, slot: u64) -> (Wire, u64, Vec<u64>) {
    let (mut wire, welcome) = Wire::greet(&daemon.pkcs11_socket(), None);
    assert_eq!(welcome.rv, Rv::OK);
    let session = wire.call(&call::OpenSession { slot, flags: 6 }).unwrap();
    let pin = Some(some(ring.user_pin.as_bytes()));
    wire.call(&call::Login { session, user_type: 1, pin }).unwrap();
    let flags = [A::ENCRYPT, A::DECRYPT, A::SIGN, A::VERIFY, A::WRAP, A::UNWRAP, A::DERIVE];
    let mut template =
        vec![stored(A::VALUE_LEN, Value::Ulong(32)), stored(A::EXTRACTABLE, Value::Bool(true))];
    template.extend(flags.map(|flag| stored(flag, Value::Bool(true))));
    let keys = [M::AES_KEY_GEN, M::GENERIC_SECRET_KEY_GEN].map(|r#type| {
        let mechanism = Wired { r#type, params: Params::None };
        wire.call(&call::GenerateKey { session, mechanism, template: template.clone() }).unwrap()
    });
    (wire, session, keys.to_vec())
}

#[test]
fn requests_into_the_dispatcher() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let slot = Application::on(&daemon).slot(&ring);
    let (mut wire, mut session, mut keys) = converse(&daemon, &ring, slot);
    let mut seeds_now = seeds(slot, session, &keys);
    let mut others: Vec<Vec<u8>> = seeds_now.iter().map(|(_, body)| body.clone()).collect();
    let seeded: Vec<u16> =
        seeds_now.iter().map(|(number, _)| *number).collect::<BTreeSet<_>>().into_iter().collect();
    let numbers: Vec<u16> = CALLS.iter().map(|(number, _)| *number).filter(|n| !is_left_out(*n)).collect();
    let (mut good, mut conversations) = (0u64, 1);
    for run in 0..runs() {
        let mut dice = Dice::of(run);
        // Every call as often as any other, however many seeds it has.
        let wanted = *dice.pick(&seeded);
        let of_call: Vec<_> = seeds_now.iter().filter(|(number, _)| *number == wanted).collect();
        let (mut number, mut body) = (*dice.pick(&of_call)).clone();
        // Some are left as they are, so that the conversation gets somewhere.
        if dice.roll(4) != 0 {
            dice.mutate(&mut body, &others);
        }
        if dice.roll(50) == 0 {
            number = *dice.pick(&numbers);
        }
        match wire.request(number, &body) {
            Some((rv, _)) => {
                assert_ne!(rv, Rv::GENERAL_ERROR, "run {run}, call {number}: {body:02x?}\n{}", daemon.log());
                good += u64::from(rv == Rv::OK);
            }
            None => panic!("run {run}: the daemon hung up on call {number} {body:02x?}"),
        }
        // Its limits are reached, or its session is in a state of no interest.
        if run % 2000 == 1999 {
            (wire, session, keys) = converse(&daemon, &ring, slot);
            seeds_now = seeds(slot, session, &keys);
            others = seeds_now.iter().map(|(_, body)| body.clone()).collect();
            conversations += 1;
        }
    }
    assert!(daemon.runs());
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
    let peak = peak_kib(&daemon.pid().to_string());
    println!(
        "fuzz request: {} runs of {} seeds, {good} calls succeeded, {conversations} conversations, at most {peak} KiB",
        runs(),
        seeds_now.len()
    );
    assert!(good > runs() / 20, "the fuzzer gets somewhere");
}

#[test]
fn frames_and_greetings() {
    let ticket = ApplicationTicket { id: 7, secret: some(&[1; 32]) };
    let hello = Hello { magic: HELLO_MAGIC, protocol: PROTOCOL_VERSION, application: Some(ticket) };
    let framed = |body: &[u8]| {
        let mut buffer = Vec::new();
        frame::begin(&mut buffer);
        buffer.extend_from_slice(body);
        let mut out = Vec::new();
        frame::send(&mut out, &mut buffer).unwrap();
        out
    };
    let request = [&[9, 0, 0, 0, 0, 0, 0, 0, 10, 0][..], &[1; 40]].concat();
    let seeds: Vec<Vec<u8>> = vec![
        framed(&codec::encode(&hello).unwrap()),
        framed(&request),
        [framed(&request), framed(b"")].concat(),
    ];
    let mut received = 0;
    for run in 0..runs() {
        let mut dice = Dice::of(run);
        let mut bytes = dice.pick(&seeds).clone();
        dice.mutate(&mut bytes, &seeds);
        let (mut stream, mut buffer) = (Cursor::new(&bytes), Vec::new());
        // Every frame of the stream, as the daemon and the module read them.
        while let Ok(true) = frame::receive(&mut stream, &mut buffer, 1 << 20) {
            assert!(buffer.capacity() <= 1 << 21, "run {run}: memory for what did not come");
            let _ = codec::decode::<Hello>(&buffer);
            let _ = codec::decode::<Welcome>(&buffer);
            let _ = codec::decode::<claviger_protocol::admin::Request>(&buffer);
            received += 1;
            if buffer.is_empty() && stream.position() as usize >= bytes.len() {
                break;
            }
        }
    }
    println!("fuzz frame: {} runs, {received} frames, at most {} KiB", runs(), peak_kib("self"));
    // And some of them into the real daemon.
    let daemon = Daemon::start();
    for run in 0..runs().min(2000) {
        let mut dice = Dice::of(run);
        let mut bytes = dice.pick(&seeds).clone();
        dice.mutate(&mut bytes, &seeds);
        let mut wire =
            Wire::connect(if run % 2 == 0 { daemon.pkcs11_socket() } else { daemon.admin_socket() }.as_ref());
        wire.send_unframed(&bytes);
    }
    assert!(daemon.runs() && !daemon.log().contains("panic"), "{}", daemon.log());
    daemon.admin().json(["keyrings", "list"]);
}

#[test]
fn keys_that_come_wrapped() {
    // PKCS#8 under a key that the fuzzer knows: what it changes goes past the cipher to the parser. The daemon's own
    // target (`fuzz_tests/import.rs`) is quicker and has the full number of runs.
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let raw = &setup.app.raw;
    let unwrapping = setup.app.known(session, KeyType::AES, &[7; 32], &[A::UNWRAP]);
    let ec = openssl::ec::EcKey::generate(
        &openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap(),
    )
    .unwrap();
    let pkcs8 = |key: openssl::pkey::PKey<openssl::pkey::Private>| key.private_key_to_pkcs8().unwrap();
    use openssl::pkey::PKey;
    let seeds = [
        (KeyType::EC, pkcs8(PKey::from_ec_key(ec).unwrap())),
        (KeyType::RSA, pkcs8(PKey::from_rsa(openssl::rsa::Rsa::generate(1024).unwrap()).unwrap())),
        (KeyType::EC_EDWARDS, pkcs8(PKey::generate_ed25519().unwrap())),
        (KeyType::EC_MONTGOMERY, pkcs8(PKey::generate_x25519().unwrap())),
    ];
    let others: Vec<Vec<u8>> = seeds.iter().map(|(_, der)| der.clone()).collect();
    let mechanism = Mechanism::bytes(M::AES_CBC_PAD, &[0; 16]);
    let (runs, mut good) = (runs().min(50_000), 0);
    for run in 0..runs {
        let mut dice = Dice::of(run);
        let (r#type, mut der) = dice.pick(&seeds).clone();
        dice.mutate(&mut der, &others);
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        let wrapped = openssl::symm::encrypt(cipher, &[7; 32], Some(&[0; 16]), &der).unwrap();
        let template = [class(ObjectClass::PRIVATE_KEY), key_type(r#type)];
        match raw.unwrap_key(session, &mechanism, unwrapping, &wrapped, &template) {
            Ok(key) => {
                good += 1;
                raw.destroy_object(session, key).unwrap();
            }
            Err(rv) => assert!(
                [Rv::WRAPPED_KEY_INVALID, Rv::WRAPPED_KEY_LEN_RANGE, Rv::TEMPLATE_INCONSISTENT].contains(&rv),
                "run {run}: {rv} for {type} {der:02x?}"
            ),
        }
    }
    assert!(setup.daemon.runs() && !setup.daemon.log().contains("panic"), "{}", setup.daemon.log());
    println!("fuzz import: {runs} runs, {good} keys taken");
    assert!(good > 0);
}

/// A daemon that greets well and then answers nonsense.
struct Liar {
    runs: Arc<AtomicU64>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Liar {
    fn serve(&self, listener: UnixListener) {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (runs, bodies) = (self.runs.clone(), self.bodies.clone());
            std::thread::spawn(move || {
                let mut buffer = Vec::new();
                let answer = |stream: &mut _, body: &[u8]| {
                    let mut out = Vec::new();
                    frame::begin(&mut out);
                    out.extend_from_slice(body);
                    frame::send(stream, &mut out)
                };
                if !matches!(frame::receive(&mut stream, &mut buffer, 1 << 20), Ok(true)) {
                    return;
                }
                let application = ApplicationTicket { id: 1, secret: some(&[1; 32]) };
                let welcome = Welcome { rv: Rv::OK, protocol: PROTOCOL_VERSION, application };
                if answer(&mut stream, &codec::encode(&welcome).unwrap()).is_err() {
                    return;
                }
                while let Ok(true) = frame::receive(&mut stream, &mut buffer, 1 << 24) {
                    let mut dice = Dice::of(runs.fetch_add(1, Ordering::Relaxed));
                    let bodies = bodies.lock().unwrap().clone();
                    let mut body = dice.pick(&bodies).clone();
                    dice.mutate(&mut body, &bodies);
                    // Mostly with a header that fits the request.
                    let rv = *dice.pick(&[Rv::OK, Rv::OK, Rv::OK, Rv::BUFFER_TOO_SMALL, Rv(u64::MAX)]);
                    let mut reply = buffer[..8].to_vec();
                    reply.extend(rv.0.to_le_bytes());
                    if dice.roll(20) == 0 {
                        dice.mutate(&mut reply, &bodies);
                    }
                    reply.extend(body);
                    if answer(&mut stream, &reply).is_err() {
                        return;
                    }
                }
            });
        }
    }
}

#[test]
fn replies_to_the_module() {
    let place = Daemon::prepare();
    std::fs::create_dir(place.directory()).unwrap();
    let listener = UnixListener::bind(place.pkcs11_socket()).unwrap();
    let attributes: Vec<claviger_protocol::template::AttributeReply> = vec![
        claviger_protocol::template::AttributeReply::Value(Value::Bytes(some(&[1; 40]))),
        claviger_protocol::template::AttributeReply::Sensitive,
        claviger_protocol::template::AttributeReply::Value(Value::Template(vec![FlatAttribute {
            r#type: A::ID,
            value: FlatValue::Ulong(7),
        }])),
    ];
    let bodies = vec![
        Vec::new(),
        codec::encode(&7u64).unwrap(),
        codec::encode(&vec![1u64, 2, 3]).unwrap(),
        codec::encode(&call::Output::Data(some(&[5; 64]))).unwrap(),
        codec::encode(&call::Output::Length(u64::MAX)).unwrap(),
        codec::encode(&call::Output::TooSmall(64)).unwrap(),
        codec::encode(&call::Output::Placed(64)).unwrap(),
        codec::encode(&attributes).unwrap(),
        codec::encode(&vec![M::AES_GCM, M::ECDSA]).unwrap(),
        vec![1; 300],
    ];
    let liar = Liar { runs: Arc::default(), bodies: Arc::new(Mutex::new(bodies)) };
    let answered = liar.runs.clone();
    std::thread::spawn(move || liar.serve(listener));
    let app = Application::on(&place);
    let raw = &app.raw;
    let mut calls = 0u64;
    let mut dice = Dice::of(u64::MAX / 3);
    let gcm = Mechanism::gcm(&[0; 12], b"", 128);
    while answered.load(Ordering::Relaxed) < runs() && calls < 4 * runs() {
        calls += 1;
        // The buffers of these calls have guards behind them, which the calls check.
        match dice.roll(14) {
            0 => drop(raw.slots(true, Some(dice.roll(8) as u64))),
            1 => drop(raw.token_info(0)),
            2 => drop(raw.mechanisms(0, Some(dice.roll(300) as u64))),
            3 => drop(raw.mechanism_info(0, M::AES_GCM)),
            4 => drop(raw.open_session(0, 6)),
            5 => drop(raw.session_info(1)),
            6 => drop(raw.find_init(1, &[])),
            // More than the room is a lie that the module must see through.
            7 => drop(raw.find_next(1, 1 + dice.roll(5) as u64)),
            8 => {
                let room = Room::Bytes(dice.roll(64));
                drop(raw.attribute_values(
                    1,
                    1,
                    &[(A::ID, room), (A::VALUE, Room::Query), (A::WRAP_TEMPLATE, Room::Bytes(48))],
                ));
            }
            9 => drop(raw.start(Operation::Encrypt, 1, Some(&gcm), 1)),
            10 => drop(raw.one_shot(Operation::Encrypt, 1, b"data", Room::Bytes(dice.roll(80)))),
            11 => drop(raw.one_shot(Operation::Sign, 1, b"data", Room::Query)),
            12 => drop(raw.generate_random(1, 1 + dice.roll(64))),
            _ => drop(raw.create_object(1, &[class(ObjectClass::DATA)])),
        }
    }
    let replies = answered.load(Ordering::Relaxed);
    println!("fuzz reply: {calls} calls of the module, {replies} replies, at most {} KiB", peak_kib("self"));
    assert!(calls >= runs() / 4);
}
