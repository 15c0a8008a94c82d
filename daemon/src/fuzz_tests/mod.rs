//! Fuzz targets within the process: policy documents, templates and parameters through the dispatcher, unwrapped
//! material. Those of backups are beside `store/archive.rs`; those of frames, requests and replies in
//! `conformance/tests/fuzz.rs`, where a socket belongs to them. `make fuzz` runs all of them 2,000,000 times each.

#[path = "dice.rs"]
pub(crate) mod dice;

mod import;
mod policy;
mod templates;
