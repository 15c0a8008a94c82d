//! `claviger`, the admin CLI: one verb of table 5 per run.
//!
//! The command line is built from [`claviger_protocol::admin::VERBS`]; one request goes over the admin socket and
//! the reply is printed. The daemon parses and judges every value. What happens here alone: reading files,
//! wrapping key material for an import, and asking before a destructive verb.
//!
//! * [`command`] the command line from the table
//! * [`request`], [`file`] arguments and files as a request
//! * [`client`] the socket
//! * [`confirm`] asking
//! * [`import`], [`key_file`], [`wrap`]; [`public_key`]; [`wait`]; [`watch`]; [`list`]; [`random`] the verbs that do
//!   more than send
//! * [`audit`] the audit log in a file, and whether it is whole
//! * [`backup`]; [`unseal`]; [`offline`] what `clavigerd` does while it does not serve
//! * [`output`] bytes of an answer into files; [`completion`], [`manual`] help outside of the program
//! * [`print`], [`outcome`], [`error`] what the person sees and the exit code
#![forbid(unsafe_code)]

mod audit;
mod backup;
mod client;
mod command;
mod completion;
mod confirm;
mod console;
mod error;
#[cfg(test)]
mod fake;
mod file;
mod import;
mod key_file;
mod list;
mod manual;
mod offline;
mod options;
mod outcome;
mod output;
mod print;
mod public_key;
mod random;
mod request;
mod unseal;
mod wait;
mod watch;
mod wrap;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Instant;

use clap::ArgMatches;
use claviger_protocol::admin::{Argument, ArgumentKind, Verb};

use crate::client::Client;
use crate::console::{Console, Verbosity};
use crate::error::Result;
use crate::file::Files;
use crate::options::Options;

/// A verb about to happen.
struct Call<'a, 'c> {
    verb: &'static Verb,
    matches: &'a ArgMatches,
    options: Options,
    files: Files,
    console: &'a mut Console<'c>,
}

impl Call<'_, '_> {
    /// True when a flag of the program's own is given.
    fn local_flag(&self, name: &str) -> bool {
        let has = |argument: &Argument| argument.name == name && argument.kind == ArgumentKind::LocalFlag;
        self.verb.arguments.iter().any(has) && self.matches.get_flag(name)
    }

    /// True when the verb carries checksums, and the person did not say no.
    fn sends_checksums(&self) -> bool {
        self.verb.arguments.iter().any(|argument| argument.name == "skip-integrity-verification")
            && !self.local_flag("skip-integrity-verification")
    }
}

/// Does a verb and answers with the exit code.
type Handler = fn(&mut Call<'_, '_>) -> Result<u8>;

/// The verbs that do more than send and print.
const OWN: &[(&str, Handler)] = &[
    ("keys versions import", import::run),
    ("keys versions get-public-key", public_key::run),
    ("import-jobs wait", wait::run),
    ("events watch", watch::events),
    ("audit tail", watch::records),
    ("metrics", watch::metrics),
    ("audit export", audit::export),
    ("audit verify", audit::verify),
    ("audit public-key", audit::public_key),
    ("generate-random", random::run),
    ("unseal", unseal::run),
    ("backup create", backup::run),
];

fn main() -> ExitCode {
    let stdin = io::stdin();
    // The question is on stderr, the answer on stdin: both must be a terminal's.
    let interactive = stdin.is_terminal() && io::stderr().is_terminal();
    let mut console = Console {
        input: &mut stdin.lock(),
        out_is_terminal: io::stdout().is_terminal(),
        out: &mut io::stdout().lock(),
        err: &mut io::stderr().lock(),
        interactive,
        verbosity: Verbosity::Info,
    };
    ExitCode::from(run(std::env::args_os(), &mut console))
}

/// Does what the command line says and answers with the exit code.
fn run(line: impl IntoIterator<Item = OsString>, console: &mut Console<'_>) -> u8 {
    let outcome = match command::command().try_get_matches_from(line) {
        Ok(matches) => dispatch(&matches, console),
        Err(help_or_usage) => return console.help_or_usage(&help_or_usage),
    };
    outcome.unwrap_or_else(|error| {
        console.tell(Verbosity::Error, &format!("claviger: {}", error.message.replace('\n', " ")));
        error.exit
    })
}

fn dispatch(matches: &ArgMatches, console: &mut Console<'_>) -> Result<u8> {
    let (path, matches) = command::leaf(matches);
    console.verbosity = options::verbosity(matches);
    if path == "manual" {
        return manual::write(matches, console);
    }
    offline::run(&path, matches)?;
    if let Some(text) = command::local(&path, matches) {
        console.data(text.as_bytes())?;
        return Ok(0);
    }
    let verb = command::verb(&path);
    let mut call = Call { verb, matches, options: Options::of(matches)?, files: Files::default(), console };
    let handler =
        OWN.iter().find(|(own, _)| *own == verb.path).map_or(send_and_print as Handler, |(_, own)| *own);
    let started = Instant::now();
    let outcome = handler(&mut call);
    let (socket, took) = (call.options.socket.display().to_string(), started.elapsed().as_millis());
    console.tell(Verbosity::Debug, &format!("claviger: debug: {socket} took {took} ms"));
    outcome
}

fn send_and_print(call: &mut Call<'_, '_>) -> Result<u8> {
    let asks = confirm::asks(call.verb, &call.options, call.console.interactive)?;
    let request = request::build(call)?;
    let mut client = Client::connect(&call.options.socket)?;
    if asks {
        confirm::ask(call, &request, &mut client)?;
    }
    if list::is_list(call.verb) {
        return list::run(call, &request, &mut client);
    }
    let document = client.call(call.verb, &request)?;
    output::finish(call, &document)?;
    outcome::of(&document)
}
