//! The arguments of a verb, checked against its row of table 5.

use claviger_protocol::Bytes;
use claviger_protocol::admin::{ArgumentKind, ArgumentValue, Request, Verb};

use crate::error::{Error, Result};
use crate::kms::algorithm::quoted;

/// Arguments that every verb takes: where names without a path are looked for.
const SCOPE: &[&str] = &["project", "location"];

/// What is behind a file's name in the name of its checksum.
const CHECKSUM: &str = "-crc32c";

/// What a verb was given: arguments that its row has, each once, of the right kind.
pub struct Args(Vec<(String, ArgumentValue)>);

impl Args {
    /// Checks a request against the verb's row.
    ///
    /// # Errors
    /// `InvalidArgument` for an argument that is unknown, repeated, missing, of another kind, or none of the
    /// choices.
    pub fn read(verb: &Verb, request: Request) -> Result<Args> {
        let mut arguments: Vec<(String, ArgumentValue)> = Vec::with_capacity(request.arguments.len());
        for (name, value) in request.arguments {
            if arguments.iter().any(|(other, _)| *other == name) {
                return refuse(format!("the argument {} is given twice", quoted(&name)));
            }
            let row = verb.arguments.iter().find(|row| row.name == name);
            let kind = match row {
                Some(row) => row.kind,
                None if is_checksum(verb, &name) => ArgumentKind::Text,
                None if SCOPE.contains(&name.as_str()) => ArgumentKind::Text,
                None => return refuse(format!("{} has no argument {}", verb.path, quoted(&name))),
            };
            let value = checked(kind, value).map_err(|why| {
                let message = format!("the argument {name} of {} {why}", verb.path);
                Error::InvalidArgument { message }
            })?;
            arguments.push((name, value));
        }
        let args = Args(arguments);
        let is_sent =
            |kind| !matches!(kind, ArgumentKind::Local | ArgumentKind::LocalFlag | ArgumentKind::Output(_));
        let mut needed = verb.arguments.iter().filter(|row| row.required && is_sent(row.kind));
        match needed.find(|row| args.value(row.name).is_none()) {
            Some(missing) => refuse(format!("{} needs the argument {}", verb.path, missing.name)),
            None => Ok(args),
        }
    }

    /// A text, if it is given.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(ArgumentValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A text that the verb cannot do without.
    ///
    /// # Errors
    /// `InvalidArgument` when it is missing.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.text(name).ok_or_else(|| Error::InvalidArgument { message: format!("{name} is missing") })
    }

    /// True when a flag is given.
    pub fn flag(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The content of a file, if it is given.
    pub fn bytes(&self, name: &str) -> Option<&Bytes> {
        match self.value(name) {
            Some(ArgumentValue::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A file whose checksum, if one came, was right; and whether one came.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong checksum.
    pub fn checked_bytes(&self, name: &str) -> Result<Option<(&Bytes, bool)>> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        let Some(said) = self.text(&format!("{name}{CHECKSUM}")) else { return Ok(Some((bytes, false))) };
        match said.parse::<u32>() {
            Ok(said) if said == crc32c::crc32c(bytes) => Ok(Some((bytes, true))),
            _ => refuse(format!("the checksum of {name} is wrong: it was changed on its way")),
        }
    }

    /// A number, if it is given.
    ///
    /// # Errors
    /// `InvalidArgument` for text that is no number of this type.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: &str| {
            let message = format!("{name} is {}, which is no number that fits", quoted(text));
            text.parse().map_err(|_| Error::InvalidArgument { message })
        };
        self.text(name).map(parse).transpose()
    }

    /// The etag that the resource must have. It is opaque: one that was never given out is that of no resource.
    pub fn etag(&self) -> Option<u64> {
        /// Etags rise from 1.
        const NOBODYS: u64 = 0;
        self.text("etag").map(|text| text.parse().unwrap_or(NOBODYS))
    }

    /// Texts that may be several; none are given: empty.
    pub fn list(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(ArgumentValue::List(list)) => list,
            _ => &[],
        }
    }

    fn value(&self, name: &str) -> Option<&ArgumentValue> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }
}

/// True for the CRC32C of a file that the verb takes.
fn is_checksum(verb: &Verb, name: &str) -> bool {
    let file = name.strip_suffix(CHECKSUM);
    file.is_some_and(|file| {
        verb.arguments.iter().any(|row| row.name == file && row.kind == ArgumentKind::File)
    })
}

/// The value if it is of this kind, choices in the spelling of the row; else why not.
fn checked(kind: ArgumentKind, value: ArgumentValue) -> std::result::Result<ArgumentValue, String> {
    use ArgumentKind::*;
    match (kind, value) {
        (Positional | Text, ArgumentValue::Text(text)) => Ok(ArgumentValue::Text(text)),
        (PositionalList, ArgumentValue::List(list)) if !list.is_empty() => Ok(ArgumentValue::List(list)),
        (Flag, ArgumentValue::Flag) => Ok(ArgumentValue::Flag),
        (File | PinFile | Document | PositionalDocument, ArgumentValue::Bytes(bytes)) => {
            Ok(ArgumentValue::Bytes(bytes))
        }
        (Choice(choices), ArgumentValue::Text(text)) => {
            let spelled = text.to_ascii_lowercase().replace('_', "-");
            if choices.contains(&spelled.as_str()) {
                Ok(ArgumentValue::Text(spelled))
            } else {
                Err(format!("is {}, which is none of {}", quoted(&text), choices.join(", ")))
            }
        }
        (Local | LocalFlag | Output(_), _) => Err("is never sent to the daemon".to_owned()),
        _ => Err("is of another kind".to_owned()),
    }
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
mod tests {
    use claviger_protocol::admin;

    use super::*;

    fn text(text: &str) -> ArgumentValue {
        ArgumentValue::Text(text.to_owned())
    }

    fn read(verb: u16, arguments: &[(&str, ArgumentValue)]) -> Result<Args> {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Args::read(admin::verb(verb).unwrap(), Request { arguments })
    }

    fn message(result: Result<Args>) -> String {
        match result.err().unwrap() {
            Error::InvalidArgument { message } => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_are_read_by_name_and_kind() {
        let args = read(
            10,
            &[
                ("name", text("r")),
                ("so-pin-file", ArgumentValue::Bytes(b"1234".into())),
                ("p11-destroy", text("IMMEDIATE")),
                ("location", text("here")),
            ],
        )
        .unwrap();
        assert_eq!(args.required("name").unwrap(), "r");
        assert_eq!(&args.bytes("so-pin-file").unwrap()[..], b"1234");
        assert_eq!(args.text("p11-destroy"), Some("immediate"));
        assert_eq!(args.text("location"), Some("here"));
        assert_eq!(args.text("token-label"), None);
        assert!(args.required("token-label").is_err() && !args.flag("token-label"));

        let versions = ArgumentValue::List(vec!["1".into(), "2".into()]);
        let args = read(43, &[("versions", versions), ("keyring", text("r")), ("key", text("k"))]).unwrap();
        assert_eq!(args.list("versions"), ["1", "2"]);
        assert!(args.list("keyring").is_empty());
    }

    #[test]
    fn what_the_row_does_not_have_is_refused() {
        assert_eq!(
            message(read(11, &[("keyring", text("r"))])),
            r#"keyrings list has no argument "keyring""#
        );
        let twice = [("name", text("r")), ("name", text("r"))];
        assert_eq!(message(read(12, &twice)), r#"the argument "name" is given twice"#);
        assert_eq!(message(read(12, &[])), "keyrings describe needs the argument name");
        assert!(message(read(12, &[("name", ArgumentValue::Flag)])).ends_with("is of another kind"));
        let profile = [("name", text("r")), ("profile", text("lab"))];
        assert!(
            message(read(10, &profile)).ends_with(r#"is "lab", which is none of standard, strict, legacy"#)
        );
        let local =
            [("version", text("1")), ("keyring", text("r")), ("key", text("k")), ("output-file", text("/x"))];
        assert!(message(read(48, &local)).ends_with("is never sent to the daemon"));
        let none = [("versions", ArgumentValue::List(vec![])), ("keyring", text("r")), ("key", text("k"))];
        assert!(message(read(43, &none)).ends_with("is of another kind"));
    }
}
