use super::*;
use crate::checksum::Sum;
use crate::{Ipv4, Ipv6, Tcp, Udp, extension, tcp};

fn both() -> [Ip; 2] {
    [Ip::between("192.0.2.1", "198.51.100.1"), Ip::between("2001:db8::1", "2001:db8::2")]
}

/// A packet's protocol and payload, behind options and extension headers.
fn upper(packet: &[u8]) -> (u8, &[u8]) {
    match Ipv4::parse(packet) {
        Ok(ip) => (ip.protocol(), ip.payload()),
        Err(_) => {
            let ip = Ipv6::parse(packet).unwrap();
            let chain = extension::walk(ip.next_header(), ip.payload()).unwrap();
            (chain.protocol, &ip.payload()[chain.len..])
        }
    }
}

#[test]
fn a_segment_is_as_tcpdump_would_print_it() {
    // 192.0.2.1.1000 > 198.51.100.1.80: Flags [S], seq 5, ack 6, win 65535, length 0
    #[rustfmt::skip]
    let expected = [
        0x45, 0xb9, 0, 40, 0x12, 0x34, 0x40, 0, 9, 6, 0x72, 0xad, 192, 0, 2, 1, 198, 51, 100, 1,
        0x03, 0xe8, 0, 80, 0, 0, 0, 5, 0, 0, 0, 6, 0x50, 0x02, 0xff, 0xff, 0xbf, 0x69, 0, 0,
    ];
    let [ip, _] = both();
    let segment = ip.id(0x1234).ttl(9).traffic_class(0xb9).dont_fragment();
    assert_eq!(segment.tcp(1000, 80, tcp::SYN, b"").sequence(5, 6).build(), expected);
}

#[test]
fn checksums_are_those_that_a_receiver_finds_right() {
    for ip in both() {
        let (source, destination) = (ip.source, ip.destination);
        for (packet, has_pseudo) in [
            (ip.clone().tcp(1000, 80, tcp::ACK, b"odd"), true),
            (ip.clone().udp(1000, 53, b"even"), true),
            (ip.clone().icmp(8, 0, 0x0102_0304, b"ping"), source.is_ipv6()),
            (ip.clone().extension(protocol::HIP, &[]).options(&[1]).udp(1000, 53, b""), true),
        ] {
            let packet = packet.build();
            let (protocol, payload) = upper(&packet);
            let pseudo = Sum::pseudo(source, destination, protocol, payload.len());
            let sum = if has_pseudo { pseudo } else { Sum::new() };
            assert!(sum.with(payload).is_valid(), "{protocol}");
            if let Ok(ip) = Ipv4::parse(&packet) {
                assert!(checksum::is_valid(&packet[..ip.header_len()]));
            }
        }
    }
}

#[test]
fn what_is_put_in_is_found_by_the_views() {
    for ip in both() {
        let segment = ip.clone().tcp(1000, 80, tcp::RST, b"data").sequence(5, 6).build();
        let tcp = Tcp::parse(upper(&segment).1).unwrap();
        assert_eq!((tcp.source_port(), tcp.destination_port(), tcp.flags()), (1000, 80, tcp::RST));
        assert_eq!((tcp.sequence(), tcp.acknowledgment(), tcp.payload()), (5, 6, &b"data"[..]));

        let datagram = ip.udp(1000, 53, b"data").build();
        let udp = Udp::parse(upper(&datagram).1).unwrap();
        assert_eq!((udp.source_port(), udp.destination_port()), (1000, 53));
        assert_eq!(udp.payload(), b"data");
    }
}

#[test]
fn fragments_are_the_pieces_of_the_whole() {
    for ip in both() {
        let datagram = ip.extension(protocol::HOP_BY_HOP, &[]).udp(1000, 53, &[7; 100]);
        let whole = datagram.clone().build();
        let fragments = datagram.fragments(0xabcd, 48);
        let pieces: Vec<&[u8]> = fragments.iter().map(|bytes| upper(bytes).1).collect();
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [48, 48, 12]);
        assert_eq!(pieces.concat(), upper(&whole).1);
    }
}
