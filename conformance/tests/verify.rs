//! Verifying signatures and MACs (PKCS#11 3.2, section 5.15). What is verified was signed by `openssl`.

use claviger_conformance::openssl::{OpenSsl, hmac};
use claviger_conformance::prelude::*;
use claviger_conformance::rules::parts;
use claviger_protocol::flags::mgf;

const DATA: &[u8] = b"signed elsewhere";

/// A key pair of openssl: the public key as an object of the token, and a place to sign.
struct Elsewhere {
    openssl: OpenSsl,
    spki: openssl::pkey::PKey<openssl::pkey::Public>,
}

impl Elsewhere {
    fn new(options: &str) -> Elsewhere {
        let openssl = OpenSsl::with(&[("data", DATA)]);
        openssl.run(&format!("genpkey {options} -out key")).unwrap();
        openssl.run("pkey -in key -pubout -outform DER -out public").unwrap();
        let spki = openssl::pkey::PKey::public_key_from_der(&openssl.read("public")).unwrap();
        Elsewhere { openssl, spki }
    }

    fn sign(&self, options: &str) -> Vec<u8> {
        self.openssl.run(options).unwrap();
        self.openssl.read("signature")
    }

    fn rsa(&self) -> Vec<Attribute> {
        let rsa = self.spki.rsa().unwrap();
        vec![
            class(ObjectClass::PUBLIC_KEY),
            key_type(KeyType::RSA),
            bytes(A::MODULUS, rsa.n().to_vec()),
            bytes(A::PUBLIC_EXPONENT, rsa.e().to_vec()),
        ]
    }

    fn ec(&self, params: &[u8]) -> (Vec<Attribute>, Vec<u8>) {
        let key = self.spki.ec_key().unwrap();
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
        let point = key.public_key().to_bytes(key.group(), form, &mut context).unwrap();
        let template =
            vec![class(ObjectClass::PUBLIC_KEY), key_type(KeyType::EC), bytes(A::EC_PARAMS, params)];
        (template, point)
    }
}

/// The DER OCTET STRING of a point.
fn octet_string(point: &[u8]) -> Vec<u8> {
    let length = if point.len() < 128 { vec![point.len() as u8] } else { vec![0x81, point.len() as u8] };
    [&[0x04][..], &length, point].concat()
}

/// r || s of a DER signature.
fn fixed(signature: &[u8], size: i32) -> Vec<u8> {
    let signature = openssl::ecdsa::EcdsaSig::from_der(signature).unwrap();
    [signature.r().to_vec_padded(size).unwrap(), signature.s().to_vec_padded(size).unwrap()].concat()
}

/// Verifies in one call and in parts; both must agree.
#[track_caller]
fn verify(
    app: &Application,
    session: u64,
    mechanism: &Mechanism,
    key: u64,
    signature: &[u8],
    in_parts: bool,
) -> Result<(), Rv> {
    app.raw.start(Operation::Verify, session, Some(mechanism), key).unwrap();
    let outcome = app.raw.verify(session, DATA, signature);
    assert_eq!(app.raw.verify(session, DATA, signature), Err(Rv::OPERATION_NOT_INITIALIZED), "it is over");
    if in_parts {
        app.raw.start(Operation::Verify, session, Some(mechanism), key).unwrap();
        for part in parts(DATA) {
            app.raw.feed(Operation::Verify, session, part).unwrap();
        }
        assert_eq!(app.raw.verify_final(session, signature), outcome, "both ways agree");
    }
    outcome
}

/// Good signatures are good, forged ones are not, and ones of another length say so.
#[track_caller]
fn check(app: &Application, session: u64, mechanism: &Mechanism, key: u64, signature: &[u8], in_parts: bool) {
    assert_eq!(verify(app, session, mechanism, key, signature, in_parts), Ok(()), "{mechanism:?}");
    for position in [0, signature.len() / 2, signature.len() - 1] {
        let mut forged = signature.to_vec();
        forged[position] ^= 1;
        let outcome = verify(app, session, mechanism, key, &forged, in_parts);
        assert_eq!(outcome, Err(Rv::SIGNATURE_INVALID), "{mechanism:?}, byte {position}");
    }
    for wrong in [&signature[..signature.len() - 1], &[signature, &[0]].concat(), &[]] {
        let outcome = verify(app, session, mechanism, key, wrong, in_parts);
        assert_eq!(outcome, Err(Rv::SIGNATURE_LEN_RANGE), "{mechanism:?}, {} bytes", wrong.len());
    }
}

#[test]
fn rsa_signatures_of_openssl() {
    let elsewhere = Elsewhere::new("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let setup = Setup::new();
    let session = setup.app.open(&setup.ring);
    let key = setup.app.raw.create_object(session, &elsewhere.rsa()).unwrap();
    for (mechanism, name) in [
        (M::SHA1_RSA_PKCS, "sha1"),
        (M::SHA224_RSA_PKCS, "sha224"),
        (M::SHA256_RSA_PKCS, "sha256"),
        (M::SHA384_RSA_PKCS, "sha384"),
        (M::SHA512_RSA_PKCS, "sha512"),
    ] {
        let signature = elsewhere.sign(&format!("dgst -{name} -sign key -out signature data"));
        check(&setup.app, session, &mechanism.into(), key, &signature, true);
    }
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen";
    let signature = elsewhere.sign(&format!("dgst -sha256 {pss}:20 -sign key -out signature data"));
    let mechanism = |salt| Mechanism::pss(M::SHA256_RSA_PKCS_PSS, M::SHA256, mgf::MGF1_SHA256, salt);
    check(&setup.app, session, &mechanism(20), key, &signature, true);
    let outcome = verify(&setup.app, session, &mechanism(32), key, &signature, true);
    assert_eq!(outcome, Err(Rv::SIGNATURE_INVALID), "the salt's length is part of the scheme");
}

#[test]
fn ecdsa_signatures_of_openssl() {
    let setup = Setup::new();
    let session = setup.app.open(&setup.ring);
    for (name, params, size) in
        [("P-256", curve::P256, 32), ("P-384", curve::P384, 48), ("P-521", curve::P521, 66)]
    {
        let elsewhere = Elsewhere::new(&format!("-algorithm EC -pkeyopt ec_paramgen_curve:{name}"));
        let (template, point) = elsewhere.ec(params);
        // The point as the standard has it, and bare as some applications do.
        for point in [octet_string(&point), point] {
            let template = [&template[..], &[bytes(A::EC_POINT, &point)]].concat();
            let key = setup.app.raw.create_object(session, &template).unwrap();
            let signature = elsewhere.sign("dgst -sha256 -sign key -out signature data");
            check(&setup.app, session, &M::ECDSA_SHA256.into(), key, &fixed(&signature, size), true);
        }
    }
}

#[test]
fn ed25519_signatures_of_openssl() {
    let elsewhere = Elsewhere::new("-algorithm ED25519");
    let setup = Setup::new();
    let session = setup.app.open(&setup.ring);
    let point = elsewhere.spki.raw_public_key().unwrap();
    let signature = elsewhere.sign("pkeyutl -sign -inkey key -rawin -in data -out signature");
    for params in [curve::ED25519, curve::EDWARDS25519] {
        let template = [
            class(ObjectClass::PUBLIC_KEY),
            key_type(KeyType::EC_EDWARDS),
            bytes(A::EC_PARAMS, params),
            bytes(A::EC_POINT, octet_string(&point)),
        ];
        let key = setup.app.raw.create_object(session, &template).unwrap();
        check(&setup.app, session, &M::EDDSA.into(), key, &signature, true);
    }
}

#[test]
fn hmacs_of_openssl() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let key = setup.app.known(session, KeyType::GENERIC_SECRET, &[3; 40], &[A::VERIFY]);
    let mac = hmac("sha384", &[3; 40], DATA);
    check(&setup.app, session, &M::SHA384_HMAC.into(), key, &mac, true);
    let general = Mechanism::ulong(M::SHA384_HMAC_GENERAL, 12);
    check(&setup.app, session, &general, key, &mac[..12], true);
}

#[test]
fn a_point_off_the_curve_is_no_key() {
    let setup = Setup::new();
    let session = setup.app.open(&setup.ring);
    let elsewhere = Elsewhere::new("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    let (template, mut point) = elsewhere.ec(curve::P256);
    *point.last_mut().unwrap() ^= 1;
    let with = |point: &[u8]| [&template[..], &[bytes(A::EC_POINT, point)]].concat();
    let create = |template: &[Attribute]| setup.app.raw.create_object(session, template);
    assert_eq!(create(&with(&octet_string(&point))), Err(Rv::ATTRIBUTE_VALUE_INVALID));
    assert_eq!(create(&with(&octet_string(&point[..60]))), Err(Rv::ATTRIBUTE_VALUE_INVALID));
    assert_eq!(create(&with(&[])), Err(Rv::ATTRIBUTE_VALUE_INVALID));
    let unknown_curve = [
        class(ObjectClass::PUBLIC_KEY),
        key_type(KeyType::EC),
        bytes(A::EC_PARAMS, [0x06, 0x03, 0x2a, 0x03, 0x04]),
        bytes(A::EC_POINT, octet_string(&point)),
    ];
    assert_eq!(create(&unknown_curve), Err(Rv::CURVE_NOT_SUPPORTED));
}

#[test]
fn init_and_order_are_checked() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let (public, private) = setup.app.ec(session, curve::P256, &[]).unwrap();
    let aes = setup.app.aes(session, 16, &[]).unwrap();
    let start = |mechanism: M, key| raw.start(Operation::Verify, session, Some(&mechanism.into()), key);
    assert_eq!(raw.verify(session, DATA, &[0; 64]), Err(Rv::OPERATION_NOT_INITIALIZED));
    assert_eq!(raw.feed(Operation::Verify, session, DATA), Err(Rv::OPERATION_NOT_INITIALIZED));
    assert_eq!(raw.verify_final(session, &[0; 64]), Err(Rv::OPERATION_NOT_INITIALIZED));
    assert_eq!(start(M::ECDSA_SHA256, private), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(start(M::ECDSA_SHA256, aes), Err(Rv::KEY_TYPE_INCONSISTENT));
    assert_eq!(start(M::ECDSA_SHA256, 0), Err(Rv::KEY_HANDLE_INVALID));
    assert_eq!(start(M::SHA256, public), Err(Rv::MECHANISM_INVALID));
    start(M::ECDSA_SHA256, public).unwrap();
    assert_eq!(start(M::ECDSA_SHA256, public), Err(Rv::OPERATION_ACTIVE));
    raw.feed(Operation::Verify, session, DATA).unwrap();
    assert_eq!(raw.verify(session, DATA, &[1; 64]), Err(Rv::OPERATION_ACTIVE), "one call after parts");
    assert_eq!(raw.verify_final(session, &[1; 64]), Err(Rv::OPERATION_NOT_INITIALIZED), "which ended it");
    start(M::ECDSA_SHA256, public).unwrap();
    assert_eq!(raw.start(Operation::Verify, session, None, 0), Ok(()), "cancelled");
    assert_eq!(raw.verify(session, DATA, &[1; 64]), Err(Rv::OPERATION_NOT_INITIALIZED));
}

#[test]
fn verify_recover_gives_the_data_back() {
    let elsewhere = Elsewhere::new("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    let key = raw.create_object(session, &elsewhere.rsa()).unwrap();
    let signature = elsewhere.sign("pkeyutl -sign -inkey key -in data -out signature");
    let start = || raw.start(Operation::VerifyRecover, session, Some(&M::RSA_PKCS.into()), key).unwrap();
    start();
    let size = raw.one_shot(Operation::VerifyRecover, session, &signature, Room::Query);
    assert_eq!(size.rv, Rv::OK);
    assert!(size.length >= DATA.len() as u64);
    let small = raw.one_shot(Operation::VerifyRecover, session, &signature, Room::Bytes(DATA.len() - 1));
    assert_eq!(small.rv, Rv::BUFFER_TOO_SMALL);
    let data = raw.one_shot(Operation::VerifyRecover, session, &signature, Room::Bytes(DATA.len())).unwrap();
    assert_eq!(data, DATA);
    start();
    let mut forged = signature.clone();
    forged[100] ^= 1;
    let output = raw.one_shot(Operation::VerifyRecover, session, &forged, Room::Bytes(256));
    assert_eq!(output.rv, Rv::SIGNATURE_INVALID);
    start();
    let output = raw.one_shot(Operation::VerifyRecover, session, &signature[1..], Room::Bytes(256));
    assert_eq!(output.rv, Rv::SIGNATURE_LEN_RANGE);
}
