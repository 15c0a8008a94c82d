//! Claviger beside SoftHSM2, libcrypto alone and, when `BENCH_KRYOPTIC` names its library, kryoptic.
//!
//! The peers take turns within each round, in an order that rotates, so that noise and drift of the machine fall
//! on all alike. The tables have medians over the rounds, and their ratios are medians of the ratios of each
//! round: read those rather than the absolute figures.
//!
//! `BENCH_ROUNDS` (7) and `BENCH_SECONDS` per measurement (0.3) may be set; `BENCH_QUICK=1` leaves out the store of
//! 100,000 keys; `BENCH_ONLY` is a part of the names of the cases to run; `BENCH_CHARTS` a directory for the charts, one
//! SVG for each group of cases.

mod case;
mod chart;
mod libcrypto;
mod start;
mod token;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use case::{CASES, Case, GROUPS, Work};
use claviger_conformance::prelude::*;
use claviger_conformance::process;
use libcrypto::Libcrypto;
use token::Token;

/// Makes a thread ready, which gives what it then does over and over.
pub type Prepare<'a> = Box<dyn Fn() -> Box<dyn FnMut() + 'a> + Sync + 'a>;

/// Somebody who does the work.
pub trait Peer {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Processes besides this one that do its work.
    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Gets ready for a work; nothing when this peer cannot do it.
    fn prepare(&self, work: Work) -> Option<Prepare<'_>>;
}

/// What came of working for a while.
struct Rate {
    /// Works per second, all threads together.
    per_second: f64,
    /// Works.
    count: u64,
}

/// A measurement.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Works per second, all threads together.
    pub per_second: f64,
    /// Processor time of each, of client and daemon together, in microseconds.
    pub micros: f64,
}

/// What has been measured of a case with so many threads: of each peer, its rounds.
pub struct Row {
    /// The case.
    pub case: &'static Case,
    /// How many threads.
    pub threads: usize,
    /// By peer, then by round.
    pub samples: Vec<Vec<Sample>>,
}

/// Works over and over on each thread after all have `prepare`d, and gives the rate of all together.
fn rate(threads: usize, duration: Duration, prepare: &Prepare<'_>) -> Rate {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut work = prepare();
                    // Connections, caches and clocks get going.
                    work();
                    work();
                    barrier.wait();
                    let begin = Instant::now();
                    let mut count = 0u64;
                    while begin.elapsed() < duration {
                        work();
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

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
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
fn pin(peer: &dyn Peer, work: Work, processors: &[usize]) -> bool {
    let mut all = [vec![std::process::id()], peer.processes()].concat();
    if work.objects() > token::MOST_ELSEWHERE {
        all.push(token::large_daemon().pid());
    }
    all.into_iter().all(|pid| process::pin(pid, processors).is_ok())
}

/// Says to a person at a terminal how far it is.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{text:<60}\r");
    }
}

/// Processes that could run, on average over the last minute.
fn load() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// Measures a peer, with the processor time that it takes.
fn sample(peer: &dyn Peer, work: Work, threads: usize, duration: Duration) -> Option<Sample> {
    let prepared = peer.prepare(work)?;
    let mut processes = [vec![std::process::id()], peer.processes()].concat();
    if work.objects() > token::MOST_ELSEWHERE {
        processes.push(token::large_daemon().pid());
    }
    let used = || processes.iter().map(|pid| process::processor_seconds(*pid)).sum::<f64>();
    let before = used();
    let rate = rate(threads, duration, &prepared);
    let micros = (used() - before) * 1e6 / rate.count.max(1) as f64;
    Some(Sample { per_second: rate.per_second, micros })
}

fn main() {
    let quick = std::env::var_os("BENCH_QUICK").is_some_and(|value| value == "1");
    let rounds: usize = setting("BENCH_ROUNDS", if quick { 3 } else { 7 }).max(1);
    let duration = Duration::from_secs_f64(setting("BENCH_SECONDS", if quick { 0.1 } else { 0.3 }));
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let processors = process::processors();
    let load = load();

    let daemon: &'static Daemon = Box::leak(Box::new(Daemon::start()));
    let mut peers: Vec<Box<dyn Peer>> = vec![Box::new(Token::claviger(daemon))];
    match Token::softhsm2(directory.path()) {
        Some(token) => peers.push(Box::new(token)),
        None => eprintln!("bench: SoftHSM2 is not installed (Debian: softhsm2); going on without it"),
    }
    if let Some(token) = Token::kryoptic(directory.path()) {
        peers.push(Box::new(token));
    }
    peers.push(Box::new(Libcrypto::new()));

    let mut rows: Vec<Row> = CASES
        .iter()
        .filter(|case| case.name.contains(&only) && !(quick && case.work.objects() > 1000))
        .flat_map(|case| case.threads.iter().map(move |threads| (case, *threads)))
        .map(|(case, threads)| Row { case, threads, samples: vec![Vec::new(); peers.len()] })
        .collect();
    let mut pinned = true;
    for round in 0..rounds {
        for row in &mut rows {
            let (name, threads) = (row.case.name, row.threads);
            progress(&format!("round {} of {rounds}: {name}", round + 1));
            for turn in 0..peers.len() {
                let who = (turn + round) % peers.len();
                let peer = peers[who].as_ref();
                // Whatever has to be made first is made with all processors.
                if peer.prepare(row.case.work).is_none() {
                    continue;
                }
                if threads == 1 {
                    pinned &= pin(peer, row.case.work, &processors[..1]);
                }
                row.samples[who].extend(sample(peer, row.case.work, threads, duration));
                if threads == 1 {
                    pin(peer, row.case.work, &processors);
                }
            }
        }
    }
    progress("");
    report(&peers, &rows, pinned, rounds, duration, (processors.len(), load));
    if only.is_empty() {
        start::processes(daemon, rounds);
        if !quick {
            start::large(token::large_daemon());
        }
    }
    if let Some(charts) = std::env::var_os("BENCH_CHARTS") {
        let names: Vec<_> = peers.iter().map(|peer| peer.name()).collect();
        for (group, title) in GROUPS {
            let rows: Vec<_> = rows.iter().filter(|row| row.case.group == group).collect();
            let file = Path::new(&charts).join(format!("{group}.svg"));
            std::fs::write(&file, chart::svg(title, &names, &rows)).expect("writing a chart");
            println!("{}", file.display());
        }
    }
}

fn report(
    peers: &[Box<dyn Peer>],
    rows: &[Row],
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
    println!("Claviger works in another process, libcrypto in this one with contexts that are kept.");
    println!("A ratio is Claviger's rate over the other's; in parentheses what the project wants at least.");
    for (group, title) in GROUPS {
        let rows: Vec<_> = rows.iter().filter(|row| row.case.group == group).collect();
        if !rows.is_empty() {
            table(title, peers, &rows);
        }
    }
    growth(rows);
    if load > 0.5 {
        println!(
            "\nOther work runs on this machine: whoever has more threads gets more of it, so that of the rates"
        );
        println!("with 8 threads little is to be read. The processor times hold.");
    }
}

/// What the same costs Claviger among more objects, as a multiple of what it costs among few.
fn growth(rows: &[Row]) {
    let cost = |row: &Row| median(row.samples[0].iter().map(|sample| sample.micros).collect());
    let mut lines = Vec::new();
    for row in rows.iter().filter(|row| !row.samples[0].is_empty()) {
        let few = row
            .case
            .among_few()
            .and_then(|few| rows.iter().find(|other| other.case.work == few && !other.samples[0].is_empty()));
        if let Some(few) = few {
            lines.push(format!("| {} | {:.2} |", row.case.name, cost(row) / cost(few)));
        }
    }
    if !lines.is_empty() {
        println!("\n| Processor time, as a multiple of the same among 10 | at most 1.3 |\n|---|---|");
        lines.iter().for_each(|line| println!("{line}"));
    }
}

/// One table: a row per cell, a column per peer, the ratio of Claviger to each of the others, and processor times.
fn table(title: &str, peers: &[Box<dyn Peer>], rows: &[&Row]) {
    let mut heading = format!("\n| {title} | threads |");
    let mut rule = "|---|---|".to_owned();
    for peer in peers {
        heading += &format!(" {} |", peer.name());
        rule += "---|";
    }
    for peer in &peers[1..] {
        heading += &format!(" of {} |", peer.name());
        rule += "---|";
    }
    println!("{heading} us of processor |\n{rule}---|");
    for row in rows {
        let mut line = format!("| {} | {} |", row.case.name, row.threads);
        for samples in &row.samples {
            line += &match rate_of(samples) {
                Some(rate) => format!(" {rate:.digits$} |", digits = if rate < 100.0 { 1 } else { 0 }),
                None => " – |".to_owned(),
            };
        }
        for (peer, samples) in peers.iter().zip(&row.samples).skip(1) {
            let ratios: Vec<_> = row.samples[0]
                .iter()
                .zip(samples)
                .map(|(our, their)| our.per_second / their.per_second)
                .collect();
            let wanted = match peer.name() {
                "libcrypto" => row.case.of_libcrypto,
                "SoftHSM2" => row.case.of_softhsm2,
                _ => [None, None],
            };
            line += &match (ratios.is_empty(), wanted[usize::from(row.threads > 1)]) {
                (true, _) => " – |".to_owned(),
                (false, Some(wanted)) => format!(" {:.2} ({wanted}) |", median(ratios)),
                (false, None) => format!(" {:.2} |", median(ratios)),
            };
        }
        let micros: Vec<_> = row.samples[0].iter().map(|sample| sample.micros).collect();
        println!("{line} {:.1} |", if micros.is_empty() { 0.0 } else { median(micros) });
    }
}

/// The rate of a peer, if it has one.
pub fn rate_of(samples: &[Sample]) -> Option<f64> {
    (!samples.is_empty()).then(|| median(samples.iter().map(|sample| sample.per_second).collect()))
}
