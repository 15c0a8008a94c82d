//! Backups on their way to an admin: each is written whole to a file without a name, since its records must be of one
//! moment, and then fetched part by part. And the list of those that were made: what is destroyed lives on in a backup from
//! before, until its file is destroyed too.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bincode::{Decode, Encode};
use serde_json::json;

use crate::audit::Principal;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::events::Name;
use crate::kms::record::Uid;
use crate::kms::state::{VersionState, effective_state};
use crate::kms::time::Time;
use crate::lock;
use crate::store::{Change, Contents, SealedFor, Tree, back_up};

/// Most bytes of one part. In base64 in a document it stays well below the longest frame.
const PART_BYTES: usize = 256 << 10;
/// Most backups on their way at a time.
const MAX_WAITING: usize = 4;
/// How long a backup waits for the next fetch.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Place of the list of backups in the store.
const LIST: &[u8] = b"backups";
/// Place of the ids of those that were told of when their time was over.
const TOLD: &[u8] = b"backups-told";
/// Most backups of the list; beyond, the oldest leave it.
const MAX_LISTED: usize = 1000;

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MadeBackup {
    /// Names it.
    pub id: Uid,
    /// When.
    pub created: Time,
    /// When its file is to be destroyed.
    pub expires: Time,
    /// By whom.
    pub by: String,
    /// The store's revision.
    pub revision: u64,
    /// How many versions and jobs have their material in it.
    pub materials: u64,
    /// It needs a passphrase.
    pub passphrase: bool,
    /// It needs a recipient's private key.
    pub recipient: bool,
}

impl MadeBackup {
    /// Its id as people give it.
    pub fn name(&self) -> String {
        self.id[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The backups on their way.
#[derive(Default)]
pub struct Backups(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last_id: u64,
    files: BTreeMap<u64, Spool>,
}

struct Spool {
    file: std::sync::Arc<File>,
    size: u64,
    /// Who may fetch it.
    uid: u32,
    used: Instant,
}

/// A backup that waits to be fetched.
pub struct Ready {
    /// Names it for [`Daemon::read_backup`].
    pub id: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What is in it.
    pub contents: Contents,
}

impl Daemon {
    /// Makes a backup for the user `uid`.
    ///
    /// # Errors
    /// `ResourceExhausted` when too many wait; what the store says.
    pub fn make_backup(&self, sealed_for: &SealedFor, uid: u32) -> Result<Ready> {
        let Some(directory) = self.records.directory() else {
            return Err(Error::FailedPrecondition {
                message: "these records end with the process".to_owned(),
            });
        };
        {
            let mut waiting = lock::lock(&self.backups.0);
            waiting.files.retain(|_, spool| spool.used.elapsed() < PATIENCE);
            if waiting.files.len() >= MAX_WAITING {
                return Err(Error::TooMany { what: "backups wait to be fetched" });
            }
        }
        let failed = |error: std::io::Error| Error::StoreRefused {
            detail: format!("a backup cannot be written in {}: {error}", directory.display()),
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
        let file = options.open(directory).map_err(failed)?;
        let (output, contents) = back_up(&self.records, BufWriter::new(file), directory, sealed_for)?;
        let mut file = output.into_inner().map_err(|error| failed(error.into_error()))?;
        let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut waiting = lock::lock(&self.backups.0);
        waiting.last_id += 1;
        let id = waiting.last_id;
        waiting.files.insert(id, Spool { file: file.into(), size, uid, used: Instant::now() });
        Ok(Ready { id, size, contents })
    }

    /// The part of a backup that begins at `position`; empty at its end, after which it is gone.
    ///
    /// # Errors
    /// `NotFound` for a backup that does not wait, or waits for another user.
    pub fn read_backup(&self, id: u64, position: u64, uid: u32) -> Result<Vec<u8>> {
        let (file, size) = {
            let mut waiting = lock::lock(&self.backups.0);
            let spool = waiting.files.get_mut(&id).filter(|spool| spool.uid == uid);
            let spool = spool.ok_or_else(|| Error::NotFound { resource: format!("the backup {id}") })?;
            spool.used = Instant::now();
            (spool.file.clone(), spool.size)
        };
        let left = usize::try_from(size.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut part = vec![0; left.min(PART_BYTES)];
        file.read_exact_at(&mut part, position)
            .map_err(|error| Error::StoreRefused { detail: format!("a backup cannot be read: {error}") })?;
        if part.is_empty() {
            lock::lock(&self.backups.0).files.remove(&id);
        }
        Ok(part)
    }

    /// The backups that were made and not forgotten, the oldest first.
    ///
    /// # Errors
    /// What the store says.
    pub fn made_backups(&self) -> Result<Vec<MadeBackup>> {
        Ok(self.records.get(Tree::Meta, LIST)?.unwrap_or_default())
    }

    /// Puts a backup on the list.
    ///
    /// # Errors
    /// What the store says.
    pub fn list_backup(&self, made: MadeBackup) -> Result<MadeBackup> {
        let _writer = self.catalog.write();
        let mut all = self.made_backups()?;
        all.drain(..(all.len() + 1).saturating_sub(MAX_LISTED));
        all.push(made.clone());
        self.keep_list(&all)?;
        Ok(made)
    }

    /// Takes a backup off the list.
    ///
    /// # Errors
    /// `NotFound`; what the store says.
    pub fn forget_backup(&self, name: &str) -> Result<MadeBackup> {
        let _writer = self.catalog.write();
        let mut all = self.made_backups()?;
        let index = all.iter().position(|made| made.name() == name);
        let index = index.ok_or_else(|| Error::NotFound { resource: format!("the backup {name}") })?;
        let forgotten = all.remove(index);
        self.keep_list(&all)?;
        Ok(forgotten)
    }

    /// Tells once of each backup whose file is to be destroyed by `now`: what is destroyed lives on in it.
    ///
    /// # Errors
    /// What the store says; it is then told of later.
    pub fn announce_backups(&self, now: Time) -> Result<()> {
        let writer = self.catalog.write();
        let over: Vec<MadeBackup> =
            self.made_backups()?.into_iter().filter(|made| made.expires <= now).collect();
        let told: Vec<Uid> = self.records.get(Tree::Meta, TOLD)?.unwrap_or_default();
        if over.iter().all(|made| told.contains(&made.id)) {
            return Ok(());
        }
        let mut change = Change::new();
        change.put(Tree::Meta, TOLD, &over.iter().map(|made| made.id).collect::<Vec<_>>())?;
        self.records.commit(change)?;
        drop(writer);
        for made in over.iter().filter(|made| !told.contains(&made.id)) {
            let details = json!({
                "expireTime": made.expires.rfc3339(),
                "createTime": made.created.rfc3339(),
                "destroyedSince": self.destroyed_since(made.created, now),
            });
            self.raise(
                Name::BackupExpired,
                "Daemon",
                &format!("backup {}", made.name()),
                &Principal::Timer,
                details,
            );
        }
        Ok(())
    }

    fn keep_list(&self, all: &[MadeBackup]) -> Result<()> {
        let mut change = Change::new();
        change.put(Tree::Meta, LIST, &all.to_vec())?;
        Ok(self.records.commit(change)?)
    }

    /// How many versions there were at `then` that are destroyed by `now`.
    pub fn destroyed_since(&self, then: Time, now: Time) -> usize {
        let keys = self.catalog.tokens().into_iter().flat_map(|token| self.catalog.keys(&token.uid));
        let versions = keys.flat_map(|key| key.versions());
        versions
            .filter(|version| {
                let record = version.record();
                let destroyed = match effective_state(record.state, record.fate.destroy_time, now) {
                    VersionState::Destroyed => record.fate.destroy_event_time.or(record.fate.destroy_time),
                    _ => None,
                };
                record.create_time <= then && destroyed.is_some_and(|destroyed| destroyed > then)
            })
            .count()
    }
}
