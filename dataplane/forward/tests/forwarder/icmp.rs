//! Errors from the network follow the flow they are about; echo, and packets that are too big for
//! the tunnel, are answered.

use std::net::IpAddr;
use std::time::Duration;

use api::Rate;
use forward::{Class, Counter, Event, Flow, Verdict};
use packet::build::Ip;
use packet::{Ipv4, tcp};

use crate::harness::*;

/// A router on the way to the clients.
fn router(flow: &Flow) -> IpAddr {
    address(if flow.source.is_ipv4() { "192.0.2.77" } else { "2001:db8:77::1" })
}

/// The error that a router sends about an answer of the flow's node, which left from the VIP.
pub(crate) fn error_about(flow: &Flow, message: [u8; 2], rest: u32) -> Ip {
    error_to(flow.destination, flow, message, rest)
}

/// The same, but to another than the answer's sender.
fn error_to(destination: IpAddr, flow: &Flow, message: [u8; 2], rest: u32) -> Ip {
    let answer = Ip::new(flow.destination, flow.source).tcp(
        flow.destination_port,
        flow.source_port,
        tcp::ACK,
        &[7; 90],
    );
    let mut quote = answer.build();
    quote.truncate(if flow.source.is_ipv4() { 28 } else { 100 });
    Ip::new(router(flow), destination).icmp(message[0], message[1], rest, &quote)
}

/// Type, code and rest of every error there is, by family.
fn errors(flow: &Flow) -> Vec<([u8; 2], u32)> {
    if flow.source.is_ipv4() {
        vec![([3, 1], 0), ([3, 4], 1400), ([11, 0], 0), ([11, 1], 0), ([12, 0], 0)]
    } else {
        vec![([1, 0], 0), ([1, 4], 0), ([2, 0], 1400), ([3, 0], 0), ([4, 1], 0)]
    }
}

#[test]
fn an_error_follows_the_flow_that_it_quotes() {
    let mut l4 = L4::new(&site(3));
    let known: Vec<_> =
        flows(40).into_iter().map(|flow| (flow, l4.node_of(&flow, tcp::ACK))).collect();
    l4.apply(&site(6));
    let mut sent = 0;
    for (flow, node) in &known {
        for (message, rest) in errors(flow) {
            let error = error_about(flow, message, rest);
            let bytes = error.clone().build();
            assert_eq!(l4.send(error).tunnelled(), (*node, &bytes[..]), "{message:?}");
            sent += 1;
        }
    }
    assert_eq!(l4.count(Counter::ErrorForwarded), sent);
    assert!(known.iter().any(|(flow, node)| l4.row_owner(flow) != Some(*node)));
}

#[test]
fn an_error_follows_its_flow_to_a_node_chosen_by_source() {
    let mut by_source = site(5);
    by_source.services[0].hash = api::Hash::Source;
    by_source.services[0].track = false;
    let mut l4 = L4::new(&by_source);
    for flow in flows(20) {
        let node = l4.node_of(&flow, tcp::ACK);
        let (message, rest) = errors(&flow)[0];
        assert_eq!(l4.send(error_about(&flow, message, rest)).node(), node);
    }
}

#[test]
fn an_error_about_an_unknown_flow_goes_by_row_and_is_not_recorded() {
    let mut l4 = L4::new(&site(3));
    for flow in flows(20) {
        let owner = l4.row_owner(&flow).unwrap();
        let (message, rest) = errors(&flow)[1];
        assert_eq!(l4.send(error_about(&flow, message, rest)).node(), owner);
    }
    assert_eq!((l4.connections(), l4.count(Counter::NewFlow)), (0, 0));
}

#[test]
fn an_error_does_not_keep_a_flow_alive() {
    let mut l4 = L4::new(&site(3));
    let known: Vec<_> =
        flows(40).into_iter().map(|flow| (flow, l4.node_of(&flow, tcp::SYN))).collect();
    l4.apply(&site(6));
    l4.pass(Duration::from_secs(50));
    for (flow, node) in &known {
        let (message, rest) = errors(flow)[0];
        assert_eq!(l4.send(error_about(flow, message, rest)).node(), *node);
    }
    l4.pass(Duration::from_secs(11)); // embryonic flows live for 60 s
    for (flow, _) in &known {
        let owner = l4.row_owner(flow).unwrap();
        assert_eq!(l4.node_of(flow, tcp::ACK), owner);
    }
}

#[test]
fn an_error_that_quotes_no_flow_of_ours_is_dropped() {
    let mut two_vips = site(2);
    let other_vips = ["198.51.100.2", "2001:db8::c633:6402"];
    two_vips.services[0].vips.extend(other_vips.map(|vip| vip.parse::<api::Prefix>().unwrap()));
    let mut l4 = L4::new(&two_vips);
    for (flow, other_vip) in flows(1).into_iter().zip(other_vips) {
        let (message, rest) = errors(&flow)[0];
        let cut = Ip::new(router(&flow), flow.destination).icmp(message[0], message[1], rest, b"E");
        for error in [
            error_about(&Flow { destination_port: 81, ..flow }, message, rest),
            error_to(address(other_vip), &flow, message, rest),
            cut,
        ] {
            assert_eq!(l4.send(error).verdict, Verdict::Drop(Counter::ErrorUnknown));
        }
    }
}

#[test]
fn icmp_that_is_neither_an_error_nor_an_echo_request_is_dropped() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let others: &[u8] =
            if flow.source.is_ipv4() { &[0, 5, 9, 10, 13, 17] } else { &[129, 130, 133, 135, 137] };
        for &message_type in others {
            let packet = Ip::new(flow.source, flow.destination).icmp(message_type, 0, 0, &[0; 32]);
            assert_eq!(l4.send(packet).verdict, Verdict::Drop(Counter::IcmpType), "{message_type}");
        }
    }
}

fn echo(flow: &Flow) -> Ip {
    let request = if flow.source.is_ipv4() { 8 } else { 128 };
    Ip::new(flow.source, flow.destination).icmp(request, 0, 0x1234_0001, b"are you there?")
}

#[test]
fn an_echo_request_to_a_vip_is_answered() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let sent = l4.send(echo(&flow));
        let (back, reply) = sent.answered(Counter::EchoReplied);
        assert_eq!((back.source, back.destination), (flow.destination, flow.source));
        assert_eq!(reply[0], if flow.source.is_ipv4() { 0 } else { 129 });
        assert_eq!(reply[4..], *b"\x12\x34\0\x01are you there?");
    }
}

#[test]
fn answers_are_limited_per_source_prefix_and_in_all() {
    let mut limited = site(2);
    limited.limits.icmp_source = Rate { per_second: 10, burst: 4 };
    limited.limits.icmp = Rate { per_second: 10, burst: 6 };
    let mut l4 = L4::new(&limited);
    let answered = |l4: &mut L4, source: &str, n: usize| {
        let from = Flow { source: address(source), ..flow4(0) };
        let verdicts = (0..n).map(|_| l4.send(echo(&from)).verdict);
        verdicts
            .inspect(|v| match v {
                Verdict::Reply(Counter::EchoReplied) | Verdict::Drop(Counter::EchoLimit) => {}
                other => panic!("{other:?}"),
            })
            .filter(|v| matches!(v, Verdict::Reply(_)))
            .count()
    };
    assert_eq!(answered(&mut l4, "203.0.113.1", 10), 4);
    assert_eq!(answered(&mut l4, "203.0.113.200", 10), 0, "of the same prefix");
    assert_eq!(answered(&mut l4, "203.0.114.1", 10), 2, "what is left for all");
    l4.pass(Duration::from_millis(300));
    assert_eq!(answered(&mut l4, "203.0.113.1", 10), 3);
    assert_eq!(l4.count(Counter::EchoReplied), 9);
    assert_eq!(l4.count(Counter::EchoLimit), 31);
}

/// A TCP segment of the flow in a packet of `len` bytes.
fn segment_of(flow: &Flow, len: usize) -> Ip {
    let Flow { source, source_port, destination, destination_port, .. } = *flow;
    let headers = if source.is_ipv4() { 40 } else { 60 };
    let data: Vec<u8> = (0..len - headers).map(|i| i as u8).collect();
    Ip::new(source, destination).tcp(source_port, destination_port, tcp::ACK, &data)
}

#[test]
fn what_fits_the_tunnel_is_forwarded_and_what_does_not_is_told() {
    for (mtu, longest4, longest6, told4, told6) in [
        (1500, 1480, 1460, 1480, 1460),
        (1400, 1380, 1360, 1380, 1360),
        (1300, 1280, 1260, 1280, 1280), // IPv6 takes 1280 bytes everywhere
        (580, 560, 540, 576, 1280),
    ] {
        let mut l4 = L4::new(&site(2));
        l4.route(|path| path.mtu = mtu);
        for (flow, longest, told) in [(flow4(1), longest4, told4), (flow6(1), longest6, told6)] {
            let fits = segment_of(&flow, longest).dont_fragment();
            let bytes = fits.clone().build();
            assert_eq!(l4.send(fits).tunnelled().1, bytes, "{longest}");

            let bytes = segment_of(&flow, longest + 1).dont_fragment().build();
            let sent = l4.send(segment_of(&flow, longest + 1).dont_fragment());
            let (back, error) = sent.answered(Counter::TooBigReplied);
            assert_eq!((back.source, back.destination), (flow.destination, flow.source));
            let expected = if flow.source.is_ipv4() { [3, 4] } else { [2, 0] };
            assert_eq!(error[..2], expected);
            assert_eq!(u32::from_be_bytes(*error[4..].first_chunk().unwrap()), told);
            assert!(bytes.starts_with(&error[8..]) && error.len() > 8 + 28);
        }
    }
}

#[test]
fn a_packet_without_df_is_fragmented_into_the_tunnel() {
    let mut l4 = L4::new(&site(2));
    for len in [1481, 1500, 2900, 9000] {
        let packet = segment_of(&flow4(1), len).id(77);
        let whole = packet.clone().build();
        assert_eq!(l4.send(packet).verdict, Verdict::Fragmented);
        let made = l4.made();
        let owner = l4.row_owner(&flow4(1)).unwrap();
        let mut payload = Vec::<u8>::new();
        for (i, frame) in made.iter().enumerate() {
            let (node, inner) = opened(frame);
            assert_eq!(node, owner);
            assert!(frame.all().len() <= 14 + 1500);
            let piece = Ipv4::parse(inner).unwrap();
            assert_eq!((piece.id(), usize::from(piece.fragment_offset())), (77, payload.len()));
            assert_eq!(piece.more_fragments(), i + 1 < made.len());
            payload.extend(piece.payload());
        }
        assert_eq!(payload, whole[20..]);
        assert!(l4.made().is_empty(), "they are given once");
    }
    assert_eq!(l4.count(Counter::Fragmented), 4);
    assert_eq!(
        l4.count(Counter::Forwarded),
        l4.traffic("web", 1).packets + l4.traffic("web", 2).packets
    );
}

#[test]
fn what_is_too_big_is_told_within_the_limit() {
    let mut limited = site(2);
    limited.limits.icmp_source = Rate { per_second: 1, burst: 2 };
    let mut l4 = L4::new(&limited);
    for i in 0..5 {
        let sent = l4.send(segment_of(&flow4(i), 1500).dont_fragment());
        if i < 2 {
            sent.answered(Counter::TooBigReplied);
        } else {
            assert_eq!(sent.verdict, Verdict::Drop(Counter::TooBigLimit));
        }
    }
}

#[test]
fn nobody_is_told_about_icmp_errors_and_odd_sources() {
    let mut l4 = L4::new(&site(2));
    let too_big = Verdict::Drop(Counter::TooBig);
    for flow in flows(1) {
        let (message, rest) = errors(&flow)[0];
        let Flow { source, source_port, destination, destination_port, .. } = flow;
        let quoted =
            Ip::new(destination, source).tcp(destination_port, source_port, tcp::ACK, &[0; 1450]);
        let error = Ip::new(router(&flow), destination).dont_fragment().icmp(
            message[0],
            message[1],
            rest,
            &quoted.build(),
        );
        assert_eq!(l4.send(error).verdict, too_big, "an ICMP error");

        let odd: &[&str] = if source.is_ipv4() {
            &["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"]
        } else {
            &["::", "::1", "ff02::1"]
        };
        for source in odd {
            let odd = Flow { source: address(source), ..flow };
            let sent = l4.send(segment_of(&odd, 1500).dont_fragment());
            assert_eq!(sent.verdict, too_big, "from {source}");
        }
    }
    assert_eq!(l4.count(Counter::TooBigReplied), 0);
}

#[test]
fn an_error_about_our_own_outer_packet_lowers_the_tunnels_mtu() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let packet = segment_of(&flow, 1400);
        let sent = l4.send(packet);
        let node = usize::from(sent.node());
        let outer = &sent.frame.all()[14..];
        let (own, message, family) =
            if flow.source.is_ipv4() { (OWN4, [3, 4], 0) } else { (OWN6, [2, 0], 1) };
        let quote = &outer[..outer.len().min(500)];
        let error = Ip::new(router(&flow), address(own)).icmp(message[0], message[1], 1300, quote);
        let sent = l4.send(error);
        assert_eq!(sent.verdict, Verdict::Kernel(Class::Errors));
        let l7 = l7(node as u16).addresses[family];
        assert_eq!(l4.events(), [Event::TunnelMtu { node: l7, mtu: 1300 }]);
    }
    assert_eq!(l4.count(Counter::TunnelMtuLowered), 2);
}
