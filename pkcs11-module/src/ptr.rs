//! ALL raw-pointer reads and writes. The types here are made from C arguments by `unsafe` constructors in the
//! function table (`lib.rs`); what the chapters in `abi/` then do with them is safe code.
//!
//! * [`In`] a pointer and a length to read; [`text`], [`label`] fixed forms of it
//! * [`Out`] a buffer and a length to fill, with size query and `CKR_BUFFER_TOO_SMALL` (PKCS#11 3.2, section 5.2)
//! * [`Place`] one value to write; [`OutList`] an array with a count; [`OutArray`] an array of given size
//! * [`template`] templates in and attribute values out; [`params`] mechanisms with their parameters
//! * [`PerProcess`] state that a forked child does not inherit; [`at_secure`], [`close_socket`]
//! * [`Page`] memory that the daemon shares; [`memory`] memory that is shared with it
//!
//! What every constructor asks of its caller is what the standard asks of the application: a pointer is NULL or
//! points to as much readable (or writable) memory as its length says, for the duration of the call. Nothing is
//! assumed about alignment, and nothing is read twice.

pub mod memory;
pub mod params;
pub mod template;

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use claviger_protocol::call::{OutputRef, Room};
use claviger_protocol::frame::{GENERATION_PAGE_BYTES, MAX_DATA_BYTES};
use claviger_protocol::{Bytes, Result, Rv};

use self::memory::Memory;
use crate::sys::{CK_BYTE_PTR, CK_C_INITIALIZE_ARGS, CK_ULONG, CK_ULONG_PTR, CK_VERSION, CK_VOID_PTR};

/// A structure of the C ABI that may be read bit by bit: any bit pattern is a value of it.
///
/// # Safety
/// Only for `#[repr(C)]` structures of integers, raw pointers and optional function pointers.
pub unsafe trait Plain: Copy {}

/// Reads one value, aligned or not.
///
/// # Safety
/// `pointer` is NULL or points to a readable `T`.
pub unsafe fn read<T: Plain>(pointer: *const T) -> Option<T> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL, so readable as promised by the caller; Plain makes any content a valid T.
    Some(unsafe { pointer.read_unaligned() })
}

/// Copies bytes of the application; errors for a NULL pointer with a length, and for a length over the limit.
///
/// # Safety
/// `pointer` is NULL or points to `length` readable bytes.
unsafe fn copy(pointer: *const u8, length: CK_ULONG, null: Rv, too_long: Rv) -> Result<Bytes> {
    if length == 0 {
        return Ok(Bytes::default());
    }
    if pointer.is_null() {
        return Err(null);
    }
    let length = usize::try_from(length).ok().filter(|n| *n <= MAX_DATA_BYTES).ok_or(too_long)?;
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Rv::HOST_MEMORY)?;
    // SAFETY: readable as promised by the caller; the vector has room for `length` bytes, which are
    // initialised before the length says so; a fresh allocation does not overlap.
    unsafe {
        ptr::copy_nonoverlapping(pointer, bytes.as_mut_ptr(), length);
        bytes.set_len(length);
    }
    Ok(Bytes::from(bytes))
}

/// Longest data of one call, in bytes: beyond it the length is taken for a mistake.
const LONGEST_DATA: CK_ULONG = 1 << 36;

/// How much of longer data goes at a time: what the processor's cache holds more likely than a whole frame.
const CHUNK_BYTES: CK_ULONG = 1 << 20;

/// A pointer and a length that the function reads.
#[derive(Clone, Copy)]
pub struct In<'call> {
    pointer: *const u8,
    length: CK_ULONG,
    call: PhantomData<&'call [u8]>,
}

impl In<'_> {
    /// # Safety
    /// `pointer` is NULL or points to `length` readable bytes during the call.
    pub unsafe fn new(pointer: CK_BYTE_PTR, length: CK_ULONG) -> Self {
        Self { pointer, length, call: PhantomData }
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A copy of the bytes.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL with a length, `CKR_DATA_LEN_RANGE` over [`MAX_DATA_BYTES`].
    pub fn bytes(&self) -> Result<Bytes> {
        // SAFETY: the constructor's contract.
        unsafe { copy(self.pointer, self.length, Rv::ARGUMENTS_BAD, Rv::DATA_LEN_RANGE) }
    }

    /// Whether [`Self::bytes`] could copy them.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub fn check(&self) -> Result<()> {
        match self.length {
            0 => Ok(()),
            _ if self.pointer.is_null() => Err(Rv::ARGUMENTS_BAD),
            length if length > MAX_DATA_BYTES as CK_ULONG => Err(Rv::DATA_LEN_RANGE),
            _ => Ok(()),
        }
    }

    /// True for data of more than a frame, which goes in [`Self::chunks`].
    pub fn is_large(&self) -> bool {
        !self.pointer.is_null() && self.length > MAX_DATA_BYTES as CK_ULONG && self.length <= LONGEST_DATA
    }

    /// The bytes in parts of at most [`CHUNK_BYTES`].
    pub fn chunks(&self) -> impl Iterator<Item = Self> {
        let Self { pointer, length, call } = *self;
        let step = usize::try_from(CHUNK_BYTES).unwrap_or(usize::MAX);
        (0..length).step_by(step).map(move |offset| {
            // Within what the constructor was given.
            let pointer = pointer.wrapping_add(offset as usize);
            Self { pointer, length: (length - offset).min(CHUNK_BYTES), call }
        })
    }

    /// A copy of a PIN; NULL is the protected authentication path (PKCS#11 3.2, section 5.6.8).
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL with a length, `CKR_PIN_LEN_RANGE` for a length no PIN can have.
    pub fn pin(&self) -> Result<Option<Bytes>> {
        if self.pointer.is_null() && self.length == 0 {
            return Ok(None);
        }
        // SAFETY: the constructor's contract.
        unsafe { copy(self.pointer, self.length, Rv::ARGUMENTS_BAD, Rv::PIN_LEN_RANGE) }.map(Some)
    }
}

/// The 32 bytes of `C_InitToken`'s label.
///
/// # Errors
/// `CKR_ARGUMENTS_BAD` for NULL.
///
/// # Safety
/// `pointer` is NULL or points to 32 readable bytes during the call.
pub unsafe fn label(pointer: *const u8) -> Result<[u8; 32]> {
    // SAFETY: the caller's promise; 32 bytes are one [u8; 32].
    unsafe { read(pointer.cast::<[u8; 32]>()) }.ok_or(Rv::ARGUMENTS_BAD)
}

// SAFETY: bytes and numbers: any content is a value.
unsafe impl Plain for [u8; 32] {}
// SAFETY: as above.
unsafe impl Plain for CK_ULONG {}
// SAFETY: as above.
unsafe impl Plain for CK_VERSION {}

/// A string that C ends with a zero byte; none for NULL.
///
/// # Safety
/// `pointer` is NULL or points to such a string, which lives and stays as it is during the call.
pub unsafe fn text<'call>(pointer: *const u8) -> Option<&'call CStr> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(pointer.cast::<c_char>()) })
}

/// A buffer that the function fills, and its length, which it reads and writes.
pub struct Out<'call> {
    buffer: *mut u8,
    length: *mut CK_ULONG,
    /// What `length` said when the call began.
    room: CK_ULONG,
    call: PhantomData<&'call mut [u8]>,
}

impl Out<'_> {
    /// # Safety
    /// `length` is NULL or points to a number that may be read and written; `buffer` is NULL or points to that
    /// many writable bytes; both during the call.
    pub unsafe fn new(buffer: CK_BYTE_PTR, length: CK_ULONG_PTR) -> Self {
        // SAFETY: the caller's promise.
        let room = unsafe { read(length) }.unwrap_or(0);
        Self { buffer, length, room, call: PhantomData }
    }

    /// How much the caller has room for; none is a size query.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for a NULL length pointer.
    pub fn room(&self) -> Result<Room> {
        if self.length.is_null() {
            return Err(Rv::ARGUMENTS_BAD);
        }
        Ok((!self.buffer.is_null()).then_some(self.room))
    }

    /// How much room is left behind `written` bytes.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub fn room_after(&self, written: u64) -> Result<Room> {
        Ok(self.room()?.map(|room| room.saturating_sub(written)))
    }

    /// Writes a piece of the output behind `written` bytes and gives its length. None when there is too little room, and
    /// then the length that is needed is written. `memory` is what the connection shares.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR` when the daemon sends more than there was room for, or a length.
    pub fn put(&mut self, written: u64, output: OutputRef, memory: Option<&Memory>) -> Result<Option<u64>> {
        let (from, length) = match output {
            OutputRef::Data(data) => (data.as_ptr(), data.len() as CK_ULONG),
            OutputRef::Placed(length) => (placed(memory, length)?, length),
            OutputRef::Length(_) => return Err(Rv::DEVICE_ERROR),
            OutputRef::TooSmall(length) => {
                self.room()?;
                // SAFETY: room() has refused NULL; writable as the constructor's caller promised.
                unsafe { self.length.write_unaligned(written.saturating_add(length)) };
                return Ok(None);
            }
        };
        if self.room_after(written)?.is_none_or(|room| length > room) {
            return Err(Rv::DEVICE_ERROR);
        }
        // SAFETY: a room means that the buffer is not NULL, and it has `length` bytes behind `written`. They come from
        // memory of our own, where there are as many, and which the application's cannot overlap.
        unsafe { ptr::copy_nonoverlapping(from, self.buffer.add(written as usize), length as usize) };
        Ok(Some(length))
    }

    /// Writes how much was [put](Self::put) in all.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub fn end(self, written: u64) -> Result<()> {
        self.room()?;
        // SAFETY: room() has refused NULL; writable as the constructor's caller promised.
        unsafe { self.length.write_unaligned(written) };
        Ok(())
    }

    /// Writes the daemon's answer. `memory` is what the connection shares.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR` when the daemon sends more than there was room for, or what was not asked.
    pub fn write(mut self, output: OutputRef, memory: Option<&Memory>) -> Result<Filled> {
        let room = self.room()?;
        match output {
            OutputRef::Data(_) | OutputRef::Placed(_) => match self.put(0, output, memory)? {
                Some(length) => self.end(length).map(|()| Filled::Data),
                None => Err(Rv::DEVICE_ERROR),
            },
            // Each answers one kind of question, so that an application never believes in output it has not got.
            OutputRef::Length(length) if room.is_none() => self.end(length).map(|()| Filled::Length(length)),
            OutputRef::TooSmall(length) if room.is_some() => self.end(length).map(|()| Filled::TooSmall),
            OutputRef::Length(_) | OutputRef::TooSmall(_) => Err(Rv::DEVICE_ERROR),
        }
    }
}

/// Where output is that the daemon has placed.
fn placed(memory: Option<&Memory>, length: CK_ULONG) -> Result<*const u8> {
    memory.and_then(|memory| memory.first(length)).ok_or(Rv::DEVICE_ERROR)
}

/// What has been written to an [`Out`], besides the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// The output.
    Data,
    /// Nothing: this was asked.
    Length(u64),
    /// Nothing: there was not room enough.
    TooSmall,
}

impl Filled {
    /// The function's return value.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL`.
    pub fn done(self) -> Result<()> {
        match self {
            Filled::Data | Filled::Length(_) => Ok(()),
            Filled::TooSmall => Err(Rv::BUFFER_TOO_SMALL),
        }
    }
}

/// One value that the function writes. Never NULL.
pub struct Place<'call, T> {
    pointer: *mut T,
    call: PhantomData<&'call mut T>,
}

impl<T> Place<'_, T> {
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL.
    ///
    /// # Safety
    /// `pointer` is NULL or points to a writable `T` during the call.
    pub unsafe fn new(pointer: *mut T) -> Result<Self> {
        if pointer.is_null() {
            return Err(Rv::ARGUMENTS_BAD);
        }
        Ok(Self { pointer, call: PhantomData })
    }

    /// Writes the value.
    pub fn write(self, value: T) {
        // SAFETY: not NULL, writable as the constructor's caller promised; what was there needs no drop, it
        // is the application's.
        unsafe { self.pointer.write_unaligned(value) };
    }
}

/// An array that the function fills and a count that it reads and writes: `C_GetSlotList` and its like.
pub struct OutList<'call, T> {
    array: *mut T,
    count: *mut CK_ULONG,
    /// What `count` said when the call began.
    room: CK_ULONG,
    call: PhantomData<&'call mut [T]>,
}

impl<T: Copy> OutList<'_, T> {
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for a NULL count.
    ///
    /// # Safety
    /// `count` is NULL or points to a number that may be read and written; `array` is NULL or points to that
    /// many writable elements; both during the call.
    pub unsafe fn new(array: *mut T, count: CK_ULONG_PTR) -> Result<Self> {
        // SAFETY: the caller's promise.
        let room = unsafe { read(count) }.ok_or(Rv::ARGUMENTS_BAD)?;
        Ok(Self { array, count, room, call: PhantomData })
    }

    /// Writes the elements, or with a NULL array their number alone.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL` with the number of elements written to the count.
    pub fn write(self, elements: &[T]) -> Result<()> {
        let count = elements.len() as CK_ULONG;
        // SAFETY: the constructor has refused NULL; writable as its caller promised.
        unsafe { self.count.write_unaligned(count) };
        if self.array.is_null() {
            return Ok(());
        }
        if count > self.room {
            return Err(Rv::BUFFER_TOO_SMALL);
        }
        // SAFETY: not NULL, and there is room for `count` elements.
        unsafe { write_all(self.array, elements) };
        Ok(())
    }
}

/// An array of given size that the function fills: `C_FindObjects`, `C_GenerateRandom`.
pub struct OutArray<'call, T> {
    array: *mut T,
    room: CK_ULONG,
    call: PhantomData<&'call mut [T]>,
}

impl OutArray<'_, u8> {
    /// Writes bytes from an offset on.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR` when there are more than there was room for.
    pub fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > self.room.saturating_sub(offset) {
            return Err(Rv::DEVICE_ERROR);
        }
        if !bytes.is_empty() {
            // SAFETY: there is room for these bytes behind `offset`, so the constructor has refused NULL.
            unsafe { write_all(self.array.add(offset as usize), bytes) };
        }
        Ok(())
    }
}

impl<T: Copy> OutArray<'_, T> {
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` for NULL with a size.
    ///
    /// # Safety
    /// `array` is NULL or points to `room` writable elements during the call.
    pub unsafe fn new(array: *mut T, room: CK_ULONG) -> Result<Self> {
        if array.is_null() && room > 0 {
            return Err(Rv::ARGUMENTS_BAD);
        }
        Ok(Self { array, room, call: PhantomData })
    }

    /// How many elements there is room for.
    pub fn room(&self) -> u64 {
        self.room
    }

    /// Writes the elements.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR` when there are more than there was room for.
    pub fn write(self, elements: &[T]) -> Result<()> {
        if elements.len() as CK_ULONG > self.room {
            return Err(Rv::DEVICE_ERROR);
        }
        if !elements.is_empty() {
            // SAFETY: there is room for at least one element, so the constructor has refused NULL.
            unsafe { write_all(self.array, elements) };
        }
        Ok(())
    }
}

/// Writes elements one after the other, aligned or not.
///
/// # Safety
/// `array` points to as many writable elements.
unsafe fn write_all<T: Copy>(array: *mut T, elements: &[T]) {
    // SAFETY: as bytes, so that alignment does not matter; `elements` is our own memory and cannot overlap.
    unsafe {
        ptr::copy_nonoverlapping(elements.as_ptr().cast::<u8>(), array.cast::<u8>(), size_of_val(elements))
    };
}

/// What `C_Initialize` is given, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeArgs {
    /// How many of the four mutex callbacks are there.
    pub mutex_callbacks: usize,
    /// `pReserved` is not NULL.
    pub reserved: bool,
}

// SAFETY: integers, raw pointers and optional function pointers.
unsafe impl Plain for CK_C_INITIALIZE_ARGS {}

/// Reads `C_Initialize`'s argument; none for NULL.
///
/// # Safety
/// `pointer` is NULL or points to a `CK_C_INITIALIZE_ARGS` during the call.
pub unsafe fn initialize_args(pointer: CK_VOID_PTR) -> Option<InitializeArgs> {
    // SAFETY: the caller's promise.
    let args = unsafe { read(pointer.cast::<CK_C_INITIALIZE_ARGS>()) }?;
    let callbacks = [
        args.CreateMutex.is_some(),
        args.DestroyMutex.is_some(),
        args.LockMutex.is_some(),
        args.UnlockMutex.is_some(),
    ];
    Some(InitializeArgs {
        mutex_callbacks: callbacks.iter().filter(|there| **there).count(),
        reserved: !args.pReserved.is_null(),
    })
}

/// State that belongs to one process. A forked child does not use its parent's: a lock in there may be held by
/// a thread that does not exist in the child. Made on first use, and never dropped: nothing runs at exit.
pub struct PerProcess<T> {
    current: AtomicPtr<(u32, T)>,
}

impl<T: Sync> PerProcess<T> {
    /// Nothing made yet.
    pub const fn new() -> Self {
        Self { current: AtomicPtr::new(ptr::null_mut()) }
    }

    /// This process's value. `make` gets the parent's, in which no lock may be waited for; when threads race,
    /// it may run more than once, and all but one result are dropped.
    pub fn get(&self, make: impl Fn(Option<&'static T>) -> T) -> &'static T {
        let pid = std::process::id();
        let mut seen = self.current.load(Ordering::Acquire);
        loop {
            // SAFETY: NULL, or a leaked box whose content is never written again.
            let inherited = unsafe { seen.as_ref() };
            if let Some((owner, value)) = inherited
                && *owner == pid
            {
                return value;
            }
            let made = Box::into_raw(Box::new((pid, make(inherited.map(|(_, value)| value)))));
            match self.current.compare_exchange(seen, made, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: just made, and leaked from here on.
                Ok(_) => return unsafe { &(*made).1 },
                Err(other) => {
                    // SAFETY: nobody has seen this box.
                    drop(unsafe { Box::from_raw(made) });
                    seen = other;
                }
            }
        }
    }
}

/// True when the process runs with more rights than whoever started it (set-uid, file capabilities): its
/// environment is then somebody else's word.
pub fn at_secure() -> bool {
    // SAFETY: takes a number and touches no memory of ours.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A descriptor that came with a message (`SCM_RIGHTS`): the kernel has made it for us alone.
pub fn received(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller has it from recvmsg, which has just opened it, and hands it on to nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The page of memory in which the daemon keeps its generation (`claviger_protocol::frame::GENERATION_PAGE_BYTES`).
pub struct Page {
    number: NonNull<AtomicU64>,
}

// SAFETY: the number is only ever read, atomically, and the mapping ends with the one value that owns it.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Maps it. None unless it is memory of the right size that nobody can shrink: reading it could then kill
    /// the application (SIGBUS).
    pub fn map(memory: &OwnedFd) -> Option<Self> {
        let fd = memory.as_raw_fd();
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the pointer is to writable memory of the right size; the descriptor is open.
        let seals = unsafe {
            if libc::fstat(fd, stat.as_mut_ptr()) != 0 {
                return None;
            }
            libc::fcntl(fd, libc::F_GET_SEALS)
        };
        // SAFETY: fstat has filled it.
        let size = unsafe { stat.assume_init() }.st_size;
        if seals < 0 || seals & libc::F_SEAL_SHRINK == 0 || size < GENERATION_PAGE_BYTES as i64 {
            return None;
        }
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let address = unsafe {
            libc::mmap(ptr::null_mut(), GENERATION_PAGE_BYTES, libc::PROT_READ, libc::MAP_SHARED, fd, 0)
        };
        (address != libc::MAP_FAILED)
            .then(|| NonNull::new(address.cast()))
            .flatten()
            .map(|number| Self { number })
    }

    /// The generation as it is now.
    pub fn generation(&self) -> u64 {
        // SAFETY: the mapping is a page long, aligned to a page, readable, and lives as long as `self`; the file
        // behind it cannot shrink. Others write to it only atomically.
        unsafe { self.number.as_ref() }.load(Ordering::Acquire)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: what `map` has mapped, and nobody has a reference into it.
        unsafe { libc::munmap(self.number.as_ptr().cast(), GENERATION_PAGE_BYTES) };
    }
}

/// The inode of an open socket; none when `fd` is closed or something else.
pub fn socket_inode(fd: RawFd) -> Option<u64> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is to writable memory of the right size; a bad descriptor is an error, no more.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: fstat has filled it.
    let stat = unsafe { stat.assume_init() };
    (stat.st_mode & libc::S_IFMT == libc::S_IFSOCK).then_some(stat.st_ino)
}

/// Closes a descriptor that a forked child has inherited, if it still is the socket with this inode: the child
/// may have closed all descriptors and opened others.
pub fn close_socket(fd: RawFd, inode: u64) {
    if socket_inode(fd) == Some(inode) {
        // SAFETY: the descriptor is the parent's connection. Its owner lives in state that the child never
        // uses nor drops, so nobody closes it twice.
        unsafe { libc::close(fd) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_empty_without_a_length_and_bad_with_one() {
        // SAFETY: NULL is allowed.
        let (empty, bad) = unsafe { (In::new(ptr::null_mut(), 0), In::new(ptr::null_mut(), 1)) };
        assert_eq!(empty.bytes(), Ok(Bytes::default()));
        assert_eq!(empty.pin(), Ok(None));
        assert_eq!(bad.bytes(), Err(Rv::ARGUMENTS_BAD));
        assert_eq!(bad.pin(), Err(Rv::ARGUMENTS_BAD));
    }

    #[test]
    fn input_is_copied_and_its_length_limited() {
        let mut data = *b"data";
        // SAFETY: four bytes; the long one is refused before it is read.
        let (four, none, long) = unsafe {
            (
                In::new(data.as_mut_ptr(), 4),
                In::new(data.as_mut_ptr(), 0),
                In::new(data.as_mut_ptr(), CK_ULONG::MAX),
            )
        };
        assert_eq!(four.bytes(), Ok(Bytes::from(b"data")));
        assert_eq!(none.pin(), Ok(Some(Bytes::default())));
        assert_eq!(long.bytes(), Err(Rv::DATA_LEN_RANGE));
        assert_eq!(long.pin(), Err(Rv::PIN_LEN_RANGE));
    }

    #[test]
    fn output_goes_where_there_is_room() {
        let data = OutputRef::Data(b"abc");
        let mut buffer = [0u8; 4];
        let mut length: CK_ULONG = 4;
        // SAFETY: four bytes, as the length says; each Out is used before the next is made.
        let out = |buffer: *mut u8, length: &mut CK_ULONG| unsafe { Out::new(buffer, length) };

        let full = out(buffer.as_mut_ptr(), &mut length);
        assert_eq!(full.room(), Ok(Some(4)));
        assert_eq!(full.write(data, None), Ok(Filled::Data));
        assert_eq!((buffer, length), (*b"abc\0", 3));

        let query = out(ptr::null_mut(), &mut length);
        assert_eq!(query.room(), Ok(None));
        assert_eq!(query.write(OutputRef::Length(77), None), Ok(Filled::Length(77)));
        assert_eq!(length, 77);

        length = 2;
        let small = out(buffer.as_mut_ptr(), &mut length);
        assert_eq!(
            small.write(OutputRef::TooSmall(9), None).and_then(Filled::done),
            Err(Rv::BUFFER_TOO_SMALL)
        );
        assert_eq!(length, 9);
    }

    #[test]
    fn a_daemon_that_sends_more_than_asked_writes_nothing() {
        let data = OutputRef::Data(b"abc");
        let mut buffer = [0u8; 4];
        let mut length: CK_ULONG = 2;
        // SAFETY: at least two bytes.
        let small = unsafe { Out::new(buffer.as_mut_ptr(), &mut length) };
        assert_eq!(small.write(data, None), Err(Rv::DEVICE_ERROR));
        // SAFETY: NULL is allowed.
        let query = unsafe { Out::new(ptr::null_mut(), &mut length) };
        assert_eq!(query.write(data, None), Err(Rv::DEVICE_ERROR));
        assert_eq!((buffer, length), ([0; 4], 2));
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { Out::new(buffer.as_mut_ptr(), ptr::null_mut()) }.room(), Err(Rv::ARGUMENTS_BAD));
    }

    #[test]
    fn lists_are_counted_copied_or_too_long() {
        let list = [7u64, 8, 9];
        let mut array = [0u64; 3];
        let mut count: CK_ULONG = 0;
        // SAFETY: the array has three elements and the count never says more.
        unsafe {
            assert_eq!(OutList::new(ptr::null_mut(), &mut count).unwrap().write(&list), Ok(()));
            assert_eq!(count, 3);
            count = 2;
            let small = OutList::new(array.as_mut_ptr(), &mut count).unwrap();
            assert_eq!(small.write(&list), Err(Rv::BUFFER_TOO_SMALL));
            assert_eq!((count, array), (3, [0; 3]));
            assert_eq!(OutList::new(array.as_mut_ptr(), &mut count).unwrap().write(&list), Ok(()));
            assert_eq!(array, list);
            let nowhere = OutList::<u64>::new(array.as_mut_ptr(), ptr::null_mut());
            assert_eq!(nowhere.err(), Some(Rv::ARGUMENTS_BAD));
        }
    }

    #[test]
    fn arrays_take_what_fits() {
        let mut array = [0u64; 2];
        // SAFETY: two elements.
        let (two, again, none) = unsafe {
            (
                OutArray::new(array.as_mut_ptr(), 2).unwrap(),
                OutArray::new(array.as_mut_ptr(), 2).unwrap(),
                OutArray::<u64>::new(ptr::null_mut(), 1),
            )
        };
        assert_eq!(two.write(&[1]), Ok(()));
        assert_eq!(again.write(&[1, 2, 3]), Err(Rv::DEVICE_ERROR));
        assert_eq!(none.err(), Some(Rv::ARGUMENTS_BAD));
        assert_eq!(array, [1, 0]);
    }

    #[test]
    fn unaligned_places_are_written() {
        let mut bytes = [0u8; 17];
        // SAFETY: bytes 1..9 are writable.
        unsafe { Place::new(bytes.as_mut_ptr().wrapping_add(1).cast::<u64>()) }.unwrap().write(0x0102);
        assert_eq!(bytes[1..3], 0x0102u64.to_ne_bytes()[..2]);
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { Place::<u64>::new(ptr::null_mut()) }.err(), Some(Rv::ARGUMENTS_BAD));
    }

    #[test]
    fn only_the_same_socket_is_closed() {
        use std::os::fd::AsRawFd;
        let (ours, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = socket_inode(ours.as_raw_fd()).unwrap();
        close_socket(other.as_raw_fd(), inode);
        assert!(socket_inode(other.as_raw_fd()).is_some());
        let fd = std::os::fd::IntoRawFd::into_raw_fd(ours);
        close_socket(fd, inode);
        assert_ne!(socket_inode(fd), Some(inode));
    }
}
