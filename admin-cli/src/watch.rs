//! Verbs that go on until they are stopped.

use std::time::Duration;

use claviger_protocol::admin::{ArgumentValue, Request};
use serde_json::Value;

use crate::client::Client;
use crate::error::Result;
use crate::{Call, print, request};

/// Between two looks at the audit log.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints events as they happen, one JSON object a line.
///
/// # Errors
/// The daemon's.
pub fn events(call: &mut Call<'_, '_>) -> Result<u8> {
    let mut request = request::build(call)?;
    let mut client = Client::connect(&call.options.socket)?;
    let once = call.local_flag("once");
    loop {
        let document = client.call(call.verb, &request)?;
        for event in document.get("events").and_then(Value::as_array).into_iter().flatten() {
            call.console.data(format!("{event}\n").as_bytes())?;
        }
        if once {
            return Ok(0);
        }
        set_after(&mut request, document.get("last").map(Value::to_string).unwrap_or_default());
    }
}

/// Prints audit records as they are written.
///
/// # Errors
/// The daemon's.
pub fn records(call: &mut Call<'_, '_>) -> Result<u8> {
    let mut request = request::build(call)?;
    let mut client = Client::connect(&call.options.socket)?;
    let once = call.local_flag("once");
    loop {
        let document = client.call(call.verb, &request)?;
        let mut records = document.as_array().cloned().unwrap_or_default();
        records.reverse();
        if let Some(id) = records.last().and_then(|record| record.get("eventId")).and_then(Value::as_str) {
            set_after(&mut request, id.to_owned());
            print::print(call, &Value::Array(records))?;
        }
        if once {
            return Ok(0);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Prints the metrics as they are; as another format the document.
///
/// # Errors
/// The daemon's.
pub fn metrics(call: &mut Call<'_, '_>) -> Result<u8> {
    let request = request::build(call)?;
    let document = Client::connect(&call.options.socket)?.call(call.verb, &request)?;
    match (&call.options.format, document.get("text").and_then(Value::as_str)) {
        (print::Format::Table, Some(text)) => call.console.data(text.as_bytes())?,
        _ => print::print(call, &document)?,
    }
    Ok(0)
}

fn set_after(request: &mut Request, after: String) {
    request.arguments.retain(|(name, _)| name != "after");
    request.arguments.push(("after".to_owned(), ArgumentValue::Text(after)));
}
