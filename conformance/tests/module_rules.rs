//! The module is a guest in its application's process: it starts no thread, registers nothing to run at exit or at a fork,
//! leaves signals alone, survives being interrupted, believes no environment that is not to be trusted, never waits for ever,
//! and goes without a trace. Forks are in `fork.rs`, restarts of the daemon in `restart.rs`, threads in `threads.rs`.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use claviger_conformance::application::initialize;
use claviger_conformance::prelude::*;
use claviger_conformance::{artefacts, process};

#[test]
fn it_asks_the_c_library_for_no_thread_no_handler_and_no_signal() {
    let output =
        Command::new("nm").args(["-D", "--undefined-only"]).arg(artefacts::module()).output().unwrap();
    let symbols = String::from_utf8(output.stdout).unwrap();
    let imported: Vec<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(|symbol| symbol.split('@').next().unwrap_or_default())
        .collect();
    assert!(imported.contains(&"connect") && imported.contains(&"recvmsg"), "{imported:?}");
    for forbidden in [
        "pthread_create",
        "pthread_atfork",
        "__register_atfork",
        "atexit",
        "on_exit",
        "at_quick_exit",
        "fork",
        "clone",
        "signal",
        "sigaction",
        "sigprocmask",
        "pthread_sigmask",
        "abort_handler_s",
        "setenv",
        "chdir",
        "umask",
    ] {
        assert!(!imported.contains(&forbidden), "{forbidden}");
    }
}

/// What a process does about signals: blocked, ignored, caught.
fn signals() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status
        .lines()
        .filter(|line| line.starts_with("Sig") && !line.starts_with("SigQ"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn calls_go_on_when_signals_interrupt_them() {
    let setup = Setup::new();
    let before = signals();
    let session = setup.app.login(&setup.ring);
    let key = setup.app.aes(session, 16, &[]).unwrap();
    let long = vec![7; 1 << 20];
    let interruptions = process::interrupted(|| {
        for _ in 0..20 {
            // One that waits long for its answer, one whose frame takes many writes and reads, many short ones.
            setup.app.rsa(session, 2048, &[]).unwrap();
            let raw = &setup.app.raw;
            raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
            let output = raw.one_shot(Operation::Encrypt, session, &long, Room::Bytes(long.len()));
            assert_eq!((output.rv, output.data.len()), (Rv::OK, long.len()));
            for _ in 0..50 {
                raw.generate_random(session, 32).unwrap();
            }
            // A new connection too.
            let other = Application::on(setup.daemon);
            other.open(&setup.ring);
        }
    });
    println!("{interruptions} signals while the module worked");
    assert!(interruptions > 100);
    let after = signals();
    assert_eq!(before, after, "the application's signals are its own");
}

#[test]
fn a_process_with_more_rights_than_its_user_does_not_go_by_the_environment() {
    if !process::is_root() {
        return println!("only root can make a program that changes its user; nothing is tested");
    }
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    std::fs::write(daemon.directory().join("clavigerd.toml"), "pkcs11_socket_mode = 0o666\n").unwrap();
    daemon.restart();
    for directory in [daemon.root().to_owned(), daemon.directory()] {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o711)).unwrap();
    }
    let (client, module) = (daemon.root().join("client"), daemon.root().join("module.so"));
    std::fs::copy(artefacts::client(), &client).unwrap();
    std::fs::copy(artefacts::module(), &module).unwrap();
    std::fs::set_permissions(&module, PermissionsExt::from_mode(0o644)).unwrap();
    let log = daemon.root().join("log");
    let slots = |mode: u32| {
        std::fs::set_permissions(&client, PermissionsExt::from_mode(mode)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=12345", "--regid=12345", "--clear-groups", "--"]).arg(&client).arg("list");
        command.arg(&module).env("CLAVIGER_SOCKET", daemon.pkcs11_socket()).env("CLAVIGER_MODULE_LOG", &log);
        let output = command.current_dir("/").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.starts_with("C_GetSlotList: ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)))
    };
    assert_eq!(slots(0o755), "C_GetSlotList: CKR_OK 1", "the free slot of the daemon that is named");
    // Set-user-ID: the daemon that the environment names may be anybody's. Not even a log is begun where it says.
    assert_eq!(slots(0o4755), "C_GetSlotList: CKR_OK 0");
    assert!(!log.exists());
}

#[test]
fn a_daemon_that_does_not_answer_is_given_up() {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let late = Application::load(daemon.root());
    // Enough calls for the connection to have a mailbox.
    (0..30).for_each(|_| drop(app.raw.generate_random(session, 32).unwrap()));
    daemon.pause();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        // In a connection, and on the way into one.
        let answered = scope.spawn(|| app.raw.generate_random(session, 32).err());
        let joined = scope.spawn(|| {
            let rv = initialize(&late.raw, &daemon.pkcs11_socket(), Arguments::Flags(2));
            (rv, late.raw.slots(true, None).0, late.raw.open_session(0, 6).err())
        });
        let (initialized, listed, opened) = joined.join().unwrap();
        assert_eq!((initialized, listed), (Ok(()), Rv::OK), "as if there were no daemon");
        assert!(matches!(opened, Some(Rv::DEVICE_ERROR | Rv::DEVICE_REMOVED)), "{opened:?}");
        assert_eq!(answered.join().unwrap(), Some(Rv::DEVICE_ERROR));
    });
    println!("given up after {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(100));
    daemon.proceed();
    app.raw.generate_random(session, 32).unwrap();
    late.open(&ring);
}

#[test]
fn it_comes_and_goes_many_times_and_leaves_nothing() {
    let daemon = daemon();
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let sockets = || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.filter(|fd| {
            std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket"))
        })
        .count()
    };
    // Other tests of this process open sockets too, but not hundreds.
    let (before, threads) = (sockets(), count("task"));
    for round in 0..300 {
        let app = Application::on(daemon);
        assert_eq!(app.raw.slots(true, None).0, Rv::OK);
        if round % 3 == 0 {
            // Unloaded with a conversation open, whose descriptor is closed all the same when it is asked to end.
            app.raw.open_session(0, 6).err();
        }
    }
    let (after, threads_after) = (sockets(), count("task"));
    println!("300 times: sockets {before} then {after}, threads {threads} then {threads_after}");
    assert!(after < before + 100 && threads_after < threads + 100);
}
