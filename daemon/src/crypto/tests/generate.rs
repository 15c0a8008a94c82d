//! Generated keys have what was asked for.

use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass};

use super::super::curve::CURVES;
use super::super::{Key, generate};
use super::{ED25519, P256, bytes, row, template};
use crate::error::{Error, Result};

fn pair(r#type: M, attributes: Vec<(A, Value)>) -> Result<Key> {
    generate::pair(row(r#type), &template(attributes))
}

#[test]
fn secret_keys() {
    for (key_type, length) in [(KeyType::AES, 16), (KeyType::AES, 32), (KeyType::GENERIC_SECRET, 1)] {
        let key = generate::secret(key_type, length).unwrap();
        assert_eq!(key.size_bits(), length as u64 * 8);
    }
    let value = |key: Key| key.to_material().unwrap();
    let twice = [(); 2].map(|()| value(generate::secret(KeyType::AES, 32).unwrap()));
    assert_ne!(twice[0], twice[1]);
    for (key_type, length) in [(KeyType::AES, 0), (KeyType::AES, 20), (KeyType::GENERIC_SECRET, 16_385)] {
        assert_eq!(generate::secret(key_type, length).err(), Some(Error::KeySizeRange));
    }
}

#[test]
fn rsa_keys() {
    let bits = (A::MODULUS_BITS, Value::Ulong(1024));
    let exponent = |e: &[u8]| (A::PUBLIC_EXPONENT, bytes(e));
    for (e, expected) in [(None, &[1, 0, 1][..]), (Some(&[3][..]), &[3]), (Some(&[0, 1, 0, 3]), &[1, 0, 3])] {
        let mut attributes = vec![bits.clone()];
        attributes.extend(e.map(exponent));
        let key = pair(M::RSA_PKCS_KEY_PAIR_GEN, attributes).unwrap();
        key.check(KeyType::RSA).unwrap();
        assert_eq!(key.size_bits(), 1024);
        let of = key.public_attributes(ObjectClass::PRIVATE_KEY, KeyType::RSA).unwrap();
        let e = of.iter().find(|attribute| attribute.r#type == A::PUBLIC_EXPONENT).unwrap();
        assert_eq!(e.value, bytes(expected));
    }
    for e in [&[1][..], &[2], &[5], &[1, 0, 0], &[0xff; 33]] {
        let result = pair(M::RSA_PKCS_KEY_PAIR_GEN, vec![bits.clone(), exponent(e)]);
        assert_eq!(result.err(), Some(Error::AttributeValueInvalid), "{e:?}");
    }
    for wrong in [0, 511, 8193, u64::MAX] {
        let result = pair(M::RSA_PKCS_KEY_PAIR_GEN, vec![(A::MODULUS_BITS, Value::Ulong(wrong))]);
        assert_eq!(result.err(), Some(Error::KeySizeRange));
    }
    assert_eq!(pair(M::RSA_PKCS_KEY_PAIR_GEN, vec![]).err(), Some(Error::TemplateIncomplete));
    let result = pair(M::RSA_PKCS_KEY_PAIR_GEN, vec![(A::MODULUS_BITS, bytes(&[4]))]);
    assert_eq!(result.err(), Some(Error::AttributeValueInvalid));
}

#[test]
fn keys_on_every_curve() {
    for curve in CURVES {
        let r#type = match curve.key_type() {
            KeyType::EC => M::EC_KEY_PAIR_GEN,
            KeyType::EC_EDWARDS => M::EC_EDWARDS_KEY_PAIR_GEN,
            _ => continue,
        };
        let key = pair(r#type, vec![(A::EC_PARAMS, bytes(curve.oid))]).unwrap();
        key.check(curve.key_type()).unwrap();
        let (smallest, largest) = row(r#type).key_sizes;
        assert!((smallest..=largest).contains(&key.size_bits()), "{} {}", curve.name, key.size_bits());
        let of = key.public_attributes(ObjectClass::PRIVATE_KEY, curve.key_type()).unwrap();
        assert!(of.iter().any(|attribute| attribute.value == bytes(curve.oid)));
    }
    let name = bytes(b"\x13\x0cedwards25519");
    pair(M::EC_EDWARDS_KEY_PAIR_GEN, vec![(A::EC_PARAMS, name)]).unwrap();
    pair(M::EDDSA, vec![(A::EC_PARAMS, bytes(ED25519))]).unwrap();
    let wrong = |r#type, params: &[u8]| pair(r#type, vec![(A::EC_PARAMS, bytes(params))]).err();
    assert_eq!(wrong(M::EC_KEY_PAIR_GEN, ED25519), Some(Error::CurveNotSupported));
    assert_eq!(wrong(M::EC_EDWARDS_KEY_PAIR_GEN, P256), Some(Error::CurveNotSupported));
    assert_eq!(wrong(M::EC_KEY_PAIR_GEN, b"\x05\x00"), Some(Error::CurveNotSupported));
    assert_eq!(wrong(M::EC_KEY_PAIR_GEN, b"nonsense"), Some(Error::DomainParamsInvalid));
    assert_eq!(pair(M::EC_KEY_PAIR_GEN, vec![]).err(), Some(Error::TemplateIncomplete));
    assert_eq!(pair(M::AES_KEY_GEN, vec![]).err(), Some(Error::MechanismInvalid));
}
