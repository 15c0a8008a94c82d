//! Uses of keys on their way into the log. Who uses a key leaves a note in a list that no other thread of clients
//! uses, and goes on; uses that are alike become one note with a count.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::log::Audit;
use super::principal::Principal;
use super::record::{Record, resource_type};
use super::settings::UseRule;
use crate::catalog::VersionCell;
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::lock;
use crate::server::Peer;
use crate::session_table::User;
use crate::token::Token;

/// Lists of notes. Threads take turns.
const LISTS: usize = 32;
/// How many notes back one that is alike is looked for.
const LOOK_BACK: usize = 8;
/// Notes of a list; more are only counted.
const MAX_NOTES: usize = 16_384;

/// A use of a key through PKCS#11.
#[derive(Clone, Copy)]
pub struct Use<'a> {
    /// `P11.C_Sign` and its like.
    pub operation: &'static str,
    /// The version; none for a session object.
    pub version: Option<&'a Arc<VersionCell>>,
    /// The version's name when only that is known.
    pub name: &'a str,
    /// The token.
    pub token: Option<&'a Arc<Token>>,
    /// `CK_MECHANISM_TYPE`.
    pub mechanism: Option<u64>,
    /// The session's handle.
    pub session: u64,
    /// Who is logged in.
    pub login: Option<User>,
    /// Whose process it is.
    pub peer: Peer,
    /// What stopped it.
    pub error: Option<&'a Error>,
}

struct Note {
    operation: &'static str,
    version: Option<Arc<VersionCell>>,
    name: String,
    token: Option<Arc<Token>>,
    mechanism: Option<u64>,
    session: u64,
    login: Option<User>,
    peer: Peer,
    error: Option<Error>,
    count: u64,
    first: i64,
    last: i64,
}

impl Note {
    fn is_like(&self, used: &Use<'_>) -> bool {
        same(self.version.as_ref(), used.version)
            && same(self.token.as_ref(), used.token)
            && self.name == used.name
            && self.session == used.session
            && std::ptr::eq(self.operation, used.operation)
            && self.mechanism == used.mechanism
            && self.login == used.login
            && self.peer == used.peer
            && self.error.as_ref() == used.error
    }
}

fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// The notes that are not in the log yet.
pub(super) struct Uses {
    lists: [Mutex<Vec<Note>>; LISTS],
    pub bell: Arc<Bell>,
}

/// Wakes the thread that empties the lists.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    sleeps: Mutex<()>,
    wake: Condvar,
}

impl Bell {
    /// Waits until there is something to do, at most so long, or without end. True when there is.
    pub fn wait(&self, patience: Option<Duration>) -> bool {
        let sleeps = lock::lock(&self.sleeps);
        let quiet = |_: &mut ()| !self.rung.load(Ordering::Acquire);
        match patience {
            Some(patience) => {
                let waited = self.wake.wait_timeout_while(sleeps, patience, quiet);
                drop(waited.unwrap_or_else(std::sync::PoisonError::into_inner));
            }
            None => {
                let waited = self.wake.wait_while(sleeps, quiet);
                drop(waited.unwrap_or_else(std::sync::PoisonError::into_inner));
            }
        }
        self.rung.load(Ordering::Acquire)
    }

    /// From now on a ring means something new.
    pub fn quiet(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

impl Default for Uses {
    fn default() -> Self {
        Self { lists: std::array::from_fn(|_| Mutex::default()), bell: Arc::default() }
    }
}

impl Uses {
    /// There is something to bring onto the disk.
    pub fn ring(&self) {
        if !self.bell.rung.swap(true, Ordering::AcqRel) {
            let _sleeps = lock::lock(&self.bell.sleeps);
            self.bell.wake.notify_all();
        }
    }

    /// Leaves a note; false when there is no room.
    fn note(&self, used: &Use<'_>) -> bool {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % LISTS;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
        let mut notes = lock::lock(&self.lists[OWN.with(|own| *own)]);
        if let Some(note) = notes.iter_mut().rev().take(LOOK_BACK).find(|note| note.is_like(used)) {
            note.count += 1;
            note.last = now;
            return true;
        }
        if notes.len() >= MAX_NOTES {
            return false;
        }
        notes.push(Note {
            operation: used.operation,
            version: used.version.cloned(),
            name: used.name.to_owned(),
            token: used.token.cloned(),
            mechanism: used.mechanism,
            session: used.session,
            login: used.login,
            peer: used.peer,
            error: used.error.cloned(),
            count: 1,
            first: now,
            last: now,
        });
        drop(notes);
        self.ring();
        true
    }
}

impl Audit {
    /// Records a use of a key, by the rule of the configuration. Takes well under a microsecond unless the rule is
    /// `sync`.
    ///
    /// # Errors
    /// `StoreRefused` under `sync` when it cannot be recorded, and then the key may not be used.
    pub fn used(&self, used: &Use<'_>) -> Result<()> {
        match self.settings.r#use {
            UseRule::Off if used.error.is_none() => Ok(()),
            UseRule::Sync => {
                let now = Time::wall().0;
                let note = Note {
                    operation: used.operation,
                    version: used.version.cloned(),
                    name: used.name.to_owned(),
                    token: used.token.cloned(),
                    mechanism: used.mechanism,
                    session: used.session,
                    login: used.login,
                    peer: used.peer,
                    error: used.error.cloned(),
                    count: 1,
                    first: now,
                    last: now,
                };
                with_record(&note, |record| self.append_durably(record)).map(drop)
            }
            UseRule::Batched | UseRule::Off => {
                if !self.uses.note(used) {
                    self.lose(1);
                }
                Ok(())
            }
        }
    }

    /// True when uses of keys must be on the disk before they happen.
    pub fn uses_are_synced(&self) -> bool {
        self.settings.r#use == UseRule::Sync
    }

    /// True when uses of keys that went well are recorded.
    pub fn records_uses(&self) -> bool {
        self.settings.r#use != UseRule::Off
    }

    /// Moves the notes into the log.
    pub(super) fn collect(&self) {
        self.uses.bell.quiet();
        for list in &self.uses.lists {
            let notes = std::mem::take(&mut *lock::lock(list));
            for note in &notes {
                // What could not be put has been counted; the rest of the count is lost with it.
                if with_record(note, |record| self.append(record)).is_err() {
                    self.lose(note.count - 1);
                }
            }
        }
    }
}

fn with_record<T>(note: &Note, put: impl FnOnce(&Record<'_>) -> T) -> T {
    let ring = note.token.as_ref().map(|token| token.ring().name.to_string()).unwrap_or_default();
    let name = match &note.version {
        Some(version) => &version.name(),
        None if note.name.is_empty() => &ring,
        None => &note.name,
    };
    let by = Principal::Peer(note.peer);
    let role = note.token.as_ref().map(|token| role(note.login, token)).unwrap_or_default();
    let mut request = Map::new();
    if let Some(mechanism) = note.mechanism {
        request.insert("mechanism".to_owned(), json!(mechanism_name(mechanism)));
    }
    if note.version.is_none() && note.name.is_empty() {
        request.insert("object".to_owned(), json!("session"));
    }
    if note.count > 1 {
        request.insert("count".to_owned(), json!(note.count));
        request.insert("firstTime".to_owned(), json!(Time(note.first).rfc3339()));
        request.insert("lastTime".to_owned(), json!(Time(note.last).rfc3339()));
    }
    let message = note.error.as_ref().map(ToString::to_string).unwrap_or_default();
    let record = Record {
        role: &role,
        session: note.session,
        request: Value::Object(request),
        ..Record::new(note.operation, &by, "pkcs11").about(resource_type(name), name)
    };
    put(&match &note.error {
        Some(error) => record.with_error(error, &message),
        None => record,
    })
}

/// The name of a PKCS#11 role.
pub(crate) fn role(login: Option<User>, token: &Token) -> String {
    match login {
        Some(User::User) => format!("token-user:{}", token.ring().name.id),
        Some(User::So) => format!("token-so:{}", token.ring().name.id),
        None => String::new(),
    }
}

/// `CKM_…` or its number.
pub(crate) fn mechanism_name(number: u64) -> String {
    claviger_protocol::MechanismType(number).to_string()
}
