//! The meaning of each admin verb (table 5), one file per group of verbs.
//!
//! * [`args`]: the arguments of a verb, checked against its row
//! * [`authorise`]: who may say which verb about what
//! * [`names`]: resource names, short and full, to what they name
//! * [`json`]: resources as JSON documents
//! * [`listing`]: filter, order and pages
//! * [`aliases`], [`audit`], [`cryptography`], [`status`], [`metrics`], [`store`], [`keyrings`], [`keys`],
//!   [`versions`], [`import_jobs`], [`import_material`], [`projects`], [`policies`], [`logins`]: the verbs

use std::sync::Arc;
use std::time::Instant;

use claviger_protocol::admin::{ArgumentValue, Request, Verb};
use serde_json::Value;

use crate::access::{Identity, Target};
use crate::audit::record::resource_type;
use crate::audit::{Principal, Record};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::server::Peer;
use args::Args;

pub mod aliases;
pub mod args;
pub mod audit;
pub mod authorise;
pub mod cryptography;
pub mod import_jobs;
pub mod import_material;
pub mod json;
pub mod keyrings;
pub mod keys;
pub mod listing;
pub mod logins;
pub mod metrics;
pub mod names;
pub mod policies;
pub mod projects;
pub mod status;
pub mod store;
pub mod versions;

/// One verb to be carried out.
pub struct Call<'a> {
    /// The daemon.
    pub daemon: &'a Arc<Daemon>,
    /// Who said it.
    pub peer: &'a Peer,
    /// The same, with names and groups.
    pub identity: &'a Arc<Identity>,
    /// The action that the verb needs.
    pub action: &'static str,
    /// What was said.
    pub args: Args,
    /// When it was said.
    pub now: Time,
}

type Handler = fn(&Call<'_>) -> Result<Value>;

/// The handlers by the verbs' numbers.
const HANDLERS: &[(u16, Handler)] = &[
    (1, status::status),
    (2, audit::locations),
    (3, audit::algorithms),
    (4, audit::clock_status),
    (5, audit::clock_accept),
    (6, audit::watch),
    (7, metrics::metrics),
    (8, status::config_check),
    (10, keyrings::create),
    (11, keyrings::list),
    (12, keyrings::describe),
    (13, keyrings::update),
    (20, keys::create),
    (21, keys::list),
    (22, keys::describe),
    (23, keys::update),
    (24, keys::enable),
    (25, keys::disable),
    (26, keys::destroy),
    (27, keys::restore),
    (28, keys::protect),
    (29, keys::unprotect),
    (30, keys::set_primary_version),
    (31, keys::rotate),
    (32, keys::rotation_enable),
    (33, keys::rotation_disable),
    (34, keys::rotation_status),
    (35, keys::archive),
    (36, keys::unarchive),
    (37, keys::usage),
    (38, keys::preflight),
    (40, versions::create),
    (41, versions::list),
    (42, versions::describe),
    (43, versions::enable),
    (44, versions::disable),
    (45, versions::destroy),
    (46, versions::restore),
    (47, versions::import),
    (48, versions::get_public_key),
    (49, versions::preflight),
    (50, keys::tags_set),
    (51, keys::tags_unset),
    (52, keys::tags_list),
    (53, keys::bindings_add),
    (54, keys::bindings_remove),
    (55, keys::bindings_list),
    (60, import_jobs::create),
    (61, import_jobs::list),
    (62, import_jobs::describe),
    (63, import_jobs::wait),
    (64, import_material::parameters),
    (65, import_material::import),
    (66, import_material::delete),
    (70, aliases::create),
    (71, aliases::update),
    (72, aliases::delete),
    (73, aliases::list),
    (80, cryptography::encrypt),
    (81, cryptography::decrypt),
    (82, cryptography::raw_encrypt),
    (83, cryptography::raw_decrypt),
    (84, cryptography::reencrypt),
    (85, cryptography::generate_data_key),
    (86, cryptography::asymmetric_sign),
    (87, cryptography::asymmetric_verify),
    (88, cryptography::asymmetric_encrypt),
    (89, cryptography::asymmetric_decrypt),
    (90, cryptography::mac_sign),
    (91, cryptography::mac_verify),
    (92, cryptography::generate_random),
    (93, cryptography::decapsulate),
    (100, audit::list),
    (101, audit::describe),
    (102, audit::verify),
    (103, audit::list),
    (104, audit::export),
    (105, audit::public_key),
    (110, projects::list),
    (111, projects::disable),
    (112, projects::enable),
    (140, store::purge),
    (141, store::rotate_root),
    (142, store::verify),
    (143, store::unseal),
    (144, store::create_backup),
    (145, store::read_backup),
    (146, store::list_backups),
    (147, store::forget_backup),
    (300, policies::of_ring::get),
    (301, policies::of_ring::set),
    (302, policies::of_ring::add_binding),
    (303, policies::of_ring::remove_binding),
    (304, policies::of_key::get),
    (305, policies::of_key::set),
    (306, policies::of_key::add_binding),
    (307, policies::of_key::remove_binding),
    (308, policies::of_job::get),
    (309, policies::of_job::set),
    (310, policies::of_job::add_binding),
    (311, policies::of_job::remove_binding),
    (312, policies::of_location::get),
    (313, policies::of_location::set),
    (314, policies::of_location::add_binding),
    (315, policies::of_location::remove_binding),
    (316, policies::of_project::get),
    (317, policies::of_project::set),
    (318, policies::of_project::add_binding),
    (319, policies::of_project::remove_binding),
    (320, policies::create),
    (321, policies::list),
    (322, policies::describe),
    (323, policies::attach),
    (324, policies::detach),
    (325, policies::test),
    (326, policies::template),
    (327, policies::delete),
    (330, logins::reset_pin),
    (331, logins::unlock),
    (332, logins::add),
    (333, logins::remove),
    (334, logins::list),
];

/// What kind of thing a verb does, which decides how it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Changes something: the intent is on the disk before, the outcome comes after.
    Change,
    /// Uses a key: by the rule of the configuration.
    Use,
    /// Only looks.
    Read,
}

/// How the names of actions begin that only look.
const READS: &[&str] = &["Get", "List", "Describe", "Read", "Test"];
/// How the names of actions begin that use keys.
const USES: &[&str] = &[
    "Encrypt",
    "Decrypt",
    "RawEncrypt",
    "RawDecrypt",
    "ReEncrypt",
    "Asymmetric",
    "GenerateMac",
    "VerifyMac",
    "GenerateDataKey",
    "GenerateAndExportDataKey",
    "GenerateRandom",
    "Decapsulate",
];

impl Class {
    fn of(verb: &Verb) -> Class {
        let begins = |starts: &[&str]| starts.iter().any(|start| verb.action.starts_with(start));
        match () {
            () if begins(READS) => Class::Read,
            () if begins(USES) => Class::Use,
            () => Class::Change,
        }
    }
}

/// Verbs of watchers, who ask again and again: what they see is recorded, not that they look.
const WATCHERS: &[u16] = &[6, 103];

impl Call<'_> {
    /// Who said it.
    pub fn principal(&self) -> Principal {
        Principal::Peer(*self.peer)
    }
}

/// Carries out a verb, gives its document, and keeps a record of it. Blocks: for the disk, for the generation of
/// keys, and for an import job that is being waited for.
///
/// # Errors
/// Every error of the key service, and `InvalidArgument` for arguments that the verb does not have.
pub fn handle(daemon: &Arc<Daemon>, peer: &Peer, verb: &Verb, request: Request) -> Result<Value> {
    let identity = Arc::new(Identity::of(*peer, daemon.access.settings()));
    handle_for(daemon, &identity, verb, request)
}

/// As [`handle`], for somebody whose names and groups are known.
///
/// # Errors
/// As of [`handle`], and `PermissionDenied`.
pub fn handle_for(
    daemon: &Arc<Daemon>,
    identity: &Arc<Identity>,
    verb: &Verb,
    request: Request,
) -> Result<Value> {
    let peer = &identity.peer;
    let started = Instant::now();
    let subject = Subject::of(&request);
    let principal = Principal::Peer(*peer);
    let class = Class::of(verb);
    let about = |name| Record {
        request: subject.summary.clone(),
        ..Record::new(verb.action, &principal, "admin").about(resource_type(name), name)
    };
    let is_watcher = WATCHERS.contains(&verb.number);
    let is_change = class == Class::Change || class == Class::Use && daemon.audit.uses_are_synced();
    let intent = is_change.then(|| daemon.audit.begin(&about(&subject.name))).transpose()?;
    let outcome = carry_out(daemon, identity, verb, request);
    if let Err(Error::VersionScheduled { version }) = &outcome {
        daemon.scheduled_use(version, &principal, verb.action);
    }
    let latency = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let write = |record: Record<'_>| {
        let record = Record { latency_micros: latency, ..record };
        match &intent {
            Some(intent) => daemon.audit.end(intent, &record),
            None if is_watcher => {}
            None if class == Class::Use && record.result == "OK" && !daemon.audit.records_uses() => {}
            // What only looks is done whether or not it can be recorded; what is lost is counted.
            None => drop(daemon.audit.append(&record)),
        }
    };
    match &outcome {
        Ok(Value::Array(items)) if items.iter().any(|item| item.get("ok").is_some()) => {
            for item in items {
                let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default();
                let result = if text("/error/code").is_empty() { "OK" } else { text("/error/code") };
                let (reason, message) = (text("/error/reason"), text("/error/message"));
                write(Record { result, reason, message, ..about(text("/name")) });
            }
        }
        Ok(document) => {
            write(about(document.get("name").and_then(Value::as_str).unwrap_or(&subject.name)));
        }
        Err(error) => write(about(&subject.name).with_error(error, &error.to_string())),
    }
    outcome
}

/// What a request is about, as far as it says so itself.
struct Subject {
    name: String,
    summary: Value,
}

impl Subject {
    fn of(request: &Request) -> Subject {
        let text = |wanted: &str| {
            request.arguments.iter().find_map(|(name, value)| match value {
                ArgumentValue::Text(text) if name == wanted => Some(text.clone()),
                ArgumentValue::List(list) if name == wanted => Some(list.join(",")),
                _ => None,
            })
        };
        let own = ["name", "names", "key", "alias", "event-id", "keyring"].iter().find_map(|name| text(name));
        let own = own.unwrap_or_default();
        let name = match (own.contains('/'), text("keyring")) {
            (false, Some(ring)) if ring != own => {
                let place = |name: &str, default: &str| text(name).unwrap_or_else(|| default.to_owned());
                let (project, location) = (place("project", "local"), place("location", "global"));
                let ring = match ring.contains('/') {
                    true => ring,
                    false => format!("projects/{project}/locations/{location}/keyRings/{ring}"),
                };
                match text("version") {
                    Some(version) => format!("{ring}/cryptoKeys/{own}/cryptoKeyVersions/{version}"),
                    None => format!("{ring}/cryptoKeys/{own}"),
                }
            }
            _ => own,
        };
        // Of files only the size: they may be secret.
        let shown = request.arguments.iter().map(|(name, value)| {
            let value = match value {
                ArgumentValue::Flag => Value::Bool(true),
                ArgumentValue::Text(text) => Value::String(text.chars().take(256).collect()),
                ArgumentValue::List(list) => list.iter().take(100).cloned().map(Value::String).collect(),
                ArgumentValue::Bytes(bytes) => Value::String(format!("{} bytes", bytes.len())),
            };
            (name.clone(), value)
        });
        Subject { name, summary: Value::Object(shown.collect()) }
    }
}

fn carry_out(daemon: &Arc<Daemon>, identity: &Arc<Identity>, verb: &Verb, request: Request) -> Result<Value> {
    let handler = HANDLERS.iter().find(|(number, _)| *number == verb.number);
    let (_, handler) = handler.ok_or_else(|| Error::Unimplemented { what: verb.path.to_owned() })?;
    let args = Args::read(verb, request)?;
    let action = authorise::action_of(verb, &args);
    let call = Call { daemon, peer: &identity.peer, identity, action, args, now: Time::now() };
    if authorise::is_about_project(verb) {
        // One that is shut too: its audit records are read, and it is opened again.
        call.authorise(action, &Target::project(call.project_id()?))?;
    }
    handler(&call)
}

#[cfg(test)]
mod tests;
