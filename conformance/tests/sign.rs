//! Signing and MACing functions (PKCS#11 3.2, section 5.13). Every signature is verified by `openssl`.

use claviger_conformance::openssl::{OpenSsl, digest, ecdsa_der, hmac, unhex, verifies, verifies_raw};
use claviger_conformance::prelude::*;
use claviger_conformance::rules::{Rules, parts};
use claviger_protocol::flags::{mgf, user};

const DATA: &[u8] = b"The quick brown fox jumps over the lazy dog, which has seen it coming.";

/// Hash, its name, its digest's DER prefix (RFC 8017, section 9.2), MGF1 with it, length.
const HASHES: [(M, &str, &str, u64, usize); 5] = [
    (M::SHA_1, "sha1", "3021300906052b0e03021a05000414", mgf::MGF1_SHA1, 20),
    (M::SHA224, "sha224", "302d300d06096086480165030402040500041c", mgf::MGF1_SHA224, 28),
    (M::SHA256, "sha256", "3031300d060960864801650304020105000420", mgf::MGF1_SHA256, 32),
    (M::SHA384, "sha384", "3041300d060960864801650304020205000430", mgf::MGF1_SHA384, 48),
    (M::SHA512, "sha512", "3051300d060960864801650304020305000440", mgf::MGF1_SHA512, 64),
];

/// One call.
fn sign(app: &Application, session: u64, mechanism: &Mechanism, key: u64, data: &[u8]) -> Vec<u8> {
    app.raw
        .start(Operation::Sign, session, Some(mechanism), key)
        .unwrap_or_else(|rv| panic!("{mechanism:?}: {rv}"));
    app.raw.one_shot(Operation::Sign, session, data, Room::Bytes(1024)).unwrap()
}

/// In awkward parts.
fn sign_in_parts(app: &Application, session: u64, mechanism: &Mechanism, key: u64, data: &[u8]) -> Vec<u8> {
    app.raw.start(Operation::Sign, session, Some(mechanism), key).unwrap();
    for part in parts(data) {
        app.raw.feed(Operation::Sign, session, part).unwrap();
    }
    app.raw.finish(Operation::Sign, session, Room::Bytes(1024)).unwrap()
}

#[test]
fn rsa_pkcs1_signatures() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let spki = setup.app.raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    let hashed =
        [M::SHA1_RSA_PKCS, M::SHA224_RSA_PKCS, M::SHA256_RSA_PKCS, M::SHA384_RSA_PKCS, M::SHA512_RSA_PKCS];
    for ((_, name, prefix, _, _), mechanism) in HASHES.into_iter().zip(hashed) {
        let signature = sign(&setup.app, session, &mechanism.into(), private, DATA);
        verifies(&spki, &format!("-{name}"), DATA, &signature);
        // PKCS #1 v1.5 is deterministic: parts and a DigestInfo of one's own give the same.
        assert_eq!(sign_in_parts(&setup.app, session, &mechanism.into(), private, DATA), signature, "{name}");
        let digest_info = [unhex(prefix), digest(name, DATA)].concat();
        assert_eq!(
            sign(&setup.app, session, &M::RSA_PKCS.into(), private, &digest_info),
            signature,
            "{name}"
        );
    }
    // Without a hash: anything up to the modulus less 11 bytes.
    for length in [1, 245] {
        let data = vec![0x5a; length];
        let signature = sign(&setup.app, session, &M::RSA_PKCS.into(), private, &data);
        let openssl = OpenSsl::with(&[("key", &spki), ("in", &signature)]);
        openssl.run("pkeyutl -verifyrecover -pubin -keyform DER -inkey key -in in -out out").unwrap();
        assert_eq!(openssl.read("out"), data);
    }
    // OpenSSL verifies no signature of nothing, so none is made.
    for length in [0, 246] {
        setup.app.raw.start(Operation::Sign, session, Some(&M::RSA_PKCS.into()), private).unwrap();
        let output = setup.app.raw.one_shot(Operation::Sign, session, &vec![1; length], Room::Bytes(256));
        assert_eq!(output.rv, Rv::DATA_LEN_RANGE, "{length} bytes");
    }
}

#[test]
fn rsa_pss_signatures() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let spki = setup.app.raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    let hashed = [
        M::SHA1_RSA_PKCS_PSS,
        M::SHA224_RSA_PKCS_PSS,
        M::SHA256_RSA_PKCS_PSS,
        M::SHA384_RSA_PKCS_PSS,
        M::SHA512_RSA_PKCS_PSS,
    ];
    for (n, ((hash, name, _, mgf, size), mechanism)) in HASHES.into_iter().zip(hashed).enumerate() {
        for salt in [0, size, 20] {
            let options = format!("-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{salt}");
            let pss = Mechanism::pss(mechanism, hash, mgf, salt as u64);
            let signature = sign(&setup.app, session, &pss, private, DATA);
            verifies(&spki, &format!("-{name} {options}"), DATA, &signature);
            let signature = sign_in_parts(&setup.app, session, &pss, private, DATA);
            verifies(&spki, &format!("-{name} {options}"), DATA, &signature);
            let raw = Mechanism::pss(M::RSA_PKCS_PSS, hash, mgf, salt as u64);
            let signature = sign(&setup.app, session, &raw, private, &digest(name, DATA));
            verifies(&spki, &format!("-{name} {options}"), DATA, &signature);
        }
        // MGF1 may have another hash.
        let (_, other, _, other_mgf, _) = HASHES[(n + 1) % 5];
        let pss = Mechanism::pss(mechanism, hash, other_mgf, size as u64);
        let signature = sign(&setup.app, session, &pss, private, DATA);
        let options = format!(
            "-{name} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{size} -sigopt rsa_mgf1_md:{other}"
        );
        verifies(&spki, &options, DATA, &signature);
    }
    // The hash in the parameter must be the mechanism's, and the digest of its length.
    let start = |mechanism| setup.app.raw.start(Operation::Sign, session, Some(&mechanism), private);
    let wrong_hash = Mechanism::pss(M::SHA256_RSA_PKCS_PSS, M::SHA_1, mgf::MGF1_SHA256, 32);
    assert_eq!(start(wrong_hash), Err(Rv::MECHANISM_PARAM_INVALID));
    let unknown_hash = Mechanism::pss(M::RSA_PKCS_PSS, M::AES_ECB, mgf::MGF1_SHA256, 32);
    assert_eq!(start(unknown_hash), Err(Rv::MECHANISM_PARAM_INVALID));
    let unknown_mgf = Mechanism::pss(M::RSA_PKCS_PSS, M::SHA256, 77, 32);
    assert_eq!(start(unknown_mgf), Err(Rv::MECHANISM_PARAM_INVALID));
    let huge_salt = Mechanism::pss(M::RSA_PKCS_PSS, M::SHA256, mgf::MGF1_SHA256, 223);
    assert_eq!(start(huge_salt), Err(Rv::MECHANISM_PARAM_INVALID), "222 is what fits 2048 bits");
    assert_eq!(start(M::RSA_PKCS_PSS.into()), Err(Rv::MECHANISM_PARAM_INVALID));
    for length in [0, 31, 33] {
        start(Mechanism::pss(M::RSA_PKCS_PSS, M::SHA256, mgf::MGF1_SHA256, 32)).unwrap();
        let output = setup.app.raw.one_shot(Operation::Sign, session, &vec![1; length], Room::Bytes(256));
        assert_eq!(output.rv, Rv::DATA_LEN_RANGE, "a digest of {length} bytes");
    }
}

#[test]
fn ecdsa_signatures_on_every_curve() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let hashed = [M::ECDSA_SHA1, M::ECDSA_SHA224, M::ECDSA_SHA256, M::ECDSA_SHA384, M::ECDSA_SHA512];
    for (curve, size) in [(curve::P256, 64), (curve::P384, 96), (curve::P521, 132)] {
        let (public, private) = setup.app.ec(session, curve, &[]).unwrap();
        let spki = setup.app.raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
        for ((_, name, _, _, _), mechanism) in HASHES.into_iter().zip(hashed) {
            let signature = sign(&setup.app, session, &mechanism.into(), private, DATA);
            assert_eq!(signature.len(), size, "r || s of the order's length");
            verifies(&spki, &format!("-{name}"), DATA, &ecdsa_der(&signature));
            let signature = sign_in_parts(&setup.app, session, &mechanism.into(), private, DATA);
            verifies(&spki, &format!("-{name}"), DATA, &ecdsa_der(&signature));
            let signature = sign(&setup.app, session, &M::ECDSA.into(), private, &digest(name, DATA));
            verifies(&spki, &format!("-{name}"), DATA, &ecdsa_der(&signature));
        }
    }
}

#[test]
fn short_integers_keep_their_place() {
    // Of 600 signatures about five have an r or s that begins with a zero byte.
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let (public, private) = setup.app.ec(session, curve::P256, &[]).unwrap();
    let spki = setup.app.raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    let mut short = 0;
    for n in 0..600u32 {
        let hash = [&n.to_be_bytes()[..], &[7; 28]].concat();
        let signature = sign(&setup.app, session, &M::ECDSA.into(), private, &hash);
        assert_eq!(signature.len(), 64);
        if signature[0] == 0 || signature[32] == 0 {
            short += 1;
            verifies_raw(&spki, "", &hash, &ecdsa_der(&signature));
        }
    }
    assert!(short < 60, "{short} of 600 are too many to be chance");
}

#[test]
fn ed25519_signatures() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    for parameters in [curve::ED25519, curve::EDWARDS25519] {
        let (public, private) = setup.app.edwards(session, parameters, &[]).unwrap();
        let spki = setup.app.raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
        for data in [&b""[..], DATA] {
            let signature = sign(&setup.app, session, &M::EDDSA.into(), private, data);
            assert_eq!(signature.len(), 64);
            if data.is_empty() {
                // `openssl pkeyutl -rawin` takes no empty file.
                let key = openssl::pkey::PKey::public_key_from_der(&spki).unwrap();
                let mut verifier = openssl::sign::Verifier::new_without_digest(&key).unwrap();
                assert!(verifier.verify_oneshot(&signature, data).unwrap());
            } else {
                verifies_raw(&spki, "-rawin", data, &signature);
            }
            assert_eq!(
                sign(&setup.app, session, &M::EDDSA.into(), private, data),
                signature,
                "deterministic"
            );
        }
        let other = sign(&setup.app, session, &Mechanism::eddsa(false, b"context"), private, DATA);
        let pure = sign(&setup.app, session, &M::EDDSA.into(), private, DATA);
        assert_ne!(other, pure, "Ed25519ctx is another scheme");
    }
    // GnuTLS and Knot generate Ed25519 keys with CKM_EDDSA.
    let template = [bytes(A::EC_PARAMS, curve::ED25519)];
    assert!(setup.app.raw.generate_key_pair(session, &M::EDDSA.into(), &template, &[]).is_ok());
}

#[test]
fn hmacs_agree_with_openssl() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let full = [M::SHA_1_HMAC, M::SHA224_HMAC, M::SHA256_HMAC, M::SHA384_HMAC, M::SHA512_HMAC];
    let general = [
        M::SHA_1_HMAC_GENERAL,
        M::SHA224_HMAC_GENERAL,
        M::SHA256_HMAC_GENERAL,
        M::SHA384_HMAC_GENERAL,
        M::SHA512_HMAC_GENERAL,
    ];
    let types = [
        KeyType::SHA_1_HMAC,
        KeyType::SHA224_HMAC,
        KeyType::SHA256_HMAC,
        KeyType::SHA384_HMAC,
        KeyType::SHA512_HMAC,
    ];
    for (n, (_, name, _, _, size)) in HASHES.into_iter().enumerate() {
        for (value, r#type) in [
            (vec![5; 20], KeyType::GENERIC_SECRET),
            (vec![6; 200], KeyType::GENERIC_SECRET),
            (vec![7; 64], types[n]),
        ] {
            let key = setup.app.known(session, r#type, &value, &[A::SIGN, A::VERIFY]);
            let expected = hmac(name, &value, DATA);
            assert_eq!(sign(&setup.app, session, &full[n].into(), key, DATA), expected, "{name}");
            assert_eq!(sign_in_parts(&setup.app, session, &full[n].into(), key, DATA), expected, "{name}");
            for length in [4, size as u64] {
                let mechanism = Mechanism::ulong(general[n], length);
                let mac = sign(&setup.app, session, &mechanism, key, DATA);
                assert_eq!(mac, expected[..length as usize], "{name}");
            }
            let too_long = Mechanism::ulong(general[n], size as u64 + 1);
            let start = raw.start(Operation::Sign, session, Some(&too_long), key);
            assert_eq!(start, Err(Rv::MECHANISM_PARAM_INVALID), "{name}");
        }
    }
    let other = setup.app.known(session, KeyType::SHA256_HMAC, &[1; 32], &[A::SIGN]);
    let start = raw.start(Operation::Sign, session, Some(&M::SHA512_HMAC.into()), other);
    assert_eq!(start, Err(Rv::KEY_TYPE_INCONSISTENT));
}

#[test]
fn sign_recover_is_undone_by_the_public_key() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let usage = usage(&[A::SIGN_RECOVER, A::SIGN]);
    let public = [ulong(A::MODULUS_BITS, 2048), flag(A::VERIFY_RECOVER, true), flag(A::VERIFY, true)];
    let (public, private) =
        raw.generate_key_pair(session, &M::RSA_PKCS_KEY_PAIR_GEN.into(), &public, &usage).unwrap();
    let spki = raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    raw.start(Operation::SignRecover, session, Some(&M::RSA_PKCS.into()), private).unwrap();
    let signature = raw.one_shot(Operation::SignRecover, session, b"recover me", Room::Bytes(256)).unwrap();
    let openssl = OpenSsl::with(&[("key", &spki), ("in", &signature)]);
    openssl.run("pkeyutl -verifyrecover -pubin -keyform DER -inkey key -in in -out out").unwrap();
    assert_eq!(openssl.read("out"), b"recover me");
    Rules {
        raw,
        session,
        operation: Operation::SignRecover,
        mechanism: M::RSA_PKCS.into(),
        key: private,
        data: b"recover me".to_vec(),
        output: 256,
        multi_part: false,
    }
    .check();
}

#[test]
fn the_rules_of_operations_hold() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let (_, rsa) = setup.app.rsa(session, 2048, &[]).unwrap();
    let (_, ec) = setup.app.ec(session, curve::P256, &[]).unwrap();
    let (_, ed) = setup.app.edwards(session, curve::ED25519, &[]).unwrap();
    let secret = setup.app.secret(session, 32, &[]).unwrap();
    let cases = [
        (Mechanism::new(M::RSA_PKCS), rsa, 256, false),
        (Mechanism::new(M::SHA256_RSA_PKCS), rsa, 256, true),
        (Mechanism::pss(M::RSA_PKCS_PSS, M::SHA256, mgf::MGF1_SHA256, 32), rsa, 256, false),
        (Mechanism::pss(M::SHA256_RSA_PKCS_PSS, M::SHA256, mgf::MGF1_SHA256, 32), rsa, 256, true),
        (Mechanism::new(M::ECDSA), ec, 64, false),
        (Mechanism::new(M::ECDSA_SHA256), ec, 64, true),
        (Mechanism::new(M::EDDSA), ed, 64, true),
        (Mechanism::new(M::SHA256_HMAC), secret, 32, true),
        (Mechanism::ulong(M::SHA256_HMAC_GENERAL, 16), secret, 16, true),
    ];
    for (mechanism, key, output, multi_part) in cases {
        Rules {
            raw: &setup.app.raw,
            session,
            operation: Operation::Sign,
            mechanism,
            key,
            data: vec![0x33; 32],
            output,
            multi_part,
        }
        .check();
    }
    let output = setup.app.raw.sign_null(session, Room::Bytes(64));
    assert_eq!(output.rv, Rv::ARGUMENTS_BAD, "data with a length and no address");
}

#[test]
fn the_key_must_be_of_the_type_and_for_the_use() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let start = |mechanism: M, key| raw.start(Operation::Sign, session, Some(&mechanism.into()), key);
    let aes = setup.app.aes(session, 32, &[]).unwrap();
    let (public, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let (_, ec) = setup.app.ec(session, curve::P256, &[]).unwrap();
    assert_eq!(start(M::SHA256_RSA_PKCS, aes), Err(Rv::KEY_TYPE_INCONSISTENT));
    assert_eq!(start(M::SHA256_RSA_PKCS, ec), Err(Rv::KEY_TYPE_INCONSISTENT));
    assert_eq!(start(M::ECDSA, private), Err(Rv::KEY_TYPE_INCONSISTENT));
    assert_eq!(start(M::EDDSA, ec), Err(Rv::KEY_TYPE_INCONSISTENT));
    assert_eq!(start(M::SHA256_RSA_PKCS, public), Err(Rv::KEY_FUNCTION_NOT_PERMITTED), "a public key");
    assert_eq!(start(M::SHA256_HMAC, aes), Err(Rv::KEY_TYPE_INCONSISTENT));
    let public = [bytes(A::EC_PARAMS, curve::P256)];
    let private_template = [flag(A::SIGN, false), flag(A::DERIVE, true)];
    let generate = M::EC_KEY_PAIR_GEN.into();
    let (_, only_derives) = raw.generate_key_pair(session, &generate, &public, &private_template).unwrap();
    assert_eq!(start(M::ECDSA, only_derives), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(start(M::SHA256, private), Err(Rv::MECHANISM_INVALID), "a digest signs nothing");
    let oaep = Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 1, b"");
    let start = raw.start(Operation::Sign, session, Some(&oaep), private);
    assert_eq!(start, Err(Rv::MECHANISM_INVALID), "encryption signs nothing");
}

#[test]
fn always_authenticate_asks_for_the_pin_each_time() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let public = [bytes(A::EC_PARAMS, curve::P256)];
    let private = [flag(A::ALWAYS_AUTHENTICATE, true), flag(A::SIGN, true)];
    let (_, key) = raw.generate_key_pair(session, &M::EC_KEY_PAIR_GEN.into(), &public, &private).unwrap();
    let pin = setup.ring.user_pin.as_bytes();
    for _ in 0..2 {
        raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), key).unwrap();
        assert_eq!(raw.login(session, user::CONTEXT_SPECIFIC, Some(b"wrong pin")), Err(Rv::PIN_INCORRECT));
        assert_eq!(raw.login(session, user::CONTEXT_SPECIFIC, Some(pin)), Ok(()));
        assert_eq!(raw.one_shot(Operation::Sign, session, &[1; 32], Room::Bytes(64)).rv, Rv::OK);
        // Once is once.
        raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), key).unwrap();
        let refused = raw.one_shot(Operation::Sign, session, &[1; 32], Room::Bytes(64));
        assert_eq!(refused.rv, Rv::USER_NOT_LOGGED_IN);
    }
}

#[test]
fn the_profile_decides_what_is_offered() {
    let setup = Setup::with(&["--profile", "strict"]);
    let session = setup.app.login(&setup.ring);
    let (_, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    let start = |m: M| setup.app.raw.start(Operation::Sign, session, Some(&m.into()), private);
    assert_eq!(start(M::RSA_PKCS), Err(Rv::MECHANISM_INVALID));
    assert_eq!(start(M::SHA256_RSA_PKCS), Ok(()));
}

#[test]
fn cryptoki_signs_and_verifies() {
    use cryptoki::mechanism::Mechanism;
    use cryptoki::object::{Attribute, AttributeType};
    let setup = Setup::new();
    let session = setup.app.cryptoki_login(&setup.ring);
    let public = [Attribute::EcParams(curve::P384.to_vec()), Attribute::Token(true), Attribute::Verify(true)];
    let private = [Attribute::Token(true), Attribute::Sign(true), Attribute::Label(b"by cryptoki".to_vec())];
    let (public, private) = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap();
    let signature = session.sign(&Mechanism::EcdsaSha384, private, DATA).unwrap();
    session.verify(&Mechanism::EcdsaSha384, public, DATA, &signature).unwrap();
    let spki = session.get_attributes(public, &[AttributeType::PublicKeyInfo]).unwrap();
    let [Attribute::PublicKeyInfo(spki)] = spki.as_slice() else { panic!("{spki:?}") };
    verifies(spki, "-sha384", DATA, &ecdsa_der(&signature));
}
