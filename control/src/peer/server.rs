//! Answering the other nodes.
//!
//! Whatever a caller does ends its own connection and no other: it is bounded in time and space, and
//! what became of it is counted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin::{PeerReply, PeerRequest};
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::bearer;
use super::limit::Slots;
use super::{Counter, Counters, Directory, Identity, Limits, Listener, Node, Unfit, line};

/// Time between two log lines about callers that were refused: each is counted, and anybody who can
/// reach the port can be refused thousands of times a second.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// What answering needs.
#[derive(Debug)]
pub struct Server<N> {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Who the others are; followed as it changes.
    pub directory: watch::Receiver<Arc<Directory>>,
    /// What there is to tell.
    pub node: Arc<N>,
    /// What others may take.
    pub limits: Limits,
    /// What became of them.
    pub counters: Arc<Counters>,
}

/// Answers those who call. Ends never: drop it to stop, which ends all connections.
pub async fn serve<N: Node>(listener: Listener, server: Server<N>) {
    let door =
        Arc::new(Door { slots: Slots::new(server.limits), server, logged: Mutex::new(None) });
    let mut sockets = JoinSet::new();
    for socket in listener.sockets {
        sockets.spawn(accept(socket, Arc::clone(&door)));
    }
    while let Some(ended) = sockets.join_next().await {
        door.ended(ended);
    }
    // Without sockets there is nothing to do, which is not the same as being done.
    std::future::pending().await
}

/// What the connections of a server share.
#[derive(Debug)]
struct Door<N> {
    server: Server<N>,
    slots: Slots,
    /// When the last log line about a caller was written.
    logged: Mutex<Option<Instant>>,
}

async fn accept<N: Node>(socket: TcpListener, door: Arc<Door<N>>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(ended) = connections.join_next() => {
                door.ended(ended);
                continue;
            }
        };
        match accepted {
            Ok((stream, from)) => {
                door.count(Counter::Connections);
                match door.slots.take(from.ip()) {
                    Some(slot) => {
                        let door = Arc::clone(&door);
                        connections.spawn(async move {
                            door.converse(stream, from).await;
                            drop(slot);
                        });
                    }
                    None => door.refuse(Counter::RefusedFull, from, "too many connections"),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a peer's connection");
                // Most likely no descriptors are left: that takes a while to change.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl<N: Node> Door<N> {
    /// A connection, from its handshake to its end.
    async fn converse(&self, stream: TcpStream, from: SocketAddr) {
        let limits = self.server.limits;
        let acceptor = TlsAcceptor::from(self.server.identity.current().server.clone());
        let handshake = acceptor.accept(stream);
        let mut tls = match timeout(limits.handshake, handshake).await {
            Ok(Ok(tls)) => BufReader::new(tls),
            Ok(Err(error)) => return self.refuse(refusal(&error), from, error),
            Err(_) => return self.refuse(Counter::RefusedSlow, from, "handshake took too long"),
        };
        if let Err(unfit) = self.caller(tls.get_ref()) {
            return self.turn_away(tls, from, &unfit).await;
        }
        loop {
            let read = line::read(&mut tls, limits.line);
            let text = match timeout(limits.idle, read).await {
                Ok(Ok(Some(text))) => text,
                Ok(Err(line::Error::TooLong(max))) => {
                    self.count(Counter::BadRequests);
                    let reply = PeerReply::Error(format!("a line of more than {max} bytes"));
                    return farewell(limits, tls, &reply).await;
                }
                Ok(Ok(None) | Err(line::Error::Io(_) | line::Error::Half)) | Err(_) => break,
            };
            // Asked each time: a node that left the file has no say from then on.
            let peer = match self.caller(tls.get_ref()) {
                Ok(peer) => peer,
                Err(unfit) => return self.turn_away(tls, from, &unfit).await,
            };
            let reply = self.answer(&peer, &text);
            match timeout(limits.idle, line::write(&mut tls, &reply)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => break,
            }
        }
        // So that the other side knows that nothing was cut off, if it is still there.
        let _ = timeout(limits.idle, tls.shutdown()).await;
    }

    /// Ends a connection of somebody who has a certificate, but no say.
    async fn turn_away(
        &self,
        tls: BufReader<TlsStream<TcpStream>>,
        from: SocketAddr,
        unfit: &Unfit,
    ) {
        self.refuse(Counter::RefusedName, from, unfit);
        farewell(self.server.limits, tls, &PeerReply::Error(unfit.to_string())).await;
    }

    /// Who is at the other end.
    fn caller(&self, tls: &TlsStream<TcpStream>) -> Result<String, Unfit> {
        let (_, session) = tls.get_ref();
        let certificate =
            session.peer_certificates().and_then(<[_]>::first).ok_or(Unfit::Absent)?;
        bearer(certificate, &self.server.directory.borrow())
    }

    fn answer(&self, peer: &str, text: &[u8]) -> PeerReply {
        match serde_json::from_slice(text) {
            Ok(PeerRequest::Hello { version: admin::VERSION, states, tables }) => {
                if self.server.directory.borrow().is_believed(peer) {
                    self.server.node.learn(peer, &states);
                }
                self.count(Counter::Requests);
                let mut status = self.server.node.status();
                if status.tables_fingerprint == tables {
                    status.tables = None;
                }
                PeerReply::Hello(Box::new(status))
            }
            Ok(PeerRequest::Hello { version, .. }) => {
                self.count(Counter::BadRequests);
                let here = admin::VERSION;
                PeerReply::Error(format!(
                    "it speaks version {here} of this protocol, not {version}"
                ))
            }
            Err(error) => {
                self.count(Counter::BadRequests);
                PeerReply::Error(format!("not understood: {error}"))
            }
        }
    }

    fn count(&self, counter: Counter) {
        self.server.counters.count(counter);
    }

    fn refuse(&self, counter: Counter, from: SocketAddr, reason: impl std::fmt::Display) {
        self.count(counter);
        let now = Instant::now();
        let mut logged = self.logged.lock();
        if logged.is_none_or(|last| now.duration_since(last) >= LOG_EVERY) {
            *logged = Some(now);
            tracing::warn!(%from, %reason, counted = counter.name(), "peer connection refused");
        }
    }

    /// Takes note of how a task ended.
    fn ended(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            self.count(Counter::Panics);
            tracing::error!("a peer's connection has panicked");
        }
    }
}

/// Why a handshake failed.
fn refusal(error: &io::Error) -> Counter {
    let inside = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match inside {
        Some(rustls::Error::AlertReceived(_)) => Counter::Abandoned,
        Some(error) if Unfit::of(error).is_some() => Counter::RefusedCertificate,
        Some(_) => Counter::RefusedProtocol,
        None => Counter::Abandoned,
    }
}

/// The last word on a connection. The other side may still be writing; it finds this when it stops
/// to read.
async fn farewell(limits: Limits, mut tls: BufReader<TlsStream<TcpStream>>, reply: &PeerReply) {
    let said = async {
        line::write(&mut tls, reply).await?;
        tls.shutdown().await
    };
    // Whether it is heard is the other side's affair.
    let _ = timeout(limits.idle, said).await;
}
