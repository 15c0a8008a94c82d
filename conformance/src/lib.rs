//! Drives the built module, daemon and CLI as their users do.
//!
//! * [`artefacts`] where the built things are
//! * [`daemon`] a daemon in a directory of its own: start, kill, restart, its log
//! * [`admin`] the CLI, its JSON and its exit codes; [`desk`] somebody who types it
//! * [`harness`] what a test begins with: the test binary's daemon, a key ring, an application, a session
//! * [`application`] the module loaded once more, which makes one more application of this process
//! * [`raw`] the C ABI with NULL pointers, wrong lengths and wrong order; [`mechanism`], [`structure`] and
//!   [`attribute`] feed it
//! * [`openssl`] the `openssl` program, which checks what the token made
//! * [`rules`] what holds for every operation, whatever it computes
//! * [`matrix`] every mechanism of a token, used rightly and wrongly
//! * [`wire`] a client of the sockets that may say anything
//! * [`memory`] memory for such a client to share
//! * [`process`] what needs the operating system: death signals, limits, affinity
//!
//! `tests/` has one file per chapter of the standard and one per way to break things.

pub mod admin;
pub mod application;
pub mod artefacts;
pub mod attribute;
pub mod daemon;
pub mod desk;
pub mod harness;
pub mod matrix;
pub mod mechanism;
pub mod memory;
pub mod openssl;
pub mod process;
pub mod raw;
pub mod rules;
pub mod structure;
pub mod wire;

/// What nearly every test names.
pub mod prelude {
    pub use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M, ObjectClass, Rv};

    pub use crate::application::Application;
    pub use crate::attribute::{
        Attribute, as_ulong, bytes, class, curve, flag, key_type, label, mechanisms, secret_key, token, ulong,
    };
    pub use crate::daemon::Daemon;
    pub use crate::harness::{Ring, Setup, daemon, on_token, usage};
    pub use crate::mechanism::Mechanism;
    pub use crate::raw::{Answer, Arguments, Operation, Output, Raw, Room};
}
