//! The VIP table: which packets are ours, and which service takes them.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ahash::RandomState;
use api::Prefix;
use hashbrown::HashMap;

use crate::balance::Balance;
use crate::cells::Cell;
use crate::connection::Kind;
use crate::exact::Exact;
use crate::lpm::Lpm;
use crate::tick::Tick;

/// A service, as a worker needs it.
#[derive(Debug)]
pub struct Service {
    /// Its number in connection entries, by its name.
    pub index: u16,
    /// What entries of flows that go on say of it; [`Kind::NONE`] if its packets do not take the short
    /// way: flows are not remembered, or not everybody is served.
    pub short_way: Kind,
    /// Its name.
    pub name: String,
    /// The first of its VIPs: tells services of one name apart.
    pub first_vip: Prefix,
    /// What chooses the row.
    pub hash: api::Hash,
    /// Whether flows are remembered.
    pub track: bool,
    /// Who gets new flows. Absent if no node takes any.
    pub balance: Option<Arc<Balance>>,
    /// By node index. A node that is not in the service has no [`Member`], or one that is gone.
    pub members: Box<[Member]>,
    /// Whether a source is served, if not all are.
    pub sources: Option<Lpm<bool>>,
    /// Cap on the flows that are recorded of a source prefix.
    pub source_limit: Option<api::Rate>,
    /// Whether packets that no service takes are answered.
    pub answer_unknown: bool,
}

/// A node's part in a service.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The flows it has go to other nodes from this tick on.
    pub release: Tick,
    /// Where its traffic is counted.
    pub cell: Cell,
}

impl Member {
    /// Of a node that is not in the service.
    pub const NONE: Self = Self { release: Tick::new(0), cell: Cell::OVERFLOW };
}

impl Service {
    /// The node's part, if flows that it has stay with it.
    #[inline(always)]
    pub fn holds(&self, node: u16, now: Tick) -> Option<Member> {
        self.members.get(usize::from(node)).copied().filter(|member| now < member.release)
    }

    /// Whether packets from `source` are taken.
    #[inline]
    pub fn serves(&self, source: IpAddr) -> bool {
        match &self.sources {
            None => true,
            Some(sources) => sources.lookup(source).unwrap_or(false),
        }
    }
}

/// What the table says of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The service of this number takes it.
    Service(u32),
    /// A VIP, but no service takes this protocol or port. `answer`: tell the sender.
    Unknown {
        /// Whether a service of this VIP asks for an answer.
        answer: bool,
    },
    /// Not a VIP.
    Elsewhere,
}

/// Every VIP with its ports.
#[derive(Debug, Default)]
pub struct Vips {
    /// The common case, one lookup: address, port and protocol packed.
    exact4: Exact<u64>,
    exact6: Exact<(u128, u32)>,
    /// Every VIP or VIP prefix -> its number in `places`.
    prefixes: Lpm<u32>,
    places: Vec<Place>,
}

/// A VIP, or a prefix of them, and what is not one port alone.
#[derive(Debug)]
struct Place {
    prefix: Prefix,
    /// The next shorter one that contains it.
    parent: Option<u32>,
    ports: Vec<PortRange>,
    answer: bool,
}

#[derive(Clone, Copy, Debug)]
struct PortRange {
    protocol: u8,
    first: u16,
    last: u16,
    service: u32,
}

/// A destination in one word, made of what [`Plain`](crate::plain::Plain) has of a packet: addresses,
/// ports, protocol.
#[inline(always)]
pub(crate) const fn key4(addresses: u64, ports: u32, protocol: u8) -> u64 {
    addresses & 0xffff_ffff_0000_0000 | key6(ports, protocol) as u64
}

/// The same without the address.
#[inline(always)]
pub(crate) const fn key6(ports: u32, protocol: u8) -> u32 {
    ports >> 16 | (protocol as u32) << 16
}

impl Vips {
    /// The table of these services, numbered in their order.
    pub fn new(services: &[api::Service]) -> Self {
        let mut vips = Self::default();
        let mut prefixes: Vec<Prefix> = services.iter().flat_map(|s| s.vips.clone()).collect();
        prefixes.sort_by_key(|prefix| (Reverse(prefix.length()), prefix.address()));
        prefixes.dedup();
        let place = |&prefix: &Prefix| {
            let shorter = prefixes.partition_point(|p| p.length() >= prefix.length());
            let parent = (shorter..prefixes.len())
                .find(|&i| prefixes[i].contains(prefix.address()))
                .map(|i| i as u32);
            Place { prefix, parent, ports: Vec::new(), answer: false }
        };
        vips.places = prefixes.iter().map(place).collect();
        let numbers: HashMap<Prefix, usize, RandomState> = prefixes.into_iter().zip(0..).collect();
        let mut exact = (Vec::new(), Vec::new());
        for (number, service) in (0_u32..).zip(services) {
            for vip in &service.vips {
                vips.add(numbers[vip], service, number, &mut exact);
            }
        }
        (vips.exact4, vips.exact6) = (Exact::new(&exact.0), Exact::new(&exact.1));
        for place in &mut vips.places {
            // A single port before a range, a range before any port.
            place.ports.sort_by_key(|ports| ports.last - ports.first);
        }
        vips.prefixes =
            Lpm::new((0..).zip(&vips.places).map(|(i, place): (u32, _)| (place.prefix, i)));
        vips
    }

    fn add(&mut self, place: usize, service: &api::Service, number: u32, exact: &mut Entries) {
        let protocol = service.protocol.number();
        let ranges: Vec<(u16, u16)> = match &service.ports {
            api::Ports::List(ports) => ports.iter().map(|&port| (port, port)).collect(),
            &api::Ports::Range(first, last) => vec![(first, last)],
            api::Ports::Any => vec![(0, u16::MAX)],
        };
        let vip = self.places[place].prefix;
        self.places[place].answer |= service.answer_unknown;
        for (first, last) in ranges {
            let range = PortRange { protocol, first, last, service: number };
            self.places[place].ports.push(range);
            if vip.is_host() && first == last {
                add_exact(exact, vip.address(), first, protocol, number);
            }
        }
    }

    /// The service that takes packets to what [`key4`] made a key of.
    #[inline(always)]
    pub(crate) fn service4(&self, key: u64) -> Option<u32> {
        match self.exact4.get(key) {
            Some(number) => Some(number),
            None => self.service(
                Ipv4Addr::from(((key >> 32) as u32).to_le_bytes()).into(),
                u16::from_be(key as u16),
                (key >> 16) as u8,
            ),
        }
    }

    /// The same for IPv6: an address read as a little-endian number, and the rest's [`key6`].
    #[inline(always)]
    pub(crate) fn service6(&self, address: u128, key: u32) -> Option<u32> {
        match self.exact6.get((address, key)) {
            Some(number) => Some(number),
            None => self.service(
                Ipv6Addr::from(address.to_le_bytes()).into(),
                u16::from_be(key as u16),
                (key >> 16) as u8,
            ),
        }
    }

    /// The service that takes packets to this destination.
    #[cold]
    #[inline(never)]
    fn service(&self, address: IpAddr, port: u16, protocol: u8) -> Option<u32> {
        match self.lookup(address, port, protocol) {
            Destination::Service(number) => Some(number),
            Destination::Unknown { .. } | Destination::Elsewhere => None,
        }
    }

    /// What is to be done with a packet to this destination.
    pub fn lookup(&self, address: IpAddr, port: u16, protocol: u8) -> Destination {
        let Some(nearest) = self.prefixes.lookup(address) else {
            return Destination::Elsewhere;
        };
        let mut answer = false;
        let mut next = Some(nearest);
        while let Some(place) = next.and_then(|i| self.places.get(i as usize)) {
            let taken = place.ports.iter().find(|ports| {
                ports.protocol == protocol && (ports.first..=ports.last).contains(&port)
            });
            if let Some(ports) = taken {
                return Destination::Service(ports.service);
            }
            answer |= place.answer;
            next = place.parent;
        }
        Destination::Unknown { answer }
    }

    /// Whether it is a VIP.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.prefixes.lookup(address).is_some()
    }
}

/// What goes into `exact4` and `exact6` of [`Vips`].
type Entries = (Vec<(u64, u32)>, Vec<((u128, u32), u32)>);

fn add_exact(exact: &mut Entries, address: IpAddr, port: u16, protocol: u8, number: u32) {
    let ports = u32::from(port.to_be()) << 16;
    match address {
        IpAddr::V4(v4) => {
            let addresses = u64::from(u32::from_le_bytes(v4.octets())) << 32;
            exact.0.push((key4(addresses, ports, protocol), number));
        }
        IpAddr::V6(v6) => {
            let key = (u128::from_le_bytes(v6.octets()), key6(ports, protocol));
            exact.1.push((key, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(vips: &[&str], protocol: &str, ports: &str) -> api::Service {
        let vips: Vec<_> = vips.iter().map(|vip| format!("{vip:?}")).collect();
        serde_json::from_str(&format!(
            r#"{{"name": "s", "vips": [{}], "protocol": "{protocol}", "ports": {ports}, "nodes": []}}"#,
            vips.join(",")
        ))
        .unwrap()
    }

    #[test]
    fn the_nearest_match_takes_the_packet() {
        let vips = Vips::new(&[
            service(&["198.51.100.1", "2001:db8::1"], "tcp", r#"{"list": [80, 443]}"#),
            service(&["198.51.100.1"], "tcp", r#"{"range": [400, 500]}"#),
            service(&["198.51.100.0/24"], "tcp", r#""any""#),
            service(&["198.51.100.1"], "udp", r#""any""#),
        ]);
        let at =
            |address: &str, port, protocol| vips.lookup(address.parse().unwrap(), port, protocol);
        assert_eq!(at("198.51.100.1", 80, 6), Destination::Service(0));
        assert_eq!(at("198.51.100.1", 443, 6), Destination::Service(0));
        assert_eq!(at("198.51.100.1", 444, 6), Destination::Service(1));
        assert_eq!(at("198.51.100.1", 22, 6), Destination::Service(2));
        assert_eq!(at("198.51.100.9", 80, 6), Destination::Service(2));
        assert_eq!(at("198.51.100.1", 53, 17), Destination::Service(3));
        assert_eq!(at("198.51.100.9", 53, 17), Destination::Unknown { answer: false });
        assert_eq!(at("198.51.101.1", 80, 6), Destination::Elsewhere);
        assert_eq!(at("2001:db8::1", 443, 6), Destination::Service(0));
        assert_eq!(at("2001:db8::1", 22, 6), Destination::Unknown { answer: false });
        assert_eq!(at("2001:db8::2", 443, 6), Destination::Elsewhere);
    }

    #[test]
    fn the_short_cut_agrees_with_the_whole_lookup() {
        let vips =
            Vips::new(&[service(&["198.51.100.1", "2001:db8::1"], "tcp", r#"{"list": [80]}"#)]);
        let ports = |port: u16| u32::from(port.to_be()) << 16 | 0x1234;
        let v4 = u64::from_le_bytes([10, 0, 0, 1, 198, 51, 100, 1]);
        let at = |port, protocol| vips.exact4.get(key4(v4, ports(port), protocol));
        assert_eq!((at(80, 6), at(80, 17), at(81, 6)), (Some(0), None, None));
        let v6 = u128::from_le_bytes("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        let at = |port, protocol| vips.exact6.get((v6, key6(ports(port), protocol)));
        assert_eq!((at(80, 6), at(80, 17), at(81, 6)), (Some(0), None, None));
    }
}
