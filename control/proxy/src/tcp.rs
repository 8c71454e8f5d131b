//! Connections as they are: each goes to a server of the pool that its route names.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::assign::{Asker, Assigned};
use crate::core::Core;
use crate::hello;
use crate::http::route::is_host;
use crate::pool::Pool;
use crate::settings::{Frontend, Key, Mode, TcpRoute};
use crate::stats::count;
use crate::tunnel;
use crate::upstream::{self, Origin, Stream};

/// Serves one.
pub(crate) async fn serve<S: Stream + 'static>(
    core: Rc<Core>,
    listening: SocketAddr,
    origin: Origin,
    mut stream: S,
) {
    let chosen = Box::pin(choose(&core, listening, &origin, &mut stream)).await;
    let Some(Chosen { frontend, pool, told }) = chosen else { return };
    if told.is_empty() {
        return Box::pin(pass(&core, &frontend, &pool, stream, &origin)).await;
    }
    // What was read to find out where it goes comes first.
    let (read, write) = tokio::io::split(stream);
    let stream = tokio::io::join(AsyncReadExt::chain(io::Cursor::new(told), read), write);
    Box::pin(pass(&core, &frontend, &pool, stream, &origin)).await;
}

/// Where a connection goes.
struct Chosen {
    frontend: Arc<Frontend>,
    pool: Arc<Pool>,
    /// What was read of it to find that out.
    told: BytesMut,
}

/// Nothing if no route fits, or nobody says in time where it is to go.
async fn choose<S: Stream>(
    core: &Core,
    listening: SocketAddr,
    origin: &Origin,
    stream: &mut S,
) -> Option<Chosen> {
    // Pools are places in the settings that routes are of: both are of one moment.
    let state = core.state();
    let frontend = state.door(listening)?.frontend.clone();
    let Mode::Tcp(routes) = &frontend.mode else { return None };
    let needs_name = routes.iter().any(|route| !route.hosts.is_empty());
    let (told, host) = match &origin.tls {
        Some(secured) => (BytesMut::new(), secured.name().map(str::to_owned)),
        None if needs_name => {
            timeout(frontend.timeouts.handshake, hello::read(stream)).await.ok()?.ok()?
        }
        None => Default::default(),
    };
    let fits = |route: &&TcpRoute| {
        let is = |pattern: &String| host.as_ref().is_some_and(|host| is_host(pattern, host));
        route.hosts.is_empty() || route.hosts.iter().any(is)
    };
    let pool = state.pool(routes.iter().find(fits)?.pool)?.clone();
    Some(Chosen { frontend, pool, told })
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
        let Assigned { newer, place, lease: _lease } = match asker.assign(&tried).await {
            Ok(assigned) => assigned,
            Err(nobody) => return nobody.count(&pool.stats),
        };
        let pool = newer.as_ref().unwrap_or(pool);
        let server = &pool.servers[place];
        match upstream::connect(pool, server, origin).await {
            Ok(upstream) => return tunnel::run(stream, upstream, frontend.timeouts.tunnel).await,
            Err(error) => {
                tracing::debug!(server = server.settings.name, %error, "no connection");
                count(&server.counters().failed);
                tried.push(server.id);
            }
        }
    }
}
