//! What the daemon does to its own process, and the systemd unit.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use claviger_conformance::admin::answer;
use claviger_conformance::prelude::*;
use claviger_conformance::{artefacts, process};

/// A field of `/proc/PID/status`.
fn status(pid: u32, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(&format!("{field}:"))).unwrap_or_default();
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

/// A configuration file in the place of a daemon that is not started yet.
fn configuration(place: &Daemon, hardening: &str) -> PathBuf {
    let directory = place.directory();
    std::fs::create_dir_all(&directory).unwrap();
    place.file(
        "clavigerd.toml",
        format!(
            "state_directory = {0:?}\npkcs11_socket = {1:?}\nadmin_socket = {2:?}\nroot_key_file = {3:?}\n\
             create_root_key = true\n[hardening]\n{hardening}\n",
            directory,
            place.pkcs11_socket(),
            place.admin_socket(),
            place.root().join("root.key"),
        ),
    )
}

fn configured(config: &Path) -> Command {
    let mut command = Command::new(artefacts::clavigerd());
    command.arg("--config").arg(config);
    command
}

/// Makes a key, signs, encrypts, destroys: what a user of the daemon does.
fn works(daemon: &Daemon) {
    let ring = Ring::create(daemon, &[]);
    let app = Application::on(daemon);
    let session = app.login(&ring);
    let (_, private) = app.ec(session, curve::P256, &on_token("signer")).unwrap();
    app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), private).unwrap();
    assert_eq!(app.raw.one_shot(Operation::Sign, session, &[7; 32], Room::Bytes(64)).rv, Rv::OK);
    app.rsa(session, 2048, &[]).unwrap();
    app.raw.destroy_object(session, private).unwrap();
}

#[test]
fn system_calls_are_filtered_and_memory_is_locked() {
    let daemon = Daemon::start();
    works(&daemon);
    let pid = daemon.pid();
    assert_eq!((status(pid, "Seccomp").as_str(), status(pid, "NoNewPrivs").as_str()), ("2", "1"));
    // The filter is on every thread.
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        // One may have ended since.
        let Ok(status) = std::fs::read_to_string(thread.unwrap().path().join("status")) else { continue };
        assert!(status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"])), "{status}");
    }
    if process::is_root() {
        assert_ne!(status(pid, "VmLck"), "0 kB");
    }
    // Not dumpable: what is in /proc belongs to root, and no one of the same user reads the memory.
    let owner = std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid();
    assert_eq!(owner, 0);
    let log = daemon.log();
    for complaint in ["not filtered", "out of swap", "cannot be locked", "dumpable"] {
        assert!(!log.contains(complaint), "{log}");
    }
}

#[test]
fn more_keys_than_the_memory_for_private_keys_holds_are_used_in_turn() {
    // 16 KiB, of which each of the keys takes 32 bytes once it was used.
    const KEYS: usize = 600;
    let place = Daemon::prepare();
    place.launch(configured(&configuration(&place, "allow_root = true\nsecure_heap_bytes = 16384"))).unwrap();
    let ring = Ring::create(&place, &[]);
    let app = Application::on(&place);
    let session = app.login(&ring);
    let keys: Vec<u64> = std::thread::scope(|scope| {
        let make = || {
            let session = app.open(&ring);
            let key = |_| app.ec(session, curve::P256, &on_token("one of many")).unwrap().1;
            (0..KEYS / 4).map(key).collect::<Vec<_>>()
        };
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(keys.len(), KEYS);
    for _ in 0..2 {
        for key in &keys {
            app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), *key).unwrap();
            assert_eq!(app.raw.one_shot(Operation::Sign, session, &[7; 32], Room::Bytes(64)).rv, Rv::OK);
        }
    }
}

#[test]
fn root_is_refused_without_leave_and_an_unknown_user_too() {
    if !process::is_root() {
        return println!("only root can be refused; nothing is tested");
    }
    let place = Daemon::prepare();
    for (hardening, said) in [
        ("", "refuses to run as root"),
        ("user = \"nobody-of-that-name\"", "there is no user nobody-of-that-name"),
        ("lock_memory = \"maybe\"", "unknown variant `maybe`"),
        ("secure_heap = 1", "unknown field `secure_heap`"),
    ] {
        let answer = answer(configured(&configuration(&place, hardening)));
        assert_eq!(answer.code, Some(64), "{}", answer.stderr);
        assert!(answer.stderr.contains(said), "{}", answer.stderr);
    }
    let answer = answer(configured(&configuration(&place, "allow_root = true\nsecure_heap_bytes = 1000")));
    assert!(answer.stderr.contains("secure_heap_bytes = 1000 must be a power of two"), "{}", answer.stderr);
}

#[test]
fn root_becomes_the_configured_user_for_good() {
    if !process::is_root() {
        return println!("only root can become another user; nothing is tested");
    }
    let place = Daemon::prepare();
    std::fs::set_permissions(place.root(), PermissionsExt::from_mode(0o711)).unwrap();
    let config = configuration(&place, "user = \"nobody\"");
    place.launch(configured(&config)).unwrap();
    let pid = place.pid();
    let nobody = "65534 65534 65534 65534";
    assert_eq!((status(pid, "Uid").as_str(), status(pid, "Gid").as_str()), (nobody, nobody));
    assert_eq!(status(pid, "CapEff"), "0000000000000000");
    assert_eq!(std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0, "not dumpable again");
    assert_eq!(std::fs::metadata(place.root().join("root.key")).unwrap().uid(), 0, "read before, and kept");
    works(&place);
    place.kill();
    place.launch(configured(&config)).unwrap();
}

#[test]
fn memory_that_must_be_locked_and_cannot_be_stops_the_start() {
    if !process::is_root() {
        return println!("only root can become another user; nothing is tested");
    }
    let place = Daemon::prepare();
    std::fs::set_permissions(place.root(), PermissionsExt::from_mode(0o777)).unwrap();
    let program = place.root().join("clavigerd");
    std::fs::copy(artefacts::clavigerd(), &program).unwrap();
    let start = |lock_memory: &str| {
        let config = configuration(&place, &format!("lock_memory = {lock_memory:?}"));
        std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).unwrap();
        for path in [place.directory(), place.root().to_owned()] {
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", "sh", "-c"]);
        command.arg("ulimit -l 0; exec \"$0\" --config \"$1\"").arg(&program).arg(config);
        command
    };
    let refused = answer(start("require"));
    assert_eq!(refused.code, Some(71), "{}", refused.stderr);
    assert!(refused.stderr.contains("LimitMEMLOCK="), "{}", refused.stderr);
    place.launch(start("try")).unwrap();
    assert!(place.log().contains("memory cannot be kept out of swap"), "{}", place.log());
}

/// Only where a program of systemd's is installed.
fn installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        println!("{program} is not installed (Debian: systemd); nothing is tested");
    }
    found
}

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

#[test]
fn systemd_finds_the_unit_safe() {
    if !installed("systemd-analyze") {
        return;
    }
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", "--threshold=5"]);
    let said = answer({
        command.arg(units().join("clavigerd.service"));
        command
    });
    let score = said.stdout.lines().find(|line| line.contains("Overall exposure level"));
    println!("{}", score.unwrap_or_default().trim());
    let score: f64 = score
        .and_then(|line| line.split_whitespace().find_map(|word| word.parse().ok()))
        .unwrap_or_else(|| panic!("no score: {} {}", said.stdout, said.stderr));
    assert!(score <= 0.5, "{}", said.stdout);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

#[test]
fn sockets_that_are_passed_are_served() {
    if !installed("systemd-socket-activate") {
        return;
    }
    let place = Daemon::prepare();
    std::fs::create_dir_all(place.directory()).unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--fdname=pkcs11:admin", "-l"]).arg(place.pkcs11_socket());
    command.arg("-l").arg(place.admin_socket());
    command.arg(artefacts::clavigerd()).arg("--dev").arg(place.directory());
    // It starts the daemon at the first connection.
    let socket = place.pkcs11_socket();
    let knock = std::thread::spawn(move || {
        for _ in 0..600 {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    place.launch(command).unwrap();
    knock.join().unwrap();
    works(&place);
}

#[test]
fn threads_of_the_store_wake_no_sleeping_processor() {
    if !process::is_root() {
        println!("skipped: the slack of another process's timers is root's to read");
        return;
    }
    let daemon = Daemon::start();
    Ring::create(&daemon, &[]);
    // In a new store they start with the first write, in one that is there when it is opened.
    for _ in 0..2 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
        let mut slacks = Vec::new();
        for task in tasks.map(|task| task.unwrap()) {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap();
            if name.starts_with("sled-io") {
                let slack = format!("/proc/{}/timerslack_ns", task.file_name().to_string_lossy());
                slacks.push(std::fs::read_to_string(slack).unwrap().trim().parse::<u64>().unwrap());
            }
        }
        assert!(!slacks.is_empty(), "sled has no threads");
        assert!(slacks.iter().all(|slack| *slack >= 3_600_000_000_000), "nanoseconds: {slacks:?}");
        daemon.stop(libc::SIGTERM);
        daemon.restart();
    }
}
