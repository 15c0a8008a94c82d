//! Lists: filter, order and pages.
//!
//! Without an order a page is read from where the last one ended, so that the daemon never holds more than a page.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use openssl::base64::{decode_block, encode_block};
use openssl::sha::sha256;
use serde_json::{Value, json};

use super::Call;
use crate::error::{Error, Result};
use crate::kms::algorithm::quoted;
use crate::kms::time::Time;

/// Items of a page when nothing else is asked for.
const DEFAULT_PAGE: usize = 100;
/// Most items of a page.
const MAX_PAGE: usize = 1000;
/// Deepest nesting of a filter.
const MAX_DEPTH: usize = 32;
/// Longest filter, in bytes.
const MAX_FILTER_BYTES: usize = 4096;

/// Fields of a key ring that filter and order know.
pub const RING_FIELDS: &[&str] = &[
    "name",
    "id",
    "createTime",
    "tokenLabel",
    "tokenSerial",
    "slot",
    "profile",
    "p11Destroy",
    "p11Reinit",
    "findVersions",
    "enforceDates",
    "p11RawUseOfKmsKeys",
    "etag",
];
/// Fields of a key; the same.
pub const KEY_FIELDS: &[&str] = &[
    "name",
    "id",
    "purpose",
    "versionTemplate.algorithm",
    "versionTemplate.protectionLevel",
    "keyState",
    "primary.name",
    "primary.state",
    "primary.algorithm",
    "createTime",
    "labels",
    "labels.*",
    "tags",
    "tags.*",
    "displayName",
    "description",
    "aliases",
    "defaultForLocation",
    "managedBy",
    "deletionProtection",
    "archived",
    "rotationPeriod",
    "nextRotationTime",
    "lastUseTime",
    "importOnly",
    "destroyScheduledDuration",
    "madeByPkcs11",
    "etag",
];
/// Fields of a version; the same.
pub const VERSION_FIELDS: &[&str] = &[
    "name",
    "id",
    "state",
    "protectionLevel",
    "algorithm",
    "createTime",
    "generateTime",
    "destroyTime",
    "destroyEventTime",
    "importJob",
    "importTime",
    "expireMaterialTime",
    "importFailureReason",
    "reimportEligible",
    "etag",
];
/// Fields of an import job; the same.
pub const JOB_FIELDS: &[&str] = &[
    "name",
    "id",
    "importMethod",
    "protectionLevel",
    "state",
    "createTime",
    "generateTime",
    "expireTime",
    "expireEventTime",
    "allowedAlgorithms",
    "maxUses",
    "uses",
    "etag",
];
/// Fields of an alias; the same.
pub const ALIAS_FIELDS: &[&str] = &["name", "id", "alias", "key", "createTime", "updateTime"];

/// Fields of a location; the same.
pub const LOCATION_FIELDS: &[&str] = &["name", "id", "locationId", "hsmAvailable", "ekmAvailable"];
/// Fields of a project; the same.
pub const PROJECT_FIELDS: &[&str] = &["name", "id", "state"];
/// Fields of an algorithm; the same.
pub const ALGORITHM_FIELDS: &[&str] = &["name", "id", "purpose"];

/// One page of what `fetch` gives: up to so many items behind an id, in their order, each with its id.
///
/// # Errors
/// `InvalidArgument` for a filter, order, size or token that makes no sense.
pub fn page(
    call: &Call<'_>,
    parent: &str,
    fields: &[&str],
    fetch: impl Fn(&str, usize) -> Vec<(String, Value)>,
) -> Result<Value> {
    let args = &call.args;
    let size = page_size(call)?;
    let filter = args.text("filter").map(|text| Filter::parse(text, fields)).transpose()?;
    let order = args.text("sort-by").map(|text| Order::parse(text, fields)).transpose()?;
    let bound = bound(call, parent);
    let after = match args.text("page-token") {
        Some(token) => read_token(token, &bound)?,
        None => String::new(),
    };
    let matches = |item: &Value| filter.as_ref().is_none_or(|filter| filter.matches(item));

    if let Some(order) = order {
        let mut all: Vec<(String, Value)> = fetch("", usize::MAX);
        all.retain(|(_, item)| matches(item));
        all.sort_by(|(_, one), (_, two)| order.compare(one, two));
        let total = all.len();
        let from = after.parse::<usize>().unwrap_or(0);
        let items: Vec<Value> = all.into_iter().skip(from).take(size).map(|(_, item)| item).collect();
        let end = from + items.len();
        return Ok(document(items, (end < total).then(|| token(&end.to_string(), &bound)), Some(total)));
    }
    let (mut items, mut last, mut more) = (Vec::new(), after.clone(), false);
    'pages: loop {
        let chunk = fetch(&last, size.max(DEFAULT_PAGE));
        if chunk.is_empty() {
            break;
        }
        for (id, item) in chunk {
            if matches(&item) {
                if items.len() == size {
                    more = true;
                    break 'pages;
                }
                items.push(item);
            }
            last = id;
        }
    }
    let total = (after.is_empty() && !more).then_some(items.len());
    Ok(document(items, more.then(|| token(&last, &bound)), total))
}

/// True when a list is asked for in the order of creation.
pub fn is_by_time(call: &Call<'_>) -> bool {
    let field = call.args.text("sort-by").map(|text| Order::parse(text, &["createTime"]));
    matches!(field, Some(Ok(_)))
}

/// One page in the order of creation. `all` calls back with the time and id of everything; of these only what is on the
/// page is put in order and shown. The token names the last one shown, so that what is made meanwhile shifts nothing.
///
/// # Errors
/// As [`page`].
pub fn page_by_time(
    call: &Call<'_>,
    parent: &str,
    fields: &[&str],
    all: impl Fn(&mut dyn FnMut(Time, &str)),
    show: impl Fn(&str) -> Option<Value>,
) -> Result<Value> {
    /// How many are put in order at a time when a filter may take few of them.
    const FILTERED: usize = 16 << 10;
    let args = &call.args;
    let size = page_size(call)?;
    let filter = args.text("filter").map(|text| Filter::parse(text, fields)).transpose()?;
    let order = Order::parse(args.text("sort-by").unwrap_or("createTime"), fields)?;
    let bound = bound(call, parent);
    let mut after = match args.text("page-token") {
        Some(token) => read_token(token, &bound)?
            .split_once(' ')
            .and_then(|(rank, id)| Some((rank.parse::<i64>().ok()?, id.to_owned()))),
        None => None,
    };
    // The smallest comes first: of two that were made at once, by name.
    let rank = |time: Time| if order.descending { time.0.saturating_neg() } else { time.0 };
    let most = if filter.is_some() { FILTERED.max(size + 1) } else { size + 1 };
    let (mut items, mut last, mut more) = (Vec::new(), None, false);
    'page: loop {
        // The first ones behind the last page; the top of the heap is the last of them.
        let mut first: BinaryHeap<(i64, String)> = BinaryHeap::with_capacity(most + 1);
        all(&mut |time, id| {
            let place = (rank(time), id);
            let is_behind = after.as_ref().is_none_or(|(rank, id)| place > (*rank, id.as_str()));
            let has_room = first.len() < most;
            if is_behind && (has_room || first.peek().is_some_and(|(rank, id)| place < (*rank, id.as_str())))
            {
                if !has_room {
                    first.pop();
                }
                first.push((place.0, id.to_owned()));
            }
        });
        let is_end = first.len() < most;
        for (rank, id) in first.into_sorted_vec() {
            let item = show(&id).filter(|item| filter.as_ref().is_none_or(|filter| filter.matches(item)));
            if let Some(item) = item {
                if items.len() == size {
                    more = true;
                    break 'page;
                }
                items.push(item);
            }
            last = Some((rank, id));
        }
        if is_end {
            break;
        }
        after.clone_from(&last);
    }
    let next = last.filter(|_| more).map(|(rank, id)| token(&format!("{rank} {id}"), &bound));
    // How many there are, those know who see all.
    Ok(document(items, next, None))
}

fn page_size(call: &Call<'_>) -> Result<usize> {
    match call.args.number::<usize>("page-size")? {
        None | Some(0) => Ok(DEFAULT_PAGE),
        Some(size) if size <= MAX_PAGE => Ok(size),
        Some(_) => refuse(format!("a page has at most {MAX_PAGE} items")),
    }
}

/// What a page token is good for: this list, with this filter and order.
fn bound(call: &Call<'_>, parent: &str) -> [u8; 32] {
    let args = &call.args;
    sha256(format!("{parent}\n{:?}\n{:?}", args.text("filter"), args.text("sort-by")).as_bytes())
}

fn document(items: Vec<Value>, next: Option<String>, total: Option<usize>) -> Value {
    let mut document = json!({"items": items});
    if let Some(next) = next {
        document["nextPageToken"] = json!(next);
    }
    if let Some(total) = total {
        document["totalSize"] = json!(total);
    }
    document
}

fn token(last: &str, bound: &[u8; 32]) -> String {
    encode_block(&[&bound[..8], last.as_bytes()].concat())
}

fn read_token(token: &str, bound: &[u8; 32]) -> Result<String> {
    let bytes = decode_block(token).unwrap_or_default();
    let last = bytes.strip_prefix(&bound[..8]).and_then(|last| String::from_utf8(last.to_vec()).ok());
    let message = || "the page token is not one of this list with this filter and order".to_owned();
    last.ok_or_else(|| Error::InvalidArgument { message: message() })
}

struct Order {
    field: String,
    descending: bool,
}

impl Order {
    fn parse(text: &str, fields: &[&str]) -> Result<Order> {
        let text = text.trim();
        let (text, tilde) = text.strip_prefix('~').map_or((text, false), |rest| (rest, true));
        let (field, desc) = match text.split_once(' ') {
            Some((field, "desc")) => (field, true),
            Some((field, "asc")) => (field, false),
            Some(_) => {
                return refuse(format!("{} is no order: field, ~field or field desc is", quoted(text)));
            }
            None => (text, false),
        };
        Ok(Order { field: known(field, fields)?, descending: tilde || desc })
    }

    fn compare(&self, one: &Value, two: &Value) -> Ordering {
        let (a, b) = (field(one, &self.field), field(two, &self.field));
        let order = match (number(&a), number(&b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a.cmp(&b),
        };
        if self.descending { order.reverse() } else { order }
    }
}

/// A field that the list has.
fn known(name: &str, fields: &[&str]) -> Result<String> {
    // `version_template.algorithm` is what Google's documents call `versionTemplate.algorithm`.
    let mut camel = String::new();
    let mut upper = false;
    let (plain, rest) = match name.split_once('.') {
        Some((map @ ("labels" | "tags"), key)) => (map, Some(key)),
        _ => (name, None),
    };
    for c in plain.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.extend(c.to_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    let looked_for = if rest.is_some() { format!("{camel}.*") } else { camel.clone() };
    if !fields.contains(&looked_for.as_str()) {
        return refuse(format!("there is no field {} here; there are {}", quoted(name), fields.join(", ")));
    }
    Ok(rest.map_or(camel.clone(), |key| format!("{camel}.{key}")))
}

fn value<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    match name.split_once('.') {
        // Keys of labels and tags may have dots in them.
        Some((map @ ("labels" | "tags"), key)) => item.get(map)?.get(key),
        _ => name.split('.').try_fold(item, |value, part| value.get(part)),
    }
}

/// The text of a field; the empty text when it is not there.
fn field(item: &Value, name: &str) -> String {
    if name == "id" {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    match value(item, name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// What compares as a number: numbers, times, durations in seconds.
fn number(text: &str) -> Option<f64> {
    let seconds = text.strip_suffix('s').unwrap_or(text);
    seconds.parse().ok().or_else(|| Time::parse(text).map(|time| time.0 as f64))
}

/// A filter, parsed.
#[derive(Debug)]
enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Is(String, Operator, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    (":", Operator::Has),
];

impl Filter {
    /// `field OP value` joined by AND, OR, NOT and parentheses.
    fn parse(text: &str, fields: &[&str]) -> Result<Filter> {
        if text.len() > MAX_FILTER_BYTES {
            return refuse(format!("a filter has at most {MAX_FILTER_BYTES} bytes"));
        }
        let mut parser = Parser { rest: text.trim(), fields, depth: 0 };
        let filter = parser.any()?;
        if !parser.rest.is_empty() {
            return refuse(format!("the filter makes no sense at {}", quoted(parser.rest)));
        }
        Ok(filter)
    }

    fn matches(&self, item: &Value) -> bool {
        match self {
            Filter::All(parts) => parts.iter().all(|part| part.matches(item)),
            Filter::Any(parts) => parts.iter().any(|part| part.matches(item)),
            Filter::Not(part) => !part.matches(item),
            Filter::Is(name, operator, wanted) => {
                let has = field(item, name);
                let order = match (number(&has), number(wanted)) {
                    (Some(a), Some(b)) => a.total_cmp(&b),
                    _ => has.as_str().cmp(wanted),
                };
                match operator {
                    Operator::Equal => has == *wanted || order == Ordering::Equal,
                    Operator::NotEqual => has != *wanted && order != Ordering::Equal,
                    // What is not there is neither less nor greater.
                    _ if has.is_empty() && *operator != Operator::Has => false,
                    Operator::Less => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    Operator::GreaterOrEqual => order.is_ge(),
                    Operator::Has => match value(item, name) {
                        Some(Value::Object(map)) => map.contains_key(wanted),
                        Some(_) if wanted == "*" => true,
                        _ => has.to_lowercase().contains(&wanted.to_lowercase()) && !has.is_empty(),
                    },
                }
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    fields: &'a [&'a str],
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Filter> {
        let mut parts = vec![self.all()?];
        while self.word("OR") {
            parts.push(self.all()?);
        }
        Ok(Filter::Any(parts))
    }

    fn all(&mut self) -> Result<Filter> {
        let mut parts = vec![self.one()?];
        while self.word("AND") {
            parts.push(self.one()?);
        }
        Ok(Filter::All(parts))
    }

    fn one(&mut self) -> Result<Filter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return refuse("the filter is nested too deeply".to_owned());
        }
        let filter = if self.word("NOT") {
            Filter::Not(Box::new(self.one()?))
        } else if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest.trim_start();
            let inner = self.any()?;
            let Some(rest) = self.rest.strip_prefix(')') else {
                return refuse("the filter lacks a closing parenthesis".to_owned());
            };
            self.rest = rest.trim_start();
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        let rest = rest.filter(|rest| rest.starts_with([' ', '(']));
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }

    fn comparison(&mut self) -> Result<Filter> {
        let end = self.rest.find(['=', '!', '<', '>', ':', ' ', ')']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let rest = rest.trim_start();
        let found = OPERATORS.iter().find_map(|(text, operator)| Some((rest.strip_prefix(text)?, *operator)));
        let Some((rest, operator)) = found.filter(|_| !name.is_empty()) else {
            return refuse(format!(
                "the filter makes no sense at {}: field=value is wanted",
                quoted(self.rest)
            ));
        };
        let name = known(name, self.fields)?;
        let rest = rest.trim_start();
        let (text, rest) = match rest.strip_prefix('"') {
            Some(inner) => match inner.split_once('"') {
                Some(parts) => parts,
                None => return refuse("the filter lacks a closing quotation mark".to_owned()),
            },
            None => match rest.split_at(rest.find([' ', ')', '(']).unwrap_or(rest.len())) {
                ("", _) => {
                    return refuse(format!("the filter names no value for {name}; \"\" is the empty one"));
                }
                parts => parts,
            },
        };
        // What can never be true is a mistake.
        let is_time = name.ends_with("Time") && operator != Operator::Has && !text.is_empty();
        if is_time && Time::parse(text).is_none() {
            return refuse(format!(
                "{name} compares with times such as 2030-01-31T12:00:00Z, not {}",
                quoted(text)
            ));
        }
        self.rest = rest.trim_start();
        Ok(Filter::Is(name, operator, text.to_owned()))
    }
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str) -> bool {
        let item = json!({
            "name": "r/cryptoKeys/invoices",
            "purpose": "MAC",
            "versionTemplate": {"algorithm": "HMAC_SHA256"},
            "createTime": "2026-07-27T08:09:10.5Z",
            "labels": {"env": "prod"},
            "tags": {"a.b": "c d"},
            "destroyScheduledDuration": "86400s",
        });
        Filter::parse(filter, KEY_FIELDS).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&item)
    }

    #[test]
    fn filters_mean_what_they_say() {
        // NAM-12 AUD-08
        for yes in [
            "name:invoice",
            "id=invoices",
            "id:INV",
            "purpose=MAC AND labels.env=prod",
            "purpose=X OR labels:env",
            "NOT purpose=X",
            "(purpose=X OR purpose=MAC) AND NOT (id=other)",
            "version_template.algorithm = HMAC_SHA256",
            "createTime>2026-07-27T08:09:10Z",
            "createTime <= \"2026-07-27T10:09:10.5+02:00\"",
            "tags.a.b=\"c d\"",
            "destroyScheduledDuration<100000s",
            "labels.none!=prod",
            "archived!=true",
        ] {
            assert!(matches(yes), "{yes}");
        }
        for no in
            ["purpose=X", "labels.env=dev", "createTime<2026-07-27T08:09:10Z", "labels.none<a", "aliases:x"]
        {
            assert!(!matches(no), "{no}");
        }
        for bad in [
            "",
            "purpose",
            "nofield=1",
            "purpose=MAC purpose=MAC",
            "(purpose=MAC",
            "name=\"x",
            "=",
            "AND",
            "a b=c",
        ] {
            assert!(Filter::parse(bad, KEY_FIELDS).is_err(), "{bad}");
        }
        assert!(Filter::parse(&"(".repeat(100), KEY_FIELDS).is_err());
        assert!(Filter::parse(&"NOT ".repeat(1000), KEY_FIELDS).is_err());
    }
}
