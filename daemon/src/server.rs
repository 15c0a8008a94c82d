//! Listening: accepts connections, learns who is there, and answers their frames.
//!
//! tokio accepts, keeps time and hears signals. Each PKCS#11 connection is served by a blocking thread that runs
//! the cryptography where it read the request: that is one wake-up per call, and a slow key generation holds up
//! nobody but its caller.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

use crate::config::Config;
use crate::connection;
use crate::kms::time::Time;
use crate::lock;
use crate::sealed::{self, Gate};

/// Stack of a connection's thread. OpenSSL's deepest paths stay below 64 KiB.
const STACK_BYTES: usize = 512 << 10;
/// How often destructions that have fallen due are carried out. A due version is unusable before that.
const TIMER: Duration = Duration::from_secs(60);
/// Pause after a connection that could not be served: without descriptors, accepting fails at once again.
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);
/// How often the log says that connections are refused.
const REFUSAL_WARNINGS: Duration = Duration::from_secs(1);
/// How long calls may still run after the order to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection, as the kernel knew it when it connected (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Process; for the log only, never for a decision.
    pub pid: i32,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The socket's.
    pub fn of(stream: &UnixStream) -> io::Result<Peer> {
        let credentials = getsockopt(stream, sockopt::PeerCredentials)?;
        Ok(Peer { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
    }
}

/// The two sockets.
pub struct Listeners {
    /// For modules.
    pub pkcs11: StdListener,
    /// For admins.
    pub admin: StdListener,
}

impl Listeners {
    /// The sockets that systemd passes, or new ones at the configured paths. The caller holds the store's lock,
    /// so a socket file that is already there belongs to no living daemon.
    ///
    /// # Errors
    /// What binding gives.
    pub fn open(config: &Config) -> io::Result<Listeners> {
        let mut passed = listenfd::ListenFd::from_env();
        if passed.len() == 0 {
            return Ok(Listeners {
                pkcs11: bind(&config.pkcs11_socket, config.pkcs11_socket_mode)?,
                admin: bind(&config.admin_socket, config.admin_socket_mode)?,
            });
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut take = |name: &str, otherwise: usize| {
            let index = names.iter().position(|n| n.starts_with(name)).unwrap_or(otherwise);
            let missing =
                || io::Error::new(io::ErrorKind::NotFound, format!("systemd passed no {name} socket"));
            passed.take_unix_listener(index)?.ok_or_else(missing)
        };
        Ok(Listeners { pkcs11: take("pkcs11", 0)?, admin: take("admin", 1)? })
    }
}

fn bind(path: &Path, mode: u32) -> io::Result<StdListener> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot listen on {}: {e}", path.display()));
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(named)?;
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(named(e)),
        _ => {}
    }
    let listener = StdListener::bind(path).map_err(named)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(named)?;
    Ok(listener)
}

/// Connections that are open, so that they can be counted and closed.
#[derive(Default)]
pub struct Connections {
    open: Mutex<Open>,
    closed: Condvar,
}

#[derive(Default)]
struct Open {
    last_id: u64,
    streams: HashMap<u64, (u32, UnixStream)>,
}

impl Connections {
    /// Counts a connection in, unless there are too many.
    fn enter(&self, stream: &UnixStream, uid: u32, config: &Config) -> io::Result<u64> {
        let mut open = lock::lock(&self.open);
        let of_uid = open.streams.values().filter(|(other, _)| *other == uid).count();
        if open.streams.len() >= config.max_connections || of_uid >= config.max_connections_per_uid {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many connections"));
        }
        open.last_id += 1;
        let id = open.last_id;
        open.streams.insert(id, (uid, stream.try_clone()?));
        Ok(id)
    }

    fn leave(&self, id: u64) {
        lock::lock(&self.open).streams.remove(&id);
        self.closed.notify_all();
    }

    /// Closes all.
    fn shut_down(&self) {
        for (_, stream) in lock::lock(&self.open).streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Closes all, and waits until their threads are done.
    fn close_all(&self, patience: Duration) {
        let open = lock::lock(&self.open);
        for (_, stream) in open.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let waited = self.closed.wait_timeout_while(open, patience, |open| !open.streams.is_empty());
        let (open, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        if !open.streams.is_empty() {
            warn!(connections = open.streams.len(), "calls still running; stopping without them");
        }
    }
}

/// Serves until a signal says to stop.
///
/// # Errors
/// What the sockets or the runtime give; `ready` runs once both sockets accept.
pub fn run(gate: &Arc<Gate>, config: Config, listeners: Listeners, ready: impl FnOnce()) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = Arc::new(config);
    let (clients, admins) = (Arc::new(Connections::default()), Arc::new(Connections::default()));
    let sealed = clients.clone();
    gate.when_opened(move || sealed.shut_down());
    runtime.block_on(async {
        listeners.pkcs11.set_nonblocking(true)?;
        listeners.admin.set_nonblocking(true)?;
        let pkcs11 = UnixListener::from_std(listeners.pkcs11)?;
        let admin = UnixListener::from_std(listeners.admin)?;
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut timer = tokio::time::interval(crate::testing::tick(TIMER));
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ready();
        loop {
            tokio::select! {
                accepted = pkcs11.accept() => {
                    refused(serve(accepted, gate, &config, &clients, Door::Pkcs11), Door::Pkcs11).await;
                }
                accepted = admin.accept() => {
                    refused(serve(accepted, gate, &config, &admins, Door::Admin), Door::Admin).await;
                }
                _ = timer.tick() => {
                    let Some(daemon) = gate.daemon().cloned() else { continue };
                    tokio::task::spawn_blocking(move || {
                        match daemon.destroy_due(Time::now()) {
                            Ok(0) => {}
                            Ok(versions) => info!(versions, "destroyed: their time had come"),
                            Err(error) => error!(%error, "due destructions cannot be carried out"),
                        }
                        daemon.minute();
                        if let Err(error) = daemon.expire_import_jobs(Time::now()) {
                            error!(%error, "import jobs whose time is over cannot be ended");
                        }
                    });
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        info!("stopping");
        io::Result::Ok(())
    })?;
    clients.close_all(STOP_PATIENCE);
    admins.close_all(STOP_PATIENCE);
    if let Some(daemon) = gate.daemon() {
        daemon.last_minute();
    }
    Ok(())
}

/// Through which socket somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// PKCS#11 modules.
    Pkcs11,
    /// Admins.
    Admin,
}

fn serve(
    accepted: io::Result<(tokio::net::UnixStream, tokio::net::unix::SocketAddr)>,
    gate: &Arc<Gate>,
    config: &Arc<Config>,
    connections: &Arc<Connections>,
    door: Door,
) -> io::Result<()> {
    accepted.and_then(|(stream, _)| {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let peer = Peer::of(&stream)?;
        let id = connections.enter(&stream, peer.uid, config)?;
        let (gate, entered) = (gate.clone(), connections.clone());
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).name(format!("{door:?}-{id}"));
        let spawned = thread.spawn(move || {
            let _leave = Leave(&entered, id);
            match (gate.daemon(), door) {
                (Some(daemon), Door::Pkcs11) => connection::serve_pkcs11(daemon, stream, peer),
                (Some(daemon), Door::Admin) => connection::serve_admin(daemon, stream, peer),
                (None, Door::Pkcs11) => sealed::serve_pkcs11(&gate, stream, peer),
                (None, Door::Admin) => sealed::serve_admin(&gate, stream, peer),
            }
        });
        spawned.map(drop).inspect_err(|_| connections.leave(id))
    })
}

/// Says that a connection is refused, at most once a second: whoever is over his limit could fill the log. What the
/// system has no more of gets a moment to come back; a limit of ours is no reason to let others wait.
async fn refused(served: io::Result<()>, door: Door) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let Err(error) = served else { return };
    {
        let mut told = lock::lock(&TOLD);
        if told.is_none_or(|told| told.elapsed() >= REFUSAL_WARNINGS) {
            warn!(%error, ?door, "a connection is refused");
            *told = Some(Instant::now());
        }
    }
    if error.kind() != io::ErrorKind::QuotaExceeded {
        tokio::time::sleep(REFUSAL_PAUSE).await;
    }
}

/// Counts a connection out when its thread ends, even by a panic.
struct Leave<'a>(&'a Connections, u64);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}
