//! Live keys: parsed at their first use and kept for the next ones, but no more of them than there is memory for.
//!
//! A key that was used since it was last passed over stays; the first that was not makes room ("second chance",
//! which finds about the least recently used without a list that all who use keys would have to change).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};

use crate::crypto::key::Key;
use crate::error::{Error, Result};
use crate::lock;

/// Most live keys of token objects. One of RSA takes some KiB.
const MOST: usize = 8192;
/// What a live key is taken to need of the memory for private keys, in bytes: four times what RSA-2048 does.
const SECURE_BYTES: usize = 4096;
/// Even the smallest memory for private keys holds as many.
const FEWEST: usize = 4;

/// Those of this process: the memory for private keys is one for all.
pub static LIVE_KEYS: LiveKeys = LiveKeys::with_limit(MOST);

/// Where an object has its live key.
#[derive(Default)]
pub struct LiveKey {
    key: RwLock<Option<Arc<Key>>>,
    used: AtomicBool,
}

/// The live keys that may have to make room, in the order of their coming.
pub struct LiveKeys {
    limit: AtomicUsize,
    queue: Mutex<VecDeque<Weak<LiveKey>>>,
}

impl LiveKey {
    /// A key that stays as long as its object.
    pub fn lasting(key: Arc<Key>) -> LiveKey {
        LiveKey { key: RwLock::new(Some(key)), used: AtomicBool::new(true) }
    }

    fn get(&self) -> Option<Arc<Key>> {
        let key = lock::read(&self.key).clone()?;
        // Most find it set: then all who use the key only read.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(key)
    }
}

impl LiveKeys {
    const fn with_limit(limit: usize) -> LiveKeys {
        LiveKeys { limit: AtomicUsize::new(limit), queue: Mutex::new(VecDeque::new()) }
    }

    /// Leaves room in a memory for private keys of so many bytes.
    pub fn fit(&self, secure_heap_bytes: usize) {
        self.limit.store((secure_heap_bytes / SECURE_BYTES).clamp(FEWEST, MOST), Ordering::Relaxed);
    }

    /// The live key of an object, which `load` makes if there is none.
    ///
    /// # Errors
    /// What `load` gives; where that may be for want of memory, also after half of the others have made room.
    pub fn get(&self, live: &Arc<LiveKey>, load: impl Fn() -> Result<Key>) -> Result<Arc<Key>> {
        if let Some(key) = live.get() {
            return Ok(key);
        }
        let loaded = load().or_else(|error| {
            if !may_want_memory(&error) {
                return Err(error);
            }
            let half = lock::lock(&self.queue).len() / 2;
            if self.shrink(half) { load() } else { Err(error) }
        })?;
        let mut key = lock::write(&live.key);
        if let Some(key) = &*key {
            // Somebody else was faster.
            return Ok(key.clone());
        }
        let loaded = Arc::new(loaded);
        *key = Some(loaded.clone());
        drop(key);
        lock::lock(&self.queue).push_back(Arc::downgrade(live));
        self.shrink(self.limit.load(Ordering::Relaxed));
        Ok(loaded)
    }

    /// Keeps so many, and tells whether any had to go. A key in use lives on until its operation ends.
    fn shrink(&self, limit: usize) -> bool {
        let mut gone = Vec::new();
        let mut queue = lock::lock(&self.queue);
        while queue.len() > limit {
            // Its object may be gone.
            let Some(live) = queue.pop_front().as_ref().and_then(Weak::upgrade) else { continue };
            if live.used.swap(false, Ordering::Relaxed) {
                queue.push_back(Arc::downgrade(&live));
            } else {
                gone.push(lock::write(&live.key).take());
            }
        }
        drop(queue);
        !gone.is_empty()
    }
}

/// True for what is said of a key for which there is no memory. OpenSSL's decoders do not always tell that from damage.
fn may_want_memory(error: &Error) -> bool {
    matches!(error, Error::SecureHeapFull | Error::DataInvalid | Error::Internal { .. })
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn secret(number: usize) -> Result<Key> {
        Ok(Key::Secret(Zeroizing::new(number.to_be_bytes().to_vec())))
    }

    fn is_live(live: &LiveKey) -> bool {
        lock::read(&live.key).is_some()
    }

    #[test]
    fn there_are_never_more_than_the_limit_and_each_can_be_used_in_turn() {
        let keys = LiveKeys::with_limit(10);
        let lives: Vec<Arc<LiveKey>> = (0..1000).map(|_| Arc::default()).collect();
        for _ in 0..3 {
            for (number, live) in lives.iter().enumerate() {
                let key = keys.get(live, || secret(number)).unwrap();
                assert!(matches!(&*key, Key::Secret(value) if **value == number.to_be_bytes()));
                assert!(lives.iter().filter(|live| is_live(live)).count() <= 10);
            }
        }
    }

    #[test]
    fn a_key_that_is_used_all_the_time_stays() {
        let keys = LiveKeys::with_limit(10);
        let favourite: Arc<LiveKey> = Arc::default();
        let first = keys.get(&favourite, || secret(0)).unwrap();
        let others: Vec<Arc<LiveKey>> = (0..1000).map(|_| Arc::default()).collect();
        for (number, live) in others.iter().enumerate() {
            keys.get(live, || secret(number)).unwrap();
            let again = keys.get(&favourite, || panic!("it was loaded again")).unwrap();
            assert!(Arc::ptr_eq(&first, &again));
        }
    }

    #[test]
    fn where_memory_is_short_others_make_room() {
        let keys = LiveKeys::with_limit(100);
        let lives: Vec<Arc<LiveKey>> = (0..500).map(|_| Arc::default()).collect();
        let live = || lives.iter().filter(|live| is_live(live)).count();
        for (number, one) in lives.iter().enumerate() {
            let load = || if live() < 20 { secret(number) } else { Err(Error::DataInvalid) };
            keys.get(one, load).unwrap();
            assert!(live() <= 20);
        }
        let none: Arc<LiveKey> = Arc::default();
        assert_eq!(keys.get(&none, || Err(Error::DataInvalid)).err(), Some(Error::DataInvalid));
        // What is not about memory costs nobody else a key.
        let before = live();
        let gone = keys.get(&none, || Err(Error::KeyHandleInvalid));
        assert_eq!((gone.err(), live()), (Some(Error::KeyHandleInvalid), before));
    }

    #[test]
    fn objects_that_are_gone_are_forgotten_and_lasting_keys_are_not_counted() {
        let keys = LiveKeys::with_limit(2);
        for number in 0..10 {
            keys.get(&Arc::default(), || secret(number)).unwrap();
        }
        let lasting = Arc::new(LiveKey::lasting(Arc::new(secret(1).unwrap())));
        let lives: Vec<Arc<LiveKey>> = (0..5).map(|_| Arc::default()).collect();
        for (number, live) in lives.iter().enumerate() {
            keys.get(live, || secret(number)).unwrap();
            assert!(keys.get(&lasting, || panic!("it was loaded")).is_ok());
        }
        assert_eq!(lives.iter().filter(|live| is_live(live)).count(), 2);
        assert!(lock::lock(&keys.queue).len() <= 2);
    }
}
