//! Group commit: whoever wants what it has applied to be durable syncs for all who have applied by then; those who apply
//! meanwhile wait, and the first of them syncs for all of those.

use crate::lock::lock;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Those who wait for the disk, and what one of them at a time syncs with.
pub struct Group<A> {
    durable: Mutex<Durable<A>>,
    /// Told when somebody has synced.
    synced: Condvar,
}

/// What is durable.
pub struct Durable<A> {
    /// The last revision.
    pub revision: u64,
    /// Whether there is anything to sync with.
    is_open: bool,
    /// What syncing needs. `None` while somebody syncs.
    anchor: Option<A>,
}

impl<A> Durable<A> {
    /// What syncing needs, on a guard of [`Group::settled`].
    pub fn anchor(&mut self) -> Option<&mut A> {
        self.anchor.as_mut()
    }

    /// Begins at a revision.
    pub fn open(&mut self, revision: u64, anchor: A) {
        *self = Durable { revision, is_open: true, anchor: Some(anchor) };
    }
}

impl<A> Group<A> {
    /// Nothing to sync with yet.
    pub fn new() -> Self {
        let durable = Durable { revision: 0, is_open: false, anchor: None };
        Self { durable: Mutex::new(durable), synced: Condvar::new() }
    }

    /// Locks what is durable. Not held during a sync.
    pub fn lock(&self) -> MutexGuard<'_, Durable<A>> {
        lock(&self.durable)
    }

    /// Returns once `revision` is durable. `sync` makes everything durable that is applied, and gives back what it was given
    /// and the revision that is durable then, whatever came of it.
    ///
    /// # Errors
    /// What `refuse` gives, asked whenever there is something left to do, and what `sync` gives to whom it ran for. Those
    /// who waited for a sync that failed ask `refuse`.
    pub fn reach<E>(
        &self,
        revision: u64,
        refuse: impl Fn() -> Result<(), E>,
        sync: impl FnOnce(A) -> (A, u64, Result<(), E>),
    ) -> Result<(), E> {
        let mut durable = self.lock();
        let anchor = loop {
            if durable.revision >= revision {
                return Ok(());
            }
            refuse()?;
            match durable.anchor.take() {
                Some(anchor) => break anchor,
                None => durable = self.wait(durable),
            }
        };
        drop(durable);
        let (anchor, reached, result) = sync(anchor);
        let mut durable = self.lock();
        durable.revision = durable.revision.max(reached);
        durable.anchor = Some(anchor);
        self.synced.notify_all();
        result
    }

    /// The lock on what is durable while nobody syncs. None before [`Durable::open`].
    ///
    /// # Errors
    /// What `refuse` gives, asked whenever somebody syncs.
    pub fn settled<E>(
        &self,
        refuse: impl Fn() -> Result<(), E>,
    ) -> Result<Option<MutexGuard<'_, Durable<A>>>, E> {
        let mut durable = self.lock();
        while durable.anchor.is_none() {
            refuse()?;
            if !durable.is_open {
                return Ok(None);
            }
            durable = self.wait(durable);
        }
        Ok(Some(durable))
    }

    fn wait<'a>(&self, durable: MutexGuard<'a, Durable<A>>) -> MutexGuard<'a, Durable<A>> {
        self.synced.wait(durable).unwrap_or_else(PoisonError::into_inner)
    }
}
