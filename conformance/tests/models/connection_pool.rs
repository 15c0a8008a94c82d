//! The module's connections to the daemon: how many applications there are, and what is left when they are closed.

use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::pool::{Bell, Joined, Pool, Pooled};

/// A connection, of which only the application is left.
struct Connection {
    application: u64,
    open: Arc<AtomicUsize>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pooled for Connection {
    type Ticket = u64;
    type Bell = Socket;

    fn is_of(&self, ticket: &u64) -> bool {
        self.application == *ticket
    }
}

/// A socket that a thread waits at.
#[derive(Default)]
struct Socket {
    is_shut: Mutex<bool>,
    bell: Condvar,
}

impl Bell for Socket {
    fn ring(&self) {
        *self.is_shut.lock().unwrap() = true;
        self.bell.notify_all();
    }
}

/// A daemon that was started anew `known` applications ago.
struct Daemon {
    /// Applications of before are not known to it.
    first: u64,
    last: AtomicU64,
    open: Arc<AtomicUsize>,
    /// How many are begun and not yet ready.
    beginning: AtomicUsize,
}

const UNKNOWN: &str = "an application that is not known";

impl Daemon {
    fn new(first: u64) -> Arc<Daemon> {
        let (last, open) = (AtomicU64::new(first), Arc::new(AtomicUsize::new(0)));
        Arc::new(Daemon { first, last, open, beginning: AtomicUsize::new(0) })
    }

    fn connection(&self, application: u64) -> Connection {
        self.open.fetch_add(1, Ordering::AcqRel);
        Connection { application, open: self.open.clone() }
    }

    fn join(&self, ticket: Option<&u64>) -> Result<Joined<Connection, ()>, &'static str> {
        let ticket = match ticket {
            Some(ticket) if *ticket <= self.first => return Err(UNKNOWN),
            Some(ticket) => {
                let begins = self.beginning.load(Ordering::Acquire);
                assert_eq!(begins, 0, "joined before it was ready");
                *ticket
            }
            None => {
                self.beginning.fetch_add(1, Ordering::AcqRel);
                self.last.fetch_add(1, Ordering::AcqRel) + 1
            }
        };
        Ok(Joined { connection: self.connection(ticket), ticket, with: () })
    }

    /// A call's connection, as the module gets it.
    fn take(&self, pool: &Pool<Connection>) -> Connection {
        pool.take().filter(|connection| connection.application > self.first).unwrap_or_else(|| {
            let begin = |connection, ()| {
                self.beginning.fetch_sub(1, Ordering::AcqRel);
                Ok(connection)
            };
            pool.connect(|ticket| self.join(ticket), |error| *error == UNKNOWN, begin).unwrap()
        })
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn threads_that_begin_together_are_one_application() {
    check(|| {
        let (daemon, pool) = (Daemon::new(0), Arc::new(Pool::new()));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (daemon, pool) = (daemon.clone(), pool.clone());
                thread::spawn(move || {
                    let connection = daemon.take(&pool);
                    assert_eq!(connection.application, 1);
                    pool.give_back(connection);
                })
            })
            .collect();
        let connection = daemon.take(&pool);
        assert_eq!(connection.application, 1);
        pool.give_back(connection);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!((daemon.last.load(Ordering::Acquire), pool.ticket()), (1, Some(1)));
        assert_eq!(pool.counts(), (daemon.open.load(Ordering::Acquire), 0));
    });
}

#[test]
fn threads_that_miss_a_daemon_together_are_one_application_of_the_next() {
    check(|| {
        // Application 1 was of the daemon before, and each thread has a connection of it.
        let (before, pool) = (Daemon::new(0), Arc::new(Pool::new()));
        for connection in [before.take(&pool), before.take(&pool)] {
            pool.give_back(connection);
        }
        let daemon = Daemon::new(1);
        let other = {
            let (daemon, pool) = (daemon.clone(), pool.clone());
            thread::spawn(move || {
                let connection = daemon.take(&pool);
                assert_eq!(connection.application, 2);
                pool.give_back(connection);
            })
        };
        let connection = daemon.take(&pool);
        assert_eq!(connection.application, 2);
        pool.give_back(connection);
        other.join().unwrap();
        assert_eq!((daemon.last.load(Ordering::Acquire), pool.ticket()), (2, Some(2)));
        assert_eq!(before.open.load(Ordering::Acquire), 0, "a connection of before is left");
    });
}

#[test]
fn nothing_is_left_open_when_calls_end_after_the_application() {
    check(|| {
        let (daemon, pool) = (Daemon::new(0), Arc::new(Pool::new()));
        pool.give_back(daemon.take(&pool));
        let other = {
            let (daemon, pool) = (daemon.clone(), pool.clone());
            thread::spawn(move || {
                let connection = daemon.take(&pool);
                pool.give_back(connection);
            })
        };
        drop(pool.close());
        assert!(pool.is_closed());
        other.join().unwrap();
        assert_eq!((daemon.open.load(Ordering::Acquire), pool.counts()), (0, (0, 0)));
    });
}

#[test]
fn who_waits_is_woken_or_never_begins() {
    check(|| {
        let pool = Arc::new(Pool::<Connection>::new());
        let other = {
            let pool = pool.clone();
            thread::spawn(move || {
                let socket = Arc::new(Socket::default());
                pool.wait(&socket, || {
                    let mut is_shut = socket.is_shut.lock().unwrap();
                    while !*is_shut {
                        is_shut = socket.bell.wait(is_shut).unwrap();
                    }
                })
            })
        };
        drop(pool.close());
        let _ = other.join().unwrap();
        assert_eq!(pool.counts(), (0, 0));
    });
}
