//! Backups that nobody made: files with changed bytes, and changed contents under a whole seal, as whoever knows the
//! passphrase could make them.

use std::io::Cursor;

use super::super::schema::upgraded;
use super::*;
use crate::fuzz_tests::dice::{Dice, peak_kib, runs};

const PATH: &str = "a backup";

/// Reads a backup as verifying and restoring do; gives the number of its entries.
fn read(reader: Reader<Cursor<Vec<u8>>>) -> Result<u64> {
    reader.for_each(|place, value| {
        let Some((&schema, value)) = value.split_first() else { return Ok(()) };
        // A record that makes no sense is one that the daemon refuses later by name.
        drop(upgraded(&place, schema, Zeroizing::new(value.to_vec())));
        Ok(())
    })
}

/// Contents of a backup before they are sealed.
fn contents(entries: &[(Tree, &[u8], Vec<u8>)]) -> Vec<u8> {
    let mut contents = Vec::new();
    for (tree, key, value) in entries {
        contents.push(*tree as u8);
        contents.extend_from_slice(&(key.len() as u16).to_be_bytes());
        contents.extend_from_slice(key);
        contents.extend_from_slice(&(value.len() as u32).to_be_bytes());
        contents.extend_from_slice(value);
    }
    contents.push(0);
    contents.extend_from_slice(&(entries.len() as u64).to_be_bytes());
    contents
}

#[test]
fn fuzz_backups() {
    let about = About { created: 1, store_id: [7; 16], revision: 9 };
    let recipient = PKey::generate_x25519().unwrap();
    let public = PKey::public_key_from_der(&recipient.public_key_to_der().unwrap()).unwrap();
    let opened_with = OpenedWith { passphrase: None, recipient: Some(recipient) };
    let path = Path::new(PATH);
    let entries = [
        (Tree::Meta, &b"one"[..], vec![1; 40]),
        (Tree::Material, &b"material"[..], vec![1; 200]),
        (Tree::Version, &b"version"[..], vec![2; 3]),
        (Tree::Tombstone, &b""[..], Vec::new()),
    ];
    let sealed = |long: usize| {
        let sealed_for = SealedFor { passphrase: None, recipient: Some(public.clone()) };
        let mut writer = Writer::begin(Vec::new(), path, &about, &sealed_for).unwrap();
        for (tree, key, value) in &entries {
            writer.entry(&RecordKey::new(*tree, *key), value).unwrap();
        }
        writer.entry(&RecordKey::new(Tree::Material, "long"), &vec![1; long]).unwrap();
        writer.end().unwrap().0
    };
    let files = [sealed(0), sealed(2 * CHUNK_BYTES)];
    let plain = [contents(&entries), contents(&entries[..1]), contents(&[])];
    let key = random_key().unwrap();
    let (mut whole, mut refused) = (0u64, 0u64);
    for run in 0..runs() {
        let mut dice = Dice::of(run);
        let read = if dice.roll(8) == 0 {
            // The header asks for a key agreement each time, so not every run has one.
            let mut file = files[usize::from(dice.roll(8) == 0)].clone();
            let head = file.split_off(file.len().min(*dice.pick(&[0, 13, 60, 300, 1000, 70_000])));
            let mut changed = if dice.roll(2) == 0 { file } else { head.clone() };
            dice.mutate(&mut changed, &plain);
            let file = [changed, head].concat();
            Reader::begin(Cursor::new(file), path, &opened_with).and_then(read)
        } else {
            let mut content = dice.pick(&plain).clone();
            dice.mutate(&mut content, &plain);
            let mut writer = Writer {
                output: Vec::new(),
                path: path.to_owned(),
                key: key.clone(),
                header: b"header".to_vec(),
                index: 0,
                chunk: empty(),
                entries: 0,
            };
            // Now and then in two chunks.
            let (one, two) = content.split_at(dice.roll(content.len() + 1));
            writer.push(one).unwrap();
            if !one.is_empty() && !two.is_empty() {
                writer.end_chunk(false).unwrap();
            }
            writer.push(two).unwrap();
            writer.end_chunk(true).unwrap();
            read(Reader {
                input: Cursor::new(writer.output),
                path: path.to_owned(),
                key: key.clone(),
                header: b"header".to_vec(),
                about: about.clone(),
                index: 0,
                chunk: empty(),
                at: 0,
                ended: false,
            })
        };
        match read {
            Ok(_) => whole += 1,
            Err(Error::Archive { .. }) => refused += 1,
            // OpenSSL's word about a public key that is none.
            Err(Error::Crypto(_)) => refused += 1,
            Err(error) => panic!("run {run}: {error}"),
        }
    }
    let peak = peak_kib("self");
    println!("fuzz backup: {} runs, {whole} whole, {refused} refused, at most {peak} KiB", runs());
    assert!(whole > runs() / 20 && refused > runs() / 20, "the fuzzer gets somewhere");
}
