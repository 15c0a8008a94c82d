//! Hostile clients beside an honest one: dribbled frames, sessions and handles to exhaustion, frames that are too
//! long. The honest one works all the time, and what the hostile ones took comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claviger_conformance::prelude::*;
use claviger_conformance::wire::Wire;

/// How long the daemon may take to give back what a client left; generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory that a daemon may keep more than at first, in KiB: heaps of threads that the allocator reuses.
const KEPT_KIB: u64 = 64 << 10;
const DRIBBLERS: usize = 500;
/// Between two bytes of all dribbling connections together.
const DRIBBLE_PAUSE: Duration = Duration::from_millis(1);
/// Signatures of the honest client that are timed.
const SIGNATURES: usize = 3000;

fn descriptors(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

fn threads(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count()
}

fn resident_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

struct Honest {
    app: Application,
    session: u64,
    key: u64,
}

impl Honest {
    fn new(daemon: &Daemon) -> Honest {
        let ring = Ring::create(daemon, &[]);
        let app = Application::on(daemon);
        let session = app.login(&ring);
        let (_, key) = app.ec(session, curve::P256, &on_token("honest")).unwrap();
        Honest { app, session, key }
    }

    /// Signs some times.
    #[track_caller]
    fn works(&self) {
        self.signs(200);
    }

    /// Signs so many times; gives the 99th percentile of the time that it took, which is only shown.
    #[track_caller]
    fn signs(&self, times: usize) -> Duration {
        let mut times: Vec<Duration> = (0..times)
            .map(|_| {
                let begin = Instant::now();
                let raw = &self.app.raw;
                raw.start(Operation::Sign, self.session, Some(&M::ECDSA.into()), self.key).unwrap();
                let signed = raw.one_shot(Operation::Sign, self.session, &[7; 32], Room::Bytes(64));
                assert_eq!(signed.rv, Rv::OK);
                begin.elapsed()
            })
            .collect();
        times.sort();
        times[times.len() * 99 / 100]
    }
}

/// A daemon that lets one user have many connections.
fn roomy() -> Daemon {
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    let config = "max_connections_per_uid = 900\n";
    std::fs::write(daemon.directory().join("clavigerd.toml"), config).unwrap();
    daemon.restart();
    daemon
}

#[track_caller]
fn comes_back(daemon: &Daemon, (fds, tasks, kib): (usize, usize, u64)) {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = (descriptors(daemon), threads(daemon), resident_kib(daemon));
        if now.0 <= fds && now.1 <= tasks && now.2 <= kib + KEPT_KIB {
            return println!(
                "descriptors {fds} then {}, threads {tasks} then {}, KiB {kib} then {}",
                now.0, now.1, now.2
            );
        }
        assert!(Instant::now() < end, "{now:?} does not come back to {:?}", (fds, tasks, kib));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn used(daemon: &Daemon) -> (usize, usize, u64) {
    (descriptors(daemon), threads(daemon), resident_kib(daemon))
}

#[test]
fn dribbling_connections_hold_nobody_up() {
    let daemon = roomy();
    let honest = Honest::new(&daemon);
    honest.works();
    let (before, idle) = (used(&daemon), honest.signs(SIGNATURES));
    // Half a greeting, or half a request after one.
    let mut dribblers: Vec<Wire> = (0..DRIBBLERS)
        .map(|i| match i % 2 {
            0 => Wire::connect(&daemon.pkcs11_socket()),
            _ => Wire::greet(&daemon.pkcs11_socket(), None).0,
        })
        .collect();
    // One byte after the other, each on its connection, as long as the honest one works; no frame gets whole.
    let done = AtomicBool::new(false);
    let (beside, sent) = std::thread::scope(|scope| {
        let dribble = scope.spawn(|| {
            let mut sent = 0usize;
            while !done.load(Ordering::Acquire) {
                let byte = [64u8, 0, 0, 0][(sent / DRIBBLERS).min(3)];
                if sent < 40 * DRIBBLERS {
                    dribblers[sent % DRIBBLERS].send_unframed(&[byte]);
                    sent += 1;
                }
                std::thread::sleep(DRIBBLE_PAUSE);
            }
            sent
        });
        let beside = honest.signs(SIGNATURES);
        done.store(true, Ordering::Release);
        (beside, dribble.join().unwrap())
    });
    assert!(descriptors(&daemon) > before.0 + DRIBBLERS, "they are all in");
    // And all at once.
    dribblers.iter_mut().for_each(|wire| wire.send_unframed(&[0]));
    let burst = honest.signs(200);
    let ratio = |other: Duration| other.as_secs_f64() / idle.as_secs_f64();
    println!(
        "{DRIBBLERS} dribbling connections, {sent} bytes: p99 of {SIGNATURES} honest signatures {idle:?} alone, {beside:?} beside \
         them, ratio {:.2}; of 200 while all of them send at once {burst:?}, ratio {:.2}",
        ratio(beside),
        ratio(burst)
    );
    // The daemon hangs up on those who do not finish.
    let hung_up = dribblers.iter_mut().filter_map(|wire| wire.hung_up().then_some(())).count();
    assert_eq!(hung_up, DRIBBLERS);
    honest.works();
    comes_back(&daemon, before);
}

#[test]
fn sessions_and_objects_end_and_come_back() {
    let daemon = roomy();
    let honest = Honest::new(&daemon);
    honest.works();
    let ring = Ring::create(&daemon, &[]);
    let before = used(&daemon);
    {
        let hostile = Application::on(&daemon);
        let slot = hostile.slot(&ring);
        let session = hostile.login(&ring);
        let mut sessions = 1;
        let end = loop {
            match hostile.raw.open_session(slot, 4) {
                Ok(_) => sessions += 1,
                Err(rv) => break rv,
            }
            assert!(sessions <= 100_000, "sessions without end");
        };
        assert_eq!(end, Rv::SESSION_COUNT);
        honest.works();
        let mut objects = 0;
        let end = loop {
            let data = [class(ObjectClass::DATA), bytes(A::VALUE, [7; 16])];
            match hostile.raw.create_object(session, &data) {
                Ok(_) => objects += 1,
                Err(rv) => break rv,
            }
            assert!(objects <= 100_000, "objects without end");
        };
        assert_eq!(end, Rv::DEVICE_MEMORY);
        honest.works();
        println!("one application: {sessions} sessions, {objects} session objects");
    }
    // Many applications of one user are no way around that.
    let mut crowd = Vec::new();
    let mut sessions = 0;
    let end = 'crowd: loop {
        let hostile = Application::on(&daemon);
        let slot = hostile.slot(&ring);
        loop {
            match hostile.raw.open_session(slot, 4) {
                Ok(_) => sessions += 1,
                Err(rv) if crowd.len() >= 8 => break 'crowd rv,
                Err(_) => break,
            }
        }
        crowd.push(hostile);
    };
    assert_eq!(end, Rv::SESSION_COUNT);
    println!("{} applications of one user: {sessions} sessions", crowd.len() + 1);
    assert!(sessions <= 16_384, "the limit of a user");
    honest.works();
    drop(crowd);
    comes_back(&daemon, before);
}

#[test]
fn frames_that_are_too_long_cost_nothing() {
    let daemon = roomy();
    let honest = Honest::new(&daemon);
    honest.works();
    let before = used(&daemon);
    for length in [u32::MAX, 1 << 31, (claviger_protocol::frame::MAX_FRAME_BYTES + 1) as u32] {
        for _ in 0..50 {
            let (mut wire, _) = Wire::greet(&daemon.pkcs11_socket(), None);
            wire.send_unframed(&length.to_le_bytes());
            wire.send_unframed(&[0; 64]);
            assert!(wire.hung_up(), "a frame of {length} bytes is not waited for");
        }
        honest.works();
    }
    // The longest one that is allowed is announced and never sent.
    let mut waiting: Vec<Wire> = (0..50).map(|_| Wire::greet(&daemon.pkcs11_socket(), None).0).collect();
    for wire in &mut waiting {
        wire.send_unframed(&(claviger_protocol::frame::MAX_FRAME_BYTES as u32).to_le_bytes());
        wire.send_unframed(&[0; 64]);
    }
    honest.works();
    let taken = resident_kib(&daemon).saturating_sub(before.2);
    println!("50 announcements of the longest frame: {taken} KiB");
    assert!(taken < KEPT_KIB, "memory follows what comes, not what is announced");
    drop(waiting);
    comes_back(&daemon, before);
}
