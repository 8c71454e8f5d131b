//! Packets and frames of every form: options, extension headers, tags, padding, faults.

use forward::{Class, Counter, Verdict};
use packet::build::{self, Ip};
use packet::{Buffer, Ethernet, Mac, protocol, tcp};

use crate::harness::*;

#[test]
fn packets_with_options_follow_their_flow() {
    let mut l4 = L4::new(&site(3));
    let known: Vec<_> =
        flows(40).into_iter().map(|flow| (flow, l4.node_of(&flow, tcp::ACK))).collect();
    l4.apply(&site(6));
    assert!(known.iter().any(|(flow, node)| l4.row_owner(flow) != Some(*node)));
    for (flow, node) in known {
        // Ignored by the other family: IPv4 options, IPv6 extension headers.
        let packets = [
            segment(&flow, tcp::ACK).options(&[1; 4]),
            segment(&flow, tcp::ACK).options(&[148, 4, 0, 0]), // router alert
            segment(&flow, tcp::ACK).extension(protocol::HOP_BY_HOP, &[5, 2, 0, 0]),
            segment(&flow, tcp::ACK)
                .extension(protocol::HOP_BY_HOP, &[])
                .extension(protocol::DESTINATION_OPTIONS, &[1; 20]),
        ];
        for packet in packets {
            let bytes = packet.clone().build();
            assert_eq!(l4.send(packet).tunnelled(), (node, &bytes[..]));
        }
    }
}

#[test]
fn a_flow_recorded_with_options_is_known_without_them() {
    let mut l4 = L4::new(&site(3));
    let mut known = Vec::new();
    for flow in flows(40) {
        let packet =
            segment(&flow, tcp::SYN).options(&[1; 4]).extension(protocol::DESTINATION_OPTIONS, &[]);
        known.push((flow, l4.send(packet).node()));
    }
    l4.apply(&site(6));
    for (flow, node) in known {
        assert_eq!(l4.node_of(&flow, tcp::ACK), node);
    }
    assert_eq!(l4.count(Counter::NewFlow), 80);
}

#[test]
fn extension_headers_that_no_host_needs_are_dropped() {
    let mut l4 = L4::new(&site(2));
    let packet = || segment(&flow6(1), tcp::SYN);
    let type_zero = packet().extension(protocol::ROUTING, &[0, 1, 0, 0, 0, 0]);
    assert_eq!(l4.send(type_zero).verdict, Verdict::Drop(Counter::RoutingHeader));
    let many = (0..9).fold(packet(), |p, _| p.extension(protocol::DESTINATION_OPTIONS, &[]));
    assert_eq!(l4.send(many).verdict, Verdict::Drop(Counter::ExtensionHeaders));
    let long = packet().extension(protocol::DESTINATION_OPTIONS, &[0; 300]);
    assert_eq!(l4.send(long).verdict, Verdict::Drop(Counter::ExtensionHeaders));
}

#[test]
fn frames_for_other_stations_are_dropped() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let packet = segment(&flow, tcp::SYN).build();
        let frame = build::frame(STRANGER, ROUTER, None, &packet);
        let sent = l4.send_frame(0, Buffer::new(&frame));
        assert_eq!(sent.verdict, Verdict::Drop(Counter::OtherMac));
    }
    assert_eq!(l4.connections(), 0);
}

#[test]
fn frames_of_the_ports_vlan_alone_are_taken() {
    let mut l4 = L4::new(&site(2));
    l4.vlan = Some(7);
    for flow in flows(1) {
        let packet = segment(&flow, tcp::SYN).build();
        let frame = |vlan| build::frame(NODE, ROUTER, vlan, &packet);
        let sent = l4.send_frame(0, Buffer::new(&frame(Some(7))));
        assert_eq!(sent.tunnelled().1, packet);
        let with_priority = 7 | 5 << 13;
        assert_eq!(
            l4.send_frame(0, Buffer::new(&frame(Some(with_priority)))).tunnelled().1,
            packet
        );
        for vlan in [None, Some(8)] {
            let sent = l4.send_frame(0, Buffer::new(&frame(vlan)));
            assert_eq!(sent.verdict, Verdict::Drop(Counter::OtherVlan), "{vlan:?}");
        }
        // What is answered goes back with the tag it came with.
        let request = if flow.source.is_ipv4() { 8 } else { 128 };
        let echo = Ip::new(flow.source, flow.destination).icmp(request, 0, 0, b"").build();
        let sent = l4.send_frame(0, Buffer::new(&build::frame(NODE, ROUTER, Some(7), &echo)));
        assert_eq!(sent.verdict, Verdict::Reply(Counter::EchoReplied));
        assert_eq!(Ethernet::parse(sent.frame.all()).unwrap().vlan(), Some(7));
    }
}

#[test]
fn tunnelled_frames_have_the_tag_of_the_port_they_leave_by() {
    for (into, out) in [(None, Some(9)), (Some(7), None), (Some(7), Some(9)), (None, None)] {
        let mut l4 = L4::new(&site(2));
        l4.vlan = into;
        l4.route(|path| path.vlan = out);
        for flow in flows(1) {
            // By the short way and by the long one.
            for packet in [segment(&flow, tcp::SYN), segment(&flow, tcp::SYN).options(&[1; 4])] {
                let packet = packet.build();
                let sent =
                    l4.send_frame(0, Buffer::new(&build::frame(NODE, ROUTER, into, &packet)));
                assert_eq!(sent.tunnelled().1, packet, "{into:?} {out:?}");
                assert_eq!(Ethernet::parse(sent.frame.all()).unwrap().vlan(), out);
            }
        }
    }
}

#[test]
fn packets_that_the_nic_found_wrong_are_dropped() {
    let mut l4 = L4::new(&site(2));
    let own = Ip::between("203.0.113.1", OWN4).udp(1, 2, b"");
    for packet in [segment(&flow4(1), tcp::SYN), segment(&flow4(1), tcp::SYN).options(&[1; 4]), own]
    {
        let sent = l4.send_frame(0, framed(&packet.build()).with_bad_checksum());
        assert_eq!(sent.verdict, Verdict::Drop(Counter::BadChecksum));
    }
    assert_eq!(l4.connections(), 0);
}

#[test]
fn ethernet_padding_does_not_enter_the_tunnel() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let packet = segment(&flow, tcp::SYN).build();
        let mut frame = build::frame(NODE, ROUTER, None, &packet);
        frame.extend([0; 20]);
        assert_eq!(l4.send_frame(0, Buffer::new(&frame)).tunnelled().1, packet);
    }
}

#[test]
fn a_packet_cut_short_anywhere_is_malformed() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let frame = build::frame(NODE, ROUTER, None, &segment(&flow, tcp::SYN).build());
        for len in 14..frame.len() {
            let sent = l4.send_frame(0, Buffer::new(&frame[..len]));
            assert_eq!(sent.verdict, Verdict::Drop(Counter::Malformed), "{len}");
        }
    }
    assert_eq!(l4.connections(), 0);
}

#[test]
fn a_frame_in_two_segments_is_forwarded_whole() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1) {
        let packet = segment(&flow, tcp::ACK).build();
        let frame = build::frame(NODE, ROUTER, None, &packet);
        let sent = l4.send_frame(0, Buffer::segmented(&frame, frame.len() - 2));
        assert_eq!(sent.tunnelled().1, packet);
    }
}

#[test]
fn packets_wait_while_the_next_hop_is_not_known() {
    let mut l4 = L4::new(&site(3));
    l4.route(|path| path.next_hop_mac = None);
    for flow in flows(5) {
        let node = l4.row_owner(&flow).unwrap();
        let packet = segment(&flow, tcp::SYN).build();
        let sent = l4.send_frame(0, framed(&packet));
        assert_eq!(sent.verdict, Verdict::Wait { node });
        assert_eq!(sent.frame, framed(&packet), "as it came, to be forwarded again");
        l4.route(|_| {});
        assert_eq!(l4.send_frame(0, sent.frame).tunnelled(), (node, &packet[..]));
        l4.route(|path| path.next_hop_mac = None);
    }
}

#[test]
fn packets_are_tunnelled_over_the_other_family_where_the_node_has_one_only() {
    for keep_v4 in [true, false] {
        let mut one_family = site(2);
        for node in &mut one_family.nodes {
            node.addresses.retain(|address| address.is_ipv4() == keep_v4);
        }
        let mut l4 = L4::new(&one_family);
        for flow in flows(5) {
            l4.node_of(&flow, tcp::SYN);
        }
    }
}

#[test]
fn without_a_route_packets_are_dropped() {
    let mut l4 = L4::new(&site(2));
    l4.lose_routes();
    for flow in flows(1) {
        let sent = l4.send(segment(&flow, tcp::SYN));
        assert_eq!(sent.verdict, Verdict::Drop(Counter::NoPath));
    }
}

#[test]
fn of_frames_to_all_stations_the_kernel_gets_what_is_not_for_a_vip() {
    let mut l4 = L4::new(&site(2));
    // Every L4 node on the segment has it: none sends it on.
    let packet = segment(&flow4(1), tcp::SYN).build();
    let frame = build::frame(Mac::BROADCAST, ROUTER, None, &packet);
    let sent = l4.send_frame(0, Buffer::new(&frame));
    assert_eq!(sent.verdict, Verdict::Drop(Counter::OtherMac));

    let packet = Ip::between("192.0.2.130", "192.0.2.255").udp(1, 2, b"hello").build();
    let frame = build::frame(Mac::BROADCAST, ROUTER, None, &packet);
    let sent = l4.send_frame(0, Buffer::new(&frame));
    assert_eq!(sent.verdict, Verdict::Kernel(Class::Other));
}

#[test]
fn tagged_frames_are_not_for_a_port_without_a_vlan() {
    let mut l4 = L4::new(&site(2));
    let packet = segment(&flow4(1), tcp::SYN).build();
    let frame = build::frame(NODE, ROUTER, Some(7), &packet);
    let sent = l4.send_frame(0, Buffer::new(&frame));
    assert_eq!(sent.verdict, Verdict::Drop(Counter::OtherVlan));
}
