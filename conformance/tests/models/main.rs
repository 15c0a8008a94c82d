//! Models: the code that threads and processes meet in, run by loom in every order that its steps can have and every value
//! that the memory model of C11 lets a thread see. The files are those of the product; what they take from `crate::sync`
//! is loom's here.

mod connection_pool;
mod group_commit;
mod mailbox;
mod sessions;

/// The product's `sync`, of loom.
mod sync {
    pub use loom::sync::atomic::{AtomicBool, Ordering};
    pub use loom::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use std::sync::PoisonError;

    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The product's files. Not all of each is of interest here.
#[allow(dead_code)]
#[path = "../../../daemon/src/store/group.rs"]
mod group;
#[allow(dead_code)]
#[path = "../../../daemon/src/lock.rs"]
mod lock;
#[allow(dead_code)]
#[path = "../../../pkcs11-module/src/pool.rs"]
mod pool;
#[allow(dead_code)]
#[path = "../../../daemon/src/session_table.rs"]
mod session_table;

/// What `session_table` gives of the daemon's errors.
mod error {
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Error {
        SessionExists,
        SessionHandleInvalid,
        SessionReadOnlyExists,
        SessionReadWriteSoExists,
        UserAlreadyLoggedIn,
        UserAnotherAlreadyLoggedIn,
        UserNotLoggedIn,
    }

    pub type Result<T> = std::result::Result<T, Error>;
}

/// The daemon's map hashes with a random number; here each run has to take the same steps.
mod map {
    pub type Map<K, V> = std::collections::BTreeMap<K, V>;
}
