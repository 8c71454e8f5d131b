//! Which packets a service takes, from whom, and what becomes of the others.

use std::collections::BTreeSet;
use std::time::Duration;

use api::{Hash, Ports, Protocol, Rate};
use forward::{Counter, Flow, Verdict};
use packet::build::Ip;
use packet::{Tcp, protocol, tcp};

use crate::harness::*;

const NO_SERVICE: Verdict = Verdict::Drop(Counter::NoService);

fn prefixes(texts: &[&str]) -> Vec<api::Prefix> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_service_takes_its_ports_and_no_others() {
    let mut site = site(5);
    let list = |ports: &[u16]| Ports::List(ports.to_vec());
    site.services = vec![
        service("list", &[VIP4, VIP6], Protocol::Tcp, list(&[80, 443]), 5),
        service("range", &[VIP4, VIP6], Protocol::Tcp, Ports::Range(440, 8080), 5),
        service("any", &["198.51.100.0/24"], Protocol::Tcp, Ports::Any, 5),
        service("dns", &[VIP4], Protocol::Udp, list(&[53]), 5),
        service("net", &["2001:db8:5::/48"], Protocol::Udp, Ports::Range(5000, 5001), 5),
    ];
    // Node n is service n's only one.
    for (node, service) in (1..).zip(&mut site.services) {
        service.nodes = vec![up(node)];
    }
    let mut l4 = L4::new(&site);
    let (tcp, udp) = (protocol::TCP, protocol::UDP);
    for (destination, port, protocol, expected) in [
        (VIP4, 80, tcp, Some(1)),
        (VIP4, 443, tcp, Some(1)),
        (VIP4, 440, tcp, Some(2)),
        (VIP4, 8080, tcp, Some(2)),
        (VIP4, 8081, tcp, Some(3)),
        (VIP4, 79, tcp, Some(3)),
        ("198.51.100.255", 80, tcp, Some(3)),
        ("198.51.100.0", 65535, tcp, Some(3)),
        (VIP4, 53, udp, Some(4)),
        (VIP4, 54, udp, None),
        (VIP6, 443, tcp, Some(1)),
        (VIP6, 441, tcp, Some(2)),
        (VIP6, 79, tcp, None),
        (VIP6, 53, udp, None),
        ("2001:db8:5:ffff::9", 5000, udp, Some(5)),
        ("2001:db8:5::", 5001, udp, Some(5)),
        ("2001:db8:5::", 5002, udp, None),
    ] {
        let destination = address(destination);
        let from = if destination.is_ipv4() { flow4(1) } else { flow6(1) };
        let flow = Flow { destination, destination_port: port, protocol, ..from };
        let packet =
            if protocol == tcp { segment(&flow, tcp::SYN) } else { datagram(&flow, b"question") };
        let sent = l4.send(packet);
        match expected {
            Some(node) => assert_eq!(sent.node(), node, "{flow:?}"),
            None => assert_eq!(sent.verdict, NO_SERVICE, "{flow:?}"),
        }
    }
}

#[test]
fn other_protocols_to_a_vip_are_dropped() {
    let mut l4 = L4::new(&site(2));
    for number in [protocol::IPV4, protocol::SCTP, protocol::ESP, 47, 112, 255] {
        for flow in flows(1) {
            let packet = Ip::new(flow.source, flow.destination).payload(number, &[0; 40]);
            assert_eq!(l4.send(packet).verdict, NO_SERVICE, "{number}");
        }
    }
}

#[test]
fn hashed_by_source_all_flows_of_a_client_go_to_one_node() {
    let mut site = site(8);
    site.services[0].hash = Hash::Source;
    let mut l4 = L4::new(&site);
    let mut used = BTreeSet::new();
    for client in flows(60) {
        let node = l4.node_of(&client, tcp::SYN);
        used.insert(node);
        for port in 20_000..20_010 {
            let destination_port = if port % 2 == 0 { 80 } else { 443 };
            let flow = Flow { source_port: port, destination_port, ..client };
            assert_eq!(l4.node_of(&flow, tcp::SYN), node);
        }
    }
    assert_eq!(used.len(), 8, "clients are spread over all nodes");
}

#[test]
fn only_sources_that_are_allowed_are_served_and_the_longest_prefix_decides() {
    let both: [&[&str]; 2] = [
        &["203.0.113.0/24", "203.0.113.65", "2001:db8:c::/48"],
        &["203.0.113.64/26", "2001:db8:c:1::/64"],
    ];
    let denied_only: [&[&str]; 2] = [&[], &["203.0.113.64/26", "2001:db8:c::/48"]];
    let same: [&[&str]; 2] = [&["203.0.113.0/24"], &["203.0.113.0/24"]];
    for (lists, source, served) in [
        (both, "203.0.113.1", true),
        (both, "203.0.113.64", false),
        (both, "203.0.113.65", true),
        (both, "203.0.112.1", false),
        (both, "2001:db8:c:2::1", true),
        (both, "2001:db8:c:1::1", false),
        (both, "2001:db8:d::1", false),
        (denied_only, "203.0.113.1", true),
        (denied_only, "203.0.113.127", false),
        (denied_only, "2001:db8:d::1", true),
        (denied_only, "2001:db8:c::1", false),
        (same, "203.0.113.1", false),
    ] {
        let mut site = site(2);
        let [allow, deny] = lists;
        (site.services[0].allow, site.services[0].deny) = (prefixes(allow), prefixes(deny));
        let mut l4 = L4::new(&site);
        let source = address(source);
        let to = if source.is_ipv4() { flow4(1) } else { flow6(1) };
        let sent = l4.send(segment(&Flow { source, ..to }, tcp::SYN));
        if served {
            sent.node();
        } else {
            assert_eq!(sent.verdict, Verdict::Drop(Counter::SourceDenied), "{source}");
        }
    }
}

#[test]
fn a_source_that_is_denied_loses_the_flows_it_has() {
    let mut l4 = L4::new(&site(2));
    l4.node_of(&flow4(1), tcp::SYN);
    let mut changed = site(2);
    changed.services[0].deny = prefixes(&["203.0.113.0/24"]);
    l4.apply(&changed);
    let sent = l4.send(segment(&flow4(1), tcp::ACK));
    assert_eq!(sent.verdict, Verdict::Drop(Counter::SourceDenied));
}

/// Flows of one IPv4 prefix and, of as many, one of IPv6.
fn of_two_prefixes(n: u32) -> Vec<Flow> {
    let v6 = |i| Flow { source_port: 1024 + i as u16, ..flow6(0) };
    (0..n).map(flow4).chain((0..n).map(v6)).collect()
}

#[test]
fn above_its_cap_a_sources_flows_go_by_row_and_are_not_recorded() {
    let mut capped = site(4);
    capped.services[0].source_limit = Some(Rate { per_second: 10, burst: 5 });
    let mut l4 = L4::new(&capped);
    for flow in of_two_prefixes(8) {
        let owner = l4.row_owner(&flow);
        assert_eq!(Some(l4.node_of(&flow, tcp::SYN)), owner);
    }
    assert_eq!((l4.connections(), l4.count(Counter::NewFlow)), (10, 10));
    assert_eq!(l4.count(Counter::SourceCap), 6);

    let another = Flow { source: address("203.0.114.1"), ..flow4(1) };
    l4.node_of(&another, tcp::SYN);
    assert_eq!(l4.connections(), 11, "another prefix has a cap of its own");

    l4.pass(Duration::from_millis(300));
    for i in 100..108 {
        l4.node_of(&flow4(i), tcp::SYN);
    }
    assert_eq!(l4.connections(), 14, "three more in 300 ms");
    // Packets of flows that are known cost nothing.
    for flow in (0..5).map(flow4) {
        l4.node_of(&flow, tcp::ACK);
    }
    assert_eq!(l4.count(Counter::SourceCap), 11);
}

#[test]
fn a_cap_is_not_given_anew_by_a_snapshot_that_does_not_change_it() {
    let mut capped = site(2);
    capped.services[0].source_limit = Some(Rate { per_second: 1, burst: 5 });
    let mut l4 = L4::new(&capped);
    for i in 0..10 {
        l4.apply(&capped);
        l4.node_of(&flow4(i), tcp::SYN);
    }
    assert_eq!(l4.connections(), 5);
}

#[test]
fn above_the_insertion_cap_flows_go_by_row_and_are_not_recorded() {
    let mut capped = site(3);
    capped.limits.insertions = Rate { per_second: 10, burst: 20 };
    let mut l4 = L4::new(&capped);
    for flow in flows(30) {
        let owner = l4.row_owner(&flow);
        assert_eq!(Some(l4.node_of(&flow, tcp::SYN)), owner);
    }
    assert_eq!((l4.connections(), l4.count(Counter::NewFlow)), (20, 20));
    assert_eq!(l4.count(Counter::InsertionCap), 40);
    l4.pass(Duration::from_secs(1));
    for flow in flows(30) {
        l4.node_of(&flow, tcp::ACK);
    }
    assert_eq!(l4.connections(), 30);
}

#[test]
fn without_being_asked_to_nobody_answers_for_a_port_that_no_service_takes() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let unknown = Flow { destination_port: 81, ..flow };
        assert_eq!(l4.send(segment(&unknown, tcp::SYN)).verdict, NO_SERVICE);
        assert_eq!(l4.send(datagram(&unknown, b"hello")).verdict, NO_SERVICE);
    }
    assert_eq!(l4.count(Counter::NoService), 4);
}

#[test]
fn asked_to_the_node_refuses_what_no_service_takes() {
    let mut asked = site(2);
    asked.services[0].answer_unknown = true;
    let mut l4 = L4::new(&asked);
    for flow in flows(1) {
        let unknown = Flow { destination_port: 81, ..flow };
        let sent = l4.send(segment(&unknown, tcp::SYN).sequence(700, 0));
        let (back, reset) = sent.answered(Counter::UnknownReplied);
        assert_eq!((back.source, back.destination), (unknown.destination, unknown.source));
        assert_eq!((back.source_port, back.destination_port), (81, unknown.source_port));
        assert_eq!(back.tcp_flags, tcp::RST | tcp::ACK);
        assert_eq!(Tcp::parse(reset).unwrap().acknowledgment(), 700 + 1 + 4);

        let question = datagram(&unknown, b"question").build();
        let sent = l4.send(datagram(&unknown, b"question"));
        let (back, error) = sent.answered(Counter::UnknownReplied);
        assert_eq!((back.source, back.destination), (unknown.destination, unknown.source));
        let expected = if flow.source.is_ipv4() { [3, 3] } else { [1, 4] };
        assert_eq!((&error[..2], &error[8..]), (&expected[..], &question[..]));

        let sent = l4.send(segment(&unknown, tcp::RST));
        assert_eq!(sent.verdict, NO_SERVICE, "a reset is not answered");
    }
    assert_eq!(l4.count(Counter::UnknownReplied), 4);
}

#[test]
fn refusals_are_limited_per_source_prefix() {
    let mut asked = site(2);
    asked.services[0].answer_unknown = true;
    asked.limits.icmp_source = Rate { per_second: 1, burst: 3 };
    let mut l4 = L4::new(&asked);
    let unknown = |i| Flow { destination_port: 81, ..flow4(i) };
    for i in 0..10 {
        let sent = l4.send(segment(&unknown(i), tcp::SYN));
        if i < 3 {
            sent.answered(Counter::UnknownReplied);
        } else {
            assert_eq!(sent.verdict, Verdict::Drop(Counter::UnknownLimit));
        }
    }
    let other = Flow { source: address("203.0.114.1"), ..unknown(1) };
    l4.send(segment(&other, tcp::SYN)).answered(Counter::UnknownReplied);
    l4.pass(Duration::from_secs(1));
    l4.send(segment(&unknown(1), tcp::SYN)).answered(Counter::UnknownReplied);
}

#[test]
fn services_of_one_name_share_their_connections() {
    // Two VIPs of one service, between whose nodes' states there is a difference.
    let mut split = site(3);
    split.services = [VIP4, VIP6]
        .map(|vip| service("web", &[vip], Protocol::Tcp, Ports::List(vec![80]), 3))
        .to_vec();
    let mut l4 = L4::new(&split);
    let nodes: Vec<_> =
        flows(30).into_iter().map(|flow| (flow, l4.node_of(&flow, tcp::ACK))).collect();
    split.services[1].nodes[0].weight = 0;
    l4.apply(&split);
    for (flow, node) in nodes {
        assert_eq!(l4.node_of(&flow, tcp::ACK), node);
    }
    let packets: u64 = (1..=3).map(|node| l4.traffic("web", node).packets).sum();
    assert_eq!(packets, 120);
}
