//! `audit export`, and `audit verify` of what was exported, which needs no daemon.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use claviger_protocol::admin::{ArgumentValue, Request};
use claviger_protocol::audit::{CHECKPOINT, checkpoint_message, split_mac};
use openssl::pkey::{PKey, Public};
use openssl::sha::sha256;
use openssl::sign::Verifier;
use serde_json::{Value, json};

use crate::client::Client;
use crate::console::Verbosity;
use crate::error::{Error, Result};
use crate::{Call, outcome, print, request};

/// Longest line of an export, in bytes.
const MAX_LINE_BYTES: u64 = 16 << 20;
/// Problems that are told one by one.
const MAX_PROBLEMS: usize = 100;

/// Asks for page after page and writes them; then tells the daemon how far the export goes.
///
/// # Errors
/// The daemon's, a file that cannot be written.
pub fn export(call: &mut Call<'_, '_>) -> Result<u8> {
    let mut request = request::build(call)?;
    let mut client = Client::connect(&call.options.socket)?;
    let path = call.matches.get_one::<PathBuf>("output-file").cloned().unwrap_or_else(|| PathBuf::from("-"));
    let to_stdout = path.as_os_str() == "-";
    let failed = |error: std::io::Error| Error::file("write", &path, &error);
    let mut file = match to_stdout {
        true => None,
        false => Some(
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed)?,
        ),
    };
    let set = |request: &mut Request, name: &str, value: ArgumentValue| {
        request.arguments.retain(|(argument, _)| argument != name);
        request.arguments.push((name.to_owned(), value));
    };
    let (mut last, mut records) = (0, 0_usize);
    loop {
        let page = client.call(call.verb, &request)?;
        let lines = page.get("lines").and_then(Value::as_str).unwrap_or_default();
        match &mut file {
            Some(file) => file.write_all(lines.as_bytes()).map_err(failed)?,
            None => call.console.data(lines.as_bytes())?,
        }
        records += lines.lines().count();
        last = page.get("last").and_then(Value::as_u64).filter(|last| *last > 0).unwrap_or(last);
        if page.get("more") != Some(&json!(true)) {
            break;
        }
        if let Some(to) = page.get("to") {
            set(&mut request, "to", ArgumentValue::Text(to.to_string()));
        }
        set(&mut request, "from", ArgumentValue::Text((last + 1).to_string()));
        if call.console.out_is_terminal && !to_stdout {
            call.console.tell(Verbosity::Info, &format!("{records} records ..."));
        }
    }
    if let Some(file) = &file {
        // The daemon may remove what it is told was exported.
        file.sync_all().map_err(failed)?;
        let mut done = Request::default();
        set(&mut done, "exported-to", ArgumentValue::Text(last.to_string()));
        if last > 0 {
            client.call(call.verb, &done)?;
        }
        print::print(
            call,
            &json!({"file": path.to_string_lossy(), "records": records, "lastSequence": last}),
        )?;
    }
    Ok(0)
}

/// Has the daemon check its log, or checks an export.
///
/// # Errors
/// The daemon's, a file that cannot be read; a log that is not whole exits with 13.
pub fn verify(call: &mut Call<'_, '_>) -> Result<u8> {
    let path = |name: &str| call.matches.get_one::<PathBuf>(name).cloned();
    let document = match (path("file"), path("public-key-file")) {
        (None, None) => {
            let request = request::build(call)?;
            Client::connect(&call.options.socket)?.call(call.verb, &request)?
        }
        (Some(file), Some(key)) => check(&file, &key)?,
        _ => return Err(Error::usage("--file and --public-key-file go together")),
    };
    print::print(call, &document)?;
    outcome::of(&document)
}

/// Prints the key in PEM; as another format the document.
///
/// # Errors
/// The daemon's.
pub fn public_key(call: &mut Call<'_, '_>) -> Result<u8> {
    let request = request::build(call)?;
    let document = Client::connect(&call.options.socket)?.call(call.verb, &request)?;
    match (&call.options.format, document.get("pem").and_then(Value::as_str)) {
        (print::Format::Table, Some(pem)) => call.console.data(pem.as_bytes())?,
        _ => print::print(call, &document)?,
    }
    Ok(0)
}

/// Checks an export: every link and every signature.
fn check(path: &Path, key: &Path) -> Result<Value> {
    let pem = std::fs::read(key).map_err(|error| Error::file("read", key, &error))?;
    let key: PKey<Public> = PKey::public_key_from_pem(&pem)
        .map_err(|_| Error::usage(format!("{} holds no public key in PEM", key.display())))?;
    let unread = |error| Error::file("read", path, &error);
    let mut reader = BufReader::new(File::open(path).map_err(unread)?);
    let (mut records, mut first, mut checkpoints, mut signed) = (0_u64, 0, 0_u64, 0);
    let mut previous: Option<(u64, String)> = None;
    let mut problems = Vec::new();
    let mut logs = HashSet::new();
    let mut line = String::new();
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE_BYTES).read_line(&mut line).map_err(unread)? == 0 {
            break;
        }
        let (text, _) = split_mac(line.trim_end_matches('\n'));
        let record: Value = serde_json::from_str(&text).unwrap_or_default();
        let word = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let sequence = record.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        let mut blame = |what: &str| {
            if problems.len() < MAX_PROBLEMS {
                problems.push(json!({"sequence": sequence, "eventId": word("/eventId"), "problem": what}));
            }
        };
        match &previous {
            None => first = sequence,
            Some((last, hash)) => {
                if sequence != last + 1 {
                    blame("records before it are missing");
                }
                if word("/previousHash") != hash {
                    blame("the record before it is not the one that was there");
                }
            }
        }
        if word("/operation") == CHECKPOINT {
            let unlogged = record.pointer("/request/unlogged").and_then(Value::as_u64).unwrap_or(0);
            let message = checkpoint_message(
                word("/request/log"),
                sequence,
                word("/previousHash"),
                word("/eventTime"),
                unlogged,
            );
            let signature = openssl::base64::decode_block(word("/request/signature")).unwrap_or_default();
            let good = Verifier::new_without_digest(&key)
                .and_then(|mut verifier| verifier.verify_oneshot(&signature, &message));
            if good.unwrap_or(false) {
                checkpoints += 1;
                signed = sequence;
                logs.insert(word("/request/log").to_owned());
            } else {
                blame("its signature is wrong");
            }
        }
        records += 1;
        previous = Some((sequence, hex(&sha256(text.as_bytes()))));
    }
    let last = previous.map_or(0, |(last, _)| last);
    if logs.len() > 1 {
        problems.push(json!({"sequence": 0, "problem": "it is of more than one log"}));
    }
    if signed < last {
        problems.push(json!({
            "sequence": signed + 1,
            "problem": "nothing from this record on is signed"
        }));
    }
    if records == 0 {
        problems.push(json!({"sequence": 0, "problem": "there are no records"}));
    }
    Ok(json!({
        "success": problems.is_empty(),
        "records": records,
        "firstSequence": first,
        "lastSequence": last,
        "checkpoints": checkpoints,
        "problems": problems,
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
