//! Frames: a 4-byte little-endian length, then that many bytes. All that travels on both sockets is frames.
//!
//! A connection opens with one [`Hello`] and one [`Welcome`]; after that, each request frame is a
//! [`RequestHeader`] and the encoded request, each reply frame a [`ReplyHeader`] and, if its return value is
//! `CKR_OK`, the encoded reply.

use std::io::{self, Read, Write};

use bincode::{Decode, Encode};

use crate::bytes::{Bytes, wipe};
use crate::rv::Rv;

/// The longest data of one call, in bytes. Longer data goes in parts (`C_SignUpdate`, `C_EncryptUpdate`).
pub const MAX_DATA_BYTES: usize = 4 << 20;

/// The longest frame, in bytes: the longest data and room for what goes with it.
pub const MAX_FRAME_BYTES: usize = MAX_DATA_BYTES + (64 << 10);

/// What this build speaks. A peer that speaks another version is refused in the [`Welcome`].
pub const PROTOCOL_VERSION: u32 = 1;

/// Size of the memory that comes as a descriptor (`SCM_RIGHTS`) with the [`Welcome`] of a new application, in bytes.
/// It begins with the generation, a `u64` of the machine: it rises after every change to what the application may
/// have been told, before whoever made the change hears of it. It is sealed against shrinking. The rest is 0.
pub const GENERATION_PAGE_BYTES: usize = 4096;

/// Set in [`RequestHeader::call`] of a [`Bulk`](crate::call::Bulk) call whose data is not in the frame: it stands at the
/// beginning of the memory that the connection [shares](crate::call::Share). Its length in bytes, a `u64`, stands in
/// front of the encoded request, in which it is empty. Output of such a call may be
/// [placed](crate::call::Output::Placed) there too. Whoever reads takes each byte once and believes nothing of it.
pub const IN_MEMORY: u16 = 1 << 15;

/// The most memory that a connection shares, in bytes: the longest data and room for what it grows by.
pub const MAX_SHARED_BYTES: usize = MAX_FRAME_BYTES;

/// First four bytes of a [`Hello`], so that a stray client of another protocol is told apart at once.
pub const HELLO_MAGIC: [u8; 4] = *b"CLVG";

/// How much the first read of a frame asks for; most requests and replies fit. What is asked for is zeroed first, which
/// from 2 KiB on costs more instructions than all the rest of a call in the module.
const FIRST_READ_BYTES: usize = 1536;

/// How much is read at a time after that: a header that lies about its length costs its sender the bytes first.
const READ_STEP_BYTES: usize = 256 << 10;

/// The first frame of a client.
#[derive(Debug, Encode, Decode)]
pub struct Hello {
    /// [`HELLO_MAGIC`].
    pub magic: [u8; 4],
    /// [`PROTOCOL_VERSION`] of the client.
    pub protocol: u32,
    /// The application this connection joins; none asks for a new one (`C_Initialize`).
    pub application: Option<ApplicationTicket>,
}

/// The daemon's answer to a [`Hello`]; on any `rv` but `CKR_OK` the connection is over.
#[derive(Debug, Encode, Decode)]
pub struct Welcome {
    /// `CKR_OK`, or why the connection is refused.
    pub rv: Rv,
    /// [`PROTOCOL_VERSION`] of the daemon.
    pub protocol: u32,
    /// The application that this connection now belongs to.
    pub application: ApplicationTicket,
}

/// Names an application to the daemon and proves that the connection is part of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ApplicationTicket {
    /// Which application.
    pub id: u64,
    /// 32 random bytes that only connections of this application know.
    pub secret: Bytes,
}

/// Opens each request frame. Fixed width: 10 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RequestHeader {
    /// Rises by one with each request of a connection; a repeat closes it.
    pub sequence: u64,
    /// Which call or verb, by its number in its table.
    pub call: u16,
}

/// Opens each reply frame. Fixed width: 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ReplyHeader {
    /// The request's sequence number.
    pub sequence: u64,
    /// The call's return value; a reply body follows `CKR_OK` only.
    pub rv: Rv,
}

/// Size of the length in front of a frame.
pub const LENGTH_BYTES: usize = 4;
/// Encoded size of a [`RequestHeader`].
pub const REQUEST_HEADER_BYTES: usize = 10;
/// Encoded size of a [`ReplyHeader`].
pub const REPLY_HEADER_BYTES: usize = 16;

/// Begins a frame in `buffer`: clears it and leaves room for the length.
pub fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend_from_slice(&[0; 4]);
}

/// Fills in the length and sends the frame with one write.
///
/// # Errors
/// `InvalidInput` for a frame over [`MAX_FRAME_BYTES`], else what the stream says.
pub fn send(stream: &mut impl Write, buffer: &mut [u8]) -> io::Result<()> {
    let length = buffer.len() - 4;
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "frame over the limit"));
    }
    buffer[..4].copy_from_slice(&(length as u32).to_le_bytes());
    stream.write_all(buffer)
}

/// Reads one frame's bytes into `buffer` (without the length). False when the peer closed between frames.
///
/// Both sides speak in turn, so a short frame takes one read, and bytes behind a frame are an error.
///
/// # Errors
/// `InvalidData` for a frame over `limit` bytes or bytes behind it, `UnexpectedEof` for one cut short, else what
/// the stream says.
pub fn receive(stream: &mut impl Read, buffer: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
    receive_timed(stream, buffer, limit, || Ok(()))
}

/// As [`receive`]; `incomplete` runs before every read after the first, to keep a time limit.
///
/// # Errors
/// As [`receive`], and what `incomplete` gives.
pub fn receive_timed(
    stream: &mut impl Read,
    buffer: &mut Vec<u8>,
    limit: usize,
    mut incomplete: impl FnMut() -> io::Result<()>,
) -> io::Result<bool> {
    buffer.clear();
    buffer.resize(FIRST_READ_BYTES, 0);
    let mut count = read_some(stream, buffer)?;
    if count == 0 {
        return Ok(false);
    }
    while count < LENGTH_BYTES {
        incomplete()?;
        match read_some(stream, &mut buffer[count..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => count += more,
        }
    }
    let length = u32::from_le_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame over the limit"));
    }
    if count - LENGTH_BYTES > length {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes behind a frame"));
    }
    buffer.copy_within(LENGTH_BYTES..count, 0);
    buffer[count - LENGTH_BYTES..count].fill(0);
    buffer.truncate(count - LENGTH_BYTES);
    let mut filled = buffer.len();
    while filled < length {
        incomplete()?;
        if filled == buffer.len() {
            grow(buffer, length.min(filled + READ_STEP_BYTES));
        }
        match read_some(stream, &mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    Ok(true)
}

/// Makes a buffer longer, and leaves no copy of its content behind when it moves.
fn grow(buffer: &mut Vec<u8>, length: usize) {
    if length > buffer.capacity() {
        let mut larger = Vec::with_capacity(length.max(2 * buffer.capacity()));
        larger.extend_from_slice(buffer);
        wipe(buffer);
        *buffer = larger;
    }
    buffer.resize(length, 0);
}

/// `read`, again when a signal came between.
fn read_some(stream: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(bytes) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::new();
        begin(&mut buffer);
        buffer.extend_from_slice(bytes);
        let mut out = Vec::new();
        send(&mut out, &mut buffer).unwrap();
        out
    }

    #[test]
    fn frames_survive_the_trip() {
        for length in
            [0, 1, FIRST_READ_BYTES - 5, FIRST_READ_BYTES - 4, FIRST_READ_BYTES, READ_STEP_BYTES * 3]
        {
            let bytes: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let wire = frame(&bytes);
            let mut stream = wire.as_slice();
            let mut buffer = Vec::new();
            assert!(receive(&mut stream, &mut buffer, MAX_FRAME_BYTES).unwrap());
            assert_eq!(buffer, bytes);
            assert!(!receive(&mut stream, &mut buffer, 16).unwrap());
        }
    }

    #[test]
    fn a_frame_that_dribbles_in_is_read_and_every_read_timed() {
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(bytes.len()).min(1);
                bytes[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let wire = frame(b"hello");
        let (mut buffer, mut timed) = (Vec::new(), 0);
        let incomplete = || {
            timed += 1;
            Ok(())
        };
        assert!(receive_timed(&mut Dribble(&wire), &mut buffer, 16, incomplete).unwrap());
        assert_eq!((buffer.as_slice(), timed), (b"hello".as_slice(), wire.len() - 1));
    }

    #[test]
    fn bytes_behind_a_frame_are_refused() {
        let mut wire = frame(b"one");
        wire.push(0);
        let error = receive(&mut wire.as_slice(), &mut Vec::new(), 16).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_is_read() {
        let mut stream: &[u8] = &[17, 0, 0, 0];
        let error = receive(&mut stream, &mut Vec::new(), 16).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_frame_cut_short_is_an_error_at_every_length() {
        let wire = frame(b"hello");
        for end in 1..wire.len() {
            let error = receive(&mut &wire[..end], &mut Vec::new(), 16).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut at {end}");
        }
    }

    #[test]
    fn headers_have_their_stated_size() {
        let request = RequestHeader { sequence: 1, call: 2 };
        assert_eq!(crate::codec::encode(&request).unwrap().len(), REQUEST_HEADER_BYTES);
        let reply = ReplyHeader { sequence: 1, rv: Rv::OK };
        assert_eq!(crate::codec::encode(&reply).unwrap().len(), REPLY_HEADER_BYTES);
    }
}
