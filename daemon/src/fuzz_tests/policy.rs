//! Policy documents: read, written, read again and asked. What is accepted means the same after a round through the
//! store, and nothing makes the decision panic.

use std::sync::Arc;

use super::dice::{Dice, peak_kib, runs};
use crate::access::action::CRYPTOGRAPHY;
use crate::access::evaluate::evaluate;
use crate::access::policies::Policy;
use crate::access::policy::Document;
use crate::access::{Identity, Question, Target, Who};
use crate::kms::algorithm::Algorithm;
use crate::kms::time::Time;
use crate::kms::versions::tests::{Store, key};
use crate::server::Peer;
use crate::session_table::User;

const SEEDS: &[&str] = &[
    r#"{"Version":"1","Statement":[{"Sid":"a","Effect":"Allow","Principal":["group:payments","uid:1000"],
        "Action":["kms:Encrypt","kms:List*"],"Resource":["projects/local/locations/global/keyRings/r/cryptoKeys/k*"],
        "Condition":{"StringEquals":{"kms:tag/env":"production"},"Bool":{"kms:viaPkcs11":true}}}]}"#,
    r#"{"Version":1,"Statement":{"Effect":"Deny","Principal":"*","Role":["admin"],"Resource":"projects/local/**"}}"#,
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Principal":"token-user:r","Action":"*",
        "Condition":{"StringLike":{"kms:algorithm":["AES*256*","*"],"kms:purpose":"*"},
        "DateGreaterThan":{"kms:currentTime":"2020-01-31T12:00:00Z"},
        "DateLessThan":{"kms:currentTime":"2090-01-31T12:00:00.25+05:00"}}}]}"#,
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Principal":["user:alice","gid:7","token-so:r"],
        "Action":["kms:P11.C_Login"],"Resource":["**"]},{"Effect":"Deny","Principal":["*"],"Action":["kms:Sign"]}]}"#,
];

/// What means something in a document, to be put anywhere.
const WORDS: &[&str] = &[
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "*",
    "**",
    "/",
    "\\u0000",
    "\u{fffd}",
    "null",
    "true",
    "1e999",
    "-0",
    "\"Principal\":\"*\",",
    "\"Condition\":{},",
    "\"Bool\":{\"kms:private\":false},",
    "uid:4294967295",
    "kms:",
    "projects/",
    "cryptoKeys/",
    "cryptoKeyVersions/",
    "importJobs/",
    "[[[[[[[[[[[[[[[[",
    "kms:tag/",
    "9999-12-31T23:59:59.999999999Z",
    "\"Role\":[\"viewer\"],",
];

#[test]
fn policy_documents() {
    let daemon = Store::new().daemon();
    let token = daemon.ring_for_test("r");
    let key = key(&daemon, &token, "k", Algorithm::GoogleSymmetricEncryption);
    let ring = token.ring().name.clone();
    let targets = [Target::key(&ring, &key), Target::ring(&ring), Target::project("local")];
    let peer = Peer { uid: 1000, gid: 7, pid: 1 };
    let identity = Arc::new(Identity::of(peer, daemon.access.settings()));
    let logins = [None, Some((ring.clone(), User::User)), Some((ring, User::So))];
    let whos = logins.map(|login| Who { identity: Some(identity.clone()), login });
    let others: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    let (mut accepted, mut allowed) = (0u64, 0u64);
    for run in 0..runs() {
        let mut dice = Dice::of(run);
        let mut bytes = dice.pick(&others).clone();
        if dice.roll(2) == 0 {
            dice.mutate(&mut bytes, &others);
        }
        for _ in 0..dice.roll(3) {
            let at = dice.roll(bytes.len() + 1);
            let word = dice.pick::<&str>(WORDS).as_bytes();
            let end = (at + dice.roll(word.len() + 1)).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
        let Ok(document) = Document::parse(&bytes) else { continue };
        accepted += 1;
        let text = document.to_text().unwrap();
        let again = Document::parse(text.as_bytes());
        assert_eq!(again.as_ref(), Ok(&document), "run {run}: {text}");
        let question = Question {
            who: dice.pick(&whos),
            action: dice.pick::<&str>(CRYPTOGRAPHY),
            target: dice.pick(&targets),
            via_pkcs11: dice.roll(2) == 0,
            private: dice.roll(2) == 0,
            now: Time::now(),
        };
        let decide = |document| evaluate(&[Arc::new(Policy::in_test(document))], &question);
        let decision = decide(document);
        allowed += u64::from(decision.allowed);
        assert_eq!(decision, decide(again.unwrap()), "run {run}");
    }
    let peak = peak_kib("self");
    println!(
        "fuzz policy: {} runs, {accepted} documents accepted, {allowed} allow something, at most {peak} KiB",
        runs()
    );
    assert!(accepted > runs() / 100 && allowed > 0, "the fuzzer gets somewhere");
}
