//! `keys versions get-public-key`.

use std::path::PathBuf;

use claviger_protocol::admin::Code;
use serde_json::Value;

use crate::client::Client;
use crate::console::Verbosity;
use crate::error::{Error, Result};
use crate::print::{self, Format};
use crate::{Call, file, request};

/// Prints the key itself, or writes it to a file. Another format than `table` prints the document.
///
/// # Errors
/// The daemon's, a file that cannot be written, or DER on a terminal.
pub fn run(call: &mut Call<'_, '_>) -> Result<u8> {
    let request = request::build(call)?;
    let document = Client::connect(&call.options.socket)?.call(call.verb, &request)?;
    if let Some(path) = call.matches.get_one::<PathBuf>("output-file") {
        file::write(path, &key(&document)?)?;
        call.console.tell(Verbosity::Info, &format!("Wrote {}.", path.display()));
    } else if call.options.format != Format::Table {
        print::print(call, &document)?;
    } else if document.get("pem").is_none() && call.console.out_is_terminal {
        return Err(Error::usage("this format is binary: name an --output-file or redirect stdout"));
    } else {
        call.console.data(&key(&document)?)?;
    }
    Ok(0)
}

fn key(document: &Value) -> Result<Vec<u8>> {
    let text = |field| document.get(field).and_then(Value::as_str);
    let der = text("der").or(text("raw")).and_then(|der| openssl::base64::decode_block(der).ok());
    text("pem")
        .map(|pem| format!("{}\n", pem.trim_end()).into_bytes())
        .or(der)
        .ok_or_else(|| Error::code(Code::Internal, "the daemon's answer holds no public key"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use crate::fake::{Daemon, document, run};

    const LINE: &[&str] = &["keys", "versions", "get-public-key", "1", "--keyring", "r", "--key", "k"];

    #[test]
    fn the_key_goes_to_stdout_or_to_a_private_file() {
        let pem = || Daemon::start(|_, _| document(r#"{"pem":"-----BEGIN PUBLIC KEY-----\nAA==\n"}"#));
        let daemon = pem();
        assert_eq!(run(daemon.socket(), LINE, "", false).1, "-----BEGIN PUBLIC KEY-----\nAA==\n");
        let daemon = pem();
        assert!(run(daemon.socket(), &[LINE, &["--format=json"]].concat(), "", false).1.starts_with('{'));

        let daemon = Daemon::start(|_, _| document(r#"{"der":"MAMCAQc="}"#));
        let file = daemon.socket().with_file_name("key.der");
        let (exit, out, _) =
            run(daemon.socket(), &[LINE, &["--output-file", file.to_str().unwrap()]].concat(), "", false);
        assert_eq!((exit, out.as_str()), (0, ""));
        assert_eq!(std::fs::read(&file).unwrap(), [0x30, 3, 2, 1, 7]);
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn der_is_not_written_to_a_terminal() {
        let daemon = Daemon::start(|_, _| document(r#"{"der":"MAMCAQc="}"#));
        assert_eq!(run(daemon.socket(), LINE, "", true).0, 2);
    }
}
