//! Another release takes over: a new process gets the listening sockets (SCM_RIGHTS), the same descriptors in the
//! same order, and what is known of the servers. Once everything of it runs it says so, and only then this one
//! accepts nobody any more, and ends when its last connection has; until then nothing was let go, and this one
//! goes on if the other does not come so far.
//!
//! ```text
//!   old -> new   a line of JSON: what follows, and what is known
//!   old -> new   the descriptors, some at a time
//!   new -> old   "ready\n": it serves, on all of them
//!   old -> new   what it was told to do meanwhile: "reload\n", "leave\n"
//! ```

mod descriptors;
mod inherit;
mod upgrade;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use proxy::{Listeners, ServerState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

pub use self::inherit::{Departing, Inheritance, Predecessor};
pub use self::upgrade::{Raised, UPGRADING, Upgrade};
use crate::doors::Sockets;
use crate::finding::Finding;
use crate::signals::Signal;

/// How long another process may take until it serves, and whatever else an upgrade waits for.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The flag that tells the new process.
const FLAG: &str = "--take-over";
const READY: &[u8] = b"ready\n";

/// UDP sockets by their addresses.
pub type Datagrams = BTreeMap<SocketAddr, Vec<UdpSocket>>;

/// What is handed over.
#[derive(Debug, Default)]
pub struct Estate {
    /// Where clients connect.
    pub listeners: Listeners,
    /// Where questions come.
    pub datagrams: Datagrams,
    /// The sockets that control answers at.
    pub sockets: Sockets,
    /// What is thought of servers.
    pub servers: Vec<Thought>,
    /// What checks have found.
    pub findings: Vec<Finding>,
}

/// The same on its way: descriptors follow, those of listeners first, then of UDP, the admin socket's last.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Will {
    /// Of each address at which clients connect, how many listeners.
    listeners: Vec<(SocketAddr, usize)>,
    /// Of each address at which questions come, how many sockets.
    #[serde(default)]
    datagrams: Vec<(SocketAddr, usize)>,
    /// Other addresses, of one listener each.
    others: Vec<SocketAddr>,
    admin: bool,
    #[serde(default, deserialize_with = "understood")]
    servers: Vec<Thought>,
    #[serde(default, deserialize_with = "understood")]
    findings: Vec<Finding>,
}

/// Of what another release knows, that which this one understands: the rest is found out again.
fn understood<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let all = Vec::<serde_json::Value>::deserialize(from)?;
    Ok(all.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
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
    child: Child,
}

impl Heir {
    /// Starts it, gives it all, and returns once it serves. Blocks.
    ///
    /// # Errors
    /// It does not start, or ends; nothing was let go.
    pub fn raise(program: &Path, estate: Estate) -> io::Result<Self> {
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
        let given = give(&mut stream, estate).and_then(|()| expect(&mut stream, READY));
        if let Err(error) = given {
            // It is of no use, and may have ended.
            let _ = child.kill();
            let ended = child.wait().map_or_else(|error| error.to_string(), |how| how.to_string());
            return Err(io::Error::other(format!("it does not take over: {error} ({ended})")));
        }
        Ok(Self { stream, child })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it do what this process was told to do.
    ///
    /// # Errors
    /// It has ended.
    pub fn tell(&mut self, signal: Signal) -> io::Result<()> {
        self.stream.write_all(word(signal).as_bytes())?;
        self.stream.write_all(b"\n")
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

const fn word(signal: Signal) -> &'static str {
    match signal {
        Signal::Reload => "reload",
        Signal::Stop | Signal::Leave => "leave",
    }
}

fn give(stream: &mut UnixStream, estate: Estate) -> io::Result<()> {
    let Estate { listeners, datagrams, sockets, servers, findings } = estate;
    let Sockets { admin, others } = sockets;
    let will = Will {
        listeners: listeners.iter().map(|(&address, all)| (address, all.len())).collect(),
        datagrams: datagrams.iter().map(|(&address, all)| (address, all.len())).collect(),
        others: others.keys().copied().collect(),
        admin: admin.is_some(),
        servers,
        findings,
    };
    let mut line = serde_json::to_vec(&will)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let tcp = listeners.values().flatten().map(AsRawFd::as_raw_fd);
    let udp = datagrams.values().flatten().map(AsRawFd::as_raw_fd);
    let ours = others.values().map(AsRawFd::as_raw_fd);
    let admin = admin.iter().map(AsRawFd::as_raw_fd);
    let all: Vec<_> = tcp.chain(udp).chain(ours).chain(admin).collect();
    descriptors::send(stream, &all)
}

fn expect(stream: &mut UnixStream, word: &[u8]) -> io::Result<()> {
    let mut said = vec![0; word.len()];
    stream.read_exact(&mut said)?;
    if said == word { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_another_release_knows_is_taken_as_far_as_it_is_understood() {
        let known = r#"{"listeners": [], "others": [], "admin": false, "weather": "fine",
            "findings": [{"colour": "blue"}], "servers": [7]}"#;
        let will: Will = serde_json::from_str(known).unwrap();
        assert!(will.servers.is_empty() && will.findings.is_empty());
        let older = r#"{"listeners": [], "others": [], "admin": false}"#;
        assert!(serde_json::from_str::<Will>(older).is_ok());
        // Without its sockets nothing is taken over.
        assert!(serde_json::from_str::<Will>(r#"{"others": [], "admin": false}"#).is_err());
    }

    #[test]
    fn descriptors_come_in_their_order_however_many_there_are() {
        let (mut old, new) = UnixStream::pair().unwrap();
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let at = |one: &TcpListener| one.local_addr().unwrap();
        let address = |n: u16| SocketAddr::from(([198, 51, 100, 1], n));
        let listeners: Listeners =
            (1..=50).map(|n| (address(n), (0..3).map(|_| listen()).collect())).collect();
        let expected: Vec<_> = listeners.values().flatten().map(at).collect();
        let other = listen();
        let (folder, other_at) = (tempfile::tempdir().unwrap(), at(&other));
        let path = folder.path().join("admin");
        let admin = Some(UnixListener::bind(&path).unwrap());
        let sockets = Sockets { admin, others: [(address(80), other)].into() };
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        let bound_at = datagram.local_addr().unwrap();
        let datagrams = [(address(53), vec![datagram])].into();
        give(&mut old, Estate { listeners, datagrams, sockets, ..Estate::default() }).unwrap();

        let Estate { listeners, datagrams, sockets, .. } = Inheritance::from(new).unwrap().estate;
        assert_eq!(listeners.values().flatten().map(at).collect::<Vec<_>>(), expected);
        assert_eq!(datagrams[&address(53)][0].local_addr().unwrap(), bound_at);
        assert_eq!(at(&sockets.others[&address(80)]), other_at);
        let admin = sockets.admin.unwrap().local_addr().unwrap();
        assert_eq!(admin.as_pathname(), Some(path.as_path()));
    }
}
