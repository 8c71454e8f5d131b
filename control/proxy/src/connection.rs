//! A client's connection from its acceptance to its end: PROXY header, TLS, and then requests or a tunnel.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::core::{Core, Door};
use crate::http::Client;
use crate::pool::Pool;
use crate::proxy_protocol::{self, Header};
use crate::settings::{Frontend, Key, Mode};
use crate::tunnel;
use crate::upstream::{self, Ends, Secured, Stream};

/// Serves it.
pub(crate) async fn serve(
    core: Rc<Core>,
    door: Door,
    listening: SocketAddr,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Door { frontend, tls } = door;
    let place = Place { core, frontend, tls, listening };
    let Place { core, frontend, .. } = &place;
    let _open = core.opened();
    // Answers are written as a whole.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends { client: canonical(peer), local: canonical(local) };
    // A connection on which nothing has come costs next to nothing. In TCP mode the server may be the
    // one who speaks first.
    let speaks_first = matches!(frontend.mode, Mode::Http(_)) || place.tls.is_some();
    if speaks_first
        && !matches!(timeout(frontend.timeouts.idle, stream.readable()).await, Ok(Ok(())))
    {
        return;
    }
    let is_proxy = frontend.accept_proxy.iter().any(|prefix| prefix.contains(ends.client.ip()));
    if is_proxy {
        let introduced = timeout(frontend.timeouts.handshake, introduce(stream, ends)).await;
        match introduced {
            Ok(Ok((stream, ends))) => place.secure(stream, ends).await,
            Ok(Err(error)) => tracing::debug!(frontend = frontend.name, %peer, %error, "refused"),
            Err(_) => tracing::debug!(frontend = frontend.name, %peer, "no PROXY header in time"),
        }
    } else {
        place.secure(stream, ends).await;
    }
}

/// An IPv4 address is one, also where it comes to a socket of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Reads the PROXY header: who is really there. What came with it comes first.
async fn introduce(mut stream: TcpStream, ends: Ends) -> io::Result<(impl Stream, Ends)> {
    let mut prefix = BytesMut::with_capacity(256);
    loop {
        if stream.read_buf(&mut prefix).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(read) = proxy_protocol::parse(&prefix).map_err(io::Error::other)? else {
            continue;
        };
        prefix.advance(read.length);
        let ends = match read.header {
            Header::Proxied { source, destination } => {
                Ends { client: canonical(source), local: canonical(destination) }
            }
            Header::Local => ends,
        };
        let (read, write) = stream.into_split();
        return Ok((
            tokio::io::join(AsyncReadExt::chain(io::Cursor::new(prefix), read), write),
            ends,
        ));
    }
}

/// Where a client came.
struct Place {
    core: Rc<Core>,
    frontend: Arc<Frontend>,
    /// Where TLS is spoken.
    tls: Option<Arc<rustls::ServerConfig>>,
    listening: SocketAddr,
}

impl Place {
    /// TLS, where it is spoken.
    async fn secure<S: Stream + 'static>(self, stream: S, ends: Ends) {
        let Some(config) = self.tls.clone() else {
            return self.converse(stream, ends, None).await;
        };
        let limit = self.frontend.timeouts.handshake;
        match timeout(limit, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => {
                let secured = Secured::of(stream.get_ref().1);
                self.converse(stream, ends, Some(secured)).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(frontend = self.frontend.name, client = %ends.client, %error, "no TLS");
            }
            Err(_) => {
                tracing::debug!(frontend = self.frontend.name, client = %ends.client, "TLS takes too long");
            }
        }
    }

    async fn converse<S: Stream + 'static>(self, stream: S, ends: Ends, tls: Option<Secured>) {
        let Self { core, frontend, listening, .. } = self;
        match frontend.mode {
            Mode::Http(_) => {
                Client::new(core, frontend, listening, ends, tls).serve(stream).await;
            }
            Mode::Tcp { pool } => {
                let pool = core.state().pools.get(pool).cloned();
                if let Some(pool) = pool {
                    pass(&core, &frontend, &pool, stream, ends, tls.as_ref()).await;
                }
            }
        }
    }
}

/// Gives it to a server as it is: to another one if the first does not take it.
async fn pass<S: Stream>(
    core: &Core,
    frontend: &Frontend,
    pool: &Arc<Pool>,
    stream: S,
    ends: Ends,
    tls: Option<&Secured>,
) {
    let key = match pool.settings.key {
        Key::Source => Some(core.hash(ends.client.ip())),
        Key::Header(_) | Key::Cookie(_) => None,
    };
    let mut tried = Vec::new();
    while tried.len() <= pool.settings.retries as usize {
        let Some(place) = core.choose(pool, &tried, key) else { return };
        let server = &pool.servers[place];
        let _lease = server.take();
        match upstream::connect(pool, server, ends, tls).await {
            Ok(upstream) => return tunnel::run(stream, upstream, frontend.timeouts.tunnel).await,
            Err(error) => {
                tracing::debug!(server = server.settings.name, %error, "no connection");
                server.counters.failed.fetch_add(1, Relaxed);
                tried.push(place);
            }
        }
    }
}
