//! The nodes' next hops, as the kernel sees them: its routes say which neighbor a packet is handed
//! to, its neighbors say at which link address.
//!
//! Events only say *that* something changed; what is then so is asked for. So a lost event, a burst
//! of them or a change in between cost at most a second question, never a wrong answer.

mod events;
mod hop;
mod keep;
mod kernel;
mod memory;
mod netlink;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, SendError, Sender, select, unbounded};

use events::{Change, Events};
use keep::Keeper;
use kernel::{Links, NeighborKey, Neighbors, Resolve, Way};
use netlink::{Error, Netlink};

pub(crate) use memory::{Memory, keep_without_carrier};

/// Where packets to a node are to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    /// By this port, to this link address.
    Reachable {
        /// Position of the interface among those that are followed: the port it belongs to.
        port: usize,
        /// Link address of the next hop.
        mac: [u8; 6],
        /// Longest IP packet, in bytes.
        mtu: u16,
    },
    /// By this port, but the next hop's link address is not known (yet).
    Unresolved {
        /// As above.
        port: usize,
        /// As above.
        mtu: u16,
        /// Whose link address is looked for.
        next_hop: IpAddr,
    },
    /// Nowhere, and why.
    NoRoute(String),
}

/// The next hop of every node address.
pub(crate) type Hops = BTreeMap<IpAddr, Hop>;

/// Changes that come together are answered together.
const SETTLE: Duration = Duration::from_millis(10);
/// Everything is asked for this often even if nothing is heard: a path MTU that expires and an IPv4
/// route that goes with its interface have no event.
const REFRESH: Duration = Duration::from_secs(1);

/// Follows the kernel's routes and neighbors.
pub(crate) struct Follower {
    /// Names of the interfaces by which packets may leave. They may come and go.
    interfaces: Vec<String>,
    targets: BTreeSet<IpAddr>,
    netlink: Netlink,
    links: Links,
    ways: BTreeMap<IpAddr, Way>,
    neighbors: Neighbors,
    keeper: Keeper,
    /// [`REFRESH`], but for tests.
    refresh: Duration,
    /// When all was asked for last.
    refreshed: Instant,
    told: Option<Hops>,
}

impl Follower {
    /// Starts a thread that sends the next hops of the newest of `targets` to `changes`: all of them,
    /// whenever one differs. `interfaces` are the exception interfaces, in the order of their ports.
    /// It ends when either channel does.
    ///
    /// # Errors
    /// The kernel gives no netlink socket, or no thread.
    pub(crate) fn spawn(
        interfaces: Vec<String>,
        targets: Receiver<Vec<IpAddr>>,
        changes: Sender<Hops>,
    ) -> io::Result<JoinHandle<()>> {
        Self::spawn_with(Resolve::Managed, REFRESH, interfaces, targets, changes)
    }

    fn spawn_with(
        how: Resolve,
        refresh: Duration,
        interfaces: Vec<String>,
        targets: Receiver<Vec<IpAddr>>,
        changes: Sender<Hops>,
    ) -> io::Result<JoinHandle<()>> {
        // Before the first question, so that no change falls between the two.
        let events = Events::open()?;
        let follower = Self {
            interfaces,
            targets: BTreeSet::new(),
            netlink: Netlink::open()?,
            links: Links::new(),
            ways: BTreeMap::new(),
            neighbors: Neighbors::new(),
            keeper: Keeper::new(how),
            refresh,
            refreshed: Instant::now(),
            told: None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        // Unbounded, so that a burst lies there whole when it is looked at: a byte for each event.
        let (heard, hears) = unbounded();
        let stopped = Arc::clone(&stop);
        let watcher = thread::Builder::new()
            .name("neighbor-events".into())
            .spawn(move || events.watch(&heard, &stopped))?;
        thread::Builder::new().name("neighbor".into()).spawn(move || {
            follower.follow(&targets, &hears, &changes);
            stop.store(true, Relaxed);
            if watcher.join().is_err() {
                tracing::error!("the thread of routes' and neighbors' events has panicked");
            }
        })
    }

    fn follow(
        mut self,
        targets: &Receiver<Vec<IpAddr>>,
        heard: &Receiver<Change>,
        changes: &Sender<Hops>,
    ) {
        let Ok(first) = targets.recv() else { return };
        self.targets = first.into_iter().collect();
        let mut change = Change::Routes;
        loop {
            // After a failure the next question is the whole one again.
            change = match self.update(change) {
                Ok(hops) => {
                    if self.tell(hops, changes).is_err() {
                        break;
                    }
                    Change::Neighbors
                }
                Err(error) => {
                    tracing::warn!(%error, "routes and neighbors not read; trying again");
                    self.reopen();
                    Change::Routes
                }
            };
            select! {
                recv(targets) -> list => match list {
                    Ok(list) => {
                        self.targets = list.into_iter().collect();
                        change = Change::Routes;
                    }
                    Err(_) => break,
                },
                recv(heard) -> heard => match heard {
                    Ok(heard) => {
                        change = change.max(heard);
                        thread::sleep(SETTLE);
                    }
                    // There are no more, and that was told: the refreshes go on.
                    Err(_) => thread::sleep(self.refresh),
                },
                default(self.refresh.saturating_sub(self.refreshed.elapsed())) => {}
            }
            change = heard.try_iter().fold(change, Change::max);
            if self.refreshed.elapsed() >= self.refresh {
                change = Change::Routes;
            }
        }
        if let Err(error) = self.keeper.release_all(&self.neighbors, &mut self.netlink) {
            tracing::debug!(%error, "neighbors not released");
        }
    }

    /// Asks for what changed, and has resolved what is not.
    fn update(&mut self, change: Change) -> Result<Hops, Error> {
        match change {
            Change::Neighbors => {}
            Change::Routes => {
                self.refreshed = Instant::now();
                let links = self.netlink.links()?;
                let netlink = &mut self.netlink;
                let ways = self.targets.iter().map(|target| Ok((*target, netlink.way(*target)?)));
                self.ways = ways.collect::<Result<_, Error>>()?;
                self.links = links;
            }
        }
        self.neighbors = self.netlink.neighbors()?;
        let wanted = self.ways.values();
        let wanted = wanted.filter_map(|way| hop::next_hop(way, &self.links, &self.interfaces));
        let wanted: BTreeSet<NeighborKey> = wanted.collect();
        self.keeper.keep(&wanted, &self.neighbors, &mut self.netlink, Instant::now())?;

        let hop = |way| hop::hop(way, &self.links, &self.neighbors, &self.interfaces);
        Ok(self.ways.iter().map(|(target, way)| (*target, hop(way))).collect())
    }

    /// Tells the next hops if they differ from those told last.
    fn tell(&mut self, hops: Hops, changes: &Sender<Hops>) -> Result<(), SendError<Hops>> {
        if self.told.as_ref() == Some(&hops) {
            return Ok(());
        }
        self.told = Some(hops.clone());
        changes.send(hops)
    }

    /// A new conversation: in the old one, answers may be missing.
    fn reopen(&mut self) {
        match Netlink::open() {
            Ok(netlink) => self.netlink = netlink,
            Err(error) => tracing::warn!(%error, "no netlink socket; keeping the old one"),
        }
    }
}

#[cfg(test)]
mod tests;
