//! The meaning of each admin verb (table 5), one file per group of verbs.
//!
//! * [`args`]: the arguments of a verb, checked against its row
//! * [`names`]: resource names, short and full, to what they name
//! * [`json`]: resources as JSON documents
//! * [`status`], [`keyrings`], [`keys`], [`versions`], [`import_jobs`]: the verbs

use std::sync::Arc;

use claviger_protocol::admin::{Request, Verb};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::server::Peer;
use args::Args;

pub mod args;
pub mod import_jobs;
pub mod json;
pub mod keyrings;
pub mod keys;
pub mod names;
pub mod status;
pub mod versions;

/// One verb to be carried out.
pub struct Call<'a> {
    /// The daemon.
    pub daemon: &'a Arc<Daemon>,
    /// Who said it.
    pub peer: &'a Peer,
    /// What was said.
    pub args: Args,
    /// When it was said.
    pub now: Time,
}

type Handler = fn(&Call<'_>) -> Result<Value>;

/// The handlers by the verbs' numbers.
const HANDLERS: &[(u16, Handler)] = &[
    (1, status::status),
    (10, keyrings::create),
    (11, keyrings::list),
    (12, keyrings::describe),
    (20, keys::create),
    (21, keys::list),
    (22, keys::describe),
    (40, versions::create),
    (41, versions::list),
    (42, versions::describe),
    (43, versions::enable),
    (44, versions::disable),
    (45, versions::destroy),
    (46, versions::restore),
    (47, versions::import),
    (48, versions::get_public_key),
    (60, import_jobs::create),
    (61, import_jobs::list),
    (62, import_jobs::describe),
    (63, import_jobs::wait),
];

/// Carries out a verb and gives its document. Blocks: for the disk, for the generation of keys, and for an import
/// job that is being waited for.
///
/// # Errors
/// Every error of the key service, and `InvalidArgument` for arguments that the verb does not have.
pub fn handle(daemon: &Arc<Daemon>, peer: &Peer, verb: &Verb, request: Request) -> Result<Value> {
    let handler = HANDLERS.iter().find(|(number, _)| *number == verb.number);
    let (_, handler) = handler.ok_or_else(|| Error::Unimplemented { what: verb.path.to_owned() })?;
    let args = Args::read(verb, request)?;
    handler(&Call { daemon, peer, args, now: Time::now() })
}

#[cfg(test)]
mod tests;
