//! The root key: under a passphrase, where the daemon starts sealed, and changed while it serves.

use std::fs;
use std::process::Command;

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;

/// Puts the root key of the daemon's store under the passphrase in `file`.
fn keep_under(daemon: &Daemon, file: &std::path::Path) -> std::process::Output {
    let mut command = Command::new(artefacts::clavigerd());
    command.args(["root", "passphrase", "--passphrase-file"]).arg(file).arg("--dev").arg(daemon.directory());
    command.output().unwrap()
}

/// `CKF_SERIAL_SESSION | CKF_RW_SESSION`
const READ_WRITE: u64 = 6;

fn sealed(daemon: &Daemon) -> bool {
    daemon.admin().json(["status"])["sealed"].as_bool().unwrap()
}

#[test]
fn a_sealed_daemon_has_no_token_until_it_gets_its_passphrase() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    {
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        app.aes(session, 32, &on_token("key")).unwrap();
    }
    daemon.stop(libc::SIGTERM);
    let passphrase = daemon.file("passphrase", "correct horse\n");
    let output = keep_under(&daemon, &passphrase);
    assert!(output.status.success(), "{output:?}");
    let again = keep_under(&daemon, &passphrase);
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"), "{again:?}");
    fs::remove_file(daemon.directory().join("root.key")).unwrap();
    fs::write(daemon.directory().join("clavigerd.toml"), "root_key_passphrase = true\n").unwrap();
    daemon.restart();

    assert!(sealed(&daemon));
    let app = Application::on(&daemon);
    assert_eq!(app.raw.slots(true, Some(8)), (Rv::OK, 0, vec![]));
    let (_, _, slots) = app.raw.slots(false, Some(8));
    assert_eq!(slots.len(), 1);
    assert_eq!(app.raw.token_info(slots[0]).err(), Some(Rv::TOKEN_NOT_PRESENT));
    assert_eq!(app.raw.open_session(slots[0], READ_WRITE).err(), Some(Rv::TOKEN_NOT_PRESENT));
    let refused = daemon.admin().run(["keys", "list", "--keyring", &ring.name]);
    assert!(refused.code == Some(10) && refused.stderr.contains("claviger unseal"), "{}", refused.stderr);

    let wrong = daemon.file("wrong", "battery staple\n");
    let answer = daemon.admin().run(["unseal", "--passphrase-file", wrong.to_str().unwrap()]);
    assert!(answer.code == Some(7) && answer.stderr.contains("passphrase is wrong"), "{}", answer.stderr);
    assert_eq!(daemon.admin().run(["unseal"]).code, Some(11), "there is no terminal to ask on");
    assert!(sealed(&daemon));

    daemon.admin().json(["unseal", "--passphrase-file", passphrase.to_str().unwrap()]);
    assert!(!sealed(&daemon));
    let answer = daemon.admin().run(["unseal", "--passphrase-file", passphrase.to_str().unwrap()]);
    assert_eq!(answer.code, Some(7), "{}", answer.stderr);
    // The same application goes on as after a restart.
    let session = app.login(&ring);
    assert_eq!(app.raw.find(session, &[label("key")]).unwrap().len(), 1);

    // Another passphrase from now on, and another root key under it.
    let second = daemon.file("second", "tr0ub4dor\n");
    daemon.admin().json(["root", "rotate", "--yes", "--passphrase-file", second.to_str().unwrap()]);
    daemon.stop(libc::SIGTERM);
    daemon.restart();
    let answer = daemon.admin().run(["unseal", "--passphrase-file", passphrase.to_str().unwrap()]);
    assert_eq!(answer.code, Some(7), "{}", answer.stderr);
    daemon.admin().json(["unseal", "--passphrase-file", second.to_str().unwrap()]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    assert_eq!(app.raw.find(session, &[label("key")]).unwrap().len(), 1);
}

#[test]
fn a_changed_root_key_opens_everything_and_the_old_one_nothing() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    app.aes(session, 32, &on_token("key")).unwrap();
    let file = daemon.directory().join("root.key");
    let old = fs::read(&file).unwrap();
    assert_eq!(daemon.admin().run(["root", "rotate"]).code, Some(11), "it asks first");
    daemon.admin().json(["root", "rotate", "--yes"]);
    let new = fs::read(&file).unwrap();
    assert_ne!(old, new);
    // Sessions go on, and so do logins after a restart: PINs do not depend on the root key.
    app.aes(session, 32, &on_token("other")).unwrap();
    daemon.kill();
    daemon.restart();
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    assert_eq!(app.raw.find(session, &[class(ObjectClass::SECRET_KEY)]).unwrap().len(), 2);

    daemon.stop(libc::SIGTERM);
    fs::write(&file, &old).unwrap();
    let failure = daemon.launch(daemon.command()).unwrap_err();
    assert!(failure.contains("78") && failure.contains("keyring.a"), "{failure}");
    fs::write(&file, new).unwrap();
    daemon.restart();
}
