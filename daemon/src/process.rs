//! What the process does to itself before it holds a key: no core dumps, no tracing, private files, and memory
//! that goes back when it is no longer used.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::{Mode, umask};
use tracing::warn;

/// Allocations from this size on, in bytes, have a mapping of their own, which goes back to the system when it
/// is freed. Left to itself, glibc raises the limit above the 19 MiB that checking a PIN takes, and every thread's
/// heap then keeps as much for ever.
const MAPPED_FROM_BYTES: i32 = 4 << 20;

/// Makes the process unreadable to others. What cannot be done is said, not fatal: a container may forbid it.
pub fn harden() {
    umask(Mode::from_bits_truncate(0o077));
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        warn!(%error, "core dumps cannot be turned off");
    }
    if let Err(error) = prctl::set_dumpable(false) {
        warn!(%error, "the process stays dumpable");
    }
    if let Err(error) = ignore_file_size_signal() {
        warn!(%error, "a file size limit will kill the daemon");
    }
    give_memory_back();
}

/// A write beyond `RLIMIT_FSIZE` is to fail like one on a full disk, not to kill the process.
fn ignore_file_size_signal() -> nix::Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    ignore_signal(Signal::SIGXFSZ, &ignore)
}

#[allow(unsafe_code, reason = "sigaction has no safe face")]
fn ignore_signal(signal: Signal, ignore: &SigAction) -> nix::Result<()> {
    // SAFETY: SIG_IGN runs no code in signal context.
    unsafe { sigaction(signal, ignore) }.map(drop)
}

#[allow(unsafe_code, reason = "mallopt has no safe face")]
fn give_memory_back() {
    // SAFETY: mallopt reads two integers and changes the allocator's settings under its own lock.
    if unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) } == 0 {
        warn!("large allocations stay in the heap");
    }
}
