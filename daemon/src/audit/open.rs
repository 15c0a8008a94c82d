//! Finding the end of the log again: from the head on, line by line.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use claviger_protocol::audit::split_mac;
use serde::Deserialize;
use serde_json::json;

use super::chain::{self, Hash, Keys, MacKey, hex};
use super::head::{Head, HeadFile};
use super::log::{Audit, Disk, Place};
use super::principal::Principal;
use super::record::Record;
use super::segment::{self, Segment};
use super::settings::Settings;
use crate::kms::time::Time;
use crate::lock;

/// What begins a run.
const STARTED: &str = "Event.STARTED";

/// An intent whose outcome is not recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenIntent {
    /// Id of its record.
    pub id: String,
    /// What was about to happen.
    pub operation: String,
    /// To what.
    pub resource_name: String,
}

/// What of a line matters for the chain.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Link {
    pub sequence: u64,
    pub event_id: String,
    pub event_time: String,
    pub operation: String,
    pub resource_name: String,
    pub phase: String,
    pub intent: String,
    pub previous_hash: String,
    pub request: serde_json::Value,
}

/// What of a line says where it stands.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Number {
    sequence: u64,
}

/// What of a line says what became of an intent.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Step<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    resource_name: Cow<'a, str>,
    #[serde(borrow)]
    phase: Cow<'a, str>,
    #[serde(borrow)]
    intent: Cow<'a, str>,
}

impl Audit {
    /// The log in a directory, which is made. A last line that a crash cut short is taken away. What has been
    /// changed or cut off while the daemon was away is recorded.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: &Path, keys: Keys, settings: Settings) -> io::Result<Audit> {
        Audit::open_with(directory, keys, settings, IntentSearch::start(directory))
    }

    /// As [`Audit::open`], with a search that was started before.
    ///
    /// # Errors
    /// As [`Audit::open`].
    pub fn open_with(
        directory: &Path,
        keys: Keys,
        settings: Settings,
        intents: IntentSearch,
    ) -> io::Result<Audit> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let (head_file, head) = HeadFile::open(directory, keys.head)?;
        let segments = segment::all(directory)?;
        if let Some(last) = segments.last() {
            mend(&last.path)?;
        }
        let end = find_end(&segments, head.as_ref())?;
        let next = end.next;
        let now = Time::wall();
        let (path, day, file) = match segments.last() {
            Some(last) => {
                let file = fs::OpenOptions::new().read(true).write(true).open(&last.path)?;
                (last.path.clone(), last.day.clone(), file)
            }
            None => {
                let path = directory.join(segment::name(next, now));
                let file = segment::create(&path)?;
                (path, segment::day(now), file)
            }
        };
        let mac = match end.mac {
            Some(mac) => mac,
            None => MacKey::random(next).map_err(io::Error::other)?,
        };
        let first = segments.first().map_or(next, |segment| segment.first);
        let head = head.unwrap_or(Head {
            counter: 0,
            last: 0,
            hash: [0; 32],
            mac: mac.clone(),
            first,
            before_first: [0; 32],
            exported: 0,
            unlogged: 0,
        });
        let unlogged = head.unlogged;
        let disk = Disk {
            directory: directory.to_owned(),
            written: file.metadata()?.len(),
            file: Arc::new(file),
            path,
            day,
            waiting: Vec::new(),
            mac,
            // So that a new head is written whole.
            mac_changed: true,
            head_file,
            head,
        };
        let audit =
            Audit::new(settings, Some(keys), next, end.previous, Place::Disk(Box::new(disk)), unlogged);
        *lock::lock(&audit.open) = intents.found(&segments)?;
        let by = Principal::Timer;
        let failed = |error: crate::error::Error| io::Error::other(error.to_string());
        for found in &end.findings {
            tracing::error!(found, "the audit log was changed while the daemon was away");
            let record = Record {
                request: json!({"found": found}),
                ..Record::new("Event.AUDIT_DAMAGED", &by, "daemon")
            };
            audit.append(&record).map_err(failed)?;
        }
        let mut boot = [0; 8];
        crate::crypto::random::fill(&mut boot).map_err(failed)?;
        let request =
            json!({"version": env!("CARGO_PKG_VERSION"), "bootId": hex(&boot), "pid": std::process::id()});
        audit.append_durably(&Record { request, ..Record::new(STARTED, &by, "daemon") }).map_err(failed)?;
        Ok(audit)
    }
}

/// A search for the intents of the last run that have no outcome. It may take in many records and needs no key, so it runs
/// beside what else a start does.
pub struct IntentSearch(Option<JoinHandle<io::Result<Vec<OpenIntent>>>>);

impl IntentSearch {
    /// Starts looking in a log that nobody writes; where there is none yet, nothing is found.
    pub fn start(directory: &Path) -> IntentSearch {
        let directory = directory.to_owned();
        let search = move || match directory.exists() {
            true => open_intents(&segment::all(&directory)?),
            false => Ok(Vec::new()),
        };
        IntentSearch(thread::Builder::new().name("audit-intents".to_owned()).spawn(search).ok())
    }

    fn found(self, segments: &[Segment]) -> io::Result<Vec<OpenIntent>> {
        match self.0.map(JoinHandle::join) {
            Some(Ok(found)) => found,
            // There was no thread to be had.
            Some(Err(_)) | None => open_intents(segments),
        }
    }
}

/// Takes away a last line that has no end.
fn mend(path: &Path) -> io::Result<()> {
    let content = fs::read(path)?;
    let whole = memchr::memrchr(b'\n', &content).map_or(0, |end| end + 1);
    if whole < content.len() {
        tracing::warn!(path = %path.display(), bytes = content.len() - whole, "a record that was not finished is dropped");
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Where the log ends, and what is wrong with its end.
struct End {
    next: u64,
    previous: Hash,
    mac: Option<MacKey>,
    findings: Vec<String>,
}

fn find_end(segments: &[Segment], head: Option<&Head>) -> io::Result<End> {
    let mut end =
        End { next: 1, previous: [0; 32], mac: head.map(|head| head.mac.clone()), findings: Vec::new() };
    let known = head.map_or(0, |head| head.last);
    if head.is_none() && !segments.is_empty() {
        end.findings.push("its head is missing".to_owned());
    }
    let mut last = 0;
    let mut see = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let (text, mac) = split_mac(&line);
        let link: Link = serde_json::from_str(&text).unwrap_or_default();
        let hash = chain::hash(&text);
        let is_new = link.sequence > known;
        if link.sequence == known && head.is_some_and(|head| head.hash != hash) {
            end.findings.push(format!("record {known} is not the one that was written"));
        }
        if is_new && last != 0 && (link.sequence != last + 1 || link.previous_hash != hex(&end.previous)) {
            end.findings.push(format!("record {} does not follow the one before it", link.sequence));
        }
        if is_new && let Some(key) = &mut end.mac {
            key.advance(link.sequence);
            if mac != Some(&*key.of(&hash)) {
                end.findings.push(format!("record {} was not written by this daemon", link.sequence));
            }
        }
        (last, end.previous) = (link.sequence, hash);
    };
    if head.is_some() {
        from_record(segments, known)?.iter().for_each(|line| see(line));
    } else {
        for segment in segments {
            let _ = segment::forwards(&segment.path, None, |line| {
                see(line);
                ControlFlow::<()>::Continue(())
            })?;
        }
    }
    if last < known {
        end.findings.push(format!("records {} to {known} are missing", last + 1));
    }
    end.next = last.max(known) + 1;
    Ok(end)
}

/// The lines from the record on that the head speaks of, in their order. It is looked for from the end, where it is.
fn from_record(segments: &[Segment], known: u64) -> io::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    // The segment that has that record, and what is behind it.
    let from = segments.iter().rposition(|segment| segment.first <= known.max(1)).unwrap_or(0);
    for segment in segments.get(from..).unwrap_or_default().iter().rev() {
        let seen = segment::backwards(&segment.path, None, |line| {
            lines.push(line.to_vec());
            let number: Number = serde_json::from_slice(line).unwrap_or_default();
            match number.sequence {
                0 => ControlFlow::Continue(()),
                sequence if sequence > known => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })?;
        if seen.is_break() {
            break;
        }
    }
    lines.reverse();
    Ok(lines)
}

/// The intents of the last run that have no outcome.
fn open_intents(segments: &[Segment]) -> io::Result<Vec<OpenIntent>> {
    let (mut closed, mut open) = (std::collections::HashSet::new(), Vec::new());
    for segment in segments.iter().rev() {
        let seen = segment::backwards(&segment.path, None, |line| {
            let link: Step<'_> = serde_json::from_slice(line).unwrap_or_default();
            if !link.intent.is_empty() {
                closed.insert(link.intent.into_owned());
            } else if link.phase == "intent" && !closed.remove(&*link.event_id) {
                open.push(OpenIntent {
                    id: link.event_id.into_owned(),
                    operation: link.operation.into_owned(),
                    resource_name: link.resource_name.into_owned(),
                });
            } else if link.operation == STARTED {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if seen.is_break() {
            break;
        }
    }
    open.reverse();
    Ok(open)
}

/// The hash that the first line of a segment has as that of the line before it.
pub(super) fn previous_hash(path: &Path) -> io::Result<Option<Hash>> {
    let found = segment::forwards(path, None, |line| {
        let link: Link = serde_json::from_slice(line).unwrap_or_default();
        ControlFlow::Break(link.previous_hash)
    })?;
    let ControlFlow::Break(text) = found else { return Ok(None) };
    let bytes: Vec<u8> = (0..text.len() / 2)
        .filter_map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok())
        .collect();
    Ok(bytes.try_into().ok())
}
