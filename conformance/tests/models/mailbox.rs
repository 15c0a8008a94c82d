//! The mailbox between a client and the daemon.

use std::time::Duration;

use claviger_protocol::mailbox::{Board, MAILBOX_BYTES, Mailbox, Next, Posted, Slot, Word, Yielding};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A word as the system has it: with those who sleep on it.
struct Futex {
    word: AtomicU32,
    /// How often it was woken.
    wakes: Mutex<u32>,
    bell: Condvar,
    /// Sleep ends by itself, at once or as late as it likes.
    is_impatient: bool,
}

impl Futex {
    fn new(is_impatient: bool) -> Futex {
        Futex { word: AtomicU32::new(0), wakes: Mutex::new(0), bell: Condvar::new(), is_impatient }
    }
}

impl Word for Futex {
    fn get(&self) -> u32 {
        self.word.load(Ordering::Acquire)
    }

    fn set(&self, value: u32) -> u32 {
        self.word.swap(value, Ordering::AcqRel)
    }

    fn replace(&self, old: u32, new: u32) -> bool {
        self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// futex(2): looks at the word and begins to sleep in one step, as seen by who wakes.
    fn sleep(&self, value: u32, _patience: Duration) {
        if self.is_impatient {
            return thread::yield_now();
        }
        let mut wakes = self.wakes.lock().unwrap();
        let before = *wakes;
        while self.word.load(Ordering::Acquire) == value && *wakes == before {
            wakes = self.bell.wait(wakes).unwrap();
        }
    }

    fn wake(&self) {
        *self.wakes.lock().unwrap() += 1;
        self.bell.notify_all();
    }
}

/// The memory: loom finds two that touch a slot's frame at the same time.
struct Memory {
    words: [Futex; 2],
    slots: [UnsafeCell<Vec<u8>>; 2],
}

impl Memory {
    fn at(offset: usize) -> (usize, usize) {
        (offset / Slot::Reply.offset(), offset % Slot::Reply.offset())
    }
}

// loom's cells are for one thread, unless somebody says why not: here the mailbox itself is what is tested for that.
#[allow(unsafe_code, reason = "what is tested is whether this holds")]
// SAFETY: loom ends the run at the first access that is not in order.
unsafe impl Sync for Memory {}

impl Board for Memory {
    type Word = Futex;

    fn word(&self, slot: Slot) -> &Futex {
        &self.words[Memory::at(slot.offset()).0]
    }

    #[allow(unsafe_code, reason = "as above")]
    fn read(&self, offset: usize, into: &mut [u8]) {
        let (slot, at) = Memory::at(offset);
        // SAFETY: as above.
        self.slots[slot].with(|bytes| into.copy_from_slice(unsafe { &(&*bytes)[at..at + into.len()] }));
    }

    #[allow(unsafe_code, reason = "as above")]
    fn write(&self, offset: usize, bytes: &[u8]) {
        let (slot, at) = Memory::at(offset);
        // SAFETY: as above.
        self.slots[slot].with_mut(|all| unsafe { (&mut *all)[at..at + bytes.len()].copy_from_slice(bytes) });
    }

    fn wipe(&self, offset: usize, length: usize) {
        self.write(offset, &vec![0; length]);
    }
}

/// A socket, as far as it matters: what was sent, and whether the other end is there.
#[derive(Default)]
struct Stream {
    frames: Mutex<Vec<u8>>,
    arrival: Condvar,
}

impl Stream {
    fn send(&self, byte: u8) {
        self.frames.lock().unwrap().push(byte);
        self.arrival.notify_all();
    }

    fn receive(&self) -> u8 {
        let mut frames = self.frames.lock().unwrap();
        loop {
            match frames.pop() {
                Some(byte) => {
                    assert!(frames.is_empty(), "a frame behind a frame");
                    return byte;
                }
                None => frames = self.arrival.wait(frames).unwrap(),
            }
        }
    }
}

struct Pair {
    mailbox: Mailbox<Memory>,
    to_daemon: Stream,
    to_client: Stream,
}

fn pair(daemon_is_impatient: bool, client_is_impatient: bool) -> Arc<Pair> {
    let slot = || UnsafeCell::new(vec![0; MAILBOX_BYTES / 2]);
    let words = [Futex::new(daemon_is_impatient), Futex::new(client_is_impatient)];
    let mailbox = Mailbox::new(Memory { words, slots: [slot(), slot()] });
    let (to_daemon, to_client) = (Stream::default(), Stream::default());
    Arc::new(Pair { mailbox, to_daemon, to_client })
}

const PATIENCE: Duration = Duration::ZERO;
const GOODBYE: u8 = 0;

impl Pair {
    /// As the daemon's connection does it: answers each request with the next number, the way that it came; `refers` says
    /// whether a reply is too long for the mailbox.
    fn serve(&self, refers: impl Fn(u8) -> bool) {
        let mut buffer = Vec::new();
        loop {
            let next = self.mailbox.next(&mut buffer, &mut Yielding::default(), PATIENCE);
            let request = match next {
                Next::Frame => buffer[0],
                Next::Socket => self.to_daemon.receive(),
                other => panic!("{other:?}"),
            };
            if request == GOODBYE {
                return;
            }
            self.mailbox.listen();
            match next {
                Next::Frame if !refers(request) => self.mailbox.answer(&[request + 1]),
                Next::Frame => {
                    self.mailbox.refer();
                    self.to_client.send(request + 1);
                }
                _ => self.to_client.send(request + 1),
            }
        }
    }

    /// As the module's connection does it.
    fn ask(&self, request: u8, is_long: bool) -> Option<u8> {
        let posted = if is_long {
            assert!(self.mailbox.knock());
            Posted::BySocket
        } else {
            self.mailbox.post(&[request])
        };
        match posted {
            Posted::Gone => return None,
            Posted::BySocket => {
                self.to_daemon.send(request);
                return Some(self.to_client.receive());
            }
            Posted::Yes => {}
        }
        let mut buffer = Vec::new();
        loop {
            match self.mailbox.collect(&mut buffer, &mut Yielding::default(), PATIENCE) {
                Next::Frame => {
                    assert_eq!(buffer.len(), 1);
                    return Some(buffer[0]);
                }
                Next::Socket => return Some(self.to_client.receive()),
                Next::Nothing => thread::yield_now(),
                Next::Nonsense => panic!("nonsense"),
            }
        }
    }

    fn leave(&self) {
        assert!(self.mailbox.knock());
        self.to_daemon.send(GOODBYE);
    }
}

/// Runs daemon and client in every order; of `requests` those below 100 are short.
fn explore(impatience: (bool, bool), requests: &'static [u8], refers: fn(u8) -> bool) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let pair = pair(impatience.0, impatience.1);
        let daemon = {
            let pair = pair.clone();
            thread::spawn(move || pair.serve(refers))
        };
        for request in requests {
            assert_eq!(pair.ask(*request, *request >= 100), Some(request + 1));
        }
        pair.leave();
        daemon.join().unwrap();
    });
}

#[test]
fn every_request_is_answered_and_nobody_sleeps_for_ever() {
    explore((false, false), &[1, 3], |_| false);
}

#[test]
fn a_daemon_that_goes_to_the_socket_meanwhile_is_found_there() {
    explore((true, false), &[1, 3], |_| false);
}

#[test]
fn long_requests_and_replies_go_by_the_socket() {
    explore((true, false), &[1, 101], |request| request == 1);
    explore((false, false), &[101, 1], |request| request == 1);
}

#[test]
fn a_client_that_looks_up_meanwhile_gets_its_reply_once() {
    explore((false, true), &[1, 3], |_| false);
}

/// A client gives up at any time, a daemon goes before or after it has taken what there was: what is taken back was not
/// taken, and what was not taken can be taken back.
#[test]
fn a_request_is_either_taken_or_taken_back() {
    for (looks, is_impatient) in [(true, true), (true, false), (false, true)] {
        loom::model(move || {
            let pair = pair(is_impatient, true);
            let daemon = {
                let pair = pair.clone();
                thread::spawn(move || {
                    let mut buffer = Vec::new();
                    let next = if looks {
                        pair.mailbox.next(&mut buffer, &mut Yielding::default(), PATIENCE)
                    } else {
                        Next::Nothing
                    };
                    if next == Next::Frame {
                        assert_eq!(buffer, [7]);
                        pair.mailbox.listen();
                        pair.mailbox.answer(&[8]);
                    }
                    pair.mailbox.close();
                    next
                })
            };
            let posted = pair.mailbox.post(&[7]);
            let mut buffer = Vec::new();
            let collected = match posted {
                Posted::Yes => pair.mailbox.collect(&mut buffer, &mut Yielding::default(), PATIENCE),
                _ => Next::Nothing,
            };
            let taken_back = pair.mailbox.withdraw();
            let next = daemon.join().unwrap();
            match (posted, next) {
                (Posted::Yes, Next::Frame) => assert!(!taken_back),
                (Posted::Yes, _) => assert!(taken_back || pair.mailbox.withdraw()),
                (_, next) => assert!(next != Next::Frame && !taken_back),
            }
            assert!(
                collected == Next::Nothing
                    || (collected == Next::Frame && buffer == [8] && next == collected)
            );
        });
    }
}
