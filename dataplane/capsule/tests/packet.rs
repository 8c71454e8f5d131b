//! Packets in mbufs behave as `packet::Buffer` does, which the forwarder is tested with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::LazyLock;

use capsule::{Eal, Mempool, Packet};
use common::{all_bytes, packet, pool};
use packet::{Buffer, Frame};
use proptest::prelude::*;

static EAL: LazyLock<Eal> = LazyLock::new(|| Eal::init(&common::settings(&[])).unwrap());
static POOL: LazyLock<Mempool> = LazyLock::new(|| pool(&EAL, "frames"));
/// Only one test at a time counts what is in the pool.
static COUNT: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

#[derive(Clone, Debug)]
enum Step {
    Prepend(usize),
    TrimFront(usize),
    Truncate(usize),
    Wrap { front: u16, len: u32 },
    CopyTo { offset: usize, len: usize },
    Write(prop::sample::Index, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..140_usize).prop_map(Step::Prepend),
        Just(Step::Prepend(usize::MAX)),
        (0..300_usize).prop_map(Step::TrimFront),
        Just(Step::TrimFront(1 << 16)),
        (0..900_usize).prop_map(Step::Truncate),
        (0..140_u16, 0..900_u32).prop_map(|(front, len)| Step::Wrap { front, len }),
        (0..900_usize, 0..900_usize).prop_map(|(offset, len)| Step::CopyTo { offset, len }),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Step::Write(at, byte)),
    ]
}

/// Takes one step, and says what came of it.
fn take(frame: &mut impl Frame, step: &Step) -> Option<Vec<u8>> {
    match step {
        Step::Prepend(n) => frame.prepend(*n).map(|bytes| {
            let (new, _) = bytes.split_at_mut(*n);
            new.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
            bytes.to_vec()
        }),
        Step::TrimFront(n) => frame.trim_front(*n).then(Vec::new),
        Step::Truncate(len) => {
            frame.truncate(*len);
            None
        }
        Step::Wrap { front, len } => frame.wrap(*front, *len).map(|bytes| {
            bytes.iter_mut().take((*front).into()).zip(1..).for_each(|(byte, n)| *byte = n);
            bytes.to_vec()
        }),
        Step::CopyTo { offset, len } => {
            let mut into = vec![0; *len];
            let copied = frame.copy_to(*offset, &mut into);
            into.truncate(copied);
            Some(into)
        }
        Step::Write(at, byte) => {
            let bytes = frame.bytes_mut();
            if !bytes.is_empty() {
                bytes[at.index(bytes.len())] = *byte;
            }
            None
        }
    }
}

/// These parts as one packet, a segment for each.
fn chain(parts: &[Vec<u8>]) -> Packet {
    let mut pool = POOL.clone();
    let mut parts = parts.iter().map(|part| packet(&mut pool, part));
    let mut head = parts.next().unwrap();
    parts.for_each(|part| head.append(part).unwrap());
    head
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_mbuf_behaves_as_a_buffer_does(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..256), 1..5),
        steps in prop::collection::vec(step(), 0..20),
    ) {
        let _alone = COUNT.lock();
        let mut mbuf = chain(&parts);
        let mut buffer = Buffer::segmented(&parts.concat(), parts[0].len());
        for step in &steps {
            prop_assert_eq!(take(&mut mbuf, step), take(&mut buffer, step), "{:?}", step);
            prop_assert_eq!(mbuf.bytes(), buffer.bytes(), "{:?}", step);
            prop_assert_eq!(mbuf.total_len(), buffer.total_len(), "{:?}", step);
            prop_assert_eq!(all_bytes(&mbuf), buffer.all(), "{:?}", step);
        }
        drop(mbuf);
        prop_assert_eq!(POOL.available(), POOL.packets());
    }
}

#[test]
fn a_new_packet_has_a_buffers_headroom() {
    let _alone = COUNT.lock();
    assert_eq!(usize::from(Mempool::HEADROOM), Buffer::HEADROOM);
    let mut packet = chain(&[vec![1; 60]]);
    assert!(packet.prepend(Buffer::HEADROOM + 1).is_none());
    assert!(packet.prepend(Buffer::HEADROOM).is_some());
    assert!(packet.prepend(1).is_none());
}

#[test]
fn segments_behind_the_new_end_are_freed_at_once() {
    let _alone = COUNT.lock();
    let before = POOL.available();
    let mut packet = chain(&[vec![1; 100], vec![2; 100], vec![3; 100], vec![4; 100]]);
    for (len, segments) in [(400, 4), (301, 4), (300, 3), (150, 2), (100, 1), (0, 1)] {
        packet.truncate(len);
        assert_eq!((packet.total_len(), packet.segments()), (len, segments));
        assert_eq!(before - POOL.available(), segments.into());
    }
}

#[test]
fn a_packet_is_shown_by_all_its_bytes() {
    let _alone = COUNT.lock();
    let mut packet = chain(&[vec![0xab, 1], vec![0xcd]]);
    assert_eq!(format!("{packet:?}"), "ab01cd");
    packet.offload_ipv4_checksum(0, 2);
    assert!(!packet.has_bad_ipv4_checksum());
}

#[test]
#[should_panic(expected = "the headers lie in the first segment")]
fn a_checksum_of_bytes_that_are_not_there_is_not_asked_for() {
    let _alone = COUNT.lock();
    chain(&[vec![0; 33], vec![0; 10]]).offload_ipv4_checksum(14, 20);
}
