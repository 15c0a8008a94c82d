//! One connection: hello and welcome, then a request and its reply at a time.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger_protocol::call::{
    Attach, AttachMailbox, Bulk, Call, Encrypt, EncryptOnce, EncryptUpdate, OutputRef, Share,
};
use claviger_protocol::codec::{self, Malformed};
use claviger_protocol::frame::{
    self, ApplicationTicket, HELLO_MAGIC, Hello, IN_MEMORY, MAX_FRAME_BYTES, MAX_SHARED_BYTES,
    PROTOCOL_VERSION, REPLY_HEADER_BYTES, ReplyHeader, RequestHeader, Welcome,
};
use claviger_protocol::mailbox::{MAILBOX_BYTES, Mailbox, Next, Posted, SLOT_BYTES, Yielding};
use claviger_protocol::{Bytes, Result, Rv, bytes};

use crate::pool::{Bell, Pooled};
use crate::ptr::memory::{MailboxMemory, Memory};
use crate::ptr::{In, Page};
use crate::socket::{Accompanied, Accompanying, Socket};

/// How long the daemon may take to say welcome: it may be starting, with the listener held by systemd.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(5);
/// A welcome is a few numbers and a ticket.
const MAX_WELCOME_BYTES: usize = 4096;

/// Room that a connection begins with. A request with a PIN fits, so that its bytes are never left behind in
/// memory that the buffer has outgrown.
const BUFFER_BYTES: usize = 4096;
/// Room that an idle connection may keep whatever it was last used for.
const MAX_IDLE_BUFFER_BYTES: usize = 64 << 10;

/// From which request of a connection on it has a mailbox: to set one up takes as long as some ten calls by the socket.
const MAILBOX_FROM_REQUESTS: u64 = 16;
/// How long a reply is waited for in the mailbox before a look at the socket, which tells whether the daemon is there.
const MAILBOX_PATIENCE: Duration = Duration::from_millis(50);

/// From how many bytes on data goes by shared memory: below, a copy through the socket costs less than looking after it.
const SHARED_FROM_BYTES: u64 = 16 << 10;
/// The least memory that is shared, in bytes.
const LEAST_SHARED_BYTES: usize = 256 << 10;
/// What data may grow by: a block, a tag.
const GROWTH_BYTES: usize = 256;

/// A connection to the daemon that has been welcomed.
pub struct Connection {
    /// Shared with [`crate::client::Client`] while a call waits for a slot event, to wake it.
    socket: Arc<Socket>,
    /// The application that it belongs to.
    application: u64,
    /// Of the last request.
    sequence: u64,
    /// What the socket is set to.
    read_timeout: Option<Duration>,
    /// The frame that is being sent or has been received; wiped after use.
    buffer: Vec<u8>,
    /// The longest frame of the last exchange, in bytes.
    longest: usize,
    /// What long data goes by, once some has come.
    memory: Option<Memory>,
    /// What short frames travel in, once there have been some.
    mailbox: Option<Mailbox<MailboxMemory>>,
    /// Before it sleeps there.
    yielding: Yielding,
    /// The daemon has been asked for a mailbox.
    has_considered_mailbox: bool,
    /// The daemon gives no leave to share so many bytes.
    refused: usize,
    /// How much of it the last exchange has used, in bytes.
    used: u64,
    /// What it has placed there is ciphertext.
    encrypts: bool,
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request is longer than a frame; the connection is as good as before.
    TooLong,
    /// The daemon has not got the whole request, so it has done nothing. The connection is over.
    NotSent,
    /// The daemon may have done what was asked, or it talks nonsense. The connection is over.
    Lost,
}

impl Connection {
    /// Says hello, for an application that exists or, without a ticket, a new one. Gives the ticket of the
    /// application that the connection now belongs to, and with a new one the daemon's page.
    ///
    /// # Errors
    /// `CKR_DEVICE_REMOVED` when nobody answers, `CKR_DEVICE_ERROR` for nonsense or another protocol version,
    /// else the daemon's reason to refuse.
    pub fn open(
        socket: Socket,
        application: Option<&ApplicationTicket>,
    ) -> Result<(Self, ApplicationTicket, Option<Page>)> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(BUFFER_BYTES).map_err(|_| Rv::HOST_MEMORY)?;
        let read_timeout = Some(WELCOME_TIMEOUT);
        socket.set_read_timeout(read_timeout).map_err(|_| Rv::DEVICE_REMOVED)?;
        let mut connection = Self {
            socket: Arc::new(socket),
            application: 0,
            sequence: 0,
            read_timeout,
            buffer,
            longest: 0,
            memory: None,
            mailbox: None,
            yielding: Yielding::default(),
            has_considered_mailbox: false,
            refused: usize::MAX,
            used: 0,
            encrypts: false,
        };
        let welcome = connection.hello(application);
        connection.wipe();
        let (welcome, page) = welcome?;
        match welcome.rv {
            Rv::OK if welcome.protocol == PROTOCOL_VERSION => {
                connection.application = welcome.application.id;
                Ok((connection, welcome.application, page))
            }
            Rv::OK => Err(Rv::DEVICE_ERROR),
            refused => Err(refused),
        }
    }

    fn hello(&mut self, application: Option<&ApplicationTicket>) -> Result<(Welcome, Option<Page>)> {
        let hello =
            Hello { magic: HELLO_MAGIC, protocol: PROTOCOL_VERSION, application: application.cloned() };
        frame::begin(&mut self.buffer);
        codec::encode_into(&hello, &mut self.buffer).map_err(|Malformed| Rv::GENERAL_ERROR)?;
        frame::send(&mut &*self.socket, &mut self.buffer).map_err(|_| Rv::DEVICE_REMOVED)?;
        self.wipe();
        let mut stream = Accompanied::new(&self.socket);
        match frame::receive(&mut stream, &mut self.buffer, MAX_WELCOME_BYTES) {
            Ok(true) => {
                let page = stream.descriptor.as_ref().and_then(Page::map);
                codec::decode(&self.buffer)
                    .map(|welcome| (welcome, page))
                    .map_err(|Malformed| Rv::DEVICE_ERROR)
            }
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(Rv::DEVICE_ERROR),
            Ok(false) | Err(_) => Err(Rv::DEVICE_REMOVED),
        }
    }

    /// The socket, to shut it down from another thread.
    pub fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// True while the daemon keeps its end open and is silent, as it should be between calls.
    pub fn is_idle(&self) -> bool {
        self.socket.is_idle()
    }

    /// Sends a request and receives its reply: the return value and, in [`Self::body`], what follows it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn exchange(
        &mut self,
        call: u16,
        timeout: Option<Duration>,
        encode: &dyn Fn(&mut Vec<u8>) -> std::result::Result<(), Malformed>,
    ) -> std::result::Result<Rv, Failure> {
        self.consider_mailbox(timeout)?;
        self.exchange_with(None, call, timeout, encode)
    }

    /// As [`Self::exchange`], for a request that comes with a descriptor.
    fn exchange_with(
        &mut self,
        descriptor: Option<&OwnedFd>,
        call: u16,
        timeout: Option<Duration>,
        encode: &dyn Fn(&mut Vec<u8>) -> std::result::Result<(), Malformed>,
    ) -> std::result::Result<Rv, Failure> {
        let sequence = self.sequence + 1;
        frame::begin(&mut self.buffer);
        let header = codec::encode_into(&RequestHeader { sequence, call }, &mut self.buffer);
        header.and_then(|()| encode(&mut self.buffer)).map_err(|Malformed| Failure::TooLong)?;
        if timeout != self.read_timeout {
            self.socket.set_read_timeout(timeout).map_err(|_| Failure::NotSent)?;
            self.read_timeout = timeout;
        }
        if let (None, Some(timeout)) = (descriptor, timeout)
            && let Some(rv) = self.exchange_in_mailbox(sequence, timeout)?
        {
            return Ok(rv);
        }
        if let Some(mailbox) = &self.mailbox
            && !mailbox.knock()
        {
            return Err(Failure::NotSent);
        }
        let sent = match descriptor {
            None => frame::send(&mut &*self.socket, &mut self.buffer),
            Some(_) => frame::send(&mut Accompanying { socket: &self.socket, descriptor }, &mut self.buffer),
        };
        match sent {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Err(Failure::TooLong),
            // Half a frame is no request: the daemon acts on whole frames only.
            Err(_) => return Err(Failure::NotSent),
        }
        self.sequence = sequence;
        self.wipe();
        self.receive(sequence)
    }

    /// Receives a reply by the socket.
    fn receive(&mut self, sequence: u64) -> std::result::Result<Rv, Failure> {
        match frame::receive(&mut &*self.socket, &mut self.buffer, MAX_FRAME_BYTES) {
            Ok(true) => self.check_header(sequence),
            Ok(false) | Err(_) => Err(Failure::Lost),
        }
    }

    /// Sends the request in the buffer by the mailbox and receives its reply. None, and nothing is sent, when there is no
    /// mailbox, the request is too long for it, or the daemon waits at the socket.
    fn exchange_in_mailbox(
        &mut self,
        sequence: u64,
        timeout: Duration,
    ) -> std::result::Result<Option<Rv>, Failure> {
        let frame = &self.buffer[frame::LENGTH_BYTES..];
        let Some(mailbox) = self.mailbox.as_ref().filter(|_| frame.len() <= SLOT_BYTES) else {
            return Ok(None);
        };
        match mailbox.post(frame) {
            Posted::Yes => {}
            Posted::BySocket => return Ok(None),
            Posted::Gone => return Err(Failure::NotSent),
        }
        self.sequence = sequence;
        bytes::wipe(&mut self.buffer);
        self.longest = self.longest.max(self.buffer.len());
        let mut deadline = None;
        let mut may_be_gone = false;
        loop {
            match mailbox.collect(&mut self.buffer, &mut self.yielding, MAILBOX_PATIENCE) {
                Next::Frame => return self.check_header(sequence).map(Some),
                Next::Socket => return self.receive(sequence).map(Some),
                Next::Nonsense => return Err(Failure::Lost),
                // What the daemon did before it went has just been looked for once more.
                Next::Nothing if may_be_gone && mailbox.withdraw() => return Err(Failure::NotSent),
                Next::Nothing if may_be_gone => return Err(Failure::Lost),
                Next::Nothing => {}
            }
            let now = Instant::now();
            if now >= *deadline.get_or_insert(now + timeout) {
                // Whoever asked has waited long enough to be told; what has not been begun shall not be.
                let _ = mailbox.withdraw();
                return Err(Failure::Lost);
            }
            may_be_gone = !self.socket.is_idle();
        }
    }

    /// Has short frames travel in memory from now on, if the connection is used enough and the daemon and the system want
    /// it. What was shared ends with the question.
    fn consider_mailbox(&mut self, timeout: Option<Duration>) -> std::result::Result<(), Failure> {
        if self.has_considered_mailbox || self.sequence < MAILBOX_FROM_REQUESTS || timeout.is_none() {
            return Ok(());
        }
        self.has_considered_mailbox = true;
        self.memory = None;
        let Some((memory, file)) = self.ask_to_share(MAILBOX_BYTES, timeout)? else { return Ok(()) };
        let attach = |buffer: &mut Vec<u8>| codec::encode_into(&AttachMailbox {}, buffer);
        let attached = self.exchange_with(Some(&file), AttachMailbox::NUMBER, timeout, &attach);
        if attached.map_err(|_| Failure::NotSent)? == Rv::OK {
            self.mailbox = MailboxMemory::new(memory).map(Mailbox::new);
        }
        Ok(())
    }

    /// Sends a request with its data, in shared memory where that is worth it, and receives its reply.
    ///
    /// # Errors
    /// As [`In::bytes`]; see [`Failure`] for what happens on the way.
    pub fn exchange_data<C: Bulk>(
        &mut self,
        call: &mut C,
        data: In,
        timeout: Option<Duration>,
    ) -> Result<std::result::Result<Rv, Failure>> {
        if let Err(failure) = self.consider_mailbox(timeout) {
            return Ok(Err(failure));
        }
        if data.length() >= SHARED_FROM_BYTES {
            match self.share(data.length(), timeout) {
                Ok(false) => {}
                Ok(true) => return self.exchange_shared(call, data, timeout),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        *call.data() = data.bytes()?;
        let call = &*call;
        Ok(self.exchange(C::NUMBER, timeout, &|buffer| codec::encode_into(call, buffer)))
    }

    fn exchange_shared<C: Bulk>(
        &mut self,
        call: &mut C,
        data: In,
        timeout: Option<Duration>,
    ) -> Result<std::result::Result<Rv, Failure>> {
        if let Some(memory) = &mut self.memory {
            memory.put(data)?;
        }
        *call.data() = Bytes::default();
        let (call, length) = (&*call, data.length());
        let encode = |buffer: &mut Vec<u8>| {
            codec::encode_into(&length, buffer)?;
            codec::encode_into(call, buffer)
        };
        self.used = length;
        self.encrypts = [Encrypt::NUMBER, EncryptUpdate::NUMBER, EncryptOnce::NUMBER].contains(&C::NUMBER);
        Ok(self.exchange_with(None, C::NUMBER | IN_MEMORY, timeout, &encode))
    }

    /// Makes sure that so many bytes, and what they may grow by, have room in shared memory. False when they have not,
    /// because the daemon or the system does not want it.
    fn share(&mut self, length: u64, timeout: Option<Duration>) -> std::result::Result<bool, Failure> {
        let needed = usize::try_from(length).map_or(usize::MAX, |length| length.saturating_add(GROWTH_BYTES));
        if self.memory.as_ref().is_some_and(|memory| needed as u64 <= memory.length()) {
            return Ok(true);
        }
        let size = needed.max(LEAST_SHARED_BYTES).checked_next_power_of_two().unwrap_or(usize::MAX);
        let size = size.min(MAX_SHARED_BYTES);
        if size < needed || size >= self.refused {
            return Ok(false);
        }
        // A daemon from before this has dropped nothing, and one that refuses has ended what was shared.
        self.memory = None;
        self.refused = size;
        let Some((memory, file)) = self.ask_to_share(size, timeout)? else { return Ok(false) };
        let attach = |buffer: &mut Vec<u8>| codec::encode_into(&Attach {}, buffer);
        let attached = self.exchange_with(Some(&file), Attach::NUMBER, timeout, &attach);
        if attached.map_err(|_| Failure::NotSent)? != Rv::OK {
            return Ok(false);
        }
        self.refused = usize::MAX;
        self.memory = Some(memory);
        Ok(true)
    }

    /// Makes memory that the daemon gives leave to share. None when there is no leave or no memory.
    fn ask_to_share(
        &mut self,
        size: usize,
        timeout: Option<Duration>,
    ) -> std::result::Result<Option<(Memory, OwnedFd)>, Failure> {
        let share = Share { bytes: size as u64 };
        let leave =
            self.exchange_with(None, Share::NUMBER, timeout, &|buffer| codec::encode_into(&share, buffer));
        // The call itself has not been sent, whatever happens here.
        match leave.map_err(|_| Failure::NotSent)? {
            Rv::OK => Ok(Memory::create(size)),
            _ => Ok(None),
        }
    }

    /// What is shared.
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    fn check_header(&self, sequence: u64) -> std::result::Result<Rv, Failure> {
        let header = self.buffer.get(..REPLY_HEADER_BYTES).ok_or(Failure::Lost)?;
        let header: ReplyHeader = codec::decode(header).map_err(|Malformed| Failure::Lost)?;
        let body_follows = self.buffer.len() > REPLY_HEADER_BYTES;
        if header.sequence != sequence || (header.rv != Rv::OK && body_follows) {
            return Err(Failure::Lost);
        }
        Ok(header.rv)
    }

    /// The encoded reply of the last exchange.
    pub fn body(&self) -> &[u8] {
        self.buffer.get(REPLY_HEADER_BYTES..).unwrap_or_default()
    }

    /// Makes the connection idle: gives back room that the last exchange had no need of. Who sends much does so again.
    pub fn rest(&mut self) {
        self.wipe_memory();
        self.wipe();
        if self.longest < self.buffer.capacity() / 4 {
            self.buffer.shrink_to(MAX_IDLE_BUFFER_BYTES);
        }
        self.longest = 0;
    }

    /// Overwrites what the last exchange has left in shared memory, but for ciphertext.
    fn wipe_memory(&mut self) {
        let used = std::mem::take(&mut self.used);
        let ciphertext = match codec::decode_in_place(self.body()) {
            Ok(OutputRef::Placed(length)) if self.encrypts => length,
            _ => 0,
        };
        if let Some(memory) = self.memory.as_mut().filter(|_| used > 0) {
            memory.wipe(ciphertext, used.saturating_add(GROWTH_BYTES as u64));
        }
    }

    /// Overwrites the last frame.
    fn wipe(&mut self) {
        self.longest = self.longest.max(self.buffer.len());
        bytes::wipe(&mut self.buffer);
        self.buffer.clear();
    }
}

impl Pooled for Connection {
    type Ticket = ApplicationTicket;
    type Bell = Socket;

    fn is_of(&self, ticket: &ApplicationTicket) -> bool {
        self.application == ticket.id
    }
}

impl Bell for Socket {
    fn ring(&self) {
        self.shutdown();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.wipe();
    }
}
