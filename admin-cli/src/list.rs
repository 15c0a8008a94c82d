//! Lists: page after page, each printed before the next is asked for.

use claviger_protocol::admin::{ArgumentValue, Request, Verb};
use serde_json::Value;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::print::Format;
use crate::{Call, outcome, print};

/// Items asked for at a time, unless the person says otherwise.
const PAGE: usize = 1000;

/// True for the verbs whose answer comes in pages.
pub fn is_list(verb: &Verb) -> bool {
    verb.arguments.iter().any(|argument| argument.name == "page-token")
}

/// Asks for all pages, up to the limit, and prints them.
///
/// # Errors
/// The daemon's, or a limit that is no number.
pub fn run(call: &mut Call<'_, '_>, request: &Request, client: &mut Client) -> Result<u8> {
    let text = |name: &str| call.matches.get_one::<String>(name);
    let limit = match text("limit").map(|text| text.parse::<usize>()) {
        None => usize::MAX,
        Some(Ok(limit)) if limit > 0 => limit,
        Some(_) => return Err(Error::usage("--limit is a number from 1")),
    };
    let asks = |name: &str| request.arguments.iter().any(|(argument, _)| argument == name);
    let (mut left, mut token, mut first) = (limit, None::<String>, true);
    if call.local_flag("uri") {
        call.options.format = Format::Value(vec!["name".to_owned()]);
    }
    if asks("full") && call.options.format == Format::Table {
        // Too much for a line: field by field, as of one that is described.
        call.verb = Box::leak(Box::new(Verb { columns: &[], ..*call.verb }));
    }
    // People look for what they made last; programs want an order that does not change.
    let newest_first =
        call.verb.path == "keys list" && call.options.format == Format::Table && !asks("sort-by");
    loop {
        let mut request = Request { arguments: request.arguments.clone() };
        request.arguments.retain(|(name, _)| name != "limit");
        let mut set = |name: &str, value: String| {
            request.arguments.retain(|(argument, _)| argument != name);
            request.arguments.push((name.to_owned(), ArgumentValue::Text(value)));
        };
        if !asks("page-size") {
            set("page-size", PAGE.min(left).to_string());
        }
        if newest_first {
            set("sort-by", "~createTime".to_owned());
        }
        if let Some(token) = &token {
            set("page-token", token.clone());
        }
        let mut document = client.call(call.verb, &request)?;
        token = document.get("nextPageToken").and_then(Value::as_str).map(str::to_owned);
        let mut items = match document.get_mut("items") {
            Some(items) => items.take(),
            None => document,
        };
        if let Some(items) = items.as_array_mut() {
            items.truncate(left);
            left -= items.len();
        }
        let last = token.is_none() || left == 0;
        print::page(call, &items, first, last)?;
        first = false;
        if last {
            return outcome::of(&items);
        }
    }
}
