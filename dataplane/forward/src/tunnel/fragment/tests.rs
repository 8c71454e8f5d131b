use packet::build::{self, Ip};
use packet::{Buffer, Heap, Mac, checksum, protocol};
use proptest::prelude::*;

use super::*;

const TO: Mac = Mac([2, 0, 0, 0, 0, 1]);
const FROM: Mac = Mac([2, 0, 0, 0, 0, 3]);

/// Loose source route (copied into every fragment) and record route (not copied).
const SOURCE_ROUTE: [u8; 7] = [131, 7, 4, 192, 0, 2, 9];
const RECORD_ROUTE: [u8; 7] = [7, 7, 4, 0, 0, 0, 0];

fn packet(payload: usize) -> Ip {
    let payload: Vec<u8> = (0..payload).map(|i| (i * 7 + i / 256) as u8).collect();
    Ip::between("203.0.113.9", "198.51.100.1").id(0xbeef).payload(protocol::UDP, &payload)
}

fn frame(packet: &[u8]) -> Vec<u8> {
    build::frame(TO, FROM, None, packet)
}

fn fragments(frame: &Buffer, l3: usize, max_inner: usize) -> Result<Vec<Buffer>, Counter> {
    let mut out = Vec::new();
    fragment(frame, l3, max_inner, &mut Heap, &mut out).map(|()| out)
}

/// The datagram that a host puts together from fragments, by the rules of RFC 791 for receivers;
/// header of the first one, payload of all.
fn reassembled(fragments: &[Buffer], l3: usize) -> Vec<u8> {
    let ips: Vec<Ipv4<'_>> =
        fragments.iter().map(|f| Ipv4::parse(&f.all()[l3..]).unwrap()).collect();
    let (last, others) = ips.split_last().unwrap();
    assert!(others.iter().all(|ip| ip.more_fragments() && ip.payload().len() % 8 == 0));
    let len = usize::from(last.fragment_offset()) + last.payload().len();
    let mut payload = vec![None; len];
    for ip in &ips {
        for (i, &byte) in ip.payload().iter().enumerate() {
            let place = &mut payload[usize::from(ip.fragment_offset()) + i];
            assert_eq!(place.replace(byte), None, "fragments overlap");
        }
    }
    payload.into_iter().map(|byte| byte.expect("no gap")).collect()
}

#[test]
fn a_datagram_becomes_fragments_of_the_largest_size() {
    let whole = packet(3000);
    let made = fragments(&Buffer::new(&frame(&whole.clone().build())), 14, 1480).unwrap();
    // 1480 - 20 = 1460, of which 1456 is a multiple of eight.
    let expected: Vec<Vec<u8>> =
        whole.fragments(0xbeef, 1456).iter().map(|piece| frame(piece)).collect();
    assert_eq!(made.iter().map(|f| f.all().to_vec()).collect::<Vec<_>>(), expected);
    assert_eq!(made.len(), 3);
}

#[test]
fn the_vlan_tag_and_what_is_not_about_fragments_are_kept() {
    let whole = packet(1600).ttl(9).traffic_class(0xba);
    let vlan = build::frame(TO, FROM, Some(7), &whole.clone().build());
    for (made, piece) in
        fragments(&Buffer::new(&vlan), 18, 1020).unwrap().iter().zip(whole.fragments(0xbeef, 1000))
    {
        assert_eq!(made.all(), build::frame(TO, FROM, Some(7), &piece));
    }
}

#[test]
fn only_copied_options_are_in_every_fragment() {
    let options = [&RECORD_ROUTE[..], &[1], &SOURCE_ROUTE, &[148, 4, 0, 0]].concat();
    let whole = packet(3000).options(&options);
    let made = fragments(&Buffer::new(&frame(&whole.build())), 14, 1400).unwrap();
    assert_eq!(reassembled(&made, 14).len(), 3000);
    for (i, piece) in made.iter().enumerate() {
        let ip = Ipv4::parse(&piece.all()[14..]).unwrap();
        let kinds: Vec<u8> = ip.options().map(|option| option.kind).collect();
        assert_eq!(kinds, if i == 0 { &[7, 131, 148][..] } else { &[131, 148] });
        assert_eq!(ip.options().find(|o| o.kind == 131).unwrap().data, &SOURCE_ROUTE[2..]);
        assert!(checksum::is_valid(&piece.all()[14..14 + ip.header_len()]));
    }
}

#[test]
fn a_fragment_is_fragmented_in_its_place() {
    for more in [true, false] {
        let piece = packet(1600).fragment(0xbeef, 8000, more);
        let made = fragments(&Buffer::new(&frame(&piece.build())), 14, 1020).unwrap();
        let places: Vec<(u16, bool, usize)> = made
            .iter()
            .map(|f| Ipv4::parse(&f.all()[14..]).unwrap())
            .map(|ip| (ip.fragment_offset(), ip.more_fragments(), ip.payload().len()))
            .collect();
        assert_eq!(places, [(8000, true, 1000), (9000, more, 600)]);
    }
}

#[test]
fn fragments_fit_every_buffer_also_on_jumbo_routes() {
    let made =
        fragments(&Buffer::segmented(&frame(&packet(8990).build()), 2048), 14, 8980).unwrap();
    assert!(made.iter().all(|f| f.all().len() <= 14 + 1500));
    assert_eq!(reassembled(&made, 14).len(), 8990);
}

#[test]
fn ethernet_padding_is_in_no_fragment() {
    let bytes = [frame(&packet(60).build()), vec![0xee; 6]].concat();
    let made = fragments(&Buffer::new(&bytes), 14, 68).unwrap();
    assert_eq!(made.len(), 2);
    assert_eq!(reassembled(&made, 14), &bytes[34..94]);
}

/// A pool that runs dry.
struct Few(usize);

impl Pool for Few {
    type Frame = Buffer;

    fn allocate(&mut self, len: usize) -> Option<Buffer> {
        self.0 = self.0.checked_sub(1)?;
        Heap.allocate(len)
    }
}

#[test]
fn a_pool_that_runs_dry_leaves_no_fragment_behind() {
    let received = Buffer::new(&frame(&packet(3000).build()));
    let mut out = vec![Buffer::new(b"another packet's")];
    assert_eq!(fragment(&received, 14, 1480, &mut Few(2), &mut out), Err(Counter::NoBuffer));
    assert_eq!(out, [Buffer::new(b"another packet's")]);
    assert_eq!(fragment(&received, 14, 1480, &mut Few(3), &mut out), Ok(()));
    assert_eq!(out.len(), 4);
}

#[test]
fn what_cannot_be_fragmented_is_refused() {
    let whole = frame(&packet(100).build());
    assert_eq!(fragments(&Buffer::new(&whole), 14, 27).unwrap_err(), Counter::TooBig);
    assert_eq!(fragments(&Buffer::new(&whole), 14, 0).unwrap_err(), Counter::TooBig);
    assert_eq!(fragments(&Buffer::new(&whole[..100]), 14, 60).unwrap_err(), Counter::Malformed);
    assert_eq!(fragments(&Buffer::new(&whole[..20]), 14, 60).unwrap_err(), Counter::Malformed);
    assert_eq!(fragments(&Buffer::new(&[]), 14, 60).unwrap_err(), Counter::Malformed);
    let behind_the_end = frame(&packet(1000).fragment(1, 65_000, false).build());
    assert_eq!(fragments(&Buffer::new(&behind_the_end), 14, 60).unwrap_err(), Counter::Malformed);
}

proptest! {
    #[test]
    fn reassembly_gives_the_original_back(
        payload in 1_usize..9000,
        max_inner in 68_usize..1600,
        first_segment in 80_usize..9100,
        options in prop::sample::select(vec![&[][..], &SOURCE_ROUTE, &RECORD_ROUTE]),
    ) {
        let whole = packet(payload).options(options);
        let bytes = frame(&whole.build());
        let made = fragments(&Buffer::segmented(&bytes, first_segment), 14, max_inner).unwrap();
        let header_len = usize::from(bytes[14] & 0x0f) * 4;
        prop_assert_eq!(&reassembled(&made, 14), &bytes[14 + header_len..]);
        for (i, piece) in made.iter().enumerate() {
            let ip = Ipv4::parse(&piece.all()[14..]).unwrap();
            prop_assert!(ip.total_len() <= max_inner);
            prop_assert_eq!((ip.id(), ip.more_fragments()), (0xbeef, i + 1 < made.len()));
            prop_assert!(checksum::is_valid(&piece.all()[14..14 + ip.header_len()]));
        }
    }
}
