//! Who may do what: PINs and lockout.

pub mod login;
pub mod pin;
