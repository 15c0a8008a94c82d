//! Key management functions (PKCS#11 3.2, section 5.18).

use claviger_conformance::prelude::*;
use claviger_protocol::flags::mgf;

fn number(app: &Application, session: u64, object: u64, attribute: A) -> u64 {
    as_ulong(&app.raw.attribute(session, object, attribute).unwrap())
}

#[test]
fn a_generated_secret_key_is_what_was_asked() {
    let setup = Setup::new();
    let app = &setup.app;
    let session = app.login(&setup.ring);
    for size in [16, 24, 32] {
        for more in [vec![label("aes")], on_token("aes")] {
            let key = app.aes(session, size, &more).unwrap();
            assert_eq!(number(app, session, key, A::CLASS), ObjectClass::SECRET_KEY.0);
            assert_eq!(number(app, session, key, A::KEY_TYPE), KeyType::AES.0);
            assert_eq!(number(app, session, key, A::VALUE_LEN), size);
            assert_eq!(number(app, session, key, A::KEY_GEN_MECHANISM), M::AES_KEY_GEN.0);
            assert_eq!(app.raw.attribute(session, key, A::LABEL), Ok(b"aes".to_vec()));
            assert_eq!(app.raw.attribute(session, key, A::CHECK_VALUE).map(|value| value.len()), Ok(3));
        }
    }
    for size in [1, 20, 64] {
        let key = app.secret(session, size, &[]).unwrap();
        assert_eq!(number(app, session, key, A::KEY_TYPE), KeyType::GENERIC_SECRET.0);
        assert_eq!(number(app, session, key, A::VALUE_LEN), size);
    }
    // Two keys are two keys.
    let readable = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let keys = [app.aes(session, 32, &readable).unwrap(), app.aes(session, 32, &readable).unwrap()];
    let values = keys.map(|key| app.raw.attribute(session, key, A::VALUE).unwrap());
    assert_ne!(values[0], values[1]);
    assert_eq!(values[0].len(), 32);
}

#[test]
fn a_generated_pair_has_two_halves_that_fit() {
    let setup = Setup::new();
    let app = &setup.app;
    let session = app.login(&setup.ring);
    let id = [bytes(A::ID, [1, 2, 3]), label("pair")];
    let pairs = [
        (app.rsa(session, 2048, &id).unwrap(), KeyType::RSA, M::RSA_PKCS_KEY_PAIR_GEN),
        (app.ec(session, curve::P256, &id).unwrap(), KeyType::EC, M::EC_KEY_PAIR_GEN),
        (app.ec(session, curve::P384, &id).unwrap(), KeyType::EC, M::EC_KEY_PAIR_GEN),
        (app.ec(session, curve::P521, &id).unwrap(), KeyType::EC, M::EC_KEY_PAIR_GEN),
        (app.edwards(session, curve::ED25519, &id).unwrap(), KeyType::EC_EDWARDS, M::EC_EDWARDS_KEY_PAIR_GEN),
    ];
    for ((public, private), r#type, mechanism) in pairs {
        for (object, class) in [(public, ObjectClass::PUBLIC_KEY), (private, ObjectClass::PRIVATE_KEY)] {
            assert_eq!(number(app, session, object, A::CLASS), class.0);
            assert_eq!(number(app, session, object, A::KEY_TYPE), r#type.0);
            assert_eq!(number(app, session, object, A::KEY_GEN_MECHANISM), mechanism.0);
            assert_eq!(app.raw.attribute(session, object, A::LOCAL), Ok(vec![1]));
            assert_eq!(app.raw.attribute(session, object, A::ID), Ok(vec![1, 2, 3]));
        }
        let spki = app.raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
        assert_eq!(app.raw.attribute(session, private, A::PUBLIC_KEY_INFO), Ok(spki.clone()), "{type}");
        let key = openssl::pkey::PKey::public_key_from_der(&spki).expect("a SubjectPublicKeyInfo");
        let same =
            if r#type == KeyType::RSA { vec![A::MODULUS, A::PUBLIC_EXPONENT] } else { vec![A::EC_PARAMS] };
        for attribute in same {
            let value = app.raw.attribute(session, public, attribute);
            assert!(value.as_ref().is_ok_and(|value| !value.is_empty()), "{attribute}");
            assert_eq!(app.raw.attribute(session, private, attribute), value, "{attribute}");
        }
        match r#type {
            KeyType::RSA => {
                let rsa = key.rsa().unwrap();
                assert_eq!(app.raw.attribute(session, public, A::MODULUS), Ok(rsa.n().to_vec()));
                assert_eq!(app.raw.attribute(session, public, A::PUBLIC_EXPONENT), Ok(vec![1, 0, 1]));
                assert_eq!(number(app, session, public, A::MODULUS_BITS), 2048);
            }
            KeyType::EC => {
                let ec = key.ec_key().unwrap();
                let mut context = openssl::bn::BigNumContext::new().unwrap();
                let form = openssl::ec::PointConversionForm::UNCOMPRESSED;
                let point = ec.public_key().to_bytes(ec.group(), form, &mut context).unwrap();
                let attribute = app.raw.attribute(session, public, A::EC_POINT).unwrap();
                assert_eq!(attribute[0], 0x04, "a DER OCTET STRING");
                assert_eq!(attribute[attribute.len() - point.len()..], point);
            }
            _ => {
                let point = key.raw_public_key().unwrap();
                let expected = [&[0x04, 32][..], &point].concat();
                assert_eq!(app.raw.attribute(session, public, A::EC_POINT), Ok(expected));
            }
        }
    }
}

#[test]
fn rsa_exponents_and_sizes() {
    let setup = Setup::new();
    let (app, raw) = (&setup.app, &setup.app.raw);
    let session = app.login(&setup.ring);
    let generate = |template: &[Attribute]| {
        raw.generate_key_pair(session, &M::RSA_PKCS_KEY_PAIR_GEN.into(), template, &[])
    };
    // No exponent given: 65537.
    let (public, _) = generate(&[ulong(A::MODULUS_BITS, 1024)]).unwrap();
    assert_eq!(raw.attribute(session, public, A::PUBLIC_EXPONENT), Ok(vec![1, 0, 1]));
    assert_eq!(raw.attribute(session, public, A::MODULUS).map(|modulus| modulus.len()), Ok(128));
    for bits in [0, 512, 1023, 8193, u64::MAX] {
        assert_eq!(generate(&[ulong(A::MODULUS_BITS, bits)]), Err(Rv::KEY_SIZE_RANGE), "{bits} bits");
    }
    for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0]] {
        let template = [ulong(A::MODULUS_BITS, 2048), bytes(A::PUBLIC_EXPONENT, exponent)];
        assert_eq!(generate(&template), Err(Rv::ATTRIBUTE_VALUE_INVALID), "e = {exponent:?}");
    }
    assert_eq!(generate(&[]), Err(Rv::TEMPLATE_INCOMPLETE), "CKA_MODULUS_BITS is missing");
}

#[test]
fn what_cannot_be_generated() {
    let setup = Setup::new();
    let (app, raw) = (&setup.app, &setup.app.raw);
    let session = app.login(&setup.ring);
    let aes = |template: &[Attribute]| raw.generate_key(session, &M::AES_KEY_GEN.into(), template);
    let length = ulong(A::VALUE_LEN, 16);
    assert_eq!(aes(&[]), Err(Rv::TEMPLATE_INCOMPLETE));
    for bad in [0, 1, 15, 17, 33, u64::MAX] {
        assert_eq!(aes(&[ulong(A::VALUE_LEN, bad)]), Err(Rv::KEY_SIZE_RANGE), "{bad} bytes");
    }
    let inconsistent = Err(Rv::TEMPLATE_INCONSISTENT);
    assert_eq!(aes(&[length.clone(), key_type(KeyType::RSA)]), inconsistent);
    assert_eq!(aes(&[length.clone(), class(ObjectClass::PRIVATE_KEY)]), inconsistent);
    assert_eq!(aes(&[length.clone(), bytes(A::VALUE, [1; 16])]), inconsistent);
    assert_eq!(aes(&[length.clone(), flag(A::LOCAL, false)]), Err(Rv::ATTRIBUTE_READ_ONLY));
    assert_eq!(aes(&[length.clone(), bytes(A::MODULUS, [1])]), Err(Rv::ATTRIBUTE_TYPE_INVALID));
    assert!(aes(&[length.clone(), class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)]).is_ok());
    let key = |mechanism: &Mechanism| raw.generate_key(session, mechanism, std::slice::from_ref(&length));
    assert_eq!(key(&M::RSA_PKCS_KEY_PAIR_GEN.into()), Err(Rv::MECHANISM_INVALID), "makes pairs");
    assert_eq!(key(&M::AES_CBC.into()), Err(Rv::MECHANISM_INVALID));
    assert_eq!(key(&M(0x7fff_0000).into()), Err(Rv::MECHANISM_INVALID));
    assert_eq!(key(&Mechanism::bytes(M::AES_KEY_GEN, b"parameter")), Err(Rv::MECHANISM_PARAM_INVALID));

    let pair = |public: &[Attribute], private: &[Attribute]| {
        raw.generate_key_pair(session, &M::EC_KEY_PAIR_GEN.into(), public, private)
    };
    let params = bytes(A::EC_PARAMS, curve::P256);
    assert_eq!(pair(&[], &[]), Err(Rv::TEMPLATE_INCOMPLETE), "CKA_EC_PARAMS is missing");
    let unknown = bytes(A::EC_PARAMS, [0x06, 0x03, 0x2a, 0x03, 0x04]);
    assert_eq!(pair(&[unknown], &[]), Err(Rv::CURVE_NOT_SUPPORTED));
    for garbage in [&b""[..], b"garbage", &curve::P256[..9], &[curve::P256, &[0]].concat()] {
        let outcome = pair(&[bytes(A::EC_PARAMS, garbage)], &[]);
        assert!(
            matches!(
                outcome,
                Err(Rv::ATTRIBUTE_VALUE_INVALID | Rv::DOMAIN_PARAMS_INVALID | Rv::CURVE_NOT_SUPPORTED)
            ),
            "{garbage:02x?}: {outcome:?}"
        );
    }
    assert_eq!(pair(&[bytes(A::EC_PARAMS, curve::ED25519)], &[]), Err(Rv::CURVE_NOT_SUPPORTED));
    assert_eq!(pair(&[params.clone(), bytes(A::EC_POINT, [4])], &[]), inconsistent.map(|_: u64| (0, 0)));
    let always = [flag(A::ALWAYS_AUTHENTICATE, true), flag(A::PRIVATE, false)];
    assert_eq!(pair(&[params], &always), Err(Rv::TEMPLATE_INCONSISTENT));
    assert_eq!(raw.find(session, &[class(ObjectClass::PRIVATE_KEY)]), Ok(vec![]), "nothing is left behind");
}

#[test]
fn curves_by_name_are_curves_too() {
    // CK_EC_PARAMS by name: a PrintableString (PKCS#11 3.2, section 6.3.3).
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let name = b"\x13\x0aprime256v1";
    let (public, _) = setup.app.ec(session, name, &[]).unwrap();
    let spki = setup.app.raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    let key = openssl::pkey::PKey::public_key_from_der(&spki).unwrap();
    assert_eq!(key.ec_key().unwrap().group().curve_name(), Some(openssl::nid::Nid::X9_62_PRIME256V1));
}

#[test]
fn keys_are_wrapped_and_unwrapped_with_rsa() {
    let setup = Setup::new();
    let (app, raw) = (&setup.app, &setup.app.raw);
    let session = app.login(&setup.ring);
    let public = [ulong(A::MODULUS_BITS, 2048), flag(A::WRAP, true)];
    let private = [flag(A::UNWRAP, true)];
    let generate = M::RSA_PKCS_KEY_PAIR_GEN.into();
    let (public, private) = raw.generate_key_pair(session, &generate, &public, &private).unwrap();
    let target = app.aes(session, 32, &[flag(A::EXTRACTABLE, true)]).unwrap();
    let check_value = raw.attribute(session, target, A::CHECK_VALUE);
    let oaep = Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 1, b"");
    for mechanism in [Mechanism::new(M::RSA_PKCS), oaep.clone()] {
        let size = raw.wrap_key(session, &mechanism, public, target, Room::Query);
        assert_eq!((size.rv, size.length), (Rv::OK, 256));
        let small = raw.wrap_key(session, &mechanism, public, target, Room::Bytes(255));
        assert_eq!((small.rv, small.length), (Rv::BUFFER_TOO_SMALL, 256));
        let wrapped = raw.wrap_key(session, &mechanism, public, target, Room::Bytes(256)).unwrap();
        let template = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES), flag(A::ENCRYPT, true)];
        let key = raw.unwrap_key(session, &mechanism, private, &wrapped, &template).unwrap();
        assert_eq!(raw.attribute(session, key, A::CHECK_VALUE), check_value, "the same key");
        for (attribute, expected) in
            [(A::LOCAL, 0), (A::ALWAYS_SENSITIVE, 0), (A::NEVER_EXTRACTABLE, 0), (A::SENSITIVE, 1)]
        {
            assert_eq!(raw.attribute(session, key, attribute), Ok(vec![expected]), "{attribute}");
        }
        assert_eq!(raw.unwrap_key(session, &mechanism, private, &wrapped, &[]), Err(Rv::TEMPLATE_INCOMPLETE));
        let short = raw.unwrap_key(session, &mechanism, private, &wrapped[1..], &template);
        assert_eq!(short, Err(Rv::WRAPPED_KEY_LEN_RANGE));
    }
    // OAEP notices a forgery; it is no key then.
    let mut forged = raw.wrap_key(session, &oaep, public, target, Room::Bytes(256)).unwrap();
    forged[77] ^= 1;
    let template = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)];
    assert_eq!(raw.unwrap_key(session, &oaep, private, &forged, &template), Err(Rv::WRAPPED_KEY_INVALID));
}

#[test]
fn wrapping_names_the_bad_handle_by_its_role() {
    let setup = Setup::new();
    let (app, raw) = (&setup.app, &setup.app.raw);
    let session = app.login(&setup.ring);
    let public = [ulong(A::MODULUS_BITS, 2048), flag(A::WRAP, true)];
    let private = [flag(A::UNWRAP, true)];
    let generate = M::RSA_PKCS_KEY_PAIR_GEN.into();
    let (public, private) = raw.generate_key_pair(session, &generate, &public, &private).unwrap();
    let oaep = Mechanism::oaep(M::SHA256, mgf::MGF1_SHA256, 1, b"");
    let extractable = [flag(A::EXTRACTABLE, true)];
    let good = app.aes(session, 32, &extractable).unwrap();
    let wrap = |with, key| raw.wrap_key(session, &oaep, with, key, Room::Bytes(256)).rv;
    assert_eq!(wrap(public, good), Rv::OK);
    assert_eq!(wrap(0, good), Rv::WRAPPING_KEY_HANDLE_INVALID);
    assert_eq!(wrap(public, 0), Rv::KEY_HANDLE_INVALID);
    assert_eq!(wrap(good, good), Rv::WRAPPING_KEY_TYPE_INCONSISTENT);
    assert_eq!(wrap(public, app.aes(session, 32, &[]).unwrap()), Rv::KEY_UNEXTRACTABLE);
    assert_eq!(wrap(public, app.secret(session, 191, &extractable).unwrap()), Rv::KEY_SIZE_RANGE);
    let mut trusted = extractable.to_vec();
    trusted.push(flag(A::WRAP_WITH_TRUSTED, true));
    assert_eq!(wrap(public, app.aes(session, 32, &trusted).unwrap()), Rv::KEY_NOT_WRAPPABLE);
    let (no_wrap, no_unwrap) = app.rsa(session, 2048, &[]).unwrap();
    assert_eq!(wrap(no_wrap, good), Rv::KEY_FUNCTION_NOT_PERMITTED);
    let wrapped = raw.wrap_key(session, &oaep, public, good, Room::Bytes(256)).unwrap();
    let template = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)];
    let unwrap = |with| raw.unwrap_key(session, &oaep, with, &wrapped, &template);
    assert!(unwrap(private).is_ok());
    assert_eq!(unwrap(0), Err(Rv::UNWRAPPING_KEY_HANDLE_INVALID));
    assert_eq!(unwrap(good), Err(Rv::UNWRAPPING_KEY_TYPE_INCONSISTENT));
    assert_eq!(unwrap(no_unwrap), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    let m = M::SHA256.into();
    assert_eq!(raw.wrap_key(session, &m, public, good, Room::Bytes(256)).rv, Rv::MECHANISM_INVALID);
}

#[test]
fn the_strict_profile_does_not_wrap_with_pkcs1() {
    let setup = Setup::with(&["--profile", "strict"]);
    let (app, raw) = (&setup.app, &setup.app.raw);
    let session = app.login(&setup.ring);
    let public = [ulong(A::MODULUS_BITS, 2048), flag(A::WRAP, true)];
    let private = [flag(A::UNWRAP, true)];
    let generate = M::RSA_PKCS_KEY_PAIR_GEN.into();
    let (public, _) = raw.generate_key_pair(session, &generate, &public, &private).unwrap();
    let target = app.aes(session, 32, &[flag(A::EXTRACTABLE, true)]).unwrap();
    let wrap = raw.wrap_key(session, &M::RSA_PKCS.into(), public, target, Room::Bytes(256));
    assert_eq!(wrap.rv, Rv::MECHANISM_INVALID);
}

#[test]
fn a_key_derives_only_when_it_may() {
    let setup = Setup::new();
    let (app, raw) = (&setup.app, &setup.app.raw);
    let session = app.login(&setup.ring);
    let derive = M::SHA256_KEY_DERIVATION.into();
    let may_not = app.secret(session, 20, &[flag(A::SIGN, true)]).unwrap();
    assert_eq!(raw.derive_key(session, &derive, may_not, &[]), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    let may = app.secret(session, 20, &[flag(A::DERIVE, true)]).unwrap();
    assert_eq!(raw.derive_key(session, &derive, 0, &[]), Err(Rv::KEY_HANDLE_INVALID));
    assert_eq!(raw.derive_key(session, &M::SHA256.into(), may, &[]), Err(Rv::MECHANISM_INVALID));
    let too_long = [ulong(A::VALUE_LEN, 33)];
    assert!(raw.derive_key(session, &derive, may, &too_long).is_err(), "a digest of 32 bytes gives no 33");
    raw.derive_key(session, &derive, may, &[ulong(A::VALUE_LEN, 32)]).unwrap();
    // Without the peer's point there is nothing to agree on.
    let (_, private) = app.ec(session, curve::P256, &[]).unwrap();
    let derived = raw.derive_key(session, &M::ECDH1_DERIVE.into(), private, &[]);
    assert_eq!(derived, Err(Rv::MECHANISM_PARAM_INVALID));
}

#[test]
fn a_token_key_is_a_key_with_version_1_for_the_admin() {
    let setup = Setup::new();
    let (app, admin) = (&setup.app, setup.daemon.admin());
    let session = app.login(&setup.ring);
    let template = |usage: A| [&on_token("signer")[..], &[flag(usage, true)]].concat();
    let public = [&template(A::VERIFY)[..], &[bytes(A::EC_PARAMS, curve::P256)]].concat();
    let generate = M::EC_KEY_PAIR_GEN.into();
    app.raw.generate_key_pair(session, &generate, &public, &template(A::SIGN)).unwrap();
    app.aes(session, 32, &[&on_token("crypter")[..], &usage(&[A::ENCRYPT, A::DECRYPT])].concat()).unwrap();
    app.secret(session, 20, &on_token("what/ever is this?")).unwrap();
    let ring = setup.ring.name.as_str();
    let keys = admin.json(["keys", "list", "--keyring", ring]);
    let told: Vec<(String, String)> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            let id = key["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            (id, key["versionTemplate"]["algorithm"].as_str().unwrap_or("none").to_owned())
        })
        .collect();
    assert!(told.contains(&("signer".into(), "EC_SIGN_P256_SHA256".into())), "{told:?}");
    assert!(told.contains(&("crypter".into(), "AES_256_GCM".into())), "{told:?}");
    assert_eq!(told.len(), 3);
    let versions = admin.json(["keys", "versions", "list", "--keyring", ring, "--key", "signer"]);
    assert_eq!(versions.as_array().unwrap().len(), 1);
    assert_eq!(versions[0]["state"], "ENABLED");
    assert!(versions[0]["name"].as_str().unwrap().ends_with("/cryptoKeys/signer/cryptoKeyVersions/1"));
    assert!(versions[0]["generateTime"].is_string());
    // A label may be used twice; then the admin sees two keys.
    app.aes(session, 16, &on_token("crypter")).unwrap();
    assert_eq!(admin.json(["keys", "list", "--keyring", ring]).as_array().unwrap().len(), 4);
}

#[test]
fn a_length_may_be_stated_where_the_type_has_one() {
    let setup = Setup::new();
    let (app, raw) = (&setup.app, &setup.app.raw);
    let session = app.login(&setup.ring);
    let generate =
        |length| raw.generate_key(session, &M::DES3_KEY_GEN.into(), &[ulong(A::VALUE_LEN, length)]);
    let key = generate(24).unwrap();
    assert_eq!(raw.attribute(session, key, A::VALUE_LEN), Err(Rv::ATTRIBUTE_TYPE_INVALID), "and is not kept");
    assert_eq!(generate(16), Err(Rv::TEMPLATE_INCONSISTENT));

    let readable = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let [base, other] = [&[0x5a; 40][..], &[0xa5; 8]].map(|value| {
        let template = [&secret_key(KeyType::GENERIC_SECRET, value, &[A::DERIVE])[..], &readable].concat();
        raw.create_object(session, &template).unwrap()
    });
    let of_type = |r#type, length: Option<u64>| {
        let mut template = vec![class(ObjectClass::SECRET_KEY), key_type(r#type)];
        template.extend(length.map(|length| ulong(A::VALUE_LEN, length)));
        template.extend(readable.clone());
        template
    };
    let mechanisms = [
        Mechanism::string(M::CONCATENATE_BASE_AND_DATA, &[1; 8]),
        Mechanism::string(M::CONCATENATE_DATA_AND_BASE, &[1; 8]),
        Mechanism::string(M::XOR_BASE_AND_DATA, &[1; 40]),
        Mechanism::ulong(M::CONCATENATE_BASE_AND_KEY, other),
        Mechanism::ulong(M::EXTRACT_KEY_FROM_KEY, 5),
    ];
    for mechanism in &mechanisms {
        let derive = |template: &[Attribute]| raw.derive_key(session, mechanism, base, template);
        let length = |key| number(app, session, key, A::VALUE_LEN);
        for bytes in [16, 24, 32] {
            assert_eq!(length(derive(&of_type(KeyType::AES, Some(bytes))).unwrap()), bytes, "{mechanism:?}");
        }
        assert_eq!(length(derive(&[ulong(A::VALUE_LEN, 9)]).unwrap()), 9, "{mechanism:?}");
        let key = derive(&of_type(KeyType::DES3, Some(24))).unwrap();
        assert_eq!(raw.attribute(session, key, A::VALUE).unwrap().len(), 24, "{mechanism:?}");
        assert!(derive(&of_type(KeyType::DES3, None)).is_ok(), "{mechanism:?}");
        assert_eq!(
            derive(&of_type(KeyType::DES3, Some(16))),
            Err(Rv::TEMPLATE_INCONSISTENT),
            "{mechanism:?}"
        );
        assert_eq!(derive(&of_type(KeyType::AES, Some(17))), Err(Rv::KEY_SIZE_RANGE), "{mechanism:?}");
        let long = derive(&of_type(KeyType::GENERIC_SECRET, Some(4096)));
        assert_eq!(long, Err(Rv::TEMPLATE_INCONSISTENT), "{mechanism:?} has no 4096 bytes");
    }
}

#[test]
fn small_pairs_are_for_legacy_alone() {
    for (profile, small) in [("standard", false), ("strict", false), ("legacy", true)] {
        let setup = Setup::with(&["--profile", profile]);
        let (app, raw) = (&setup.app, &setup.app.raw);
        let session = app.login(&setup.ring);
        let rsa = app.rsa(session, 512, &[]);
        let ec = app.ec(session, curve::P192, &[]);
        if !small {
            assert_eq!((rsa, ec), (Err(Rv::KEY_SIZE_RANGE), Err(Rv::CURVE_NOT_SUPPORTED)), "{profile}");
            continue;
        }
        let (public, private) = rsa.unwrap();
        let sign = |mechanism: M, key, length| {
            raw.start(Operation::Sign, session, Some(&mechanism.into()), key)?;
            Ok(raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(length)).unwrap())
        };
        for mechanism in [M::SHA256_RSA_PKCS, M::SHA1_RSA_PKCS, M::MD5_RSA_PKCS, M::RIPEMD160_RSA_PKCS] {
            let signature = sign(mechanism, private, 64).unwrap();
            raw.start(Operation::Verify, session, Some(&mechanism.into()), public).unwrap();
            assert_eq!(raw.verify(session, b"data", &signature), Ok(()), "{mechanism}");
        }
        assert_eq!(sign(M::SHA512_RSA_PKCS, private, 64), Err(Rv::KEY_SIZE_RANGE), "no room for the digest");
        assert_eq!(sign(M::ECDSA_SHA256, ec.unwrap().1, 48).unwrap().len(), 48);
        let info = raw.mechanism_info(app.slot(&setup.ring), M::RSA_PKCS_KEY_PAIR_GEN).unwrap();
        assert_eq!((info.ulMinKeySize, info.ulMaxKeySize), (512, 8192));
    }
}
