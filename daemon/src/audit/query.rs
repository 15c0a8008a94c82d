//! Reading: the newest records that match, newest first.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use memchr::memmem::Finder;
use serde_json::Value;

use super::chain::is_checkpoint;
use super::log::{Audit, Place};
use super::segment;
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::lock;

/// Which records are wanted. Absent parts match all.
#[derive(Debug, Default)]
pub struct Query<'a> {
    /// `uid:N`, a user's name, or `user:NAME`.
    pub user: Option<&'a str>,
    /// Resource type.
    pub resource_type: Option<&'a str>,
    /// Resource name: that resource and all below it.
    pub resource_name: Option<&'a str>,
    /// Door.
    pub source: Option<&'a str>,
    /// Id of one record.
    pub event_id: Option<&'a str>,
    /// Operation name.
    pub operation: Option<&'a str>,
    /// `OK` or a class of errors.
    pub result: Option<&'a str>,
    /// Text anywhere in the record.
    pub keyword: Option<&'a str>,
    /// Not before.
    pub since: Option<Time>,
    /// Before.
    pub until: Option<Time>,
    /// Only records after the one with this id.
    pub after: Option<&'a str>,
    /// Intents and checkpoints too.
    pub all: bool,
    /// At most so many, the newest ones.
    pub limit: usize,
}

/// Where the lines of the log are at one moment.
pub(super) enum Lines {
    Memory(Vec<String>),
    /// The segments, oldest first, and how much of the last one counts.
    Disk(Vec<segment::Segment>, PathBuf, u64),
}

impl Audit {
    /// The lines as they are now.
    pub(super) fn lines(&self) -> io::Result<Lines> {
        let mut log = lock::lock(&self.log);
        match &mut log.place {
            Place::Memory(lines) => Ok(Lines::Memory(lines.iter().cloned().collect())),
            Place::Disk(disk) => {
                // Reading is allowed when writing fails.
                if let Err(error) = disk.write() {
                    tracing::warn!(%error, "the newest records cannot be written and so not be read");
                }
                Ok(Lines::Disk(segment::all(&disk.directory)?, disk.path.clone(), disk.written))
            }
        }
    }

    /// The newest records that match, newest first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(&self, query: &Query<'_>) -> Result<Vec<Value>> {
        self.collect();
        let filter = Filter::new(query);
        let mut found = Vec::new();
        let mut see = |line: &[u8]| {
            if query.after.is_some_and(|after| contains(line, "eventId", after)) {
                return ControlFlow::Break(());
            }
            if let Some(record) = filter.admit(line) {
                found.push(record);
                if found.len() >= query.limit {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        match self.lines().map_err(unread)? {
            Lines::Memory(lines) => {
                let _ = lines.iter().rev().try_for_each(|line| see(line.as_bytes()));
            }
            Lines::Disk(segments, last, written) => {
                let days = |time: Option<Time>| time.map(segment::day);
                let (since, until) = (days(query.since), days(query.until));
                for segment in segments.iter().rev() {
                    if since.as_ref().is_some_and(|since| segment.day < *since) {
                        break;
                    }
                    if until.as_ref().is_some_and(|until| segment.day > *until) {
                        continue;
                    }
                    let end = (segment.path == last).then_some(written);
                    if segment::backwards(&segment.path, end, &mut see).map_err(unread)?.is_break() {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }
}

/// A query that is asked of many lines: what can be told from a line's bytes is, and only then is it parsed.
struct Filter<'a> {
    query: &'a Query<'a>,
    /// Texts that every record that matches has in it.
    texts: Vec<Finder<'static>>,
    keyword: Option<String>,
}

impl<'a> Filter<'a> {
    fn new(query: &'a Query<'a>) -> Filter<'a> {
        let fields = [
            ("resourceType", query.resource_type),
            ("source", query.source),
            ("eventId", query.event_id),
            ("operation", query.operation),
            ("result", query.result),
        ];
        let mut texts: Vec<_> = fields
            .iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .filter(|(_, value)| is_plain(value))
            .map(|(name, value)| Finder::new(&format!("\"{name}\":\"{value}\"")).into_owned())
            .collect();
        for part in [query.resource_name, query.user].into_iter().flatten() {
            let part = part.strip_prefix("uid:").unwrap_or(part);
            if is_plain(part) {
                texts.push(Finder::new(part).into_owned());
            }
        }
        Filter { query, texts, keyword: query.keyword.map(str::to_lowercase) }
    }

    fn admit(&self, line: &[u8]) -> Option<Value> {
        if !self.texts.iter().all(|text| text.find(line).is_some()) {
            return None;
        }
        let has_word = |word: &String| String::from_utf8_lossy(line).to_lowercase().contains(word);
        if !self.keyword.as_ref().is_none_or(has_word) {
            return None;
        }
        let mut record: Value = serde_json::from_slice(line).ok()?;
        if !self.matches(&record) {
            return None;
        }
        if let Value::Object(fields) = &mut record {
            fields.remove("mac");
        }
        Some(record)
    }

    fn matches(&self, record: &Value) -> bool {
        let query = self.query;
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let equal = |wanted: Option<&str>, name: &str| wanted.is_none_or(|wanted| text(name) == wanted);
        let is_hidden = text("phase") == "intent" || is_checkpoint(text("operation"));
        if is_hidden
            && !query.all
            && query.event_id.is_none()
            && query.operation.is_none_or(|o| !is_checkpoint(o))
        {
            return false;
        }
        let user = query.user.is_none_or(|user| {
            let name = record.pointer("/principal/name").and_then(Value::as_str).unwrap_or_default();
            let uid = record.pointer("/principal/uid").and_then(Value::as_u64);
            name == user
                || name.strip_prefix("user:") == Some(user)
                || uid.is_some_and(|uid| user == format!("uid:{uid}"))
        });
        let name = query.resource_name.is_none_or(|wanted| {
            let name = text("resourceName");
            name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
        });
        let time = Time::parse(text("eventTime"));
        user && name
            && equal(query.resource_type, "resourceType")
            && equal(query.source, "source")
            && equal(query.event_id, "eventId")
            && equal(query.operation, "operation")
            && equal(query.result, "result")
            && query.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && query.until.is_none_or(|until| time.is_some_and(|time| time < until))
    }
}

/// True for text that JSON writes as it is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\')
}

fn contains(line: &[u8], name: &str, value: &str) -> bool {
    memchr::memmem::find(line, format!("\"{name}\":\"{value}\"").as_bytes()).is_some()
}

pub(super) fn unread(error: io::Error) -> Error {
    Error::StoreRefused { detail: format!("the audit log cannot be read: {error}") }
}
