//! The admin CLI, and that what it says holds for applications at their next call.

use std::io::Write;
use std::process::Stdio;

use claviger_conformance::admin::{Answer, answer};
use claviger_conformance::openssl::{digest, ecdsa_der, enc, verifies};
use claviger_conformance::prelude::*;
use serde_json::{Value, json};

/// A key ring with keys, and the verbs about them.
struct Admin {
    setup: Setup,
}

impl Admin {
    fn new() -> Admin {
        Admin { setup: Setup::new() }
    }

    /// Runs words separated by blanks, on this test's key ring when the verb takes one.
    fn run(&self, words: &str) -> Answer {
        let mut words: Vec<&str> = words.split_whitespace().collect();
        if matches!(words[0], "keys" | "import-jobs") {
            words.extend(["--keyring", &self.setup.ring.name]);
        }
        self.setup.daemon.admin().run(words)
    }

    #[track_caller]
    fn json(&self, words: &str) -> Value {
        let answer = self.run(words);
        assert_eq!(answer.code, Some(0), "{words}: {}", answer.stderr);
        serde_json::from_str(&answer.stdout).unwrap()
    }

    /// A verb that must fail: its exit code; the sentence must have this in it.
    #[track_caller]
    fn fails(&self, words: &str, code: i32, sentence: &str) {
        let answer = self.run(words);
        assert_eq!(answer.code, Some(code), "{words}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(sentence), "{words}: {}", answer.stderr);
    }

    fn state(&self, key: &str) -> String {
        let version = self.json(&format!("keys versions describe 1 --key {key}"));
        version["state"].as_str().unwrap().to_owned()
    }
}

#[test]
fn key_rings_are_created_listed_and_described() {
    let admin = Admin::new();
    let ring = &admin.setup.ring;
    let name = format!("projects/local/locations/global/keyRings/{}", ring.name);
    let described = admin.json(&format!("keyrings describe {}", ring.name));
    assert_eq!(described["name"], name);
    assert_eq!(described["tokenLabel"], ring.label);
    assert_eq!(described["profile"], "standard");
    assert_eq!(described["tokenSerial"].as_str().unwrap().len(), 16);
    assert_eq!(admin.json(&format!("keyrings describe {name}")), described, "by its full name too");
    let listed = admin.json("keyrings list");
    assert!(listed.as_array().unwrap().contains(&described));
    // The default label is the name.
    admin.json("keyrings create plain");
    assert_eq!(admin.json("keyrings describe plain")["tokenLabel"], "plain");

    admin.fails(&format!("keyrings create {}", ring.name), 5, "already exists");
    admin.fails("keyrings create not/a/name", 2, "");
    admin.fails("keyrings create späße", 2, "");
    admin.fails(&format!("keyrings create {}", "x".repeat(64)), 2, "");
    admin.fails(&format!("keyrings create long --token-label {}", "x".repeat(33)), 2, "32");
    admin.fails("keyrings create odd --profile lab", 2, "lab");
    admin.fails("keyrings describe nowhere", 4, "does not exist");
    admin.fails("keyrings create", 2, "");
    admin.fails("keyrings create short --user-pin-file /dev/null", 2, "PIN");
    admin.fails("keyrings create file --user-pin-file /nonexistent", 2, "/nonexistent");
    let names: Vec<Value> =
        admin.json("keyrings list").as_array().unwrap().iter().map(|ring| ring["name"].clone()).collect();
    for refused in ["long", "odd", "short", "file"] {
        let name = format!("projects/local/locations/global/keyRings/{refused}");
        assert!(!names.contains(&json!(name)), "{refused} was refused and is there");
    }
}

#[test]
fn a_pin_comes_from_stdin_without_its_line_break() {
    let admin = Admin::new();
    let mut child = admin
        .setup
        .daemon
        .admin()
        .command()
        .args(["keyrings", "create", "by-stdin", "--user-pin-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from-stdin\n").unwrap();
    assert!(child.wait().unwrap().success());
    let ring = Ring {
        name: "by-stdin".into(),
        label: "by-stdin".into(),
        so_pin: String::new(),
        user_pin: "from-stdin".into(),
    };
    let session = admin.setup.app.login(&ring);
    assert_eq!(admin.setup.app.raw.find(session, &[]), Ok(vec![]));
}

#[test]
fn unknown_words_are_usage_errors() {
    let admin = Admin::new();
    for words in [
        "keyrings",
        "keyrings explode",
        "explode",
        "keys list --no-such-option",
        "keys versions destroy --key k",
        "status --format nonsense",
    ] {
        let answer = admin.run(words);
        assert_eq!(answer.code, Some(2), "{words}: {}", answer.stderr);
        assert!(!answer.stderr.is_empty());
    }
    let help = admin.setup.daemon.admin().run(["--help"]);
    assert_eq!(help.code, Some(0));
    for verb in ["status", "keyrings", "keys", "import-jobs"] {
        assert!(help.stdout.contains(verb), "{}", help.stdout);
    }
}

#[test]
fn status_counts() {
    let daemon = Daemon::start();
    let status = |field: &str| daemon.admin().json(["status"])[field].clone();
    assert_eq!((status("keyRings"), status("keys")), (json!(0), json!(0)));
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    app.aes(session, 16, &on_token("key")).unwrap();
    assert_eq!((status("keyRings"), status("keys")), (json!(1), json!(1)));
    assert_eq!(status("versions"), json!({"ENABLED": 1}));
    assert_eq!(status("version"), env!("CARGO_PKG_VERSION"));
    assert!(status("opensslVersion").as_str().unwrap().starts_with("OpenSSL 3."));
}

#[test]
fn tables_are_for_people() {
    let admin = Admin::new();
    let session = admin.setup.app.login(&admin.setup.ring);
    admin.setup.app.aes(session, 32, &on_token("pay-roll")).unwrap();
    let mut command = admin.setup.daemon.admin().command();
    command.args(["keys", "list", "--keyring", &admin.setup.ring.name]);
    let table = answer(command);
    let lines: Vec<_> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("NAME ") && lines[0].contains("STATE"), "{}", table.stdout);
    assert!(lines[1].starts_with("pay-roll ") && lines[1].contains("Enabled"), "{}", table.stdout);
    assert_eq!((lines.len(), table.code), (2, Some(0)));
}

#[test]
fn a_version_goes_through_its_states_and_nowhere_else() {
    let admin = Admin::new();
    let session = admin.setup.app.login(&admin.setup.ring);
    admin.setup.app.aes(session, 32, &on_token("key")).unwrap();
    let verb = |verb: &str| admin.run(&format!("keys versions {verb} 1 --key key --yes"));
    let item = |answer: Answer| {
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        serde_json::from_str::<Value>(&answer.stdout).unwrap()[0].clone()
    };
    let refused = |answer: Answer, state: &str| {
        assert_eq!(answer.code, Some(7), "{}{}", answer.stdout, answer.stderr);
        let items: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(items[0]["ok"], false);
        assert_eq!(items[0]["error"]["code"], "FAILED_PRECONDITION");
        let message = items[0]["error"]["message"].as_str().unwrap();
        assert!(
            message.ends_with(&format!(
                "/cryptoKeyVersions/1 has value {state} in field crypto_key_version.state."
            )),
            "{message}"
        );
    };
    // Enabling and disabling are idempotent, restoring is not.
    assert_eq!(item(verb("enable"))["state"], "ENABLED");
    refused(verb("restore"), "ENABLED");
    assert_eq!(item(verb("disable"))["state"], "DISABLED");
    assert_eq!(item(verb("disable"))["state"], "DISABLED");
    refused(verb("restore"), "DISABLED");
    let scheduled = item(verb("destroy"));
    assert_eq!((&scheduled["state"], &scheduled["ok"]), (&json!("DESTROY_SCHEDULED"), &json!(true)));
    assert!(scheduled["destroyTime"].is_string());
    refused(verb("enable"), "DESTROY_SCHEDULED");
    refused(verb("disable"), "DESTROY_SCHEDULED");
    refused(verb("destroy"), "DESTROY_SCHEDULED");
    let restored = item(verb("restore"));
    assert_eq!(restored["state"], "DISABLED");
    assert!(restored.get("destroyTime").is_none());
    assert_eq!(item(verb("enable"))["state"], "ENABLED");
    // Several: what can be done is done, and the exit code says that not all was.
    let several = admin.run("keys versions disable 1 2 --key key --yes");
    assert_eq!(several.code, Some(7));
    let items: Value = serde_json::from_str(&several.stdout).unwrap();
    assert_eq!((&items[0]["ok"], &items[1]["ok"]), (&json!(true), &json!(false)));
    assert_eq!(items[1]["error"]["code"], "NOT_FOUND");
    assert_eq!(admin.state("key"), "DISABLED");
    admin.fails("keys versions describe 2 --key key", 4, "does not exist");
    admin.fails("keys versions describe one --key key", 2, "");
    admin.fails("keys versions list --key nothing", 4, "does not exist");
}

#[test]
fn destroying_asks_first() {
    let admin = Admin::new();
    let session = admin.setup.app.login(&admin.setup.ring);
    admin.setup.app.aes(session, 32, &on_token("key")).unwrap();
    admin.fails("keys versions destroy 1 --key key", 11, "--yes");
    admin.fails("keys versions destroy 1 --key key --quiet", 12, "");
    assert_eq!(admin.state("key"), "ENABLED", "nothing was done");
}

#[test]
fn a_duration_of_zero_destroys_at_once() {
    let admin = Admin::new();
    let create = "keys create volatile --purpose mac --default-algorithm hmac-sha256 --skip-initial-version-creation --import-only";
    admin.json(&format!("{create} --destroy-scheduled-duration 0s"));
    let key = admin.json("keys describe volatile");
    assert_eq!(key["destroyScheduledDuration"], "0s");
    assert_eq!(key["keyState"], "PENDING_IMPORT");
    let create =
        "keys create bounded --purpose mac --default-algorithm hmac-sha256 --destroy-scheduled-duration";
    for refused in ["121d", "1h", "soon", "-1d"] {
        let words: Vec<&str> = create.split_whitespace().collect();
        let given = format!("--destroy-scheduled-duration={refused}");
        let mut words = words[..words.len() - 1].to_vec();
        words.extend([given.as_str(), "--keyring", &admin.setup.ring.name]);
        let answer = admin.setup.daemon.admin().run(words);
        assert_eq!(answer.code, Some(2), "{refused}: {}", answer.stderr);
    }
    admin.json(&format!("{create} 36h"));
    assert_eq!(admin.json("keys describe bounded")["destroyScheduledDuration"], "129600s");
}

#[test]
fn a_disabled_version_refuses_at_the_next_call_and_an_enabled_one_works() {
    let admin = Admin::new();
    let app = &admin.setup.app;
    let raw = &app.raw;
    let session = app.login(&admin.setup.ring);
    let (public, private) = app.ec(session, curve::P256, &on_token("signer")).unwrap();
    let aes = app.aes(session, 32, &on_token("cipher")).unwrap();
    let no = Rv::KEY_FUNCTION_NOT_PERMITTED;
    let start = |operation, mechanism: M, key| raw.start(operation, session, Some(&mechanism.into()), key);
    // In the middle of operations of every kind.
    start(Operation::Sign, M::ECDSA_SHA256, private).unwrap();
    raw.feed(Operation::Sign, session, b"first part").unwrap();
    start(Operation::Verify, M::ECDSA_SHA256, public).unwrap();
    raw.feed(Operation::Verify, session, b"first part").unwrap();
    start(Operation::Encrypt, M::AES_ECB, aes).unwrap();
    raw.update(Operation::Encrypt, session, &[1; 16], Room::Bytes(16)).unwrap();
    start(Operation::Decrypt, M::AES_ECB, aes).unwrap();
    admin.json("keys versions disable 1 --key signer");
    admin.json("keys versions disable 1 --key cipher");

    assert_eq!(raw.feed(Operation::Sign, session, b"second part"), Err(no));
    assert_eq!(raw.finish(Operation::Sign, session, Room::Bytes(64)).rv, Rv::OPERATION_NOT_INITIALIZED);
    assert_eq!(raw.verify_final(session, &[1; 64]), Err(no));
    assert_eq!(raw.update(Operation::Encrypt, session, &[1; 16], Room::Bytes(16)).rv, no);
    assert_eq!(raw.one_shot(Operation::Decrypt, session, &[1; 16], Room::Bytes(16)).rv, no);
    assert_eq!(start(Operation::Sign, M::ECDSA_SHA256, private), Err(no));
    assert_eq!(start(Operation::Encrypt, M::AES_ECB, aes), Err(no));
    // It is still seen, and another application sees the same.
    assert_eq!(raw.find(session, &[label("signer")]).unwrap().len(), 2);
    let other = Application::on(admin.setup.daemon);
    let theirs = other.login(&admin.setup.ring);
    assert_eq!(other.raw.start(Operation::Sign, theirs, Some(&M::ECDSA.into()), private), Err(no));

    admin.json("keys versions enable 1 --key signer");
    assert_eq!(start(Operation::Sign, M::ECDSA_SHA256, private), Ok(()), "with the handle of before");
}

#[test]
fn a_scheduled_version_leaves_the_token_and_comes_back_with_a_new_handle() {
    let admin = Admin::new();
    let app = &admin.setup.app;
    let raw = &app.raw;
    let session = app.login(&admin.setup.ring);
    let (public, private) = app.ec(session, curve::P256, &on_token("signer")).unwrap();
    let unique = |object| raw.attribute(session, object, A::UNIQUE_ID);
    let ids = [unique(public).unwrap(), unique(private).unwrap()];
    raw.start(Operation::Sign, session, Some(&M::ECDSA_SHA256.into()), private).unwrap();
    raw.feed(Operation::Sign, session, b"first part").unwrap();
    admin.json("keys versions destroy 1 --key signer --yes");

    assert_eq!(raw.finish(Operation::Sign, session, Room::Bytes(64)).rv, Rv::KEY_HANDLE_INVALID);
    assert_eq!(raw.find(session, &[label("signer")]), Ok(vec![]));
    for object in [public, private] {
        assert_eq!(unique(object), Err(Rv::OBJECT_HANDLE_INVALID));
    }
    let start = raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), private);
    assert_eq!(start, Err(Rv::KEY_HANDLE_INVALID));
    // Its public key is not given out either.
    admin.fails(
        "keys versions get-public-key 1 --key signer",
        7,
        "is not enabled, current state is: DESTROY_SCHEDULED",
    );

    admin.json("keys versions restore 1 --key signer");
    let back = raw.find(session, &[label("signer")]).unwrap();
    assert_eq!(back.len(), 2);
    assert!(!back.contains(&public) && !back.contains(&private), "old handles stay invalid");
    let mut found: Vec<_> = back.iter().map(|object| unique(*object).unwrap()).collect();
    found.sort();
    let mut expected = ids.to_vec();
    expected.sort();
    assert_eq!(found, expected, "the same objects");
    let private = raw.find(session, &[label("signer"), class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
    let start = || raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), private);
    assert_eq!(start(), Err(Rv::KEY_FUNCTION_NOT_PERMITTED), "restored is disabled");
    admin.json("keys versions enable 1 --key signer");
    assert_eq!(start(), Ok(()));
}

#[test]
fn keys_made_by_the_admin_are_used_by_applications() {
    let admin = Admin::new();
    let app = &admin.setup.app;
    let raw = &app.raw;
    admin.json("keys create signer --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256");
    admin.json("keys create rsa --purpose asymmetric-signing --default-algorithm rsa-sign-pkcs1-2048-sha256");
    admin.json("keys create decrypter --purpose asymmetric-encryption --default-algorithm rsa-decrypt-oaep-2048-sha256");
    admin.json("keys create raw --purpose raw-encryption --default-algorithm aes-256-cbc");
    admin.json("keys create mac --purpose mac --default-algorithm hmac-sha256 --labels team=pay,env=test --description test");
    let key = admin.json("keys describe mac");
    assert_eq!(key["labels"], json!({"team": "pay", "env": "test"}));
    assert_eq!(key["versionTemplate"], json!({"algorithm": "HMAC_SHA256", "protectionLevel": "SOFTWARE"}));
    assert_eq!(admin.state("mac"), "ENABLED");

    let session = app.login(&admin.setup.ring);
    let find = |name: &str, of: ObjectClass| {
        let found = raw.find(session, &[label(name), class(of)]).unwrap();
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    };
    let private = find("signer", ObjectClass::PRIVATE_KEY);
    raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), private).unwrap();
    let signature =
        raw.one_shot(Operation::Sign, session, &digest("sha256", b"data"), Room::Bytes(64)).unwrap();
    let spki = raw.attribute(session, find("signer", ObjectClass::PUBLIC_KEY), A::PUBLIC_KEY_INFO).unwrap();
    verifies(&spki, "-sha256", b"data", &ecdsa_der(&signature));
    // The CLI gives the same public key.
    let given = admin.json("keys versions get-public-key 1 --key signer");
    let pem = given["pem"].as_str().unwrap();
    assert_eq!(
        openssl::pkey::PKey::public_key_from_pem(pem.as_bytes()).unwrap().public_key_to_der().unwrap(),
        spki
    );
    admin.fails("keys versions get-public-key 1 --key mac", 7, "has no public key");

    let rsa = find("rsa", ObjectClass::PRIVATE_KEY);
    assert_eq!(raw.start(Operation::Sign, session, Some(&M::SHA256_RSA_PKCS.into()), rsa), Ok(()));
    let start = raw.start(Operation::Decrypt, session, Some(&M::RSA_PKCS.into()), rsa);
    assert_eq!(start, Err(Rv::KEY_FUNCTION_NOT_PERMITTED), "its purpose is signing");
    let decrypter = find("decrypter", ObjectClass::PRIVATE_KEY);
    let start = raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), decrypter);
    assert!(start.is_err());
    let mac = find("mac", ObjectClass::SECRET_KEY);
    let start = raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), mac);
    assert_eq!(start, Err(Rv::KEY_TYPE_INCONSISTENT));
    let aes = find("raw", ObjectClass::SECRET_KEY);
    for object in [private, rsa, mac, aes] {
        assert_eq!(raw.attribute(session, object, A::EXTRACTABLE), Ok(vec![0]));
        assert_eq!(raw.attribute(session, object, A::SENSITIVE), Ok(vec![1]));
        assert_eq!(raw.attribute(session, object, A::LOCAL), Ok(vec![1]));
    }
    let cbc = Mechanism::bytes(M::AES_CBC_PAD, &[0; 16]);
    raw.start(Operation::Encrypt, session, Some(&cbc), aes).unwrap();
    assert_eq!(raw.one_shot(Operation::Encrypt, session, b"data", Room::Bytes(16)).unwrap().len(), 16);
    let _ = enc;

    // A second version is a second object with the same label.
    admin.json("keys versions create --key raw");
    assert_eq!(raw.find(session, &[label("raw")]).unwrap().len(), 2);
    let ids: Vec<_> = raw
        .find(session, &[label("raw")])
        .unwrap()
        .iter()
        .map(|o| raw.attribute(session, *o, A::ID))
        .collect();
    assert_ne!(ids[0], ids[1], "told apart by CKA_ID");
}

#[test]
fn keys_that_cannot_be() {
    let admin = Admin::new();
    let session = admin.setup.app.login(&admin.setup.ring);
    admin.setup.app.aes(session, 16, &on_token("taken")).unwrap();
    let mac = "--purpose mac --default-algorithm hmac-sha256";
    admin.fails(&format!("keys create taken {mac}"), 5, "already exists");
    admin.fails(&format!("keys create kms-mine {mac}"), 2, "kms-");
    admin.fails("keys create k --purpose juggling --default-algorithm hmac-sha256", 2, "juggling");
    admin.fails("keys create k --purpose mac --default-algorithm rot13", 2, "rot13");
    admin.fails("keys create k --purpose mac --default-algorithm aes-256-gcm", 2, "");
    admin.fails("keys create k --purpose mac", 2, "algorithm");
    admin.fails(&format!("keys create k {mac} --import-only"), 2, "skip-initial-version-creation");
    admin.fails(&format!("keys create k {mac} --labels Team=Pay"), 2, "");
    let answer = admin.setup.daemon.admin().run([
        "keys",
        "create",
        "k",
        "--keyring",
        "nowhere",
        "--purpose",
        "mac",
        "--default-algorithm",
        "hmac-sha256",
    ]);
    assert_eq!(answer.code, Some(4), "{}", answer.stderr);
    let keys = admin.json("keys list");
    assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
}
