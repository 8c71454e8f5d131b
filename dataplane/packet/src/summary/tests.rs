use super::*;
use crate::build::{self, Ip};
use crate::tcp::{ACK, SYN};
use crate::{Mac, protocol::*};

/// An IPv6 header's options that only fill it.
const PADDING: &[u8] = &[1, 4, 0, 0, 0, 0];
/// Loose source route by way of one router (RFC 791 section 3.1), and its padding.
const ROUTE: &[u8] = &[131, 7, 4, 192, 0, 2, 9];
/// A fragment header's reserved byte, place and id, without the reserved byte.
const ATOMIC: &[u8] = &[0, 0, 0, 0, 0, 7];

fn v4() -> Ip {
    Ip::between("192.0.2.1", "198.51.100.1")
}

fn v6() -> Ip {
    Ip::between("2001:db8::1", "2001:db8:100::1")
}

/// The packet alone, in one segment.
fn summary(packet: &[u8]) -> Result<Summary, Unparsable> {
    summarize(packet, 0, packet.len())
}

/// The packet with its bytes at `at` replaced.
fn changed(packet: Ip, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packet = packet.build();
    packet[at..][..bytes.len()].copy_from_slice(bytes);
    packet
}

#[test]
fn everything_is_read_from_a_segment_of_either_family() {
    let segment = |ip: Ip| ip.ttl(9).traffic_class(0xb9).tcp(1000, 80, SYN, b"hello").build();
    let expected = Summary {
        source: "192.0.2.1".parse().unwrap(),
        destination: "198.51.100.1".parse().unwrap(),
        protocol: TCP,
        l3: 0,
        l4: 20,
        end: 45,
        fragment: None,
        source_port: 1000,
        destination_port: 80,
        tcp_flags: SYN,
        traffic_class: 0xb9,
        dont_fragment: false,
        ttl: 9,
    };
    assert_eq!(summary(&segment(v4())), Ok(expected));

    let with_df = Summary { dont_fragment: true, ..expected };
    assert_eq!(summary(&segment(v4().dont_fragment())), Ok(with_df));

    let of_v6 = Summary {
        source: "2001:db8::1".parse().unwrap(),
        destination: "2001:db8:100::1".parse().unwrap(),
        l4: 40,
        end: 65,
        ..with_df
    };
    assert_eq!(summary(&segment(v6())), Ok(of_v6));
}

#[test]
fn a_packet_is_found_behind_a_tag_and_before_ethernet_padding() {
    for (ip, l4) in [(v4(), 20), (v6(), 40)] {
        for (vlan, l3) in [(None, 14), (Some(7), 18)] {
            let packet = ip.clone().udp(1000, 53, b"hi").build();
            let mut frame = build::frame(Mac::BROADCAST, Mac::default(), vlan, &packet);
            frame.resize(frame.len() + 9, 0xee);
            let summary = summarize(&frame, l3, frame.len()).unwrap();
            assert_eq!((summary.l3, summary.l4, summary.end), (l3, l3 + l4, l3 + packet.len()));
            assert_eq!((summary.source_port, summary.destination_port), (1000, 53));
        }
    }
}

#[test]
fn ports_are_found_behind_options_and_extension_headers() {
    for (ip, l4) in [
        (v4().options(ROUTE), 28),
        (v4().options(&[1; 40]), 60),
        (v6().extension(HOP_BY_HOP, PADDING), 48),
        (v6().extension(DESTINATION_OPTIONS, &[0; 254]), 296),
        (v6().extension(ROUTING, &[2, 0, 0, 0, 0, 0]).extension(AUTHENTICATION, &[0; 14]), 64),
        (v6().extension(FRAGMENT, ATOMIC), 48),
    ] {
        for (packet, protocol, flags) in [
            (ip.clone().tcp(1000, 80, ACK, b""), TCP, ACK),
            (ip.clone().udp(1000, 80, b""), UDP, 0),
            (ip.clone().payload(SCTP, &[&[0x03, 0xe8, 0, 80][..], &[0; 8]].concat()), SCTP, 0),
        ] {
            let summary = summary(&packet.build()).unwrap();
            assert_eq!((summary.protocol, summary.l4, summary.fragment), (protocol, l4, None));
            assert_eq!((summary.source_port, summary.destination_port), (1000, 80));
            assert_eq!(summary.tcp_flags, flags);
        }
    }
}

#[test]
fn other_protocols_have_no_ports() {
    for (packet, protocol) in [
        (v4().icmp(8, 0, 0x0102_0304, b"ping"), ICMP),
        (v4().payload(IPV4, &[0x45; 20]), IPV4),
        (v4().payload(AUTHENTICATION, &[0xff; 24]), AUTHENTICATION),
        (v4().payload(ESP, &[]), ESP),
        (v6().icmp(128, 0, 0x0102_0304, b"ping"), ICMPV6),
        (v6().extension(HOP_BY_HOP, PADDING), NO_NEXT_HEADER),
        (v6().payload(ESP, &[0xff; 24]), ESP),
        (v6().payload(200, &[0xff; 24]), 200),
    ] {
        let summary = summary(&packet.build()).unwrap();
        assert_eq!(summary.protocol, protocol);
        assert_eq!((summary.source_port, summary.destination_port, summary.tcp_flags), (0, 0, 0));
    }
}

#[test]
fn only_the_first_fragment_has_ports() {
    let data = [7; 100];
    for (ip, l4) in [(v4(), 20), (v4().options(ROUTE), 28), (v6(), 48)] {
        for (whole, protocol, flags) in [
            (ip.clone().udp(1000, 53, &data), UDP, 0),
            (ip.clone().tcp(1000, 53, ACK, &data), TCP, ACK),
        ] {
            let fragments = whole.fragments(0xabcd, 48);
            let summaries: Vec<_> = fragments.iter().map(|bytes| summary(bytes).unwrap()).collect();
            assert_eq!(summaries.len(), 3);
            for (i, summary) in (0..).zip(summaries) {
                let fragment = Fragment { id: 0xabcd, offset: i * 48, more: i < 2 };
                assert_eq!(summary.fragment, Some(fragment));
                assert_eq!((summary.protocol, summary.l4), (protocol, l4));
                let ports = if i == 0 { (1000, 53, flags) } else { (0, 0, 0) };
                assert_eq!(
                    (summary.source_port, summary.destination_port, summary.tcp_flags),
                    ports
                );
            }
        }
    }
}

#[test]
fn a_first_fragment_needs_its_ports_and_not_its_whole_header() {
    let segment = [0x03, 0xe8, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 15 << 4, SYN, 0, 0];
    for ip in [v4(), v6()] {
        let first = |bytes: &[u8]| {
            summary(&ip.clone().fragment(7, 0, true).payload(TCP, bytes).build())
                .map(|s| (s.source_port, s.destination_port, s.tcp_flags))
        };
        assert_eq!(first(&[]), Err(Unparsable::NoPorts));
        assert_eq!(first(&segment[..8]), Ok((1000, 80, 0)));
        assert_eq!(first(&segment), Ok((1000, 80, SYN)));
    }
    let behind_options =
        v6().fragment(7, 0, true).payload(DESTINATION_OPTIONS, &[TCP, 9, 0, 0, 0, 0, 0, 0]);
    assert_eq!(summary(&behind_options.build()), Err(Unparsable::NoPorts));
    let options_alone =
        v6().fragment(7, 0, true).payload(DESTINATION_OPTIONS, &[TCP, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(summary(&options_alone.build()), Err(Unparsable::NoPorts));
}

#[test]
fn fragments_that_cannot_be_of_a_datagram_are_malformed() {
    for ip in [v4(), v6()] {
        let of = |offset, more, len| {
            let ip = ip.clone().fragment(7, offset, more);
            summary(&ip.payload(UDP, &[9; 64][..len]).build()).map(|_| ())
        };
        assert_eq!(of(8, true, 64), Ok(()));
        assert_eq!(of(8, true, 63), Err(Unparsable::Malformed), "the next would overlap");
        assert_eq!(of(8, false, 63), Ok(()));
        assert_eq!(of(8, false, 0), Err(Unparsable::Malformed), "empty");
        assert_eq!(of(65528, false, 7), Ok(()));
        assert_eq!(of(65528, false, 8), Err(Unparsable::Malformed), "beyond the longest datagram");
    }
}

#[test]
fn extension_headers_that_are_refused_say_why() {
    let nine = (0..9).fold(v6(), |ip, _| ip.extension(DESTINATION_OPTIONS, PADDING));
    for (packet, why) in [
        (v6().extension(ROUTING, &[0, 1, 0, 0, 0, 0]), Unparsable::RoutingHeader0),
        (nine, Unparsable::ExtensionHeaders),
        (v6().extension(HIP, &[0; 262]), Unparsable::ExtensionHeaders),
        (v6().extension(HIP, PADDING).extension(HOP_BY_HOP, PADDING), Unparsable::Malformed),
    ] {
        assert_eq!(summary(&packet.udp(1000, 53, b"").build()), Err(why));
    }
}

#[test]
fn lengths_that_lie_are_malformed() {
    let udp = |ip: Ip| ip.udp(1000, 53, b"hello");
    let tcp = |ip: Ip| ip.tcp(1000, 80, ACK, b"hello");
    for (what, packet) in [
        ("neither version", changed(udp(v4()), 0, &[0x55])),
        ("header below 20 bytes", changed(udp(v4()), 0, &[0x44])),
        ("header beyond the packet", changed(udp(v4()), 0, &[0x4f])),
        ("total length below the header", changed(udp(v4()), 2, &[0, 19])),
        ("total length beyond the frame", changed(udp(v4()), 2, &[0, 34])),
        ("total length in front of the ports", changed(udp(v4()), 2, &[0, 27])),
        ("an option beyond the header", udp(v4().options(&[7, 5, 0, 0])).build()),
        ("payload length beyond the frame", changed(udp(v6()), 4, &[0, 14])),
        ("jumbogram", changed(udp(v6()), 4, &[0, 0])),
        (
            "extension header beyond the packet",
            changed(udp(v6().extension(HIP, PADDING)), 41, &[3]),
        ),
        ("UDP length below its header", changed(udp(v4()), 24, &[0, 7])),
        ("UDP length 0", changed(udp(v6()), 44, &[0, 0])),
        ("UDP length beyond the packet", changed(udp(v4()), 24, &[0, 14])),
        ("TCP header below 20 bytes", changed(tcp(v4()), 32, &[4 << 4])),
        ("TCP header beyond the packet", changed(tcp(v6()), 52, &[7 << 4])),
    ] {
        assert_eq!(summary(&packet), Err(Unparsable::Malformed), "{what}");
    }
    for (what, packet) in [
        ("padding behind the total length", changed(udp(v4()), 2, &[0, 33])),
        ("data behind the UDP length", changed(udp(v4()), 24, &[0, 12])),
        ("TCP header up to the packet's end", changed(tcp(v4()), 32, &[6 << 4])),
    ] {
        assert!(summary(&packet).is_ok(), "{what}");
    }
}

#[test]
fn headers_lie_in_the_first_segment_and_the_rest_may_not() {
    for (ip, headers) in [
        (v4(), 20 + 20),
        (v4().options(ROUTE), 28 + 20),
        (v6(), 40 + 20),
        (v6().extension(HIP, PADDING), 48 + 20),
    ] {
        let bytes = ip.tcp(1000, 80, ACK, &[7; 100]).build();
        let whole = summary(&bytes);
        for len in 0..=bytes.len() {
            let summary = summarize(&bytes[..len], 0, bytes.len());
            let expected = if len < headers { Err(Unparsable::Malformed) } else { whole };
            assert_eq!(summary, expected, "{len}");
        }
        assert_eq!(summarize(&bytes, 0, bytes.len() - 1), Err(Unparsable::Malformed));
        assert_eq!(summarize(&bytes, bytes.len(), bytes.len()), Err(Unparsable::Malformed));
        assert_eq!(summarize(&bytes, usize::MAX, bytes.len()), Err(Unparsable::Malformed));
    }
}

#[test]
fn a_quoted_packet_tells_its_flow_however_short_it_is_cut() {
    for (ip, l4) in [
        (v4(), 20),
        (v4().options(ROUTE), 28),
        (v6(), 40),
        (v6().extension(HOP_BY_HOP, PADDING).extension(FRAGMENT, ATOMIC), 56),
        (v4().fragment(7, 0, true), 20),
        (v6().fragment(7, 0, true), 48),
    ] {
        for (packet, protocol) in [
            (ip.clone().tcp(80, 1000, ACK, &[7; 84]), TCP),
            (ip.clone().udp(80, 1000, &[7; 88]), UDP),
        ] {
            let bytes = packet.build();
            let whole = summary(&bytes).unwrap();
            let expected = Quoted {
                source: whole.source,
                destination: whole.destination,
                protocol,
                source_port: 80,
                destination_port: 1000,
            };
            for len in 0..=bytes.len() {
                let enough = len >= l4 + 4;
                assert_eq!(quoted(&bytes[..len]), enough.then_some(expected), "{len}");
            }
        }
    }
}

#[test]
fn a_quoted_packet_without_ports_tells_the_rest() {
    for (packet, protocol) in
        [(v4().payload(IPV4, &[0x45]), IPV4), (v6().icmp(128, 0, 7, b""), ICMPV6)]
    {
        let quoted = quoted(&packet.build()).unwrap();
        assert_eq!(
            (quoted.protocol, quoted.source_port, quoted.destination_port),
            (protocol, 0, 0)
        );
    }
}

#[test]
fn a_quoted_packet_that_does_not_tell_its_flow_is_nothing() {
    for (what, bytes) in [
        ("a later fragment", v4().fragment(7, 8, false).payload(UDP, &[9; 8]).build()),
        ("a later fragment", v6().fragment(7, 8, false).payload(UDP, &[9; 8]).build()),
        ("neither version", changed(v4().udp(80, 1000, b""), 0, &[0x55])),
        ("a header below 20 bytes", changed(v4().udp(80, 1000, b""), 0, &[0x44])),
        ("a packet shorter than its ports", changed(v4().udp(80, 1000, b""), 2, &[0, 23])),
        ("routing header 0", v6().extension(ROUTING, &[0; 6]).udp(80, 1000, b"").build()),
    ] {
        assert_eq!(quoted(&bytes), None, "{what}");
    }
}
