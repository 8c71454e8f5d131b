//! The socket's file: made for its owner alone, taken over from a process that was killed, never
//! from one that lives.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr, bind, connect, listen,
};
use nix::sys::stat::{Mode, fchmod};
use thiserror::Error;

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 16;

/// Why there is no socket.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The run directory cannot be made or opened.
    #[error("cannot use the run directory {}: {source}", path.display())]
    Directory {
        /// It.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody accepts connections there.
    #[error("another process answers on {}: is palier-dataplane running already?", .0.display())]
    InUse(PathBuf),
    /// Something lies there that is no socket, so it is left alone.
    #[error("{} is there and not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot make the socket {}: {source}", path.display())]
    Socket {
        /// It.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The bound socket. Its file is removed on drop.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Makes `run_dir` if need be, and `dataplane.sock` in it, for its owner alone.
    ///
    /// # Errors
    /// The directory or the socket cannot be made, or another process listens there.
    pub(crate) fn bind(run_dir: &Path) -> Result<Self, Error> {
        let directory = |source| Error::Directory { path: run_dir.into(), source };
        DirBuilder::new().recursive(true).mode(0o755).create(run_dir).map_err(directory)?;
        // Until this returns: of two processes that start together and find the same stale socket,
        // the second must not remove the socket that the first has just made.
        let lock = File::open(run_dir).map_err(directory)?;
        lock.lock().map_err(directory)?;

        let path = run_dir.join("dataplane.sock");
        remove_stale(&path)?;
        let socket = listening_socket(&path)
            .map_err(|errno| Error::Socket { path: path.clone(), source: errno.into() })?;
        Ok(Self { socket, path })
    }

    /// Waits for a client. `None` once it is [shut](Self::shut).
    pub(super) fn accept(&self) -> io::Result<Option<UnixStream>> {
        match self.socket.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(shut) if shut.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the pending and every later [`accept`](Self::accept): Linux fails them with EINVAL.
    pub(super) fn shut(&self) -> io::Result<()> {
        Ok(socket::shutdown(self.socket.as_raw_fd(), Shutdown::Both)?)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "socket not removed");
        }
    }
}

fn listening_socket(path: &Path) -> nix::Result<UnixListener> {
    let address = UnixAddr::new(path)?;
    let fd = unix_socket(SockFlag::SOCK_CLOEXEC)?;
    // Before `bind`, which makes the file with this mode: it is never open to others.
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(fd.as_raw_fd(), &address)?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(fd.into())
}

fn unix_socket(flags: SockFlag) -> nix::Result<OwnedFd> {
    socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// Removes the socket that a process left behind when it was killed.
fn remove_stale(path: &Path) -> Result<(), Error> {
    let error = |source| Error::Socket { path: path.into(), source };
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => return Err(Error::NotASocket(path.into())),
        Ok(_) => {}
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(error(other)),
    }
    let answer = UnixAddr::new(path).and_then(|address| {
        let fd = unix_socket(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
        connect(fd.as_raw_fd(), &address)
    });
    match answer {
        // EAGAIN: somebody listens, but has a queue of clients.
        Ok(()) | Err(Errno::EAGAIN) => Err(Error::InUse(path.into())),
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(error),
        Err(Errno::ENOENT) => Ok(()),
        Err(other) => Err(error(other.into())),
    }
}
