//! A daemon for tests: greets, then answers each request as it is told.

use std::ffi::OsString;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use claviger_protocol::admin::{self, Reply, Request, Verb};
use claviger_protocol::frame::{
    self, ApplicationTicket, HELLO_MAGIC, Hello, MAX_FRAME_BYTES, PROTOCOL_VERSION, REQUEST_HEADER_BYTES,
    ReplyHeader, RequestHeader, Welcome,
};
use claviger_protocol::{Rv, codec};

use crate::console::Console;

/// Listens on a socket in a directory of its own, for one connection.
pub struct Daemon {
    directory: tempfile::TempDir,
}

impl Daemon {
    /// Starts a thread that answers one connection.
    pub fn start(answer: impl FnMut(&'static Verb, Request) -> Reply + Send + 'static) -> Self {
        let daemon = Self { directory: tempfile::tempdir().unwrap() };
        let listener = UnixListener::bind(daemon.socket()).unwrap();
        std::thread::spawn(move || serve(listener.accept().unwrap().0, answer));
        daemon
    }

    /// Where it listens.
    pub fn socket(&self) -> &'static Path {
        // A test is short: the path may live for ever.
        Box::leak(self.directory.path().join("admin.sock").into_boxed_path())
    }

    /// A file beside the socket with this content.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// A document in a reply.
pub fn document(json: &str) -> Reply {
    Reply::Document(json.as_bytes().into())
}

/// Runs the program against a socket: exit code, stdout, stderr.
pub fn run(socket: &Path, line: &[&str], input: &str, interactive: bool) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console {
        input: &mut input.as_bytes(),
        out: &mut out,
        err: &mut err,
        interactive,
        out_is_terminal: interactive,
        verbosity: crate::console::Verbosity::Info,
    };
    let line = ["claviger", "--socket", socket.to_str().unwrap()]
        .into_iter()
        .chain(line.iter().copied())
        .map(OsString::from);
    let exit = crate::run(line, &mut console);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn serve(mut stream: UnixStream, mut answer: impl FnMut(&'static Verb, Request) -> Reply) {
    let mut buffer = Vec::new();
    assert!(frame::receive(&mut stream, &mut buffer, MAX_FRAME_BYTES).unwrap());
    let hello: Hello = codec::decode(&buffer).unwrap();
    assert_eq!((hello.magic, hello.protocol, hello.application), (HELLO_MAGIC, PROTOCOL_VERSION, None));
    frame::begin(&mut buffer);
    let application = ApplicationTicket { id: 0, secret: [0u8; 32].as_slice().into() };
    let welcome = Welcome { rv: Rv::OK, protocol: PROTOCOL_VERSION, application };
    codec::encode_into(&welcome, &mut buffer).unwrap();
    frame::send(&mut stream, &mut buffer).unwrap();
    let mut expected = 1;
    while frame::receive(&mut stream, &mut buffer, MAX_FRAME_BYTES).unwrap() {
        let (header, body) = buffer.split_at(REQUEST_HEADER_BYTES);
        let header: RequestHeader = codec::decode(header).unwrap();
        assert_eq!(header.sequence, expected);
        expected += 1;
        let reply = answer(admin::verb(header.call).unwrap(), codec::decode(body).unwrap());
        let rv = match reply {
            Reply::Document(_) => Rv::OK,
            Reply::Failure(_) => Rv::GENERAL_ERROR,
        };
        frame::begin(&mut buffer);
        codec::encode_into(&ReplyHeader { sequence: header.sequence, rv }, &mut buffer).unwrap();
        codec::encode_into(&reply, &mut buffer).unwrap();
        frame::send(&mut stream, &mut buffer).unwrap();
    }
}
