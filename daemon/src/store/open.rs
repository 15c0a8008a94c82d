//! The state directory: everything the store keeps on disk.
//!
//! ```text
//! lock        held by the one daemon that uses the directory
//! keyring.a   keyring.b    see `keyring.rs`
//! anchor      see `anchor.rs`
//! inventory   see `inventory.rs`
//! store.unfinished/    what a first start left that was cut short
//! reserve     see `reserve.rs`
//! tombstones  see `tombstone.rs`
//! store/      the engine's own
//! ```
//!
//! A new store's files appear in the order anchor, keyring, engine. So a keyring without an anchor, and an
//! engine's files without a keyring, mean that something was lost.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::Flock;

use super::anchor::{Anchor, Anchored, State, unverified_revision};
use super::durable::{lock_file, make_private_dir, sync_dir};
use super::engine::{Expect, RecordKey, Store, Tree};
use super::error::{Error, Result};
use super::inventory;
use super::keyring::Keyring;
use super::records::{Change, Records};
use super::reserve;
use super::root_key::{RootKey, label};
use super::seal::{Key, Sealer};
use super::sled::{Anchoring, SledStore};
use super::verify::{Fault, Findings, Survey};

const STORE_DIR: &str = "store";
const UNFINISHED_DIR: &str = "store.unfinished";
const LOCK_FILE: &str = "lock";
const ANCHOR_FILE: &str = "anchor";
const INVENTORY_FILE: &str = "inventory";

/// A record of every store with the form of the whole.
pub(super) const FORMAT_KEY: &[u8] = b"format";
/// A restore has begun and not ended.
pub(super) const FORMAT_UNFINISHED: u32 = 0;
/// Stores had no anchor.
const FORMAT_WITHOUT_ANCHOR: u32 = 1;
pub(super) const FORMAT: u32 = 2;

/// Whether `dir` already holds a store or its keyring, so that only the root key it was made with fits.
pub fn holds_data(dir: &Path) -> bool {
    Keyring::exists(dir) || engine_has_files(dir) || unverified_revision(&dir.join(ANCHOR_FILE)) > 0
}

/// Opens the store in the state directory `dir`, making what is missing of a new one, after it has compared
/// every record with the anchor.
///
/// # Errors
/// [`Error::Locked`] when another daemon uses the directory, [`Error::Exposed`] when others may write to it,
/// [`Error::KeyringMissing`], [`Error::KeyringNotAuthentic`] or [`Error::KeyringOfAnotherStore`] when the
/// keys do not fit, [`Error::AnchorMissing`], [`Error::AnchorNotAuthentic`] or [`Error::NotWhole`] when
/// records are missing or nothing tells, and whatever the engine finds damaged.
pub fn open(dir: &Path, root: &RootKey) -> Result<Records> {
    open_locked(dir, root, lock(dir)?)
}

/// As [`open`], for who has locked the directory already.
///
/// # Errors
/// As [`open`].
pub fn open_locked(dir: &Path, root: &RootKey, lock: DirectoryLock) -> Result<Records> {
    let keyring = match Keyring::load(dir, root)? {
        Some(keyring) => keyring,
        None if holds_data(dir) => return Err(Error::KeyringMissing { path: Keyring::first_path(dir) }),
        None => new_keyring(dir, root, None)?,
    };
    open_with(dir, root, lock, keyring)
}

/// Makes a new store in `dir`, which holds none, with the base key of another.
pub(super) fn open_new(dir: &Path, root: &RootKey, base_key: Key) -> Result<Records> {
    let lock = lock(dir)?;
    if holds_data(dir) {
        return Err(Error::NotEmpty { path: dir.to_owned() });
    }
    let keyring = new_keyring(dir, root, Some(base_key))?;
    open_with(dir, root, lock, keyring)
}

fn open_with(dir: &Path, root: &RootKey, lock: DirectoryLock, keyring: Keyring) -> Result<Records> {
    reserve::release_if_low(dir);
    let parts = match Parts::open(dir, keyring.clone()) {
        Err(Error::Corrupt { what }) if was_never_served(dir, &keyring)? => {
            tracing::warn!(what, "setting aside the files of a first start that was cut short");
            set_aside(dir)?;
            Parts::open(dir, keyring)
        }
        result => result,
    }
    .map_err(unreadable)?;
    let format = parts.format();
    match &format {
        Ok(Some(format)) if *format > FORMAT => {
            return Err(Error::StoreForm { path: dir.join(STORE_DIR), format: *format });
        }
        Ok(Some(FORMAT_UNFINISHED)) => return Err(Error::Unfinished { path: dir.to_owned() }),
        _ => {}
    }
    tracing::debug!("the database is open");
    let mut survey = parts.survey(true)?;
    tracing::debug!(records = survey.tally.total(), "the records are examined");
    let opened = std::mem::take(&mut survey.opened);
    match (parts.anchor(), &format) {
        (Ok(Some(anchor)), _) => {
            let state = survey
                .judge(&anchor, parts.generation(), || inventory::names(&parts.anchoring.inventory))
                .map_err(|findings| Error::NotWhole(Box::new(findings)))?;
            parts.adopt(Some(anchor), &state, survey)?;
        }
        (Ok(None), Ok(Some(FORMAT_WITHOUT_ANCHOR))) => parts.take_as_is(survey)?,
        (Ok(None), _) => return Err(Error::AnchorMissing { path: parts.anchoring.anchor }),
        (Err(Error::AnchorNotAuthentic { .. }), Err(Error::NotAuthentic { .. })) => {
            return Err(Error::KeyringOfAnotherStore { path: Keyring::first_path(dir) });
        }
        (Err(error), _) => return Err(error),
    }
    tracing::debug!("the store is whole");
    let records = parts.into_records(root, lock)?.with_opened(opened);
    if format? != Some(FORMAT) {
        let mut change = Change::new();
        change.put_if(Tree::Meta, FORMAT_KEY, Expect::Any, &FORMAT)?;
        records.commit(change)?;
    }
    let keyring = records.sealer.keyring().clone();
    if keyring.is_of_older_schema() {
        tracing::info!("bringing the keyring to the present form");
        records.save_keyring(keyring)?;
    }
    reserve::keep(dir);
    Ok(records)
}

/// Examines the store in `dir`, which nobody may have open. It changes no record; but sled recovers its files
/// when it opens them, so examine a copy when they are to stay as they are.
///
/// # Errors
/// As [`open`], of what keeps the store from being examined.
pub fn verify(dir: &Path, root: &RootKey) -> Result<Findings> {
    refuse_if_none(dir)?;
    let _lock = lock(dir)?;
    let keyring = existing_keyring(dir, root)?;
    let parts = Parts::open(dir, keyring).map_err(unreadable)?;
    let survey = parts.survey(false)?;
    let anchor =
        parts.anchor()?.ok_or_else(|| Error::AnchorMissing { path: parts.anchoring.anchor.clone() })?;
    Ok(match survey.judge(&anchor, parts.generation(), || inventory::names(&parts.anchoring.inventory)) {
        Ok(state) => Findings {
            tally: survey.tally,
            reached: state.revision,
            acknowledged: anchor.state.revision,
            faults: Vec::new(),
        },
        Err(findings) => findings,
    })
}

/// Makes the store in `dir` serve again with the records that still open, and tells what was given up. A store
/// that is whole stays as it is.
///
/// # Errors
/// As [`open`]; [`Error::Corrupt`] when sled cannot read the database to its end.
pub fn recover(dir: &Path, root: &RootKey) -> Result<Findings> {
    refuse_if_none(dir)?;
    let lock = lock(dir)?;
    let keyring = existing_keyring(dir, root)?;
    let parts = Parts::open(dir, keyring)?;
    let survey = parts.survey(false)?;
    // A damaged anchor, or one of another store, counts as none here: that is what is being accepted.
    let anchor = parts.anchor().ok().flatten().unwrap_or_default();
    let Err(findings) =
        survey.judge(&anchor, parts.generation(), || inventory::names(&parts.anchoring.inventory))
    else {
        return Ok(Findings { tally: survey.tally, ..Findings::default() });
    };
    if let Some(Fault::Unreadable { what }) =
        findings.faults.iter().find(|fault| matches!(fault, Fault::Unreadable { .. }))
    {
        return Err(Error::Corrupt { what: what.clone() });
    }
    let state = State { revision: survey.next_revision(Some(&anchor)), tally: survey.tally.clone() };
    parts.engine.overrule(&state, &survey.unusable)?;
    parts.adopt(None, &state, survey)?;
    drop(lock);
    Ok(findings)
}

/// The store's parts before anything of it is trusted.
struct Parts {
    anchoring: Anchoring,
    sealer: Sealer,
    engine: SledStore,
    dir: PathBuf,
}

impl Parts {
    fn open(dir: &Path, keyring: Keyring) -> Result<Self> {
        let anchoring = Anchoring {
            anchor: dir.join(ANCHOR_FILE),
            inventory: dir.join(INVENTORY_FILE),
            key: Arc::new(keyring.authenticator()?),
        };
        let engine = SledStore::open(&dir.join(STORE_DIR), &anchoring)?;
        Ok(Self { anchoring, sealer: Sealer::new(keyring), engine, dir: dir.to_owned() })
    }

    fn generation(&self) -> u64 {
        self.sealer.keyring().generation()
    }

    fn anchor(&self) -> Result<Option<Anchored>> {
        let anchor = Anchor::open(&self.anchoring.anchor, self.anchoring.key.clone())?;
        Ok(anchor.map(|anchor| anchor.anchored().clone()))
    }

    fn survey(&self, keep: bool) -> Result<Survey> {
        Survey::of(&self.engine, &self.anchoring.key, Some(&self.sealer), keep)
    }

    /// The form of the store, if a record says it.
    fn format(&self) -> Result<Option<u32>> {
        super::records::read_one(&self.engine, &self.sealer, &RecordKey::new(Tree::Meta, FORMAT_KEY))
    }

    fn adopt(&self, anchor: Option<Anchored>, state: &State, survey: Survey) -> Result<()> {
        self.engine.adopt(anchor, state, self.generation(), survey.places.into_iter())
    }

    /// Gives a store from before there were anchors its first, provided that every record opens.
    fn take_as_is(&self, survey: Survey) -> Result<()> {
        tracing::info!(records = survey.tally.total(), "giving the store its first anchor");
        survey.refuse_if_faulty()?;
        let state = State { revision: survey.next_revision(None), tally: survey.tally.clone() };
        self.engine.overrule(&state, &[])?;
        self.adopt(None, &state, survey)
    }

    fn into_records(self, root: &RootKey, lock: DirectoryLock) -> Result<Records> {
        let kek = root.subkey(label::KEYRING_KEK)?;
        let engine: Arc<dyn Store> = Arc::new(self.engine);
        Ok(Records::open(engine, self.sealer).holding(lock).in_custody(self.dir, kek))
    }
}

/// Whether nothing was ever acknowledged: the anchor is still the first, and there never was an inventory,
/// which the first opening that succeeds makes.
fn was_never_served(dir: &Path, keyring: &Keyring) -> Result<bool> {
    let anchor = Anchor::open(&dir.join(ANCHOR_FILE), Arc::new(keyring.authenticator()?))?;
    let is_first = anchor.is_some_and(|anchor| *anchor.anchored() == Anchored::default());
    Ok(is_first && !dir.join(INVENTORY_FILE).exists())
}

/// Moves the engine's files out of the way; they stay for whoever wants to look.
fn set_aside(dir: &Path) -> Result<()> {
    let (engine, aside) = (dir.join(STORE_DIR), dir.join(UNFINISHED_DIR));
    match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &aside, error));
        }
        _ => {}
    }
    std::fs::rename(&engine, &aside).map_err(|error| Error::io("move", &engine, error))?;
    sync_dir(dir)
}

/// The engine's refusal to open, with the commands that help.
fn unreadable(error: Error) -> Error {
    match error {
        Error::Corrupt { what } => {
            let faults = vec![Fault::Unreadable { what }];
            Error::NotWhole(Box::new(Findings { faults, ..Findings::default() }))
        }
        other => other,
    }
}

/// Keeps others out of a state directory for as long as it lives.
pub struct DirectoryLock(#[expect(dead_code, reason = "held, never looked at")] Flock<std::fs::File>);

/// Locks the state directory `dir`, which is made when it is missing.
///
/// # Errors
/// [`Error::Locked`] when another daemon uses it, [`Error::Exposed`] when others may write to it.
pub fn lock(dir: &Path) -> Result<DirectoryLock> {
    make_private_dir(dir)?;
    refuse_if_exposed(dir)?;
    lock_file(&dir.join(LOCK_FILE)).map(DirectoryLock)
}

/// Copies the state directory `dir`, which no daemon may be using, to the new directory `copy`.
///
/// # Errors
/// [`Error::Locked`] when a daemon uses it, [`Error::Io`] or [`Error::NoSpace`].
pub fn copy(dir: &Path, copy: &Path) -> Result<()> {
    refuse_if_none(dir)?;
    let _lock = lock(dir)?;
    copy_dir(dir, copy)
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let created = DirBuilder::new().mode(0o700).create(to);
    created.map_err(|error| Error::io("create", to, error))?;
    let io_error = |error| Error::io("read", from, error);
    for entry in std::fs::read_dir(from).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let kind = entry.file_type().map_err(io_error)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_dir(&source, &target)?;
        } else if kind.is_file() && entry.file_name() != reserve::FILE {
            std::fs::copy(&source, &target).map_err(|error| Error::io("copy", &source, error))?;
        }
    }
    Ok(())
}

fn refuse_if_none(dir: &Path) -> Result<()> {
    if holds_data(dir) { Ok(()) } else { Err(Error::NoStore { path: dir.to_owned() }) }
}

fn existing_keyring(dir: &Path, root: &RootKey) -> Result<Keyring> {
    Keyring::peek(dir, root)?.ok_or_else(|| Error::KeyringMissing { path: Keyring::first_path(dir) })
}

/// Anchor and keyring of a new store, with a base key of its own or another's.
fn new_keyring(dir: &Path, root: &RootKey, base_key: Option<Key>) -> Result<Keyring> {
    let mut keyring = Keyring::random()?;
    if let Some(base_key) = base_key {
        keyring.base_key = base_key;
    }
    let key = Arc::new(keyring.authenticator()?);
    Anchor::create(&dir.join(ANCHOR_FILE), key, Anchored::default())?;
    keyring.save(dir, root)?;
    Ok(keyring)
}

fn engine_has_files(dir: &Path) -> bool {
    dir.join(STORE_DIR).join("db").exists()
}

fn refuse_if_exposed(dir: &Path) -> Result<()> {
    let mode = dir.metadata().map_err(|error| Error::io("examine", dir, error))?.mode() & 0o7777;
    if mode & 0o022 != 0 { Err(Error::Exposed { path: dir.to_owned(), mode }) } else { Ok(()) }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
