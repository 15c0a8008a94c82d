//! The audit log through the built programs: what both doors leave in it, and that it holds.

use std::time::{Duration, Instant};

use claviger_conformance::admin::answer;
use claviger_conformance::prelude::*;
use claviger_protocol::flags::user;
use serde_json::{Value, json};

/// A daemon of its own with a ring.
fn start(settings: &str) -> (Daemon, Ring, Application) {
    let daemon = Daemon::prepare();
    std::fs::create_dir_all(daemon.directory()).unwrap();
    std::fs::write(daemon.directory().join("clavigerd.toml"), settings).unwrap();
    daemon.restart();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    (daemon, ring, app)
}

fn list(daemon: &Daemon, words: &str) -> Vec<Value> {
    let list = daemon.admin().json(format!("audit list --limit 1000 {words}").split_whitespace());
    list.as_array().unwrap().clone()
}

#[test]
fn token_events_and_key_uses_are_recorded_with_who_and_what_came_of_them() {
    // AUD-01 AUD-04 AUD-05 STA-15
    let (daemon, ring, app) = start("");
    let raw = &app.raw;
    let session = app.open(&ring);
    assert_eq!(raw.login(session, user::USER, Some(b"wrong-pin")), Err(Rv::PIN_INCORRECT));
    raw.login(session, user::USER, Some(ring.user_pin.as_bytes())).unwrap();
    let aes = app.aes(session, 32, &[on_token("aes"), vec![flag(A::EXTRACTABLE, true)]].concat()).unwrap();
    let (_, ec) = app.ec(session, curve::P256, &on_token("ec")).unwrap();
    let wrapping = app.aes(session, 32, &[on_token("wrap"), usage(&[A::WRAP, A::UNWRAP])].concat()).unwrap();
    for _ in 0..5 {
        raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), ec).unwrap();
        raw.one_shot(Operation::Sign, session, &[7; 32], Room::Bytes(64)).unwrap();
    }
    let kwp = M::AES_KEY_WRAP_KWP.into();
    let wrapped = raw.wrap_key(session, &kwp, wrapping, aes, Room::Bytes(64)).unwrap();
    let unwrapped = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES), label("back")];
    raw.unwrap_key(session, &kwp, wrapping, &wrapped, &unwrapped).unwrap();
    raw.set_attributes(session, aes, &[label("renamed")]).unwrap();
    let copy = raw.copy_object(session, aes, &[token(true), label("copy")]).unwrap();
    raw.destroy_object(session, copy).unwrap();
    // A key that may not sign.
    let start = raw.start(Operation::Sign, session, Some(&M::SHA256_HMAC.into()), wrapping);
    assert!(start.is_err());
    daemon.admin().json(["keys", "versions", "disable", "1", "--keyring", &ring.name, "--key", "ec"]);
    let disabled = raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), ec);
    assert_eq!(disabled, Err(Rv::KEY_FUNCTION_NOT_PERMITTED));
    raw.set_pin(session, ring.user_pin.as_bytes(), b"another-pin").unwrap();
    raw.logout(session).unwrap();

    let token = format!("projects/local/locations/global/keyRings/{}", ring.name);
    let key = |id: &str| format!("{token}/cryptoKeys/{id}/cryptoKeyVersions/1");
    let records = list(&daemon, "--source pkcs11");
    let seen = |operation: &str, result: &str| -> Vec<&Value> {
        let operation = format!("P11.{operation}");
        records.iter().filter(|r| r["operation"] == *operation && r["result"] == result).collect()
    };
    for (operation, result, resource, times) in [
        ("C_Login", "UNAUTHENTICATED", token.clone(), 1),
        ("C_Login", "OK", token.clone(), 1),
        ("C_GenerateKey", "OK", key("wrap"), 2),
        ("C_GenerateKeyPair", "OK", key("ec"), 1),
        ("C_WrapKey", "OK", key("aes"), 1),
        ("C_UnwrapKey", "OK", token.clone(), 1),
        ("C_SetAttributeValue", "OK", key("aes"), 1),
        ("C_CopyObject", "OK", key("copy"), 1),
        ("C_DestroyObject", "OK", key("copy"), 1),
        ("C_SetPIN", "OK", token.clone(), 1),
        ("C_Logout", "OK", token.clone(), 1),
        ("C_Sign", "FAILED_PRECONDITION", key("ec"), 1),
    ] {
        let found = seen(operation, result);
        assert_eq!(found.len(), times, "{operation} {result}: {found:?}");
        let last = found[0];
        assert_eq!(last["resourceName"], *resource, "{operation}");
        assert_eq!(last["principal"]["pid"], std::process::id(), "{operation}");
        assert!(last["principal"]["exe"].as_str().unwrap().contains("audit"), "{operation}");
        assert_eq!(last["session"], json!(session), "{operation}");
    }
    let uses: u64 = seen("C_Sign", "OK").iter().map(|r| r["request"]["count"].as_u64().unwrap_or(1)).sum();
    assert_eq!(uses, 5);
    assert_eq!(seen("C_Sign", "OK")[0]["role"], format!("token-user:{}", ring.name));
    assert_eq!(seen("C_Sign", "OK")[0]["request"]["mechanism"], "CKM_ECDSA");
    assert_eq!(seen("C_WrapKey", "OK")[0]["request"]["wrappingKey"], key("wrap"));
    assert_eq!(seen("C_Login", "UNAUTHENTICATED")[0]["reason"], "PinIncorrect");
    // What changes a token is announced before.
    let intents = list(&daemon, "--source pkcs11 --all");
    let intents: Vec<_> = intents.iter().filter(|r| r["phase"] == "intent").collect();
    assert!(intents.iter().any(|r| r["operation"] == "P11.C_DestroyObject"));
    assert!(intents.iter().all(|r| r["operation"] != "P11.C_Sign"));
    // No PIN and no plaintext anywhere.
    let log = std::fs::read_dir(daemon.directory().join("audit")).unwrap();
    let text: Vec<u8> = log.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    for secret in [&ring.user_pin, "another-pin", "wrong-pin"] {
        assert!(!text.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret} is in the log");
    }
    assert_eq!(daemon.admin().json(["audit", "verify"])["success"], true);
}

#[test]
fn the_log_is_exported_and_checked_elsewhere() {
    let (daemon, ring, _) = start("[audit]\ncheckpoint_records = 7\n");
    let signed = || daemon.admin().json(["status"])["audit"]["lastCheckpoint"].as_u64();
    let mut before = None;
    for number in 0..20 {
        // A thread of its own signs: it is waited for whenever enough records are there.
        if number % 5 == 0 {
            before = signed();
        }
        let id = format!("k{number}");
        daemon.admin().json([
            "keys",
            "create",
            &id,
            "--keyring",
            &ring.name,
            "--purpose",
            "mac",
            "--default-algorithm",
            "hmac-sha256",
        ]);
        let end = Instant::now() + Duration::from_secs(60);
        while number % 5 == 4 && signed() == before {
            assert!(Instant::now() < end, "no checkpoint; the log:\n{}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let export = daemon.root().join("export.jsonl");
    let done = daemon.admin().json(["audit", "export", "--output-file", export.to_str().unwrap()]);
    let records = done["records"].as_u64().unwrap();
    assert!(records > 40, "{done}");
    let mut key = daemon.admin().command();
    key.args(["audit", "public-key"]);
    let key = daemon.file("audit.pem", answer(key).stdout);
    // No daemon is asked.
    let nowhere = claviger_conformance::admin::Admin::new("/nonexistent/admin.sock".into());
    let verify = |file: &std::path::Path| {
        let words =
            ["audit", "verify", "--file", file.to_str().unwrap(), "--public-key-file", key.to_str().unwrap()];
        nowhere.run(words)
    };
    let good = verify(&export);
    assert_eq!(good.code, Some(0), "{}{}", good.stdout, good.stderr);
    let found: Value = serde_json::from_str(&good.stdout).unwrap();
    assert_eq!(found["records"], records);
    assert!(found["checkpoints"].as_u64().unwrap() > 2);
    let text = std::fs::read_to_string(&export).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |drop: usize| {
        lines
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != drop)
            .map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    for (what, bad) in [
        ("another key", text.replacen("cryptoKeys/k3", "cryptoKeys/k4", 1)),
        ("a record less", without(10)),
        ("no last checkpoint", without(lines.len() - 1)),
        ("nothing", String::new()),
    ] {
        let file = daemon.file("bad.jsonl", &bad);
        let answer = verify(&file);
        assert_eq!(answer.code, Some(13), "{what}: {}", answer.stdout);
    }
    let other = daemon.file("other.pem", include_bytes!("../src/other-ed25519.pem"));
    let words =
        ["audit", "verify", "--file", export.to_str().unwrap(), "--public-key-file", other.to_str().unwrap()];
    assert_eq!(nowhere.run(words).code, Some(13), "a key of somebody else");
    assert_eq!(daemon.admin().run(["audit", "verify", "--file", "x"]).code, Some(2));
    // From a record on, onto stdout.
    let mut tail = daemon.admin().command();
    tail.args(["audit", "export", "--output-file", "-", "--from", "30"]);
    let tail = answer(tail).stdout;
    assert_eq!(tail.lines().next(), Some(lines[29]));
}

#[test]
fn a_log_that_is_cut_while_the_daemon_is_away_shows_for_ever() {
    let (daemon, ring, app) = start("");
    app.login(&ring);
    drop(app);
    daemon.kill();
    let audit = daemon.directory().join("audit");
    let mut segments: Vec<_> = std::fs::read_dir(&audit).unwrap().map(|f| f.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let text = std::fs::read_to_string(&segments[0]).unwrap();
    let keep: String = text.lines().take(3).map(|line| format!("{line}\n")).collect();
    std::fs::write(&segments[0], keep).unwrap();
    daemon.restart();
    assert!(daemon.log().contains("the audit log was changed while the daemon was away"), "{}", daemon.log());
    for _ in 0..2 {
        let answer = daemon.admin().run(["audit", "verify"]);
        assert_eq!(answer.code, Some(13), "{}", answer.stdout);
        assert!(answer.stdout.contains("are missing"), "{}", answer.stdout);
        assert!(daemon.stop(libc::SIGTERM).success());
        daemon.restart();
    }
    let damaged = list(&daemon, "--operation Event.AUDIT_DAMAGED");
    assert_eq!(damaged.len(), 1, "told once: {damaged:?}");
}

#[test]
fn a_killed_daemon_leaves_a_log_that_opens_and_lacks_nothing_that_was_answered() {
    let (daemon, ring, _) = start("");
    for round in 0..3 {
        for number in 0..5 {
            let id = format!("k{round}-{number}");
            daemon.admin().json([
                "keys",
                "create",
                &id,
                "--keyring",
                &ring.name,
                "--purpose",
                "mac",
                "--default-algorithm",
                "hmac-sha256",
            ]);
        }
        daemon.kill();
        daemon.restart();
        assert_eq!(daemon.admin().json(["audit", "verify"])["success"], true);
        let all = list(&daemon, "--operation CreateKey --all");
        let intents = all.iter().filter(|r| r["phase"] == "intent").count();
        let outcomes = all.iter().filter(|r| r.get("intent").is_some()).count();
        assert_eq!(
            (intents, outcomes),
            (5 * (round + 1), 5 * (round + 1)),
            "each has its outcome, if only UNKNOWN"
        );
    }
}

#[test]
fn uses_are_recorded_by_the_rule_of_the_configuration() {
    for (rule, each) in [("sync", true), ("off", false)] {
        let (daemon, ring, app) = start(&format!("[audit]\nuse = \"{rule}\"\n"));
        let session = app.login(&ring);
        let (_, ec) = app.ec(session, curve::P256, &on_token("ec")).unwrap();
        for _ in 0..3 {
            app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), ec).unwrap();
            app.raw.one_shot(Operation::Sign, session, &[7; 32], Room::Bytes(64)).unwrap();
        }
        let found = list(&daemon, "--operation P11.C_Sign");
        assert_eq!(found.len(), if each { 3 } else { 0 }, "{rule}");
    }
    let daemon = Daemon::prepare();
    std::fs::create_dir_all(daemon.directory()).unwrap();
    std::fs::write(daemon.directory().join("clavigerd.toml"), "[audit]\nuse = \"never\"\n").unwrap();
    let refused = daemon.launch(daemon.command()).unwrap_err();
    assert!(refused.contains("batched"), "{refused}");
}
