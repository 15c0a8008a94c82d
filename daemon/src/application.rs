//! Applications: what one `C_Initialize … C_Finalize` of one process holds in the daemon.
//!
//! An application may have several connections, one per thread that is in a call. Sessions, logins and session
//! objects belong to the application and are freed when its last connection closes, whatever ended it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};
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
use crate::map::Map;
use crate::object::{Home, Object};
use crate::server::Peer;
use crate::session::Session;

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
    /// Memory that a user's connections may share for long data, in bytes; 0 for none.
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
struct Share {
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

/// Who is logged in on a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum User {
    /// The security officer.
    So,
    /// The normal user.
    User,
}

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
    sessions: RwLock<Map<u64, (Arc<Session>, Share)>>,
    logins: RwLock<Map<u64, User>>,
    /// How often `C_Logout` was called, by slot.
    logouts: RwLock<Map<u64, u64>>,
    objects: RwLock<Map<u64, (Arc<Object>, Share)>>,
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
            sessions: RwLock::default(),
            logins: RwLock::default(),
            logouts: RwLock::default(),
            objects: RwLock::default(),
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
        lock::write(&application.sessions).clear();
        lock::write(&application.logins).clear();
        lock::write(&application.objects).clear();
        self.ring();
    }

    /// Wakes all who wait for a slot event.
    pub fn ring(&self) {
        let _guard = lock::lock(&self.bell.0);
        self.bell.1.notify_all();
    }

    /// True when any application has a session on this slot.
    pub fn has_session_on(&self, slot: u64) -> bool {
        lock::lock(&self.by_id).values().any(|application| application.session_counts(slot).0 > 0)
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

    /// Its sessions and logins.
    pub fn held(&self) -> (Vec<Arc<Session>>, Vec<(u64, User)>) {
        let logins = lock::read(&self.logins).iter().map(|(slot, user)| (*slot, *user)).collect();
        (lock::read(&self.sessions).values().map(|(session, _)| session.clone()).collect(), logins)
    }

    /// Goes on with sessions and logins that it had before the daemon was started anew.
    ///
    /// # Errors
    /// `SessionExists` when it has sessions, `SessionCount` when it may not have as many.
    pub fn resume(&self, sessions: Vec<Session>, logins: Vec<(u64, User)>) -> Result<()> {
        let mut own_logins = lock::write(&self.logins);
        let mut own_sessions = lock::write(&self.sessions);
        if !own_sessions.is_empty() {
            return Err(Error::SessionExists);
        }
        let shared = sessions.into_iter().map(|session| {
            let share = Share::take(&self.tally, &self.limits, (1, 0, 0)).ok_or(Error::SessionCount)?;
            Ok((session.handle, (Arc::new(session), share)))
        });
        *own_sessions = shared.collect::<Result<_>>()?;
        own_logins.extend(logins);
        self.resumed.store(true, Ordering::Release);
        Ok(())
    }

    /// True, once, when an operation that is missed may have ended with the daemon before this one.
    pub fn lost_operation(&self) -> bool {
        self.resumed.swap(false, Ordering::AcqRel)
    }

    /// The session with this handle.
    ///
    /// # Errors
    /// `SessionHandleInvalid`.
    pub fn session(&self, handle: u64) -> Result<Arc<Session>> {
        let sessions = lock::read(&self.sessions);
        sessions.get(&handle).map(|(session, _)| session.clone()).ok_or(Error::SessionHandleInvalid)
    }

    /// Opens a session.
    ///
    /// # Errors
    /// `SessionCount` beyond the [`Limits`]; `SessionReadWriteSoExists` for a read-only session while the
    /// security officer is logged in.
    pub fn open(&self, session: Session) -> Result<u64> {
        let handle = session.handle;
        let logins = lock::read(&self.logins);
        if !session.read_write && logins.get(&session.slot) == Some(&User::So) {
            return Err(Error::SessionReadWriteSoExists);
        }
        let mut sessions = lock::write(&self.sessions);
        let share = Share::take(&self.tally, &self.limits, (1, 0, 0)).ok_or(Error::SessionCount)?;
        if sessions.len() as u64 >= self.limits.sessions {
            return Err(Error::SessionCount);
        }
        sessions.insert(handle, (Arc::new(session), share));
        Ok(handle)
    }

    /// Closes a session with its objects; closing the last one on a token logs out.
    ///
    /// # Errors
    /// `SessionHandleInvalid`.
    pub fn close(&self, handle: u64) -> Result<()> {
        let mut logins = lock::write(&self.logins);
        let mut sessions = lock::write(&self.sessions);
        let (session, _) = sessions.remove(&handle).ok_or(Error::SessionHandleInvalid)?;
        if !sessions.values().any(|(other, _)| other.slot == session.slot) {
            logins.remove(&session.slot);
        }
        drop((sessions, logins));
        let is_its =
            |object: &Object| matches!(object.home, Home::Session { session, .. } if session == handle);
        self.drop_objects(is_its);
        Ok(())
    }

    /// Closes all sessions on a slot, which logs out.
    pub fn close_all(&self, slot: u64) {
        let mut logins = lock::write(&self.logins);
        lock::write(&self.sessions).retain(|_, (session, _)| session.slot != slot);
        logins.remove(&slot);
        drop(logins);
        self.drop_objects(|object| is_on(object, slot));
    }

    /// Sessions on a slot: all, and the read-write ones.
    pub fn session_counts(&self, slot: u64) -> (u64, u64) {
        let sessions = lock::read(&self.sessions);
        let on_slot = sessions.values().map(|(session, _)| session).filter(|session| session.slot == slot);
        on_slot.fold((0, 0), |(all, rw), session| (all + 1, rw + u64::from(session.read_write)))
    }

    /// Who is logged in on a slot.
    pub fn login(&self, slot: u64) -> Option<User> {
        lock::read(&self.logins).get(&slot).copied()
    }

    /// Whether a user may log in on a slot as things are now (PKCS#11 3.2, section 5.6.8).
    ///
    /// # Errors
    /// `UserAlreadyLoggedIn`, `UserAnotherAlreadyLoggedIn`, `SessionReadOnlyExists`; `SessionHandleInvalid` when no
    /// session is open any more.
    pub fn may_log_in(&self, slot: u64, user: User) -> Result<()> {
        self.check_login(&lock::read(&self.logins), slot, user)
    }

    /// Logs a user in on a slot, unless things have changed while the PIN was checked.
    ///
    /// # Errors
    /// As [`Application::may_log_in`].
    pub fn log_in(&self, slot: u64, user: User) -> Result<()> {
        let mut logins = lock::write(&self.logins);
        self.check_login(&logins, slot, user)?;
        logins.insert(slot, user);
        Ok(())
    }

    /// The caller holds the logins' lock, which comes before the sessions'.
    fn check_login(&self, logins: &Map<u64, User>, slot: u64, user: User) -> Result<()> {
        match logins.get(&slot) {
            Some(other) if *other == user => return Err(Error::UserAlreadyLoggedIn),
            Some(_) => return Err(Error::UserAnotherAlreadyLoggedIn),
            None => {}
        }
        match self.session_counts(slot) {
            (0, _) => Err(Error::SessionHandleInvalid),
            (all, read_write) if user == User::So && all > read_write => Err(Error::SessionReadOnlyExists),
            _ => Ok(()),
        }
    }

    /// How often `C_Logout` was called on a slot.
    pub fn logouts(&self, slot: u64) -> u64 {
        lock::read(&self.logouts).get(&slot).copied().unwrap_or(0)
    }

    /// Logs out: private session objects go, handles of private token objects become invalid, and operations on private
    /// keys end.
    pub fn log_out(&self, slot: u64) {
        lock::write(&self.logins).remove(&slot);
        *lock::write(&self.logouts).entry(slot).or_default() += 1;
        self.drop_objects(|object| is_on(object, slot) && object.is_private());
        // A call in one of them may want any other lock of the application, so none is held here.
        let on_slot = |(session, _): &(Arc<Session>, Share)| (session.slot == slot).then(|| session.clone());
        let sessions: Vec<_> = lock::read(&self.sessions).values().filter_map(on_slot).collect();
        for session in sessions {
            lock::lock(&session.operations).end_private();
        }
    }

    /// A session object.
    pub fn object(&self, handle: u64) -> Option<Arc<Object>> {
        lock::read(&self.objects).get(&handle).map(|(object, _)| object.clone())
    }

    /// Adds a session object.
    ///
    /// # Errors
    /// `DeviceMemory` beyond the [`Limits`]; `SessionHandleInvalid` when
    /// its session has closed meanwhile.
    pub fn insert(&self, session: u64, object: Arc<Object>) -> Result<()> {
        let sessions = lock::read(&self.sessions);
        if !sessions.contains_key(&session) {
            return Err(Error::SessionHandleInvalid);
        }
        let mut objects = lock::write(&self.objects);
        let bytes: u64 = objects.values().map(|(_, share)| share.bytes).sum();
        let (limits, more) = (&self.limits, object.size_when_made);
        if objects.len() as u64 >= limits.session_objects || bytes + more > limits.session_object_bytes {
            return Err(Error::DeviceMemory);
        }
        let share = Share::take(&self.tally, limits, (0, 1, more)).ok_or(Error::DeviceMemory)?;
        objects.insert(object.handle, (object, share));
        Ok(())
    }

    /// Removes a session object.
    pub fn remove(&self, handle: u64) {
        lock::write(&self.objects).remove(&handle);
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
        let on_slot = |(object, _): &(Arc<Object>, Share)| is_on(object, slot).then(|| object.clone());
        let objects: Vec<_> = lock::read(&self.objects).values().filter_map(on_slot).collect();
        let mut found = Vec::new();
        for object in objects {
            if object.matches(template, daemon, now)? {
                found.push(object);
            }
        }
        found.sort_by_key(|object| object.handle);
        Ok(found)
    }

    fn drop_objects(&self, gone: impl Fn(&Object) -> bool) {
        lock::write(&self.objects).retain(|_, (object, _)| !gone(object));
    }
}

fn is_on(object: &Object, on: u64) -> bool {
    matches!(object.home, Home::Session { slot, .. } if slot == on)
}
