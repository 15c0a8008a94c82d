//! What strangers may send: the daemon answers or hangs up, and serves everybody else as before.

use claviger_conformance::prelude::*;
use claviger_conformance::wire::Wire;
use claviger_protocol::admin::{self, ArgumentValue, Code, Reply};
use claviger_protocol::call::{self, CALLS, Call};
use claviger_protocol::codec;
use claviger_protocol::frame::{
    ApplicationTicket, HELLO_MAGIC, Hello, MAX_FRAME_BYTES, PROTOCOL_VERSION, RequestHeader,
};

/// Bytes without a pattern (xorshift), the same in each run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// A call's number and body.
fn request<C: Call>(call: &C) -> (u16, Vec<u8>) {
    (C::NUMBER, codec::encode(call).unwrap())
}

/// The daemon still does what it is there for.
#[track_caller]
fn serves() {
    let (mut wire, welcome) = Wire::greet(&daemon().pkcs11_socket(), None);
    assert_eq!(welcome.rv, Rv::OK);
    assert!(!wire.call(&call::GetSlotList { token_present: true }).unwrap().is_empty());
    assert_eq!(daemon().admin().run(["status"]).code, Some(0));
}

#[test]
fn a_stranger_is_hung_up_on() {
    for socket in [daemon().pkcs11_socket(), daemon().admin_socket()] {
        // Nothing, one byte of a length, half a frame: the client leaves.
        for bytes in [&b""[..], &[3], &[3, 0, 0], &[200, 0, 0, 0, b'x']] {
            Wire::connect(&socket).send_unframed(bytes);
        }
        // Another protocol, noise, nothing in a frame, a hello that is longer than a hello.
        let hello = codec::encode(&Hello { magic: *b"HTTP", protocol: PROTOCOL_VERSION, application: None });
        let cases =
            [b"GET / HTTP/1.1\r\n\r\n".to_vec(), Vec::new(), noise(1, 40), noise(2, 1000), hello.unwrap()];
        for bytes in cases {
            let mut wire = Wire::connect(&socket);
            wire.send(&bytes);
            assert!(wire.hung_up(), "{} bytes", bytes.len());
        }
        for length in [1025u32, MAX_FRAME_BYTES as u32, u32::MAX] {
            let mut wire = Wire::connect(&socket);
            wire.send_unframed(&length.to_le_bytes());
            assert!(wire.hung_up(), "a hello of {length} bytes is refused before it comes");
        }
        // A good hello and more in one frame.
        let hello = Hello { magic: HELLO_MAGIC, protocol: PROTOCOL_VERSION, application: None };
        let mut wire = Wire::connect(&socket);
        wire.send(&[codec::encode(&hello).unwrap(), vec![0]].concat());
        assert!(wire.hung_up());
    }
    serves();
}

#[test]
fn another_version_is_told_so() {
    for socket in [daemon().pkcs11_socket(), daemon().admin_socket()] {
        for protocol in [0, PROTOCOL_VERSION + 1, u32::MAX] {
            let mut wire = Wire::connect(&socket);
            let hello = Hello { magic: HELLO_MAGIC, protocol, application: None };
            let welcome = wire.hello(&hello).expect("an answer that tells the version");
            assert_eq!((welcome.rv, welcome.protocol), (Rv::DEVICE_ERROR, PROTOCOL_VERSION));
            assert!(wire.hung_up());
        }
    }
}

#[test]
fn a_connection_joins_only_with_the_ticket() {
    let socket = daemon().pkcs11_socket();
    let (mut first, welcome) = Wire::greet(&socket, None);
    let ticket = welcome.application;
    assert_eq!(ticket.secret.len(), 32);
    let ring = Ring::create(daemon(), &[]);
    let slot = Application::on(daemon()).slot(&ring);
    let session = first.call(&call::OpenSession { slot, flags: 6 }).unwrap();
    // A second connection of the application sees its sessions.
    let (mut second, joined) = Wire::greet(&socket, Some(ticket.clone()));
    assert_eq!((joined.rv, joined.application.id), (Rv::OK, ticket.id));
    assert!(second.call(&call::GetSessionInfo { session }).is_ok());
    // A stranger does not, whatever it guesses.
    let (mut stranger, other) = Wire::greet(&socket, None);
    assert_ne!(other.application.secret, ticket.secret);
    assert_eq!(stranger.call(&call::GetSessionInfo { session }), Err(Rv::SESSION_HANDLE_INVALID));
    let mut wrong = ticket.secret.to_vec();
    wrong[31] ^= 1;
    for secret in [wrong, ticket.secret[..31].to_vec(), Vec::new(), other.application.secret.to_vec()] {
        let guess = ApplicationTicket { id: ticket.id, secret: secret.into() };
        let (mut wire, welcome) = Wire::greet(&socket, Some(guess));
        assert_eq!(welcome.rv, Rv::CRYPTOKI_NOT_INITIALIZED);
        assert!(wire.hung_up());
    }
    // The application lives until its last connection closes, then its ticket is worth nothing.
    drop(first);
    assert!(second.call(&call::GetSessionInfo { session }).is_ok());
    drop(second);
    let ended = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        Wire::greet(&socket, Some(ticket.clone())).1.rv == Rv::CRYPTOKI_NOT_INITIALIZED
    });
    assert!(ended, "the application should have ended with its last connection");
}

#[test]
fn broken_requests_end_the_connection_and_wrong_ones_do_not() {
    let socket = daemon().pkcs11_socket();
    let greeted = || Wire::greet(&socket, None).0;
    // Answered, and the connection is as good as before.
    let mut wire = greeted();
    assert_eq!(wire.request(9999, b""), Some((Rv::FUNCTION_NOT_SUPPORTED, vec![])));
    assert_eq!(wire.request(0, &noise(3, 100)), Some((Rv::FUNCTION_NOT_SUPPORTED, vec![])));
    assert_eq!(wire.request(call::OpenSession::NUMBER, b""), Some((Rv::ARGUMENTS_BAD, vec![])));
    assert_eq!(
        wire.request(call::OpenSession::NUMBER, &[0; 17]),
        Some((Rv::ARGUMENTS_BAD, vec![])),
        "too long"
    );
    // A length inside that is longer than all memory.
    let lie = [&0u64.to_le_bytes()[..], &u64::MAX.to_le_bytes(), b"short"].concat();
    assert_eq!(wire.request(call::SeedRandom::NUMBER, &lie), Some((Rv::ARGUMENTS_BAD, vec![])));
    assert!(wire.call(&call::GetSlotList { token_present: true }).is_ok());
    // A header cut short, and a frame over the limit.
    for bytes in [&b""[..], &[1; 9]] {
        let mut wire = greeted();
        wire.send(bytes);
        assert!(wire.hung_up(), "{} bytes", bytes.len());
    }
    for length in [MAX_FRAME_BYTES as u32 + 1, u32::MAX] {
        let mut wire = greeted();
        wire.send_unframed(&length.to_le_bytes());
        assert!(wire.hung_up(), "a frame of {length} bytes is refused before it comes");
    }
    // A request that comes again, or out of order.
    for sequence in [1, 0] {
        let mut wire = greeted();
        assert!(wire.call(&call::GetSlotList { token_present: true }).is_ok());
        let header = codec::encode(&RequestHeader { sequence, call: call::GetSlotList::NUMBER }).unwrap();
        wire.send(&[header, vec![1]].concat());
        assert!(wire.hung_up(), "sequence {sequence} after 1");
    }
    // Half a request, and the client leaves.
    let mut wire = greeted();
    wire.send_unframed(&[100, 0, 0, 0, 1, 2, 3]);
    drop(wire);
    serves();
}

#[test]
fn a_client_that_stalls_inside_a_frame_is_hung_up_on() {
    let mut wire = Wire::greet(&daemon().pkcs11_socket(), None).0;
    wire.send_unframed(&[100, 0, 0, 0, 1, 2, 3]);
    // The daemon's patience is 10 seconds; `hung_up` waits 20.
    assert!(wire.hung_up());
}

#[test]
fn noise_in_every_call_is_refused_and_harmless() {
    let (mut wire, _) = Wire::greet(&daemon().pkcs11_socket(), None);
    // Ends the application, or waits for a key ring.
    let spared = [call::Finalize::NUMBER, call::WaitForSlotEvent::NUMBER];
    for (number, name) in CALLS.iter().filter(|(number, _)| !spared.contains(number)) {
        for length in [0, 1, 7, 8, 9, 16, 17, 24, 33, 64, 200, 5000] {
            let body = noise(u64::from(*number) << 16 | length as u64, length);
            let (rv, reply) =
                wire.request(*number, &body).unwrap_or_else(|| panic!("{name} ended the connection"));
            // By chance a body is a request; then there is no such session, slot or object.
            let harmless = [
                Rv::ARGUMENTS_BAD,
                Rv::SESSION_HANDLE_INVALID,
                Rv::SLOT_ID_INVALID,
                Rv::SESSION_PARALLEL_NOT_SUPPORTED,
                Rv::FUNCTION_NOT_SUPPORTED,
            ];
            let listed = *number == call::GetSlotList::NUMBER && rv == Rv::OK;
            assert!(harmless.contains(&rv) || listed, "{name} with {length} bytes: {rv}");
            assert!(reply.is_empty() || listed);
        }
    }
    serves();
}

#[test]
fn noise_inside_good_requests_is_refused_and_harmless() {
    // Requests that are well-formed on the wire, with numbers and bytes that mean nothing.
    let setup = Setup::new();
    let (mut wire, welcome) = Wire::greet(&daemon().pkcs11_socket(), None);
    assert_eq!(welcome.rv, Rv::OK);
    let slot = setup.app.slot(&setup.ring);
    let session = wire.call(&call::OpenSession { slot, flags: 6 }).unwrap();
    let pin = Some(setup.ring.user_pin.as_bytes().into());
    wire.call(&call::Login { session, user_type: 1, pin }).unwrap();
    for seed in 0..300u64 {
        let bytes = noise(seed + 77, 4 + seed as usize % 60);
        let number = u64::from_le_bytes(noise(seed, 8).try_into().unwrap());
        let attribute = claviger_protocol::template::Attribute {
            r#type: A(if seed % 2 == 0 { seed } else { number }),
            value: match seed % 3 {
                0 => claviger_protocol::template::Value::Bool(seed % 2 == 0),
                1 => claviger_protocol::template::Value::Ulong(number),
                _ => claviger_protocol::template::Value::Bytes(bytes.clone().into()),
            },
        };
        let mechanism = claviger_protocol::params::Mechanism {
            r#type: M(if seed % 4 == 0 { number } else { seed * 16 }),
            params: claviger_protocol::params::Params::Bytes(bytes.clone().into()),
        };
        let template = vec![attribute];
        let state = bytes.into();
        let (create, find) = (template.clone(), template.clone());
        let requests = [
            request(&call::CreateObject { session, template: create }),
            request(&call::GenerateKey { session, mechanism, template }),
            request(&call::FindObjectsInit { session, template: find }),
            request(&call::FindObjectsFinal { session }),
            request(&call::SetOperationState { session, state, encryption_key: 0, authentication_key: 0 }),
        ];
        for (call, body) in requests {
            let (rv, _) = wire.request(call, &body).expect("an answer");
            assert_ne!(rv, Rv::GENERAL_ERROR, "call {call}, seed {seed}: something failed inside");
            assert_ne!(rv, Rv::DEVICE_ERROR, "call {call}, seed {seed}: something failed inside");
        }
    }
    serves();
}

fn refused(wire: &mut Wire, verb: u16, arguments: &[(&str, ArgumentValue)]) -> (Code, String) {
    let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    match wire.verb(verb, &admin::Request { arguments }) {
        (rv, Reply::Failure(failure)) => {
            assert_ne!(rv, Rv::OK);
            (failure.code, failure.message)
        }
        (_, Reply::Document(_)) => panic!("verb {verb} succeeded"),
    }
}

#[test]
fn admin_requests_are_judged_by_the_daemon_too() {
    let (mut wire, welcome) = Wire::greet(&daemon().admin_socket(), None);
    assert_eq!(welcome.rv, Rv::OK);
    assert_eq!(refused(&mut wire, 9999, &[]).0, Code::Unimplemented);
    let text = |text: &str| ArgumentValue::Text(text.to_owned());
    let invalid: &[(u16, &[(&str, ArgumentValue)])] = &[
        (10, &[]),
        (10, &[("name", text(""))]),
        (10, &[("name", text("a/b"))]),
        (10, &[("name", text("../../etc"))]),
        (10, &[("name", text(&"x".repeat(64)))]),
        (10, &[("name", text("r")), ("name", text("r"))]),
        (10, &[("name", ArgumentValue::Flag)]),
        (10, &[("name", ArgumentValue::List(vec!["r".into()]))]),
        (10, &[("name", text("r")), ("unknown", text("x"))]),
        (10, &[("name", text("r")), ("profile", text("lab"))]),
        (10, &[("name", text("r")), ("user-pin-file", ArgumentValue::Bytes(b"123".into()))]),
        (10, &[("name", text("r")), ("token-label", text(&"x".repeat(33)))]),
        (44, &[("versions", ArgumentValue::List(vec![])), ("keyring", text("r")), ("key", text("k"))]),
    ];
    for (verb, arguments) in invalid {
        let (code, message) = refused(&mut wire, *verb, arguments);
        assert_eq!(code, Code::InvalidArgument, "{arguments:?}");
        assert!(!message.is_empty() && !message.contains('\n'), "one sentence: {message:?}");
    }
    assert_eq!(refused(&mut wire, 12, &[("name", text("nowhere"))]).0, Code::NotFound);
    // A body that is no request, and a good request after it.
    let (_, body) = wire.request(11, &noise(5, 50)).expect("an answer");
    assert!(
        matches!(codec::decode(&body), Ok(Reply::Failure(failure)) if failure.code == Code::InvalidArgument)
    );
    let (rv, reply) = wire.verb(11, &admin::Request::default());
    assert_eq!(rv, Rv::OK);
    assert!(matches!(reply, Reply::Document(_)));
}
