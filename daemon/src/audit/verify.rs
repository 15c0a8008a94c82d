//! Checking the whole log: every link, every MAC whose key is still there, every signature, its beginning and end.

use std::ops::ControlFlow;

use claviger_protocol::audit::split_mac;
use serde_json::{Value, json};

use super::chain::{self, Checkpoint, EPOCH_RECORDS, Hash, hex, is_checkpoint};
use super::log::{Audit, Place};
use super::open::Link;
use super::query::{Lines, unread};
use super::segment;
use crate::error::Result;
use crate::lock;

/// Problems that are told one by one.
const MAX_PROBLEMS: usize = 100;

/// What a check found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verification {
    /// How many records there are.
    pub records: u64,
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// How many checkpoints are signed rightly.
    pub checkpoints: u64,
    /// The last of them.
    pub last_checkpoint: u64,
    /// What is wrong, the first hundred.
    pub problems: Vec<Problem>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Number of the record; 0 for the whole log.
    pub sequence: u64,
    /// Its id.
    pub event_id: String,
    /// What.
    pub what: String,
}

impl Verification {
    /// As it is shown.
    pub fn document(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            json!({"sequence": problem.sequence, "eventId": problem.event_id, "problem": problem.what})
        });
        json!({
            "success": self.problems.is_empty(),
            "records": self.records,
            "firstSequence": self.first,
            "lastSequence": self.last,
            "checkpoints": self.checkpoints,
            "lastCheckpoint": self.last_checkpoint,
            "problems": problems.collect::<Vec<_>>(),
        })
    }

    fn blame(&mut self, link: &Link, what: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let (sequence, event_id) = (link.sequence, link.event_id.clone());
            self.problems.push(Problem { sequence, event_id, what: what.into() });
        }
    }
}

impl Audit {
    /// Checks the whole log.
    ///
    /// # Errors
    /// What the file system says.
    pub fn verify(&self) -> Result<Verification> {
        self.collect();
        let (end, mut mac, first) = {
            let log = lock::lock(&self.log);
            let end = (log.next - 1, log.previous);
            match &log.place {
                Place::Disk(disk) => {
                    let first = (disk.head.first, disk.head.before_first);
                    (end, Some(disk.head.mac.clone()), Some(first))
                }
                Place::Memory(_) => (end, None, None),
            }
        };
        let lines = self.lines().map_err(unread)?;
        let mut found = Verification::default();
        let mut previous: Option<(u64, Hash)> = None;
        let mut see = |line: &[u8]| -> ControlFlow<()> {
            let line = String::from_utf8_lossy(line);
            let (text, said_mac) = split_mac(&line);
            let link: Link = serde_json::from_str(&text).unwrap_or_default();
            if link.sequence > end.0 {
                // Written since the check began.
                return ControlFlow::Break(());
            }
            let hash = chain::hash(&text);
            found.records += 1;
            match previous {
                None => {
                    found.first = link.sequence;
                    let said = first.is_none_or(|(first, before)| {
                        (link.sequence, &*link.previous_hash) == (first, &*hex(&before))
                    });
                    if !said {
                        found.blame(&link, "the log does not begin where it did");
                    }
                }
                Some((last, hash)) => {
                    if link.sequence != last + 1 {
                        found.blame(&link, format!("it comes after record {last}: records are missing"));
                    }
                    if link.previous_hash != hex(&hash) {
                        found.blame(&link, "the record before it is not the one that was there");
                    }
                }
            }
            previous = Some((link.sequence, hash));
            // The keys of earlier epochs are gone; the checkpoints speak for those records.
            if let Some(key) = &mut mac
                && link.sequence / EPOCH_RECORDS >= key.epoch
            {
                key.advance(link.sequence);
                if said_mac != Some(&*key.of(&hash)) {
                    found.blame(&link, "its MAC is wrong");
                }
            }
            if is_checkpoint(&link.operation)
                && let Some(keys) = &self.keys
            {
                let field = |name: &str| link.request.get(name).and_then(Value::as_str).unwrap_or_default();
                let checkpoint = Checkpoint {
                    log: field("log"),
                    sequence: link.sequence,
                    previous_hash: &link.previous_hash,
                    event_time: &link.event_time,
                    unlogged: link.request.get("unlogged").and_then(Value::as_u64).unwrap_or(0),
                };
                match keys.signed(&checkpoint, field("signature")) {
                    Ok(true) => {
                        found.checkpoints += 1;
                        found.last_checkpoint = link.sequence;
                    }
                    _ => found.blame(&link, "its signature is wrong"),
                }
            }
            if link.operation == "Event.AUDIT_DAMAGED" {
                let what = link.request.get("found").and_then(Value::as_str).unwrap_or_default();
                found.blame(&link, format!("found at a start: {what}"));
            }
            ControlFlow::Continue(())
        };
        match lines {
            Lines::Memory(lines) => {
                let _ = lines.iter().try_for_each(|line| see(line.as_bytes()));
            }
            Lines::Disk(segments, last, written) => {
                for segment in &segments {
                    let until = (segment.path == last).then_some(written);
                    if segment::forwards(&segment.path, until, &mut see).map_err(unread)?.is_break() {
                        break;
                    }
                }
            }
        }
        found.last = previous.map_or(0, |(last, _)| last);
        if previous.unwrap_or((0, [0; 32])) != end && end.0 > 0 {
            let whole = Link::default();
            found.blame(
                &whole,
                format!("the log ends at record {} and not as it did at {}", found.last, end.0),
            );
        }
        Ok(found)
    }
}
