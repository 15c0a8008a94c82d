//! Handing the log out, for a place where who rules this machine does not rule.

use std::ops::ControlFlow;

use claviger_protocol::audit::split_mac;

use super::log::Audit;
use super::open::Link;
use super::query::{Lines, unread};
use super::segment;
use crate::error::Result;

/// Bytes of lines handed out at a time.
const PAGE_BYTES: usize = 4 << 20;

/// Some lines.
#[derive(Debug, Default)]
pub struct Export {
    /// JSON lines without their MACs.
    pub lines: String,
    /// Number of the last of them; 0 when there are none.
    pub last: u64,
    /// There are more.
    pub more: bool,
}

impl Audit {
    /// The lines from one record to another, as many as fit a page.
    ///
    /// # Errors
    /// What the file system says.
    pub fn export(&self, from: u64, to: u64) -> Result<Export> {
        let mut page = Export::default();
        let mut see = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let (text, _) = split_mac(&line);
            let link: Link = serde_json::from_str(&text).unwrap_or_default();
            if link.sequence < from {
                return ControlFlow::Continue(());
            }
            if link.sequence > to {
                return ControlFlow::Break(());
            }
            if page.lines.len() + text.len() > PAGE_BYTES {
                page.more = true;
                return ControlFlow::Break(());
            }
            page.lines.push_str(&text);
            page.lines.push('\n');
            page.last = link.sequence;
            ControlFlow::Continue(())
        };
        match self.lines().map_err(unread)? {
            Lines::Memory(lines) => {
                let _ = lines.iter().try_for_each(|line| see(line.as_bytes()));
            }
            Lines::Disk(segments, last, written) => {
                let begin = segments.iter().rposition(|segment| segment.first <= from).unwrap_or(0);
                for segment in segments.get(begin..).unwrap_or_default() {
                    let until = (segment.path == last).then_some(written);
                    if segment::forwards(&segment.path, until, &mut see).map_err(unread)?.is_break() {
                        break;
                    }
                }
            }
        }
        Ok(page)
    }
}
