use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

use super::super::keyring::Keyring;
use super::super::open::open;
use super::*;

fn passphrase(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(text.as_bytes().to_vec()))
}

fn sealed() -> SealedFor {
    SealedFor { passphrase: passphrase("correct horse"), recipient: None }
}

fn with(text: &str) -> OpenedWith {
    OpenedWith { passphrase: passphrase(text), recipient: None }
}

/// Records short and long, one of which is gone.
fn fill(records: &Records) {
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
}

fn store(dir: &Path) -> Records {
    let records = open(dir, &RootKey::random().unwrap()).unwrap();
    fill(&records);
    records
}

/// A directory with a store in it and its export.
fn exported() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let contents = export(&store(&dir.path().join("one")), &path, &sealed()).unwrap();
    assert_eq!((contents.records, contents.materials, contents.tombstones), (82, 41, 1));
    (dir, path)
}

fn refused(path: &Path, opened_with: &OpenedWith) -> &'static str {
    match verify_backup(path, opened_with) {
        Err(Error::Archive { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_backup_lives_on_under_another_root_key_with_the_same_base_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let one = store(&dir.path().join("one"));
    let pepper = one.subkey(label::PIN_PEPPER).unwrap();
    export(&one, &path, &sealed()).unwrap();
    let (other, root) = (dir.path().join("other"), RootKey::random().unwrap());
    let restored = restore(&other, &root, &path, &with("correct horse"), None).unwrap();
    assert_eq!((restored.contents.records, restored.withheld), (82, 0));
    assert_eq!(restored.contents, verify_backup(&path, &with("correct horse")).unwrap());

    let records = open(&other, &root).unwrap();
    for number in 0..40u64 {
        assert_eq!(records.get::<u64>(Tree::Version, &number.to_be_bytes()).unwrap(), Some(number));
        assert_eq!(records.material(&number.to_be_bytes()).unwrap().unwrap().as_slice(), [number as u8; 90]);
    }
    assert_eq!(*records.material(b"long").unwrap().unwrap(), vec![0x5a; 200_000]);
    assert!(records.material(b"gone").unwrap().is_none());
    assert!(records.tombstone(b"gone").unwrap().unwrap().erased.is_some());
    assert!(!records.purge_is_due().unwrap());
    assert_eq!(*records.subkey(label::PIN_PEPPER).unwrap(), *pepper);
    assert_ne!(records.sealer.keyring().store_id, one.sealer.keyring().store_id);
    assert!(records.examine().unwrap().is_whole());
    drop(records);
    let again = restore(&other, &root, &path, &with("correct horse"), None);
    assert!(matches!(again, Err(Error::NotEmpty { .. })));
}

#[test]
fn what_was_destroyed_after_the_backup_stays_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let one = store(&dir.path().join("one"));
    export(&one, &path, &sealed()).unwrap();
    let victim = 7u64.to_be_bytes();
    let mut change = Change::new();
    change.remove_material(victim);
    one.commit(change).unwrap();
    one.purge().unwrap();
    drop(one);

    let list = tombstone::path(&dir.path().join("one"));
    let (other, root) = (dir.path().join("other"), RootKey::random().unwrap());
    let restored = restore(&other, &root, &path, &with("correct horse"), Some(&list)).unwrap();
    assert_eq!(restored.withheld, 1);
    let records = open(&other, &root).unwrap();
    assert!(records.material(&victim).unwrap().is_none());
    assert!(records.tombstone(&victim).unwrap().is_some());
    assert!(records.material(&8u64.to_be_bytes()).unwrap().is_some());

    // A list that was changed, or is of another store, is refused before anything is written.
    let third = dir.path().join("third");
    let mut bytes = std::fs::read(&list).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&list, bytes).unwrap();
    let error = restore(&third, &root, &path, &with("correct horse"), Some(&list)).unwrap_err();
    assert!(error.to_string().contains("another store"), "{error}");
    assert!(!holds_data(&third));
}

#[test]
fn a_restore_that_was_cut_short_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let records = open_new(dir.path(), &root, Zeroizing::new([1; 32])).unwrap();
    set_format(&records, Change::new(), FORMAT_UNFINISHED).unwrap();
    fill(&records);
    drop(records);
    let error = open(dir.path(), &root).err().unwrap();
    assert!(
        matches!(error, Error::Unfinished { .. }) && error.to_string().contains("restore again"),
        "{error}"
    );
}

fn recipients() -> Vec<(&'static str, PKey<Private>)> {
    let group = |nid| EcGroup::from_curve_name(nid).unwrap();
    let ec = |nid| PKey::from_ec_key(EcKey::generate(&group(nid)).unwrap()).unwrap();
    vec![
        ("RSA", PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()),
        ("P-256", ec(Nid::X9_62_PRIME256V1)),
        ("P-521", ec(Nid::SECP521R1)),
        ("X25519", PKey::generate_x25519().unwrap()),
        ("X448", PKey::generate_x448().unwrap()),
    ]
}

#[test]
fn a_recipients_private_key_opens_it_and_both_factors_can_be_needed() {
    let dir = tempfile::tempdir().unwrap();
    let one = store(&dir.path().join("one"));
    let others = recipients();
    for ((name, private), (_, other)) in recipients().into_iter().zip(others) {
        let public = || super::super::recipient(&private.public_key_to_pem().unwrap()).unwrap();
        let pem = private.private_key_to_pem_pkcs8().unwrap();
        let private = || super::super::recipient_private(&pem).unwrap();
        let path = dir.path().join(name);
        export(&one, &path, &SealedFor { passphrase: None, recipient: Some(public()) }).unwrap();
        let key = || OpenedWith { passphrase: None, recipient: Some(private()) };
        assert_eq!(verify_backup(&path, &key()).unwrap().records, 82, "{name}");
        let wrong = OpenedWith { passphrase: None, recipient: Some(other) };
        assert!(refused(&path, &wrong).contains("another recipient"), "{name}");
        assert!(refused(&path, &with("correct horse")).contains("private key"), "{name}");

        let both = dir.path().join(format!("{name}-both"));
        export(&one, &both, &SealedFor { recipient: Some(public()), ..sealed() }).unwrap();
        assert!(refused(&both, &key()).contains("passphrase"), "{name}");
        assert!(refused(&both, &with("correct horse")).contains("private key"), "{name}");
        let opened_with = |text| OpenedWith { passphrase: passphrase(text), recipient: Some(private()) };
        assert!(refused(&both, &opened_with("battery")).contains("passphrase is wrong"), "{name}");
        verify_backup(&both, &opened_with("correct horse")).unwrap();
    }
    let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap().public_key_to_pem().unwrap();
    assert!(super::super::recipient(&short).unwrap_err().contains("too short"));
    let signer = PKey::generate_ed25519().unwrap().public_key_to_pem().unwrap();
    assert!(super::super::recipient(&signer).is_err());
    assert!(super::super::recipient(b"nothing").is_err());
    assert!(export(&one, &dir.path().join("none"), &SealedFor::default()).is_err());
    assert!(!dir.path().join("none").exists());
}

#[test]
fn the_file_is_private_shows_nothing_and_replaces_none() {
    use std::os::unix::fs::MetadataExt;
    let (dir, path) = exported();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(8).any(|window| window == [0x5a; 8]));
    let records = open(&dir.path().join("one-more"), &RootKey::random().unwrap()).unwrap();
    let error = export(&records, &path, &sealed()).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn damage_anywhere_and_every_cut_are_named() {
    let (dir, path) = exported();
    let whole = std::fs::read(&path).unwrap();
    assert!(refused(&path, &with("battery staple")).contains("passphrase"));
    let copy = dir.path().join("copy");
    // Beyond the recipe, so that no try costs what a wrong recipe does.
    let places = (0..60).map(|step| 120 + step * (whole.len() - 121) / 59);
    for place in places {
        let mut changed = whole.clone();
        changed[place] ^= 4;
        std::fs::write(&copy, changed).unwrap();
        refused(&copy, &with("correct horse"));
    }
    for length in [0, 5, 12, 13, 60, 120, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&copy, &whole[..length]).unwrap();
        refused(&copy, &with("correct horse"));
    }
    std::fs::write(&copy, [whole.as_slice(), b"x"].concat()).unwrap();
    refused(&copy, &with("correct horse"));
    // Nothing was written for any of them, nor is for a restore that is refused.
    let target = dir.path().join("target");
    let root = RootKey::random().unwrap();
    restore(&target, &root, &copy, &with("correct horse"), None).unwrap_err();
    assert!(!Keyring::exists(&target));
}
