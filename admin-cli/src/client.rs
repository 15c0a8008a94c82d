//! The admin socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use claviger_protocol::admin::{ArgumentValue, Code, Reply, Request, Verb};
use claviger_protocol::frame::{
    self, HELLO_MAGIC, Hello, MAX_FRAME_BYTES, PROTOCOL_VERSION, REPLY_HEADER_BYTES, ReplyHeader,
    RequestHeader, Welcome,
};
use claviger_protocol::{Rv, codec};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// A connection to the daemon.
pub struct Client {
    stream: UnixStream,
    /// Of the last request.
    sequence: u64,
}

impl Client {
    /// Connects and greets.
    ///
    /// # Errors
    /// Nobody listens, the socket is not for this user, or the daemon refuses.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(|error| no_connection(path, &error))?;
        let mut client = Self { stream, sequence: 0 };
        let mut buffer = Vec::new();
        frame::begin(&mut buffer);
        let hello = Hello { magic: HELLO_MAGIC, protocol: PROTOCOL_VERSION, application: None };
        codec::encode_into(&hello, &mut buffer).map_err(|_| nonsense())?;
        let answer = client.exchange(&mut buffer)?;
        let welcome: Welcome = codec::decode(&answer).map_err(|_| nonsense())?;
        match refusal(welcome.rv, welcome.protocol) {
            None => Ok(client),
            Some(error) => Err(error),
        }
    }

    /// Sends a verb and waits for its document.
    ///
    /// # Errors
    /// The daemon's own, or that it is gone.
    pub fn call(&mut self, verb: &Verb, request: &Request) -> Result<Value> {
        self.sequence += 1;
        // Sized so that no secret stays behind in a block that the buffer outgrew.
        let mut buffer = Zeroizing::new(Vec::with_capacity(size(request)));
        frame::begin(&mut buffer);
        let header = RequestHeader { sequence: self.sequence, call: verb.number };
        codec::encode_into(&header, &mut buffer)
            .and_then(|()| codec::encode_into(request, &mut buffer))
            .map_err(|_| Error::usage("the arguments are too long for one request"))?;
        let answer = self.exchange(&mut buffer)?;
        let (header, body) = answer.split_at_checked(REPLY_HEADER_BYTES).ok_or_else(nonsense)?;
        let header: ReplyHeader = codec::decode(header).map_err(|_| nonsense())?;
        if header.sequence != self.sequence {
            return Err(nonsense());
        }
        match codec::decode(body).map_err(|_| nonsense())? {
            Reply::Document(document) => serde_json::from_slice(&document).map_err(|_| nonsense()),
            Reply::Failure(failure) => Err(failure.into()),
        }
    }

    fn exchange(&mut self, buffer: &mut [u8]) -> Result<Vec<u8>> {
        let sent = frame::send(&mut self.stream, buffer);
        if let Err(error) = sent {
            return Err(match error.kind() {
                io::ErrorKind::InvalidInput => Error::usage("the arguments are too long for one request"),
                _ => gone(&error),
            });
        }
        let mut answer = Vec::new();
        match frame::receive(&mut self.stream, &mut answer, MAX_FRAME_BYTES) {
            Ok(true) => Ok(answer),
            Ok(false) => Err(gone(&io::ErrorKind::UnexpectedEof.into())),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(nonsense()),
            Err(error) => Err(gone(&error)),
        }
    }
}

/// Upper bound of a request's frame, in bytes. Lengths and tags take at most 8 bytes each.
fn size(request: &Request) -> usize {
    let value = |value: &ArgumentValue| match value {
        ArgumentValue::Flag => 0,
        ArgumentValue::Text(text) => text.len(),
        ArgumentValue::List(items) => items.iter().map(|item| item.len() + 8).sum(),
        ArgumentValue::Bytes(bytes) => bytes.len(),
    };
    64 + request.arguments.iter().map(|(name, argument)| name.len() + 32 + value(argument)).sum::<usize>()
}

fn no_connection(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::code(
            Code::PermissionDenied,
            format!(
                "permission denied on the socket {path}: run as root or as a member of the socket's group"
            ),
        ),
        io::ErrorKind::InvalidInput => Error::usage(format!("{path} is no path of a socket: {error}")),
        _ => Error::code(
            Code::Unavailable,
            format!(
                "no daemon answers at {path} ({error}): is clavigerd running? \
                 Another socket is named by --socket or CLAVIGER_ADMIN_SOCKET"
            ),
        ),
    }
}

fn refusal(rv: Rv, protocol: u32) -> Option<Error> {
    if protocol != PROTOCOL_VERSION {
        let message = format!(
            "the daemon speaks protocol {protocol}, this program {PROTOCOL_VERSION}: \
             install the same release of both"
        );
        return Some(Error::code(Code::Unavailable, message));
    }
    let code = match rv {
        Rv::OK => return None,
        Rv::ACTION_PROHIBITED | Rv::USER_NOT_LOGGED_IN => Code::PermissionDenied,
        Rv::SESSION_COUNT | Rv::DEVICE_MEMORY | Rv::HOST_MEMORY => Code::ResourceExhausted,
        _ => Code::Unavailable,
    };
    Some(Error::code(code, format!("the daemon refuses the connection ({rv})")))
}

fn gone(error: &io::Error) -> Error {
    Error::code(
        Code::Unavailable,
        format!("the daemon hung up before it answered ({error}); its log may say why"),
    )
}

fn nonsense() -> Error {
    Error::code(
        Code::Internal,
        "the daemon's answer makes no sense: is this its admin socket, and of the same release?",
    )
}

#[cfg(test)]
mod tests {
    use claviger_protocol::admin::Failure;

    use super::*;
    use crate::command::verb;
    use crate::fake::{Daemon, document};

    #[test]
    fn a_document_a_failure_and_another_document_travel_on_one_connection() {
        let mut answers = vec![
            document("[]"),
            Reply::Failure(Failure {
                code: Code::NotFound,
                message: "no key ring r".into(),
                reason: "NoSuchKeyRing".into(),
            }),
            document(r#"{"name":"r"}"#),
        ];
        let daemon = Daemon::start(move |_, _| answers.remove(0));
        let mut client = Client::connect(daemon.socket()).unwrap();
        let request = Request::default();
        assert_eq!(client.call(verb("keyrings list"), &request), Ok(serde_json::json!([])));
        let error = Error::new(4, "no key ring r");
        assert_eq!(client.call(verb("keyrings list"), &request), Err(error));
        assert_eq!(client.call(verb("keyrings list"), &request), Ok(serde_json::json!({"name": "r"})));
    }

    #[test]
    fn a_daemon_that_is_not_there_is_said_so() {
        let directory = tempfile::tempdir().unwrap();
        let error = Client::connect(&directory.path().join("no.sock")).err().unwrap();
        assert_eq!(error.exit, 10);
        assert!(error.message.contains("is clavigerd running?") && error.message.contains("--socket"));
        let denied = no_connection(Path::new("/s"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied.exit, 6);
        assert!(denied.message.starts_with("permission denied on the socket /s"));
    }

    #[test]
    fn refusals_have_their_codes() {
        assert_eq!(refusal(Rv::OK, PROTOCOL_VERSION), None);
        assert_eq!(refusal(Rv::OK, PROTOCOL_VERSION + 1).unwrap().exit, 10);
        assert_eq!(refusal(Rv::ACTION_PROHIBITED, PROTOCOL_VERSION).unwrap().exit, 6);
        assert_eq!(refusal(Rv::SESSION_COUNT, PROTOCOL_VERSION).unwrap().exit, 9);
        assert_eq!(refusal(Rv::DEVICE_ERROR, PROTOCOL_VERSION).unwrap().exit, 10);
    }

    #[test]
    fn documents_that_are_no_json_are_refused() {
        let daemon = Daemon::start(|_, _| document("{"));
        let mut client = Client::connect(daemon.socket()).unwrap();
        assert_eq!(client.call(verb("status"), &Request::default()).unwrap_err().exit, 1);
    }

    #[test]
    fn a_request_never_outgrows_its_buffer() {
        let request = Request {
            arguments: vec![
                ("name".into(), ArgumentValue::Text("k".repeat(63))),
                ("versions".into(), ArgumentValue::List(vec!["1".into(); 100])),
                ("primary".into(), ArgumentValue::Flag),
                ("user-pin-file".into(), ArgumentValue::Bytes(vec![b'1'; 65536].into())),
            ],
        };
        assert!(codec::encode(&request).unwrap().len() + 14 <= size(&request));
    }
}
