//! Long data: by memory that a connection shares, or through the socket where there is none. Both give the same, and
//! a client that shares what it should not, or changes it meanwhile, harms itself alone.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claviger_conformance::memory::{Memory, SIZE_SEALS};
use claviger_conformance::prelude::*;
use claviger_conformance::process;
use claviger_conformance::wire::Wire;
use claviger_protocol::call::{Attach, Call, Decrypt, DecryptInit, Encrypt, EncryptInit, GetSlotList, Share};
use claviger_protocol::call::{CreateObject, Login, OpenSession, Output as Answer};
use claviger_protocol::flags::{session, user};
use claviger_protocol::frame::{IN_MEMORY, MAX_SHARED_BYTES};
use claviger_protocol::params::{Mechanism as WireMechanism, Params};
use claviger_protocol::template::{Attribute as WireAttribute, Value};
use claviger_protocol::{Bytes, codec};
use nix::fcntl::SealFlag;

const RW: u64 = session::RW_SESSION | session::SERIAL_SESSION;
const KEY: [u8; 32] = [0x6b; 32];
const IV: [u8; 16] = [9; 16];
/// How long the daemon may take to give back what a client left; generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(60);

fn daemon_with(settings: &str) -> Daemon {
    let daemon = Daemon::prepare();
    std::fs::create_dir(daemon.directory()).unwrap();
    std::fs::write(daemon.directory().join("clavigerd.toml"), settings).unwrap();
    daemon.restart();
    daemon
}

/// An application with the keys that the operations below use.
struct User {
    app: Application,
    session: u64,
    aes: u64,
    hmac: u64,
    rsa: (u64, u64),
}

impl User {
    fn of(daemon: &Daemon) -> User {
        let ring = Ring::create(daemon, &["--profile", "legacy"]);
        let app = Application::on(daemon);
        let session = app.login(&ring);
        let aes = app.known(session, KeyType::AES, &KEY, &[A::ENCRYPT, A::DECRYPT]);
        let hmac = app.known(session, KeyType::GENERIC_SECRET, &KEY, &[A::SIGN, A::VERIFY]);
        let rsa = app.rsa(session, 2048, &[]).unwrap();
        User { app, session, aes, hmac, rsa }
    }

    fn key(&self, mechanism: &Mechanism, operation: Operation) -> u64 {
        match mechanism.r#type {
            M::SHA256_HMAC => self.hmac,
            M::SHA256_RSA_PKCS if operation == Operation::Sign => self.rsa.1,
            M::SHA256_RSA_PKCS => self.rsa.0,
            M::SHA256 => 0,
            _ => self.aes,
        }
    }

    fn begin(&self, operation: Operation, mechanism: &Mechanism) {
        let key = self.key(mechanism, operation);
        self.app.raw.start(operation, self.session, Some(mechanism), key).unwrap();
    }

    /// Everything that an application can see of a cipher at work on this data.
    fn cipher(&self, mechanism: &Mechanism, data: &[u8]) -> Vec<(Rv, u64, Vec<u8>)> {
        let (raw, session) = (&self.app.raw, self.session);
        let mut seen = Vec::new();
        let mut see = |output: Output| {
            seen.push((output.rv, output.length, output.data.clone()));
            output
        };
        self.begin(Operation::Encrypt, mechanism);
        see(raw.one_shot(Operation::Encrypt, session, data, Room::Query));
        let small = see(raw.one_shot(Operation::Encrypt, session, data, Room::Bytes(data.len() - 1)));
        assert_eq!(small.rv, Rv::BUFFER_TOO_SMALL, "{mechanism:?}");
        let whole = see(raw.one_shot(Operation::Encrypt, session, data, Room::Bytes(data.len() + 64)));
        let sealed = whole.unwrap();
        let mut buffer = data.to_vec();
        buffer.resize(data.len() + 64, 0);
        self.begin(Operation::Encrypt, mechanism);
        let in_place = see(raw.in_place(Operation::Encrypt, session, buffer, data.len()));
        assert!(in_place.data == sealed, "{mechanism:?} in place");

        self.begin(Operation::Decrypt, mechanism);
        see(raw.one_shot(Operation::Decrypt, session, &sealed, Room::Query));
        see(raw.one_shot(Operation::Decrypt, session, &sealed, Room::Bytes(data.len() - 1)));
        let opened = see(raw.one_shot(Operation::Decrypt, session, &sealed, Room::Bytes(data.len())));
        assert!(opened.data == data, "{mechanism:?}: {}", opened.rv);
        self.begin(Operation::Decrypt, mechanism);
        let opened = see(raw.in_place(Operation::Decrypt, session, sealed.clone(), sealed.len()));
        assert!(opened.data == data, "{mechanism:?} in place: {}", opened.rv);

        let mut wrong = sealed.clone();
        *wrong.last_mut().unwrap() ^= 0x80;
        self.begin(Operation::Decrypt, mechanism);
        let room = Room::Bytes(data.len() + 64);
        if see(raw.one_shot(Operation::Decrypt, session, &wrong, room)).rv != Rv::OK {
            let after = raw.one_shot(Operation::Decrypt, session, &sealed, room);
            assert_eq!(after.rv, Rv::OPERATION_NOT_INITIALIZED, "an error ends the operation");
        }

        // In parts whose lengths fit no block, with one too small a buffer on the way.
        for (operation, input, output) in
            [(Operation::Encrypt, data, &sealed[..]), (Operation::Decrypt, &sealed[..], data)]
        {
            let mut parts = Vec::new();
            self.begin(operation, mechanism);
            for part in [&input[..7], &input[7..20_000], &input[20_000..]] {
                let mut given = see(raw.update(operation, session, part, Room::Bytes(1)));
                if given.rv == Rv::BUFFER_TOO_SMALL {
                    given = see(raw.update(operation, session, part, Room::Bytes(part.len() + 64)));
                }
                parts.extend(given.unwrap());
            }
            parts.extend(see(raw.finish(operation, session, Room::Bytes(data.len() + 64))).data);
            assert!(parts == output, "{mechanism:?} {operation:?} in parts");
        }
        seen
    }

    /// The same of a digest or a signature.
    fn digest(&self, operation: Operation, mechanism: &Mechanism, data: &[u8]) -> Vec<(Rv, u64, Vec<u8>)> {
        let (raw, session) = (&self.app.raw, self.session);
        self.begin(operation, mechanism);
        let small = raw.one_shot(operation, session, data, Room::Bytes(1));
        assert_eq!(small.rv, Rv::BUFFER_TOO_SMALL);
        let whole = raw.one_shot(operation, session, data, Room::Bytes(512)).unwrap();
        self.begin(operation, mechanism);
        for part in [&data[..7], &data[7..20_000], &data[20_000..]] {
            raw.feed(operation, session, part).unwrap();
        }
        let parts = raw.finish(operation, session, Room::Bytes(512)).unwrap();
        assert!(parts == whole, "{mechanism:?} in parts");
        if operation == Operation::Sign {
            let mut wrong = data.to_vec();
            wrong[data.len() - 1] ^= 1;
            for (data, expected) in [(data, Ok(())), (&wrong, Err(Rv::SIGNATURE_INVALID))] {
                self.begin(Operation::Verify, mechanism);
                assert_eq!(raw.verify(session, data, &whole), expected, "{mechanism:?}");
                self.begin(Operation::Verify, mechanism);
                raw.feed(Operation::Verify, session, &data[..16_384]).unwrap();
                raw.feed(Operation::Verify, session, &data[16_384..]).unwrap();
                assert_eq!(raw.verify_final(session, &whole), expected, "{mechanism:?} in parts");
            }
        }
        // PKCS #1 v1.5 has a key of its own on each side.
        let own_key = mechanism.r#type == M::SHA256_RSA_PKCS;
        vec![(small.rv, small.length, if own_key { Vec::new() } else { whole })]
    }

    fn all(&self, data: &[u8]) -> Vec<(Rv, u64, Vec<u8>)> {
        let even = &data[..data.len() / 16 * 16];
        [
            self.cipher(&Mechanism::gcm(&IV[..12], b"aad", 128), data),
            self.cipher(&Mechanism::ctr(128, IV), data),
            self.cipher(&Mechanism::bytes(M::AES_CBC_PAD, &IV), data),
            self.cipher(&Mechanism::bytes(M::AES_CBC_PAD, &IV), even),
            self.cipher(&Mechanism::bytes(M::AES_CBC, &IV), even),
            self.cipher(&M::AES_ECB.into(), even),
            self.digest(Operation::Digest, &M::SHA256.into(), data),
            self.digest(Operation::Sign, &M::SHA256_HMAC.into(), data),
            self.digest(Operation::Sign, &M::SHA256_RSA_PKCS.into(), data),
        ]
        .concat()
    }
}

fn shares(daemon: &Daemon) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", daemon.pid())).unwrap();
    maps.lines().filter(|line| line.contains("memfd:claviger ") || line.contains("memfd:forged")).count()
}

#[test]
fn long_data_gives_the_same_by_either_way() {
    let (sharing, refusing) = (daemon_with(""), daemon_with("[limits]\nshared_memory_per_uid = 0\n"));
    let (by_memory, by_socket) = (User::of(&sharing), User::of(&refusing));
    for size in [20_007, (64 << 10) + 16, (256 << 10) - 1, (1 << 20) + 5, 4 << 20, (4 << 20) + 100] {
        let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
        let (memory, socket) = (by_memory.all(&data), by_socket.all(&data));
        assert_eq!(memory.len(), socket.len());
        for (i, (memory, socket)) in memory.iter().zip(&socket).enumerate() {
            assert_eq!((memory.0, memory.1), (socket.0, socket.1), "answer {i} of {size} bytes");
            assert!(memory.2 == socket.2, "output {i} of {size} bytes");
        }
    }
    // That of the long data, and the mailbox that short requests travel by.
    assert_eq!((shares(&sharing), shares(&refusing)), (2, 0));
    assert!(process::maps_shared_memory());
    drop((by_memory, by_socket));
    assert!(!process::maps_shared_memory(), "it ends with its application");
}

#[test]
fn long_data_goes_on_after_a_restart_of_the_daemon() {
    let daemon = daemon_with("");
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    let session = app.login(&ring);
    let data = vec![3; 100_000];
    let digest = || {
        app.raw.start(Operation::Digest, session, Some(&M::SHA256.into()), 0).unwrap();
        app.raw.one_shot(Operation::Digest, session, &data, Room::Bytes(32)).unwrap()
    };
    let before = digest();
    for _ in 0..3 {
        assert_eq!(shares(&daemon), 1);
        daemon.kill();
        daemon.restart();
        assert_eq!(digest(), before);
    }
}

#[test]
fn threads_share_each_their_own() {
    let daemon = daemon_with("");
    let ring = Ring::create(&daemon, &[]);
    let app = Application::on(&daemon);
    app.login(&ring);
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (app, ring) = (&app, &ring);
            scope.spawn(move || {
                let session = app.open(ring);
                let key = app.known(session, KeyType::AES, &[thread; 32], &[A::ENCRYPT, A::DECRYPT]);
                let data = vec![thread; 300_000];
                let mechanism = Mechanism::gcm(&IV[..12], b"", 128);
                for _ in 0..20 {
                    app.raw.start(Operation::Encrypt, session, Some(&mechanism), key).unwrap();
                    let room = Room::Bytes(data.len() + 16);
                    let sealed = app.raw.one_shot(Operation::Encrypt, session, &data, room).unwrap();
                    app.raw.start(Operation::Decrypt, session, Some(&mechanism), key).unwrap();
                    let opened = app.raw.one_shot(Operation::Decrypt, session, &sealed, room).unwrap();
                    assert!(opened == data, "thread {thread}");
                }
            });
        }
    });
}

/// A client of its own making, with a key.
struct Forger {
    wire: Wire,
    session: u64,
    key: u64,
}

impl Forger {
    fn new(daemon: &Daemon) -> Forger {
        let ring = Ring::create(daemon, &[]);
        let slot = Application::on(daemon).slot(&ring);
        let (mut wire, _) = Wire::greet(&daemon.pkcs11_socket(), None);
        let session = wire.call(&OpenSession { slot, flags: RW }).unwrap();
        let pin = Some(Bytes::from(ring.user_pin.as_bytes()));
        wire.call(&Login { session, user_type: user::USER, pin }).unwrap();
        let attribute = |r#type, value| WireAttribute { r#type, value };
        let template = vec![
            attribute(A::CLASS, Value::Ulong(ObjectClass::SECRET_KEY.0)),
            attribute(A::KEY_TYPE, Value::Ulong(KeyType::AES.0)),
            attribute(A::VALUE, Value::Bytes(Bytes::from(&KEY))),
            attribute(A::ENCRYPT, Value::Bool(true)),
            attribute(A::DECRYPT, Value::Bool(true)),
        ];
        let key = wire.call(&CreateObject { session, template }).unwrap();
        Forger { wire, session, key }
    }

    fn share(&mut self, bytes: usize) -> Rv {
        self.wire.call(&Share { bytes: bytes as u64 }).err().unwrap_or(Rv::OK)
    }

    fn attach(&mut self, files: &[BorrowedFd]) -> Rv {
        self.wire.request_with(Attach::NUMBER, &[], files).expect("an answer").0
    }

    fn gcm(&self) -> Option<WireMechanism> {
        let params = Params::Gcm { iv: Bytes::from(&[1; 12]), aad: Bytes::default(), tag_bits: 128 };
        Some(WireMechanism { r#type: M::AES_GCM, params })
    }

    fn in_memory<C: Call>(&mut self, length: u64, call: &C) -> (Rv, Vec<u8>) {
        let body = [&length.to_le_bytes()[..], &codec::encode(call).unwrap()].concat();
        self.wire.request(C::NUMBER | IN_MEMORY, &body).expect("an answer")
    }

    fn encrypt(&mut self, length: u64) -> (Rv, Vec<u8>) {
        let (session, mechanism, key) = (self.session, self.gcm(), self.key);
        self.wire.call(&EncryptInit { session, mechanism, key }).unwrap();
        let answer =
            self.in_memory(length, &Encrypt { session, data: Bytes::default(), room: Some(1 << 30) });
        let _ = self.wire.call(&EncryptInit { session, mechanism: None, key });
        answer
    }

    fn decrypt(&mut self, length: u64) -> (Rv, Vec<u8>) {
        let (session, mechanism, key) = (self.session, self.gcm(), self.key);
        self.wire.call(&DecryptInit { session, mechanism, key }).unwrap();
        let encrypted_data = Bytes::default();
        self.in_memory(length, &Decrypt { session, encrypted_data, room: Some(1 << 30) })
    }

    fn is_served(&mut self) -> bool {
        self.wire.call(&GetSlotList { token_present: true }).is_ok()
    }
}

/// Tells a thread to stop, however its test ends.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn descriptors(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

const PAGE: usize = 4096;

#[test]
fn only_sealed_memory_of_the_right_size_is_shared() {
    let daemon = daemon_with("");
    let mut forger = Forger::new(&daemon);
    let before = descriptors(&daemon);
    let sealed = |length| Memory::new(length, SIZE_SEALS).into_file();
    let file = || -> OwnedFd { tempfile::tempfile().unwrap().into() };
    let long_file = file();
    File::from(long_file.try_clone().unwrap()).set_len(16 * PAGE as u64).unwrap();
    let (pipe, other_end) = nix::unistd::pipe().unwrap();
    let socket: OwnedFd = std::os::unix::net::UnixStream::pair().unwrap().0.into();
    let read_only: OwnedFd = {
        let memory = sealed(16 * PAGE);
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory));
        File::open(path).unwrap().into()
    };
    let wrong: Vec<(&str, OwnedFd)> = vec![
        ("unsealed", Memory::new(16 * PAGE, SealFlag::empty()).into_file()),
        ("may shrink", Memory::new(16 * PAGE, SealFlag::F_SEAL_GROW).into_file()),
        ("may grow", Memory::new(16 * PAGE, SealFlag::F_SEAL_SHRINK).into_file()),
        ("too short", sealed(15 * PAGE)),
        ("too long", sealed(17 * PAGE)),
        ("closed to seals", Memory::new(16 * PAGE, SIZE_SEALS | SealFlag::F_SEAL_SEAL).into_file()),
        ("not to be written", read_only),
        ("a file", long_file),
        ("an empty file", file()),
        ("a pipe", pipe),
        ("its other end", other_end),
        ("a socket", socket),
        ("a directory", File::open("/").unwrap().into()),
        ("a device", File::open("/dev/zero").unwrap().into()),
    ];
    for (what, file) in &wrong {
        assert_eq!(forger.share(16 * PAGE), Rv::OK, "{what}");
        assert_eq!(forger.attach(&[file.as_fd()]), Rv::ARGUMENTS_BAD, "{what}");
        assert_eq!(forger.encrypt(16).0, Rv::ARGUMENTS_BAD, "{what}");
    }
    let good = sealed(16 * PAGE);
    // Not asked, none, too many, too late.
    assert_eq!(forger.attach(&[good.as_fd()]), Rv::ARGUMENTS_BAD);
    assert_eq!((forger.share(16 * PAGE), forger.attach(&[])), (Rv::OK, Rv::ARGUMENTS_BAD));
    for count in [2, 3, 253] {
        let many = vec![good.as_fd(); count];
        assert_eq!((forger.share(16 * PAGE), forger.attach(&many)), (Rv::OK, Rv::ARGUMENTS_BAD), "{count}");
    }
    assert_eq!(forger.share(16 * PAGE), Rv::OK);
    assert!(forger.is_served());
    assert_eq!(forger.attach(&[good.as_fd()]), Rv::ARGUMENTS_BAD);
    for size in [0, 1, PAGE - 1, PAGE + 1, MAX_SHARED_BYTES + PAGE, 1 << 40] {
        assert_eq!(forger.share(size), Rv::ARGUMENTS_BAD, "{size} bytes");
    }
    // Nothing of all that stays open, and what is right is taken.
    let end = Instant::now() + PATIENCE;
    while descriptors(&daemon) > before {
        assert!(Instant::now() < end, "{} descriptors, {before} before", descriptors(&daemon));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((forger.share(16 * PAGE), forger.attach(&[good.as_fd()])), (Rv::OK, Rv::OK));
    assert_eq!((descriptors(&daemon), shares(&daemon)), (before, 1));
    // From then on nobody can take a page away.
    let hole =
        nix::fcntl::FallocateFlags::FALLOC_FL_PUNCH_HOLE | nix::fcntl::FallocateFlags::FALLOC_FL_KEEP_SIZE;
    assert_eq!(nix::fcntl::fallocate(&good, hole, 0, PAGE as i64), Err(nix::Error::EPERM));
    assert!(nix::unistd::ftruncate(&good, 0).is_err());
}

#[test]
fn lengths_that_are_not_there_are_refused() {
    let daemon = daemon_with("");
    let mut forger = Forger::new(&daemon);
    let memory = Memory::new(16 * PAGE, SIZE_SEALS);
    assert_eq!((forger.share(16 * PAGE), forger.attach(&[memory.file.as_fd()])), (Rv::OK, Rv::OK));
    for length in [16 * PAGE as u64 + 1, 1 << 32, u64::MAX, u64::MAX / 2 + 1] {
        assert_eq!(forger.encrypt(length).0, Rv::ARGUMENTS_BAD, "{length}");
    }
    // Output that has no room behind its input.
    memory.write(&[7; 16 * PAGE]);
    assert_eq!(forger.encrypt(16 * PAGE as u64).0, Rv::ARGUMENTS_BAD);
    assert!(memory.read(16 * PAGE) == [0; 16 * PAGE], "of a call that fails nothing is left");
    // Calls without such data, and none at all.
    for call in [GetSlotList::NUMBER, Share::NUMBER, Attach::NUMBER, 0, 0x7fff] {
        let answer = forger.wire.request(call | IN_MEMORY, &[&16u64.to_le_bytes()[..], &[0; 32]].concat());
        assert_eq!(answer.map(|(rv, _)| rv), Some(Rv::ARGUMENTS_BAD), "{call}");
    }
    for body in [&[][..], &[1], &[0; 7], &[0; 8], &[0xff; 64]] {
        let answer = forger.wire.request(Encrypt::NUMBER | IN_MEMORY, body);
        assert_eq!(answer.map(|(rv, _)| rv), Some(Rv::ARGUMENTS_BAD));
    }
    // No data is data too.
    let (rv, body) = forger.encrypt(0);
    assert_eq!((rv, codec::decode::<Answer>(&body)), (Rv::OK, Ok(Answer::Placed(16))));
    memory.write(&[7; 16 * PAGE]);
    let (rv, body) = forger.encrypt(16 * PAGE as u64 - 16);
    assert_eq!((rv, codec::decode::<Answer>(&body)), (Rv::OK, Ok(Answer::Placed(16 * PAGE as u64))));
    assert!(forger.is_served());
}

#[test]
fn plaintext_that_is_not_authentic_is_never_shown() {
    let daemon = daemon_with("");
    let mut forger = Forger::new(&daemon);
    let memory = Memory::new(64 * PAGE, SIZE_SEALS);
    assert_eq!((forger.share(64 * PAGE), forger.attach(&[memory.file.as_fd()])), (Rv::OK, Rv::OK));
    let (data, length) = (vec![0x5a; 60 * PAGE], 60 * PAGE + 16);
    memory.write(&data);
    assert_eq!(forger.encrypt(data.len() as u64).0, Rv::OK);
    let sealed = memory.read(length);
    assert_eq!(forger.decrypt(length as u64).0, Rv::OK);
    assert!(memory.read(data.len()) == data);
    let mut wrong = sealed.clone();
    wrong[length - 1] ^= 1;
    memory.write(&wrong);
    let watching = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let end = AtEnd(&watching);
        let watcher = scope.spawn(|| {
            let mut shown = false;
            while watching.load(Ordering::Relaxed) {
                shown |= memory.read(length).chunks(64).any(|bytes| bytes.iter().all(|byte| *byte == 0x5a));
            }
            shown
        });
        for _ in 0..20 {
            memory.write(&wrong);
            assert_eq!(forger.decrypt(length as u64).0, Rv::ENCRYPTED_DATA_INVALID);
        }
        drop(end);
        assert!(!watcher.join().unwrap(), "plaintext was in the memory before its tag was checked");
    });
    assert!(memory.read(length).iter().all(|byte| *byte == 0));
}

#[test]
fn memory_that_changes_meanwhile_harms_its_client_alone() {
    let daemon = daemon_with("");
    let mut forger = Forger::new(&daemon);
    let memory = Memory::new(64 * PAGE, SIZE_SEALS);
    assert_eq!((forger.share(64 * PAGE), forger.attach(&[memory.file.as_fd()])), (Rv::OK, Rv::OK));
    let length = 60 * PAGE;
    let changing = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let _end = AtEnd(&changing);
        scope.spawn(|| {
            for i in 0u64.. {
                if !changing.load(Ordering::Relaxed) {
                    break;
                }
                memory.write(&vec![i as u8; length]);
            }
        });
        for _ in 0..50 {
            let (rv, body) = forger.encrypt(length as u64);
            assert_eq!(rv, Rv::OK);
            assert_eq!(codec::decode::<Answer>(&body), Ok(Answer::Placed(length as u64 + 16)));
            // Authentic when it was left alone for so long.
            let (rv, _) = forger.decrypt(length as u64 + 16);
            assert!([Rv::OK, Rv::ENCRYPTED_DATA_INVALID].contains(&rv), "{rv}");
        }
    });
    // Nothing of it has reached the key or the next operation.
    memory.write(&vec![1; length]);
    assert_eq!(forger.encrypt(length as u64).0, Rv::OK);
    assert_eq!(forger.decrypt(length as u64 + 16).0, Rv::OK);
    assert!(memory.read(length) == vec![1; length]);
    assert!(daemon.runs());
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let daemon = daemon_with("");
    let (mut wire, _) = Wire::greet(&daemon.pkcs11_socket(), None);
    let before = descriptors(&daemon);
    let (end, other_end) = nix::unistd::pipe().unwrap();
    let many = vec![other_end.as_fd(); 253];
    let body = codec::encode(&GetSlotList { token_present: true }).unwrap();
    for files in [&many[..1], &many[..]] {
        assert_eq!(wire.request_with(GetSlotList::NUMBER, &body, files).unwrap().0, Rv::OK);
    }
    assert_eq!(descriptors(&daemon), before);
    drop(many);
    drop(other_end);
    // Nobody has the end that is written to any more.
    assert_eq!(nix::unistd::read(&end, &mut [0]), Ok(0));
}

#[test]
fn a_user_shares_so_much_and_all_of_it_comes_back() {
    /// Connections, each with memory of its own.
    const CLIENTS: usize = 1000;
    const SIZE: usize = 16 * PAGE;
    let limit = (CLIENTS / 2 * SIZE) as u64;
    let daemon = daemon_with(&format!(
        "max_connections = 1100\nmax_connections_per_uid = 1100\n[limits]\nshared_memory_per_uid = {limit}\n"
    ));
    let resident = |field: &str| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let before = (descriptors(&daemon), shares(&daemon), resident("RssShmem:"));
    process::raise_descriptor_limit();
    for round in 0..2 {
        let mut clients = Vec::new();
        let mut granted = 0;
        for _ in 0..CLIENTS {
            let (mut wire, _) = Wire::greet(&daemon.pkcs11_socket(), None);
            match wire.call(&Share { bytes: SIZE as u64 }) {
                Ok(()) => {
                    let memory = Memory::new(SIZE, SIZE_SEALS);
                    let answer = wire.request_with(Attach::NUMBER, &[], &[memory.file.as_fd()]);
                    assert_eq!(answer.unwrap().0, Rv::OK);
                    granted += 1;
                }
                Err(rv) => assert_eq!(rv, Rv::DEVICE_MEMORY),
            }
            clients.push(wire);
        }
        assert_eq!((granted, shares(&daemon)), (CLIENTS / 2, CLIENTS / 2), "round {round}");
        // Who asks again gives up what it had.
        assert_eq!(clients[0].call(&Share { bytes: SIZE as u64 }), Ok(()));
        assert_eq!(shares(&daemon), CLIENTS / 2 - 1);
        drop(clients);
        let end = Instant::now() + PATIENCE;
        while descriptors(&daemon) > before.0
            || shares(&daemon) > before.1
            || resident("RssShmem:") > before.2
        {
            assert!(
                Instant::now() < end,
                "{} descriptors, {} mappings",
                descriptors(&daemon),
                shares(&daemon)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
