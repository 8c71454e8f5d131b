//! Another release takes over: a new process gets the listening sockets (SCM_RIGHTS), the same descriptors in the
//! same order, and what is thought of the servers. It serves by them, and says so; only then this one accepts
//! nobody any more, lets its admin socket go, and ends when its last connection has.
//!
//! ```text
//!   old -> new   a line of JSON: what follows, and what is thought of servers
//!   old -> new   the descriptors, some at a time
//!   new -> old   "ready\n": it accepts connections
//!   old -> new   "yours\n": the admin socket, metrics and the port for peers are free
//! ```

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use config::{Address, Config, Host};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use proxy::{Listeners, ServerState};
use serde::{Deserialize, Serialize};

/// How long the new process may take until it serves, and the old one until it lets go.
const PATIENCE: Duration = Duration::from_secs(30);
/// Descriptors in one message (SCM_MAX_FD is 253).
const BATCH: usize = 64;
/// The flag that tells the new process.
const FLAG: &str = "--take-over";
const READY: &[u8] = b"ready\n";
const YOURS: &[u8] = b"yours\n";

/// What is handed over beside descriptors.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Will {
    /// Of each address, how many listeners.
    listeners: Vec<(SocketAddr, usize)>,
    servers: Vec<Thought>,
}

/// What is thought of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thought {
    /// Its pool.
    pub pool: String,
    /// Its name.
    pub server: String,
    /// What is thought of it.
    pub state: ServerState,
    /// Where it is.
    pub address: Option<SocketAddr>,
}

/// A process that has taken over.
#[derive(Debug)]
pub struct Heir {
    stream: UnixStream,
    /// Its process id.
    pub pid: u32,
}

impl Heir {
    /// Starts it, gives it all, and returns once it serves. Blocks.
    ///
    /// # Errors
    /// It does not start, or ends; nothing was let go.
    pub fn raise(program: &Path, listeners: &Listeners, servers: Vec<Thought>) -> io::Result<Self> {
        let (mut stream, theirs) = UnixStream::pair()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let own = std::env::args_os().skip(1);
        let arguments: Vec<OsString> = own.filter(|argument| argument != FLAG).collect();
        let mut child = Command::new(program)
            .args(arguments)
            .arg(FLAG)
            // systemd's watchdog is whose process the service is: this one's, and then the other's.
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let given = give(&mut stream, listeners, servers).and_then(|()| expect(&mut stream, READY));
        if let Err(error) = given {
            // It is of no use, and may have ended.
            let _ = child.kill();
            let ended = child.wait().map_or_else(|error| error.to_string(), |how| how.to_string());
            return Err(io::Error::other(format!("it does not take over: {error} ({ended})")));
        }
        Ok(Self { stream, pid: child.id() })
    }

    /// Tells it that everything else is free.
    ///
    /// # Errors
    /// It has ended meanwhile.
    pub fn free(&mut self) -> io::Result<()> {
        self.stream.write_all(YOURS)
    }
}

fn give(stream: &mut UnixStream, listeners: &Listeners, servers: Vec<Thought>) -> io::Result<()> {
    let counts = listeners.iter().map(|(&address, all)| (address, all.len())).collect();
    let mut line = serde_json::to_vec(&Will { listeners: counts, servers })?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let all: Vec<RawFd> = listeners.values().flatten().map(AsRawFd::as_raw_fd).collect();
    for batch in all.chunks(BATCH) {
        let rights = [ControlMessage::ScmRights(batch)];
        let byte = [IoSlice::new(b"F")];
        sendmsg::<()>(stream.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None)?;
    }
    Ok(())
}

fn expect(stream: &mut UnixStream, word: &[u8]) -> io::Result<()> {
    let mut said = vec![0; word.len()];
    stream.read_exact(&mut said)?;
    if said == word { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// What an older process hands over to this one.
#[derive(Debug)]
pub struct Inheritance {
    stream: UnixStream,
    /// Its listening sockets.
    pub listeners: Listeners,
    /// What it thinks of servers.
    pub servers: Vec<Thought>,
}

impl Inheritance {
    /// The addresses that the names of servers had.
    pub fn addresses(&self, config: &Config) -> Vec<(Host, IpAddr)> {
        let named = |thought: &Thought| {
            let pool = config.pools.iter().find(|pool| pool.name == thought.pool)?;
            let server = pool.servers.iter().find(|server| server.name == thought.server)?;
            match &server.address {
                Address::Named(host, _) => Some((host.clone(), thought.address?.ip())),
                Address::At(_) => None,
            }
        };
        self.servers.iter().filter_map(named).collect()
    }

    /// Takes it, from standard input.
    ///
    /// # Errors
    /// There is none.
    pub fn take() -> io::Result<Self> {
        let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = Vec::new();
        // Byte by byte: what is read beyond would lose its descriptors.
        loop {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            if byte == *b"\n" {
                break;
            }
            line.push(byte[0]);
        }
        let Will { listeners: counts, servers } = serde_json::from_slice(&line)?;
        let wanted = counts.iter().map(|(_, count)| count).sum();
        let mut all = descriptors(&stream, wanted)?.into_iter();
        let mut take = |count| all.by_ref().take(count).map(TcpListener::from).collect();
        let listeners = counts.iter().map(|&(address, count)| (address, take(count))).collect();
        Ok(Self { stream, listeners, servers })
    }

    /// Says that this process serves, and waits until everything else is free. Blocks.
    ///
    /// # Errors
    /// The older one has ended, or does not let go.
    pub fn serve(mut self) -> io::Result<()> {
        self.stream.write_all(READY)?;
        expect(&mut self.stream, YOURS)
    }
}

fn descriptors(stream: &UnixStream, wanted: usize) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::with_capacity(wanted);
    let mut space = nix::cmsg_space!([RawFd; BATCH]);
    while all.len() < wanted {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut into, Some(&mut space), flags)?;
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = part {
                all.extend(descriptors.into_iter().map(owned));
            }
        }
    }
    Ok(all)
}

#[expect(unsafe_code, reason = "nix gives descriptors of a message as numbers")]
fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just opened it for this process, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_come_in_their_order_however_many_there_are() {
        let (mut old, new) = UnixStream::pair().unwrap();
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |n: u16| SocketAddr::from(([198, 51, 100, 1], n));
        let listeners: Listeners =
            (1..=50).map(|n| (address(n), (0..3).map(|_| listen()).collect())).collect();
        give(&mut old, &listeners, Vec::new()).unwrap();
        let mut stream = new.try_clone().unwrap();
        let mut byte = [0];
        while byte != *b"\n" {
            stream.read_exact(&mut byte).unwrap();
        }
        let got = descriptors(&new, 150).unwrap().into_iter().map(TcpListener::from);
        let ports = |one: TcpListener| one.local_addr().unwrap();
        let expected: Vec<_> =
            listeners.into_values().flatten().map(|one| one.local_addr().unwrap()).collect();
        assert_eq!(got.map(ports).collect::<Vec<_>>(), expected);
    }
}
