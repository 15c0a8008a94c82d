//! The store's files as their owner meets them: damaged, rolled back, exported, given up in part.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;

/// The exit code of a store that is not to be trusted (`EX_CONFIG` of sysexits.h).
const EXIT_STORE: i32 = 78;

/// `clavigerd store ARGUMENTS --dev DIR`.
fn store(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(artefacts::clavigerd());
    command.arg("store").args(arguments).arg("--dev").arg(directory).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a store command that has to succeed and returns what it says.
fn done(directory: &Path, arguments: &[&str]) -> String {
    let output = store(directory, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// Runs a store command that has to refuse and returns what it says.
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = store(directory, arguments);
    assert_eq!(output.status.code(), Some(EXIT_STORE), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// A daemon with a ring and an AES key `first`, whose check value is returned.
fn with_a_key() -> (Daemon, Ring, Vec<u8>) {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let check_value = {
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        let key = app.aes(session, 32, &on_token("first")).unwrap();
        app.raw.attribute(session, key, A::CHECK_VALUE).unwrap()
    };
    (daemon, ring, check_value)
}

/// The check value of the one AES key on the ring.
fn check_value(daemon: &Daemon, ring: &Ring) -> Vec<u8> {
    let app = Application::on(daemon);
    let session = app.login(ring);
    let keys = app.raw.find(session, &[class(ObjectClass::SECRET_KEY)]).unwrap();
    assert_eq!(keys.len(), 1);
    app.raw.attribute(session, keys[0], A::CHECK_VALUE).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() && entry.file_name() != "reserve" {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_store_is_verified_while_no_daemon_uses_it() {
    let (daemon, ring, before) = with_a_key();
    let directory = daemon.directory();
    assert!(refused(&directory, &["verify"]).contains("in use"));
    daemon.stop(libc::SIGTERM);
    for arguments in [&["verify"][..], &["verify", "--copy"]] {
        assert!(done(&directory, arguments).contains("the store is whole"));
    }
    daemon.restart();
    assert_eq!(check_value(&daemon, &ring), before);

    let empty = daemon.root().join("empty");
    refused(&empty, &["verify"]);
    assert!(!empty.join("root.key").exists() && !empty.join("store").exists());
}

#[test]
fn a_store_that_lost_a_commit_is_not_served_and_names_what_it_lost() {
    let (daemon, ring, _) = with_a_key();
    daemon.stop(libc::SIGTERM);
    let (directory, old) = (daemon.directory(), daemon.root().join("old"));
    copy(&directory.join("store"), &old);
    daemon.restart();
    {
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        app.aes(session, 32, &on_token("second")).unwrap();
    }
    daemon.kill();
    fs::remove_dir_all(directory.join("store")).unwrap();
    copy(&old, &directory.join("store"));

    let failure = daemon.launch(daemon.command()).unwrap_err();
    assert!(failure.contains("78"), "{failure}");
    let said = refused(&directory, &["verify", "--copy"]);
    for part in ["acknowledged was", "Version/", "Material/", "is missing", "recover --accept-loss"] {
        assert!(said.contains(part) && failure.contains(part), "{part}: {said} {failure}");
    }

    // Without a word about the loss nothing is given up.
    assert_eq!(store(&directory, &["recover"]).status.code(), Some(2));
    assert!(refused(&directory, &["verify", "--copy"]).contains("is missing"));
    assert!(done(&directory, &["recover", "--accept-loss"]).contains("given up"));
    assert!(done(&directory, &["verify"]).contains("whole"));
    daemon.restart();
    check_value(&daemon, &ring);
    // Who gave up what is in the audit log, whose chain goes on.
    let recoveries = daemon.admin().json(["audit", "list", "--operation", "RecoverStore"]);
    assert_eq!(recoveries.as_array().unwrap().len(), 1, "{recoveries}");
    assert_eq!((&recoveries[0]["source"], &recoveries[0]["result"]), (&"offline".into(), &"OK".into()));
    assert!(recoveries[0]["request"]["givenUp"].to_string().contains("is missing"), "{recoveries}");
    assert!(recoveries[0]["principal"]["exe"].as_str().unwrap().ends_with("clavigerd"), "{recoveries}");
    assert_eq!(daemon.admin().json(["audit", "verify"])["success"], true);
}

#[test]
fn a_database_that_is_gone_is_not_begun_anew() {
    let (daemon, ring, before) = with_a_key();
    daemon.stop(libc::SIGTERM);
    let (directory, kept) = (daemon.directory(), daemon.root().join("kept"));
    // The whole of it, its main file alone, and an empty directory in its place.
    for damage in 0..3 {
        copy(&directory.join("store"), &kept);
        match damage {
            0 => fs::remove_dir_all(directory.join("store")).unwrap(),
            1 => fs::remove_file(directory.join("store/db")).unwrap(),
            _ => {
                fs::remove_dir_all(directory.join("store")).unwrap();
                fs::create_dir(directory.join("store")).unwrap();
            }
        }
        for _ in 0..2 {
            // A second try finds no store that the first has made.
            let failure = daemon.launch(daemon.command()).unwrap_err();
            assert!(failure.contains("78") && failure.contains("restore"), "{failure}");
            assert!(failure.contains("Version/") && failure.contains("is missing"), "{failure}");
        }
        let _ = fs::remove_dir_all(directory.join("store"));
        copy(&kept, &directory.join("store"));
        fs::remove_dir_all(&kept).unwrap();
        daemon.restart();
        assert_eq!(check_value(&daemon, &ring), before);
        daemon.stop(libc::SIGTERM);
    }
}

#[test]
fn a_lost_anchor_and_a_cut_database_are_named() {
    let (daemon, ring, before) = with_a_key();
    daemon.stop(libc::SIGTERM);
    let directory = daemon.directory();
    let (anchor, database) = (directory.join("anchor"), directory.join("store/db"));

    let kept = fs::read(&anchor).unwrap();
    fs::remove_file(&anchor).unwrap();
    let failure = daemon.launch(daemon.command()).unwrap_err();
    assert!(failure.contains("78") && failure.contains("/anchor is missing"), "{failure}");
    fs::write(&anchor, vec![7; kept.len()]).unwrap();
    let failure = daemon.launch(daemon.command()).unwrap_err();
    assert!(failure.contains("78") && failure.contains("/anchor is damaged"), "{failure}");
    fs::write(&anchor, kept).unwrap();

    let kept = fs::read(&database).unwrap();
    // sled fills the end of its file with zeros.
    let used = kept.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&database, &kept[..used / 2]).unwrap();
    let failure = daemon.launch(daemon.command()).unwrap_err();
    assert!(failure.contains("78") && failure.contains("not whole"), "{failure}");
    fs::write(&database, kept).unwrap();
    daemon.restart();
    assert_eq!(check_value(&daemon, &ring), before);
}

#[test]
fn an_exported_store_lives_on_elsewhere() {
    let (daemon, ring, before) = with_a_key();
    daemon.stop(libc::SIGTERM);
    let passphrase = daemon.file("passphrase", "correct horse\n");
    let wrong = daemon.file("wrong", "battery staple\n");
    let file = daemon.root().join("export");
    let (file, passphrase) = (file.to_str().unwrap(), passphrase.to_str().unwrap());
    let exported = done(&daemon.directory(), &["export", file, "--passphrase-file", passphrase]);
    assert!(exported.contains("exported"), "{exported}");
    refused(&daemon.directory(), &["export", file, "--passphrase-file", passphrase]);

    let elsewhere = Daemon::prepare();
    let target = elsewhere.directory();
    let said = refused(&target, &["import", file, "--passphrase-file", wrong.to_str().unwrap()]);
    assert!(said.contains("passphrase"), "{said}");
    done(&target, &["import", file, "--passphrase-file", passphrase]);
    assert!(done(&target, &["verify", "--copy"]).contains("whole"));
    refused(&target, &["import", file, "--passphrase-file", passphrase]);
    elsewhere.restart();
    // The same PIN logs in, though the root key is another.
    assert_eq!(check_value(&elsewhere, &ring), before);
    let root_keys =
        [&elsewhere, &daemon].map(|daemon| fs::read(daemon.directory().join("root.key")).unwrap());
    assert_ne!(root_keys[0], root_keys[1]);
    daemon.restart();
    assert_eq!(check_value(&daemon, &ring), before);
}
