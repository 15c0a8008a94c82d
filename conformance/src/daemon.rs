//! A daemon in a directory of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;

use crate::admin::Admin;
use crate::{artefacts, process};

/// How long a daemon may take until it says `ready`; generous, for machines that are busy with other things.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A daemon with its directory; both go when it is dropped, or when the process ends.
pub struct Daemon {
    /// Shared with the action at the end of the process.
    inner: Arc<Mutex<Inner>>,
    /// The temporary directory of this daemon: its own below `keys`, its log beside it.
    root: PathBuf,
}

struct Inner {
    /// The running process, if it runs.
    child: Option<Child>,
    /// Removed with the daemon.
    root: Option<TempDir>,
}

impl Inner {
    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::env::var_os("CLAVIGER_KEEP").is_some()
            && let Some(root) = self.root.take()
        {
            eprintln!("kept {}", root.keep().display());
        }
        self.root = None;
    }
}

impl Daemon {
    /// A new directory, with no daemon yet.
    pub fn prepare() -> Daemon {
        let root =
            tempfile::Builder::new().prefix("claviger-test.").tempdir().expect("a temporary directory");
        let path = root.path().to_owned();
        let inner = Arc::new(Mutex::new(Inner { child: None, root: Some(root) }));
        let at_end = Arc::clone(&inner);
        process::at_exit(move || at_end.lock().unwrap_or_else(|e| e.into_inner()).end());
        Daemon { inner, root: path }
    }

    /// A daemon that is ready, in a new directory.
    pub fn start() -> Daemon {
        let daemon = Daemon::prepare();
        daemon.restart();
        daemon
    }

    /// The command that starts this daemon.
    pub fn command(&self) -> Command {
        let mut command = Command::new(artefacts::clavigerd());
        command.arg("--dev").arg(self.directory());
        command
    }

    /// Starts the daemon, after a kill or stop again.
    pub fn restart(&self) {
        self.launch(self.command()).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Starts the daemon by a command that may differ from [`command`](Self::command), and waits for `ready`.
    ///
    /// # Errors
    /// When it ends, or says nothing in time: what it wrote into its log.
    pub fn launch(&self, mut command: Command) -> Result<(), String> {
        let mut inner = self.lock();
        assert!(inner.child.is_none(), "the daemon runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the daemon's log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = process::spawn(command).expect("starting the daemon");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = channel();
        // Reads to the end, so that the daemon never writes into a closed pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let outcome = match lines.recv_timeout(READY_WITHIN) {
            Ok(line) if line == "ready" => {
                inner.child = Some(child);
                return Ok(());
            }
            Ok(line) => format!("said {line:?} instead of \"ready\""),
            // A process that ends closes its files first.
            Err(_) => match process::wait(&mut child, 5) {
                Some(status) => format!("ended with {status}"),
                None => format!("was not ready within {} s", READY_WITHIN.as_secs()),
            },
        };
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("the daemon {outcome}; its log:\n{}", self.log()))
    }

    /// Kills the daemon with SIGKILL.
    pub fn kill(&self) {
        let mut child = self.lock().child.take().expect("the daemon runs");
        child.kill().expect("killing the daemon");
        child.wait().expect("waiting for the daemon");
    }

    /// Asks the daemon to end with `signal` and waits for it.
    pub fn stop(&self, signal: i32) -> ExitStatus {
        let mut child = self.lock().child.take().expect("the daemon runs");
        process::signal(&child, signal);
        match process::wait(&mut child, 30) {
            Some(status) => status,
            None => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("signal {signal} did not stop the daemon within 30 s; its log:\n{}", self.log());
            }
        }
    }

    /// Stops the daemon (SIGSTOP) and returns when each of its threads stands still: kill(2) returns before, and a
    /// thread on another processor may still answer.
    pub fn pause(&self) {
        let inner = self.lock();
        let child = inner.child.as_ref().expect("the daemon runs");
        process::signal(child, libc::SIGSTOP);
        process::wait_until_stopped(child, 60);
    }

    /// Lets the daemon go on after [`Daemon::pause`] (SIGCONT).
    pub fn proceed(&self) {
        process::signal(self.lock().child.as_ref().expect("the daemon runs"), libc::SIGCONT);
    }

    /// Process id of the running daemon.
    pub fn pid(&self) -> u32 {
        self.lock().child.as_ref().expect("the daemon runs").id()
    }

    /// True while the process runs.
    pub fn runs(&self) -> bool {
        self.lock().child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_none()))
    }

    /// The temporary directory around the daemon's own, for files of the test.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory given to `--dev`.
    pub fn directory(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The module's socket.
    pub fn pkcs11_socket(&self) -> PathBuf {
        self.directory().join("pkcs11.sock")
    }

    /// The CLI's socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.directory().join("admin.sock")
    }

    /// The CLI, pointed at this daemon.
    pub fn admin(&self) -> Admin {
        Admin::new(self.admin_socket())
    }

    /// What the daemon wrote to stderr so far.
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Writes a file into the temporary directory.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(name);
        fs::write(&path, content).expect("writing a file");
        path
    }

    fn log_path(&self) -> PathBuf {
        self.root.join("daemon.log")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.lock().end();
    }
}
