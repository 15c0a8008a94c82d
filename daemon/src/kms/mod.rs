//! The key service: key rings, keys, versions, their states, import jobs.
//!
//! * [`record`]: what the store keeps
//! * [`state`]: states and transitions, and the one function that tells which state holds now
//! * [`algorithm`]: purposes, algorithms, protection levels
//! * [`load`]: the store into the catalog, at start
//! * [`rings`], [`keys`], [`versions`], [`objects`], [`import`]: changes, each one commit
//! * [`time`]: times as they are stored and shown

pub mod algorithm;
pub mod import;
pub mod keys;
pub mod load;
pub mod objects;
pub mod record;
pub mod rings;
pub mod state;
pub mod time;
pub mod versions;
