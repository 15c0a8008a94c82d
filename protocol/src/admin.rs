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
    /// `--name FILE` with a PIN: like `File`, one trailing line break removed.
    PinFile,
    /// `--name FILE`, written or read by the CLI alone and never sent.
    Local,
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

const KEYRING: Argument = must("keyring", Text, "Key ring the key is on");
const KEY: Argument = must("key", Text, "Key the version belongs to");
const PROTECTION_LEVEL: Argument = arg(
    "protection-level",
    Choice(&["software", "hsm"]),
    "Where the key lives; hsm is emulated by this daemon (default software)",
);
/// The values of `--p11-destroy`: what `C_DestroyObject` does to a token key.
pub const P11_DESTROY: &[&str] = &["schedule", "immediate", "deny"];
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
        ],
        columns: KEYRING_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 11,
        path: "keyrings list",
        about: "List the key rings",
        action: "ListKeyRings",
        arguments: &[],
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
        number: 20,
        path: "keys create",
        about: "Create a key and, unless told otherwise, its first version",
        action: "CreateKey",
        arguments: &[
            must("name", Positional, "Key: 1 to 63 letters, digits, - and _"),
            KEYRING,
            must(
                "purpose",
                Text,
                "encryption, asymmetric-signing, asymmetric-encryption, raw-encryption or mac",
            ),
            arg("default-algorithm", Text, "Algorithm of its versions, such as ec-sign-p256-sha256"),
            PROTECTION_LEVEL,
            arg("skip-initial-version-creation", Flag, "Create the key without a version"),
            arg("import-only", Flag, "Only imported versions; needs --skip-initial-version-creation"),
            arg(
                "destroy-scheduled-duration",
                Text,
                "Time from destroy to destruction, such as 30d (the default)",
            ),
            arg("labels", Text, "Labels: key=value,key=value"),
            arg("description", Text, "What the key is for, at most 8192 bytes"),
        ],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 21,
        path: "keys list",
        about: "List the keys of a key ring",
        action: "ListKey",
        arguments: &[KEYRING],
        columns: KEY_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 22,
        path: "keys describe",
        about: "Show a key",
        action: "DescribeKey",
        arguments: &[must("name", Positional, "Key"), KEYRING],
        columns: KEY_COLUMNS,
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
        arguments: &[KEYRING, KEY],
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
        arguments: &[must("versions", PositionalList, "Version numbers"), KEYRING, KEY],
        columns: BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 44,
        path: "keys versions disable",
        about: "Disable versions: they stay, but every use is refused until they are enabled",
        action: "DisableKeyVersion",
        arguments: &[must("versions", PositionalList, "Version numbers"), KEYRING, KEY],
        columns: BATCH_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 45,
        path: "keys versions destroy",
        about: "Schedule the destruction of versions; until it happens they can be restored",
        action: "ScheduleKeyDeletion",
        arguments: &[must("versions", PositionalList, "Version numbers"), KEYRING, KEY],
        columns: BATCH_COLUMNS,
        confirm: Confirm::TypeName,
    },
    Verb {
        number: 46,
        path: "keys versions restore",
        about: "Take back a scheduled destruction; the version is then disabled",
        action: "CancelKeyDeletion",
        arguments: &[must("versions", PositionalList, "Version numbers"), KEYRING, KEY],
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
            arg("public-key-format", Choice(&["pem", "der"]), "Format (default pem)"),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 60,
        path: "import-jobs create",
        about: "Create an import job: a key pair that wraps material on its way in, for 3 days",
        action: "CreateImportJob",
        arguments: &[
            must("name", Positional, "Import job: 1 to 63 letters, digits, - and _"),
            KEYRING,
            must("import-method", Choice(IMPORT_METHODS), "How the material is wrapped"),
            must("protection-level", Choice(&["software", "hsm"]), "Level of the keys to import"),
        ],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 61,
        path: "import-jobs list",
        about: "List the import jobs of a key ring",
        action: "ListImportJobs",
        arguments: &[KEYRING],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 62,
        path: "import-jobs describe",
        about: "Show an import job with its public key",
        action: "GetImportJob",
        arguments: &[must("name", Positional, "Import job"), KEYRING],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 63,
        path: "import-jobs wait",
        about: "Wait until an import job is active",
        action: "GetImportJob",
        arguments: &[must("name", Positional, "Import job"), KEYRING],
        columns: IMPORT_JOB_COLUMNS,
        confirm: Confirm::No,
    },
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
