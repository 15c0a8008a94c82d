//! A mailbox: memory of a connection in which short frames travel, without the kernel copying or queueing them.
//!
//! It has two slots of [`SLOT_BYTES`], one for the request and one for the reply, each with a word that says how it is
//! with the slot, and on which the side that waits for it sleeps (`futex(2)`). What is longer than a slot, brings a
//! descriptor or may take for ever goes by the socket as before, and so does its reply.
//!
//! No side depends on the other's word: the daemon sleeps here for a moment only, then says so and waits at the socket,
//! where it notices a client that has gone; a client that has waited for a moment looks at the socket too. Whoever reads
//! takes each byte once and believes nothing of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::futex::{self, Flags, Timespec};

/// Size of the memory in bytes: two pages, one a slot.
pub const MAILBOX_BYTES: usize = 8192;
/// The longest frame in a slot, in bytes, without the length that goes in front of it on the socket.
pub const SLOT_BYTES: usize = 4096 - FRAME_OFFSET;

/// Where the length of a slot's frame is, a `u32`. In front of it is the word.
const LENGTH_OFFSET: usize = 4;
/// Where a slot's frame is: on a cache line of its own.
const FRAME_OFFSET: usize = 64;

/// Half of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Written by the client.
    Request,
    /// Written by the daemon.
    Reply,
}

impl Slot {
    /// Where it is in the memory.
    pub const fn offset(self) -> usize {
        match self {
            Slot::Request => 0,
            Slot::Reply => 4096,
        }
    }
}

/// How it is with a slot. Memory that is new is [`EMPTY`](state::EMPTY).
mod state {
    /// Nothing is in it, and who waits for it will look before sleeping.
    pub const EMPTY: u32 = 0;
    /// Nothing is in it, and who waits for it sleeps on the word.
    pub const ASLEEP: u32 = 1;
    /// A frame is in it.
    pub const FULL: u32 = 2;
    /// A frame comes by the socket.
    pub const BY_SOCKET: u32 = 3;
    /// Of the request: the daemon has taken it.
    pub const TAKEN: u32 = 4;
    /// Of the request: the daemon waits at the socket, and has to be written to there.
    pub const AT_SOCKET: u32 = 5;
    /// Of the request: one side has given up.
    pub const CLOSED: u32 = 6;
}
use state::{ASLEEP, AT_SOCKET, BY_SOCKET, CLOSED, EMPTY, FULL, TAKEN};

/// How often the daemon looks at a word that changes under its eyes before it calls that nonsense. An honest client
/// changes it once a request.
const LOOKS: usize = 16;

/// A word that two processes share.
pub trait Word {
    /// What it says.
    fn get(&self) -> u32;
    /// Says something new; gives what it said.
    fn set(&self, value: u32) -> u32;
    /// Says something new if it says `old`; false if it does not.
    fn replace(&self, old: u32, new: u32) -> bool;
    /// Sleeps while it says `value` and nobody wakes, at most for so long. May return early.
    fn sleep(&self, value: u32, patience: Duration);
    /// Wakes who sleeps.
    fn wake(&self);
}

impl Word for AtomicU32 {
    fn get(&self) -> u32 {
        self.load(Ordering::Acquire)
    }

    fn set(&self, value: u32) -> u32 {
        self.swap(value, Ordering::AcqRel)
    }

    fn replace(&self, old: u32, new: u32) -> bool {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn sleep(&self, value: u32, patience: Duration) {
        let patience = Timespec::try_from(patience).ok();
        // Whatever ends it: the caller looks.
        let _ = futex::wait(self, Flags::empty(), value, patience.as_ref());
    }

    fn wake(&self) {
        let _ = futex::wake(self, Flags::empty(), 1);
    }
}

/// What a side does before it sleeps: it lets others run once (`sched_yield(2)`). Where the processors are busy with threads
/// that wait for each other, what it waits for is there when it runs again, and neither has to sleep or to be woken: 8
/// threads that sign P-256 get a third more done.
///
/// A thread that yields to somebody else's work waits for as long as that may run at a time, which is a hundred times as
/// long as a call. So who is often away for long does not yield again for a while, which doubles each time that the first
/// yield after it takes long again. The longest is short enough that work which has changed is soon noticed.
#[derive(Default)]
pub struct Yielding {
    /// How often it has taken long lately: rises by [`WEIGHT`] when it has, falls by one when it has not.
    score: u32,
    /// The last pause.
    pause: Duration,
    /// When that ends.
    until: Option<Instant>,
}

/// A yield that takes as long as this was to somebody else's work: the scheduler of Linux lets that run for some
/// milliseconds, calls of ours take microseconds.
const LONG: Duration = Duration::from_millis(1);
/// As many short yields make good a long one.
const WEIGHT: u32 = 64;
/// With this score a side stops yielding for a while.
const TOO_OFTEN: u32 = 3 * WEIGHT;
/// The shortest and the longest pause. Some milliseconds lost after the longest are two hundredths of it.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));

impl Yielding {
    /// Yields unless it is ready, or yielding has taken long lately.
    fn unless(&mut self, is_ready: impl Fn() -> bool) {
        if is_ready() {
            return;
        }
        let begin = Instant::now();
        if self.until.is_some_and(|until| begin < until) {
            return;
        }
        rustix::thread::sched_yield();
        let end = Instant::now();
        self.took(end - begin, end);
    }

    fn took(&mut self, time: Duration, now: Instant) {
        if time < LONG {
            self.score = self.score.saturating_sub(1);
            if self.score == 0 {
                (self.pause, self.until) = (Duration::ZERO, None);
            }
            return;
        }
        self.score += WEIGHT;
        if self.score >= TOO_OFTEN {
            // Once more is too often again.
            self.score = TOO_OFTEN - WEIGHT;
            self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
            self.until = Some(now + self.pause);
        }
    }
}

/// The memory of a mailbox, as one side sees it.
pub trait Board {
    /// What its words are.
    type Word: Word;
    /// The word at the beginning of a slot.
    fn word(&self, slot: Slot) -> &Self::Word;
    /// Copies bytes out, from an offset within [`MAILBOX_BYTES`] on.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Copies bytes in.
    fn write(&self, offset: usize, bytes: &[u8]);
    /// Overwrites bytes with zeros.
    fn wipe(&self, offset: usize, length: usize);
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A frame, which has been taken.
    Frame,
    /// Whatever the socket has.
    Socket,
    /// Nothing so far. Only a client is told so.
    Nothing,
    /// Nothing that makes sense: the connection is over.
    Nonsense,
}

/// What has become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is in its slot, and the daemon will see it.
    Yes,
    /// The daemon waits at the socket: it is to go there.
    BySocket,
    /// The daemon has gone.
    Gone,
}

/// One side of a mailbox.
pub struct Mailbox<B>(B);

impl<B: Board> Mailbox<B> {
    /// The mailbox in this memory.
    pub fn new(board: B) -> Self {
        Self(board)
    }

    /// The memory.
    pub fn board(&self) -> &B {
        &self.0
    }

    /// Of the client: puts a request of at most [`SLOT_BYTES`] into its slot.
    pub fn post(&self, frame: &[u8]) -> Posted {
        let word = self.0.word(Slot::Request);
        match word.get() {
            EMPTY | ASLEEP => {}
            AT_SOCKET => return Posted::BySocket,
            _ => return Posted::Gone,
        }
        self.0.word(Slot::Reply).set(EMPTY);
        self.put(Slot::Request, frame);
        let posted = self.tell(FULL);
        if posted != Posted::Yes {
            self.0.wipe(Slot::Request.offset() + FRAME_OFFSET, frame.len());
        }
        posted
    }

    /// Of the client: has the daemon look at the socket, where a request is about to come. False when it has gone.
    pub fn knock(&self) -> bool {
        self.tell(BY_SOCKET) != Posted::Gone
    }

    fn tell(&self, news: u32) -> Posted {
        let word = self.0.word(Slot::Request);
        loop {
            let said = word.get();
            match said {
                EMPTY | ASLEEP if word.replace(said, news) => {
                    if said == ASLEEP {
                        word.wake();
                    }
                    return Posted::Yes;
                }
                EMPTY | ASLEEP => {}
                AT_SOCKET => return Posted::BySocket,
                _ => return Posted::Gone,
            }
        }
    }

    /// Of the client: takes the reply into `buffer`, and waits for it for a moment.
    pub fn collect(&self, buffer: &mut Vec<u8>, yielding: &mut Yielding, patience: Duration) -> Next {
        let word = self.0.word(Slot::Reply);
        yielding.unless(|| word.get() != EMPTY);
        if word.replace(EMPTY, ASLEEP) || word.get() == ASLEEP {
            word.sleep(ASLEEP, patience);
        }
        match word.get() {
            FULL => self.take(Slot::Reply, buffer),
            BY_SOCKET => Next::Socket,
            EMPTY | ASLEEP => Next::Nothing,
            _ => Next::Nonsense,
        }
    }

    /// Of the client: takes a request back. False when the daemon has taken it already. No other can follow.
    pub fn withdraw(&self) -> bool {
        self.0.word(Slot::Request).replace(FULL, CLOSED)
    }

    /// Of the daemon: waits for a request for a moment, and takes it into `buffer`.
    pub fn next(&self, buffer: &mut Vec<u8>, yielding: &mut Yielding, patience: Duration) -> Next {
        let word = self.0.word(Slot::Request);
        yielding.unless(|| word.get() != EMPTY);
        let mut slept = false;
        for _ in 0..LOOKS {
            match word.get() {
                FULL if word.replace(FULL, TAKEN) => return self.take(Slot::Request, buffer),
                EMPTY => {
                    word.replace(EMPTY, ASLEEP);
                }
                ASLEEP if !slept => {
                    word.sleep(ASLEEP, patience);
                    slept = true;
                }
                ASLEEP if word.replace(ASLEEP, AT_SOCKET) => return Next::Socket,
                BY_SOCKET | AT_SOCKET | CLOSED => return Next::Socket,
                FULL | ASLEEP => {}
                _ => break,
            }
        }
        Next::Nonsense
    }

    /// Of the daemon, before any reply: it will look into the mailbox again.
    pub fn listen(&self) {
        self.0.word(Slot::Request).set(EMPTY);
    }

    /// Of the daemon: puts a reply of at most [`SLOT_BYTES`] into its slot.
    pub fn answer(&self, frame: &[u8]) {
        self.put(Slot::Reply, frame);
        self.publish(FULL);
    }

    /// Of the daemon: the reply is about to come by the socket.
    pub fn refer(&self) {
        self.publish(BY_SOCKET);
    }

    fn publish(&self, news: u32) {
        let word = self.0.word(Slot::Reply);
        if word.set(news) == ASLEEP {
            word.wake();
        }
    }

    /// Of the daemon: it goes. A client that waits looks at the socket at once; a request that has not been taken it can
    /// still take back.
    pub fn close(&self) {
        let word = self.0.word(Slot::Request);
        for _ in 0..LOOKS {
            let said = word.get();
            if said == FULL || word.replace(said, CLOSED) {
                break;
            }
        }
        self.0.word(Slot::Reply).wake();
    }

    fn put(&self, slot: Slot, frame: &[u8]) {
        let length = frame.len().min(SLOT_BYTES);
        self.0.write(slot.offset() + LENGTH_OFFSET, &(length as u32).to_le_bytes());
        self.0.write(slot.offset() + FRAME_OFFSET, &frame[..length]);
    }

    /// Copies a frame out, and leaves nothing of it.
    fn take(&self, slot: Slot, buffer: &mut Vec<u8>) -> Next {
        let mut length = [0; 4];
        self.0.read(slot.offset() + LENGTH_OFFSET, &mut length);
        let length = u32::from_le_bytes(length) as usize;
        if length > SLOT_BYTES {
            return Next::Nonsense;
        }
        buffer.clear();
        buffer.resize(length, 0);
        self.0.read(slot.offset() + FRAME_OFFSET, buffer);
        self.0.wipe(slot.offset() + FRAME_OFFSET, length);
        Next::Frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_often_away_for_long_does_not_yield_for_a_while_and_then_tries_again() {
        let (mut yielding, now) = (Yielding::default(), Instant::now());
        // Now and then does not matter.
        for _ in 0..100 {
            yielding.took(LONG, now);
            (0..WEIGHT).for_each(|_| yielding.took(LONG / 2, now));
        }
        assert_eq!((yielding.score, yielding.until), (0, None));
        (0..2).for_each(|_| yielding.took(LONG, now));
        assert_eq!(yielding.until, None);
        for pause in [25, 50, 100, 200, 200] {
            yielding.took(LONG, now);
            assert_eq!(yielding.until, Some(now + Duration::from_millis(pause)));
        }
        // What is done without a yield tells nothing.
        yielding.until = Some(now + Duration::from_secs(3600));
        let before = yielding.score;
        yielding.unless(|| false);
        yielding.unless(|| true);
        assert_eq!(yielding.score, before);
        (0..TOO_OFTEN).for_each(|_| yielding.took(Duration::ZERO, now));
        assert_eq!((yielding.score, yielding.until), (0, None));
    }
}
