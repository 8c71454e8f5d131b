//! Pools as all cores of this node see them: who may be used, and how busy he is.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use siphasher::sip::SipHasher13;

use crate::balance::Candidate;
use crate::settings;
use crate::state::{Availability, ServerState};
use crate::tls::{self, Upstream};

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) settings: settings::Pool,
    pub(crate) servers: Vec<Arc<Server>>,
    /// How TLS is spoken with them, if it is.
    pub(crate) tls: Option<Upstream>,
}

/// A server: what is counted and thought of it, of all cores.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: settings::Server,
    /// Tells it apart on every node, and after every restart.
    id: u64,
    state: AtomicU64,
    busy: AtomicU32,
    pub(crate) counters: Counters,
}

/// What is counted of a server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests and connections that were given to it.
    pub(crate) requests: AtomicU64,
    /// Those that it did not take, or did not answer.
    pub(crate) failed: AtomicU64,
}

/// A request or connection that a server has: it counts for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Server>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

impl Pool {
    /// The pools of these settings. Servers that were there before go on as they are.
    ///
    /// # Errors
    /// Authorities cannot be used.
    pub(crate) fn all(
        settings: &[settings::Pool],
        before: &[Arc<Self>],
    ) -> Result<Vec<Arc<Self>>, tls::Error> {
        let known: HashMap<_, _> = before
            .iter()
            .flat_map(|pool| pool.servers.iter().map(|one| (pool.key(one), one.clone())))
            .collect();
        let pool = |settings: &settings::Pool| {
            let servers = settings.servers.iter().map(|server| {
                match known.get(&(settings.name.clone(), server.name.clone())) {
                    Some(found) if found.settings == *server => found.clone(),
                    found => Server::new(
                        server,
                        found.map_or_else(ServerState::default, |one| one.state()),
                    ),
                }
            });
            let tls = settings.tls.as_ref().map(Upstream::new).transpose()?;
            Ok(Arc::new(Self { servers: servers.collect(), settings: settings.clone(), tls }))
        };
        settings.iter().map(pool).collect()
    }

    fn key(&self, server: &Server) -> (String, String) {
        (self.settings.name.clone(), server.settings.name.clone())
    }

    /// Writes down who may be chosen: those that are usable, without those in `tried`; backups if there is
    /// nobody else.
    pub(crate) fn candidates(&self, tried: &[usize], into: &mut Vec<Candidate>) {
        for backup in [false, true] {
            into.clear();
            let mut any = false;
            into.extend(self.servers.iter().enumerate().map(|(place, server)| {
                let fits = server.settings.backup == backup && server.is_usable();
                let fits = fits && !tried.contains(&place);
                let weight = if fits { server.weight() } else { 0 };
                any |= weight > 0;
                Candidate { id: server.id, weight, busy: server.busy.load(Relaxed) }
            }));
            if any {
                return;
            }
        }
    }

    /// How many servers are usable.
    pub(crate) fn usable(&self) -> usize {
        self.servers.iter().filter(|server| server.is_usable()).count()
    }
}

impl Server {
    fn new(settings: &settings::Server, state: ServerState) -> Arc<Self> {
        // Without a key of its own: every node and process has to come to the same.
        let mut hasher = SipHasher13::new();
        settings.name.hash(&mut hasher);
        Arc::new(Self {
            settings: settings.clone(),
            id: hasher.finish(),
            state: AtomicU64::new(state.pack()),
            busy: AtomicU32::new(0),
            counters: Counters::default(),
        })
    }

    /// What is thought of it.
    pub(crate) fn state(&self) -> ServerState {
        ServerState::unpack(self.state.load(Relaxed))
    }

    /// Notes what is thought of it; says whether that is news.
    pub(crate) fn set_state(&self, state: ServerState) -> bool {
        let new = state.pack();
        self.state.swap(new, Relaxed) != new
    }

    /// Whether it takes new requests.
    pub(crate) fn is_usable(&self) -> bool {
        self.state().availability == Availability::Up && self.weight() > 0
    }

    /// Its share, in hundredths of the configured unit.
    pub(crate) fn weight(&self) -> u32 {
        self.settings.weight * u32::from(self.state().weight_percent)
    }

    /// Requests that it has now.
    pub(crate) fn busy(&self) -> u32 {
        self.busy.load(Relaxed)
    }

    pub(crate) fn take(self: &Arc<Self>) -> Lease {
        self.busy.fetch_add(1, Relaxed);
        self.counters.requests.fetch_add(1, Relaxed);
        Lease(self.clone())
    }
}
