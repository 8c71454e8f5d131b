//! Fragments: of clients, which stay together in any order, and our own, where the tunnel is too
//! narrow.

use packet::{protocol, tcp as flags};

use crate::case::{Case, check};
use crate::site::{CLIENT, CLIENT6, DNS, VIP, VIP_OVER6, VIP6, VIP6_OVER4, WEB, tcp, udp};

/// Fragments that come in this order.
///
/// All of a test come in one burst: those that wait for their first one do so for no time at all.
fn in_order(order: &[usize]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (id, flow) in [
        udp(CLIENT, 5, VIP, DNS),
        udp(CLIENT6, 5, VIP6, DNS),
        tcp(CLIENT, 5, VIP_OVER6, WEB),
        tcp(CLIENT6, 5, VIP6_OVER4, WEB),
    ]
    .into_iter()
    .enumerate()
    {
        let ip = flow.ip().traffic_class(0xb8);
        let data: Vec<u8> = (0..=255).cycle().take(1300).collect();
        let fragments = flow.carry(ip, flags::ACK, &data).fragments(id as u32 + 1, 256);
        assert_eq!(fragments.len(), order.len());
        let mut first_came = false;
        for &place in order {
            let fragment = &fragments[place];
            let case = Case::made_into("a fragment", flow, fragment, vec![fragment.clone()]);
            let case = case.traffic_class(0xb8);
            first_came |= place == 0;
            cases.push(if first_came { case } else { case.also("fragment_held") });
        }
    }
    assert!(cases.len() <= 32, "they fit one burst");
    cases
}

#[test]
fn the_fragments_of_a_datagram_go_to_one_node() {
    check(&in_order(&[0, 1, 2, 3, 4, 5]));
}

#[test]
fn fragments_that_come_in_reverse_order_go_to_one_node() {
    check(&in_order(&[5, 4, 3, 2, 1, 0]));
}

#[test]
fn fragments_that_come_in_any_order_go_to_one_node() {
    check(&in_order(&[3, 0, 5, 2, 1, 4]));
}

#[test]
fn fragments_without_their_first_one_are_dropped_when_they_have_waited() {
    const REASON: &str = "drop_no_first_fragment";
    let later = |packet: packet::build::Ip| {
        let packet = packet.payload(protocol::UDP, &[1; 64]).build();
        Case::dropped("a later fragment", &packet, REASON).also("fragment_held")
    };
    let (v4, v6) = (udp(CLIENT, 5, VIP, DNS), udp(CLIENT6, 5, VIP6, DNS));
    let no_ports = v4.ip().fragment(9, 0, true).payload(protocol::TCP, &[]).build();
    let no_ports6 = v6.ip().fragment(9, 0, true).payload(protocol::UDP, &[]).build();
    check(&[
        later(v4.ip().fragment(1, 64, true)),
        later(v4.ip().fragment(1, 128, false)),
        later(v6.ip().fragment(1, 64, false)),
        Case::dropped("a first one without ports", &no_ports, "drop_fragment_no_ports"),
        Case::dropped("a first one without ports, IPv6", &no_ports6, "drop_fragment_no_ports"),
        Case::tunnelled("a whole datagram", v4, v4.packet(b"x")),
    ]);
}

#[test]
fn an_ipv4_packet_too_big_for_the_tunnel_is_fragmented_before_it() {
    let mut cases = Vec::new();
    for (name, flow, len, room) in [
        ("a full-size datagram", udp(CLIENT, 5, VIP, DNS), 1472, 1456),
        ("a full-size segment", tcp(CLIENT, 5, VIP, WEB), 1460, 1456),
        ("over IPv6", tcp(CLIENT, 5, VIP_OVER6, WEB), 1460, 1440),
        ("longer than a buffer", udp(CLIENT, 6, VIP, DNS), 8000, 1456),
    ] {
        let ip = flow.ip().id(0x4321).traffic_class(0x02);
        let packet = flow.carry(ip, flags::ACK, &vec![6; len]);
        let pieces = packet.fragments(0x4321, room);
        assert!(pieces.len() > 1);
        let case = Case::made_into(name, flow, &packet.build(), pieces);
        cases.push(case.traffic_class(0x02).also("fragmented"));
    }
    check(&cases);
}

#[test]
fn a_fragment_too_big_for_the_tunnel_is_fragmented_again() {
    let flow = udp(CLIENT, 5, VIP, DNS);
    let ip = flow.ip().id(77);
    let packet = flow.carry(ip, 0, &[9; 2900]);
    // In the middle of the datagram too, more fragments follow the last piece.
    let [first, second] = &packet.fragments(77, 1480)[..2] else { unreachable!("of 2908 bytes") };
    let small = packet.fragments(77, 8);
    let piece = |from: usize, to: usize| {
        let payload: Vec<u8> =
            small[from / 8..to.div_ceil(8)].iter().flat_map(|f| &f[20..]).copied().collect();
        let ip = flow.ip().fragment(77, from as u16, to < 2908);
        ip.payload(protocol::UDP, &payload).build()
    };
    check(&[
        Case::made_into("the first", flow, first, vec![piece(0, 1456), piece(1456, 1480)])
            .also("fragmented"),
        Case::made_into("the last", flow, second, vec![piece(1480, 2908)]),
    ]);
}
