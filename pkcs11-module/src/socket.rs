//! Where the daemon's socket is, and how it is opened: close-on-exec, above the standard streams, trusted
//! before a byte is sent, and never a SIGPIPE for the application.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, connect,
    getsockopt, recv, recvmsg, send, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::ptr;

/// The daemon run by the system.
const SYSTEM_SOCKET: &str = "/run/claviger/pkcs11.sock";
/// The daemon run by the user, below `$XDG_RUNTIME_DIR`.
const USER_SOCKET: &str = "claviger/pkcs11.sock";

/// How long connect may wait for a listener whose queue is full, in seconds.
const CONNECT_SECONDS: i64 = 2;
/// How long the daemon may take to read on when its end of the stream is full.
const SEND_SECONDS: i64 = 30;

/// The most connections one process may have open: far more than the daemon grants.
const MAX_CONNECTIONS: usize = 1024;

/// Where to look for the daemon. Read from the environment once, in `C_Initialize`: the application may change
/// its environment later, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Address {
    /// `CLAVIGER_SOCKET`.
    pub given: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

impl Address {
    /// What the environment says; nothing when the environment is not to be trusted (`AT_SECURE`).
    pub fn from_environment() -> Self {
        if ptr::at_secure() {
            return Self::default();
        }
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { given: path("CLAVIGER_SOCKET"), runtime_dir: path("XDG_RUNTIME_DIR") }
    }

    /// The socket's path. Looked up anew for each connection: the daemon may start after the application.
    fn path(&self) -> PathBuf {
        let system = PathBuf::from(SYSTEM_SOCKET);
        match (&self.given, &self.runtime_dir) {
            (Some(given), _) => given.clone(),
            (None, Some(runtime_dir)) if !system.exists() => runtime_dir.join(USER_SOCKET),
            (None, _) => system,
        }
    }
}

/// A stream to the daemon, on record in its process' [`SocketTable`].
pub struct Socket {
    stream: UnixStream,
    table: &'static SocketTable,
}

impl Socket {
    /// Connects, and checks who listens there.
    ///
    /// # Errors
    /// What the system says; `PermissionDenied` when the peer is not to be trusted.
    pub fn connect(address: &Address, table: &'static SocketTable) -> io::Result<Self> {
        let path = address.path();
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        // Blocking connect on a Unix socket waits for room in the listener's queue as long as a send may.
        setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(CONNECT_SECONDS, 0))?;
        let target = UnixAddr::new(&path)?;
        retry_interrupted(|| connect(fd.as_raw_fd(), &target))?;
        setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(SEND_SECONDS, 0))?;
        let mut stream = UnixStream::from(fd);
        if stream.as_raw_fd() <= 2 {
            // The application runs without standard streams; a duplicate is always above them.
            stream = stream.try_clone()?;
        }
        if !is_trusted(&stream, &path)? {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        table.add(stream.as_raw_fd())?;
        Ok(Self { stream, table })
    }

    /// How long a read may take; none is for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    /// Ends the stream in both directions, which wakes a thread that reads from it.
    pub fn shutdown(&self) {
        // An error means that the peer was first.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Socket {
    /// Off the record first, so that the record never names a descriptor that is somebody else's.
    fn drop(&mut self) {
        self.table.remove(self.stream.as_raw_fd());
    }
}

impl Socket {
    /// False when the daemon has closed its end, or anything else is to be read between calls.
    pub fn is_idle(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.stream.as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN)
    }
}

/// Reads from a socket and keeps the descriptor that comes along, if one does.
pub struct Accompanied<'a> {
    socket: &'a Socket,
    /// What came.
    pub descriptor: Option<OwnedFd>,
}

impl<'a> Accompanied<'a> {
    /// A reader that nothing has come to.
    pub fn new(socket: &'a Socket) -> Self {
        Self { socket, descriptor: None }
    }
}

impl Read for Accompanied<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = nix::cmsg_space!(RawFd);
        let mut buffers = [IoSliceMut::new(buffer)];
        let fd = self.socket.stream.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut buffers, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = part {
                self.descriptor = descriptors.into_iter().map(ptr::received).next_back();
            }
        }
        Ok(message.bytes)
    }
}

/// Writes to a socket, and a descriptor with the first bytes.
pub struct Accompanying<'a> {
    /// The socket.
    pub socket: &'a Socket,
    /// What has not gone yet.
    pub descriptor: Option<&'a OwnedFd>,
}

impl Write for Accompanying<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(descriptor) = self.descriptor else { return (&mut &*self.socket).write(bytes) };
        let (bytes, descriptors) = ([IoSlice::new(bytes)], [descriptor.as_raw_fd()]);
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let fd = self.socket.stream.as_raw_fd();
        let sent = sendmsg::<()>(fd, &bytes, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
        // Not before: a signal may have come first, and then all is sent again.
        self.descriptor = None;
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }
}

impl Write for &Socket {
    /// Sends with `MSG_NOSIGNAL`: the application's disposition of SIGPIPE is its own.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.stream.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn retry_interrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// True when the process that called listen is one whose business it is to get PINs.
fn is_trusted(stream: &UnixStream, path: &Path) -> io::Result<bool> {
    let peer = getsockopt(stream, sockopt::PeerCredentials)?.uid();
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok(is_trusted_user(peer, nix::unistd::geteuid().as_raw(), fs::metadata(directory)?.uid()))
}

/// Root (a service manager holds the socket), ourselves, or the owner of the directory that the socket is in.
fn is_trusted_user(peer: u32, ourselves: u32, directory_owner: u32) -> bool {
    [0, ourselves, directory_owner].contains(&peer)
}

/// The sockets of a process, so that a forked child can close its copies. No lock: a child may look at any time.
pub struct SocketTable {
    entries: [Entry; MAX_CONNECTIONS],
}

struct Entry {
    /// The descriptor; -1 when the entry is free, -2 while it is being filled.
    fd: AtomicI32,
    /// Tells the socket from what else the descriptor may name one day.
    inode: AtomicU64,
}

const FREE: RawFd = -1;
const TAKEN: RawFd = -2;

impl SocketTable {
    /// No sockets.
    pub const fn new() -> Self {
        Self {
            entries: [const { Entry { fd: AtomicI32::new(FREE), inode: AtomicU64::new(0) } };
                MAX_CONNECTIONS],
        }
    }

    fn add(&self, fd: RawFd) -> io::Result<()> {
        let inode = ptr::socket_inode(fd).ok_or(io::ErrorKind::NotConnected)?;
        for entry in &self.entries {
            if entry.fd.compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                entry.inode.store(inode, Ordering::Release);
                entry.fd.store(fd, Ordering::Release);
                return Ok(());
            }
        }
        Err(io::ErrorKind::QuotaExceeded.into())
    }

    fn remove(&self, fd: RawFd) {
        for entry in &self.entries {
            if entry.fd.compare_exchange(fd, FREE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Closes a forked child's copies of its parent's sockets, without any traffic. The parent's table in the
    /// child's memory is empty after that.
    pub fn close_inherited(&self) {
        for entry in &self.entries {
            let fd = entry.fd.swap(FREE, Ordering::AcqRel);
            if fd >= 0 {
                ptr::close_socket(fd, entry.inode.load(Ordering::Acquire));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn table() -> &'static SocketTable {
        Box::leak(Box::new(SocketTable::new()))
    }

    fn open(table: &SocketTable) -> usize {
        table.entries.iter().filter(|entry| entry.fd.load(Ordering::Acquire) != FREE).count()
    }

    #[test]
    fn the_environment_decides_before_the_system_before_the_user() {
        let given = Address { given: Some("/given".into()), runtime_dir: Some("/user".into()) };
        assert_eq!(given.path(), Path::new("/given"));
        let user = Address { given: None, runtime_dir: Some("/user".into()) };
        let system_runs = Path::new(SYSTEM_SOCKET).exists();
        let expected = if system_runs { SYSTEM_SOCKET } else { "/user/claviger/pkcs11.sock" };
        assert_eq!(user.path(), Path::new(expected));
        assert_eq!(Address::default().path(), Path::new(SYSTEM_SOCKET));
    }

    #[test]
    fn only_root_ourselves_and_the_directory_s_owner_are_trusted() {
        for peer in [0, 1000, 200] {
            assert!(is_trusted_user(peer, 1000, 200), "{peer}");
        }
        assert!(!is_trusted_user(1001, 1000, 200));
        assert!(!is_trusted_user(1001, 0, 0));
    }

    #[test]
    fn a_socket_is_on_record_while_it_is_open_and_not_inherited() {
        let _guard = crate::client::tests::without_forks();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address = Address { given: Some(path.clone()), runtime_dir: None };
        let table = table();
        assert_eq!(Socket::connect(&address, table).err().unwrap().kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        let socket = Socket::connect(&address, table).unwrap();
        assert_eq!(open(table), 1);
        let flags = nix::fcntl::fcntl(&socket.stream, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        assert!(socket.stream.as_raw_fd() > 2);
        drop(socket);
        assert_eq!(open(table), 0);
        drop(listener);
        assert_eq!(Socket::connect(&address, table).err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }
}
