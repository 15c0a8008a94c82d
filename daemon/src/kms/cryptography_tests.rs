use openssl::hash::hash;
use proptest::prelude::*;

use super::super::algorithm::ALGORITHMS;
use super::super::state::Transition;
use super::super::versions::tests::{Store, key, new_key};
use super::envelope::read_leb128;
use super::raw::RawMode;
use super::signature::Signature;
use super::*;
use crate::token::Token;

fn caller() -> Caller {
    Caller { uid: 0, now: Time::now() }
}

fn symmetric() -> (Arc<Daemon>, Arc<Token>, Arc<KeyCell>) {
    let daemon = Store::new().daemon();
    let token = daemon.ring_for_test("r");
    let key = key(&daemon, &token, "k", Algorithm::GoogleSymmetricEncryption);
    (daemon, token, key)
}

#[test]
fn ciphertexts_have_format_1_and_differ() {
    // ALG-07 CRY-02
    let (daemon, _, key) = symmetric();
    let (version, one) = daemon.encrypt(&key, None, b"hello", b"aad", &caller()).unwrap();
    let (_, two) = daemon.encrypt(&key, None, b"hello", b"aad", &caller()).unwrap();
    assert_ne!(one, two);
    assert_eq!(one.len(), 65 + 5);
    assert_eq!(&one[..3], &[0x0a, 0x4b, 1]);
    assert_eq!((&one[3..19], one[19], one[20]), (&key.uid[..], 1, 1));
    let (opened_by, plain) = daemon.decrypt(None, &one, b"aad", &caller()).unwrap();
    assert_eq!((opened_by.uid, &plain[..]), (version.uid, &b"hello"[..]));
    assert_eq!(daemon.encrypt(&key, None, b"", b"", &caller()).unwrap().1.len(), 65);
}

#[test]
fn what_does_not_open_has_one_answer() {
    let (daemon, token, key) = symmetric();
    let other = super::super::versions::tests::key(&daemon, &token, "o", Algorithm::Aes128Encryption);
    let (_, good) = daemon.encrypt(&key, None, b"hello", b"aad", &caller()).unwrap();
    let refused = |ciphertext: &[u8], aad: &[u8], key: Option<&Arc<KeyCell>>| {
        assert_eq!(daemon.decrypt(key, ciphertext, aad, &caller()).err(), Some(cannot_decrypt()));
    };
    refused(&good, b"other", None);
    refused(&good, b"", None);
    refused(&good, b"aad", Some(&other));
    for length in 0..good.len() {
        refused(&good[..length], b"aad", None);
    }
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        refused(&bad, b"aad", None);
    }
    refused(&[&good[..], &[0]].concat(), b"aad", None);
}

#[test]
fn states_gate_every_use() {
    // STA-02 STA-03 STA-13 STA-15 DST-28 CRY-04
    let (daemon, token, key) = symmetric();
    let (_, text) = daemon.encrypt(&key, None, b"x", b"", &caller()).unwrap();
    daemon.rotate(&token, &key, None, Time::now()).unwrap();
    let first = key.version(1).unwrap();
    assert_eq!(daemon.encrypt(&key, None, b"x", b"", &caller()).unwrap().0.number, 2);
    assert_eq!(daemon.encrypt(&key, Some(&first), b"x", b"", &caller()).unwrap().0.number, 1);
    daemon.transition(&first, Transition::Disable, Time::now()).unwrap();
    let says = |state: &str| {
        let expected = format!("{} is not enabled, current state is: {state}.", first.name());
        for error in [
            daemon.decrypt(None, &text, b"", &caller()).err().unwrap(),
            daemon.encrypt(&key, Some(&first), b"x", b"", &caller()).err().unwrap(),
        ] {
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.code(), claviger_protocol::admin::Code::FailedPrecondition);
        }
    };
    says("DISABLED");
    daemon.transition(&first, Transition::Destroy, Time::now()).unwrap();
    says("DESTROY_SCHEDULED");
    daemon.transition(&first, Transition::Restore, Time::now()).unwrap();
    says("DISABLED");
    daemon.transition(&first, Transition::Enable, Time::now()).unwrap();
    assert_eq!(&daemon.decrypt(None, &text, b"", &caller()).unwrap().1[..], b"x");
    daemon.transition(&first, Transition::Destroy, Time::now()).unwrap();
    daemon.destroy_due(Time(i64::MAX)).unwrap();
    says("DESTROYED");
}

#[test]
fn an_archived_key_only_opens() {
    // STA-11
    let (daemon, token, key) = symmetric();
    let (_, text) = daemon.encrypt(&key, None, b"x", b"", &caller()).unwrap();
    daemon.archive(&key, None, true, Time::now()).unwrap();
    let archived = |error: Option<Error>| matches!(error, Some(Error::Archived { .. }));
    assert!(archived(daemon.encrypt(&key, None, b"x", b"", &caller()).err()));
    assert!(archived(daemon.generate_data_key(&key, 32, b"", &caller()).err()));
    assert!(archived(daemon.rotate(&token, &key, None, Time::now()).err()));
    daemon.decrypt(None, &text, b"", &caller()).unwrap();
    daemon.archive(&key, None, false, Time::now()).unwrap();
    daemon.encrypt(&key, None, b"x", b"", &caller()).unwrap();
}

#[test]
fn limits_are_those_of_the_level() {
    let (daemon, token, soft) = symmetric();
    let new = super::super::keys::NewKey {
        protection_level: ProtectionLevel::Hsm,
        ..new_key("h", Algorithm::GoogleSymmetricEncryption)
    };
    let hard = daemon.create_key(&token, new).unwrap();
    let encrypt = |key: &KeyCell, text: usize, aad: usize| {
        daemon.encrypt(key, None, &vec![1; text], &vec![2; aad], &caller()).is_ok()
    };
    assert!(encrypt(&soft, 65536, 65536) && !encrypt(&soft, 65537, 0) && !encrypt(&soft, 0, 65537));
    assert!(encrypt(&hard, 8000, 192) && !encrypt(&hard, 8000, 193));
}

#[test]
fn a_verb_that_does_not_fit_the_purpose_is_refused() {
    let (daemon, token, symmetric) = symmetric();
    let mac = key(&daemon, &token, "m", Algorithm::HmacSha256);
    let version = mac.version(1).unwrap();
    let one = symmetric.version(1).unwrap();
    let failed = [
        daemon.encrypt(&mac, None, b"", b"", &caller()).err(),
        daemon.decrypt(Some(&mac), b"", b"", &caller()).err(),
        daemon.generate_data_key(&mac, 32, b"", &caller()).err(),
        daemon.raw_encrypt(&mac, &version, b"", b"", None, &caller()).err(),
        daemon.asymmetric_sign(&mac, &version, &Message::Data(b""), &caller()).err(),
        daemon.asymmetric_decrypt(&mac, &version, b"", &caller()).err(),
        daemon.mac_sign(&symmetric, &one, b"", &caller()).err(),
    ];
    for error in failed {
        assert!(matches!(error, Some(Error::FailedPrecondition { .. })), "{error:?}");
    }
}

#[test]
fn raw_modes_keep_their_rules() {
    let daemon = Store::new().daemon();
    let token = daemon.ring_for_test("r");
    for row in ALGORITHMS.iter().filter(|row| row.purpose == Purpose::RawEncryptDecrypt) {
        let Ok(mode) = RawMode::of(row.algorithm) else { continue };
        let key = key(&daemon, &token, row.algorithm.name(), row.algorithm);
        let version = key.version(1).unwrap();
        let aad: &[u8] = if mode == RawMode::Gcm { b"aad" } else { b"" };
        let (iv, text) = daemon.raw_encrypt(&key, &version, &[7; 32], aad, None, &caller()).unwrap();
        assert_eq!(iv.len(), mode.iv_bytes());
        let open =
            |text: &[u8], iv: &[u8], tag| daemon.raw_decrypt(&key, &version, text, aad, iv, tag, &caller());
        assert_eq!(open(&text, &iv, 16).unwrap()[..], [7; 32]);
        assert!(open(&text, &iv, 11).is_err() && open(&text, &iv, 17).is_err());
        let given = daemon.raw_encrypt(&key, &version, &[7; 32], aad, Some(&[1; 16]), &caller());
        if mode == RawMode::Gcm {
            assert!(matches!(given.err(), Some(Error::InvalidArgument { .. })));
            assert_eq!(open(&text[..text.len() - 1], &iv, 16).unwrap_err(), cannot_decrypt());
            assert_eq!(open(&text[..44], &iv, 12).unwrap()[..], [7; 32]);
        } else {
            assert_eq!(given.unwrap().0, [1; 16]);
            assert!(daemon.raw_encrypt(&key, &version, &[7; 32], b"a", None, &caller()).is_err());
            assert!(daemon.raw_encrypt(&key, &version, &[7; 32], b"", Some(&[1; 12]), &caller()).is_err());
            let odd = daemon.raw_encrypt(&key, &version, &[7; 31], b"", None, &caller());
            assert_eq!(odd.is_ok(), mode == RawMode::Ctr);
        }
    }
}

#[test]
fn every_signing_algorithm_signs_and_verifies() {
    // CRY-09 ALG-02
    let daemon = Store::new().daemon();
    let token = daemon.ring_for_test("r");
    let rows = ALGORITHMS.iter().filter(|row| row.purpose == Purpose::AsymmetricSign);
    // RSA keys of 4096 bits take long to generate: the schemes are the same as with 2048.
    for row in rows.filter(|row| !matches!(row.shape, KeyShape::Rsa(3072 | 4096))) {
        let Ok(scheme) = Signature::of(row.algorithm) else { continue };
        let key = key(&daemon, &token, row.algorithm.name(), row.algorithm);
        let version = key.version(1).unwrap();
        let sign = |message: &Message<'_>| daemon.asymmetric_sign(&key, &version, message, &caller());
        let verify = |message: &Message<'_>, signature: &[u8]| {
            daemon.asymmetric_verify(&key, &version, message, signature, &caller()).unwrap()
        };
        let signature = sign(&Message::Data(b"data")).unwrap();
        assert!(verify(&Message::Data(b"data"), &signature), "{}", row.algorithm.name());
        assert!(!verify(&Message::Data(b"datb"), &signature));
        assert!(!verify(&Message::Data(b"data"), &signature[1..]));
        assert!(!verify(&Message::Data(b"data"), b""));
        match scheme.digest {
            Some(digest) => {
                let value = hash((digest.new)(), b"data").unwrap();
                assert!(verify(&Message::Digest(&value), &signature));
                assert!(sign(&Message::Digest(&value[1..])).is_err());
                check_digest_name(&version, digest.name).unwrap();
                assert!(check_digest_name(&version, "md5").is_err());
            }
            None => assert!(sign(&Message::Digest(&[0; 31])).is_err()),
        }
        assert!(sign(&Message::Data(&vec![0; 65537])).is_err());
    }
}

#[test]
fn rsa_decrypts_what_its_public_key_encrypts() {
    // ALG-18 CRY-13
    let daemon = Store::new().daemon();
    let token = daemon.ring_for_test("r");
    for algorithm in [Algorithm::RsaDecryptOaep2048Sha256, Algorithm::RsaDecryptOaep2048Sha1] {
        let key = key(&daemon, &token, algorithm.name(), algorithm);
        let version = key.version(1).unwrap();
        let text = daemon.asymmetric_encrypt(&key, &version, b"secret", &caller()).unwrap();
        assert_eq!(&daemon.asymmetric_decrypt(&key, &version, &text, &caller()).unwrap()[..], b"secret");
        assert!(daemon.asymmetric_encrypt(&key, &version, &[0; 256], &caller()).is_err());
        let mut bad = text.clone();
        bad[0] ^= 1;
        for bad in [&bad[..], &text[1..], b""] {
            let refused = daemon.asymmetric_decrypt(&key, &version, bad, &caller());
            assert_eq!(refused.unwrap_err(), cannot_decrypt());
        }
    }
}

#[test]
fn macs_are_hmac() {
    let daemon = Store::new().daemon();
    let token = daemon.ring_for_test("r");
    for row in ALGORITHMS.iter().filter(|row| row.purpose == Purpose::Mac) {
        let key = key(&daemon, &token, row.algorithm.name(), row.algorithm);
        let version = key.version(1).unwrap();
        let Ok(mac) = daemon.mac_sign(&key, &version, b"data", &caller()) else { continue };
        let verify =
            |data: &[u8], mac: &[u8]| daemon.mac_verify(&key, &version, data, mac, &caller()).unwrap();
        assert!(verify(b"data", &mac) && !verify(b"datb", &mac) && !verify(b"data", &mac[1..]));
        assert!(!verify(b"data", b""));
    }
}

#[test]
fn data_keys_open_with_decrypt() {
    // CRY-06 CRY-07
    let (daemon, _, key) = symmetric();
    for length in [1, 16, 32, 1024] {
        let made = daemon.generate_data_key(&key, length, b"context", &caller()).unwrap();
        assert_eq!(made.plaintext.len(), length);
        let (_, opened) = daemon.decrypt(None, &made.ciphertext, b"context", &caller()).unwrap();
        assert_eq!(opened, made.plaintext);
    }
    for length in [0, 1025] {
        assert!(daemon.generate_data_key(&key, length, b"", &caller()).is_err());
    }
}

proptest! {
    #[test]
    fn numbers_have_one_form(number: u32) {
        let mut bytes = Vec::new();
        leb128(number, &mut bytes);
        prop_assert_eq!(read_leb128(&bytes), Some((number, &[][..])));
        let last = bytes.len() - 1;
        bytes[last] |= 0x80;
        bytes.push(0);
        prop_assert_eq!(read_leb128(&bytes), None);
    }
}
