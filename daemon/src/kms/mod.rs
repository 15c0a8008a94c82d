//! The key service: key rings, keys, versions, their states, import jobs.
//!
//! * [`record`]: what the store keeps
//! * [`state`]: states and transitions, and the one function that tells which state holds now
//! * [`algorithm`]: purposes, algorithms, protection levels; [`spec`]: what other clouds call them
//! * [`load`]: the store into the catalog, at start
//! * [`rings`], [`keys`], [`versions`], [`transitions`], [`upkeep`], [`objects`], [`import`], [`purge`]: changes, each one commit
//! * [`cryptography`]: what the key service does with keys
//! * [`projects`]: projects that are shut
//! * [`usage`]: when and how versions were used
//! * [`clock`], [`time`]: the time that life cycles go by; [`settings`]: what the configuration says

pub mod algorithm;
pub mod clock;
pub mod cryptography;
pub mod import;
pub mod keys;
pub mod load;
pub mod objects;
pub mod projects;
pub mod purge;
pub mod record;
pub mod rings;
pub mod settings;
pub mod spec;
pub mod state;
pub mod time;
mod told;
pub mod transitions;
pub mod upkeep;
pub mod usage;
pub mod versions;

#[cfg(test)]
mod model_tests;
