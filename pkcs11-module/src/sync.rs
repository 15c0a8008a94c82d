//! What threads meet in, by one name: `conformance/tests/models` puts loom's in its place.

pub use std::sync::atomic::{AtomicBool, Ordering};
pub use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks; whatever panicked with the lock held has left something whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
