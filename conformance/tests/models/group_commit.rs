//! Group commit: who is told that its commit is durable, and who waits.

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::group::Group;

/// A store of which only the order of things is left.
struct Store {
    group: Group<Anchor>,
    /// The last revision that is applied.
    applied: Mutex<u64>,
    /// The revision that a crash would leave.
    on_disk: AtomicU64,
    /// Syncs are failing.
    fails: bool,
    poisoned: AtomicBool,
    /// Somebody is syncing.
    syncing: AtomicBool,
}

/// What one at a time has.
struct Anchor {
    revision: u64,
}

impl Store {
    fn new(fails: bool) -> Arc<Store> {
        let store = Store {
            group: Group::new(),
            applied: Mutex::new(0),
            on_disk: AtomicU64::new(0),
            fails,
            poisoned: AtomicBool::new(false),
            syncing: AtomicBool::new(false),
        };
        store.group.lock().open(0, Anchor { revision: 0 });
        Arc::new(store)
    }

    fn refuse(&self) -> Result<(), ()> {
        if self.poisoned.load(Ordering::Acquire) { Err(()) } else { Ok(()) }
    }

    /// Applies something and makes it durable.
    fn commit(&self) -> (u64, Result<(), ()>) {
        let revision = {
            let mut applied = self.applied.lock().unwrap();
            *applied += 1;
            *applied
        };
        let sync = |mut anchor: Anchor| {
            assert!(!self.syncing.swap(true, Ordering::AcqRel), "two sync at the same time");
            assert_eq!(self.refuse(), Ok(()), "a sync after one that failed");
            let applied = *self.applied.lock().unwrap();
            let result = if self.fails {
                self.poisoned.store(true, Ordering::Release);
                Err(())
            } else {
                self.on_disk.store(applied, Ordering::Relaxed);
                anchor.revision = applied;
                Ok(())
            };
            self.syncing.store(false, Ordering::Release);
            let reached = anchor.revision;
            (anchor, reached, result)
        };
        (revision, self.group.reach(revision, || self.refuse(), sync))
    }
}

#[test]
fn what_is_reported_durable_is_on_the_disk_and_nobody_waits_for_ever() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let store = Store::new(false);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let store = store.clone();
                thread::spawn(move || {
                    let (revision, result) = store.commit();
                    assert_eq!(result, Ok(()));
                    assert!(store.on_disk.load(Ordering::Relaxed) >= revision);
                })
            })
            .collect();
        let (revision, result) = store.commit();
        assert_eq!(result, Ok(()));
        assert!(store.on_disk.load(Ordering::Relaxed) >= revision);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(store.on_disk.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_sync_that_fails_is_reported_to_all_who_waited_for_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let store = Store::new(true);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let store = store.clone();
                thread::spawn(move || assert_eq!(store.commit().1, Err(())))
            })
            .collect();
        assert_eq!(store.commit().1, Err(()));
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// Who looks at what is durable (`store verify`, a change of the root key) looks between two syncs.
#[test]
fn what_is_settled_is_looked_at_between_syncs() {
    loom::model(|| {
        let store = Store::new(false);
        let other = {
            let store = store.clone();
            thread::spawn(move || store.commit().1)
        };
        {
            let mut settled = store.group.settled(|| store.refuse()).unwrap().expect("it is open");
            assert!(!store.syncing.load(Ordering::Acquire));
            let durable = settled.revision;
            assert_eq!(settled.anchor().map(|anchor| anchor.revision), Some(durable));
            assert_eq!(store.on_disk.load(Ordering::Relaxed), durable);
        }
        assert_eq!(other.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_store_that_is_not_open_yet_has_nothing_settled() {
    loom::model(|| {
        let group: Group<Anchor> = Group::new();
        assert!(group.settled(|| Ok::<_, ()>(())).unwrap().is_none());
    });
}
