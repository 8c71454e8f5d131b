//! The site that the packets pass: its addresses, and the Snapshot that says so.

use std::net::IpAddr;

use api::{
    ExplainQuery, Hash, HashKey, IdleTimes, Limits, Member, Node, Ports, Prefix, Protocol, Release,
    Service, Snapshot, State,
};
use packet::Mac;
use packet::build::Ip;

/// The port's own link address: `net_pcap` gives its first device this one.
pub(crate) const PORT: Mac = Mac([0x02, 0x70, 0x63, 0x61, 0x70, 0x00]);
/// That of a second port: `net_pcap` counts them in the last byte.
pub(crate) const SECOND_PORT: Mac = Mac([0x02, 0x70, 0x63, 0x61, 0x70, 0x01]);
/// Who sends: answers go back there.
pub(crate) const ROUTER: Mac = Mac([0x02, 0, 0, 0, 0, 0x99]);
/// `--next-hop`.
pub(crate) const NEXT_HOP: Mac = Mac([0x02, 0, 0, 0, 0, 0x02]);

/// This node's own addresses: the sources of its tunnels.
pub(crate) const OWN: [&str; 2] = ["192.0.2.132", "2001:db8::c000:284"];

/// Clients, some of many.
pub(crate) const CLIENT: &str = "203.0.113.10";
pub(crate) const CLIENT6: &str = "2001:db8::cb00:710a";
/// A client in a prefix of its own, and another: limits of answers are per prefix.
pub(crate) const FAR: &str = "100.64.1.1";
pub(crate) const FAR6: &str = "2001:db8:ffff::1";
/// A client that no service serves.
pub(crate) const DENIED: &str = "10.66.0.1";

/// VIPs of nodes that have an address of each family.
pub(crate) const VIP: &str = "198.51.100.1";
pub(crate) const VIP6: &str = "2001:db8::c633:6401";
/// VIPs of a node that has an IPv4 address alone.
pub(crate) const VIP_OVER4: &str = "198.51.100.4";
pub(crate) const VIP6_OVER4: &str = "2001:db8::c633:6404";
/// VIPs of a node that has an IPv6 address alone.
pub(crate) const VIP_OVER6: &str = "198.51.100.6";
pub(crate) const VIP6_OVER6: &str = "2001:db8::c633:6406";
/// VIPs whose service tells senders that nothing listens on a port.
pub(crate) const VIP_TALKING: &str = "198.51.100.7";
pub(crate) const VIP6_TALKING: &str = "2001:db8::c633:6407";
/// A VIP whose only node takes no new flows.
pub(crate) const VIP_DRAINED: &str = "198.51.100.8";
/// An address in a service's prefix of VIPs.
pub(crate) const VIP_IN_PREFIX: &str = "198.51.101.77";

/// A TCP port of the first VIPs.
pub(crate) const WEB: u16 = 80;
/// A UDP port of the first VIPs.
pub(crate) const DNS: u16 = 53;

fn node(index: u16, addresses: &[&str]) -> Node {
    Node {
        name: format!("l7-{index}"),
        index,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        probe_ports: None,
    }
}

fn service(name: &str, vips: &[&str], protocol: Protocol, ports: Ports, nodes: &[u16]) -> Service {
    let member =
        |&node: &u16| Member { node, weight: 1, state: State::Up, release: Release::Never };
    Service {
        name: name.into(),
        vips: vips.iter().map(|text| text.parse().unwrap()).collect(),
        protocol,
        ports,
        hash: Hash::FiveTuple,
        rows: 251,
        track: true,
        allow: Vec::new(),
        deny: vec!["10.66.0.0/16".parse::<Prefix>().unwrap()],
        source_limit: None,
        answer_unknown: false,
        nodes: nodes.iter().map(member).collect(),
    }
}

/// The Snapshot of the site.
pub(crate) fn snapshot() -> Snapshot {
    use Protocol::{Tcp, Udp};
    let web = || Ports::List(vec![WEB, 443]);
    let both = [1, 2, 3];
    let mut drained = service("drained", &[VIP_DRAINED], Tcp, web(), &[1]);
    drained.nodes[0].state = State::Drain;
    let talking = |name: &str, protocol: Protocol, port: u16| Service {
        answer_unknown: true,
        ..service(name, &[VIP_TALKING, VIP6_TALKING], protocol, Ports::List(vec![port]), &both)
    };
    let by_source = Service {
        hash: Hash::Source,
        track: false,
        ..service("by-source", &[VIP, VIP6], Udp, Ports::List(vec![5353]), &both)
    };
    Snapshot {
        generation: 1,
        hash_key: Some(HashKey::new(*b"sixteen bytes ok")),
        addresses: OWN.iter().map(|text| text.parse().unwrap()).collect(),
        tunnel_sources: Vec::new(),
        nodes: vec![
            node(1, &["192.0.2.140", "2001:db8::c000:28c"]),
            node(2, &["192.0.2.141", "2001:db8::c000:28d"]),
            node(3, &["192.0.2.142", "2001:db8::c000:28e"]),
            node(4, &["192.0.2.143"]),
            node(6, &["2001:db8::c000:291"]),
        ],
        services: vec![
            service("web", &[VIP, VIP6], Tcp, web(), &both),
            service("dns", &[VIP, VIP6], Udp, Ports::List(vec![DNS]), &both),
            by_source,
            service("range", &[VIP], Tcp, Ports::Range(8000, 8099), &both),
            service("prefix", &["198.51.101.0/24"], Tcp, Ports::Any, &both),
            service("over-ipv4", &[VIP_OVER4, VIP6_OVER4], Tcp, web(), &[4]),
            service("over-ipv4-udp", &[VIP_OVER4, VIP6_OVER4], Udp, web(), &[4]),
            service("over-ipv6", &[VIP_OVER6, VIP6_OVER6], Tcp, web(), &[6]),
            service("over-ipv6-udp", &[VIP_OVER6, VIP6_OVER6], Udp, web(), &[6]),
            talking("talking", Tcp, WEB),
            talking("talking-udp", Udp, DNS),
            drained,
        ],
        routers: Vec::new(),
        management: Vec::new(),
        bfd: Vec::new(),
        limits: Limits::default(),
        idle: IdleTimes::default(),
    }
}

/// A flow, as a client's packets carry it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    protocol: Protocol,
    source: &'static str,
    source_port: u16,
    destination: &'static str,
    destination_port: u16,
}

/// A flow of TCP.
pub(crate) const fn tcp(
    source: &'static str,
    source_port: u16,
    destination: &'static str,
    destination_port: u16,
) -> Flow {
    Flow { protocol: Protocol::Tcp, source, source_port, destination, destination_port }
}

/// A flow of UDP.
pub(crate) const fn udp(
    source: &'static str,
    source_port: u16,
    destination: &'static str,
    destination_port: u16,
) -> Flow {
    Flow { protocol: Protocol::Udp, source, source_port, destination, destination_port }
}

impl Flow {
    /// The beginning of each of its packets.
    pub(crate) fn ip(&self) -> Ip {
        Ip::between(self.source, self.destination)
    }

    /// What follows: a segment with these flags, or a datagram.
    pub(crate) fn carry(&self, ip: Ip, flags: u8, data: &[u8]) -> Ip {
        match self.protocol {
            Protocol::Tcp => ip.tcp(self.source_port, self.destination_port, flags, data),
            Protocol::Udp => ip.udp(self.source_port, self.destination_port, data),
        }
    }

    /// A packet of it with nothing special but its data.
    pub(crate) fn packet(&self, data: &[u8]) -> Ip {
        self.carry(self.ip(), packet::tcp::ACK, data)
    }

    /// What VIP and client say the other way.
    pub(crate) fn answer(&self, data: &[u8]) -> Ip {
        let back = Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
            ..*self
        };
        back.packet(data)
    }

    /// An answer of the VIP's, without its content.
    pub(crate) fn back(&self) -> Ip {
        Ip::between(self.destination, self.source)
    }

    /// How `explain` asks for it.
    pub(crate) fn query(&self) -> ExplainQuery {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        ExplainQuery {
            source: address(self.source),
            source_port: self.source_port,
            destination: address(self.destination),
            destination_port: self.destination_port,
            protocol: self.protocol,
        }
    }
}
