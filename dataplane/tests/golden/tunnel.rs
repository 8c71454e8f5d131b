//! What reaches a node: unchanged, behind an outer header of the family that the node has.

use packet::{protocol, tcp as flags};

use crate::case::{Case, check, check_with};
use crate::site::{
    CLIENT, CLIENT6, DNS, Flow, VIP, VIP_IN_PREFIX, VIP_OVER4, VIP_OVER6, VIP6, VIP6_OVER4,
    VIP6_OVER6, WEB, tcp, udp,
};

const TCP4: Flow = tcp(CLIENT, 1000, VIP, WEB);
const TCP6: Flow = tcp(CLIENT6, 1000, VIP6, WEB);
const UDP4: Flow = udp(CLIENT, 1000, VIP, DNS);
const UDP6: Flow = udp(CLIENT6, 1000, VIP6, DNS);

/// What fits whole into an IPv4 and an IPv6 tunnel through 1500 bytes.
const MAX_OVER4: usize = 1480;
const MAX_OVER6: usize = 1460;

#[test]
fn packets_of_both_families_and_protocols_reach_their_node_unchanged() {
    let range = tcp(CLIENT, 1001, VIP, 8099);
    let prefix = tcp(CLIENT, 1001, VIP_IN_PREFIX, 12_345);
    let untracked = udp(CLIENT, 1001, VIP, 5353);
    let untracked6 = udp(CLIENT6, 1001, VIP6, 5353);
    check(&[
        Case::tunnelled("SYN", TCP4, TCP4.carry(TCP4.ip(), flags::SYN, b"")),
        Case::tunnelled("data", TCP4, TCP4.packet(b"GET / HTTP/1.1\r\n\r\n")),
        Case::tunnelled("FIN", TCP4, TCP4.carry(TCP4.ip(), flags::FIN | flags::ACK, b"")),
        Case::tunnelled("SYN, IPv6", TCP6, TCP6.carry(TCP6.ip(), flags::SYN, b"")),
        Case::tunnelled("data, IPv6", TCP6, TCP6.packet(b"GET / HTTP/1.1\r\n\r\n")),
        Case::tunnelled("RST, IPv6", TCP6, TCP6.carry(TCP6.ip(), flags::RST, b"")),
        Case::tunnelled("datagram", UDP4, UDP4.packet(b"question")),
        Case::tunnelled("empty datagram", UDP4, UDP4.packet(b"")),
        Case::tunnelled("datagram, IPv6", UDP6, UDP6.packet(b"question")),
        Case::tunnelled("last port of a range", range, range.packet(b"x")),
        Case::tunnelled("any port of a prefix of VIPs", prefix, prefix.packet(b"x")),
        Case::tunnelled("untracked, by source", untracked, untracked.packet(b"x")),
        Case::tunnelled("untracked, by source, IPv6", untracked6, untracked6.packet(b"x")),
        Case::tunnelled("hop limit of 1", TCP4, TCP4.packet(b"near").ttl(1)),
        Case::tunnelled("hop limit of 1, IPv6", TCP6, TCP6.packet(b"near").ttl(1)),
        Case::tunnelled("identification, DF", TCP4, TCP4.packet(b"id").id(77).dont_fragment()),
        Case::tunnelled("flow label", TCP6, TCP6.packet(b"label").flow_label(0xabcde)),
        Case::tunnelled("padding of Ethernet is cut", TCP4, TCP4.packet(b"p"))
            .in_frame(|frame| frame.resize(60, 0xaa)),
    ]);
}

#[test]
fn dscp_and_ecn_are_copied_outwards() {
    let cases = [0x00, 0x01, 0x02, 0x03, 0xb8, 0xba, 0xff].into_iter().flat_map(|class| {
        [TCP4, TCP6, UDP4, UDP6, tcp(CLIENT, 9, VIP_OVER6, WEB), tcp(CLIENT6, 9, VIP6_OVER4, WEB)]
            .map(|flow| {
                let packet = flow.carry(flow.ip().traffic_class(class), flags::ACK, &[class]);
                Case::tunnelled("traffic class", flow, packet).traffic_class(class)
            })
    });
    check(&cases.collect::<Vec<_>>());
}

#[test]
fn a_node_of_one_family_is_reached_over_it_by_packets_of_both() {
    let flows = [
        ("4 in 4", tcp(CLIENT, 7, VIP_OVER4, WEB)),
        ("6 in 4", tcp(CLIENT6, 7, VIP6_OVER4, WEB)),
        ("4 in 6", tcp(CLIENT, 7, VIP_OVER6, WEB)),
        ("6 in 6", tcp(CLIENT6, 7, VIP6_OVER6, WEB)),
        ("4 in 4, UDP", udp(CLIENT, 7, VIP_OVER4, WEB)),
        ("6 in 4, UDP", udp(CLIENT6, 7, VIP6_OVER4, WEB)),
        ("4 in 6, UDP", udp(CLIENT, 7, VIP_OVER6, WEB)),
        ("6 in 6, UDP", udp(CLIENT6, 7, VIP6_OVER6, WEB)),
    ];
    check(&flows.map(|(name, flow)| Case::tunnelled(name, flow, flow.packet(b"some data"))));
}

#[test]
fn ipv4_options_are_passed_over() {
    const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];
    const RECORD_ROUTE: [u8; 11] = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut cases = Vec::new();
    for flow in [TCP4, UDP4, tcp(CLIENT, 3, VIP_OVER6, WEB)] {
        for (name, options) in [
            ("router alert", ROUTER_ALERT.to_vec()),
            ("record route", RECORD_ROUTE.to_vec()),
            ("both, with no-operations", [&[1, 1][..], &ROUTER_ALERT, &RECORD_ROUTE].concat()),
            ("as many as there can be", vec![1; 40]),
        ] {
            let packet = flow.carry(flow.ip().options(&options), flags::ACK, name.as_bytes());
            cases.push(Case::tunnelled(name, flow, packet));
        }
    }
    check(&cases);
}

#[test]
fn ipv6_extension_headers_are_passed_over() {
    const PAD: [u8; 6] = [1, 4, 0, 0, 0, 0];
    // Type 4 (segment routing), no segments left.
    const ROUTING: [u8; 6] = [4, 0, 0, 0, 0, 0];
    const AUTHENTICATION: [u8; 14] = [0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9];
    let mut cases = Vec::new();
    for flow in [TCP6, UDP6, tcp(CLIENT6, 3, VIP6_OVER4, WEB)] {
        let ip = || flow.ip();
        let eight = (0..8).fold(ip(), |ip, _| ip.extension(protocol::DESTINATION_OPTIONS, &PAD));
        for (name, ip) in [
            ("hop-by-hop", ip().extension(protocol::HOP_BY_HOP, &PAD)),
            ("destination options", ip().extension(protocol::DESTINATION_OPTIONS, &PAD)),
            ("routing", ip().extension(protocol::ROUTING, &ROUTING)),
            ("authentication", ip().extension(protocol::AUTHENTICATION, &AUTHENTICATION)),
            (
                "several",
                ip().extension(protocol::HOP_BY_HOP, &PAD)
                    .extension(protocol::ROUTING, &ROUTING)
                    .extension(protocol::DESTINATION_OPTIONS, &PAD),
            ),
            ("as many as are read", eight),
            ("an atomic fragment", ip().fragment(5, 0, false)),
        ] {
            cases.push(Case::tunnelled(name, flow, flow.carry(ip, flags::ACK, name.as_bytes())));
        }
    }
    check(&cases);
}

#[test]
fn what_fills_the_tunnel_to_the_last_byte_passes_whole() {
    let mixed4 = tcp(CLIENT, 8, VIP_OVER6, WEB);
    let mixed6 = tcp(CLIENT6, 8, VIP6_OVER4, WEB);
    let filled = |flow: Flow, size: usize| {
        let headers = flow.packet(b"").build().len();
        flow.carry(flow.ip().dont_fragment(), flags::ACK, &vec![7; size - headers])
    };
    check(&[
        Case::tunnelled("4 in 4", TCP4, filled(TCP4, MAX_OVER4)),
        Case::tunnelled("6 in 6", TCP6, filled(TCP6, MAX_OVER6)),
        Case::tunnelled("4 in 6", mixed4, filled(mixed4, MAX_OVER6)),
        Case::tunnelled("6 in 4", mixed6, filled(mixed6, MAX_OVER4)),
    ]);
}

#[test]
fn a_packet_longer_than_a_buffer_passes_whole_where_the_mtu_allows_it() {
    let mixed4 = tcp(CLIENT, 8, VIP_OVER6, WEB);
    let mixed6 = tcp(CLIENT6, 8, VIP6_OVER4, WEB);
    // Every byte tells where it belongs: buffers in a wrong order, or a gap, are seen.
    let data: Vec<u8> = (0..9000_u32).map(|i| (i % 251) as u8).collect();
    let sized = |flow: Flow, size: usize| {
        let headers = flow.packet(b"").build().len();
        flow.packet(&data[..size - headers])
    };
    let mut cases = Vec::new();
    // Around where the first buffer ends (2048 bytes of the frame); of two; of as many as go in.
    for size in (2030..2040).chain([4000, 9000 - 40]) {
        for (name, flow) in [
            ("4 in 4", TCP4),
            ("6 in 6", TCP6),
            ("4 in 6", mixed4),
            ("6 in 4", mixed6),
            ("UDP", UDP4),
            ("UDP, IPv6", UDP6),
        ] {
            cases.push(Case::tunnelled(name, flow, sized(flow, size)));
        }
    }
    cases.push(Case::tunnelled("to the last byte", TCP4, sized(TCP4, 9000 - 20)));
    check_with(&["--mtu", "9000"], None, &cases);
}
