//! Encryption functions (PKCS#11 3.2, section 5.8).

use claviger_conformance::openssl::{OpenSsl, enc, unhex};
use claviger_conformance::prelude::*;
use claviger_conformance::rules::{Rules, cipher_in_parts};
use claviger_protocol::flags::mgf;

const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// NIST SP 800-38A, appendix F: the key of 256 bits and the four blocks.
fn sp800_38a() -> (Vec<u8>, Vec<u8>) {
    (
        unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
        unhex(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
             30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        ),
    )
}

/// Mechanism and ciphertext of the vectors above: F.1.5, F.2.5, F.5.5.
fn sp800_38a_vectors() -> Vec<(Mechanism, Vec<u8>)> {
    let counter = unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
    vec![
        (
            M::AES_ECB.into(),
            unhex(
                "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870
                 b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7",
            ),
        ),
        (
            Mechanism::bytes(M::AES_CBC, &IV),
            unhex(
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d
                 39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
            ),
        ),
        (
            Mechanism::ctr(128, counter),
            unhex(
                "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5
                 2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
            ),
        ),
    ]
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16: key, IV, AAD, data, result.
fn gcm_vector() -> [Vec<u8>; 5] {
    [
        unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
        unhex("cafebabefacedbaddecaf888"),
        unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        unhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        ),
        unhex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
             76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ]
}

#[test]
fn published_vectors_of_aes() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let (key, data) = sp800_38a();
    let key = setup.app.known(session, KeyType::AES, &key, &[A::ENCRYPT, A::DECRYPT]);
    for (mechanism, expected) in sp800_38a_vectors() {
        for (operation, input, output) in
            [(Operation::Encrypt, &data, &expected), (Operation::Decrypt, &expected, &data)]
        {
            raw.start(operation, session, Some(&mechanism), key).unwrap();
            let one_shot = raw.one_shot(operation, session, input, Room::Bytes(64)).unwrap();
            assert_eq!(&one_shot, output, "{mechanism:?}");
            raw.start(operation, session, Some(&mechanism), key).unwrap();
            let in_parts = cipher_in_parts(raw, operation, session, input);
            assert_eq!(in_parts.as_ref(), Ok(output), "{mechanism:?} in parts");
        }
    }
}

#[test]
fn a_published_vector_of_gcm() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let [key, iv, aad, data, expected] = gcm_vector();
    let key = setup.app.known(session, KeyType::AES, &key, &[A::ENCRYPT, A::DECRYPT]);
    for tag_bits in [128, 120, 96] {
        let mechanism = Mechanism::gcm(&iv, &aad, tag_bits);
        let expected = &expected[..data.len() + tag_bits as usize / 8];
        for (operation, input, output) in
            [(Operation::Encrypt, &data[..], expected), (Operation::Decrypt, expected, &data[..])]
        {
            raw.start(operation, session, Some(&mechanism), key).unwrap();
            let room = Room::Bytes(output.len());
            assert_eq!(raw.one_shot(operation, session, input, room).unwrap(), output, "{tag_bits}");
            raw.start(operation, session, Some(&mechanism), key).unwrap();
            let in_parts = cipher_in_parts(raw, operation, session, input);
            assert_eq!(in_parts.as_deref(), Ok(output), "{tag_bits} in parts");
        }
    }
}

#[test]
fn padding_and_counters_agree_with_openssl_at_every_length() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    for (size, name) in [(16, "aes-128"), (24, "aes-192"), (32, "aes-256")] {
        let value: Vec<u8> = (0..size).map(|n| n as u8 * 7).collect();
        let key = setup.app.known(session, KeyType::AES, &value, &[A::ENCRYPT]);
        for length in [0usize, 1, 15, 16, 17, 31, 32, 1000] {
            let data: Vec<u8> = (0..length).map(|n| n as u8).collect();
            for (mechanism, mode) in
                [(Mechanism::bytes(M::AES_CBC_PAD, &IV), "cbc"), (Mechanism::ctr(128, IV), "ctr")]
            {
                raw.start(Operation::Encrypt, session, Some(&mechanism), key).unwrap();
                let room = Room::Bytes(length + 16);
                let output = raw.one_shot(Operation::Encrypt, session, &data, room).unwrap();
                let expected = enc(&format!("-{name}-{mode}"), &value, &IV, &data);
                assert_eq!(output, expected, "{name}-{mode}, {length} bytes");
                raw.start(Operation::Encrypt, session, Some(&mechanism), key).unwrap();
                let in_parts = cipher_in_parts(raw, Operation::Encrypt, session, &data);
                assert_eq!(in_parts, Ok(expected), "{name}-{mode}, {length} bytes in parts");
            }
        }
    }
}

#[test]
fn rsa_encryption_is_undone_by_openssl() {
    let openssl = OpenSsl::with(&[]);
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key").unwrap();
    let modulus = openssl.run("rsa -in key -noout -modulus").unwrap();
    let modulus = unhex(modulus.trim().strip_prefix("Modulus=").unwrap());
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let public = raw
        .create_object(
            session,
            &[
                class(ObjectClass::PUBLIC_KEY),
                key_type(KeyType::RSA),
                bytes(A::MODULUS, modulus),
                bytes(A::PUBLIC_EXPONENT, [1, 0, 1]),
                flag(A::ENCRYPT, true),
            ],
        )
        .unwrap();
    let oaep = "-pkeyopt rsa_padding_mode:oaep";
    let cases = [
        (Mechanism::new(M::RSA_PKCS), "-pkeyopt rsa_padding_mode:pkcs1".to_owned(), 245),
        (Mechanism::oaep(M::SHA_1, mgf::MGF1_SHA1, 1, b""), format!("{oaep} -pkeyopt rsa_oaep_md:sha1"), 214),
        (
            Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 0, b""),
            format!("{oaep} -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"),
            190,
        ),
        (
            Mechanism::oaep(M::SHA512, mgf::MGF1_SHA1, 1, b"label"),
            format!(
                "{oaep} -pkeyopt rsa_oaep_md:sha512 -pkeyopt rsa_mgf1_md:sha1 -pkeyopt rsa_oaep_label:6c6162656c"
            ),
            126,
        ),
    ];
    for (mechanism, options, longest) in cases {
        for length in [0, 1, longest] {
            let data = vec![0x5a; length];
            raw.start(Operation::Encrypt, session, Some(&mechanism), public).unwrap();
            let output = raw.one_shot(Operation::Encrypt, session, &data, Room::Bytes(256)).unwrap();
            let files = OpenSsl::with(&[("key", &openssl.read("key")), ("in", &output)]);
            files.run(&format!("pkeyutl -decrypt -inkey key {options} -in in -out out")).unwrap();
            assert_eq!(files.read("out"), data, "{mechanism:?}, {length} bytes");
        }
        raw.start(Operation::Encrypt, session, Some(&mechanism), public).unwrap();
        let too_long = raw.one_shot(Operation::Encrypt, session, &vec![1; longest + 1], Room::Bytes(256));
        assert_eq!(too_long.rv, Rv::DATA_LEN_RANGE, "{mechanism:?}");
    }
}

#[test]
fn the_rules_of_operations_hold() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let aes = setup.app.aes(session, 32, &[]).unwrap();
    let (rsa, _) = setup.app.rsa(session, 2048, &[]).unwrap();
    let of = |mechanism, key, data: &[u8], output, multi_part| Rules {
        raw,
        session,
        operation: Operation::Encrypt,
        mechanism,
        key,
        data: data.to_vec(),
        output,
        multi_part,
    };
    of(M::AES_ECB.into(), aes, &[1; 32], 32, true).check();
    of(Mechanism::bytes(M::AES_CBC, &IV), aes, &[1; 32], 32, true).check();
    of(Mechanism::bytes(M::AES_CBC_PAD, &IV), aes, &[1; 20], 32, true).check();
    of(Mechanism::ctr(128, IV), aes, &[1; 20], 20, true).check();
    of(Mechanism::gcm(&IV[..12], b"aad", 128), aes, &[1; 20], 36, true).check();
    of(M::RSA_PKCS.into(), rsa, &[1; 20], 256, false).check();
    of(Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 1, b""), rsa, &[1; 20], 256, false).check();
}

#[test]
fn wrong_parameters_are_refused_at_init() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let aes = setup.app.aes(session, 32, &[]).unwrap();
    let (rsa, _) = setup.app.rsa(session, 2048, &[]).unwrap();
    let wrong = [
        (Mechanism::bytes(M::AES_ECB, &IV), aes),
        (Mechanism::new(M::AES_CBC), aes),
        (Mechanism::bytes(M::AES_CBC, &IV[..15]), aes),
        (Mechanism::bytes(M::AES_CBC, &[IV, IV].concat()), aes),
        (Mechanism::null_with_length(M::AES_CBC, 16), aes),
        (Mechanism::new(M::AES_CTR), aes),
        (Mechanism::bytes(M::AES_CTR, &IV), aes),
        (Mechanism::ctr(0, IV), aes),
        (Mechanism::ctr(129, IV), aes),
        (Mechanism::new(M::AES_GCM), aes),
        (Mechanism::bytes(M::AES_GCM, &IV), aes),
        (Mechanism::gcm(&[], b"", 128), aes),
        (Mechanism::gcm(&IV[..12], b"", 129), aes),
        (Mechanism::gcm(&IV[..12], b"", 136), aes),
        (Mechanism::gcm(&IV[..12], b"", 8), aes),
        (Mechanism::bytes(M::RSA_PKCS, &IV), rsa),
        (Mechanism::new(M::RSA_PKCS_OAEP), rsa),
        (Mechanism::oaep(M::AES_ECB, mgf::MGF1_SHA1, 1, b""), rsa),
        (Mechanism::oaep(M::SHA256, 99, 1, b""), rsa),
        (Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 7, b""), rsa),
    ];
    for (mechanism, key) in wrong {
        let start = raw.start(Operation::Encrypt, session, Some(&mechanism), key);
        assert_eq!(start, Err(Rv::MECHANISM_PARAM_INVALID), "{mechanism:?}");
    }
}

#[test]
fn the_key_must_be_of_the_type_and_for_the_use() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let aes = setup.app.aes(session, 32, &[]).unwrap();
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let cbc = Mechanism::bytes(M::AES_CBC, &IV);
    let start = |mechanism: &Mechanism, key| raw.start(Operation::Encrypt, session, Some(mechanism), key);
    assert_eq!(start(&cbc, public), Err(Rv::KEY_TYPE_INCONSISTENT));
    assert_eq!(start(&M::RSA_PKCS.into(), aes), Err(Rv::KEY_TYPE_INCONSISTENT), "an AES key is no RSA key");
    assert_eq!(start(&M::RSA_PKCS.into(), private), Err(Rv::KEY_FUNCTION_NOT_PERMITTED), "no CKA_ENCRYPT");
    let data = raw.create_object(session, &[class(ObjectClass::DATA)]).unwrap();
    assert_eq!(start(&cbc, data), Err(Rv::KEY_HANDLE_INVALID), "not a key");
    let only_decrypts = setup.app.known(session, KeyType::AES, &[1; 16], &[A::DECRYPT]);
    assert_eq!(start(&cbc, only_decrypts), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    let mut template = secret_key(KeyType::AES, &[1; 16], &[A::ENCRYPT]);
    template.push(mechanisms(&[M::AES_GCM]));
    let only_gcm = raw.create_object(session, &template).unwrap();
    assert_eq!(start(&cbc, only_gcm), Err(Rv::MECHANISM_INVALID), "CKA_ALLOWED_MECHANISMS");
    assert_eq!(start(&Mechanism::gcm(&IV[..12], b"", 128), only_gcm), Ok(()));
    // A mechanism of another operation.
    let other = setup.app.open(&setup.ring);
    for mechanism in [M::SHA256, M::ECDSA, M::SHA256_RSA_PKCS, M::AES_KEY_GEN] {
        let start = raw.start(Operation::Encrypt, other, Some(&mechanism.into()), aes);
        assert_eq!(start, Err(Rv::MECHANISM_INVALID), "{mechanism}");
    }
}

#[test]
fn whole_blocks_only_without_padding() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let aes = setup.app.aes(session, 32, &[]).unwrap();
    for mechanism in [Mechanism::new(M::AES_ECB), Mechanism::bytes(M::AES_CBC, &IV)] {
        raw.start(Operation::Encrypt, session, Some(&mechanism), aes).unwrap();
        let output = raw.one_shot(Operation::Encrypt, session, &[1; 17], Room::Bytes(64));
        assert_eq!(output.rv, Rv::DATA_LEN_RANGE, "{mechanism:?}");
        raw.start(Operation::Encrypt, session, Some(&mechanism), aes).unwrap();
        let query = raw.one_shot(Operation::Encrypt, session, &[1; 17], Room::Query);
        assert_eq!(query.rv, Rv::DATA_LEN_RANGE, "{mechanism:?} has no size for it");
        raw.start(Operation::Encrypt, session, Some(&mechanism), aes).unwrap();
        assert_eq!(raw.update(Operation::Encrypt, session, &[1; 17], Room::Bytes(64)).rv, Rv::OK);
        let last = raw.finish(Operation::Encrypt, session, Room::Query);
        assert_eq!(last.rv, Rv::DATA_LEN_RANGE, "{mechanism:?} in parts");
        raw.start(Operation::Encrypt, session, Some(&mechanism), aes).unwrap();
        assert_eq!(raw.one_shot(Operation::Encrypt, session, &[], Room::Bytes(64)).unwrap(), b"");
    }
}

#[test]
fn a_counter_has_the_bits_that_the_parameter_gives_it() {
    // PKCS#11 3.2, 6.11.3: with 2 bits that begin as 1, three blocks can be processed.
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let aes = setup.app.aes(session, 32, &[]).unwrap();
    let mut block = IV;
    block[15] = block[15] & 0xfc | 1;
    let mechanism = Mechanism::ctr(2, block);
    // C_Decrypt has the return value for its own input (5.10.2).
    for (operation, too_long) in
        [(Operation::Encrypt, Rv::DATA_LEN_RANGE), (Operation::Decrypt, Rv::ENCRYPTED_DATA_LEN_RANGE)]
    {
        let start = || raw.start(operation, session, Some(&mechanism), aes).unwrap();
        let one_shot = |length, room| {
            start();
            raw.one_shot(operation, session, &vec![7; length], room)
        };
        assert_eq!(one_shot(48, Room::Bytes(48)).unwrap().len(), 48);
        assert_eq!(one_shot(49, Room::Bytes(49)).rv, too_long);
        assert_eq!(one_shot(49, Room::Query).rv, too_long);
        for room in [Room::Query, Room::Bytes(16)] {
            start();
            assert_eq!(raw.update(operation, session, &[7; 48], Room::Bytes(48)).rv, Rv::OK);
            assert_eq!(raw.update(operation, session, &[7; 1], room).rv, too_long);
        }
        let over = raw.finish(operation, session, Room::Bytes(16));
        assert_eq!(over.rv, Rv::OPERATION_NOT_INITIALIZED);
    }
}

#[test]
fn megabytes_go_through_in_one_call_and_in_parts() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let value = [3; 32];
    let key = setup.app.known(session, KeyType::AES, &value, &[A::ENCRYPT]);
    let data: Vec<u8> = (0..4 << 20).map(|n: u32| (n / 251) as u8).collect();
    let expected = enc("-aes-256-ctr", &value, &IV, &data);
    raw.start(Operation::Encrypt, session, Some(&Mechanism::ctr(128, IV)), key).unwrap();
    let whole = raw.one_shot(Operation::Encrypt, session, &data, Room::Bytes(data.len())).unwrap();
    assert!(whole == expected, "4 MiB in one call");
    raw.start(Operation::Encrypt, session, Some(&Mechanism::ctr(128, IV)), key).unwrap();
    let mut in_parts = Vec::new();
    for part in data.chunks(1 << 20) {
        in_parts.extend(raw.update(Operation::Encrypt, session, part, Room::Bytes(part.len())).unwrap());
    }
    in_parts.extend(raw.finish(Operation::Encrypt, session, Room::Bytes(16)).unwrap());
    assert!(in_parts == expected, "4 MiB in parts");
}

#[test]
fn more_than_a_frame_goes_through_in_one_call_where_parts_would() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let value = [3; 32];
    let key = setup.app.known(session, KeyType::AES, &value, &[A::ENCRYPT, A::DECRYPT]);
    let data: Vec<u8> = (0..9 << 20).map(|n: u32| (n / 251) as u8).collect();
    let start =
        |operation, mechanism: &Mechanism| raw.start(operation, session, Some(mechanism), key).unwrap();
    let ctr = Mechanism::ctr(128, IV);
    let pad = Mechanism::bytes(M::AES_CBC_PAD, &IV);
    let gcm = Mechanism::gcm(&IV[..12], b"aad", 128);
    for (mechanism, more, name) in [(&ctr, 0, Some("ctr")), (&pad, 16, Some("cbc")), (&gcm, 16, None)] {
        let total = data.len() + more;
        start(Operation::Encrypt, mechanism);
        let query = raw.one_shot(Operation::Encrypt, session, &data, Room::Query);
        assert_eq!((query.rv, query.length), (Rv::OK, total as u64), "{mechanism:?}");
        let short = raw.one_shot(Operation::Encrypt, session, &data, Room::Bytes(total - 1));
        assert_eq!((short.rv, short.length), (Rv::BUFFER_TOO_SMALL, total as u64), "{mechanism:?}");
        let encrypted = raw.one_shot(Operation::Encrypt, session, &data, Room::Bytes(total)).unwrap();
        let over = raw.one_shot(Operation::Encrypt, session, b"", Room::Bytes(16));
        assert_eq!(over.rv, Rv::OPERATION_NOT_INITIALIZED);
        if let Some(name) = name {
            assert!(encrypted == enc(&format!("-aes-256-{name}"), &value, &IV, &data), "{name} by openssl");
        }
        start(Operation::Decrypt, mechanism);
        let short = raw.one_shot(Operation::Decrypt, session, &encrypted, Room::Bytes(data.len() - 1));
        assert_eq!(short.rv, Rv::BUFFER_TOO_SMALL, "{mechanism:?}");
        let decrypted = raw.one_shot(Operation::Decrypt, session, &encrypted, Room::Bytes(data.len()));
        assert!(decrypted.unwrap() == data, "{mechanism:?} and back");
        // The same as one part that is too long for a frame.
        start(Operation::Decrypt, mechanism);
        let mut parts = raw.update(Operation::Decrypt, session, &encrypted, Room::Bytes(total)).unwrap();
        parts.extend(raw.finish(Operation::Decrypt, session, Room::Bytes(total)).unwrap());
        assert!(parts == data, "{mechanism:?} in one part");
    }
    // A byte is changed.
    start(Operation::Encrypt, &gcm);
    let mut changed = raw.one_shot(Operation::Encrypt, session, &data, Room::Bytes(data.len() + 16)).unwrap();
    changed[5 << 20] ^= 1;
    start(Operation::Decrypt, &gcm);
    let refused = raw.one_shot(Operation::Decrypt, session, &changed, Room::Bytes(data.len()));
    assert_eq!(refused.rv, Rv::ENCRYPTED_DATA_INVALID);
    // What takes all data in one part cannot.
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    raw.start(Operation::Encrypt, session, Some(&M::RSA_PKCS.into()), public).unwrap();
    let output = raw.one_shot(Operation::Encrypt, session, &data, Room::Bytes(256));
    assert_eq!(output.rv, Rv::DATA_LEN_RANGE);
    let over = raw.one_shot(Operation::Encrypt, session, b"", Room::Bytes(256));
    assert_eq!(over.rv, Rv::OPERATION_NOT_INITIALIZED);

    // Digests, signatures and random bytes.
    raw.start(Operation::Digest, session, Some(&M::SHA3_256.into()), 0).unwrap();
    let output = raw.one_shot(Operation::Digest, session, &data, Room::Bytes(32)).unwrap();
    assert_eq!(output, claviger_conformance::openssl::digest("sha3-256", &data));
    raw.start(Operation::Sign, session, Some(&M::SHA256_RSA_PKCS.into()), private).unwrap();
    assert_eq!(raw.one_shot(Operation::Sign, session, &data, Room::Query).length, 256);
    let signature = raw.one_shot(Operation::Sign, session, &data, Room::Bytes(256)).unwrap();
    for (data, expected) in [(&data, Ok(())), (&decremented(&data), Err(Rv::SIGNATURE_INVALID))] {
        raw.start(Operation::Verify, session, Some(&M::SHA256_RSA_PKCS.into()), public).unwrap();
        assert_eq!(raw.verify(session, data, &signature), expected);
    }
    raw.start(Operation::Sign, session, Some(&M::RSA_PKCS.into()), private).unwrap();
    assert_eq!(raw.one_shot(Operation::Sign, session, &data, Room::Bytes(256)).rv, Rv::DATA_LEN_RANGE);
    let random = raw.generate_random(session, 5 << 20).unwrap();
    assert!(
        random.len() == 5 << 20
            && random[..16] != random[4 << 20..][..16]
            && random[5_000_000..] != [0; 242_880]
    );
    assert_eq!(raw.generate_random(session, 8).map(|random| random.len()), Ok(8));
}

/// The same with the last byte one less.
fn decremented(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    if let Some(last) = data.last_mut() {
        *last = last.wrapping_sub(1);
    }
    data
}
