//! The command line's arguments as a request.

use std::path::PathBuf;

use claviger_protocol::admin::{ArgumentKind, ArgumentValue, Request};

use crate::Call;
use crate::console::Verbosity;
use crate::error::Result;
use crate::file;

/// The global options that travel with a request when they are given.
const SCOPE: &[&str] = &["project", "location"];

/// The request that the command line asks for; files are read.
///
/// # Errors
/// A file that cannot be read.
pub fn build(call: &mut Call<'_, '_>) -> Result<Request> {
    let mut request = Request::default();
    for argument in call.verb.arguments {
        if let Some(value) = value(call, argument.name, argument.kind)? {
            let checksum = match (&value, argument.kind) {
                (ArgumentValue::Bytes(bytes), ArgumentKind::File) if call.sends_checksums() => {
                    let checksum = crc32c::crc32c(bytes).to_string();
                    Some((format!("{}-crc32c", argument.name), ArgumentValue::Text(checksum)))
                }
                _ => None,
            };
            request.arguments.push((argument.name.to_owned(), value));
            request.arguments.extend(checksum);
        }
    }
    for name in SCOPE {
        if let Some(text) = call.matches.get_one::<String>(name) {
            request.arguments.push(((*name).to_owned(), ArgumentValue::Text(text.clone())));
        }
    }
    call.console.tell(Verbosity::Debug, &shown(call.verb.path, &request));
    Ok(request)
}

/// A request for a person. Of files only the size: they may be secret.
fn shown(verb: &str, request: &Request) -> String {
    let arguments = request.arguments.iter().map(|(name, value)| match value {
        ArgumentValue::Flag => format!(" {name}"),
        ArgumentValue::Text(text) => format!(" {name}={text:?}"),
        ArgumentValue::List(items) => format!(" {name}={items:?}"),
        ArgumentValue::Bytes(bytes) => format!(" {name}=({} bytes)", bytes.len()),
    });
    format!("claviger: debug: {verb}{}", arguments.collect::<String>())
}

fn value(call: &mut Call<'_, '_>, name: &str, kind: ArgumentKind) -> Result<Option<ArgumentValue>> {
    let matches = call.matches;
    Ok(match kind {
        ArgumentKind::Positional | ArgumentKind::Text | ArgumentKind::Choice(_) => {
            matches.get_one::<String>(name).cloned().map(ArgumentValue::Text)
        }
        ArgumentKind::PositionalList => {
            matches.get_many::<String>(name).map(|items| ArgumentValue::List(items.cloned().collect()))
        }
        ArgumentKind::Flag => matches.get_flag(name).then_some(ArgumentValue::Flag),
        ArgumentKind::File => match matches.get_one::<PathBuf>(name) {
            Some(path) => {
                let bytes = call.files.read(path)?.bytes;
                Some(ArgumentValue::Bytes(if call.local_flag("base64") {
                    decoded(path, &bytes)?
                } else {
                    bytes
                }))
            }
            None => None,
        },
        ArgumentKind::Document | ArgumentKind::PositionalDocument => match matches.get_one::<PathBuf>(name) {
            Some(path) => Some(ArgumentValue::Bytes(json(path, &call.files.read(path)?.bytes)?)),
            None => None,
        },
        ArgumentKind::PinFile => match matches.get_one::<PathBuf>(name) {
            Some(path) => {
                let content = call.files.read(path)?;
                if let Some(mode) = content.open_mode {
                    let path = path.display();
                    let warning = format!(
                        "claviger: warning: {path} has mode {mode:04o}, so others can read the PIN: chmod 600 {path}"
                    );
                    call.console.tell(Verbosity::Warning, &warning);
                }
                Some(ArgumentValue::Bytes(file::without_line_break(content.bytes)))
            }
            None => None,
        },
        ArgumentKind::Local | ArgumentKind::LocalFlag | ArgumentKind::Output(_) => None,
    })
}

/// A document as JSON: JSON as it is, else read as YAML.
fn json(path: &std::path::Path, text: &[u8]) -> Result<claviger_protocol::Bytes> {
    if serde_json::from_slice::<serde_json::Value>(text).is_ok() {
        return Ok(text.to_vec().into());
    }
    let wrong = |error: String| {
        crate::error::Error::usage(format!("{} is neither JSON nor YAML: {error}", path.display()))
    };
    let value: serde_json::Value =
        serde_yaml_ng::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    let json = serde_json::to_vec(&value).map_err(|error| wrong(error.to_string()))?;
    Ok(json.into())
}

/// The bytes that base64 text means.
fn decoded(path: &std::path::Path, text: &[u8]) -> Result<claviger_protocol::Bytes> {
    let text: String =
        text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| char::from(*byte)).collect();
    openssl::base64::decode_block(&text)
        .map(claviger_protocol::Bytes::from)
        .map_err(|_| crate::error::Error::usage(format!("{} holds no base64 text", path.display())))
}

/// A request about what this one is about: arguments under their new names, and the scope.
pub fn related(request: &Request, names: &[(&str, &str)]) -> Request {
    let same = SCOPE.iter().map(|name| (*name, *name));
    let arguments = names.iter().copied().chain(same).filter_map(|(from, to)| {
        let value = request.arguments.iter().find(|(name, _)| name == from)?;
        Some((to.to_owned(), value.1.clone()))
    });
    Request { arguments: arguments.collect() }
}

/// The text of an argument.
pub fn text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.arguments.iter().find_map(|(found, value)| match value {
        ArgumentValue::Text(text) if found == name => Some(text.as_str()),
        _ => None,
    })
}

/// The texts of an argument that may be given several times.
pub fn list<'a>(request: &'a Request, name: &str) -> Option<&'a [String]> {
    request.arguments.iter().find_map(|(found, value)| match value {
        ArgumentValue::List(items) if found == name => Some(items.as_slice()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;

    use super::*;
    use crate::fake::{Daemon, document, run};

    #[test]
    fn arguments_travel_under_their_names_and_pins_without_line_break() {
        let (sender, requests) = mpsc::channel();
        let daemon = Daemon::start(move |verb, request| {
            sender.send((verb.path, request)).unwrap();
            document(r#"{"name":"projects/local/locations/global/keyRings/r"}"#)
        });
        let open = daemon.file("user.pin", b"1234\n");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).unwrap();
        let line = [
            "keyrings",
            "create",
            "r",
            "--user-pin-file",
            open.to_str().unwrap(),
            "--profile",
            "strict",
            "--project",
            "p",
        ];
        let (exit, _, err) = run(daemon.socket(), &line, "", false);
        assert_eq!(exit, 0, "{err}");
        assert!(err.contains("has mode 0644"), "{err}");
        let text = |text: &str| ArgumentValue::Text(text.into());
        let arguments = vec![
            ("name".into(), text("r")),
            ("user-pin-file".into(), ArgumentValue::Bytes(b"1234".into())),
            ("profile".into(), text("strict")),
            ("project".into(), text("p")),
        ];
        assert_eq!(requests.recv().unwrap(), ("keyrings create", Request { arguments }));
    }

    #[test]
    fn flags_and_lists_travel() {
        let (sender, requests) = mpsc::channel();
        let daemon = Daemon::start(move |_, request| {
            sender.send(request).unwrap();
            document("[]")
        });
        run(
            daemon.socket(),
            &["keys", "versions", "enable", "1", "2", "--keyring", "r", "--key", "k"],
            "",
            false,
        );
        assert_eq!(list(&requests.recv().unwrap(), "versions"), Some(&["1".to_owned(), "2".to_owned()][..]));

        let (sender, requests) = mpsc::channel();
        let daemon = Daemon::start(move |_, request| {
            sender.send(request).unwrap();
            document("{}")
        });
        run(
            daemon.socket(),
            &["keys", "versions", "create", "--keyring", "r", "--key", "k", "--primary"],
            "",
            false,
        );
        let expected = ("primary".to_owned(), ArgumentValue::Flag);
        assert!(requests.recv().unwrap().arguments.contains(&expected));
    }

    #[test]
    fn the_scope_is_carried_over() {
        let text = |text: &str| ArgumentValue::Text(text.into());
        let request = Request {
            arguments: vec![
                ("keyring".into(), text("r")),
                ("key".into(), text("k")),
                ("primary".into(), ArgumentValue::Flag),
                ("location".into(), text("l")),
            ],
        };
        let key = related(&request, &[("key", "name"), ("keyring", "keyring")]);
        let expected = [("name", "k"), ("keyring", "r"), ("location", "l")];
        assert_eq!(key.arguments, expected.map(|(name, value)| (name.to_owned(), text(value))));
    }
}
