//! `clavigerd-testing`: the daemon with a clock that tests set. It is built for the tests and not installed.
//!
//! * `clavigerd-testing ARGUMENTS` is `clavigerd ARGUMENTS`, with the clocks shifted by what the file
//!   `CLAVIGER_TEST_CLOCK` says and a timer that runs every `CLAVIGER_TEST_TICK_MILLIS`.
//! * `clavigerd-testing fill DIR RING PREFIX COUNT [WHEN]` puts keys into the store of `--dev DIR`, which no daemon
//!   uses, scheduled for destruction after WHEN if it is given.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clavigerd::audit::Audit;
use clavigerd::config::Config;
use clavigerd::daemon::Daemon;
use clavigerd::kms::keys::parse_duration;
use clavigerd::kms::time::Time;
use clavigerd::store::{self, RootKey};
use clavigerd::testing;

#[allow(dead_code, reason = "the program is used whole")]
#[path = "../main.rs"]
mod program;

fn main() -> ExitCode {
    if let Some(file) = std::env::var_os("CLAVIGER_TEST_CLOCK") {
        testing::set_clock(PathBuf::from(file));
    }
    let tick = std::env::var("CLAVIGER_TEST_TICK_MILLIS").ok().and_then(|text| text.parse().ok());
    if let Some(millis) = tick {
        testing::set_tick(Duration::from_millis(millis));
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let filled = match words.as_slice() {
        ["fill", directory, ring, prefix, count] => fill(Path::new(directory), ring, prefix, count, None),
        ["fill", directory, ring, prefix, count, when] => {
            fill(Path::new(directory), ring, prefix, count, Some(when))
        }
        _ => return program::main(),
    };
    match filled {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("clavigerd-testing: {message}");
            ExitCode::FAILURE
        }
    }
}

fn fill(
    directory: &Path,
    ring: &str,
    prefix: &str,
    count: &str,
    when: Option<&str>,
) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::dev(directory)?;
    let root = RootKey::from_file(config.root_key_file.as_deref().ok_or("no root key file")?, false)?;
    let records = store::open(&config.state_directory, &root)?;
    Daemon::start_clock(&records, &config.kms)?;
    let daemon = Daemon::with(records, config.kms, Audit::in_memory())?;
    let tokens = daemon.catalog.tokens();
    let token = tokens.iter().find(|token| token.ring().name.id == ring).ok_or("no such ring")?;
    let due =
        when.map(|text| parse_duration(text).map(|millis| Time::now().plus_millis(millis))).transpose()?;
    testing::fill(&daemon, token, prefix, count.parse()?, due)?;
    Ok(())
}
