//! Backups on their way to an admin: each is written whole to a file without a name, since its records must be of one
//! moment, and then fetched part by part.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::lock;
use crate::store::{Contents, SealedFor, back_up};

/// Most bytes of one part. In base64 in a document it stays well below the longest frame.
const PART_BYTES: usize = 256 << 10;
/// Most backups on their way at a time.
const MAX_WAITING: usize = 4;
/// How long a backup waits for the next fetch.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

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
}
