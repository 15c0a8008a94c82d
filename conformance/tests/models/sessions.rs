//! The session table: what PKCS#11 says of sessions and logins (3.2, section 5.6) holds however the calls of an
//! application's threads come together.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::error::Error;
use crate::session_table::{OfSession, OnSlot, SessionTable, User};

const SLOT: u64 = 1;

struct Session {
    is_read_write: bool,
    /// How often its private operations were ended.
    ended: Arc<AtomicUsize>,
}

impl OnSlot for Session {
    fn slot(&self) -> u64 {
        SLOT
    }

    fn is_read_write(&self) -> bool {
        self.is_read_write
    }

    fn end_private(&self) {
        self.ended.fetch_add(1, Ordering::AcqRel);
    }
}

struct Object {
    session: u64,
    is_private: bool,
}

impl OfSession for Object {
    fn home(&self) -> (u64, u64) {
        (self.session, SLOT)
    }

    fn is_private(&self) -> bool {
        self.is_private
    }
}

/// Counts what is held, as the daemon does for each user.
struct Lease(Arc<AtomicUsize>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Application {
    table: SessionTable<Session, Object, Lease>,
    leases: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Application {
    fn new() -> Arc<Application> {
        let counter = || Arc::new(AtomicUsize::new(0));
        Arc::new(Application { table: SessionTable::default(), leases: counter(), ended: counter() })
    }

    fn lease(&self) -> Result<Lease, Error> {
        self.leases.fetch_add(1, Ordering::AcqRel);
        Ok(Lease(self.leases.clone()))
    }

    fn open(&self, handle: u64, is_read_write: bool) -> Result<(), Error> {
        let session = Session { is_read_write, ended: self.ended.clone() };
        self.table.open(handle, session, |_| self.lease())
    }

    fn insert(&self, handle: u64, session: u64, is_private: bool) -> Result<(), Error> {
        self.table.insert(handle, Arc::new(Object { session, is_private }), |_| self.lease())
    }

    fn held(&self) -> usize {
        self.leases.load(Ordering::Acquire)
    }
}

/// Runs `other` beside `this` in every order, then `after`.
fn both<T: 'static>(
    before: fn(&Application),
    this: fn(&Application) -> Result<(), Error>,
    other: fn(&Application) -> Result<T, Error>,
    after: fn(&Application, Result<(), Error>, Result<T, Error>),
) {
    loom::model(move || {
        let application = Application::new();
        before(&application);
        let thread = {
            let application = application.clone();
            thread::spawn(move || other(&application))
        };
        let this = this(&application);
        let other = thread.join().unwrap();
        after(&application, this, other);
    });
}

#[test]
fn no_read_only_session_and_security_officer_at_the_same_time() {
    both(
        |application| application.open(1, true).unwrap(),
        |application| application.open(2, false),
        |application| application.table.log_in(SLOT, User::So),
        |application, opened, logged_in| match (opened, logged_in) {
            (Ok(()), Err(Error::SessionReadOnlyExists)) => assert_eq!(application.table.login(SLOT), None),
            (Err(Error::SessionReadWriteSoExists), Ok(())) => assert_eq!(application.held(), 1),
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn one_of_two_users_is_logged_in() {
    both(
        |application| application.open(1, true).unwrap(),
        |application| application.table.log_in(SLOT, User::So),
        |application| application.table.log_in(SLOT, User::User),
        |application, so, user| {
            let refused = Err(Error::UserAnotherAlreadyLoggedIn);
            let logged_in = application.table.login(SLOT);
            let first = (so.clone(), user.clone(), logged_in) == (Ok(()), refused.clone(), Some(User::So));
            assert!(first || (so, user, logged_in) == (refused, Ok(()), Some(User::User)));
        },
    );
}

#[test]
fn nobody_is_logged_in_where_no_session_is_open() {
    both(
        |application| application.open(1, true).unwrap(),
        |application| application.table.close(1),
        |application| application.table.log_in(SLOT, User::User),
        |application, closed, logged_in| {
            assert_eq!(closed, Ok(()));
            assert!(matches!(logged_in, Ok(()) | Err(Error::SessionHandleInvalid)));
            assert_eq!((application.table.login(SLOT), application.held()), (None, 0));
        },
    );
    both(
        |application| application.open(1, true).unwrap(),
        |application| {
            application.table.close_all(SLOT);
            Ok(())
        },
        |application| application.table.log_in(SLOT, User::User),
        |application, _, _| {
            assert_eq!(
                (application.table.login(SLOT), application.table.session_counts(SLOT)),
                (None, (0, 0))
            );
        },
    );
}

#[test]
fn a_session_takes_the_objects_with_it_that_are_made_meanwhile() {
    for close in [
        |application: &Application| application.table.close(1),
        |application: &Application| {
            application.table.close_all(SLOT);
            Ok(())
        },
    ] {
        both(
            |application| application.open(1, true).unwrap(),
            close,
            |application| application.insert(10, 1, false),
            |application, closed, inserted| {
                assert_eq!(closed, Ok(()));
                assert!(matches!(inserted, Ok(()) | Err(Error::SessionHandleInvalid)));
                assert_eq!((application.table.object(10).is_some(), application.held()), (false, 0));
            },
        );
    }
}

#[test]
fn no_private_object_outlives_the_login() {
    both(
        |application| {
            application.open(1, true).unwrap();
            application.table.log_in(SLOT, User::User).unwrap();
            application.insert(10, 1, true).unwrap();
            application.insert(11, 1, false).unwrap();
        },
        |application| {
            application.table.log_out(SLOT);
            Ok(())
        },
        |application| application.insert(12, 1, true),
        |application, _, inserted| {
            assert!(matches!(inserted, Ok(()) | Err(Error::UserNotLoggedIn)));
            let left: Vec<bool> =
                [10, 11, 12].map(|handle| application.table.object(handle).is_some()).into();
            assert_eq!(left, [false, true, false]);
            assert_eq!((application.held(), application.table.logouts(SLOT)), (2, 1));
            assert_eq!(application.ended.load(Ordering::Acquire), 1);
        },
    );
}

#[test]
fn a_session_is_closed_once() {
    both(
        |application| {
            application.open(1, true).unwrap();
            application.open(2, true).unwrap();
            application.table.log_in(SLOT, User::User).unwrap();
        },
        |application| application.table.close(1),
        |application| application.table.close(1),
        |application, this, other| {
            assert_eq!(u8::from(this.is_ok()) + u8::from(other.is_ok()), 1);
            assert_eq!((application.table.login(SLOT), application.held()), (Some(User::User), 1));
        },
    );
}

#[test]
fn sessions_come_back_once_and_not_beside_new_ones() {
    both(
        |_| (),
        |application| {
            let session = Session { is_read_write: true, ended: application.ended.clone() };
            application.table.resume(vec![(1, session, application.lease()?)], vec![(SLOT, User::User)])
        },
        |application| application.open(2, true),
        |application, resumed, opened| {
            assert_eq!(opened, Ok(()));
            match resumed {
                Ok(()) => assert_eq!(application.table.login(SLOT), Some(User::User)),
                Err(error) => assert_eq!((error, application.held()), (Error::SessionExists, 1)),
            }
            let (sessions, logins) = application.table.held();
            assert_eq!((sessions.len(), logins.len()), (application.held(), application.held() - 1));
            application.table.clear();
            assert_eq!((application.held(), application.table.login(SLOT)), (0, None));
        },
    );
}
