//! The listening side: a line for each connection, whatever the client does.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use api::Prefix;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::failure::note;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections that are waited for at a time; those above get their line and are closed.
    pub(super) connections: usize,
    /// How long a client has to read the line and close.
    pub(super) patience: Duration,
    /// Most bytes that are read of what a client says (`agent-send`).
    pub(super) heard: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, patience: Duration::from_secs(2), heard: 64 << 10 }
    }
}

/// How long nothing is accepted when it fails: most likely no descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a thing that recurs is logged.
const QUIET: Duration = Duration::from_secs(60);

/// What all listeners share.
pub(super) struct Server<L> {
    /// Empty: everybody.
    allow: Vec<Prefix>,
    limits: Limits,
    /// Makes the line, its newline included.
    line: L,
    room: Arc<Semaphore>,
    served: AtomicU64,
    denied: AtomicU64,
    /// When a refusal and a failure were last logged.
    logged: [Mutex<Option<Instant>>; 2],
}

impl<L: Fn() -> String + Send + Sync + 'static> Server<L> {
    pub(super) fn new(allow: Vec<Prefix>, limits: Limits, line: L) -> Self {
        Self {
            allow,
            limits,
            line,
            room: Arc::new(Semaphore::new(limits.connections)),
            served: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            logged: [const { Mutex::new(None) }; 2],
        }
    }

    /// What was done, in words.
    pub(super) fn summary(&self) -> String {
        let [served, denied] = [&self.served, &self.denied].map(|count| count.load(Relaxed));
        format!("answered {served} connections, refused {denied}")
    }

    /// Accepts for ever.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.clone().receive(stream, peer),
                // That client is gone; the next one is not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if self.speaks(1) {
                        note(&format!("cannot accept connections: {error}"));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn receive(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let source = peer.ip().to_canonical();
        if !self.allows(source) {
            let denied = self.denied.fetch_add(1, Relaxed) + 1;
            if self.speaks(0) {
                note(&format!("refused {source}, which --allow does not name; {denied} so far"));
            }
            return;
        }
        self.served.fetch_add(1, Relaxed);
        let line = (self.line)();
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            // A new connection's buffer takes a line without waiting.
            let _ = stream.into_std().and_then(|mut stream| stream.write_all(line.as_bytes()));
            return;
        };
        tokio::spawn(async move {
            // Who does not read in time, or breaks off, has had his chance.
            let _ = timeout(self.limits.patience, answer(stream, &line, self.limits.heard)).await;
            drop(place);
        });
    }

    /// Addresses are compared as IPv4 where they are, also on a socket of both families.
    fn allows(&self, source: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|prefix| prefix.contains(source))
    }

    /// Whether it is time to log this kind of thing again.
    fn speaks(&self, kind: usize) -> bool {
        let mut logged = self.logged[kind].lock();
        let due = logged.is_none_or(|at| at.elapsed() >= QUIET);
        if due {
            *logged = Some(Instant::now());
        }
        due
    }
}

/// Sends the line, then hears the client out until it closes: closing with something unread would
/// reset the connection, and the line might be lost on its way.
async fn answer(mut stream: TcpStream, line: &str, most: usize) -> io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await?;
    let (mut heard, mut chunk) = (0, [0; 4096]);
    while heard < most {
        match stream.read(&mut chunk).await? {
            0 => break,
            read => heard += read,
        }
    }
    Ok(())
}
