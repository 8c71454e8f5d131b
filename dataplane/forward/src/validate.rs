//! Whether a Snapshot can be put in force: everything that is wrong with it, at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::{IdleTimes, Member, Node, Ports, Release, Service, Snapshot, State};

use crate::maglev::{MAX_ROWS, is_prime};

/// Longest name of a node or service in bytes: what the table file has room for.
pub const MAX_NAME: usize = 63;
/// Longest idle time in seconds, 21 days: what the ticks of connection entries tell apart.
pub(crate) const MAX_IDLE: u32 = 21 * 86_400;
/// Most names of services: what the table file has room for.
const MAX_SERVICES: usize = 4096;
/// Highest node index.
pub const MAX_NODE: u16 = 1023;

/// Unspecified, loopback, link-local, multicast and reserved addresses: no router forwards packets from
/// them.
const NOBODYS: [&str; 8] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "::/128",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
];

/// What is wrong with the Snapshot; nothing if it can be put in force.
pub fn problems(snapshot: &Snapshot) -> Vec<String> {
    let mut problems = Problems::default();
    problems.own_addresses(&snapshot.addresses);
    problems.tunnel_sources(snapshot);
    problems.nodes(snapshot);
    let indices: BTreeSet<_> = snapshot.nodes.iter().map(|node| node.index).collect();
    for (i, service) in snapshot.services.iter().enumerate() {
        let place = format!("services[{i}] ({})", service.name);
        problems.service(&place, service, snapshot);
        problems.members(&place, &service.nodes, &indices);
    }
    problems.overlaps(&snapshot.services);
    let names: BTreeSet<_> = snapshot.services.iter().map(|service| &service.name).collect();
    if names.len() > MAX_SERVICES {
        problems.add("services", format!("at most {MAX_SERVICES} names"));
    }
    problems.idle(&snapshot.idle);
    problems.bfd(snapshot);
    problems.0
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, place: &str, text: impl AsRef<str>) {
        self.0.push(format!("{place}: {}", text.as_ref()));
    }

    fn own_addresses(&mut self, addresses: &[IpAddr]) {
        if addresses.is_empty() {
            self.add("addresses", "the node needs an address of its own to tunnel from");
        }
        self.one_per_family("addresses", addresses);
    }

    fn one_per_family(&mut self, place: &str, addresses: &[IpAddr]) {
        for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            if addresses.iter().filter(|a| family(a)).count() > 1 {
                self.add(place, "at most one address per family");
            }
        }
        for address in addresses {
            if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
                self.add(place, format!("{address} is not an address that a host can have"));
            }
        }
    }

    fn idle(&mut self, idle: &IdleTimes) {
        let IdleTimes { embryonic, open, closing, udp } = *idle;
        let times = [("embryonic", embryonic), ("open", open), ("closing", closing), ("udp", udp)];
        for (name, seconds) in times {
            if !(1..=MAX_IDLE).contains(&seconds) {
                self.add("idle", format!("{name} is 1 to {MAX_IDLE} seconds, not {seconds}"));
            }
        }
    }

    fn name(&mut self, place: &str, name: &str) {
        if name.is_empty() || name.len() > MAX_NAME {
            self.add(place, format!("a name has 1 to {MAX_NAME} bytes"));
        }
    }

    fn nodes(&mut self, snapshot: &Snapshot) {
        let (mut names, mut indices) = (BTreeSet::new(), BTreeMap::new());
        let mut addresses = BTreeMap::new();
        let mut blocks: Vec<(&Node, api::ProbePorts)> = Vec::new();
        for (i, node) in snapshot.nodes.iter().enumerate() {
            let place = format!("nodes[{i}] ({})", node.name);
            self.name(&place, &node.name);
            if !names.insert(&node.name) {
                self.add(&place, "another node has this name");
            }
            if !(1..=MAX_NODE).contains(&node.index) {
                self.add(&place, format!("index {}: it is 1 to {MAX_NODE}", node.index));
            }
            if let Some(other) = indices.insert(node.index, &node.name) {
                self.add(&place, format!("index {} is that of {other}", node.index));
            }
            self.node_addresses(&place, node, snapshot);
            for &address in &node.addresses {
                if let Some(other) = addresses.insert(address, &node.name) {
                    self.add(&place, format!("{address} is that of {other}"));
                }
            }
            if let Some(ports) = node.probe_ports {
                if ports.first > ports.last || ports.first == 0 {
                    self.add(&place, "probe_ports: first is at least 1 and not above last");
                }
                for (other, taken) in &blocks {
                    if ports.first <= taken.last && taken.first <= ports.last {
                        self.add(&place, format!("probe_ports overlap those of {}", other.name));
                    }
                }
                blocks.push((node, ports));
            }
        }
    }

    fn node_addresses(&mut self, place: &str, node: &Node, snapshot: &Snapshot) {
        self.one_per_family(place, &node.addresses);
        for &address in &node.addresses {
            if snapshot.addresses.contains(&address) {
                self.add(place, format!("{address} is this L4 node's own address"));
            }
            let service =
                snapshot.services.iter().find(|s| s.vips.iter().any(|vip| vip.contains(address)));
            if let Some(service) = service {
                self.add(place, format!("{address} is a VIP of service {}", service.name));
            }
        }
        let reachable = |family: fn(&IpAddr) -> bool| {
            node.addresses.iter().any(family) && snapshot.addresses.iter().any(family)
        };
        if !reachable(IpAddr::is_ipv4) && !reachable(IpAddr::is_ipv6) {
            self.add(place, "it has no address of a family in which this L4 node has one");
        }
    }

    fn tunnel_sources(&mut self, snapshot: &Snapshot) {
        let prefixes = &snapshot.tunnel_sources;
        for (family, ipv6) in [("IPv4", false), ("IPv6", true)] {
            let of_family = prefixes.iter().filter(|prefix| prefix.address().is_ipv6() == ipv6);
            if of_family.count() > 1 {
                self.add("tunnel_sources", format!("at most one {family} prefix"));
            }
        }
        for prefix in prefixes {
            let nobodys = NOBODYS.iter().filter_map(|other| other.parse::<api::Prefix>().ok());
            if nobodys.into_iter().any(|other| other.overlaps(prefix)) {
                let problem = format!("{prefix} has addresses that no host can have");
                self.add("tunnel_sources", problem);
            }
            let own = snapshot.addresses.iter();
            if !own.map(IpAddr::is_ipv6).any(|ipv6| ipv6 == prefix.address().is_ipv6()) {
                let problem = format!("{prefix}: there is no own address of its family");
                self.add("tunnel_sources", problem);
            }
            let of_node = |node: &&Node| node.addresses.iter().any(|&a| prefix.contains(a));
            if let Some(node) = snapshot.nodes.iter().find(of_node) {
                self.add("tunnel_sources", format!("{prefix} has an address of {}", node.name));
            }
            let has_vip = |s: &&Service| s.vips.iter().any(|vip| vip.overlaps(prefix));
            if let Some(service) = snapshot.services.iter().find(has_vip) {
                let problem = format!("{prefix} overlaps a VIP of service {}", service.name);
                self.add("tunnel_sources", problem);
            }
        }
    }

    fn service(&mut self, place: &str, service: &Service, snapshot: &Snapshot) {
        self.name(place, &service.name);
        if service.vips.is_empty() {
            self.add(place, "vips: a service needs at least one");
        }
        for vip in &service.vips {
            if let Some(own) = snapshot.addresses.iter().find(|&&a| vip.contains(a)) {
                self.add(place, format!("VIP {vip}: {own} is this L4 node's own address"));
            }
            if vip.address().is_multicast() || (vip.is_host() && vip.address().is_unspecified()) {
                self.add(place, format!("VIP {vip} is not an address that a host can have"));
            }
        }
        match &service.ports {
            Ports::List(ports) if ports.is_empty() => {
                self.add(place, "ports: the list is empty; write \"any\" for every port");
            }
            Ports::List(ports) => {
                let distinct: BTreeSet<_> = ports.iter().collect();
                if distinct.len() < ports.len() {
                    self.add(place, "ports: one is named twice");
                }
                if ports.contains(&0) {
                    self.add(place, "ports: there is no port 0");
                }
            }
            Ports::Range(first, last) if first > last => {
                self.add(place, format!("ports: {first} is above {last}"));
            }
            Ports::Range(..) | Ports::Any => {}
        }
        if service.rows > MAX_ROWS || !is_prime(service.rows) {
            let rows = service.rows;
            self.add(place, format!("rows: {rows} is not a prime up to {MAX_ROWS}; use 65537"));
        }
    }

    /// Members of a service, of nodes with these indices.
    fn members(&mut self, place: &str, members: &[Member], indices: &BTreeSet<u16>) {
        // A hundred members in each of a thousand services: sorted, not put into a set each.
        let mut named: Vec<_> = members.iter().map(|member| member.node).collect();
        named.sort_unstable();
        for twice in named.windows(2).filter(|pair| pair[0] == pair[1]) {
            self.add(place, format!("node {} is named twice", twice[0]));
        }
        for member in members {
            if !indices.contains(&member.node) {
                self.add(place, format!("no node has index {}", member.node));
            }
            let may_release = matches!(member.state, State::Down | State::Maintenance);
            if member.release != Release::Never && !may_release {
                let text = "release is for the states down and maintenance";
                self.add(place, format!("node {}: {text}", member.node));
            }
        }
    }

    /// Two services may not claim one port of one VIP in the same way: a single port goes before a
    /// range, a range before `any`, but nothing decides between two of a kind.
    fn overlaps(&mut self, services: &[Service]) {
        let mut claims: BTreeMap<_, Vec<(u16, u16, usize)>> = BTreeMap::new();
        for (i, service) in services.iter().enumerate() {
            for vip in &service.vips {
                let key = |kind: u8| (*vip, service.protocol.number(), kind);
                match &service.ports {
                    Ports::List(ports) => {
                        let distinct: BTreeSet<_> = ports.iter().collect();
                        let mine = distinct.into_iter().map(|&port| (port, port, i));
                        claims.entry(key(0)).or_default().extend(mine);
                    }
                    &Ports::Range(first, last) => {
                        let kind = u8::from(first != last); // of one port, it is that port
                        claims.entry(key(kind)).or_default().push((first, last, i));
                    }
                    Ports::Any => claims.entry(key(2)).or_default().push((0, u16::MAX, i)),
                }
            }
        }
        for ((vip, ..), mut claimed) in claims {
            claimed.sort_unstable();
            let mut claimed = claimed.into_iter();
            // The claim that reaches furthest so far: a wide range overlaps more than its neighbor.
            let Some((_, mut reached, mut a)) = claimed.next() else { continue };
            for (first, last, b) in claimed {
                if first <= reached && a != b {
                    let (a, b) = (&services[a].name, &services[b].name);
                    self.add("services", format!("{a} and {b} both claim port {first} of {vip}"));
                } else if first <= reached {
                    let name = &services[a].name;
                    self.add("services", format!("{name} names VIP {vip} twice"));
                }
                if last >= reached {
                    (reached, a) = (last, b);
                }
            }
        }
    }
}

mod bfd;
#[cfg(test)]
mod tests;
