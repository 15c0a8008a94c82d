//! Loss of power: from the recorded writes and syncs of a run, disks are made as a loss of power may leave them.
//!
//! What was synced is there. Of what was not, any part may be: each write whole, not at all or in some of its
//! sectors, later ones without earlier ones. Names that were made, moved or removed are there once their
//! directory was synced, and before in the order they were made, as journalling file systems keep it.
//! `sync_file_range` promises nothing, as its manual says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::workload::{Model, REOPEN, ROUNDS, SIZE, Size, root};
use super::{Random, cases, scratch, shim, shimmed, spare_reserve, wait};
use crate::store::open;

const SECTOR: usize = 512;

enum Event {
    Open { inode: u64, path: PathBuf, created: bool, truncated: bool },
    Write { inode: u64, offset: usize, data: Vec<u8> },
    Truncate { inode: u64, length: usize },
    Sync { inode: u64 },
    SyncDir { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    Unlink { path: PathBuf },
    Mkdir { path: PathBuf },
    Said { text: String },
}

fn events(log: &[u8]) -> Vec<Event> {
    fn array<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
        let (taken, after) = rest.split_first_chunk::<N>().unwrap();
        *rest = after;
        *taken
    }
    let mut rest = log;
    let mut events = Vec::new();
    while !rest.is_empty() {
        let [kind] = array(&mut rest);
        let inode = u64::from_ne_bytes(array(&mut rest));
        let offset = u64::from_ne_bytes(array(&mut rest)) as usize;
        let lengths = [(); 3].map(|()| u32::from_ne_bytes(array(&mut rest)) as usize);
        let parts = lengths.map(|length| {
            let (part, after) = rest.split_at(length);
            rest = after;
            part
        });
        let path = |index: usize| PathBuf::from(std::str::from_utf8(parts[index]).unwrap());
        events.push(match kind {
            b'O' | b'C' => {
                Event::Open { inode, path: path(0), created: kind == b'C', truncated: offset == 1 }
            }
            b'W' => Event::Write { inode, offset, data: parts[2].to_vec() },
            b'T' => Event::Truncate { inode, length: offset },
            b'S' => Event::Sync { inode },
            b'D' => Event::SyncDir { path: path(0) },
            b'R' => Event::Rename { from: path(0), to: path(1) },
            b'U' => Event::Unlink { path: path(0) },
            b'M' => Event::Mkdir { path: path(0) },
            b'A' => Event::Said { text: String::from_utf8_lossy(parts[2]).into_owned() },
            other => panic!("an event of kind {other}"),
        });
    }
    events
}

#[derive(Clone)]
enum Pending {
    Write { offset: usize, data: Vec<u8> },
    Truncate { length: usize },
}

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

fn write(file: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if file.len() < offset + data.len() {
        file.resize(offset + data.len(), 0);
    }
    file[offset..offset + data.len()].copy_from_slice(data);
}

impl Inode {
    fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Write { offset, data } => write(&mut self.durable, offset, &data),
                Pending::Truncate { length } => self.durable.resize(length, 0),
            }
        }
    }

    /// The file after a loss of power.
    fn after_loss(&self, random: &mut Random) -> Vec<u8> {
        let mut file = self.durable.clone();
        // Nothing, everything, a prefix, each at random; torn in sectors or not.
        let (policy, torn) = (random.below(5), random.below(2) == 0);
        let prefix = random.below(self.pending.len() as u64 + 1) as usize;
        for (index, pending) in self.pending.iter().enumerate() {
            let kept = match policy {
                0 => false,
                1 => true,
                2 => index < prefix,
                3 => index >= prefix,
                _ => random.below(2) == 0,
            };
            match pending {
                Pending::Truncate { length } if kept => file.resize(*length, 0),
                Pending::Write { offset, data } => {
                    // A write that is neither kept nor lost: some of its sectors.
                    let is_torn = torn && (index + 1 == self.pending.len() || random.below(4) == 0);
                    let mut at = 0;
                    while at < data.len() {
                        let end = (at + SECTOR - (offset + at) % SECTOR).min(data.len());
                        if if is_torn { random.below(2) == 0 } else { kept } {
                            write(&mut file, offset + at, &data[at..end]);
                        }
                        at = end;
                    }
                }
                Pending::Truncate { .. } => {}
            }
        }
        file
    }
}

/// A change of names.
#[derive(Clone)]
enum Name {
    Add { path: PathBuf, object: usize },
    Remove { path: PathBuf },
    Move { from: PathBuf, to: PathBuf },
}

impl Name {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Name::Add { path, object } => {
                names.insert(path.clone(), *object);
            }
            Name::Remove { path } => {
                names.remove(path);
            }
            Name::Move { from, to } => {
                if let Some(object) = names.remove(from) {
                    names.insert(to.clone(), object);
                }
            }
        }
    }

    fn dir(&self) -> &Path {
        match self {
            Name::Add { path, .. } | Name::Remove { path } | Name::Move { to: path, .. } => {
                path.parent().unwrap()
            }
        }
    }
}

/// A disk with what is durable and what is not.
#[derive(Default)]
struct Disk {
    objects: Vec<Inode>,
    by_inode: BTreeMap<u64, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<Name>,
    dirs: Vec<PathBuf>,
    acknowledged: u64,
}

impl Disk {
    fn object(&mut self, inode: u64) -> &mut Inode {
        let object = self.by_inode[&inode];
        &mut self.objects[object]
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Open { inode, path, created, truncated } => {
                if *created {
                    self.objects.push(Inode::default());
                    let object = self.objects.len() - 1;
                    self.by_inode.insert(*inode, object);
                    self.pending_names.push(Name::Add { path: path.clone(), object });
                } else if *truncated {
                    self.object(*inode).pending.push(Pending::Truncate { length: 0 });
                }
            }
            Event::Write { inode, offset, data } => {
                let pending = Pending::Write { offset: *offset, data: data.clone() };
                self.object(*inode).pending.push(pending);
            }
            Event::Truncate { inode, length } => {
                self.object(*inode).pending.push(Pending::Truncate { length: *length });
            }
            Event::Sync { inode } => self.object(*inode).sync(),
            Event::SyncDir { path } => {
                let path = path.as_path();
                for name in std::mem::take(&mut self.pending_names) {
                    if name.dir() == path {
                        name.apply(&mut self.durable_names);
                    } else {
                        self.pending_names.push(name);
                    }
                }
            }
            Event::Rename { from, to } => {
                self.pending_names.push(Name::Move { from: from.clone(), to: to.clone() });
            }
            Event::Unlink { path } => self.pending_names.push(Name::Remove { path: path.clone() }),
            Event::Mkdir { path } => self.dirs.push(path.clone()),
            Event::Said { text } => {
                for line in text.lines() {
                    if let Some((_, number)) = line.split_once("done ") {
                        self.acknowledged = number.trim().parse().unwrap();
                    }
                }
            }
        }
    }

    /// Writes the files as a loss of power may leave them, with `from` replaced by `to` in their names.
    fn lose_power(&self, random: &mut Random, from: &Path, to: &Path) {
        let mut names = self.durable_names.clone();
        let kept = random.below(self.pending_names.len() as u64 + 1) as usize;
        self.pending_names[..kept].iter().for_each(|name| name.apply(&mut names));
        for dir in [from.to_owned()].iter().chain(&self.dirs) {
            std::fs::create_dir_all(to.join(dir.strip_prefix(from).unwrap())).unwrap();
        }
        for (path, object) in names {
            let file = self.objects[object].after_loss(random);
            std::fs::write(to.join(path.strip_prefix(from).unwrap()), file).unwrap();
        }
    }
}

/// A run of the workload, recorded.
struct Recording {
    dir: tempfile::TempDir,
    size: Size,
    events: Vec<Event>,
}

fn record(size: &str, rounds: usize, reopen: usize) -> Recording {
    let library = shim().unwrap();
    let dir = scratch();
    let (store, log) = (dir.path().join("state"), dir.path().join("log"));
    root(&store);
    let mut command = shimmed(library, &store);
    command
        .env(ROUNDS, rounds.to_string())
        .env(REOPEN, reopen.to_string())
        .env(SIZE, size)
        .env("SHIM_LOG", &log);
    let (status, lines) = wait(command.spawn().unwrap());
    assert!(status.success(), "{status} {lines:?}");
    let events = events(&std::fs::read(&log).unwrap());
    std::fs::remove_file(&log).unwrap();

    let size = if size == "large" { Size::Large } else { Size::Small };
    Recording { dir, size, events }
}

/// What became of the images.
#[derive(Debug, Default)]
struct Outcome {
    whole: usize,
    /// Refused, with the reason.
    refused: Vec<String>,
    /// Opened, and not as acknowledged.
    unnoticed: Vec<String>,
}

impl Recording {
    /// Loses the power at `images` moments, on a disk that syncs when it is told to, or on one that lies.
    fn lose_power(&self, images: usize, honest: bool, seed: u64) -> Outcome {
        let (store, state) = (self.dir.path().join("state"), self.dir.path().join("image"));
        let mut random = Random::new(seed);
        let count = self.events.len() as u64;
        let mut moments: Vec<usize> = (0..images).map(|_| random.below(count) as usize).collect();
        moments.sort_unstable();
        let (mut disk, mut at, mut outcome) = (Disk::default(), 0, Outcome::default());
        let mut model = Model::new(self.size);
        for moment in moments {
            while at < moment {
                let event = &self.events[at];
                if honest || !matches!(event, Event::Sync { .. }) {
                    disk.take(event);
                }
                at += 1;
            }
            disk.lose_power(&mut random, &store, &state);
            spare_reserve(&state);
            let acknowledged = disk.acknowledged;
            let image = format!("event {moment} of {count}, {acknowledged} rounds acknowledged");
            match open(&state, &root(&store)).map(|records| model.check(&records)) {
                Ok(Ok(found)) if found == acknowledged || found == acknowledged + 1 => outcome.whole += 1,
                Ok(Ok(found)) => outcome.unnoticed.push(format!("{image}: {found} rounds")),
                Ok(Err(wrong)) => outcome.unnoticed.push(format!("{image}: {wrong}")),
                Err(error) => outcome.refused.push(format!("{image}: {error}")),
            }
            std::fs::remove_dir_all(&state).unwrap();
        }
        outcome
    }

    /// Bytes written to files, and those of them that took the place of others.
    fn written(&self) -> (usize, usize) {
        let (mut lengths, mut total, mut again) = (BTreeMap::<u64, usize>::new(), 0, 0);
        for event in &self.events {
            if let Event::Write { inode, offset, data } = event {
                let length = lengths.entry(*inode).or_default();
                total += data.len();
                again += data.len().min(length.saturating_sub(*offset));
                *length = (*length).max(offset + data.len());
            }
        }
        (total, again)
    }
}

#[test]
fn five_hundred_losses_of_power_lose_nothing_that_was_acknowledged() {
    if shim().is_none() {
        return println!("skipped: there is no C compiler");
    }
    // Small values, large ones that make sled use its segments again, many starts, and a first start.
    for (size, rounds, reopen, images, seed) in [
        ("small", 150, 1000, 160, 1),
        ("large", 300, 110, 160, 2),
        ("small", 40, 4, 120, 3),
        ("small", 1, 1000, 80, 4),
    ] {
        let recording = record(size, rounds, reopen);
        let Outcome { whole, refused, unnoticed } = recording.lose_power(cases(images), true, seed);
        let (total, again) = recording.written();
        println!(
            "{} images of {} calls ({} KiB written, {} KiB of it over older data): {whole} whole",
            cases(images),
            recording.events.len(),
            total / 1024,
            again / 1024
        );
        let problems: Vec<_> = refused.iter().chain(&unnoticed).map(String::as_str).collect();
        assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    }
}

#[test]
fn the_images_show_a_disk_that_does_not_sync() {
    if shim().is_none() {
        return println!("skipped: there is no C compiler");
    }
    let outcome = record("small", 40, 15).lose_power(40, false, 5);
    let lost = outcome.refused.len() + outcome.unnoticed.len();
    assert!(lost > 20, "only {lost} images show a loss: {outcome:?}");
}
