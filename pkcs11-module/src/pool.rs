//! The connections of an application: those that no thread uses, the ticket by which there are more of them, and those
//! in which a thread waits.

use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock};

/// The most connections that are kept when nobody uses them.
const MAX_IDLE: usize = 64;

/// A connection.
pub trait Pooled {
    /// What makes more of them.
    type Ticket: Clone + PartialEq;
    /// What wakes a thread that waits in one.
    type Bell: Bell;
    /// True when it belongs to the application of this ticket.
    fn is_of(&self, ticket: &Self::Ticket) -> bool;
}

/// Wakes a thread that waits.
pub trait Bell {
    /// Does it; the thread may have gone on by itself.
    fn ring(&self);
}

/// What a connection comes from.
pub struct Joined<C: Pooled, W> {
    /// The connection.
    pub connection: C,
    /// The ticket of its application.
    pub ticket: C::Ticket,
    /// What else the daemon gave.
    pub with: W,
}

/// See the module's documentation.
pub struct Pool<C: Pooled> {
    /// The application's ticket, once a daemon has given one. Held while a new application is asked for, so that threads
    /// that begin together do not become two applications.
    ticket: Mutex<Option<C::Ticket>>,
    /// Connections that no thread uses.
    idle: Mutex<Vec<C>>,
    /// Of threads that wait.
    waiting: Mutex<Vec<Arc<C::Bell>>>,
    closed: AtomicBool,
}

impl<C: Pooled> Pool<C> {
    /// No connections so far.
    pub fn new() -> Self {
        Self {
            ticket: Mutex::new(None),
            idle: Mutex::new(Vec::new()),
            waiting: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
        }
    }

    /// True once [`Pool::close`] has begun.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// A connection that no thread uses.
    pub fn take(&self) -> Option<C> {
        lock(&self.idle).pop()
    }

    /// Keeps a connection that its thread has done with, if there is room and the pool is open.
    pub fn give_back(&self, connection: C) {
        let mut idle = lock(&self.idle);
        if !self.is_closed() && idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    /// True when there is a connection that no thread uses, and the newest of them is as `is_good` says.
    pub fn has_idle(&self, is_good: impl FnOnce(&C) -> bool) -> bool {
        !self.is_closed() && lock(&self.idle).last().is_some_and(is_good)
    }

    /// The application's ticket.
    pub fn ticket(&self) -> Option<C::Ticket> {
        lock(&self.ticket).clone()
    }

    /// A new connection of the application, which a daemon that does not know it makes anew: `join` connects with a ticket
    /// or, without one, as a new application, `is_unknown` says whether an error means that the daemon does not know the
    /// ticket, and `begin` does what comes first in a new application, before anybody else joins it.
    ///
    /// # Errors
    /// What `join` and `begin` give.
    pub fn connect<W, E>(
        &self,
        join: impl Fn(Option<&C::Ticket>) -> Result<Joined<C, W>, E>,
        is_unknown: impl FnOnce(&E) -> bool,
        begin: impl FnOnce(C, W) -> Result<C, E>,
    ) -> Result<C, E> {
        if let Some(known) = self.ticket() {
            match join(Some(&known)) {
                Ok(joined) => return Ok(joined.connection),
                Err(error) if is_unknown(&error) => self.forget(&known),
                Err(error) => return Err(error),
            }
        }
        // Held until the ticket is there: who comes now joins the application that is being made.
        let mut ticket = lock(&self.ticket);
        let is_new = ticket.is_none();
        let Joined { connection, ticket: granted, with } = join(ticket.as_ref())?;
        *ticket = Some(granted);
        if is_new { begin(connection, with) } else { Ok(connection) }
    }

    /// The daemon does not know this ticket: neither it nor its connections are of use any more.
    fn forget(&self, known: &C::Ticket) {
        let mut ticket = lock(&self.ticket);
        if ticket.as_ref() == Some(known) {
            *ticket = None;
        }
        drop(ticket);
        lock(&self.idle).retain(|connection| !connection.is_of(known));
    }

    /// Runs what may take for ever, with the bell that [`Pool::close`] then rings. None, and it does not run, when the pool
    /// is closed.
    pub fn wait<T>(&self, bell: &Arc<C::Bell>, wait: impl FnOnce() -> T) -> Option<T> {
        {
            let mut waiting = lock(&self.waiting);
            if self.is_closed() {
                return None;
            }
            waiting.push(Arc::clone(bell));
        }
        let outcome = wait();
        lock(&self.waiting).retain(|other| !Arc::ptr_eq(other, bell));
        Some(outcome)
    }

    /// Wakes who waits, and gives the connections that no thread uses. Whoever is in the middle of a call drops its
    /// connection.
    pub fn close(&self) -> Vec<C> {
        {
            let waiting = lock(&self.waiting);
            self.closed.store(true, Ordering::SeqCst);
            waiting.iter().for_each(|bell| bell.ring());
        }
        std::mem::take(&mut *lock(&self.idle))
    }
}

#[cfg(test)]
impl<C: Pooled> Pool<C> {
    /// How many connections no thread uses, and in how many one waits.
    pub fn counts(&self) -> (usize, usize) {
        (lock(&self.idle).len(), lock(&self.waiting).len())
    }

    /// Holds its locks.
    pub fn hold(&self) -> impl Sized + '_ {
        (lock(&self.idle), lock(&self.ticket))
    }
}
