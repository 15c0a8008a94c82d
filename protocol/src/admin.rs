//! Table 5: every admin verb: its words, arguments, columns, help and the action it needs.
//!
//! The CLI builds its command tree, its tables and its confirmations from the rows, the daemon its dispatch.
//! A verb is one row here and one handler in the daemon's `admin/`.
//!
//! On the admin socket a request is a [`RequestHeader`](crate::frame::RequestHeader) with the verb's number and
//! a [`Request`]; a reply is a [`ReplyHeader`](crate::frame::ReplyHeader) and a [`Reply`], whatever its `rv`.

mod aliases;
mod arguments;
mod audit;
mod columns;
mod cryptography;
mod import_jobs;
mod keyrings;
mod keys;
mod policies;
mod projects;
mod service;
mod store;
mod tags;
mod versions;

pub use arguments::{FIND_VERSIONS, IMPORT_METHODS, ON_OFF, P11_DESTROY, P11_REINIT, PROFILES};

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

const fn arg(name: &'static str, kind: ArgumentKind, help: &'static str) -> Argument {
    Argument { name, kind, required: false, help }
}

const fn must(name: &'static str, kind: ArgumentKind, help: &'static str) -> Argument {
    Argument { name, kind, required: true, help }
}

const fn column(heading: &'static str, field: &'static str, form: Form) -> Column {
    Column { heading, field, form }
}

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

/// The verbs of each noun, by number.
const NOUNS: &[&[Verb]] = &[
    service::VERBS,
    keyrings::VERBS,
    keys::VERBS,
    versions::VERBS,
    tags::VERBS,
    import_jobs::VERBS,
    aliases::VERBS,
    cryptography::VERBS,
    audit::VERBS,
    projects::VERBS,
    store::VERBS,
    policies::VERBS,
];

const COUNT: usize = {
    let (mut count, mut i) = (0, 0);
    while i < NOUNS.len() {
        count += NOUNS[i].len();
        i += 1;
    }
    count
};

const ROWS: [Verb; COUNT] = {
    let mut rows = [NOUNS[0][0]; COUNT];
    let (mut next, mut i) = (0, 0);
    while i < NOUNS.len() {
        let mut j = 0;
        while j < NOUNS[i].len() {
            rows[next] = NOUNS[i][j];
            next += 1;
            j += 1;
        }
        i += 1;
    }
    rows
};

/// The table.
pub const VERBS: &[Verb] = &ROWS;

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
