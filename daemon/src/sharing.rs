//! Data that comes in memory which a connection shares, instead of in a frame
//! (`claviger_protocol::frame::IN_MEMORY`).
//!
//! The daemon takes each byte once, in pieces that stay in the processor's nearest cache, into memory of its own, and
//! works there. What comes of it replaces the pieces that were taken, so that plaintext does not stay behind its
//! ciphertext. A client that changes the memory meanwhile changes its own data, and no more.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use claviger_protocol::Bytes;
use claviger_protocol::frame::MAX_SHARED_BYTES;
use claviger_protocol::mailbox::Mailbox;
use tracing::debug;
use zeroize::optimization_barrier;

use crate::application::{Application, SharedMemory};
use crate::error::{Error, Result};
use crate::memory::{MailboxMemory, Memory};

/// How much is taken at a time, in bytes: a multiple of every block length.
const PIECE_BYTES: usize = 16 << 10;
/// Room that a cipher may want beyond a piece.
const MARGIN: usize = 64;
/// What memory is counted in.
const PAGE_BYTES: u64 = 4096;

/// What a connection shares. One thread serves it.
#[derive(Default)]
pub struct Sharing {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// With its part of what its user may share.
    memory: Option<(Rc<Memory>, SharedMemory)>,
    /// Leave that was given, for memory that has to come with the next request.
    awaited: Option<SharedMemory>,
    /// What came with it.
    arrived: Vec<OwnedFd>,
    /// Where short frames travel, with its part of what its user may share.
    mailbox: Option<(Rc<Mailbox<MailboxMemory>>, SharedMemory)>,
}

impl Sharing {
    /// Gives leave to share so many bytes with the next request. What was shared before ends.
    ///
    /// # Errors
    /// `ArgumentsBad` for a size that is never given, `DeviceMemory` beyond the user's limit.
    pub fn ask(&self, application: &Application, bytes: u64) -> Result<()> {
        let mut state = self.state.borrow_mut();
        *state = State { mailbox: state.mailbox.take(), ..State::default() };
        if bytes == 0 || bytes > MAX_SHARED_BYTES as u64 || !bytes.is_multiple_of(PAGE_BYTES) {
            return Err(Error::ArgumentsBad);
        }
        state.awaited = Some(application.share_memory(bytes).ok_or(Error::DeviceMemory)?);
        Ok(())
    }

    /// Shares the memory that has come with the request.
    ///
    /// # Errors
    /// `ArgumentsBad` without leave, or when it is not one descriptor of such memory.
    pub fn attach(&self) -> Result<()> {
        let mut state = self.state.borrow_mut();
        let (memory, share) = state.map_arrived()?;
        state.memory = Some((Rc::new(memory), share));
        Ok(())
    }

    /// Makes the memory that has come with the request the connection's mailbox.
    ///
    /// # Errors
    /// As [`Sharing::attach`]; `ArgumentsBad` also for another size, and when there is a mailbox.
    pub fn attach_mailbox(&self) -> Result<()> {
        let mut state = self.state.borrow_mut();
        let (memory, share) = state.map_arrived()?;
        if state.mailbox.is_some() {
            return Err(Error::ArgumentsBad);
        }
        let memory = MailboxMemory::new(memory).ok_or(Error::ArgumentsBad)?;
        state.mailbox = Some((Rc::new(Mailbox::new(memory)), share));
        Ok(())
    }

    /// The connection's mailbox, if it has one.
    pub fn mailbox(&self) -> Option<Rc<Mailbox<MailboxMemory>>> {
        self.state.borrow().mailbox.as_ref().map(|(mailbox, _)| mailbox.clone())
    }

    /// True when the next request may come with a descriptor.
    pub fn is_awaited(&self) -> bool {
        self.state.borrow().awaited.is_some()
    }

    /// Keeps what came with a request until it is answered.
    pub fn arrived(&self, descriptors: Vec<OwnedFd>) {
        self.state.borrow_mut().arrived = descriptors;
    }

    /// Ends a leave that was not used, and closes what came.
    pub fn forget(&self) {
        let mut state = self.state.borrow_mut();
        state.awaited = None;
        state.arrived.clear();
    }

    /// The first bytes of the memory.
    ///
    /// # Errors
    /// `ArgumentsBad` when there are not as many.
    pub fn span(&self, length: u64) -> Result<Span> {
        let state = self.state.borrow();
        let (memory, _) = state.memory.as_ref().ok_or(Error::ArgumentsBad)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= memory.length());
        Ok(Span { memory: memory.clone(), length: length.ok_or(Error::ArgumentsBad)? })
    }
}

impl State {
    /// Maps what has come, with leave for it.
    fn map_arrived(&mut self) -> Result<(Memory, SharedMemory)> {
        let arrived = std::mem::take(&mut self.arrived);
        let (Some(share), [file]) = (self.awaited.take(), arrived.as_slice()) else {
            return Err(Error::ArgumentsBad);
        };
        let memory = Memory::map(file, share.bytes()).map_err(|error| {
            debug!(%error, "memory that cannot be shared");
            Error::ArgumentsBad
        })?;
        Ok((memory, share))
    }
}

impl Drop for Sharing {
    /// The client's side of the mailbox is told that nobody looks into it any more.
    fn drop(&mut self) {
        if let Some((mailbox, _)) = &self.state.borrow().mailbox {
            mailbox.close();
        }
    }
}

/// A call's data in shared memory, and the place for what becomes of it.
#[derive(Clone)]
pub struct Span {
    memory: Rc<Memory>,
    length: usize,
}

impl Span {
    /// How many bytes there are.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Takes the bytes, in pieces.
    ///
    /// # Errors
    /// What `take` gives.
    pub fn pieces(&self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = Scratch(Vec::with_capacity(self.length.min(PIECE_BYTES)));
        let mut offset = 0;
        while offset < self.length {
            self.take(&mut buffer, offset)?;
            offset += buffer.0.len();
            take(&buffer.0)?;
        }
        Ok(())
    }

    /// Replaces the bytes by what `work` appends for each piece, and gives how many there are then.
    ///
    /// # Errors
    /// What `work` gives; `Internal` when it gives more than it has taken before it has taken all.
    pub fn replace(&self, mut work: impl FnMut(&[u8], &mut Vec<u8>) -> Result<()>) -> Result<usize> {
        let length = self.length.min(PIECE_BYTES);
        let mut input = Scratch(Vec::with_capacity(length));
        let mut output = Scratch(Vec::with_capacity(length + MARGIN));
        let (mut offset, mut written) = (0, 0);
        while offset < self.length {
            self.take(&mut input, offset)?;
            offset += input.0.len();
            output.0.clear();
            work(&input.0, &mut output.0)?;
            if offset < self.length && written + output.0.len() > offset {
                return Err(Error::Internal { detail: "output runs ahead of its input".to_owned() });
            }
            written = self.append(written, &output.0)?;
        }
        Ok(written)
    }

    /// Puts bytes behind so many others, and gives how many there are then.
    ///
    /// # Errors
    /// `ArgumentsBad` beyond the end of the memory.
    pub fn append(&self, written: usize, bytes: &[u8]) -> Result<usize> {
        match self.memory.write(written, bytes) {
            true => Ok(written + bytes.len()),
            false => Err(Error::ArgumentsBad),
        }
    }

    /// Overwrites the bytes.
    pub fn wipe(&self) {
        self.memory.wipe(self.length);
    }

    /// Copies the next piece.
    fn take(&self, buffer: &mut Scratch, offset: usize) -> Result<()> {
        buffer.0.resize(PIECE_BYTES.min(self.length - offset), 0);
        if self.memory.read(offset, &mut buffer.0) { Ok(()) } else { Err(Error::ArgumentsBad) }
    }

    /// A copy of all of them.
    fn whole(&self) -> Result<Bytes> {
        let mut whole = vec![0; self.length];
        if self.memory.read(0, &mut whole) { Ok(Bytes::from(whole)) } else { Err(Error::ArgumentsBad) }
    }
}

/// A buffer that never grows, and is wiped with all that it had room for.
struct Scratch(Vec<u8>);

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), 0);
        optimization_barrier(&self.0);
    }
}

/// The data of a call, wherever it is.
pub enum Input<'call> {
    /// In the request's frame.
    Frame(&'call [u8]),
    /// In shared memory.
    Memory(Span),
}

impl Input<'_> {
    /// How many bytes there are.
    pub fn length(&self) -> usize {
        match self {
            Input::Frame(data) => data.len(),
            Input::Memory(span) => span.length,
        }
    }

    /// Takes the bytes, in one piece or several.
    ///
    /// # Errors
    /// What `take` gives.
    pub fn pieces(&self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self {
            Input::Frame(data) => take(data),
            Input::Memory(span) => span.pieces(take),
        }
    }

    /// Takes the bytes in one piece.
    ///
    /// # Errors
    /// What `take` gives.
    pub fn whole<T>(&self, take: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        match self {
            Input::Frame(data) => take(data),
            Input::Memory(span) => take(&span.whole()?),
        }
    }
}
