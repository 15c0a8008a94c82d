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

/// Copies all files of the state directory `from`, over those in `to`.
fn copy_over(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            let _ = std::fs::remove_dir_all(&target);
            std::fs::create_dir(&target).unwrap();
            copy_over(&entry.path(), &target);
        } else if entry.file_name() != reserve::FILE {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A store of five commits, and copies of its files after each of them.
fn history(dir: &Path, root: &RootKey) -> Vec<PathBuf> {
    let state = dir.join("state");
    (0..5)
        .map(|number| {
            let records = open(&state, root).unwrap();
            put(&records, &format!("k{number}"), number);
            drop(records);
            let copy = dir.join(number.to_string());
            std::fs::create_dir(&copy).unwrap();
            copy_over(&state, &copy);
            copy
        })
        .collect()
}

fn findings(error: Error) -> Findings {
    match error {
        Error::NotWhole(findings) => *findings,
        other => panic!("{other}"),
    }
}

#[test]
fn a_commit_that_reached_the_engine_and_not_the_anchor_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let history = history(dir.path(), &root);
    let state = dir.path().join("state");
    // As after a crash between the two: the anchor of the commit before. Opening moves it along.
    for _ in 0..2 {
        std::fs::copy(history[3].join("anchor"), state.join("anchor")).unwrap();
        let records = open(&state, &root).unwrap();
        assert!((0..5).all(|number| has(&records, &format!("k{number}"), number)));
        drop(records);
    }
    let anchor = || {
        let key = Arc::new(Keyring::peek(&state, &root).unwrap().unwrap().authenticator().unwrap());
        Anchor::open(&state.join("anchor"), key).unwrap().unwrap().anchored().state.revision
    };
    let revision = anchor();
    std::fs::copy(history[3].join("anchor"), state.join("anchor")).unwrap();
    assert_eq!(anchor(), revision - 1);
    drop(open(&state, &root).unwrap());
    assert_eq!(anchor(), revision);
}

#[test]
fn an_anchor_older_than_one_commit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let history = history(dir.path(), &root);
    let state = dir.path().join("state");
    for copy in &history[..3] {
        std::fs::copy(copy.join("anchor"), state.join("anchor")).unwrap();
        let found = findings(refused(open(&state, &root)));
        assert!(matches!(found.faults[..], [Fault::AnchorOld { .. }]), "{found}");
    }
}

#[test]
fn an_older_engine_is_refused_and_what_it_lacks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let history = history(dir.path(), &root);
    let state = dir.path().join("state");
    for (age, copy) in history[..4].iter().enumerate() {
        std::fs::remove_dir_all(state.join("store")).unwrap();
        std::fs::create_dir(state.join("store")).unwrap();
        copy_over(&copy.join("store"), &state.join("store"));
        let error = refused(open(&state, &root));
        let text = error.to_string();
        let found = findings(error);
        assert!(matches!(found.faults[0], Fault::Behind { .. }), "{found}");
        for number in age + 1..5 {
            let place = RecordKey::new(Tree::Material, format!("k{number}"));
            assert!(found.faults.contains(&Fault::Missing { place }), "{text}");
            assert!(text.contains(&format!("Material/k{number} is missing")), "{text}");
        }
        assert!(text.contains("store verify") && text.contains("recover --accept-loss"), "{text}");
    }
}

#[test]
fn an_engine_or_an_anchor_that_is_gone_is_not_taken_for_a_new_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    history(dir.path(), &root);
    let state = dir.path().join("state");
    std::fs::rename(state.join("anchor"), dir.path().join("aside")).unwrap();
    assert!(matches!(refused(open(&state, &root)), Error::AnchorMissing { .. }));
    std::fs::rename(dir.path().join("aside"), state.join("anchor")).unwrap();
    std::fs::remove_dir_all(state.join("store")).unwrap();
    let found = findings(refused(open(&state, &root)));
    assert!(found.faults.contains(&Fault::StateMissing), "{found}");
    std::fs::remove_file(state.join("anchor")).unwrap();
    assert!(matches!(refused(open(&state, &root)), Error::AnchorMissing { .. }));
    for slot in ["keyring.a", "keyring.b"] {
        std::fs::remove_file(state.join(slot)).unwrap();
    }
    assert!(matches!(refused(open(&state, &root)), Error::KeyringMissing { .. }));
}

#[test]
fn a_record_put_back_into_the_database_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let records = open(dir.path(), &root).unwrap();
    put(&records, "a", 1);
    put(&records, "b", 1);
    drop(records);
    let db = || ::sled::Config::new().path(dir.path().join("store")).segment_size(4 << 20).open().unwrap();
    let key = RecordKey::new(Tree::Alias, "a").to_bytes();
    let old = db().get(&key).unwrap().unwrap();
    put(&open(dir.path(), &root).unwrap(), "a", 2);
    let new = db().insert(&key, old).unwrap().unwrap();
    let found = findings(refused(open(dir.path(), &root)));
    assert!(matches!(found.faults[..], [Fault::Contents, Fault::OutOfDate { .. }]), "{found}");
    db().insert(&key, new).unwrap();
    assert!(has(&open(dir.path(), &root).unwrap(), "a", 2));

    // One more record than there has to be, sealed by this very store.
    db().remove(&key).unwrap();
    let found = findings(refused(open(dir.path(), &root)));
    assert!(found.faults.contains(&Fault::Count { tree: Tree::Alias, found: 1, expected: 2 }), "{found}");
    let name = RecordKey::new(Tree::Alias, "a");
    assert!(found.faults.contains(&Fault::Missing { place: name }), "{found}");
}

#[test]
fn a_loss_that_is_accepted_leaves_the_rest_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let records = open(dir.path(), &root).unwrap();
    (0..6).for_each(|number| put(&records, &format!("k{number}"), number));
    drop(records);
    let whole = recover(dir.path(), &root).unwrap();
    assert!(whole.is_whole() && whole.tally.total() == 13);
    let db = ::sled::Config::new().path(dir.path().join("store")).segment_size(4 << 20).open().unwrap();
    db.remove(RecordKey::new(Tree::Alias, "k1").to_bytes()).unwrap();
    let damaged = RecordKey::new(Tree::Material, "k1").to_bytes();
    let mut value = db.get(&damaged).unwrap().unwrap().to_vec();
    value[30] ^= 1;
    db.insert(damaged, value).unwrap();
    drop(db);
    let seen = verify(dir.path(), &root).unwrap();
    assert!(!seen.is_whole());
    assert!(matches!(refused(open(dir.path(), &root)), Error::NotWhole(_)));

    let given_up = recover(dir.path(), &root).unwrap();
    let text = given_up.to_string();
    assert!(text.contains("Alias/k1 is missing") && text.contains("Material/k1 is not authentic"), "{text}");
    assert!(verify(dir.path(), &root).unwrap().is_whole());
    let records = open(dir.path(), &root).unwrap();
    for number in [0, 2, 3, 4, 5] {
        assert!(has(&records, &format!("k{number}"), number));
    }
    assert!(records.material(b"k1").unwrap().is_none());
    put(&records, "k6", 6);
    drop(records);
    assert!(has(&open(dir.path(), &root).unwrap(), "k6", 6));
}

#[test]
fn a_verified_copy_leaves_the_store_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let state = dir.path().join("state");
    assert!(matches!(verify(&state, &root), Err(Error::NoStore { .. })));
    assert!(!state.exists());
    let records = open(&state, &root).unwrap();
    put(&records, "a", 1);
    assert!(matches!(copy(&state, &dir.path().join("copy")), Err(Error::Locked { .. })));
    drop(records);
    copy(&state, &dir.path().join("copy")).unwrap();
    let findings = verify(&dir.path().join("copy"), &root).unwrap();
    assert!(findings.is_whole(), "{findings}");
    assert_eq!((findings.tally.count(Tree::Alias), findings.reached), (1, 2));
}

#[test]
fn a_store_from_before_there_were_anchors_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    // As format 1 was: a bare revision instead of the state, no anchor, no inventory.
    let mut keyring = Keyring::random().unwrap();
    let sealer = Sealer::new(keyring.clone());
    keyring.save(dir.path(), &root).unwrap();
    let db = ::sled::Config::new().path(dir.path().join("store")).segment_size(4 << 20).open().unwrap();
    let put_raw = |place: RecordKey, plaintext: &[u8], version: u64| {
        let sealed = sealer.seal(&place, plaintext).unwrap();
        db.insert(place.to_bytes(), [version.to_be_bytes().as_slice(), &sealed].concat()).unwrap();
    };
    put_raw(RecordKey::new(Tree::Meta, FORMAT_KEY), &[0, 1, 0, 0, 0], 1);
    put_raw(RecordKey::new(Tree::Alias, "old"), &[0, 7, 0, 0, 0, 0, 0, 0, 0], 2);
    db.insert([0], &2u64.to_be_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    let records = open(dir.path(), &root).unwrap();
    assert_eq!(records.get::<u64>(Tree::Alias, b"old").unwrap(), Some(7));
    assert_eq!(records.get::<u32>(Tree::Meta, FORMAT_KEY).unwrap(), Some(FORMAT));
    drop(records);
    drop(open(dir.path(), &root).unwrap());
    // From now on it needs its anchor.
    std::fs::remove_file(dir.path().join("anchor")).unwrap();
    assert!(matches!(refused(open(dir.path(), &root)), Error::AnchorMissing { .. }));
}

#[test]
fn what_a_start_has_opened_is_read_once_and_never_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let root = root();
    let all = |records: &Records| {
        let mut found = Vec::new();
        records.for_each(Tree::Version, |key, value: String| found.push((key, value))).unwrap();
        found
    };
    let records = open(dir.path(), &root).unwrap();
    let mut expected = Vec::new();
    // One of them is longer than a record of the engine.
    for number in 0..200_u32 {
        let value = "x".repeat(if number == 7 { 1 << 20 } else { number as usize });
        let key = number.to_be_bytes().to_vec();
        let mut change = Change::new();
        change.put(Tree::Version, key.clone(), &value).unwrap();
        records.commit(change).unwrap();
        expected.push((key, value));
    }
    assert_eq!(all(&records), expected, "from the engine");
    drop(records);
    let records = open(dir.path(), &root).unwrap();
    assert_eq!(all(&records), expected, "as they were opened");
    assert_eq!(all(&records), expected, "from the engine again");
    drop(records);
    // A commit before anybody has read.
    let records = open(dir.path(), &root).unwrap();
    let mut change = Change::new();
    change.remove(Tree::Version, expected[3].0.clone());
    change.put(Tree::Version, expected[4].0.clone(), &"new".to_owned()).unwrap();
    records.commit(change).unwrap();
    expected[4].1 = "new".to_owned();
    expected.remove(3);
    assert_eq!(all(&records), expected);
    drop(records);
    let records = open(dir.path(), &root).unwrap();
    records.forget_opened();
    assert_eq!(all(&records), expected);
}
