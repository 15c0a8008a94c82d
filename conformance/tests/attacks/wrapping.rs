//! A3 to A9 and A16: what wraps what.

use claviger_conformance::attribute::template;

use super::*;

#[test]
fn a3_what_comes_back_is_no_less_protected() {
    let strict = Strict::new();
    let wrapper = strict.wrapper(32);
    let wrapped = strict.wrap(&KWP, wrapper, strict.target(32)).unwrap();
    let flags = [A::SENSITIVE, A::EXTRACTABLE, A::PRIVATE, A::ENCRYPT, A::WRAP_WITH_TRUSTED, A::MODIFIABLE];
    for bits in 0..64u32 {
        let template: Vec<_> =
            flags.iter().enumerate().map(|(i, r#type)| flag(*r#type, bits & 1 << i != 0)).collect();
        let (sensitive, extractable) = (bits & 1 != 0, bits & 2 != 0);
        match strict.unwrap(wrapper, &wrapped, &template) {
            Ok(key) => {
                assert!(sensitive && !extractable, "{bits:06b}");
                for (r#type, expected) in [
                    (A::SENSITIVE, true),
                    (A::EXTRACTABLE, false),
                    (A::ALWAYS_SENSITIVE, false),
                    (A::NEVER_EXTRACTABLE, false),
                    (A::LOCAL, false),
                ] {
                    assert_eq!(strict.is(key, r#type), expected, "{type}");
                }
                let value = strict.raw().attribute(strict.session, key, A::VALUE);
                assert_eq!(value, Err(Rv::ATTRIBUTE_SENSITIVE));
            }
            Err(rv) => {
                assert!(!sensitive || extractable, "{bits:06b}: {rv}");
                assert_eq!(rv, CONFLICT);
            }
        }
    }
    // Silence is the safe default.
    let key = strict.unwrap(wrapper, &wrapped, &[]).unwrap();
    assert!(strict.is(key, A::SENSITIVE) && !strict.is(key, A::EXTRACTABLE));
}

#[test]
fn a3_a16_the_unwrapping_key_decides_by_its_template() {
    let strict = Strict::new();
    let raw = strict.raw();
    let inner = [flag(A::EXTRACTABLE, true), bytes(A::ID, b"from outside")];
    let demands = [flag(A::WRAP, true), flag(A::UNWRAP, true), template(A::UNWRAP_TEMPLATE, &inner)];
    let wrapper = strict.aes(32, &demands).unwrap();
    let wrapped = strict.wrap(&KWP, wrapper, strict.target(32)).unwrap();
    let key = strict.unwrap(wrapper, &wrapped, &[flag(A::EXTRACTABLE, true)]).unwrap();
    assert!(strict.is(key, A::EXTRACTABLE) && strict.is(key, A::SENSITIVE));
    assert!(strict.is(key, A::WRAP_WITH_TRUSTED), "what may leave leaves under trusted keys");
    let key = strict.unwrap(wrapper, &wrapped, &[]).unwrap();
    assert_eq!(raw.attribute(strict.session, key, A::ID), Ok(b"from outside".to_vec()));
    for contradicting in [flag(A::EXTRACTABLE, false), bytes(A::ID, b"from outsidf"), bytes(A::ID, b"")] {
        assert_eq!(strict.unwrap(wrapper, &wrapped, &[contradicting]), Err(CONFLICT));
    }
}

#[test]
fn a4_a_known_key_wraps_nothing_unless_the_so_trusts_it() {
    let strict = Strict::new();
    let (raw, session) = (strict.raw(), strict.session);
    let target = strict.target(16);
    let on_token = [token(true), flag(A::PRIVATE, false)];
    let known = [secret_key(KeyType::AES, &[1; 32], &[A::WRAP]), on_token.to_vec()].concat();
    let created = raw.create_object(session, &known).unwrap();
    // From a password that the attacker chose: local for the standard, known all the same.
    let password = structure::pbkdf2(4, b"salt", 1000, b"password");
    let template =
        [&[key_type(KeyType::AES), ulong(A::VALUE_LEN, 32), flag(A::WRAP, true)], &on_token[..]].concat();
    let from_password = raw.generate_key(session, &password, &template).unwrap();
    let base =
        raw.create_object(session, &secret_key(KeyType::GENERIC_SECRET, &[2; 32], &[A::DERIVE])).unwrap();
    let derived = raw.derive_key(session, &M::SHA256_KEY_DERIVATION.into(), base, &template).unwrap();
    let wrapper = strict.wrapper(32);
    let wrapped = strict.wrap(&KWP, wrapper, strict.target(32)).unwrap();
    let unwrapped = strict.unwrap(wrapper, &wrapped, &[flag(A::WRAP, true)]).unwrap();
    for (name, known) in [
        ("created", created),
        ("from a password", from_password),
        ("derived", derived),
        ("unwrapped", unwrapped),
    ] {
        assert_eq!(strict.wrap(&KWP, known, target), Err(Rv::KEY_FUNCTION_NOT_PERMITTED), "{name}");
    }
    let forged = [&known[..], &[flag(A::TRUSTED, true)]].concat();
    assert_eq!(raw.create_object(session, &forged), Err(Rv::ATTRIBUTE_READ_ONLY));
    assert_eq!(raw.set_attributes(session, created, &[flag(A::TRUSTED, true)]), Err(Rv::ATTRIBUTE_READ_ONLY));
    strict.trust(created);
    assert!(strict.wrap(&KWP, created, target).is_ok(), "the security officer knows what it is");
}

#[test]
fn a4_what_may_leave_leaves_under_trusted_keys_by_default() {
    let strict = Strict::new();
    let wrapper = strict.wrapper(32);
    let default = strict.aes(32, &[flag(A::EXTRACTABLE, true)]).unwrap();
    assert!(strict.is(default, A::WRAP_WITH_TRUSTED));
    assert_eq!(strict.wrap(&KWP, wrapper, default), Err(Rv::KEY_NOT_WRAPPABLE));
    assert!(strict.wrap(&KWP, wrapper, strict.target(32)).is_ok());
    let relaxed = [flag(A::WRAP_WITH_TRUSTED, false)];
    let raw = strict.raw();
    assert_eq!(raw.set_attributes(strict.session, default, &relaxed), Err(Rv::ATTRIBUTE_READ_ONLY));
    assert_eq!(raw.copy_object(strict.session, default, &relaxed), Err(Rv::ATTRIBUTE_READ_ONLY));
}

#[test]
fn a5_a_public_key_wraps_when_the_so_trusts_it() {
    let strict = Strict::new();
    let raw = strict.raw();
    let public = [
        &[ulong(A::MODULUS_BITS, 3072), bytes(A::PUBLIC_EXPONENT, [1, 0, 1]), flag(A::WRAP, true)],
        &on_token("kek")[..],
    ]
    .concat();
    let private = [flag(A::UNWRAP, true)];
    let generate = M::RSA_PKCS_KEY_PAIR_GEN.into();
    let (public, private) = raw.generate_key_pair(strict.session, &generate, &public, &private).unwrap();
    let oaep = Mechanism::oaep(M::SHA256, 2, 1, b"");
    let target = strict.target(16);
    assert_eq!(strict.wrap(&oaep, public, target), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    strict.trust(public);
    let wrapped = strict.wrap(&oaep, public, target).unwrap();
    let template = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)];
    assert!(raw.unwrap_key(strict.session, &oaep, private, &wrapped, &template).is_ok());
    assert_eq!(strict.wrap(&oaep, public, strict.target(32)), Err(Rv::WRAPPING_KEY_SIZE_RANGE), "A6");
}

#[test]
fn a6_nothing_is_wrapped_by_what_is_weaker() {
    let strict = Strict::new();
    for with in [16, 24, 32] {
        let wrapper = strict.wrapper(with);
        for of in [16, 24, 32] {
            let expected = if with >= of { Ok(()) } else { Err(Rv::WRAPPING_KEY_SIZE_RANGE) };
            let wrapped = strict.wrap(&KWP, wrapper, strict.target(of)).map(drop);
            assert_eq!(wrapped, expected, "AES-{} under AES-{}", of * 8, with * 8);
        }
        let leave = [flag(A::EXTRACTABLE, true), flag(A::WRAP_WITH_TRUSTED, false)];
        for (curve, needs) in [(curve::P256, 16), (curve::P384, 24), (curve::P521, 32)] {
            let public = [bytes(A::EC_PARAMS, curve)];
            let generate = M::EC_KEY_PAIR_GEN.into();
            let (_, private) =
                strict.raw().generate_key_pair(strict.session, &generate, &public, &leave).unwrap();
            assert_eq!(strict.wrap(&KWP, wrapper, private).is_ok(), with >= needs);
        }
    }
}

#[test]
fn a1_a_key_that_wraps_stays() {
    let strict = Strict::new();
    let leave = [flag(A::EXTRACTABLE, true), flag(A::WRAP_WITH_TRUSTED, false)];
    for role in [A::WRAP, A::UNWRAP] {
        let template = [&leave[..], &usage(&[role])].concat();
        assert_eq!(strict.aes(32, &template), Err(CONFLICT), "{role}: it could come back as something else");
    }
    let target = strict.aes(32, &[&leave[..], &usage(&[A::DECRYPT])].concat()).unwrap();
    assert!(strict.wrap(&KWP, strict.wrapper(32), target).is_ok());
}

#[test]
fn a7_a8_a9_mechanisms_that_leak_are_absent() {
    let strict = Strict::new();
    let raw = strict.raw();
    let slot = strict.setup.app.slot(&strict.setup.ring);
    let (_, count, _) = raw.mechanisms(slot, None);
    let (_, _, listed) = raw.mechanisms(slot, Some(count));
    let absent = [
        M::AES_ECB,
        M::DES_ECB,
        M::DES_KEY_GEN,
        M::DES2_KEY_GEN,
        M::DES3_KEY_GEN,
        M::DES3_CBC,
        M::RSA_PKCS,
        M::RSA_X_509,
        M::CONCATENATE_BASE_AND_KEY,
        M::CONCATENATE_BASE_AND_DATA,
        M::CONCATENATE_DATA_AND_BASE,
        M::XOR_BASE_AND_DATA,
        M::EXTRACT_KEY_FROM_KEY,
        M::MD5,
    ];
    for mechanism in absent {
        assert!(!listed.contains(&mechanism), "{mechanism}");
        assert_eq!(raw.mechanism_info(slot, mechanism).err(), Some(Rv::MECHANISM_INVALID));
    }
    let (wrapper, target) = (strict.wrapper(32), strict.target(16));
    let (iv, nonce) = (Mechanism::bytes(M::AES_CBC, &[0; 16]), Mechanism::gcm(&[0; 12], b"", 128));
    let pad = Mechanism::bytes(M::AES_CBC_PAD, &[0; 16]);
    for mechanism in [&M::AES_ECB.into(), &iv, &pad, &nonce] {
        assert_eq!(
            strict.wrap(mechanism, wrapper, target),
            Err(Rv::MECHANISM_INVALID),
            "{}",
            mechanism.r#type
        );
    }
    const WRAP: u64 = 1 << 17;
    let wrapping: Vec<_> = listed
        .iter()
        .filter(|mechanism| raw.mechanism_info(slot, **mechanism).is_ok_and(|info| info.flags & WRAP != 0))
        .collect();
    println!("A7: {} of {} mechanisms wrap: {wrapping:?}", wrapping.len(), listed.len());
    let template = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES)];
    let unwrapped = raw.unwrap_key(strict.session, &pad, wrapper, &[0; 32], &template);
    assert_eq!(unwrapped, Err(Rv::MECHANISM_INVALID), "no padding oracle");
    let key = [class(ObjectClass::SECRET_KEY), key_type(KeyType::DES3), bytes(A::VALUE, [1; 24])];
    // A key of a type that no mechanism uses may lie there and do nothing.
    if let Ok(key) = raw.create_object(strict.session, &key) {
        let start = raw.start(Operation::Encrypt, strict.session, Some(&M::DES3_ECB.into()), key);
        assert_eq!(start, Err(Rv::MECHANISM_INVALID));
    }
}

#[test]
fn a8_what_cannot_be_unwrapped_fails_in_one_way() {
    let strict = Strict::new();
    let wrapper = strict.wrapper(32);
    let good = strict.wrap(&KWP, wrapper, strict.target(32)).unwrap();
    let mut answers = std::collections::BTreeSet::new();
    for position in 0..good.len() {
        for bit in 0..8 {
            let mut forged = good.clone();
            forged[position] ^= 1 << bit;
            answers.insert(strict.unwrap(wrapper, &forged, &[]).unwrap_err());
        }
    }
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [Rv::WRAPPED_KEY_INVALID]);
}

#[test]
fn a16_a_wrap_template_is_compared_to_the_last_byte() {
    let strict = Strict::new();
    let raw = strict.raw();
    let pairs = [
        (bytes(A::ID, b"0123456789abcdef"), bytes(A::ID, b"0123456789abcdee")),
        (bytes(A::LABEL, b"payroll"), bytes(A::LABEL, b"payrol")),
        (flag(A::ENCRYPT, true), flag(A::ENCRYPT, false)),
        (bytes(A::START_DATE, b"20260101"), bytes(A::START_DATE, b"20260102")),
        (mechanisms(&[M::AES_GCM, M::AES_CTR]), mechanisms(&[M::AES_GCM, M::AES_CBC])),
    ];
    let leave = [flag(A::EXTRACTABLE, true), flag(A::WRAP_WITH_TRUSTED, false), flag(A::DECRYPT, true)];
    for (wanted, other) in pairs {
        let wanted = std::slice::from_ref(&wanted);
        let wrapper = strict.aes(32, &[flag(A::WRAP, true), template(A::WRAP_TEMPLATE, wanted)]).unwrap();
        let (wanted, name) = (&wanted[0], wanted[0].r#type);
        let fits = strict.aes(32, &[&leave[..], std::slice::from_ref(wanted)].concat()).unwrap();
        let differs = strict.aes(32, &[&leave[..], &[other]].concat()).unwrap();
        let silent = strict.target(32);
        assert!(strict.wrap(&KWP, wrapper, fits).is_ok(), "{name}");
        assert_eq!(strict.wrap(&KWP, wrapper, differs), Err(Rv::KEY_NOT_WRAPPABLE), "{name}");
        if name != A::ENCRYPT {
            assert_eq!(strict.wrap(&KWP, wrapper, silent), Err(Rv::KEY_NOT_WRAPPABLE), "{name}");
        }
        let changed = raw.set_attributes(strict.session, wrapper, &[bytes(A::WRAP_TEMPLATE, b"")]);
        assert_eq!(changed, Err(Rv::ATTRIBUTE_READ_ONLY));
    }
}
