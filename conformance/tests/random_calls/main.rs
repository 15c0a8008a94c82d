//! Random calls over the C ABI: valid pointers, and handles, lengths, templates, mechanisms and parameters that are
//! good, nearly good or nonsense. This process and the daemon live on, and what the daemon used it gives back.
//!
//! `CLAVIGER_RANDOM_CALLS` says how many (`make soak`: a million), `CLAVIGER_RANDOM_SEED` which: the seed is
//! printed, and the same seed makes the same choices.

mod calls;
mod choice;
mod pool;

use std::time::{Duration, Instant};

use calls::Caller;
use choice::Choice;
use claviger_conformance::prelude::*;
use claviger_conformance::process;

/// How many calls `make test` makes: less than a minute of one core.
const CALLS: u64 = 200_000;
/// Part of them made before the first look at the daemon's memory, so that its tables, caches and arenas are as
/// large as these calls make them.
const WARM_UP: u64 = 10;
/// What the daemon may keep, in bytes. glibc gives freed memory back only from the top of an arena, and there is an
/// arena per connection thread; sled caches the pages of the few token objects. A leak of one object per hundred
/// calls would be ten times as much.
const MARGIN: u64 = 12 << 20;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(otherwise, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// What the daemon holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// Resident memory in bytes.
    memory: u64,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn by(daemon: &Daemon) -> Held {
        let process = format!("/proc/{}", daemon.pid());
        let status = std::fs::read_to_string(format!("{process}/status")).expect("the daemon lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        let count = |what| std::fs::read_dir(format!("{process}/{what}")).expect("the daemon lives").count();
        Held { memory: kilobytes << 10, descriptors: count("fd"), threads: count("task") }
    }

    /// Once the daemon has seen that all applications are gone.
    fn settled(daemon: &Daemon, as_many: Option<Held>) -> Held {
        for _ in 0..500 {
            let held = Held::by(daemon);
            let same =
                |before: Held| (before.descriptors, before.threads) == (held.descriptors, held.threads);
            if as_many.is_some_and(same) {
                return held;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Held::by(daemon)
    }
}

/// So many random calls by two applications that end afterwards; gives in how many steps, and how many of those
/// succeeded.
fn run(daemon: &Daemon, ring: &Ring, seed: u64, count: u64) -> (u64, u64) {
    let mut caller = Caller::new(daemon, ring, Choice::new(seed));
    let mut steps = 0;
    while caller.made() < count {
        caller.step();
        steps += 1;
    }
    (steps, caller.end())
}

#[test]
fn random_calls_neither_crash_nor_leak() {
    let (seed, count) = (setting("CLAVIGER_RANDOM_SEED", 1), setting("CLAVIGER_RANDOM_CALLS", CALLS));
    println!("CLAVIGER_RANDOM_SEED={seed} CLAVIGER_RANDOM_CALLS={count}");
    let daemon = Daemon::start();
    let ring = Ring::create(&daemon, &["--profile", "legacy"]);
    let began = Instant::now();
    let fresh = Held::by(&daemon);
    run(&daemon, &ring, seed, count / WARM_UP);
    let before = Held::settled(&daemon, Some(fresh));
    let (steps, succeeded) = run(&daemon, &ring, seed + 1, count);
    let after = Held::settled(&daemon, Some(before));
    println!(
        "{count} calls in {:.0} s, {:.0} s of the daemon's processor time and {:.0} s of ours; {succeeded} of {steps} steps succeeded; the \
         daemon: {before:?} before, {after:?} after",
        began.elapsed().as_secs_f64(),
        process::processor_seconds(daemon.pid()),
        process::processor_seconds(std::process::id()),
    );
    assert!(daemon.runs(), "the daemon died:\n{}", daemon.log());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    assert!(after.descriptors <= before.descriptors, "descriptors come back");
    assert!(after.threads <= before.threads, "threads come back");
    assert!(
        after.memory <= before.memory + MARGIN,
        "{} KiB more memory than before",
        (after.memory - before.memory) >> 10
    );
    assert!(
        succeeded > count / 10,
        "only {succeeded} calls succeeded: the choices are too wild to mean much"
    );

    // Nothing is left, and everything still works.
    let app = Application::on(&daemon);
    let slot = app.slot(&ring);
    let info = app.raw.token_info(slot).unwrap();
    assert_eq!((info.ulSessionCount, info.ulRwSessionCount), (0, 0));
    let session = app.login(&ring);
    assert_eq!(app.raw.find(session, &[]), Ok(vec![]), "no object is left");
    let key = app.aes(session, 32, &on_token("key")).unwrap();
    app.raw.start(Operation::Encrypt, session, Some(&M::AES_ECB.into()), key).unwrap();
    assert_eq!(app.raw.one_shot(Operation::Encrypt, session, &[0; 16], Room::Bytes(16)).rv, Rv::OK);
    assert_eq!(daemon.admin().json(["keyrings", "list"]).as_array().map(Vec::len), Some(1));
}
