//! Tier 3: accepts clients' connections on the VIPs, and passes their requests to servers.
//!
//! ```text
//!   accept -> PROXY header? -> TLS? -> requests, one by one -> route -> pool -> server
//!                                  \-> or the connection as it is    -> pool -> server
//! ```
//! Each core has a thread with a runtime of its own, listeners (`SO_REUSEPORT`) and connections to servers
//! that are kept; what is known and counted of servers is common to all. Settings are replaced as a whole
//! while connections go on: each request sees the settings of its moment.

mod access_log;
mod admission;
mod affinity;
mod assign;
pub mod balance;
mod connection;
mod core;
mod hello;
mod http;
mod interim;
mod listener;
mod pages;
mod patience;
mod pool;
pub mod proxy_protocol;
mod refused;
pub mod settings;
mod stage;
mod state;
mod stats;
mod stream;
mod tcp;
pub mod tls;
mod tunnel;
mod upstream;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;

pub use crate::core::Drain;
use crate::core::State;
pub use crate::refused::Refused;
use crate::settings::Settings;
pub use crate::state::{
    Availability, FrontendStatus, NodeState, PoolStatus, ServerState, ServerStatus, Status,
};
pub use crate::stats::{BOUNDS_MS, Times};
use crate::worker::{Order, Worker};

/// Listeners of each address.
pub type Listeners = BTreeMap<SocketAddr, Vec<TcpListener>>;

/// The proxy of a node. On drop it ends, with all connections.
#[derive(Debug)]
pub struct Proxy {
    state: Arc<State>,
    workers: Vec<Worker>,
    /// The listeners of each address, which workers have copies of.
    listening: Listeners,
    /// Addresses that workers accept connections at.
    served: BTreeSet<SocketAddr>,
    drain: watch::Sender<Drain>,
    node: watch::Sender<NodeState>,
}

impl Proxy {
    /// Listens by these settings, for so many cores: who comes waits until [`Proxy::accept`]. Servers are used
    /// until they are said to be unusable.
    ///
    /// # Errors
    /// See [`Refused`]; nothing is left.
    pub fn start(workers: NonZeroUsize, settings: &Settings) -> Result<Self, Refused> {
        Self::start_with(workers, settings, Listeners::new())
    }

    /// Serves from now on.
    pub fn accept(&self) {
        for worker in &self.workers {
            worker.tell(Order::Accept);
        }
    }

    /// The same as [`Proxy::start`], with listeners of another process ([`Proxy::listeners`]): whoever waits in them is served,
    /// and nobody is refused while both have them. Of addresses that are not in the settings they are
    /// closed.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn start_with(
        workers: NonZeroUsize,
        settings: &Settings,
        inherited: Listeners,
    ) -> Result<Self, Refused> {
        let state = Arc::new(State::new(&Settings::default(), None)?);
        let (drain, drained) = watch::channel(Drain::None);
        let (node, told) = watch::channel(NodeState::Ready);
        let workers = (0..workers.get())
            .map(|number| Worker::start(number, state.clone(), drained.clone(), told.clone()))
            .collect::<io::Result<_>>()
            .map_err(Refused::Thread)?;
        let mut proxy =
            Self { state, workers, listening: inherited, served: BTreeSet::new(), drain, node };
        proxy.set(settings)?;
        Ok(proxy)
    }

    /// Serves by these settings from now on; certificates are read anew. Connections go on, servers that stay
    /// keep what is known of them, and addresses that stay are listened on all the while.
    ///
    /// # Errors
    /// See [`Refused`]; what was in force stays.
    pub fn set(&mut self, settings: &Settings) -> Result<(), Refused> {
        let state = Arc::new(State::new(settings, Some(&self.state))?);
        let wanted: BTreeSet<SocketAddr> = state.addresses().collect();
        let mut new: Vec<Vec<_>> = self.workers.iter().map(|_| Vec::new()).collect();
        let mut opened = Listeners::new();
        for &address in wanted.difference(&self.served) {
            let failed = |source| Refused::Listen { address, source };
            let mut all = Vec::new();
            for listener in self.listening.get(&address).into_iter().flatten() {
                all.push(listener.try_clone().map_err(failed)?);
            }
            // One for each worker; of more, which another process had, some get several: whoever waits in
            // them is served.
            while all.len() < new.len() {
                all.push(listener::listen(address).map_err(failed)?);
            }
            for (place, listener) in all.iter().enumerate() {
                let worker = place % new.len();
                new[worker].push((address, listener.try_clone().map_err(failed)?));
            }
            opened.insert(address, all);
        }
        for (worker, listeners) in self.workers.iter().zip(new) {
            worker.tell(Order::Set(state.clone(), listeners));
        }
        self.listening.extend(opened);
        self.listening.retain(|address, _| wanted.contains(address));
        self.served = wanted;
        self.state = state;
        Ok(())
    }

    /// Uses these pools from now on; everything else stays as it is. Servers that stay keep what is known of
    /// them.
    ///
    /// # Errors
    /// See [`Refused`]; what was in force stays.
    pub fn set_pools(&mut self, pools: &[settings::Pool]) -> Result<(), Refused> {
        let state = Arc::new(self.state.with_pools(pools)?);
        for worker in &self.workers {
            worker.tell(Order::Set(state.clone(), Vec::new()));
        }
        self.state = state;
        Ok(())
    }

    /// The listeners of each address, in the order of their workers, for another process.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn listeners(&self) -> io::Result<Listeners> {
        let copy = |all: &Vec<TcpListener>| -> io::Result<Vec<_>> {
            all.iter().map(TcpListener::try_clone).collect()
        };
        self.listening.iter().map(|(&address, all)| Ok((address, copy(all)?))).collect()
    }

    /// What is thought of a server from now on; whether that is news. What it has goes on.
    pub fn set_server(&self, pool: &str, server: &str, state: ServerState) -> bool {
        let pools = self.state.pools.iter().filter(|one| one.settings.name == pool);
        let mut found = pools.filter_map(|pool| Some((pool, pool.server(server)?)));
        let Some((pool, server)) = found.next() else { return false };
        let news = server.set_state(state);
        if news {
            pool.queue.changed();
        }
        news
    }

    /// What health URIs say of this node from now on.
    pub fn set_node(&self, state: NodeState) {
        self.node.send_replace(state);
    }

    /// Where the server at these places is; nothing while its name has no address.
    pub fn address(&self, pool: usize, server: usize) -> Option<SocketAddr> {
        self.state.pools.get(pool)?.servers.get(server)?.settings.address
    }

    /// What is thought of the server at these places.
    pub fn server_state(&self, pool: usize, server: usize) -> Option<ServerState> {
        Some(self.state.pools.get(pool)?.servers.get(server)?.state())
    }

    /// What is thought of each server: pool, server, that, and where it is.
    pub fn server_states(
        &self,
    ) -> impl Iterator<Item = (&str, &str, ServerState, Option<SocketAddr>)> {
        self.state.pools.iter().flat_map(|pool| {
            let name = pool.settings.name.as_str();
            pool.servers.iter().map(move |one| {
                (name, one.settings.name.as_str(), one.state(), one.settings.address)
            })
        })
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let server = |server: &Arc<pool::Server>| ServerStatus {
            address: server.settings.address,
            busy: server.busy(),
            requests: server.counters().requests.load(Relaxed),
            failed: server.counters().failed.load(Relaxed),
            classes: server.counters().classes.read(),
            times: server.counters().times.read(),
        };
        let pool = |pool: &Arc<pool::Pool>| PoolStatus {
            usable: u32::try_from(pool.usable()).unwrap_or(u32::MAX),
            waiting: pool.queue.waiting(),
            retries: pool.stats.retries.load(Relaxed),
            unserved: pool.stats.unserved.load(Relaxed),
            queue_full: pool.stats.queue_full.load(Relaxed),
            queue_late: pool.stats.queue_late.load(Relaxed),
            servers: pool.servers.iter().map(server).collect(),
        };
        let frontend = |(name, stats): (&String, &Arc<stats::OfFrontend>)| FrontendStatus {
            name: name.clone(),
            open: stats.admission.open(),
            connections: stats.connections.load(Relaxed),
            refused: stats.refused.load(Relaxed),
            classes: stats.classes.read(),
            times: stats.times.read(),
            bytes_out: stats.bytes_out.load(Relaxed),
        };
        let log = self.state.log.as_ref().map(|log| log.counts());
        Status {
            open: self.open() as u64,
            log_lines: log.map_or(0, |(written, _)| written),
            log_lost: log.map_or(0, |(_, lost)| lost),
            frontends: self.state.stats.iter().map(frontend).collect(),
            pools: self.state.pools.iter().map(pool).collect(),
        }
    }

    /// The next step of going away, or back to [`Drain::None`]. Who comes is served in each of them.
    pub fn drain(&self, drain: Drain) {
        self.drain.send_replace(drain);
    }

    /// Accepts nobody any more: nobody comes, or another process has the listeners.
    pub fn close(&mut self) {
        self.listening.clear();
        self.workers.iter().for_each(|worker| worker.tell(Order::Close));
    }

    /// Opens the access log anew: its file may have been moved away.
    pub fn reopen_log(&self) {
        if let Some(log) = &self.state.log {
            log.reopen();
        }
    }

    /// Whether nobody is connected, and, as nobody is accepted any more, nobody will be.
    pub fn is_over(&self) -> bool {
        self.workers.iter().all(Worker::is_over)
    }

    /// Connections of clients that are open.
    pub fn open(&self) -> usize {
        self.workers.iter().map(Worker::open).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Connections end, and tell the log how.
        self.workers.clear();
        if let Some(log) = &self.state.log {
            log.finish();
        }
    }
}

#[cfg(test)]
mod tests;
