//! The `clavigerd` program: reads its configuration, opens the store, listens.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser;
use clavigerd::audit::{IntentSearch, Principal, Record, principal};
use clavigerd::config::Config;
use clavigerd::daemon::Daemon;
use clavigerd::process::privileges::{self, Successor};
use clavigerd::sealed::Gate;
use clavigerd::server::{self, Listeners, Peer};
use clavigerd::store::command::{self, BackupCommand, RootCommand, StoreCommand};
use clavigerd::store::{self, DirectoryLock, Findings, RootKey, RootSource};
use clavigerd::{config, process};
use nix::unistd::{getgid, getuid};
use tracing_subscriber::EnvFilter;

/// Exit code for a configuration that cannot be used (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;
/// Exit code for a store that is missing, in use or not to be trusted (`EX_CONFIG` of sysexits.h); systemd is
/// told not to restart on it.
const EXIT_STORE: u8 = 78;
/// Exit code for sockets and other things of the system (`EX_OSERR` of sysexits.h).
const EXIT_SYSTEM: u8 = 71;
/// Faults that the record of a recovery names one by one.
const MAX_RECORDED: usize = 100;

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
    /// Read backups and make stores of them
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Say how the root key is kept
    #[command(subcommand)]
    Root(RootCommand),
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
    if let Some(Command::Backup(BackupCommand::Verify { file, opened_with })) = &arguments.command {
        let line =
            command::verify_file(file, opened_with).map_err(|error| (EXIT_STORE, error.to_string()))?;
        println!("{line}");
        return Ok(());
    }
    let config = match &arguments.dev {
        Some(directory) => dev(directory),
        None => Config::from_file(&arguments.config).map_err(|error| error.to_string()),
    };
    let config = config.map_err(|message| (EXIT_CONFIG, message))?;
    if let Some(command) = &arguments.command {
        return carry_out(command, &config).map_err(|error| (EXIT_STORE, error.to_string()));
    }
    process::lock_memory(&config.hardening).map_err(|message| (EXIT_SYSTEM, message))?;
    let successor = privileges::successor(&config.hardening).map_err(|message| (EXIT_CONFIG, message))?;
    // Before the daemon becomes another user: a root key may be root's alone to read.
    let root = match config.root_source() {
        source if source.needs_passphrase() => None,
        source => {
            Some(source.key(&config.state_directory, None).map_err(|error| (EXIT_STORE, error.to_string()))?)
        }
    };
    if let Some(successor) = successor {
        succeed(successor, &config).map_err(|message| (EXIT_SYSTEM, message))?;
    }
    let gate = gate(&config, root).map_err(|message| (EXIT_STORE, message))?;
    let system = |error: std::io::Error| (EXIT_SYSTEM, error.to_string());
    let listeners = Listeners::open(&config).map_err(system)?;
    process::filter_system_calls(&config.hardening, !config.kms.event_hook.is_empty());
    server::run(&gate, config, listeners, ready).map_err(system)
}

/// Does what the command says and prints its line.
fn carry_out(command: &Command, config: &Config) -> store::Result<()> {
    let directory = &config.state_directory;
    let line = match command {
        Command::Store(action @ StoreCommand::Recover { .. }) => {
            let root = root_key(config, action.passphrase_file(), false)?;
            let findings = store::recover(directory, &root)?;
            if !findings.is_whole()
                && let Err(message) = record_recovery(config, &root, &findings)
            {
                eprintln!("clavigerd: the audit log does not tell of this recovery: {message}");
            }
            command::recovered(&findings)
        }
        Command::Store(action) => {
            let root = root_key(config, action.passphrase_file(), action.makes_a_store())?;
            command::run(action, directory, &root)?
        }
        // Done before there is a configuration.
        Command::Backup(BackupCommand::Verify { .. }) => return Ok(()),
        Command::Backup(BackupCommand::Restore { file, opened_with, tombstones, root_passphrase_file }) => {
            let root = root_key(config, root_passphrase_file.as_deref(), true)?;
            command::restore_file(directory, &root, file, opened_with, tombstones.as_deref())?
        }
        Command::Root(action) => {
            let present = match &config.root_key_file {
                Some(path) if path.exists() => Some(RootKey::from_file(path, false)?),
                _ => None,
            };
            command::root(action, directory, present.as_ref())?
        }
    };
    println!("{line}");
    Ok(())
}

/// Writes into the audit log what was given up, by whom. The log is as it was: only the store can be recovered.
fn record_recovery(config: &Config, root: &RootKey, findings: &Findings) -> Result<(), String> {
    let directory = &config.state_directory;
    let records = store::open(directory, root).map_err(|error| error.to_string())?;
    let log = directory.join("audit");
    let intents = IntentSearch::start(&log);
    let audit = Daemon::open_audit(&records, &log, config.audit.clone(), intents);
    let audit = audit.map_err(|error| error.to_string())?;
    let peer = Peer { uid: getuid().as_raw(), gid: getgid().as_raw(), pid: std::process::id().cast_signed() };
    principal::meet(&peer);
    let who = Principal::Peer(peer);
    let faults: Vec<String> = findings.faults.iter().take(MAX_RECORDED).map(ToString::to_string).collect();
    let request = serde_json::json!({
        "acceptLoss": true,
        "faults": findings.faults.len(),
        "givenUp": faults,
        "keptRecords": findings.tally.total(),
    });
    let record = Record { request, ..Record::new("RecoverStore", &who, "offline").about("Daemon", "store") };
    audit.append_durably(&record).map(drop).map_err(|error| error.to_string())
}

/// The root key for a command, with the passphrase of a root key that has one from a file; a new one only for a
/// command that makes a store.
fn root_key(config: &Config, passphrase_file: Option<&Path>, makes_a_store: bool) -> store::Result<RootKey> {
    let passphrase = passphrase_file.map(store::read_passphrase).transpose()?;
    let source = match config.root_source() {
        RootSource::File { path, create } => RootSource::File { path, create: create && makes_a_store },
        other => other,
    };
    source.key(&config.state_directory, passphrase.as_ref().map(|line| line.as_slice()))
}

/// The configuration of `--dev DIR`, which is made when it is missing.
fn dev(directory: &Path) -> Result<Config, String> {
    let failed = |error| format!("cannot use {}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let directory = directory.canonicalize().map_err(failed)?;
    Config::dev(&directory).map_err(|error: config::Error| error.to_string())
}

/// Becomes the user that the configuration names, who gets the directories of the store and of the sockets.
fn succeed(successor: Successor, config: &Config) -> Result<(), String> {
    let sockets = [&config.pkcs11_socket, &config.admin_socket].map(|socket| socket.parent());
    successor.give(&config.state_directory)?;
    for directory in sockets.into_iter().flatten() {
        successor.make(directory)?;
    }
    successor.become_it()?;
    process::close_to_tracing();
    Ok(())
}

/// The daemon, open with its root key or waiting for the passphrase of one.
fn gate(config: &Config, root: Option<RootKey>) -> Result<Arc<Gate>, String> {
    let directory = &config.state_directory;
    let lock = store::lock(directory).map_err(|error| error.to_string())?;
    if let Some(root) = root {
        return open(config, root, lock).map(Gate::open);
    }
    if !RootSource::has_passphrase_file(directory) {
        return Err(format!(
            "{} holds no root key under a passphrase; make it with: clavigerd root passphrase --passphrase-file FILE",
            directory.display()
        ));
    }
    tracing::warn!("sealed; open it with: claviger unseal");
    let (config, lock) = (config.clone(), Mutex::new(Some(lock)));
    Ok(Gate::sealed(Box::new(move |passphrase| {
        let mut held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = &config.state_directory;
        // A wrong passphrase leaves the lock where it is.
        let root =
            config.root_source().key(directory, Some(passphrase)).map_err(|error| error.to_string())?;
        let taken = match held.take() {
            Some(lock) => lock,
            None => store::lock(directory).map_err(|error| error.to_string())?,
        };
        let opened = open(&config, root, taken);
        if opened.is_err() {
            *held = store::lock(directory).ok();
        }
        opened
    })))
}

/// Opens the store and all that lives on it.
fn open(config: &Config, root: RootKey, lock: DirectoryLock) -> Result<Arc<Daemon>, String> {
    let directory = &config.state_directory;
    let log = directory.join("audit");
    let intents = IntentSearch::start(&log);
    let records = store::open_locked(directory, &root, lock).map_err(|error| error.to_string())?;
    let failed = |error: clavigerd::error::Error| format!("{}: {error}", directory.display());
    let leapt = Daemon::start_clock(&records, &config.kms).map_err(failed)?;
    let audit = Daemon::open_audit(&records, &log, config.audit.clone(), intents).map_err(failed)?;
    let daemon = Daemon::with(records, config.kms.clone(), audit).map_err(failed)?;
    daemon.audit.start().map_err(|error| format!("no thread for the audit log: {error}"))?;
    daemon.access.configure(config.access.clone());
    daemon.applications.limit(config.limits);
    let _ = daemon.root_source.set(config.root_source());
    daemon.start_hook(&config.kms);
    if leapt {
        daemon.tell_of_leap();
    }
    process::trim_memory()?;
    Ok(daemon)
}

/// Says that both sockets accept: one line for people and scripts, and systemd's notification.
fn ready() {
    println!("ready");
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "systemd cannot be notified");
    }
}
