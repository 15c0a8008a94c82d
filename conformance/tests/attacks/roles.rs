//! A1, A2, A18: which roles go together.

use super::*;

/// The usage flags of a secret key.
const SECRET: [A; 7] = [A::ENCRYPT, A::DECRYPT, A::SIGN, A::VERIFY, A::WRAP, A::UNWRAP, A::DERIVE];
/// The usage flags of a private key.
const PRIVATE: [A; 6] = [A::DECRYPT, A::SIGN, A::SIGN_RECOVER, A::UNWRAP, A::DERIVE, A::DECAPSULATE];

/// All subsets but the empty one, which asks for the default.
fn subsets(flags: &[A]) -> impl Iterator<Item = Vec<A>> {
    (1..1u32 << flags.len()).map(|bits| {
        flags.iter().enumerate().filter(|(i, _)| bits & 1 << i != 0).map(|(_, flag)| *flag).collect()
    })
}

fn has(set: &[A], flags: &[A]) -> bool {
    set.iter().any(|flag| flags.contains(flag))
}

/// What the threat list lets a secret key be.
#[allow(clippy::nonminimal_bool, reason = "what excludes what, pair by pair")]
fn secret_may(set: &[A]) -> bool {
    let transports = has(set, &[A::WRAP, A::UNWRAP]);
    let works = has(set, &[A::ENCRYPT, A::DECRYPT, A::SIGN, A::VERIFY, A::DERIVE]);
    let computes = has(set, &[A::ENCRYPT, A::DECRYPT, A::SIGN, A::VERIFY]);
    !(transports && works) && !(computes && set.contains(&A::DERIVE))
}

/// What the threat list lets an RSA private key be.
#[allow(clippy::nonminimal_bool, reason = "what excludes what, pair by pair")]
fn rsa_may(set: &[A]) -> bool {
    let signs = has(set, &[A::SIGN, A::SIGN_RECOVER]);
    let others = has(set, &[A::DECRYPT, A::SIGN, A::SIGN_RECOVER, A::DERIVE, A::DECAPSULATE]);
    !(set.contains(&A::UNWRAP) && others) && !(signs && set.contains(&A::DECRYPT))
}

#[track_caller]
fn expect<T: std::fmt::Debug>(made: Result<T, Rv>, allowed: bool, path: &str, set: &[A]) {
    match made {
        Ok(_) => assert!(allowed, "{path} made a key with {set:?}"),
        Err(rv) => {
            assert!(!allowed, "{path} refused {set:?}: {rv}");
            assert_eq!(rv, CONFLICT, "{path} {set:?}");
        }
    }
}

#[test]
fn a1_a_secret_key_has_one_role_on_every_path() {
    let strict = Strict::new();
    let (raw, session) = (strict.raw(), strict.session);
    let wrapper = strict.wrapper(32);
    let wrapped = strict.wrap(&KWP, wrapper, strict.target(32)).unwrap();
    let base = strict.setup.app.secret(session, 32, &usage(&[A::DERIVE])).unwrap();
    let mut tried = 0;
    for set in subsets(&SECRET) {
        let allowed = secret_may(&set);
        let create = secret_key(KeyType::AES, &[7; 32], &set);
        let derive = M::SHA256_KEY_DERIVATION.into();
        let derived = [&[key_type(KeyType::AES), ulong(A::VALUE_LEN, 32)], &usage(&set)[..]].concat();
        for (path, made) in [
            ("C_CreateObject", raw.create_object(session, &create)),
            ("C_GenerateKey", strict.aes(32, &usage(&set))),
            ("C_UnwrapKey", strict.unwrap(wrapper, &wrapped, &usage(&set))),
            ("C_DeriveKey", raw.derive_key(session, &derive, base, &derived)),
        ] {
            expect(made, allowed, path, &set);
            if let Ok(key) = made {
                // And no other one by a copy or a change.
                for more in SECRET.iter().filter(|flag| !set.contains(flag)) {
                    let added = [flag(*more, true)];
                    assert_eq!(raw.copy_object(session, key, &added), Err(Rv::ATTRIBUTE_READ_ONLY), "{more}");
                    assert_eq!(
                        raw.set_attributes(session, key, &added),
                        Err(Rv::ATTRIBUTE_READ_ONLY),
                        "{more}"
                    );
                }
                raw.destroy_object(session, key).unwrap();
            }
            tried += 1;
        }
    }
    println!("A1: {tried} usage templates of secret keys");
}

#[test]
fn a1_a18_a_private_key_has_one_role_on_every_path() {
    let strict = Strict::new();
    let (raw, session) = (strict.raw(), strict.session);
    // Of the same material again and again: making RSA keys takes long.
    let rsa = openssl::rsa::Rsa::generate(2048).unwrap();
    let create: Vec<Attribute> = vec![
        class(ObjectClass::PRIVATE_KEY),
        key_type(KeyType::RSA),
        bytes(A::MODULUS, rsa.n().to_vec()),
        bytes(A::PUBLIC_EXPONENT, rsa.e().to_vec()),
        bytes(A::PRIVATE_EXPONENT, rsa.d().to_vec()),
        bytes(A::PRIME_1, rsa.p().unwrap().to_vec()),
        bytes(A::PRIME_2, rsa.q().unwrap().to_vec()),
        bytes(A::EXPONENT_1, rsa.dmp1().unwrap().to_vec()),
        bytes(A::EXPONENT_2, rsa.dmq1().unwrap().to_vec()),
        bytes(A::COEFFICIENT, rsa.iqmp().unwrap().to_vec()),
    ];
    let leave = [flag(A::EXTRACTABLE, true), flag(A::WRAP_WITH_TRUSTED, false), flag(A::SIGN, true)];
    let target = raw.create_object(session, &[&create[..], &leave].concat()).unwrap();
    let wrapper = strict.wrapper(32);
    let wrapped = strict.wrap(&KWP, wrapper, target).unwrap();
    let mut tried = 0;
    for set in subsets(&PRIVATE) {
        let allowed = rsa_may(&set);
        let made = raw.create_object(session, &[&create[..], &usage(&set)].concat());
        expect(made, allowed, "C_CreateObject", &set);
        let template =
            [&[class(ObjectClass::PRIVATE_KEY), key_type(KeyType::RSA)], &usage(&set)[..]].concat();
        expect(raw.unwrap_key(session, &KWP, wrapper, &wrapped, &template), allowed, "C_UnwrapKey", &set);
        tried += 2;
    }
    println!("A18: {tried} usage templates of RSA private keys");
}

#[test]
fn a1_the_halves_of_a_pair_do_not_undo_each_other() {
    let strict = Strict::new();
    let generate = |public: &[A], private: &[A]| {
        let public =
            [&[ulong(A::MODULUS_BITS, 2048), bytes(A::PUBLIC_EXPONENT, [1, 0, 1])], &usage(public)[..]]
                .concat();
        let mechanism = M::RSA_PKCS_KEY_PAIR_GEN.into();
        strict.raw().generate_key_pair(strict.session, &mechanism, &public, &usage(private))
    };
    assert_eq!(generate(&[A::WRAP], &[A::DECRYPT]), Err(CONFLICT));
    assert_eq!(generate(&[A::ENCRYPT], &[A::UNWRAP]), Err(CONFLICT));
    assert_eq!(generate(&[A::VERIFY], &[A::SIGN, A::DECRYPT]), Err(CONFLICT));
    assert!(generate(&[A::WRAP], &[A::UNWRAP]).is_ok());
    assert!(generate(&[A::ENCRYPT], &[A::DECRYPT]).is_ok());
}

#[test]
fn a1_silence_gives_one_natural_role() {
    let strict = Strict::new();
    let app = &strict.setup.app;
    let (public, private) = app.rsa(strict.session, 2048, &[]).unwrap();
    for (key, flag, expected) in [
        (private, A::SIGN, true),
        (private, A::DECRYPT, false),
        (private, A::UNWRAP, false),
        (public, A::VERIFY, true),
        (public, A::ENCRYPT, false),
    ] {
        assert_eq!(strict.is(key, flag), expected, "RSA {flag}");
    }
    let (_, private) = app.ec(strict.session, curve::P256, &[]).unwrap();
    assert!(strict.is(private, A::SIGN) && !strict.is(private, A::DERIVE));
    let aes = strict.aes(32, &[]).unwrap();
    assert!(strict.is(aes, A::ENCRYPT) && strict.is(aes, A::DECRYPT) && !strict.is(aes, A::WRAP));
    let expected = [(A::SENSITIVE, true), (A::EXTRACTABLE, false), (A::PRIVATE, true)];
    assert!(expected.iter().all(|(flag, value)| strict.is(aes, *flag) == *value));
}

#[test]
fn a2_a_role_that_was_given_up_does_not_make_room_for_another() {
    let strict = Strict::new();
    let raw = strict.raw();
    let set = |key, r#type, value| raw.set_attributes(strict.session, key, &[flag(r#type, value)]);
    let mut tried = 0;
    // All sequences of up to 4 switches, by setting or by copying.
    let switches = [(A::WRAP, true), (A::WRAP, false), (A::DECRYPT, true), (A::DECRYPT, false)];
    for sequence in 0..(2 * switches.len()).pow(4) {
        let mut key = strict.aes(32, &usage(&[A::WRAP])).unwrap();
        let (mut rest, mut dropped) = (sequence, false);
        for _ in 0..4 {
            let (step, by_copy) = (rest / 2 % switches.len(), rest % 2 == 1);
            rest /= 2 * switches.len();
            let (r#type, value) = switches[step];
            let done = if by_copy {
                raw.copy_object(strict.session, key, &[flag(r#type, value)]).map(|copy| {
                    raw.destroy_object(strict.session, key).unwrap();
                    key = copy;
                })
            } else {
                set(key, r#type, value)
            };
            // Only what the key is anyway, or less.
            let expected = match (r#type, value) {
                (A::WRAP, true) => !dropped,
                (A::DECRYPT, true) => false,
                _ => true,
            };
            assert_eq!(done.is_ok(), expected, "{type} {value} in sequence {sequence}");
            dropped |= (r#type, value) == (A::WRAP, false);
            tried += 1;
        }
        assert!(!strict.is(key, A::DECRYPT));
        raw.destroy_object(strict.session, key).unwrap();
    }
    println!("A2: {tried} switches of usage");
}
