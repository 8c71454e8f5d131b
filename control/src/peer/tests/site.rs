//! A site of nodes, its certificates included.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin::{Entry, PeerRequest, PeerStatus, States, Table, Tables};
use config::Peering;
use health::Admin;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::args::Role;
use crate::peer::{
    Counter, Counters, Directory, Identity, IdentityError, Limits, Listener, Node, Peer, Server,
    serve,
};
use crate::states::{Trust, merge};

/// No test takes that long; one that would fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const NOW: u64 = 1_790_000_000_000;

/// Waits for a state that comes about by itself.
pub(super) async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// A site's CA.
pub(super) struct Ca {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Ca {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "palier par1");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(super) fn issue(&self, node: &str) -> Pair {
        self.issue_with(node, |_| {})
    }

    pub(super) fn issue_with(
        &self,
        node: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = CertificateParams::new([node.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// Its time was over in 2001.
pub(super) fn expired(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
}

/// A folder of certificates, as a node has it.
pub(super) struct Pki(TempDir);

impl Pki {
    /// With the CAs that its node believes.
    pub(super) fn new(cas: &[&str]) -> Self {
        let pki = Self(tempfile::tempdir().unwrap());
        fs::write(pki.path().join("ca.pem"), cas.concat()).unwrap();
        pki
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn put(&self, node: &str, pair: &Pair) {
        fs::write(self.path().join(format!("{node}.pem")), &pair.certificate).unwrap();
        let key = self.path().join(format!("{node}.key"));
        fs::write(&key, &pair.key).unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(super) fn load(&self, node: &str) -> Result<Identity, IdentityError> {
        let peering = Peering { port: 0, pki: self.path().to_owned() };
        Identity::load(&peering, node)
    }
}

/// An identity of a node, as a CA issues it.
pub(super) fn identity(ca: &Ca, node: &str) -> Arc<Identity> {
    let pki = Pki::new(&[&ca.pem]);
    pki.put(node, &ca.issue(node));
    Arc::new(pki.load(node).unwrap())
}

/// What a node of the tests knows and tells.
#[derive(Debug)]
pub(super) struct Memory {
    name: String,
    states: Mutex<States>,
    /// The rows of its only table.
    rows: Mutex<u32>,
}

/// A node with this name is fatal to those who hear of it.
pub(super) const FATAL: &str = "l7-13";

impl Memory {
    pub(super) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.into(), states: Mutex::default(), rows: Mutex::default() })
    }

    pub(super) fn states(&self) -> States {
        self.states.lock().clone()
    }

    pub(super) fn has_a_table_of(&self, rows: u32) {
        *self.rows.lock() = rows;
    }

    pub(super) fn forget(&self) {
        self.states.lock().clear();
    }

    pub(super) fn set(&self, node: &str, version: u64, state: Admin) {
        let by = format!("uid 0 on {}", self.name);
        let entry = Entry { version, at_ms: NOW, state, by, weight: None, said: None };
        self.states.lock().insert(node.to_owned(), entry);
    }
}

impl Node for Memory {
    fn status(&self) -> PeerStatus {
        let rows = *self.rows.lock();
        let table = Arc::new(Table { rows, ..Table::default() });
        PeerStatus {
            node: self.name.clone(),
            states: self.states(),
            tables_fingerprint: rows.to_string(),
            tables: Some(Arc::new(Tables::from([("web 198.51.100.1".to_owned(), table)]))),
            ..PeerStatus::default()
        }
    }

    fn learn(&self, _from: &str, states: &States) {
        assert!(!states.contains_key(FATAL), "this panic belongs to a test");
        let known =
            |node: &str, _: &Entry| ["l4-1", "l4-2", "l4-3", "l7-1", "l7-2"].contains(&node);
        merge(&mut self.states.lock(), states, &Trust { known: &known, now_ms: NOW });
    }
}

/// A node that answers, until it is dropped.
pub(super) struct Running {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) memory: Arc<Memory>,
    pub(super) counters: Arc<Counters>,
    pub(super) identity: Arc<Identity>,
    pub(super) directory: watch::Sender<Arc<Directory>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// A node of the site l4-1, l4-2, l4-3, at both loopback addresses.
    pub(super) fn start(identity: Arc<Identity>, node: &str, limits: Limits) -> Self {
        let any = ["127.0.0.1:0", "[::1]:0"].map(|a| a.parse().unwrap());
        let listener = Listener::bind(&any).unwrap();
        let addresses = listener.addresses().unwrap();
        let (memory, counters) = (Memory::new(node), Arc::new(Counters::default()));
        let others = ["l4-1", "l4-2", "l4-3"].into_iter().filter(|name| *name != node);
        let directory = directory(node, others.map(|name| peer(name, &[])).collect());
        let directory = watch::Sender::new(directory);
        let server = Server {
            identity: Arc::clone(&identity),
            directory: directory.subscribe(),
            node: Arc::clone(&memory),
            limits,
            counters: Arc::clone(&counters),
        };
        let task = tokio::spawn(serve(listener, server));
        Self { addresses, memory, counters, identity, directory, task }
    }

    /// One with a certificate of the CA, and room for whatever tests do from one address.
    pub(super) fn of(ca: &Ca, node: &str) -> Self {
        Self::start(identity(ca, node), node, Limits { from_one: 64, ..Limits::default() })
    }

    /// As others know it.
    pub(super) fn as_peer(&self) -> Peer {
        peer(&self.memory.name, &self.addresses)
    }

    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// Waits until something was counted once, and asserts that nothing else was refused.
    pub(super) async fn refused_once(&self, counter: Counter) {
        wait_until(counter.name(), || self.count(counter) > 0).await;
        for other in Counter::ALL {
            let expected = match other {
                Counter::Connections => continue,
                other if *other == counter => 1,
                _ => 0,
            };
            assert_eq!(self.count(*other), expected, "{}", other.name());
        }
    }
}

pub(super) fn directory(node: &str, peers: Vec<Peer>) -> Arc<Directory> {
    Arc::new(Directory { node: node.into(), peers })
}

pub(super) fn peer(name: &str, addresses: &[SocketAddr]) -> Peer {
    Peer { name: name.into(), role: Role::L4, addresses: addresses.into() }
}

pub(super) fn hello(states: States) -> PeerRequest {
    PeerRequest::Hello { version: admin::VERSION, states, tables: String::new() }
}
