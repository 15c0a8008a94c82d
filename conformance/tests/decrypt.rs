//! Decryption functions (PKCS#11 3.2, section 5.10).

use claviger_conformance::openssl::{OpenSsl, enc};
use claviger_conformance::prelude::*;
use claviger_conformance::rules::{Rules, cipher_in_parts};
use claviger_protocol::flags::mgf;

const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[test]
fn what_openssl_encrypted_is_decrypted() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let value = [0x42; 32];
    let key = setup.app.known(session, KeyType::AES, &value, &[A::DECRYPT]);
    for length in [0usize, 1, 15, 16, 17, 1000] {
        let data: Vec<u8> = (0..length).map(|n| n as u8).collect();
        for (mechanism, mode) in
            [(Mechanism::bytes(M::AES_CBC_PAD, &IV), "cbc"), (Mechanism::ctr(128, IV), "ctr")]
        {
            let encrypted = enc(&format!("-aes-256-{mode}"), &value, &IV, &data);
            raw.start(Operation::Decrypt, session, Some(&mechanism), key).unwrap();
            let room = Room::Bytes(encrypted.len());
            let output = raw.one_shot(Operation::Decrypt, session, &encrypted, room).unwrap();
            assert_eq!(output, data, "{mode}, {length} bytes");
            raw.start(Operation::Decrypt, session, Some(&mechanism), key).unwrap();
            let in_parts = cipher_in_parts(raw, Operation::Decrypt, session, &encrypted);
            assert_eq!(in_parts, Ok(data.clone()), "{mode}, {length} bytes in parts");
        }
    }
}

#[test]
fn oaep_works_with_every_hash_and_label() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let spki = raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    let hashes = [
        (M::SHA_1, "sha1"),
        (M::SHA224, "sha224"),
        (M::SHA256, "sha256"),
        (M::SHA384, "sha384"),
        (M::SHA512, "sha512"),
    ];
    let mgfs = [mgf::MGF1_SHA1, mgf::MGF1_SHA224, mgf::MGF1_SHA256, mgf::MGF1_SHA384, mgf::MGF1_SHA512];
    for (n, (hash, name)) in hashes.into_iter().enumerate() {
        for (mgf, mgf_name) in [(mgfs[n], name), (mgfs[(n + 1) % 5], hashes[(n + 1) % 5].1)] {
            for (label, option) in [(&b""[..], ""), (b"label", "-pkeyopt rsa_oaep_label:6c6162656c")] {
                let openssl = OpenSsl::with(&[("key", &spki), ("in", b"a secret")]);
                openssl
                    .run(&format!(
                        "pkeyutl -encrypt -pubin -keyform DER -inkey key -pkeyopt rsa_padding_mode:oaep \
                         -pkeyopt rsa_oaep_md:{name} -pkeyopt rsa_mgf1_md:{mgf_name} {option} -in in -out out"
                    ))
                    .unwrap();
                let mechanism = Mechanism::oaep(hash, mgf, 1, label);
                raw.start(Operation::Decrypt, session, Some(&mechanism), private).unwrap();
                let output = raw
                    .one_shot(Operation::Decrypt, session, &openssl.read("out"), Room::Bytes(256))
                    .unwrap();
                assert_eq!(output, b"a secret", "{name} {mgf_name} {label:?}");
                // Another label is another ciphertext.
                let wrong = Mechanism::oaep(hash, mgf, 1, b"other");
                raw.start(Operation::Decrypt, session, Some(&wrong), private).unwrap();
                let output =
                    raw.one_shot(Operation::Decrypt, session, &openssl.read("out"), Room::Bytes(256));
                assert_eq!(output.rv, Rv::ENCRYPTED_DATA_INVALID, "{name} {mgf_name} {label:?}");
            }
        }
    }
}

#[test]
fn forged_pkcs1_padding_tells_nothing() {
    // Implicit rejection (draft-irtf-cfrg-rsa-guidance): a ciphertext with bad padding decrypts to bytes that
    // depend on it and on the key, the same each time, and never to an error of its own.
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let spki = raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    // Raw RSA of a number that begins 00 01: no encryption block.
    let mut block = vec![0x77; 256];
    block[..2].copy_from_slice(&[0, 1]);
    let openssl = OpenSsl::with(&[("key", &spki), ("in", &block)]);
    openssl
        .run("pkeyutl -encrypt -pubin -keyform DER -inkey key -pkeyopt rsa_padding_mode:none -in in -out out")
        .unwrap();
    let decrypt = || {
        raw.start(Operation::Decrypt, session, Some(&M::RSA_PKCS.into()), private).unwrap();
        raw.one_shot(Operation::Decrypt, session, &openssl.read("out"), Room::Bytes(256))
    };
    let (first, second) = (decrypt(), decrypt());
    assert_eq!(first.rv, Rv::OK);
    assert_eq!(first.data, second.data);
}

#[test]
fn a_forged_ciphertext_is_refused() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let key = setup.app.aes(session, 32, &[]).unwrap();
    let gcm = Mechanism::gcm(&IV[..12], b"aad", 128);
    raw.start(Operation::Encrypt, session, Some(&gcm), key).unwrap();
    let good = raw.one_shot(Operation::Encrypt, session, b"some data", Room::Bytes(25)).unwrap();
    let decrypt = |mechanism: &Mechanism, data: &[u8]| {
        raw.start(Operation::Decrypt, session, Some(mechanism), key).unwrap();
        let one_shot = raw.one_shot(Operation::Decrypt, session, data, Room::Bytes(64));
        raw.start(Operation::Decrypt, session, Some(mechanism), key).unwrap();
        let in_parts = cipher_in_parts(raw, Operation::Decrypt, session, data);
        assert_eq!(in_parts.is_ok(), one_shot.rv == Rv::OK, "both ways agree");
        (one_shot.rv, in_parts.err().unwrap_or(Rv::OK))
    };
    assert_eq!(decrypt(&gcm, &good), (Rv::OK, Rv::OK));
    for position in 0..good.len() {
        let mut forged = good.clone();
        forged[position] ^= 1;
        let no = Rv::ENCRYPTED_DATA_INVALID;
        assert_eq!(decrypt(&gcm, &forged), (no, no), "byte {position}");
    }
    let other_aad = Mechanism::gcm(&IV[..12], b"AAD", 128);
    assert_eq!(decrypt(&other_aad, &good).0, Rv::ENCRYPTED_DATA_INVALID);
    let other_iv = Mechanism::gcm(&IV[1..13], b"aad", 128);
    assert_eq!(decrypt(&other_iv, &good).0, Rv::ENCRYPTED_DATA_INVALID);
    let too_short = Rv::ENCRYPTED_DATA_LEN_RANGE;
    assert_eq!(decrypt(&gcm, &good[..15]), (too_short, too_short), "shorter than a tag");

    let cbc_pad = Mechanism::bytes(M::AES_CBC_PAD, &IV);
    let cbc = Mechanism::bytes(M::AES_CBC, &IV);
    raw.start(Operation::Encrypt, session, Some(&cbc), key).unwrap();
    let unpadded = raw.one_shot(Operation::Encrypt, session, &[0; 32], Room::Bytes(32)).unwrap();
    let invalid = Rv::ENCRYPTED_DATA_INVALID;
    assert_eq!(decrypt(&cbc_pad, &unpadded), (invalid, invalid), "padding of zeros");
    for length in [0, 1, 15, 17, 31] {
        let range = Rv::ENCRYPTED_DATA_LEN_RANGE;
        assert_eq!(decrypt(&cbc_pad, &unpadded[..length]), (range, range), "{length} bytes");
    }
    for length in [1, 15, 17, 31] {
        let range = Rv::ENCRYPTED_DATA_LEN_RANGE;
        assert_eq!(decrypt(&cbc, &unpadded[..length]), (range, range), "{length} bytes without padding");
    }
}

#[test]
fn no_plaintext_of_gcm_leaves_before_the_tag_is_checked() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let key = setup.app.aes(session, 32, &[]).unwrap();
    let gcm = Mechanism::gcm(&IV[..12], b"", 128);
    raw.start(Operation::Encrypt, session, Some(&gcm), key).unwrap();
    let mut encrypted = raw.one_shot(Operation::Encrypt, session, &[7; 100], Room::Bytes(116)).unwrap();
    *encrypted.last_mut().unwrap() ^= 1;
    raw.start(Operation::Decrypt, session, Some(&gcm), key).unwrap();
    for part in encrypted.chunks(29) {
        let output = raw.update(Operation::Decrypt, session, part, Room::Bytes(200)).unwrap();
        assert_eq!(output, b"", "nothing of a message that may be forged");
    }
    let last = raw.finish(Operation::Decrypt, session, Room::Bytes(200));
    assert_eq!(last.rv, Rv::ENCRYPTED_DATA_INVALID);
}

#[test]
fn rsa_ciphertexts_have_the_length_of_the_modulus() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let (_, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let oaep = Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 1, b"");
    for mechanism in [Mechanism::new(M::RSA_PKCS), oaep.clone()] {
        for length in [0, 1, 255, 257] {
            raw.start(Operation::Decrypt, session, Some(&mechanism), private).unwrap();
            let output = raw.one_shot(Operation::Decrypt, session, &vec![1; length], Room::Bytes(256));
            assert_eq!(output.rv, Rv::ENCRYPTED_DATA_LEN_RANGE, "{mechanism:?} {length}");
        }
    }
    raw.start(Operation::Decrypt, session, Some(&oaep), private).unwrap();
    let output = raw.one_shot(Operation::Decrypt, session, &[0xff; 256], Room::Bytes(256));
    assert_eq!(output.rv, Rv::ENCRYPTED_DATA_INVALID, "not below the modulus");
}

#[test]
fn the_rules_of_operations_hold() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let aes = setup.app.aes(session, 32, &[]).unwrap();
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let check = |mechanism: Mechanism, encrypt_with, key, data: &[u8], multi_part| {
        raw.start(Operation::Encrypt, session, Some(&mechanism), encrypt_with).unwrap();
        let encrypted = raw.one_shot(Operation::Encrypt, session, data, Room::Bytes(512)).unwrap();
        let rules = Rules {
            raw,
            session,
            operation: Operation::Decrypt,
            mechanism,
            key,
            data: encrypted,
            output: data.len(),
            multi_part,
        };
        rules.check();
    };
    check(M::AES_ECB.into(), aes, aes, &[1; 32], true);
    check(Mechanism::bytes(M::AES_CBC, &IV), aes, aes, &[1; 32], true);
    check(Mechanism::bytes(M::AES_CBC_PAD, &IV), aes, aes, &[1; 20], true);
    check(Mechanism::ctr(128, IV), aes, aes, &[1; 20], true);
    check(Mechanism::gcm(&IV[..12], b"aad", 128), aes, aes, &[1; 20], true);
    check(M::RSA_PKCS.into(), public, private, &[1; 20], false);
    check(Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 1, b""), public, private, &[1; 20], false);
}

#[test]
fn the_key_must_be_for_the_use() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let only_encrypts = setup.app.known(session, KeyType::AES, &[1; 16], &[A::ENCRYPT]);
    let start = |mechanism: &Mechanism, key| raw.start(Operation::Decrypt, session, Some(mechanism), key);
    assert_eq!(start(&M::AES_ECB.into(), only_encrypts), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    let (public, _) = setup.app.rsa(session, 2048, &[]).unwrap();
    assert_eq!(start(&M::RSA_PKCS.into(), public), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    let (_, ec) = setup.app.ec(session, curve::P256, &[]).unwrap();
    assert_eq!(start(&M::RSA_PKCS.into(), ec), Err(Rv::KEY_TYPE_INCONSISTENT));
}
