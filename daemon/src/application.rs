//! Applications: what one `C_Initialize … C_Finalize` of one process holds in the daemon.
//!
//! An application may have several connections, one per thread that is in a call. Sessions, logins and session
//! objects belong to the application and are freed when its last connection closes, whatever ended it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use claviger_protocol::Bytes;
use claviger_protocol::frame::ApplicationTicket;
use claviger_protocol::template::Attribute;
use serde::Deserialize;

use crate::access::Identity;
use crate::access::permit::Remembered;
use crate::access::resume;
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::lock;
use crate::object::{Home, Object};
use crate::server::Peer;
use crate::session::Session;
use crate::session_table::{OfSession, OnSlot, SessionTable, User};

/// The `[limits]` table of the configuration: what one application and what all of one user's may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sessions of an application.
    pub sessions: u64,
    /// Session objects of an application.
    pub session_objects: u64,
    /// What its session objects may take together, in bytes.
    pub session_object_bytes: u64,
    /// Sessions of a user.
    pub sessions_per_uid: u64,
    /// Session objects of a user.
    pub session_objects_per_uid: u64,
    /// What a user's session objects may take together, in bytes.
    pub session_object_bytes_per_uid: u64,
    /// Memory that a user's connections may share, in bytes: for long data, and 8 KiB each for a mailbox; 0 for none.
    pub shared_memory_per_uid: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 4096,
            session_objects: 4096,
            session_object_bytes: 16 << 20,
            sessions_per_uid: 16_384,
            session_objects_per_uid: 16_384,
            session_object_bytes_per_uid: 64 << 20,
            shared_memory_per_uid: 64 << 20,
        }
    }
}

/// What the applications of one user hold together.
#[derive(Default)]
struct Tally {
    sessions: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    shared: AtomicU64,
}

/// A part of a user's [`Tally`], which goes back when it is dropped.
pub struct Share {
    tally: Arc<Tally>,
    sessions: u64,
    objects: u64,
    bytes: u64,
}

impl Share {
    /// Takes a part, if the user's limits leave it.
    fn take(
        tally: &Arc<Tally>,
        limits: &Limits,
        (sessions, objects, bytes): (u64, u64, u64),
    ) -> Option<Share> {
        let all = |counter: &AtomicU64, more| counter.fetch_add(more, Ordering::AcqRel) + more;
        // Taken first and given back by the drop, so that two at the same time do not both fit.
        let share = Share { tally: tally.clone(), sessions, objects, bytes };
        let fits = (all(&tally.sessions, sessions) <= limits.sessions_per_uid || sessions == 0)
            & (all(&tally.objects, objects) <= limits.session_objects_per_uid || objects == 0)
            & (all(&tally.bytes, bytes) <= limits.session_object_bytes_per_uid || bytes == 0);
        fits.then_some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.tally.sessions.fetch_sub(self.sessions, Ordering::AcqRel);
        self.tally.objects.fetch_sub(self.objects, Ordering::AcqRel);
        self.tally.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Leave to share so many bytes of memory, which goes back when it is dropped.
pub struct SharedMemory {
    tally: Arc<Tally>,
    bytes: u64,
}

impl SharedMemory {
    /// Size of the memory.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        self.tally.shared.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// How often a call that waits for a slot event looks whether its client is still there.
const WAIT_STEP: Duration = Duration::from_secs(1);

/// One application.
pub struct Application {
    /// Names it among the applications.
    pub id: u64,
    /// Who started it.
    pub peer: Peer,
    /// The same, with names and groups.
    pub identity: Arc<Identity>,
    /// What it may do, as far as it has asked.
    pub permits: Remembered,
    /// Proves that a further connection belongs to it.
    secret: Bytes,
    /// Open connections; guarded by the list of applications.
    connections: AtomicU64,
    /// Set by `C_Finalize` and by the end of the last connection.
    ended: AtomicBool,
    /// It has gone on from a daemon before this one, which took its operations with it; nobody has missed one yet.
    resumed: AtomicBool,
    /// Its sessions, logins and session objects, with their parts of what its user may hold.
    pub table: SessionTable<Session, Object, Share>,
    limits: Limits,
    tally: Arc<Tally>,
    /// What tells its process from all others, once somebody has asked.
    process: OnceLock<(u32, i32, u64)>,
    /// How many resume tickets were made.
    tickets: AtomicU64,
    /// Slots whose tokens `C_WaitForSlotEvent` has told of, or that were there from the start.
    known_slots: Mutex<Vec<u64>>,
}

/// All applications, and the bell that rings when something happens that one may wait for.
#[derive(Default)]
pub struct Applications {
    by_id: Mutex<HashMap<u64, Arc<Application>>>,
    last_id: AtomicU64,
    limits: OnceLock<Limits>,
    /// Of every user who has been here since the start.
    tallies: Mutex<HashMap<u32, Arc<Tally>>>,
    bell: (Mutex<()>, Condvar),
}

impl Applications {
    /// Sets the limits, once and before the first application.
    pub fn limit(&self, limits: Limits) {
        let _ = self.limits.set(limits);
    }

    /// A new application, with its first connection.
    ///
    /// # Errors
    /// `Internal` when no random bytes are to be had.
    pub fn start(&self, identity: Arc<Identity>, slots: Vec<u64>) -> Result<Arc<Application>> {
        let mut secret = vec![0; 32];
        crate::crypto::random::fill(&mut secret)?;
        let tally = lock::lock(&self.tallies).entry(identity.peer.uid).or_default().clone();
        let application = Arc::new(Application {
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            peer: identity.peer,
            identity,
            permits: Remembered::default(),
            secret: secret.into(),
            connections: AtomicU64::new(1),
            ended: AtomicBool::new(false),
            resumed: AtomicBool::new(false),
            table: SessionTable::default(),
            limits: self.limits.get().copied().unwrap_or_default(),
            tally,
            process: OnceLock::new(),
            tickets: AtomicU64::new(0),
            known_slots: Mutex::new(slots),
        });
        lock::lock(&self.by_id).insert(application.id, application.clone());
        Ok(application)
    }

    /// One more connection of an application. Nothing unless the ticket is good and the peer the same user.
    pub fn join(&self, ticket: &ApplicationTicket, peer: Peer) -> Option<Arc<Application>> {
        let applications = lock::lock(&self.by_id);
        let application = applications.get(&ticket.id)?;
        let secret_fits = ticket.secret.len() == application.secret.len()
            && openssl::memcmp::eq(&ticket.secret, &application.secret);
        if !secret_fits || peer.uid != application.peer.uid || application.ended.load(Ordering::Acquire) {
            return None;
        }
        application.connections.fetch_add(1, Ordering::AcqRel);
        Some(application.clone())
    }

    /// One connection less; the last one ends the application.
    pub fn leave(&self, application: &Application) {
        let mut applications = lock::lock(&self.by_id);
        if application.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            applications.remove(&application.id);
            drop(applications);
            self.end(application);
        }
    }

    /// Ends an application: frees what it holds and wakes those of its calls that wait.
    pub fn end(&self, application: &Application) {
        application.ended.store(true, Ordering::Release);
        application.table.clear();
        self.ring();
    }

    /// Wakes all who wait for a slot event.
    pub fn ring(&self) {
        let _guard = lock::lock(&self.bell.0);
        self.bell.1.notify_all();
    }

    /// True when any application has a session on this slot.
    pub fn has_session_on(&self, slot: u64) -> bool {
        lock::lock(&self.by_id).values().any(|application| application.table.session_counts(slot).0 > 0)
    }

    /// How many applications are connected.
    pub fn count(&self) -> usize {
        lock::lock(&self.by_id).len()
    }

    /// Waits until `event` gives something, the application ends or its client is gone.
    ///
    /// # Errors
    /// `Finalized` in the last two cases.
    pub fn wait<T>(
        &self,
        application: &Application,
        alive: &dyn Fn() -> bool,
        mut event: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let mut guard = lock::lock(&self.bell.0);
        loop {
            if application.ended.load(Ordering::Acquire) || !alive() {
                return Err(Error::Finalized);
            }
            if let Some(value) = event() {
                return Ok(value);
            }
            let waited = self.bell.1.wait_timeout(guard, WAIT_STEP);
            guard = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

impl Application {
    /// What a further connection has to show.
    pub fn ticket(&self) -> ApplicationTicket {
        ApplicationTicket { id: self.id, secret: self.secret.clone() }
    }

    /// A slot in `present` that the application has not been told of, which it now has.
    pub fn new_slot(&self, present: &[u64]) -> Option<u64> {
        let mut known = lock::lock(&self.known_slots);
        let new = present.iter().find(|slot| !known.contains(slot)).copied()?;
        known.push(new);
        Some(new)
    }

    /// User, process and when that was started, looked up once: a process keeps them.
    pub fn process(&self) -> (u32, i32, u64) {
        *self.process.get_or_init(|| resume::process(&self.peer))
    }

    /// Leave for a connection to share so many bytes of memory, if its user's limit leaves it.
    pub fn share_memory(&self, bytes: u64) -> Option<SharedMemory> {
        let all = self.tally.shared.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let share = SharedMemory { tally: self.tally.clone(), bytes };
        (all <= self.limits.shared_memory_per_uid).then_some(share)
    }

    /// The number of the next resume ticket. Who takes it before looking at what there is sees all that those with
    /// lower numbers have changed.
    pub fn next_ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Goes on with sessions and logins that it had before the daemon was started anew.
    ///
    /// # Errors
    /// `SessionExists` when it has sessions, `SessionCount` when it may not have as many.
    pub fn resume(&self, sessions: Vec<Session>, logins: Vec<(u64, User)>) -> Result<()> {
        let shared = sessions.into_iter().map(|session| {
            let share = Share::take(&self.tally, &self.limits, (1, 0, 0)).ok_or(Error::SessionCount)?;
            Ok((session.handle, session, share))
        });
        self.table.resume(shared.collect::<Result<_>>()?, logins)?;
        self.resumed.store(true, Ordering::Release);
        Ok(())
    }

    /// True, once, when an operation that is missed may have ended with the daemon before this one.
    pub fn lost_operation(&self) -> bool {
        self.resumed.swap(false, Ordering::AcqRel)
    }

    /// Opens a session.
    ///
    /// # Errors
    /// `SessionCount` beyond the [`Limits`]; `SessionReadWriteSoExists` for a read-only session while the
    /// security officer is logged in.
    pub fn open(&self, session: Session) -> Result<u64> {
        let handle = session.handle;
        self.table.open(handle, session, |count| {
            let share = Share::take(&self.tally, &self.limits, (1, 0, 0)).ok_or(Error::SessionCount)?;
            if count as u64 >= self.limits.sessions { Err(Error::SessionCount) } else { Ok(share) }
        })?;
        Ok(handle)
    }

    /// Adds a session object.
    ///
    /// # Errors
    /// `DeviceMemory` beyond the [`Limits`], and as [`SessionTable::insert`].
    pub fn insert(&self, object: Arc<Object>) -> Result<()> {
        let (limits, more) = (&self.limits, object.size_when_made);
        self.table.insert(object.handle, object, |held| {
            let (count, bytes) = (held.len() as u64, held.map(|share| share.bytes).sum::<u64>());
            if count >= limits.session_objects || bytes + more > limits.session_object_bytes {
                return Err(Error::DeviceMemory);
            }
            Share::take(&self.tally, limits, (0, 1, more)).ok_or(Error::DeviceMemory)
        })
    }

    /// Session objects on a slot that match a template, in handle order.
    ///
    /// # Errors
    /// What reading their attributes gives.
    pub fn find(
        &self,
        slot: u64,
        template: &[Attribute],
        daemon: &Daemon,
        now: Time,
    ) -> Result<Vec<Arc<Object>>> {
        let mut found = Vec::new();
        for object in self.table.objects_on(slot) {
            if object.matches(template, daemon, now)? {
                found.push(object);
            }
        }
        found.sort_by_key(|object| object.handle);
        Ok(found)
    }
}

impl OnSlot for Session {
    fn slot(&self) -> u64 {
        self.slot
    }

    fn is_read_write(&self) -> bool {
        self.read_write
    }

    fn end_private(&self) {
        lock::lock(&self.operations).end_private();
    }
}

impl OfSession for Object {
    fn home(&self) -> (u64, u64) {
        match self.home {
            Home::Session { session, slot, .. } => (session, slot),
            // Those are in no application's table, and no session has this handle.
            Home::Version(_) | Home::Builtin | Home::Token { .. } => (0, 0),
        }
    }

    fn is_private(&self) -> bool {
        Object::is_private(self)
    }
}
