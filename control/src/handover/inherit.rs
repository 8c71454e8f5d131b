//! The new process's side: what it gets, and from whom.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use config::{Address, Config, Host};
use nix::unistd::dup2_stdin;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use super::{Estate, PATIENCE, READY, Thought, Will, descriptors, word};
use crate::doors::Sockets;
use crate::signals::Signal;

/// What an older process hands over to this one.
#[derive(Debug)]
pub struct Inheritance {
    /// It.
    pub estate: Estate,
    /// That process.
    pub predecessor: Predecessor,
}

impl Inheritance {
    /// Takes it, from standard input. Blocks.
    ///
    /// # Errors
    /// There is none.
    pub fn take() -> io::Result<Self> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Programs that checks run have it as theirs.
        dup2_stdin(File::open("/dev/null")?)?;
        Self::from(stream)
    }

    pub(super) fn from(mut stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let will = read(&mut stream)?;
        let count = |all: &[(SocketAddr, usize)]| all.iter().map(|(_, count)| count).sum::<usize>();
        let wanted = count(&will.listeners)
            + count(&will.datagrams)
            + will.others.len()
            + usize::from(will.admin);
        let mut all = descriptors::receive(&stream, wanted)?.into_iter();
        let listeners = by_address(&will.listeners, &mut all);
        let datagrams = by_address(&will.datagrams, &mut all);
        let others = will.others.into_iter().zip(all.by_ref().map(TcpListener::from)).collect();
        let sockets = Sockets { admin: all.next().map(OwnedFd::into), others };
        let Will { servers, findings, .. } = will;
        let estate = Estate { listeners, datagrams, sockets, servers, findings };
        Ok(Self { estate, predecessor: Predecessor { stream } })
    }
}

impl Estate {
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
}

/// The next descriptors: so many of each address.
fn by_address<T: From<OwnedFd>>(
    counts: &[(SocketAddr, usize)],
    all: &mut impl Iterator<Item = OwnedFd>,
) -> BTreeMap<SocketAddr, Vec<T>> {
    let mut take = |count| all.by_ref().take(count).map(T::from).collect();
    counts.iter().map(|&(address, count)| (address, take(count))).collect()
}

fn read(stream: &mut UnixStream) -> io::Result<Will> {
    let mut line = Vec::new();
    // Byte by byte: what is read beyond would lose its descriptors.
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        if byte == *b"\n" {
            return Ok(serde_json::from_slice(&line)?);
        }
        line.push(byte[0]);
    }
}

/// The process that this one takes over from.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
}

impl Predecessor {
    /// Tells it that this process serves, whereupon it lets go; what it was told to do meanwhile is passed on
    /// to `signals`.
    pub fn relieve(mut self, signals: mpsc::Sender<Signal>) -> Departing {
        let departing = Departing::default();
        if let Err(error) = self.stream.write_all(READY) {
            // Then this one is all the more needed.
            tracing::warn!(%error, "the process that is to let go has ended");
            departing.0.store(true, Relaxed);
            return departing;
        }
        let gone = departing.clone();
        tokio::spawn(async move {
            // The end of the stream, or an error, is that of the process.
            if let Err(error) = pass_on(self.stream, signals).await {
                tracing::debug!(%error, "the process that has let go is gone");
            }
            gone.0.store(true, Relaxed);
        });
        departing
    }
}

/// A process that has let go, and ends with its last client.
#[derive(Clone, Debug, Default)]
pub struct Departing(Arc<AtomicBool>);

impl Departing {
    /// Whether it has ended.
    pub fn has_gone(&self) -> bool {
        self.0.load(Relaxed)
    }
}

async fn pass_on(stream: UnixStream, signals: mpsc::Sender<Signal>) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut words = BufReader::new(tokio::net::UnixStream::from_std(stream)?).lines();
    while let Some(said) = words.next_line().await? {
        let meant = [Signal::Reload, Signal::Leave].into_iter().find(|one| word(*one) == said);
        // Another release may say what this one does not know.
        let Some(signal) = meant else { continue };
        // A loop that has ended hears nothing any more.
        let _ = signals.send(signal).await;
    }
    Ok(())
}
