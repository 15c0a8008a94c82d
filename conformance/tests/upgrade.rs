//! Stores of earlier forms, kept in `golden/`, open and go on: every key, every PIN, every ciphertext.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use claviger_conformance::prelude::*;

/// `CKF_SERIAL_SESSION | CKF_RW_SESSION`
const READ_WRITE: u64 = 6;
const CKU_USER: u64 = 1;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// A copy that only its owner can read, as the original could be read by its owner alone.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// What every golden store holds.
fn check(daemon: &Daemon) {
    let admin = daemon.admin();
    let kept = admin.json([
        "decrypt",
        "--keyring",
        "golden",
        "--key",
        "aes",
        "--ciphertext-file",
        golden("ciphertext").to_str().unwrap(),
    ]);
    assert_eq!(kept["plaintext"], "a2VwdCBzaW5jZSB0aGUgZmlyc3QgcmVsZWFzZQ==", "{kept}");
    let alias = admin.json(["aliases", "list", "--keyring", "golden", "--key", "aes"]);
    assert!(alias.to_string().contains("alias/payroll"), "{alias}");
    let versions = admin.json(["keys", "versions", "list", "--keyring", "golden", "--key", "aes"]);
    assert_eq!(versions.as_array().unwrap().len(), 2);
    let public =
        admin.run(["keys", "versions", "get-public-key", "1", "--keyring", "golden", "--key", "signer"]);
    let pem = fs::read_to_string(golden("signer.pem")).unwrap();
    let line = pem.lines().nth(1).unwrap();
    assert!(public.stdout.contains(line), "{}", public.stdout);
    let gone = admin.json(["keys", "versions", "describe", "1", "--keyring", "golden", "--key", "gone"]);
    let state = gone["state"].as_str().unwrap();
    assert!(["DESTROY_SCHEDULED", "DESTROYED"].contains(&state), "{gone}");

    let app = Application::on(daemon);
    let slot = app.raw.slots(true, Some(8)).2[0];
    let session = app.raw.open_session(slot, READ_WRITE).unwrap();
    app.raw.login(session, CKU_USER, Some(b"user-secret")).unwrap();
    let key = app.raw.find(session, &[label("app")]).unwrap();
    app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key[0]).unwrap();
    assert_eq!(app.raw.one_shot(Operation::Encrypt, session, &[1; 16], Room::Bytes(16)).rv, Rv::OK);
    assert_eq!(admin.json(["store", "verify"])["success"], true);
}

#[test]
fn a_store_of_every_form_opens_and_goes_on() {
    // 1: before there was an anchor, and before the keyring had a base key; 2: with both.
    for form in ["store-1", "store-2"] {
        let daemon = Daemon::prepare();
        copy(&golden(form), &daemon.directory());
        daemon.restart();
        check(&daemon);
        // Its root key can be changed, and what was destroyed be purged, as of any other.
        daemon.admin().json(["root", "rotate", "--yes"]);
        daemon.admin().json(["purge", "--now", "--yes"]);
        daemon.kill();
        daemon.restart();
        check(&daemon);
    }
}

#[test]
fn a_backup_of_every_form_is_restored() {
    let daemon = Daemon::prepare();
    let passphrase = daemon.file("passphrase", "golden\n");
    let mut command = std::process::Command::new(claviger_conformance::artefacts::clavigerd());
    command.args(["backup", "restore"]).arg(golden("backup-1")).arg("--passphrase-file").arg(passphrase);
    let output = command.arg("--dev").arg(daemon.directory()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    daemon.restart();
    check(&daemon);
}
