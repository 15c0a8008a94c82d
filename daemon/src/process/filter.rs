//! The system calls that the daemon makes, and no others (seccomp(2)). What is not listed fails with `EPERM`, as
//! under the systemd unit; nothing is killed, since a C library may try a new call and fall back to an old one.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Allowed whatever their arguments are.
const CALLS: &[i64] = &[
    // Files
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_umask,
    libc::SYS_utimensat,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_ioctl,
    // Memory
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_mlockall,
    libc::SYS_munlockall,
    libc::SYS_msync,
    libc::SYS_mincore,
    // Threads and processes; the programs that events run are started with these too
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpgid,
    libc::SYS_setpgid,
    libc::SYS_getsid,
    libc::SYS_setsid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_tgkill,
    libc::SYS_kill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_getrandom,
    // Signals
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigpending,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time and waiting
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // Sockets that exist
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
];

/// The older forms, which only older architectures have.
#[cfg(target_arch = "x86_64")]
const OLDER_CALLS: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_pause,
    libc::SYS_alarm,
    libc::SYS_time,
    libc::SYS_getpgrp,
    libc::SYS_vfork,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_CALLS: &[i64] = &[];

/// What a program needs that runs for an event as another user, and may reach out.
const HOOK_CALLS: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
];

/// `CLONE_NEW*` of sched.h: no namespaces.
const NAMESPACES: u64 = 0x7e02_0080;

/// Closes everything else to all threads of the process and to what they start. With `hooks` the programs that
/// events run may make sockets of any kind.
///
/// # Errors
/// What the kernel says; nothing has changed then.
pub fn install(hooks: bool) -> Result<()> {
    for program in programs(hooks)? {
        apply_filter_all_threads(&program)?;
    }
    Ok(())
}

fn programs(hooks: bool) -> Result<[BpfProgram; 2]> {
    let arch = std::env::consts::ARCH.try_into()?;
    let errno = |errno: i32| SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(rules(hooks)?, errno(libc::EPERM), SeccompAction::Allow, arch)?;
    // Its arguments are in memory, where no filter can look; the C library falls back to clone.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let clone3 = SeccompFilter::new(clone3, SeccompAction::Allow, errno(libc::ENOSYS), arch)?;
    Ok([clone3.try_into()?, filter.try_into()?])
}

fn rules(hooks: bool) -> Result<Rules> {
    let mut rules: Rules = CALLS.iter().chain(OLDER_CALLS).map(|call| (*call, Vec::new())).collect();
    // Refused by the other filter; of two answers the stricter one counts.
    rules.insert(libc::SYS_clone3, Vec::new());
    rules.insert(libc::SYS_clone, vec![without(0, NAMESPACES)?]);
    // Nothing is made executable that was written (no code is made here).
    let executable = libc::PROT_EXEC as u64;
    rules.insert(libc::SYS_mmap, vec![without(2, executable)?, without(2, libc::PROT_WRITE as u64)?]);
    rules.insert(libc::SYS_mprotect, vec![without(2, executable)?]);
    let unix = |argument| {
        let length = SeccompCmpArgLen::Dword;
        SeccompCondition::new(argument, length, SeccompCmpOp::Eq, libc::AF_UNIX as u64)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    rules.insert(libc::SYS_socketpair, vec![unix(0)?]);
    rules.insert(libc::SYS_socket, vec![unix(0)?]);
    if hooks {
        rules.extend(HOOK_CALLS.iter().map(|call| (*call, Vec::new())));
    }
    Ok(rules)
}

/// An argument in which none of these bits is set.
fn without(argument: u8, bits: u64) -> Result<SeccompRule> {
    let none = SeccompCmpOp::MaskedEq(bits);
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, none, 0)?;
    Ok(SeccompRule::new(vec![condition])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_leaves_out_what_is_dangerous() {
        for hooks in [false, true] {
            let rules = rules(hooks).unwrap();
            for call in [
                libc::SYS_ptrace,
                libc::SYS_process_vm_readv,
                libc::SYS_bpf,
                libc::SYS_mount,
                libc::SYS_unshare,
                libc::SYS_setns,
                libc::SYS_keyctl,
                libc::SYS_io_uring_setup,
                libc::SYS_userfaultfd,
                libc::SYS_perf_event_open,
                libc::SYS_memfd_create,
                libc::SYS_personality,
                libc::SYS_init_module,
            ] {
                assert!(!rules.contains_key(&call), "{call}");
            }
            assert!(programs(hooks).unwrap().iter().all(|program| program.len() < 4096));
        }
    }

    #[test]
    fn what_is_not_listed_is_not_permitted_and_the_rest_works() {
        // A filter of this thread alone.
        let filtered = || {
            for program in programs(false).unwrap() {
                seccompiler::apply_filter(&program).unwrap();
            }
            let denied = [
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).err(),
                std::net::UdpSocket::bind("127.0.0.1:0")
                    .err()
                    .and_then(|e| e.raw_os_error())
                    .map(nix::Error::from_raw),
                nix::sys::ptrace::traceme().err(),
                nix::unistd::chroot("/").err(),
            ];
            assert_eq!(denied, [Some(nix::Error::EPERM); 4]);
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("file"), b"text").unwrap();
            assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"text");
            std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
            assert!(std::process::Command::new("true").status().unwrap().success());
            std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_millis(1))).join().unwrap();
        };
        std::thread::spawn(filtered).join().unwrap();
    }
}
