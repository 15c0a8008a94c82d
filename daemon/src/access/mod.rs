//! Who may do what: principals, policies and roles; PINs and lockout.
//!
//! * [`identity`]: who somebody is
//! * [`action`], [`role`]: what can be allowed, one by one and in ready-made sets
//! * [`policy`]: documents; [`policies`]: all of them, in memory and in the store
//! * [`evaluate`]: the decision
//! * [`permit`]: decisions that PKCS#11 applications remember
//! * [`pin`], [`login`]: PINs and their lock
//! * [`resume`]: sessions and logins that go on over a restart of the daemon
//! * [`settings`]: what the configuration says

pub mod action;
pub mod evaluate;
pub mod identity;
pub mod login;
pub mod permit;
pub mod pin;
pub mod policies;
pub mod policy;
pub mod resume;
pub mod role;
pub mod settings;

pub use evaluate::{Decision, Question, Target};
pub use identity::{Identity, Who};
pub use policies::Access;

#[cfg(test)]
mod matrix_tests;
