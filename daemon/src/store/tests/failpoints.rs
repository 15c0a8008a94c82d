//! Every call to the file system fails once, in every way.

use super::workload::{Model, ROUNDS, Size, last, root};
use super::{is_soak, scratch, shim, shimmed, wait, was_killed};
use crate::store::open;

/// Enough for a purge; a soak has two.
const CHILD_ROUNDS: u64 = 15;
const SOAK_ROUNDS: u64 = 32;
const MODES: [&str; 5] = ["eio", "enospc", "short", "torn", "crash"];

#[test]
fn every_failing_call_ends_in_committed_or_refused() {
    let Some(library) = shim() else { return println!("skipped: there is no C compiler") };
    let whole = scratch();
    let (store, counted) = (whole.path().join("state"), whole.path().join("count"));
    root(&store);
    let rounds = if is_soak() { SOAK_ROUNDS } else { CHILD_ROUNDS };
    let command = |store: &std::path::Path| {
        let mut command = shimmed(library, store);
        command.env(ROUNDS, rounds.to_string());
        command
    };
    let (status, lines) = wait(command(&store).env("SHIM_COUNT", &counted).spawn().unwrap());
    assert!(status.success() && last(&lines, "done") == Some(rounds), "{status} {lines:?}");
    let calls: usize = std::fs::read_to_string(&counted).unwrap().trim().parse().unwrap();
    assert!(calls > 100, "only {calls} calls");

    let combinations: Vec<(usize, &str)> = (0..calls).flat_map(|at| MODES.map(|mode| (at, mode))).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let outcomes = std::sync::Mutex::new(std::collections::BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (next, outcomes, combinations) = (&next, &outcomes, &combinations);
            scope.spawn(move || {
                while let Some((at, mode)) =
                    combinations.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)).copied()
                {
                    let dir = scratch();
                    let store = dir.path().join("state");
                    root(&store);
                    let process =
                        command(&store).env("SHIM_AT", at.to_string()).env("SHIM_MODE", mode).spawn();
                    let (status, lines) = wait(process.unwrap());
                    let case = format!("call {at}, {mode}: {status} {lines:?}");
                    assert!(status.success() || was_killed(status), "{case}");
                    assert!(!lines.iter().any(|line| line.contains("wrong")), "{case}");
                    let acknowledged = last(&lines, "done").unwrap_or(0);

                    let records = match open(&store, &root(&store)) {
                        Ok(records) => records,
                        Err(error) => panic!("{case}: {error}"),
                    };
                    let found =
                        Model::new(Size::Small).check(&records).unwrap_or_else(|e| panic!("{case}: {e}"));
                    assert!(found == acknowledged || found == acknowledged + 1, "{case}: {found} rounds");
                    let outcome = match () {
                        () if acknowledged == rounds => "the call did not matter",
                        () if was_killed(status) => "killed",
                        () if lines.iter().any(|line| line.contains("failed")) => "a commit was refused",
                        () => "opening was refused",
                    };
                    *outcomes.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
    });
    println!("{} combinations of call and failure: {:?}", combinations.len(), outcomes.into_inner().unwrap());
}
