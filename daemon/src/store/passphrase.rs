//! Keys from passphrases (argon2id, RFC 9106), and a root key that is kept under one.
//!
//! ```text
//! file       magic[8] | schema u8 | cost | salt[16] | nonce[12] | ciphertext[32] | tag[16]
//! cost       memory KiB u32 | passes u32 | lanes u32, big endian
//! ```
//!
//! Everything before the nonce is additional data.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::durable::{make_private_dir, parent, replace};
use super::error::{Error, Result, RootKeyFault};
use super::root_key::{ROOT_KEY_BYTES, RootKey};
use super::seal::{Key, decrypt, encrypt};
use super::tally::take;
use crate::crypto::argon2id::{Cost, argon2id};

const MAGIC: &[u8; 8] = b"CLVROOTP";
const SCHEMA: u8 = 1;

/// Length of a salt, in bytes.
pub(super) const SALT_BYTES: usize = 16;
/// Length of an encoded cost, in bytes.
const COST_BYTES: usize = 12;
const CLEAR_BYTES: usize = MAGIC.len() + 1 + COST_BYTES + SALT_BYTES;

/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// Cost of what is written now: RFC 9106, 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 4 };

/// Highest cost that a file may ask for, so that a false one cannot exhaust the machine.
const MAX_COST: Cost = Cost { memory_kib: 1 << 20, passes: 64, lanes: 64 };

fn encode_cost(cost: Cost, output: &mut Vec<u8>) {
    let Cost { memory_kib, passes, lanes } = cost;
    [memory_kib, passes, lanes].iter().for_each(|number| output.extend_from_slice(&number.to_be_bytes()));
}

/// The cost at the start of `rest`, which moves past it; `None` when it is too high or cut off.
fn decode_cost(rest: &mut &[u8]) -> Option<Cost> {
    let mut number = || take::<4>(rest).map(u32::from_be_bytes);
    let cost = Cost { memory_kib: number()?, passes: number()?, lanes: number()? };
    let fits = cost.memory_kib <= MAX_COST.memory_kib
        && (1..=MAX_COST.passes).contains(&cost.passes)
        && (1..=MAX_COST.lanes).contains(&cost.lanes)
        // RFC 9106, 3.1: at least eight blocks of a KiB for each lane.
        && cost.memory_kib >= 8 * cost.lanes;
    fits.then_some(cost)
}

/// A new key from `passphrase`, and what [`recall`] needs to make it again: cost and a random salt.
pub(super) fn stretch_new(passphrase: &[u8]) -> Result<(Key, Vec<u8>)> {
    let mut salt = [0; SALT_BYTES];
    openssl::rand::rand_bytes(&mut salt)?;
    let mut recipe = Vec::with_capacity(COST_BYTES + SALT_BYTES);
    encode_cost(COST, &mut recipe);
    recipe.extend_from_slice(&salt);
    Ok((stretch(passphrase, &salt, COST)?, recipe))
}

/// The key that [`stretch_new`] made; `None` when `recipe` is none of its.
pub(super) fn recall(passphrase: &[u8], mut recipe: &[u8]) -> Result<Option<Key>> {
    let Some(cost) = decode_cost(&mut recipe) else { return Ok(None) };
    match <[u8; SALT_BYTES]>::try_from(recipe) {
        Ok(salt) => stretch(passphrase, &salt, cost).map(Some),
        Err(_) => Ok(None),
    }
}

fn stretch(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<Key> {
    argon2id(passphrase, salt, cost).map_err(|error| Error::Stretch { detail: error.to_string() })
}

/// The first line of `bytes` as a passphrase.
///
/// # Errors
/// What is wrong with it, as the end of a sentence about where it came from.
pub fn first_line(bytes: &[u8]) -> std::result::Result<Zeroizing<Vec<u8>>, &'static str> {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.len() {
        0 => Err("is an empty passphrase"),
        length if length > MAX_PASSPHRASE_BYTES => Err("is too long for a passphrase"),
        _ => Ok(Zeroizing::new(line.to_vec())),
    }
}

/// Reads a passphrase, the first line of a file; "-" is the standard input.
///
/// # Errors
/// [`Error::Io`], or [`Error::Passphrase`] for a line that is empty or too long.
pub fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let limit = MAX_PASSPHRASE_BYTES as u64 + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_BYTES + 2));
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| Error::io("read", path, error))?;
    first_line(&bytes).map_err(|what| Error::Passphrase { path: path.to_owned(), what })
}

impl RootKey {
    /// Keeps the key in the file at `path` under `passphrase`, in place of whatever the file held.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::NoSpace`]; the file is then as it was.
    pub fn keep_under(&self, path: &Path, passphrase: &[u8]) -> Result<()> {
        let (key, recipe) = stretch_new(passphrase)?;
        let clear = [MAGIC.as_slice(), &[SCHEMA], &recipe].concat();
        let mut file = clear.clone();
        encrypt(&key, &clear, self.bytes(), &mut file)?;
        make_private_dir(parent(path))?;
        replace(path, &file)
    }

    /// The key that the file at `path` holds under `passphrase`.
    ///
    /// # Errors
    /// [`Error::RootKey`] with the fault.
    pub fn under(path: &Path, passphrase: &[u8]) -> Result<Self> {
        let fail = |fault| Error::RootKey { path: path.to_owned(), fault };
        let file = std::fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => fail(RootKeyFault::Missing),
            _ => fail(RootKeyFault::Io(error)),
        })?;
        let (clear, sealed) =
            file.split_at_checked(CLEAR_BYTES).ok_or_else(|| fail(RootKeyFault::NoPassphraseFile))?;
        let recipe = match clear.strip_prefix(MAGIC) {
            Some([SCHEMA, recipe @ ..]) => recipe,
            Some(_) => return Err(fail(RootKeyFault::NewerForm)),
            None => return Err(fail(RootKeyFault::NoPassphraseFile)),
        };
        let key = recall(passphrase, recipe)?.ok_or_else(|| fail(RootKeyFault::NoPassphraseFile))?;
        let root = decrypt(&key, clear, sealed).ok_or_else(|| fail(RootKeyFault::Passphrase))?;
        let root = root.first_chunk::<ROOT_KEY_BYTES>().filter(|_| root.len() == ROOT_KEY_BYTES);
        let root = root.ok_or_else(|| fail(RootKeyFault::NoPassphraseFile))?;
        Ok(RootKey::from_bytes(Zeroizing::new(*root)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_key_is_kept_under_a_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.passphrase");
        let fault = |passphrase: &[u8]| match RootKey::under(&path, passphrase) {
            Err(Error::RootKey { fault, .. }) => fault,
            other => panic!("{:?}", other.map(drop)),
        };
        assert!(matches!(fault(b"one"), RootKeyFault::Missing));
        let root = RootKey::random().unwrap();
        root.keep_under(&path, b"one").unwrap();
        assert_eq!(RootKey::under(&path, b"one").unwrap().bytes(), root.bytes());
        assert!(matches!(fault(b"two"), RootKeyFault::Passphrase));
        root.keep_under(&path, b"two").unwrap();
        assert!(matches!(fault(b"one"), RootKeyFault::Passphrase));
        assert_eq!(RootKey::under(&path, b"two").unwrap().bytes(), root.bytes());

        let whole = std::fs::read(&path).unwrap();
        assert!(!whole.windows(8).any(|window| window == &root.bytes()[..8]));
        for length in [0, 8, 9, 20, CLEAR_BYTES, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(fault(b"two"), RootKeyFault::NoPassphraseFile | RootKeyFault::Passphrase));
        }
        // A cost that no file of ours has, and one that would take a terabyte.
        for cost in [[0; 4], [0xff; 4]] {
            let mut file = whole.clone();
            file[9..13].copy_from_slice(&cost);
            std::fs::write(&path, file).unwrap();
            assert!(matches!(fault(b"two"), RootKeyFault::NoPassphraseFile));
        }
    }

    #[test]
    fn a_passphrase_is_the_first_line() {
        for (bytes, expected) in [
            (b"one\ntwo\n".as_slice(), Ok(b"one".as_slice())),
            (b"with space \r\n", Ok(b"with space ")),
            (b"", Err("is an empty passphrase")),
            (b"\nsecond", Err("is an empty passphrase")),
            (&[b'x'; MAX_PASSPHRASE_BYTES + 1], Err("is too long for a passphrase")),
        ] {
            assert_eq!(first_line(bytes).as_ref().map(|line| line.as_slice()), expected.as_ref().map(|e| *e));
        }
    }
}
