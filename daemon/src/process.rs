//! What the process does to itself before it holds a key: no core dumps, no tracing, private files, memory that
//! is neither swapped nor kept when it is no longer used, no more privileges and system calls than it needs.

pub mod filter;
pub mod privileges;

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::mman::{MlockAllFlags, mlockall, munlockall};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::{Mode, umask};
use serde::Deserialize;
use tracing::{debug, warn};

use crate::live_keys::LIVE_KEYS;

/// Allocations from this size on, in bytes, have a mapping of their own, which goes back to the system when it
/// is freed. Left to itself, glibc raises the limit above the 19 MiB that checking a PIN takes, and every thread's
/// heap then keeps as much for ever.
const MAPPED_FROM_BYTES: i32 = 4 << 20;

/// The `[hardening]` table of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hardening {
    /// Whether memory must be kept out of swap.
    pub lock_memory: LockMemory,
    /// Size of the memory for private keys, in bytes, a power of two; 0 for none. It is locked, guarded and never
    /// dumped, and an RSA key of 2048 bits takes 1 KiB of it: the default has room for 100,000 keys, also of 4096 bits. What
    /// no key uses is address space and no memory. When it is full, further private keys cannot be used.
    pub secure_heap_bytes: usize,
    /// Fails all system calls that the daemon does not make.
    pub filter_system_calls: bool,
    /// User to become when root starts the daemon.
    pub user: Option<String>,
    /// Lets the daemon be root for good.
    pub allow_root: bool,
}

impl Default for Hardening {
    fn default() -> Self {
        Self {
            lock_memory: LockMemory::Try,
            secure_heap_bytes: 256 << 20,
            filter_system_calls: true,
            user: None,
            allow_root: false,
        }
    }
}

/// Whether memory must be kept out of swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMemory {
    /// Starts without it, and warns.
    Try,
    /// Does not start without it.
    Require,
    /// Does not try.
    Off,
}

/// Keeps memory out of swap and sets memory for private keys apart. Comes before the first key.
///
/// # Errors
/// What cannot be done, where the configuration requires it.
pub fn lock_memory(settings: &Hardening) -> Result<(), String> {
    let required = |what: String| match settings.lock_memory {
        LockMemory::Require => Err(format!(
            "{what}; raise the limit (LimitMEMLOCK= of the unit, ulimit -l), or say lock_memory = \"try\""
        )),
        _ => {
            warn!("{what}");
            Ok(())
        }
    };
    if settings.lock_memory != LockMemory::Off {
        // Below a limit, locking succeeds now and an allocation fails later; root lifts it for the user it becomes.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        let unlimited = getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
        let free = unlimited || settings.user.is_none() && may_lock();
        match if free { lock_all() } else { Err(nix::Error::EPERM) } {
            Ok(()) => LOCKED.store(true, Ordering::Relaxed),
            Err(error) => required(format!("memory cannot be kept out of swap: {error}"))?,
        }
    }
    if settings.secure_heap_bytes == 0 {
        return Ok(());
    }
    LIVE_KEYS.fit(settings.secure_heap_bytes);
    match crate::crypto::secure_heap(settings.secure_heap_bytes) {
        SecureHeap::Locked => Ok(()),
        SecureHeap::Unlocked => required("the memory for private keys cannot be locked".to_owned()),
        SecureHeap::Refused => Err(format!(
            "no memory for private keys is to be had: secure_heap_bytes = {} must be a power of two",
            settings.secure_heap_bytes
        )),
    }
}

/// True once all memory is kept out of swap.
static LOCKED: AtomicBool = AtomicBool::new(false);

/// Keeps all memory out of swap, that of later too. On fault: what is mapped and never touched holds no secret and
/// takes no memory.
fn lock_all() -> nix::Result<()> {
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault)
}

/// Gives memory back to the system that was used once, for the start with many records. Memory that is locked cannot be
/// given back (madvise(2)), so for that moment it is not.
///
/// # Errors
/// When it cannot be locked again.
#[allow(unsafe_code, reason = "glibc's allocator has no safe face")]
pub fn trim_memory() -> Result<(), String> {
    let locked = LOCKED.load(Ordering::Relaxed);
    let failed = |error| format!("memory cannot be kept out of swap any longer: {error}");
    if locked {
        munlockall().map_err(failed)?;
    }
    // SAFETY: takes a number; locks the allocator as any allocation does.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    if locked { lock_all().map_err(failed) } else { Ok(()) }
}

/// True with `CAP_IPC_LOCK`, for which no limit counts.
fn may_lock() -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .is_some_and(|b| b & CAP_IPC_LOCK != 0)
}

/// What became of the memory for private keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecureHeap {
    /// It is there and locked.
    Locked,
    /// It is there, and may be swapped.
    Unlocked,
    /// It is not there.
    Refused,
}

/// Fails all system calls from here on that a serving daemon does not make. `hooks`: events run programs.
pub fn filter_system_calls(settings: &Hardening, hooks: bool) {
    if !settings.filter_system_calls {
        return;
    }
    // systemd has put its own there already.
    if std::env::var_os("INVOCATION_ID").is_some() && is_filtered() {
        return debug!("system calls are filtered by the service manager");
    }
    if let Err(error) = filter::install(hooks) {
        warn!(%error, "system calls are not filtered");
    }
}

/// True when a filter of system calls is in force.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"]))
}

/// Makes the process unreadable to others. What cannot be done is said, not fatal: a container may forbid it.
pub fn harden() {
    umask(Mode::from_bits_truncate(0o077));
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        warn!(%error, "core dumps cannot be turned off");
    }
    empty_core_dumps();
    close_to_tracing();
    if let Err(error) = ignore_file_size_signal() {
        warn!(%error, "a file size limit will kill the daemon");
    }
    give_memory_back();
}

/// Leaves every kind of memory out of a core dump that root forces all the same, by lifting the limit or with a debugger
/// (core(5), `coredump_filter`; gdb's gcore goes by it too). Comes before the process is closed to tracing, which closes this
/// file as well.
fn empty_core_dumps() {
    if let Err(error) = std::fs::write("/proc/self/coredump_filter", "0") {
        warn!(%error, "a core dump that root forces would hold keys");
    }
}

/// No core dump, no tracing, no reading of memory by others. A change of user undoes it.
pub fn close_to_tracing() {
    if let Err(error) = prctl::set_dumpable(false) {
        warn!(%error, "the process stays dumpable");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key;

    /// In a process of its own, since the heap is everybody's: `make soak`.
    #[test]
    #[ignore = "changes where the whole process keeps private keys; make soak"]
    fn secure_heap_has_room_for_100_000_rsa_keys() {
        let bytes = Hardening::default().secure_heap_bytes;
        assert_ne!(crate::crypto::secure_heap(bytes), SecureHeap::Refused);
        for bits in [2048, 4096] {
            let pair = openssl::rsa::Rsa::generate(bits).unwrap();
            let der = openssl::pkey::PKey::from_rsa(pair).unwrap().private_key_to_pkcs8().unwrap();
            let load = |_| Key::Private(openssl::pkey::PKey::private_key_from_pkcs8(&der).unwrap());
            let keys: Vec<Key> = (0..100_000).map(load).collect();
            println!("{} RSA-{bits} keys in {bytes} bytes", keys.len());
        }
    }
}
