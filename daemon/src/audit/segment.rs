//! The files of the log: one after the other, each named after its first record and its day.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::kms::time::Time;

/// How a segment's name ends.
const SUFFIX: &str = ".jsonl";
/// Bytes read at a time from the end of a segment.
const CHUNK: usize = 1 << 20;

/// A segment that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// Number of its first record.
    pub first: u64,
    /// Its day, `YYYYMMDD`.
    pub day: String,
}

/// Name of a segment.
pub fn name(first: u64, time: Time) -> String {
    format!("{first:012}-{}{SUFFIX}", day(time))
}

/// The day of a time, as names have it.
pub fn day(time: Time) -> String {
    String::from_utf8_lossy(&time.date()).into_owned()
}

/// The segments in a directory, oldest first.
pub fn all(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let parts = name.strip_suffix(SUFFIX).and_then(|stem| stem.split_once('-'));
        if let Some((first, day)) = parts
            && let Ok(first) = first.parse()
            && day.len() == 8
        {
            segments.push(Segment { path: directory.join(&name), first, day: day.to_owned() });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Makes a new segment, whose name is on the disk when this returns.
pub fn create(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}

/// Shows the lines of a segment up to `end` bytes, last line first, until `each` has seen enough.
pub fn backwards<T>(
    path: &Path,
    end: Option<u64>,
    mut each: impl FnMut(&[u8]) -> ControlFlow<T>,
) -> io::Result<ControlFlow<T>> {
    let file = File::open(path)?;
    let mut start = end.unwrap_or(file.metadata()?.len());
    // The beginning of a line whose rest was in the chunk read before.
    let mut rest = Vec::new();
    while start > 0 {
        let length = start.min(CHUNK as u64);
        start -= length;
        let mut chunk = vec![0; length as usize];
        file.read_exact_at(&mut chunk, start)?;
        chunk.append(&mut rest);
        let whole = match memchr::memchr(b'\n', &chunk) {
            _ if start == 0 => 0,
            Some(end) => end + 1,
            None => {
                rest = chunk;
                continue;
            }
        };
        let mut lines = &chunk[whole..];
        while !lines.is_empty() {
            let text = lines.strip_suffix(b"\n").unwrap_or(lines);
            let begin = memchr::memrchr(b'\n', text).map_or(0, |end| end + 1);
            if let ControlFlow::Break(value) = each(&text[begin..]) {
                return Ok(ControlFlow::Break(value));
            }
            lines = &lines[..begin];
        }
        chunk.truncate(whole);
        rest = chunk;
    }
    Ok(ControlFlow::Continue(()))
}

/// Shows the lines of a segment up to `end` bytes in their order.
pub fn forwards<T>(
    path: &Path,
    end: Option<u64>,
    mut each: impl FnMut(&[u8]) -> ControlFlow<T>,
) -> io::Result<ControlFlow<T>> {
    let mut content = fs::read(path)?;
    content.truncate(end.and_then(|end| usize::try_from(end).ok()).unwrap_or(usize::MAX));
    let mut lines = &content[..];
    while !lines.is_empty() {
        let end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
        if let ControlFlow::Break(value) = each(&lines[..end]) {
            return Ok(ControlFlow::Break(value));
        }
        lines = lines.get(end + 1..).unwrap_or_default();
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_both_directions_whatever_their_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name(1, Time::wall()));
        for lengths in
            [vec![1, 2, 3], vec![CHUNK, 1, CHUNK - 1, CHUNK + 1, 2 * CHUNK + 7, 5], vec![0, 3, 0], vec![]]
        {
            let lines: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(i, length)| vec![b'a' + i as u8; *length]).collect();
            let content: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
            fs::write(&path, content).unwrap();
            let mut seen = Vec::new();
            let all = |lines: &mut Vec<Vec<u8>>, line: &[u8]| {
                lines.push(line.to_vec());
                ControlFlow::<()>::Continue(())
            };
            let _ = forwards(&path, None, |line| all(&mut seen, line)).unwrap();
            assert_eq!(seen, lines);
            let mut back = Vec::new();
            let _ = backwards(&path, None, |line| all(&mut back, line)).unwrap();
            back.reverse();
            assert_eq!(back, lines);
        }
    }
}
