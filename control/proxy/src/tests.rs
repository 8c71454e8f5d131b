//! The proxy against real sockets: servers and clients are plain ones of the standard library, which do and
//! say exactly what a test wants.

mod answers;
mod client;
mod drain;
mod hostile;
mod interim;
mod log;
mod long;
mod pools;
mod proxied;
mod relays;
mod requests;
mod routes;
mod server;
mod slow;
mod smuggling;
mod tls;
mod upgrades;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use self::client::Client;
use self::server::Server;
use crate::balance::Method;
use crate::settings::*;
use crate::{Drain, Proxy};

const MS: Duration = Duration::from_millis(1);
/// For what takes an instant on an idle machine.
const SOON: Duration = Duration::from_secs(20);

/// An address where nobody listens, and nobody else will: of this process and this call alone.
fn free_address() -> SocketAddr {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let call = CALLS.fetch_add(1, Relaxed);
    // 127.0.0.0/16 is where others listen.
    ([127, 128 | high & 63, low, (call % 250) as u8 + 1], 8000 + call / 250).into()
}

/// A pool of these.
fn pool(name: &str, servers: &[SocketAddr]) -> Pool {
    let server = |(number, &address): (usize, &SocketAddr)| crate::settings::Server {
        name: format!("{name}-{number}"),
        address: Some(address),
        host: None,
        weight: 1,
        backup: false,
        max_connections: None,
    };
    Pool {
        name: name.into(),
        servers: servers.iter().enumerate().map(server).collect(),
        method: Method::RoundRobin,
        key: Key::Source,
        send_proxy: None,
        tls: None,
        retries: 2,
        retry_budget: 20,
        quorum: 1,
        affinity: None,
        slow_start: Duration::ZERO,
        queue: Queue::default(),
        sorry: None,
        timeouts: ServerTimeouts {
            connect: 2 * SOON / 10,
            response: SOON,
            ..ServerTimeouts::default()
        },
    }
}

/// A frontend of requests that all go to the first pool.
fn frontend() -> Frontend {
    let route = Route::new(vec![], Action::Pool(0));
    Frontend {
        name: "web".into(),
        listen: vec![Listen { address: free_address(), tls: false }],
        tls: None,
        accept_proxy: vec![],
        mode: Mode::Http(Box::new(Http {
            routes: vec![route],
            health_uri: Some("/healthcheck".into()),
            ..Http::default()
        })),
        timeouts: ClientTimeouts::default(),
        limits: HeaderLimits::default(),
        max_connections: None,
    }
}

fn settings(frontend: Frontend, pools: Vec<Pool>) -> Settings {
    Settings {
        frontends: vec![frontend],
        pools,
        hash_key: [7; 16],
        tickets: None,
        access_log: None,
    }
}

/// A proxy of one frontend, and its address.
fn start(frontend: Frontend, pools: Vec<Pool>) -> (Proxy, SocketAddr) {
    let address = frontend.listen[0].address;
    (serve(2, &settings(frontend, pools)), address)
}

/// A proxy that serves, on so many cores.
fn serve(workers: usize, settings: &Settings) -> Proxy {
    let proxy = Proxy::start(NonZeroUsize::new(workers).unwrap(), settings).unwrap();
    proxy.accept();
    proxy
}

/// The routes of a frontend, to be changed.
fn http(frontend: &mut Frontend) -> &mut Http {
    match &mut frontend.mode {
        Mode::Http(http) => http,
        Mode::Tcp(_) => panic!("it passes connections as they are"),
    }
}

#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !done() {
        assert!(started.elapsed() < SOON, "in vain: {what}");
        std::thread::sleep(MS);
    }
}
