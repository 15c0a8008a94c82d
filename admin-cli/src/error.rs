//! What goes wrong: one sentence and an exit code.

use std::io;
use std::path::Path;

use claviger_protocol::admin::{Code, Failure};

/// The result of anything that can end the run.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the run ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    /// What the program exits with.
    pub exit: u8,
    /// One sentence for the person.
    pub message: String,
}

impl Error {
    /// An error with an exit code of its own.
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// An error of one of the daemon's classes.
    pub fn code(code: Code, message: impl Into<String>) -> Self {
        Self::new(code.exit_code(), message)
    }

    /// What was asked for can never succeed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::code(Code::InvalidArgument, message)
    }

    /// A file that cannot be read or written.
    pub fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::usage(format!("cannot {verb} {}: {error}", path.display()))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::code(failure.code, failure.message)
    }
}
