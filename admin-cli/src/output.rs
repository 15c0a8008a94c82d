//! The end of a verb: bytes of the answer into the files that the person named, the rest onto the screen.

use std::path::{Path, PathBuf};

use claviger_protocol::admin::{ArgumentKind, Code};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::console::Verbosity;
use crate::error::{Error, Result};
use crate::print::Format;
use crate::{Call, file, print};

/// Writes the files and prints the document. With files named, a table is not printed beside them.
///
/// # Errors
/// A checksum that is wrong, a file that cannot be written.
pub fn finish(call: &mut Call<'_, '_>, document: &Value) -> Result<()> {
    let mut wrote = false;
    for argument in call.verb.arguments {
        let ArgumentKind::Output(field) = argument.kind else { continue };
        let Some(path) = call.matches.get_one::<PathBuf>(argument.name) else { continue };
        let Some(text) = document.get(field).and_then(Value::as_str) else {
            return Err(Error::usage(format!("--{}: the answer has no {field}", argument.name)));
        };
        let bytes = openssl::base64::decode_block(text).map(Zeroizing::new);
        let bytes =
            bytes.map_err(|_| Error::code(Code::Internal, format!("the answer's {field} is no base64")))?;
        check(call, document, field, &bytes)?;
        let lined = Zeroizing::new(format!("{text}\n"));
        let content = if call.local_flag("base64") { lined.as_bytes() } else { &bytes };
        if path.as_os_str() == "-" {
            call.console.data(content)?;
        } else {
            file::write(path, content)?;
            note(call, path);
        }
        wrote = true;
    }
    if wrote && call.options.format == Format::Table {
        return Ok(());
    }
    let warning = document.get("warning").and_then(Value::as_str).filter(|_| !call.verb.columns.is_empty());
    if let Some(warning) = warning {
        call.console.tell(Verbosity::Warning, &format!("claviger: warning: {warning}"));
    }
    print::print(call, document)
}

fn note(call: &mut Call<'_, '_>, path: &Path) {
    call.console.tell(Verbosity::Info, &format!("Wrote {}.", path.display()));
}

fn check(call: &Call<'_, '_>, document: &Value, field: &str, bytes: &[u8]) -> Result<()> {
    if call.local_flag("skip-integrity-verification") {
        return Ok(());
    }
    let said = document.get(format!("{field}Crc32c")).and_then(Value::as_str);
    match said {
        Some(said) if said != crc32c::crc32c(bytes).to_string() => {
            Err(Error::code(Code::Internal, format!("the answer's {field} was changed on its way")))
        }
        _ => Ok(()),
    }
}
