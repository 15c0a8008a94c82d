//! Files that are on the disk when the call returns.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::{Error, Result};

/// Most bytes that are overwritten; what holds keys is a few hundred.
const MAX_OVERWRITTEN_BYTES: u64 = 1024 * 1024;

/// Syncs a directory, so that names made or renamed in it last.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("sync", path, error))
}

/// The directory that holds `path`.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes the directory `path`, and those above it, with mode 0700 where they are missing.
pub(super) fn make_private_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    make_private_dir(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", path, error)),
        _ => sync_dir(above),
    }
}

/// Writes a new file of mode 0600 and syncs it; its name becomes durable with its directory.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Replaces the file at `path` as a whole: a reader, and a crash, see the old content or the new.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = with_suffix(path, ".new");
    remove_if_present(&new)?;
    write_new(&new, bytes).map_err(|error| Error::io("write", &new, error))?;
    std::fs::rename(&new, path).map_err(|error| Error::io("replace", path, error))?;
    sync_dir(parent(path))
}

/// Writes zeros over a small file that has no name any more. Best effort: the disk may keep old blocks all the
/// same.
pub(super) fn overwrite(file: &File, path: &Path) {
    let zeros = file.metadata().map(|status| vec![0; status.len().min(MAX_OVERWRITTEN_BYTES) as usize]);
    if let Err(error) = zeros.and_then(|zeros| file.write_all_at(&zeros, 0)).and_then(|()| file.sync_data()) {
        tracing::warn!(file = %path.display(), %error, "the old file cannot be overwritten");
    }
}

/// Opens an existing file for reading and writing in place.
pub(super) fn open_private(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.map_err(|error| Error::io("open", path, error))
}

/// Removes a file that may be left over from a crash.
pub(super) fn remove_if_present(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// `path` with `suffix` after its last name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Locks the file at `path` against other processes, making it if missing, for as long as the result lives.
///
/// # Errors
/// [`Error::Locked`] when the lock is held elsewhere.
pub(super) fn lock_file(path: &Path) -> Result<Flock<File>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::io("open", path, error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => Error::Locked { path: path.to_owned() },
        other => Error::io("lock", path, other.into()),
    })
}
