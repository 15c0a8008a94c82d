//! Memory that a connection shares with the daemon, for long data: copied in once, and what becomes of it copied out.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use claviger_protocol::mailbox::{Board, MAILBOX_BYTES, Slot};
use claviger_protocol::{Result, Rv};

use super::In;

/// How often the pages are asked for: a signal of the application's has the kernel drop those that it has made so far.
const PAGE_TRIES: u32 = 16;

/// A mapping of a memfd that nobody can shrink, with all its pages there: to touch it never fails (SIGBUS). A forked
/// child does not get it.
pub struct Memory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, and may be accessed and unmapped by any thread.
unsafe impl Send for Memory {}

impl Memory {
    /// Makes it, with the descriptor that the daemon is to get. None where there is none to be had.
    pub fn create(length: usize) -> Option<(Self, OwnedFd)> {
        let size = libc::off_t::try_from(length).ok()?;
        if file_size_limit() < length as u64 {
            // To make it all the same would kill the application (SIGXFSZ).
            return None;
        }
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: a string of our own; a descriptor that is not negative has just been opened for us alone.
        let mut file = unsafe {
            let fd = libc::memfd_create(c"claviger".as_ptr(), flags);
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        }?;
        if file.as_raw_fd() <= libc::STDERR_FILENO {
            // The application runs without standard streams; a duplicate is always above them.
            file = file.try_clone().ok()?;
        }
        let fd = file.as_raw_fd();
        // SAFETY: the descriptor is open, and these touch no memory of ours.
        let is_made = unsafe {
            libc::ftruncate(fd, size) == 0
                && (0..PAGE_TRIES).any(|_| libc::fallocate(fd, 0, 0, size) == 0)
                && libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW) == 0
        };
        if !is_made {
            return None;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, access, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        let memory = Self { start: NonNull::new(start.cast())?, length };
        // SAFETY: the mapping that has just been made. Without the first a forked child would share it.
        let is_kept = unsafe {
            libc::madvise(start, length, libc::MADV_DONTFORK) == 0
                && libc::madvise(start, length, libc::MADV_DONTDUMP) == 0
        };
        is_kept.then_some((memory, file))
    }

    /// Its size in bytes.
    pub fn length(&self) -> u64 {
        self.length as u64
    }

    /// Copies the application's data to the beginning.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL, `CKR_DATA_LEN_RANGE` when there is not room enough.
    pub fn put(&mut self, data: In) -> Result<()> {
        if data.length > self.length() {
            return Err(Rv::DATA_LEN_RANGE);
        }
        if data.pointer.is_null() {
            return Err(Rv::ARGUMENTS_BAD);
        }
        // SAFETY: readable by the contract of In's constructor, and within the mapping, which is no memory that the
        // application knows of.
        unsafe { ptr::copy_nonoverlapping(data.pointer, self.start.as_ptr(), data.length as usize) };
        Ok(())
    }

    /// Where its first bytes are, for [`super::Out`]. None when there are not as many.
    pub(super) fn first(&self, length: u64) -> Option<*const u8> {
        (length <= self.length()).then(|| self.start.as_ptr().cast_const())
    }

    /// Overwrites the bytes from one offset to another.
    pub fn wipe(&mut self, from: u64, to: u64) {
        let to = to.min(self.length());
        let from = from.min(to);
        // SAFETY: within the mapping. Another process can see it, so that the compiler leaves it in.
        unsafe { self.start.as_ptr().add(from as usize).write_bytes(0, (to - from) as usize) };
    }
}

/// Memory of the size that a mailbox has.
pub struct MailboxMemory(Memory);

impl MailboxMemory {
    /// The memory as that of a mailbox, if it is as long as one.
    pub fn new(memory: Memory) -> Option<Self> {
        (memory.length == MAILBOX_BYTES).then_some(Self(memory))
    }

    fn at(&self, offset: usize, length: usize) -> Option<*mut u8> {
        let is_inside = offset.checked_add(length).is_some_and(|end| end <= self.0.length);
        is_inside.then(|| self.0.start.as_ptr().wrapping_add(offset))
    }
}

impl Board for MailboxMemory {
    type Word = AtomicU32;

    fn word(&self, slot: Slot) -> &AtomicU32 {
        let word = self.0.start.as_ptr().wrapping_add(slot.offset());
        // SAFETY: within the mapping, whose length `new` has checked, and aligned to a page as `mmap` gives it; it lives
        // as long as `self`. Both processes touch these four bytes as an atomic alone.
        unsafe { AtomicU32::from_ptr(word.cast()) }
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        if let Some(from) = self.at(offset, into.len()) {
            // SAFETY: `at` has checked the range, and `into` is no part of the mapping. What the daemon may write
            // meanwhile decides which bytes come out, and any byte is a u8.
            unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        }
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        if let Some(to) = self.at(offset, bytes.len()) {
            // SAFETY: as in `read`; nobody in this process has a reference to these bytes.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        }
    }

    fn wipe(&self, offset: usize, length: usize) {
        if let Some(start) = self.at(offset, length) {
            // SAFETY: as in `write`. Another process can see it, so that the compiler leaves it in.
            unsafe { start.write_bytes(0, length) };
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: what `create` has mapped, and nobody has a reference into it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// `RLIMIT_FSIZE`, which memory files are under as well.
fn file_size_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to writable memory of the right type.
    match unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_sealed_and_takes_what_fits() {
        let (mut memory, file) = Memory::create(8192).unwrap();
        let mut data = [7u8; 8193];
        // SAFETY: as many bytes as each says.
        let (fits, long) = unsafe { (In::new(data.as_mut_ptr(), 8192), In::new(data.as_mut_ptr(), 8193)) };
        assert_eq!(memory.put(long), Err(Rv::DATA_LEN_RANGE));
        assert_eq!(memory.put(fits), Ok(()));
        assert!(memory.first(8193).is_none());
        let file = std::fs::File::from(file);
        assert!(file.set_len(4096).is_err() && file.set_len(16384).is_err());
        memory.wipe(1, u64::MAX);
        let mut seen = [1u8; 8192];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut seen, 0).unwrap();
        assert!(seen[0] == 7 && seen[1..].iter().all(|byte| *byte == 0));
    }
}
