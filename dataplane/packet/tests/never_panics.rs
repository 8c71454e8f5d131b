//! Whatever the bytes are, nothing panics, nothing loops, and what is returned can be relied on.

use std::hint::black_box;

use packet::build::{self, Ip};
use packet::{
    Arp, Ethernet, Icmp, Ipv4, Ipv6, Mac, Summary, Tcp, Udp, checksum, extension, protocol, quoted,
    summarize, tcp,
};
use proptest::prelude::*;

/// Reads the bytes as everything there is, with every accessor.
fn read_all(bytes: &[u8]) -> Option<Summary> {
    let mut summary = None;
    for l3 in [14, 18, 0] {
        summary = summarize(bytes, l3, bytes.len()).ok();
        if let Some(summary) = summary {
            assert!(l3 == summary.l3 && l3 < summary.l4);
            assert!(summary.l4 <= summary.end && summary.end <= bytes.len());
            assert!(summary.fragment.is_none_or(|f| f.more || f.offset > 0));
            assert_eq!(summary.source.is_ipv4(), summary.destination.is_ipv4());
        }
    }
    if let Some(quoted) = quoted(bytes) {
        assert_eq!(quoted.source.is_ipv4(), quoted.destination.is_ipv4());
    }
    let first_segment = &bytes[..bytes.len() / 2];
    if let Ok(in_two) = summarize(first_segment, 0, bytes.len()) {
        // Of a first fragment's ports alone may be there.
        let tcp_flags = summary.map_or(0, |summary| summary.tcp_flags);
        assert_eq!(Some(Summary { tcp_flags, ..in_two }), summary);
    }

    if let Ok(frame) = Ethernet::parse(bytes) {
        assert!(frame.header_len() + frame.payload().len() == bytes.len());
        assert!(frame.vlan().is_none_or(|vlan| vlan < 4096));
        black_box((frame.destination(), frame.source(), frame.ethertype()));
        if let Ok(arp) = Arp::parse(frame.payload()) {
            black_box((arp.operation(), arp.sender_mac(), arp.target_mac()));
            black_box((arp.sender_address(), arp.target_address()));
        }
    }
    if let Ok(ip) = Ipv4::parse(bytes) {
        assert_eq!(ip.header_len() + ip.payload().len(), ip.total_len());
        assert!(ip.options().map(|option| option.data.len() + 2).sum::<usize>() <= 40);
        black_box((ip.source(), ip.destination(), ip.protocol(), ip.ttl(), ip.traffic_class()));
        black_box((ip.id(), ip.dont_fragment(), ip.is_fragment(), ip.checksum()));
        read_upper(ip.payload());
    }
    if let Ok(ip) = Ipv6::parse(bytes) {
        assert_eq!(ip.header_len() + ip.payload().len(), ip.total_len());
        black_box((
            ip.source(),
            ip.destination(),
            ip.hop_limit(),
            ip.traffic_class(),
            ip.flow_label(),
        ));
        if let Ok(chain) = extension::walk(ip.next_header(), ip.payload()) {
            assert!(chain.len <= extension::MAX_LEN);
            read_upper(&ip.payload()[chain.len..]);
        }
    }
    read_upper(bytes);
    checksum::is_valid(bytes);
    summary
}

fn read_upper(bytes: &[u8]) {
    if let Ok(tcp) = Tcp::parse(bytes) {
        assert_eq!(20 + tcp.options().len() + tcp.payload().len(), bytes.len());
        black_box((
            tcp.source_port(),
            tcp.destination_port(),
            tcp.flags(),
            tcp.window(),
            tcp.checksum(),
        ));
        black_box((tcp.sequence(), tcp.acknowledgment(), tcp.sequence_len()));
    }
    if let Ok(udp) = Udp::parse(bytes) {
        assert!(8 + udp.payload().len() <= bytes.len());
        black_box((udp.source_port(), udp.destination_port(), udp.checksum()));
    }
    for message in [Icmp::parse_v4(bytes), Icmp::parse_v6(bytes)].into_iter().flatten() {
        black_box((message.kind(), message.message_type(), message.code(), message.checksum()));
        if let Some(packet) = message.quoted() {
            quoted(packet);
        }
    }
}

/// Packets of every kind, with something in each field that a mutation can spoil.
fn seeds() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for ip in [
        Ip::between("192.0.2.1", "198.51.100.1"),
        Ip::between("192.0.2.1", "198.51.100.1").options(&[131, 7, 4, 192, 0, 2, 9, 1, 7, 3, 4]),
        Ip::between("2001:db8::1", "2001:db8::2"),
        Ip::between("2001:db8::1", "2001:db8::2")
            .extension(protocol::HOP_BY_HOP, &[5, 2, 0, 0])
            .extension(protocol::ROUTING, &[2, 1])
            .extension(protocol::AUTHENTICATION, &[0; 14])
            .extension(protocol::DESTINATION_OPTIONS, &[1, 4]),
    ] {
        let segment = ip.clone().tcp(50000, 80, tcp::SYN, b"GET / HTTP/1.0\r\n");
        let datagram = ip.clone().udp(50000, 53, b"a question of some length");
        packets.extend(segment.fragments(7, 16));
        packets.extend(datagram.fragments(7, 16));
        packets.extend([segment.clone().build(), datagram.build()]);
        for message_type in [1, 2, 3, 8, 128] {
            packets.push(ip.clone().icmp(message_type, 4, 1400, &segment.clone().build()).build());
        }
    }
    packets
}

/// Xorshift (Marsaglia): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A byte that is likely to be somebody's limit.
    fn byte(&mut self) -> u8 {
        let random = self.next() as u8;
        [0, 1, 0xff, 44, 43, 60, 51, random, random, random][self.below(10)]
    }
}

#[test]
fn a_million_random_and_mutated_packets_are_read() {
    let seeds = seeds();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut bad) = (0, 0);

    for i in 0..1_000_000 {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        if i % 4 == 0 {
            // Random, but for the version now and then.
            bytes.iter_mut().for_each(|byte| *byte = random.next() as u8);
            bytes[0] = [bytes[0], 0x45, 0x4f, 0x60][random.below(4)];
        }
        if i % 8 == 1 {
            let vlan = [None, Some(7)][random.below(2)];
            bytes = build::frame(Mac::BROADCAST, Mac::default(), vlan, &bytes);
        }
        for _ in 0..random.below(4) {
            // Half of them in the first 64 bytes, where headers are.
            let limit = [64.min(bytes.len()), bytes.len()][random.below(2)];
            let at = random.below(limit);
            bytes[at] = random.byte();
        }
        if random.below(8) == 0 {
            bytes.truncate(random.below(bytes.len() + 1));
        }
        match read_all(&bytes) {
            Some(_) => good += 1,
            None => bad += 1,
        }
    }
    // Neither all refused at the door nor all let through.
    assert!(good > 200_000 && bad > 200_000, "{good} good, {bad} bad");
}

#[test]
fn every_seed_is_good() {
    for bytes in seeds() {
        assert!(summarize(&bytes, 0, bytes.len()).is_ok(), "{bytes:02x?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        read_all(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_version_are_read(version in 4..=6_u8, low in 0..16_u8, mut bytes in prop::collection::vec(any::<u8>(), 1..600)) {
        bytes[0] = version << 4 | low;
        read_all(&bytes);
    }

    #[test]
    fn any_chain_of_extension_headers_ends(next: u8, kinds in prop::collection::vec(prop::sample::select(vec![0_u8, 43, 44, 51, 60, 135, 139, 140]), 0..80), len in 0..4_u8) {
        let bytes: Vec<u8> = kinds.iter().flat_map(|&kind| [kind, len, 4, 0, 0, 0, 0, 0]).collect();
        if let Ok(chain) = extension::walk(next, &bytes) {
            prop_assert!(chain.len <= bytes.len().min(extension::MAX_LEN));
        }
    }
}
