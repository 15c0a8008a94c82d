//! The module loaded once more.
//!
//! The daemon tells applications apart by their `C_Initialize`, and a module has one per copy in memory. The
//! loader joins a file that it has loaded before, so each application here loads a copy of the file: one test
//! process is as many applications as it likes, and tests that run side by side share nothing.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use claviger_protocol::flags::session::{RW_SESSION, SERIAL_SESSION};
use claviger_protocol::flags::user;
use cryptoki::context::Pkcs11;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use crate::daemon::Daemon;
use crate::harness::Ring;
use crate::raw::{Arguments, Raw};
use crate::{artefacts, process};

/// An application: the module between `C_Initialize` and `C_Finalize`.
pub struct Application {
    /// The `cryptoki` crate on this module.
    pub pkcs11: Pkcs11,
    /// The C ABI of the same module.
    pub raw: Raw,
}

impl Application {
    /// Loads a copy of the module into `directory`, without initialising it.
    pub fn load(directory: &Path) -> Application {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let copy = directory.join(format!("module-{}-{number}.so", std::process::id()));
        // Unlike reading and writing, copying is not gone on with by itself when a signal interrupts it.
        while let Err(error) = std::fs::copy(artefacts::module(), &copy) {
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "copying the module: {error}");
        }
        let application = Application {
            pkcs11: Pkcs11::new(&copy).expect("loading the module through cryptoki"),
            raw: Raw::load(&copy),
        };
        // It is in memory now.
        let _ = std::fs::remove_file(&copy);
        application
    }

    /// An application of this daemon.
    pub fn on(daemon: &Daemon) -> Application {
        let application = Application::load(daemon.root());
        initialize(&application.raw, &daemon.pkcs11_socket(), Arguments::Flags(2)).expect("C_Initialize");
        application
    }

    /// The slot of a key ring's token.
    pub fn slot(&self, ring: &Ring) -> u64 {
        let (_, count, _) = self.raw.slots(true, None);
        let (rv, _, slots) = self.raw.slots(true, Some(count + 8));
        assert_eq!(rv, claviger_protocol::Rv::OK);
        let mut label = [b' '; 32];
        label[..ring.label.len()].copy_from_slice(ring.label.as_bytes());
        slots
            .into_iter()
            .find(|slot| self.raw.token_info(*slot).is_ok_and(|info| info.label == label))
            .unwrap_or_else(|| panic!("no slot has a token {:?}", ring.label))
    }

    /// The same for the `cryptoki` crate.
    pub fn cryptoki_slot(&self, ring: &Ring) -> Slot {
        Slot::try_from(self.slot(ring)).expect("a slot number")
    }

    /// A read-write session in which nobody is logged in.
    pub fn open(&self, ring: &Ring) -> u64 {
        self.raw.open_session(self.slot(ring), RW_SESSION | SERIAL_SESSION).expect("C_OpenSession")
    }

    /// A read-write session with the user logged in.
    pub fn login(&self, ring: &Ring) -> u64 {
        let session = self.open(ring);
        self.raw.login(session, user::USER, Some(ring.user_pin.as_bytes())).expect("C_Login");
        session
    }

    /// The same as a session of the `cryptoki` crate.
    pub fn cryptoki_login(&self, ring: &Ring) -> Session {
        let session = self.pkcs11.open_rw_session(self.cryptoki_slot(ring)).expect("C_OpenSession");
        let pin = AuthPin::new(ring.user_pin.as_str().into());
        session.login(UserType::User, Some(&pin)).expect("C_Login");
        session
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // It may never have been initialised, or be finalised already.
        let _ = self.raw.finalize(false);
    }
}

/// `C_Initialize` with the module's socket set in the environment, which is shared by the whole process.
///
/// # Errors
/// The return value.
pub fn initialize(raw: &Raw, socket: &Path, arguments: Arguments) -> claviger_protocol::Result<()> {
    static ENVIRONMENT: Mutex<()> = Mutex::new(());
    let _alone = ENVIRONMENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    process::set_variable("CLAVIGER_SOCKET", socket);
    raw.initialize(arguments)
}
