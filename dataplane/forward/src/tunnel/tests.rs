use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::Buffer;
use proptest::prelude::*;

use super::*;
use crate::PathSettings;

const NODE_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const HOP_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x03];

#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
}
use Family::{V4, V6};

fn settings(family: Family) -> PathSettings {
    let [source, destination] = match family {
        V4 => ["192.0.2.132", "192.0.2.140"],
        V6 => ["2001:db8::84", "2001:db8::8c"],
    };
    PathSettings {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        source_mac: NODE_MAC,
        next_hop_mac: Some(HOP_MAC),
        vlan: None,
        port: 0,
        mtu: 1500,
        checksum_offload: false,
    }
}

/// A client's packet, without Ethernet.
fn inner(family: Family, traffic_class: u8, payload: usize) -> Vec<u8> {
    let mut packet = match family {
        V4 => {
            let mut ip = vec![0x45, traffic_class];
            ip.extend((20 + payload as u16).to_be_bytes());
            ip.extend([0x12, 0x34, 0x40, 0x00, 57, 6, 0xab, 0xcd]);
            ip.extend(Ipv4Addr::new(203, 0, 113, 9).octets());
            ip.extend(Ipv4Addr::new(198, 51, 100, 1).octets());
            ip
        }
        V6 => {
            let word = 0x6 << 28 | u32::from(traffic_class) << 20 | 0x54321;
            let mut ip = word.to_be_bytes().to_vec();
            ip.extend((payload as u16).to_be_bytes());
            ip.extend([6, 57]);
            ip.extend("2001:db8:c::9".parse::<Ipv6Addr>().unwrap().octets());
            ip.extend("2001:db8:198::1".parse::<Ipv6Addr>().unwrap().octets());
            ip
        }
    };
    packet.extend((0..payload).map(|i| i as u8 | 1));
    packet
}

/// The Ethernet frame that carries it.
fn frame(vlan: Option<u16>, packet: &[u8]) -> Vec<u8> {
    ethernet(NODE_MAC, CLIENT_MAC, vlan, packet)
}

fn ethernet(to: [u8; 6], from: [u8; 6], vlan: Option<u16>, packet: &[u8]) -> Vec<u8> {
    let mut bytes = [to, from].concat();
    if let Some(vlan) = vlan {
        bytes.extend([0x81, 0x00]);
        bytes.extend(vlan.to_be_bytes());
    }
    bytes.extend(if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] });
    bytes.extend_from_slice(packet);
    bytes
}

fn l3(vlan: Option<u16>) -> usize {
    if vlan.is_some() { 18 } else { 14 }
}

/// The tunnelled packet, written field by field from the RFCs' pictures.
fn expected(settings: &PathSettings, traffic_class: u8, inner: &[u8]) -> Vec<u8> {
    let protocol = if inner[0] >> 4 == 4 { 4 } else { 41 };
    let mut outer = Vec::new();
    match (settings.source, settings.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            outer.extend([4 << 4 | 5, traffic_class]);
            outer.extend((20 + inner.len() as u16).to_be_bytes());
            outer.extend([0, 0]); // identification
            outer.extend([0b010_00000, 0]); // don't fragment
            outer.extend([64, protocol, 0, 0]);
            outer.extend(source.octets());
            outer.extend(destination.octets());
            let checksum = if settings.checksum_offload { 0 } else { !sum(&outer) };
            outer[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            outer.extend((0x6 << 28 | u32::from(traffic_class) << 20).to_be_bytes());
            outer.extend((inner.len() as u16).to_be_bytes());
            outer.extend([protocol, 64]);
            outer.extend(source.octets());
            outer.extend(destination.octets());
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => unreachable!(),
    }
    outer.extend_from_slice(inner);
    ethernet(settings.next_hop_mac.unwrap(), settings.source_mac, settings.vlan, &outer)
}

/// Sum of 16-bit words, the long way: 0xffff over a header whose checksum is right.
fn sum(header: &[u8]) -> u16 {
    let total: u64 = header.chunks(2).map(|w| u64::from(w[0]) * 256 + u64::from(w[1])).sum();
    match total % 0xffff {
        0 if total != 0 => 0xffff,
        rest => rest as u16,
    }
}

fn encapsulated(frame: Buffer, l3: usize, settings: &PathSettings) -> Result<Buffer, Counter> {
    let mut frame = frame;
    encapsulate(&mut frame, l3, &Path::new(settings).unwrap()).map(|()| frame)
}

#[test]
fn a_tunnelled_syn_is_what_the_rfcs_say_to_the_last_byte() {
    #[rustfmt::skip]
    let tunnelled = [
        0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00,
        // version and length, DSCP AF11 and ECT(0), total length 64, identification 0
        0x45, 0x2a, 0x00, 0x40, 0x00, 0x00,
        // don't fragment, TTL 64, protocol 4, checksum: !(452a+0040+4000+4004+c000+0284+c000+028c)
        0x40, 0x00, 0x40, 0x04, 0xb5, 0x7f,
        192, 0, 2, 132, 192, 0, 2, 140,
    ];
    let inner = inner(V4, 0x2a, 24);
    let sent = encapsulated(Buffer::new(&frame(None, &inner)), 14, &settings(V4)).unwrap();
    assert_eq!(sent.all(), [&tunnelled[..], &inner].concat());
}

#[test]
fn both_families_are_tunnelled_over_both_with_and_without_vlans() {
    for (carrier, carried) in [(V4, V4), (V4, V6), (V6, V4), (V6, V6)] {
        for (vlan_in, vlan_out) in
            [(None, None), (None, Some(7)), (Some(7), None), (Some(0xfff), Some(4094))]
        {
            let settings = PathSettings { vlan: vlan_out, ..settings(carrier) };
            let inner = inner(carried, 0, 100);
            let received = Buffer::new(&frame(vlan_in, &inner));
            let sent = encapsulated(received, l3(vlan_in), &settings).unwrap();
            assert_eq!(
                sent.all(),
                expected(&settings, 0, &inner),
                "{carried:?} over {carrier:?}, VLAN {vlan_in:?} to {vlan_out:?}"
            );
        }
    }
}

#[test]
fn traffic_class_and_every_ecn_codepoint_are_copied_outwards() {
    for (carrier, carried) in [(V4, V4), (V4, V6), (V6, V4), (V6, V6)] {
        for traffic_class in [0b00, 0b01, 0b10, 0b11, 46 << 2 | 0b10, 0xff] {
            let inner = inner(carried, traffic_class, 8);
            let received = Buffer::new(&frame(None, &inner));
            let sent = encapsulated(received, 14, &settings(carrier)).unwrap();
            assert_eq!(sent.all(), expected(&settings(carrier), traffic_class, &inner));
        }
    }
}

#[test]
fn the_nic_is_asked_for_the_checksum_where_it_offers_it() {
    let settings = PathSettings { checksum_offload: true, ..settings(V4) };
    let inner = inner(V6, 0x03, 20);
    let received = || Buffer::new(&frame(Some(9), &inner));

    let sent = encapsulated(received(), 18, &settings).unwrap();
    assert_eq!(sent.all(), expected(&settings, 0x03, &inner));
    assert_eq!(sent.offload(), Some((14, 20)));

    let tagged = PathSettings { vlan: Some(9), ..settings };
    let sent = encapsulated(received(), 18, &tagged).unwrap();
    assert_eq!(sent.all(), expected(&tagged, 0x03, &inner));
    assert_eq!(sent.offload(), Some((18, 20)));
}

#[test]
fn the_nic_is_asked_for_no_checksum_where_it_offers_none_or_there_is_none() {
    let received = || Buffer::new(&frame(None, &inner(V4, 0, 20)));
    assert_eq!(encapsulated(received(), 14, &settings(V4)).unwrap().offload(), None);
    let over_v6 = PathSettings { checksum_offload: true, ..settings(V6) };
    assert_eq!(encapsulated(received(), 14, &over_v6).unwrap().offload(), None);
}

proptest! {
    #[test]
    fn a_varied_source_leaves_the_header_that_a_path_of_this_source_makes(
        hash: u64,
        over_v6: bool,
        vlan in prop::option::of(1..4095_u16),
        checksum_offload: bool,
        traffic_class: u8,
        payload in 0..1400_usize,
    ) {
        let carrier = if over_v6 { V6 } else { V4 };
        let settings = PathSettings { vlan, checksum_offload, ..settings(carrier) };
        let prefixes = ["192.0.2.64/26", "2001:db8:5::/64"].map(|prefix| prefix.parse().unwrap());
        let sources = Sources::new(&prefixes);
        let received = || Buffer::new(&frame(None, &inner(V4, traffic_class, payload)));

        let mut sent = encapsulated(received(), 14, &settings).unwrap();
        vary(&mut sent, &Path::new(&settings).unwrap(), &sources, hash);
        let source = match carrier {
            V4 => sources.v4(hash).unwrap().into(),
            V6 => sources.v6(hash).unwrap().into(),
        };
        let other = PathSettings { source, ..settings };
        prop_assert_eq!(sent, encapsulated(received(), 14, &other).unwrap());
    }
}

#[test]
fn ethernet_padding_stays_behind() {
    let inner = inner(V4, 0, 20);
    let mut padded = frame(None, &inner);
    padded.resize(60, 0xee);
    let sent = encapsulated(Buffer::new(&padded), 14, &settings(V6)).unwrap();
    assert_eq!(sent.all(), expected(&settings(V6), 0, &inner));
}

#[test]
fn a_packet_in_several_segments_is_tunnelled_whole() {
    let inner = inner(V6, 0, 8900);
    let received = Buffer::segmented(&frame(None, &inner), 2048);
    let sent = encapsulated(received, 14, &settings(V4)).unwrap();
    assert_eq!(sent.all(), expected(&settings(V4), 0, &inner));
    assert_eq!(sent.bytes().len(), 2048 + 20);
}

#[test]
fn a_frame_without_headroom_is_refused_untouched() {
    let bytes = frame(None, &inner(V4, 0, 20));
    let with_headroom = |headroom| {
        let mut received = Buffer::new(&bytes);
        let front = received.prepend(Buffer::HEADROOM - headroom).unwrap();
        front[..bytes.len()].copy_from_slice(&bytes);
        received.truncate(bytes.len());
        received
    };
    assert!(encapsulated(with_headroom(20), 14, &settings(V4)).is_ok());

    let mut received = with_headroom(19);
    let path = Path::new(&settings(V4)).unwrap();
    assert_eq!(encapsulate(&mut received, 14, &path), Err(Counter::NoHeadroom));
    assert_eq!(received.all(), bytes);
}

#[test]
fn an_outer_packet_longer_than_its_length_field_is_refused() {
    let longest = |family| match family {
        V4 => 65_535 - 20,
        V6 => 65_535,
    };
    for (carrier, carried, most) in
        [(V4, V4, 65_515 - 20), (V4, V6, 65_515 - 40), (V6, V4, 65_535 - 20), (V6, V6, 65_535 - 40)]
    {
        let tunnel = |payload| {
            let received = Buffer::new(&frame(None, &inner(carried, 0, payload)));
            encapsulated(received, 14, &settings(carrier))
        };
        let sent = tunnel(most).unwrap();
        assert_eq!(sent.all(), expected(&settings(carrier), 0, &inner(carried, 0, most)));
        if most < longest(carried) {
            assert_eq!(tunnel(most + 1).unwrap_err(), Counter::TooLong);
        }
    }
}

#[test]
fn what_is_not_an_ip_packet_is_refused() {
    for bytes in [&[][..], &[0; 16], &[0; 64]] {
        let received = Buffer::new(bytes);
        assert_eq!(encapsulated(received, 14, &settings(V4)).unwrap_err(), Counter::Malformed);
    }
}

proptest! {
    #[test]
    fn every_outer_checksum_is_right(
        source: u32, destination: u32, traffic_class: u8, payload in 0_usize..1500, v6: bool,
    ) {
        let settings = PathSettings {
            source: Ipv4Addr::from_bits(source).into(),
            destination: Ipv4Addr::from_bits(destination).into(),
            ..settings(V4)
        };
        let inner = inner(if v6 { V6 } else { V4 }, traffic_class, payload);
        let sent = encapsulated(Buffer::new(&frame(None, &inner)), 14, &settings).unwrap();
        prop_assert_eq!(sum(&sent.all()[14..34]), 0xffff);
        prop_assert_eq!(&sent.all()[34..], &inner);
    }
}
