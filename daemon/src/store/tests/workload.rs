//! What the children do: commits whose every result can be foretold from their number.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::super::{Change, Error, Records, RootKey, Tree, open};
use super::Random;

/// The directory a child works in.
pub(super) const DIR: &str = "CLAVIGER_TEST_STORE";
/// How many rounds it makes before it ends by itself; without end otherwise.
pub(super) const ROUNDS: &str = "CLAVIGER_TEST_ROUNDS";
/// The size of its values: `small` or `large`.
pub(super) const SIZE: &str = "CLAVIGER_TEST_SIZE";
/// Opens the store again after every so many rounds.
pub(super) const REOPEN: &str = "CLAVIGER_TEST_REOPEN";

const ROUND_KEY: &[u8] = b"round";
const PURGE_EVERY: u64 = 13;

/// The sizes of values.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Size {
    Small,
    /// Some are longer than a record.
    Large,
}

impl Size {
    fn keys(self) -> u64 {
        match self {
            Size::Small => 24,
            Size::Large => 60,
        }
    }

    fn length(self, random: &mut Random) -> u64 {
        match (self, random.below(8)) {
            (Size::Small, 0) => 2000,
            (Size::Small, _) => random.below(200),
            (Size::Large, 0) => 40_000 + random.below(40_000),
            (Size::Large, _) => random.below(12_000),
        }
    }
}

/// What one round does: versions and material that it writes, and material that it removes.
struct Round {
    writes: BTreeMap<u64, Value>,
    removes: Option<u64>,
}

/// What a round writes at one key.
#[derive(Clone, Copy)]
struct Value {
    round: u64,
    length: u64,
}

impl Value {
    fn bytes(self) -> Vec<u8> {
        let mut value = self.round.to_be_bytes().to_vec();
        let byte = (self.round as u8).wrapping_mul(31);
        value.extend((0..self.length).map(|index| byte.wrapping_add(index as u8)));
        value
    }
}

fn round(number: u64, size: Size) -> Round {
    let mut random = Random::new(number + 1);
    let keys = size.keys();
    let mut writes = BTreeMap::new();
    for _ in 0..=random.below(3) {
        let key = random.below(keys);
        writes.insert(key, Value { round: number, length: size.length(&mut random) });
    }
    let victim = random.below(keys);
    let removes = (number % 3 == 2 && !writes.contains_key(&victim)).then_some(victim);
    Round { writes, removes }
}

/// What the store holds after a number of rounds.
pub(super) struct Model {
    size: Size,
    rounds: u64,
    versions: BTreeMap<u64, Value>,
    material: BTreeMap<u64, Value>,
}

impl Model {
    pub(super) fn new(size: Size) -> Self {
        Self { size, rounds: 0, versions: BTreeMap::new(), material: BTreeMap::new() }
    }

    /// Moves on to `rounds`; starts anew when they are fewer.
    pub(super) fn reach(&mut self, rounds: u64) {
        if rounds < self.rounds {
            *self = Self::new(self.size);
        }
        for number in self.rounds..rounds {
            let Round { writes, removes } = round(number, self.size);
            self.versions.extend(&writes);
            self.material.extend(&writes);
            if let Some(key) = removes {
                self.material.remove(&key);
            }
        }
        self.rounds = rounds;
    }

    /// The number of rounds in the store, all of whose content has to be as after them. Anything else is said.
    pub(super) fn check(&mut self, records: &Records) -> Result<u64, String> {
        let text = |error: Error| error.to_string();
        let rounds = records.get::<u64>(Tree::Meta, ROUND_KEY).map_err(text)?.unwrap_or(0);
        self.reach(rounds);
        let mut wrong = String::new();
        let mut seen = 0;
        let each = |key: Vec<u8>, value: Vec<u8>| {
            seen += 1;
            let key = key.try_into().map(u64::from_be_bytes).unwrap_or(u64::MAX);
            if self.versions.get(&key).map(|expected| expected.bytes()) != Some(value) {
                let _ = write!(wrong, "version {key} is another; ");
            }
        };
        records.for_each(Tree::Version, each).map_err(text)?;
        if seen != self.versions.len() {
            let _ = write!(wrong, "{seen} versions instead of {}; ", self.versions.len());
        }
        for key in 0..self.size.keys() {
            let found = records.material(&key.to_be_bytes()).map_err(text)?;
            if found.as_deref() != self.material.get(&key).map(|expected| expected.bytes()).as_ref() {
                let _ = write!(wrong, "material {key} is another; ");
            }
        }
        if wrong.is_empty() { Ok(rounds) } else { Err(format!("after {rounds} rounds: {wrong}")) }
    }
}

/// Does one round, and a purge every so often.
pub(super) fn step(records: &Records, number: u64, size: Size) -> Result<(), Error> {
    let Round { writes, removes } = round(number, size);
    let mut change = Change::new();
    change.put(Tree::Meta, ROUND_KEY, &(number + 1))?;
    for (key, value) in writes {
        let value = value.bytes();
        change.put(Tree::Version, key.to_be_bytes(), &value)?;
        change.put_material(key.to_be_bytes(), &value);
    }
    if let Some(key) = removes {
        change.remove_material(key.to_be_bytes());
    }
    records.commit(change)?;
    if number % PURGE_EVERY == PURGE_EVERY - 1 {
        // A purge that fails takes nothing away from the round, which is committed.
        let _ = records.purge();
    }
    Ok(())
}

/// The root key of the store in `dir`, which is made with it.
pub(super) fn root(dir: &Path) -> RootKey {
    RootKey::from_file(&dir.with_extension("root"), true).unwrap()
}

fn say(text: std::fmt::Arguments<'_>) {
    // One write, so that a kill leaves whole lines.
    let line = format!("{text}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// The number in the last line `word N` of a child.
pub(super) fn last(lines: &[String], word: &str) -> Option<u64> {
    lines.iter().rev().find_map(|line| line.split_once(word)?.1.strip_prefix(' ')?.trim().parse().ok())
}

/// Not a test of its own: the process that the suites kill and fail. It says `open N` with the rounds it found,
/// which it has checked, and `done N` after each round.
#[test]
#[ignore = "run as a child by the suites"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    // sled's panics are caught; one that ends the child shows in its exit code, and here why.
    std::panic::set_hook(Box::new(|panic| say(format_args!("panic: {panic}"))));
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let size = if std::env::var(SIZE).is_ok_and(|size| size == "large") { Size::Large } else { Size::Small };
    let (rounds, reopen) = (number(ROUNDS).unwrap_or(u64::MAX), number(REOPEN).unwrap_or(u64::MAX));
    let root = root(dir);
    let mut model = Model::new(size);
    let mut made = 0;
    loop {
        let records = match open(dir, &root) {
            Ok(records) => records,
            Err(error) => return say(format_args!("refused {error}")),
        };
        let first = match model.check(&records) {
            Ok(first) => first,
            Err(wrong) => return say(format_args!("wrong {wrong}")),
        };
        say(format_args!("open {first}"));
        for number in first.. {
            if made == rounds {
                return;
            }
            if let Err(error) = step(&records, number, size) {
                say(format_args!("failed {error}"));
                // Whatever failed, the same store may not take it a moment later and lie.
                if matches!(error, Error::Io { .. }) && step(&records, number, size).is_ok() {
                    say(format_args!("wrong: a commit was taken after {error}"));
                }
                return;
            }
            say(format_args!("done {}", number + 1));
            made += 1;
            if made % reopen == 0 {
                break;
            }
        }
    }
}
