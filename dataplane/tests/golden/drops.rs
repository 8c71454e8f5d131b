//! What does not pass, each under its reason; nothing of it leaves.

use packet::build::{self, Ip};
use packet::{Mac, icmp, protocol, tcp as flags};

use crate::case::{Case, check};
use crate::site::{
    CLIENT, CLIENT6, DENIED, DNS, Flow, OWN, PORT, ROUTER, VIP, VIP_DRAINED, VIP6, WEB, tcp, udp,
};

const TCP4: Flow = tcp(CLIENT, 1000, VIP, WEB);
const TCP6: Flow = tcp(CLIENT6, 1000, VIP6, WEB);
const UDP4: Flow = udp(CLIENT, 1000, VIP, DNS);
const UDP6: Flow = udp(CLIENT6, 1000, VIP6, DNS);

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;

/// The packet with some of its bytes changed.
fn with(packet: Ip, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = packet.build();
    change(&mut packet);
    packet
}

#[test]
fn malformed_packets_are_counted() {
    const REASON: &str = "drop_malformed";
    let cases = [
        ("half an IPv4 header", with(TCP4.packet(b""), |p| p.truncate(10))),
        ("half an IPv6 header", with(TCP6.packet(b""), |p| p.truncate(30))),
        ("a header length of 16", with(TCP4.packet(b""), |p| p[0] = 0x44)),
        ("a header longer than the packet", with(UDP4.packet(b""), |p| p[0] = 0x4f)),
        ("a total length beyond the frame", with(TCP4.packet(b""), |p| p[2] = 0x10)),
        ("a total length within the header", with(TCP4.packet(b""), |p| p[3] = 19)),
        ("a payload length beyond the frame", with(TCP6.packet(b""), |p| p[4] = 0x10)),
        ("half a TCP header", {
            let half = &TCP4.packet(b"").build()[IPV4_LEN..][..12];
            TCP4.ip().payload(protocol::TCP, half).build()
        }),
        ("half a TCP header, IPv6", {
            let half = &TCP6.packet(b"").build()[IPV6_LEN..][..12];
            TCP6.ip().payload(protocol::TCP, half).build()
        }),
        ("a TCP header of 16 bytes", with(TCP4.packet(b""), |p| p[IPV4_LEN + 12] = 4 << 4)),
        ("TCP options beyond the packet", with(TCP6.packet(b""), |p| p[IPV6_LEN + 12] = 15 << 4)),
        ("a UDP length beyond the packet", with(UDP4.packet(b""), |p| p[IPV4_LEN + 4] = 1)),
        ("a UDP length of 7", with(UDP6.packet(b""), |p| p[IPV6_LEN + 5] = 7)),
        ("half a UDP header", UDP6.ip().payload(protocol::UDP, &[0; 4]).build()),
        ("a hop-by-hop header that is not the first", {
            let ip = UDP6.ip().extension(protocol::DESTINATION_OPTIONS, &[1, 4]);
            UDP6.carry(ip.extension(protocol::HOP_BY_HOP, &[1, 4]), 0, b"").build()
        }),
        ("an extension header beyond the packet", {
            let ip = UDP6.ip().extension(protocol::DESTINATION_OPTIONS, &[1, 4]);
            with(UDP6.carry(ip, 0, b""), |p| p[IPV6_LEN + 1] = 9)
        }),
        ("a fragment that is not a multiple of 8 bytes", {
            UDP4.ip().fragment(1, 0, true).payload(protocol::UDP, &[0; 9]).build()
        }),
    ];
    let mut cases: Vec<_> =
        cases.iter().map(|(name, packet)| Case::dropped(name, packet, REASON)).collect();
    cases.push(
        Case::dropped("IPv6 in a frame that says IPv4", &TCP6.packet(b"").build()[..30], REASON)
            .in_frame(|frame| frame[12..14].copy_from_slice(&[0x08, 0x00])),
    );
    cases.push(Case::frame_dropped(
        "a frame without an IP header",
        build::frame(PORT, ROUTER, None, &[0x45]),
        REASON,
    ));
    check(&cases);
}

#[test]
fn extension_headers_that_are_too_many_or_lead_astray_are_counted_apart() {
    let options = |count: usize, body: &[u8]| {
        let ip = UDP6.ip();
        let ip = (0..count).fold(ip, |ip, _| ip.extension(protocol::DESTINATION_OPTIONS, body));
        UDP6.carry(ip, 0, b"x").build()
    };
    let source_route =
        UDP6.carry(UDP6.ip().extension(protocol::ROUTING, &[0, 1, 0, 0, 0, 0]), 0, b"x").build();
    check(&[
        Case::dropped("nine headers", &options(9, &[1, 4]), "drop_extension_headers"),
        Case::dropped("264 bytes", &options(1, &[0; 262]), "drop_extension_headers"),
        Case::dropped("a routing header of type 0", &source_route, "drop_routing_header"),
    ]);
}

#[test]
fn what_no_service_takes_is_counted() {
    let quote = |flow: Flow| flow.answer(b"").build();
    let error = |to: &str, quote: &[u8]| {
        Ip::between(CLIENT, to).icmp(icmp::v4::UNREACHABLE, icmp::v4::PORT, 0, quote).build()
    };
    let denied = tcp(DENIED, 1, VIP, WEB);
    let drained = tcp(CLIENT, 1, VIP_DRAINED, WEB);
    let port = tcp(CLIENT, 1, VIP, 22);
    let protocol_of_port = udp(CLIENT6, 1, VIP6, WEB);
    let foreign = tcp("203.0.113.77", 1, "192.0.2.1", WEB);
    check(&[
        Case::dropped("a port", &port.packet(b"").build(), "drop_no_service"),
        Case::dropped(
            "UDP to TCP's port",
            &protocol_of_port.packet(b"").build(),
            "drop_no_service",
        ),
        Case::dropped(
            "another protocol",
            &Ip::between(CLIENT, VIP).payload(protocol::ESP, &[0; 16]).build(),
            "drop_no_service",
        ),
        Case::dropped("a source", &denied.packet(b"").build(), "drop_source_denied"),
        Case::dropped(
            "a new flow where every node drains",
            &drained.carry(drained.ip(), flags::SYN, b"").build(),
            "drop_no_node",
        ),
        Case::dropped(
            "an echo reply",
            &Ip::between(CLIENT, VIP).icmp(icmp::v4::ECHO_REPLY, 0, 0, b"").build(),
            "drop_icmp_type",
        ),
        Case::dropped(
            "neighbor discovery with a VIP",
            &Ip::between(CLIENT6, VIP6)
                .icmp(icmp::v6::NEIGHBOR_SOLICITATION, 0, 0, &[0; 16])
                .build(),
            "drop_icmp_type",
        ),
        Case::dropped(
            "an error about another's packet",
            &error(VIP, &quote(foreign)),
            "drop_error_unknown",
        ),
        Case::dropped(
            "an error about a port without service",
            &error(VIP, &quote(port)),
            "drop_error_unknown",
        ),
        Case::dropped("an error about nothing", &error(VIP, &[]), "drop_error_unknown"),
    ]);
}

#[test]
fn what_is_for_others_is_counted_and_what_is_for_the_node_needs_an_exception_interface() {
    const NONE: &str = "drop_no_exception";
    let other = Mac([0x02, 0, 0, 0, 0, 0x77]);
    let vip = TCP4.packet(b"").build();
    let own = tcp(CLIENT, 1, OWN[0], 22);
    let echo = Ip::between(CLIENT6, OWN[1]).icmp(icmp::v6::ECHO_REQUEST, 0, 0, b"");
    check(&[
        Case::frame_dropped(
            "another station",
            build::frame(other, ROUTER, None, &vip),
            "drop_other_mac",
        ),
        Case::dropped("the node's own address", &own.packet(b"").build(), NONE),
        Case::dropped("an echo request to it", &echo.build(), NONE),
        // Neither IP version: `frame` writes ARP's EtherType.
        Case::frame_dropped("ARP", build::frame(Mac::BROADCAST, ROUTER, None, &[0; 28]), NONE),
        Case::frame_dropped(
            "a VLAN's frame",
            build::frame(PORT, ROUTER, Some(7), &vip),
            "drop_other_vlan",
        ),
        Case::tunnelled("a VIP", TCP4, TCP4.packet(b"")),
    ]);
}
