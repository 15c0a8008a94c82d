//! Ends sled's waiting for a write that has failed.
//!
//! When the last writer of a log buffer leaves it, sled writes the buffer on a thread of its pool. If that write
//! fails, the thread stores the error and wakes nobody (sled 0.34.7, `pagecache/logger.rs`,
//! `exit_reservation`), so whoever waits in `flush` waits forever. Another call of `flush` sees the error and
//! wakes all; the watchdog makes it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a caller may wait in vain.
const PERIOD: Duration = Duration::from_millis(100);

/// A thread that looks after the callers that are inside sled, and sleeps while there are none.
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Callers inside sled.
    inside: AtomicUsize,
    /// Whether the thread sleeps until it is woken.
    sleeping: AtomicBool,
    stopped: AtomicBool,
}

/// A caller inside sled, until it is dropped.
pub(super) struct Watched<'a>(&'a Shared);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Watchdog {
    /// Watches over callers of `db`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(db: sled::Db) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let its = shared.clone();
        let thread = thread::Builder::new().name("store-watchdog".into()).spawn(move || its.run(&db))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says that the caller goes into sled to write.
    pub fn watch(&self) -> Watched<'_> {
        self.shared.inside.fetch_add(1, Ordering::SeqCst);
        // Awake it looks again by itself, so a busy store pays no wake-up per commit.
        if self.shared.sleeping.swap(false, Ordering::SeqCst) {
            self.wake();
        }
        Watched(&self.shared)
    }

    /// Ends the thread and waits for its end.
    pub fn stop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the watchdog has been told by its own thread.
            let _ = thread.join();
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, db: &sled::Db) {
        while !self.stopped.load(Ordering::SeqCst) {
            if self.inside.load(Ordering::SeqCst) == 0 {
                self.sleeping.store(true, Ordering::SeqCst);
                // A caller that came in between has either been seen here or wakes us.
                if self.inside.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.sleeping.store(false, Ordering::SeqCst);
                continue;
            }
            thread::park_timeout(PERIOD);
            if self.inside.load(Ordering::SeqCst) > 0 && db.context.global_error().is_err() {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| db.flush()));
            }
        }
    }
}
