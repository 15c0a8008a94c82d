//! The reserve: space that is given up so that the store can be opened on a full disk.
//!
//! sled writes when it opens, and cannot open when it cannot write. The daemon stops taking changes while a
//! little is left (`sled.rs`), but others can fill the disk to the end. Then the reserve goes, the store opens,
//! and keys can be used while changes are refused. It is made again once there is room.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise, posix_fallocate};

use super::durable::remove_if_present;
use super::sled::{LOW_WATER_BYTES, free_bytes};

/// Two segments of sled's log, a snapshot, and the files beside it.
pub(super) const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// Its name in the state directory.
pub(super) const FILE: &str = "reserve";

/// Gives the reserve up when the disk is nearly full.
pub(super) fn release_if_low(dir: &Path) {
    match free_bytes(dir) {
        Ok(free) if free < LOW_WATER_BYTES && path(dir).exists() => {
            tracing::warn!(free, "the disk is nearly full: using the reserve to start; changes are refused");
            if let Err(error) = remove_if_present(&path(dir)) {
                tracing::warn!(%error, "the reserve stays");
            }
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the free space is unknown"),
    }
}

/// Makes the reserve when it is missing and there is room for it beside what is kept free anyway.
pub(super) fn keep(dir: &Path) {
    let path = path(dir);
    if path.metadata().is_ok_and(|status| status.len() == RESERVE_BYTES) {
        return;
    }
    if free_bytes(dir).is_ok_and(|free| free >= LOW_WATER_BYTES + RESERVE_BYTES)
        && let Err(error) = allocate(&path)
    {
        tracing::warn!(file = %path.display(), %error, "there is no reserve for a start on a full disk");
        let _ = std::fs::remove_file(&path);
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    posix_fallocate(&file, 0, RESERVE_BYTES as i64)?;
    // A file system without preallocation had zeros written; they need no memory.
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(())
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_takes_space_and_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path());
        let first = path(dir.path()).metadata().unwrap();
        assert_eq!(first.len(), RESERVE_BYTES);
        assert!(first.blocks() * 512 >= RESERVE_BYTES, "{} blocks", first.blocks());
        keep(dir.path());
        assert_eq!(path(dir.path()).metadata().unwrap().ino(), first.ino());
        // There is room here, so it is not given up.
        release_if_low(dir.path());
        assert!(path(dir.path()).exists());
    }
}
