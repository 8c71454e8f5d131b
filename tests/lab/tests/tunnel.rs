//! The second half of a packet's way, without a dataplane: what an L4 node's address tunnels to an
//! L7 node is answered by that node straight to the client.

use std::net::Ipv4Addr;
use std::time::Duration;

use lab::{ECHO_PORT, Lab, RawSocket, VIP};

const SOON: Duration = Duration::from_secs(10);
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const CLIENT_PORT: u16 = 40_000;

fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(IPV4 + payload.len()).expect("it is short");
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A datagram without UDP checksum, which IPv4 allows.
fn udp(source_port: u16, destination_port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).expect("it is short");
    let mut datagram = Vec::new();
    for word in [source_port, destination_port, length, 0] {
        datagram.extend(word.to_be_bytes());
    }
    datagram.extend(data);
    datagram
}

#[test]
fn an_l7_node_answers_the_client_of_a_tunnelled_packet_and_of_no_other() {
    let lab = Lab::new().l4(1).l7(1).without_dataplanes().start();
    let (l4, l7) = (lab.l4(1).addresses(), lab.l7(1).addresses());
    let client = lab.client().addresses();
    let arrivals = lab.client().raw();
    let wire = RawSocket::open(lab.l4(1).namespace(), "uplink").unwrap();

    // A forger in the fabric, then the L4 node.
    for (source, data, answered) in
        [(Ipv4Addr::new(192, 0, 2, 250), b"forged", false), (l4.v4, b"honest", true)]
    {
        let inner = ipv4(client.v4, VIP, 17, &udp(CLIENT_PORT, ECHO_PORT, data));
        let mut frame = Vec::from(l7.mac().0);
        frame.extend(l4.mac().0);
        frame.extend([0x08, 0x00]);
        frame.extend(ipv4(source, l7.v4, 4, &inner));
        wire.send(&frame).unwrap();

        let answer = [b"l7-1 ", data.as_slice()].concat();
        let comes = |frame: &[u8]| {
            frame.ends_with(&answer) && frame[ETHERNET + 12..ETHERNET + 16] == VIP.octets()
        };
        let deadline = if answered { SOON } else { Duration::from_millis(500) };
        assert_eq!(arrivals.receive(deadline, comes).is_some(), answered, "{source}");
    }
}
