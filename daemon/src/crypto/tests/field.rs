//! DSA and Diffie-Hellman over the group of RFC 5114, 2.3, which has an order and so serves all three.

use std::sync::Arc;

use claviger_protocol::flags::kdf;
use claviger_protocol::params::Params;
use claviger_protocol::template::Value;
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass};
use openssl::dh::Dh;

use super::super::Key;
use super::super::derive::{self, Wanted};
use super::{Pair, bytes, create, pair, row};
use crate::error::{Error, Result};

/// Prime, order and base.
pub fn group() -> [Vec<u8>; 3] {
    let group = Dh::get_2048_256().unwrap();
    [group.prime_p().to_vec(), group.prime_q().unwrap().to_vec(), group.generator().to_vec()]
}

fn template(key_type: KeyType) -> Vec<(A, Value)> {
    let [p, q, g] = group();
    let mut template = vec![(A::PRIME, bytes(&p)), (A::BASE, bytes(&g))];
    if key_type != KeyType::DH {
        template.push((A::SUBPRIME, bytes(&q)));
    }
    template
}

pub fn dsa() -> Pair {
    pair(M::DSA_KEY_PAIR_GEN, template(KeyType::DSA))
}

fn public_value(key: &Key, key_type: KeyType) -> Vec<u8> {
    let attributes = key.public_attributes(ObjectClass::PUBLIC_KEY, key_type).unwrap();
    let value = attributes.into_iter().find(|attribute| attribute.r#type == A::VALUE).unwrap().value;
    let Value::Bytes(value) = value else { panic!("no bytes") };
    value.to_vec()
}

const KINDS: [(M, KeyType); 3] = [
    (M::DSA_KEY_PAIR_GEN, KeyType::DSA),
    (M::DH_PKCS_KEY_PAIR_GEN, KeyType::DH),
    (M::X9_42_DH_KEY_PAIR_GEN, KeyType::X9_42_DH),
];

#[test]
fn keys_survive_their_components_and_material() {
    for (r#type, key_type) in KINDS {
        let (private, public) = pair(r#type, template(key_type));
        let value = private.secret_attribute(A::VALUE).unwrap().unwrap();
        let components = |value: &[u8]| [template(key_type), vec![(A::VALUE, bytes(value))]].concat();
        let again = create(ObjectClass::PRIVATE_KEY, key_type, components(&value)).unwrap();
        let public_value = public_value(&public, key_type);
        assert_eq!(self::public_value(&again.public().unwrap(), key_type), public_value);
        assert_eq!(again.size_bits(), 2048);
        let shown = private.public_attributes(ObjectClass::PRIVATE_KEY, key_type).unwrap();
        assert!(shown.iter().all(|attribute| attribute.r#type != A::VALUE), "{key_type}");
        let material = private.to_material().unwrap();
        Key::from_untrusted(ObjectClass::PRIVATE_KEY, key_type, &material).unwrap();
        create(ObjectClass::PUBLIC_KEY, key_type, components(&public_value)).unwrap();
        for wrong in [&[0u8][..], &[1], &group()[0]] {
            let result = create(ObjectClass::PUBLIC_KEY, key_type, components(wrong));
            assert_eq!(result.err(), Some(Error::AttributeValueInvalid), "{key_type} {}", wrong.len());
        }
        let result = create(ObjectClass::PRIVATE_KEY, key_type, components(&group()[0]));
        assert_eq!(result.err(), Some(Error::AttributeValueInvalid));
        let small = vec![(A::PRIME, bytes(&[7])), (A::SUBPRIME, bytes(&[3])), (A::BASE, bytes(&[2]))];
        let result = super::super::generate::pair(row(r#type), &super::template(small));
        assert_eq!(result.err(), Some(Error::DomainParamsInvalid));
    }
}

#[test]
fn parameters_make_keys() {
    for (key_type, r#type, bits) in [
        (KeyType::DSA, M::DSA_KEY_PAIR_GEN, 1024),
        (KeyType::X9_42_DH, M::X9_42_DH_KEY_PAIR_GEN, 1024),
        (KeyType::DH, M::DH_PKCS_KEY_PAIR_GEN, 2048),
    ] {
        let get = super::template(vec![(A::PRIME_BITS, Value::Ulong(bits))]);
        let parameters = super::super::field::parameters(key_type, &get).unwrap();
        let (private, _) = pair(r#type, parameters);
        assert_eq!(private.size_bits(), bits);
    }
    let get = super::template(vec![(A::PRIME_BITS, Value::Ulong(1023))]);
    assert_eq!(super::super::field::parameters(KeyType::DSA, &get).err(), Some(Error::KeySizeRange));
}

fn derived(r#type: M, params: &Params, base: &Arc<Key>, length: Option<usize>) -> Result<Vec<u8>> {
    let none = |_| Err(Error::KeyHandleInvalid);
    let wanted = Wanted { key_type: KeyType::GENERIC_SECRET, length };
    let keys = derive::derive(row(r#type), params, base, &none, &[wanted])?;
    Ok(keys[0].secret()?.to_vec())
}

#[test]
fn both_sides_agree_and_so_does_openssl() {
    let (ours, ours_public) = pair(M::DH_PKCS_KEY_PAIR_GEN, template(KeyType::DH));
    let (theirs, theirs_public) = pair(M::DH_PKCS_KEY_PAIR_GEN, template(KeyType::DH));
    let [a, b] = [&ours_public, &theirs_public].map(|key| public_value(key, KeyType::DH));
    let secret = derived(M::DH_PKCS_DERIVE, &Params::Bytes(b[..].into()), &ours, None).unwrap();
    assert_eq!(secret.len(), 256);
    assert_eq!(derived(M::DH_PKCS_DERIVE, &Params::Bytes(a[..].into()), &theirs, None).unwrap(), secret);
    // A second implementation: the power itself.
    let number = |bytes: &[u8]| openssl::bn::BigNum::from_slice(bytes).unwrap();
    let exponent = number(&ours.secret_attribute(A::VALUE).unwrap().unwrap());
    let mut power = openssl::bn::BigNum::new().unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    power.mod_exp(&number(&b), &exponent, &number(&group()[0]), &mut context).unwrap();
    assert_eq!(power.to_vec_padded(256).unwrap(), secret);
    // What is left out are the leading bytes.
    let short = derived(M::DH_PKCS_DERIVE, &Params::Bytes(b[..].into()), &ours, Some(16)).unwrap();
    assert_eq!(short, secret[240..]);
    for wrong in [&[0u8][..], &[1], &group()[0]] {
        let result = derived(M::DH_PKCS_DERIVE, &Params::Bytes(wrong.into()), &ours, None);
        assert_eq!(result.err(), Some(Error::MechanismParamInvalid));
    }

    let (ours, ours_public) = pair(M::X9_42_DH_KEY_PAIR_GEN, template(KeyType::X9_42_DH));
    let (theirs, theirs_public) = pair(M::X9_42_DH_KEY_PAIR_GEN, template(KeyType::X9_42_DH));
    for (number, length) in [(kdf::NULL, None), (kdf::SHA1_KDF, Some(40)), (kdf::SHA256_KDF, Some(16))] {
        let params = |public: &Key| Params::X942Dh {
            kdf: number,
            other_info: if number == kdf::NULL { b""[..].into() } else { b"info"[..].into() },
            public_data: public_value(public, KeyType::X9_42_DH).into(),
        };
        assert_eq!(
            derived(M::X9_42_DH_DERIVE, &params(&theirs_public), &ours, length).unwrap(),
            derived(M::X9_42_DH_DERIVE, &params(&ours_public), &theirs, length).unwrap()
        );
    }
}
