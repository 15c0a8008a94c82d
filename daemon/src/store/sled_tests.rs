//! What the suite cannot ask of every engine: files, failures, restarts and kills.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use super::super::engine::{Expect, MAX_RECORD_BYTES, Tree};
use super::super::suite::{at, keys, on_disk, on_disk_with, put, ready, value};
use super::*;

/// A disk whose `sync` fails once `failing` is set, and which has `free` bytes left.
fn flaky_disk(failing: &Arc<AtomicBool>, errno: i32, free: &Arc<AtomicU64>) -> Disk {
    let (failing, free) = (failing.clone(), free.clone());
    Disk {
        sync: Box::new(move |file| {
            if failing.load(Ordering::SeqCst) {
                return Err(io::Error::from_raw_os_error(errno));
            }
            file.sync_data()
        }),
        free: Box::new(move |_| Ok(free.load(Ordering::SeqCst))),
    }
}

fn plenty() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(u64::MAX))
}

#[test]
fn records_and_revision_outlive_the_handle() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    let last = (0..20).map(|n| put(&store, at(&n.to_string()), Expect::Any, b"v").unwrap()).max().unwrap();
    drop(store);
    let store = on_disk(dir.path()).unwrap();
    assert_eq!(keys(&store, &at("")).len(), 20);
    assert!(put(&store, at("next"), Expect::Any, b"v").unwrap() > last);
}

#[test]
fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    assert!(matches!(on_disk(dir.path()), Err(Error::Locked { path }) if path.starts_with(dir.path())));
    put(&store, at("a"), Expect::Any, b"v").unwrap();
    drop(store);
    on_disk(dir.path()).unwrap();
}

#[test]
fn every_commit_syncs_before_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = syncs.clone();
    let disk = Disk {
        sync: Box::new(move |file| {
            counted.fetch_add(1, Ordering::SeqCst);
            file.sync_data()
        }),
        ..Disk::default()
    };
    let store = on_disk_with(dir.path(), disk).unwrap();
    for number in 0..10 {
        let before = syncs.load(Ordering::SeqCst);
        put(&store, at(&number.to_string()), Expect::Any, b"v").unwrap();
        // The log and the anchor.
        assert_eq!(syncs.load(Ordering::SeqCst), before + 2);
    }
    let before = syncs.load(Ordering::SeqCst);
    assert!(put(&store, at("0"), Expect::Absent, b"v").is_err());
    assert_eq!(syncs.load(Ordering::SeqCst), before);
}

#[test]
fn commits_that_wait_for_a_sync_share_the_next() {
    const THREADS: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let syncs = Arc::new(AtomicU64::new(0));
    let (entered, wait_entered) = std::sync::mpsc::channel();
    let (release, wait_release) = std::sync::mpsc::channel::<()>();
    let (entered, wait_release) = (Mutex::new(entered), Mutex::new(wait_release));
    let counted = syncs.clone();
    let disk = Disk {
        // The first sync is that of opening; the second, the first commit's, waits for its release.
        sync: Box::new(move |file| {
            if counted.fetch_add(1, Ordering::SeqCst) == 1 {
                locked(&entered).send(()).unwrap();
                locked(&wait_release).recv().unwrap();
            }
            file.sync_data()
        }),
        ..Disk::default()
    };
    let store = on_disk_with(dir.path(), disk).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| put(&store, at("first"), Expect::Any, b"v").unwrap());
        wait_entered.recv().unwrap();
        for number in 0..THREADS {
            let store = &store;
            scope.spawn(move || put(store, at(&number.to_string()), Expect::Any, b"v").unwrap());
        }
        while locked(&store.writer).state.revision < THREADS + 1 {
            std::thread::yield_now();
        }
        release.send(()).unwrap();
    });
    assert_eq!(keys(&store, &at("")).len() as u64, THREADS + 1);
    assert_eq!(syncs.load(Ordering::SeqCst), 5);
}

#[test]
fn a_failed_sync_ends_all_writing_but_not_reading() {
    for (errno, full) in [(libc::EIO, false), (libc::ENOSPC, true), (libc::EDQUOT, true)] {
        let dir = tempfile::tempdir().unwrap();
        let failing = Arc::new(AtomicBool::new(false));
        let store = on_disk_with(dir.path(), flaky_disk(&failing, errno, &plenty())).unwrap();
        let mut watch = ready(store.watch(&at(""))).unwrap();
        put(&store, at("kept"), Expect::Any, b"v").unwrap();

        failing.store(true, Ordering::SeqCst);
        match put(&store, at("lost"), Expect::Any, b"v").unwrap_err() {
            Error::Io { doing: "sync", source, .. } if !full => {
                assert_eq!(source.raw_os_error(), Some(errno))
            }
            Error::NoSpace { .. } if full => {}
            other => panic!("{other:?}"),
        }
        // The disk is well again, but what the failed sync dropped cannot be told.
        failing.store(false, Ordering::SeqCst);
        for key in ["kept", "lost", "other"] {
            assert!(matches!(put(&store, at(key), Expect::Any, b"w"), Err(Error::Poisoned)));
        }
        assert_eq!(value(&store, &at("kept")), Some(b"v".to_vec()));
        assert!(keys(&store, &at("")).contains(&b"kept".to_vec()));
        // Watchers hear of durable changes alone.
        assert_eq!(ready(watch.next()).unwrap().place, at("kept"));
        drop(store);
        assert!(matches!(ready(watch.next()), Err(Error::Closed)));

        let store = on_disk(dir.path()).unwrap();
        assert_eq!(value(&store, &at("kept")), Some(b"v".to_vec()));
        put(&store, at("other"), Expect::Any, b"w").unwrap();
    }
}

#[test]
fn a_nearly_full_disk_refuses_writes_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let free = plenty();
    let never = Arc::new(AtomicBool::new(false));
    let store = on_disk_with(dir.path(), flaky_disk(&never, libc::EIO, &free)).unwrap();
    put(&store, at("a"), Expect::Any, b"v").unwrap();
    free.store(LOW_WATER_BYTES - 1, Ordering::SeqCst);
    assert!(matches!(put(&store, at("b"), Expect::Any, b"v"), Err(Error::NoSpace { .. })));
    assert_eq!(value(&store, &at("a")), Some(b"v".to_vec()));
    assert_eq!(value(&store, &at("b")), None);
    free.store(LOW_WATER_BYTES, Ordering::SeqCst);
    put(&store, at("b"), Expect::Any, b"v").unwrap();
}

#[test]
fn an_unfinished_snapshot_does_not_keep_the_store_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    put(&store, at("a"), Expect::Any, b"v").unwrap();
    drop(store);
    let leftover = dir.path().join("snap.00000000000004D2.generating");
    std::fs::write(&leftover, b"cut short").unwrap();
    let store = on_disk(dir.path()).unwrap();
    assert!(!leftover.exists());
    assert_eq!(value(&store, &at("a")), Some(b"v".to_vec()));
}

#[test]
fn damage_becomes_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    put(&store, at("a"), Expect::Any, b"v").unwrap();
    drop(store);
    // A database of another segment size, by sled's own word.
    std::fs::write(dir.path().join("conf"), b"segment_size: 65536\nuse_compression: false\nvers").unwrap();
    assert!(matches!(on_disk(dir.path()), Err(Error::Corrupt { .. })));

    let caught_panic = caught::<()>(|| panic!("at {}", 7));
    assert!(matches!(caught_panic, Err(Error::Corrupt { what }) if what.contains("at 7")));
}

#[test]
fn a_panic_in_sled_ends_all_writing() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    let result: Result<()> = store.on_sled(|_| panic!("inside sled"));
    assert!(matches!(result, Err(Error::Corrupt { .. })));
    assert!(matches!(put(&store, at("a"), Expect::Any, b"v"), Err(Error::Poisoned)));
}

#[test]
fn the_largest_records_stay_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    for number in 0..200u8 {
        put(&store, at(&format!("{number:03}")), Expect::Any, &vec![number; MAX_RECORD_BYTES]).unwrap();
    }
    for number in (0..200u8).step_by(3) {
        put(&store, at(&format!("{number:03}")), Expect::Any, &vec![!number; MAX_RECORD_BYTES]).unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
    drop(store);
    let store = on_disk(dir.path()).unwrap();
    for number in 0..200u8 {
        let byte = if number % 3 == 0 { !number } else { number };
        assert_eq!(value(&store, &at(&format!("{number:03}"))), Some(vec![byte; MAX_RECORD_BYTES]));
    }
}

#[test]
fn the_directory_is_closed_to_others() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deeper/store");
    let _store = on_disk(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o700);
}

const CHILD_DIR: &str = "CLAVIGER_TEST_STORE";

/// This program again, as a process that runs the one test `name` on `dir` after the shell's `setup`.
fn child(name: &str, setup: &str, dir: &Path) -> Child {
    let (_crate, module) = module_path!().split_once("::").unwrap();
    Command::new("/bin/sh")
        .args(["-c", &format!("{setup} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{module}::{name}"))
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The two places and the value of round `number`: a pair that one commit writes.
fn pair(number: u64) -> ([RecordKey; 2], Vec<u8>) {
    let key = number.to_be_bytes();
    let places = [Tree::Version, Tree::Object].map(|tree| RecordKey::new(tree, key));
    (places, number.to_be_bytes().repeat(1 + (number as usize * 37) % 300))
}

/// Not a test of its own: the process that `acknowledged_commits_survive_sigkill` kills. It commits pairs
/// and says which are committed.
#[test]
#[ignore = "run as a child by acknowledged_commits_survive_sigkill"]
fn child_that_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let store = on_disk(Path::new(&dir)).unwrap();
    let first = keys(&store, &RecordKey::new(Tree::Version, "")).len() as u64;
    for number in first.. {
        let (places, bytes) = pair(number);
        let mut batch = Batch::new();
        for place in places {
            batch.put(place, Expect::Absent, bytes.clone());
        }
        ready(store.commit(batch)).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "committed {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn acknowledged_commits_survive_sigkill() {
    const KILLS: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let mut child = child("child_that_is_killed", "", dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(io::Result::ok);
        let mut rounds = 0;
        let mut take = |line: String| {
            if let Some((_, number)) = line.split_once("committed ") {
                acknowledged = number.parse::<u64>().unwrap() + 1;
                rounds += 1;
            }
            rounds
        };
        // Another number of commits each time, so that the kill meets another moment.
        while take(lines.next().expect("the child ended by itself")) < 1 + kill * 7 % 40 {}
        child.kill().unwrap();
        for line in lines {
            take(line);
        }
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));

        let store = on_disk(dir.path()).unwrap();
        let present = keys(&store, &RecordKey::new(Tree::Version, "")).len() as u64;
        // The commit under way when the kill came may be there or not, but not by half.
        assert!(present == acknowledged || present == acknowledged + 1, "{present} of {acknowledged}");
        for number in 0..present {
            let (places, bytes) = pair(number);
            for place in places {
                assert_eq!(value(&store, &place), Some(bytes.clone()), "{place}");
            }
        }
        let (places, _) = pair(present);
        assert!(places.iter().all(|place| value(&store, place).is_none()));
    }
    assert!(acknowledged >= KILLS);
}

/// Not a test of its own: the process that `a_full_disk_loses_no_acknowledged_commit` limits.
#[test]
#[ignore = "run as a child by a_full_disk_loses_no_acknowledged_commit"]
fn child_that_fills_the_disk() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let store = on_disk(Path::new(&dir)).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match put(&store, at(&acknowledged.to_string()), Expect::Absent, &[7; MAX_RECORD_BYTES]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    assert!(matches!(put(&store, at("more"), Expect::Any, b"v"), Err(Error::Poisoned)));
    assert_eq!(value(&store, &at("0")), Some(vec![7; MAX_RECORD_BYTES]));
    drop(store);
    writeln!(std::io::stdout(), "committed {acknowledged}").unwrap();
}

#[test]
fn a_full_disk_loses_no_acknowledged_commit() {
    let dir = tempfile::tempdir().unwrap();
    // A limit on the size of files, in blocks of 512 bytes, fails writes half way as a full disk does.
    // The signal that comes with it would kill the child.
    let child = child("child_that_fills_the_disk", "trap '' XFSZ; ulimit -f 24000;", dir.path());
    let output = child.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let acknowledged: usize = output
        .lines()
        .find_map(|line| line.split_once("committed "))
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or_else(|| panic!("{output}"));
    assert!(acknowledged > 10);
    let store = on_disk(dir.path()).unwrap();
    for number in 0..acknowledged {
        assert_eq!(value(&store, &at(&number.to_string())), Some(vec![7; MAX_RECORD_BYTES]), "{number}");
    }
    put(&store, at("more"), Expect::Any, b"v").unwrap();
}

/// Prints what a commit costs; run it by name, in release.
#[test]
#[ignore = "a measurement, not a test"]
fn commit_latency() {
    use std::time::Instant;
    let place = std::env::var_os("CLAVIGER_BENCH_DIR").unwrap_or(".".into());
    let dir = tempfile::tempdir_in(&place).unwrap();
    let print = |what: &str, work: &mut dyn FnMut(u32)| {
        let mut micros: Vec<u128> = (0..2000)
            .map(|number| {
                let start = Instant::now();
                work(number);
                start.elapsed().as_micros()
            })
            .collect();
        micros.sort_unstable();
        println!("{what}: p50 {} us, p99 {} us", micros[1000], micros[1980]);
    };
    // What the disk takes by itself, and what sled promises by itself, which a loss of power breaks.
    let file = File::create(dir.path().join("file")).unwrap();
    print("a write of 800 bytes and fdatasync", &mut |number| {
        std::os::unix::fs::FileExt::write_all_at(&file, &[7; 800], u64::from(number) * 800).unwrap();
        file.sync_data().unwrap();
    });
    {
        let db = ::sled::Config::new().path(dir.path().join("sled")).flush_every_ms(None).open().unwrap();
        print("sled alone, insert and flush", &mut |number| {
            db.insert(number.to_string(), &[7; 800][..]).unwrap();
            db.flush().unwrap();
        });
    }
    let store = on_disk(&dir.path().join("state")).unwrap();
    print("a commit, 1 writer", &mut |number| {
        put(&store, at(&number.to_string()), Expect::Any, &[7; 800]).unwrap();
    });
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..32 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..100 {
                    put(store, at(&format!("{thread}/{number}")), Expect::Any, &[7; 800]).unwrap();
                }
            });
        }
    });
    println!("a commit, 32 writers: {} us each", start.elapsed().as_micros() / 3200);
}
