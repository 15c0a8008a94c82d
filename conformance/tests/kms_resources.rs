//! Projects, locations, key rings and keys as resources, from the command line.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use claviger_conformance::artefacts;
use claviger_conformance::desk::Desk;
use claviger_conformance::prelude::*;
use claviger_protocol::admin::VERBS;

#[test]
fn nothing_is_deleted_or_moved() {
    // RES-03 RES-07 RES-09
    let of_keys = VERBS.iter().map(|verb| verb.path).filter(|path| path.starts_with("key"));
    let deletes: Vec<_> = of_keys.filter(|path| path.contains("delete")).collect();
    assert_eq!(deletes, ["keys delete-imported-key-material"]);
    for word in ["move", "rename", "copy", "relocate"] {
        assert!(VERBS.iter().all(|verb| !verb.path.split(' ').any(|part| part == word)), "{word}");
    }
    let desk = Desk::new();
    desk.json("keyrings create s");
    desk.json("keys create k --keyring r --purpose encryption --destroy-scheduled-duration 1d");
    for words in
        ["keyrings delete r", "keys delete k --keyring r", "keys versions delete 1 --keyring r --key k"]
    {
        assert_eq!(desk.run(words).code, Some(2), "{words}");
    }
    // What is destroyed keeps its name and number.
    desk.json("keys versions destroy 1 --keyring r --key k --yes");
    desk.fails("keys create k --keyring r --purpose encryption", 5, "already exists");
    let version = desk.json("keys versions create --keyring r --key k");
    assert!(version["name"].as_str().unwrap().ends_with("/cryptoKeyVersions/2"));
    desk.fails("keys describe projects/local/locations/global/keyRings/s/cryptoKeys/k", 4, "does not exist");
}

#[test]
fn a_project_that_is_shut_is_out_of_reach_and_loses_nothing() {
    // RES-14
    let desk = Desk::new();
    let ring = Ring::create(&desk.daemon, &["--project", "p"]);
    let vault = &ring.name;
    desk.json(&format!("keys create k --keyring {vault} --project p --purpose encryption --alias alias/it"));
    desk.json(&format!(
        "keys create s --keyring {vault} --project p --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256"
    ));
    let (data, text) = (desk.file("data", b"data"), desk.path("text"));
    desk.json(&format!(
        "encrypt --key k --keyring {vault} --project p --plaintext-file {data} --ciphertext-file {text}"
    ));
    let app = Application::on(&desk.daemon);
    let slot = app.slot(&ring);
    let session = app.login(&ring);
    let key = app.raw.find(session, &[label("s"), class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
    app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), key).unwrap();

    desk.fails("projects disable p", 11, "--yes");
    assert_eq!(desk.json("projects disable p --yes")["state"], "DISABLED");
    let key_name = format!("projects/p/locations/global/keyRings/{vault}/cryptoKeys/k");
    for words in [
        format!("keyrings describe {vault} --project p"),
        "keyrings create another --project p".to_owned(),
        format!("keys list --keyring {vault} --project p"),
        format!("keys describe {key_name}"),
        format!("keys versions list --key {key_name}"),
        "keys describe alias/it --project p".to_owned(),
        "aliases list --project p".to_owned(),
        format!("encrypt --key {key_name} --plaintext-file {data}"),
        format!("decrypt --ciphertext-file {text}"),
    ] {
        desk.fails(&words, 7, "the project p is disabled");
    }
    // Applications: the token is away, in the middle of an operation too.
    let digest = [7; 32];
    let signed = app.raw.one_shot(Operation::Sign, session, &digest, Room::Bytes(64));
    assert_eq!(signed.rv, Rv::TOKEN_NOT_PRESENT);
    assert_eq!(app.raw.open_session(slot, 4), Err(Rv::TOKEN_NOT_PRESENT));
    let slots = |present| app.raw.slots(present, Some(20)).2;
    assert!(!slots(true).contains(&slot) && slots(false).contains(&slot));
    assert_eq!(desk.json("keys list --keyring r"), serde_json::json!([]), "another project's");

    // It stays so over a restart.
    desk.daemon.kill();
    desk.daemon.restart();
    desk.fails(&format!("decrypt --ciphertext-file {text}"), 7, "the project p is disabled");
    let listed = desk.json("projects list");
    assert_eq!(
        listed,
        serde_json::json!([
            {"name": "projects/local", "state": "ENABLED"}, {"name": "projects/p", "state": "DISABLED"}
        ])
    );
    desk.json("projects enable p");
    let out = desk.path("out");
    desk.json(&format!("decrypt --ciphertext-file {text} --plaintext-file {out}"));
    assert_eq!(desk.read("out"), b"data");
    assert_eq!(
        desk.json(&format!("keys list --keyring {vault} --project p")).as_array().map(Vec::len),
        Some(2)
    );
    desk.fails("projects disable P --yes", 2, "no project");
}

#[test]
fn locations_are_listed_with_what_they_offer() {
    // RES-02 RES-17 RES-18 RES-19 RES-23
    let daemon = Daemon::prepare();
    let keys = daemon.directory();
    std::fs::create_dir(&keys).unwrap();
    let path = |name: &str| keys.join(name).to_string_lossy().into_owned();
    let config = daemon.file(
        "clavigerd.toml",
        format!(
            "state_directory = {:?}\nadmin_socket = {:?}\npkcs11_socket = {:?}\nroot_key_file = {:?}\n\
             create_root_key = true\n[hardening]\nallow_root = true\n[kms]\nlocations = [\"eu\", {{id = \"lab\", hsm_available = false}}]\n",
            path(""),
            path("admin.sock"),
            path("pkcs11.sock"),
            path("root.key")
        ),
    );
    let mut command = Command::new(artefacts::clavigerd());
    command.arg("--config").arg(config);
    daemon.launch(command).unwrap();
    let admin = daemon.admin();
    let listed = admin.json(["locations", "list"]);
    let offers = |index: usize| {
        let location = &listed[index];
        (location["locationId"].clone(), location["hsmAvailable"].clone(), location["ekmAvailable"].clone())
    };
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(offers(0), ("eu".into(), true.into(), false.into()));
    assert_eq!(offers(1), ("lab".into(), false.into(), false.into()));
    let run = |words: &str| admin.run(words.split_whitespace());
    assert_eq!(run("keyrings create r --location mars").code, Some(4), "it is not configured");
    for location in ["eu", "lab"] {
        assert_eq!(
            run(&format!("keyrings create r --location {location}")).code,
            Some(0),
            "the same name twice"
        );
    }
    let key = "keys create k --keyring r --purpose encryption --protection-level hsm --location";
    assert_eq!(run(&format!("{key} eu")).code, Some(0));
    let refused = run(&format!("{key} lab"));
    assert_eq!((refused.code, refused.stderr.contains("has no HSM")), (Some(7), true), "{}", refused.stderr);
    let job = "import-jobs create j --keyring r --import-method rsa-oaep-3072-sha256 --protection-level hsm --location";
    assert_eq!(run(&format!("{job} lab")).code, Some(7));
    assert_eq!(run("keys create k --keyring r --purpose encryption --location lab").code, Some(0));
    let names = |location: &str| {
        let keys = admin.json(["keys", "list", "--keyring", "r", "--location", location]);
        keys.as_array()
            .unwrap()
            .iter()
            .map(|key| key["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // The first of the list is the one that is meant when none is said.
    let ring = admin.json(["keyrings", "create", "plain"]);
    assert_eq!(ring["name"], "projects/local/locations/eu/keyRings/plain");
    assert_eq!(names("lab"), ["projects/local/locations/lab/keyRings/r/cryptoKeys/k"]);
    assert_eq!(names("eu"), ["projects/local/locations/eu/keyRings/r/cryptoKeys/k"]);
}

#[test]
fn a_key_of_a_service_is_the_services_alone() {
    // RES-21 NAM-11 NAM-01
    let desk = Desk::new();
    let own_uid = std::fs::metadata(desk.daemon.root()).unwrap().uid();
    let other = own_uid + 1;
    desk.fails("keys create kms-backup --keyring r --purpose encryption", 2, "reserved");
    let create = "keys create kms-backup --keyring r --purpose encryption --managed-by";
    desk.fails(&format!("{create} backup"), 2, "uid:N or user:NAME");
    let key = desk.json(&format!("{create} uid:{other}"));
    assert_eq!(key["managedBy"], format!("uid:{other}"));
    let of = "kms-backup --keyring r";
    // It may be looked at, and its rotation set.
    desk.json(&format!("keys describe {of}"));
    desk.json(&format!("keys rotation enable {of}"));
    for words in [
        format!("keys disable {of} --yes"),
        format!("keys destroy {of} --yes"),
        format!("keys tags set {of} --tags a=b"),
        format!("keys tags unset {of} --tags a"),
        "keys versions disable 1 --keyring r --key kms-backup --yes".to_owned(),
        "keys versions destroy 1 --keyring r --key kms-backup --yes".to_owned(),
        "aliases create alias/backup --keyring r --key kms-backup".to_owned(),
    ] {
        desk.fails(&words, 7, "which alone may do this");
    }
    assert_eq!(desk.json(&format!("keys describe {of}"))["keyState"], "ENABLED");
    // The service itself may; here it is this user.
    desk.json(&format!("keys update {of} --managed-by uid:{own_uid}"));
    desk.json(&format!("keys tags set {of} --tags a=b"));
    desk.json(&format!("keys disable {of} --yes"));
    // And a key that is nobody's is like any other.
    desk.json(&format!("keys update {of} --managed-by uid:{other}"));
    desk.fails(&format!("keys destroy {of} --yes"), 7, "alone");
    desk.json(&format!("keys update {of} --managed-by none"));
    desk.json(&format!("keys destroy {of} --yes"));
}

#[test]
fn a_location_has_one_default_key() {
    // RES-22 NAM-03
    let desk = Desk::new();
    desk.fails(
        "keys create d --keyring r --purpose mac --default-algorithm hmac-sha256 --default",
        2,
        "encrypts",
    );
    desk.fails(
        "keys create d --keyring r --purpose encryption --alias alias/default",
        2,
        "created with default",
    );
    let key = desk.json("keys create d --keyring r --purpose encryption --default");
    assert_eq!((&key["defaultForLocation"], &key["aliases"][0]), (&true.into(), &"alias/default".into()));
    desk.fails("keys create e --keyring r --purpose encryption --default", 5, "already exists");
    desk.fails("keys describe e --keyring r", 4, "does not exist");
    desk.json("keyrings create r --location eu");
    desk.json("keys create e --keyring r --location eu --purpose encryption --default");
    let (data, text) = (desk.file("data", b"data"), desk.path("text"));
    let made =
        desk.json(&format!("encrypt --key alias/default --plaintext-file {data} --ciphertext-file {text}"));
    assert!(made["name"].as_str().unwrap().contains("/locations/global/keyRings/r/cryptoKeys/d/"));
    // Another key may take its place.
    desk.json("keys create f --keyring r --purpose encryption");
    desk.fails("aliases create alias/default --keyring r --key f", 2, "created with default");
    desk.json("aliases update alias/default --keyring r --key f");
    assert_eq!(
        desk.json("keys list --keyring r --filter defaultForLocation=true")[0]["name"]
            .as_str()
            .map(|n| n.ends_with("/f")),
        Some(true)
    );
}

#[test]
fn keys_are_made_in_the_words_of_other_clouds() {
    // ALG-11 ALG-12 ALG-13 ALG-15 ALG-10
    let desk = Desk::new();
    for (name, usage, spec, purpose, algorithm) in [
        ("a", "ENCRYPT/DECRYPT", "Aliyun_AES_256", "ENCRYPT_DECRYPT", "GOOGLE_SYMMETRIC_ENCRYPTION"),
        ("b", "ENCRYPT/DECRYPT", "Aliyun_AES_192", "ENCRYPT_DECRYPT", "AES_192_ENCRYPTION"),
        ("c", "ENCRYPT/DECRYPT", "RSA_2048", "ASYMMETRIC_DECRYPT", "RSA_DECRYPT_OAEP_2048_SHA256"),
        ("d", "SIGN/VERIFY", "RSA_2048", "ASYMMETRIC_SIGN", "RSA_SIGN_PSS_2048_SHA256"),
        ("e", "SIGN/VERIFY", "EC_P256", "ASYMMETRIC_SIGN", "EC_SIGN_P256_SHA256"),
        ("f", "SIGN/VERIFY", "EC_P256K", "ASYMMETRIC_SIGN", "EC_SIGN_SECP256K1_SHA256"),
    ] {
        let key = desk.json(&format!(
            "keys create {name} --keyring r --purpose {usage} --default-algorithm {spec} --protection-level hsm"
        ));
        assert_eq!(
            (&key["purpose"], &key["versionTemplate"]["algorithm"]),
            (&purpose.into(), &algorithm.into())
        );
        assert_eq!(key["versionTemplate"]["protectionLevel"], "HSM");
    }
    let key = desk.json("keys create g --keyring r --purpose ASYMMETRIC_SIGN_VERIFY_ECC");
    assert_eq!(key["versionTemplate"]["algorithm"], "EC_SIGN_P256_SHA256");
    desk.fails(
        "keys create h --keyring r --purpose SIGN/VERIFY --default-algorithm Aliyun_AES_256",
        2,
        "no algorithm",
    );
    // That HSM is emulated is said where the level is chosen.
    let help = desk.daemon.admin().command().args(["keys", "create", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("emulated"));
}

#[test]
fn the_metadata_of_a_key_is_complete() {
    // RES-20 NAM-02 NAM-10 NAM-12 STA-12 ROT-08 RES-15
    let desk = Desk::new();
    for (name, env) in [("one", "prod"), ("two", "test")] {
        desk.json(&format!(
            "keys create {name} --keyring r --purpose encryption --description payroll --display-name Payroll \
             --labels env={env},team=hr"
        ));
    }
    desk.json("keys tags set one two --keyring r --tags data=secret,by=me");
    desk.json("keys tags unset one two --keyring r --tags by");
    let key = desk.json("keys describe one --keyring r");
    for (field, is) in [
        ("name", "projects/local/locations/global/keyRings/r/cryptoKeys/one"),
        ("description", "payroll"),
        ("displayName", "Payroll"),
        ("keyState", "ENABLED"),
    ] {
        assert_eq!(key[field], is);
    }
    assert!(key["createTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(key["tags"], serde_json::json!({"data": "secret"}));
    desk.json("keys update two --keyring r --description changed");
    let found = |filter: &str| {
        let mut words: Vec<&str> = "keys list --keyring r --filter".split(' ').collect();
        words.push(filter);
        let keys = desk.daemon.admin().json(words);
        keys.as_array()
            .unwrap()
            .iter()
            .map(|key| key["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("tags.data=secret"), ["one", "two"]);
    assert_eq!(found("labels.env=prod AND description:pay"), ["one"]);
    assert_eq!(found("description:changed"), ["two"]);
    // The key's state is what its versions come to.
    let state = |name: &str| desk.json(&format!("keys describe {name} --keyring r"))["keyState"].clone();
    desk.json("keys disable one --keyring r --yes");
    assert_eq!(state("one"), "DISABLED");
    desk.json("keys destroy one --keyring r --yes");
    assert_eq!(state("one"), "PENDING_DELETION");
    desk.json(
        "keys create three --keyring r --purpose encryption --skip-initial-version-creation --import-only",
    );
    assert_eq!(state("three"), "PENDING_IMPORT");
    // Rotation is off, on by wish, and off again.
    let rotation = |verb: &str| desk.json(&format!("keys rotation {verb} two --keyring r"));
    assert_eq!(rotation("status")["enabled"], false);
    let on = rotation("enable");
    assert_eq!((&on["enabled"], &on["rotationPeriod"]), (&true.into(), &"31536000s".into()));
    assert_eq!(rotation("disable")["enabled"], false);
}

#[test]
fn two_admins_at_once_and_a_daemon_that_is_gone() {
    let desk = Desk::new();
    let key = desk.json("keys create k --keyring r --purpose encryption");
    let etag = key["etag"].as_str().unwrap().to_owned();
    let change = |text: &str| format!("keys update k --keyring r --description {text} --etag {etag}");
    let (one, two) = std::thread::scope(|scope| {
        let desk = &desk;
        let (one, two) = (change("one"), change("two"));
        let run = |words: String| scope.spawn(move || desk.run(&words));
        let (one, two) = (run(one), run(two));
        (one.join().unwrap(), two.join().unwrap())
    });
    let mut codes = [one.code, two.code];
    codes.sort();
    assert_eq!(codes, [Some(0), Some(8)], "one of them is first: {} {}", one.stderr, two.stderr);
    let description = desk.json("keys describe k --keyring r")["description"].clone();
    assert_eq!(description, if one.code == Some(0) { "one" } else { "two" });

    // A daemon that goes while it is asked.
    let waiting = std::thread::scope(|scope| {
        let create = "import-jobs create j --keyring r --import-method rsa-oaep-4096-sha256 --protection-level software";
        desk.json(create);
        let wait = scope.spawn(|| desk.run("import-jobs wait j --keyring r"));
        std::thread::sleep(std::time::Duration::from_millis(200));
        desk.daemon.kill();
        wait.join().unwrap()
    });
    // It may have been ready before.
    assert!(matches!(waiting.code, Some(10 | 0)), "{waiting:?}");
    let gone = desk.run("keys list --keyring r");
    assert_eq!(gone.code, Some(10), "{gone:?}");
    assert!(gone.stderr.contains("clavigerd"), "what to do is said: {}", gone.stderr);
    desk.daemon.restart();
    assert_eq!(desk.json("import-jobs wait j --keyring r")["state"], "ACTIVE");
}

/// What `gcloud kms` is called with in the documents that users come from: the words, and the options.
const GCLOUD: &[(&str, &str)] = &[
    ("keyrings create", "location project"),
    ("keyrings list", "location filter limit page-size sort-by uri"),
    ("keyrings describe", "location"),
    (
        "keys create",
        "keyring location purpose default-algorithm protection-level skip-initial-version-creation import-only \
         rotation-period next-rotation-time destroy-scheduled-duration labels",
    ),
    ("keys list", "keyring location filter"),
    ("keys describe", "keyring location"),
    (
        "keys update",
        "keyring location primary-version rotation-period next-rotation-time remove-rotation-schedule \
         default-algorithm update-labels remove-labels clear-labels",
    ),
    ("keys set-primary-version", "keyring location version"),
    ("keys versions create", "key keyring location primary"),
    ("keys versions list", "key keyring location filter"),
    ("keys versions describe", "key keyring location"),
    ("keys versions enable", "key keyring location"),
    ("keys versions disable", "key keyring location"),
    ("keys versions destroy", "key keyring location"),
    ("keys versions restore", "key keyring location"),
    (
        "keys versions import",
        "key keyring location import-job algorithm target-key-file public-key-file wrapped-key-file version",
    ),
    ("keys versions get-public-key", "key keyring location output-file public-key-format"),
    ("import-jobs create", "keyring location import-method protection-level"),
    ("import-jobs list", "keyring location"),
    ("import-jobs describe", "keyring location"),
    (
        "encrypt",
        "key keyring location version plaintext-file ciphertext-file additional-authenticated-data-file \
         skip-integrity-verification",
    ),
    ("decrypt", "key keyring location plaintext-file ciphertext-file additional-authenticated-data-file"),
    ("raw-encrypt", "key keyring location version plaintext-file ciphertext-file initialization-vector-file"),
    ("raw-decrypt", "key keyring location version plaintext-file ciphertext-file initialization-vector-file"),
    ("asymmetric-sign", "key keyring location version digest-algorithm input-file signature-file"),
    ("asymmetric-decrypt", "key keyring location version ciphertext-file plaintext-file"),
    ("mac-sign", "key keyring location version input-file signature-file"),
    ("mac-verify", "key keyring location version input-file signature-file"),
    ("decapsulate", "key keyring location version ciphertext-file shared-secret-file"),
];

#[test]
fn the_verbs_and_options_are_those_of_gcloud() {
    // API-07
    let daemon = Daemon::prepare();
    for (words, options) in GCLOUD {
        let help = daemon.admin().run(words.split(' ').chain(["--help"]));
        assert_eq!(help.code, Some(0), "{words}: {}", help.stderr);
        for option in options.split_whitespace() {
            let shown = help.stdout.split_whitespace().any(|word| word == format!("--{option}"));
            assert!(shown, "{words} --{option}: {}", help.stdout);
        }
    }
}
