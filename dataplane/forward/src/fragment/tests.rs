use packet::build::Ip;
use packet::{protocol, summarize};
use proptest::prelude::*;

use super::*;

/// Frames are numbers here, and so are targets.
type Numbered = Fragments<u32, u16>;

const START: u64 = 1_000_000;

fn key(id: u32) -> Key {
    let [source, destination] = ["192.0.2.1", "198.51.100.1"].map(|a| a.parse().unwrap());
    Key { source, destination, id, protocol: protocol::UDP }
}

fn ready(fragments: &mut Numbered) -> Vec<u32> {
    std::iter::from_fn(|| fragments.next_ready()).collect()
}

fn expired(fragments: &mut Numbered, now_ms: u64) -> Vec<u32> {
    let mut dropped = Vec::new();
    fragments.expire(now_ms, |frame| dropped.push(frame));
    dropped
}

/// The keys of the packets of one datagram.
fn keys(packets: &[Vec<u8>]) -> Vec<Option<Key>> {
    packets.iter().map(|bytes| Key::of(&summarize(bytes, 0, bytes.len()).unwrap())).collect()
}

#[test]
fn the_fragments_of_a_datagram_have_one_key_and_no_other_has_it() {
    let v4 = || Ip::between("192.0.2.1", "198.51.100.1").udp(1000, 53, &[7; 100]);
    let v6 = || Ip::between("2001:db8::1", "2001:db8::2").udp(1000, 53, &[7; 100]);
    let datagrams = [
        v4().fragments(7, 48),
        v4().fragments(8, 48),
        v4().tcp(1000, 53, 0, &[7; 100]).fragments(7, 48),
        Ip::between("192.0.2.9", "198.51.100.1").udp(1000, 53, &[7; 100]).fragments(7, 48),
        Ip::between("192.0.2.1", "198.51.100.9").udp(1000, 53, &[7; 100]).fragments(7, 48),
        v6().fragments(7, 48),
        v6().fragments(8, 48),
    ];
    for (i, datagram) in datagrams.iter().enumerate() {
        let keys_of_it = keys(datagram);
        assert!(keys_of_it.iter().all(|key| key.is_some() && *key == keys_of_it[0]));
        for other in &datagrams[..i] {
            assert_ne!(keys(other)[0], keys_of_it[0]);
        }
    }
    assert_eq!(keys(&[v4().build(), v6().build()]), [None, None]);
}

#[test]
fn fragments_of_ipv6_that_name_different_headers_are_of_one_datagram() {
    let piece = |offset, more| Ip::between("2001:db8::1", "2001:db8::2").fragment(7, offset, more);
    let options = [1, 4, 0, 0, 0, 0];
    let first = piece(0, true).extension(protocol::DESTINATION_OPTIONS, &options);
    let first = first.udp(1000, 53, &[7; 32]).build();
    let later = piece(48, false).payload(protocol::DESTINATION_OPTIONS, &[7; 8]).build();
    let keys = keys(&[first, later]);
    assert!(keys[0].is_some());
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn later_fragments_go_where_the_first_one_went() {
    let mut fragments = Numbered::new();
    assert_eq!(fragments.later(&key(1), START), None);
    assert_eq!(fragments.first(key(1), 11, START), Recorded::New);
    assert_eq!(fragments.first(key(2), 12, START), Recorded::New);
    assert_eq!(fragments.later(&key(1), START), Some(11));
    assert_eq!(fragments.later(&key(2), START + 5), Some(12));
    assert_eq!(fragments.later(&key(3), START), None);
}

#[test]
fn a_fragment_that_is_held_after_its_first_one_came_is_ready_at_once() {
    let mut fragments = Numbered::new();
    assert_eq!(fragments.later(&key(1), START), None);
    assert_eq!(fragments.first(key(1), 11, START), Recorded::New);
    assert_eq!(fragments.hold(key(1), 100, START), Ok(()));
    assert_eq!(ready(&mut fragments), [100]);
    assert!(expired(&mut fragments, u64::MAX).is_empty());
}

#[test]
fn early_fragments_are_ready_in_their_order_once_the_first_one_comes() {
    let mut fragments = Numbered::new();
    for (id, frame) in [(1, 101), (2, 201), (1, 102), (3, 301), (2, 202), (1, 103)] {
        assert_eq!(fragments.hold(key(id), frame, START), Ok(()));
    }
    assert_eq!(fragments.next_ready(), None);
    assert_eq!(fragments.first(key(1), 11, START + 1), Recorded::New);
    assert_eq!(fragments.first(key(3), 13, START + 1), Recorded::New);
    assert_eq!(ready(&mut fragments), [101, 102, 103, 301]);
    assert_eq!(expired(&mut fragments, START + 50), [201, 202]);
}

#[test]
fn a_second_first_fragment_changes_nothing_and_readies_who_waits() {
    let mut fragments = Numbered::new();
    assert_eq!(fragments.first(key(1), 11, START), Recorded::New);
    assert_eq!(fragments.first(key(1), 99, START + 10), Recorded::Known(11));
    assert_eq!(fragments.later(&key(1), START + 10), Some(11));
    // It does not live longer for it either.
    assert_eq!(fragments.later(&key(1), START + LIFETIME), None);

    assert_eq!(fragments.hold(key(1), 101, START + 20), Ok(()));
    assert_eq!(fragments.first(key(1), 99, START + 20), Recorded::Known(11));
    assert_eq!(ready(&mut fragments), [101]);
}

#[test]
fn a_datagram_is_forgotten_before_its_identification_comes_again() {
    let mut fragments = Numbered::new();
    let _ = fragments.first(key(1), 11, START);
    assert_eq!(fragments.later(&key(1), START + LIFETIME - 1), Some(11));
    assert_eq!(fragments.later(&key(1), START + LIFETIME), None);
    assert_eq!(fragments.first(key(1), 12, START + LIFETIME), Recorded::New);
    assert_eq!(fragments.later(&key(1), START + LIFETIME), Some(12));
}

#[test]
fn who_waits_in_vain_is_given_up_after_fifty_milliseconds() {
    let mut fragments = Numbered::new();
    assert_eq!(fragments.hold(key(1), 101, START), Ok(()));
    assert_eq!(fragments.hold(key(1), 102, START + 7), Ok(()));
    assert_eq!(expired(&mut fragments, START + 49), [0_u32; 0]);
    assert_eq!(expired(&mut fragments, START + 50), [101]);
    assert_eq!(expired(&mut fragments, START + 56), [0_u32; 0]);
    assert_eq!(expired(&mut fragments, START + 100), [102]);
    // The first fragment comes too late for them.
    let _ = fragments.first(key(1), 11, START + 100);
    assert_eq!(fragments.next_ready(), None);
}

#[test]
fn two_hundred_and_fifty_six_may_wait_and_those_that_are_ready_count() {
    let mut fragments = Numbered::new();
    for frame in 0..256 {
        assert_eq!(fragments.hold(key(frame % 2), frame, START), Ok(()));
    }
    assert_eq!(fragments.hold(key(7), 999, START), Err(999));
    let _ = fragments.first(key(0), 10, START);
    assert_eq!(fragments.hold(key(7), 999, START), Err(999));
    assert_eq!(fragments.next_ready(), Some(0));
    assert_eq!(fragments.hold(key(7), 999, START), Ok(()));
    assert_eq!(ready(&mut fragments).len(), 127);
    assert_eq!(expired(&mut fragments, START + 50).len(), 129);
}

#[test]
fn a_full_table_forgets_the_oldest_says_so_and_does_not_grow() {
    let mut fragments = Numbered::new();
    let capacity = (fragments.records.capacity(), fragments.places.num_buckets());
    let count = DATAGRAMS as u32;
    for id in 0..count {
        assert_eq!(fragments.first(key(id), id as u16, START), Recorded::New);
    }
    assert_eq!(fragments.first(key(count), 1, START), Recorded::Full);
    assert_eq!(fragments.later(&key(0), START), None);
    assert_eq!(fragments.later(&key(1), START), Some(1));

    for id in count + 1..100 * count {
        assert_eq!(fragments.first(key(id), id as u16, START), Recorded::Full);
    }
    for id in 99 * count..100 * count {
        assert_eq!(fragments.later(&key(id), START), Some(id as u16));
    }
    assert_eq!((fragments.records.len(), fragments.places.len()), (DATAGRAMS, DATAGRAMS));
    assert_eq!((fragments.records.capacity(), fragments.places.num_buckets()), capacity);

    // Those forgotten by age are no loss.
    assert_eq!(fragments.first(key(0), 1, START + LIFETIME), Recorded::New);
}

/// What a test does at random. Few keys, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    First { id: u32, target: u16 },
    Later { id: u32 },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_u32, any::<u16>()).prop_map(|(id, target)| Step::First { id, target }),
        (0..6_u32).prop_map(|id| Step::Later { id }),
        prop_oneof![0..60_u64, Just(LIFETIME)].prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    /// Against a plain list of what came: every fragment that is not dropped goes where the first
    /// one of its datagram went, each exactly once, whatever the order.
    #[test]
    fn no_datagram_is_split_and_no_fragment_is_lost(steps in prop::collection::vec(step(), 0..200)) {
        let mut fragments = Numbered::new();
        let mut now = START;
        let mut targets = std::collections::HashMap::<u32, (u16, u64)>::new();
        let mut waiting = Vec::<(u32, u32, u64)>::new();
        for (frame, step) in (0..).zip(steps) {
            match step {
                Step::First { id, target } => {
                    let known = targets.get(&id).filter(|(_, since)| now - since < LIFETIME);
                    let expected = known.map_or(Recorded::New, |&(target, _)| Recorded::Known(target));
                    prop_assert_eq!(fragments.first(key(id), target, now), expected);
                    if expected == Recorded::New {
                        targets.insert(id, (target, now));
                    }
                    let released = waiting.extract_if(.., |held| held.0 == id);
                    let released: Vec<u32> = released.map(|(_, frame, _)| frame).collect();
                    prop_assert_eq!(ready(&mut fragments), released);
                }
                Step::Later { id } => {
                    let known = targets.get(&id).filter(|(_, since)| now - since < LIFETIME);
                    let target = fragments.later(&key(id), now);
                    prop_assert_eq!(target, known.map(|&(target, _)| target));
                    if target.is_none() {
                        prop_assert_eq!(fragments.hold(key(id), frame, now), Ok(()));
                        waiting.push((id, frame, now + PATIENCE));
                    }
                }
                Step::Wait { ms } => {
                    now += ms;
                    let late = waiting.extract_if(.., |held| held.2 <= now);
                    let late: Vec<u32> = late.map(|(_, frame, _)| frame).collect();
                    prop_assert_eq!(expired(&mut fragments, now), late);
                }
            }
        }
    }
}
