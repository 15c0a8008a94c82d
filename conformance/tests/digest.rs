//! Message digesting functions (PKCS#11 3.2, section 5.12).

use claviger_conformance::openssl::digest;
use claviger_conformance::prelude::*;
use claviger_conformance::rules::{Rules, parts};

const HASHES: [(M, &str, usize); 5] = [
    (M::SHA_1, "sha1", 20),
    (M::SHA224, "sha224", 28),
    (M::SHA256, "sha256", 32),
    (M::SHA384, "sha384", 48),
    (M::SHA512, "sha512", 64),
];

#[test]
fn every_hash_agrees_with_openssl() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    for (mechanism, name, size) in HASHES {
        for length in [0usize, 1, 63, 64, 65, 1000] {
            let data: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let expected = digest(name, &data);
            raw.start(Operation::Digest, session, Some(&mechanism.into()), 0).unwrap();
            let one_shot = raw.one_shot(Operation::Digest, session, &data, Room::Bytes(size)).unwrap();
            assert_eq!(one_shot, expected, "{name} of {length} bytes");
            raw.start(Operation::Digest, session, Some(&mechanism.into()), 0).unwrap();
            for part in parts(&data) {
                raw.feed(Operation::Digest, session, part).unwrap();
            }
            let in_parts = raw.finish(Operation::Digest, session, Room::Bytes(size)).unwrap();
            assert_eq!(in_parts, expected, "{name} of {length} bytes in parts");
        }
    }
}

#[test]
fn cryptoki_digests_too() {
    let setup = Setup::new();
    let session = setup.app.cryptoki_login(&setup.ring);
    let output = session.digest(&cryptoki::mechanism::Mechanism::Sha256, b"data").unwrap();
    assert_eq!(output, digest("sha256", b"data"));
}

#[test]
fn the_rules_of_operations_hold() {
    let setup = Setup::new();
    let session = setup.app.open(&setup.ring);
    for (mechanism, _, output) in HASHES {
        Rules {
            raw: &setup.app.raw,
            session,
            operation: Operation::Digest,
            mechanism: mechanism.into(),
            key: 0,
            data: b"some data".to_vec(),
            output,
            multi_part: true,
        }
        .check();
    }
}

#[test]
fn a_parameter_is_refused() {
    let setup = Setup::new();
    let session = setup.app.open(&setup.ring);
    let mechanism = Mechanism::bytes(M::SHA256, b"parameter");
    let start = setup.app.raw.start(Operation::Digest, session, Some(&mechanism), 0);
    assert_eq!(start, Err(Rv::MECHANISM_PARAM_INVALID));
    let start = setup.app.raw.start(Operation::Digest, session, Some(&M::SHA256_HMAC.into()), 0);
    assert_eq!(start, Err(Rv::MECHANISM_INVALID), "a MAC is no digest");
}

#[test]
fn a_secret_key_can_be_part_of_what_is_digested() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let key = setup.app.known(session, KeyType::GENERIC_SECRET, b"a secret of 24 bytes....", &[A::SIGN]);
    assert_eq!(raw.digest_key(session, key), Err(Rv::OPERATION_NOT_INITIALIZED));
    raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).unwrap();
    raw.feed(Operation::Digest, session, b"before ").unwrap();
    raw.digest_key(session, key).unwrap();
    raw.feed(Operation::Digest, session, b" after").unwrap();
    let output = raw.finish(Operation::Digest, session, Room::Bytes(32)).unwrap();
    assert_eq!(output, digest("sha256", b"before a secret of 24 bytes.... after"));

    let (public, private) = setup.app.ec(session, curve::P256, &[]).unwrap();
    for (key, expected) in
        [(public, Rv::KEY_INDIGESTIBLE), (private, Rv::KEY_INDIGESTIBLE), (0, Rv::KEY_HANDLE_INVALID)]
    {
        raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).unwrap();
        assert_eq!(raw.digest_key(session, key), Err(expected));
        raw.feed(Operation::Digest, session, b"data").unwrap();
        let output = raw.finish(Operation::Digest, session, Room::Bytes(32)).unwrap();
        assert_eq!(output, digest("sha256", b"data"), "the digest is as it was before");
    }
}

#[test]
fn a_short_sensitive_key_is_not_digested() {
    // The digest of a key with few bits tells the key.
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let key = setup.app.secret(session, 2, &[]).unwrap();
    assert_eq!(raw.attribute(session, key, A::SENSITIVE), Ok(vec![1]));
    raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).unwrap();
    assert_eq!(raw.digest_key(session, key), Err(Rv::KEY_SIZE_RANGE));
}
