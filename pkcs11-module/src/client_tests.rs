//! The client against a daemon that is scripted: well-behaved, broken, restarted and gone.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{PoisonError, RwLock};
use std::thread;

use claviger_protocol::Bytes;
use claviger_protocol::call::{
    Attach, DigestUpdate, OpenSession, SessionCancel, Share, Sign, WaitForSlotEvent,
};
use claviger_protocol::frame::{
    self, Hello, MAX_DATA_BYTES, MAX_FRAME_BYTES, PROTOCOL_VERSION, ReplyHeader, RequestHeader, Welcome,
};

use super::*;
use crate::library::Library;
use crate::ptr::{In, Out};

/// Tests that fork run alone: a child inherits the sockets of all tests, which then do not close when they should.
static FORKS: RwLock<()> = RwLock::new(());

/// Held by tests that are disturbed by others that fork.
#[must_use]
pub fn without_forks() -> impl Drop {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held by tests that fork.
#[must_use]
fn with_forks() -> impl Drop {
    FORKS.write().unwrap_or_else(PoisonError::into_inner)
}

/// A listener whose connections a script serves, and where it is.
struct Fake {
    address: Address,
    directory: tempfile::TempDir,
}

/// Connection to a client, as the daemon sees it.
struct Peer {
    stream: UnixStream,
    /// Counts the connections, from 0.
    index: usize,
}

impl Fake {
    fn start(script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = Address { given: Some(directory.path().join("socket")), runtime_dir: None };
        let fake = Self { address, directory };
        fake.listen(script);
        fake
    }

    /// Listens on the socket from now on.
    fn listen(&self, script: impl Fn(Peer) + Send + Sync + 'static) {
        let path = self.directory.path().join("socket");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).unwrap();
        let script = Arc::new(script);
        thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let (script, stream) = (Arc::clone(&script), stream.unwrap());
                thread::spawn(move || script(Peer { stream, index }));
            }
        });
    }

    fn client(&self) -> Client {
        Client::new(self.address.clone(), Box::leak(Box::new(SocketTable::new())))
    }
}

impl Peer {
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = Vec::new();
        frame::receive(&mut self.stream, &mut buffer, MAX_FRAME_BYTES).unwrap_or(false).then_some(buffer)
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut buffer = Vec::new();
        frame::begin(&mut buffer);
        buffer.extend_from_slice(bytes);
        let _ = frame::send(&mut self.stream, &mut buffer);
    }

    /// Reads the hello; welcomes, or refuses, as `rv` says. Gives what the hello asked for.
    fn welcome(&mut self, id: u64, rv: Rv) -> Option<ApplicationTicket> {
        let hello: Hello = codec::decode(&self.receive()?).unwrap();
        let application = ApplicationTicket { id, secret: Bytes::from(&[id as u8; 32]) };
        self.send(&codec::encode(&Welcome { rv, protocol: PROTOCOL_VERSION, application }).unwrap());
        hello.application
    }

    fn request(&mut self) -> Option<(RequestHeader, Vec<u8>)> {
        let bytes = self.receive()?;
        let (header, body) = bytes.split_at(frame::REQUEST_HEADER_BYTES);
        Some((codec::decode(header).unwrap(), body.to_vec()))
    }

    fn reply(&mut self, sequence: u64, rv: Rv, body: &[u8]) {
        let mut bytes = codec::encode(&ReplyHeader { sequence, rv }).unwrap();
        bytes.extend_from_slice(body);
        self.send(&bytes);
    }

    /// Answers every request with its sequence number, as `C_OpenSession` would a handle.
    fn serve(mut self) {
        while let Some((header, _)) = self.request() {
            let (rv, body) = match header.call {
                // It has no memory to share.
                Share::NUMBER => (Rv::FUNCTION_NOT_SUPPORTED, vec![]),
                Finalize::NUMBER => (Rv::OK, vec![]),
                _ => (Rv::OK, codec::encode(&header.sequence).unwrap()),
            };
            self.reply(header.sequence, rv, &body);
        }
    }
}

const OPEN: OpenSession = OpenSession { slot: 1, flags: 4 };

#[test]
fn calls_share_a_connection_whose_sequence_rises() {
    let _guard = without_forks();
    let fake = Fake::start(|mut peer| {
        assert_eq!(peer.welcome(7, Rv::OK), None);
        assert_eq!(peer.index, 0);
        peer.serve();
    });
    let client = fake.client();
    for sequence in 1..5 {
        assert_eq!(client.call(&OPEN), Ok(sequence));
    }
}

#[test]
fn the_daemon_s_return_value_keeps_the_connection() {
    let _guard = without_forks();
    let fake = Fake::start(|mut peer| {
        peer.welcome(7, Rv::OK);
        let (header, _) = peer.request().unwrap();
        peer.reply(header.sequence, Rv::SLOT_ID_INVALID, &[]);
        peer.serve();
    });
    let client = fake.client();
    assert_eq!(client.call(&OPEN), Err(Rv::SLOT_ID_INVALID));
    assert_eq!(client.call(&OPEN), Ok(2));
}

/// A daemon that breaks the rules on its first connection and keeps them, for the same application, after it.
fn broken_once(break_it: impl Fn(&mut Peer, u64) + Send + Sync + 'static) {
    let fake = Fake::start(move |mut peer| {
        let ticket = peer.welcome(7, Rv::OK);
        if peer.index == 0 {
            let (header, _) = peer.request().unwrap();
            break_it(&mut peer, header.sequence);
            let _ = peer.stream.shutdown(std::net::Shutdown::Both);
        } else {
            assert_eq!(ticket.map(|ticket| ticket.id), Some(7));
            peer.serve();
        }
    });
    let client = fake.client();
    assert_eq!(client.call(&OPEN), Err(Rv::DEVICE_ERROR));
    assert_eq!(client.pool.counts().0, 0);
    assert_eq!(client.call(&OPEN), Ok(1));
}

#[test]
fn garbage_is_a_device_error() {
    let _guard = without_forks();
    broken_once(|peer, _| peer.send(b"garbage"));
    broken_once(|peer, _| peer.send(b""));
    broken_once(|peer, sequence| peer.reply(sequence, Rv::OK, b"not a handle"));
    broken_once(|peer, sequence| peer.reply(sequence, Rv::OK, b""));
    broken_once(|peer, sequence| peer.reply(sequence, Rv::SLOT_ID_INVALID, b"body"));
}

#[test]
fn a_wrong_sequence_is_a_device_error() {
    let _guard = without_forks();
    let handle = codec::encode(&1u64).unwrap();
    broken_once(move |peer, sequence| peer.reply(sequence + 1, Rv::OK, &handle));
}

#[test]
fn a_reply_cut_short_or_missing_is_a_device_error() {
    let _guard = without_forks();
    use std::io::Write;
    broken_once(|_, _| ());
    broken_once(|peer, _| peer.stream.write_all(&[24, 0]).unwrap());
    broken_once(|peer, _| peer.stream.write_all(&[24, 0, 0, 0, 1, 2, 3]).unwrap());
}

#[test]
fn a_frame_over_the_limit_is_a_device_error() {
    let _guard = without_forks();
    use std::io::Write;
    broken_once(|peer, _| peer.stream.write_all(&u32::MAX.to_le_bytes()).unwrap());
}

#[test]
fn nobody_there_is_a_removed_device_until_somebody_is() {
    let _guard = without_forks();
    let directory = tempfile::tempdir().unwrap();
    let address = Address { given: Some(directory.path().join("socket")), runtime_dir: None };
    let fake = Fake { address, directory };
    let client = fake.client();
    client.warm();
    assert_eq!(client.call(&OPEN), Err(Rv::DEVICE_REMOVED));
    fake.listen(|mut peer| {
        peer.welcome(7, Rv::OK);
        peer.serve();
    });
    assert_eq!(client.call(&OPEN), Ok(1));
}

#[test]
fn refusals_and_other_versions_are_told() {
    let _guard = without_forks();
    let refusing = Fake::start(|mut peer| drop(peer.welcome(7, Rv::TOKEN_RESOURCE_EXCEEDED)));
    assert_eq!(refusing.client().call(&OPEN), Err(Rv::TOKEN_RESOURCE_EXCEEDED));
    let newer = Fake::start(|mut peer| {
        peer.receive();
        let application = ApplicationTicket { id: 1, secret: Bytes::default() };
        let welcome = Welcome { rv: Rv::OK, protocol: PROTOCOL_VERSION + 1, application };
        peer.send(&codec::encode(&welcome).unwrap());
        peer.serve();
    });
    assert_eq!(newer.client().call(&OPEN), Err(Rv::DEVICE_ERROR));
    let silent = Fake::start(drop);
    assert_eq!(silent.client().call(&OPEN), Err(Rv::DEVICE_REMOVED));
    let babbling = Fake::start(|mut peer| {
        peer.receive();
        peer.send(b"HTTP/1.1 400 Bad Request");
    });
    assert_eq!(babbling.client().call(&OPEN), Err(Rv::DEVICE_ERROR));
}

#[test]
fn a_daemon_that_was_restarted_while_idle_is_found_again_with_a_new_application() {
    let _guard = without_forks();
    let (closed, when_closed) = mpsc::channel();
    let fake = Fake::start(move |mut peer| {
        match peer.index {
            0 => {
                assert_eq!(peer.welcome(7, Rv::OK), None);
                let (header, _) = peer.request().unwrap();
                peer.reply(header.sequence, Rv::OK, &codec::encode(&70u64).unwrap());
                drop(peer);
                closed.send(()).unwrap();
            }
            // The ticket of the time before the restart means nothing any more.
            1 => assert_eq!(peer.welcome(0, UNKNOWN_APPLICATION).map(|ticket| ticket.id), Some(7)),
            _ => {
                assert_eq!(peer.welcome(8, Rv::OK), None);
                peer.serve();
            }
        }
    });
    let client = fake.client();
    assert_eq!(client.call(&OPEN), Ok(70));
    when_closed.recv().unwrap();
    assert_eq!(client.call(&OPEN), Ok(1));
    assert_eq!(client.pool.ticket().map(|ticket| ticket.id), Some(8));
}

#[test]
fn a_refusal_for_another_reason_keeps_the_application() {
    let _guard = without_forks();
    let fake = Fake::start(|mut peer| {
        let rv = if peer.index == 0 { Rv::OK } else { Rv::TOKEN_RESOURCE_EXCEEDED };
        peer.welcome(7, rv);
        peer.request();
    });
    let client = fake.client();
    assert_eq!(client.call(&OPEN), Err(Rv::DEVICE_ERROR));
    assert_eq!(client.call(&OPEN), Err(Rv::TOKEN_RESOURCE_EXCEEDED));
    assert_eq!(client.pool.ticket().map(|ticket| ticket.id), Some(7));
}

#[test]
fn threads_that_begin_together_are_one_application() {
    let _guard = without_forks();
    let applications = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&applications);
    let fake = Fake::start(move |mut peer| {
        if peer.welcome(7, Rv::OK).is_none() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        peer.serve();
    });
    let client = fake.client();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..50).for_each(|_| assert!(client.call(&OPEN).is_ok())));
        }
    });
    assert_eq!(applications.load(Ordering::SeqCst), 1);
    assert!(client.pool.counts().0 <= 16);
}

#[test]
fn data_over_the_limit_is_not_sent_and_harms_nothing() {
    let _guard = without_forks();
    let fake = Fake::start(|mut peer| {
        assert_eq!(peer.index, 0);
        peer.welcome(7, Rv::OK);
        peer.serve();
    });
    let client = fake.client();
    let part = Bytes::from(vec![0; MAX_FRAME_BYTES]);
    assert_eq!(client.call(&DigestUpdate { session: 1, part }), Err(Rv::DATA_LEN_RANGE));
    assert_eq!(client.call(&OPEN), Ok(1));
}

/// Digests 100,000 bytes.
fn feed_long(client: &Client) -> Result<()> {
    let mut data = vec![9u8; 100_000];
    #[allow(unsafe_code, reason = "long data")]
    // SAFETY: as many bytes as the vector has, which outlives it.
    let data = unsafe { In::new(data.as_mut_ptr(), 100_000) };
    client.feed(DigestUpdate { session: 1, part: Bytes::default() }, data)
}

#[test]
fn a_daemon_that_shares_no_memory_gets_long_data_in_frames() {
    let _guard = without_forks();
    // One that does not know of it, and one that refuses it or what came.
    for refusal in [Rv::FUNCTION_NOT_SUPPORTED, Rv::DEVICE_MEMORY, Rv::OK] {
        let fake = Fake::start(move |mut peer| {
            peer.welcome(7, Rv::OK);
            let (header, _) = peer.request().unwrap();
            assert_eq!(header.call, Share::NUMBER);
            peer.reply(header.sequence, refusal, &[]);
            if refusal == Rv::OK {
                let (header, _) = peer.request().unwrap();
                assert_eq!(header.call, Attach::NUMBER);
                peer.reply(header.sequence, Rv::ARGUMENTS_BAD, &[]);
            }
            // It is not asked again.
            while let Some((header, body)) = peer.request() {
                assert_eq!(header.call, DigestUpdate::NUMBER);
                let call: DigestUpdate = codec::decode(&body).unwrap();
                assert!(call.part.len() == 100_000 && call.part.iter().all(|byte| *byte == 9));
                peer.reply(header.sequence, Rv::OK, &[]);
            }
        });
        let client = fake.client();
        assert_eq!((feed_long(&client), feed_long(&client)), (Ok(()), Ok(())));
    }
}

#[test]
fn long_data_whose_daemon_goes_before_it_is_sent_goes_to_the_next() {
    let _guard = without_forks();
    let fake = Fake::start(|mut peer| {
        peer.welcome(7, Rv::OK);
        let (header, _) = peer.request().unwrap();
        assert_eq!(header.call, Share::NUMBER);
        if peer.index == 0 {
            let _ = peer.stream.shutdown(std::net::Shutdown::Both);
            return;
        }
        peer.reply(header.sequence, Rv::FUNCTION_NOT_SUPPORTED, &[]);
        let (header, _) = peer.request().unwrap();
        peer.reply(header.sequence, Rv::OK, &[]);
    });
    assert_eq!(feed_long(&fake.client()), Ok(()));
}

#[test]
fn the_longest_data_travels_and_its_room_is_given_back() {
    let _guard = without_forks();
    let fake = Fake::start(|mut peer| {
        peer.welcome(7, Rv::OK);
        let (header, body) = peer.request().unwrap();
        let call: DigestUpdate = codec::decode(&body).unwrap();
        let is_whole = call.part.len() == MAX_DATA_BYTES && call.part.iter().all(|byte| *byte == 9);
        peer.reply(header.sequence, if is_whole { Rv::OK } else { Rv::DATA_INVALID }, &[]);
        peer.serve();
    });
    let client = fake.client();
    let part = Bytes::from(vec![9; MAX_DATA_BYTES]);
    assert_eq!(client.call(&DigestUpdate { session: 1, part }), Ok(()));
    assert_eq!(client.call(&OPEN), Ok(2));
}

#[test]
fn closing_wakes_who_waits_and_ends_the_application() {
    let _guard = without_forks();
    let (started, when_started) = mpsc::channel();
    let (ended, when_ended): (_, Receiver<u16>) = mpsc::channel();
    let fake = Fake::start(move |mut peer| {
        peer.welcome(7, Rv::OK);
        while let Some((header, _)) = peer.request() {
            match header.call {
                WaitForSlotEvent::NUMBER => started.send(()).unwrap(),
                call => {
                    ended.send(call).unwrap();
                    peer.reply(header.sequence, Rv::OK, &[]);
                }
            }
        }
    });
    let client = fake.client();
    client.warm();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| client.wait(&WaitForSlotEvent { block: true }));
        when_started.recv().unwrap();
        client.close();
        assert_eq!(waiter.join().unwrap(), Err(Rv::CRYPTOKI_NOT_INITIALIZED));
    });
    assert_eq!(when_ended.recv().unwrap(), Finalize::NUMBER);
    assert_eq!(client.call(&OPEN), Err(Rv::CRYPTOKI_NOT_INITIALIZED));
    assert_eq!(client.pool.counts(), (0, 0));
}

#[test]
fn arguments_that_cannot_be_sent_end_the_operation() {
    let _guard = without_forks();
    let (seen, calls) = mpsc::channel();
    let fake = Fake::start(move |mut peer| {
        peer.welcome(7, Rv::OK);
        while let Some((header, body)) = peer.request() {
            assert_ne!(header.call, Sign::NUMBER);
            let cancel: SessionCancel = codec::decode(&body).unwrap();
            seen.send((header.call, cancel.session, cancel.flags)).unwrap();
            let rv = if cancel.session == 5 { Rv::OK } else { Rv::SESSION_HANDLE_INVALID };
            peer.reply(header.sequence, rv, &[]);
        }
    });
    let client = fake.client();
    let mut byte = 0u8;
    let mut sign = |session| {
        #[allow(unsafe_code, reason = "one byte to sign, and the NULL that is tested")]
        // SAFETY: `byte` is one byte long, and a NULL length is allowed.
        let (data, out) =
            unsafe { (In::new(&raw mut byte, 1), Out::new(&raw mut byte, std::ptr::null_mut())) };
        crate::abi::sign::sign(&client, session, data, out)
    };
    assert_eq!((sign(5), sign(6)), (Err(Rv::ARGUMENTS_BAD), Err(Rv::SESSION_HANDLE_INVALID)));
    let flags = claviger_protocol::flags::mechanism::SIGN;
    assert_eq!(calls.recv().unwrap(), (SessionCancel::NUMBER, 5, flags));
    assert_eq!(calls.recv().unwrap(), (SessionCancel::NUMBER, 6, flags));
}

/// Runs `child` in a forked process, and `meanwhile` in this one; gives the child's exit status, 0 for true.
#[allow(unsafe_code, reason = "fork")]
fn in_child(child: impl FnOnce() -> bool, meanwhile: impl FnOnce()) -> i32 {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    // SAFETY: the child runs our own code and std's on top of malloc, which glibc keeps usable, then leaves.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            meanwhile();
            match waitpid(child, None).unwrap() {
                WaitStatus::Exited(_, status) => status,
                other => panic!("{other:?}"),
            }
        }
        ForkResult::Child => {
            let status = if child() { 0 } else { 1 };
            // SAFETY: leaves at once; nothing of the test harness runs twice.
            unsafe { libc::_exit(status) }
        }
    }
}

fn leaked_library() -> &'static Library {
    Box::leak(Box::new(Library::new()))
}

#[test]
fn a_forked_child_begins_with_nothing_and_leaves_the_parent_s_connection_alone() {
    let _guard = with_forks();
    let fake = Fake::start(|mut peer| {
        peer.welcome(7, Rv::OK);
        peer.serve();
    });
    let library = leaked_library();
    library.initialize_at(fake.address.clone(), false).unwrap();
    assert_eq!(library.client().unwrap().call(&OPEN), Ok(1));
    // Held in the parent: a child that waited for one of them would wait for ever.
    let client = library.client().unwrap();
    let held = client.pool.hold();
    let child = || {
        library.client().err() == Some(Rv::CRYPTOKI_NOT_INITIALIZED)
            && library.finalize() == Err(Rv::CRYPTOKI_NOT_INITIALIZED)
            && library.initialize_at(fake.address.clone(), false).is_ok()
            && library.client().is_ok_and(|client| client.call(&OPEN) == Ok(1))
            && library.finalize().is_ok()
    };
    assert_eq!(in_child(child, || ()), 0);
    drop(held);
    assert_eq!(library.client().unwrap().call(&OPEN), Ok(2), "the parent goes on where it was");
}

#[test]
fn a_child_s_copies_of_sockets_are_closed() {
    let _guard = with_forks();
    use nix::unistd::{pipe, read, write};
    let (ended, when_ended) = mpsc::channel();
    let fake = Fake::start(move |mut peer| {
        peer.welcome(7, Rv::OK);
        peer.serve();
        ended.send(()).unwrap();
    });
    let library = leaked_library();
    library.initialize_at(fake.address.clone(), false).unwrap();
    let (started, done) = (pipe().unwrap(), pipe().unwrap());
    let status = in_child(
        || {
            let begins_with_nothing = library.client().is_err();
            // Lives on until the daemon has noticed that the parent is gone.
            begins_with_nothing && write(&started.1, b"x") == Ok(1) && read(&done.0, &mut [0]) == Ok(1)
        },
        || {
            assert_eq!(read(&started.0, &mut [0]), Ok(1));
            library.finalize().unwrap();
            let noticed = when_ended.recv_timeout(Duration::from_secs(5));
            assert_eq!(write(&done.1, b"x"), Ok(1));
            assert_eq!(noticed, Ok(()));
        },
    );
    assert_eq!(status, 0);
}

#[test]
fn a_daemon_that_is_gone_is_no_signal() {
    let _guard = with_forks();
    let fake = Fake::start(|mut peer| drop(peer.welcome(7, Rv::OK)));
    let status = in_child(
        || {
            #[allow(unsafe_code, reason = "Rust's test harness ignores SIGPIPE; an application may not")]
            // SAFETY: a signal number and its default disposition.
            unsafe {
                libc::signal(libc::SIGPIPE, libc::SIG_DFL)
            };
            let client = fake.client();
            client.warm();
            // Give the daemon time to close, so that it is the write that finds out.
            thread::sleep(Duration::from_millis(100));
            matches!(client.call(&OPEN), Err(Rv::DEVICE_REMOVED | Rv::DEVICE_ERROR))
        },
        || (),
    );
    assert_eq!(status, 0);
}

#[test]
fn a_tolerant_child_goes_on_as_a_new_application() {
    let _guard = with_forks();
    let hellos = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&hellos);
    let fake = Fake::start(move |mut peer| {
        assert_eq!(peer.welcome(7, Rv::OK), None);
        counter.fetch_add(1, Ordering::SeqCst);
        peer.serve();
    });
    let library = leaked_library();
    library.initialize_at(fake.address.clone(), true).unwrap();
    let child = || library.client().is_ok_and(|client| client.call(&OPEN) == Ok(1));
    assert_eq!(in_child(child, || ()), 0);
    assert_eq!(library.client().unwrap().call(&OPEN), Ok(1));
    assert_eq!(hellos.load(Ordering::SeqCst), 2);
}

#[test]
fn initialising_twice_and_finalising_twice_are_told() {
    let _guard = without_forks();
    let library = leaked_library();
    assert_eq!(library.finalize(), Err(Rv::CRYPTOKI_NOT_INITIALIZED));
    library.initialize_at(Address { given: Some("/nowhere".into()), runtime_dir: None }, false).unwrap();
    let again = library.initialize_at(Address::default(), false);
    assert_eq!(again, Err(Rv::CRYPTOKI_ALREADY_INITIALIZED));
    assert_eq!(library.finalize(), Ok(()));
    assert_eq!(library.finalize(), Err(Rv::CRYPTOKI_NOT_INITIALIZED));
}

#[test]
fn of_two_resume_tickets_the_later_one_stays_in_whatever_order_they_come() {
    let client = Fake::start(|peer| peer.serve()).client();
    let numbered = |number: u64, ticket: &[u8]| [&number.to_le_bytes()[..], ticket].concat().into();
    let kept = || lock(&client.resumption).ticket.as_ref().map(|ticket| ticket.to_vec());
    client.keep_ticket(numbered(2, b"two"));
    client.keep_ticket(numbered(1, b"one"));
    assert_eq!(kept(), Some(b"two".to_vec()));
    client.keep_ticket(numbered(3, b""));
    assert_eq!(kept(), None, "with so many sessions there is none");
    client.keep_ticket(numbered(4, b"four"));
    assert_eq!(kept(), Some(b"four".to_vec()));
    client.keep_ticket(Bytes::default());
    assert_eq!(kept(), None, "the daemon did not say");
    client.keep_ticket(numbered(4, b"four"));
    assert_eq!(kept(), None, "what was before");
    client.keep_ticket(numbered(5, b"five"));
    assert_eq!(kept(), Some(b"five".to_vec()));
}
