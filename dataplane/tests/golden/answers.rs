//! What the VIP answers itself: echo, packets too big for the tunnel, ports that nobody takes; and
//! errors, which it passes on.

use std::net::IpAddr;

use packet::build::Ip;
use packet::checksum::Sum;
use packet::{icmp, protocol, tcp as flags};

use crate::case::{Case, check};
use crate::site::{
    CLIENT, CLIENT6, DNS, FAR, FAR6, Flow, VIP, VIP_OVER6, VIP_TALKING, VIP6, VIP6_OVER4,
    VIP6_TALKING, WEB, tcp, udp,
};

/// CS6: what errors are sent with.
const NETWORK_CONTROL: u8 = 0xc0;
/// Identifier and sequence number.
const ECHO: u32 = 0x1234_0001;

#[test]
fn echo_requests_to_a_vip_are_answered_by_it() {
    let echo = |from: &str, to: &str, kind: u8, data: &[u8]| {
        Ip::between(from, to).icmp(kind, 0, ECHO, data)
    };
    let (ask, reply) = (icmp::v4::ECHO_REQUEST, icmp::v4::ECHO_REPLY);
    let (ask6, reply6) = (icmp::v6::ECHO_REQUEST, icmp::v6::ECHO_REPLY);
    let long = [0x5a; 1400];
    check(&[
        Case::answered(
            "IPv4",
            echo(CLIENT, VIP, ask, b"data").id(7),
            &echo(VIP, CLIENT, reply, b"data").id(7).build(),
            "echo_replied",
        ),
        Case::answered(
            "IPv4, DF, with a traffic class",
            echo(CLIENT, VIP, ask, b"odd").dont_fragment().traffic_class(0xb8),
            &echo(VIP, CLIENT, reply, b"odd").dont_fragment().traffic_class(0xb8).build(),
            "echo_replied",
        ),
        Case::answered(
            "IPv4 with options",
            echo(CLIENT, VIP, ask, &long).options(&[148, 4, 0, 0]),
            &echo(VIP, CLIENT, reply, &long).build(),
            "echo_replied",
        ),
        Case::answered(
            "IPv6",
            echo(CLIENT6, VIP6, ask6, b"data"),
            &echo(VIP6, CLIENT6, reply6, b"data").build(),
            "echo_replied",
        ),
        Case::answered(
            "IPv6 with an extension header",
            echo(CLIENT6, VIP6, ask6, &long).extension(protocol::DESTINATION_OPTIONS, &[1, 4]),
            &echo(VIP6, CLIENT6, reply6, &long).build(),
            "echo_replied",
        ),
        Case::answered(
            "nothing in it",
            echo(FAR, VIP, ask, b""),
            &echo(VIP, FAR, reply, b"").build(),
            "echo_replied",
        ),
    ]);
}

#[test]
fn packets_too_big_for_the_tunnel_are_answered_with_what_fits() {
    let big =
        |flow: Flow, len: usize| flow.carry(flow.ip().dont_fragment(), flags::ACK, &vec![1; len]);
    let needed = |flow: Flow, mtu: u32, packet: Ip| {
        let packet = packet.build();
        let quote = &packet[..packet.len().min(576 - 28)];
        let (kind, code) = (icmp::v4::UNREACHABLE, icmp::v4::FRAGMENTATION_NEEDED);
        let answer = flow.back().icmp(kind, code, mtu, quote);
        answer.traffic_class(NETWORK_CONTROL).dont_fragment().build()
    };
    let too_big = |flow: Flow, mtu: u32, packet: Ip| {
        let packet = packet.build();
        let quote = &packet[..packet.len().min(1280 - 48)];
        let answer = flow.back().icmp(icmp::v6::TOO_BIG, 0, mtu, quote);
        answer.traffic_class(NETWORK_CONTROL).build()
    };
    let v4 = [
        ("IPv4, DF", tcp(CLIENT, 5, VIP, WEB), 1480, 1460),
        ("IPv4, DF, over IPv6", tcp(CLIENT, 5, VIP_OVER6, WEB), 1460, 1460),
        ("IPv4, DF, one byte too many", udp(CLIENT, 5, VIP, DNS), 1480, 1481 - 28),
        ("IPv4, DF, longer than a buffer", udp(FAR, 5, VIP, DNS), 1480, 9000),
    ]
    .map(|(name, flow, mtu, len)| {
        let packet = big(flow, len);
        Case::answered(name, packet.clone(), &needed(flow, mtu, packet), "too_big_replied")
    });
    let v6 = [
        ("IPv6", tcp(CLIENT6, 5, VIP6, WEB), 1460, 1440),
        ("IPv6 over IPv4", tcp(CLIENT6, 5, VIP6_OVER4, WEB), 1480, 1440),
        ("IPv6, one byte too many", udp(CLIENT6, 5, VIP6, DNS), 1460, 1461 - 48),
        ("IPv6, longer than a buffer", udp(FAR6, 5, VIP6, DNS), 1460, 9000),
    ]
    .map(|(name, flow, mtu, len)| {
        let packet = flow.packet(&vec![1; len]);
        Case::answered(name, packet.clone(), &too_big(flow, mtu, packet), "too_big_replied")
    });
    check(&v4.into_iter().chain(v6).collect::<Vec<_>>());
}

/// The reset for a SYN without data.
fn reset(flow: Flow, ports: [u16; 2]) -> Vec<u8> {
    let (sequence, acknowledgment) = (0_u32, 1_u32);
    let mut segment = ports.map(u16::to_be_bytes).concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledgment.to_be_bytes());
    segment.extend([5 << 4, flags::RST | flags::ACK, 0, 0, 0, 0, 0, 0]);
    let query = flow.query();
    let ends: [IpAddr; 2] = [query.destination, query.source];
    let sum = Sum::pseudo(ends[0], ends[1], protocol::TCP, segment.len()).with(&segment);
    segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
    flow.back().dont_fragment().payload(protocol::TCP, &segment).build()
}

#[test]
fn a_service_that_wants_it_tells_senders_that_nobody_takes_the_port() {
    let v4 = tcp(CLIENT, 40_000, VIP_TALKING, 81);
    let v6 = tcp(CLIENT6, 40_000, VIP6_TALKING, 81);
    let datagram4 = udp(CLIENT, 40_000, VIP_TALKING, 54);
    let datagram6 = udp(CLIENT6, 40_000, VIP6_TALKING, 54);
    let syn = |flow: Flow| flow.carry(flow.ip(), flags::SYN, b"");
    let unreachable = |flow: Flow, kind: u8, code: u8| {
        let quote = flow.packet(b"anyone?").build();
        let answer = flow.back().icmp(kind, code, 0, &quote);
        answer.traffic_class(NETWORK_CONTROL).dont_fragment().build()
    };
    check(&[
        Case::answered("TCP", syn(v4), &reset(v4, [81, 40_000]), "unknown_replied"),
        Case::answered("TCP, IPv6", syn(v6), &reset(v6, [81, 40_000]), "unknown_replied"),
        Case::answered(
            "UDP",
            datagram4.packet(b"anyone?"),
            &unreachable(datagram4, icmp::v4::UNREACHABLE, icmp::v4::PORT),
            "unknown_replied",
        ),
        Case::answered(
            "UDP, IPv6",
            datagram6.packet(b"anyone?"),
            &unreachable(datagram6, icmp::v6::UNREACHABLE, icmp::v6::PORT),
            "unknown_replied",
        ),
        Case::dropped("a reset", &v4.carry(v4.ip(), flags::RST, b"").build(), "drop_no_service"),
        Case::tunnelled("what a service takes", tcp(CLIENT, 1, VIP_TALKING, WEB), {
            let flow = tcp(CLIENT, 1, VIP_TALKING, WEB);
            flow.packet(b"x")
        }),
    ]);
}

#[test]
fn errors_go_to_the_node_of_the_flow_that_they_quote() {
    const ROUTER4: &str = "100.64.0.254";
    const ROUTER6: &str = "2001:db8:fe::1";
    let mut cases = Vec::new();
    for port in 2000..2008 {
        for (flow, from, kind, code, rest) in [
            (tcp(CLIENT, port, VIP, WEB), ROUTER4, icmp::v4::UNREACHABLE, 4, 1400),
            (udp(CLIENT, port, VIP, DNS), CLIENT, icmp::v4::UNREACHABLE, icmp::v4::PORT, 0),
            (tcp(CLIENT, port, VIP_OVER6, WEB), ROUTER4, icmp::v4::TIME_EXCEEDED, 0, 0),
            (tcp(CLIENT6, port, VIP6, WEB), ROUTER6, icmp::v6::TOO_BIG, 0, 1400),
            (udp(CLIENT6, port, VIP6, DNS), CLIENT6, icmp::v6::UNREACHABLE, icmp::v6::PORT, 0),
        ] {
            cases.push(Case::tunnelled("the flow", flow, flow.packet(b"question")));
            let quote = flow.answer(b"answer").build();
            let vip = flow.query().destination;
            let error = Ip::new(from.parse().unwrap(), vip).icmp(kind, code, rest, &quote);
            cases.push(Case::tunnelled("an error about it", flow, error).also("error_forwarded"));
        }
    }
    check(&cases);
}
