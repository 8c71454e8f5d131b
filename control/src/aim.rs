//! Which probes tell of which node at which VIP: a configuration's checks, aimed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use config::{Config, L4, L7, ServiceCheck};
use health::{Check, Kind, Probe, Source, Target};

/// First source port of probes. The blocks of all indexes end below 32768, where the kernel's own
/// choice of ports begins.
const FIRST_PORT: u16 = 16_384;
/// Source ports of an L7 node: as many probes of one VIP and port may follow each other before a
/// connection's addresses and ports come again.
const PORTS: u16 = 16;

/// The source ports of probes that go through the tunnel to the node with this index.
pub fn probe_ports(index: u16) -> api::ProbePorts {
    let first = FIRST_PORT + (index - 1) * PORTS;
    api::ProbePorts { first, last: first + (PORTS - 1) }
}

/// A configuration's probes, each once, and who reads which.
#[derive(Debug, Default)]
pub struct Aim {
    /// Each probe once.
    pub probes: Vec<Probe>,
    services: Vec<OfService>,
    /// Of this node itself: places in `probes`.
    pub own: Vec<u32>,
}

/// A service's probes.
#[derive(Debug)]
struct OfService {
    /// Probes of each member at each VIP.
    each: usize,
    /// Of each VIP: of one member after the other: places in [`Aim::probes`]. One piece of memory for
    /// each VIP: a site may have hundreds of thousands of members.
    vips: Vec<Box<[u32]>>,
}

impl Aim {
    /// The probes that the L4 node `own` makes.
    pub fn of(config: &Config, own: &L4) -> Self {
        let mut aim = Collector::default();
        let names: Vec<Arc<str>> = config.l7.iter().map(|node| node.name.as_str().into()).collect();
        let services = config
            .services
            .iter()
            .map(|service| {
                let checks: Vec<_> =
                    service.checks.iter().map(|how| (how, aim.check(&how.check))).collect();
                let mut at = |vip: IpAddr| {
                    let mut places = Vec::with_capacity(service.nodes.len() * checks.len());
                    for member in &service.nodes {
                        let (node, name) = (&config.l7[member.l7], &names[member.l7]);
                        places.extend(checks.iter().map(|&(how, check)| {
                            aim.place(check, target(how, node, name.clone(), own, vip))
                        }));
                    }
                    places.into()
                };
                let vips = service.vips.iter().map(|vip| at(vip.address())).collect();
                OfService { each: checks.len(), vips }
            })
            .collect();
        let mut here = |check: &Check| {
            let check = aim.check(check);
            aim.place(check, of_this_host(own))
        };
        let own = own.checks.iter().map(&mut here).collect();
        Self { probes: aim.probes, services, own }
    }

    /// The probes that tell of a service's member at one of its VIPs; all by their places.
    pub fn at(&self, service: usize, vip: usize, member: usize) -> &[u32] {
        let OfService { each, vips } = &self.services[service];
        &vips[vip][member * each..][..*each]
    }
}

#[derive(Default)]
struct Collector {
    probes: Vec<Probe>,
    /// Each check once, and its number.
    checks: HashMap<Check, CheckId>,
    distinct: Vec<Arc<Check>>,
    places: HashMap<(CheckId, Target), u32>,
}

/// A check, by its place among those that differ: much less to compare than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CheckId(usize);

impl Collector {
    fn check(&mut self, check: &Check) -> CheckId {
        if let Some(&known) = self.checks.get(check) {
            return known;
        }
        let id = CheckId(self.distinct.len());
        self.distinct.push(Arc::new(check.clone()));
        self.checks.insert(check.clone(), id);
        id
    }

    fn place(&mut self, check: CheckId, target: Target) -> u32 {
        *self.places.entry((check, target)).or_insert_with_key(|(check, target)| {
            let check = self.distinct[check.0].clone();
            self.probes.push(Probe { check, target: target.clone() });
            u32::try_from(self.probes.len() - 1).expect("probes fit into memory")
        })
    }
}

fn target(how: &ServiceCheck, node: &L7, name: Arc<str>, own: &L4, vip: IpAddr) -> Target {
    let of_family = |addresses: &[IpAddr]| {
        addresses.iter().copied().find(|address| address.is_ipv4() == vip.is_ipv4())
    };
    let source = of_family(&own.addresses).filter(|_| !how.direct);
    if let (Some(address), true) = (source, how.check.kind.can_be_tunnelled()) {
        let ports = probe_ports(node.index);
        let source = Source { address, first_port: ports.first, last_port: ports.last };
        return Target {
            node: name,
            address: vip,
            port: how.port,
            source: Some(source),
            preamble: None,
        };
    }
    // What speaks of the node as a whole is asked once, not once per family.
    let address = match how.check.kind {
        Kind::Agent(_) | Kind::File(_) => None,
        Kind::Http(_)
        | Kind::Tcp(_)
        | Kind::Tls(_)
        | Kind::Dns(_)
        | Kind::Udp(_)
        | Kind::Icmp
        | Kind::Command(_) => of_family(&node.addresses),
    };
    let address = address.unwrap_or_else(|| first(&node.addresses));
    Target { node: name, address, port: how.port, source: None, preamble: None }
}

fn of_this_host(own: &L4) -> Target {
    let node = own.name.as_str().into();
    Target { node, address: first(&own.addresses), port: 0, source: None, preamble: None }
}

fn first(addresses: &[IpAddr]) -> IpAddr {
    *addresses.first().expect("a node of a Config has an address")
}
