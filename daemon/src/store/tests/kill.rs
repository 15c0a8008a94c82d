//! SIGKILL at any moment: while opening, committing, purging.

use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::workload::{Model, Size, last, root};
use super::{Random, cases, child, scratch, was_killed};
use crate::store::open;

const WORKERS: usize = 4;

#[test]
fn a_thousand_kills_lose_nothing_that_was_acknowledged() {
    let kills = cases(1000);
    let (total, commits, early) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (total, commits, early) = (&total, &commits, &early);
            scope.spawn(move || {
                let dir = scratch();
                let store = dir.path().join("state");
                root(&store);
                let mut random = Random::new(worker as u64 + 7);
                let mut acknowledged = 0;
                while total.fetch_add(1, Ordering::SeqCst) < kills {
                    let mut process = child(&store).spawn().unwrap();
                    let stdout = process.stdout.take().unwrap();
                    let (opened, when_opened) = std::sync::mpsc::channel();
                    let reader = std::thread::spawn(move || {
                        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                        let seen = lines.inspect(|line| {
                            if line.contains("open ") {
                                let _ = opened.send(());
                            }
                        });
                        seen.collect::<Vec<String>>()
                    });
                    // One kill in four before it can have opened the store, or while it does.
                    if random.below(4) != 0 {
                        let _ = when_opened.recv_timeout(Duration::from_secs(60));
                    }
                    std::thread::sleep(Duration::from_micros(random.below(10_000)));
                    process.kill().unwrap();
                    let status = process.wait().unwrap();
                    let lines = reader.join().unwrap();
                    assert!(was_killed(status), "{status}: {lines:?}");
                    for word in ["refused", "wrong", "failed"] {
                        assert!(!lines.iter().any(|line| line.contains(word)), "{lines:?}");
                    }
                    match last(&lines, "open") {
                        // The round under way when the kill came may be there, not more.
                        Some(found) => assert!(
                            found == acknowledged || found == acknowledged + 1,
                            "{found} rounds of {acknowledged}"
                        ),
                        None => {
                            early.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                    }
                    let first = last(&lines, "open").unwrap();
                    let done = last(&lines, "done").unwrap_or(first);
                    commits.fetch_add((done - first) as usize, Ordering::SeqCst);
                    acknowledged = done;
                }
                let records = open(&store, &root(&store)).unwrap();
                let found = Model::new(Size::Small).check(&records).unwrap();
                assert!(found == acknowledged || found == acknowledged + 1);
            });
        }
    });
    let (commits, early) = (commits.into_inner(), early.into_inner());
    println!(
        "{kills} kills, {early} of them before or during opening, {commits} acknowledged commits, 0 lost"
    );
    assert!(commits > kills / 2, "{commits} commits");
}
