//! Memory for a client of the socket that may share anything with the daemon.
#![allow(unsafe_code, reason = "mappings have no safe face")]

use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use claviger_protocol::mailbox::{Board, Slot};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// The seals that the daemon asks for.
pub const SIZE_SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

/// A memfd and a mapping of it.
pub struct Memory {
    /// The memfd.
    pub file: OwnedFd,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value, and its bytes are only copied.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Of so many bytes, with these seals.
    pub fn new(length: usize, seals: SealFlag) -> Memory {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = memfd_create(c"forged", flags).expect("a memfd");
        nix::unistd::ftruncate(&file, length as i64).expect("its size");
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).expect("its seals");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start =
            unsafe { mmap(None, NonZero::new(length).unwrap(), access, MapFlags::MAP_SHARED, &file, 0) };
        Memory { file, start: start.expect("a mapping").cast(), length }
    }

    /// The memfd alone.
    pub fn into_file(self) -> OwnedFd {
        self.file.try_clone().expect("one more descriptor")
    }

    /// Copies bytes to its beginning.
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.length);
        // SAFETY: within the mapping, which no reference points to.
        unsafe { self.start.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Copies bytes to an offset.
    pub fn write_at(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length);
        // SAFETY: within the mapping, which no reference but to its words points to.
        unsafe { self.start.as_ptr().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// A copy of its first bytes.
    pub fn read(&self, length: usize) -> Vec<u8> {
        assert!(length <= self.length);
        let mut bytes = vec![0; length];
        // SAFETY: within the mapping.
        unsafe { bytes.as_mut_ptr().copy_from_nonoverlapping(self.start.as_ptr(), length) };
        bytes
    }
}

impl Board for Memory {
    type Word = AtomicU32;

    fn word(&self, slot: Slot) -> &AtomicU32 {
        assert!(slot.offset() + 4 <= self.length);
        // SAFETY: within the mapping, aligned to a page, and touched as an atomic alone.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(slot.offset()).cast()) }
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&Memory::read(self, offset + into.len())[offset..]);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        self.write_at(offset, bytes);
    }

    fn wipe(&self, offset: usize, length: usize) {
        self.write_at(offset, &vec![0; length]);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: what `new` has mapped.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}
