//! Files that arguments name: read whole, bounded, and wiped.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use claviger_protocol::Bytes;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The longest file that an argument may name, in bytes.
pub const MAX_FILE_BYTES: usize = 192 << 10;

/// The name that means stdin.
const STDIN: &str = "-";

/// Reads the files of one command line.
#[derive(Debug, Default)]
pub struct Files {
    stdin_is_taken: bool,
}

/// The content of a file, and whether its mode lets others read it.
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// The mode's permission bits, when it is a file that others may read.
    pub open_mode: Option<u32>,
}

impl Files {
    /// Reads a whole file, or stdin for `-`.
    ///
    /// # Errors
    /// The file cannot be read or is longer than [`MAX_FILE_BYTES`], or stdin was already read.
    pub fn read(&mut self, path: &Path) -> Result<Content> {
        let opened = if path.as_os_str() != STDIN {
            File::open(path)
        } else if self.stdin_is_taken {
            return Err(Error::usage("only one file can be - (stdin)"));
        } else {
            self.stdin_is_taken = true;
            // Past the standard library's buffer, which is never wiped.
            io::stdin().as_fd().try_clone_to_owned().map(File::from)
        };
        let read = opened.and_then(|mut file| {
            let metadata = file.metadata()?;
            let open_mode =
                Some(metadata.mode() & 0o777).filter(|mode| metadata.is_file() && mode & 0o077 != 0);
            Ok((read_bounded(&mut file)?, open_mode))
        });
        match read {
            Ok((Some(bytes), open_mode)) => Ok(Content { bytes, open_mode }),
            Ok((None, _)) => {
                Err(Error::usage(format!("{} is longer than {} KiB", path.display(), MAX_FILE_BYTES >> 10)))
            }
            Err(error) => Err(Error::file("read", path, &error)),
        }
    }
}

/// All bytes up to the end, or none if they are too many. Reads into one block that is wiped.
fn read_bounded(source: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut buffer = Zeroizing::new(vec![0; MAX_FILE_BYTES + 1]);
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => return Ok(Some(Bytes::from(&buffer[..length]))),
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// What the file system says.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|error| Error::file("write", path, &error))
}

/// A PIN as its file holds it: without one line break at its end.
pub fn without_line_break(bytes: Bytes) -> Bytes {
    match bytes.strip_suffix(b"\n") {
        Some(line) => Bytes::from(line.strip_suffix(b"\r").unwrap_or(line)),
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn exactly_one_line_break_is_stripped() {
        for (file, pin) in [
            ("1234\n", "1234"),
            ("1234\r\n", "1234"),
            ("1234", "1234"),
            ("1234\n\n", "1234\n"),
            ("1234\r", "1234\r"),
            (" 1234 \n", " 1234 "),
            ("\n", ""),
        ] {
            assert_eq!(&*without_line_break(file.as_bytes().into()), pin.as_bytes(), "{file:?}");
        }
    }

    #[test]
    fn files_over_the_limit_are_refused_and_open_modes_are_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        write(&path, &vec![7; MAX_FILE_BYTES]).unwrap();
        let content = Files::default().read(&path).unwrap();
        assert_eq!((content.bytes.len(), content.open_mode), (MAX_FILE_BYTES, None));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert_eq!(Files::default().read(&path).unwrap().open_mode, Some(0o640));
        write(&path, &vec![7; MAX_FILE_BYTES + 1]).unwrap();
        let error = Files::default().read(&path).err().unwrap();
        assert_eq!(error.exit, 2);
        assert!(error.message.ends_with("is longer than 192 KiB"));
        assert_eq!(Files::default().read(&directory.path().join("none")).err().unwrap().exit, 2);
    }
}
