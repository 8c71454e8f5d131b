//! L7 nodes take tunnelled packets of the L4 nodes alone.

use std::net::{Ipv4Addr, Ipv6Addr};

use lab::{ECHO_PORT, Lab, RawSocket, VIP, VIP6};
use system_tests::{SOON, nodes_of_new_connections};

/// Of each family.
const FORGED: u64 = 5;
const CLIENT_PORT: u16 = 40_000;
const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const UDP: u8 = 17;

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words =
        bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

/// A packet with the shortest header (RFC 791).
fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet[2..4].copy_from_slice(&((20 + payload.len()) as u16).to_be_bytes());
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(payload);
    packet
}

/// A packet without extension headers (RFC 8200).
fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

/// A datagram to the echo; `addresses` are those of the pseudo-header.
fn udp(addresses: &[u8], data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    let words = [CLIENT_PORT, ECHO_PORT, length, 0].map(u16::to_be_bytes);
    let mut datagram = [words.as_flattened(), data].concat();
    let pseudo_header = [addresses, &[0, UDP], &length.to_be_bytes()].concat();
    let sum = checksum(&[pseudo_header, datagram.clone()].concat());
    datagram[6..8].copy_from_slice(&sum);
    datagram
}

#[test]
fn what_an_l4_node_sends_is_taken_and_what_another_sends_is_dropped_and_counted() {
    let lab = Lab::new().l4(1).l7(1).start();
    let (l4, l7) = (lab.l4(1).addresses(), lab.l7(1));
    let client = lab.client().addresses();
    let decapsulated = || ["decap_4in4", "decap_6in6"].map(|name| l7.decap_counter(name));
    let dropped = || l7.decap_counter("drop_source");

    nodes_of_new_connections(&lab, 5);
    let all_taken = || {
        lab.wait_until("what was taken is what the L4 node sent", SOON, || {
            decapsulated().iter().sum::<u64>() == lab.l4(1).counter("forwarded")
        });
    };
    all_taken();
    assert!(decapsulated().iter().all(|&packets| packets > 0));
    assert_eq!(dropped(), 0);

    // A client's datagrams, as somebody in the fabric would tunnel them.
    let wire = RawSocket::open(lab.router().namespace(), "fabric").unwrap();
    let tunnel = |source4, source6, data: &[u8]| {
        let node = l7.addresses();
        let of_ipv4 = udp(&[client.v4.octets(), VIP.octets()].concat(), data);
        let of_ipv4 = ipv4(client.v4, VIP, UDP, &of_ipv4);
        let of_ipv6 = udp(&[client.v6.octets(), VIP6.octets()].concat(), data);
        let of_ipv6 = ipv6(client.v6, VIP6, UDP, &of_ipv6);
        for (ether_type, packet) in [
            (0x0800_u16, ipv4(source4, node.v4, IPV4_IN_IP, &of_ipv4)),
            (0x86dd, ipv6(source6, node.v6, IPV6_IN_IP, &of_ipv6)),
        ] {
            let macs = [node.mac().0, lab.router().fabric().mac().0];
            let ether_type = ether_type.to_be_bytes();
            wire.send(&[macs.as_flattened(), &ether_type, &packet].concat()).unwrap();
        }
    };
    let arrivals = lab.client().raw();
    let forger = lab.router().fabric();
    for _ in 0..FORGED {
        tunnel(forger.v4, forger.v6, b"forged");
    }
    lab.wait_until("forged packets are counted", SOON, || dropped() == 2 * FORGED);
    all_taken();

    // The same from the L4 node's address is answered, so it was the source that was wrong.
    tunnel(l4.v4, l4.v6, b"honest");
    let mut missing = vec![VIP.octets().to_vec(), VIP6.octets().to_vec()];
    while !missing.is_empty() {
        let is_answer = |frame: &[u8]| frame.ends_with(b"forged") || frame.ends_with(b"honest");
        let frame = arrivals.receive(SOON, is_answer).expect("the honest ones are answered");
        assert!(frame.ends_with(b"l7-1 honest"), "a forged packet was answered");
        missing.retain(|vip| !frame.windows(vip.len()).any(|part| part == vip));
    }
    assert_eq!(dropped(), 2 * FORGED);
}
