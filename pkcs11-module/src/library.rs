//! What `C_Initialize` makes and `C_Finalize` ends, per process.
//!
//! A forked child has not called `C_Initialize` (PKCS#11 3.2, section 5.4.1): it begins with nothing, closes its
//! copies of the parent's sockets, and never touches the parent's locks. With `CLAVIGER_FORK_TOLERANT=1` it
//! begins initialised instead, as a new application: for servers whose workers do not call `C_Initialize`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use claviger_protocol::{Result, Rv};

use crate::client::Client;
use crate::ptr::{self, PerProcess};
use crate::socket::{Address, SocketTable};

/// The library, in whatever process asks.
pub struct Library {
    processes: PerProcess<Process>,
}

/// The library in one process.
struct Process {
    /// Between `C_Initialize` and `C_Finalize`.
    client: RwLock<Option<Arc<Client>>>,
    /// Every open socket of this process. Never freed, since connections point to it.
    sockets: &'static SocketTable,
    /// `client` is there: what a child can know without a lock.
    initialized: AtomicBool,
    /// Where a child that begins initialised finds the daemon; nothing when a child begins with nothing.
    child_address: OnceLock<Address>,
}

impl Process {
    fn new() -> Self {
        Self {
            client: RwLock::new(None),
            sockets: Box::leak(Box::new(SocketTable::new())),
            initialized: AtomicBool::new(false),
            child_address: OnceLock::new(),
        }
    }

    /// The library in a forked child.
    fn after_fork(parent: &Self) -> Self {
        parent.sockets.close_inherited();
        let child = Self::new();
        if let Some(address) = parent.child_address.get()
            && parent.initialized.load(Ordering::Acquire)
        {
            // It cannot fail: nobody else knows this process' state yet.
            let _ = child.initialize(address.clone(), true);
        }
        child
    }

    fn initialize(&self, address: Address, fork_tolerant: bool) -> Result<Arc<Client>> {
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if client.is_some() {
            return Err(Rv::CRYPTOKI_ALREADY_INITIALIZED);
        }
        if fork_tolerant {
            // The first C_Initialize decides. `get` on this never waits, which a child relies on.
            let _ = self.child_address.set(address.clone());
        }
        let new = Arc::new(Client::new(address, self.sockets));
        *client = Some(Arc::clone(&new));
        self.initialized.store(true, Ordering::Release);
        Ok(new)
    }
}

impl Library {
    /// Not initialised in any process.
    pub const fn new() -> Self {
        Self { processes: PerProcess::new() }
    }

    fn process(&self) -> &'static Process {
        self.processes.get(|parent| parent.map_or_else(Process::new, Process::after_fork))
    }

    /// Begins, and connects if the daemon is there.
    ///
    /// # Errors
    /// `CKR_CRYPTOKI_ALREADY_INITIALIZED`.
    pub fn initialize(&self) -> Result<()> {
        let fork_tolerant =
            !ptr::at_secure() && std::env::var_os("CLAVIGER_FORK_TOLERANT").is_some_and(|value| value == "1");
        // Outside the lock: a slow daemon shall not hold up who only wants to know that we are initialised.
        self.process().initialize(Address::from_environment(), fork_tolerant)?.warm();
        Ok(())
    }

    /// The client of this process.
    ///
    /// # Errors
    /// `CKR_CRYPTOKI_NOT_INITIALIZED`.
    pub fn client(&self) -> Result<Arc<Client>> {
        let client = self.process().client.read().unwrap_or_else(PoisonError::into_inner);
        client.clone().ok_or(Rv::CRYPTOKI_NOT_INITIALIZED)
    }

    /// Ends.
    ///
    /// # Errors
    /// `CKR_CRYPTOKI_NOT_INITIALIZED`.
    pub fn finalize(&self) -> Result<()> {
        let process = self.process();
        let client = {
            let mut client = process.client.write().unwrap_or_else(PoisonError::into_inner);
            process.initialized.store(false, Ordering::Release);
            client.take().ok_or(Rv::CRYPTOKI_NOT_INITIALIZED)?
        };
        client.close();
        Ok(())
    }

    #[cfg(test)]
    pub fn initialize_at(&self, address: Address, fork_tolerant: bool) -> Result<()> {
        self.process().initialize(address, fork_tolerant)?.warm();
        Ok(())
    }
}

/// The one library of this shared object.
pub static LIBRARY: Library = Library::new();
