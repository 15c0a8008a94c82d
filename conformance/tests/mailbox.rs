//! The mailbox of a connection, from the side of a client of our own making: what travels by it and what by the socket,
//! and that a client which makes nonsense of it, or goes away with it, harms itself alone.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claviger_conformance::memory::{Memory, SIZE_SEALS};
use claviger_conformance::prelude::*;
use claviger_conformance::wire::Wire;
use claviger_protocol::call::{
    AttachMailbox, Call, GenerateRandom, GetSlotList, OpenSession, SeedRandom, Share,
};
use claviger_protocol::flags::session;
use claviger_protocol::frame::{REPLY_HEADER_BYTES, ReplyHeader};
use claviger_protocol::mailbox::{
    Board, MAILBOX_BYTES, Mailbox, Next, Posted, SLOT_BYTES, Slot, Word, Yielding,
};
use claviger_protocol::{Bytes, codec};
use nix::fcntl::SealFlag;

/// How long the daemon may take for what it does by itself; generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(60);
/// A moment of the client's patience.
const MOMENT: Duration = Duration::from_millis(50);

/// How it is with the slot of the request, as `claviger_protocol::mailbox` numbers it.
const ASLEEP: u32 = 1;
const FULL: u32 = 2;
const BY_SOCKET: u32 = 3;
const AT_SOCKET: u32 = 5;

/// A client with a mailbox.
struct Client {
    wire: Wire,
    mailbox: Mailbox<Memory>,
    session: u64,
}

impl Client {
    fn new(daemon: &Daemon) -> Client {
        let (mut wire, _) = Wire::greet(&daemon.pkcs11_socket(), None);
        let slots = wire.call(&GetSlotList { token_present: false }).unwrap();
        let flags = session::RW_SESSION | session::SERIAL_SESSION;
        let session = slots.into_iter().find_map(|slot| wire.call(&OpenSession { slot, flags }).ok());
        let memory = Memory::new(MAILBOX_BYTES, SIZE_SEALS);
        assert_eq!(attach(&mut wire, &memory, MAILBOX_BYTES), Rv::OK);
        Client { wire, mailbox: Mailbox::new(memory), session: session.expect("a token") }
    }

    fn memory(&self) -> &Memory {
        self.mailbox.board()
    }

    /// Changes the word of the request and wakes who sleeps. False when the daemon was at the socket.
    fn say(&self, state: u32) -> bool {
        let word = self.memory().word(Slot::Request);
        let said = word.set(state);
        word.wake();
        said != AT_SOCKET
    }

    fn says(&self) -> u32 {
        self.memory().word(Slot::Request).get()
    }

    /// Waits until the slot of the request is like this.
    fn wait_until(&self, state: u32) {
        let end = Instant::now() + PATIENCE;
        while self.says() != state {
            assert!(Instant::now() < end, "the slot is {}, not {state}", self.says());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a call by the mailbox, and gives its reply and whether that came by the mailbox too. None when the daemon hangs
    /// up.
    fn ask<C: Call>(&mut self, call: &C) -> Option<(Rv, Vec<u8>, bool)> {
        let request = self.wire.next_request(C::NUMBER, &codec::encode(call).unwrap());
        if self.mailbox.post(&request) != Posted::Yes {
            // It has gone to the socket, and a call there brings it back.
            assert_eq!(self.wire.request(0, &[]).unwrap().0, Rv::FUNCTION_NOT_SUPPORTED);
            return self.ask(call);
        }
        let end = Instant::now() + PATIENCE;
        let mut reply = Vec::new();
        let by_mailbox = loop {
            match self.mailbox.collect(&mut reply, &mut Yielding::default(), MOMENT) {
                Next::Frame => break true,
                Next::Socket => break false,
                Next::Nothing if self.wire.has_ended() => return None,
                Next::Nothing => assert!(Instant::now() < end, "no answer"),
                Next::Nonsense => panic!("nonsense from the daemon"),
            }
        };
        if !by_mailbox {
            reply = self.wire.receive()?;
        }
        let header: ReplyHeader = codec::decode(&reply[..REPLY_HEADER_BYTES]).unwrap();
        Some((header.rv, reply[REPLY_HEADER_BYTES..].to_vec(), by_mailbox))
    }
}

fn attach(wire: &mut Wire, memory: &Memory, size: usize) -> Rv {
    wire.call(&Share { bytes: size as u64 }).unwrap();
    wire.request_with(AttachMailbox::NUMBER, &[], &[memory.file.as_fd()]).expect("an answer").0
}

fn threads(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count()
}

fn wait_for_threads(daemon: &Daemon, at_most: usize) {
    let end = Instant::now() + PATIENCE;
    while threads(daemon) > at_most {
        assert!(Instant::now() < end, "{} threads, {at_most} before", threads(daemon));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn daemon() -> Daemon {
    let daemon = Daemon::start();
    Ring::create(&daemon, &[]);
    daemon
}

#[test]
fn requests_and_replies_go_the_way_that_fits_them() {
    let daemon = daemon();
    let mut client = Client::new(&daemon);
    let session = client.session;
    // The longest reply that fits is of this many random bytes.
    let head = REPLY_HEADER_BYTES + codec::encode(&Bytes::from(vec![0; 2000])).unwrap().len() - 2000;
    for length in [0, 1, 32, 2000, SLOT_BYTES - head] {
        let (rv, body, by_mailbox) = client.ask(&GenerateRandom { session, length: length as u64 }).unwrap();
        let bytes: Bytes = codec::decode(&body).unwrap();
        assert_eq!((rv, bytes.len(), by_mailbox), (Rv::OK, length, true));
    }
    for length in [SLOT_BYTES - head + 1, 100_000] {
        let (rv, body, by_mailbox) = client.ask(&GenerateRandom { session, length: length as u64 }).unwrap();
        let bytes: Bytes = codec::decode(&body).unwrap();
        assert_eq!((rv, bytes.len(), by_mailbox), (Rv::OK, length, false));
        assert!(!bytes.iter().all(|byte| *byte == 0));
    }
    // A request by the socket is answered there, from wherever the daemon waits.
    for pause in [Duration::ZERO, Duration::from_millis(100)] {
        std::thread::sleep(pause);
        assert!(client.mailbox.knock());
        let long = client.wire.call(&GenerateRandom { session, length: 10 });
        assert_eq!(long.unwrap().len(), 10);
        assert_eq!(client.ask(&GenerateRandom { session, length: 10 }).unwrap().0, Rv::OK);
    }
    let (rv, body, by_mailbox) =
        client.ask(&SeedRandom { session: session + 1, seed: Bytes::default() }).unwrap();
    assert_eq!((rv, body.len(), by_mailbox), (Rv::SESSION_HANDLE_INVALID, 0, true));
}

#[test]
fn nothing_stays_in_the_slots_and_a_client_that_is_silent_is_waited_for_at_the_socket() {
    let daemon = daemon();
    let mut client = Client::new(&daemon);
    let session = client.session;
    let seed = Bytes::from(vec![0xa5; 1000]);
    assert_eq!(client.ask(&SeedRandom { session, seed }).unwrap().0, Rv::OK);
    assert_eq!(client.ask(&GenerateRandom { session, length: 1000 }).unwrap().0, Rv::OK);
    client.wait_until(AT_SOCKET);
    let memory = client.memory().read(MAILBOX_BYTES);
    for slot in memory.chunks(Slot::Reply.offset()) {
        assert!(slot[64..].iter().all(|byte| *byte == 0), "something of a frame is left");
    }
}

#[test]
fn only_one_mailbox_of_the_right_size_is_taken() {
    let daemon = daemon();
    let (mut wire, _) = Wire::greet(&daemon.pkcs11_socket(), None);
    let sealed = |size| Memory::new(size, SIZE_SEALS);
    assert_eq!(attach(&mut wire, &sealed(MAILBOX_BYTES / 2), MAILBOX_BYTES / 2), Rv::ARGUMENTS_BAD);
    assert_eq!(attach(&mut wire, &sealed(MAILBOX_BYTES * 2), MAILBOX_BYTES * 2), Rv::ARGUMENTS_BAD);
    assert_eq!(attach(&mut wire, &sealed(MAILBOX_BYTES * 2), MAILBOX_BYTES), Rv::ARGUMENTS_BAD);
    assert_eq!(
        attach(&mut wire, &Memory::new(MAILBOX_BYTES, SealFlag::empty()), MAILBOX_BYTES),
        Rv::ARGUMENTS_BAD
    );
    // Without leave, and with nothing.
    let unasked = wire.request_with(AttachMailbox::NUMBER, &[], &[sealed(MAILBOX_BYTES).file.as_fd()]);
    assert_eq!(unasked.unwrap().0, Rv::ARGUMENTS_BAD);
    assert_eq!(wire.call(&Share { bytes: MAILBOX_BYTES as u64 }), Ok(()));
    assert_eq!(wire.call(&AttachMailbox {}), Err(Rv::ARGUMENTS_BAD));
    let first = sealed(MAILBOX_BYTES);
    assert_eq!(attach(&mut wire, &first, MAILBOX_BYTES), Rv::OK);
    // From here on the daemon looks into the first.
    let first = Mailbox::new(first);
    assert!(first.knock());
    assert_eq!(wire.call(&Share { bytes: MAILBOX_BYTES as u64 }), Ok(()));
    assert!(first.knock());
    let second = wire.request_with(AttachMailbox::NUMBER, &[], &[sealed(MAILBOX_BYTES).file.as_fd()]);
    assert_eq!(second.unwrap().0, Rv::ARGUMENTS_BAD);
}

#[test]
fn nonsense_in_a_mailbox_ends_its_connection() {
    let daemon = daemon();
    let before = threads(&daemon);
    // Each says whether the daemon was still looking into the mailbox.
    type Forge = fn(&mut Client) -> bool;
    let nonsense: [(&str, Forge); 6] = [
        ("a state that there is not", |client| client.say(77)),
        ("a request longer than its slot", |client| {
            client.memory().write_at(4, &(SLOT_BYTES as u32 + 1).to_le_bytes());
            client.say(FULL)
        }),
        ("a request of four thousand million bytes", |client| {
            client.memory().write_at(4, &[0xff; 4]);
            client.say(FULL)
        }),
        ("a request without a header", |client| client.mailbox.post(&[1, 2, 3]) == Posted::Yes),
        ("nothing", |client| client.mailbox.post(&[]) == Posted::Yes),
        ("a request that came before", |client| {
            let again = [&1u64.to_le_bytes()[..], &GetSlotList::NUMBER.to_le_bytes(), &[1]].concat();
            client.mailbox.post(&again) == Posted::Yes
        }),
    ];
    for (what, forge) in nonsense {
        let mut client = loop {
            let mut client = Client::new(&daemon);
            client.ask(&GetSlotList { token_present: true }).unwrap();
            if forge(&mut client) {
                break client;
            }
        };
        assert!(client.wire.hung_up(), "{what}");
        drop(client);
        wait_for_threads(&daemon, before);
        assert!(Client::new(&daemon).ask(&GetSlotList { token_present: true }).is_some(), "{what}");
        wait_for_threads(&daemon, before);
    }
}

#[test]
fn a_client_that_goes_is_noticed_whatever_its_mailbox_says() {
    let daemon = daemon();
    let before = threads(&daemon);
    for state in 0..8 {
        let mut client = Client::new(&daemon);
        client.ask(&GetSlotList { token_present: true }).unwrap();
        let Client { wire, mailbox, .. } = client;
        // The memory stays mapped here, as by a child that the client has left behind.
        drop(wire);
        mailbox.board().word(Slot::Request).set(state);
        wait_for_threads(&daemon, before);
    }
}

#[test]
fn a_mailbox_that_changes_at_random_harms_its_client_alone() {
    let daemon = daemon();
    let before = threads(&daemon);
    let mut honest = Client::new(&daemon);
    for seed in 0..40 {
        let mut client = Client::new(&daemon);
        let scribbling = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let memory = client.mailbox.board();
            scope.spawn(|| {
                // SplitMix64.
                let mut state: u64 = seed;
                while scribbling.load(Ordering::Relaxed) {
                    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    let word = word ^ (word >> 27);
                    let slot = if word & 1 == 0 { Slot::Request } else { Slot::Reply };
                    memory.word(slot).set((word >> 8) as u32 % 8);
                    memory.word(slot).wake();
                    memory.write_at(slot.offset() + 4 + (word >> 16) as usize % 100, &word.to_le_bytes());
                }
            });
            // By the socket too, for as long as it is open.
            for _ in 0..20 {
                client.wire.send(&[1; 10]);
                std::thread::sleep(Duration::from_micros(500));
            }
            scribbling.store(false, Ordering::Relaxed);
        });
        drop(client);
        assert_eq!(honest.ask(&GetSlotList { token_present: true }).unwrap().0, Rv::OK);
    }
    drop(honest);
    wait_for_threads(&daemon, before);
    assert!(daemon.runs());
}

/// Sleeping is the daemon's own business: a client that says that it sleeps, or that it does not, delays itself alone.
#[test]
fn a_client_that_never_wakes_the_daemon_is_heard_at_the_socket() {
    let daemon = daemon();
    let mut client = Client::new(&daemon);
    client.wait_until(AT_SOCKET);
    client.memory().word(Slot::Request).set(ASLEEP);
    assert_eq!(client.wire.call(&GetSlotList { token_present: true }).map(|_| ()), Ok(()));
    client.memory().word(Slot::Request).set(BY_SOCKET);
    assert_eq!(client.wire.call(&GetSlotList { token_present: true }).map(|_| ()), Ok(()));
}
