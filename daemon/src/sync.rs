//! What threads meet in, by one name: `conformance/tests/models` puts loom's in its place.

pub use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
