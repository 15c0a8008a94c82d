//! Many keys: lists in constant memory, and a schedule that is carried out beside signers. Sizes by
//! `CLAVIGER_LOAD_KEYS` (10,000; 100,000 in `make soak`) and `CLAVIGER_LOAD_DUE` (2,000; 10,000). What it takes is
//! printed; judged is only that nothing fails and that memory does not grow with the list.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;

fn size(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A field of a process's status, in KiB: `VmRSS`, `VmHWM`.
fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A daemon on a store that was filled.
fn filled(prefix: &str, count: usize, when: Option<&str>) -> (Daemon, Ring) {
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &[]);
    assert!(daemon.stop(libc::SIGTERM).success());
    let mut fill = Command::new(artefacts::clavigerd_testing());
    fill.arg("fill").arg(daemon.directory()).args([&ring.name, prefix, &count.to_string()]).args(when);
    let started = Instant::now();
    assert!(fill.status().unwrap().success());
    println!("{count} keys put into the store in {:?}", started.elapsed());
    (daemon, ring)
}

#[test]
fn a_long_list_is_paged_in_constant_memory() {
    // RES-10
    let count = size("CLAVIGER_LOAD_KEYS", 10_000);
    let (daemon, ring) = filled("k", count, None);
    let started = Instant::now();
    daemon.restart();
    println!("started in {:?}", started.elapsed());
    let before = memory(daemon.pid(), "VmRSS").unwrap();
    for words in ["--format value(name)", "--format json", "", "--filter keyState=DISABLED"] {
        let mut command = daemon.admin().command();
        command.args(["keys", "list", "--keyring", &ring.name]).args(words.split_whitespace());
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (pid, stop) = (child.id(), AtomicBool::new(false));
        let (lines, peak) = std::thread::scope(|scope| {
            let peak = scope.spawn(|| {
                let mut peak = 0;
                while !stop.load(Ordering::Relaxed) {
                    peak = memory(pid, "VmHWM").unwrap_or(0).max(peak);
                    std::thread::sleep(Duration::from_millis(5));
                }
                peak
            });
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().count();
            stop.store(true, Ordering::Relaxed);
            (lines, peak.join().unwrap())
        });
        assert!(child.wait().unwrap().success(), "{words}");
        let grown = memory(daemon.pid(), "VmHWM").unwrap().saturating_sub(before);
        println!(
            "{count} keys, keys list {words}: {lines} lines in {:?}; CLI peak {peak} KiB, daemon {before} KiB and {grown} KiB more",
            started.elapsed()
        );
        if words.starts_with("--format value") {
            assert_eq!(lines, count);
        }
        if words.is_empty() {
            // The order by creation, which people get, has to look at all of them.
            continue;
        }
        assert!(peak < 64 << 10, "the CLI took {peak} KiB");
    }
}

#[test]
fn a_schedule_of_thousands_is_carried_out_beside_signers() {
    let count = size("CLAVIGER_LOAD_DUE", 2_000);
    let (daemon, ring) = filled("due", count, Some("20d"));
    let clock = daemon.file("clock", "0s");
    let mut command = Command::new(artefacts::clavigerd_testing());
    command.arg("--dev").arg(daemon.directory()).env("CLAVIGER_TEST_CLOCK", &clock);
    daemon.launch(command).unwrap();
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let (_, key) = app.ec(session, curve::P256, &on_token("signer")).unwrap();
    let sign = || {
        let started = Instant::now();
        app.raw.start(Operation::Sign, session, Some(&M::ECDSA.into()), key).unwrap();
        app.raw.one_shot(Operation::Sign, session, &[7; 32], Room::Bytes(64)).unwrap();
        started.elapsed()
    };
    let mut before: Vec<Duration> = (0..2000).map(|_| sign()).collect();
    let done = AtomicBool::new(false);
    let mut during = Vec::new();
    let whole = std::thread::scope(|scope| {
        let batch = scope.spawn(|| {
            let started = Instant::now();
            std::fs::write(&clock, "30d").unwrap();
            daemon.admin().json(["clock", "accept", "--yes"]);
            done.store(true, Ordering::Release);
            started.elapsed()
        });
        while !done.load(Ordering::Acquire) {
            during.push(sign());
        }
        batch.join().unwrap()
    });
    let status = daemon.admin().json(["status"]);
    assert_eq!(status["versions"]["DESTROYED"], count, "{status}");
    assert_eq!(status["events"]["DESTROYED"], count);
    before.sort();
    during.sort();
    let at = |times: &[Duration], part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    let longest = *during.last().unwrap();
    println!(
        "{count} versions destroyed in {whole:?}; signatures before: median {:?}, p99 {:?}; during: {} of them, median {:?}, p99 {:?}, longest {longest:?}",
        at(&before, 50),
        at(&before, 99),
        during.len(),
        at(&during, 50),
        at(&during, 99),
    );
    assert!(during.len() > 1 && longest < whole, "a signature waited for all of it");
    assert_eq!(daemon.admin().json(["audit", "verify"])["success"], true);
}
