//! Who may talk to the daemon, and what it keeps to itself.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use claviger_conformance::admin::answer;
use claviger_conformance::prelude::*;
use claviger_conformance::{artefacts, process};

/// Everything below a directory.
fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn nothing_of_a_dev_directory_is_open_to_others() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    app.aes(session, 32, &on_token("key")).unwrap();
    let found = walk(&daemon.directory());
    assert!(found.len() > 4, "{found:?}");
    for path in found {
        let mode = path.symlink_metadata().unwrap().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:03o}", path.display());
    }
}

#[test]
fn another_user_gets_permission_denied() {
    if !process::is_root() {
        println!("only root can become another user; nothing is tested");
        return;
    }
    let setup = Setup::new();
    // The way to the sockets and the programs is open; the sockets are not.
    for directory in [setup.daemon.root().to_owned(), setup.daemon.directory()] {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o711)).unwrap();
    }
    let programs = setup.daemon.root().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let copy = |from: &Path| {
        let to = programs.join(from.file_name().unwrap());
        std::fs::copy(from, &to).unwrap();
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o755)).unwrap();
        to
    };
    std::fs::set_permissions(&programs, PermissionsExt::from_mode(0o755)).unwrap();
    let (client, module, claviger) =
        (copy(&artefacts::client()), copy(&artefacts::module()), copy(&artefacts::claviger()));
    let nobody = |program: &Path| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(program)
            .current_dir("/");
        command
    };
    let mut command = nobody(&client);
    command.arg("list").arg(&module).env("CLAVIGER_SOCKET", setup.daemon.pkcs11_socket());
    let said = answer(command);
    let expected = "C_Initialize: CKR_OK\nC_GetSlotList: CKR_OK 0\nC_GetInfo: CKR_OK\nC_OpenSession: CKR_DEVICE_REMOVED\nC_Finalize: CKR_OK\n";
    assert_eq!((said.stdout.as_str(), said.code), (expected, Some(0)), "{}", said.stderr);

    let mut command = nobody(&claviger);
    command.arg("--socket").arg(setup.daemon.admin_socket()).args(["keyrings", "list"]);
    let said = answer(command);
    assert_eq!(said.code, Some(6), "{}", said.stderr);
    assert!(said.stderr.contains("permission denied"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
}

#[test]
fn the_log_names_who_administers_and_never_a_pin() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    assert_eq!(app.raw.set_pin(session, ring.user_pin.as_bytes(), b"another-pin"), Ok(()));
    let other = Application::on(&daemon);
    let session = other.open(&ring);
    assert_eq!(other.raw.login(session, 1, Some(b"a-wrong-guess")), Err(Rv::PIN_INCORRECT));
    let uid = daemon.root().metadata().unwrap().uid();
    let log = daemon.log();
    assert!(!log.contains('\x1b'), "no colours in a log that is no terminal");
    let line = log.lines().find(|line| line.contains("keyrings create")).expect("the verb is logged");
    assert!(line.contains(&format!("uid={uid}")), "{line}");
    assert!(log.contains("the PIN is wrong"), "{log}");
    for secret in [&ring.user_pin, &ring.so_pin, "another-pin", "a-wrong-guess"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn no_secret_lies_on_the_disk_in_the_clear() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let value = b"thirty-two bytes nobody else has";
    let mut template = secret_key(KeyType::GENERIC_SECRET, value, &[A::SIGN]);
    template.extend(on_token("secret"));
    app.raw.create_object(session, &template).unwrap();
    let data =
        [class(ObjectClass::DATA), token(true), bytes(A::VALUE, "a private note"), flag(A::PRIVATE, true)];
    app.raw.create_object(session, &data).unwrap();
    daemon.stop(libc::SIGTERM);
    let secrets: [&[u8]; 4] = [value, b"a private note", ring.user_pin.as_bytes(), ring.so_pin.as_bytes()];
    for path in walk(&daemon.directory()).into_iter().filter(|path| path.is_file()) {
        let content = std::fs::read(&path).unwrap();
        for secret in secrets {
            let found = content.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} holds {:?}", path.display(), String::from_utf8_lossy(secret));
        }
    }
}

#[test]
fn the_daemon_dumps_no_core() {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon().pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<_> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
}

#[test]
fn the_module_loads_no_crypto_and_starts_no_thread() {
    let output = Command::new("ldd").arg(artefacts::module()).output().unwrap();
    let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
    for forbidden in ["libcrypto", "libssl"] {
        assert!(!libraries.contains(forbidden), "{libraries}");
    }
    // Other tests start threads in this process, so look at another.
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    setup.app.ec(session, curve::P256, &on_token("key")).unwrap();
    let mut child = Command::new(artefacts::client())
        .arg("hold")
        .arg(artefacts::module())
        .arg(&setup.ring.label)
        .env("CLAVIGER_SOCKET", setup.daemon.pkcs11_socket())
        .env("PIN", &setup.ring.user_pin)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "holding\n");
    assert_eq!(std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().count(), 1);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    assert!(maps.contains("libclaviger_pkcs11.so"));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
