//! Events: what somebody should hear of without asking. Each goes to the audit log, to the log, to those who watch,
//! into a counter, and to the hook command.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::{info, warn};

use crate::audit::{Principal, Record};
use crate::daemon::Daemon;
use crate::kms::record::Uid;
use crate::kms::settings::Settings;
use crate::kms::time::Time;
use crate::lock;

/// Events that late watchers can still see.
const KEPT: usize = 1024;
/// Shortest time between two events about uses of one version by one principal, in milliseconds.
const ATTEMPT_PAUSE_MILLIS: i64 = 60_000;
/// Pairs of version and principal whose last event is remembered.
const MAX_ATTEMPTS: usize = 10_000;
/// Events that may wait for the hook.
const HOOK_QUEUE: usize = 256;
/// How long the hook may run for one event.
const HOOK_PATIENCE: Duration = Duration::from_secs(10);

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $loud:literal;)*) => {
        /// What an event is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Name { $($(#[$doc])* $name,)* }

        impl Name {
            /// As it is shown.
            pub fn text(self) -> &'static str {
                match self { $(Name::$name => $text,)* }
            }

            fn is_warning(self) -> bool {
                match self { $(Name::$name => $loud,)* }
            }
        }
    };
}

events! {
    /// A version will be destroyed.
    DestructionScheduled = "DESTRUCTION_SCHEDULED", false;
    /// A version will be destroyed in less than three days.
    DestructionImminent = "DESTRUCTION_IMMINENT", true;
    /// Somebody used a version that will be destroyed.
    ScheduledKeyUseAttempt = "SCHEDULED_KEY_USE_ATTEMPT", true;
    /// A scheduled destruction was taken back.
    Restored = "RESTORED", false;
    /// A version's material is gone.
    Destroyed = "DESTROYED", false;
    /// No copy of a version's material is left anywhere.
    Purged = "PURGED", false;
    /// The clock has leapt; destruction waits.
    ClockJump = "CLOCK_JUMP", true;
    /// A leap of the clock was accepted.
    ClockAccepted = "CLOCK_ACCEPTED", false;
    /// A scheduled rotation made a new version.
    Rotated = "ROTATED", false;
    /// A scheduled rotation failed and will be tried again.
    RotationFailed = "ROTATION_FAILED", true;
    /// The file of a backup is to be destroyed by now.
    BackupExpired = "BACKUP_EXPIRED", true;
}

/// The events of this run.
#[derive(Default)]
pub struct Events {
    state: Mutex<State>,
    bell: Condvar,
    hook: Mutex<Option<SyncSender<String>>>,
}

#[derive(Default)]
struct State {
    last: u64,
    recent: VecDeque<(u64, Value)>,
    counts: BTreeMap<&'static str, u64>,
    attempts: HashMap<(Uid, u32), Time>,
    attempt_count: u64,
}

impl Events {
    /// Events numbered above `after`, and the number of the last one. Waits for one up to `patience`.
    pub fn wait(&self, after: Option<u64>, patience: Duration) -> (Vec<Value>, u64) {
        let state = lock::lock(&self.state);
        let after = after.unwrap_or(state.last);
        let waited = self.bell.wait_timeout_while(state, patience, |state| state.last <= after);
        let (state, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = state.recent.iter().filter(|(number, _)| *number > after).map(|(_, event)| event.clone());
        (new.collect(), state.last)
    }

    /// How many events of each name there were, and how many uses of scheduled versions.
    pub fn counts(&self) -> (BTreeMap<&'static str, u64>, u64) {
        let state = lock::lock(&self.state);
        (state.counts.clone(), state.attempt_count)
    }

    /// Counts a use of a scheduled version; true when it is to be told.
    fn attempt(&self, version: Uid, uid: u32, now: Time) -> bool {
        let mut state = lock::lock(&self.state);
        state.attempt_count += 1;
        let last = state.attempts.get(&(version, uid));
        if last.is_some_and(|last| now.0 - last.0 < ATTEMPT_PAUSE_MILLIS) {
            return false;
        }
        if state.attempts.len() >= MAX_ATTEMPTS {
            state.attempts.retain(|_, last| now.0 - last.0 < ATTEMPT_PAUSE_MILLIS);
        }
        if state.attempts.len() < MAX_ATTEMPTS {
            state.attempts.insert((version, uid), now);
        }
        true
    }

    fn publish(&self, name: Name, event: Value) {
        let mut state = lock::lock(&self.state);
        state.last += 1;
        let number = state.last;
        state.recent.push_back((number, event));
        if state.recent.len() > KEPT {
            state.recent.pop_front();
        }
        *state.counts.entry(name.text()).or_default() += 1;
        drop(state);
        self.bell.notify_all();
    }
}

impl Daemon {
    /// Raises an event about a resource.
    pub fn raise(&self, name: Name, resource_type: &str, resource: &str, by: &Principal, details: Value) {
        let operation = format!("Event.{}", name.text());
        let source = if *by == Principal::Timer { "timer" } else { "daemon" };
        let record = Record {
            request: details.clone(),
            ..Record::new(&operation, by, source).about(resource_type, resource)
        };
        let id = self.audit.append(&record).unwrap_or_else(|error| {
            warn!(%error, event = name.text(), "an event is not in the audit log");
            String::new()
        });
        if name.is_warning() {
            warn!(event = name.text(), resource, %details);
        } else {
            info!(event = name.text(), resource, %details);
        }
        let event = json!({
            "eventId": id,
            "eventTime": Time::wall().rfc3339(),
            "event": name.text(),
            "resourceType": resource_type,
            "resourceName": resource,
            "principal": by.name(),
            "details": details,
        });
        if let Some(hook) = &*lock::lock(&self.events.hook)
            && hook.try_send(event.to_string()).is_err()
        {
            warn!(event = name.text(), "the event hook is busy; it does not get this event");
        }
        self.events.publish(name, event);
    }

    /// Somebody used a version that is scheduled for destruction, through either door: counted always, told once a
    /// minute for each version and user.
    pub fn scheduled_use(&self, name: &str, by: &Principal, operation: &str) {
        let Some(cell) = self.catalog.scheduled_by_name(name) else { return };
        let uid = match by {
            Principal::Peer(peer) => peer.uid,
            Principal::Timer => u32::MAX,
        };
        if self.events.attempt(cell.uid, uid, Time::now()) {
            let details = json!({
                "operation": operation,
                "principal": by.name(),
                "destroyTime": cell.record().fate.destroy_time.map(Time::rfc3339),
            });
            self.raise(Name::ScheduledKeyUseAttempt, "CryptoKeyVersion", name, by, details);
        }
    }

    /// Starts the thread that runs the hook command.
    pub fn start_hook(&self, settings: &Settings) {
        let [program, arguments @ ..] = settings.event_hook.as_slice() else { return };
        if settings.event_hook_uid.is_none() && nix::unistd::geteuid().is_root() {
            warn!("the event hook does not run: set event_hook_uid, so that it does not run as root");
            return;
        }
        let (program, arguments, uid) = (program.clone(), arguments.to_vec(), settings.event_hook_uid);
        let (sender, events) = sync_channel::<String>(HOOK_QUEUE);
        let run = move || {
            for event in events {
                if let Err(error) = run_hook(&program, &arguments, uid, &event) {
                    warn!(program, %error, "the event hook failed");
                }
            }
        };
        match std::thread::Builder::new().name("event-hook".to_owned()).spawn(run) {
            Ok(_) => *lock::lock(&self.events.hook) = Some(sender),
            Err(error) => warn!(%error, "no thread for the event hook"),
        }
    }
}

/// Runs the hook for one event, without a shell.
fn run_hook(program: &str, arguments: &[String], uid: Option<u32>, event: &str) -> std::io::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let mut child = command.spawn()?;
    // An event is shorter than a pipe: this does not block.
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(event.as_bytes()));
    let end = Instant::now() + HOOK_PATIENCE;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return written,
            Some(status) => return Err(std::io::Error::other(format!("it ended with {status}"))),
            None if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill()?;
                child.wait()?;
                return Err(std::io::Error::other("it took too long and was killed"));
            }
        }
    }
}
