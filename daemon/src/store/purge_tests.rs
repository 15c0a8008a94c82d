use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::super::keyring::Keyring;
use super::super::memory::MemoryStore;
use super::super::open::open;
use super::super::records::Change;
use super::super::root_key::RootKey;
use super::super::seal::Sealer;
use super::*;

fn put(records: &Records, key: &str, material: &[u8]) {
    let mut change = Change::new();
    change.put_material(key, material);
    records.commit(change).unwrap();
}

fn remove(records: &Records, key: &str) {
    let mut change = Change::new();
    change.remove_material(key);
    records.commit(change).unwrap();
}

fn material(records: &Records, key: &str) -> Option<Vec<u8>> {
    records.material(key.as_bytes()).unwrap().map(|material| material.to_vec())
}

/// All regular files below `dir`.
fn files(dir: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(std::fs::read(path).unwrap());
        }
    }
    files
}

/// What somebody finds who has every file below `dir` and the root key, and knows where the material was: the
/// material of `places` that opens at any offset of any file under any key of the keyring.
fn extract(dir: &Path, root: &RootKey, places: &[RecordKey]) -> Vec<(RecordKey, Vec<u8>)> {
    let keyring = Keyring::peek(dir, root).unwrap().unwrap();
    let sealer = Sealer::new(keyring);
    let mut found = Vec::new();
    for file in files(dir) {
        let starts = file.windows(2).enumerate().filter(|(_, window)| *window == b"Ck").map(|(at, _)| at);
        for start in starts {
            for place in places {
                // The length is not known offline; AES-GCM tells the right one.
                for length in [SECRET.len() + 1, SECRET.len()] {
                    let end = start + length + super::super::seal::SEAL_BYTES;
                    let Some(sealed) = file.get(start..end) else { continue };
                    if let Ok(material) = sealer.open_material(place, sealed) {
                        found.push((place.clone(), material.to_vec()));
                    }
                }
            }
        }
    }
    found
}

const SECRET: &[u8] = b"the material of a destroyed version";

fn victim() -> RecordKey {
    RecordKey::new(Tree::Material, "victim")
}

#[test]
fn destroyed_material_is_in_no_file_for_whoever_has_the_root_key() {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let records = open(dir.path(), &root).unwrap();
    put(&records, "victim", SECRET);
    put(&records, "survivor", b"lives on");
    assert!(!records.purge_is_due().unwrap());
    remove(&records, "victim");
    assert!(records.purge_is_due().unwrap());
    drop(records);
    // The extractor works: before the purge it finds what the interfaces no longer show.
    let places = [victim()];
    let before = extract(dir.path(), &root, &places);
    assert!(before.iter().any(|(_, material)| material.ends_with(SECRET)), "{} found", before.len());

    let records = open(dir.path(), &root).unwrap();
    assert!(records.purge_is_due().unwrap());
    let purged = records.purge().unwrap();
    assert_eq!(purged, Purged { epoch: 2, rewrapped: 1, erased: 1 });
    assert!(!records.purge_is_due().unwrap());
    assert_eq!(material(&records, "survivor").as_deref(), Some(b"lives on".as_slice()));
    // While it runs, and after a clean end and another start.
    assert_eq!(extract(dir.path(), &root, &places), []);
    drop(records);
    assert_eq!(extract(dir.path(), &root, &places), []);
    let records = open(dir.path(), &root).unwrap();
    assert_eq!(material(&records, "survivor").as_deref(), Some(b"lives on".as_slice()));
    assert!(material(&records, "victim").is_none());
    assert!(!records.purge_is_due().unwrap());
}

#[test]
fn the_daily_purge_runs_when_there_is_something_and_once_a_day() {
    let records = Records::open(Arc::new(MemoryStore::new()), Sealer::new(Keyring::random().unwrap()));
    put(&records, "a", b"a");
    assert!(!records.begin_daily_purge(0).unwrap());
    remove(&records, "a");
    assert!(records.begin_daily_purge(0).unwrap());
    assert_eq!(records.purge().unwrap(), Purged { epoch: 2, rewrapped: 0, erased: 1 });
    put(&records, "b", b"b");
    remove(&records, "b");
    assert!(records.purge_is_due().unwrap());
    assert!(!records.begin_daily_purge(DAY - 1).unwrap());
    assert!(records.begin_daily_purge(DAY).unwrap());
}

#[test]
fn long_material_is_rewrapped_with_its_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let records = open(dir.path(), &root).unwrap();
    let long = vec![0x5a; 150_000];
    put(&records, "long", &long);
    put(&records, "gone", &long);
    remove(&records, "gone");
    assert_eq!(records.purge().unwrap().rewrapped, 5);
    assert_eq!(material(&records, "long"), Some(long.clone()));
    drop(records);
    let records = open(dir.path(), &root).unwrap();
    assert_eq!(material(&records, "long"), Some(long));
}

#[test]
fn a_purge_does_not_disturb_readers_and_writers() {
    let dir = tempfile::tempdir().unwrap();
    let records = open(dir.path(), &RootKey::random().unwrap()).unwrap();
    for number in 0..200 {
        put(&records, &format!("steady-{number}"), &[number as u8; 100]);
    }
    put(&records, "long", &[1; 100_000]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !done.load(Ordering::SeqCst) {
                put(&records, &format!("new-{written}"), &[7; 50]);
                if written % 3 == 0 {
                    remove(&records, &format!("new-{written}"));
                }
                put(&records, "long", &vec![written as u8; 100_000]);
                written += 1;
            }
            written
        });
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) {
                let number = reads % 200;
                let expected = vec![number as u8; 100];
                assert_eq!(material(&records, &format!("steady-{number}")), Some(expected));
                assert_eq!(material(&records, "long").unwrap().len(), 100_000);
                reads += 1;
            }
            reads
        });
        for _ in 0..5 {
            records.purge().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        let written = writer.join().unwrap();
        assert!(written > 0 && reader.join().unwrap() > 0);
        for number in 0..written {
            let expected = (number % 3 != 0).then(|| vec![7; 50]);
            assert_eq!(material(&records, &format!("new-{number}")), expected);
        }
    });
    assert_eq!(records.sealer.keyring().current_epoch().0, 6);
}

#[test]
fn material_that_does_not_open_keeps_the_old_keys() {
    let records = Records::open(Arc::new(MemoryStore::new()), Sealer::new(Keyring::random().unwrap()));
    put(&records, "a", b"a");
    put(&records, "b", b"b");
    let place = RecordKey::new(Tree::Material, "b");
    let mut sealed = block_on(records.engine().get(&place)).unwrap().unwrap().bytes;
    *sealed.last_mut().unwrap() ^= 1;
    let mut batch = Batch::new();
    batch.put(place, Expect::Any, sealed);
    block_on(records.engine().commit(batch)).unwrap();
    // The body is damaged, so wrapping its key again works and opening it does not.
    assert!(matches!(records.purge(), Err(Error::NotAuthentic { .. })));
    assert!(records.sealer.keyring().holds_old_epochs());
    assert!(records.purge_is_due().unwrap());
    assert_eq!(material(&records, "a").as_deref(), Some(b"a".as_slice()));
}

#[test]
fn an_older_keyring_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let records = open(dir.path(), &root).unwrap();
    put(&records, "a", b"a");
    let old = std::fs::read(dir.path().join("keyring.a")).unwrap();
    records.purge().unwrap();
    drop(records);
    for slot in ["keyring.a", "keyring.b"] {
        std::fs::write(dir.path().join(slot), &old).unwrap();
    }
    let error = open(dir.path(), &root).err().unwrap();
    assert!(matches!(&error, Error::NotWhole(_)) && error.to_string().contains("keyring"), "{error}");
}

#[test]
fn ten_thousand_versions_are_rewrapped() {
    const VERSIONS: u32 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let records = open(dir.path(), &RootKey::random().unwrap()).unwrap();
    for batch in 0..VERSIONS / 500 {
        let mut change = Change::new();
        for number in batch * 500..(batch + 1) * 500 {
            // The PKCS#8 form of a P-256 key is 138 bytes.
            change.put_material(number.to_be_bytes(), &[number as u8; 138]);
        }
        records.commit(change).unwrap();
    }
    let start = Instant::now();
    assert_eq!(records.purge().unwrap().rewrapped, VERSIONS as usize);
    println!("a purge of {VERSIONS} versions took {:?}", start.elapsed());
}
