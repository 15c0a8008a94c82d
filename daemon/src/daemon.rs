//! The daemon's state, shared by all connections.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use serde_json::json;

use crate::access::Access;
use crate::access::pin::Pepper;
use crate::access::resume::TicketKey;
use crate::application::Applications;
use crate::audit::{self, Audit, IntentSearch, Principal};
use crate::backups::Backups;
use crate::catalog::{Catalog, VersionCell};
use crate::error::{Error, Result};
use crate::events::{Events, Name};
use crate::handle::Handles;
use crate::kms::clock::{self, CLOCK, Mark};
use crate::kms::settings::Settings;
use crate::kms::time::Time;
use crate::store::{Change, Records, RootSource, Tree, label};

/// Place of the clock's [`Mark`] in the store.
const CLOCK_MARK: &[u8] = b"clock";
/// Place of the audit log's [`audit::Keys`] in the store.
const AUDIT_KEYS: &[u8] = b"audit";

/// Everything that lives as long as the daemon.
pub struct Daemon {
    /// The durable records.
    pub records: Records,
    /// The records in memory.
    pub catalog: Catalog,
    /// The applications that are connected.
    pub applications: Applications,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Authenticates resume tickets.
    pub ticket_key: TicketKey,
    /// Keys the PIN verifiers.
    pub pepper: Pepper,
    /// Where the root key comes from; unset where nobody may change it.
    pub root_source: OnceLock<RootSource>,
    /// Backups that are being fetched.
    pub backups: Backups,
    /// Gives out handles of sessions and session objects.
    pub handles: Handles,
    /// When the daemon started.
    pub started: Instant,
    /// What the configuration says about the life of keys.
    pub settings: Settings,
    /// The audit log.
    pub audit: Arc<Audit>,
    /// What somebody should hear of.
    pub events: Events,
    /// The leap of the clock that is held has been told of.
    pub leap_told: AtomicBool,
    /// Versions whose use is not in the store yet.
    pub used: Mutex<Vec<Arc<VersionCell>>>,
}

impl Daemon {
    /// A daemon over an open store.
    ///
    /// # Errors
    /// What reading the store gives.
    pub fn new(records: Records) -> Result<Arc<Daemon>> {
        let settings = Settings { any_location: true, ..Settings::default() };
        Daemon::with(records, settings, Audit::in_memory())
    }

    /// A daemon over an open store, with settings and an audit log.
    ///
    /// # Errors
    /// What reading the store gives.
    pub fn with(records: Records, settings: Settings, audit: Audit) -> Result<Arc<Daemon>> {
        let pepper = records.subkey(label::PIN_PEPPER)?;
        let ticket_key = TicketKey::new(records.subkey(label::TICKET_MAC)?);
        let daemon = Daemon {
            records,
            catalog: Catalog::default(),
            applications: Applications::default(),
            access: Arc::default(),
            ticket_key,
            pepper: Pepper::new(pepper),
            root_source: OnceLock::new(),
            backups: Backups::default(),
            handles: Handles::new()?,
            started: Instant::now(),
            settings,
            audit: Arc::new(audit),
            events: Events::default(),
            leap_told: AtomicBool::new(false),
            used: Mutex::default(),
        };
        daemon.load()?;
        daemon.bury(Time::now())?;
        let daemon = Arc::new(daemon);
        daemon.close_intents();
        daemon.destroy_due(Time::now())?;
        daemon.announce_destructions(Time::now())?;
        daemon.resume_import_jobs();
        Ok(daemon)
    }

    /// Opens the audit log, whose keys are in the store.
    ///
    /// # Errors
    /// What the store or the file system say.
    pub fn open_audit(
        records: &Records,
        directory: &Path,
        settings: audit::Settings,
        intents: IntentSearch,
    ) -> Result<Audit> {
        let keys = match records.get::<audit::Keys>(Tree::Meta, AUDIT_KEYS)? {
            Some(keys) => keys,
            None => {
                let keys = audit::Keys::random()?;
                let mut change = Change::new();
                change.put(Tree::Meta, AUDIT_KEYS, &keys)?;
                records.commit(change)?;
                keys
            }
        };
        Audit::open_with(directory, keys, settings, intents).map_err(|error| Error::StoreRefused {
            detail: format!("the audit log in {} cannot be opened: {error}", directory.display()),
        })
    }

    /// Starts the clock where the last run left it.
    ///
    /// # Errors
    /// What reading the store gives.
    pub fn start_clock(records: &Records, settings: &Settings) -> Result<bool> {
        let mark = records.get::<Mark>(Tree::Meta, CLOCK_MARK)?;
        Ok(CLOCK.start(settings.trust(), mark, clock::reading()))
    }

    /// Keeps the clock's mark, every minute and at the end.
    ///
    /// # Errors
    /// What the store says.
    pub fn keep_clock(&self) -> Result<()> {
        let held = CLOCK.tick(clock::reading());
        match (self.leap_told.swap(held, Ordering::AcqRel), held) {
            (false, true) => self.tell_of_leap(),
            (true, false) => self.raise(Name::ClockAccepted, "Daemon", "clock", &Principal::Timer, json!({})),
            _ => {}
        }
        let mut change = Change::new();
        change.put(Tree::Meta, CLOCK_MARK, &CLOCK.mark(clock::reading()))?;
        Ok(self.records.commit(change)?)
    }

    /// Says that the clock has leapt, once for each leap.
    pub fn tell_of_leap(&self) {
        self.leap_told.store(true, Ordering::Release);
        let status = CLOCK.status(clock::reading());
        let details = json!({
            "believedTime": status.believed.rfc3339(),
            "wallTime": status.wall.rfc3339(),
        });
        self.raise(Name::ClockJump, "Daemon", "clock", &Principal::Timer, details);
    }
}
