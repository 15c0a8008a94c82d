//! The life of keys from the command line: what settings, prompts, lists and helpers of the CLI promise.

use std::process::Command;

use claviger_conformance::admin::answer;
use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;
use serde_json::{Value, json};

struct Desk {
    daemon: Daemon,
}

impl Desk {
    fn new(settings: &str) -> Desk {
        let daemon = Daemon::prepare();
        std::fs::create_dir_all(daemon.directory()).unwrap();
        std::fs::write(daemon.directory().join("clavigerd.toml"), settings).unwrap();
        daemon.restart();
        let desk = Desk { daemon };
        desk.json("keyrings create r");
        desk
    }

    #[track_caller]
    fn json(&self, words: &str) -> Value {
        self.daemon.admin().json(words.split_whitespace())
    }

    fn table(&self, words: &str) -> String {
        let mut command = self.daemon.admin().command();
        command.args(words.split_whitespace());
        let answer = answer(command);
        assert_eq!(answer.code, Some(0), "{words}: {}", answer.stderr);
        answer.stdout
    }

    #[track_caller]
    fn fails(&self, words: &str, code: i32, sentence: &str) {
        let answer = self.daemon.admin().run(words.split_whitespace());
        assert_eq!(answer.code, Some(code), "{words}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(sentence), "{words}: {}", answer.stderr);
    }

    fn mac(&self, id: &str) {
        self.json(&format!("keys create {id} --keyring r --purpose mac --default-algorithm hmac-sha256"));
    }

    fn state(&self, id: &str) -> Value {
        self.json(&format!("keys describe {id} --keyring r"))["keyState"].clone()
    }
}

#[test]
fn a_key_has_the_state_that_its_versions_come_to() {
    // STA-12 STA-06 STA-07 ROT-09
    let desk = Desk::new("");
    desk.mac("k");
    assert_eq!(desk.state("k"), "ENABLED");
    desk.json("keys versions create --keyring r --key k");
    desk.json("keys versions disable 1 --keyring r --key k");
    assert_eq!(desk.state("k"), "ENABLED", "one is");
    desk.json("keys disable k --keyring r --yes");
    assert_eq!(desk.state("k"), "DISABLED");
    desk.json("keys destroy k --keyring r --yes");
    assert_eq!(desk.state("k"), "PENDING_DELETION");
    desk.json("keys restore k --keyring r");
    desk.json("keys archive k --keyring r");
    assert_eq!(desk.state("k"), "ARCHIVED");

    // An import: the job's states, the version's, and the key's.
    desk.json("keys create i --keyring r --purpose encryption --import-only --skip-initial-version-creation");
    assert_eq!(desk.state("i"), "PENDING_IMPORT");
    let job = "--keyring r --import-method rsa-oaep-3072-sha256-aes-256 --protection-level software";
    let made = desk.json(&format!("import-jobs create j {job}"));
    assert!(["PENDING_GENERATION", "ACTIVE"].contains(&made["state"].as_str().unwrap()));
    assert_eq!(desk.json("import-jobs wait j --keyring r")["state"], "ACTIVE");
    let material = desk.daemon.file("material", [7; 32]);
    let short = desk.daemon.file("short", [7; 31]);
    let import = |key: &str, file: &std::path::Path| {
        let words = format!(
            "keys versions import --keyring r --key {key} --import-job j --algorithm google-symmetric-encryption --target-key-file {}",
            file.display()
        );
        desk.daemon.admin().run(words.split_whitespace())
    };
    assert_eq!(import("i", &short).code, Some(2));
    let versions = desk.json("keys versions list --keyring r --key i");
    let states: Vec<_> =
        versions.as_array().unwrap().iter().map(|version| version["state"].clone()).collect();
    assert!(states.is_empty() || states == [json!("IMPORT_FAILED")], "{states:?}");
    assert_eq!(import("i", &material).code, Some(0));
    assert_eq!(desk.state("i"), "ENABLED");
    desk.fails("keys rotation enable i --keyring r", 2, "generate their versions");
    // A key that takes both rotates only by wish, and the person is told what that means.
    desk.json("keys create both --keyring r --purpose encryption --skip-initial-version-creation");
    assert_eq!(import("both", &material).code, Some(0));
    assert_eq!(desk.json("keys rotation status both --keyring r")["enabled"], false);
    let enabled = desk.json("keys rotation enable both --keyring r --rotation-period 2d");
    let warning = enabled["warning"].as_str().unwrap();
    assert!(warning.contains("imported") && warning.contains("7 to 365 days"), "{warning}");
}

#[test]
fn destruction_follows_its_settings() {
    // DST-04 DST-07 DST-08 DST-25 DST-02
    let desk = Desk::new("");
    desk.mac("direct");
    let version = "--keyring r --key";
    let scheduled = desk.json(&format!("keys versions destroy 1 {version} direct --yes"));
    assert_eq!(scheduled[0]["state"], "DESTROY_SCHEDULED", "an enabled version goes directly");
    let described = desk.json("keys describe direct --keyring r");
    assert_eq!(
        described["destroyScheduledDuration"], "2592000s",
        "30 days, and not the 24 hours of older texts"
    );

    let desk = Desk::new(
        "[kms]\nrequire_disable_before_destroy = true\nmin_destroy_scheduled_duration = \"7d\"\ndefault_destroy_scheduled_duration = \"14d\"\n",
    );
    desk.mac("k");
    desk.fails(&format!("keys versions destroy 1 {version} k --yes"), 7, "disable it before");
    desk.json(&format!("keys versions disable 1 {version} k"));
    desk.fails(&format!("keys versions destroy 1 {version} k --yes --pending-window-days 6"), 2, "7 days");
    desk.json(&format!("keys versions destroy 1 {version} k --yes"));
    assert_eq!(desk.json("keys describe k --keyring r")["destroyScheduledDuration"], "1209600s");
    desk.fails(
        "keys create s --keyring r --purpose encryption --destroy-scheduled-duration 24h",
        2,
        "7 days",
    );
    let daemon = Daemon::prepare();
    std::fs::create_dir_all(daemon.directory()).unwrap();
    let wrong = "[kms]\nmin_destroy_scheduled_duration = \"60d\"\n";
    std::fs::write(daemon.directory().join("clavigerd.toml"), wrong).unwrap();
    let refused = daemon.launch(daemon.command()).unwrap_err();
    assert!(refused.contains("default_destroy_scheduled_duration"), "{refused}");
    let check = |text: &str| {
        let file = desk.daemon.file("check.toml", text);
        desk.daemon.admin().run(["config", "check", "--file", file.to_str().unwrap()])
    };
    assert_eq!(check("[audit]\nuse = \"sync\"\n").code, Some(0));
    for (text, word) in
        [(wrong, "default_destroy"), ("[kms]\nclock_grase = \"1d\"\n", "clock_grase"), ("x", "wrong")]
    {
        let answer = check(text);
        assert_eq!(answer.code, Some(2));
        assert!(answer.stderr.contains(word), "{}", answer.stderr);
    }
}

#[test]
fn tags_are_set_on_many_keys_and_searched() {
    // NAM-10 NAM-12 AUD-08 AUD-09
    let desk = Desk::new("");
    for id in ["a", "b", "c"] {
        desk.mac(id);
    }
    let set = desk.json("keys tags set a b --keyring r --tags team=billing,tier=1");
    assert!(set.as_array().unwrap().iter().all(|item| item["ok"] == true));
    let found = |filter: &str| -> Vec<String> {
        let list = desk.daemon.admin().json(["keys", "list", "--keyring", "r", "--filter", filter]);
        let names = list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned());
        names.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(found("tags.team=billing"), ["a", "b"]);
    let mixed = desk.daemon.admin().run("keys tags unset a nosuch --keyring r --tags tier".split(' '));
    assert_eq!(mixed.code, Some(7), "one of two failed");
    assert_eq!(found("tags:tier"), ["b"]);
    assert_eq!(found("tags.team=billing AND NOT tags:tier"), ["a"]);
    assert_eq!(found("id:a OR id=c"), ["a", "c"]);
    let several = desk.json("keys describe a c --keyring r");
    assert_eq!(several.as_array().unwrap().len(), 2);
    let table = desk.table("keys list --keyring r");
    let first: Vec<_> = table.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(first, ["c", "b", "a"], "people see the newest first");
    let oldest = desk.json("keys list --keyring r --sort-by createTime --page-size 2");
    assert!(oldest[0]["name"].as_str().unwrap().ends_with("/a") && oldest.as_array().unwrap().len() == 3);
    let newest = desk.json("keys list --keyring r --sort-by ~createTime --limit 1");
    assert!(newest[0]["name"].as_str().unwrap().ends_with("/c"));
    let full = desk.json("keys list --keyring r --full");
    assert_eq!(full[0]["versions"][0]["state"], "ENABLED");
    let full = desk.table("keys list --keyring r --full");
    assert_eq!(full.lines().filter(|line| line.starts_with("versions.0.state")).count(), 3, "{full}");
}

#[test]
fn usage_says_what_is_declared_and_what_is_measured() {
    // USE-01 USE-02 USE-04 USE-05 DST-22
    let desk = Desk::new("");
    desk.mac("k");
    desk.json("keys bindings add k --keyring r --product disk --resource-id d-1 --note backup");
    let usage = desk.json("keys usage k --keyring r");
    assert_eq!(usage["bindings"][0]["product"], "disk");
    assert_eq!(usage["lastUse"], "none in 365 days");
    let data = desk.daemon.file("data", "x");
    desk.json(&format!("mac-sign --keyring r --key k --version 1 --input-file {}", data.display()));
    let usage = desk.json("keys usage k --keyring r");
    assert_eq!(usage["lastUseOperation"], "GenerateMac");
    assert!(usage["lastUseTime"].is_string() && usage["lastUsePrincipal"].is_string());
    assert_eq!(usage["counts"][0]["count"], 1);
    let table = desk.table("keys bindings list k --keyring r");
    assert!(table.starts_with("PRODUCT  RESOURCE  NOTE"), "{table}");
    let preflight = desk.json("keys preflight k --keyring r --pending-window-days 7");
    assert_eq!(
        (&preflight[0]["boundTo"], &preflight[0]["versionsToDestroy"]),
        (&json!("disk d-1"), &json!(1))
    );
    let long = desk.json("keys preflight k --keyring r");
    assert!(long[0]["destroyTime"].as_str() > preflight[0]["destroyTime"].as_str());
    let table = desk.table("keys preflight k --keyring r");
    assert!(table.contains("LAST USE") && table.contains("disk d-1"), "{table}");
    desk.fails("keys destroy k --keyring r --yes", 7, "bound to disk d-1");
}

#[test]
fn metrics_are_text_that_prometheus_reads() {
    let desk = Desk::new("");
    desk.mac("k");
    desk.json("keys versions destroy 1 --keyring r --key k --yes");
    let text = desk.table("metrics");
    for line in [
        "claviger_keys 1",
        "claviger_key_versions{state=\"DESTROY_SCHEDULED\"} 1",
        "claviger_events_total{event=\"DESTRUCTION_SCHEDULED\"} 1",
        "claviger_audit_writable 1",
        "# TYPE claviger_scheduled_key_use_attempts_total counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("claviger_") && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn names_are_completed_from_the_daemon() {
    let desk = Desk::new("");
    desk.json("keyrings create other");
    desk.mac("alpha");
    desk.mac("beta");
    desk.json("keys versions create --keyring r --key alpha");
    let script = desk.table("completion bash");
    let script = desk.daemon.file("completion.bash", script);
    let complete = |line: &str| -> Vec<String> {
        let words: Vec<_> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let program = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; _claviger_live claviger '' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words.len() - 1
        );
        let path = format!("{}:{}", artefacts::directory().display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.args(["-c", &program])
            .env("PATH", path)
            .env("CLAVIGER_ADMIN_SOCKET", desk.daemon.admin_socket());
        let output = answer(bash).stdout;
        output.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(complete("claviger keys list --keyring "), ["other", "r"]);
    assert_eq!(complete("claviger keys describe --keyring r al"), ["alpha"]);
    assert_eq!(complete("claviger encrypt --keyring r --key "), ["alpha", "beta"]);
    assert_eq!(complete("claviger keys versions disable --keyring r --key alpha "), ["1", "2"]);
    assert!(complete("claviger keys ver").contains(&"versions".to_owned()), "and clap's own words");
}
