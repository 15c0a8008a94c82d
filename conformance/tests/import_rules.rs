//! Who imports what through which job, from the command line.

use claviger_conformance::desk::Desk;
use claviger_conformance::openssl::OpenSsl;

fn job(desk: &Desk, name: &str, options: &str) {
    desk.json(&format!(
        "import-jobs create {name} --keyring r --import-method rsa-oaep-3072-sha256-aes-256 {options}"
    ));
    desk.json(&format!("import-jobs wait {name} --keyring r"));
}

#[test]
fn a_job_bounds_what_comes_through_it() {
    // IMP-13 IMP-19 IMP-33 ALG-09 STA-06
    let desk = Desk::new();
    job(&desk, "macs", "--protection-level software --allowed-algorithms hmac-sha256,hmac-sha1 --max-uses 2");
    let described = desk.json("import-jobs describe macs --keyring r");
    assert_eq!(described["allowedAlgorithms"], serde_json::json!(["HMAC_SHA256", "HMAC_SHA1"]));
    assert_eq!((&described["maxUses"], &described["uses"]), (&2.into(), &0.into()));
    for (key, purpose, algorithm) in [
        ("m", "mac", "hmac-sha256"),
        ("n", "mac", "hmac-sha512"),
        ("e", "encryption", "google-symmetric-encryption"),
    ] {
        desk.json(&format!(
            "keys create {key} --keyring r --purpose {purpose} --default-algorithm {algorithm} --skip-initial-version-creation"
        ));
    }
    let material = |bytes: usize| desk.file("material", vec![3; bytes]);
    let import = |key: &str, algorithm: &str, bytes: usize| {
        let file = material(bytes);
        desk.run(&format!(
            "keys versions import --keyring r --key {key} --import-job macs --algorithm {algorithm} --target-key-file {file}"
        ))
    };
    let refused = import("n", "hmac-sha512", 64);
    assert_eq!(refused.code, Some(7));
    assert!(refused.stderr.contains("imports HMAC_SHA256, HMAC_SHA1"), "{}", refused.stderr);
    assert_eq!(import("e", "google-symmetric-encryption", 32).code, Some(7));
    // One that fails does not count.
    assert_eq!(import("m", "hmac-sha256", 31).code, Some(2));
    assert_eq!(import("m", "hmac-sha256", 32).code, Some(0));
    assert_eq!(import("m", "hmac-sha1", 20).code, Some(0), "another algorithm than the template's");
    let refused = import("m", "hmac-sha256", 32);
    assert_eq!(refused.code, Some(7));
    assert!(refused.stderr.contains("may serve no more"), "{}", refused.stderr);
    assert_eq!(desk.json("import-jobs describe macs --keyring r")["uses"], 2);
    assert_eq!(desk.json("keys versions list --keyring r --key m").as_array().map(Vec::len), Some(3));

    // A job is of one level, and nothing of it changes.
    job(&desk, "hard", "--protection-level hsm");
    let file = material(32);
    desk.fails(
        &format!("keys versions import --keyring r --key m --import-job hard --algorithm hmac-sha256 --target-key-file {file}"),
        7,
        "imports for HSM",
    );
    for words in ["import-jobs update hard --keyring r", "import-jobs delete hard --keyring r"] {
        assert_eq!(desk.run(words).code, Some(2), "{words}: there is no such verb");
    }
    let create = "import-jobs create other --keyring r --import-method rsa-oaep-3072-sha256 --protection-level software";
    desk.fails(&format!("{create} --allowed-algorithms rot13"), 2, "no algorithm");
    desk.fails(&format!("{create} --max-uses 0"), 2, "at least one");
    desk.fails(&format!("{create} --max-uses many"), 2, "no number");
    desk.fails("import-jobs describe other --keyring r", 4, "does not exist");
}

#[test]
fn an_imported_version_encrypts_once_it_is_primary() {
    // IMP-10 IMP-11 IMP-25 IMP-28 STA-08 ROT-09 ROT-10
    let desk = Desk::new();
    job(&desk, "j", "--protection-level software");
    desk.json("keys create k --keyring r --purpose encryption --skip-initial-version-creation");
    let file = desk.file("material", [9; 32]);
    let import = |key: &str| {
        desk.json(&format!(
            "keys versions import --keyring r --key {key} --import-job j --algorithm google-symmetric-encryption --target-key-file {file}"
        ))
    };
    let data = desk.file("data", b"data");
    let encrypt = format!("encrypt --keyring r --key k --plaintext-file {data}");
    desk.fails(&encrypt, 7, "no primary version");
    import("k");
    desk.fails(&encrypt, 7, "no primary version");
    desk.json("keys set-primary-version k --keyring r --version 1");
    desk.json(&encrypt);
    // Rotation is off, and turning it on says what it does to imported material.
    assert_eq!(desk.json("keys rotation status k --keyring r")["enabled"], false);
    let on = desk.run("keys rotation enable k --keyring r");
    assert!(on.stderr.contains("warning") && on.stderr.contains("generated here"), "{on:?}");

    let only = "--keyring r --purpose encryption --import-only";
    desk.fails(&format!("keys create o {only}"), 2, "skip-initial-version-creation");
    desk.fails(
        &format!("keys create o {only} --skip-initial-version-creation --rotation-period 90d"),
        2,
        "rotation",
    );
    desk.json(&format!("keys create o {only} --skip-initial-version-creation"));
    desk.fails("keys versions create --keyring r --key o", 7, "imported versions only");
    desk.fails("keys rotate o --keyring r", 7, "imported versions only");
    desk.fails("keys rotation enable o --keyring r", 2, "rotation schedule");
    assert_eq!(import("o")["state"], "ENABLED");
}

#[test]
fn material_comes_by_a_token_as_in_other_clouds() {
    // IMP-26 IMP-27 IMP-28 IMP-32
    let desk = Desk::new();
    desk.json(
        "keys create k --keyring r --purpose encryption --skip-initial-version-creation --import-only \
         --destroy-scheduled-duration 0",
    );
    desk.json("keys create generated --keyring r --purpose encryption");
    desk.json("keys create m --keyring r --purpose mac --default-algorithm hmac-sha256 --skip-initial-version-creation --import-only");
    for key in ["generated", "m"] {
        desk.fails(
            &format!("keys get-parameters-for-import {key} --keyring r"),
            7,
            "only a key for ENCRYPT_DECRYPT",
        );
    }
    let state = || desk.json("keys describe k --keyring r")["keyState"].clone();
    assert_eq!(state(), "PENDING_IMPORT");
    let wrap = |parameters: &serde_json::Value, material: &[u8], hash: &str| {
        let pem = parameters["publicKey"].as_str().unwrap();
        let openssl = OpenSsl::with(&[("public", pem.as_bytes()), ("in", material)]);
        openssl
            .run(&format!(
                "pkeyutl -encrypt -pubin -inkey public -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{hash} \
                 -pkeyopt rsa_mgf1_md:{hash} -in in -out wrapped"
            ))
            .unwrap();
        desk.file("wrapped", openssl.read("wrapped"))
    };
    let import = |parameters: &serde_json::Value, file: &str| {
        let token = parameters["importToken"].as_str().unwrap();
        desk.run(&format!(
            "keys import-key-material k --keyring r --import-token {token} --wrapped-key-file {file}"
        ))
    };
    let parameters =
        desk.json("keys get-parameters-for-import k --keyring r --wrapping-algorithm rsaes-oaep-sha-1");
    assert_eq!(
        (&parameters["wrappingAlgorithm"], &parameters["wrappingKeySpec"]),
        (&"RSAES_OAEP_SHA_1".into(), &"RSA_2048".into())
    );
    assert!(parameters["parametersValidTo"].is_string());
    assert_eq!(desk.json("import-jobs list --keyring r"), serde_json::json!([]), "the job is nobody's");
    // What fails leaves nothing.
    let bad = import(&parameters, &wrap(&parameters, &[4; 31], "sha1"));
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("WRONG_LENGTH"), "{}", bad.stderr);
    assert_eq!(import(&parameters, &wrap(&parameters, &[4; 32], "sha256")).code, Some(2), "the other hash");
    assert_eq!(import(&parameters, &desk.file("short", [0; 255])).code, Some(2));
    assert_eq!(
        (state(), desk.json("keys versions list --keyring r --key k")),
        ("PENDING_IMPORT".into(), serde_json::json!([]))
    );

    let imported = import(&parameters, &wrap(&parameters, &[4; 32], "sha1"));
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert_eq!(state(), "ENABLED");
    let (data, text, out) = (desk.file("data", b"data"), desk.path("text"), desk.path("out"));
    desk.json(&format!("encrypt --keyring r --key k --plaintext-file {data} --ciphertext-file {text}"));
    assert_eq!(import(&parameters, &wrap(&parameters, &[4; 32], "sha1")).code, Some(7), "it has material");

    // The material goes, and only the same comes back.
    desk.fails("keys delete-imported-key-material k --keyring r", 11, "--yes");
    desk.fails("keys delete-imported-key-material generated --keyring r --yes", 7, "goes by schedule");
    desk.json("keys delete-imported-key-material k --keyring r --yes");
    let version = desk.json("keys versions describe 1 --keyring r --key k");
    assert_eq!((&version["state"], &version["reimportEligible"]), (&"DESTROYED".into(), &true.into()));
    desk.fails(&format!("decrypt --ciphertext-file {text}"), 7, "DESTROYED");
    desk.fails("keys delete-imported-key-material k --keyring r --yes", 7, "no material");
    let parameters = desk.json("keys get-parameters-for-import k --keyring r");
    let other = import(&parameters, &wrap(&parameters, &[5; 32], "sha256"));
    assert!(other.code == Some(2) && other.stderr.contains("MATERIAL_MISMATCH"), "{}", other.stderr);
    assert_eq!(import(&parameters, &wrap(&parameters, &[4; 32], "sha256")).code, Some(0));
    desk.json(&format!("decrypt --ciphertext-file {text} --plaintext-file {out}"));
    assert_eq!(desk.read("out"), b"data");

    // Tokens are a key's own.
    let file = wrap(&parameters, &[4; 32], "sha256");
    for token in ["0", &"0".repeat(32), "x"] {
        let said = desk.run(&format!(
            "keys import-key-material k --keyring r --import-token {token} --wrapped-key-file {file}"
        ));
        assert!(matches!(said.code, Some(2 | 4)), "{token}: {said:?}");
    }
    desk.json("keys create l --keyring r --purpose encryption --skip-initial-version-creation --import-only");
    let token = parameters["importToken"].as_str().unwrap();
    desk.fails(
        &format!("keys import-key-material l --keyring r --import-token {token} --wrapped-key-file {file}"),
        4,
        "import token of",
    );
}

#[test]
fn material_with_an_end_goes_by_itself() {
    let desk = Desk::new();
    desk.json("keys create k --keyring r --purpose encryption --skip-initial-version-creation --import-only");
    let parameters = desk.json("keys get-parameters-for-import k --keyring r");
    let pem = parameters["publicKey"].as_str().unwrap();
    let openssl = OpenSsl::with(&[("public", pem.as_bytes()), ("in", &[4; 32])]);
    let oaep = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256";
    openssl.run(&format!("pkeyutl -encrypt -pubin -inkey public {oaep} -in in -out wrapped")).unwrap();
    let file = desk.file("wrapped", openssl.read("wrapped"));
    let token = parameters["importToken"].as_str().unwrap();
    let import = format!(
        "keys import-key-material k --keyring r --import-token {token} --wrapped-key-file {file} --valid-to"
    );
    desk.fails(&format!("{import}=-1s"), 2, "in the past");
    let version = desk.json(&format!("{import} +3s"));
    assert!(version["expireMaterialTime"].is_string());
    let (data, text) = (desk.file("data", b"data"), desk.path("text"));
    desk.json(&format!("encrypt --keyring r --key k --plaintext-file {data} --ciphertext-file {text}"));
    // However slow the machine is, it is gone once the time is over; and the timer erases it.
    let state = || desk.json("keys versions describe 1 --keyring r --key k")["state"].clone();
    while state() != "DESTROYED" {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    desk.fails(&format!("decrypt --ciphertext-file {text}"), 7, "DESTROYED");
    desk.daemon.kill();
    desk.daemon.restart();
    let version = desk.json("keys versions describe 1 --keyring r --key k");
    assert_eq!((&version["state"], &version["reimportEligible"]), (&"DESTROYED".into(), &true.into()));
    desk.json(&format!("{import} +30d"));
    let out = desk.path("out");
    desk.json(&format!("decrypt --ciphertext-file {text} --plaintext-file {out}"));
    assert_eq!(desk.read("out"), b"data");
}

#[test]
fn parameters_wrap_in_the_ways_of_other_clouds() {
    // IMP-26
    let desk = Desk::new();
    for (word, spec, options) in [
        ("rsaes-pkcs1-v1-5", "RSA_2048", "-pkeyopt rsa_padding_mode:pkcs1"),
        (
            "rsaes-oaep-sha-1",
            "RSA_2048",
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha1",
        ),
        ("sm2pke", "EC_SM2", ""),
    ] {
        desk.json(&format!(
            "keys create {word} --keyring r --purpose encryption --import-only --skip-initial-version-creation"
        ));
        let get = format!("keys get-parameters-for-import {word} --keyring r --wrapping-algorithm {word}");
        let parameters = desk.json(&get);
        assert_eq!(parameters["wrappingKeySpec"], spec);
        let token = parameters["importToken"].as_str().unwrap();
        let wrap = |material: &[u8]| {
            let pem = parameters["publicKey"].as_str().unwrap();
            let openssl = OpenSsl::with(&[("in", material), ("public", pem.as_bytes())]);
            openssl
                .run(&format!("pkeyutl -encrypt -pubin -inkey public {options} -in in -out wrapped"))
                .unwrap();
            openssl.read("wrapped")
        };
        let import = |blob: &[u8]| {
            let file = desk.file("wrapped", blob);
            desk.run(&format!(
                "keys import-key-material {word} --keyring r --import-token {token} --wrapped-key-file {file}"
            ))
        };
        assert_eq!(import(&wrap(&[4; 31])).code, Some(2), "{word}: a wrong length");
        assert_eq!(import(&[9; 20]).code, Some(2), "{word}: no ciphertext");
        let mut changed = wrap(&[4; 32]);
        let last = changed.len() - 1;
        changed[last] ^= 1;
        let refused = import(&changed);
        assert_eq!(refused.code, Some(2), "{word}: {}", refused.stderr);
        let good = import(&wrap(&[4; 32]));
        assert_eq!(good.code, Some(0), "{word}: {}", good.stderr);
        assert_eq!(desk.json(&format!("keys describe {word} --keyring r"))["keyState"], "ENABLED");
    }
    desk.fails(
        "import-jobs create j --keyring r --import-method sm2pke --protection-level software",
        2,
        "sm2pke",
    );
}
