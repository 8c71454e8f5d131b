//! Connections to servers, of one core: kept for the next request where that is allowed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::http::Outgoing;
use crate::pool::{Pool, Server};
use crate::proxy_protocol::{self, Extras, Tls};

/// Something to read from and write to.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum Unreachable {
    #[error("its name has no address")]
    Nowhere,
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("no connection within {0:?}")]
    Late(Duration),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("HTTP: {0}")]
    Http(hyper::Error),
}

/// The two ends of a client's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// A client's TLS with us, for servers that are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    version: &'static str,
    cipher: Option<&'static str>,
    /// The host that it named (SNI).
    name: Option<String>,
    alpn: Option<Vec<u8>>,
}

/// Whence a client's requests come.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) ends: Ends,
    /// How it speaks TLS with us, if it does.
    pub(crate) tls: Option<Secured>,
    /// Its connection's own name, if servers are told.
    pub(crate) name: Option<String>,
}

impl Origin {
    fn extras(&self) -> Extras<'_> {
        let secured = self.tls.as_ref().map(Secured::extras).unwrap_or_default();
        Extras { unique_id: self.name.as_deref().map(str::as_bytes), ..secured }
    }
}

impl Secured {
    pub(crate) fn of(session: &rustls::ServerConnection) -> Self {
        Self {
            version: match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
                // rustls has no others.
                _ => "TLS",
            },
            cipher: session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()),
            name: session.server_name().map(str::to_owned),
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        }
    }

    /// The host that the client named (SNI), in lower case.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The version that is spoken.
    pub(crate) fn version(&self) -> &'static str {
        self.version
    }

    fn extras(&self) -> Extras<'_> {
        Extras {
            alpn: self.alpn.as_deref(),
            authority: self.name.as_deref(),
            unique_id: None,
            tls: Some(Tls { version: self.version, cipher: self.cipher }),
        }
    }
}

/// A connection that is kept.
struct Idle {
    sender: SendRequest<Outgoing>,
    task: AbortHandle,

    since: Instant,
}

/// Connections that are kept, by servers' serial numbers.
#[derive(Default)]
pub(crate) struct Kept(RefCell<HashMap<u64, Vec<Idle>>>);

/// A connection for a request.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Outgoing>,
    /// Serves it.
    pub(crate) task: AbortHandle,
    /// It has carried requests before, and the server may have closed it meanwhile.
    pub(crate) used: bool,
}

impl Kept {
    /// One that is there, the latest used first: the others may go when they are old.
    pub(crate) fn take(&self, server: &Server, keep_alive: Duration) -> Option<Connection> {
        let mut all = self.0.borrow_mut();
        let idle = all.get_mut(&server.serial)?;
        while let Some(Idle { sender, task, since }) = idle.pop() {
            if since.elapsed() < keep_alive && !sender.is_closed() {
                return Some(Connection { sender, task, used: true });
            }
        }
        None
    }

    /// Keeps one whose answer has been read.
    pub(crate) fn put(&self, server: &Server, sender: SendRequest<Outgoing>, task: AbortHandle) {
        if !sender.is_closed() {
            let idle = Idle { sender, task, since: Instant::now() };
            self.0.borrow_mut().entry(server.serial).or_default().push(idle);
        }
    }

    /// Closes those that are too old, of servers that are gone, too.
    pub(crate) fn tidy(&self, keep_alive: Duration) {
        self.0.borrow_mut().retain(|_, idle| {
            idle.retain(|one| one.since.elapsed() < keep_alive && !one.sender.is_closed());
            !idle.is_empty()
        });
    }
}

/// A connection to a server as it is: with its PROXY header and TLS.
pub(crate) async fn connect(
    pool: &Pool,
    server: &Server,
    origin: &Origin,
) -> Result<Box<dyn Stream>, Unreachable> {
    let limit = pool.settings.timeouts.connect;
    let connecting = async {
        let address = server.settings.address.ok_or(Unreachable::Nowhere)?;
        let mut tcp = TcpStream::connect(address).await.map_err(Unreachable::Connect)?;
        // A request and its answer are each written at once.
        let _ = tcp.set_nodelay(true);
        if let Some(version) = pool.settings.send_proxy {
            let ends = (origin.ends.client, origin.ends.local);
            let header = proxy_protocol::build(version, Some(ends), &origin.extras());
            tcp.write_all(&header).await.map_err(Unreachable::Connect)?;
        }
        let Some(tls) = &pool.tls else { return Ok(Box::new(tcp) as Box<dyn Stream>) };
        let stream = tls.connector().connect(tls.name(server, address), tcp).await;
        Ok(Box::new(stream.map_err(Unreachable::Tls)?) as Box<dyn Stream>)
    };
    timeout(limit, connecting).await.map_err(|_| Unreachable::Late(limit))?
}

/// A connection that HTTP is spoken over.
pub(crate) async fn open(
    pool: &Pool,
    server: &Server,
    origin: &Origin,
) -> Result<Connection, Unreachable> {
    let stream = connect(pool, server, origin).await?;
    let handshake = http1::Builder::new().handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(Unreachable::Http)?;
    let connection = connection.with_upgrades();
    let serving = tokio::task::spawn_local(async move {
        // Whoever waits for an answer is told; else nobody cares.
        let _ = connection.await;
    });
    Ok(Connection { sender, task: serving.abort_handle(), used: false })
}
