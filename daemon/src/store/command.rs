//! `clavigerd store ...`: what is done to a store while no daemon has it open.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::error::{Error, Result};
use super::root_key::RootKey;
use super::{copy, export, import, open, recover, verify};

/// Longest passphrase, in bytes.
const MAX_PASSPHRASE_BYTES: u64 = 1024;

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Examine every record and compare all of them with the anchor
    Verify {
        /// Examine a copy in the directory for temporary files and leave the store's files as they are
        #[arg(long)]
        copy: bool,
    },
    /// Write all records to a new file under a passphrase
    Export {
        /// The file to write; it must not exist
        file: PathBuf,
        /// Where the passphrase comes from
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Make a store of an exported file; there must be none yet
    Import {
        /// The file to read
        file: PathBuf,
        /// Where the passphrase comes from
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Make a store that is not whole serve again with what is left of it
    Recover {
        /// Say that what is lost may stay lost
        #[arg(long, required = true)]
        accept_loss: bool,
    },
}

impl StoreCommand {
    /// Whether there need be no store, and so no root key, before.
    pub fn makes_a_store(&self) -> bool {
        matches!(self, StoreCommand::Import { .. })
    }
}

/// Where the passphrase comes from.
#[derive(Debug, Args)]
pub struct Passphrase {
    /// File whose first line is the passphrase; "-" is the standard input
    #[arg(long, value_name = "FILE", required = true)]
    passphrase_file: PathBuf,
}

impl Passphrase {
    fn read(&self) -> Result<Zeroizing<Vec<u8>>> {
        let path = &self.passphrase_file;
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_BYTES as usize + 1));
        let limit = MAX_PASSPHRASE_BYTES + 1;
        let read = if path.as_os_str() == "-" {
            std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
        } else {
            File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
        };
        read.map_err(|error| Error::io("read", path, error))?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let what = match line.len() as u64 {
            0 => "is an empty passphrase",
            length if length > MAX_PASSPHRASE_BYTES => "is too long for a passphrase",
            _ => return Ok(Zeroizing::new(line.to_vec())),
        };
        Err(Error::Export { path: path.clone(), what })
    }
}

/// Runs `command` on the store in `dir` and returns the line to print.
///
/// # Errors
/// [`Error::NotWhole`] when a verified store is not, and whatever keeps the command from its work.
pub fn run(command: &StoreCommand, dir: &Path, root: &RootKey) -> Result<String> {
    match command {
        StoreCommand::Verify { copy: false } => {
            let findings = verify(dir, root)?;
            if findings.is_whole() { Ok(findings.to_string()) } else { Err(Error::NotWhole(findings.into())) }
        }
        StoreCommand::Verify { copy: true } => {
            let scratch =
                Scratch(std::env::temp_dir().join(format!("claviger-verify.{}", std::process::id())));
            copy(dir, &scratch.0)?;
            let findings = verify(&scratch.0, root)?;
            if findings.is_whole() { Ok(findings.to_string()) } else { Err(Error::NotWhole(findings.into())) }
        }
        StoreCommand::Export { file, passphrase } => {
            let passphrase = passphrase.read()?;
            if !super::holds_data(dir) {
                return Err(Error::NoStore { path: dir.to_owned() });
            }
            let entries = export(&open(dir, root)?, file, &passphrase)?;
            Ok(format!("exported {entries} records to {}", file.display()))
        }
        StoreCommand::Import { file, passphrase } => {
            let entries = import(dir, root, file, &passphrase.read()?)?;
            Ok(format!("imported {entries} records into {}", dir.display()))
        }
        StoreCommand::Recover { .. } => {
            let findings = recover(dir, root)?;
            if findings.is_whole() {
                return Ok("the store is whole; nothing was changed".into());
            }
            let faults: Vec<String> = findings.faults.iter().map(|fault| format!("  {fault}\n")).collect();
            Ok(format!("given up:\n{}kept: {} records", faults.concat(), findings.tally.total()))
        }
    }
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
