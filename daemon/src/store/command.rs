//! `clavigerd store ...`, `clavigerd backup ...` and `clavigerd root ...`: what is done while no daemon has the store
//! open.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::archive::{OpenedWith, SealedFor, recipient, recipient_private};
use super::backup::{Contents, Restored, export, restore, verify_backup};
use super::error::{Error, Result};
use super::passphrase::read_passphrase;
use super::root_key::RootKey;
use super::root_source::RootSource;
use super::{Findings, copy, open, recover, verify};

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Examine every record and compare all of them with the anchor
    Verify {
        /// Examine a copy in the directory for temporary files and leave the store's files as they are
        #[arg(long)]
        copy: bool,
        /// The passphrase of a root key that has one
        #[command(flatten)]
        root: RootArgs,
    },
    /// Write all records to a new file, sealed for a passphrase or a recipient
    Export {
        /// The file to write; it must not exist
        file: PathBuf,
        /// What it is sealed for
        #[command(flatten)]
        sealed_for: SealArgs,
        /// The passphrase of a root key that has one
        #[command(flatten)]
        root: RootArgs,
    },
    /// Make a store of an exported file; there must be none yet
    Import {
        /// The file to read
        file: PathBuf,
        /// What opens it
        #[command(flatten)]
        opened_with: OpenArgs,
        /// The passphrase of a root key that has one
        #[command(flatten)]
        root: RootArgs,
    },
    /// Make a store that is not whole serve again with what is left of it
    Recover {
        /// Say that what is lost may stay lost
        #[arg(long, required = true)]
        accept_loss: bool,
        /// The passphrase of a root key that has one
        #[command(flatten)]
        root: RootArgs,
    },
}

impl StoreCommand {
    /// Whether there need be no store, and so no root key, before.
    pub fn makes_a_store(&self) -> bool {
        matches!(self, StoreCommand::Import { .. })
    }

    /// File with the passphrase of a root key that has one.
    pub fn passphrase_file(&self) -> Option<&Path> {
        let (StoreCommand::Verify { root, .. }
        | StoreCommand::Export { root, .. }
        | StoreCommand::Import { root, .. }
        | StoreCommand::Recover { root, .. }) = self;
        root.root_passphrase_file.as_deref()
    }
}

/// The passphrase of a root key that has one.
#[derive(Debug, Args)]
pub struct RootArgs {
    /// File with the passphrase of a root key that has one
    #[arg(long, value_name = "FILE")]
    root_passphrase_file: Option<PathBuf>,
}

/// What to do with a backup.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Read a backup to its end and tell what is in it; needs no store and no root key
    Verify {
        /// The backup
        file: PathBuf,
        /// What opens it
        #[command(flatten)]
        opened_with: OpenArgs,
    },
    /// Make a store of a backup; there must be none yet
    Restore {
        /// The backup
        file: PathBuf,
        /// What opens it
        #[command(flatten)]
        opened_with: OpenArgs,
        /// The file "tombstones" of the state directory that was lost, or a later copy of it: what was destroyed
        /// after the backup was made stays destroyed
        #[arg(long, value_name = "FILE")]
        tombstones: Option<PathBuf>,
        /// File with the passphrase of a root key that has one
        #[arg(long, value_name = "FILE")]
        root_passphrase_file: Option<PathBuf>,
    },
}

/// What to do with the root key.
#[derive(Debug, Subcommand)]
pub enum RootCommand {
    /// Keep the root key under a passphrase: a new one for a new store, else the one in the configured key file
    Passphrase {
        /// File whose first line is the passphrase; "-" is the standard input
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
}

/// What a backup is sealed for: give one, or both to need both.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct SealArgs {
    /// File whose first line is the passphrase; "-" is the standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The recipient's public key or certificate, PEM: RSA, EC, X25519 or X448
    #[arg(long, value_name = "FILE")]
    recipient_file: Option<PathBuf>,
}

/// What opens a backup: what it was sealed for.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct OpenArgs {
    /// File whose first line is the passphrase; "-" is the standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The recipient's private key, PEM
    #[arg(long, value_name = "FILE")]
    recipient_key_file: Option<PathBuf>,
}

impl SealArgs {
    fn read(&self) -> Result<SealedFor> {
        let passphrase = self.passphrase_file.as_deref().map(read_passphrase).transpose()?;
        let recipient = self.recipient_file.as_deref().map(|path| pem(path, recipient)).transpose()?;
        Ok(SealedFor { passphrase, recipient })
    }
}

impl OpenArgs {
    fn read(&self) -> Result<OpenedWith> {
        let passphrase = self.passphrase_file.as_deref().map(read_passphrase).transpose()?;
        let recipient =
            self.recipient_key_file.as_deref().map(|path| pem(path, recipient_private)).transpose()?;
        Ok(OpenedWith { passphrase, recipient })
    }
}

fn pem<T>(path: &Path, parse: impl Fn(&[u8]) -> std::result::Result<T, &'static str>) -> Result<T> {
    let text = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    parse(&zeroize::Zeroizing::new(text)).map_err(|what| Error::Archive { path: path.to_owned(), what })
}

/// Runs `command` on the store in `dir` and returns the line to print.
///
/// # Errors
/// [`Error::NotWhole`] when a verified store is not, and whatever keeps the command from its work.
pub fn run(command: &StoreCommand, dir: &Path, root: &RootKey) -> Result<String> {
    match command {
        StoreCommand::Verify { copy: false, .. } => {
            let findings = verify(dir, root)?;
            if findings.is_whole() { Ok(findings.to_string()) } else { Err(Error::NotWhole(findings.into())) }
        }
        StoreCommand::Verify { copy: true, .. } => {
            let scratch =
                Scratch(std::env::temp_dir().join(format!("claviger-verify.{}", std::process::id())));
            copy(dir, &scratch.0)?;
            let findings = verify(&scratch.0, root)?;
            if findings.is_whole() { Ok(findings.to_string()) } else { Err(Error::NotWhole(findings.into())) }
        }
        StoreCommand::Export { file, sealed_for, .. } => {
            let sealed_for = sealed_for.read()?;
            if !super::holds_data(dir) {
                return Err(Error::NoStore { path: dir.to_owned() });
            }
            let contents = export(&open(dir, root)?, file, &sealed_for)?;
            Ok(format!("exported {} to {}", summary(&contents), file.display()))
        }
        StoreCommand::Import { file, opened_with, .. } => {
            let restored = restore(dir, root, file, &opened_with.read()?, None)?;
            Ok(format!("imported {} into {}", summary(&restored.contents), dir.display()))
        }
        StoreCommand::Recover { .. } => Ok(recovered(&recover(dir, root)?)),
    }
}

/// What a recovery says when it has given up what these findings name.
pub fn recovered(findings: &Findings) -> String {
    if findings.is_whole() {
        return "the store is whole; nothing was changed".to_owned();
    }
    let faults: Vec<String> = findings.faults.iter().map(|fault| format!("  {fault}\n")).collect();
    format!("given up:\n{}kept: {} records", faults.concat(), findings.tally.total())
}

/// Verifies a backup and returns the line to print.
///
/// # Errors
/// [`Error::Archive`] when it is not whole.
pub fn verify_file(file: &Path, opened_with: &OpenArgs) -> Result<String> {
    let contents = verify_backup(file, &opened_with.read()?)?;
    Ok(format!("{} is whole: {}", file.display(), summary(&contents)))
}

/// Makes a store of a backup in `dir` and returns the line to print.
///
/// # Errors
/// Those of [`restore`].
pub fn restore_file(
    dir: &Path,
    root: &RootKey,
    file: &Path,
    opened_with: &OpenArgs,
    tombstones: Option<&Path>,
) -> Result<String> {
    let Restored { contents, withheld } = restore(dir, root, file, &opened_with.read()?, tombstones)?;
    let withheld = match withheld {
        0 => String::new(),
        count => format!("; {count} destroyed since stay destroyed"),
    };
    Ok(format!("restored {} into {}{withheld}", summary(&contents), dir.display()))
}

/// Does what a root command says and returns the line to print.
///
/// # Errors
/// Those of [`RootSource::begin_passphrase`].
pub fn root(command: &RootCommand, dir: &Path, present: Option<&RootKey>) -> Result<String> {
    let RootCommand::Passphrase { passphrase_file } = command;
    RootSource::begin_passphrase(dir, present, &read_passphrase(passphrase_file)?)?;
    Ok("the root key is under the passphrase; set root_key_passphrase = true in the configuration, start the daemon, \
        open it with: claviger unseal; and destroy the key file if there was one"
        .into())
}

fn summary(contents: &Contents) -> String {
    let days = super::tombstone::now().saturating_sub(contents.about.created) / (24 * 60 * 60 * 1000);
    format!(
        "{} records, {} of them with key material, {} tombstones; revision {}, made {}",
        contents.records,
        contents.materials,
        contents.tombstones,
        contents.about.revision,
        match days {
            0 => "today".to_owned(),
            1 => "a day ago".to_owned(),
            days => format!("{days} days ago"),
        }
    )
}

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %self.0.display(), %error, "the copy stays");
        }
    }
}
