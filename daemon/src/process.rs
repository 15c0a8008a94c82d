//! What the process does to itself before it holds a key: no core dumps, no tracing, private files.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use tracing::warn;

/// Makes the process unreadable to others. What cannot be done is said, not fatal: a container may forbid it.
pub fn harden() {
    umask(Mode::from_bits_truncate(0o077));
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        warn!(%error, "core dumps cannot be turned off");
    }
    if let Err(error) = prctl::set_dumpable(false) {
        warn!(%error, "the process stays dumpable");
    }
}
