//! Dual-function cryptographic functions (PKCS#11 3.2, section 5.17).

use claviger_conformance::openssl::{digest, enc, hmac};
use claviger_conformance::prelude::*;
use claviger_conformance::rules::parts;

const IV: [u8; 16] = [9; 16];
const NAMES: [&str; 4] =
    ["DigestEncryptUpdate", "DecryptDigestUpdate", "SignEncryptUpdate", "DecryptVerifyUpdate"];

/// A session with an AES key for CBC with padding and a key for HMAC, both known.
struct Keys {
    setup: Setup,
    session: u64,
    aes: u64,
    mac: u64,
}

fn keys() -> Keys {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let aes = setup.app.known(session, KeyType::AES, &[1; 32], &[A::ENCRYPT, A::DECRYPT]);
    let mac = setup.app.known(session, KeyType::GENERIC_SECRET, &[2; 32], &[A::SIGN, A::VERIFY]);
    Keys { setup, session, aes, mac }
}

fn data() -> Vec<u8> {
    (0..700u32).map(|n| n as u8).collect()
}

impl Keys {
    fn start(&self, operation: Operation) {
        let (mechanism, key) = match operation {
            Operation::Encrypt | Operation::Decrypt => (Mechanism::bytes(M::AES_CBC_PAD, &IV), self.aes),
            Operation::Digest => (M::SHA256.into(), 0),
            _ => (M::SHA256_HMAC.into(), self.mac),
        };
        self.setup.app.raw.start(operation, self.session, Some(&mechanism), key).unwrap();
    }

    /// Runs all parts through a dual function and ends the cipher; gives what came out of it.
    fn run(&self, name: &str, cipher: Operation, data: &[u8]) -> Vec<u8> {
        let raw = &self.setup.app.raw;
        let mut whole = Vec::new();
        for part in parts(data) {
            // A size query feeds nothing to either operation.
            let size = raw.dual(name, self.session, part, Room::Query);
            assert_eq!(size.rv, Rv::OK, "{name}");
            whole.extend(raw.dual(name, self.session, part, Room::Bytes(size.length as usize)).unwrap());
        }
        whole.extend(raw.finish(cipher, self.session, Room::Bytes(64)).unwrap());
        whole
    }
}

#[test]
fn digest_and_encrypt() {
    let keys = keys();
    keys.start(Operation::Digest);
    keys.start(Operation::Encrypt);
    let encrypted = keys.run("DigestEncryptUpdate", Operation::Encrypt, &data());
    assert_eq!(encrypted, enc("-aes-256-cbc", &[1; 32], &IV, &data()));
    let output = keys.setup.app.raw.finish(Operation::Digest, keys.session, Room::Bytes(32)).unwrap();
    assert_eq!(output, digest("sha256", &data()), "of the plaintext");
}

#[test]
fn decrypt_and_digest() {
    let keys = keys();
    let encrypted = enc("-aes-256-cbc", &[1; 32], &IV, &data());
    keys.start(Operation::Decrypt);
    keys.start(Operation::Digest);
    let raw = &keys.setup.app.raw;
    let mut whole = Vec::new();
    for part in parts(&encrypted) {
        let room = Room::Bytes(part.len() + 32);
        whole.extend(raw.dual("DecryptDigestUpdate", keys.session, part, room).unwrap());
    }
    // The last block comes from C_DecryptFinal, which digests nothing (PKCS#11 3.2, section 5.17.2).
    let before_last = whole.clone();
    whole.extend(raw.finish(Operation::Decrypt, keys.session, Room::Bytes(64)).unwrap());
    assert_eq!(whole, data());
    let output = raw.finish(Operation::Digest, keys.session, Room::Bytes(32)).unwrap();
    assert_eq!(output, digest("sha256", &before_last));
}

#[test]
fn sign_and_encrypt() {
    let keys = keys();
    keys.start(Operation::Sign);
    keys.start(Operation::Encrypt);
    let encrypted = keys.run("SignEncryptUpdate", Operation::Encrypt, &data());
    assert_eq!(encrypted, enc("-aes-256-cbc", &[1; 32], &IV, &data()));
    let output = keys.setup.app.raw.finish(Operation::Sign, keys.session, Room::Bytes(32)).unwrap();
    assert_eq!(output, hmac("sha256", &[2; 32], &data()));
}

#[test]
fn decrypt_and_verify() {
    let keys = keys();
    // Without padding nothing is held back, so that the whole plaintext is verified.
    let data = &data()[..640];
    let encrypted = enc("-aes-256-cbc -nopad", &[1; 32], &IV, data);
    let raw = &keys.setup.app.raw;
    for (mac, expected) in
        [(hmac("sha256", &[2; 32], data), Ok(())), (vec![0; 32], Err(Rv::SIGNATURE_INVALID))]
    {
        let cbc = Mechanism::bytes(M::AES_CBC, &IV);
        raw.start(Operation::Decrypt, keys.session, Some(&cbc), keys.aes).unwrap();
        keys.start(Operation::Verify);
        assert_eq!(keys.run("DecryptVerifyUpdate", Operation::Decrypt, &encrypted), data);
        assert_eq!(raw.verify_final(keys.session, &mac), expected);
    }
}

#[test]
fn both_operations_must_be_active() {
    let keys = keys();
    let raw = &keys.setup.app.raw;
    let pairs = [
        [Operation::Digest, Operation::Encrypt],
        [Operation::Decrypt, Operation::Digest],
        [Operation::Sign, Operation::Encrypt],
        [Operation::Decrypt, Operation::Verify],
    ];
    let no = Rv::OPERATION_NOT_INITIALIZED;
    for (name, pair) in NAMES.into_iter().zip(pairs) {
        assert_eq!(raw.dual(name, keys.session, &[0; 16], Room::Bytes(64)).rv, no, "{name} with neither");
        for alone in pair {
            keys.start(alone);
            assert_eq!(
                raw.dual(name, keys.session, &[0; 16], Room::Bytes(64)).rv,
                no,
                "{name} with {alone:?}"
            );
            raw.start(alone, keys.session, None, 0).unwrap();
        }
        assert_eq!(raw.dual(name, 0, &[0; 16], Room::Bytes(64)).rv, Rv::SESSION_HANDLE_INVALID, "{name}");
    }
}
