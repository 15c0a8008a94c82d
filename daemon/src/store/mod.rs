//! What the daemon remembers, and how it stays secret and whole on disk.
//!
//! From the daemon down to the disk:
//!
//! | file         | layer                                                                              |
//! |--------------|------------------------------------------------------------------------------------|
//! | `open.rs`    | the state directory: lock, keyring, engine, checked to belong together             |
//! | `records.rs` | typed records: encode, seal, split into chunks, commit; what the daemon calls       |
//! | `purge.rs`   | makes removed material unreadable for good                                         |
//! | `tombstone.rs`| what was removed, so that no backup brings it back                                |
//! | `backup.rs`  | all records in one file, for another directory and another root key                |
//! | `archive.rs` | that file: a sealed stream of entries                                              |
//! | `verify.rs`  | whether every record is there: the check at start and `clavigerd store verify`     |
//! | `command.rs` | `clavigerd store ...`                                                              |
//! | `schema.rs`  | how records of earlier versions are read                                           |
//! | `seal.rs`    | AES-256-GCM of every record: metadata under the store key, material by envelope    |
//! | `keyring.rs` | the store key and the epoch keys, in two slot files beside the store               |
//! | `root_key.rs`| the key that opens the keyring, and the subkeys derived from it                    |
//! | `root_source.rs`| where the root key comes from, and how it is changed                            |
//! | `passphrase.rs`| keys from passphrases                                                            |
//! | `engine.rs`  | `trait Store` over opaque bytes, with batches, expectations and pages              |
//! | `anchor.rs`  | outside the engine, what its records have to come to                               |
//! | `tally.rs`   | numbers and keyed hash of all live records                                         |
//! | `inventory.rs`| the names of all live records                                                     |
//! | `reserve.rs` | space for a start on a full disk                                                   |
//! | `watch.rs`   | notices of durable changes                                                         |
//! | `sled.rs`    | the engine on disk                                                                 |
//! | `watchdog.rs`| ends sled's waiting for a write that has failed                                    |
//! | `memory.rs`  | the engine in memory, for tests and throw-away daemons                             |
//! | `suite.rs`   | the one test suite over both engines                                               |
//!
//! Two rules hold everywhere. Plaintext never reaches an engine: a record is sealed to its place (store,
//! tree and key) first. And a commit that returned `Ok` has reached the disk, not the page cache alone.

mod anchor;
mod archive;
mod backup;
pub mod command;
mod durable;
mod engine;
mod error;
mod group;
mod inventory;
mod keyring;
mod memory;
mod open;
mod passphrase;
mod purge;
mod records;
mod reserve;
mod root_key;
mod root_source;
mod schema;
mod seal;
mod sled;
#[cfg(test)]
mod suite;
mod tally;
#[cfg(test)]
mod tests;
mod tombstone;
mod verify;
mod watch;
mod watchdog;

pub use anchor::{Anchored, State};
pub use archive::{About, OpenedWith, SealedFor, recipient, recipient_private};
pub use backup::{Contents, Restored, back_up, export, restore, verify_backup};
pub use engine::{Batch, Expect, MAX_KEY_BYTES, MAX_RECORD_BYTES, Page, Record, RecordKey, Store, Tree};
pub use error::{Error, Result, RootKeyFault};
pub use keyring::Keyring;
pub use memory::MemoryStore;
pub use open::{DirectoryLock, copy, holds_data, lock, open, open_locked, recover, verify};
pub use passphrase::{first_line, read_passphrase};
pub use purge::Purged;
pub use records::{Begun, Change, Records};
pub use root_key::{ROOT_KEY_BYTES, RootKey, label};
pub use root_source::RootSource;
pub use seal::Sealer;
pub(crate) use seal::{open_bytes, seal_bytes};
pub use sled::{Anchoring, SledStore, Stored};
pub use tally::{Authenticator, Tally};
pub use tombstone::Tombstone;
pub use verify::{Fault, Findings};
pub use watch::{Event, Watch};
