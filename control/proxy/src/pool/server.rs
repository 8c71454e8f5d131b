//! A server: what is counted and thought of it, of all cores.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher13;

use super::Queue;
use crate::settings;
use crate::state::{Availability, ServerState};
use crate::stats::{Classes, Histogram};

/// What instants are counted from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The least share of a server that starts slowly, in percent of its own.
const LEAST: u64 = 5;

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: settings::Server,
    /// Tells it apart on every node, and after every restart.
    pub(crate) id: u64,
    state: AtomicU64,
    /// When it came back, in milliseconds since [`EPOCH`]; 0 if it was there from the first.
    back: AtomicU64,
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
    pub(crate) classes: Classes,
    /// From a request's header to that of its answer.
    pub(crate) times: Histogram,
}

/// A request or connection that a server has: it counts for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lease {
    server: Arc<Server>,
    queue: Arc<Queue>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.busy.fetch_sub(1, SeqCst);
        self.queue.freed();
    }
}

impl Server {
    pub(super) fn new(settings: &settings::Server, state: ServerState) -> Arc<Self> {
        // Without a key of its own: every node and process has to come to the same.
        let mut hasher = SipHasher13::new();
        settings.name.hash(&mut hasher);
        Arc::new(Self {
            settings: settings.clone(),
            id: hasher.finish(),
            state: AtomicU64::new(state.pack()),
            back: AtomicU64::new(0),
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
        let before = self.state.swap(new, Relaxed);
        let was = ServerState::unpack(before).availability;
        if was != Availability::Up && state.availability == Availability::Up {
            self.back.store(EPOCH.elapsed().as_millis() as u64 + 1, Relaxed);
        }
        before != new
    }

    /// Its share, in hundredths of the configured unit: none if it takes no new requests; less than its own
    /// for a while after it came back, if it starts slowly.
    pub(crate) fn weight(&self, slow_start: Duration) -> u32 {
        let state = self.state();
        if state.availability != Availability::Up {
            return 0;
        }
        let whole = self.settings.weight * u32::from(state.weight_percent);
        let back = self.back.load(Relaxed);
        if slow_start.is_zero() || back == 0 {
            return whole;
        }
        let since = (EPOCH.elapsed().as_millis() as u64 + 1).saturating_sub(back);
        let percent = (since * 100 / slow_start.as_millis().max(1) as u64).clamp(LEAST, 100);
        // Whoever has a share at all keeps one.
        ((u64::from(whole) * percent / 100) as u32).max(whole.min(1))
    }

    /// Whether it may go on with what clients have begun with it.
    pub(crate) fn keeps_its_own(&self) -> bool {
        matches!(self.state().availability, Availability::Up | Availability::Drain)
    }

    /// Requests that it has now.
    pub(crate) fn busy(&self) -> u32 {
        self.busy.load(SeqCst)
    }

    /// Most that it may have: the less of what the settings and its agent say.
    pub(crate) fn limit(&self) -> Option<u32> {
        let said = self.state().max_connections;
        [self.settings.max_connections, said].into_iter().flatten().min()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.limit().is_none_or(|limit| self.busy() < limit)
    }

    /// Gives it a request, if it has room.
    pub(crate) fn take(self: &Arc<Self>, queue: &Arc<Queue>) -> Option<Lease> {
        match self.limit() {
            None => _ = self.busy.fetch_add(1, SeqCst),
            Some(limit) => {
                let more = |busy: u32| (busy < limit).then_some(busy + 1);
                self.busy.try_update(SeqCst, SeqCst, more).ok()?;
            }
        }
        self.counters.requests.fetch_add(1, Relaxed);
        Some(Lease { server: self.clone(), queue: queue.clone() })
    }
}
