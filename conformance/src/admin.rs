//! The CLI, its JSON and its exit codes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::artefacts;

/// The CLI, pointed at a socket.
#[derive(Clone)]
pub struct Admin {
    socket: PathBuf,
}

/// What a run of the CLI gave.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; none after a signal.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Prose.
    pub stderr: String,
}

impl Admin {
    /// The CLI for the daemon at this socket.
    pub fn new(socket: PathBuf) -> Admin {
        Admin { socket }
    }

    /// The command without any verb; stdin is closed, so it has no terminal to ask on.
    pub fn command(&self) -> Command {
        let mut command = Command::new(artefacts::claviger());
        command.env_remove("CLAVIGER_ADMIN_SOCKET").stdin(Stdio::null()).arg("--socket").arg(&self.socket);
        command
    }

    /// Runs a verb with `--format json`, whatever comes of it.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Answer {
        let mut command = self.command();
        command.args(["--format", "json"]).args(arguments);
        answer(command)
    }

    /// Runs a verb that must succeed and gives its JSON.
    pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        let arguments: Vec<A> = arguments.into_iter().collect();
        let shown: Vec<_> = arguments.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect();
        let answer = self.run(arguments);
        assert_eq!(answer.code, Some(0), "claviger {}: {}", shown.join(" "), answer.stderr);
        serde_json::from_str(&answer.stdout)
            .unwrap_or_else(|error| panic!("claviger {}: {error}: {:?}", shown.join(" "), answer.stdout))
    }
}

/// Runs a command to its end.
pub fn answer(mut command: Command) -> Answer {
    let output = command.output().unwrap_or_else(|error| panic!("running {command:?}: {error}"));
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
