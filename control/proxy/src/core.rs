//! What the connections of one core have in common.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use siphasher::sip::SipHasher13;
use tokio::sync::watch;

use crate::Refused;
use crate::access_log::Log;
use crate::balance::{Balance, Candidate};
use crate::pages::{self, Page};
use crate::pool::{Pool, ServerId};
use crate::settings::{self, Frontend, Mode, Settings};
use crate::state::NodeState;
use crate::stats::OfFrontend;
use crate::tls;
use crate::upstream::Kept;

/// How far this node has come with going away. Each step begins where nobody is left whom it would hurt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drain {
    /// It stays.
    #[default]
    None,
    /// Its health answers 503, so that tier 2 sends no new flows; who comes is served.
    Announced,
    /// Each answer is a connection's last.
    Closing,
    /// Connections on which nothing is under way are closed, but for those who have only come: tier 2 is told
    /// of the drain for as long as anybody is left. To a refusal it would say that this node is down, and take
    /// its flows away.
    Leaving,
}

/// What is behind an address.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) frontend: Arc<Frontend>,
    /// Where TLS is spoken.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) pages: Arc<[Page]>,
    pub(crate) stats: Arc<OfFrontend>,
}

/// The settings in force, with what is known of the servers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pools: Vec<Arc<Pool>>,
    /// By frontends' names.
    pub(crate) stats: BTreeMap<String, Arc<OfFrontend>>,
    pub(crate) log: Option<Arc<Log>>,
    doors: HashMap<SocketAddr, Door>,
    hash_key: [u8; 16],
}

impl State {
    /// These settings. Servers that were there before go on as they are.
    ///
    /// # Errors
    /// A certificate or a key cannot be used, or the log cannot be written.
    pub(crate) fn new(settings: &Settings, before: Option<&Self>) -> Result<Self, Refused> {
        let mut doors = HashMap::new();
        let mut stats = BTreeMap::new();
        for frontend in &settings.frontends {
            let (protocols, pages): (&[&[u8]], _) = match &frontend.mode {
                Mode::Http(http) => (&[b"http/1.1"], pages::read(&http.error_pages)?),
                Mode::Tcp(_) => (&[], Arc::default()),
            };
            let tls = match &frontend.tls {
                Some(tls) => Some(tls::server(tls, settings.tickets.as_ref(), protocols)?),
                None => None,
            };
            let known = before.and_then(|before| before.stats.get(&frontend.name));
            let counted = known.cloned().unwrap_or_default();
            stats.insert(frontend.name.clone(), counted.clone());
            let shared = Arc::new(frontend.clone());
            doors.extend(frontend.listen.iter().map(|at| {
                let tls = tls.clone().filter(|_| at.tls);
                let (frontend, pages, stats) = (shared.clone(), pages.clone(), counted.clone());
                (at.address, Door { frontend, tls, pages, stats })
            }));
        }
        let pools = Pool::all(&settings.pools, before.map_or(&[], |before| &before.pools))?;
        let log = match &settings.access_log {
            None => None,
            Some(wanted) => {
                let known = before.and_then(|before| before.log.clone());
                match known.filter(|log| log.settings == *wanted) {
                    Some(log) => Some(log),
                    None => Some(Arc::new(Log::open(wanted).map_err(Refused::Log)?)),
                }
            }
        };
        Ok(Self { pools, stats, log, doors, hash_key: settings.hash_key })
    }

    /// The same with other pools.
    ///
    /// # Errors
    /// Authorities cannot be used.
    pub(crate) fn with_pools(&self, pools: &[settings::Pool]) -> Result<Self, tls::Error> {
        let pools = Pool::all(pools, &self.pools)?;
        let Self { stats, log, doors, hash_key, .. } = self;
        let (stats, log, doors) = (stats.clone(), log.clone(), doors.clone());
        Ok(Self { pools, stats, log, doors, hash_key: *hash_key })
    }

    /// The pool at this place; while none of its servers takes requests, the one that says sorry for it.
    pub(crate) fn pool(&self, place: usize) -> Option<&Arc<Pool>> {
        let pool = self.pools.get(place)?;
        let sorry = pool.settings.sorry.and_then(|place| self.pools.get(place));
        Some(sorry.filter(|_| pool.usable() == 0).unwrap_or(pool))
    }

    /// Where clients come.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.doors.keys().copied()
    }

    /// What is behind an address.
    pub(crate) fn door(&self, address: SocketAddr) -> Option<&Door> {
        self.doors.get(&address)
    }
}

/// One core's.
pub(crate) struct Core {
    state: RefCell<Arc<State>>,
    drain: watch::Receiver<Drain>,
    /// The same, to look at without a lock.
    drained: Cell<Drain>,
    node: watch::Receiver<NodeState>,
    pub(crate) kept: Rc<Kept>,
    /// By pool name: a reload begins no round anew.
    balances: RefCell<HashMap<String, Balance>>,
    candidates: RefCell<Vec<Candidate>>,
    /// Connections that are open.
    open: Arc<AtomicUsize>,
}

/// A connection that is open, for as long as this lives.
pub(crate) struct Open(Rc<Core>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Core {
    pub(crate) fn new(
        state: Arc<State>,
        drain: watch::Receiver<Drain>,
        node: watch::Receiver<NodeState>,
        open: Arc<AtomicUsize>,
    ) -> Self {
        let drained = Cell::new(*drain.borrow());
        Self {
            state: RefCell::new(state),
            drained,
            drain,
            node,
            kept: Rc::default(),
            balances: RefCell::default(),
            candidates: RefCell::default(),
            open,
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// The pool of this name, as it is now.
    pub(crate) fn pool(&self, name: &str) -> Option<Arc<Pool>> {
        self.state.borrow().pools.iter().find(|pool| pool.settings.name == name).cloned()
    }

    pub(crate) fn set_state(&self, state: Arc<State>) {
        self.balances
            .borrow_mut()
            .retain(|name, _| state.pools.iter().any(|pool| pool.settings.name == *name));
        *self.state.borrow_mut() = state.clone();
        // Whoever waits for a server may have more of them, or higher limits.
        state.pools.iter().for_each(|pool| pool.queue.changed());
    }

    pub(crate) fn set_drain(&self, drain: Drain) {
        self.drained.set(drain);
    }

    /// Counts a connection.
    pub(crate) fn opened(self: &Rc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        Open(self.clone())
    }

    /// What tier 2 is told of this node, beside what holds of servers.
    pub(crate) fn node(&self) -> NodeState {
        let said = *self.node.borrow();
        match said {
            NodeState::Ready | NodeState::Disabled if self.drained.get() >= Drain::Announced => {
                NodeState::Drain
            }
            said => said,
        }
    }

    /// Whether each answer is the last of its connection.
    pub(crate) fn is_closing(&self) -> bool {
        self.drained.get() >= Drain::Closing
    }

    /// Waits until connections of this moment are to be closed, if nothing is under way on them.
    pub(crate) fn leaving(&self) -> impl Future<Output = ()> + use<> {
        let mut drain = self.drain.clone();
        let is_late = self.drained.get() >= Drain::Leaving;
        async move {
            if is_late {
                std::future::pending::<()>().await;
            }
            if drain.wait_for(|drain| *drain >= Drain::Leaving).await.is_err() {
                // Nobody is left who could say so: the process ends.
            }
        }
    }

    /// The place of the server that gets the next request of a pool.
    ///
    /// # Errors
    /// Nobody is left, and whether that is for want of room.
    pub(crate) fn choose(
        &self,
        pool: &Pool,
        tried: &[ServerId],
        key: Option<u64>,
    ) -> Result<usize, bool> {
        let mut candidates = self.candidates.borrow_mut();
        let full = pool.candidates(tried, &mut candidates);
        let mut balances = self.balances.borrow_mut();
        let name = &pool.settings.name;
        let balance = match balances.get_mut(name) {
            Some(balance) => balance,
            None => balances.entry(name.clone()).or_insert_with(|| Balance::new(fastrand::u64(..))),
        };
        balance.choose(pool.settings.method, &candidates, key).ok_or(full)
    }

    /// What requests are told apart by: the same on every core and node of the site.
    pub(crate) fn hash(&self, value: impl Hash) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.state.borrow().hash_key);
        value.hash(&mut hasher);
        hasher.finish()
    }
}
