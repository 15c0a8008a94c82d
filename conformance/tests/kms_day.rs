//! A day in an admin's life: the key service from the command line, end to end.

use claviger_conformance::daemon::Daemon;
use claviger_conformance::openssl::verifies;
use serde_json::Value;

struct Desk {
    daemon: Daemon,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { daemon: Daemon::start() };
        desk.json("keyrings create r");
        desk
    }

    #[track_caller]
    fn json(&self, words: &str) -> Value {
        self.daemon.admin().json(words.split_whitespace())
    }

    #[track_caller]
    fn fails(&self, words: &str, code: i32, sentence: &str) {
        let answer = self.daemon.admin().run(words.split_whitespace());
        assert_eq!(answer.code, Some(code), "{words}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(sentence), "{words}: {}", answer.stderr);
    }

    fn path(&self, name: &str) -> String {
        self.daemon.root().join(name).to_string_lossy().into_owned()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
}

#[test]
fn data_is_encrypted_rotated_reencrypted_and_decrypted() {
    // CRY-01 CRY-02 CRY-03 CRY-05 CRY-08 ROT-04 ROT-05 ROT-11 NAM-03 USE-01
    let desk = Desk::new();
    desk.json("keys create k --keyring r --purpose encryption --alias alias/main --labels env=prod");
    desk.daemon.file("plain", b"attack at dawn");
    let (plain, text, again, out) =
        (desk.path("plain"), desk.path("text"), desk.path("again"), desk.path("out"));
    let made = desk.json(&format!(
        "encrypt --key alias/main --plaintext-file {plain} --ciphertext-file {text} --context tenant=7"
    ));
    assert_eq!(made["verifiedPlaintextCrc32c"], true);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(&text).unwrap().mode() & 0o777, 0o600);
    desk.json("keys rotate k --keyring r");
    desk.json(&format!("decrypt --ciphertext-file {text} --plaintext-file {out} --context tenant=7"));
    assert_eq!(desk.read("out"), b"attack at dawn");
    desk.fails(&format!("decrypt --ciphertext-file {text} --context tenant=8"), 2, "cannot be decrypted");
    let renewed = desk.json(&format!(
        "reencrypt --ciphertext-file {text} --output-file {again} --source-context tenant=7 --destination-context tenant=7"
    ));
    assert_eq!(renewed["reEncrypted"], true);
    assert!(renewed["name"].as_str().unwrap().ends_with("/2"));
    desk.json("keys versions disable 1 --keyring r --key k");
    desk.fails(
        &format!("decrypt --ciphertext-file {text} --context tenant=7"),
        7,
        "current state is: DISABLED.",
    );
    desk.json(&format!("decrypt --ciphertext-file {again} --context tenant=7"));
    let usage = desk.json("keys usage k --keyring r");
    assert_eq!(usage["lastUseOperation"], "Decrypt");
    assert!(desk.json("keys list --keyring r --filter labels.env=prod").as_array().unwrap().len() == 1);
    assert!(desk.json("keys list --keyring r --filter labels.env=dev").as_array().unwrap().is_empty());
    desk.fails("keys list --keyring r --filter nofield=1", 2, "there is no field");
}

#[test]
fn signatures_verify_with_openssl() {
    // CRY-09 CRY-10 CRY-11
    let desk = Desk::new();
    desk.daemon.file("data", b"a contract");
    for (algorithm, options) in [
        ("ec-sign-p256-sha256", "-sha256"),
        ("ec-sign-p384-sha384", "-sha384"),
        ("ec-sign-p521-sha512", "-sha512"),
        ("ec-sign-secp256k1-sha256", "-sha256"),
        ("rsa-sign-pkcs1-2048-sha256", "-sha256"),
        ("rsa-sign-pss-2048-sha256", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"),
    ] {
        desk.json(&format!(
            "keys create {algorithm} --keyring r --purpose asymmetric-signing --default-algorithm {algorithm}"
        ));
        let (data, signature, public) = (desk.path("data"), desk.path("signature"), desk.path("public"));
        desk.json(&format!(
            "asymmetric-sign --keyring r --key {algorithm} --version 1 --input-file {data} --signature-file {signature}"
        ));
        let got = format!(
            "keys versions get-public-key 1 --keyring r --key {algorithm} --public-key-format der --output-file {public}"
        );
        assert_eq!(desk.daemon.admin().run(got.split_whitespace()).code, Some(0));
        verifies(&desk.read("public"), options, b"a contract", &desk.read("signature"));
        desk.json(&format!(
            "asymmetric-verify --keyring r --key {algorithm} --version 1 --input-file {data} --signature-file {signature}"
        ));
        desk.fails(
            &format!(
                "asymmetric-verify --keyring r --key {algorithm} --version 1 --input-file {signature} --signature-file {signature}"
            ),
            13,
            "not verified",
        );
    }
}

#[test]
fn destruction_is_confirmed_scheduled_restored_and_recorded() {
    // DST-01 DST-05 DST-09 DST-10 DST-12 DST-13 DST-14 DST-15 DST-19 DST-26 STA-05 STA-10 STA-16 AUD-02 AUD-04
    let desk = Desk::new();
    desk.json("keys create k --keyring r --purpose encryption");
    desk.json("keys create m --keyring r --purpose mac --default-algorithm hmac-sha256");
    desk.daemon.file("plain", b"x");
    let (plain, text) = (desk.path("plain"), desk.path("text"));
    desk.json(&format!("encrypt --keyring r --key k --plaintext-file {plain} --ciphertext-file {text}"));
    desk.fails("keys destroy k --keyring r", 11, "--yes");
    desk.fails("keys destroy k --keyring r --quiet", 12, "no");
    desk.json("keys protect k --keyring r --reason audit");
    desk.fails("keys destroy k --keyring r --yes", 7, "protected from deletion: audit");
    desk.json("keys unprotect k --keyring r --yes");
    desk.fails("keys destroy k nosuch --keyring r --yes --pending-window-days 500", 7, "failed");
    let done = desk.json("keys destroy k m --keyring r --yes --pending-window-days 7");
    assert_eq!(done[0]["state"], "PENDING_DELETION");
    desk.fails(&format!("decrypt --ciphertext-file {text}"), 7, "current state is: DESTROY_SCHEDULED.");
    let events = desk.json("audit list --operation Event.SCHEDULED_KEY_USE_ATTEMPT");
    assert_eq!(events.as_array().unwrap().len(), 1);
    desk.json("keys restore k --keyring r");
    desk.fails(&format!("decrypt --ciphertext-file {text}"), 7, "current state is: DISABLED.");
    desk.json("keys enable k --keyring r");
    desk.json(&format!("decrypt --ciphertext-file {text}"));
    let key = desk.json("keys describe k --keyring r");
    desk.fails("keys update k --keyring r --description d --etag 999", 8, "etag");
    desk.json(&format!("keys update k --keyring r --description d --etag {}", key["etag"].as_str().unwrap()));
    let verified = desk.json("audit verify");
    assert_eq!(verified["success"], true);
    assert!(verified["records"].as_u64().unwrap() > 15);
    let mine = desk.json("audit list --operation ScheduleKeyDeletion --result FAILED_PRECONDITION");
    let record = &mine[0];
    assert_eq!(desk.json(&format!("audit describe {}", record["eventId"].as_str().unwrap())), *record);
}

#[test]
fn a_long_list_comes_whole_whatever_the_page() {
    // RES-10 RES-12
    let desk = Desk::new();
    for number in 0..25 {
        desk.json(&format!("keys create k{number:02} --keyring r --purpose mac --default-algorithm hmac-sha256 --skip-initial-version-creation"));
    }
    for size in [1, 7, 25, 100] {
        let list = desk.json(&format!("keys list --keyring r --page-size {size}"));
        let names: Vec<_> =
            list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 25, "{size}");
        assert!(names.is_sorted());
    }
    assert_eq!(desk.json("keys list --keyring r --limit 3").as_array().unwrap().len(), 3);
    desk.fails("keys list --keyring r --page-token nonsense", 2, "page token");
    desk.fails("keys list --keyring r --page-size 1001", 2, "1000");
}
