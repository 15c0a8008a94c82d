//! Backups: made while the daemon serves, sealed for a passphrase or a recipient, restored into another directory.
// DST-16

use std::path::Path;
use std::process::{Command, Output, Stdio};

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;

/// `clavigerd ARGUMENTS --dev DIR`.
fn offline(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(artefacts::clavigerd());
    command.args(arguments).arg("--dev").arg(directory).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn done(directory: &Path, arguments: &[&str]) -> String {
    let output = offline(directory, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = offline(directory, arguments);
    assert_eq!(output.status.code(), Some(78), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn state(daemon: &Daemon, ring: &Ring, key: &str) -> String {
    let version = ["keys", "versions", "describe", "1", "--keyring", &ring.name, "--key", key];
    daemon.admin().json(version)["state"].as_str().unwrap().to_owned()
}

/// A ring whose applications destroy at once, and two AES keys on it with their check values.
fn with_keys(daemon: &Daemon) -> (Ring, [Vec<u8>; 2]) {
    let ring = Ring::create(daemon, &["--p11-destroy", "immediate"]);
    let app = Application::on(daemon);
    let session = app.login(&ring);
    let values = ["kept", "victim"].map(|name| {
        let key = app.aes(session, 32, &on_token(name)).unwrap();
        app.raw.attribute(session, key, A::CHECK_VALUE).unwrap()
    });
    (ring, values)
}

fn check_values(daemon: &Daemon, ring: &Ring) -> Vec<Vec<u8>> {
    let app = Application::on(daemon);
    let session = app.login(ring);
    let keys = app.raw.find(session, &[class(ObjectClass::SECRET_KEY)]).unwrap();
    let mut values: Vec<_> =
        keys.iter().map(|key| app.raw.attribute(session, *key, A::CHECK_VALUE).unwrap()).collect();
    values.sort();
    values
}

#[test]
fn a_backup_is_restored_elsewhere_and_what_was_destroyed_since_stays_destroyed() {
    let daemon = Daemon::start();
    let (ring, values) = with_keys(&daemon);
    let passphrase = daemon.file("passphrase", "correct horse\n");
    let (passphrase, file) = (passphrase.to_str().unwrap(), daemon.root().join("backup"));
    let file = file.to_str().unwrap();
    let create = ["backup", "create", "--file", file, "--passphrase-file", passphrase];
    let made = daemon.admin().json(create);
    assert_eq!(made["materials"], 2, "{made}");
    // It replaces nothing, and sealed for nobody it is no backup.
    assert_eq!(daemon.admin().run(create).code, Some(2));
    let other = daemon.root().join("other");
    let answer = daemon.admin().run(["backup", "create", "--file", other.to_str().unwrap()]);
    assert!(answer.code == Some(2) && !other.exists(), "{}", answer.stderr);

    let listed = || daemon.admin().json(["backup", "list"]);
    assert_eq!((&listed()[0]["state"], &listed()[0]["destroyedSince"]), (&"CURRENT".into(), &0.into()));
    assert_eq!((&listed()[0]["backup"], &listed()[0]["sealedFor"]), (&made["backup"], &"passphrase".into()));

    // Destroyed after the backup, and purged.
    {
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        let victim = app.raw.find(session, &[label("victim")]).unwrap();
        app.raw.destroy_object(session, victim[0]).unwrap();
    }
    assert_eq!(state(&daemon, &ring, "victim"), "DESTROYED");
    assert_eq!(daemon.admin().run(["purge", "--now"]).code, Some(11), "it asks first");
    assert_eq!(daemon.admin().run(["purge", "--yes"]).code, Some(2), "it wants to be told when");
    let purged = daemon.admin().json(["purge", "--now", "--yes"]);
    assert!(purged["purgedMaterials"] == 1 && purged["rewrappedRecords"] == 1, "{purged}");
    // The backup still holds it, and the list says so until its file is said to be gone.
    assert_eq!(listed()[0]["destroyedSince"], 1, "{}", listed());
    let later = daemon.root().join("later");
    let arguments = ["--passphrase-file", passphrase, "--expire-after", "1s"];
    let create = [&["backup", "create", "--file", later.to_str().unwrap()][..], &arguments].concat();
    let later = daemon.admin().json(create)["backup"].as_str().unwrap().to_owned();
    let shown = |id: &str| {
        let listed = listed();
        let found = listed.as_array().unwrap().iter().find(|made| made["backup"] == id).cloned();
        found.map(|made| {
            (made["state"].as_str().unwrap().to_owned(), made["destroyedSince"].as_u64().unwrap())
        })
    };
    while shown(&later) != Some(("EXPIRED".to_owned(), 0)) {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(daemon.admin().json(["backup", "list", "--expired"]).as_array().unwrap().len(), 1);
    daemon.admin().json(["backup", "forget", &later]);
    assert_eq!((shown(&later), listed().as_array().unwrap().len()), (None, 1));
    assert_eq!(daemon.admin().run(["backup", "forget", &later]).code, Some(4));
    let version = ["keys", "versions", "describe", "1", "--keyring", &ring.name, "--key", "victim"];
    assert!(daemon.admin().json(version)["materialPurgedTime"].is_string());
    daemon.stop(libc::SIGTERM);

    let directory = daemon.directory();
    let said = done(&directory, &["backup", "verify", file, "--passphrase-file", passphrase]);
    assert!(said.contains("whole") && said.contains("2 of them with key material"), "{said}");
    let wrong = daemon.file("wrong", "battery staple\n");
    let said = refused(&directory, &["backup", "verify", file, "--passphrase-file", wrong.to_str().unwrap()]);
    assert!(said.contains("passphrase is wrong"), "{said}");

    // Without the list of the old directory everything comes back: with the same PIN, under another root key.
    let restore = ["backup", "restore", file, "--passphrase-file", passphrase];
    let elsewhere = Daemon::prepare();
    assert!(done(&elsewhere.directory(), &restore).contains("restored"));
    assert!(refused(&elsewhere.directory(), &restore).contains("holds a store already"));
    elsewhere.restart();
    let mut expected = values.to_vec();
    expected.sort();
    assert_eq!(check_values(&elsewhere, &ring), expected);
    assert_eq!(elsewhere.admin().json(["store", "verify"])["success"], true);
    let root_keys =
        [&elsewhere, &daemon].map(|daemon| std::fs::read(daemon.directory().join("root.key")).unwrap());
    assert_ne!(root_keys[0], root_keys[1]);

    // With it the victim stays destroyed.
    let tombstones = directory.join("tombstones");
    let elsewhere = Daemon::prepare();
    let mut restore = restore.to_vec();
    restore.extend(["--tombstones", tombstones.to_str().unwrap()]);
    assert!(done(&elsewhere.directory(), &restore).contains("1 destroyed since"));
    elsewhere.restart();
    assert_eq!(check_values(&elsewhere, &ring), [values[0].clone()]);
    assert_eq!(state(&elsewhere, &ring, "victim"), "DESTROYED");
    assert_eq!(state(&elsewhere, &ring, "kept"), "ENABLED");
}

#[test]
fn a_backup_for_a_recipient_opens_with_the_private_key_alone() {
    let daemon = Daemon::start();
    let (ring, values) = with_keys(&daemon);
    let (private, public) = (daemon.root().join("safe.key"), daemon.root().join("safe.pem"));
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    openssl(&["genpkey", "-algorithm", "X25519", "-out", private.to_str().unwrap()]);
    openssl(&["pkey", "-in", private.to_str().unwrap(), "-pubout", "-out", public.to_str().unwrap()]);
    let file = daemon.root().join("backup");
    let file = file.to_str().unwrap();
    daemon.admin().json(["backup", "create", "--file", file, "--recipient-file", public.to_str().unwrap()]);

    let elsewhere = Daemon::prepare();
    let other = daemon.root().join("other.key");
    openssl(&["genpkey", "-algorithm", "X25519", "-out", other.to_str().unwrap()]);
    let restore = |key: &Path| {
        ["backup", "restore", file, "--recipient-key-file"]
            .map(str::to_owned)
            .into_iter()
            .chain([key.to_str().unwrap().to_owned()])
            .collect::<Vec<_>>()
    };
    let line = restore(&other);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    assert!(refused(&elsewhere.directory(), &line).contains("another recipient"));
    let line = restore(&private);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    done(&elsewhere.directory(), &line);
    elsewhere.restart();
    let mut expected = values.to_vec();
    expected.sort();
    assert_eq!(check_values(&elsewhere, &ring), expected);
}
