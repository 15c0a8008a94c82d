//! What every engine has to do, as one test body per promise, run over each engine.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::anchor::{Anchor, Anchored};
use super::engine::{Batch, Expect, MAX_KEY_BYTES, MAX_RECORD_BYTES, PAGE_RECORDS, RecordKey, Store, Tree};
use super::error::{Error, Result};
use super::inventory;
use super::sled::{Anchoring, Disk, SledStore};
use super::tally::Authenticator;
use super::verify::Survey;

/// The result of a future that needs no waiting.
pub(super) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the engine waits for something"),
    }
}

/// The engine on disk in `dir`, examined and adopted without a sealer; its anchor is in `dir` too.
pub(super) fn on_disk(dir: &Path) -> Result<SledStore> {
    on_disk_with(dir, Disk::default())
}

/// As [`on_disk`], on a disk of the caller's.
pub(super) fn on_disk_with(dir: &Path, disk: Disk) -> Result<SledStore> {
    let anchoring = Anchoring {
        anchor: dir.join("anchor"),
        inventory: dir.join("inventory"),
        key: Arc::new(Authenticator::new(&[7; 32], [9; 16])),
    };
    let store = SledStore::open_with(dir, &anchoring, disk)?;
    let anchor = Anchor::open(&anchoring.anchor, anchoring.key.clone())?;
    let anchored = anchor.map(|anchor| anchor.anchored().clone());
    let survey = Survey::of(&store, &anchoring.key, None, false)?;
    let state = survey
        .judge(&anchored.clone().unwrap_or_else(Anchored::default), 0, || {
            inventory::names(&anchoring.inventory)
        })
        .map_err(|findings| Error::NotWhole(Box::new(findings)))?;
    store.adopt(anchored, &state, 0, survey.places.into_iter())?;
    Ok(store)
}

pub(super) fn at(key: &str) -> RecordKey {
    RecordKey::new(Tree::Object, key)
}

pub(super) fn put(store: &dyn Store, place: RecordKey, expect: Expect, bytes: &[u8]) -> Result<u64> {
    let mut batch = Batch::new();
    batch.put(place, expect, bytes.to_vec());
    ready(store.commit(batch))
}

pub(super) fn remove(store: &dyn Store, place: RecordKey, expect: Expect) -> Result<u64> {
    let mut batch = Batch::new();
    batch.remove(place, expect);
    ready(store.commit(batch))
}

pub(super) fn value(store: &dyn Store, place: &RecordKey) -> Option<Vec<u8>> {
    ready(store.get(place)).unwrap().map(|record| record.bytes)
}

/// All keys under `prefix`, over all pages.
pub(super) fn keys(store: &dyn Store, prefix: &RecordKey) -> Vec<Vec<u8>> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = ready(store.scan(prefix, after.as_ref())).unwrap();
        keys.extend(page.records.into_iter().map(|(place, _)| place.key));
        match page.next {
            Some(place) => after = Some(place),
            None => return keys,
        }
    }
}

fn what_is_put_is_read_until_it_is_removed(store: Arc<dyn Store>) {
    assert_eq!(value(&*store, &at("a")), None);
    let first = put(&*store, at("a"), Expect::Any, b"one").unwrap();
    let record = ready(store.get(&at("a"))).unwrap().unwrap();
    assert_eq!((record.version, record.bytes.as_slice()), (first, b"one".as_slice()));
    put(&*store, at("a"), Expect::Any, b"").unwrap();
    assert_eq!(value(&*store, &at("a")), Some(Vec::new()));
    remove(&*store, at("a"), Expect::Any).unwrap();
    assert_eq!(value(&*store, &at("a")), None);
    remove(&*store, at("a"), Expect::Any).unwrap();
}

fn trees_are_apart(store: Arc<dyn Store>) {
    for &tree in Tree::ALL {
        put(&*store, RecordKey::new(tree, "k"), Expect::Absent, &[tree as u8]).unwrap();
    }
    for &tree in Tree::ALL {
        assert_eq!(value(&*store, &RecordKey::new(tree, "k")), Some(vec![tree as u8]));
        assert_eq!(keys(&*store, &RecordKey::new(tree, "")), [b"k"]);
    }
}

fn a_conflict_writes_nothing_and_names_what_it_found(store: Arc<dyn Store>) {
    let version = put(&*store, at("a"), Expect::Absent, b"one").unwrap();
    for (expect, place, found) in [
        (Expect::Absent, "a", Some(version)),
        (Expect::Version(version + 1), "a", Some(version)),
        (Expect::Version(version), "missing", None),
    ] {
        let mut batch = Batch::new();
        batch.put(at("other"), Expect::Any, b"must not appear".to_vec());
        batch.put(at(place), expect, b"two".to_vec());
        match ready(store.commit(batch)) {
            Err(Error::Conflict { place: named, found: seen }) => {
                assert_eq!((named, seen), (at(place), found));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(value(&*store, &at("a")), Some(b"one".to_vec()));
        assert_eq!(value(&*store, &at("other")), None);
        assert_eq!(value(&*store, &at("missing")), None);
    }
    let mut removal = Batch::new();
    removal.remove(at("a"), Expect::Version(version + 7));
    assert!(matches!(ready(store.commit(removal)), Err(Error::Conflict { .. })));
    put(&*store, at("a"), Expect::Version(version), b"two").unwrap();
    assert_eq!(value(&*store, &at("a")), Some(b"two".to_vec()));
}

fn revisions_grow_and_versions_never_return(store: Arc<dyn Store>) {
    let first = put(&*store, at("a"), Expect::Any, b"x").unwrap();
    let removed = remove(&*store, at("a"), Expect::Version(first)).unwrap();
    let second = put(&*store, at("a"), Expect::Absent, b"x").unwrap();
    assert!(first < removed && removed < second);
    assert!(matches!(
        put(&*store, at("a"), Expect::Version(first), b"y"),
        Err(Error::Conflict { found: Some(found), .. }) if found == second
    ));
}

fn a_batch_gives_all_its_records_one_version(store: Arc<dyn Store>) {
    let mut batch = Batch::new();
    for key in ["a", "b", "c"] {
        batch.put(at(key), Expect::Absent, key.into());
    }
    let revision = ready(store.commit(batch)).unwrap();
    for key in ["a", "b", "c"] {
        assert_eq!(ready(store.get(&at(key))).unwrap().unwrap().version, revision);
    }
    let mut batch = Batch::new();
    batch.remove(at("a"), Expect::Version(revision));
    batch.put(at("b"), Expect::Version(revision), b"new".to_vec());
    ready(store.commit(batch)).unwrap();
    assert_eq!(keys(&*store, &at("")), [b"b", b"c"]);
}

fn limits_are_kept_to_the_byte(store: Arc<dyn Store>) {
    let largest = vec![7; MAX_RECORD_BYTES];
    put(&*store, at("large"), Expect::Any, &largest).unwrap();
    assert_eq!(value(&*store, &at("large")), Some(largest));
    match put(&*store, at("larger"), Expect::Any, &vec![7; MAX_RECORD_BYTES + 1]) {
        Err(Error::TooLarge { place, size, limit }) => {
            assert_eq!((place, size, limit), (at("larger"), MAX_RECORD_BYTES + 1, MAX_RECORD_BYTES));
        }
        other => panic!("{other:?}"),
    }
    let longest = RecordKey::new(Tree::Object, vec![b'k'; MAX_KEY_BYTES]);
    put(&*store, longest.clone(), Expect::Any, b"v").unwrap();
    assert_eq!(value(&*store, &longest), Some(b"v".to_vec()));
    let longer = RecordKey::new(Tree::Object, vec![b'k'; MAX_KEY_BYTES + 1]);
    assert!(matches!(put(&*store, longer, Expect::Any, b"v"), Err(Error::KeyTooLong { .. })));
}

fn a_place_named_twice_is_refused(store: Arc<dyn Store>) {
    let mut batch = Batch::new();
    batch.put(at("a"), Expect::Any, b"1".to_vec());
    batch.put(at("b"), Expect::Any, b"2".to_vec());
    batch.remove(at("a"), Expect::Any);
    assert!(matches!(ready(store.commit(batch)), Err(Error::Repeated { place }) if place == at("a")));
    assert!(keys(&*store, &at("")).is_empty());
}

fn a_scan_is_ordered_bounded_and_complete(store: Arc<dyn Store>) {
    let count = PAGE_RECORDS * 2 + 3;
    let mut batch = Batch::new();
    for number in (0..count).rev() {
        batch.put(at(&format!("m/{number:05}")), Expect::Absent, b"v".to_vec());
    }
    // Neighbours on both sides of the prefix, and the same key in the next tree.
    for key in ["m", "m.", "m0", "l/00001", "n"] {
        batch.put(at(key), Expect::Absent, b"v".to_vec());
    }
    batch.put(RecordKey::new(Tree::ImportJob, "m/00000"), Expect::Absent, b"v".to_vec());
    ready(store.commit(batch)).unwrap();

    let expected: Vec<_> = (0..count).map(|number| format!("m/{number:05}").into_bytes()).collect();
    assert_eq!(keys(&*store, &at("m/")), expected);
    assert_eq!(keys(&*store, &at("")).len(), count + 5);
    let page = ready(store.scan(&at("m/"), None)).unwrap();
    assert_eq!(page.records.len(), PAGE_RECORDS);
    assert!(keys(&*store, &at("zzz")).is_empty());
    // A cursor before the prefix starts at the prefix; one at its end finds nothing.
    let page = ready(store.scan(&at("m/"), Some(&at("a")))).unwrap();
    assert_eq!(page.records[0].0, at("m/00000"));
    let last = at(&format!("m/{:05}", count - 1));
    assert!(ready(store.scan(&at("m/"), Some(&last))).unwrap().records.is_empty());
}

fn pages_are_bounded_in_bytes(store: Arc<dyn Store>) {
    let mut batch = Batch::new();
    for number in 0..70 {
        batch.put(at(&format!("{number:02}")), Expect::Absent, vec![number; MAX_RECORD_BYTES]);
    }
    ready(store.commit(batch)).unwrap();
    let page = ready(store.scan(&at(""), None)).unwrap();
    assert!(page.records.len() < 40 && page.next.is_some());
    assert_eq!(keys(&*store, &at("")).len(), 70);
}

fn a_watch_sees_what_is_under_its_prefix_in_order(store: Arc<dyn Store>) {
    put(&*store, at("w/before"), Expect::Any, b"v").unwrap();
    let mut watch = ready(store.watch(&at("w/"))).unwrap();
    let first = put(&*store, at("w/a"), Expect::Any, b"v").unwrap();
    put(&*store, at("x"), Expect::Any, b"v").unwrap();
    let conflict = put(&*store, at("w/a"), Expect::Absent, b"v");
    assert!(matches!(conflict, Err(Error::Conflict { .. })));
    let second = remove(&*store, at("w/a"), Expect::Any).unwrap();
    for (revision, removed) in [(first, false), (second, true)] {
        let event = ready(watch.next()).unwrap();
        assert_eq!((event.revision, event.removed, event.place), (revision, removed, at("w/a")));
    }
    drop(store);
    assert!(matches!(ready(watch.next()), Err(Error::Closed)));
}

fn a_watcher_that_falls_behind_is_told(store: Arc<dyn Store>) {
    let mut watch = ready(store.watch(&at(""))).unwrap();
    let mut batch = Batch::new();
    for number in 0..3000 {
        batch.put(at(&format!("{number}")), Expect::Any, b"v".to_vec());
    }
    ready(store.commit(batch)).unwrap();
    let mut seen = 0;
    let end = loop {
        match ready(watch.next()) {
            Ok(_) => seen += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::WatchLagged) && seen < 3000, "{end:?} after {seen}");
}

fn concurrent_increments_lose_nothing(store: Arc<dyn Store>) {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 25;
    put(&*store, at("counter"), Expect::Absent, &0u64.to_be_bytes()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    loop {
                        let record = ready(store.get(&at("counter"))).unwrap().unwrap();
                        let number = u64::from_be_bytes(record.bytes.try_into().unwrap());
                        let next = (number + 1).to_be_bytes();
                        match put(&*store, at("counter"), Expect::Version(record.version), &next) {
                            Ok(_) => break,
                            Err(Error::Conflict { .. }) => continue,
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            });
        }
    });
    let end = value(&*store, &at("counter")).unwrap();
    assert_eq!(u64::from_be_bytes(end.try_into().unwrap()), THREADS * ROUNDS);
}

/// Makes one test per promise and engine.
macro_rules! suite {
    ($($promise:ident,)*) => {
        mod memory {
            $(#[test]
            fn $promise() {
                super::$promise(std::sync::Arc::new(crate::store::MemoryStore::new()));
            })*
        }

        mod sled {
            $(#[test]
            fn $promise() {
                let dir = tempfile::tempdir().unwrap();
                super::$promise(std::sync::Arc::new(crate::store::suite::on_disk(dir.path()).unwrap()));
            })*
        }
    };
}

suite! {
    what_is_put_is_read_until_it_is_removed,
    trees_are_apart,
    a_conflict_writes_nothing_and_names_what_it_found,
    revisions_grow_and_versions_never_return,
    a_batch_gives_all_its_records_one_version,
    limits_are_kept_to_the_byte,
    a_place_named_twice_is_refused,
    a_scan_is_ordered_bounded_and_complete,
    pages_are_bounded_in_bytes,
    a_watch_sees_what_is_under_its_prefix_in_order,
    a_watcher_that_falls_behind_is_told,
    concurrent_increments_lose_nothing,
}
