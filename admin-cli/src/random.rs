//! `generate-random`: more bytes than one answer holds come in several.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use claviger_protocol::admin::{ArgumentValue, Code};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::client::Client;
use crate::console::Verbosity;
use crate::error::{Error, Result};
use crate::{Call, request, send_and_print};

/// Bytes of one answer: below what the daemon makes at a time, and a multiple of 3, so that base64 texts of several
/// answers are one text together.
const CHUNK_BYTES: u64 = 48 << 10;

/// Writes random bytes of any number.
///
/// # Errors
/// No file for so many, the daemon's, a file that cannot be written: then there is none.
pub fn run(call: &mut Call<'_, '_>) -> Result<u8> {
    let length = call.matches.get_one::<String>("length").and_then(|text| text.parse::<u64>().ok());
    let Some(length) = length.filter(|length| *length > CHUNK_BYTES) else { return send_and_print(call) };
    let Some(path) = call.matches.get_one::<PathBuf>("output-file").cloned() else {
        return Err(Error::usage(format!("more than {CHUNK_BYTES} bytes go into an --output-file")));
    };
    let mut client = Client::connect(&call.options.socket)?;
    let mut file = match path.as_os_str() == "-" {
        true => None,
        false => Some(
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .map_err(|error| Error::file("write", &path, &error))?,
        ),
    };
    if let Err(error) = fill(call, &mut client, file.as_mut(), &path, length) {
        if file.is_some() {
            // Less than was asked for would look like all of it.
            let _ = fs::remove_file(&path);
        }
        return Err(error);
    }
    if file.is_some() {
        call.console.tell(Verbosity::Info, &format!("Wrote {}.", path.display()));
    }
    Ok(0)
}

fn fill(
    call: &mut Call<'_, '_>,
    client: &mut Client,
    mut file: Option<&mut File>,
    path: &std::path::Path,
    length: u64,
) -> Result<()> {
    let mut left = length;
    while left > 0 {
        let mut request = request::build(call)?;
        let chunk = left.min(CHUNK_BYTES);
        for (name, value) in &mut request.arguments {
            if name == "length" {
                *value = ArgumentValue::Text(chunk.to_string());
            }
        }
        let document = client.call(call.verb, &request)?;
        let text = document.get("data").and_then(Value::as_str).unwrap_or_default();
        let bytes = openssl::base64::decode_block(text).map(Zeroizing::new).unwrap_or_default();
        if bytes.len() as u64 != chunk {
            return Err(Error::code(
                Code::Internal,
                "the daemon gave another number of bytes than asked for",
            ));
        }
        left -= chunk;
        let lined = Zeroizing::new(format!("{text}{}", if left == 0 { "\n" } else { "" }));
        let content = if call.local_flag("base64") { lined.as_bytes() } else { &bytes };
        match &mut file {
            Some(file) => file.write_all(content).map_err(|error| Error::file("write", path, &error))?,
            None => call.console.data(content)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::fake::{Daemon, document, run};
    use claviger_protocol::admin::ArgumentValue;

    #[test]
    fn many_bytes_come_in_several_answers() {
        let answer = |verb: &claviger_protocol::admin::Verb, request: claviger_protocol::admin::Request| {
            assert_eq!(verb.path, "generate-random");
            let length = request.arguments.iter().find_map(|(name, value)| match value {
                ArgumentValue::Text(text) if name == "length" => text.parse::<usize>().ok(),
                _ => None,
            });
            let data = openssl::base64::encode_block(&vec![7; length.unwrap()]);
            document(&format!(r#"{{"data":"{data}"}}"#))
        };
        let daemon = Daemon::start(answer);
        let file = daemon.socket().with_file_name("random");
        let line = ["generate-random", "--length", "100001", "--output-file", file.to_str().unwrap()];
        let (exit, _, err) = run(daemon.socket(), &line, "", false);
        assert_eq!(exit, 0, "{err}");
        assert_eq!(std::fs::read(&file).unwrap(), vec![7; 100_001]);
        let daemon = Daemon::start(answer);
        let (exit, out, _) = run(
            daemon.socket(),
            &["generate-random", "--length", "100000", "--output-file", "-", "--base64"],
            "",
            false,
        );
        assert_eq!((exit, openssl::base64::decode_block(out.trim_end()).unwrap().len()), (0, 100_000));
        let daemon = Daemon::start(answer);
        assert_eq!(run(daemon.socket(), &["generate-random", "--length", "100000"], "", false).0, 2);
    }
}
