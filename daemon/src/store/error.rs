//! What can go wrong in the store, one variant per fact.

use std::io;
use std::path::{Path, PathBuf};

use super::engine::RecordKey;
use super::verify::Findings;

/// The store's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A fact about the store that kept a call from succeeding. No variant carries plaintext.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record is not at the version the batch was made for; nothing of the batch was written.
    #[error("{place} is not at the expected version (found {found:?})")]
    Conflict {
        /// The first record of the batch that differs.
        place: RecordKey,
        /// The version it has; `None` when it is absent.
        found: Option<u64>,
    },
    /// One batch names the same record twice.
    #[error("{place} appears twice in one batch")]
    Repeated {
        /// The record named twice.
        place: RecordKey,
    },
    /// A record longer than an engine takes; nothing of the batch was written.
    #[error("{place} is {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Where it was to go.
        place: RecordKey,
        /// Its size in bytes.
        size: usize,
        /// The largest size in bytes.
        limit: usize,
    },
    /// A key longer than an engine takes; nothing of the batch was written.
    #[error("a record key is {size} bytes, the limit is {limit}")]
    KeyTooLong {
        /// Its size in bytes.
        size: usize,
        /// The largest size in bytes.
        limit: usize,
    },
    /// The system refused to read or write.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk is full, or too full to start a write that must not stop half way.
    #[error("no space left for {}", path.display())]
    NoSpace {
        /// The store's directory.
        path: PathBuf,
    },
    /// An earlier commit failed on its way to the disk, so what is on the disk is unknown until a restart.
    #[error("an earlier write failed; the store takes no more writes until the daemon is restarted")]
    Poisoned,
    /// The engine's files are damaged.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// What was seen.
        what: String,
    },
    /// A record is not what this store wrote at this place: changed, moved, or sealed under other keys.
    #[error("{place} is not authentic")]
    NotAuthentic {
        /// Where it was read.
        place: RecordKey,
    },
    /// The keyring no longer holds the epoch key that a record needs.
    #[error("{place} needs the key of epoch {epoch}, which the keyring does not hold")]
    UnknownEpoch {
        /// Where it was read.
        place: RecordKey,
        /// The epoch its header names.
        epoch: u32,
    },
    /// An authentic record of a form that this program does not know.
    #[error("{place} was written by a newer version (schema {schema}, codec {codec})")]
    UnknownForm {
        /// Where it was read.
        place: RecordKey,
        /// The schema its header names.
        schema: u8,
        /// The codec its header names.
        codec: u8,
    },
    /// An authentic record whose content is no value of the wanted type.
    #[error("{place} does not hold a value of the expected type")]
    Undecodable {
        /// Where it was read.
        place: RecordKey,
    },
    /// A value that the codec refuses, being too large.
    #[error("the value for {place} cannot be encoded")]
    Unencodable {
        /// Where it was to go.
        place: RecordKey,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The file that carries the lock.
        path: PathBuf,
    },
    /// The state directory may be changed by others.
    #[error("{} is writable by others (mode {mode:04o}); run: chmod go-w {}", path.display(), path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The root key cannot be used.
    #[error("root key {}: {fault}", path.display())]
    RootKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        fault: RootKeyFault,
    },
    /// The store has data but its keyring is gone.
    #[error(
        "the store has data but {} and its twin are missing; restore one of them from a backup",
        path.display()
    )]
    KeyringMissing {
        /// The first slot file.
        path: PathBuf,
    },
    /// Neither slot of the keyring opens under this root key.
    #[error(
        "neither {} nor its twin opens under this root key; give the root key this store was made with, \
         or restore one of the two files from a backup",
        path.display()
    )]
    KeyringNotAuthentic {
        /// The first slot file.
        path: PathBuf,
    },
    /// The keyring opens, but the store was not written with its keys.
    #[error(
        "{} does not belong to the store beside it; restore keyring and store from the same backup",
        path.display()
    )]
    KeyringOfAnotherStore {
        /// The first slot file.
        path: PathBuf,
    },
    /// The store as a whole is of a form that this program does not know.
    #[error("{} was written by a newer version (format {format})", path.display())]
    StoreForm {
        /// The engine's directory.
        path: PathBuf,
        /// The format it names.
        format: u32,
    },
    /// The keyring is of a form that this program does not know.
    #[error("{} was written by a newer version (schema {schema})", path.display())]
    KeyringForm {
        /// The slot file.
        path: PathBuf,
        /// The schema it names.
        schema: u8,
    },
    /// There is a keyring and no anchor, so nothing tells whether the store is whole.
    #[error(
        "{} is missing, so nothing tells whether the store is whole; restore the directory from a backup, or \
         accept the store as it is with: clavigerd store recover --accept-loss",
        path.display()
    )]
    AnchorMissing {
        /// The anchor file.
        path: PathBuf,
    },
    /// Neither slot of the anchor was written by this store.
    #[error(
        "{} is damaged or of another store, so nothing tells whether the store is whole; restore the directory \
         from a backup, or accept the store as it is with: clavigerd store recover --accept-loss",
        path.display()
    )]
    AnchorNotAuthentic {
        /// The anchor file.
        path: PathBuf,
    },
    /// The anchor is of a form that this program does not know.
    #[error("{} was written by a newer version (schema {schema})", path.display())]
    AnchorForm {
        /// The anchor file.
        path: PathBuf,
        /// The schema it names.
        schema: u8,
    },
    /// The store is not what the anchor says it has to be.
    #[error("{0}")]
    NotWhole(Box<Findings>),
    /// A file that is no backup or export of a store, or is damaged, or was sealed for others.
    #[error("{} {what}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file without a passphrase.
    #[error("{} {what}", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is nothing in the directory.
    #[error("{} holds no store", path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// A restore into the directory did not end.
    #[error(
        "{} holds what a restore left that was cut short; remove its store, anchor, inventory and keyring.* and \
         restore again",
        path.display()
    )]
    Unfinished {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds a store already.
    #[error("{} holds a store already; give an empty directory", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A watcher fell behind and missed changes; it has to scan again.
    #[error("too many changes since the last look; scan again")]
    WatchLagged,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// OpenSSL refused an operation that cannot fail on good input.
    #[error("OpenSSL: {0}")]
    Crypto(#[from] openssl::error::ErrorStack),
    /// A passphrase cannot be stretched.
    #[error("argon2id: {detail}")]
    Stretch {
        /// Why.
        detail: String,
    },
}

/// What is wrong with a root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyFault {
    /// There is none, and none may be made.
    #[error("does not exist")]
    Missing,
    /// It is a directory, a link, a device, a pipe or a socket.
    #[error("is not a regular file")]
    NotRegular,
    /// Others than the owner may use it.
    #[error("has mode {0:04o}, others must have no access; run: chmod 600 on it")]
    Mode(u32),
    /// It belongs to neither this user nor root.
    #[error("belongs to uid {0}, not to this user or root")]
    Owner(u32),
    /// It is not 32 bytes long.
    #[error("is {0} bytes long instead of 32")]
    Size(u64),
    /// The service manager passed no credentials.
    #[error("CREDENTIALS_DIRECTORY is not set; give the unit LoadCredential=root-key:...")]
    NoCredentials,
    /// It is no root key under a passphrase.
    #[error("holds no root key under a passphrase, or is damaged")]
    NoPassphraseFile,
    /// A newer version wrote it.
    #[error("was written by a newer version")]
    NewerForm,
    /// The passphrase is another one.
    #[error("does not open: the passphrase is wrong")]
    Passphrase,
    /// There is one already.
    #[error("exists already; change it with: claviger root rotate")]
    Exists,
    /// Somebody has to say what it is to be kept under.
    #[error("is kept under a passphrase; give one")]
    NoPassphraseGiven,
    /// The service manager keeps it, and the daemon cannot change what it keeps.
    #[error(
        "is a credential of the service manager: put 32 random bytes where the unit takes it from (systemd-creds \
         encrypt --name=root-key), give the same bytes with --new-root-key-file, and keep the old one until the \
         daemon has been restarted"
    )]
    NotOurs,
    /// The system refused to read or write it.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Error {
    /// An I/O error with what was tried on which file; a full disk is a fact of its own.
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::NoSpace { path: path.to_owned() },
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}
