//! Whether a store is whole: every record opens, and all of them come to what the anchor says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use zeroize::Zeroizing;

use super::anchor::{Anchored, State};
use super::engine::{Record, RecordKey, Tree};
use super::error::{Error, Result};
use super::seal::Sealer;
use super::sled::{Raw, SledStore, Stored, record_from};
use super::tally::{Authenticator, Tally};

/// Entries of the database that are examined together, and how many such lots wait to be at most.
const TOGETHER: usize = 1024;
const WAITING: usize = 4;

/// Trees that a start reads whole: with many keys they have most records, and opening each twice would take as long
/// again.
const KEPT: &[Tree] = &[Tree::CryptoKey, Tree::Version, Tree::Object, Tree::Usage];

/// Most faults that one message lists; their number is told in full.
const LISTED: usize = 20;

/// Something that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A record, or a key of the database, that this store did not write there.
    Record {
        /// What is wrong, with the place.
        what: String,
    },
    /// The database cannot be read to its end.
    Unreadable {
        /// Why.
        what: String,
    },
    /// The database has lost its state, which every commit writes.
    StateMissing,
    /// The database's state is damaged, or of another store.
    StateNotAuthentic,
    /// The database is older than the anchor: acknowledged commits are missing.
    Behind {
        /// The revision the database reached.
        reached: u64,
        /// The revision that was acknowledged.
        acknowledged: u64,
    },
    /// The anchor is older than the database knows it to have been.
    AnchorOld {
        /// The revision in the anchor.
        anchor: u64,
        /// The revision that was anchored before.
        known: u64,
    },
    /// Database and anchor name the same revision and different records.
    Diverged {
        /// The revision.
        revision: u64,
    },
    /// The keyring is older than the anchor knows it to have been.
    KeyringOld {
        /// Its generation.
        generation: u64,
        /// The generation that was reached.
        known: u64,
    },
    /// A tree has another number of records than its state says.
    Count {
        /// The tree.
        tree: Tree,
        /// Records found.
        found: u64,
        /// Records there have to be.
        expected: u64,
    },
    /// The numbers fit, the records do not: some are out of date or were put back.
    Contents,
    /// A record that was there when the store was last whole or later.
    Missing {
        /// Where it was.
        place: RecordKey,
    },
    /// A record that is older than the last known one.
    OutOfDate {
        /// Its place.
        place: RecordKey,
        /// The revision that wrote it.
        found: u64,
        /// The revision that wrote the last known one.
        known: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Record { what } => write!(f, "{what}"),
            Fault::Unreadable { what } => write!(f, "the database cannot be read to its end: {what}"),
            Fault::StateMissing => write!(f, "the database has lost the state of its last commit"),
            Fault::StateNotAuthentic => {
                write!(f, "the state of the last commit is damaged or of another store")
            }
            Fault::Behind { reached, acknowledged } => {
                write!(f, "the database ends at revision {reached}, acknowledged was {acknowledged}")
            }
            Fault::AnchorOld { anchor, known } => {
                write!(
                    f,
                    "the anchor is of revision {anchor}, an older one than {known} that the database knows"
                )
            }
            Fault::Diverged { revision } => {
                write!(f, "database and anchor disagree about the records of revision {revision}")
            }
            Fault::KeyringOld { generation, known } => {
                write!(
                    f,
                    "the keyring is of generation {generation}, an older one than {known} in the anchor"
                )
            }
            Fault::Count { tree, found, expected } => {
                write!(f, "{tree:?} has {found} records instead of {expected}")
            }
            Fault::Contents => write!(f, "some records are not those of the last commit"),
            Fault::Missing { place } => write!(f, "{place} is missing"),
            Fault::OutOfDate { place, found, known } => {
                write!(f, "{place} is of revision {found}, its last one was {known}")
            }
        }
    }
}

/// What an examination of a store found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The records that are there.
    pub tally: Tally,
    /// The revision the database reached.
    pub reached: u64,
    /// The revision in the anchor.
    pub acknowledged: u64,
    /// Everything that is wrong; none when the store is whole.
    pub faults: Vec<Fault>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() {
            return write!(
                f,
                "the store is whole: {} records, revision {}",
                self.tally.total(),
                self.reached
            );
        }
        write!(f, "the store is not whole and is not served:")?;
        for fault in self.faults.iter().take(LISTED) {
            write!(f, "\n  {fault}")?;
        }
        if self.faults.len() > LISTED {
            write!(f, "\n  and {} more", self.faults.len() - LISTED)?;
        }
        write!(
            f,
            "\nTo see all: clavigerd store verify --copy. To lose nothing: restore the directory from a backup. \
             To go on with what is left: clavigerd store recover --accept-loss"
        )
    }
}

/// A record as it was opened.
pub(super) struct Opened {
    pub place: RecordKey,
    pub schema: u8,
    /// With its framing (`records.rs`).
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// All that a scan of a database shows.
pub(super) struct Survey {
    pub stored: Stored,
    /// The records that open.
    pub tally: Tally,
    /// Their places and versions, in key order.
    pub places: Vec<(RecordKey, u64)>,
    /// Keys of the database whose records do not open.
    pub unusable: Vec<Vec<u8>>,
    /// Records of [`KEPT`] as they were opened, in key order, when they were asked for.
    pub opened: Vec<Opened>,
    faults: Vec<Fault>,
}

impl Survey {
    /// Reads every record of `store` and opens it with `sealer`. `keep`: the records of [`KEPT`] are kept as they were
    /// opened.
    pub fn of(store: &SledStore, key: &Authenticator, sealer: Option<&Sealer>, keep: bool) -> Result<Self> {
        let mut survey = Survey::nothing();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
        let (send, receive) = mpsc::sync_channel::<(usize, Vec<(Raw, Raw)>)>(WAITING);
        let receive = Mutex::new(receive);
        // This thread reads, the others open what it has read.
        let (read, parts) = thread::scope(|scope| {
            let work = || {
                let mut parts = Vec::new();
                loop {
                    let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, entries)) = next else { return parts };
                    let mut part = Survey::nothing();
                    let mut entries = entries.iter();
                    let done = entries.try_for_each(|(raw, value)| part.take(raw, value, key, sealer, keep));
                    parts.push((number, done.map(|()| part)));
                }
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let read = survey.read(store, &send);
            drop(send);
            let mut parts: Vec<(usize, Result<Survey>)> = Vec::new();
            for worker in workers {
                parts.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            (read, parts)
        });
        survey.take_all(parts)?;
        match read {
            Ok(()) => {}
            Err(Error::Corrupt { what }) => survey.faults.push(Fault::Unreadable { what }),
            Err(error) => return Err(error),
        }
        Ok(survey)
    }

    /// Reads the state and sends all entries in numbered lots.
    fn read(&mut self, store: &SledStore, send: &mpsc::SyncSender<(usize, Vec<(Raw, Raw)>)>) -> Result<()> {
        self.stored = store.stored()?;
        let (mut number, mut entries) = (0, Vec::with_capacity(TOGETHER));
        let read = store.for_each_raw(|raw, value| {
            entries.push((raw, value));
            if entries.len() == TOGETHER {
                // Nobody receives only when a thread has panicked, which its join tells.
                let _ = send.send((number, std::mem::replace(&mut entries, Vec::with_capacity(TOGETHER))));
                number += 1;
            }
            Ok(())
        });
        let _ = send.send((number, entries));
        read
    }

    fn nothing() -> Self {
        Survey {
            stored: Stored::None,
            tally: Tally::default(),
            places: Vec::new(),
            unusable: Vec::new(),
            opened: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Takes in what was found, in the order of the lots.
    fn take_all(&mut self, mut parts: Vec<(usize, Result<Survey>)>) -> Result<()> {
        parts.sort_unstable_by_key(|(number, _)| *number);
        for (_, part) in parts {
            let Survey { tally, mut places, mut unusable, mut opened, mut faults, .. } = part?;
            self.tally.merge(&tally);
            self.places.append(&mut places);
            self.unusable.append(&mut unusable);
            self.opened.append(&mut opened);
            self.faults.append(&mut faults);
        }
        Ok(())
    }

    fn take(
        &mut self,
        raw: &[u8],
        value: &[u8],
        key: &Authenticator,
        sealer: Option<&Sealer>,
        keep: bool,
    ) -> Result<()> {
        match examine(raw, value, sealer) {
            Ok((place, record, opened)) => {
                self.tally.add(key, &place, &record);
                let version = record.version;
                if let Some((schema, plaintext)) = opened.filter(|_| keep && KEPT.contains(&place.tree)) {
                    self.opened.push(Opened { place: place.clone(), schema, plaintext });
                }
                self.places.push((place, version));
            }
            Err(error @ Error::Crypto(_)) => return Err(error),
            Err(error) => {
                self.unusable.push(raw.to_vec());
                self.faults.push(Fault::Record { what: error.to_string() });
            }
        }
        Ok(())
    }

    /// Refuses a scan that met anything that does not open.
    pub fn refuse_if_faulty(&self) -> Result<()> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let (tally, faults) = (self.tally.clone(), self.faults.clone());
        Err(Error::NotWhole(Box::new(Findings { tally, faults, ..Findings::default() })))
    }

    /// The revision after every one that this store may have used.
    pub fn next_revision(&self, anchor: Option<&Anchored>) -> u64 {
        let stored = match &self.stored {
            Stored::State { state, .. } => state.revision,
            Stored::None | Stored::NotAuthentic => 0,
        };
        let anchored = anchor.map_or(0, |anchor| anchor.state.revision);
        let records = self.places.iter().map(|(_, version)| *version).max().unwrap_or(0);
        stored.max(anchored).max(records).saturating_add(1)
    }

    /// The state that the store goes on from, if it is whole: the database's own, which no anchor may be ahead
    /// of.
    #[allow(clippy::result_large_err, reason = "once per start; the findings are what it is for")]
    pub fn judge(
        &self,
        anchor: &Anchored,
        keyring: u64,
        known: impl FnOnce() -> BTreeMap<RecordKey, u64>,
    ) -> std::result::Result<State, Findings> {
        let mut faults = self.faults.clone();
        let acknowledged = anchor.state.revision;
        let none = State::default();
        let state = match &self.stored {
            Stored::State { state, anchored } => {
                if acknowledged < *anchored {
                    faults.push(Fault::AnchorOld { anchor: acknowledged, known: *anchored });
                }
                state
            }
            Stored::NotAuthentic => {
                faults.push(Fault::StateNotAuthentic);
                &anchor.state
            }
            Stored::None => {
                if acknowledged > 0 || self.tally.total() > 0 {
                    faults.push(Fault::StateMissing);
                }
                &none
            }
        };
        if state.revision < acknowledged {
            faults.push(Fault::Behind { reached: state.revision, acknowledged });
        }
        if state.revision == acknowledged && *state != anchor.state {
            faults.push(Fault::Diverged { revision: acknowledged });
        }
        if keyring < anchor.keyring {
            faults.push(Fault::KeyringOld { generation: keyring, known: anchor.keyring });
        }
        for &tree in Tree::ALL {
            let (found, expected) = (self.tally.count(tree), state.tally.count(tree));
            if found != expected {
                faults.push(Fault::Count { tree, found, expected });
            }
        }
        if faults.is_empty() && self.tally != state.tally {
            faults.push(Fault::Contents);
        }
        if faults.is_empty() {
            return Ok(state.clone());
        }
        faults.extend(self.differences(&known()));
        Err(Findings { tally: self.tally.clone(), reached: state.revision, acknowledged, faults })
    }

    /// What the inventory names and the database lacks.
    fn differences(&self, known: &BTreeMap<RecordKey, u64>) -> Vec<Fault> {
        let found: BTreeMap<&RecordKey, u64> =
            self.places.iter().map(|(place, version)| (place, *version)).collect();
        let difference = |(place, known): (&RecordKey, &u64)| match found.get(place) {
            None => Some(Fault::Missing { place: place.clone() }),
            Some(found) if found < known => {
                Some(Fault::OutOfDate { place: place.clone(), found: *found, known: *known })
            }
            Some(_) => None,
        };
        known.iter().filter_map(difference).collect()
    }
}

/// Place and record of an entry, and the record's schema and plaintext.
type Examined = (RecordKey, Record, Option<(u8, Zeroizing<Vec<u8>>)>);

/// Place and record of an entry of the database, if the record opens.
fn examine(raw: &[u8], value: &[u8], sealer: Option<&Sealer>) -> Result<Examined> {
    let place = RecordKey::from_bytes(raw).ok_or_else(|| Error::Corrupt {
        what: format!("the database has a key of no known tree ({} bytes)", raw.len()),
    })?;
    let record = record_from(&place, value)?;
    let opened = sealer.map(|sealer| sealer.open_any(&place, &record.bytes)).transpose()?;
    Ok((place, record, opened))
}
