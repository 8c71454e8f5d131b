//! The site that the tests are about, its flows, and their packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::{Member, Ports, Protocol, Release, Service, Snapshot, State};
use forward::Flow;
use packet::build::{self, Ip};
use packet::{Buffer, Mac, protocol};

/// The L4 node, the router on its link, and somebody else there.
pub(crate) const NODE: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(crate) const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub(crate) const STRANGER: Mac = Mac([2, 0, 0, 0, 0, 3]);

pub(crate) const VIP4: &str = "198.51.100.1";
pub(crate) const VIP6: &str = "2001:db8::c633:6401";
pub(crate) const OWN4: &str = "192.0.2.132";
pub(crate) const OWN6: &str = "2001:db8::c000:284";

/// What outer sources are out of where they vary.
pub(crate) const SOURCES: [&str; 2] = ["192.0.2.64/26", "2001:db8:5::/64"];

/// A site of L7 nodes 1 to `nodes`, all up, with one service: TCP ports 80 and 443 of two VIPs.
pub(crate) fn site(nodes: u16) -> Snapshot {
    Snapshot {
        generation: 1,
        hash_key: None,
        addresses: [OWN4, OWN6].map(address).to_vec(),
        tunnel_sources: Vec::new(),
        nodes: (1..=nodes).map(l7).collect(),
        services: vec![service(
            "web",
            &[VIP4, VIP6],
            Protocol::Tcp,
            Ports::List(vec![80, 443]),
            nodes,
        )],
        routers: Vec::new(),
        management: Vec::new(),
        bfd: Vec::new(),
        limits: api::Limits::default(),
        idle: api::IdleTimes::default(),
    }
}

/// L7 node `index`: its number ends its name and its addresses; its probes have ten ports.
pub(crate) fn l7(index: u16) -> api::Node {
    let first = 20_000 + index * 10;
    api::Node {
        name: format!("l7-{index}"),
        index,
        addresses: vec![
            Ipv4Addr::from_bits(0x0a07_0000 | u32::from(index)).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, index).into(),
        ],
        probe_ports: Some(api::ProbePorts { first, last: first + 9 }),
    }
}

/// A service of nodes 1 to `nodes`, all up.
pub(crate) fn service(
    name: &str,
    vips: &[&str],
    protocol: Protocol,
    ports: Ports,
    nodes: u16,
) -> Service {
    Service {
        name: name.into(),
        vips: vips.iter().map(|vip| vip.parse().unwrap()).collect(),
        protocol,
        ports,
        hash: api::Hash::FiveTuple,
        rows: 1009,
        track: true,
        allow: Vec::new(),
        deny: Vec::new(),
        source_limit: None,
        answer_unknown: false,
        nodes: (1..=nodes).map(up).collect(),
    }
}

pub(crate) fn up(node: u16) -> Member {
    Member { node, weight: 1, state: State::Up, release: Release::Never }
}

/// Sets the state of a node in the site's first service.
pub(crate) fn set(site: &mut Snapshot, node: u16, state: State, release: Release) {
    let members = &mut site.services[0].nodes;
    let member = members.iter_mut().find(|member| member.node == node).unwrap();
    (member.state, member.release) = (state, release);
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The flow of the `i`th IPv4 client to port 80 of the VIP.
pub(crate) fn flow4(i: u32) -> Flow {
    Flow {
        source: Ipv4Addr::from_bits(0xcb00_7100 + i % 200).into(),
        source_port: (10_000 + i) as u16,
        destination: address(VIP4),
        destination_port: 80,
        protocol: protocol::TCP,
    }
}

/// The same in IPv6.
pub(crate) fn flow6(i: u32) -> Flow {
    let source = Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, i as u16).into();
    Flow { source, destination: address(VIP6), ..flow4(i) }
}

/// The first `n` flows of each family.
pub(crate) fn flows(n: u32) -> Vec<Flow> {
    (0..n).flat_map(|i| [flow4(i), flow6(i)]).collect()
}

/// A TCP segment of a flow.
pub(crate) fn segment(flow: &Flow, flags: u8) -> Ip {
    let Flow { source, source_port, destination, destination_port, .. } = *flow;
    Ip::new(source, destination).tcp(source_port, destination_port, flags, b"data")
}

/// A UDP datagram of a flow.
pub(crate) fn datagram(flow: &Flow, data: &[u8]) -> Ip {
    let Flow { source, source_port, destination, destination_port, .. } = *flow;
    Ip::new(source, destination).udp(source_port, destination_port, data)
}

/// A packet as the router sends it.
pub(crate) fn framed(packet: &[u8]) -> Buffer {
    Buffer::new(&build::frame(NODE, ROUTER, None, packet))
}
