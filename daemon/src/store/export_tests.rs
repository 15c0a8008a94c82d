use super::super::engine::Tree;
use super::super::keyring::Keyring;
use super::*;

const PASSPHRASE: &[u8] = b"correct horse";

/// A store with short and long records, its directory and its export.
fn exported() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let records = open(&dir.path().join("one"), &RootKey::random().unwrap()).unwrap();
    let mut change = Change::new();
    for number in 0..40u64 {
        change.put(Tree::Version, number.to_be_bytes(), &number).unwrap();
        change.put_material(number.to_be_bytes(), &[number as u8; 90]);
    }
    change.put_material("long", &[0x5a; 200_000]);
    change.put_material("gone", b"gone");
    records.commit(change).unwrap();
    let mut change = Change::new();
    change.remove_material("gone");
    records.commit(change).unwrap();
    let path = dir.path().join("file");
    assert_eq!(export(&records, &path, PASSPHRASE).unwrap(), 81);
    (dir, path)
}

fn refused(path: &Path, passphrase: &[u8]) -> &'static str {
    match read_all(path, passphrase, |_, _| Ok(())) {
        Err(Error::Export { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_exported_is_imported_under_another_root_key() {
    let (dir, path) = exported();
    let (other, root) = (dir.path().join("other"), RootKey::random().unwrap());
    assert_eq!(import(&other, &root, &path, PASSPHRASE).unwrap(), 81);
    let records = open(&other, &root).unwrap();
    for number in 0..40u64 {
        assert_eq!(records.get::<u64>(Tree::Version, &number.to_be_bytes()).unwrap(), Some(number));
        assert_eq!(records.material(&number.to_be_bytes()).unwrap().unwrap().as_slice(), [number as u8; 90]);
    }
    assert_eq!(*records.material(b"long").unwrap().unwrap(), vec![0x5a; 200_000]);
    assert!(records.material(b"gone").unwrap().is_none());
    assert!(!records.purge_is_due().unwrap());
    assert!(Keyring::exists(&other));
    drop(records);
    assert!(matches!(import(&other, &root, &path, PASSPHRASE), Err(Error::NotEmpty { .. })));
}

#[test]
fn the_file_is_private_shows_nothing_and_replaces_none() {
    use std::os::unix::fs::MetadataExt;
    let (dir, path) = exported();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(8).any(|window| window == [0x5a; 8]));
    let records = open(&dir.path().join("one-more"), &RootKey::random().unwrap()).unwrap();
    let error = export(&records, &path, PASSPHRASE).unwrap_err();
    assert!(matches!(error, Error::Io { doing: "create", .. }));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn damage_anywhere_is_named_and_imports_nothing() {
    let (dir, path) = exported();
    assert!(refused(&path, b"wrong").contains("passphrase"));
    let bytes = std::fs::read(&path).unwrap();
    let damaged = dir.path().join("damaged");
    // Magic, schema, salt, the flag and length of the first chunk, its content, the last byte.
    for offset in [0, 8, 25, 37, 40, 300, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[offset] ^= 1;
        std::fs::write(&damaged, changed).unwrap();
        refused(&damaged, PASSPHRASE);
    }
    let second = HEADER_BYTES + 5 + CHUNK_BYTES + SEAL_BYTES;
    for cut in [0, 20, HEADER_BYTES, HEADER_BYTES + 3, second, second + 100, bytes.len() - 1] {
        std::fs::write(&damaged, &bytes[..cut]).unwrap();
        refused(&damaged, PASSPHRASE);
    }
    // A chunk left out, and bytes behind the last.
    std::fs::write(&damaged, [&bytes[..HEADER_BYTES], &bytes[second..]].concat()).unwrap();
    refused(&damaged, PASSPHRASE);
    std::fs::write(&damaged, [bytes.as_slice(), b"x"].concat()).unwrap();
    refused(&damaged, PASSPHRASE);
    // A cost that no machine has.
    let mut greedy = bytes.clone();
    greedy[9] = 0xff;
    std::fs::write(&damaged, greedy).unwrap();
    assert!(refused(&damaged, PASSPHRASE).contains("work"));
    let target = dir.path().join("target");
    assert!(import(&target, &RootKey::random().unwrap(), &damaged, PASSPHRASE).is_err());
    assert!(!holds_data(&target));
}
