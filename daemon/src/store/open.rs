//! The state directory: everything the store keeps on disk.
//!
//! ```text
//! lock        held by the one daemon that uses the directory
//! keyring.a   keyring.b    see `keyring.rs`
//! store/      the engine's own
//! ```

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::durable::{lock_file, make_private_dir};
use super::engine::{Expect, Tree};
use super::error::{Error, Result};
use super::keyring::Keyring;
use super::records::{Change, Records};
use super::root_key::RootKey;
use super::seal::Sealer;
use super::sled::SledStore;

const STORE_DIR: &str = "store";
const LOCK_FILE: &str = "lock";

/// A record of every store, by which its first reading tells whether keyring and store belong together.
const FORMAT_KEY: &[u8] = b"format";
const FORMAT: u32 = 1;

/// Whether `dir` already holds a store or its keyring, so that only the root key it was made with fits.
pub fn holds_data(dir: &Path) -> bool {
    Keyring::exists(dir) || engine_has_files(dir)
}

/// Opens the store in the state directory `dir`, making what is missing of a new one.
///
/// # Errors
/// [`Error::Locked`] when another daemon uses the directory, [`Error::Exposed`] when others may write to it,
/// [`Error::KeyringMissing`], [`Error::KeyringNotAuthentic`] or [`Error::KeyringOfAnotherStore`] when the
/// keys do not fit, and whatever the engine finds damaged.
pub fn open(dir: &Path, root: &RootKey) -> Result<Records> {
    make_private_dir(dir)?;
    refuse_if_exposed(dir)?;
    let lock = lock_file(&dir.join(LOCK_FILE))?;

    let keyring = match Keyring::load(dir, root)? {
        Some(keyring) => keyring,
        None if engine_has_files(dir) => {
            return Err(Error::KeyringMissing { path: Keyring::first_path(dir) });
        }
        None => {
            let mut keyring = Keyring::random()?;
            keyring.save(dir, root)?;
            keyring
        }
    };
    let engine = SledStore::open(&dir.join(STORE_DIR))?;
    let records = Records::open(Arc::new(engine), Sealer::new(keyring)).holding(lock);

    match records.get::<u32>(Tree::Meta, FORMAT_KEY) {
        Ok(Some(FORMAT)) => {}
        Ok(Some(format)) => return Err(Error::StoreForm { path: dir.join(STORE_DIR), format }),
        Ok(None) => {
            let mut change = Change::new();
            change.put_if(Tree::Meta, FORMAT_KEY, Expect::Absent, &FORMAT)?;
            records.commit(change)?;
        }
        Err(Error::NotAuthentic { .. }) => {
            return Err(Error::KeyringOfAnotherStore { path: Keyring::first_path(dir) });
        }
        Err(error) => return Err(error),
    }
    Ok(records)
}

/// The engine makes its files after the keyring is durable, so files without a keyring mean a loss.
fn engine_has_files(dir: &Path) -> bool {
    dir.join(STORE_DIR).join("db").exists()
}

fn refuse_if_exposed(dir: &Path) -> Result<()> {
    let mode = dir.metadata().map_err(|error| Error::io("examine", dir, error))?.mode() & 0o7777;
    if mode & 0o022 != 0 { Err(Error::Exposed { path: dir.to_owned(), mode }) } else { Ok(()) }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
