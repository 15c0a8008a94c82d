//! What needs the operating system: death signals, limits, affinity. Here and in `raw` is all the `unsafe`.
#![allow(unsafe_code, reason = "system calls without a safe wrapper in the standard library")]

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};

/// Starts `command` so that it dies with this process, however this process ends.
///
/// The death signal of Linux fires when the *thread* that started the child ends, and tests run on threads
/// that end early; so one thread that lives as long as the process starts all children.
pub fn spawn(mut command: Command) -> io::Result<Child> {
    /// A command, and where its child is wanted.
    type Job = (Command, Sender<io::Result<Child>>);
    static KEEPER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    };
    let keeper = KEEPER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = channel();
    keeper.lock().unwrap().send((command, reply)).expect("the thread lives as long as the process");
    answer.recv().expect("the thread lives as long as the process")
}

/// Sends a signal.
pub fn signal(child: &Child, signal: i32) {
    // SAFETY: no memory is involved; the child is not waited for yet, so its id is its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0, "kill: {}", io::Error::last_os_error());
}

/// Waits up to `seconds` until every thread of a child that was sent SIGSTOP is stopped: state T (proc(5), stat).
pub fn wait_until_stopped(child: &Child, seconds: u64) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let stopped = || {
        let mut threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("a child that runs");
        threads.all(|thread| {
            let stat = std::fs::read_to_string(thread.expect("a thread").path().join("stat"));
            // The state follows the name, which stands in parentheses. A thread that has ended answers nothing.
            stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
        })
    };
    while !stopped() {
        assert!(std::time::Instant::now() < end, "the child still runs {seconds} s after SIGSTOP");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Waits up to `seconds` for a child to end.
pub fn wait(child: &mut Child, seconds: u64) -> Option<ExitStatus> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    loop {
        if let Some(status) = child.try_wait().expect("waiting for a child") {
            return Some(status);
        }
        if std::time::Instant::now() > end {
            return None;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Lets the command live on when it writes beyond its limit of file sizes: the write gives `EFBIG`.
pub fn ignore_size_signal(command: &mut Command) {
    // SAFETY: signal is async-signal-safe; an ignored signal stays ignored over exec.
    unsafe {
        command.pre_exec(|| match libc::signal(libc::SIGXFSZ, libc::SIG_IGN) {
            libc::SIG_ERR => Err(io::Error::last_os_error()),
            _ => Ok(()),
        })
    };
}

/// Changes how large files of a running process may grow (`RLIMIT_FSIZE`), in bytes; none takes the limit away.
pub fn set_file_size_limit(pid: u32, bytes: Option<u64>) {
    let limit =
        libc::rlimit { rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY), rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure lives through the call, the old limit is not asked for.
    let answer = unsafe { libc::prlimit(pid as i32, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
    assert_eq!(answer, 0, "prlimit: {}", io::Error::last_os_error());
}

/// True when this process may do anything.
pub fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Runs `action` when this process ends normally, failed tests included: statics are never dropped.
pub fn at_exit(action: impl FnOnce() + Send + 'static) {
    type Action = Box<dyn FnOnce() + Send>;
    static ACTIONS: Mutex<(Vec<Action>, u32)> = Mutex::new((Vec::new(), 0));
    extern "C" fn run() {
        let Ok(mut actions) = ACTIONS.lock() else { return };
        // A forked child comes here too when it exits.
        if actions.1 == std::process::id() {
            for action in actions.0.drain(..) {
                action();
            }
        }
    }
    let mut actions = ACTIONS.lock().unwrap();
    if actions.1 == 0 {
        actions.1 = std::process::id();
        // SAFETY: `run` is a plain function that lives as long as the program.
        assert_eq!(unsafe { libc::atexit(run) }, 0);
    }
    actions.0.push(Box::new(action));
}

/// Sets an environment variable that modules read in `C_Initialize`; the caller sees to it that no two threads
/// are in here or in `C_Initialize` at a time.
pub fn set_variable(name: &str, value: &Path) {
    // SAFETY: this program's own code reads the environment through the standard library, whose lock covers
    // this; the modules, which have a C or standard library of their own, read it in C_Initialize alone.
    unsafe { std::env::set_var(name, value) }
}

/// Lets the process `pid` with all its threads run on these processors only. Threads and processes that they
/// start afterwards inherit that.
pub fn pin(pid: u32, processors: &[usize]) -> io::Result<()> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.file_name().to_string_lossy().parse().map_err(io::Error::other)?;
        // SAFETY: an all-zero cpu_set_t is the empty set; CPU_SET stays inside it below CPU_SETSIZE.
        let answer = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            for processor in processors.iter().copied().filter(|p| *p < libc::CPU_SETSIZE as usize) {
                libc::CPU_SET(processor, &mut set);
            }
            libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), &set)
        };
        let error = io::Error::last_os_error();
        // A thread may end between the listing and the call.
        if answer != 0 && error.raw_os_error() != Some(libc::ESRCH) {
            return Err(error);
        }
    }
    Ok(())
}

/// Processor time that a process has used, all its threads, in seconds (utime and stime of proc(5)).
pub fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name, in parentheses, may hold blanks.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    // SAFETY: sysconf takes and gives numbers.
    ticks.sum::<f64>() / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

/// The processors that the calling thread may run on.
pub fn processors() -> Vec<usize> {
    // SAFETY: an all-zero cpu_set_t is the empty set, which the call fills.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return vec![0];
        }
        (0..libc::CPU_SETSIZE as usize).filter(|p| libc::CPU_ISSET(*p, &set)).collect()
    }
}

/// Runs `child` in a forked process and gives what became of it: "exit 0" or "signal 9".
/// Only for programs of one thread.
pub fn fork(child: impl FnOnce()) -> String {
    use std::io::Write;
    // What is in the buffer would be written by both.
    let _ = io::stdout().flush();
    // SAFETY: the callers are programs of one thread, so that the child finds no lock taken; it ends by _exit
    // and runs none of the parent's exit handlers.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        let _ = io::stdout().flush();
        // SAFETY: ends this process.
        unsafe { libc::_exit(i32::from(outcome.is_err())) }
    }
    let mut status = 0;
    // SAFETY: the status is a live integer; the child is this process's own.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(waited, pid, "waitpid: {}", io::Error::last_os_error());
    if libc::WIFSIGNALED(status) {
        format!("signal {}", libc::WTERMSIG(status))
    } else {
        format!("exit {}", libc::WEXITSTATUS(status))
    }
}

/// Tells an ML-DSA or SLH-DSA operation of libcrypto that its message is encoded already (`message-encoding`), for
/// which the `openssl` crate has no call.
pub fn encoded_message<T>(context: &mut openssl::pkey_ctx::PkeyCtxRef<T>) {
    use foreign_types::ForeignTypeRef;
    let mut raw: libc::c_int = 0;
    let end = openssl_sys::OSSL_PARAM {
        key: std::ptr::null(),
        data_type: 0,
        data: std::ptr::null_mut(),
        data_size: 0,
        return_size: 0,
    };
    let encoding = openssl_sys::OSSL_PARAM {
        key: c"message-encoding".as_ptr(),
        // OSSL_PARAM_INTEGER
        data_type: 1,
        data: (&raw mut raw).cast(),
        data_size: size_of::<libc::c_int>(),
        return_size: usize::MAX,
    };
    // SAFETY: the context is live, the array has an end marker and outlives the call, which copies from it.
    let code = unsafe { openssl_sys::EVP_PKEY_CTX_set_params(context.as_ptr(), [encoding, end].as_ptr()) };
    assert_eq!(code, 1, "message-encoding");
}

/// Ends this process with SIGKILL.
pub fn die() {
    // SAFETY: sends a signal to this process; no memory is involved.
    unsafe { libc::raise(libc::SIGKILL) };
}

/// Runs `action` on a thread whose effective user and group are these, with no further groups; the other threads
/// stay who they are. Only root can. What the thread opens and connects to, it does as that user.
pub fn as_user<T: Send>(uid: u32, gid: u32, action: impl FnOnce() -> T + Send) -> T {
    let become_user = || {
        let none: *const libc::gid_t = std::ptr::null();
        // SAFETY: these system calls change the credentials of the calling thread alone, which ends after it; they
        // read no memory of this process (the list of groups is empty).
        let done = unsafe {
            libc::syscall(libc::SYS_setgroups, 0, none) == 0
                && libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
                && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
        };
        assert!(done, "becoming user {uid}: {}", io::Error::last_os_error());
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            become_user();
            action()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs `action` while signals interrupt whatever system call its thread is in: SIGUSR1 about every 100 microseconds,
/// with a handler that does nothing and does not have calls restarted. Gives how many came.
pub fn interrupted(action: impl FnOnce()) -> u64 {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    static CAME: AtomicU64 = AtomicU64::new(0);
    extern "C" fn count(_: libc::c_int) {
        CAME.fetch_add(1, Ordering::Relaxed);
    }
    let handler: extern "C" fn(libc::c_int) = count;
    // SAFETY: the handler only adds to an atomic; the structure is zeroed, which is no flag and an empty mask; the old
    // action is put back below.
    let old = unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = handler as usize;
        let mut old = std::mem::zeroed();
        assert_eq!(libc::sigaction(libc::SIGUSR1, &new, &mut old), 0);
        old
    };
    // SAFETY: asks for the caller's own id.
    let thread = unsafe { libc::pthread_self() };
    let (before, done) = (CAME.load(Ordering::Relaxed), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // SAFETY: the thread lives until this one is joined.
                unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
        done.store(true, Ordering::Release);
        sender.join().expect("the thread that sends signals");
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    // SAFETY: puts back what was there.
    unsafe { libc::sigaction(libc::SIGUSR1, &old, std::ptr::null_mut()) };
    CAME.load(Ordering::Relaxed) - before
}

/// True while this process maps memory that a module shares with its daemon.
pub fn maps_shared_memory() -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the maps of this process");
    maps.contains("memfd:claviger ")
}

/// Lets this process have as many descriptors as it may.
pub fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a higher limit");
}
