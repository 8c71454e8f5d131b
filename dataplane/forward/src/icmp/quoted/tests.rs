use std::net::Ipv4Addr;

use packet::tcp;

use super::super::tests::{ENDS, answer, received, request};
use super::*;

fn flow_of(packet: &[u8]) -> Option<Flow> {
    let (frame, summary) = received(None, packet);
    quoted_flow(&frame, &summary)
}

/// An error to the VIP about what it sent, or from somewhere on the way.
fn error(ends: [&str; 2], message_type: u8, code: u8, rest: u32, quoted: &[u8]) -> Vec<u8> {
    let router = if ends[1].contains(':') { "2001:db8:77::1" } else { "192.0.2.77" };
    request([router, ends[1]]).icmp(message_type, code, rest, quoted).build()
}

#[test]
fn an_error_belongs_to_the_flow_of_the_client_that_it_is_about() {
    for (ends, types) in ENDS.into_iter().zip([&[3, 11, 12][..], &[1, 2, 3, 4]]) {
        let [source, destination] = ends.map(|address| address.parse().unwrap());
        for (protocol, sent) in [
            (protocol::TCP, answer(ends).tcp(80, 5000, tcp::ACK, &[1; 400])),
            (protocol::UDP, answer(ends).udp(80, 5000, &[1; 400])),
        ] {
            let sent = sent.build();
            let flow =
                Flow { source, source_port: 5000, destination, destination_port: 80, protocol };
            for &message_type in types {
                assert_eq!(flow_of(&error(ends, message_type, 0, 1400, &sent)), Some(flow));
            }
            // RFC 792 asks for no more than eight bytes of the payload.
            let least = if ends == ENDS[0] { 28 } else { 48 };
            assert_eq!(flow_of(&error(ends, types[0], 0, 0, &sent[..least])), Some(flow));
        }
    }
}

#[test]
fn what_others_sent_and_what_tells_no_flow_belongs_to_none() {
    for (ends, unreachable) in ENDS.into_iter().zip([3, 1]) {
        let forward = request(ends).tcp(5000, 80, tcp::ACK, b"").build();
        assert_eq!(flow_of(&error(ends, unreachable, 0, 0, &forward)), None);
        let later = answer(ends).udp(80, 5000, &[1; 64]).fragment(1, 64, false).build();
        assert_eq!(flow_of(&error(ends, unreachable, 0, 0, &later)), None);
        assert_eq!(flow_of(&error(ends, unreachable, 0, 0, b"")), None);
        assert_eq!(flow_of(&error(ends, unreachable, 0, 0, &later[..10])), None);
    }
}

#[test]
fn messages_that_are_no_errors_for_hosts_belong_to_no_flow() {
    for (ends, types) in ENDS.into_iter().zip([&[0, 4, 5, 8][..], &[0, 5, 100, 128, 137]]) {
        let sent = answer(ends).tcp(80, 5000, tcp::ACK, b"").build();
        for &message_type in types {
            assert_eq!(flow_of(&error(ends, message_type, 0, 0, &sent)), None, "{message_type}");
        }
    }
}

/// This node and an L7 node, as the ends of a tunnel.
const TUNNEL: [[&str; 2]; 2] = [["192.0.2.132", "192.0.2.140"], ["2001:db8::84", "2001:db8::8c"]];

/// An outer packet from this node, and a fabric router's error about it.
fn fabric_error([ours, node]: [&str; 2], message: (u8, u8), mtu: u32, outer_len: usize) -> Vec<u8> {
    let inner = request(ENDS[0]).tcp(5000, 80, tcp::ACK, &vec![1; outer_len]).build();
    let header_len = if ours.contains(':') { 40 } else { 20 };
    let outer = packet::build::Ip::between(ours, node);
    let outer = outer.payload(protocol::IPV4, &inner[..outer_len - header_len]).build();
    error([node, ours], message.0, message.1, mtu, &outer[..outer_len.min(500)])
}

fn too_big(packet: &[u8]) -> Option<(IpAddr, u16)> {
    let (frame, summary) = received(None, packet);
    let ours = TUNNEL.map(|[ours, _]| ours.parse::<IpAddr>().unwrap());
    tunnel_too_big(&frame, &summary, |address| ours.contains(&address))
}

fn router_error_for(ends: [&str; 2], mtu: u32, outer_len: usize) -> Option<(IpAddr, u16)> {
    let message = if ends == TUNNEL[0] { (3, 4) } else { (2, 0) };
    too_big(&fabric_error(ends, message, mtu, outer_len))
}

#[test]
fn the_fabric_tells_the_mtu_towards_a_node() {
    for ends in TUNNEL {
        let node = ends[1].parse().unwrap();
        assert_eq!(router_error_for(ends, 1400, 1500), Some((node, 1400)));
        assert_eq!(router_error_for(ends, 9000, 9001), Some((node, 9000)));
    }
}

#[test]
fn nobody_lowers_a_tunnel_below_what_every_path_takes() {
    let [v4, v6] = TUNNEL;
    assert_eq!(router_error_for(v4, 68, 1500).unwrap().1, 576);
    assert_eq!(router_error_for(v6, 68, 1500).unwrap().1, 1280);
    assert_eq!(router_error_for(v6, 0, 1500).unwrap().1, 1280);
    assert_eq!(router_error_for(v6, 100_000, 1500).unwrap().1, u16::MAX);
}

#[test]
fn a_router_that_tells_no_mtu_means_the_next_common_one() {
    let [v4, _] = TUNNEL;
    for (len, mtu) in [(1500, 1492), (1492, 1006), (1006, 576), (600, 576), (9000, 8166)] {
        assert_eq!(router_error_for(v4, 0, len).unwrap().1, mtu, "{len}");
    }
}

#[test]
fn errors_about_other_packets_or_of_other_kinds_change_no_tunnel() {
    let [v4, v6] = TUNNEL;
    assert_eq!(too_big(&fabric_error(v4, (3, 1), 1400, 1500)), None, "host unreachable");
    assert_eq!(too_big(&fabric_error(v6, (1, 0), 1400, 1500)), None, "no route");
    let stranger = ["192.0.2.133", v4[1]];
    assert_eq!(too_big(&fabric_error(stranger, (3, 4), 1400, 1500)), None, "another's tunnel");
    let [ours, node] = v4;
    let bgp = answer([node, ours]).tcp(179, 5000, tcp::ACK, b"").build();
    assert_eq!(too_big(&error([node, ours], 3, 4, 1400, &bgp)), None, "not a tunnelled packet");
    let mut elsewhere = fabric_error(v4, (3, 4), 1400, 1500);
    elsewhere[16..20].copy_from_slice(&Ipv4Addr::new(192, 0, 2, 99).octets());
    assert_eq!(too_big(&elsewhere), None, "not to the quoted source");
}

#[test]
fn a_damaged_error_changes_no_tunnel() {
    for ends in TUNNEL {
        let message = if ends == TUNNEL[0] { (3, 4) } else { (2, 0) };
        let mut error = fabric_error(ends, message, 1400, 1500);
        *error.last_mut().unwrap() ^= 1;
        assert_eq!(too_big(&error), None);
    }
}
