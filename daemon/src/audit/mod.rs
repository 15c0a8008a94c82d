//! The audit log: who did what, when, with which key, and what came of it.
//!
//! It is a chain of JSON lines in segment files. Every line has the hash of the line before it and a MAC under a key
//! that changes every 1024 lines and is then forgotten, so that who takes the machine over cannot change what was
//! written before; every now and then a signed checkpoint lets others check what was exported.
//!
//! A change of keys, rings or PINs is recorded before it happens (the intent, on the disk) and after (its outcome).
//! Uses of keys are recorded as [`settings::UseRule`] says, by default together within 100 ms. What cannot be
//! recorded is not done: changes never, uses when the rule is `sync`.
//!
//! * [`record`]: what a record says; [`principal`]: of whom
//! * [`settings`]: the `[audit]` table of the configuration
//! * `chain`: hashes, MACs, signatures; `head`: where the log ends, kept apart so that a cut shows
//! * `segment`: the files; `log`: appending; `open`: finding the end again; `intents`: what was under way
//! * `uses`: uses of keys on their way into the log; `timer`: the thread that brings them there
//! * [`query`], [`verify`], `export`: reading

mod chain;
pub mod export;
mod head;
mod intents;
mod log;
mod open;
pub mod principal;
pub mod query;
pub mod record;
mod segment;
pub mod settings;
mod timer;
mod uses;
pub mod verify;

#[cfg(test)]
mod tests;

pub use chain::Keys;
pub use log::{Audit, Intent, Status};
pub use open::IntentSearch;
pub use principal::{Principal, user_name};
pub use query::Query;
pub use record::Record;
pub use settings::Settings;
pub use uses::Use;
pub(crate) use uses::role;
