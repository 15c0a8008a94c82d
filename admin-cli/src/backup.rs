//! `backup create`: has the daemon make a backup and fetches it part by part.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use claviger_protocol::admin::{ArgumentValue, Code, Request};
use serde_json::Value;

use crate::client::Client;
use crate::console::Verbosity;
use crate::error::{Error, Result};
use crate::{Call, command, outcome, print, request};

/// Makes a backup and writes it to a new file. A file that cannot be finished does not stay.
///
/// # Errors
/// The file exists or cannot be written; the daemon's.
pub fn run(call: &mut Call<'_, '_>) -> Result<u8> {
    let request = request::build(call)?;
    let path = call.matches.get_one::<PathBuf>("file").cloned().unwrap_or_default();
    let mut options = OpenOptions::new();
    let created = options.write(true).create_new(true).mode(0o600).open(&path);
    let mut file = created.map_err(|error| Error::file("create", &path, &error))?;
    let document = fetch(call, &request, &mut file, &path).inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })?;
    call.console.tell(Verbosity::Info, &format!("Wrote {}.", path.display()));
    print::print(call, &document)?;
    outcome::of(&document)
}

fn fetch(call: &Call<'_, '_>, request: &Request, file: &mut File, path: &Path) -> Result<Value> {
    let nonsense = || Error::code(Code::Internal, "the daemon's answer makes no sense");
    let mut client = Client::connect(&call.options.socket)?;
    let mut document = client.call(call.verb, request)?;
    let id = document.get("id").and_then(Value::as_str).ok_or_else(nonsense)?.to_owned();
    let size = document.get("size").and_then(Value::as_u64).ok_or_else(nonsense)?;
    let mut position = 0u64;
    loop {
        let arguments = [("id", id.clone()), ("position", position.to_string())];
        let arguments = arguments.map(|(name, text)| (name.to_owned(), ArgumentValue::Text(text)));
        let part = client.call(command::verb("backup read"), &Request { arguments: arguments.into() })?;
        let data = part.get("data").and_then(Value::as_str).ok_or_else(nonsense)?;
        let data = openssl::base64::decode_block(data).map_err(|_| nonsense())?;
        if data.is_empty() {
            break;
        }
        file.write_all(&data).map_err(|error| Error::file("write", path, &error))?;
        position += data.len() as u64;
    }
    if position != size {
        return Err(nonsense());
    }
    file.sync_all().map_err(|error| Error::file("write", path, &error))?;
    if let Some(fields) = document.as_object_mut() {
        fields.remove("id");
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use claviger_protocol::admin::{Failure, Reply};

    use super::*;
    use crate::fake::{Daemon, document, run};
    use crate::request::text;

    #[test]
    fn parts_become_a_file_that_only_its_owner_reads() {
        use std::os::unix::fs::PermissionsExt;
        let daemon = Daemon::start(|verb, request| match verb.path {
            "backup create" => document(r#"{"id":"7","size":5,"records":1}"#),
            _ => {
                assert_eq!(text(&request, "id"), Some("7"));
                let data = match text(&request, "position") {
                    Some("0") => b"abc".as_slice(),
                    Some("3") => b"de",
                    Some("5") => b"",
                    other => panic!("{other:?}"),
                };
                document(&format!(r#"{{"data":"{}"}}"#, openssl::base64::encode_block(data)))
            }
        });
        let passphrase = daemon.file("passphrase", b"one\n");
        let file = passphrase.with_file_name("backup");
        let line = [
            "backup",
            "create",
            "--file",
            file.to_str().unwrap(),
            "--passphrase-file",
            passphrase.to_str().unwrap(),
        ];
        let (exit, out, err) = run(daemon.socket(), &line, "", false);
        assert_eq!(exit, 0, "{err}");
        assert!(out.contains("records"), "{out}");
        assert_eq!(std::fs::read(&file).unwrap(), b"abcde");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // It replaces nothing.
        assert_eq!(run(daemon.socket(), &line, "", false).0, 2);
        assert_eq!(std::fs::read(&file).unwrap(), b"abcde");
    }

    #[test]
    fn a_backup_that_fails_leaves_no_file() {
        let daemon = Daemon::start(|verb, _| match verb.path {
            "backup create" => document(r#"{"id":"7","size":5}"#),
            _ => Reply::Failure(Failure {
                code: Code::NotFound,
                message: "gone".into(),
                reason: String::new(),
            }),
        });
        let passphrase = daemon.file("passphrase", b"one\n");
        let file = passphrase.with_file_name("backup");
        let line = ["backup", "create", "--file", file.to_str().unwrap()];
        assert_eq!(run(daemon.socket(), &line, "", false).0, 4);
        assert!(!file.exists());
    }
}
