//! Bad input and bad luck: each gets a clear error and loses nothing. Broken frames are in `frames.rs`, other
//! users in `peer.rs`, kills in `crash.rs`.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use claviger_conformance::admin::{Answer, answer};
use claviger_conformance::prelude::*;
use claviger_conformance::{artefacts, process};
use claviger_protocol::flags::user;

#[test]
fn a_wrong_pin_is_wrong_and_nothing_else_happens() {
    let setup = Setup::new();
    let raw = &setup.app.raw;
    let session = setup.app.open(&setup.ring);
    let right = setup.ring.user_pin.as_bytes();
    let nearly = [&right[..right.len() - 1], b"x"].concat();
    for wrong in [&b"wrong"[..], &nearly, &right[1..], &[right, b"\n"].concat(), &[0xff; 300]] {
        assert_eq!(
            raw.login(session, user::USER, Some(wrong)),
            Err(Rv::PIN_INCORRECT),
            "{} bytes",
            wrong.len()
        );
        assert_eq!(setup.app.aes(session, 16, &[]), Err(Rv::USER_NOT_LOGGED_IN));
    }
    assert_eq!(raw.login(session, user::USER, Some(right)), Ok(()));
}

#[test]
fn without_a_daemon_everything_says_so() {
    let nowhere = Daemon::prepare();
    let mut client = Command::new(artefacts::client());
    client.arg("list").arg(artefacts::module()).env("CLAVIGER_SOCKET", nowhere.pkcs11_socket());
    let said = answer(client);
    // Applications start before the daemon does: no token is no error.
    let expected = "\
C_Initialize: CKR_OK
C_GetSlotList: CKR_OK 0
C_GetInfo: CKR_OK
C_OpenSession: CKR_DEVICE_REMOVED
C_Finalize: CKR_OK
";
    assert_eq!((said.stdout.as_str(), said.code), (expected, Some(0)), "{}", said.stderr);

    let said = nowhere.admin().run(["keyrings", "list"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(10), ""));
    assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    let socket = nowhere.admin_socket().to_string_lossy().into_owned();
    assert!(said.stderr.contains(&socket) && said.stderr.contains("clavigerd"), "{}", said.stderr);

    // A daemon that comes later is found by the application that is there already.
    let app = Application::on(&nowhere);
    assert_eq!(app.raw.slots(true, None), (Rv::OK, 0, vec![]));
    nowhere.restart();
    let ring = Ring::create(&nowhere, &[]);
    let session = app.login(&ring);
    assert!(app.aes(session, 16, &on_token("key")).is_ok());
}

#[test]
fn a_socket_that_is_not_the_daemons_is_refused() {
    let nowhere = Daemon::prepare();
    std::fs::create_dir(nowhere.directory()).unwrap();
    // Somebody who accepts and never answers, and somebody who talks nonsense.
    let listener = std::os::unix::net::UnixListener::bind(nowhere.pkcs11_socket()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::Write;
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let app = Application::on(&nowhere);
    let outcome = app.raw.open_session(0, 6);
    assert!(matches!(outcome, Err(Rv::DEVICE_ERROR | Rv::DEVICE_REMOVED)), "{outcome:?}");
}

/// Runs the daemon until it ends by itself.
fn starts_not(mut command: Command) -> Answer {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process::spawn(command).unwrap();
    let Some(_) = process::wait(&mut child, 20) else {
        let _ = child.kill();
        panic!("the daemon runs and should not");
    };
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_second_daemon_on_the_same_directory_is_refused() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let second = starts_not(daemon.command());
    assert_eq!((second.code, second.stdout.as_str()), (Some(78), ""), "{}", second.stderr);
    assert!(second.stderr.contains("is in use by another process"), "{}", second.stderr);
    // The first one has lost neither its sockets nor anything else.
    assert!(app.aes(session, 16, &on_token("key")).is_ok());
    let other = Application::on(&daemon);
    let theirs = other.login(&ring);
    assert_eq!(other.raw.find(theirs, &[label("key")]).unwrap().len(), 1);
}

#[test]
fn a_directory_or_a_configuration_that_cannot_be_used() {
    let place = Daemon::prepare();
    let clavigerd = |arguments: &[&str]| {
        let mut command = Command::new(artefacts::clavigerd());
        command.args(arguments);
        starts_not(command)
    };
    let file = place.file("a-file", "");
    let file = file.to_str().unwrap();
    let on_file = clavigerd(&["--dev", file]);
    assert_eq!(on_file.code, Some(64), "{}", on_file.stderr);
    assert!(on_file.stderr.contains(file), "{}", on_file.stderr);
    assert_eq!(clavigerd(&["--no-such-option"]).code, Some(2));
    let missing = clavigerd(&["--config", "/nonexistent/clavigerd.toml"]);
    assert_eq!(missing.code, Some(64));
    assert!(missing.stderr.contains("/nonexistent/clavigerd.toml"), "{}", missing.stderr);
    for (content, says) in [("pkcs11_sockt = \"/x\"\n", "pkcs11_sockt"), ("this is no TOML", "line 1")] {
        let config = place.file("wrong.toml", content);
        let wrong = clavigerd(&["--config", config.to_str().unwrap()]);
        assert_eq!(wrong.code, Some(64), "{}", wrong.stderr);
        assert!(wrong.stderr.contains(says), "{}", wrong.stderr);
    }
}

#[test]
fn a_configured_daemon_serves_where_it_is_told() {
    let place = Daemon::prepare();
    let directory = place.directory();
    std::fs::create_dir_all(directory.join("state")).unwrap();
    std::fs::set_permissions(directory.join("state"), PermissionsExt::from_mode(0o700)).unwrap();
    let config = place.file(
        "clavigerd.toml",
        format!(
            "state_directory = {0:?}\npkcs11_socket = {1:?}\nadmin_socket = {2:?}\nroot_key_file = {3:?}\ncreate_root_key = true\n[hardening]\nallow_root = true\n",
            directory.join("state"),
            place.pkcs11_socket(),
            place.admin_socket(),
            directory.join("root.key"),
        ),
    );
    let command = || {
        let mut command = Command::new(artefacts::clavigerd());
        command.arg("--config").arg(&config);
        command
    };
    place.launch(command()).unwrap();
    let ring = Ring::create(&place, &[]);
    let app = Application::on(&place);
    let session = app.login(&ring);
    let key = app.aes(session, 16, &on_token("key")).unwrap();
    place.kill();
    place.launch(command()).unwrap();
    let app = Application::on(&place);
    let session = app.login(&ring);
    assert_eq!(app.raw.attribute(session, key, A::LABEL), Ok(b"key".to_vec()));
}

#[test]
fn a_store_without_its_root_key_is_not_opened_and_not_harmed() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let key = app.aes(session, 16, &on_token("key")).unwrap();
    daemon.kill();
    let path = daemon.directory().join("root.key");
    let root_key = std::fs::read(&path).unwrap();
    assert_eq!(root_key.len(), 32);
    let write = |content: &[u8], mode: u32| {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let mut other = root_key.clone();
    other[7] ^= 1;
    let refused = |what: &str| {
        let outcome = starts_not(daemon.command());
        assert_eq!(outcome.code, Some(78), "{what}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("root key") || outcome.stderr.contains("root.key"),
            "{what}: {}",
            outcome.stderr
        );
    };
    write(&other, 0o600);
    refused("another key");
    write(&root_key[..31], 0o600);
    refused("a short key");
    write(&root_key, 0o644);
    refused("a key that others can read");
    std::fs::remove_file(&path).unwrap();
    refused("no key");
    assert!(!path.exists(), "no new key is made for an old store");
    write(&root_key, 0o600);
    daemon.restart();
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    assert_eq!(app.raw.attribute(session, key, A::LABEL), Ok(b"key".to_vec()));
}

/// Open descriptors and threads of the daemon.
fn resources(daemon: &Daemon) -> (usize, usize) {
    let count = |what| std::fs::read_dir(format!("/proc/{}/{what}", daemon.pid())).unwrap().count();
    (count("fd"), count("task"))
}

#[test]
fn clients_that_die_in_the_middle_leave_nothing_behind() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    app.ec(session, curve::P256, &on_token("key")).unwrap();
    let client = |scenario: &str| {
        let mut command = Command::new(artefacts::client());
        command
            .arg(scenario)
            .arg(artefacts::module())
            .arg(&ring.label)
            .env("CLAVIGER_SOCKET", daemon.pkcs11_socket())
            .env("PIN", &ring.user_pin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    };
    let before = resources(&daemon);
    for _ in 0..20 {
        let output = client("die").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "dying\n");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(libc::SIGKILL));
    }
    let settled = |daemon: &Daemon| {
        (0..300).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            resources(daemon) == before
        })
    };
    assert!(settled(&daemon), "{before:?} descriptors and threads before, {:?} after", resources(&daemon));

    // While one is there its session keeps the token from being initialised anew; once it is dead, no more.
    app.raw.close_all_sessions(app.slot(&ring)).unwrap();
    let mut holder = process::spawn(client("hold")).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "holding\n");
    let init = || app.raw.init_token(app.slot(&ring), ring.so_pin.as_bytes(), &ring.label);
    assert_eq!(init(), Err(Rv::SESSION_EXISTS));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(settled(&daemon), "{before:?} descriptors and threads before, {:?} after", resources(&daemon));
    assert_eq!(init(), Ok(()), "its session was freed");
}

#[test]
fn too_many_connections_are_refused_and_the_others_served() {
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    std::fs::set_permissions(daemon.directory(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(daemon.directory().join("clavigerd.toml"), "max_connections = 8\n").unwrap();
    daemon.restart();
    let socket = daemon.pkcs11_socket();
    let mut held: Vec<_> = (0..8).map(|_| claviger_conformance::wire::Wire::greet(&socket, None).0).collect();
    assert!(claviger_conformance::wire::Wire::connect(&socket).hung_up());
    let slots = claviger_protocol::call::GetSlotList { token_present: true };
    assert!(held.iter_mut().all(|wire| wire.call(&slots).is_ok()));
    held.pop();
    let again = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let mut wire = claviger_conformance::wire::Wire::connect(&socket);
        let hello = claviger_protocol::frame::Hello {
            magic: claviger_protocol::frame::HELLO_MAGIC,
            protocol: claviger_protocol::frame::PROTOCOL_VERSION,
            application: None,
        };
        wire.hello(&hello).is_some()
    });
    assert!(again, "a place that is free again is given again");
}

/// Makes token keys until one is refused; gives those that were made and why no more.
fn fill(app: &Application, session: u64) -> (Vec<u64>, Rv) {
    let mut made = Vec::new();
    for n in 0..20_000 {
        match app.aes(session, 32, &on_token(&format!("key-{n}"))) {
            Ok(key) => made.push(key),
            Err(rv) => return (made, rv),
        }
    }
    panic!("{} keys were made and the disk is not full", made.len());
}

/// After a full disk: every acknowledged key works, before and after a restart with room again. A write that
/// failed half way may have reached the disk: so many refused keys may be there after the restart.
fn nothing_is_lost(daemon: &Daemon, ring: &Ring, made: &[u64], undecided: usize, room_again: impl FnOnce()) {
    let usable = |app: &Application, session: u64| {
        for key in made {
            app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), *key).unwrap();
            let output = app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16));
            assert_eq!(output.rv, Rv::OK);
        }
    };
    assert!(daemon.runs(), "the daemon lives on: {}", daemon.log());
    let keys = |daemon: &Daemon| daemon.admin().json(["keys", "list", "--keyring", &ring.name]);
    assert_eq!(keys(daemon).as_array().unwrap().len(), made.len(), "what was refused is not there");
    room_again();
    daemon.kill();
    daemon.restart();
    let app = Application::on(daemon);
    let session = app.login(ring);
    let found = app.raw.find(session, &[]).unwrap().len();
    assert!((made.len()..=made.len() + undecided).contains(&found), "{found} of {} keys", made.len());
    usable(&app, session);
    assert!(app.aes(session, 32, &on_token("one more")).is_ok());
}

#[test]
fn files_that_may_not_grow_refuse_keys_and_lose_none() {
    let daemon = Daemon::prepare();
    let mut command = daemon.command();
    process::ignore_size_signal(&mut command);
    daemon.launch(command).unwrap();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let (mut made, signer) = (Vec::new(), app.ec(session, curve::P256, &[]).unwrap().1);
    for n in 0..10 {
        made.push(app.aes(session, 32, &on_token(&format!("before-{n}"))).unwrap());
    }
    let largest = std::fs::read_dir(daemon.directory().join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .max()
        .unwrap();
    process::set_file_size_limit(daemon.pid(), Some(largest + (64 << 10)));
    let (more, rv) = fill(&app, session);
    made.extend(more);
    assert_eq!(rv, Rv::DEVICE_MEMORY);
    // Using keys goes on, making them does not, and the admin is told the same in words.
    app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), signer).unwrap();
    assert_eq!(app.raw.one_shot(Operation::Sign, session, &[1; 32], Room::Bytes(64)).rv, Rv::OK);
    assert!(app.aes(session, 32, &on_token("again")).is_err());
    let refused = daemon.admin().run(["keyrings", "create", "more"]);
    assert!(matches!(refused.code, Some(1 | 9)), "{:?} {}", refused.code, refused.stderr);
    assert!(!refused.stderr.is_empty());
    nothing_is_lost(&daemon, &ring, &made, 1, || process::set_file_size_limit(daemon.pid(), None));
}

#[test]
fn a_full_disk_refuses_keys_and_loses_none() {
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    std::fs::set_permissions(daemon.directory(), PermissionsExt::from_mode(0o700)).unwrap();
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(daemon.directory());
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !process::is_root() || !mount("size=160m,mode=700") {
        println!("only root can make a disk of its own; nothing is tested");
        return;
    }
    /// Takes the disk away, whatever happens.
    struct Mounted<'a>(&'a Daemon);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            if self.0.runs() {
                self.0.kill();
            }
            let _ = Command::new("umount").arg("--lazy").arg(self.0.directory()).status();
        }
    }
    let mounted = Mounted(&daemon);
    daemon.restart();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let mut made = vec![app.aes(session, 32, &on_token("first")).unwrap()];
    // All but a little more than the daemon keeps for its restart is somebody else's.
    const KEPT: u64 = 64 << 20;
    let filler = daemon.directory().join("filler");
    let free = answer({
        let mut command = Command::new("df");
        command.args(["--output=avail", "-B1"]).arg(daemon.directory());
        command
    });
    let free: u64 = free.stdout.lines().last().unwrap().trim().parse().unwrap();
    std::fs::write(&filler, vec![0; free.saturating_sub(KEPT + (512 << 10)) as usize]).unwrap();
    let (more, rv) = fill(&app, session);
    made.extend(more);
    assert_eq!(rv, Rv::DEVICE_MEMORY);
    assert!(app.aes(session, 32, &on_token("again")).is_err());
    nothing_is_lost(&daemon, &ring, &made, 0, || std::fs::remove_file(&filler).unwrap());
    drop(mounted);
}
