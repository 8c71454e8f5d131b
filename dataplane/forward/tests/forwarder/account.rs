//! What is counted adds up.

use std::time::Duration;

use api::{Ports, Protocol, Traffic};
use forward::{Counter, Flow};
use packet::{protocol, tcp};
use proptest::prelude::*;

use crate::harness::*;

fn two_services() -> api::Snapshot {
    let mut site = site(4);
    site.services.push(service("dns", &[VIP4, VIP6], Protocol::Udp, Ports::Any, 3));
    site
}

/// Traffic of both services' nodes together.
fn all(l4: &L4) -> Traffic {
    let mut sum = Traffic::default();
    for (service, nodes) in [("web", 4), ("dns", 3)] {
        for node in 1..=nodes {
            let traffic = l4.traffic(service, node);
            sum.packets += traffic.packets;
            sum.bytes += traffic.bytes;
            sum.new_flows += traffic.new_flows;
            sum.connections = sum.connections.wrapping_add(traffic.connections);
        }
    }
    sum
}

#[test]
fn traffic_is_counted_where_it_goes() {
    let mut l4 = L4::with_workers(2, &two_services());
    let mut expected = [[Traffic::default(); 5]; 2];
    for (i, flow) in flows(200).into_iter().enumerate() {
        let (service, packet) = if i % 3 == 0 {
            (1, datagram(&Flow { protocol: protocol::UDP, ..flow }, b"question"))
        } else {
            (0, segment(&flow, tcp::ACK))
        };
        let len = packet.clone().build().len() as u64;
        for _ in 0..3 {
            let node = l4.send_by(i % 2, packet.clone()).node();
            let traffic = &mut expected[service][usize::from(node)];
            traffic.packets += 1;
            traffic.bytes += len;
        }
        let node = l4.send_by(i % 2, packet.clone()).node();
        let traffic = &mut expected[service][usize::from(node)];
        traffic.packets += 1;
        traffic.bytes += len;
        traffic.new_flows += 1;
        traffic.connections += 1;
    }
    for (service, name, nodes) in [(0, "web", 4), (1, "dns", 3)] {
        for node in 1..=nodes {
            assert_eq!(
                l4.traffic(name, node),
                expected[service][usize::from(node)],
                "{name} {node}"
            );
        }
    }
    assert_eq!(all(&l4).packets, l4.count(Counter::Forwarded));
    assert_eq!(all(&l4).new_flows, l4.count(Counter::NewFlow));
    assert_eq!(l4.count(Counter::ConnectionHit), 1600 - 400);
}

#[test]
fn when_all_connections_expired_none_is_left_in_any_gauge() {
    let mut l4 = L4::new(&two_services());
    for flow in flows(500) {
        l4.send(segment(&flow, tcp::SYN)).node();
        l4.send(datagram(&flow, b"question")).node();
    }
    assert_eq!((all(&l4).connections, l4.connections()), (2000, 2000));
    l4.pass(Duration::from_secs(59));
    l4.sweep();
    assert_eq!(l4.connections(), 2000);
    l4.pass(Duration::from_secs(2)); // embryonic flows live for 60 s
    l4.sweep();
    assert_eq!((all(&l4).connections, l4.connections()), (1000, 1000));
    l4.pass(Duration::from_secs(60)); // and UDP flows for 120 s
    l4.sweep();
    assert_eq!((all(&l4).connections, l4.connections()), (0, 0));
    assert_eq!(l4.count(Counter::Expired), 2000);
    for (service, nodes) in [("web", 4), ("dns", 3)] {
        for node in 1..=nodes {
            assert_eq!(l4.traffic(service, node).connections, 0, "{service} {node}");
        }
    }
}

/// Something that may happen to an L4 node.
#[derive(Clone, Debug)]
enum Happening {
    Segment { worker: usize, flow: u32, ipv6: bool, flags: u8 },
    Datagram { worker: usize, flow: u32, ipv6: bool },
    Nodes(u16),
    Seconds(u64),
    Sweep,
}

fn happening() -> impl Strategy<Value = Happening> {
    let flags = prop_oneof![Just(tcp::SYN), Just(tcp::ACK), Just(tcp::FIN), Just(tcp::RST)];
    let segment = (0..2_usize, 0..40_u32, any::<bool>(), flags);
    prop_oneof![
        12 => segment.prop_map(|(worker, flow, ipv6, flags)| Happening::Segment { worker, flow, ipv6, flags }),
        4 => (0..2_usize, 0..40_u32, any::<bool>())
            .prop_map(|(worker, flow, ipv6)| Happening::Datagram { worker, flow, ipv6 }),
        1 => (1..=4_u16).prop_map(Happening::Nodes),
        1 => prop_oneof![Just(1), Just(61), Just(121), Just(9000)].prop_map(Happening::Seconds),
        1 => Just(Happening::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn gauges_and_sums_agree_whatever_happens(
        happenings in proptest::collection::vec(happening(), 1..200),
    ) {
        let mut l4 = L4::with_workers(2, &two_services());
        for happening in happenings {
            match happening {
                Happening::Segment { worker, flow, ipv6, flags } => {
                    let flow = if ipv6 { flow6(flow) } else { flow4(flow) };
                    l4.send_by(worker, segment(&flow, flags));
                }
                Happening::Datagram { worker, flow, ipv6 } => {
                    let flow = if ipv6 { flow6(flow) } else { flow4(flow) };
                    l4.send_by(worker, datagram(&flow, b"question"));
                }
                Happening::Nodes(nodes) => {
                    let mut site = two_services();
                    site.services[0].nodes.truncate(nodes.into());
                    l4.apply(&site);
                }
                Happening::Seconds(seconds) => l4.pass(Duration::from_secs(seconds)),
                Happening::Sweep => l4.sweep(),
            }
            let all = all(&l4);
            prop_assert_eq!(all.connections, l4.connections() as u64);
            prop_assert_eq!(all.packets, l4.count(Counter::Forwarded));
            prop_assert_eq!(all.new_flows, l4.count(Counter::NewFlow));
        }
        l4.pass(two_services().idle.longest() * 2);
        l4.sweep();
        prop_assert_eq!((all(&l4).connections, l4.connections()), (0, 0));
    }

    #[test]
    fn what_is_explained_is_what_happens(
        happenings in proptest::collection::vec(happening(), 1..150),
    ) {
        let mut l4 = L4::with_workers(2, &two_services());
        for happening in happenings {
            match happening {
                // A flow's packets arrive at one worker, as a NIC spreads them.
                Happening::Segment { flow: i, ipv6, flags, .. } => {
                    let flow = if ipv6 { flow6(i) } else { flow4(i) };
                    let told = l4.explain(&flow);
                    let again = flags == tcp::SYN
                        && told.known.as_ref().is_some_and(|known| known.state == "closing");
                    let expected = if again { told.row_owner } else { told.node };
                    let sent = l4.send_by(i as usize % 2, segment(&flow, flags));
                    prop_assert_eq!(Some(format!("l7-{}", sent.node())), expected);
                }
                Happening::Datagram { flow: i, ipv6, .. } => {
                    let flow = if ipv6 { flow6(i) } else { flow4(i) };
                    let flow = Flow { protocol: protocol::UDP, ..flow };
                    let told = l4.explain(&flow);
                    let sent = l4.send_by(i as usize % 2, datagram(&flow, b"question"));
                    prop_assert_eq!(Some(format!("l7-{}", sent.node())), told.node);
                }
                Happening::Nodes(nodes) => {
                    let mut site = two_services();
                    site.services[0].nodes.truncate(nodes.into());
                    l4.apply(&site);
                }
                Happening::Seconds(seconds) => l4.pass(Duration::from_secs(seconds)),
                Happening::Sweep => l4.sweep(),
            }
        }
    }
}
