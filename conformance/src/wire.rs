//! A client of the sockets that may say anything.

use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use claviger_protocol::call::Call;
use claviger_protocol::codec;
use claviger_protocol::frame::{
    self, ApplicationTicket, HELLO_MAGIC, Hello, MAX_FRAME_BYTES, PROTOCOL_VERSION, REPLY_HEADER_BYTES,
    ReplyHeader, RequestHeader, Welcome,
};
use claviger_protocol::{Result, Rv, admin};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};

/// How long the daemon may take to answer or to hang up.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Wire {
    /// The stream itself, for bytes that are no frame.
    pub stream: UnixStream,
    sequence: u64,
}

impl Wire {
    /// Connects and says nothing.
    pub fn connect(socket: &Path) -> Wire {
        let stream = UnixStream::connect(socket).expect("connecting to the daemon");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Wire { stream, sequence: 0 }
    }

    /// Connects as a new application or into one.
    pub fn greet(socket: &Path, application: Option<ApplicationTicket>) -> (Wire, Welcome) {
        let mut wire = Wire::connect(socket);
        let welcome = wire.hello(&Hello { magic: HELLO_MAGIC, protocol: PROTOCOL_VERSION, application });
        (wire, welcome.expect("an answer to the hello"))
    }

    /// Sends a hello; none when the daemon hangs up on it.
    pub fn hello(&mut self, hello: &Hello) -> Option<Welcome> {
        self.send(&codec::encode(hello).unwrap());
        self.receive().map(|welcome| codec::decode(&welcome).expect("a welcome"))
    }

    /// Sends bytes as a frame. An error is no news: the daemon may have hung up on the frame before.
    pub fn send(&mut self, bytes: &[u8]) {
        let mut buffer = Vec::new();
        frame::begin(&mut buffer);
        buffer.extend_from_slice(bytes);
        let _ = frame::send(&mut self.stream, &mut buffer);
    }

    /// Sends bytes that are no frame.
    pub fn send_unframed(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame; none when the daemon hung up.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = Vec::new();
        match frame::receive(&mut self.stream, &mut buffer, MAX_FRAME_BYTES) {
            Ok(true) => Some(buffer),
            Ok(false) => None,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("neither an answer nor the end within {} s: {error}", PATIENCE.as_secs()),
        }
    }

    /// True when the daemon has hung up and sends nothing before that.
    pub fn hung_up(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Sends a request with this call number and body, and gives return value and body of the reply.
    pub fn request(&mut self, call: u16, body: &[u8]) -> Option<(Rv, Vec<u8>)> {
        let request = self.next_request(call, body);
        self.send(&request);
        let reply = self.receive()?;
        let header: ReplyHeader = codec::decode(&reply[..REPLY_HEADER_BYTES]).expect("a reply header");
        assert_eq!(header.sequence, self.sequence, "the reply is to another request");
        Some((header.rv, reply[REPLY_HEADER_BYTES..].to_vec()))
    }

    /// The next request, which is not sent.
    pub fn next_request(&mut self, call: u16, body: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        [&codec::encode(&RequestHeader { sequence: self.sequence, call }).unwrap(), body].concat()
    }

    /// True when the daemon has hung up. Does not wait, and takes nothing.
    pub fn has_ended(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        matches!(recv(self.stream.as_raw_fd(), &mut [0], flags), Ok(0) | Err(nix::Error::ECONNRESET))
    }

    /// As [`request`](Self::request), with descriptors that come along.
    pub fn request_with(
        &mut self,
        call: u16,
        body: &[u8],
        descriptors: &[BorrowedFd],
    ) -> Option<(Rv, Vec<u8>)> {
        self.sequence += 1;
        let header = codec::encode(&RequestHeader { sequence: self.sequence, call }).unwrap();
        let length = (header.len() + body.len()) as u32;
        let bytes = [&length.to_le_bytes()[..], &header, body].concat();
        let descriptors: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let (parts, rights) = ([IoSlice::new(&bytes)], [ControlMessage::ScmRights(&descriptors)]);
        let rights = if descriptors.is_empty() { &[][..] } else { &rights };
        let sent = sendmsg::<()>(self.stream.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None);
        assert_eq!(sent, Ok(bytes.len()), "a short message");
        let reply = self.receive()?;
        let header: ReplyHeader = codec::decode(&reply[..REPLY_HEADER_BYTES]).expect("a reply header");
        Some((header.rv, reply[REPLY_HEADER_BYTES..].to_vec()))
    }

    /// Makes a call of the PKCS#11 socket.
    ///
    /// # Errors
    /// The return value.
    pub fn call<C: Call>(&mut self, call: &C) -> Result<C::Reply> {
        let (rv, body) = self.request(C::NUMBER, &codec::encode(call).unwrap()).expect("an answer");
        if rv != Rv::OK {
            assert!(body.is_empty(), "a failed call has no body");
            return Err(rv);
        }
        Ok(codec::decode(&body).expect("the call's reply"))
    }

    /// Sends a verb of the admin socket.
    pub fn verb(&mut self, number: u16, request: &admin::Request) -> (Rv, admin::Reply) {
        let (rv, body) = self.request(number, &codec::encode(request).unwrap()).expect("an answer");
        (rv, codec::decode(&body).expect("an admin reply"))
    }
}
