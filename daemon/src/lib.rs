//! clavigerd: holds the keys and performs every key operation.
//!
//! A call takes five hops: the module's `abi/` and `client.rs`, then [`server`] (frame to request), [`calls`]
//! (handle to session, session to operation), [`crypto`] (bytes to bytes).
//!
//! * [`config`], [`server`], [`process`]: how it starts, listens and stops
//! * [`daemon`]: the state all connections share
//! * [`application`], [`session`], [`operation`]: what a client holds
//! * [`slot`], [`token`], [`object`], [`builtin`], [`attributes`], [`template`], [`handle`]: what PKCS#11 sees
//! * [`profile`]: what a token profile demands beyond the standard
//! * [`generation`]: how modules see at once that something has changed
//! * [`calls`]: the meaning of each C_*, one file per chapter of the standard
//! * [`kms`]: key rings, keys, versions, states, import; [`catalog`]: all of that in memory
//! * [`admin`]: the meaning of each admin verb
//! * [`access`]: PINs and lockout
//! * [`crypto`]: recipes to OpenSSL
//! * [`store`]: durable, sealed records
//! * [`audit`], [`events`]: what happened, for later and for now
//! * [`testing`]: what tests change of the daemon
//! * [`error`]: every fact that stops a call

pub mod access;
pub mod admin;
pub mod application;
pub mod attributes;
pub mod audit;
pub mod backups;
pub mod builtin;
pub mod calls;
pub mod catalog;
pub mod config;
pub mod connection;
pub mod crypto;
pub mod daemon;
pub mod error;
pub mod events;
#[cfg(test)]
mod fuzz_tests;
pub mod generation;
pub mod handle;
#[cfg(test)]
mod inside;
pub mod kms;
pub mod live_keys;
pub mod lock;
pub mod map;
pub mod memory;
pub mod object;
pub mod operation;
pub mod process;
pub mod profile;
pub mod sealed;
pub mod seldom;
pub mod server;
pub mod session;
pub mod session_table;
pub mod sharing;
pub mod slot;
pub mod store;
mod sync;
pub mod template;
pub mod testing;
#[cfg(test)]
mod timing_tests;
pub mod token;
