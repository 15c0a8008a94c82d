//! The store: purges, the root key, backups.

use super::ArgumentKind::*;
use super::columns::BACKUP_COLUMNS;
use super::{Confirm, Verb, arg, must};

pub(super) const VERBS: &[Verb] = &[
    // The daemon's own store: 140 to 149.
    Verb {
        number: 140,
        path: "purge",
        about: "Make destroyed key material unreadable for good, for whoever has every file and the root key",
        action: "PurgeMaterial",
        arguments: &[arg("now", Flag, "Now, and not with the daily purge")],
        columns: &[],
        confirm: Confirm::Ask,
    },
    Verb {
        number: 141,
        path: "root rotate",
        about: "Open the store with a new root key from now on; the old one opens only older backups of the keyring",
        action: "RotateRootKey",
        arguments: &[
            arg(
                "new-root-key-file",
                File,
                "The new root key, 32 bytes (default random; needed for a credential)",
            ),
            arg(
                "passphrase-file",
                PinFile,
                "What the new root key is kept under, if it is kept under a passphrase",
            ),
        ],
        columns: &[],
        confirm: Confirm::Ask,
    },
    Verb {
        number: 142,
        path: "store verify",
        about: "Examine every record and compare all of them with the anchor; changes wait meanwhile",
        action: "VerifyStore",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 143,
        path: "unseal",
        about: "Give a sealed daemon the passphrase of its root key; asked for on the terminal without a file",
        action: "Unseal",
        arguments: &[arg("passphrase-file", PinFile, "File whose first line is the passphrase; - is stdin")],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 144,
        path: "backup create",
        about: "Write a backup of everything, sealed for a passphrase, a recipient's public key, or both together",
        action: "CreateBackup",
        arguments: &[
            must("file", Local, "The file to write; it must not exist"),
            arg("passphrase-file", PinFile, "File whose first line is the passphrase"),
            arg(
                "recipient-file",
                File,
                "The recipient's public key or certificate, PEM: RSA, EC, X25519 or X448",
            ),
            arg(
                "expire-after",
                Text,
                "When the file is to be destroyed (default: the time for which keys wait to be destroyed)",
            ),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 145,
        path: "backup read",
        about: "The next part of a backup; backup create does this for you",
        action: "CreateBackup",
        arguments: &[
            must("id", Text, "The backup"),
            must("position", Text, "Where the part begins, in bytes"),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 146,
        path: "backup list",
        about: "List the backups that were made and not forgotten, and how many destroyed versions each still holds",
        action: "CreateBackup",
        arguments: &[arg("expired", Flag, "Those whose file is to be destroyed by now")],
        columns: BACKUP_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 147,
        path: "backup forget",
        about: "Take a backup off the list, once its file and all copies of it are destroyed",
        action: "CreateBackup",
        arguments: &[must("backup", Positional, "Its id in the list")],
        columns: BACKUP_COLUMNS,
        confirm: Confirm::No,
    },
];
