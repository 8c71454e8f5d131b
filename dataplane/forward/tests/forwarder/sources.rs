//! Outer sources that vary by flow, where the Snapshot has prefixes for them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use api::{Ports, Prefix, Protocol, Snapshot};
use forward::{Counter, Verdict};
use packet::build::Ip;
use packet::{protocol, tcp};

use crate::harness::*;

fn varied(mut site: Snapshot) -> Snapshot {
    site.tunnel_sources = SOURCES.map(|prefix| prefix.parse().unwrap()).to_vec();
    site
}

fn is_out_of_a_prefix(source: IpAddr) -> bool {
    SOURCES.iter().any(|prefix| prefix.parse::<Prefix>().unwrap().contains(source))
}

#[test]
fn a_flow_has_one_outer_source_and_flows_have_many() {
    let mut l4 = L4::new(&varied(site(3)));
    let mut sources = BTreeSet::new();
    for flow in flows(100) {
        let [first, second] =
            [tcp::SYN, tcp::ACK].map(|flags| l4.send(segment(&flow, flags)).outer_source());
        assert_eq!(first, second);
        assert!(is_out_of_a_prefix(first), "{first}");
        assert_eq!(first.is_ipv6(), flow.source.is_ipv6());
        sources.insert(first);
    }
    assert!(sources.len() > 120, "{} sources of 200 flows", sources.len());
}

#[test]
fn without_prefixes_the_source_is_the_nodes_own() {
    let mut l4 = L4::new(&site(3));
    for flow in flows(10) {
        let own = address(if flow.source.is_ipv4() { OWN4 } else { OWN6 });
        assert_eq!(l4.send(segment(&flow, tcp::ACK)).outer_source(), own);
    }
}

#[test]
fn the_fragments_of_a_datagram_have_one_source() {
    let mut site = site(3);
    site.services = vec![service("dns", &[VIP4, VIP6], Protocol::Udp, Ports::Any, 3)];
    let mut l4 = L4::new(&varied(site));
    for (id, flow) in (1..).zip(flows(20)) {
        let flow = forward::Flow { protocol: protocol::UDP, ..flow };
        let pieces = datagram(&flow, &[7; 2900]).fragments(id, 512);
        let sources: BTreeSet<_> =
            pieces.iter().map(|piece| l4.send_frame(0, framed(piece)).outer_source()).collect();
        assert_eq!(sources.len(), 1);
        assert!(sources.into_iter().all(is_out_of_a_prefix));
    }
}

#[test]
fn fragments_that_are_made_here_have_one_source_too() {
    let mut site = site(3);
    site.services = vec![service("dns", &[VIP4], Protocol::Udp, Ports::Any, 3)];
    let mut l4 = L4::new(&varied(site));
    let flow = forward::Flow { protocol: protocol::UDP, ..flow4(1) };
    l4.send(datagram(&flow, &[7; 1472]));
    let made = l4.made();
    assert_eq!(made.len(), 2);
    let sources: BTreeSet<_> = made.iter().map(outer_source).collect();
    assert_eq!(sources.len(), 1);
    assert!(sources.into_iter().all(is_out_of_a_prefix));
    for piece in &made {
        opened(piece);
    }
}

#[test]
fn probes_have_such_sources_too() {
    let mut l4 = L4::new(&varied(site(3)));
    let ports = l7(1).probe_ports.unwrap();
    let mut sources = BTreeSet::new();
    for port in ports.first..=ports.last {
        for (own, vip) in [(OWN4, VIP4), (OWN6, VIP6)] {
            let probe = Ip::between(own, vip).tcp(port, 80, tcp::SYN, b"").build();
            let source = l4.kernel_sends(&probe).outer_source();
            assert!(is_out_of_a_prefix(source), "{source}");
            sources.insert(source);
        }
    }
    assert!(sources.len() > 10, "{sources:?}");
}

#[test]
fn an_error_about_a_packet_from_such_a_source_lowers_the_tunnels_mtu() {
    let mut l4 = L4::new(&varied(site(1)));
    let sent = l4.send(segment(&flow4(1), tcp::ACK));
    let IpAddr::V4(source) = sent.outer_source() else { panic!("IPv4 over IPv4") };
    let quote = &sent.frame.all()[14..14 + 28];
    let error = Ip::between("192.0.2.129", &source.to_string()).icmp(3, 4, 1400, quote);
    // The kernel does not get it: the address is none of its own.
    assert_eq!(l4.send(error).verdict, Verdict::Drop(Counter::TunnelSource));
    assert_eq!(l4.count(Counter::TunnelMtuLowered), 1);
    assert_eq!(l4.events().len(), 1);
}
