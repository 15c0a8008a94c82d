use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn root() -> RootKey {
    RootKey::random().unwrap()
}

fn put(records: &Records, key: &str, value: u64) {
    let mut change = Change::new();
    change.put(Tree::Alias, key, &value).unwrap();
    change.put_material(key, &value.to_be_bytes());
    records.commit(change).unwrap();
}

fn has(records: &Records, key: &str, value: u64) -> bool {
    records.get::<u64>(Tree::Alias, key.as_bytes()).unwrap() == Some(value)
        && records.material(key.as_bytes()).unwrap().unwrap().as_slice() == value.to_be_bytes()
}

/// The error of an opening that must not succeed.
fn refused(result: Result<Records>) -> Error {
    result.err().expect("the store was opened")
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (state, root) = (dir.path().join("state"), root());
    assert!(!holds_data(&state));
    let records = open(&state, &root).unwrap();
    assert!(holds_data(&state));
    put(&records, "a", 1);
    drop(records);
    let records = open(&state, &root).unwrap();
    assert!(has(&records, "a", 1));
    put(&records, "b", 2);
    drop(records);
    let records = open(&state, &root).unwrap();
    assert!(has(&records, "a", 1) && has(&records, "b", 2));
    for name in ["", "store"] {
        assert_eq!(state.join(name).metadata().unwrap().mode() & 0o7777, 0o700);
    }
}

#[test]
fn a_second_daemon_is_told_which_file_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let records = open(dir.path(), &root).unwrap();
    let error = refused(open(dir.path(), &root));
    assert!(matches!(&error, Error::Locked { path } if *path == dir.path().join("lock")));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()));
    put(&records, "a", 1);
    drop(records);
    assert!(has(&open(dir.path(), &root).unwrap(), "a", 1));
}

#[test]
fn another_root_key_opens_nothing_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let right = root();
    put(&open(dir.path(), &right).unwrap(), "a", 1);
    assert!(matches!(refused(open(dir.path(), &root())), Error::KeyringNotAuthentic { .. }));
    assert!(has(&open(dir.path(), &right).unwrap(), "a", 1));
}

#[test]
fn one_damaged_keyring_slot_is_survived_and_two_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    put(&open(dir.path(), &root).unwrap(), "a", 1);
    for slot in ["keyring.a", "keyring.b"] {
        std::fs::write(dir.path().join(slot), b"damaged").unwrap();
        assert!(has(&open(dir.path(), &root).unwrap(), "a", 1));
    }
    for slot in ["keyring.a", "keyring.b"] {
        std::fs::write(dir.path().join(slot), b"damaged").unwrap();
    }
    let error = refused(open(dir.path(), &root));
    assert!(matches!(error, Error::KeyringNotAuthentic { .. }));
    assert!(error.to_string().contains("keyring.a") && error.to_string().contains("backup"), "{error}");
}

#[test]
fn a_store_without_its_keyring_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    put(&open(dir.path(), &root).unwrap(), "a", 1);
    for slot in ["keyring.a", "keyring.b"] {
        std::fs::remove_file(dir.path().join(slot)).unwrap();
    }
    let error = refused(open(dir.path(), &root));
    assert!(matches!(error, Error::KeyringMissing { .. }));
    assert!(error.to_string().contains("keyring.a"), "{error}");
    assert!(!dir.path().join("keyring.a").exists());
}

#[test]
fn the_keyring_of_another_store_is_named() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = root();
    drop(open(one.path(), &root).unwrap());
    drop(open(other.path(), &root).unwrap());
    for slot in ["keyring.a", "keyring.b"] {
        std::fs::copy(other.path().join(slot), one.path().join(slot)).unwrap();
    }
    assert!(matches!(refused(open(one.path(), &root)), Error::KeyringOfAnotherStore { .. }));
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    set_permissions(dir.path(), Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(refused(open(dir.path(), &root())), Error::Exposed { mode: 0o770, .. }));
    set_permissions(dir.path(), Permissions::from_mode(0o750)).unwrap();
    open(dir.path(), &root()).unwrap();
}
