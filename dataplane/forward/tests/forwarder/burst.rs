//! Packets of one burst: handled together, as if one by one.

use forward::{BURST, Counter, Flow, Verdict};
use packet::build::{self, Ip};
use packet::{Buffer, arp, protocol, tcp};
use proptest::prelude::*;

use crate::harness::*;

#[test]
fn packets_of_one_new_flow_in_one_burst_get_one_entry() {
    for flow in flows(1) {
        let mut l4 = L4::new(&site(4));
        let packets = [tcp::SYN, tcp::SYN, tcp::ACK, tcp::ACK | tcp::PSH, tcp::ACK];
        let frames = packets.map(|flags| framed(&segment(&flow, flags).build())).to_vec();
        let owner = l4.row_owner(&flow).unwrap();
        for sent in l4.burst(0, frames) {
            assert_eq!(sent.node(), owner);
        }
        assert_eq!((l4.connections(), l4.count(Counter::NewFlow)), (1, 1));
        assert_eq!(l4.count(Counter::ConnectionHit), 4);
        assert_eq!(l4.explain(&flow).known.unwrap().state, "open");
    }
}

#[test]
fn the_order_of_a_burst_is_kept() {
    let mut l4 = L4::new(&site(4));
    // Families and ways through the forwarder alternate.
    let packets: Vec<Vec<u8>> = (0..BURST as u32)
        .map(|i| {
            let flow = if i % 2 == 0 { flow4(i % 5) } else { flow6(i % 5) };
            let packet = segment(&flow, tcp::ACK).sequence(i, 0);
            if i % 3 == 0 { packet.options(&[1; 4]) } else { packet }.build()
        })
        .collect();
    let sent = l4.burst(0, packets.iter().map(|packet| framed(packet)).collect());
    let inner: Vec<_> = sent.iter().map(|sent| sent.tunnelled().1.to_vec()).collect();
    assert_eq!(inner, packets);
}

#[test]
fn every_packet_of_a_mixed_burst_gets_its_own_verdict() {
    let mut l4 = L4::new(&site(4));
    let own = Ip::between("203.0.113.1", OWN4).tcp(1, 22, tcp::SYN, b"").build();
    let big = datagram(&flow6(1), &[0; 1400]);
    let too_big =
        Ip::new(flow6(1).source, flow6(1).destination).tcp(1, 80, tcp::ACK, &[0; 1440]).build();
    let frames = vec![
        framed(&segment(&flow4(1), tcp::SYN).build()),
        framed(&own),
        framed(&segment(&flow6(1), tcp::SYN).build()),
        Buffer::new(&arp::gratuitous(ROUTER, "192.0.2.130".parse().unwrap(), None)),
        framed(&too_big),
        framed(&big.build()),
        Buffer::new(&build::frame(STRANGER, ROUTER, None, &own)),
        framed(&segment(&flow4(2), tcp::ACK).fragment(1, 8, true).payload(6, &[0; 16]).build()),
        framed(&segment(&flow4(1), tcp::ACK).options(&[1; 4]).build()),
        Buffer::new(&[0; 3]),
    ];
    let kinds: Vec<_> = l4.burst(0, frames).iter().map(|sent| sent.verdict.counter()).collect();
    assert_eq!(
        kinds,
        [
            Counter::Forwarded,
            Counter::KernelOther,
            Counter::Forwarded,
            Counter::KernelNeighbor,
            Counter::TooBigReplied,
            Counter::NoService,
            Counter::OtherMac,
            Counter::FragmentHeld,
            Counter::Forwarded,
            Counter::OtherMac,
        ]
    );
}

#[test]
fn an_empty_burst_does_nothing() {
    let mut l4 = L4::new(&site(1));
    assert!(l4.burst(0, Vec::new()).is_empty());
    assert!(Counter::ALL.iter().all(|&counter| l4.count(counter) == 0));
}

/// A packet of one of few flows, in one of many forms.
fn packet() -> impl Strategy<Value = Buffer> {
    let flags =
        prop_oneof![Just(tcp::SYN), Just(tcp::ACK), Just(tcp::ACK | tcp::FIN), Just(tcp::RST)];
    (0..24_u8, 0..6_u32, any::<bool>(), flags).prop_map(|(form, i, ipv6, flags)| {
        let flow = if ipv6 { flow6(i) } else { flow4(i) };
        // What goes the long way is handled ahead of the rest of its burst. No difference is seen unless
        // a flow's packets go both ways in one burst, which these do not.
        let flow = if form < 12 { flow } else { Flow { source_port: 1024, ..flow } };
        let Flow { source, destination, .. } = flow;
        let long = vec![i as u8; 1450];
        let own = address(if ipv6 { OWN6 } else { OWN4 });
        let packet = match form {
            0..12 => segment(&flow, flags),
            12 | 13 => {
                segment(&flow, tcp::ACK).options(&[1; 4]).extension(protocol::HOP_BY_HOP, &[])
            }
            14 => datagram(&flow, b"no service takes it"),
            15 => segment(&Flow { destination: own, ..flow }, flags),
            16 => Ip::new(source, destination).icmp(if ipv6 { 128 } else { 8 }, 0, i, b"echo"),
            17 => Ip::new(source, destination).dont_fragment().tcp(1024, 80, tcp::ACK, &long),
            18 => Ip::new(source, destination).id(i as u16).tcp(1024, 80, tcp::ACK, &long),
            19 => segment(&flow, tcp::ACK).fragment(i, 0, true).payload(6, &[7; 24]),
            20 => segment(&flow, tcp::ACK).fragment(i, 24, false).payload(6, &[7; 24]),
            21 => segment(&flow, tcp::ACK).fragment(i, 0, false),
            22 => Ip::new(source, destination).payload(47, &[0; 20]),
            _ => {
                let mut frame = framed(&segment(&flow, flags).build()).all().to_vec();
                frame.truncate(30);
                return Buffer::new(&frame);
            }
        };
        framed(&packet.build())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_burst_is_handled_as_if_its_packets_came_one_by_one(
        bursts in proptest::collection::vec(proptest::collection::vec(packet(), 1..=BURST), 1..8),
    ) {
        let mut generous = site(4);
        let much = api::Rate { per_second: 1_000_000, burst: 1_000_000 };
        (generous.limits.icmp, generous.limits.icmp_source) = (much, much);
        let (mut together, mut apart) = (L4::new(&generous), L4::new(&generous));
        for burst in bursts {
            let sent: Vec<_> = together.burst(0, burst.clone());
            let single: Vec<_> =
                burst.into_iter().map(|frame| apart.send_frame(0, frame)).collect();
            for (together, apart) in sent.iter().zip(&single) {
                prop_assert_eq!(together, apart);
            }
            prop_assert_eq!(together.made(), apart.made());
            prop_assert_eq!(together.ready(), apart.ready());
        }
        for &counter in Counter::ALL {
            prop_assert_eq!(together.count(counter), apart.count(counter), "{}", counter.name());
        }
        prop_assert_eq!(together.connections(), apart.connections());
        for node in 1..=4 {
            prop_assert_eq!(together.traffic("web", node), apart.traffic("web", node));
        }
    }
}

#[test]
fn a_full_burst_of_each_family_is_forwarded() {
    let mut l4 = L4::new(&site(4));
    for flow in [flow4 as fn(u32) -> Flow, flow6] {
        let flows: Vec<_> = (0..BURST as u32).map(flow).collect();
        let frames = flows.iter().map(|flow| framed(&segment(flow, tcp::SYN).build())).collect();
        let sent = l4.burst(0, frames);
        for (flow, sent) in flows.iter().zip(sent) {
            assert_eq!(Some(sent.node()), l4.row_owner(flow));
            assert!(matches!(sent.verdict, Verdict::Forward { .. }));
        }
    }
    assert_eq!(l4.connections(), 2 * BURST);
}
