//! The generation: a number that rises after every change to something that an application may have been told, in
//! a page of memory that the daemon writes and every module reads (`claviger_protocol::frame::GENERATION_PAGE`).
//!
//! A module that finds the number as it was before it asked knows that what it was told still holds. So the order
//! matters: first the change is in place, then the number rises, then whoever made the change hears that it is
//! done. One number for all tokens: a change elsewhere costs a module one more question, never a wrong answer.

use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use claviger_protocol::frame::GENERATION_PAGE_BYTES;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use tracing::warn;

/// The page, and the number at its beginning.
struct Page {
    memory: OwnedFd,
    number: &'static AtomicU64,
}

/// Says that something has changed: the change is in place, and nobody has been told that it is.
pub fn changed() {
    if let Some(page) = page() {
        page.number.fetch_add(1, Ordering::AcqRel);
    }
}

/// The page, to be sent to a module. None where the kernel has no such memory: modules then ask every time.
pub fn memory() -> Option<BorrowedFd<'static>> {
    page().map(|page| page.memory.as_fd())
}

fn page() -> Option<&'static Page> {
    static PAGE: OnceLock<Option<Page>> = OnceLock::new();
    let make =
        || Page::new().inspect_err(|error| warn!(%error, "no shared memory: modules cannot cache")).ok();
    PAGE.get_or_init(make).as_ref()
}

impl Page {
    /// Memory that nobody but this mapping can ever write to, or shrink under a reader (`F_SEAL_FUTURE_WRITE`:
    /// Linux 5.1).
    fn new() -> nix::Result<Page> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let memory = memfd_create(c"claviger-generation", flags)?;
        nix::unistd::ftruncate(&memory, GENERATION_PAGE_BYTES as i64)?;
        let number = map(&memory)?;
        // A module takes 0 for no number.
        number.store(1, Ordering::Release);
        let seals = SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_FUTURE_WRITE
            | SealFlag::F_SEAL_SEAL;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(Page { memory, number })
    }
}

#[allow(unsafe_code, reason = "mmap has no safe face")]
fn map(memory: &OwnedFd) -> nix::Result<&'static AtomicU64> {
    let length = NonZero::new(GENERATION_PAGE_BYTES).ok_or(nix::Error::EINVAL)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
    let address = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, memory, 0) }?;
    // SAFETY: the mapping is aligned to a page, longer than the number, and never unmapped; the file behind it
    // cannot shrink. The number is only ever accessed as an atomic.
    Ok(unsafe { address.cast::<AtomicU64>().as_ref() })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    fn read(memory: BorrowedFd<'_>) -> u64 {
        let mut bytes = [0; 8];
        File::from(memory.try_clone_to_owned().unwrap()).read_exact_at(&mut bytes, 0).unwrap();
        u64::from_ne_bytes(bytes)
    }

    #[test]
    fn changes_are_seen_by_whoever_holds_the_page_and_made_by_nobody_else() {
        let memory = memory().unwrap();
        let before = read(memory);
        changed();
        assert!(read(memory) > before);
        let file = File::from(memory.try_clone_to_owned().unwrap());
        assert!(file.write_at(&[0; 8], 0).is_err());
        assert!(file.set_len(0).is_err());
    }
}
