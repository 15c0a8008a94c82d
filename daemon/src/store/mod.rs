//! What the daemon remembers, and how it stays secret and whole on disk.
//!
//! From the daemon down to the disk:
//!
//! | file         | layer                                                                              |
//! |--------------|------------------------------------------------------------------------------------|
//! | `open.rs`    | the state directory: lock, keyring, engine, checked to belong together             |
//! | `records.rs` | typed records: encode, seal, split into chunks, commit; what the daemon calls       |
//! | `seal.rs`    | AES-256-GCM of every record: metadata under the store key, material by envelope    |
//! | `keyring.rs` | the store key and the epoch keys, in two slot files beside the store               |
//! | `root_key.rs`| the key that opens the keyring, and the subkeys derived from it                    |
//! | `engine.rs`  | `trait Store` over opaque bytes, with batches, expectations and pages              |
//! | `watch.rs`   | notices of durable changes                                                         |
//! | `sled.rs`    | the engine on disk                                                                 |
//! | `memory.rs`  | the engine in memory, for tests and throw-away daemons                             |
//! | `suite.rs`   | the one test suite over both engines                                               |
//!
//! Two rules hold everywhere. Plaintext never reaches an engine: a record is sealed to its place (store,
//! tree and key) first. And a commit that returned `Ok` has reached the disk, not the page cache alone.

mod durable;
mod engine;
mod error;
mod keyring;
mod memory;
mod open;
mod records;
mod root_key;
mod seal;
mod sled;
#[cfg(test)]
mod suite;
mod watch;

pub use engine::{Batch, Expect, MAX_KEY_BYTES, MAX_RECORD_BYTES, Page, Record, RecordKey, Store, Tree};
pub use error::{Error, Result, RootKeyFault};
pub use keyring::Keyring;
pub use memory::MemoryStore;
pub use open::{holds_data, open};
pub use records::{Change, Records};
pub use root_key::{ROOT_KEY_BYTES, RootKey, label};
pub use seal::Sealer;
pub use sled::SledStore;
pub use watch::{Event, Watch};
