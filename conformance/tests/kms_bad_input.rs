//! Bad input to the key service, one row for each kind: the exit code, what the sentence says, and that nothing has
//! changed; two admins at once; a daemon that goes in the middle.

use std::time::Duration;

use claviger_conformance::desk::Desk;
use serde_json::Value;

/// Words after `claviger`, the exit code (kms model §2), a part of the sentence. `{x}` is a file of that name.
const BAD: &[(&str, i32, &str)] = &[
    // names
    ("keyrings create not/a/name", 2, "neither the id of a key ring nor"),
    ("keys create a.b --keyring r --purpose encryption", 2, "letters, digits, - and _"),
    ("keys create KMS-x --keyring r --purpose encryption", 2, "kms-"),
    ("keys create k --keyring r --purpose encryption", 5, "already exists"),
    ("keys describe none --keyring r", 4, "cryptoKeys/none does not exist"),
    ("keys describe k", 2, "key ring"),
    ("keys describe alias/none", 4, "aliases/none does not exist"),
    ("keys describe alias/it --keyring other", 2, "alias/it"),
    ("keys describe projects/local/keyRings/r/cryptoKeys/k", 2, ""),
    ("keys list --keyring none", 4, "keyRings/none does not exist"),
    ("keys list --keyring r --location mars", 4, "locations/mars/keyRings/r does not exist"),
    ("keys list --keyring r --project Local", 2, "no project"),
    ("keys versions describe 0 --keyring r --key k", 2, "no version number"),
    ("keys versions describe 2 --keyring r --key k", 4, "cryptoKeyVersions/2 does not exist"),
    ("keys versions describe one --keyring r --key k", 2, "one"),
    ("keys versions describe 4294967296 --keyring r --key k", 2, "4294967296"),
    ("aliases create alias/acs-x --keyring r --key k", 2, "alias"),
    ("aliases create plain --keyring r --key k", 2, "alias/"),
    ("aliases create alias/it --keyring r --key m", 5, "aliases/it already exists"),
    ("aliases update alias/none --keyring r --key k", 4, "aliases/none does not exist"),
    // tags and labels
    ("keys tags set k --keyring r --tags novalue", 2, "key=value"),
    ("keys tags set k --keyring r --tags acs:x=y", 2, "acs:"),
    ("keys tags set k --keyring r --tags a=", 2, "1 to 128"),
    ("keys tags set k --keyring r --tags a=b;c", 2, ""),
    ("keys tags set k --keyring r --tags-file {junk}", 2, "no JSON object"),
    ("keys tags set k --keyring r", 2, "exactly one of tags and tags-file"),
    ("keys tags set k none --keyring r --tags a=b --format none", 7, "1 of 2 failed"),
    ("keys update m --keyring r --update-labels Team=x", 2, "Team"),
    ("keys update m --keyring r --update-labels novalue", 2, "novalue"),
    ("keys update m --keyring r", 2, "nothing to change"),
    // policies
    ("keys set-policy m {junk} --keyring r", 2, "neither JSON nor YAML"),
    ("keys set-policy m --policy-file {list} --keyring r", 2, "policy"),
    ("keys set-policy m {list} --policy-file {list} --keyring r", 2, "give a policy-file"),
    ("keys set-policy m --keyring r", 2, "give a policy-file"),
    ("keys add-binding m --keyring r --member alice --role kms.user", 2, "alice"),
    ("keys add-binding m --keyring r --member uid:1 --role kms.king", 2, "kms.king"),
    ("keys remove-binding m --keyring r --member uid:1 --role kms.user", 4, "does not exist"),
    ("policies test --principal uid:1 --action kms:Fly --resource projects/local", 2, "kms:Fly"),
    // durations and times
    (
        "keys destroy m --keyring r --yes --pending-window-days 0",
        2,
        "the time from destroy to destruction is",
    ),
    ("keys destroy m --keyring r --yes --pending-window-days 121", 2, "24 hours to 120 days"),
    ("keys destroy m --keyring r --yes --pending-window-days soon", 2, "no number"),
    (
        "keys create x --keyring r --purpose encryption --destroy-scheduled-duration 1h",
        2,
        "the time from destroy to destruction is",
    ),
    ("keys create x --keyring r --purpose encryption --destroy-scheduled-duration forever", 2, "forever"),
    ("keys rotation enable k --keyring r --rotation-period 1h", 2, "rotation period"),
    ("keys rotation enable k --keyring r --next-rotation-time yesterday", 2, "no time"),
    ("keys rotation enable m --keyring r", 2, "rotation schedule"),
    ("keys update k --keyring r --rotation-period 90d", 2, "--next-rotation-time"),
    ("audit list --since tomorrow", 2, "no time"),
    // filters, orders, pages
    ("keys list --keyring r --filter nofield=1", 2, "there is no field"),
    ("keys list --keyring r --filter purpose=", 2, "no value for purpose"),
    ("keys list --keyring r --filter (purpose=MAC", 2, "closing parenthesis"),
    ("keys list --keyring r --filter createTime>yesterday", 2, "compares with times"),
    ("keys list --keyring r --sort-by nofield", 2, "nofield"),
    ("keys list --keyring r --limit 0", 2, "--limit"),
    ("keys list --keyring r --page-size 1001", 2, "1000"),
    ("keys list --keyring r --page-token nonsense", 2, "page token"),
    ("algorithms list --filter nofield=1", 2, "there is no field"),
    ("locations list --sort-by nofield", 2, "nofield"),
    ("algorithms list --purpose juggling", 2, "juggling"),
    // blobs and files
    ("decrypt --ciphertext-file {junk}", 2, "cannot be decrypted"),
    ("encrypt --keyring r --key k --plaintext-file {huge}", 2, "longer than"),
    ("encrypt --keyring r --key k --plaintext-file {over}", 2, "64 KiB"),
    ("encrypt --keyring r --key k --plaintext-file {missing}", 2, "cannot read"),
    (
        "keys versions import --keyring r --key e --import-job j --algorithm ec-sign-p256-sha256 --wrapped-key-file {junk}",
        2,
        "the wrapped key has 4 bytes",
    ),
    (
        "keys versions import --keyring r --key e --import-job none --algorithm ec-sign-p256-sha256 --wrapped-key-file {junk}",
        4,
        "importJobs/none does not exist",
    ),
    (
        "keys versions import --keyring r --key e --import-job j --algorithm hmac-sha256 --wrapped-key-file {junk}",
        2,
        "no algorithm for ASYMMETRIC_SIGN",
    ),
    (
        "keys import-key-material o --keyring r --import-token 00 --wrapped-key-file {junk}",
        2,
        "no import token",
    ),
    // a verb in the wrong state, or for another purpose
    ("keys enable e --keyring r", 7, "has no version that is disabled"),
    ("keys restore k --keyring r", 7, "has no version that is scheduled for destruction"),
    (
        "keys versions restore 1 --keyring r --key k",
        7,
        "has value ENABLED in field crypto_key_version.state.",
    ),
    ("mac-sign --keyring r --key k --version 1 --input-file {junk}", 7, "it is for ENCRYPT_DECRYPT"),
    ("encrypt --keyring r --key m --plaintext-file {junk}", 7, "it is for MAC"),
    (
        "mac-sign --keyring r --key d --version 1 --input-file {junk}",
        7,
        "cryptoKeys/d/cryptoKeyVersions/1 is not enabled, current state is: DISABLED.",
    ),
    ("keys versions get-public-key 1 --keyring r --key k", 7, "has no public key"),
    ("keys set-primary-version m --keyring r --version 1", 7, "primary"),
    ("keys destroy p --keyring r --yes", 7, "is protected from deletion"),
    (
        "keys create x --keyring r --purpose mac --default-algorithm ec-sign-p256-sha256",
        2,
        "EC_SIGN_P256_SHA256",
    ),
    ("keys create x --keyring r --purpose encryption --protection-level external", 2, "external"),
    // etags: another one, one that is no number, and one for several
    ("keys update k --keyring r --description x --etag 999", 8, "etag"),
    ("keys update k --keyring r --description x --etag W/abc", 8, "etag"),
    ("keys disable k --keyring r --yes --etag 999", 8, "etag"),
    ("keys destroy k --keyring r --yes --etag 999", 8, "etag"),
    ("keys archive k --keyring r --etag 999", 8, "etag"),
    ("keys rotate k --keyring r --etag 999", 8, "etag"),
    ("keys rotation enable k --keyring r --etag 999", 8, "etag"),
    ("keys rotation disable k --keyring r --etag 999", 8, "etag"),
    ("keys protect k --keyring r --etag 999", 8, "etag"),
    ("keys tags set k --keyring r --tags a=b --etag 999", 8, "etag"),
    ("keys tags unset k --keyring r --tags a --etag 999", 8, "etag"),
    ("keys bindings add k --keyring r --product p --resource-id r --etag 999", 8, "etag"),
    ("keys set-primary-version k --keyring r --version 1 --etag 999", 8, "etag"),
    ("keys versions disable 1 --keyring r --key k --yes --etag 999", 8, "etag"),
    ("keys set-policy k {policy} --keyring r --etag 999", 8, "etag"),
    ("keyrings update r --find-versions all --etag 999", 8, "etag"),
    ("keys disable k m --keyring r --yes --etag 1", 2, "an etag is of one resource"),
    // questions that nobody answers
    ("keys destroy k --keyring r", 11, "--yes"),
    ("keys disable k --keyring r", 11, "--yes"),
    ("keys versions disable 1 --keyring r --key k", 11, "--yes"),
    ("keys delete-imported-key-material o --keyring r", 11, "--yes"),
    ("keys unprotect p --keyring r", 11, "--yes"),
    ("projects disable local", 11, "--yes"),
    ("purge --now", 11, "--yes"),
    ("keys destroy k --keyring r --quiet", 12, "no"),
    ("keys destroy k --keyring r --quiet --yes", 2, "--yes"),
    // not built: there is no verb
    ("keys delete k --keyring r", 2, "delete"),
    ("ekm-connections list", 2, "ekm-connections"),
];

/// A desk with keys in several states, and files.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.json("keyrings create other");
    desk.json("keys create k --keyring r --purpose encryption --alias alias/it");
    for name in ["m", "d", "p"] {
        desk.json(&format!("keys create {name} --keyring r --purpose mac --default-algorithm hmac-sha256"));
    }
    desk.json("keys disable d --keyring r --yes");
    desk.json("keys protect p --keyring r");
    desk.json("keys create e --keyring r --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256 --skip-initial-version-creation");
    desk.json("keys create o --keyring r --purpose encryption --import-only --skip-initial-version-creation --destroy-scheduled-duration 0s");
    desk.json(
        "import-jobs create j --keyring r --import-method rsa-oaep-3072-sha256 --protection-level software",
    );
    desk.json("import-jobs wait j --keyring r");
    desk.file("junk", b"\x00\xff{\x01");
    desk.file("list", b"[1, 2]");
    desk.file("over", vec![1; (64 << 10) + 1]);
    desk.file("huge", vec![1; 2 << 20]);
    desk.file(
        "policy",
        br#"{"Version": "1", "Statement": [{"Effect": "Allow", "Principal": ["uid:1"], "Role": ["kms.viewer"]}]}"#,
    );
    desk
}

/// Everything that the key service shows of its state.
fn state(desk: &Desk) -> Vec<Value> {
    [
        "keys list --keyring r --full",
        "keyrings list",
        "aliases list",
        "import-jobs list --keyring r",
        "projects list",
    ]
    .map(|words| desk.json(words))
    .into()
}

#[test]
fn each_kind_has_its_code_and_its_sentence_and_changes_nothing() {
    let desk = desk();
    let before = state(&desk);
    let mut wrong = Vec::new();
    for (words, code, sentence) in BAD {
        let mut said = (*words).to_owned();
        for file in ["junk", "list", "over", "huge", "policy", "missing"] {
            said = said.replace(&format!("{{{file}}}"), &desk.path(file));
        }
        let answer = desk.run(&said);
        if answer.code != Some(*code) || !answer.stderr.contains(sentence) {
            wrong.push(format!("{words}: {:?} {}", answer.code, answer.stderr));
        }
        // The sentence is all: no trace of the daemon's insides, no second line but clap's.
        if *code != 2 && answer.stderr.lines().count() != 1 {
            wrong.push(format!("{words}: {}", answer.stderr));
        }
        assert!(!answer.stderr.contains("panicked") && answer.code != Some(1), "{words}: {}", answer.stderr);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut after = state(&desk);
    // The one row that half succeeds, by design: each key of a batch is its own transaction.
    let tagged = after[0].as_array_mut().unwrap().iter_mut().find(|key| key["tags"]["a"] == "b").unwrap();
    tagged.as_object_mut().unwrap().remove("tags");
    tagged["etag"] = before[0].as_array().unwrap().iter().find(|key| key["name"] == tagged["name"]).unwrap()
        ["etag"]
        .clone();
    assert_eq!(after, before);
}

#[test]
fn of_two_admins_with_the_same_etag_one_is_told() {
    let desk = desk();
    for round in 0..10 {
        let etag = desk.json("keys describe k --keyring r")["etag"].as_str().unwrap().to_owned();
        let say = |who: &str| {
            desk.run(&format!("keys update k --keyring r --description {who}{round} --etag {etag}")).code
        };
        let codes = std::thread::scope(|scope| {
            let both = [scope.spawn(|| say("one")), scope.spawn(|| say("two"))];
            both.map(|thread| thread.join().unwrap())
        });
        let mut sorted = codes;
        sorted.sort();
        assert_eq!(sorted, [Some(0), Some(8)]);
        let winner = if codes[0] == Some(0) { "one" } else { "two" };
        assert_eq!(desk.json("keys describe k --keyring r")["description"], format!("{winner}{round}"));
    }
}

#[test]
fn a_daemon_that_goes_in_the_middle_leaves_nothing_half_done() {
    let desk = desk();
    let rsa = "keys versions create --keyring r --key big";
    desk.json("keys create big --keyring r --purpose asymmetric-signing --default-algorithm rsa-sign-pss-4096-sha256 --skip-initial-version-creation");
    // RSA-4096 takes long enough to be killed at; if it is not, the answer is whole.
    for pause in [50, 150, 300] {
        let answer = std::thread::scope(|scope| {
            let verb = scope.spawn(|| desk.run(rsa));
            std::thread::sleep(Duration::from_millis(pause));
            desk.daemon.kill();
            verb.join().unwrap()
        });
        match answer.code {
            Some(0) => {}
            Some(10) => {
                assert!(answer.stderr.contains("daemon"), "{}", answer.stderr);
                assert_eq!((answer.stdout.as_str(), answer.stderr.lines().count()), ("", 1));
            }
            other => panic!("{other:?}: {}", answer.stderr),
        }
        let gone = desk.run("keys list --keyring r");
        assert_eq!((gone.code, gone.stdout.as_str()), (Some(10), ""));
        desk.daemon.restart();
        let versions = desk.json("keys versions list --keyring r --key big");
        for (index, version) in versions.as_array().unwrap().iter().enumerate() {
            let number = index + 1;
            assert!(version["name"].as_str().unwrap().ends_with(&format!("/{number}")), "{version}");
            assert_eq!(version["state"], "ENABLED");
            assert_eq!(desk.public_key("big", number as u32)[..2], [0x30, 0x82], "it has its material");
        }
    }
    // Somebody who waits hears of it, and does not wait for ever.
    let (data, plain) = (desk.file("data", b"data"), desk.path("plain"));
    let waiting = std::thread::scope(|scope| {
        let verb = scope.spawn(|| desk.run("audit tail"));
        std::thread::sleep(Duration::from_millis(500));
        desk.daemon.kill();
        verb.join().unwrap()
    });
    assert_eq!(waiting.code, Some(10), "{}", waiting.stderr);
    let refused =
        desk.run(&format!("encrypt --keyring r --key k --plaintext-file {data} --ciphertext-file {plain}"));
    assert_eq!(refused.code, Some(10));
    assert!(!std::path::Path::new(&plain).exists(), "no file is begun before there is an answer");
}

#[test]
fn prose_is_as_much_as_the_person_wants() {
    let desk = desk();
    let list = "keys list --keyring other --format table";
    let said = |words: &str| desk.run(words).stderr;
    assert_eq!(said(list), "Listed 0 items.\n");
    assert_eq!(said(&format!("{list} --quiet")), "");
    assert_eq!(said(&format!("{list} --verbosity warning")), "");
    let debug = said(&format!("{list} --verbosity debug"));
    assert!(debug.contains(r#"claviger: debug: keys list keyring="other""#), "{debug}");
    let bad = "keys list --keyring none";
    assert!(said(&format!("{bad} --verbosity error")).contains("does not exist"));
    assert_eq!(said(&format!("{bad} --verbosity none")), "");
    assert_eq!(desk.run(&format!("{bad} --verbosity none")).code, Some(4));
    assert_eq!(desk.run(&format!("{bad} --verbosity loud")).code, Some(2));
    // Of files debug tells the size alone.
    let data = desk.file("data", b"topsecret");
    let debug =
        said(&format!("encrypt --keyring r --key k --plaintext-file {data} --verbosity debug --format json"));
    assert!(debug.contains("plaintext-file=(9 bytes)") && !debug.contains("topsecret"), "{debug}");
}

#[test]
fn short_lists_filter_sort_and_page_too() {
    let desk = desk();
    let names = |words: &str| -> Vec<String> {
        let said = desk.run(&format!("{words} --format value(name)"));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        said.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(
        names("algorithms list --filter name:HMAC --sort-by name --limit 2"),
        ["HMAC_SHA1", "HMAC_SHA224"]
    );
    assert_eq!(names("algorithms list --page-size 3"), names("algorithms list"));
    assert_eq!(names("locations list --filter id=global"), ["projects/local/locations/global"]);
    assert_eq!(names("projects list --filter state=ENABLED"), ["projects/local"]);
}
