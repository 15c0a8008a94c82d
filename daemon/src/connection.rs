//! One connection: hello, then request after request, each answered before the next is read.

use std::any::Any;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger_protocol::admin::{self, Failure, Reply};
use claviger_protocol::call::{self, BULK, Call};
use claviger_protocol::frame::{
    self, ApplicationTicket, HELLO_MAGIC, Hello, IN_MEMORY, MAX_FRAME_BYTES, PROTOCOL_VERSION,
    REQUEST_HEADER_BYTES, ReplyHeader, RequestHeader, Welcome,
};
use claviger_protocol::mailbox::{Mailbox, Next, SLOT_BYTES, Yielding};
use claviger_protocol::{Bytes, Rv, bytes, codec};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use tracing::{debug, error, info, trace, warn};

use crate::access::Identity;
use crate::admin as verbs;
use crate::application::Application;
use crate::audit::principal;
use crate::calls::{Context, Handle, audited};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::memory::MailboxMemory;
use crate::server::Peer;
use crate::sharing::Sharing;
use crate::{generation, memory};

/// How long a frame may take to arrive once its first byte has. Between frames a client may be silent for ever.
const FRAME_PATIENCE: Duration = Duration::from_secs(10);
/// How long a reply may wait for a client that does not read.
const REPLY_PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection's mailbox is waited at before its socket, where a client that has gone is noticed.
const MAILBOX_PATIENCE: Duration = Duration::from_millis(20);
/// Longest hello.
const MAX_HELLO_BYTES: usize = 1024;
/// What a buffer grew beyond this for a large frame is given back after the next small one.
const KEPT_BUFFER_BYTES: usize = 64 << 10;

/// Serves a module until it leaves.
pub fn serve_pkcs11(daemon: &Arc<Daemon>, stream: UnixStream, peer: Peer) {
    let mut wire = Wire::new(stream);
    let joined = wire.hello(|ticket| {
        match ticket {
            None => {
                let identity = Arc::new(Identity::of(peer, daemon.access.settings()));
                let slots = daemon.slots_of(&identity, None);
                daemon.applications.start(identity, slots).map_err(|error| error.rv())
            }
            Some(ticket) => daemon.applications.join(ticket, peer).ok_or(Rv::CRYPTOKI_NOT_INITIALIZED),
        }
        .map(|application| Member { daemon, application })
    });
    let member = match joined {
        Ok(Some(member)) => member,
        Ok(None) => return,
        Err(error) => return debug!(%error, ?peer, "no hello"),
    };
    let application = &member.application;
    principal::meet(&peer);
    debug!(application = application.id, ?peer, "connected");
    let end = wire.requests(|alive, sharing, header, body, reply| {
        let context = Context { daemon, application, alive, sharing, span: None };
        let rv = match header.call & IN_MEMORY {
            0 => answer(&context, header.call, body, reply),
            _ => answer_in_memory(context, header.call & !IN_MEMORY, body, reply),
        };
        trace!(application = application.id, call = header.call, %rv);
        rv
    });
    match end {
        Ok(()) => debug!(application = application.id, "disconnected"),
        Err(error) => info!(%error, application = application.id, ?peer, "connection lost"),
    }
}

/// Answers a call whose data is in shared memory. Of a call that fails nothing is left there.
fn answer_in_memory(context: Context<'_>, number: u16, body: &[u8], reply: &mut Vec<u8>) -> Rv {
    let Some((length, body)) = body.split_first_chunk() else { return Rv::ARGUMENTS_BAD };
    let Ok(span) = context.sharing.span(u64::from_le_bytes(*length)) else { return Rv::ARGUMENTS_BAD };
    if !BULK.contains(&number) {
        return Rv::ARGUMENTS_BAD;
    }
    let rv = answer(&Context { span: Some(&span), ..context }, number, body, reply);
    if rv != Rv::OK {
        span.wipe();
    }
    rv
}

/// A connection's part in its application, which ends with the connection however that ends.
struct Member<'a> {
    daemon: &'a Daemon,
    application: Arc<Application>,
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.daemon.applications.leave(&self.application);
    }
}

/// Serves an admin until it leaves.
pub fn serve_admin(daemon: &Arc<Daemon>, stream: UnixStream, peer: Peer) {
    let identity = Arc::new(Identity::of(peer, daemon.access.settings()));
    serve_admin_with(stream, peer, |number, body| administer(daemon, &identity, number, body));
}

/// Serves an admin until it leaves; `administer` runs a verb.
pub fn serve_admin_with(
    stream: UnixStream,
    peer: Peer,
    mut administer: impl FnMut(u16, &[u8]) -> Result<Bytes>,
) {
    let mut wire = Wire::new(stream);
    principal::meet(&peer);
    let end = wire.hello(|_| Ok(())).and_then(|welcome| match welcome {
        Some(()) => wire.requests(|_, _, header, body, reply| {
            let answer = administer(header.call, body);
            let (rv, answer) = match answer {
                Ok(document) => (Rv::OK, Reply::Document(document)),
                Err(error) => {
                    log(&error, "verb", header.call);
                    let (code, message) = (error.code(), error.to_string());
                    (error.rv(), Reply::Failure(Failure { code, message, reason: error.reason().to_owned() }))
                }
            };
            if codec::encode_into(&answer, reply).is_ok() { rv } else { Rv::DEVICE_MEMORY }
        }),
        None => Ok(()),
    });
    if let Err(error) = end {
        info!(%error, ?peer, "admin connection lost");
    }
}

/// Runs a verb and gives its document.
///
/// # Errors
/// The verb's.
pub fn administer(daemon: &Arc<Daemon>, identity: &Arc<Identity>, number: u16, body: &[u8]) -> Result<Bytes> {
    let peer = identity.peer;
    let unknown = || Error::Unimplemented { what: format!("verb {number}") };
    let verb = admin::verb(number).ok_or_else(unknown)?;
    let request: admin::Request = codec::decode(body)
        .map_err(|_| Error::InvalidArgument { message: "the request is malformed".to_owned() })?;
    info!(verb = verb.path, uid = peer.uid, pid = peer.pid, "admin");
    let document = caught(|| verbs::handle_for(daemon, identity, verb, request))?;
    let json = serde_json::to_vec(&document).map_err(|e| Error::Internal { detail: e.to_string() })?;
    Ok(json.into())
}

macro_rules! answers {
    ($($name:ident)*) => {
        /// Decodes a request, runs its call, and appends the encoded reply. One arm per row of table 2.
        #[inline(never)] // conformance/tests/instructions.rs counts what happens in here
        pub(crate) fn answer(context: &Context<'_>, number: u16, body: &[u8], reply: &mut Vec<u8>) -> Rv {
            match number {
                $(call::$name::NUMBER => perform::<call::$name>(context, body, reply),)*
                _ => Rv::FUNCTION_NOT_SUPPORTED,
            }
        }
    };
}
claviger_protocol::for_each_call!(answers);

fn perform<C: Handle<Reply: 'static> + 'static>(
    context: &Context<'_>,
    body: &[u8],
    reply: &mut Vec<u8>,
) -> Rv {
    let Ok(request) = codec::decode::<C>(body) else {
        warn!(call = C::NAME, "malformed request");
        return Rv::ARGUMENTS_BAD;
    };
    let pending = match audited::before(&request, context) {
        Ok(pending) => pending,
        Err(error) => {
            log(&error, C::NAME, C::NUMBER);
            return error.rv();
        }
    };
    let outcome = caught(|| request.handle(context));
    audited::after(pending, context, outcome.as_ref().map(|reply| reply as &dyn Any));
    match outcome {
        Ok(answer) => match codec::encode_into(&answer, reply) {
            Ok(()) => Rv::OK,
            Err(_) => Rv::DEVICE_MEMORY,
        },
        Err(Error::OperationNotInitialized) if context.application.lost_operation() => Rv::DEVICE_ERROR,
        Err(error) => {
            if !C::NAME.ends_with("Init") {
                audited::cut_off(context, C::NAME, &error);
            }
            log(&error, C::NAME, C::NUMBER);
            error.rv()
        }
    }
}

/// A panic in one call must not take the daemon with it: it is a fact like others, and a loud one.
fn caught<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Internal { detail: format!("panic: {}", text.unwrap_or_default()) })
    })
}

/// One line per refused call, as loud as its fact, with the detail that the caller does not get.
fn log(fact: &Error, what: &str, number: u16) {
    let detail = match fact {
        Error::Internal { detail } => detail.as_str(),
        _ => "",
    };
    match fact.level() {
        tracing::Level::ERROR => error!(call = what, number, %fact, detail),
        tracing::Level::WARN => warn!(call = what, number, %fact),
        tracing::Level::INFO => info!(call = what, number, %fact),
        _ => debug!(call = what, number, %fact),
    }
}

/// Frames on a stream. Buffers are wiped after each frame, since it may have carried a PIN or a plaintext.
pub struct Wire {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sequence: u64,
    sharing: Sharing,
    yielding: Yielding,
}

impl Wire {
    /// Frames on `stream`.
    pub fn new(stream: UnixStream) -> Wire {
        // A client that stops reading may not hold a thread for ever.
        let _ = stream.set_write_timeout(Some(REPLY_PATIENCE));
        Wire {
            stream,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sequence: 0,
            sharing: Sharing::default(),
            yielding: Yielding::default(),
        }
    }

    /// Reads the hello and answers it. None when the client leaves or is refused.
    ///
    /// # Errors
    /// What the stream says, and `InvalidData` for a hello of another protocol.
    pub fn hello<T>(
        &mut self,
        admit: impl FnOnce(Option<&ApplicationTicket>) -> std::result::Result<T, Rv>,
    ) -> io::Result<Option<T>>
    where
        T: Ticketed,
    {
        let deadline = Instant::now() + FRAME_PATIENCE;
        let stream = &self.stream;
        limit(stream, deadline)?;
        let received = frame::receive_timed(&mut &*stream, &mut self.incoming, MAX_HELLO_BYTES, || {
            limit(stream, deadline)
        });
        if !received? {
            return Ok(None);
        }
        let hello: Hello = codec::decode(&self.incoming).map_err(invalid)?;
        if hello.magic != HELLO_MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no hello of this protocol"));
        }
        let admitted = match hello.protocol {
            PROTOCOL_VERSION => admit(hello.application.as_ref()),
            _ => Err(Rv::DEVICE_ERROR),
        };
        let welcome = Welcome {
            rv: admitted.as_ref().err().copied().unwrap_or(Rv::OK),
            protocol: PROTOCOL_VERSION,
            application: admitted.as_ref().map_or_else(|_| no_ticket(), Ticketed::ticket),
        };
        frame::begin(&mut self.outgoing);
        codec::encode_into(&welcome, &mut self.outgoing).map_err(invalid)?;
        let page =
            admitted.as_ref().ok().filter(|_| hello.application.is_none()).and_then(Ticketed::generation);
        frame::send(&mut Accompanied { stream: &self.stream, page }, &mut self.outgoing)?;
        self.wipe();
        self.stream.set_read_timeout(None)?;
        Ok(admitted.ok())
    }

    /// Answers requests until the client leaves. `handle` appends the reply's body and gives its return value.
    ///
    /// # Errors
    /// What the stream says, and `InvalidData` for what is no request.
    pub fn requests(
        &mut self,
        mut handle: impl FnMut(&dyn Fn() -> bool, &Sharing, RequestHeader, &[u8], &mut Vec<u8>) -> Rv,
    ) -> io::Result<()> {
        loop {
            let is_awaited = self.sharing.is_awaited();
            let mailbox = self.sharing.mailbox();
            let next = match &mailbox {
                Some(mailbox) => mailbox.next(&mut self.incoming, &mut self.yielding, MAILBOX_PATIENCE),
                None => Next::Socket,
            };
            match next {
                Next::Frame => {}
                Next::Socket | Next::Nothing => {
                    if !self.receive(is_awaited)? {
                        return Ok(());
                    }
                }
                Next::Nonsense => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "no use of a mailbox"));
                }
            }
            let header = self.incoming.get(..REQUEST_HEADER_BYTES).unwrap_or_default();
            let header: RequestHeader = codec::decode(header).map_err(invalid)?;
            if header.sequence <= self.sequence {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a request came twice"));
            }
            self.sequence = header.sequence;

            let mut reply = ReplyHeader { sequence: header.sequence, rv: Rv::OK };
            frame::begin(&mut self.outgoing);
            codec::encode_into(&reply, &mut self.outgoing).map_err(invalid)?;
            let stream = &self.stream;
            let alive = || is_alive(stream);
            let body = &self.incoming[REQUEST_HEADER_BYTES..];
            reply.rv = handle(&alive, &self.sharing, header, body, &mut self.outgoing);
            if is_awaited {
                self.sharing.forget();
            }
            let rv = frame::LENGTH_BYTES + frame::REPLY_HEADER_BYTES - size_of::<u64>();
            self.outgoing[rv..rv + size_of::<u64>()].copy_from_slice(&reply.rv.0.to_le_bytes());
            self.send_reply(mailbox.as_deref(), next)?;
            self.wipe();
        }
    }

    /// Sends the reply the way that the request has come, or by the socket if it is too long for that.
    fn send_reply(&mut self, mailbox: Option<&Mailbox<MailboxMemory>>, came: Next) -> io::Result<()> {
        if let Some(mailbox) = mailbox {
            mailbox.listen();
            let frame = &self.outgoing[frame::LENGTH_BYTES..];
            match came {
                Next::Frame if frame.len() <= SLOT_BYTES => {
                    mailbox.answer(frame);
                    return Ok(());
                }
                Next::Frame => mailbox.refer(),
                _ => {}
            }
        }
        frame::send(&mut self.stream, &mut self.outgoing)
    }

    /// Reads one frame; false when the client has left. Waits for its first byte as long as it takes. The kernel drops
    /// descriptors that come with a frame, but those of one that may have some (`is_awaited`).
    fn receive(&mut self, is_awaited: bool) -> io::Result<bool> {
        let stream = &self.stream;
        let mut deadline = None;
        let incomplete = || limit(stream, *deadline.get_or_insert_with(|| Instant::now() + FRAME_PATIENCE));
        let received = if is_awaited {
            let mut stream = WithDescriptors { stream, arrived: Vec::new() };
            let received = frame::receive_timed(&mut stream, &mut self.incoming, MAX_FRAME_BYTES, incomplete);
            self.sharing.arrived(stream.arrived);
            received
        } else {
            frame::receive_timed(&mut &*stream, &mut self.incoming, MAX_FRAME_BYTES, incomplete)
        };
        if deadline.is_some() {
            stream.set_read_timeout(None)?;
        }
        received
    }

    fn wipe(&mut self) {
        for buffer in [&mut self.incoming, &mut self.outgoing] {
            let used = buffer.len();
            bytes::wipe(buffer);
            buffer.clear();
            if used < buffer.capacity() / 4 {
                buffer.shrink_to(KEPT_BUFFER_BYTES);
            }
        }
    }
}

/// False once the peer has closed its end (a peek that finds the end of the stream).
fn is_alive(stream: &UnixStream) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    !matches!(recv(stream.as_raw_fd(), &mut [0u8; 1], flags), Ok(0))
}

impl Drop for Wire {
    /// A connection may end in the middle of a frame.
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Lets the next read wait until `deadline` and no longer.
fn limit(stream: &UnixStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))
}

/// A stream that keeps the descriptors which come along.
struct WithDescriptors<'a> {
    stream: &'a UnixStream,
    arrived: Vec<OwnedFd>,
}

impl io::Read for WithDescriptors<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        memory::receive(self.stream, bytes, &mut self.arrived)
    }
}

/// A stream whose first bytes go with a descriptor.
struct Accompanied<'a> {
    stream: &'a UnixStream,
    page: Option<BorrowedFd<'static>>,
}

impl io::Write for Accompanied<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(page) = self.page.take() else { return (&mut &*self.stream).write(bytes) };
        let (bytes, page) = ([io::IoSlice::new(bytes)], [page.as_raw_fd()]);
        let rights = [ControlMessage::ScmRights(&page)];
        Ok(sendmsg::<()>(self.stream.as_raw_fd(), &bytes, &rights, MsgFlags::MSG_NOSIGNAL, None)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a connection is welcomed as.
pub trait Ticketed {
    /// What joins further connections to it.
    fn ticket(&self) -> ApplicationTicket;

    /// The page with the generation, for whoever begins to use it.
    fn generation(&self) -> Option<BorrowedFd<'static>> {
        None
    }
}

impl Ticketed for Member<'_> {
    fn ticket(&self) -> ApplicationTicket {
        self.application.ticket()
    }

    fn generation(&self) -> Option<BorrowedFd<'static>> {
        generation::memory()
    }
}

impl Ticketed for () {
    /// Admins have no application.
    fn ticket(&self) -> ApplicationTicket {
        no_ticket()
    }
}

fn no_ticket() -> ApplicationTicket {
    ApplicationTicket { id: 0, secret: Bytes::default() }
}

fn invalid(error: codec::Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
