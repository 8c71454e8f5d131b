//! A Snapshot as the workers use it: immutable, shared, replaced as a whole.

use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;
use api::{HashKey, Release, Snapshot, State};
use hashbrown::HashMap;

use crate::balance::{Balance, Key, names};
use crate::cells::{Cell, CellNumbers};
use crate::connection::{Idle, Kind};
use crate::hash::Hasher;
use crate::lpm::Lpm;
use crate::maglev::Maglev;
use crate::service::{Member, Service, Vips};
use crate::tick::Tick;
use crate::validate::{MAX_NODE, problems};

/// What a Snapshot says, ready for the workers.
#[derive(Debug)]
pub struct Tables {
    /// Its number.
    pub generation: u64,
    /// The site's flow hash.
    pub hasher: Hasher,
    /// Which packets are for which service.
    pub vips: Vips,
    /// The services, in the Snapshot's order.
    pub services: Vec<Service>,
    /// The L7 nodes, by index.
    pub nodes: Vec<Option<Node>>,
    /// This node's own addresses.
    pub own: Vec<IpAddr>,
    /// Prefixes that outer sources are out of, if they vary.
    pub tunnel_sources: Vec<api::Prefix>,
    /// Rates above which packets are dropped.
    pub limits: api::Limits,
    /// How long connections are remembered.
    pub idle: Idle,
    /// The longest of these times, in ticks.
    pub longest_idle: u32,
    /// Of every pair there was: connections outlive their node's membership, and are closed in the
    /// cell in which they were opened.
    cells: CellNumbers,
    routers: Lpm<()>,
    management: Lpm<()>,
    /// First port, last port, node; by first port.
    probes: Vec<(u16, u16, u16)>,
}

/// An L7 node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where it takes tunnelled packets.
    pub addresses: Vec<IpAddr>,
}

/// What the tables need from outside to number things.
pub struct Numbers<'a> {
    /// The number of a service, by its name, for the life of the connection table. `None` if there
    /// are no more numbers.
    pub service: &'a mut dyn FnMut(&str) -> Option<u16>,
    /// Cells of service and node.
    pub cells: &'a mut CellNumbers,
}

impl Tables {
    /// The tables of `snapshot`. Maglev tables that `previous` has already are shared with it.
    ///
    /// # Errors
    /// Everything that is wrong with the Snapshot.
    pub fn build(
        snapshot: &Snapshot,
        key: HashKey,
        previous: Option<&Self>,
        numbers: &mut Numbers<'_>,
        now: Tick,
    ) -> Result<Self, Vec<String>> {
        let problems = problems(snapshot);
        if !problems.is_empty() {
            return Err(problems);
        }
        let hasher = Hasher::new(key.bytes());
        let previous = previous.filter(|p| p.hasher.fingerprint() == hasher.fingerprint());
        let mut balances = Balances::new(previous);
        let names = names(&snapshot.nodes);
        let mut services = Vec::with_capacity(snapshot.services.len());
        for service in &snapshot.services {
            let index = (numbers.service)(&service.name).ok_or_else(|| {
                vec![format!("service {}: there are too many services", service.name)]
            })?;
            let key = Key::of(service, &names);
            let before = previous.and_then(|previous| previous.balance_before(service));
            let balance = balances.balance(key, before, &hasher, now);
            services.push(build(service, index, balance, numbers.cells));
        }
        let mut nodes = vec![None; usize::from(MAX_NODE) + 1];
        for node in &snapshot.nodes {
            nodes[usize::from(node.index)] =
                Some(Node { name: node.name.clone(), addresses: node.addresses.clone() });
        }
        let mut probes: Vec<_> = snapshot
            .nodes
            .iter()
            .filter_map(|node| node.probe_ports.map(|p| (p.first, p.last, node.index)))
            .collect();
        probes.sort_unstable();
        Ok(Self {
            generation: snapshot.generation,
            hasher,
            vips: Vips::new(&snapshot.services),
            services,
            nodes,
            own: snapshot.addresses.clone(),
            tunnel_sources: snapshot.tunnel_sources.clone(),
            limits: snapshot.limits,
            idle: Idle::new(&snapshot.idle),
            longest_idle: Tick::count(snapshot.idle.longest()),
            cells: numbers.cells.clone(),
            routers: Lpm::new(routers(snapshot).map(|prefix| (prefix, ()))),
            management: Lpm::new(snapshot.management.iter().map(|&prefix| (prefix, ()))),
            probes,
        })
    }

    /// The Maglev table that the service had: of the same name and first VIP, or else of the name.
    fn balance_before(&self, service: &api::Service) -> Option<&Arc<Balance>> {
        let named = || self.services.iter().filter(|before| before.name == service.name);
        let same_vip = named().find(|before| service.vips.first() == Some(&before.first_vip));
        same_vip.or_else(|| named().next())?.balance.as_ref()
    }

    /// Where the traffic of a service's node is counted, in this Snapshot or an earlier one.
    pub fn cell(&self, service: u16, node: u16) -> Cell {
        self.cells.get(service, node).unwrap_or(Cell::OVERFLOW)
    }

    /// The L7 node of this index.
    pub fn node(&self, index: u16) -> Option<&Node> {
        self.nodes.get(usize::from(index))?.as_ref()
    }

    /// The node that probes from this source port are for.
    pub fn probed(&self, port: u16) -> Option<u16> {
        let next = self.probes.partition_point(|&(first, ..)| first <= port);
        let &(_, last, node) = self.probes.get(next.checked_sub(1)?)?;
        (port <= last).then_some(node)
    }

    /// Whether a router of the site has this address.
    pub fn is_router(&self, address: IpAddr) -> bool {
        self.routers.lookup(address).is_some()
    }

    /// Whether operators come from this address.
    pub fn is_management(&self, address: IpAddr) -> bool {
        self.management.lookup(address).is_some()
    }

    /// Whether packets may have been tunnelled from this address.
    pub(crate) fn is_tunnel_source(&self, address: IpAddr) -> bool {
        self.own.contains(&address) || self.is_spare_source(address)
    }

    /// Whether this address is there to be an outer source, and for nothing else.
    pub(crate) fn is_spare_source(&self, address: IpAddr) -> bool {
        self.tunnel_sources.iter().any(|prefix| prefix.contains(address))
            && !self.own.contains(&address)
    }

    /// The address that packets of this family are tunnelled to, and the one they are tunnelled from:
    /// over their own family where both ends have it, else over the other.
    pub fn tunnel(&self, node: u16, ipv6: bool) -> Option<(IpAddr, IpAddr)> {
        let node = self.node(node)?;
        [ipv6, !ipv6].into_iter().find_map(|family| {
            let of_family = |a: &&IpAddr| a.is_ipv6() == family;
            let to = node.addresses.iter().find(of_family)?;
            let from = self.own.iter().find(of_family)?;
            Some((*from, *to))
        })
    }
}

/// Tables that services may share: built once for each set of nodes.
struct Balances {
    tables: HashMap<Key, Option<Arc<Maglev>>, RandomState>,
    /// Those of one set of nodes that took the place of one table have one history.
    balances: HashMap<(Key, Option<usize>), Option<Arc<Balance>>, RandomState>,
}

impl Balances {
    /// What is in use already is not built again.
    fn new(previous: Option<&Tables>) -> Self {
        let services = previous.iter().flat_map(|previous| &previous.services);
        let known = services.filter_map(|service| service.balance.as_ref());
        let tables = known.map(|b| (b.key().clone(), Some(b.maglev.clone()))).collect();
        Self { tables, balances: HashMap::default() }
    }

    fn balance(
        &mut self,
        key: Key,
        before: Option<&Arc<Balance>>,
        hasher: &Hasher,
        now: Tick,
    ) -> Option<Arc<Balance>> {
        let table = self.tables.entry(key.clone()).or_insert_with_key(|key| key.maglev(hasher));
        let identity = before.map(|before| Arc::as_ptr(before) as usize);
        self.balances
            .entry((key, identity))
            .or_insert_with_key(|(key, _)| Balance::build(key, table.clone(), before, now))
            .clone()
    }
}

/// Who speaks BGP or BFD with this node.
fn routers(snapshot: &Snapshot) -> impl Iterator<Item = api::Prefix> {
    let speakers = snapshot.bfd.iter().map(|session| session.remote.into());
    snapshot.routers.iter().copied().chain(speakers)
}

fn build(
    service: &api::Service,
    index: u16,
    balance: Option<Arc<Balance>>,
    cells: &mut CellNumbers,
) -> Service {
    let size = service.nodes.iter().map(|member| usize::from(member.node) + 1).max().unwrap_or(0);
    let mut members = vec![Member::NONE; size].into_boxed_slice();
    for member in &service.nodes {
        let release = match (member.state, member.release) {
            (State::Down | State::Maintenance, Release::At(ms)) => {
                Tick::from_boot_ms(ms.saturating_add(Tick::MILLIS - 1))
            }
            (State::Down | State::Maintenance, Release::Never)
            | (State::Up | State::Joining | State::Drain, _) => Tick::NEVER,
        };
        let cell: Cell = cells.number(index, member.node);
        members[usize::from(member.node)] = Member { release, cell };
    }
    let listed = |prefixes: &[api::Prefix], served| {
        prefixes.iter().map(move |&prefix| (prefix, served)).collect::<Vec<_>>()
    };
    let sources = (!service.allow.is_empty() || !service.deny.is_empty()).then(|| {
        // Without an allow-list everybody who is not denied is served. An address in both lists
        // with one length is denied: the later entry wins.
        let everybody = ["0.0.0.0/0", "::/0"].map(|p| p.parse().expect("a prefix of length 0"));
        let rest = if service.allow.is_empty() { listed(&everybody, true) } else { Vec::new() };
        Lpm::new([rest, listed(&service.allow, true), listed(&service.deny, false)].concat())
    });
    let short_way =
        if service.track && sources.is_none() { Kind::service(index) } else { Kind::NONE };
    Service {
        index,
        short_way,
        name: service.name.clone(),
        first_vip: service.vips[0],
        hash: service.hash,
        track: service.track,
        balance,
        members,
        sources,
        source_limit: service.source_limit,
        answer_unknown: service.answer_unknown,
    }
}

#[cfg(test)]
mod tests;
