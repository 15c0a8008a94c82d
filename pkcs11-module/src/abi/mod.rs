//! The functions' bodies, one file per chapter of the standard: arguments in, call out, reply written.

pub mod decrypt;
pub mod digest;
pub mod dual;
pub mod encrypt;
pub mod general;
pub mod key;
pub mod large;
pub mod object;
pub mod operation;
pub mod random;
pub mod session;
pub mod sign;
pub mod slot_token;
pub mod verify;
