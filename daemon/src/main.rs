//! The `clavigerd` program: reads its configuration, opens the store, listens.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use clavigerd::config::Config;
use clavigerd::daemon::Daemon;
use clavigerd::server::{self, Listeners};
use clavigerd::store::command::{self, StoreCommand};
use clavigerd::store::{self, RootKey};
use clavigerd::{config, process};
use tracing_subscriber::EnvFilter;

/// Exit code for a configuration that cannot be used (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;
/// Exit code for a store that is missing, in use or not to be trusted (`EX_CONFIG` of sysexits.h); systemd is
/// told not to restart on it.
const EXIT_STORE: u8 = 78;
/// Exit code for sockets and other things of the system (`EX_OSERR` of sysexits.h).
const EXIT_SYSTEM: u8 = 71;

/// Claviger's key daemon: holds keys and performs every key operation for PKCS#11 applications and admins.
#[derive(Parser)]
#[command(
    version,
    after_help = "Environment: CLAVIGER_LOG=error|warn|info|debug|trace sets how much is logged."
)]
struct Arguments {
    /// Keep store, root key and sockets under DIR, for the user who starts it
    #[arg(long, value_name = "DIR", conflicts_with = "config", global = true)]
    dev: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/claviger/clavigerd.toml", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do instead of serving.
#[derive(clap::Subcommand)]
enum Command {
    /// Look after the store while no daemon runs on it
    #[command(subcommand)]
    Store(StoreCommand),
}

/// Runs it.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("CLAVIGER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    process::harden();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("clavigerd: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), (u8, String)> {
    let config = match &arguments.dev {
        Some(directory) => dev(directory),
        None => Config::from_file(&arguments.config).map_err(|error| error.to_string()),
    };
    let config = config.map_err(|message| (EXIT_CONFIG, message))?;
    if let Some(Command::Store(command)) = &arguments.command {
        let failed = |error: store::Error| (EXIT_STORE, error.to_string());
        let root = root_key(&config, command.makes_a_store()).map_err(failed)?;
        println!("{}", command::run(command, &config.state_directory, &root).map_err(failed)?);
        return Ok(());
    }
    let daemon = open(&config).map_err(|message| (EXIT_STORE, message))?;
    let system = |error: std::io::Error| (EXIT_SYSTEM, error.to_string());
    let listeners = Listeners::open(&config).map_err(system)?;
    server::run(&daemon, config, listeners, ready).map_err(system)
}

/// The configuration of `--dev DIR`, which is made when it is missing.
fn dev(directory: &Path) -> Result<Config, String> {
    let failed = |error| format!("cannot use {}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let directory = directory.canonicalize().map_err(failed)?;
    Config::dev(&directory).map_err(|error: config::Error| error.to_string())
}

/// The root key; with `create` a new one where the configuration allows it and no store needs an old one.
fn root_key(config: &Config, create: bool) -> store::Result<RootKey> {
    match &config.root_key_file {
        Some(file) => {
            let create = create && config.create_root_key && !store::holds_data(&config.state_directory);
            RootKey::from_file(file, create)
        }
        None => RootKey::from_credential(),
    }
}

fn open(config: &Config) -> Result<Arc<Daemon>, String> {
    let directory = &config.state_directory;
    let root = root_key(config, true).map_err(|error| error.to_string())?;
    let records = store::open(directory, &root).map_err(|error| error.to_string())?;
    let failed = |error: clavigerd::error::Error| format!("{}: {error}", directory.display());
    let leapt = Daemon::start_clock(&records, &config.kms).map_err(failed)?;
    let audit =
        Daemon::open_audit(&records, &directory.join("audit"), config.audit.clone()).map_err(failed)?;
    let daemon = Daemon::with(records, root, config.kms.clone(), audit).map_err(failed)?;
    daemon.audit.start().map_err(|error| format!("no thread for the audit log: {error}"))?;
    daemon.access.configure(config.access.clone());
    daemon.start_hook(&config.kms);
    if leapt {
        daemon.tell_of_leap();
    }
    Ok(daemon)
}

/// Says that both sockets accept: one line for people and scripts, and systemd's notification.
fn ready() {
    println!("ready");
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "systemd cannot be notified");
    }
}
