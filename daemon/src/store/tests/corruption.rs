//! Damage anywhere in any file: the store is as it was, or it is refused and says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::workload::{Model, Size, root, step};
use super::{Random, cases, scratch, spare_reserve};
use crate::store::{Error, open};

const PAGE: usize = 4096;

/// Files by their path in the state directory.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files(dir: &Path) -> Files {
    fn collect(dir: &Path, below: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(dir.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.path().is_dir() {
                collect(dir, &path, files);
            } else if !["reserve", "lock"].contains(&entry.file_name().to_str().unwrap()) {
                files.insert(path, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = Files::new();
    collect(dir, Path::new(""), &mut found);
    found
}

fn write(files: &Files, dir: &Path) {
    for (path, bytes) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// A store as it was at several moments; every kind of damage takes from these.
struct History {
    rounds: u64,
    moments: Vec<Files>,
    other: Files,
}

fn history(dir: &Path, rounds: u64) -> History {
    let build = |name: &str| {
        let state = dir.join(name);
        let root = root(&dir.join("state"));
        let mut moments = Vec::new();
        for number in 0..rounds {
            // Every tenth round is a start of its own.
            let records = open(&state, &root).unwrap();
            step(&records, number, Size::Small).unwrap();
            drop(records);
            if number % 10 == 9 || number + 1 == rounds {
                moments.push(files(&state));
            }
        }
        moments
    };
    let mut other = build("other");
    History { rounds, moments: build("state"), other: other.pop().unwrap() }
}

/// A kind of damage, done to some of the files.
type Damage = fn(&History, &mut Files, &mut Random);

fn any_path(files: &Files, random: &mut Random) -> PathBuf {
    // The database most of the time: it has most of the bytes.
    let name = if random.below(3) > 0 { "store/db" } else { "" };
    let index = random.below(files.len() as u64) as usize;
    files
        .keys()
        .find(|path| path.ends_with(name) && !name.is_empty())
        .or(files.keys().nth(index))
        .unwrap()
        .clone()
}

fn flip_bit(_: &History, files: &mut Files, random: &mut Random) {
    let path = any_path(files, random);
    let file = files.get_mut(&path).unwrap();
    if !file.is_empty() {
        let bit = random.below(file.len() as u64 * 8) as usize;
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

fn zero_page(_: &History, files: &mut Files, random: &mut Random) {
    let path = any_path(files, random);
    let file = files.get_mut(&path).unwrap();
    let pages = file.len().div_ceil(PAGE) as u64;
    let start = random.below(pages) as usize * PAGE;
    let end = (start + PAGE).min(file.len());
    file[start..end].fill(0);
}

fn truncate(_: &History, files: &mut Files, random: &mut Random) {
    let path = any_path(files, random);
    let file = files.get_mut(&path).unwrap();
    file.truncate(random.below(file.len() as u64 + 1) as usize);
}

fn tear_tail(_: &History, files: &mut Files, random: &mut Random) {
    let path = any_path(files, random);
    let file = files.get_mut(&path).unwrap();
    let used = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let torn = used.saturating_sub(1 + random.below(3000) as usize);
    match random.below(3) {
        0 => file.truncate(torn),
        1 => file[torn..used].fill(0),
        _ => file[torn..used].iter_mut().for_each(|byte| *byte = random.below(256) as u8),
    }
}

fn remove(_: &History, files: &mut Files, random: &mut Random) {
    let path = any_path(files, random);
    files.remove(&path);
}

/// One file of another store.
fn swap(history: &History, files: &mut Files, random: &mut Random) {
    let path = any_path(files, random);
    match history.other.get(&path) {
        Some(other) => files.insert(path, other.clone()),
        None => files.remove(&path),
    };
}

/// Some files as they were at an earlier moment; not all of them, which no file can tell.
fn roll_back(history: &History, files: &mut Files, random: &mut Random) {
    let age = random.below(history.moments.len() as u64 - 1) as usize;
    let old = &history.moments[age];
    let prefixes: &[&str] = match random.below(6) {
        0 => &["store"],
        1 => &["store/db"],
        2 => &["anchor"],
        3 => &["keyring"],
        4 => &["keyring", "store"],
        _ => &["anchor", "keyring", "inventory"],
    };
    let is_meant = |path: &Path| prefixes.iter().any(|prefix| path.to_str().unwrap().starts_with(prefix));
    files.retain(|path, _| !is_meant(path));
    files.extend(
        old.iter().filter(|(path, _)| is_meant(path)).map(|(path, bytes)| (path.clone(), bytes.clone())),
    );
}

#[test]
fn a_thousand_damaged_stores_are_intact_or_refused() {
    let dir = scratch();
    let history = history(dir.path(), 120);
    let damages: [(&str, Damage, usize); 7] = [
        ("bit flipped", flip_bit, 250),
        ("page zeroed", zero_page, 200),
        ("cut", truncate, 150),
        ("tail torn", tear_tail, 150),
        ("file removed", remove, 30),
        ("file of another store", swap, 60),
        ("files rolled back", roll_back, 160),
    ];
    let mut random = Random::new(11);
    let mut total = 0;
    for (name, damage, images) in damages {
        let (mut intact, mut refused) = (0, BTreeMap::<String, usize>::new());
        for image in 0..cases(images) {
            let mut files = history.moments.last().unwrap().clone();
            damage(&history, &mut files, &mut random);
            let state = dir.path().join("image");
            write(&files, &state);
            spare_reserve(&state);
            match open(&state, &root(&dir.path().join("state"))) {
                Ok(records) => {
                    let found = Model::new(Size::Small).check(&records);
                    assert_eq!(found, Ok(history.rounds), "{name}, image {image}: unnoticed");
                    intact += 1;
                }
                Err(error) => {
                    let text = error.to_string();
                    // It names a file or a record, and what to do.
                    assert!(text.contains('/') || text.contains("store"), "{name}, image {image}: {text}");
                    let variant = format!("{error:?}");
                    let kind = variant.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
                    assert!(
                        !matches!(error, Error::Closed | Error::Poisoned | Error::Conflict { .. }),
                        "{text}"
                    );
                    *refused.entry(kind).or_default() += 1;
                }
            }
            std::fs::remove_dir_all(&state).unwrap();
        }
        let images = cases(images);
        println!("{name}: {images} images, {intact} intact, refused {refused:?}, 0 unnoticed");
        total += images;
    }
    println!("{total} images");
}
