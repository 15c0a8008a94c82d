use super::super::engine::Tree;
use super::super::open::open;
use super::super::records::Change;
use super::super::root_key::label;
use super::*;

fn put(records: &Records, key: &str) {
    let mut change = Change::new();
    change.put_material(key, key.as_bytes());
    records.commit(change).unwrap();
}

fn has(records: &Records, key: &str) -> bool {
    records.material(key.as_bytes()).unwrap().is_some_and(|material| material.as_slice() == key.as_bytes())
}

fn file_source(dir: &Path) -> RootSource {
    RootSource::File { path: dir.join("root.key"), create: true }
}

#[test]
fn a_changed_root_key_opens_the_store_and_the_old_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let source = file_source(dir.path());
    let old = source.key(dir.path(), None).unwrap();
    let records = open(dir.path(), &old).unwrap();
    put(&records, "a");
    let pepper = records.subkey(label::PIN_PEPPER).unwrap();
    source.rotate(&records, None, None).unwrap();
    put(&records, "b");
    // A purge saves the keyring: under the new key.
    records.purge().unwrap();
    drop(records);
    assert!(!next(&dir.path().join("root.key")).exists());
    assert!(matches!(open(dir.path(), &old), Err(Error::KeyringNotAuthentic { .. })));
    let records = open(dir.path(), &source.key(dir.path(), None).unwrap()).unwrap();
    assert!(has(&records, "a") && has(&records, "b"));
    assert_eq!(*records.subkey(label::PIN_PEPPER).unwrap(), *pepper);
    assert_eq!(records.get::<u64>(Tree::Meta, b"none").unwrap(), None);
}

#[test]
fn a_rotation_cut_short_at_any_point_leaves_a_key_that_opens() {
    for point in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let source = file_source(dir.path());
        let path = dir.path().join("root.key");
        let old = source.key(dir.path(), None).unwrap();
        let records = open(dir.path(), &old).unwrap();
        put(&records, "a");
        let before =
            [0, 1].map(|slot| std::fs::read(dir.path().join(["keyring.a", "keyring.b"][slot])).unwrap());
        let new = RootKey::random().unwrap();
        new.write_to(&next(&path)).unwrap();
        if point > 0 {
            records.change_root(&new).unwrap();
        }
        drop(records);
        match point {
            // One slot under the new key, the other still under the old one.
            1 => std::fs::write(dir.path().join("keyring.b"), &before[1]).unwrap(),
            3 => take_place(&path).unwrap(),
            _ => {}
        }
        let root = source.key(dir.path(), None).unwrap();
        // After point 1 the anchor knows of the newer generation; a crash between the slots comes before that.
        if point != 1 {
            assert!(has(&open(dir.path(), &root).unwrap(), "a"), "point {point}");
        }
        assert!(!next(&path).exists(), "point {point}");
        assert_eq!(root.bytes() == new.bytes(), point >= 2, "point {point}");
    }
}

#[test]
fn a_root_key_moves_from_a_file_to_a_passphrase_and_on_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let root = file_source(dir.path()).key(dir.path(), None).unwrap();
    let records = open(dir.path(), &root).unwrap();
    put(&records, "a");
    drop(records);
    assert!(RootSource::begin_passphrase(dir.path(), None, b"one").is_err());
    let other = RootKey::random().unwrap();
    let error = RootSource::begin_passphrase(dir.path(), Some(&other), b"one").unwrap_err();
    assert!(matches!(error, Error::KeyringNotAuthentic { .. }));
    RootSource::begin_passphrase(dir.path(), Some(&root), b"one").unwrap();
    let error = RootSource::begin_passphrase(dir.path(), Some(&root), b"one").unwrap_err();
    assert!(matches!(error, Error::RootKey { fault: RootKeyFault::Exists, .. }));

    let source = RootSource::Passphrase;
    let wrong = source.key(dir.path(), Some(b"two")).err().unwrap();
    assert!(matches!(wrong, Error::RootKey { fault: RootKeyFault::Passphrase, .. }));
    let records = open(dir.path(), &source.key(dir.path(), Some(b"one")).unwrap()).unwrap();
    assert!(has(&records, "a"));
    source.rotate(&records, None, None).unwrap_err();
    source.rotate(&records, None, Some(b"two")).unwrap();
    drop(records);
    assert!(source.key(dir.path(), Some(b"one")).is_err());
    assert!(has(&open(dir.path(), &source.key(dir.path(), Some(b"two")).unwrap()).unwrap(), "a"));
    // The key in the file opens nothing any more.
    assert!(open(dir.path(), &root).is_err());
}

#[test]
fn a_credential_is_changed_to_a_key_that_the_caller_has() {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let records = open(dir.path(), &root).unwrap();
    let error = RootSource::Credential.rotate(&records, None, None).unwrap_err();
    assert!(matches!(error, Error::RootKey { fault: RootKeyFault::NotOurs, .. }));
    RootSource::Credential.rotate(&records, Some(Zeroizing::new([7; 32])), None).unwrap();
    drop(records);
    assert!(open(dir.path(), &root).is_err());
    open(dir.path(), &RootKey::from_bytes(Zeroizing::new([7; 32]))).unwrap();
}
