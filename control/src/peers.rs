//! This node among the site's others: what it tells them, and what it makes of what they tell.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use admin::{DnsNodeStatus, Entry, NodeStatus, PeerStatus, States};
use config::Config;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::announce;
use crate::args::Role;
use crate::clock::{millis, unix_ms};
use crate::peer::{
    Counter, Counters, Directory, Gossip, Heard, Identity, IdentityError, Limits, ListenError,
    Listener, Node, Pace, Peer, Persistence, Server, differences, serve,
};
use crate::respond;
use crate::serve as l7;
use crate::site::Member;
use crate::states::{Store, Trust};

/// How long before a certificate ends an alarm says so: two weeks.
const RENEW: std::time::Duration = std::time::Duration::from_hours(14 * 24);

/// Why this node cannot speak with the others.
#[derive(Debug, Error)]
pub enum PeersError {
    /// Its certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There are too few descriptors.
    #[error("the port for other nodes: {0}")]
    Copies(io::Error),
}

/// What others are told, and who takes in what they say.
#[derive(Debug)]
pub struct Voice {
    store: Arc<Store>,
    said: Mutex<Said>,
    learned: mpsc::UnboundedSender<()>,
}

#[derive(Debug, Default)]
struct Said {
    status: PeerStatus,
    known: Subjects,
}

/// What others may speak of.
#[derive(Debug, Default)]
pub struct Subjects {
    /// Names of nodes of the site, and words about what is theirs.
    pub names: BTreeSet<String>,
    /// Words to nodes that serve zones, too.
    pub of_zones: bool,
}

impl Subjects {
    /// Those of L4 and L7 nodes.
    pub fn of(config: &Config) -> Self {
        let l4 = config.l4.iter().map(|node| node.name.clone());
        let l7 = config.l7.iter().map(|node| node.name.clone());
        let words = announce::words(config).chain(l7::words(config, None));
        Self { names: l4.chain(l7).chain(words).collect(), of_zones: false }
    }

    fn has(&self, subject: &str, entry: &Entry) -> bool {
        self.names.contains(subject)
            || self.of_zones && respond::is_worth_keeping(subject, entry, unix_ms())
    }
}

impl Node for Voice {
    fn status(&self) -> PeerStatus {
        let status = self.said.lock().status.clone();
        PeerStatus { states: self.store.states(), ..status }
    }

    fn learn(&self, from: &str, states: &States) {
        let merged = {
            let said = self.said.lock();
            let known = |subject: &str, entry: &Entry| said.known.has(subject, entry);
            self.store.merge(states, &Trust { known: &known, now_ms: unix_ms() })
        };
        for (node, reason) in &merged.refused {
            tracing::warn!(from, node, %reason, "a node state was not taken over");
        }
        if !merged.changed.is_empty() {
            tracing::info!(from, nodes = ?merged.changed, "node states learned");
            // Nobody listens once the process stops.
            let _ = self.learned.send(());
        }
    }
}

/// The other nodes, as far as the site file lets them speak with this one. They are not listened to any
/// more once it is dropped.
#[derive(Debug)]
pub struct Peers {
    voice: Arc<Voice>,
    identity: Arc<Identity>,
    /// Copies of those that it listens at.
    sockets: BTreeMap<SocketAddr, TcpListener>,
    directory: watch::Sender<Arc<Directory>>,
    /// Asks them.
    pub gossip: Arc<Gossip<Voice>>,
    heard: watch::Receiver<BTreeMap<String, Heard>>,
    lasting: BTreeMap<String, Persistence>,
    counters: Arc<Counters>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Peers {
    /// Listens and asks from now on; nothing if the file has no `peer_port`. `learned` is told when
    /// node states came from another node; listeners of an older process are taken out of `inherited`.
    ///
    /// # Errors
    /// The certificate or the port cannot be used.
    pub fn start(
        own: Member<'_>,
        store: Arc<Store>,
        learned: mpsc::UnboundedSender<()>,
        inherited: &mut BTreeMap<SocketAddr, TcpListener>,
    ) -> Result<Option<Self>, PeersError> {
        let (Some(peering), Some(directory)) =
            (&own.config.site.peering, Directory::of(own.config, own.name, own.role))
        else {
            return Ok(None);
        };
        let identity = Arc::new(Identity::load(peering, own.name)?);
        let port = own.role.peer_port(peering);
        let addresses: Vec<_> =
            own.addresses.iter().map(|&address| SocketAddr::new(address, port)).collect();
        let listener = Listener::inherit(&addresses, inherited)?;
        let sockets = listener.sockets().map_err(PeersError::Copies)?;
        let voice = Arc::new(Voice { store, said: Mutex::default(), learned });
        let counters = Arc::new(Counters::default());
        let (directory, seen) = watch::channel(Arc::new(directory));
        let server = Server {
            identity: identity.clone(),
            directory: seen.clone(),
            node: voice.clone(),
            limits: Limits::default(),
            counters: counters.clone(),
        };
        let mut tasks = vec![tokio::spawn(serve(listener, server)).abort_handle()];
        let gossip =
            Gossip::new(identity.clone(), seen, voice.clone(), counters.clone(), Pace::default());
        // An L7 node is told, and asks nobody.
        if own.role != Role::L7 {
            tasks.push(tokio::spawn(gossip.clone().run()).abort_handle());
        }
        let heard = gossip.heard();
        let lasting = BTreeMap::new();
        Ok(Some(Self {
            voice,
            identity,
            sockets,
            directory,
            gossip,
            heard,
            lasting,
            counters,
            tasks,
        }))
    }

    /// Copies of the sockets at which others call, for another process.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn sockets(&self) -> io::Result<BTreeMap<SocketAddr, TcpListener>> {
        self.sockets.iter().map(|(&address, one)| Ok((address, one.try_clone()?))).collect()
    }

    /// Another site file is in force.
    pub fn follow(&self, own: Member<'_>) {
        if let Some(directory) = Directory::of(own.config, own.name, own.role) {
            self.directory.send_replace(Arc::new(directory));
        }
    }

    /// Reads the certificate again: it may have been renewed.
    ///
    /// # Errors
    /// What is wrong with the new one; the old one stays in use.
    pub fn renew(&self) -> Result<(), IdentityError> {
        self.identity.reload()
    }

    /// What others are told from now on; node states apart, which are the store's.
    pub fn tell(&self, known: Subjects, status: PeerStatus) {
        *self.voice.said.lock() = Said { status, known };
    }

    /// Remembers which differences last.
    pub fn compare(&mut self) {
        let mine = self.voice.status();
        let now = Instant::now();
        let heard = self.heard.borrow_and_update();
        self.lasting.retain(|name, _| heard.contains_key(name));
        let directory = self.directory.borrow();
        for (name, heard) in heard.iter().filter(|(name, _)| directory.is_believed(name)) {
            if let Some((theirs, _)) = &heard.status {
                let lasting = self.lasting.entry(name.clone()).or_default();
                lasting.observe(&differences(&mine, theirs), now);
            }
        }
    }

    /// Waits until another node was heard of.
    pub async fn changed(&mut self) {
        // The sender lives as long as the gossip, which is ours.
        let _ = self.heard.changed().await;
    }

    /// Puts what is known of other nodes into a status: of L7 nodes, which need not run control, of
    /// those that do.
    pub fn describe(&self, nodes: &mut [NodeStatus]) {
        let mine = self.voice.status();
        let (heard, now) = (self.heard.borrow(), Instant::now());
        for node in nodes {
            let Some(role) = self.directory.borrow().peer(&node.name).map(|peer| peer.role) else {
                continue;
            };
            let known = heard.get(&node.name);
            if role == Role::L7 && known.is_none_or(|heard| heard.status.is_none()) {
                continue;
            }
            let Some(heard) = known else {
                node.peer_error = Some("not asked yet".into());
                continue;
            };
            node.peer_error.clone_from(&heard.error);
            let Some((theirs, at)) = &heard.status else { continue };
            node.peer_age_ms = Some(millis(now.saturating_duration_since(*at)));
            // In what they differ is told below; whole, they are long.
            node.peer = Some(PeerStatus { tables: None, ..PeerStatus::clone(theirs) });
            if role == Role::L7 {
                continue;
            }
            let mut lasting = self.lasting.get(&node.name).cloned().unwrap_or_default();
            node.differences = lasting.observe(&differences(&mine, theirs), now);
        }
    }

    /// The other nodes that serve zones, as they told of themselves.
    pub fn of_zones(&self) -> Vec<DnsNodeStatus> {
        let (heard, now) = (self.heard.borrow(), Instant::now());
        let directory = self.directory.borrow();
        let one = |peer: &Peer| {
            let known = heard.get(&peer.name);
            let said = known.and_then(|heard| heard.status.as_ref());
            DnsNodeStatus {
                name: peer.name.clone(),
                program: said.map(|(status, _)| status.program.clone()),
                age_ms: said.map(|(_, at)| millis(now.saturating_duration_since(*at))),
                error: match known {
                    Some(heard) => heard.error.clone(),
                    None => Some("not asked yet".into()),
                },
            }
        };
        directory.peers.iter().map(one).collect()
    }

    /// What an operator should know of the certificate.
    pub fn alarm(&self) -> Option<String> {
        let soon = SystemTime::now() + RENEW;
        match (self.identity.verify_at(SystemTime::now()), self.identity.verify_at(soon)) {
            (Err(unfit), _) => Some(format!("this node's certificate: {unfit}")),
            (Ok(()), Err(unfit)) => {
                Some(format!("this node's certificate, two weeks from now: {unfit}"))
            }
            (Ok(()), Ok(())) => None,
        }
    }

    /// What became of those who called: name and count.
    pub fn counters(&self) -> impl Iterator<Item = (String, u64)> {
        Counter::ALL
            .iter()
            .map(|&counter| (format!("peer_{}", counter.name()), self.counters.get(counter)))
    }
}
