//! What an application with an open session sees when the admin, in another process, acts on its keys.

use claviger_conformance::openssl::enc;
use claviger_conformance::prelude::*;
use serde_json::Value;

/// An application that is logged in, and the admin's words.
struct Doors {
    setup: Setup,
    session: u64,
}

impl Doors {
    fn new(options: &[&str]) -> Doors {
        let setup = Setup::with(options);
        let session = setup.app.login(&setup.ring);
        Doors { setup, session }
    }

    fn raw(&self) -> &claviger_conformance::raw::Raw {
        &self.setup.app.raw
    }

    /// Runs words of the CLI on this ring.
    fn admin(&self, words: &str) -> Value {
        let mut words: Vec<&str> = words.split_whitespace().collect();
        words.extend(["--keyring", &self.setup.ring.name]);
        self.setup.daemon.admin().json(words)
    }

    /// A file of this ring's; the directory is that of all tests here.
    fn file(&self, name: &str, content: &[u8]) -> std::path::PathBuf {
        self.setup.daemon.file(&format!("{}.{name}", self.setup.ring.name), content)
    }

    fn find(&self, name: &str, kind: ObjectClass) -> Vec<u64> {
        self.raw().find(self.session, &[class(kind), label(name)]).unwrap()
    }

    fn unique(&self, object: u64) -> Vec<u8> {
        self.raw().attribute(self.session, object, A::UNIQUE_ID).unwrap()
    }

    fn sign(&self, key: u64) -> Result<(), Rv> {
        self.raw().start(Operation::Sign, self.session, Some(&M::SHA256_HMAC.into()), key)?;
        self.raw().one_shot(Operation::Sign, self.session, b"data", Room::Bytes(32)).unwrap();
        Ok(())
    }
}

/// No object.
const NONE: [u64; 0] = [];
const HMAC: &str = "--purpose mac --default-algorithm hmac-sha256";

#[test]
fn new_keys_and_versions_appear_at_the_next_search() {
    let doors = Doors::new(&[]);
    assert_eq!(doors.find("k", ObjectClass::SECRET_KEY), NONE);
    doors.admin(&format!("keys create k {HMAC}"));
    let first = doors.find("k", ObjectClass::SECRET_KEY);
    assert_eq!(first.len(), 1);
    doors.sign(first[0]).unwrap();
    doors.admin("keys versions create --key k");
    let both = doors.find("k", ObjectClass::SECRET_KEY);
    assert_eq!(both.len(), 2);
    assert_eq!(both[1], first[0], "the newest first, and the old one keeps its handle");
    both.iter().for_each(|key| doors.sign(*key).unwrap());
}

#[test]
fn the_primary_version_is_found_first_or_alone() {
    let doors = Doors::new(&[]);
    doors.admin("keys create k --purpose encryption");
    let first = doors.find("k", ObjectClass::SECRET_KEY)[0];
    doors.admin("keys versions create --key k");
    let versions = doors.find("k", ObjectClass::SECRET_KEY);
    assert_eq!((versions.len(), versions[0]), (2, first), "the first is the primary one");
    doors.admin("keys rotate k");
    let versions = doors.find("k", ObjectClass::SECRET_KEY);
    assert_eq!(versions.len(), 3);
    assert_eq!(versions[2], first, "the primary one, then by descending number");
    doors.admin("keys set-primary-version k --version 2");
    let again = doors.find("k", ObjectClass::SECRET_KEY);
    assert_eq!(again, [versions[1], versions[0], versions[2]]);

    let name = doors.setup.ring.name.clone();
    doors.setup.daemon.admin().json(["keyrings", "update", &name, "--find-versions", "primary-only"]);
    assert_eq!(doors.find("k", ObjectClass::SECRET_KEY), [versions[1]]);
    doors.admin(&format!("keys create m {HMAC}"));
    doors.admin("keys versions create --key m");
    let newest = doors.find("m", ObjectClass::SECRET_KEY);
    assert_eq!(newest.len(), 1, "without a primary one the newest");
    doors.admin("keys versions disable 2 --key m --yes");
    let enabled = doors.find("m", ObjectClass::SECRET_KEY);
    assert!(enabled.len() == 1 && enabled != newest, "that is enabled");
    // An older version is still found by what only it has.
    let unique = doors.unique(versions[2]);
    let found = doors.raw().find(doors.session, &[bytes(A::UNIQUE_ID, unique)]).unwrap();
    assert_eq!(found, [versions[2]]);
}

#[test]
fn a_disabled_version_refuses_at_the_next_call_in_the_middle_of_an_operation() {
    let doors = Doors::new(&[]);
    doors.admin(&format!("keys create k {HMAC}"));
    let key = doors.find("k", ObjectClass::SECRET_KEY)[0];
    let raw = doors.raw();
    let begin = || {
        raw.start(Operation::Sign, doors.session, Some(&M::SHA256_HMAC.into()), key).unwrap();
        raw.feed(Operation::Sign, doors.session, b"half of it").unwrap();
    };
    begin();
    doors.admin("keys versions disable 1 --key k");
    assert_eq!(raw.feed(Operation::Sign, doors.session, b"more"), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(
        raw.feed(Operation::Sign, doors.session, b"more"),
        Err(Rv::OPERATION_NOT_INITIALIZED),
        "it is over"
    );
    assert_eq!(doors.sign(key), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(doors.find("k", ObjectClass::SECRET_KEY), [key], "it is still shown");
    doors.admin("keys versions enable 1 --key k");
    doors.sign(key).unwrap();
    begin();
    doors.admin("keys versions destroy 1 --key k --yes");
    let end = raw.finish(Operation::Sign, doors.session, Room::Bytes(32));
    assert_eq!(end.rv, Rv::KEY_HANDLE_INVALID);
}

#[test]
fn a_scheduled_version_is_gone_its_use_is_told_and_restored_it_is_back() {
    // DST-19 DST-28 STA-16
    let doors = Doors::new(&[]);
    doors.admin(&format!("keys create gone {HMAC}"));
    let key = doors.find("gone", ObjectClass::SECRET_KEY)[0];
    let unique = doors.unique(key);
    let attempts = || doors.setup.daemon.admin().json(["status"])["scheduledUseAttempts"].as_u64().unwrap();
    let before = attempts();
    doors.admin("keys versions destroy 1 --key gone --yes");
    assert_eq!(doors.find("gone", ObjectClass::SECRET_KEY), NONE);
    assert_eq!(doors.raw().attribute(doors.session, key, A::LABEL), Err(Rv::OBJECT_HANDLE_INVALID));
    for _ in 0..3 {
        assert_eq!(doors.sign(key), Err(Rv::KEY_HANDLE_INVALID));
    }
    assert_eq!(attempts() - before, 3, "each is counted");
    let name = format!("projects/local/locations/global/keyRings/{}/cryptoKeys/gone", doors.setup.ring.name);
    let events = doors.setup.daemon.admin().json([
        "audit",
        "list",
        "--operation",
        "Event.SCHEDULED_KEY_USE_ATTEMPT",
        "--resource-name",
        &name,
    ]);
    assert_eq!(events.as_array().unwrap().len(), 1, "one is told in a minute: {events}");
    assert_eq!(events[0]["request"]["operation"], "P11.C_Sign");
    assert!(events[0]["request"]["destroyTime"].is_string());

    doors.admin("keys versions restore 1 --key gone");
    let back = doors.find("gone", ObjectClass::SECRET_KEY);
    assert_eq!(back.len(), 1);
    assert_ne!(back[0], key, "under a new handle");
    assert_eq!(doors.unique(back[0]), unique);
    assert_eq!(doors.sign(back[0]), Err(Rv::KEY_FUNCTION_NOT_PERMITTED), "disabled");
    assert_eq!(doors.sign(key), Err(Rv::KEY_HANDLE_INVALID));
    doors.admin("keys versions enable 1 --key gone");
    doors.sign(back[0]).unwrap();
}

#[test]
fn what_an_application_destroys_goes_by_the_policy_of_the_ring() {
    for policy in ["schedule", "immediate", "deny"] {
        let doors = Doors::new(&["--p11-destroy", policy]);
        let key = doors.setup.app.secret(doors.session, 32, &on_token("mine")).unwrap();
        let destroyed = doors.raw().destroy_object(doors.session, key);
        let state =
            || doors.admin("keys versions describe 1 --key mine")["state"].as_str().unwrap().to_owned();
        match policy {
            "schedule" => {
                assert_eq!((destroyed, state().as_str()), (Ok(()), "DESTROY_SCHEDULED"));
                // The label is free again at once.
                let second = doors.setup.app.secret(doors.session, 32, &on_token("mine")).unwrap();
                assert_eq!(doors.find("mine", ObjectClass::SECRET_KEY), [second]);
                doors.admin("keys versions restore 1 --key mine");
                doors.admin("keys versions enable 1 --key mine");
                assert_eq!(doors.find("mine", ObjectClass::SECRET_KEY).len(), 2);
            }
            "immediate" => {
                assert_eq!((destroyed, state().as_str()), (Ok(()), "DESTROYED"));
                assert_eq!(doors.find("mine", ObjectClass::SECRET_KEY), NONE);
            }
            _ => {
                assert_eq!((destroyed, state().as_str()), (Err(Rv::ACTION_PROHIBITED), "ENABLED"));
                doors.admin("keys protect mine");
                assert_eq!(doors.raw().destroy_object(doors.session, key), Err(Rv::ACTION_PROHIBITED));
            }
        }
    }
}

#[test]
fn a_pair_goes_and_comes_back_together() {
    let doors = Doors::new(&[]);
    let (public, private) = doors.setup.app.ec(doors.session, curve::P256, &on_token("pair")).unwrap();
    // Destroying the public object hides it and leaves the version alone.
    doors.raw().destroy_object(doors.session, public).unwrap();
    assert_eq!(doors.find("pair", ObjectClass::PUBLIC_KEY), NONE);
    assert_eq!(doors.find("pair", ObjectClass::PRIVATE_KEY), [private]);
    doors.raw().destroy_object(doors.session, private).unwrap();
    assert_eq!(doors.find("pair", ObjectClass::PRIVATE_KEY), NONE);
    doors.admin("keys versions restore 1 --key pair");
    let all = doors.raw().find(doors.session, &[label("pair")]).unwrap();
    assert_eq!(all.len(), 2, "both, the hidden one too");
}

#[test]
fn a_ring_that_forbids_it_is_not_initialised_again() {
    let doors = Doors::new(&[]);
    doors.setup.app.secret(doors.session, 32, &on_token("kept")).unwrap();
    let (slot, ring) = (doors.setup.app.slot(&doors.setup.ring), doors.setup.ring.clone());
    doors.raw().close_all_sessions(slot).unwrap();
    let admin = doors.setup.daemon.admin();
    let described = admin.json(["keyrings", "update", &ring.name, "--p11-reinit", "deny"]);
    assert_eq!(described["p11Reinit"], "deny");
    let again = || doors.raw().init_token(slot, ring.so_pin.as_bytes(), "again");
    assert_eq!(again(), Err(Rv::ACTION_PROHIBITED));
    admin.json(["keyrings", "update", &ring.name, "--p11-reinit", "allow"]);
    assert_eq!(again(), Ok(()));
    assert_eq!(doors.admin("keys versions describe 1 --key kept")["state"], "DESTROY_SCHEDULED");
    // The label can be changed by the admin too, and profiles.
    let updated =
        admin.json(["keyrings", "update", &ring.name, "--token-label", "renamed", "--profile", "strict"]);
    assert_eq!((&updated["tokenLabel"], &updated["profile"]), (&"renamed".into(), &"strict".into()));
    assert_eq!(admin.run(["keyrings", "update", &ring.name]).code, Some(2), "nothing to change");
}

#[test]
fn a_ring_decides_whether_applications_use_keys_for_encrypt_decrypt() {
    let doors = Doors::new(&[]);
    doors.admin("keys create k --purpose encryption");
    let key = doors.find("k", ObjectClass::SECRET_KEY)[0];
    let ring = doors.setup.ring.name.clone();
    let set = |value: &str| {
        let words = ["keyrings", "update", &ring, "--p11-raw-use-of-kms-keys", value];
        doors.setup.daemon.admin().json(words)
    };
    let begin = || {
        let mechanism = Mechanism::bytes(M::AES_CBC_PAD, &[7; 16]);
        doors.raw().start(Operation::Encrypt, doors.session, Some(&mechanism), key)
    };
    assert_eq!(begin(), Err(Rv::KEY_FUNCTION_NOT_PERMITTED), "only in the key service's own format");
    assert_eq!(set("on")["p11RawUseOfKmsKeys"], true);
    assert_eq!(begin(), Ok(()));
    doors.raw().one_shot(Operation::Encrypt, doors.session, b"data", Room::Bytes(16)).unwrap();
    assert_eq!(set("off").get("p11RawUseOfKmsKeys"), None);
    assert_eq!(begin(), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
}

#[test]
fn dates_count_where_a_ring_says_so() {
    let doors = Doors::new(&[]);
    let date = |r#type, text: &[u8]| (r#type, text.to_vec());
    let make = |name: &str, dates: &[(A, Vec<u8>)]| {
        let mut template = on_token(name);
        template.extend([ulong(A::VALUE_LEN, 32), flag(A::SIGN, true)]);
        template.extend(dates.iter().map(|(r#type, text)| bytes(*r#type, text)));
        doors.raw().generate_key(doors.session, &M::GENERIC_SECRET_KEY_GEN.into(), &template).unwrap()
    };
    let over = make("over", &[date(A::START_DATE, b"20200101"), date(A::END_DATE, b"20200131")]);
    let early = make("early", &[date(A::START_DATE, b"29990101")]);
    let now = make("now", &[date(A::START_DATE, b"20200101"), date(A::END_DATE, b"29991231")]);
    let bare = make("bare", &[]);
    let ring = doors.setup.ring.name.clone();
    for key in [over, early, now, bare] {
        assert_eq!(doors.sign(key), Ok(()), "PKCS#11 leaves the dates informative");
    }
    doors.setup.daemon.admin().json(["keyrings", "update", &ring, "--enforce-dates", "on"]);
    for key in [over, early] {
        assert_eq!(doors.sign(key), Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    }
    for key in [now, bare] {
        assert_eq!(doors.sign(key), Ok(()));
    }
}

/// What the admin signs with a key of the key service.
fn admin_signs(doors: &Doors, key: &str, data: &[u8]) -> Vec<u8> {
    let (data, out) = (doors.file("data", data), doors.file("signature", b""));
    doors.admin(&format!(
        "asymmetric-sign --key {key} --version 1 --input-file {} --signature-file {}",
        data.display(),
        out.display()
    ));
    std::fs::read(out).unwrap()
}

#[test]
fn post_quantum_keys_are_the_same_behind_both_doors() {
    // ALG-17
    let doors = Doors::new(&[]);
    let raw = doors.raw();
    for (algorithm, mechanism, set) in [
        ("pq-sign-ml-dsa-44", M::ML_DSA, 1),
        ("pq-sign-ml-dsa-65", M::ML_DSA, 2),
        ("pq-sign-ml-dsa-87", M::ML_DSA, 3),
        ("pq-sign-slh-dsa-sha2-128s", M::SLH_DSA, 1),
        ("pq-sign-hash-slh-dsa-sha2-128s-sha256", M::HASH_SLH_DSA_SHA256, 1),
    ] {
        doors.admin(&format!(
            "keys create {algorithm} --purpose asymmetric-signing --default-algorithm {algorithm}"
        ));
        let private = doors.find(algorithm, ObjectClass::PRIVATE_KEY)[0];
        let public = doors.find(algorithm, ObjectClass::PUBLIC_KEY)[0];
        for object in [private, public] {
            let shown = raw.attribute(doors.session, object, A::PARAMETER_SET).unwrap();
            assert_eq!(shown, u64::to_ne_bytes(set), "{algorithm}");
        }
        assert!(raw.attribute(doors.session, public, A::VALUE).unwrap().len() >= 32, "{algorithm}");
        // What the admin signs applications verify, and the other way round.
        let verify = |signature: &[u8]| {
            raw.start(Operation::Verify, doors.session, Some(&mechanism.into()), public)?;
            raw.verify(doors.session, b"data", signature)
        };
        assert_eq!(verify(&admin_signs(&doors, algorithm, b"data")), Ok(()), "{algorithm}");
        assert_eq!(verify(&admin_signs(&doors, algorithm, b"other")), Err(Rv::SIGNATURE_INVALID));
        raw.start(Operation::Sign, doors.session, Some(&mechanism.into()), private).unwrap();
        let signature = raw.one_shot(Operation::Sign, doors.session, b"data", Room::Bytes(8192)).unwrap();
        assert_eq!(verify(&signature), Ok(()));
        let (data, made) = (doors.file("data", b"data"), doors.file("signature", &signature));
        let said = doors.admin(&format!(
            "asymmetric-verify --key {algorithm} --version 1 --input-file {} --signature-file {}",
            data.display(),
            made.display()
        ));
        assert_eq!(said["success"], true, "{algorithm}");
        doors.admin(&format!("keys versions disable 1 --key {algorithm} --yes"));
        assert_eq!(
            raw.start(Operation::Sign, doors.session, Some(&mechanism.into()), private),
            Err(Rv::KEY_FUNCTION_NOT_PERMITTED)
        );
    }
    // Tokens have no mechanism of ML-KEM; its keys are seen, with the public value that somebody encapsulates for.
    for (algorithm, set, bytes) in [("ml-kem-768", 2_u64, 1184), ("ml-kem-1024", 3, 1568)] {
        doors.admin(&format!(
            "keys create {algorithm} --purpose key-encapsulation --default-algorithm {algorithm}"
        ));
        let private = doors.find(algorithm, ObjectClass::PRIVATE_KEY)[0];
        let public = doors.find(algorithm, ObjectClass::PUBLIC_KEY)[0];
        let shown = |object, r#type| raw.attribute(doors.session, object, r#type);
        assert_eq!(shown(private, A::DECAPSULATE), Ok(vec![1]));
        assert_eq!(shown(public, A::ENCAPSULATE), Ok(vec![1]));
        assert_eq!(shown(public, A::PARAMETER_SET), Ok(set.to_ne_bytes().to_vec()));
        assert_eq!(shown(public, A::VALUE).unwrap().len(), bytes);
        assert_eq!(shown(private, A::VALUE), Err(Rv::ATTRIBUTE_SENSITIVE));
    }
}

#[test]
fn post_quantum_keys_of_applications_have_their_algorithm() {
    let doors = Doors::new(&[]);
    for (mechanism, set, algorithm) in [
        (M::ML_DSA_KEY_PAIR_GEN, 1, "PQ_SIGN_ML_DSA_44"),
        (M::ML_DSA_KEY_PAIR_GEN, 2, "PQ_SIGN_ML_DSA_65"),
        (M::ML_DSA_KEY_PAIR_GEN, 3, "PQ_SIGN_ML_DSA_87"),
        (M::SLH_DSA_KEY_PAIR_GEN, 1, "PQ_SIGN_SLH_DSA_SHA2_128S"),
        // A set that the key service has no algorithm of.
        (M::SLH_DSA_KEY_PAIR_GEN, 3, "P11_GENERIC"),
    ] {
        let name = format!("{mechanism}-{set}");
        let mut public = on_token(&name);
        public.extend([flag(A::VERIFY, true), ulong(A::PARAMETER_SET, set)]);
        let mut private = on_token(&name);
        private.push(flag(A::SIGN, true));
        doors.raw().generate_key_pair(doors.session, &mechanism.into(), &public, &private).unwrap();
        let key = doors.admin(&format!("keys describe {name}"));
        assert_eq!(key["versionTemplate"]["algorithm"], algorithm, "{key}");
        let purpose = if set == 3 && algorithm == "P11_GENERIC" { "P11_GENERIC" } else { "ASYMMETRIC_SIGN" };
        assert_eq!(key["purpose"], purpose);
        if purpose == "ASYMMETRIC_SIGN" {
            assert!(!admin_signs(&doors, &name, b"data").is_empty());
        }
    }
}

#[test]
fn a_wrapping_key_wraps_as_openssl_does() {
    let doors = Doors::new(&[]);
    let (raw, session) = (doors.raw(), doors.session);
    let daemon = &doors.setup.daemon;
    let (value, secret) = ([0x4b; 32], *b"a secret of 21 bytes!");
    doors.admin("import-jobs create j --import-method rsa-oaep-3072-sha256 --protection-level software");
    doors.admin("import-jobs wait j");
    doors.admin("keys create w --purpose aes-wrapping --default-algorithm aes-256-kwp --skip-initial-version-creation");
    let file = daemon.file("value", value);
    doors.admin(&format!(
        "keys versions import --key w --import-job j --algorithm aes-256-kwp --target-key-file {}",
        file.display()
    ));
    let key = doors.find("w", ObjectClass::SECRET_KEY)[0];
    let template = [
        class(ObjectClass::SECRET_KEY),
        ulong(A::KEY_TYPE, KeyType::GENERIC_SECRET.0),
        bytes(A::VALUE, secret),
        flag(A::EXTRACTABLE, true),
    ];
    let target = raw.create_object(session, &template).unwrap();
    let wrapped = raw.wrap_key(session, &M::AES_KEY_WRAP_KWP.into(), key, target, Room::Bytes(64)).unwrap();
    let expected = enc("-id-aes256-wrap-pad", &value, &[0xa6, 0x59, 0x59, 0xa6], &secret);
    assert_eq!(wrapped, expected);
    // No other mechanism, and no other use.
    let ecb = raw.wrap_key(session, &M::AES_ECB.into(), key, target, Room::Bytes(64));
    assert_eq!(ecb.rv, Rv::MECHANISM_INVALID);
    let encrypts = raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key);
    assert_eq!(encrypts, Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
}
