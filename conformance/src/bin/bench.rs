//! Signatures per second with RSA-2048 and P-256 at 1 and 8 threads: Claviger, SoftHSM2, and libcrypto alone.
//!
//! The peers take turns within each round, in an order that rotates, so that noise and drift of the machine fall
//! on all alike. The tables have medians over the rounds, and their ratios are medians of the ratios of each
//! round: read those rather than the absolute figures.
//!
//! `BENCH_ROUNDS` (7) and `BENCH_SECONDS` per measurement (0.5) may be set.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use claviger_conformance::prelude::*;
use claviger_conformance::{openssl as program, process};
use claviger_protocol::flags::{session, user};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};

const RW: u64 = session::RW_SESSION | session::SERIAL_SESSION;
/// Where distributions put SoftHSM2.
const SOFTHSM2: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];
/// DER of a SHA-256 `DigestInfo` up to the digest (RFC 8017, section 9.2).
const SHA256_PREFIX: &str = "3031300d060960864801650304020105000420";

/// What is measured: key, threads.
const CELLS: [(Key, usize); 4] = [(Key::Rsa, 1), (Key::Ec, 1), (Key::Rsa, 8), (Key::Ec, 8)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Rsa,
    Ec,
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Key::Rsa => "RSA-2048 PKCS#1",
            Key::Ec => "ECDSA P-256",
        }
    }

    /// What is signed: a digest as PKCS#11 has it for this mechanism.
    fn data(self) -> Vec<u8> {
        let digest = vec![0x5a; 32];
        match self {
            Key::Rsa => [program::unhex(SHA256_PREFIX), digest].concat(),
            Key::Ec => digest,
        }
    }

    fn mechanism(self) -> Mechanism {
        match self {
            Key::Rsa => M::RSA_PKCS.into(),
            Key::Ec => M::ECDSA.into(),
        }
    }
}

/// Somebody who signs.
trait Peer {
    fn name(&self) -> &'static str;

    /// Processes besides this one that do its work.
    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Signs with so many threads.
    fn measure(&self, key: Key, threads: usize, duration: Duration) -> Rate;
}

/// What came of signing for a while.
struct Rate {
    /// Signatures per second, all threads together.
    per_second: f64,
    /// Signatures.
    count: u64,
}

/// A measurement.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Signatures per second, all threads together.
    per_second: f64,
    /// Processor time per signature, of client and daemon together, in microseconds.
    micros: f64,
}

/// Runs `work` over and over on each thread after all have `prepare`d, and gives the rate of all together.
fn rate<T>(
    threads: usize,
    duration: Duration,
    prepare: impl Fn() -> T + Sync,
    work: impl Fn(&mut T) + Sync,
) -> Rate {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut state = prepare();
                    // Connections, caches and clocks get going.
                    work(&mut state);
                    barrier.wait();
                    let begin = Instant::now();
                    let mut count = 0u64;
                    while begin.elapsed() < duration {
                        work(&mut state);
                        count += 1;
                    }
                    Rate { per_second: count as f64 / begin.elapsed().as_secs_f64(), count }
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a thread that measures")).fold(
            Rate { per_second: 0.0, count: 0 },
            |sum, rate| Rate { per_second: sum.per_second + rate.per_second, count: sum.count + rate.count },
        )
    })
}

/// A PKCS#11 token with an RSA and an EC key pair in it.
struct Token {
    name: &'static str,
    raw: Raw,
    slot: u64,
    rsa: u64,
    ec: u64,
    daemon: Option<Daemon>,
}

impl Token {
    /// Makes the keys, and sees that their signatures verify.
    fn with_keys(name: &'static str, raw: Raw, slot: u64, pin: &str, daemon: Option<Daemon>) -> Token {
        let session = raw.open_session(slot, RW).expect("C_OpenSession");
        raw.login(session, user::USER, Some(pin.as_bytes())).expect("C_Login");
        let private = [token(true), flag(A::PRIVATE, true), flag(A::SIGN, true)];
        let pair = |mechanism: M, parameter: Attribute| {
            let public = [token(true), flag(A::VERIFY, true), parameter];
            raw.generate_key_pair(session, &mechanism.into(), &public, &private).expect("C_GenerateKeyPair")
        };
        let rsa = pair(M::RSA_PKCS_KEY_PAIR_GEN, ulong(A::MODULUS_BITS, 2048));
        let ec = pair(M::EC_KEY_PAIR_GEN, bytes(A::EC_PARAMS, curve::P256));
        for (key, (public, private)) in [(Key::Rsa, rsa), (Key::Ec, ec)] {
            let signature = sign(&raw, session, key, private);
            raw.start(Operation::Verify, session, Some(&key.mechanism()), public).expect("C_VerifyInit");
            raw.verify(session, &key.data(), &signature).expect("the signature verifies");
        }
        // The session stays open: with the last one the login would go.
        Token { name, raw, slot, rsa: rsa.1, ec: ec.1, daemon }
    }

    fn claviger() -> Token {
        let daemon = Daemon::start();
        let ring = Ring::create(&daemon, &[]);
        let application = Application::on(&daemon);
        let slot = application.slot(&ring);
        // Loaded for good: C_Finalize would end the application.
        let application = Box::leak(Box::new(application));
        let raw = Raw::clone(&application.raw);
        Token::with_keys("Claviger", raw, slot, &ring.user_pin, Some(daemon))
    }

    fn softhsm2(directory: &Path) -> Option<Token> {
        let module = SOFTHSM2.iter().map(PathBuf::from).find(|path| path.exists())?;
        let tokens = directory.join("tokens");
        std::fs::create_dir(&tokens).expect("a directory for SoftHSM2");
        let config = directory.join("softhsm2.conf");
        let content = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(&config, content).expect("SoftHSM2's configuration");
        process::set_variable("SOFTHSM2_CONF", &config);
        let raw = Raw::load(&module);
        raw.initialize(Arguments::Flags(2)).expect("C_Initialize of SoftHSM2");
        let free = raw.slots(true, Some(8)).2[0];
        raw.init_token(free, b"12345678", "bench").expect("C_InitToken");
        let is_it = |slot: &u64| raw.token_info(*slot).is_ok_and(|info| info.label.starts_with(b"bench "));
        let slot = raw.slots(true, Some(8)).2.into_iter().find(is_it).expect("the token");
        let session = raw.open_session(slot, RW).expect("C_OpenSession");
        raw.login(session, user::SO, Some(b"12345678")).expect("C_Login");
        raw.init_pin(session, b"1234").expect("C_InitPIN");
        raw.close_session(session).expect("C_CloseSession");
        Some(Token::with_keys("SoftHSM2", raw, slot, "1234", None))
    }
}

fn sign(raw: &Raw, session: u64, key: Key, handle: u64) -> Vec<u8> {
    raw.start(Operation::Sign, session, Some(&key.mechanism()), handle).expect("C_SignInit");
    raw.one_shot(Operation::Sign, session, &key.data(), Room::Bytes(256)).unwrap()
}

impl Peer for Token {
    fn name(&self) -> &'static str {
        self.name
    }

    fn processes(&self) -> Vec<u32> {
        self.daemon.iter().map(Daemon::pid).collect()
    }

    fn measure(&self, key: Key, threads: usize, duration: Duration) -> Rate {
        let handle = if key == Key::Rsa { self.rsa } else { self.ec };
        let (mechanism, data) = (key.mechanism(), key.data());
        let open = || self.raw.open_session(self.slot, RW).expect("C_OpenSession");
        rate(threads, duration, open, |session| {
            self.raw.start(Operation::Sign, *session, Some(&mechanism), handle).expect("C_SignInit");
            self.raw.one_shot(Operation::Sign, *session, &data, Room::Bytes(256)).unwrap();
        })
    }
}

/// libcrypto in this process: keys in memory, one context per thread. Nothing can be faster.
struct Libcrypto {
    rsa: PKey<Private>,
    ec: PKey<Private>,
}

impl Libcrypto {
    fn new() -> Libcrypto {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
        let ec = EcKey::generate(&group).and_then(PKey::from_ec_key).expect("an EC key");
        let rsa = Rsa::generate(2048).and_then(PKey::from_rsa).expect("an RSA key");
        Libcrypto { rsa, ec }
    }
}

impl Peer for Libcrypto {
    fn name(&self) -> &'static str {
        "libcrypto"
    }

    fn measure(&self, key: Key, threads: usize, duration: Duration) -> Rate {
        let data = key.data();
        let prepare = || {
            let pkey = if key == Key::Rsa { &self.rsa } else { &self.ec };
            let mut context = PkeyCtx::new(pkey).expect("a context");
            context.sign_init().expect("sign_init");
            if key == Key::Rsa {
                context.set_rsa_padding(Padding::PKCS1).expect("PKCS #1");
            }
            (context, [0u8; 256])
        };
        rate(threads, duration, prepare, |(context, buffer)| {
            context.sign(&data, Some(buffer)).expect("a signature");
        })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| {
            eprintln!("bench: {name}={text} is no number");
            std::process::exit(2);
        }),
        Err(_) => default,
    }
}

/// Pins this process and a peer's to these processors. Where that is forbidden the figures are unpinned.
fn pin(peer: &dyn Peer, processors: &[usize]) -> bool {
    let all = [vec![std::process::id()], peer.processes()].concat();
    all.into_iter().all(|pid| process::pin(pid, processors).is_ok())
}

/// Says to a person at a terminal how far it is.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{text:<20}\r");
    }
}

/// Processes that could run, on average over the last minute.
fn load() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// Measures a peer, with the processor time that it takes.
fn sample(peer: &dyn Peer, key: Key, threads: usize, duration: Duration) -> Sample {
    let processes = [vec![std::process::id()], peer.processes()].concat();
    let used = || processes.iter().map(|pid| process::processor_seconds(*pid)).sum::<f64>();
    let before = used();
    let rate = peer.measure(key, threads, duration);
    let micros = (used() - before) * 1e6 / rate.count.max(1) as f64;
    Sample { per_second: rate.per_second, micros }
}

fn main() {
    let rounds: usize = setting("BENCH_ROUNDS", 7).max(1);
    let duration = Duration::from_secs_f64(setting("BENCH_SECONDS", 0.5));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let processors = process::processors();
    let load = load();

    let mut peers: Vec<Box<dyn Peer>> = vec![Box::new(Token::claviger())];
    match Token::softhsm2(directory.path()) {
        Some(token) => peers.push(Box::new(token)),
        None => eprintln!("bench: SoftHSM2 is not installed (Debian: softhsm2); going on without it"),
    }
    peers.push(Box::new(Libcrypto::new()));

    // samples[cell][peer][round]
    let mut samples = vec![vec![Vec::new(); peers.len()]; CELLS.len()];
    let mut pinned = true;
    for round in 0..rounds {
        progress(&format!("round {} of {rounds}", round + 1));
        for (cell, (key, threads)) in CELLS.into_iter().enumerate() {
            for turn in 0..peers.len() {
                let who = (turn + round) % peers.len();
                let peer = peers[who].as_ref();
                if threads == 1 {
                    pinned &= pin(peer, &processors[..1]);
                }
                samples[cell][who].push(sample(peer, key, threads, duration));
                if threads == 1 {
                    pin(peer, &processors);
                }
            }
        }
    }
    progress("");
    report(&peers, &samples, pinned, rounds, duration, (processors.len(), load));
    drop(peers);
}

fn report(
    peers: &[Box<dyn Peer>],
    samples: &[Vec<Vec<Sample>>],
    pinned: bool,
    rounds: usize,
    duration: Duration,
    (processors, load): (usize, f64),
) {
    let seconds = duration.as_secs_f64();
    println!(
        "Medians of {rounds} interleaved rounds of {seconds} s each; {processors} processors, load {load} before."
    );
    println!(
        "1 thread: client and daemon {}; 8 threads: wherever the system puts them.",
        if pinned { "on one processor" } else { "could not be pinned to one processor" }
    );
    println!("Claviger and libcrypto: {}; SoftHSM2: the system's libcrypto.", openssl::version::version());
    println!(
        "Claviger and SoftHSM2 sign with a token's key, a C_SignInit and a C_Sign each; Claviger does so in"
    );
    println!("another process. libcrypto signs in this one, with a context that is kept.");
    table("Signatures per second", peers, samples, |sample| sample.per_second);
    table("Processor time per signature, client and daemon, in microseconds", peers, samples, |sample| {
        sample.micros
    });
    if load > 0.5 {
        println!(
            "\nOther work runs on this machine: whoever has more threads gets more of it, so that of the rates"
        );
        println!("with 8 threads little is to be read. The processor times hold.");
    }
}

/// One table: a row per cell, a column per peer, and the ratio of Claviger to each of the others.
fn table(title: &str, peers: &[Box<dyn Peer>], samples: &[Vec<Vec<Sample>>], of: impl Fn(&Sample) -> f64) {
    let mut heading = format!("\n{title}\n{:<17} {:>7}", "", "threads");
    for peer in peers {
        heading += &format!(" {:>10}", peer.name());
    }
    for peer in &peers[1..] {
        heading += &format!(" {:>20}", format!("Claviger/{}", peer.name()));
    }
    println!("{heading}");
    for ((key, threads), of_peers) in CELLS.into_iter().zip(samples) {
        let values = |who: usize| of_peers[who].iter().map(&of).collect::<Vec<_>>();
        let mut line = format!("{:<17} {threads:>7}", key.name());
        for who in 0..peers.len() {
            let value = median(values(who));
            let digits = if value < 100.0 { 1 } else { 0 };
            line += &format!(" {value:>10.digits$}");
        }
        for who in 1..peers.len() {
            let ratios = values(0).iter().zip(values(who)).map(|(ours, theirs)| ours / theirs).collect();
            line += &format!(" {:>20.2}", median(ratios));
        }
        println!("{line}");
    }
}
