//! The session table of an application: its sessions, who is logged in on which slot, and its session objects.

use crate::error::{Error, Result};
use crate::lock;
use crate::map::Map;
use crate::sync::{Arc, RwLock};

/// Who is logged in on a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum User {
    /// The security officer.
    So,
    /// The normal user.
    User,
}

/// What the table has to know of a session.
pub trait OnSlot {
    /// The slot that it is on.
    fn slot(&self) -> u64;
    /// `CKF_RW_SESSION`.
    fn is_read_write(&self) -> bool;
    /// Ends its operations with private keys. The caller holds no lock.
    fn end_private(&self);
}

/// What the table has to know of a session object.
pub trait OfSession {
    /// The session that made it, and the slot of that.
    fn home(&self) -> (u64, u64);
    /// `CKA_PRIVATE`.
    fn is_private(&self) -> bool;
}

/// See the module's documentation. Each session `S` and each object `O` is there with a lease `L`, which is dropped when
/// it goes. Locks are taken in the order of the fields.
pub struct SessionTable<S, O, L> {
    logins: RwLock<Map<u64, User>>,
    sessions: RwLock<Map<u64, (Arc<S>, L)>>,
    objects: RwLock<Map<u64, (Arc<O>, L)>>,
    /// How often `C_Logout` was called, by slot.
    logouts: RwLock<Map<u64, u64>>,
}

impl<S, O, L> Default for SessionTable<S, O, L> {
    /// No session, nobody logged in.
    fn default() -> Self {
        Self {
            logins: RwLock::new(Map::default()),
            sessions: RwLock::new(Map::default()),
            objects: RwLock::new(Map::default()),
            logouts: RwLock::new(Map::default()),
        }
    }
}

impl<S: OnSlot, O: OfSession, L> SessionTable<S, O, L> {
    /// The sessions and logins.
    pub fn held(&self) -> (Vec<Arc<S>>, Vec<(u64, User)>) {
        let logins = lock::read(&self.logins).iter().map(|(slot, user)| (*slot, *user)).collect();
        (lock::read(&self.sessions).values().map(|(session, _)| session.clone()).collect(), logins)
    }

    /// Goes on with sessions, each with its handle, and logins.
    ///
    /// # Errors
    /// `SessionExists` when there are sessions.
    pub fn resume(&self, sessions: Vec<(u64, S, L)>, logins: Vec<(u64, User)>) -> Result<()> {
        let mut own_logins = lock::write(&self.logins);
        let mut own_sessions = lock::write(&self.sessions);
        if !own_sessions.is_empty() {
            return Err(Error::SessionExists);
        }
        own_sessions.extend(
            sessions.into_iter().map(|(handle, session, lease)| (handle, (Arc::new(session), lease))),
        );
        own_logins.extend(logins);
        Ok(())
    }

    /// The session with this handle.
    ///
    /// # Errors
    /// `SessionHandleInvalid`.
    pub fn session(&self, handle: u64) -> Result<Arc<S>> {
        let sessions = lock::read(&self.sessions);
        sessions.get(&handle).map(|(session, _)| session.clone()).ok_or(Error::SessionHandleInvalid)
    }

    /// Opens a session, with the lease that `lease` gives for one more than so many.
    ///
    /// # Errors
    /// `SessionReadWriteSoExists` for a read-only session while the security officer is logged in, and what `lease` gives.
    pub fn open(&self, handle: u64, session: S, lease: impl FnOnce(usize) -> Result<L>) -> Result<()> {
        let logins = lock::read(&self.logins);
        if !session.is_read_write() && logins.get(&session.slot()) == Some(&User::So) {
            return Err(Error::SessionReadWriteSoExists);
        }
        let mut sessions = lock::write(&self.sessions);
        let lease = lease(sessions.len())?;
        sessions.insert(handle, (Arc::new(session), lease));
        Ok(())
    }

    /// Closes a session with its objects; closing the last one on a token logs out.
    ///
    /// # Errors
    /// `SessionHandleInvalid`.
    pub fn close(&self, handle: u64) -> Result<()> {
        let mut logins = lock::write(&self.logins);
        let mut sessions = lock::write(&self.sessions);
        let (session, _) = sessions.remove(&handle).ok_or(Error::SessionHandleInvalid)?;
        if !sessions.values().any(|(other, _)| other.slot() == session.slot()) {
            logins.remove(&session.slot());
        }
        drop((sessions, logins));
        self.drop_objects(|object| object.home().0 == handle);
        Ok(())
    }

    /// Closes all sessions on a slot, which logs out.
    pub fn close_all(&self, slot: u64) {
        let mut logins = lock::write(&self.logins);
        lock::write(&self.sessions).retain(|_, (session, _)| session.slot() != slot);
        logins.remove(&slot);
        drop(logins);
        self.drop_objects(|object| object.home().1 == slot);
    }

    /// Closes all sessions.
    pub fn clear(&self) {
        lock::write(&self.sessions).clear();
        lock::write(&self.logins).clear();
        lock::write(&self.objects).clear();
    }

    /// Sessions on a slot: all, and the read-write ones.
    pub fn session_counts(&self, slot: u64) -> (u64, u64) {
        let sessions = lock::read(&self.sessions);
        let on_slot = sessions.values().map(|(session, _)| session).filter(|session| session.slot() == slot);
        on_slot.fold((0, 0), |(all, rw), session| (all + 1, rw + u64::from(session.is_read_write())))
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
    /// As [`SessionTable::may_log_in`].
    pub fn log_in(&self, slot: u64, user: User) -> Result<()> {
        let mut logins = lock::write(&self.logins);
        self.check_login(&logins, slot, user)?;
        logins.insert(slot, user);
        Ok(())
    }

    /// The caller holds the logins' lock.
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
        self.drop_objects(|object| object.home().1 == slot && object.is_private());
        // A call in one of them may want any other lock of the application, so none is held here.
        let on_slot = |(session, _): &(Arc<S>, L)| (session.slot() == slot).then(|| session.clone());
        let sessions: Vec<_> = lock::read(&self.sessions).values().filter_map(on_slot).collect();
        sessions.iter().for_each(|session| session.end_private());
    }

    /// A session object.
    pub fn object(&self, handle: u64) -> Option<Arc<O>> {
        lock::read(&self.objects).get(&handle).map(|(object, _)| object.clone())
    }

    /// Adds a session object, with the lease that `lease` gives for one more than those with these leases.
    ///
    /// # Errors
    /// `SessionHandleInvalid` when its session has closed meanwhile, `UserNotLoggedIn` for a private object when nobody is
    /// logged in any more, and what `lease` gives.
    pub fn insert(
        &self,
        handle: u64,
        object: Arc<O>,
        lease: impl FnOnce(&mut dyn ExactSizeIterator<Item = &L>) -> Result<L>,
    ) -> Result<()> {
        let (session, slot) = object.home();
        let logins = lock::read(&self.logins);
        let sessions = lock::read(&self.sessions);
        if !sessions.contains_key(&session) {
            return Err(Error::SessionHandleInvalid);
        }
        if object.is_private() && !logins.contains_key(&slot) {
            return Err(Error::UserNotLoggedIn);
        }
        let mut objects = lock::write(&self.objects);
        let lease = lease(&mut objects.values().map(|(_, lease)| lease))?;
        objects.insert(handle, (object, lease));
        Ok(())
    }

    /// Removes a session object.
    pub fn remove(&self, handle: u64) {
        lock::write(&self.objects).remove(&handle);
    }

    /// The session objects on a slot.
    pub fn objects_on(&self, slot: u64) -> Vec<Arc<O>> {
        let on_slot = |(object, _): &(Arc<O>, L)| (object.home().1 == slot).then(|| object.clone());
        lock::read(&self.objects).values().filter_map(on_slot).collect()
    }

    fn drop_objects(&self, gone: impl Fn(&O) -> bool) {
        lock::write(&self.objects).retain(|_, (object, _)| !gone(object));
    }
}
