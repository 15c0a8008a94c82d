//! The global options.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use crate::console::Verbosity;
use crate::error::{Error, Result};
use crate::print::Format;

/// Names the admin socket when `--socket` does not.
const SOCKET_VARIABLE: &str = "CLAVIGER_ADMIN_SOCKET";
/// The system daemon's admin socket.
const SYSTEM_SOCKET: &str = "/run/claviger/admin.sock";
/// A user's own daemon's admin socket, below `XDG_RUNTIME_DIR`.
const USER_SOCKET: &str = "claviger/admin.sock";

/// What holds for every verb.
#[derive(Debug)]
pub struct Options {
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// How the answer is printed.
    pub format: Format,
    /// Every question is answered with yes.
    pub yes: bool,
    /// No questions and no prose but warnings and errors; every question is answered with no.
    pub quiet: bool,
}

impl Options {
    /// Reads them from the command line and the environment.
    ///
    /// # Errors
    /// A socket variable that is empty.
    pub fn of(matches: &ArgMatches) -> Result<Self> {
        let variable = std::env::var_os(SOCKET_VARIABLE);
        if variable.as_ref().is_some_and(|value| value.is_empty()) {
            return Err(Error::usage(format!("{SOCKET_VARIABLE} is set but empty")));
        }
        let socket = matches
            .get_one::<PathBuf>("socket")
            .cloned()
            .or_else(|| variable.map(PathBuf::from))
            .unwrap_or_else(|| {
                default_socket(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).as_deref())
            });
        Ok(Self {
            socket,
            format: matches.get_one::<Format>("format").cloned().unwrap_or(Format::Table),
            yes: matches.get_flag("yes"),
            quiet: matches.get_flag("quiet"),
        })
    }
}

/// How much prose the command line asks for.
pub fn verbosity(matches: &ArgMatches) -> Verbosity {
    let word = matches.try_get_one::<String>("verbosity").ok().flatten();
    let named = word.and_then(|word| Verbosity::WORDS.iter().find(|(other, _)| other == word));
    let is_quiet = matches.try_get_one::<bool>("quiet").ok().flatten() == Some(&true);
    named.map_or(if is_quiet { Verbosity::Warning } else { Verbosity::Info }, |(_, verbosity)| *verbosity)
}

/// The system's socket if there is one, else the user's if there is one, else the system's.
fn default_socket(runtime_directory: Option<&Path>) -> PathBuf {
    let system = PathBuf::from(SYSTEM_SOCKET);
    match runtime_directory.map(|directory| directory.join(USER_SOCKET)) {
        Some(user) if !system.exists() && user.exists() => user,
        _ => system,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_daemon_is_found_where_no_system_daemon_runs() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(default_socket(Some(directory.path())), Path::new(SYSTEM_SOCKET));
        let socket = directory.path().join(USER_SOCKET);
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        std::fs::write(&socket, "").unwrap();
        if !Path::new(SYSTEM_SOCKET).exists() {
            assert_eq!(default_socket(Some(directory.path())), socket);
        }
        assert_eq!(default_socket(None), Path::new(SYSTEM_SOCKET));
    }
}
