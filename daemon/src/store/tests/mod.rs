//! The suites that hold the store to its promises: killed at any moment, failed by the disk at any call, without
//! power at any write, damaged anywhere.
//!
//! Each runs a bounded number of cases in `cargo test` and all of them with CLAVIGER_SOAK set, which is the
//! factor: `CLAVIGER_SOAK=10`.

mod corruption;
mod failpoints;
mod full_disk;
mod kill;
mod power;
mod workload;

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::reserve;

/// The number of cases: `bounded`, times the factor of a soak.
fn cases(bounded: usize) -> usize {
    let soak = std::env::var("CLAVIGER_SOAK").ok().and_then(|factor| factor.parse().ok());
    bounded * soak.unwrap_or(1)
}

/// Whether this is a soak.
fn is_soak() -> bool {
    std::env::var_os("CLAVIGER_SOAK").is_some()
}

/// A small generator (xorshift64), so that a run can be repeated.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

/// A new directory; in memory where that is possible, for what is tested is the order of writes, not the disk.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = tempfile::Builder::new().prefix("claviger-store.").tempdir_in(memory);
    dir.or_else(|_| tempfile::tempdir()).unwrap()
}

/// A reserve in `dir` that takes no space: making a real one for each image would cost more than all else.
fn spare_reserve(dir: &Path) {
    File::create(dir.join("reserve")).and_then(|file| file.set_len(reserve::RESERVE_BYTES)).unwrap();
}

/// This program again, as a process that runs the workload on `dir`.
fn child(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg(format!("{}::workload::child", module_path!().split_once("::").unwrap().1))
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(workload::DIR, dir)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// The shim, compiled once; `None` where there is no C compiler.
fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let built = SHIM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests/shim.c");
        let status = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-w", "-o"])
            .arg(&library)
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .status();
        match status {
            Ok(status) if status.success() => Some((dir, library)),
            Ok(status) => panic!("the shim does not compile: {status}"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    });
    built.as_ref().map(|(_, library)| library.as_path())
}

/// The child with the shim watching `dir`.
fn shimmed(library: &Path, dir: &Path) -> Command {
    let mut command = child(dir);
    command.env("LD_PRELOAD", library).env("SHIM_DIR", dir);
    command
}

/// Waits for a child, which must not take longer than any that works.
fn wait(mut child: Child) -> (ExitStatus, Vec<String>) {
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || io::read_to_string(stdout).unwrap_or_default());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the child hangs; it said: {}", reader.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    (status, reader.join().unwrap().lines().map(str::to_owned).collect())
}

/// Whether a process ended by SIGKILL.
fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGKILL)
}
