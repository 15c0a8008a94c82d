//! Memory that a client shares with the daemon, and the descriptor that it comes by.
//!
//! The client can write to it at any time. So nothing here gives a reference into it: bytes are copied out of it into
//! memory of our own, or copied into it, and whoever copies them out twice gets two answers. Touching it never fails
//! (`SIGBUS`), because each of its pages is there and can no longer go: see [`Memory::map`].

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::num::NonZero;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use claviger_protocol::mailbox::{Board, MAILBOX_BYTES, Slot};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

/// The most descriptors that the kernel lets one message have (`SCM_MAX_FD`).
const MOST_DESCRIPTORS: usize = 253;

/// A mapping that ends with this value.
pub struct Memory {
    start: NonNull<u8>,
    length: usize,
}

impl Memory {
    /// Maps a file of a client.
    ///
    /// It has to be a memfd of exactly `length` bytes whose size is sealed. Then every page of it is made, once nobody
    /// can take one away any more: `F_SEAL_FUTURE_WRITE` (Linux 5.1) also refuses to punch holes. Memory of huge pages
    /// is not taken, since there a page may be missing though its place is reserved.
    ///
    /// # Errors
    /// `EINVAL` for any other file, `EPERM` for one without these seals, else what the kernel says.
    pub fn map(file: &OwnedFd, length: usize) -> nix::Result<Memory> {
        let size = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        let seals = SealFlag::from_bits_retain(fcntl(file, FcntlArg::F_GET_SEALS)?);
        if !seals.contains(size) {
            return Err(Errno::EPERM);
        }
        let is_plain = fstatfs(file)?.filesystem_type() == TMPFS_MAGIC;
        if !is_plain || usize::try_from(fstat(file)?.st_size) != Ok(length) {
            return Err(Errno::EINVAL);
        }
        // First the mapping: behind the seal there is none that could be written to.
        let memory = Memory::map_whole(file, length)?;
        fcntl(file, FcntlArg::F_ADD_SEALS(size | SealFlag::F_SEAL_FUTURE_WRITE | SealFlag::F_SEAL_SEAL))?;
        let size = i64::try_from(length).map_err(|_| Errno::EINVAL)?;
        while let Err(error) = fallocate(file, FallocateFlags::empty(), 0, size) {
            if error != Errno::EINTR {
                return Err(error);
            }
        }
        Ok(memory)
    }

    #[allow(unsafe_code, reason = "mmap has no safe face")]
    fn map_whole(file: &OwnedFd, length: usize) -> nix::Result<Memory> {
        let whole = NonZero::new(length).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(None, whole, access, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Memory { start: start.cast(), length })
    }

    /// Its size in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Copies bytes from an offset on out of it. False, and nothing happens, beyond its end.
    #[must_use]
    #[allow(unsafe_code, reason = "memory of another process")]
    pub fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        let Some(from) = self.at(offset, into.len()) else { return false };
        // SAFETY: `at` has checked the range. `into` is memory of our own, which no mapping overlaps. What another
        // process writes meanwhile decides which bytes come out, and any byte is a u8.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        true
    }

    /// Copies bytes into it from an offset on. False, and nothing happens, beyond its end.
    #[must_use]
    #[allow(unsafe_code, reason = "memory of another process")]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let Some(to) = self.at(offset, bytes.len()) else { return false };
        // SAFETY: as in `read`; nobody in this process has a reference into the mapping.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        true
    }

    /// Overwrites its first bytes with zeros.
    #[allow(unsafe_code, reason = "memory of another process")]
    pub fn wipe(&self, length: usize) {
        // SAFETY: within the mapping, as in `write`. Others can see it, so that the compiler leaves it in.
        unsafe { self.start.as_ptr().write_bytes(0, length.min(self.length)) };
    }

    fn at(&self, offset: usize, length: usize) -> Option<*mut u8> {
        let is_inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        is_inside.then(|| self.start.as_ptr().wrapping_add(offset))
    }
}

impl Drop for Memory {
    #[allow(unsafe_code, reason = "munmap has no safe face")]
    fn drop(&mut self) {
        // SAFETY: what `map_whole` has mapped, and nobody has a reference into it.
        let _ = unsafe { munmap(self.start.cast(), self.length) };
    }
}

/// Memory of the size that a mailbox has.
pub struct MailboxMemory(Memory);

impl MailboxMemory {
    /// The memory as that of a mailbox, if it is as long as one.
    pub fn new(memory: Memory) -> Option<MailboxMemory> {
        (memory.length() == MAILBOX_BYTES).then_some(MailboxMemory(memory))
    }
}

impl Board for MailboxMemory {
    type Word = AtomicU32;

    #[allow(unsafe_code, reason = "memory of another process")]
    fn word(&self, slot: Slot) -> &AtomicU32 {
        let word = self.0.start.as_ptr().wrapping_add(slot.offset());
        // SAFETY: within the mapping, whose length `new` has checked, and aligned to a page as `mmap` gives it; it lives
        // as long as `self`. This process touches these four bytes as an atomic alone; whatever another writes there is
        // a u32.
        unsafe { AtomicU32::from_ptr(word.cast()) }
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let _ = self.0.read(offset, into);
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        let _ = self.0.write(offset, bytes);
    }

    #[allow(unsafe_code, reason = "memory of another process")]
    fn wipe(&self, offset: usize, length: usize) {
        if let Some(start) = self.0.at(offset, length) {
            // SAFETY: `at` has checked the range; as in `Memory::wipe`.
            unsafe { start.write_bytes(0, length) };
        }
    }
}

/// Reads from a stream, and takes every descriptor that comes along: none is left open, whatever the client sends.
///
/// # Errors
/// What the stream says.
#[allow(unsafe_code, reason = "nix loses the descriptors of a message that has more than it has room for")]
pub fn receive(stream: &UnixStream, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    // As much room as any message can need, aligned as its headers are.
    let mut control = [0u64; 2 + (MOST_DESCRIPTORS * size_of::<RawFd>()).div_ceil(size_of::<u64>())];
    let mut buffer = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a structure of numbers and pointers, for which zeros are a value.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut buffer;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the message names memory of our own, of the sizes that it says; the descriptor is open.
    let count = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled in the message; the headers that these give lie in `control`, and their data is as
    // long as they say.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while let Some(part) = header.as_ref() {
            if part.cmsg_level == libc::SOL_SOCKET && part.cmsg_type == libc::SCM_RIGHTS {
                let length = part.cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for i in 0..length / size_of::<RawFd>() {
                    // The kernel has just opened it for us alone.
                    descriptors.push(OwnedFd::from_raw_fd(data.add(i).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(count)
}
