//! Who the daemon is: root only when it is told to be.

use std::ffi::CString;
use std::path::Path;

use nix::unistd::{User, chown, geteuid, initgroups, setgid, setuid};

use super::Hardening;

/// A user that the daemon is to become.
pub struct Successor(User);

/// Decides who the daemon is to be, by the configuration.
///
/// # Errors
/// A sentence for the one who started it: root without leave to be root, or a user that does not exist or cannot be
/// become.
pub fn successor(settings: &Hardening) -> Result<Option<Successor>, String> {
    let Some(name) = &settings.user else {
        return match geteuid().is_root() && !settings.allow_root {
            true => Err(
                "refuses to run as root: name a user with `user = \"claviger\"` below [hardening] of the \
                         configuration, or say `allow_root = true` there"
                    .to_owned(),
            ),
            false => Ok(None),
        };
    };
    let user = User::from_name(name).map_err(|error| format!("cannot look up user {name}: {error}"))?;
    let user = user.ok_or_else(|| format!("there is no user {name}"))?;
    match geteuid() {
        uid if uid == user.uid => Ok(None),
        uid if uid.is_root() => Ok(Some(Successor(user))),
        uid => Err(format!("is to run as {name}, and only root can become another user than {uid}")),
    }
}

impl Successor {
    /// Makes a directory that is missing, and gives it to the successor. One that is there may be others' too.
    ///
    /// # Errors
    /// As [`Successor::give`].
    pub fn make(&self, directory: &Path) -> Result<(), String> {
        if directory.exists() { Ok(()) } else { self.give(directory) }
    }

    /// Makes a directory if it is missing, and gives it and what is in it to the successor.
    ///
    /// # Errors
    /// The file system's, with the path.
    pub fn give(&self, directory: &Path) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| {
            format!("cannot give {} to {}: {error}", directory.display(), self.0.name)
        };
        std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        let mut rest = vec![directory.to_owned()];
        while let Some(path) = rest.pop() {
            // Not through a symbolic link, which may lead anywhere.
            let kind = path.symlink_metadata().map_err(|error| failed(&error))?.file_type();
            if kind.is_symlink() {
                continue;
            }
            chown(&path, Some(self.0.uid), Some(self.0.gid)).map_err(|error| failed(&error))?;
            if kind.is_dir() {
                for entry in std::fs::read_dir(&path).map_err(|error| failed(&error))? {
                    rest.push(entry.map_err(|error| failed(&error))?.path());
                }
            }
        }
        Ok(())
    }

    /// Becomes the successor, for good.
    ///
    /// # Errors
    /// The kernel's; the process must not go on then.
    pub fn become_it(self) -> Result<(), String> {
        let failed = |error: nix::Error| format!("cannot become {}: {error}", self.0.name);
        let name = CString::new(self.0.name.as_str()).map_err(|_| failed(nix::Error::EINVAL))?;
        initgroups(&name, self.0.gid).map_err(failed)?;
        setgid(self.0.gid).map_err(failed)?;
        setuid(self.0.uid).map_err(failed)?;
        if setuid(nix::unistd::ROOT).is_ok() {
            return Err(failed(nix::Error::EPERM));
        }
        Ok(())
    }
}
