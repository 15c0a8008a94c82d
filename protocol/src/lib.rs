//! What Claviger's module, daemon and CLI share: the wire and the tables. No I/O beyond framing and the mailbox, no crypto.
//!
//! * [`rv`] table 1: every `CKR_*`
//! * [`call`] table 2: every C_* that crosses the wire, request and reply
//! * [`mechanism`] table 3: every `CKM_*` offered: keys, sizes, flags, parameter shape, recipe, profiles
//! * [`attribute`] table 4: every `CKA_*`: value kind, default, who may set it and when, sensitive or not
//! * [`admin`] table 5: every admin verb: arguments, reply columns, help, required action
//! * [`audit`]: how the lines of the audit log are chained and signed
//! * [`params`], [`template`], [`bytes`]: what the calls are made of
//! * [`frame`], [`codec`]: how they become bytes; [`mailbox`]: how short frames travel in shared memory
//! * [`object`], [`attribute_type`], [`mechanism_type`], [`flags`]: the standard's vocabularies
#![forbid(unsafe_code)]

pub mod admin;
pub mod attribute;
pub mod attribute_type;
pub mod audit;
pub mod bytes;
pub mod call;
pub mod codec;
pub mod flags;
pub mod frame;
pub mod mailbox;
pub mod mechanism;
pub mod mechanism_type;
mod numbers;
pub mod object;
pub mod params;
pub mod rv;
pub mod template;

pub use attribute_type::AttributeType;
pub use bytes::Bytes;
pub use mechanism_type::MechanismType;
pub use object::{KeyType, ObjectClass};
pub use rv::{Result, Rv};
