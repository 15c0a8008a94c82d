use std::sync::atomic::{AtomicBool, Ordering};

use super::super::keyring::Keyring;
use super::super::memory::MemoryStore;
use super::super::suite::{keys, on_disk, ready};
use super::*;

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
struct Thing {
    name: String,
    body: Vec<u8>,
}

fn thing(name: &str, length: usize) -> Thing {
    let body = (0..length).map(|index| (index * 31 + name.len()) as u8).collect();
    Thing { name: name.into(), body }
}

fn over(engine: Arc<dyn Store>) -> Records {
    Records::open(engine, Sealer::new(Keyring::random().unwrap()))
}

fn records() -> Records {
    over(Arc::new(MemoryStore::new()))
}

fn put(records: &Records, key: &str, value: &Thing) {
    let mut change = Change::new();
    change.put(Tree::Object, key, value).unwrap();
    records.commit(change).unwrap();
}

fn chunks(records: &Records) -> usize {
    keys(&**records.engine(), &RecordKey::new(Tree::Chunk, "")).len()
}

fn raw(records: &Records, place: &RecordKey) -> Vec<u8> {
    ready(records.engine.get(place)).unwrap().unwrap().bytes
}

fn put_raw(records: &Records, place: &RecordKey, bytes: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(place.clone(), Expect::Any, bytes);
    ready(records.engine.commit(batch)).unwrap();
}

#[test]
fn values_of_every_length_survive_on_both_engines() {
    let dir = tempfile::tempdir().unwrap();
    let engines: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(on_disk(dir.path()).unwrap())];
    for records in engines.map(over) {
        // The encoding adds 16 bytes of lengths and the name.
        for length in [0, 1, PART_BYTES - 18, PART_BYTES - 17, PART_BYTES, 2 * PART_BYTES, 200_000] {
            let value = thing("x", length);
            put(&records, "key", &value);
            assert_eq!(records.get::<Thing>(Tree::Object, b"key").unwrap(), Some(value), "{length}");
            let encoded = length + 17;
            assert_eq!(chunks(&records), encoded.div_ceil(PART_BYTES) - 1, "{length}");

            let material = vec![0x5a; length];
            let mut change = Change::new();
            change.put_material("key", &material);
            records.commit(change).unwrap();
            assert_eq!(*records.material(b"key").unwrap().unwrap(), material);
            let mut change = Change::new();
            change.remove_material("key");
            records.commit(change).unwrap();
            assert!(records.material(b"key").unwrap().is_none());
        }
    }
}

#[test]
fn no_chunk_outlives_its_value() {
    let records = records();
    put(&records, "key", &thing("x", 5 * PART_BYTES));
    assert_eq!(chunks(&records), 5);
    put(&records, "key", &thing("x", 2 * PART_BYTES));
    assert_eq!(chunks(&records), 2);
    put(&records, "key", &thing("x", 3));
    assert_eq!(chunks(&records), 0);
    put(&records, "key", &thing("x", 3 * PART_BYTES));
    let mut change = Change::new();
    change.remove(Tree::Object, "key");
    records.commit(change).unwrap();
    assert_eq!(chunks(&records), 0);
    assert!(records.get::<Thing>(Tree::Object, b"key").unwrap().is_none());
}

#[test]
fn every_value_is_passed_once_and_in_order() {
    let records = records();
    let mut expected = Vec::new();
    let mut change = Change::new();
    for number in 0..1500 {
        let value = thing(&number.to_string(), if number % 500 == 7 { 100_000 } else { 10 });
        let key = format!("k{number:04}");
        change.put(Tree::Object, key.as_str(), &value).unwrap();
        expected.push((key.into_bytes(), value));
    }
    change.put(Tree::Alias, "k0000", &1u8).unwrap();
    records.commit(change).unwrap();
    let mut seen = Vec::new();
    records.for_each(Tree::Object, |key, value: Thing| seen.push((key, value))).unwrap();
    assert_eq!(seen, expected);
    let mut under = 0;
    records.for_each_under(Tree::Object, b"k00", |_, _: Thing| under += 1).unwrap();
    assert_eq!(under, 100);
}

#[test]
fn a_change_happens_as_a_whole_or_not_at_all() {
    let records = records();
    put(&records, "a", &thing("a", 5));
    let (version, _) = records.get_versioned::<Thing>(Tree::Object, b"a").unwrap().unwrap();
    let mut change = Change::new();
    change.put(Tree::Object, "b", &thing("b", 100_000)).unwrap();
    change.put_material("b", b"secret");
    change.put_if(Tree::Object, "a", Expect::Version(version + 1), &thing("c", 1)).unwrap();
    assert!(matches!(records.commit(change), Err(Error::Conflict { found, .. }) if found == Some(version)));
    assert!(records.get::<Thing>(Tree::Object, b"b").unwrap().is_none());
    assert!(records.material(b"b").unwrap().is_none());
    assert_eq!(chunks(&records), 0);

    let mut change = Change::new();
    change.put_if(Tree::Object, "a", Expect::Version(version), &thing("c", 1)).unwrap();
    change.put_if(Tree::Object, "b", Expect::Absent, &thing("b", 1)).unwrap();
    records.commit(change).unwrap();
    let mut change = Change::new();
    change.remove_if(Tree::Object, "a", Expect::Version(version));
    assert!(matches!(records.commit(change), Err(Error::Conflict { .. })));
    assert_eq!(records.get::<Thing>(Tree::Object, b"a").unwrap(), Some(thing("c", 1)));
}

#[test]
fn an_empty_change_is_done_at_once() {
    records().commit(Change::new()).unwrap();
}

#[test]
fn a_value_of_another_type_is_named() {
    let records = records();
    put(&records, "a", &thing("a", 5));
    let result = records.get::<u64>(Tree::Object, b"a");
    assert!(
        matches!(result, Err(Error::Undecodable { place }) if place == RecordKey::new(Tree::Object, "a"))
    );
}

#[test]
fn moved_and_changed_records_are_refused() {
    let records = records();
    put(&records, "a", &thing("a", 5));
    put(&records, "long", &thing("long", 100_000));
    let mut change = Change::new();
    change.put_material("a", b"secret");
    records.commit(change).unwrap();

    let home = RecordKey::new(Tree::Object, "a");
    let sealed = raw(&records, &home);
    put_raw(&records, &RecordKey::new(Tree::Object, "b"), sealed.clone());
    assert!(matches!(records.get::<Thing>(Tree::Object, b"b"), Err(Error::NotAuthentic { .. })));
    let material = raw(&records, &RecordKey::new(Tree::Material, "a"));
    put_raw(&records, &RecordKey::new(Tree::Material, "b"), material);
    assert!(matches!(records.material(b"b"), Err(Error::NotAuthentic { .. })));

    let mut changed = sealed;
    changed[20] ^= 4;
    put_raw(&records, &home, changed);
    assert!(matches!(records.get::<Thing>(Tree::Object, b"a"), Err(Error::NotAuthentic { .. })));
    let result = records.for_each(Tree::Object, |_, _: Thing| {});
    assert!(matches!(result, Err(Error::NotAuthentic { place }) if place == home));

    let long = RecordKey::new(Tree::Object, "long");
    let (first, second) = (chunk_place(&long, 0), chunk_place(&long, 1));
    let sealed = raw(&records, &first);
    put_raw(&records, &second, sealed);
    assert!(matches!(records.get::<Thing>(Tree::Object, b"long"), Err(Error::NotAuthentic { .. })));
}

#[test]
fn a_chunk_that_is_missing_or_of_an_older_value_is_noticed() {
    let records = records();
    let place = chunk_place(&RecordKey::new(Tree::Object, "long"), 1);
    put(&records, "long", &thing("old", 100_000));
    let old = raw(&records, &place);
    put(&records, "long", &thing("new", 100_000));
    put_raw(&records, &place, old);
    assert!(matches!(records.get::<Thing>(Tree::Object, b"long"), Err(Error::Corrupt { .. })));
    let mut batch = Batch::new();
    batch.remove(place, Expect::Any);
    ready(records.engine.commit(batch)).unwrap();
    assert!(matches!(records.get::<Thing>(Tree::Object, b"long"), Err(Error::Corrupt { .. })));
}

#[test]
fn engines_see_no_plaintext() {
    let dir = tempfile::tempdir().unwrap();
    let records = over(Arc::new(on_disk(dir.path()).unwrap()));
    let marker = b"marker-of-a-secret-value";
    let mut change = Change::new();
    change.put(Tree::Object, "a", &marker.to_vec()).unwrap();
    change.put_material("a", &marker.repeat(3000));
    records.commit(change).unwrap();
    drop(records);
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(path).unwrap();
            assert!(!bytes.windows(8).any(|window| window == &marker[..8]));
            files += 1;
        }
    }
    assert!(files >= 2, "the database and its configuration");
}

#[test]
fn readers_see_whole_values_while_writers_replace_them() {
    let dir = tempfile::tempdir().unwrap();
    let records = over(Arc::new(on_disk(dir.path()).unwrap()));
    let sizes = [10, 40_000, 100_000, 70_000];
    put(&records, "key", &thing("0", sizes[0]));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (records, sizes) = (&records, &sizes);
                scope.spawn(move || {
                    for round in 0..20 {
                        put(records, "key", &thing("0", sizes[(round + writer) % sizes.len()]));
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) || reads == 0 {
                match records.get::<Thing>(Tree::Object, b"key") {
                    Ok(value) => {
                        let value = value.unwrap();
                        assert_eq!(value, thing("0", value.body.len()));
                        assert!(sizes.contains(&value.body.len()));
                    }
                    Err(error) => panic!("{error}"),
                }
                reads += 1;
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
    put(&records, "key", &thing("0", 10));
    assert_eq!(chunks(&records), 0);
}

#[test]
fn block_on_sleeps_until_it_is_woken() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let waker = thread::spawn(move || sender.send(7).unwrap());
    assert_eq!(block_on(receiver).unwrap(), 7);
    waker.join().unwrap();
}
