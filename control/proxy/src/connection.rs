//! A client's connection from its acceptance to its end: PROXY header, TLS, and then requests or a tunnel.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::core::{Core, Door};
use crate::http::Client;
use crate::proxy_protocol::{self, Header};
use crate::settings::{Frontend, Mode};
use crate::stats::{OfFrontend, count};
use crate::tcp;
use crate::upstream::{Ends, Origin, Secured, Stream};

/// Serves it.
pub(crate) async fn serve(
    core: Rc<Core>,
    door: Door,
    listening: SocketAddr,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Door { frontend, tls, stats, .. } = door;
    count(&stats.connections);
    let place = Place { core, frontend, tls, stats, listening };
    let frontend = &place.frontend;
    // Answers are written as a whole.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends { client: canonical(peer), local: canonical(local) };
    // A connection on which nothing has come costs next to nothing. In TCP mode the server may be the
    // one who speaks first.
    let speaks_first = matches!(frontend.mode, Mode::Http(_)) || place.tls.is_some();
    // Not `readable`: that says yes at first, without having looked.
    let mut first = [0];
    if speaks_first {
        let came = tokio::select! {
            biased;
            came = timeout(frontend.timeouts.idle, stream.peek(&mut first)) => came,
            () = place.core.leaving() => return,
        };
        if !matches!(came, Ok(Ok(1))) {
            return;
        }
    }
    let is_proxy = frontend.accept_proxy.iter().any(|prefix| prefix.contains(ends.client.ip()));
    if is_proxy {
        Box::pin(place.proxied(stream, ends)).await;
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

/// The rest of a connection, in memory of its own: a connection takes no more than what it has come to needs.
type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// Where a client came.
struct Place {
    core: Rc<Core>,
    frontend: Arc<Frontend>,
    /// Where TLS is spoken.
    tls: Option<Arc<rustls::ServerConfig>>,
    stats: Arc<OfFrontend>,
    listening: SocketAddr,
}

impl Place {
    /// Who is really there is told first.
    async fn proxied(self, stream: TcpStream, ends: Ends) {
        let peer = ends.client;
        let introduced = timeout(self.frontend.timeouts.handshake, introduce(stream, ends)).await;
        match introduced {
            Ok(Ok((stream, ends))) => return self.secure(stream, ends).await,
            Ok(Err(error)) => {
                tracing::debug!(frontend = self.frontend.name, %peer, %error, "refused");
            }
            Err(_) => {
                tracing::debug!(frontend = self.frontend.name, %peer, "no PROXY header in time");
            }
        }
        count(&self.stats.refused);
    }

    /// TLS, where it is spoken.
    fn secure<S: Stream + 'static>(self, stream: S, ends: Ends) -> Boxed {
        match self.tls.clone() {
            None => self.converse(stream, ends, None),
            Some(config) => Box::pin(self.secured(stream, ends, config)),
        }
    }

    async fn secured<S: Stream + 'static>(
        self,
        stream: S,
        ends: Ends,
        config: Arc<rustls::ServerConfig>,
    ) {
        let limit = self.frontend.timeouts.handshake;
        let (client, name) = (ends.client, self.frontend.name.as_str());
        let stream = match Box::pin(timeout(limit, shake(stream, config))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                count(&self.stats.refused);
                return tracing::debug!(frontend = name, %client, %error, "no TLS");
            }
            Err(_) => {
                count(&self.stats.refused);
                return tracing::debug!(frontend = name, %client, "TLS takes too long");
            }
        };
        let secured = Secured::of(stream.get_ref().1);
        self.converse(stream, ends, Some(secured)).await;
    }

    fn converse<S: Stream + 'static>(self, stream: S, ends: Ends, tls: Option<Secured>) -> Boxed {
        let Self { core, frontend, listening, .. } = self;
        let mut origin = Origin { ends, tls, name: None };
        if let Mode::Http(http) = &frontend.mode {
            origin.name = http.unique_id.is_some().then(|| format!("{:032x}", fastrand::u128(..)));
            return Box::pin(Client::new(core, frontend, listening, origin).serve(stream));
        }
        Box::pin(tcp::serve(core, listening, origin, stream))
    }
}

/// The stream has its place in memory for good: futures that hand it on would have room for it several times.
async fn shake<S: Stream>(
    stream: S,
    config: Arc<rustls::ServerConfig>,
) -> io::Result<Box<TlsStream<S>>> {
    Ok(Box::new(TlsAcceptor::from(config).accept(stream).await?))
}
