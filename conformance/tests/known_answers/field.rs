//! DSA and Diffie-Hellman over the group of RFC 5114, 2.3, against libcrypto.

use claviger_conformance::openssl::{ecdsa_der, hex};
use claviger_conformance::prelude::*;
use claviger_conformance::structure::Structure;
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::dh::Dh;
use openssl::dsa::Dsa;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::pkey_ctx::PkeyCtx;

use crate::token::Token;
use crate::{lists, pattern};

/// A group, and a private and a public value in it.
struct Pair {
    p: BigNum,
    q: BigNum,
    g: BigNum,
    private: BigNum,
    public: BigNum,
}

fn power(base: &BigNumRef, exponent: &BigNumRef, modulus: &BigNumRef) -> BigNum {
    let (mut result, mut context) = (BigNum::new().unwrap(), BigNumContext::new().unwrap());
    result.mod_exp(base, exponent, modulus, &mut context).unwrap();
    result
}

fn pair() -> Pair {
    let group = Dh::get_2048_256().unwrap();
    let own = |number: &BigNumRef| number.to_owned().unwrap();
    let (p, q, g) = (own(group.prime_p()), own(group.prime_q().unwrap()), own(group.generator()));
    let mut private = BigNum::new().unwrap();
    q.rand_range(&mut private).unwrap();
    let public = power(&g, &private, &p);
    Pair { p, q, g, private, public }
}

impl Pair {
    fn template(&self, class_of: ObjectClass, r#type: KeyType, usage: A) -> Vec<Attribute> {
        let value = if class_of == ObjectClass::PRIVATE_KEY { &self.private } else { &self.public };
        let mut template = vec![
            class(class_of),
            key_type(r#type),
            bytes(A::PRIME, self.p.to_vec()),
            bytes(A::BASE, self.g.to_vec()),
            bytes(A::VALUE, value.to_vec()),
            flag(usage, true),
        ];
        if r#type != KeyType::DH {
            template.push(bytes(A::SUBPRIME, self.q.to_vec()));
        }
        template
    }
}

/// Mechanism, and the digest that it makes itself.
const DSA: &[(M, Option<&str>)] = &[
    (M::DSA, None),
    (M::DSA_SHA1, Some("SHA1")),
    (M::DSA_SHA224, Some("SHA224")),
    (M::DSA_SHA256, Some("SHA256")),
    (M::DSA_SHA384, Some("SHA384")),
    (M::DSA_SHA512, Some("SHA512")),
    (M::DSA_SHA3_224, Some("SHA3-224")),
    (M::DSA_SHA3_256, Some("SHA3-256")),
    (M::DSA_SHA3_384, Some("SHA3-384")),
    (M::DSA_SHA3_512, Some("SHA3-512")),
];

#[test]
fn dsa_signatures_verify_elsewhere_and_the_other_way_round() {
    let token = Token::with(&["--profile", "legacy"]);
    let pair = pair();
    let private = token.create(&pair.template(ObjectClass::PRIVATE_KEY, KeyType::DSA, A::SIGN)).unwrap();
    let public = token.create(&pair.template(ObjectClass::PUBLIC_KEY, KeyType::DSA, A::VERIFY)).unwrap();
    let Pair { p, q, g, private: x, public: y } = pair;
    let order = q.num_bytes() as usize;
    let pkey = PKey::from_dsa(Dsa::from_private_components(p, q, g, x, y).unwrap()).unwrap();
    for (mechanism, name) in DSA {
        if !lists(&token, *mechanism) {
            continue;
        }
        let message = pattern(if name.is_none() { 32 } else { 100 });
        let digest = match name {
            Some(name) => hash(MessageDigest::from_name(name).unwrap(), &message).unwrap().to_vec(),
            None => message.clone(),
        };
        let signature = token.sign(&(*mechanism).into(), &private, &message).unwrap();
        assert_eq!(signature.len(), 2 * order, "{mechanism}");
        let mut context = PkeyCtx::new(&pkey).unwrap();
        context.verify_init().unwrap();
        assert!(context.verify(&digest, &ecdsa_der(&signature)).unwrap(), "{mechanism}");
        // DER of two numbers to r || s.
        let mut context = PkeyCtx::new(&pkey).unwrap();
        context.sign_init().unwrap();
        let mut theirs = Vec::new();
        context.sign_to_vec(&digest, &mut theirs).unwrap();
        let theirs = openssl::ecdsa::EcdsaSig::from_der(&theirs).unwrap();
        let padded = |number: &BigNumRef| number.to_vec_padded(order as i32).unwrap();
        let theirs = [padded(theirs.r()), padded(theirs.s())].concat();
        token.verify(&(*mechanism).into(), &public, &message, &theirs).unwrap();
    }
}

#[test]
fn diffie_hellman_gives_the_power() {
    let token = Token::new();
    let (ours, theirs) = (pair(), pair());
    let length = ours.p.num_bytes() as usize;
    let z = power(&theirs.public, &ours.private, &ours.p).to_vec_padded(length as i32).unwrap();
    let public = theirs.public.to_vec();
    let agreement = Structure::new().ulong(1).length_first(b"").length_first(&public).of(M::X9_42_DH_DERIVE);
    for (mechanism, key_type) in [
        (Mechanism::bytes(M::DH_PKCS_DERIVE, &public), KeyType::DH),
        ((*agreement).clone(), KeyType::X9_42_DH),
    ] {
        if !lists(&token, mechanism.r#type) {
            continue;
        }
        let key = token.create(&ours.template(ObjectClass::PRIVATE_KEY, key_type, A::DERIVE)).unwrap();
        for size in [length, 32, 16] {
            // Shortened it loses its leading bytes (PKCS#11 3.2, 6.4.7).
            let derived = token.derive(&mechanism, &key, size).unwrap();
            assert_eq!(hex(&derived), hex(&z[length - size..]), "{} of {size} bytes", mechanism.r#type);
        }
    }
}

#[test]
fn generated_groups_are_groups() {
    let token = Token::new();
    let mut context = BigNumContext::new().unwrap();
    let mut is_prime = |number: &BigNumRef| number.is_prime(20, &mut context).unwrap();
    for (mechanism, sizes) in [
        (M::DSA_PARAMETER_GEN, &[ulong(A::PRIME_BITS, 1024)][..]),
        (M::X9_42_DH_PARAMETER_GEN, &[ulong(A::PRIME_BITS, 1024), ulong(A::SUBPRIME_BITS, 160)]),
        (M::DH_PKCS_PARAMETER_GEN, &[ulong(A::PRIME_BITS, 1024)]),
    ] {
        if !lists(&token, mechanism) {
            continue;
        }
        let group = token.generate_from(&mechanism.into(), sizes).unwrap();
        let number = |r#type| BigNum::from_slice(&token.attribute(&group, r#type).unwrap()).unwrap();
        let (p, g) = (number(A::PRIME), number(A::BASE));
        assert!(p.num_bits() == 1024 && is_prime(&p), "{mechanism}");
        let one = BigNum::from_u32(1).unwrap();
        if mechanism == M::DH_PKCS_PARAMETER_GEN {
            let mut half = BigNum::new().unwrap();
            half.rshift1(&p).unwrap();
            assert!(is_prime(&half), "a safe prime");
            continue;
        }
        let q = number(A::SUBPRIME);
        assert!(is_prime(&q), "{mechanism}");
        assert!(g > one && power(&g, &q, &p) == one, "{mechanism}: the base has the order of the subgroup");
    }
}
