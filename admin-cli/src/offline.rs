//! What is done while no daemon runs, by `clavigerd` itself: this program hands its words over and is replaced by it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command as Process;

use clap::{Arg, ArgMatches, Command};
use claviger_protocol::admin::Code;

use crate::error::{Error, Result};

const DAEMON: &str = "clavigerd";

/// Words, and what they do.
pub const COMMANDS: &[(&str, &str)] = &[
    ("backup verify", "Read a backup to its end and tell what is in it"),
    ("backup restore", "Make a store of a backup; there must be none yet"),
    ("root passphrase", "Keep the root key under a passphrase"),
    ("store export", "Write all records to a new file, sealed for a passphrase or a recipient"),
    ("store import", "Make a store of an exported file; there must be none yet"),
    ("store recover", "Make a store that is not whole serve again with what is left of it"),
];

/// The commands one word below `prefix`.
pub fn below(prefix: &str) -> impl Iterator<Item = Command> + '_ {
    COMMANDS.iter().filter_map(move |(path, about)| {
        let word = path.strip_prefix(prefix)?.strip_prefix(' ')?;
        let rest = Arg::new("arguments").num_args(0..).allow_hyphen_values(true).trailing_var_arg(true);
        let rest = rest.value_parser(clap::value_parser!(OsString)).help("Arguments of clavigerd");
        let help = format!("Runs: {DAEMON} {path} (see its --help), as the user that the store belongs to");
        Some(Command::new(word).about(*about).after_help(help).disable_help_flag(true).arg(rest))
    })
}

/// Becomes `clavigerd` when the words are of this table; comes back when they are not.
///
/// # Errors
/// The program cannot be run.
pub fn run(path: &str, matches: &ArgMatches) -> Result<()> {
    if !COMMANDS.iter().any(|(own, _)| *own == path) {
        return Ok(());
    }
    let rest = matches.get_many::<OsString>("arguments").into_iter().flatten();
    let error = Process::new(program()).args(path.split(' ')).args(rest).exec();
    Err(Error::code(Code::Unavailable, format!("cannot run {DAEMON}: {error}")))
}

/// The daemon beside this program, or the one that is found.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(DAEMON));
    beside.filter(|path| path.exists()).unwrap_or_else(|| DAEMON.into())
}
