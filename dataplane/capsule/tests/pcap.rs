//! From one capture file to another, without privileges: what comes out is what went in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use capsule::{Burst, Eal, Port, PortSettings, Started};
use common::{one_queue, pool};
use packet::Frame;

/// Length of a capture file's own header.
const FILE_HEADER: usize = 24;
/// Length of the header in front of each of its packets.
const PACKET_HEADER: usize = 16;

/// A capture file of Ethernet packets, in this machine's byte order.
fn write(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![];
    for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65535, 1] {
        file.extend(word.to_ne_bytes());
    }
    for packet in packets {
        let len = packet.len() as u32;
        for word in [0, 0, len, len] {
            file.extend(word.to_ne_bytes());
        }
        file.extend(packet);
    }
    file
}

/// The packets of such a file.
fn read(file: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = vec![];
    let mut rest = &file[FILE_HEADER..];
    while let Some((header, packet)) = rest.split_at_checked(PACKET_HEADER) {
        let len = u32::from_ne_bytes(header[8..12].try_into().unwrap()) as usize;
        packets.push(packet[..len].to_vec());
        rest = &packet[len..];
    }
    packets
}

#[test]
fn packets_of_one_and_of_several_segments_pass_unchanged_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["in.pcap", "out.pcap"].map(|name| directory.path().join(name));
    // The first segment holds 256 bytes, later ones, which have no headroom, 384.
    let packets: Vec<Vec<u8>> =
        (0..500_usize).map(|n| vec![n as u8; [60, 256, 257, 700, 1400][n % 5]]).collect();
    fs::write(&from, write(&packets)).unwrap();

    let vdev = format!("net_pcap0,rx_pcap={},tx_pcap={}", from.display(), to.display());
    let eal = Eal::init(&common::settings(&[&vdev])).unwrap();
    let pool = pool(&eal, "packets");
    let settings = PortSettings { mtu: Some(9000), promiscuous: true, ..one_queue() };
    let Started { port, mut receive, mut transmit, notes, .. } =
        Port::named(&eal, &vdev).unwrap().start(&settings, &pool).unwrap();
    assert_eq!((port.name(), port.mtu().unwrap()), ("net_pcap0", 9000));
    assert!(notes.is_empty(), "{notes:?}");

    let mut burst = Burst::new();
    let mut most_segments = 0;
    loop {
        receive[0].receive(&mut burst);
        if burst.is_empty() {
            break;
        }
        for packet in burst.packets_mut() {
            most_segments = most_segments.max(packet.segments());
            packet.prepend(14).unwrap().copy_within(14..28, 0);
            assert!(packet.trim_front(14));
        }
        transmit[0].send(&mut burst);
        assert!(burst.is_empty());
    }
    assert_eq!(most_segments, 4);
    assert_eq!(port.stats().unwrap().opackets, 500);
    drop((port, receive, transmit));

    assert!(read(&fs::read(&to).unwrap()) == packets);
    assert_eq!(pool.available(), pool.packets());
}
