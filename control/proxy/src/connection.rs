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

use crate::assign::Asker;
use crate::core::{Core, Door};
use crate::hello;
use crate::http::Client;
use crate::http::route::is_host;
use crate::pool::Pool;
use crate::proxy_protocol::{self, Header};
use crate::settings::{Frontend, Key, Mode, TcpRoute};
use crate::stats::{OfFrontend, count};
use crate::tunnel;
use crate::upstream::{self, Ends, Origin, Secured, Stream};

/// Serves it.
pub(crate) async fn serve(
    core: Rc<Core>,
    door: Door,
    listening: SocketAddr,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Door { frontend, tls, stats } = door;
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
    if speaks_first
        && !matches!(timeout(frontend.timeouts.idle, stream.readable()).await, Ok(Ok(())))
    {
        return;
    }
    // From here on boxed, each way for itself: a connection takes no more memory than where it is needs.
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
    async fn secure<S: Stream + 'static>(self, stream: S, ends: Ends) {
        let Some(config) = self.tls.clone() else {
            return Box::pin(self.converse(stream, ends, None)).await;
        };
        let limit = self.frontend.timeouts.handshake;
        match Box::pin(timeout(limit, TlsAcceptor::from(config).accept(stream))).await {
            Ok(Ok(stream)) => {
                let secured = Secured::of(stream.get_ref().1);
                Box::pin(self.converse(stream, ends, Some(secured))).await;
            }
            Ok(Err(error)) => {
                count(&self.stats.refused);
                tracing::debug!(frontend = self.frontend.name, client = %ends.client, %error, "no TLS");
            }
            Err(_) => {
                count(&self.stats.refused);
                tracing::debug!(frontend = self.frontend.name, client = %ends.client, "TLS takes too long");
            }
        }
    }

    async fn converse<S: Stream + 'static>(self, stream: S, ends: Ends, tls: Option<Secured>) {
        let Self { core, frontend, listening, .. } = self;
        match &frontend.mode {
            Mode::Http(http) => {
                let name = http.unique_id.is_some().then(|| format!("{:032x}", fastrand::u128(..)));
                let origin = Origin { ends, tls, name };
                Box::pin(Client::new(core, frontend, listening, origin).serve(stream)).await;
            }
            Mode::Tcp(routes) => {
                let mut stream = stream;
                let needs_name = routes.iter().any(|route| !route.hosts.is_empty());
                let (told, host) = match &tls {
                    Some(secured) => (BytesMut::new(), secured.name().map(str::to_owned)),
                    None if needs_name => {
                        match timeout(frontend.timeouts.handshake, hello::read(&mut stream)).await {
                            Ok(Ok(read)) => read,
                            Ok(Err(_)) | Err(_) => return,
                        }
                    }
                    None => Default::default(),
                };
                let fits = |route: &&TcpRoute| {
                    let is =
                        |pattern: &String| host.as_ref().is_some_and(|host| is_host(pattern, host));
                    route.hosts.is_empty() || route.hosts.iter().any(is)
                };
                let Some(route) = routes.iter().find(fits) else { return };
                let Some(pool) = core.state().pool(route.pool).cloned() else { return };
                let origin = Origin { ends, tls, name: None };
                if told.is_empty() {
                    return pass(&core, &frontend, &pool, stream, &origin).await;
                }
                // What was read to find out where it goes comes first.
                let (read, write) = tokio::io::split(stream);
                let stream =
                    tokio::io::join(AsyncReadExt::chain(io::Cursor::new(told), read), write);
                pass(&core, &frontend, &pool, stream, &origin).await;
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
    origin: &Origin,
) {
    let key = match pool.settings.key {
        Key::Source => Some(core.hash(origin.ends.client.ip())),
        Key::Header(_) | Key::Cookie(_) => None,
    };
    let mut tried = Vec::new();
    let asker = Asker { core, pool, key, own: None };
    pool.budget.earn(pool.settings.retry_budget);
    while tried.len() <= pool.settings.retries as usize {
        if !tried.is_empty() {
            if !pool.budget.spend() {
                return;
            }
            count(&pool.stats.retries);
        }
        let (place, _lease) = match asker.assign(&tried).await {
            Ok(assigned) => assigned,
            Err(nobody) => return nobody.count(&pool.stats),
        };
        let server = &pool.servers[place];
        match upstream::connect(pool, server, origin).await {
            Ok(upstream) => return tunnel::run(stream, upstream, frontend.timeouts.tunnel).await,
            Err(error) => {
                tracing::debug!(server = server.settings.name, %error, "no connection");
                server.counters().failed.fetch_add(1, Relaxed);
                tried.push(place);
            }
        }
    }
}
