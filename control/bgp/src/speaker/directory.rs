//! All peers, by name: those that are wanted run, those that are not end.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinSet};
use tracing::{debug, warn};

use crate::board::{Board, PeerId};
use crate::message::cease;
use crate::peer::{Ending, Order, Peer, Process};
use crate::settings::{Neighbor, Password, Wanted};
use crate::socket;

/// Connections that wait for a peer to take them.
const WAITING: usize = 4;

/// The peers that run.
#[derive(Debug)]
pub(super) struct Directory {
    process: Process,
    board: Arc<Board>,
    running: BTreeMap<String, Running>,
    tasks: JoinSet<()>,
    names: HashMap<task::Id, PeerId>,
    /// Keys that the listeners have.
    keys: BTreeMap<IpAddr, Password>,
    started: u64,
}

#[derive(Debug)]
struct Running {
    number: u64,
    neighbor: Arc<Neighbor>,
    orders: watch::Sender<Order>,
    incoming: mpsc::Sender<TcpStream>,
}

impl Directory {
    pub(super) fn new(process: Process, board: Arc<Board>) -> Self {
        Self {
            process,
            board,
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            keys: BTreeMap::new(),
            started: 0,
        }
    }

    /// Makes this all that is wanted.
    pub(super) fn set(&mut self, generation: u64, wanted: &Wanted, listeners: &[TcpListener]) {
        let by_name: BTreeMap<&str, _> =
            wanted.neighbors.iter().map(|peer| (peer.neighbor.name.as_str(), peer)).collect();
        if by_name.len() < wanted.neighbors.len() {
            warn!("neighbors of one name: the last one of each is served");
        }
        self.running.retain(|name, running| {
            let subcode = match by_name.get(name.as_str()) {
                Some(peer) if peer.neighbor == running.neighbor => return true,
                Some(_) => Ending::Cease(cease::OTHER_CONFIGURATION_CHANGE),
                None => Ending::Withdraw(cease::PEER_DECONFIGURED),
            };
            running.orders.send_replace(Order::End(subcode));
            false
        });
        // Before anybody connects: a SYN without the right signature is dropped.
        self.set_keys(by_name.values().map(|peer| &*peer.neighbor), listeners);

        for (name, peer) in by_name {
            let order = Order::Serve {
                generation,
                routes: Arc::clone(&peer.routes),
                settled: wanted.settled,
            };
            match self.running.get(name) {
                Some(running) => {
                    running.orders.send_replace(order);
                }
                None => self.start(generation, &peer.neighbor, order),
            }
        }
        // Who comes later is told nothing of a restart that is over.
        self.process.restarted &= !wanted.settled;
        self.board.hand_out(generation);
    }

    /// Gives a connection to the peer whose it is.
    pub(super) fn hand_over(&self, stream: TcpStream, from: SocketAddr) {
        let mut running = self.running.values();
        let Some(running) = running.find(|running| socket::is_from(from, &running.neighbor)) else {
            debug!(%from, "a connection of no neighbor is refused");
            return;
        };
        if running.incoming.try_send(stream).is_err() {
            debug!(%from, "too many connections at once");
        }
    }

    /// Waits until a peer has panicked, and gives its name. It is not running any more.
    pub(super) async fn panicked(&mut self) -> String {
        loop {
            let (task, panicked) = match self.tasks.join_next_with_id().await {
                Some(Ok((task, ()))) => (task, false),
                Some(Err(error)) => (error.id(), error.is_panic()),
                None => return std::future::pending().await,
            };
            let Some(id) = self.names.remove(&task) else { continue };
            if panicked {
                if self.running.get(&id.name).is_some_and(|r| r.number == id.number) {
                    self.running.remove(&id.name);
                }
                return id.name;
            }
        }
    }

    /// Ends all peers, and waits for them.
    pub(super) async fn end(mut self, ending: Ending) {
        for running in self.running.values() {
            running.orders.send_replace(Order::End(ending));
        }
        if ending == Ending::Silent {
            // Also those that are still taking their leave: the process wants to go.
            self.running.clear();
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, generation: u64, neighbor: &Arc<Neighbor>, order: Order) {
        self.started += 1;
        let id = PeerId { name: neighbor.name.clone(), number: self.started };
        let (orders, orders_there) = watch::channel(order);
        let (incoming, incoming_there) = mpsc::channel(WAITING);
        self.board.enter(id.clone(), generation);
        let peer = Peer::new(
            id.clone(),
            Arc::clone(neighbor),
            self.process,
            Arc::clone(&self.board),
            orders_there,
            incoming_there,
        );
        let task = self.tasks.spawn(peer.run()).id();
        let running =
            Running { number: id.number, neighbor: Arc::clone(neighbor), orders, incoming };
        self.running.insert(id.name.clone(), running);
        self.names.insert(task, id);
    }

    /// Brings the listeners' keys up to date.
    fn set_keys<'a>(
        &mut self,
        neighbors: impl Iterator<Item = &'a Neighbor>,
        listeners: &[TcpListener],
    ) {
        let wanted: BTreeMap<IpAddr, Password> =
            neighbors.filter_map(|n| Some((n.address, n.password.clone()?))).collect();
        let gone = self.keys.keys().filter(|address| !wanted.contains_key(address));
        let gone = gone.map(|&address| (address, None));
        let new = wanted.iter().filter(|(address, key)| self.keys.get(address) != Some(key));
        let new = new.map(|(&address, key)| (address, Some(key)));
        for (address, key) in gone.chain(new) {
            for listener in listeners {
                let family = listener.local_addr().map(|local| local.is_ipv4());
                if family.ok() != Some(address.is_ipv4()) {
                    continue;
                }
                if let Err(error) = socket::set_md5(listener, address, key) {
                    warn!(%address, %error, "TCP-MD5 cannot be set up for connections from there");
                }
            }
        }
        self.keys = wanted;
    }
}
