//! Import of keys made elsewhere, through import jobs.

use std::sync::OnceLock;

use claviger_conformance::admin::Answer;
use claviger_conformance::openssl::{OpenSsl, digest, ecdsa_der, enc, hex, hmac, verifies, verifies_raw};
use claviger_conformance::prelude::*;
use serde_json::Value;

const KWP: &str = "-id-aes256-wrap-pad -iv A65959A6";

/// The key ring of this binary, with a job per method that is tried.
fn ring() -> &'static Ring {
    static RING: OnceLock<Ring> = OnceLock::new();
    RING.get_or_init(|| {
        let ring = Ring::create(daemon(), &[]);
        for method in METHODS {
            let create =
                ["import-jobs", "create", method.0, "--keyring", &ring.name, "--import-method", method.0];
            daemon().admin().json([&create[..], &["--protection-level", "software"]].concat());
        }
        for method in METHODS {
            let job = daemon().admin().json(["import-jobs", "wait", method.0, "--keyring", &ring.name]);
            assert_eq!(job["state"], "ACTIVE");
        }
        ring
    })
}

/// Method, its modulus in bytes, its hash, and whether an AES key is between.
const METHODS: [(&str, usize, &str, bool); 4] = [
    ("rsa-oaep-3072-sha256-aes-256", 384, "sha256", true),
    ("rsa-oaep-3072-sha1-aes-256", 384, "sha1", true),
    ("rsa-oaep-3072-sha256", 384, "sha256", false),
    ("rsa-oaep-4096-sha256-aes-256", 512, "sha256", true),
];
const JOB: &str = METHODS[0].0;

fn create_key(name: &str, purpose: &str, algorithm: &str) {
    daemon().admin().json([
        "keys",
        "create",
        name,
        "--keyring",
        &ring().name,
        "--purpose",
        purpose,
        "--default-algorithm",
        algorithm,
        "--skip-initial-version-creation",
        "--import-only",
    ]);
}

/// `keys versions import` with a file of this content.
fn import(key: &str, job: &str, algorithm: &str, option: &str, content: &[u8]) -> Answer {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let file = daemon().file(&format!("import-{number}"), content);
    let ring = &ring().name;
    let fixed = ["keys", "versions", "import", "--keyring", ring, "--key", key, "--import-job", job];
    daemon().admin().run([&fixed[..], &["--algorithm", algorithm, option, file.to_str().unwrap()]].concat())
}

#[track_caller]
fn imported(answer: &Answer) -> Value {
    assert_eq!(answer.code, Some(0), "{}{}", answer.stdout, answer.stderr);
    let version: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(version["state"], "ENABLED");
    version
}

/// A private key of openssl as PKCS #8 DER, and its public key as DER.
fn made(options: &str) -> (Vec<u8>, Vec<u8>) {
    let openssl = OpenSsl::with(&[]);
    openssl.run(&format!("genpkey {options} -out key")).unwrap();
    openssl.run("pkcs8 -topk8 -nocrypt -in key -outform DER -out pkcs8").unwrap();
    openssl.run("pkey -in key -pubout -outform DER -out public").unwrap();
    (openssl.read("pkcs8"), openssl.read("public"))
}

/// Wraps with the `openssl` program for a job, as somebody without our CLI would.
fn wrap_by_hand(job: &str, material: &[u8]) -> Vec<u8> {
    let (_, modulus, hash, ephemeral) = *METHODS.iter().find(|method| method.0 == job).unwrap();
    let described = daemon().admin().json(["import-jobs", "describe", job, "--keyring", &ring().name]);
    let pem = described["publicKey"]["pem"].as_str().unwrap();
    let kek = [0x77; 32];
    let inner = if ephemeral { &kek[..] } else { material };
    let openssl = OpenSsl::with(&[("job", pem.as_bytes()), ("in", inner), ("material", material)]);
    openssl
        .run(&format!(
            "pkeyutl -encrypt -pubin -inkey job -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{hash} \
             -pkeyopt rsa_mgf1_md:{hash} -in in -out c1"
        ))
        .unwrap();
    let mut wrapped = openssl.read("c1");
    assert_eq!(wrapped.len(), modulus);
    if ephemeral {
        openssl.run(&format!("enc {KWP} -K {} -in material -out c2", hex(&kek))).unwrap();
        wrapped.extend(openssl.read("c2"));
    }
    wrapped
}

/// A session, and the object of a class with this label.
fn look(name: &str, of: ObjectClass) -> (Application, u64, u64) {
    let app = Application::on(daemon());
    let session = app.login(ring());
    let found = app.raw.find(session, &[label(name), class(of)]).unwrap();
    assert_eq!(found.len(), 1, "{name}");
    (app, session, found[0])
}

#[test]
fn a_p256_key_signs_after_its_import() {
    let (pkcs8, public) = made("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    for (name, option, material) in [
        ("p256", "--target-key-file", pkcs8.clone()),
        ("p256-by-hand", "--wrapped-key-file", wrap_by_hand(JOB, &pkcs8)),
    ] {
        create_key(name, "asymmetric-signing", "ec-sign-p256-sha256");
        let version = imported(&import(name, JOB, "ec-sign-p256-sha256", option, &material));
        assert!(version["importJob"].as_str().unwrap().ends_with(&format!("/importJobs/{JOB}")));
        assert!(version["importTime"].is_string());
        assert!(version.get("generateTime").is_none(), "it was not generated here");
        assert_eq!(version["reimportEligible"], false);
        let (app, session, key) = look(name, ObjectClass::PRIVATE_KEY);
        app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), key).unwrap();
        let signature =
            app.raw.one_shot(Operation::Sign, session, &digest("sha256", b"data"), Room::Bytes(64)).unwrap();
        verifies(&public, "-sha256", b"data", &ecdsa_der(&signature));
        let flags = [A::LOCAL, A::ALWAYS_SENSITIVE, A::NEVER_EXTRACTABLE, A::SENSITIVE, A::EXTRACTABLE];
        let told = flags.map(|flag| app.raw.attribute(session, key, flag).unwrap()[0]);
        assert_eq!(told, [0, 0, 0, 1, 0]);
    }
}

#[test]
fn an_aes_key_comes_through_every_method() {
    let value: Vec<u8> = (1..=32).collect();
    for (job, ..) in METHODS {
        for (way, option, material) in [
            ("cli", "--target-key-file", value.clone()),
            ("hand", "--wrapped-key-file", wrap_by_hand(job, &value)),
        ] {
            let name = format!("aes-{way}-{job}");
            create_key(&name, "raw-encryption", "aes-256-cbc");
            imported(&import(&name, job, "aes-256-cbc", option, &material));
            let (app, session, key) = look(&name, ObjectClass::SECRET_KEY);
            let cbc = Mechanism::bytes(M::AES_CBC_PAD, &[3; 16]);
            app.raw.start(Operation::Encrypt, session, Some(&cbc), key).unwrap();
            let output = app.raw.one_shot(Operation::Encrypt, session, b"data", Room::Bytes(16)).unwrap();
            assert_eq!(output, enc("-aes-256-cbc", &value, &[3; 16], b"data"), "{name}");
        }
    }
}

#[test]
fn other_keys_come_too() {
    let (pkcs8, public) = made("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    create_key("rsa", "asymmetric-signing", "rsa-sign-pkcs1-2048-sha256");
    imported(&import("rsa", JOB, "rsa-sign-pkcs1-2048-sha256", "--target-key-file", &pkcs8));
    let (app, session, key) = look("rsa", ObjectClass::PRIVATE_KEY);
    app.raw.start(Operation::Sign, session, Some(&M::SHA256_RSA_PKCS.into()), key).unwrap();
    let signature = app.raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(256)).unwrap();
    verifies(&public, "-sha256", b"data", &signature);

    let (pkcs8, public) = made("-algorithm ED25519");
    create_key("ed", "asymmetric-signing", "ec-sign-ed25519");
    imported(&import("ed", JOB, "ec-sign-ed25519", "--target-key-file", &pkcs8));
    let (app, session, key) = look("ed", ObjectClass::PRIVATE_KEY);
    app.raw.start(Operation::Sign, session, Some(&M::EDDSA.into()), key).unwrap();
    let signature = app.raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(64)).unwrap();
    verifies_raw(&public, "-rawin", b"data", &signature);

    create_key("mac", "mac", "hmac-sha256");
    imported(&import("mac", JOB, "hmac-sha256", "--target-key-file", &[9; 32]));
    let (app, session, key) = look("mac", ObjectClass::SECRET_KEY);
    app.raw.start(Operation::Sign, session, Some(&M::SHA256_HMAC.into()), key).unwrap();
    let mac = app.raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(32)).unwrap();
    assert_eq!(mac, hmac("sha256", &[9; 32], b"data"));
}

/// Versions of a key: number and state.
fn versions(key: &str) -> Vec<(String, String)> {
    let list = daemon().admin().json(["keys", "versions", "list", "--keyring", &ring().name, "--key", key]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|v| (text(&v["name"]), text(&v["state"]))).collect()
}

#[test]
fn what_can_be_told_before_unwrapping_makes_no_version() {
    create_key("early", "mac", "hmac-sha256");
    let good = wrap_by_hand(JOB, &[1; 32]);
    let wrapped = "--wrapped-key-file";
    let cases: &[(&str, &str, Vec<u8>, i32)] = &[
        (JOB, "hmac-sha256", vec![], 2),
        (JOB, "hmac-sha256", good[..100].to_vec(), 2),
        (JOB, "hmac-sha256", good[..384].to_vec(), 2),
        (JOB, "hmac-sha256", good[..400].to_vec(), 2),
        (JOB, "hmac-sha256", good[..good.len() - 1].to_vec(), 2),
        (JOB, "aes-256-gcm", good.clone(), 2),
        (JOB, "rot13", good.clone(), 2),
        ("no-such-job", "hmac-sha256", good.clone(), 4),
    ];
    for (job, algorithm, blob, code) in cases {
        let answer = import("early", job, algorithm, wrapped, blob);
        assert_eq!(answer.code, Some(*code), "{job} {algorithm} {}: {}", blob.len(), answer.stderr);
    }
    // Of another level.
    daemon().admin().json([
        "keys",
        "create",
        "hsm",
        "--keyring",
        &ring().name,
        "--purpose",
        "mac",
        "--default-algorithm",
        "hmac-sha256",
        "--protection-level",
        "hsm",
        "--skip-initial-version-creation",
    ]);
    assert_eq!(import("hsm", JOB, "hmac-sha256", wrapped, &good).code, Some(7));
    assert_eq!(import("nothing", JOB, "hmac-sha256", wrapped, &good).code, Some(4));
    assert_eq!((versions("early"), versions("hsm")), (vec![], vec![]));
}

#[test]
fn what_only_unwrapping_tells_makes_a_failed_version() {
    let (p384, _) = made("-algorithm EC -pkeyopt ec_paramgen_curve:P-384");
    let (p256, _) = made("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    let (rsa, _) = made("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let mut forged = wrap_by_hand(JOB, &p256);
    *forged.last_mut().unwrap() ^= 1;
    let mut forged_rsa = wrap_by_hand(JOB, &p256);
    forged_rsa[100] ^= 1;
    create_key("failing", "asymmetric-signing", "ec-sign-p256-sha256");
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("the wrapped part changed", forged, "UNWRAP_FAILED"),
        ("the RSA part changed", forged_rsa, "UNWRAP_FAILED"),
        ("another curve", wrap_by_hand(JOB, &p384), "WRONG_ALGORITHM"),
        ("an RSA key", wrap_by_hand(JOB, &rsa), "WRONG_ALGORITHM"),
        ("no key at all", wrap_by_hand(JOB, b"this is no key but thirty-three by"), "BAD_KEY_FORMAT"),
        ("a key and a byte", wrap_by_hand(JOB, &[&p256[..], &[0]].concat()), "BAD_KEY_FORMAT"),
    ];
    for (what, blob, reason) in cases {
        let answer = import("failing", JOB, "ec-sign-p256-sha256", "--wrapped-key-file", blob);
        assert_eq!(answer.code, Some(2), "{what}: {}", answer.stderr);
        assert!(answer.stderr.contains(reason), "{what}: {}", answer.stderr);
        let version: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(
            (&version["state"], &version["importFailureReason"]),
            (&"IMPORT_FAILED".into(), &(*reason).into())
        );
    }
    assert!(versions("failing").iter().all(|(_, state)| state == "IMPORT_FAILED"));
    let app = Application::on(daemon());
    let session = app.login(ring());
    assert_eq!(app.raw.find(session, &[label("failing")]), Ok(vec![]), "applications see none of it");

    create_key("wrong-length", "mac", "hmac-sha256");
    for length in [16, 31, 33] {
        let answer = import(
            "wrong-length",
            JOB,
            "hmac-sha256",
            "--wrapped-key-file",
            &wrap_by_hand(JOB, &vec![1; length]),
        );
        assert!(answer.stderr.contains("WRONG_LENGTH"), "{length} bytes: {}", answer.stderr);
    }
    // The next number is the next version's, and a good import still works.
    let answer = import("wrong-length", JOB, "hmac-sha256", "--target-key-file", &[1; 32]);
    let version = imported(&answer);
    assert!(version["name"].as_str().unwrap().ends_with("/cryptoKeyVersions/4"));
}

#[test]
fn jobs_and_their_material_survive_a_kill() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let create = |name: &str| {
        daemon.admin().json([
            "import-jobs",
            "create",
            name,
            "--keyring",
            &ring.name,
            "--import-method",
            JOB,
            "--protection-level",
            "software",
        ]);
    };
    create("before");
    let wait = |name: &str| daemon.admin().json(["import-jobs", "wait", name, "--keyring", &ring.name]);
    let before = wait("before");
    // One whose key pair is still being generated.
    create("during");
    daemon.kill();
    daemon.restart();
    assert_eq!(wait("before"), before);
    assert_eq!(wait("during")["state"], "ACTIVE", "generated after the restart");
    let fixed = ["--keyring", &ring.name];
    let create_key = ["keys", "create", "mac", "--purpose", "mac", "--default-algorithm", "hmac-sha256"];
    let import_only = ["--skip-initial-version-creation", "--import-only"];
    daemon.admin().json([&create_key[..], &import_only, &fixed].concat());
    let file = daemon.file("material", [5; 32]);
    let import = ["keys", "versions", "import", "--key", "mac", "--algorithm", "hmac-sha256"];
    let version = daemon.admin().json(
        [&import[..], &["--import-job", "before", "--target-key-file", file.to_str().unwrap()], &fixed]
            .concat(),
    );
    assert_eq!(version["state"], "ENABLED");
    daemon.kill();
    daemon.restart();
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let key = app.raw.find(session, &[label("mac")]).unwrap()[0];
    app.raw.start(Operation::Sign, session, Some(&M::SHA256_HMAC.into()), key).unwrap();
    let mac = app.raw.one_shot(Operation::Sign, session, b"data", Room::Bytes(32)).unwrap();
    assert_eq!(mac, hmac("sha256", &[5; 32], b"data"));
}

#[test]
fn a_job_is_described_and_its_name_is_its_own() {
    let ring = ring();
    let list = daemon().admin().json(["import-jobs", "list", "--keyring", &ring.name]);
    assert_eq!(list.as_array().unwrap().len(), METHODS.len());
    let job = daemon().admin().json(["import-jobs", "describe", JOB, "--keyring", &ring.name]);
    assert_eq!(job["importMethod"], "RSA_OAEP_3072_SHA256_AES_256");
    assert_eq!(job["protectionLevel"], "SOFTWARE");
    assert!(job["expireTime"].as_str() > job["createTime"].as_str());
    let key = openssl::pkey::PKey::public_key_from_pem(job["publicKey"]["pem"].as_str().unwrap().as_bytes());
    assert_eq!(key.unwrap().bits(), 3072);
    let run = |words: &[&str]| daemon().admin().run([words, &["--keyring", &ring.name]].concat()).code;
    let create = ["import-jobs", "create", JOB, "--protection-level", "software", "--import-method", JOB];
    assert_eq!(run(&create), Some(5));
    assert_eq!(run(&["import-jobs", "describe", "nothing"]), Some(4));
    let unknown =
        ["import-jobs", "create", "j", "--protection-level", "software", "--import-method", "by-post"];
    assert_eq!(run(&unknown), Some(2));
    // Its key pair is nobody's object.
    let app = Application::on(daemon());
    let session = app.login(ring);
    assert_eq!(app.raw.find(session, &[label(JOB)]), Ok(vec![]));
}
