//! Table 5: every admin verb: its words, arguments, columns, help and the action it needs.
//!
//! The CLI builds its command tree, its tables and its confirmations from the rows, the daemon its dispatch.
//! A verb is one row here and one handler in the daemon's `admin/`.
//!
//! On the admin socket a request is a [`RequestHeader`](crate::frame::RequestHeader) with the verb's number and
//! a [`Request`]; a reply is a [`ReplyHeader`](crate::frame::ReplyHeader) and a [`Reply`], whatever its `rv`.

use bincode::{Decode, Encode};

use crate::bytes::Bytes;

/// Arguments of a verb.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Name (without dashes in front) and value, each name at most once. Absent arguments are not sent.
    pub arguments: Vec<(String, ArgumentValue)>,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ArgumentValue {
    /// A flag that is given.
    Flag,
    /// Text, numbers, durations and times as the person wrote them; the daemon parses and judges.
    Text(String),
    /// A positional argument that may be given several times.
    List(Vec<String>),
    /// The content of a file.
    Bytes(Bytes),
}

/// The daemon's answer to a verb.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// A JSON document: one object for one resource, an array for several.
    Document(Bytes),
    /// Why not.
    Failure(Failure),
}

/// An error for a person and for a program.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// The class of the error, which decides the exit code.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// Machine-readable fact.
    pub reason: String,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $exit:literal;)*) => {
        /// Classes of errors (the canonical codes of Google's APIs), each with the CLI's exit code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// The code's name in JSON.
            pub fn name(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// What the CLI exits with.
            pub fn exit_code(self) -> u8 {
                match self { $(Code::$name => $exit,)* }
            }

            /// The code of this name, as in the error of an item of a batch.
            pub fn from_name(name: &str) -> Option<Code> {
                match name { $($text => Some(Code::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// The request can never succeed as it is.
    InvalidArgument = "INVALID_ARGUMENT", 2;
    /// Not built.
    Unimplemented = "UNIMPLEMENTED", 3;
    /// No such resource.
    NotFound = "NOT_FOUND", 4;
    /// The name is taken.
    AlreadyExists = "ALREADY_EXISTS", 5;
    /// A policy says no.
    PermissionDenied = "PERMISSION_DENIED", 6;
    /// Who are you?
    Unauthenticated = "UNAUTHENTICATED", 6;
    /// Not in this state.
    FailedPrecondition = "FAILED_PRECONDITION", 7;
    /// The etag is not the resource's.
    Aborted = "ABORTED", 8;
    /// A limit is reached.
    ResourceExhausted = "RESOURCE_EXHAUSTED", 9;
    /// The daemon is gone or not ready.
    Unavailable = "UNAVAILABLE", 10;
    /// Something failed inside the daemon.
    Internal = "INTERNAL", 1;
}

/// Exit codes of the CLI's own.
pub mod exit {
    /// Several items, and some failed.
    pub const PARTLY_FAILED: u8 = 7;
    /// A destructive verb without a terminal and without `--yes`.
    pub const CONFIRMATION_NEEDED: u8 = 11;
    /// The person said no.
    pub const DECLINED: u8 = 12;
    /// A verification said no.
    pub const NOT_VERIFIED: u8 = 13;
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// Number on the wire; fixed for ever.
    pub number: u16,
    /// The words of the command: `keys versions import`.
    pub path: &'static str,
    /// One sentence of help.
    pub about: &'static str,
    /// The action a principal needs (an audit operation name).
    pub action: &'static str,
    /// Its arguments, positional ones first.
    pub arguments: &'static [Argument],
    /// What a table of its answer shows.
    pub columns: &'static [Column],
    /// Whether and how the CLI asks before it sends.
    pub confirm: Confirm,
}

/// One argument of a verb.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Its name: `--name`, or the name of the place when positional.
    pub name: &'static str,
    /// How the CLI reads it.
    pub kind: ArgumentKind,
    /// The verb cannot do without it.
    pub required: bool,
    /// One sentence of help.
    pub help: &'static str,
}

/// How the CLI reads an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Positional text.
    Positional,
    /// Positional texts, one or more.
    PositionalList,
    /// `--name TEXT`.
    Text,
    /// `--name`.
    Flag,
    /// `--name` one of these.
    Choice(&'static [&'static str]),
    /// `--name FILE`: the CLI reads the file (`-` is stdin) and sends its content.
    File,
    /// `--name FILE` with a document in JSON or YAML: the CLI reads the file and sends it as JSON.
    Document,
    /// Positional, and else as `Document`.
    PositionalDocument,
    /// `--name FILE` with a PIN: like `File`, one trailing line break removed.
    PinFile,
    /// `--name FILE`, written or read by the CLI alone and never sent.
    Local,
    /// `--name`, for the CLI alone.
    LocalFlag,
    /// `--name FILE`: the CLI writes this field of the answer, base64 in the document, into it (`-` is stdout).
    Output(&'static str),
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Heading.
    pub heading: &'static str,
    /// JSON field, nested ones with dots.
    pub field: &'static str,
    /// How the value is shown.
    pub form: Form,
}

/// How a value is shown in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Text,
    /// The last segment of a resource name.
    Id,
    /// `DESTROY_SCHEDULED` as "Destroy scheduled".
    Words,
    /// An RFC 3339 time, to the second.
    Time,
}

/// When the CLI asks before it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Never.
    No,
    /// Asks to type the key's id after showing what will be lost.
    TypeName,
    /// Asks yes or no, after showing what it knows of the keys.
    Ask,
    /// Asks yes or no about what is no key.
    AskPlain,
    /// Asks yes or no when there are several, or when the one is a primary version.
    AskPrimary,
}

use ArgumentKind::*;

const fn arg(name: &'static str, kind: ArgumentKind, help: &'static str) -> Argument {
    Argument { name, kind, required: false, help }
}

const fn must(name: &'static str, kind: ArgumentKind, help: &'static str) -> Argument {
    Argument { name, kind, required: true, help }
}

const fn column(heading: &'static str, field: &'static str, form: Form) -> Column {
    Column { heading, field, form }
}

const KEYRING: Argument =
    arg("keyring", Text, "Key ring the key is on (not needed with an alias or a full name)");
const RING: Argument = must("keyring", Text, "Key ring");
const KEY: Argument = must("key", Text, "Key, by name, full name or alias/NAME");
const VERSION: Argument = arg("version", Text, "Version number (default the primary version)");
const NAME: Argument = must("name", Positional, "Key, by name, full name or alias/NAME");
const NAMES: Argument = must("names", PositionalList, "Keys, by name, full name or alias/NAME");
const VERSIONS: Argument = must("versions", PositionalList, "Version numbers");
const ETAG: Argument = arg("etag", Text, "Only if the resource still has this etag");
const FILTER: Argument = arg("filter", Text, "Only items such as 'state=ENABLED AND labels.env:prod'");
const SORT_BY: Argument =
    arg("sort-by", Text, "Field to sort by; with ~ in front or desc behind, from the greatest");
const LIMIT: Argument = arg("limit", Text, "Most items to show");
const PAGE_SIZE: Argument =
    arg("page-size", Text, "Items asked from the daemon at a time, at most 1000 (default 100)");
const PAGE_TOKEN: Argument = arg("page-token", Text, "Where an earlier page ended");
const URI: Argument = arg("uri", LocalFlag, "Print names only");
const WINDOW: Argument =
    arg("pending-window-days", Text, "Days from now to destruction, in place of the key's own duration");
const FORCE_BOUND: Argument = arg("force-bound", Flag, "Even if the key is bound to something");
const AAD: Argument =
    arg("additional-authenticated-data-file", File, "Data that is authenticated and not encrypted");
const CONTEXT: Argument =
    arg("context", Text, "Encryption context key=value,key=value in place of authenticated data");
const CIPHERTEXT_FORMAT: Argument = arg(
    "ciphertext-format",
    Choice(&["asn1", "c1c3c2"]),
    "Form of an SM2 ciphertext: ASN.1, or its three parts one after the other (default asn1)",
);
const BASE64: Argument = arg("base64", LocalFlag, "Files hold base64 text, not bytes");
const SKIP_INTEGRITY: Argument =
    arg("skip-integrity-verification", LocalFlag, "Send no checksums and check none");
const IV_FILE: Argument = arg(
    "initialization-vector-file",
    File,
    "Initialization vector (CBC and CTR: 16 bytes; GCM: decryption only)",
);
const PROTECTION_LEVEL: Argument = arg(
    "protection-level",
    Choice(&["software", "hsm"]),
    "Where the key lives; hsm is emulated by this daemon (default software)",
);
/// The values of `--p11-destroy`: what `C_DestroyObject` does to a token key.
pub const P11_DESTROY: &[&str] = &["schedule", "immediate", "deny"];
/// The values of `--p11-reinit`: what `C_InitToken` does to a token that is initialised.
pub const P11_REINIT: &[&str] = &["allow", "deny"];
/// The values of `--find-versions`: which versions of a key a search gives.
pub const FIND_VERSIONS: &[&str] = &["all", "primary-only"];
const P11_REINIT_ARG: Argument = arg(
    "p11-reinit",
    Choice(P11_REINIT),
    "Whether C_InitToken may schedule the destruction of all keys (default allow)",
);
const FIND_VERSIONS_ARG: Argument = arg(
    "find-versions",
    Choice(FIND_VERSIONS),
    "Which versions of a key applications find; the primary or newest comes first (default all)",
);
/// The values of a switch.
pub const ON_OFF: &[&str] = &["on", "off"];
const ENFORCE_DATES: Argument = arg(
    "enforce-dates",
    Choice(ON_OFF),
    "Refuse keys to applications before CKA_START_DATE and after CKA_END_DATE (default off)",
);
const RAW_USE: Argument = arg(
    "p11-raw-use-of-kms-keys",
    Choice(ON_OFF),
    "Let applications use keys for ENCRYPT_DECRYPT with PKCS#11 mechanisms (default off)",
);
/// Token profiles by name.
pub const PROFILES: &[&str] = &["standard", "strict", "legacy"];
/// The import methods by name (RSA size, OAEP hash, and AES-256 key wrap with padding or none).
pub const IMPORT_METHODS: &[&str] = &[
    "rsa-oaep-3072-sha1-aes-256",
    "rsa-oaep-4096-sha1-aes-256",
    "rsa-oaep-3072-sha256-aes-256",
    "rsa-oaep-4096-sha256-aes-256",
    "rsa-oaep-3072-sha256",
    "rsa-oaep-4096-sha256",
];

const KEYRING_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("TOKEN LABEL", "tokenLabel", Form::Text),
    column("SERIAL", "tokenSerial", Form::Text),
    column("SLOT", "slot", Form::Text),
    column("PROFILE", "profile", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
const KEY_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("PURPOSE", "purpose", Form::Text),
    column("ALGORITHM", "versionTemplate.algorithm", Form::Text),
    column("STATE", "keyState", Form::Words),
    column("PRIMARY", "primary.name", Form::Id),
    column("CREATED", "createTime", Form::Time),
];
const VERSION_COLUMNS: &[Column] = &[
    column("VERSION", "name", Form::Id),
    column("STATE", "state", Form::Words),
    column("ALGORITHM", "algorithm", Form::Text),
    column("LEVEL", "protectionLevel", Form::Words),
    column("CREATED", "createTime", Form::Time),
    column("DESTROY TIME", "destroyTime", Form::Time),
];
const IMPORT_JOB_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("METHOD", "importMethod", Form::Text),
    column("STATE", "state", Form::Words),
    column("LEVEL", "protectionLevel", Form::Words),
    column("EXPIRES", "expireTime", Form::Time),
];
const BATCH_COLUMNS: &[Column] = &[
    column("VERSION", "name", Form::Id),
    column("OK", "ok", Form::Text),
    column("STATE", "state", Form::Words),
    column("DESTROY TIME", "destroyTime", Form::Time),
    column("ERROR", "error.message", Form::Text),
];

const KEY_BATCH_COLUMNS: &[Column] = &[
    column("KEY", "name", Form::Id),
    column("OK", "ok", Form::Text),
    column("STATE", "state", Form::Words),
    column("DESTROY TIME", "destroyTime", Form::Time),
    column("ERROR", "error.message", Form::Text),
];
const PREFLIGHT_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("STATE", "state", Form::Words),
    column("PRIMARY", "primary", Form::Id),
    column("LAST USE", "lastUseTime", Form::Time),
    column("BOUND TO", "boundTo", Form::Text),
    column("DESTROY TIME", "destroyTime", Form::Time),
];
const LOCATION_COLUMNS: &[Column] = &[
    column("LOCATION", "locationId", Form::Text),
    column("HSM", "hsmAvailable", Form::Text),
    column("EKM", "ekmAvailable", Form::Text),
];
const BACKUP_COLUMNS: &[Column] = &[
    column("ID", "backup", Form::Text),
    column("MADE", "createTime", Form::Time),
    column("DESTROY BY", "expireTime", Form::Time),
    column("STATE", "state", Form::Words),
    column("SEALED FOR", "sealedFor", Form::Text),
    column("KEYS", "materials", Form::Text),
    column("DESTROYED SINCE", "destroyedSince", Form::Text),
];
const PROJECT_COLUMNS: &[Column] =
    &[column("PROJECT", "name", Form::Id), column("STATE", "state", Form::Words)];
const ALGORITHM_COLUMNS: &[Column] =
    &[column("ALGORITHM", "name", Form::Text), column("PURPOSE", "purpose", Form::Text)];
const ROTATION_COLUMNS: &[Column] = &[
    column("KEY", "name", Form::Id),
    column("ENABLED", "enabled", Form::Text),
    column("PERIOD", "rotationPeriod", Form::Text),
    column("NEXT", "nextRotationTime", Form::Time),
    column("LAST", "lastRotationTime", Form::Time),
];
const BINDING_COLUMNS: &[Column] = &[
    column("PRODUCT", "product", Form::Text),
    column("RESOURCE", "resourceId", Form::Text),
    column("NOTE", "note", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
const ALIAS_COLUMNS: &[Column] = &[
    column("ALIAS", "alias", Form::Text),
    column("KEY", "key", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
const AUDIT_COLUMNS: &[Column] = &[
    column("TIME", "eventTime", Form::Time),
    column("USER", "principal.name", Form::Text),
    column("OPERATION", "operation", Form::Text),
    column("RESOURCE", "resourceName", Form::Id),
    column("RESULT", "result", Form::Text),
    column("ID", "eventId", Form::Text),
];

const POLICY_COLUMNS: &[Column] = &[
    column("NAME", "name", Form::Id),
    column("ATTACHED TO", "principals", Form::Text),
    column("CREATED", "createTime", Form::Time),
];
const LOGIN_COLUMNS: &[Column] =
    &[column("MEMBER", "member", Form::Text), column("ROLE", "role", Form::Text)];

const RING_NAME: Argument = must("name", Positional, "Key ring");
const JOB_NAME: Argument = must("name", Positional, "Import job");
const POLICY_NAME: Argument = must("name", Positional, "Policy: 1 to 63 letters, digits, - and _");
const POLICY_FILE: Argument = arg("policy-file", Document, "Policy document, JSON or YAML");
const POLICY: Argument = arg("policy", PositionalDocument, "Policy document, in place of --policy-file");
const POLICY_DEFAULT: Argument = arg("default", Flag, "Take the policy back to what it was at first");
const MEMBER: Argument =
    must("member", Text, "uid:N, user:NAME, gid:N, group:NAME, token-user:RING, token-so:RING or *");
const ROLE: Argument = must("role", Text, "Role, such as kms.user (policies template lists them)");
const PRINCIPAL: Argument = must("principal", Text, "uid:N, user:NAME, gid:N, group:NAME, token-user:RING …");
const LOGIN_MEMBER: Argument = must("member", Text, "uid:N, user:NAME, gid:N or group:NAME");
const LOGIN_ROLE: Argument =
    arg("role", Choice(&["user", "so"]), "As the user (the default) or the security officer");

/// A row that never asks.
const fn plain(
    number: u16,
    path: &'static str,
    about: &'static str,
    action: &'static str,
    arguments: &'static [Argument],
    columns: &'static [Column],
) -> Verb {
    Verb { number, path, about, action, arguments, columns, confirm: Confirm::No }
}

/// The table.
pub const VERBS: &[Verb] = &[
    Verb {
        number: 1,
        path: "status",
        about: "Show the daemon's version, uptime, and how many rings, keys and versions it holds",
        action: "GetServiceStatus",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 2,
        path: "locations list",
        about: "List the locations",
        action: "GetRegions",
        arguments: &[FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: LOCATION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 3,
        path: "algorithms list",
        about: "List the algorithms that keys can have here",
        action: "ListAlgorithms",
        arguments: &[
            arg("purpose", Text, "Only algorithms for this purpose"),
            FILTER,
            SORT_BY,
            LIMIT,
            PAGE_SIZE,
            PAGE_TOKEN,
            URI,
        ],
        columns: ALGORITHM_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 4,
        path: "clock status",
        about: "Show the clock that schedules run on, and whether it is held",
        action: "GetServiceStatus",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 5,
        path: "clock accept",
        about: "Believe the clock of the machine after a leap",
        action: "AcceptClock",
        arguments: &[],
        columns: &[],
        confirm: Confirm::Ask,
    },
    Verb {
        number: 6,
        path: "events watch",
        about: "Print events as they happen",
        action: "ReadAudit",
        arguments: &[
            arg("after", Text, "Number of the last event seen (used by the program itself)"),
            arg("once", LocalFlag, "Print what has happened since --after and stop"),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 7,
        path: "metrics",
        about: "Print what the daemon counts, in the text format of Prometheus",
        action: "GetServiceStatus",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 8,
        path: "config check",
        about: "Check that a file is a configuration that the daemon would start with",
        action: "GetServiceStatus",
        arguments: &[must("file", File, "The file, such as /etc/claviger/clavigerd.toml")],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 10,
        path: "keyrings create",
        about: "Create a key ring, which PKCS#11 applications see as a token",
        action: "CreateKeyRing",
        arguments: &[
            must("name", Positional, "Key ring: 1 to 63 letters, digits, - and _"),
            arg("token-label", Text, "Label of the token, at most 32 bytes (default the key ring's name)"),
            arg("so-pin-file", PinFile, "File with the security officer's PIN (- for stdin)"),
            arg("user-pin-file", PinFile, "File with the user's PIN"),
            arg(
                "profile",
                Choice(PROFILES),
                "Which mechanisms and defaults the token has (default standard)",
            ),
            arg("p11-destroy", Choice(P11_DESTROY), "What C_DestroyObject does to a key (default schedule)"),
            P11_REINIT_ARG,
            FIND_VERSIONS_ARG,
            ENFORCE_DATES,
            RAW_USE,
        ],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 11,
        path: "keyrings list",
        about: "List the key rings",
        action: "ListKeyRings",
        arguments: &[FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 12,
        path: "keyrings describe",
        about: "Show a key ring",
        action: "ListKeyRings",
        arguments: &[must("name", Positional, "Key ring")],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 13,
        path: "keyrings update",
        about: "Change a key ring's label, PINs, profile and what applications may do to it",
        action: "UpdateKeyRing",
        arguments: &[
            must("name", Positional, "Key ring"),
            arg("token-label", Text, "Label of the token, at most 32 bytes"),
            arg("so-pin-file", PinFile, "File with the security officer's new PIN (- for stdin)"),
            arg("user-pin-file", PinFile, "File with the user's new PIN"),
            arg("profile", Choice(PROFILES), "Which mechanisms and defaults the token has"),
            arg("p11-destroy", Choice(P11_DESTROY), "What C_DestroyObject does to a key"),
            P11_REINIT_ARG,
            FIND_VERSIONS_ARG,
            ENFORCE_DATES,
            RAW_USE,
            ETAG,
        ],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 20,
        path: "keys create",
        about: "Create a key and, unless told otherwise, its first version",
        action: "CreateKey",
        arguments: &[
            must("name", Positional, "Key: 1 to 63 letters, digits, - and _"),
            RING,
            must(
                "purpose",
                Text,
                "encryption, asymmetric-signing, asymmetric-encryption, raw-encryption, mac, key-encapsulation or aes-wrapping; or what another \
                 cloud calls it, such as SIGN/VERIFY",
            ),
            arg(
                "default-algorithm",
                Text,
                "Algorithm of its versions, such as ec-sign-p256-sha256, or another cloud's key spec, such as EC_P256",
            ),
            PROTECTION_LEVEL,
            arg("skip-initial-version-creation", Flag, "Create the key without a version"),
            arg("import-only", Flag, "Only imported versions; needs --skip-initial-version-creation"),
            arg(
                "destroy-scheduled-duration",
                Text,
                "Time from destroy to destruction, such as 30d (the default)",
            ),
            arg("labels", Text, "Labels: key=value,key=value"),
            arg("tags", Text, "Tags: key=value,key=value"),
            arg("description", Text, "What the key is for, at most 8192 bytes"),
            arg("display-name", Text, "A name for people"),
            arg("alias", Text, "Another name: alias/NAME"),
            arg("default", Flag, "The location's one default key, which alias/default names"),
            arg(
                "managed-by",
                Text,
                "The service whose key it is, uid:N or user:NAME: nobody else ends or tags it",
            ),
            arg("deletion-protection", Flag, "Nothing destroys it until keys unprotect"),
            arg("rotation-period", Text, "Time between rotations, such as 90d"),
            arg("next-rotation-time", Text, "First rotation: a time (RFC 3339) or +30d"),
        ],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 21,
        path: "keys list",
        about: "List the keys of a key ring",
        action: "ListKey",
        arguments: &[
            RING,
            arg("full", Flag, "Everything about each key"),
            arg("archived", Flag, "The archived keys, and no others"),
            FILTER,
            SORT_BY,
            LIMIT,
            PAGE_SIZE,
            PAGE_TOKEN,
            URI,
        ],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 22,
        path: "keys describe",
        about: "Show keys",
        action: "DescribeKey",
        arguments: &[NAMES, KEYRING],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 23,
        path: "keys update",
        about: "Change a key",
        action: "UpdateKey",
        arguments: &[
            NAME,
            KEYRING,
            arg("primary-version", Text, "Version that encrypts"),
            arg("rotation-period", Text, "Time between rotations, such as 90d"),
            arg("next-rotation-time", Text, "Next rotation: a time (RFC 3339) or +30d"),
            arg("remove-rotation-schedule", Flag, "Rotate no more by itself"),
            arg("default-algorithm", Text, "Algorithm of later versions"),
            arg("update-labels", Text, "Labels to set: key=value,key=value"),
            arg("remove-labels", Text, "Labels to remove: key,key"),
            arg("clear-labels", Flag, "Remove all labels"),
            arg("description", Text, "What the key is for"),
            arg("display-name", Text, "A name for people"),
            arg("managed-by", Text, "The service whose key it is, uid:N or user:NAME; none for nobody"),
            ETAG,
        ],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 24,
        path: "keys enable",
        about: "Enable every disabled version of keys",
        action: "EnableKey",
        arguments: &[NAMES, KEYRING, ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 25,
        path: "keys disable",
        about: "Disable every enabled version of keys: every use is refused until they are enabled",
        action: "DisableKey",
        arguments: &[NAMES, KEYRING, ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::Ask,
    },
    Verb {
        number: 26,
        path: "keys destroy",
        about: "Schedule the destruction of every version of keys; until it happens they can be restored",
        action: "ScheduleKeyDeletion",
        arguments: &[NAMES, KEYRING, WINDOW, FORCE_BOUND, ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::TypeName,
    },
    Verb {
        number: 27,
        path: "keys restore",
        about: "Take back the scheduled destruction of all versions of keys; they are then disabled",
        action: "CancelKeyDeletion",
        arguments: &[NAMES, KEYRING, ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 28,
        path: "keys protect",
        about: "Protect a key: nothing destroys it until keys unprotect",
        action: "SetDeletionProtection",
        arguments: &[NAME, KEYRING, arg("reason", Text, "Why"), ETAG],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 29,
        path: "keys unprotect",
        about: "Take the protection from deletion away",
        action: "SetDeletionProtection",
        arguments: &[NAME, KEYRING, ETAG],
        columns: KEY_COLUMNS,
        confirm: Confirm::Ask,
    },
    Verb {
        number: 30,
        path: "keys set-primary-version",
        about: "Make a version the one that encrypts",
        action: "UpdateKeyPrimaryVersion",
        arguments: &[NAME, KEYRING, must("version", Text, "Version number"), ETAG],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 31,
        path: "keys rotate",
        about: "Create a version and make it the primary one",
        action: "RotateKey",
        arguments: &[NAME, KEYRING, ETAG],
        columns: VERSION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 32,
        path: "keys rotation enable",
        about: "Rotate a key from time to time",
        action: "EnableKeyRotation",
        arguments: &[
            NAME,
            KEYRING,
            arg("rotation-period", Text, "Time between rotations (default 365d)"),
            arg(
                "next-rotation-time",
                Text,
                "First rotation: a time (RFC 3339) or +30d (default one period from now)",
            ),
            ETAG,
        ],
        columns: ROTATION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 33,
        path: "keys rotation disable",
        about: "Rotate a key no more by itself",
        action: "DisableKeyRotation",
        arguments: &[NAME, KEYRING, ETAG],
        columns: ROTATION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 34,
        path: "keys rotation status",
        about: "Show when a key is rotated",
        action: "GetKeyRotationStatus",
        arguments: &[NAME, KEYRING],
        columns: ROTATION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 35,
        path: "keys archive",
        about: "Archive keys: they open what they made, make nothing new, and are not listed",
        action: "ArchiveKey",
        arguments: &[NAMES, KEYRING, ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 36,
        path: "keys unarchive",
        about: "Bring archived keys back",
        action: "CancelKeyArchive",
        arguments: &[NAMES, KEYRING, ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 37,
        path: "keys usage",
        about: "Show when, by whom and how often a key was used, and what it is bound to",
        action: "GetKeyUsage",
        arguments: &[NAME, KEYRING, arg("refresh", Flag, "Accepted; what is shown is always current")],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 38,
        path: "keys preflight",
        about: "Show what the destruction of keys would cost",
        action: "GetKeyUsage",
        arguments: &[NAMES, KEYRING, WINDOW],
        columns: PREFLIGHT_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 40,
        path: "keys versions create",
        about: "Create a version from the key's template",
        action: "CreateKeyVersion",
        arguments: &[KEYRING, KEY, arg("primary", Flag, "Make it the primary version")],
        columns: VERSION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 41,
        path: "keys versions list",
        about: "List the versions of a key",
        action: "ListKeyVersions",
        arguments: &[
            KEYRING,
            KEY,
            arg("include-destroyed", Flag, "Accepted; destroyed versions are always listed"),
            FILTER,
            SORT_BY,
            LIMIT,
            PAGE_SIZE,
            PAGE_TOKEN,
            URI,
        ],
        columns: VERSION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 42,
        path: "keys versions describe",
        about: "Show a version",
        action: "DescribeKeyVersion",
        arguments: &[must("version", Positional, "Version number"), KEYRING, KEY],
        columns: VERSION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 43,
        path: "keys versions enable",
        about: "Enable disabled versions",
        action: "EnableKeyVersion",
        arguments: &[VERSIONS, KEYRING, KEY, ETAG],
        columns: BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 44,
        path: "keys versions disable",
        about: "Disable versions: they stay, but every use is refused until they are enabled",
        action: "DisableKeyVersion",
        arguments: &[VERSIONS, KEYRING, KEY, ETAG],
        columns: BATCH_COLUMNS,
        confirm: Confirm::AskPrimary,
    },
    Verb {
        number: 45,
        path: "keys versions destroy",
        about: "Schedule the destruction of versions; until it happens they can be restored",
        action: "ScheduleKeyDeletion",
        arguments: &[VERSIONS, KEYRING, KEY, WINDOW, FORCE_BOUND, ETAG],
        columns: BATCH_COLUMNS,
        confirm: Confirm::TypeName,
    },
    Verb {
        number: 46,
        path: "keys versions restore",
        about: "Take back a scheduled destruction; the version is then disabled",
        action: "CancelKeyDeletion",
        arguments: &[VERSIONS, KEYRING, KEY, ETAG],
        columns: BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 47,
        path: "keys versions import",
        about: "Import key material through an import job",
        action: "ImportKeyMaterial",
        arguments: &[
            KEYRING,
            KEY,
            must("import-job", Text, "Import job to use"),
            must("algorithm", Text, "Algorithm of the material, such as ec-sign-p256-sha256"),
            arg("target-key-file", Local, "Unwrapped material (PKCS#8 DER or raw); this program wraps it"),
            arg("public-key-file", Local, "The job's public key, PEM (default: asked from the daemon)"),
            arg("wrapped-key-file", File, "Material that is already wrapped for the job"),
            arg("version", Text, "Import again into this version"),
            arg("async", LocalFlag, "Do not wait for the result"),
        ],
        columns: VERSION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 48,
        path: "keys versions get-public-key",
        about: "Print the public key of an asymmetric version",
        action: "GetPublicKey",
        arguments: &[
            must("version", Positional, "Version number"),
            KEYRING,
            KEY,
            arg("output-file", Local, "Write it here instead of stdout"),
            arg(
                "public-key-format",
                Choice(&["pem", "der", "nist-pqc", "xwing-raw-bytes"]),
                "Format (default pem; to be named for ML-DSA, SLH-DSA and ML-KEM, whose bytes are nist-pqc, and X-Wing)",
            ),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 49,
        path: "keys versions preflight",
        about: "Show what the destruction of a version would cost",
        action: "DescribeKeyVersion",
        arguments: &[must("version", Positional, "Version number"), KEYRING, KEY, WINDOW],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 50,
        path: "keys tags set",
        about: "Set tags of keys",
        action: "TagResource",
        arguments: &[
            NAMES,
            KEYRING,
            arg("tags", Text, "Tags: key=value,key=value"),
            arg("tags-file", File, "JSON object of tags"),
            ETAG,
        ],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 51,
        path: "keys tags unset",
        about: "Remove tags of keys",
        action: "UntagResource",
        arguments: &[NAMES, KEYRING, must("tags", Text, "Keys of tags: key,key"), ETAG],
        columns: KEY_BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 52,
        path: "keys tags list",
        about: "Show the tags of keys",
        action: "ListResourceTags",
        arguments: &[NAMES, KEYRING],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 53,
        path: "keys bindings add",
        about: "Declare that something uses a key",
        action: "BindCloudResource",
        arguments: &[
            NAME,
            KEYRING,
            must("product", Text, "Product or service"),
            must("resource-id", Text, "Resource there"),
            arg("note", Text, "Anything else"),
            ETAG,
        ],
        columns: BINDING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 54,
        path: "keys bindings remove",
        about: "Take a declared use back",
        action: "UnbindCloudResource",
        arguments: &[
            NAME,
            KEYRING,
            must("product", Text, "Product or service"),
            must("resource-id", Text, "Resource there"),
            ETAG,
        ],
        columns: BINDING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 55,
        path: "keys bindings list",
        about: "Show the declared uses of a key",
        action: "GetKeyUsage",
        arguments: &[NAME, KEYRING],
        columns: BINDING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 60,
        path: "import-jobs create",
        about: "Create an import job: a key pair that wraps material on its way in, for 3 days",
        action: "CreateImportJob",
        arguments: &[
            must("name", Positional, "Import job: 1 to 63 letters, digits, - and _"),
            RING,
            must("import-method", Choice(IMPORT_METHODS), "How the material is wrapped"),
            must("protection-level", Choice(&["software", "hsm"]), "Level of the keys to import"),
            arg("allowed-algorithms", Text, "Only keys of these algorithms: algorithm,algorithm"),
            arg("max-uses", Text, "How many imports it serves (default any number)"),
        ],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 61,
        path: "import-jobs list",
        about: "List the import jobs of a key ring",
        action: "ListImportJobs",
        arguments: &[RING, FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 62,
        path: "import-jobs describe",
        about: "Show an import job with its public key",
        action: "GetImportJob",
        arguments: &[must("name", Positional, "Import job"), RING],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 63,
        path: "import-jobs wait",
        about: "Wait until an import job is active",
        action: "GetImportJob",
        arguments: &[must("name", Positional, "Import job"), RING],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 64,
        path: "keys get-parameters-for-import",
        about: "Make a wrapping key and a token for one import into a symmetric key, for a day",
        action: "GetParametersForImport",
        arguments: &[
            NAME,
            KEYRING,
            arg(
                "wrapping-algorithm",
                Choice(&["rsaes-oaep-sha-256", "rsaes-oaep-sha-1", "rsaes-pkcs1-v1-5", "sm2pke"]),
                "How the material is wrapped, with RSA-2048 or SM2 (default rsaes-oaep-sha-256)",
            ),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 65,
        path: "keys import-key-material",
        about: "Import material into version 1 of a key by its import token, and have it encrypt",
        action: "ImportKeyMaterial",
        arguments: &[
            NAME,
            KEYRING,
            must("import-token", Text, "Token that get-parameters-for-import gave"),
            must("wrapped-key-file", File, "Material, wrapped with the public key that came with the token"),
            arg("valid-to", Text, "When the material goes: a time (RFC 3339) or +30d (default never)"),
        ],
        columns: VERSION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 66,
        path: "keys delete-imported-key-material",
        about: "Destroy imported material at once; the same material may be imported again",
        action: "DeleteImportedKeyMaterial",
        arguments: &[NAME, KEYRING],
        columns: KEY_COLUMNS,
        confirm: Confirm::TypeName,
    },
    Verb {
        number: 70,
        path: "aliases create",
        about: "Give a key another name",
        action: "CreateAlias",
        arguments: &[must("alias", Positional, "alias/NAME"), RING, must("key", Text, "Key")],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 71,
        path: "aliases update",
        about: "Point an alias to another key",
        action: "UpdateAlias",
        arguments: &[must("alias", Positional, "alias/NAME"), RING, must("key", Text, "Key")],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 72,
        path: "aliases delete",
        about: "Take an alias away",
        action: "DeleteAlias",
        arguments: &[must("alias", Positional, "alias/NAME")],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 73,
        path: "aliases list",
        about: "List the aliases of a location",
        action: "ListAliases",
        arguments: &[
            arg("key", Text, "Only of this key"),
            KEYRING,
            FILTER,
            SORT_BY,
            LIMIT,
            PAGE_SIZE,
            PAGE_TOKEN,
            URI,
        ],
        columns: ALIAS_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 80,
        path: "encrypt",
        about: "Encrypt a small text with a symmetric key",
        action: "Encrypt",
        arguments: &[
            KEYRING,
            KEY,
            VERSION,
            must("plaintext-file", File, "Plaintext, at most 64 KiB"),
            AAD,
            CONTEXT,
            arg("ciphertext-file", Output("ciphertext"), "Write the ciphertext here"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 81,
        path: "decrypt",
        about: "Decrypt what encrypt made",
        action: "Decrypt",
        arguments: &[
            KEYRING,
            arg("key", Text, "Key (default: the one that the ciphertext names)"),
            must("ciphertext-file", File, "Ciphertext"),
            AAD,
            CONTEXT,
            arg("plaintext-file", Output("plaintext"), "Write the plaintext here"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 82,
        path: "raw-encrypt",
        about: "Encrypt in a bare mode of operation",
        action: "RawEncrypt",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            must("plaintext-file", File, "Plaintext, at most 64 KiB"),
            AAD,
            IV_FILE,
            arg("ciphertext-file", Output("ciphertext"), "Write the ciphertext here"),
            arg(
                "initialization-vector-output-file",
                Output("initializationVector"),
                "Write the initialization vector here",
            ),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 83,
        path: "raw-decrypt",
        about: "Decrypt in a bare mode of operation",
        action: "RawDecrypt",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            must("ciphertext-file", File, "Ciphertext"),
            AAD,
            IV_FILE,
            arg("tag-length", Text, "Bytes of the tag, 12 to 16 (default 16)"),
            arg("plaintext-file", Output("plaintext"), "Write the plaintext here"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 84,
        path: "reencrypt",
        about: "Encrypt a ciphertext anew; its plaintext does not leave the daemon",
        action: "ReEncrypt",
        arguments: &[
            must("ciphertext-file", File, "Ciphertext"),
            arg("destination-keyring", Text, "Key ring of the new key"),
            arg("destination-key", Text, "New key (default the same)"),
            arg(
                "source-additional-authenticated-data-file",
                File,
                "Authenticated data of the old ciphertext",
            ),
            arg(
                "destination-additional-authenticated-data-file",
                File,
                "Authenticated data of the new ciphertext",
            ),
            arg("source-context", Text, "Encryption context of the old ciphertext"),
            arg("destination-context", Text, "Encryption context of the new ciphertext"),
            arg("output-file", Output("ciphertext"), "Write the new ciphertext here"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 85,
        path: "generate-data-key",
        about: "Make a data key and encrypt it; the daemon forgets it",
        action: "GenerateDataKey",
        arguments: &[
            KEYRING,
            KEY,
            arg("spec", Choice(&["aes-256", "aes-128", "sm4"]), "Kind of the data key (default aes-256)"),
            arg("length", Text, "Bytes of the data key, 1 to 1024, in place of --spec"),
            arg("without-plaintext", Flag, "Only the encrypted data key"),
            arg("wrap-with-public-key-file", File, "RSA or SM2 public key (PEM) to wrap the data key with"),
            AAD,
            CONTEXT,
            arg("plaintext-file", Output("plaintext"), "Write the data key here"),
            arg("ciphertext-file", Output("ciphertext"), "Write the encrypted data key here"),
            arg(
                "wrapped-key-file",
                Output("wrappedKey"),
                "Write the data key, wrapped with the public key, here",
            ),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 86,
        path: "asymmetric-sign",
        about: "Sign",
        action: "AsymmetricSign",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            arg(
                "digest-algorithm",
                Text,
                "Digest of the input that is signed: sha256, sha384, sha512 or sm3",
            ),
            arg("input-file", File, "Data; the daemon makes the digest"),
            arg("digest-file", File, "The digest itself"),
            arg("signature-file", Output("signature"), "Write the signature here"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 87,
        path: "asymmetric-verify",
        about: "Verify a signature",
        action: "AsymmetricVerify",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            arg(
                "digest-algorithm",
                Text,
                "Digest of the input that is signed: sha256, sha384, sha512 or sm3",
            ),
            arg("input-file", File, "Data; the daemon makes the digest"),
            arg("digest-file", File, "The digest itself"),
            must("signature-file", File, "Signature"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 88,
        path: "asymmetric-encrypt",
        about: "Encrypt with a public key",
        action: "AsymmetricEncrypt",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            must("plaintext-file", File, "Plaintext"),
            arg("ciphertext-file", Output("ciphertext"), "Write the ciphertext here"),
            CIPHERTEXT_FORMAT,
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 89,
        path: "asymmetric-decrypt",
        about: "Decrypt what was encrypted with the public key",
        action: "AsymmetricDecrypt",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            must("ciphertext-file", File, "Ciphertext"),
            arg("plaintext-file", Output("plaintext"), "Write the plaintext here"),
            CIPHERTEXT_FORMAT,
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 90,
        path: "mac-sign",
        about: "Make a message authentication code",
        action: "GenerateMac",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            must("input-file", File, "Data, at most 64 KiB"),
            arg("signature-file", Output("mac"), "Write the code here"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 91,
        path: "mac-verify",
        about: "Check a message authentication code",
        action: "VerifyMac",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            must("input-file", File, "Data, at most 64 KiB"),
            must("signature-file", File, "Code"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 92,
        path: "generate-random",
        about: "Make random bytes",
        action: "GenerateRandom",
        arguments: &[
            must("length", Text, "How many bytes"),
            arg("output-file", Output("data"), "Write them here"),
            BASE64,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 93,
        path: "decapsulate",
        about: "Open a secret that was encapsulated for the public key",
        action: "Decapsulate",
        arguments: &[
            KEYRING,
            KEY,
            must("version", Text, "Version number"),
            must("ciphertext-file", File, "Encapsulated secret"),
            arg("shared-secret-file", Output("sharedSecret"), "Write the secret here"),
            BASE64,
            SKIP_INTEGRITY,
        ],
        columns: &[],
        confirm: Confirm::No,
    },
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
    Verb {
        number: 110,
        path: "projects list",
        about: "List the projects, and whether they are disabled",
        action: "ListProjects",
        arguments: &[FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: PROJECT_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 111,
        path: "projects disable",
        about: "Shut a project: nothing under it can be reached until it is enabled, and nothing is lost",
        action: "DisableProject",
        arguments: &[must("name", Positional, "Project")],
        columns: PROJECT_COLUMNS,
        confirm: Confirm::AskPlain,
    },
    Verb {
        number: 112,
        path: "projects enable",
        about: "Open a project again",
        action: "EnableProject",
        arguments: &[must("name", Positional, "Project")],
        columns: PROJECT_COLUMNS,
        confirm: Confirm::No,
    },
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
    // Access control: policies, roles, logins, PINs.
    plain(
        300,
        "keyrings get-policy",
        "Show who may do what with a key ring",
        "GetKeyPolicy",
        &[RING_NAME],
        &[],
    ),
    plain(
        301,
        "keyrings set-policy",
        "Set who may do what with a key ring and all below it",
        "SetKeyPolicy",
        &[RING_NAME, POLICY, POLICY_FILE, POLICY_DEFAULT, ETAG],
        &[],
    ),
    plain(
        302,
        "keyrings add-binding",
        "Give somebody a role on a key ring",
        "SetKeyPolicy",
        &[RING_NAME, MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        303,
        "keyrings remove-binding",
        "Take a role on a key ring from somebody",
        "SetKeyPolicy",
        &[RING_NAME, MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(304, "keys get-policy", "Show who may do what with a key", "GetKeyPolicy", &[NAME, KEYRING], &[]),
    plain(
        305,
        "keys set-policy",
        "Set who may do what with a key and all below it",
        "SetKeyPolicy",
        &[NAME, POLICY, KEYRING, POLICY_FILE, POLICY_DEFAULT, ETAG],
        &[],
    ),
    plain(
        306,
        "keys add-binding",
        "Give somebody a role on a key",
        "SetKeyPolicy",
        &[NAME, KEYRING, MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        307,
        "keys remove-binding",
        "Take a role on a key from somebody",
        "SetKeyPolicy",
        &[NAME, KEYRING, MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        308,
        "import-jobs get-policy",
        "Show who may do what with an import job",
        "GetKeyPolicy",
        &[JOB_NAME, RING],
        &[],
    ),
    plain(
        309,
        "import-jobs set-policy",
        "Set who may do what with an import job and all below it",
        "SetKeyPolicy",
        &[JOB_NAME, POLICY, RING, POLICY_FILE, POLICY_DEFAULT, ETAG],
        &[],
    ),
    plain(
        310,
        "import-jobs add-binding",
        "Give somebody a role on an import job",
        "SetKeyPolicy",
        &[JOB_NAME, RING, MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        311,
        "import-jobs remove-binding",
        "Take a role on an import job from somebody",
        "SetKeyPolicy",
        &[JOB_NAME, RING, MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        312,
        "locations get-policy",
        "Show who may do what with a location (--location)",
        "GetKeyPolicy",
        &[],
        &[],
    ),
    plain(
        313,
        "locations set-policy",
        "Set who may do what with a location (--location) and all below it",
        "SetKeyPolicy",
        &[POLICY, POLICY_FILE, POLICY_DEFAULT, ETAG],
        &[],
    ),
    plain(
        314,
        "locations add-binding",
        "Give somebody a role on a location (--location)",
        "SetKeyPolicy",
        &[MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        315,
        "locations remove-binding",
        "Take a role on a location (--location) from somebody",
        "SetKeyPolicy",
        &[MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        316,
        "projects get-policy",
        "Show who may do what with a project (--project)",
        "GetKeyPolicy",
        &[],
        &[],
    ),
    plain(
        317,
        "projects set-policy",
        "Set who may do what with a project (--project) and all below it",
        "SetKeyPolicy",
        &[POLICY, POLICY_FILE, POLICY_DEFAULT, ETAG],
        &[],
    ),
    plain(
        318,
        "projects add-binding",
        "Give somebody a role on a project (--project)",
        "SetKeyPolicy",
        &[MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        319,
        "projects remove-binding",
        "Take a role on a project (--project) from somebody",
        "SetKeyPolicy",
        &[MEMBER, ROLE, ETAG],
        &[],
    ),
    plain(
        320,
        "policies create",
        "Create a policy, which policies attach gives to somebody",
        "SetKeyPolicy",
        &[
            POLICY_NAME,
            must("from-file", Document, "Policy document, JSON or YAML (policies template makes one)"),
            arg("replace", Flag, "Even if it exists"),
        ],
        POLICY_COLUMNS,
    ),
    plain(
        321,
        "policies list",
        "List the policies of a project",
        "GetKeyPolicy",
        &[FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        POLICY_COLUMNS,
    ),
    plain(322, "policies describe", "Show a policy", "GetKeyPolicy", &[POLICY_NAME], &[]),
    plain(
        323,
        "policies attach",
        "Give a policy to somebody: it holds for them in the whole project",
        "SetKeyPolicy",
        &[POLICY_NAME, PRINCIPAL],
        POLICY_COLUMNS,
    ),
    plain(
        324,
        "policies detach",
        "Take a policy from somebody",
        "SetKeyPolicy",
        &[POLICY_NAME, PRINCIPAL],
        POLICY_COLUMNS,
    ),
    plain(
        325,
        "policies test",
        "Show what would be decided, and by which statement",
        "TestPermissions",
        &[
            PRINCIPAL,
            must("action", Text, "Action, such as kms:Encrypt"),
            must("resource", Text, "Full name of a project, location, key ring, key or import job"),
            arg("via-pkcs11", Flag, "As if they came through the PKCS#11 module"),
        ],
        &[
            column("DECISION", "decision", Form::Text),
            column("POLICY", "policy", Form::Text),
            column("STATEMENT", "statement", Form::Text),
            column("SID", "sid", Form::Text),
            column("REASON", "reason", Form::Text),
        ],
    ),
    plain(
        326,
        "policies template",
        "Show the built-in roles, or one as a policy to begin with",
        "GetKeyPolicy",
        &[arg("role", Text, "Role, such as kms.user")],
        &[column("ROLE", "name", Form::Text), column("WHAT FOR", "about", Form::Text)],
    ),
    plain(
        327,
        "policies delete",
        "Delete a policy",
        "SetKeyPolicy",
        &[POLICY_NAME, arg("force", Flag, "Even if it is attached to somebody")],
        &[],
    ),
    plain(
        330,
        "keyrings reset-pin",
        "Set the PINs of a token anew, whatever they were, and unlock them",
        "ResetTokenPin",
        &[
            RING_NAME,
            arg("so-pin-file", PinFile, "File with the security officer's new PIN (- for stdin)"),
            arg("user-pin-file", PinFile, "File with the user's new PIN"),
        ],
        KEYRING_COLUMNS,
    ),
    plain(
        331,
        "keyrings unlock",
        "Unlock the PINs of a token, which stay what they are",
        "ResetTokenPin",
        &[RING_NAME],
        KEYRING_COLUMNS,
    ),
    plain(
        332,
        "keyrings logins add",
        "Let processes of a user or group log in on a token without a PIN",
        "SetKeyPolicy",
        &[RING_NAME, LOGIN_MEMBER, LOGIN_ROLE],
        LOGIN_COLUMNS,
    ),
    plain(
        333,
        "keyrings logins remove",
        "Ask a user or group for the PIN again",
        "SetKeyPolicy",
        &[RING_NAME, LOGIN_MEMBER, LOGIN_ROLE],
        LOGIN_COLUMNS,
    ),
    plain(
        334,
        "keyrings logins list",
        "Show who logs in on a token without a PIN",
        "GetKeyPolicy",
        &[RING_NAME],
        LOGIN_COLUMNS,
    ),
];

/// The row with this number.
pub fn verb(number: u16) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_paths_are_unique() {
        for (i, verb) in VERBS.iter().enumerate() {
            assert!(VERBS[..i].iter().all(|other| other.number < verb.number && other.path != verb.path));
        }
    }
}
