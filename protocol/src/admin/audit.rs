//! The audit log.

use super::ArgumentKind::*;
use super::columns::AUDIT_COLUMNS;
use super::{Confirm, Verb, arg, must};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        number: 100,
        path: "audit list",
        about: "List what was done, newest first",
        action: "ReadAudit",
        arguments: &[
            arg("user", Text, "uid:N or a name"),
            arg("resource-type", Text, "Such as CryptoKey"),
            arg("resource-name", Text, "Resource: it and all below it"),
            arg("source", Text, "admin, pkcs11, timer or daemon"),
            arg("event-id", Text, "Id of a record"),
            arg("operation", Text, "Such as CreateKey"),
            arg("result", Text, "OK or an error code"),
            arg("keyword", Text, "Text anywhere in the record"),
            arg("since", Text, "Not before: a time (RFC 3339) or -2h"),
            arg("until", Text, "Before: a time (RFC 3339) or -2h"),
            arg("after", Text, "Only behind the record with this id"),
            arg("all", Flag, "Intents and checkpoints too"),
            arg("limit", Text, "Most records (default 50)"),
        ],
        columns: AUDIT_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 101,
        path: "audit describe",
        about: "Show a record",
        action: "ReadAudit",
        arguments: &[must("event-id", Positional, "Id of the record")],
        columns: AUDIT_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 102,
        path: "audit verify",
        about: "Check that no record was changed, taken out or put in",
        action: "ReadAudit",
        arguments: &[
            arg("file", Local, "Check this export, without the daemon"),
            arg("public-key-file", Local, "The log's public key, for --file"),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 103,
        path: "audit tail",
        about: "Print records as they are written",
        action: "ReadAudit",
        arguments: &[
            arg("after", Text, "Only behind the record with this id"),
            arg("once", LocalFlag, "Print what there is and stop"),
        ],
        columns: AUDIT_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 104,
        path: "audit export",
        about: "Write the audit log, signed up to its end, into a file of JSON lines",
        action: "ReadAudit",
        arguments: &[
            arg("output-file", Local, "Where to write it (default stdout)"),
            arg("from", Text, "First record, by its sequence number (default 1)"),
            arg("to", Text, "Last record (used by the program itself; default the last one that is signed)"),
            arg(
                "exported-to",
                Text,
                "Note that all up to this record was exported (used by the program itself)",
            ),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 105,
        path: "audit public-key",
        about: "Print the key that checks exports: keep it where this machine's admins cannot change it",
        action: "ReadAudit",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
];
