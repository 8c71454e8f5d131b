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

/// What tells a server apart in its pool, on every node and after every restart.
pub(crate) type ServerId = u64;

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: settings::Server,
    pub(crate) id: ServerId,
    /// Tells connections to it apart from all others that this process has had, also from those to one of
    /// its name at another address, or without TLS.
    pub(crate) serial: u64,
    live: Arc<Live>,
}

/// What changes without the settings. A server whose weight or limit is changed goes on with it.
#[derive(Debug)]
struct Live {
    state: AtomicU64,
    /// When it came back, in milliseconds since [`EPOCH`]; 0 if it was there from the first.
    back: AtomicU64,
    busy: AtomicU32,
    counters: Counters,
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
    server: Arc<Live>,
    queue: Arc<Queue>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.busy.fetch_sub(1, SeqCst);
        self.queue.freed();
    }
}

impl Server {
    /// One that nobody knew.
    pub(super) fn new(settings: &settings::Server) -> Arc<Self> {
        // Without a key of its own: every node and process has to come to the same.
        let mut hasher = SipHasher13::new();
        settings.name.hash(&mut hasher);
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            settings: settings.clone(),
            id: hasher.finish(),
            serial: SERIAL.fetch_add(1, Relaxed),
            live: Arc::new(Live {
                state: AtomicU64::new(ServerState::default().pack()),
                back: AtomicU64::new(0),
                busy: AtomicU32::new(0),
                counters: Counters::default(),
            }),
        })
    }

    /// The same with other settings. Elsewhere it is another: what is thought of it stays, until its checks
    /// say something else, but not what it has. Connections to it are of use if they are `alike`.
    pub(super) fn with(&self, settings: &settings::Server, alike: bool) -> Arc<Self> {
        let new = Self::new(settings);
        if settings.address != self.settings.address {
            new.live.state.store(self.state().pack(), Relaxed);
            return new;
        }
        let serial =
            if alike && settings.host == self.settings.host { self.serial } else { new.serial };
        Arc::new(Self { settings: settings.clone(), id: self.id, serial, live: self.live.clone() })
    }

    /// What is counted of it.
    pub(crate) fn counters(&self) -> &Counters {
        &self.live.counters
    }

    /// What is thought of it.
    pub(crate) fn state(&self) -> ServerState {
        ServerState::unpack(self.live.state.load(Relaxed))
    }

    /// Notes what is thought of it; says whether that is news.
    pub(crate) fn set_state(&self, state: ServerState) -> bool {
        let new = state.pack();
        let before = self.live.state.swap(new, Relaxed);
        let was = ServerState::unpack(before).availability;
        if was != Availability::Up && state.availability == Availability::Up {
            self.live.back.store(EPOCH.elapsed().as_millis() as u64 + 1, Relaxed);
        }
        before != new
    }

    /// Its share, in hundredths of the configured unit: none if it takes no new requests; less than its own
    /// for a while after it came back, if it starts slowly.
    pub(crate) fn weight(&self, slow_start: Duration) -> u32 {
        let state = self.state();
        if state.availability != Availability::Up || self.settings.address.is_none() {
            return 0;
        }
        let whole = self.settings.weight.saturating_mul(state.weight_percent.into());
        let back = self.live.back.load(Relaxed);
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
            && self.settings.address.is_some()
    }

    /// Requests that it has now.
    pub(crate) fn busy(&self) -> u32 {
        self.live.busy.load(SeqCst)
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
            None => _ = self.live.busy.fetch_add(1, SeqCst),
            Some(limit) => {
                let more = |busy: u32| (busy < limit).then_some(busy + 1);
                self.live.busy.try_update(SeqCst, SeqCst, more).ok()?;
            }
        }
        self.live.counters.requests.fetch_add(1, Relaxed);
        Some(Lease { server: self.live.clone(), queue: queue.clone() })
    }
}
