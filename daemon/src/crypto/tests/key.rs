//! Keys in and out: stored form, components, attributes.

use std::collections::HashMap;

use claviger_protocol::params::Params;
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass};

use super::super::curve::CURVES;
use super::super::{Key, Signer, Verifier, der};
use super::{ED25519, P256, bytes, create, hex, on_curve, row, rsa};
use crate::error::Error;

const RSA_SECRET: [A; 6] =
    [A::PRIVATE_EXPONENT, A::PRIME_1, A::PRIME_2, A::EXPONENT_1, A::EXPONENT_2, A::COEFFICIENT];

/// All components of a private key, as a template.
fn components(key: &Key, key_type: KeyType, secret: &[A]) -> Vec<(A, Value)> {
    let mut all: Vec<(A, Value)> = key
        .public_attributes(ObjectClass::PRIVATE_KEY, key_type)
        .unwrap()
        .into_iter()
        .map(|attribute| (attribute.r#type, attribute.value))
        .collect();
    all.extend(
        secret.iter().map(|r#type| (*r#type, Value::Bytes(key.secret_attribute(*r#type).unwrap().unwrap()))),
    );
    all
}

fn attributes(key: &Key, class: ObjectClass, key_type: KeyType) -> HashMap<A, Value> {
    let all = key.public_attributes(class, key_type).unwrap();
    all.into_iter().map(|attribute| (attribute.r#type, attribute.value)).collect()
}

fn without(all: &[(A, Value)], dropped: &[A]) -> Vec<(A, Value)> {
    all.iter().filter(|(r#type, _)| !dropped.contains(r#type)).cloned().collect()
}

fn with(all: &[(A, Value)], r#type: A, value: Value) -> Vec<(A, Value)> {
    let mut all = without(all, &[r#type]);
    all.push((r#type, value));
    all
}

#[test]
fn the_stored_form_comes_back() {
    let edwards = on_curve(ED25519);
    let curve = on_curve(P256);
    let pairs = [(rsa(), KeyType::RSA), (&curve, KeyType::EC), (&edwards, KeyType::EC_EDWARDS)];
    for ((private, public), key_type) in pairs {
        for (key, class) in [(private, ObjectClass::PRIVATE_KEY), (public, ObjectClass::PUBLIC_KEY)] {
            let material = key.to_material().unwrap();
            let again = Key::from_untrusted(class, key_type, &material).unwrap();
            assert_eq!(again.to_material().unwrap(), material);
            assert_eq!(again.size_bits(), key.size_bits());
            let other = if key_type == KeyType::RSA { KeyType::EC } else { KeyType::RSA };
            let wrong =
                |class, key_type, material: &[u8]| Key::from_material(class, key_type, material).err();
            assert_eq!(wrong(class, other, &material), Some(Error::KeyTypeInconsistent));
            assert_eq!(wrong(class, key_type, &material[..20]), Some(Error::DataInvalid));
            assert_eq!(wrong(class, key_type, &[]), Some(Error::DataInvalid));
        }
    }
    assert_eq!((rsa().0.size_bits(), curve.0.size_bits(), edwards.0.size_bits()), (2048, 256, 255));
    let untrusted =
        |length| Key::from_untrusted(ObjectClass::SECRET_KEY, KeyType::AES, &vec![0; length]).err();
    assert_eq!(
        (untrusted(16), untrusted(17), untrusted(0)),
        (None, Some(Error::KeySizeRange), Some(Error::KeySizeRange))
    );
}

#[test]
fn an_rsa_key_comes_back_from_any_sufficient_components() {
    let (private, public) = rsa();
    let all = components(private, KeyType::RSA, &RSA_SECRET);
    let material = private.to_material().unwrap();
    let create_private = |template| create(ObjectClass::PRIVATE_KEY, KeyType::RSA, template);
    for dropped in [
        &[][..],
        &[A::PRIME_1, A::PRIME_2, A::EXPONENT_1, A::EXPONENT_2, A::COEFFICIENT],
        &[A::PRIME_2],
        &[A::COEFFICIENT],
        &[A::EXPONENT_1, A::EXPONENT_2, A::COEFFICIENT],
        &[A::PUBLIC_EXPONENT, A::PRIME_1],
    ] {
        let key = create_private(without(&all, dropped)).unwrap();
        assert_eq!(key.public().unwrap().to_material().unwrap(), public.to_material().unwrap());
        let signer = Signer::new(row(M::SHA256_RSA_PKCS), &Params::None, key.into()).unwrap();
        let signature = signer.sign(b"data").unwrap();
        Verifier::new(row(M::SHA256_RSA_PKCS), &Params::None, public.clone())
            .unwrap()
            .verify(b"data", &signature)
            .unwrap();
    }
    assert_eq!(create_private(all.clone()).unwrap().to_material().unwrap(), material);
    // The primes give back a public exponent that was left out.
    let key = create_private(without(&all, &[A::PUBLIC_EXPONENT])).unwrap();
    assert_eq!(key.to_material().unwrap(), material);
    for missing in [&[A::MODULUS][..], &[A::PRIVATE_EXPONENT]] {
        assert_eq!(create_private(without(&all, missing)).err(), Some(Error::TemplateIncomplete));
    }
    let five = bytes(&[5]);
    for (r#type, dropped) in [
        (A::PRIVATE_EXPONENT, &[][..]),
        (A::PRIVATE_EXPONENT, &[A::PRIME_1]),
        (A::PUBLIC_EXPONENT, &[]),
        (A::PUBLIC_EXPONENT, &[A::PRIME_1]),
        (A::PRIME_1, &[]),
        (A::EXPONENT_1, &[]),
        (A::COEFFICIENT, &[]),
    ] {
        let wrong = without(&with(&all, r#type, five.clone()), dropped);
        assert_eq!(create_private(wrong).err(), Some(Error::TemplateInconsistent), "{type}");
    }
    let no_pair =
        without(&with(&all, A::PRIVATE_EXPONENT, bytes(&[5])), &[A::PUBLIC_EXPONENT, A::PRIME_1, A::PRIME_2]);
    assert_eq!(
        create_private(no_pair).err(),
        Some(Error::TemplateIncomplete),
        "no public exponent goes with it"
    );
    for value in [bytes(&[]), Value::Bool(true), bytes(&[0xff; 63]), bytes(&vec![0xff; 1025])] {
        assert_eq!(create_private(with(&all, A::MODULUS, value)).err(), Some(Error::AttributeValueInvalid));
    }
}

#[test]
fn an_rsa_public_key_is_checked() {
    let (_, public) = rsa();
    let of = attributes(public, ObjectClass::PUBLIC_KEY, KeyType::RSA);
    assert_eq!(of[&A::MODULUS_BITS], Value::Ulong(2048));
    assert_eq!(of[&A::PUBLIC_EXPONENT], bytes(&[1, 0, 1]));
    assert_eq!(of[&A::PUBLIC_KEY_INFO], bytes(&public.to_material().unwrap()));
    let n = of[&A::MODULUS].clone();
    let create_public = |n: &Value, e: &[u8]| {
        create(
            ObjectClass::PUBLIC_KEY,
            KeyType::RSA,
            vec![(A::MODULUS, n.clone()), (A::PUBLIC_EXPONENT, bytes(e))],
        )
    };
    let key = create_public(&n, &[0, 1, 0, 1]).unwrap();
    assert_eq!(key.to_material().unwrap(), public.to_material().unwrap());
    for e in [&[1][..], &[2], &[0], &[1, 0, 0]] {
        assert_eq!(create_public(&n, e).err(), Some(Error::AttributeValueInvalid), "{e:?}");
    }
    let Value::Bytes(n) = n else { panic!() };
    let mut even = n.to_vec();
    *even.last_mut().unwrap() &= 0xfe;
    assert_eq!(create_public(&bytes(&even), &[1, 0, 1]).err(), Some(Error::AttributeValueInvalid));
    assert_eq!(create_public(&bytes(&n[..63]), &[1, 0, 1]).err(), Some(Error::AttributeValueInvalid));
    let get = vec![(A::MODULUS, bytes(&n))];
    assert_eq!(create(ObjectClass::PUBLIC_KEY, KeyType::RSA, get).err(), Some(Error::TemplateIncomplete));
}

#[test]
fn keys_on_every_curve_come_back_from_their_components() {
    for curve in CURVES {
        let name = match curve.key_type() {
            KeyType::EC_MONTGOMERY => {
                let made = if curve.bits == 255 {
                    openssl::pkey::PKey::generate_x25519()
                } else {
                    openssl::pkey::PKey::generate_x448()
                };
                Key::Private(made.unwrap())
            }
            _ => std::sync::Arc::into_inner(on_curve(curve.oid).0).unwrap(),
        };
        let private = name;
        let key_type = curve.key_type();
        let public = private.public().unwrap();
        let all = components(&private, key_type, &[A::VALUE]);
        let again = create(ObjectClass::PRIVATE_KEY, key_type, all.clone()).unwrap();
        assert_eq!(again.to_material().unwrap(), private.to_material().unwrap(), "{}", curve.name);
        let no_point = create(ObjectClass::PRIVATE_KEY, key_type, without(&all, &[A::EC_POINT])).unwrap();
        assert_eq!(no_point.to_material().unwrap(), private.to_material().unwrap(), "{}", curve.name);

        let of = attributes(&public, ObjectClass::PUBLIC_KEY, key_type);
        assert_eq!(of[&A::EC_PARAMS], bytes(curve.oid));
        assert_eq!(attributes(&private, ObjectClass::PRIVATE_KEY, key_type)[&A::EC_POINT], of[&A::EC_POINT]);
        let Value::Bytes(point) = &of[&A::EC_POINT] else { panic!() };
        let bare = der::element(point).unwrap().1;
        for point in [bytes(point), bytes(bare)] {
            let template = vec![(A::EC_PARAMS, bytes(curve.oid)), (A::EC_POINT, point)];
            let again = create(ObjectClass::PUBLIC_KEY, key_type, template).unwrap();
            assert_eq!(again.to_material().unwrap(), public.to_material().unwrap());
        }
        let short = vec![(A::EC_PARAMS, bytes(curve.oid)), (A::EC_POINT, bytes(&bare[1..]))];
        let result = create(ObjectClass::PUBLIC_KEY, key_type, short);
        assert_eq!(result.err(), Some(Error::AttributeValueInvalid));
    }
}

#[test]
fn wrong_curve_components_are_refused() {
    let (private, public) = on_curve(P256);
    let other = components(&on_curve(P256).0, KeyType::EC, &[A::VALUE]);
    let all = components(&private, KeyType::EC, &[A::VALUE]);
    let create_private = |template| create(ObjectClass::PRIVATE_KEY, KeyType::EC, template).err();
    let foreign = other.iter().find(|(r#type, _)| *r#type == A::EC_POINT).unwrap().1.clone();
    assert_eq!(create_private(with(&all, A::EC_POINT, foreign)), Some(Error::TemplateInconsistent));
    assert_eq!(create_private(without(&all, &[A::VALUE])), Some(Error::TemplateIncomplete));
    assert_eq!(create_private(without(&all, &[A::EC_PARAMS])), Some(Error::TemplateIncomplete));
    assert_eq!(create_private(with(&all, A::EC_PARAMS, bytes(ED25519))), Some(Error::TemplateInconsistent));
    assert_eq!(create_private(with(&all, A::EC_PARAMS, bytes(b"\x05\x00"))), Some(Error::CurveNotSupported));
    assert_eq!(create_private(with(&all, A::EC_PARAMS, bytes(b"x"))), Some(Error::DomainParamsInvalid));
    // Zero, the order, and more than the order.
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    for value in [&[0][..], &order, &[0xff; 32], &[0xff; 40]] {
        let template = without(&with(&all, A::VALUE, bytes(value)), &[A::EC_POINT]);
        assert_eq!(create_private(template), Some(Error::AttributeValueInvalid), "{value:?}");
    }
    let Value::Bytes(point) = &attributes(&public, ObjectClass::PUBLIC_KEY, KeyType::EC)[&A::EC_POINT] else {
        panic!()
    };
    let mut off = point.to_vec();
    *off.last_mut().unwrap() ^= 1;
    let template = vec![(A::EC_PARAMS, bytes(P256)), (A::EC_POINT, bytes(&off))];
    let result = create(ObjectClass::PUBLIC_KEY, KeyType::EC, template);
    assert_eq!(result.err(), Some(Error::AttributeValueInvalid));
    let result = create(ObjectClass::PUBLIC_KEY, KeyType::SM2, vec![]);
    assert_eq!(result.err(), Some(Error::AttributeValueInvalid));
    let result = create(ObjectClass::PUBLIC_KEY, KeyType::ML_KEM, vec![]);
    assert_eq!(result.err(), Some(Error::TemplateIncomplete));
}

#[test]
fn secret_keys_have_length_and_check_value() {
    // AES-128 of a block of zeros under zeros is 66e94bd4ef8a2c3b... (FIPS 197 implementations agree; GCM's H in
    // its test case 1). SHA-1 of "abc" is FIPS 180-4's example.
    for (key_type, value, check) in [
        (KeyType::AES, &[0; 16][..], [0x66, 0xe9, 0x4b]),
        (KeyType::GENERIC_SECRET, b"abc", [0xa9, 0x99, 0x3e]),
        (KeyType::SHA256_HMAC, b"abc", [0xa9, 0x99, 0x3e]),
    ] {
        let key = create(ObjectClass::SECRET_KEY, key_type, vec![(A::VALUE, bytes(value))]).unwrap();
        let of = attributes(&key, ObjectClass::SECRET_KEY, key_type);
        assert_eq!(of[&A::CHECK_VALUE], bytes(&check));
        assert_eq!(of[&A::VALUE_LEN], Value::Ulong(value.len() as u64));
        assert_eq!(key.secret_attribute(A::VALUE).unwrap().unwrap()[..], *value);
        assert_eq!(key.secret_attribute(A::PRIME_1).unwrap(), None);
    }
    let create_aes =
        |length| create(ObjectClass::SECRET_KEY, KeyType::AES, vec![(A::VALUE, bytes(&vec![0; length]))]);
    for length in [0, 15, 17, 33] {
        assert_eq!(create_aes(length).err(), Some(Error::AttributeValueInvalid));
    }
    let result = create(ObjectClass::SECRET_KEY, KeyType::AES, vec![]);
    assert_eq!(result.err(), Some(Error::TemplateIncomplete));
    assert_eq!(rsa().1.secret_attribute(A::PRIVATE_EXPONENT).unwrap(), None);
    assert_eq!(rsa().0.secret_attribute(A::VALUE).unwrap(), None);
}

/// A key whose halves do not belong together must not get in, whatever door it comes to.
#[test]
fn untrusted_keys_are_checked() {
    let (private, _) = rsa();
    let all = components(private, KeyType::RSA, &RSA_SECRET);
    let value = |r#type| match &all.iter().find(|(t, _)| *t == r#type).unwrap().1 {
        Value::Bytes(bytes) => openssl::bn::BigNum::from_slice(bytes).unwrap(),
        _ => panic!(),
    };
    let mut d = value(A::PRIVATE_EXPONENT);
    d.add_word(2).unwrap();
    let broken = openssl::rsa::Rsa::from_private_components(
        value(A::MODULUS),
        value(A::PUBLIC_EXPONENT),
        d,
        value(A::PRIME_1),
        value(A::PRIME_2),
        value(A::EXPONENT_1),
        value(A::EXPONENT_2),
        value(A::COEFFICIENT),
    );
    let broken = openssl::pkey::PKey::from_rsa(broken.unwrap()).unwrap().private_key_to_pkcs8().unwrap();
    let result = Key::from_untrusted(ObjectClass::PRIVATE_KEY, KeyType::RSA, &broken);
    assert_eq!(result.err(), Some(Error::AttributeValueInvalid));
    let number = |bytes: &[u8]| openssl::bn::BigNum::from_slice(bytes).unwrap();
    let small = openssl::rsa::Rsa::from_public_components(number(&[0xff; 63]), number(&[1, 0, 1]));
    let small = openssl::pkey::PKey::from_rsa(small.unwrap()).unwrap().public_key_to_der().unwrap();
    let result = Key::from_untrusted(ObjectClass::PUBLIC_KEY, KeyType::RSA, &small);
    assert_eq!(result.err(), Some(Error::KeySizeRange));
    let other = openssl::pkey::PKey::ec_gen("secp160r1").unwrap().private_key_to_pkcs8().unwrap();
    let result = Key::from_untrusted(ObjectClass::PRIVATE_KEY, KeyType::EC, &other);
    assert_eq!(result.err(), Some(Error::CurveNotSupported));
}
