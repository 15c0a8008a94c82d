//! Where the root key comes from: a file, a systemd credential, or a file that a passphrase opens. And how it is
//! changed: the new one is put beside the old one, the keyring is sealed under it, and then it takes the old one's
//! place. No record changes.
//!
//! A crash in between leaves both; the next start takes the one that opens the keyring.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::durable::{open_private, overwrite, parent, remove_if_present, sync_dir, with_suffix};
use super::error::{Error, Result, RootKeyFault};
use super::keyring::Keyring;
use super::open::holds_data;
use super::records::Records;
use super::root_key::{ROOT_KEY_BYTES, RootKey};

/// The file in the state directory that holds the root key under a passphrase.
const PASSPHRASE_FILE: &str = "root.passphrase";

/// Where the root key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootSource {
    /// A file of 32 bytes.
    File {
        /// The file.
        path: PathBuf,
        /// Make it when there is neither a file nor a store.
        create: bool,
    },
    /// The systemd credential `root-key`.
    Credential,
    /// A file in the state directory that a passphrase opens.
    Passphrase,
}

impl RootSource {
    /// The root key of the store in `dir`.
    ///
    /// # Errors
    /// [`Error::RootKey`] with the fault. A passphrase is needed for [`RootSource::Passphrase`] alone.
    pub fn key(&self, dir: &Path, passphrase: Option<&[u8]>) -> Result<RootKey> {
        match self {
            RootSource::File { path, create } => {
                let create = *create && !holds_data(dir);
                settled(dir, path, |path| RootKey::from_file(path, create))
            }
            RootSource::Credential => RootKey::from_credential(),
            RootSource::Passphrase => {
                let passphrase = passphrase.unwrap_or_default();
                settled(dir, &passphrase_file(dir), |path| RootKey::under(path, passphrase))
            }
        }
    }

    /// Whether somebody has to give a passphrase before the store can be opened.
    pub fn needs_passphrase(&self) -> bool {
        matches!(self, RootSource::Passphrase)
    }

    /// Whether there is a root key under a passphrase in `dir`.
    pub fn has_passphrase_file(dir: &Path) -> bool {
        passphrase_file(dir).exists()
    }

    /// Puts a root key under `passphrase` in `dir`: `root`, which the store there was made with, or a new one for a
    /// new store.
    ///
    /// # Errors
    /// [`Error::RootKey`] when there is one already, or when `root` does not open the store.
    pub fn begin_passphrase(dir: &Path, root: Option<&RootKey>, passphrase: &[u8]) -> Result<()> {
        let path = passphrase_file(dir);
        if path.exists() {
            return Err(Error::RootKey { path, fault: RootKeyFault::Exists });
        }
        match root {
            Some(root) if holds_data(dir) && !Keyring::opens_under(dir, root)? => {
                Err(Error::KeyringNotAuthentic { path: Keyring::first_path(dir) })
            }
            Some(root) => root.keep_under(&path, passphrase),
            None if holds_data(dir) => Err(Error::RootKey { path, fault: RootKeyFault::Missing }),
            None => RootKey::random()?.keep_under(&path, passphrase),
        }
    }

    /// Gives the store that `records` are in another root key: `new`, or a random one. With
    /// [`RootSource::Passphrase`] it is kept under `passphrase`, which may be the old one or another; with
    /// [`RootSource::Credential`] the caller has put `new` where the next start finds it, or will.
    ///
    /// # Errors
    /// [`Error::RootKey`] for what is missing; those of [`Records::change_root`].
    pub fn rotate(
        &self,
        records: &Records,
        new: Option<Zeroizing<[u8; ROOT_KEY_BYTES]>>,
        passphrase: Option<&[u8]>,
    ) -> Result<()> {
        let Some(dir) = records.directory() else { return Ok(()) };
        let root = match (self, new) {
            (_, Some(new)) => RootKey::from_bytes(new),
            (RootSource::Credential, None) => {
                let path = PathBuf::from("root-key");
                return Err(Error::RootKey { path, fault: RootKeyFault::NotOurs });
            }
            _ => RootKey::random()?,
        };
        match self {
            RootSource::File { path, .. } => {
                let next = next(path);
                remove_if_present(&next)?;
                root.write_to(&next)?;
                records.change_root(&root)?;
                take_place(path)
            }
            RootSource::Credential => records.change_root(&root),
            RootSource::Passphrase => {
                let path = passphrase_file(dir);
                let passphrase = passphrase.filter(|passphrase| !passphrase.is_empty());
                let passphrase = passphrase.ok_or_else(|| Error::RootKey {
                    path: path.clone(),
                    fault: RootKeyFault::NoPassphraseGiven,
                })?;
                root.keep_under(&next(&path), passphrase)?;
                records.change_root(&root)?;
                take_place(&path)
            }
        }
    }
}

/// The root key at `path`, or the one beside it when a change was cut short after the keyring had been sealed under
/// that one.
fn settled(dir: &Path, path: &Path, read: impl Fn(&Path) -> Result<RootKey>) -> Result<RootKey> {
    let next = next(path);
    if !next.exists() {
        return read(path);
    }
    let old = read(path);
    if let Ok(root) = &old
        && (!Keyring::exists(dir) || Keyring::opens_under(dir, root)?)
    {
        tracing::warn!(file = %next.display(), "removing what a change of the root key left that was cut short");
        remove_if_present(&next)?;
        return old;
    }
    match read(&next) {
        Ok(root) if Keyring::opens_under(dir, &root)? => {
            tracing::warn!(file = %path.display(), "finishing a change of the root key that was cut short");
            if let Err(error) = take_place(path) {
                tracing::warn!(%error, "the new root key stays beside the old one");
            }
            Ok(root)
        }
        _ => old,
    }
}

/// Puts what is beside `path` in its place, and writes over what was there.
fn take_place(path: &Path) -> Result<()> {
    let old = open_private(path).ok();
    std::fs::rename(next(path), path).map_err(|error| Error::io("replace", path, error))?;
    sync_dir(parent(path))?;
    if let Some(old) = old {
        overwrite(&old, path);
    }
    Ok(())
}

fn next(path: &Path) -> PathBuf {
    with_suffix(path, ".next")
}

fn passphrase_file(dir: &Path) -> PathBuf {
    dir.join(PASSPHRASE_FILE)
}

#[cfg(test)]
#[path = "root_source_tests.rs"]
mod tests;
