//! Object management functions (PKCS#11 3.2, section 5.7).

use claviger_conformance::openssl::{OpenSsl, enc, unhex};
use claviger_conformance::prelude::*;
use claviger_protocol::flags::user;
use cryptoki_sys::CK_UNAVAILABLE_INFORMATION;

#[test]
fn data_objects_are_made_found_changed_and_destroyed() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    for token_object in [false, true] {
        let template = [
            class(ObjectClass::DATA),
            token(token_object),
            label("note"),
            bytes(A::APPLICATION, "tests"),
            bytes(A::OBJECT_ID, unhex("06032b6570")),
            bytes(A::VALUE, "first"),
        ];
        let object = raw.create_object(session, &template).unwrap();
        assert_eq!(raw.find(session, &[class(ObjectClass::DATA)]), Ok(vec![object]));
        for attribute in &template {
            assert_eq!(raw.attribute(session, object, attribute.r#type), Ok(attribute.value.clone()));
        }
        assert_eq!(raw.attribute(session, object, A::PRIVATE), Ok(vec![0]), "data is public by default");
        assert_eq!(raw.set_attributes(session, object, &[bytes(A::VALUE, "second")]), Ok(()));
        assert_eq!(raw.attribute(session, object, A::VALUE), Ok(b"second".to_vec()));
        assert!(raw.object_size(session, object).unwrap() > 0);
        assert_eq!(raw.destroy_object(session, object), Ok(()));
        assert_eq!(raw.destroy_object(session, object), Err(Rv::OBJECT_HANDLE_INVALID));
        assert_eq!(raw.find(session, &[class(ObjectClass::DATA)]), Ok(vec![]));
    }
}

#[test]
fn a_certificate_is_kept_byte_for_byte() {
    let openssl = OpenSsl::with(&[]);
    openssl
        .run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -subj /CN=test -days 1 -outform DER -out certificate")
        .unwrap();
    let certificate = openssl.read("certificate");
    let subject = unhex("300f310d300b06035504030c0474657374");
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let template = [
        class(ObjectClass::CERTIFICATE),
        ulong(A::CERTIFICATE_TYPE, 0),
        token(true),
        label("certificate"),
        bytes(A::ID, [7]),
        bytes(A::SUBJECT, &subject),
        bytes(A::VALUE, &certificate),
    ];
    let object = raw.create_object(session, &template).unwrap();
    assert_eq!(raw.attribute(session, object, A::VALUE), Ok(certificate));
    assert_eq!(raw.attribute(session, object, A::SUBJECT), Ok(subject.clone()));
    assert_eq!(raw.attribute(session, object, A::TRUSTED), Ok(vec![0]));
    assert_eq!(raw.find(session, &[bytes(A::SUBJECT, subject)]), Ok(vec![object]));
    let incomplete = &template[..template.len() - 1];
    assert_eq!(raw.create_object(session, incomplete), Err(Rv::TEMPLATE_INCOMPLETE));
    let trusted = [&template[..], &[flag(A::TRUSTED, true)]].concat();
    assert_eq!(raw.create_object(session, &trusted), Err(Rv::ATTRIBUTE_READ_ONLY), "the SO's alone");
}

#[test]
fn attribute_values_follow_the_five_rules() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let key = setup.app.aes(session, 32, &[label("a key")]).unwrap();
    // Sizes.
    let (rv, values) = raw.attribute_values(
        session,
        key,
        &[(A::LABEL, Room::Query), (A::KEY_TYPE, Room::Query), (A::TOKEN, Room::Query)],
    );
    assert_eq!((rv, values.iter().map(|v| v.0).collect::<Vec<_>>()), (Rv::OK, vec![5, 8, 1]));
    // A sensitive, an unknown and a cramped attribute among good ones: those are filled all the same.
    let unavailable = CK_UNAVAILABLE_INFORMATION;
    let cases = [
        (A::VALUE, Room::Bytes(64), Rv::ATTRIBUTE_SENSITIVE),
        (A::MODULUS, Room::Bytes(64), Rv::ATTRIBUTE_TYPE_INVALID),
        (A(0x7fff_ffff), Room::Bytes(64), Rv::ATTRIBUTE_TYPE_INVALID),
        (A::LABEL, Room::Bytes(4), Rv::BUFFER_TOO_SMALL),
    ];
    for (bad, room, expected) in cases {
        let (rv, values) = raw.attribute_values(
            session,
            key,
            &[(A::LABEL, Room::Bytes(64)), (bad, room), (A::VALUE_LEN, Room::Bytes(8))],
        );
        assert_eq!(rv, expected, "{bad}");
        assert_eq!(values[0], (5, b"a key".to_vec()), "{bad}");
        assert_eq!(values[1].0, unavailable, "{bad}");
        assert_eq!(as_ulong(&values[2].1), 32, "{bad}");
    }
    let (rv, _) = raw.attribute_values(session, 0, &[(A::LABEL, Room::Query)]);
    assert_eq!(rv, Rv::OBJECT_HANDLE_INVALID);
    assert_eq!(raw.attribute(session, key, A::START_DATE), Ok(vec![]), "an empty date has no bytes");
}

#[test]
fn what_a_template_may_not_say() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let good = secret_key(KeyType::AES, &[7; 16], &[A::ENCRYPT]);
    let with = |more: Attribute| [&good[..], &[more]].concat();
    let without = |gone: A| good.iter().filter(|a| a.r#type != gone).cloned().collect::<Vec<_>>();
    let cases: &[(&str, Vec<Attribute>, Rv)] = &[
        ("nothing at all", vec![], Rv::TEMPLATE_INCOMPLETE),
        ("no class", without(A::CLASS), Rv::TEMPLATE_INCOMPLETE),
        ("no key type", without(A::KEY_TYPE), Rv::TEMPLATE_INCOMPLETE),
        ("no value", without(A::VALUE), Rv::TEMPLATE_INCOMPLETE),
        ("an unknown attribute", with(bytes(A(0x7fff_ffff), "?")), Rv::ATTRIBUTE_TYPE_INVALID),
        ("an attribute of another class", with(bytes(A::MODULUS, [1; 128])), Rv::ATTRIBUTE_TYPE_INVALID),
        ("an attribute with two values", with(flag(A::ENCRYPT, false)), Rv::TEMPLATE_INCONSISTENT),
        ("CKA_LOCAL", with(flag(A::LOCAL, true)), Rv::ATTRIBUTE_READ_ONLY),
        ("CKA_ALWAYS_SENSITIVE", with(flag(A::ALWAYS_SENSITIVE, true)), Rv::ATTRIBUTE_READ_ONLY),
        ("CKA_NEVER_EXTRACTABLE", with(flag(A::NEVER_EXTRACTABLE, true)), Rv::ATTRIBUTE_READ_ONLY),
        ("CKA_KEY_GEN_MECHANISM", with(ulong(A::KEY_GEN_MECHANISM, 0x1080)), Rv::ATTRIBUTE_READ_ONLY),
        ("CKA_VALUE_LEN", with(ulong(A::VALUE_LEN, 16)), Rv::ATTRIBUTE_READ_ONLY),
        ("CKA_TRUSTED", with(flag(A::TRUSTED, true)), Rv::ATTRIBUTE_READ_ONLY),
        ("a flag of two bytes", with(bytes(A::SIGN, [1, 0])), Rv::ATTRIBUTE_VALUE_INVALID),
        ("a flag of no bytes", with(bytes(A::SIGN, [])), Rv::ATTRIBUTE_VALUE_INVALID),
        (
            "a number of four bytes",
            [&without(A::KEY_TYPE)[..], &[bytes(A::KEY_TYPE, [0x1f, 0, 0, 0])]].concat(),
            Rv::ATTRIBUTE_VALUE_INVALID,
        ),
        ("a date of letters", with(bytes(A::START_DATE, "tomorrow")), Rv::ATTRIBUTE_VALUE_INVALID),
        ("a wrong check value", with(bytes(A::CHECK_VALUE, [1, 2, 3])), Rv::ATTRIBUTE_VALUE_INVALID),
        ("an AES key of 17 bytes", secret_key(KeyType::AES, &[7; 17], &[]), Rv::ATTRIBUTE_VALUE_INVALID),
        ("a class that nobody can make", vec![class(ObjectClass::MECHANISM)], Rv::ATTRIBUTE_VALUE_INVALID),
    ];
    // Saying the same twice is no contradiction (PKCS#11 3.2, section 4.1.1).
    let made = raw.create_object(session, &with(flag(A::ENCRYPT, true))).unwrap();
    raw.destroy_object(session, made).unwrap();
    for (what, template, expected) in cases {
        assert_eq!(raw.create_object(session, template), Err(*expected), "{what}");
        let token_object = [&template[..], &[token(true)]].concat();
        assert_eq!(raw.create_object(session, &token_object), Err(*expected), "{what}, in the token");
    }
    assert_eq!(raw.create_object_null(session), Err(Rv::ARGUMENTS_BAD));
    assert_eq!(raw.find(session, &[]), Ok(vec![]), "a refused object leaves nothing behind");
    let keys = setup.daemon.admin().json(["keys", "list", "--keyring", &setup.ring.name]);
    assert_eq!(keys, serde_json::json!([]));
    assert!(raw.create_object(session, &good).is_ok());
}

#[test]
fn a_created_key_tells_where_it_came_from() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let value = unhex("000102030405060708090a0b0c0d0e0f");
    let created = setup.app.known(session, KeyType::AES, &value, &[A::ENCRYPT]);
    let generated = setup.app.aes(session, 16, &[]).unwrap();
    let told = |object| {
        [
            A::LOCAL,
            A::SENSITIVE,
            A::ALWAYS_SENSITIVE,
            A::EXTRACTABLE,
            A::NEVER_EXTRACTABLE,
            A::PRIVATE,
            A::TOKEN,
        ]
        .map(|r#type| raw.attribute(session, object, r#type).unwrap()[0])
    };
    assert_eq!(told(created), [0, 1, 0, 0, 0, 1, 0]);
    assert_eq!(told(generated), [1, 1, 1, 0, 1, 1, 0]);
    let mechanism = |object| as_ulong(&raw.attribute(session, object, A::KEY_GEN_MECHANISM).unwrap());
    assert_eq!(mechanism(created), CK_UNAVAILABLE_INFORMATION);
    assert_eq!(mechanism(generated), M::AES_KEY_GEN.0);
    // The first three bytes of a block of zeros, encrypted (PKCS#11 3.2, section 4.10.2).
    let expected = enc("-aes-128-ecb -nopad", &value, &[], &[0; 16])[..3].to_vec();
    assert_eq!(raw.attribute(session, created, A::CHECK_VALUE), Ok(expected));
    let ids = [created, generated].map(|object| raw.attribute(session, object, A::UNIQUE_ID).unwrap());
    assert!(!ids[0].is_empty() && ids[0] != ids[1]);
}

#[test]
fn a_value_is_read_only_when_neither_sensitive_nor_unextractable() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    for (sensitive, extractable, readable) in
        [(false, true, true), (true, true, false), (false, false, false), (true, false, false)]
    {
        let mut template = secret_key(KeyType::GENERIC_SECRET, b"the value itself", &[A::SIGN]);
        template.extend([flag(A::SENSITIVE, sensitive), flag(A::EXTRACTABLE, extractable)]);
        let key = raw.create_object(session, &template).unwrap();
        let expected = if readable { Ok(b"the value itself".to_vec()) } else { Err(Rv::ATTRIBUTE_SENSITIVE) };
        assert_eq!(raw.attribute(session, key, A::VALUE), expected, "{sensitive} {extractable}");
        // It cannot be searched by its value either, or the value could be guessed byte for byte.
        let found = raw.find(session, &[bytes(A::VALUE, "the value itself")]).unwrap();
        assert_eq!(found.contains(&key), readable, "{sensitive} {extractable}");
        raw.destroy_object(session, key).unwrap();
    }
    let (_, private) = setup.app.rsa(session, 2048, &[]).unwrap();
    for secret in [A::PRIVATE_EXPONENT, A::PRIME_1, A::PRIME_2, A::EXPONENT_1, A::EXPONENT_2, A::COEFFICIENT]
    {
        assert_eq!(raw.attribute(session, private, secret), Err(Rv::ATTRIBUTE_SENSITIVE), "{secret}");
    }
    let (_, private) = setup.app.ec(session, curve::P256, &[]).unwrap();
    assert_eq!(raw.attribute(session, private, A::VALUE), Err(Rv::ATTRIBUTE_SENSITIVE));
}

#[test]
fn attributes_change_only_towards_more_protection() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let mut loose = secret_key(KeyType::AES, &[1; 16], &[A::ENCRYPT]);
    loose.extend([flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)]);
    for more in [vec![], on_token("key")] {
        let key = raw.create_object(session, &[&loose[..], &more].concat()).unwrap();
        let set = |attribute| raw.set_attributes(session, key, &[attribute]);
        assert_eq!(set(label("renamed")), Ok(()));
        assert_eq!(raw.find(session, &[label("renamed")]), Ok(vec![key]), "the index knows");
        assert_eq!(set(bytes(A::ID, [1, 2])), Ok(()));
        assert_eq!(raw.find(session, &[bytes(A::ID, [1, 2])]), Ok(vec![key]));
        assert_eq!(set(flag(A::SENSITIVE, true)), Ok(()));
        assert_eq!(set(flag(A::SENSITIVE, false)), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(set(flag(A::SENSITIVE, true)), Err(Rv::ATTRIBUTE_READ_ONLY), "it is read-only now");
        assert_eq!(set(flag(A::EXTRACTABLE, false)), Ok(()));
        assert_eq!(set(flag(A::EXTRACTABLE, true)), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(raw.attribute(session, key, A::ALWAYS_SENSITIVE), Ok(vec![0]), "it was not always");
        assert_eq!(set(flag(A::EXTRACTABLE, false)), Err(Rv::ATTRIBUTE_READ_ONLY), "it is read-only now");
        assert_eq!(set(class(ObjectClass::DATA)), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(set(class(ObjectClass::SECRET_KEY)), Err(Rv::ATTRIBUTE_READ_ONLY), "even as it is");
        assert_eq!(set(key_type(KeyType::DES3)), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(set(bytes(A::VALUE, [2; 16])), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(set(flag(A::TOKEN, more.is_empty())), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(set(flag(A::LOCAL, true)), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(set(flag(A::TRUSTED, true)), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(set(bytes(A::MODULUS, [1])), Err(Rv::ATTRIBUTE_TYPE_INVALID));
        // One bad attribute: none is changed.
        let mixed = [label("half"), flag(A::LOCAL, true)];
        assert_eq!(raw.set_attributes(session, key, &mixed), Err(Rv::ATTRIBUTE_READ_ONLY));
        assert_eq!(raw.attribute(session, key, A::LABEL), Ok(b"renamed".to_vec()));
        raw.destroy_object(session, key).unwrap();
    }
    let fixed = raw.create_object(session, &[class(ObjectClass::DATA), flag(A::MODIFIABLE, false)]).unwrap();
    assert_eq!(raw.set_attributes(session, fixed, &[label("no")]), Err(Rv::ACTION_PROHIBITED));
    assert_eq!(raw.set_attributes(session, 0, &[label("no")]), Err(Rv::OBJECT_HANDLE_INVALID));
}

#[test]
fn a_copy_is_the_same_key_and_never_less_protected() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let mut template = secret_key(KeyType::AES, &[9; 16], &[A::ENCRYPT, A::DECRYPT]);
    template.extend([flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true), label("original")]);
    let original = raw.create_object(session, &template).unwrap();
    let encrypt = |key| {
        raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
        raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16)).unwrap()
    };
    for more in [vec![label("copy")], on_token("copy")] {
        let copy = raw.copy_object(session, original, &more).unwrap();
        assert_ne!(copy, original);
        assert_eq!(encrypt(copy), encrypt(original));
        assert_eq!(raw.attribute(session, copy, A::LABEL), Ok(b"copy".to_vec()));
        assert_eq!(raw.attribute(session, original, A::LABEL), Ok(b"original".to_vec()));
    }
    let tight = raw.copy_object(session, original, &[flag(A::SENSITIVE, true), flag(A::EXTRACTABLE, false)]);
    let tight = tight.unwrap();
    assert_eq!(raw.attribute(session, tight, A::VALUE), Err(Rv::ATTRIBUTE_SENSITIVE));
    let as_tight = [flag(A::SENSITIVE, true), flag(A::EXTRACTABLE, false)];
    assert!(raw.copy_object(session, tight, &as_tight).is_ok(), "named as it is");
    assert_eq!(
        raw.copy_object(session, tight, &[class(ObjectClass::SECRET_KEY)]),
        Err(Rv::ATTRIBUTE_READ_ONLY),
        "a class is no attribute that a copy may set"
    );
    for relaxed in [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)] {
        assert_eq!(raw.copy_object(session, tight, &[relaxed]), Err(Rv::ATTRIBUTE_READ_ONLY));
    }
    assert_eq!(
        raw.copy_object(session, tight, &[flag(A::PRIVATE, false)]),
        Err(Rv::TEMPLATE_INCONSISTENT),
        "a private object has no public copy"
    );
    let single = raw.create_object(session, &[class(ObjectClass::DATA), flag(A::COPYABLE, false)]).unwrap();
    assert_eq!(raw.copy_object(session, single, &[]), Err(Rv::ACTION_PROHIBITED));
    assert_eq!(raw.copy_object(session, 0, &[]), Err(Rv::OBJECT_HANDLE_INVALID));
}

#[test]
fn finding_has_an_order_and_an_end() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let mut made: Vec<u64> = (0..25)
        .map(|n| {
            let template = [class(ObjectClass::DATA), label(if n % 5 == 0 { "fifth" } else { "other" })];
            raw.create_object(session, &template).unwrap()
        })
        .collect();
    assert_eq!(raw.find_next(session, 1), Err(Rv::OPERATION_NOT_INITIALIZED));
    assert_eq!(raw.find_final(session), Err(Rv::OPERATION_NOT_INITIALIZED));
    raw.find_init(session, &[]).unwrap();
    assert_eq!(raw.find_init(session, &[]), Err(Rv::OPERATION_ACTIVE));
    let mut found = Vec::new();
    for (max, expected) in [(10, 10), (1, 1), (0, 0), (100, 14), (100, 0)] {
        let some = raw.find_next(session, max).unwrap();
        assert_eq!(some.len(), expected, "of at most {max}");
        found.extend(some);
    }
    raw.find_final(session).unwrap();
    found.sort();
    made.sort();
    assert_eq!(found, made);
    assert_eq!(raw.find(session, &[label("fifth")]).unwrap().len(), 5);
    assert_eq!(raw.find(session, &[label("fifth"), class(ObjectClass::SECRET_KEY)]), Ok(vec![]));
    assert_eq!(raw.find(session, &[bytes(A(0x7fff_ffff), "x")]), Ok(vec![]), "nothing has it");
    assert_eq!(raw.find(session, &[label("")]), Ok(vec![]));
    // Objects that go while a search is on are not given, or given and gone; they do no harm.
    raw.find_init(session, &[label("fifth")]).unwrap();
    let first = raw.find_next(session, 1).unwrap()[0];
    for object in made.iter().filter(|object| **object != first) {
        raw.destroy_object(session, *object).unwrap();
    }
    for object in raw.find_next(session, 10).unwrap() {
        assert_eq!(raw.attribute(session, object, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
    }
    raw.find_final(session).unwrap();
}

#[test]
fn destroying_a_token_key_does_what_the_ring_says() {
    for (policy, state) in
        [("schedule", "DESTROY_SCHEDULED"), ("immediate", "DESTROYED"), ("deny", "ENABLED")]
    {
        let setup = Setup::with(&["--p11-destroy", policy]);
        let raw = &setup.app.raw;
        let session = setup.app.login(&setup.ring);
        let (public, private) = setup.app.ec(session, curve::P256, &on_token("pair")).unwrap();
        let expected = if policy == "deny" { Err(Rv::ACTION_PROHIBITED) } else { Ok(()) };
        assert_eq!(raw.destroy_object(session, private), expected, "{policy}");
        let versions = setup.daemon.admin().json([
            "keys",
            "versions",
            "list",
            "--keyring",
            &setup.ring.name,
            "--key",
            "pair",
        ]);
        assert_eq!(versions[0]["state"], state, "{policy}");
        let left = raw.find(session, &[label("pair")]).unwrap();
        if policy == "deny" {
            assert_eq!(left.len(), 2);
            continue;
        }
        assert_eq!(raw.attribute(session, private, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
        // The public half was not asked to go: it still verifies, and is an object of its own.
        assert_eq!(left, [public], "{policy}");
        raw.start(Operation::Verify, session, Some(&M::ECDSA.into()), public).unwrap();
        assert_eq!(raw.verify(session, &[1; 32], &[1; 64]), Err(Rv::SIGNATURE_INVALID));
        if policy == "schedule" {
            let version =
                ["keys", "versions", "restore", "1", "--keyring", &setup.ring.name, "--key", "pair"];
            setup.daemon.admin().json(version);
            let back = raw.find(session, &[label("pair")]).unwrap();
            assert_eq!(back.len(), 2, "restored with both halves, and the public one is not there twice");
            assert!(!back.contains(&public));
            for object in back {
                raw.destroy_object(session, object).unwrap();
            }
        } else {
            assert_eq!(raw.destroy_object(session, public), Ok(()));
        }
        assert_eq!(raw.find(session, &[label("pair")]), Ok(vec![]));
        // The label is free again, for another key.
        assert!(setup.app.ec(session, curve::P256, &on_token("pair")).is_ok());
    }
}

#[test]
fn destroying_the_public_half_hides_it_alone() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let (public, private) = setup.app.ec(session, curve::P256, &on_token("pair")).unwrap();
    raw.destroy_object(session, public).unwrap();
    assert_eq!(raw.find(session, &[label("pair")]), Ok(vec![private]));
    raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), private).unwrap();
    assert_eq!(raw.one_shot(Operation::Sign, session, &[1; 32], Room::Bytes(64)).rv, Rv::OK);
    let keep = raw.create_object(session, &[class(ObjectClass::DATA), flag(A::DESTROYABLE, false)]).unwrap();
    assert_eq!(raw.destroy_object(session, keep), Err(Rv::ACTION_PROHIBITED));
    assert_eq!(raw.destroy_object(session, 0), Err(Rv::OBJECT_HANDLE_INVALID));
}

#[test]
fn the_security_officer_may_trust_and_not_see() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let private = setup.app.aes(session, 16, &on_token("private")).unwrap();
    let public =
        setup.app.aes(session, 16, &[&on_token("public")[..], &[flag(A::PRIVATE, false)]].concat()).unwrap();
    raw.logout(session).unwrap();
    raw.login(session, user::SO, Some(setup.ring.so_pin.as_bytes())).unwrap();
    assert_eq!(raw.find(session, &[]), Ok(vec![public]));
    assert_eq!(raw.attribute(session, private, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
    assert_eq!(raw.set_attributes(session, public, &[flag(A::TRUSTED, true)]), Ok(()));
    assert_eq!(raw.attribute(session, public, A::TRUSTED), Ok(vec![1]));
    assert_eq!(
        setup.app.aes(session, 16, &[]),
        Err(Rv::USER_NOT_LOGGED_IN),
        "no private objects of the SO's"
    );
}

#[test]
fn domain_parameters_know_their_sizes_and_their_origin() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let generate = M::DSA_PARAMETER_GEN.into();
    let made =
        raw.generate_key(session, &generate, &[ulong(A::PRIME_BITS, 1024), ulong(A::SUBPRIME_BITS, 160)]);
    let made = made.unwrap();
    let of = |object, r#type| raw.attribute(session, object, r#type).unwrap();
    let numbers = [A::PRIME, A::SUBPRIME, A::BASE].map(|r#type| bytes(r#type, of(made, r#type)));
    assert_eq!(of(made, A::LOCAL), vec![1]);
    let head = [class(ObjectClass::DOMAIN_PARAMETERS), key_type(KeyType::DSA)];
    let brought = raw.create_object(session, &[&head[..], &numbers].concat()).unwrap();
    assert_eq!(of(brought, A::LOCAL), vec![0]);
    for object in [made, brought] {
        assert_eq!(as_ulong(&of(object, A::PRIME_BITS)), 1024);
        assert_eq!(as_ulong(&of(object, A::SUBPRIME_BITS)), 160);
        assert_eq!(as_ulong(&of(object, A::KEY_TYPE)), KeyType::DSA.0);
    }
    let no_group = [&head[..], &numbers[..2], &[bytes(A::BASE, [1])]].concat();
    assert_eq!(raw.create_object(session, &no_group), Err(Rv::DOMAIN_PARAMS_INVALID));
    let no_such = [class(ObjectClass::DOMAIN_PARAMETERS), key_type(KeyType::RSA)];
    assert_eq!(raw.create_object(session, &no_such), Err(Rv::TEMPLATE_INCONSISTENT));

    // The same for Diffie-Hellman, whose private keys know the length of their exponent.
    let group =
        raw.generate_key(session, &M::DH_PKCS_PARAMETER_GEN.into(), &[ulong(A::PRIME_BITS, 2048)]).unwrap();
    assert_eq!(as_ulong(&of(group, A::PRIME_BITS)), 2048);
    let public = [A::PRIME, A::BASE].map(|r#type| bytes(r#type, of(group, r#type)));
    let private = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let (_, private) =
        raw.generate_key_pair(session, &M::DH_PKCS_KEY_PAIR_GEN.into(), &public, &private).unwrap();
    let exponent = of(private, A::VALUE);
    let bits = exponent.len() as u64 * 8 - u64::from(exponent[0].leading_zeros());
    assert_eq!(as_ulong(&of(private, A::VALUE_BITS)), bits);
}

#[test]
fn a_public_key_info_that_is_given_must_be_the_key_s() {
    // PKCS#11 3.2, 4.10: the token verifies correspondence.
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.login(&setup.ring);
    let readable = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
    let (public, private) = setup.app.ec(session, curve::P256, &[]).unwrap();
    let info = raw.attribute(session, public, A::PUBLIC_KEY_INFO).unwrap();
    assert_eq!(raw.attribute(session, private, A::PUBLIC_KEY_INFO), Ok(info.clone()));
    let generate = M::EC_KEY_PAIR_GEN.into();
    let params = [bytes(A::EC_PARAMS, curve::P256)];
    let (_, other) = raw.generate_key_pair(session, &generate, &params, &readable).unwrap();
    let value = raw.attribute(session, other, A::VALUE).unwrap();
    let own = raw.attribute(session, other, A::PUBLIC_KEY_INFO).unwrap();
    let create = |info: &[u8]| {
        let template = [
            class(ObjectClass::PRIVATE_KEY),
            key_type(KeyType::EC),
            bytes(A::EC_PARAMS, curve::P256),
            bytes(A::VALUE, &value),
            bytes(A::PUBLIC_KEY_INFO, info),
        ];
        raw.create_object(session, &template)
    };
    assert_eq!(create(&info), Err(Rv::ATTRIBUTE_VALUE_INVALID), "of another key");
    assert_eq!(create(b"nonsense"), Err(Rv::ATTRIBUTE_VALUE_INVALID));
    for info in [&own[..], b""] {
        let key = create(info).unwrap();
        assert_eq!(raw.attribute(session, key, A::PUBLIC_KEY_INFO), Ok(own.clone()));
    }
}
