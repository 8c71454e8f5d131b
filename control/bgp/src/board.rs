//! Where peers write down how they are, for whoever wants to know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::status::SessionStatus;

/// Statuses are made known at most so often: a peer that sends a full table changes a counter a
/// thousand times a second.
const PAUSE: Duration = Duration::from_millis(10);

/// The statuses of all peers, and how far each has come.
#[derive(Debug)]
pub(crate) struct Board {
    entries: Mutex<Entries>,
    changed: Notify,
    statuses: watch::Sender<Arc<Vec<SessionStatus>>>,
    flushed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Entries {
    /// The generation of what is wanted that has been handed to the peers.
    handed_out: u64,
    peers: BTreeMap<PeerId, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Nothing of a peer that ends.
    status: Option<SessionStatus>,
    /// The generation of what is wanted that is on its sockets.
    flushed: u64,
}

/// Tells peers apart, also those of one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerId {
    /// The neighbor's name.
    pub name: String,
    /// Which of that name.
    pub number: u64,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::default(),
            changed: Notify::new(),
            statuses: watch::Sender::default(),
            flushed: watch::Sender::default(),
        }
    }

    /// All statuses, by name, as they were made known last.
    pub(crate) fn statuses(&self) -> watch::Receiver<Arc<Vec<SessionStatus>>> {
        self.statuses.subscribe()
    }

    /// All statuses, by name, as they are.
    pub(crate) fn now(&self) -> Vec<SessionStatus> {
        self.entries.lock().peers.values().filter_map(|entry| entry.status.clone()).collect()
    }

    /// The generation of what is wanted that is on the sockets of all established sessions.
    pub(crate) fn flushed(&self) -> watch::Receiver<u64> {
        self.flushed.subscribe()
    }

    /// Everything of this generation has been handed to the peers.
    pub(crate) fn hand_out(&self, generation: u64) {
        self.update(|entries| entries.handed_out = generation);
    }

    /// A peer begins; it has to do with nothing before this generation.
    pub(crate) fn enter(&self, id: PeerId, generation: u64) {
        let entry = Entry { status: None, flushed: generation.saturating_sub(1) };
        self.update(|entries| entries.peers.insert(id, entry));
    }

    /// A peer is gone.
    pub(crate) fn leave(&self, id: &PeerId) {
        self.update(|entries| entries.peers.remove(id));
        self.changed.notify_one();
    }

    /// How a peer is; nothing if it ends.
    pub(crate) fn set_status(&self, id: &PeerId, status: Option<SessionStatus>) {
        if let Some(entry) = self.entries.lock().peers.get_mut(id) {
            entry.status = status;
        }
        self.changed.notify_one();
    }

    /// How far a peer has come.
    pub(crate) fn set_flushed(&self, id: &PeerId, generation: u64) {
        self.update(|entries| {
            if let Some(entry) = entries.peers.get_mut(id) {
                entry.flushed = generation;
            }
        });
    }

    fn update<T>(&self, change: impl FnOnce(&mut Entries) -> T) {
        let flushed = {
            let mut entries = self.entries.lock();
            change(&mut entries);
            let peers = entries.peers.values().map(|entry| entry.flushed);
            peers.fold(entries.handed_out, u64::min)
        };
        self.flushed.send_if_modified(|known| {
            let news = *known != flushed;
            *known = flushed;
            news
        });
    }

    /// Makes the statuses known, as they change.
    pub(crate) async fn publish(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            self.publish_once();
            sleep(PAUSE).await;
        }
    }

    fn publish_once(&self) {
        self.statuses.send_replace(Arc::new(self.now()));
    }
}
