//! Who goes when there is no room.

use crate::Tick;
use crate::flow::Flow;

use super::super::{Displaced, Idle, Signal, Slot, State, Step, Table, step};
use super::{entry_of, hash, table};

const NOW: Tick = Tick::new(5000);

/// A packet's whole way through the table.
fn packet(table: &mut Table, hash: u64, signal: Signal, now: Tick) -> Displaced {
    let idle = Idle::default();
    let slot = table.find(hash);
    match step(table.entry(slot, hash, now), signal, now, &idle) {
        Step::Follow(Some(entry)) => table.store(slot, entry),
        Step::Follow(None) | Step::Schedule { record: None } => {}
        Step::Schedule { record: Some(state) } => {
            return table.insert(hash, entry_of(hash, now, state, true), now, &idle).displaced;
        }
    }
    Displaced::Nothing
}

/// Flows of which two packets were seen.
fn live(table: &mut Table, flows: u64) {
    for i in 0..flows {
        assert_eq!(packet(table, hash(i), Signal::Syn, NOW), Displaced::Nothing, "flow {i}");
        packet(table, hash(i), Signal::Data, NOW);
    }
}

#[test]
fn flows_up_to_the_rated_capacity_evict_none() {
    for capacity in [1, 2, 7, 100, 1001, 1_000_000] {
        let mut table = table(capacity);
        live(&mut table, capacity.into());
        assert_eq!(table.len(), capacity as usize);
        for i in 0..capacity.into() {
            assert_ne!(table.find(hash(i)), Slot::NONE, "flow {i} of {capacity}");
        }
    }
}

/// Even with every bit of the rated capacity in use by live flows: what is left of the slots takes
/// the flood.
#[test]
fn floods_of_every_kind_evict_none_of_100_000_live_flows() {
    for capacity in [100_000, 1_000_000] {
        for signal in [Signal::Syn, Signal::Data, Signal::Udp] {
            let mut table = table(capacity);
            live(&mut table, 100_000);
            for i in 0..2_000_000 {
                if let Displaced::Evicted(entry) =
                    packet(&mut table, hash(1 << 40 | i), signal, NOW)
                {
                    assert!(entry.once, "{signal:?} evicted {entry:?}");
                }
            }
            for i in 0..100_000 {
                assert_ne!(table.find(hash(i)), Slot::NONE, "{signal:?} and flow {i}");
            }
        }
    }
}

/// The table of two buckets: every flow's pair is the whole of it.
fn full(state: State, once: bool) -> Table {
    let mut table = table(1);
    for i in 0..8 {
        let seen = Tick::new(NOW.number() - 100 + i);
        let entry = entry_of(hash(i.into()), seen, state, once);
        let displaced = table.insert(hash(i.into()), entry, NOW, &Idle::default()).displaced;
        assert_eq!(displaced, Displaced::Nothing);
    }
    table
}

fn insert(table: &mut Table, i: u64) -> Displaced {
    let new = entry_of(hash(i), NOW, State::Open, false);
    table.insert(hash(i), new, NOW, &Idle::default()).displaced
}

#[test]
fn the_longest_idle_goes_first_among_equals() {
    for (state, once) in [(State::Open, true), (State::Closing, false), (State::Udp, false)] {
        let mut table = full(state, once);
        let Displaced::Evicted(evicted) = insert(&mut table, 50) else { panic!("it was full") };
        assert_eq!(evicted, entry_of(hash(0), Tick::new(NOW.number() - 100), state, once));
    }
}

#[test]
fn expired_goes_before_once_before_closing_before_open() {
    let mut table = full(State::Open, false);
    let slots = [1, 2, 3].map(|i| table.find(hash(i)));
    let long_ago = Tick::new(NOW.number() - Idle::default().ticks(State::Embryonic) - 1);
    let expired = entry_of(hash(1), long_ago, State::Embryonic, false);
    let once = entry_of(hash(2), NOW, State::Open, true);
    let closing = entry_of(hash(3), NOW, State::Closing, false);
    for (slot, entry) in slots.into_iter().zip([expired, once, closing]) {
        table.store(slot, entry);
    }
    assert_eq!(insert(&mut table, 50), Displaced::Expired(expired));
    assert_eq!(insert(&mut table, 51), Displaced::Evicted(once));
    assert_eq!(insert(&mut table, 52), Displaced::Evicted(closing));
    let Displaced::Evicted(open) = insert(&mut table, 53) else { panic!("it was full") };
    assert_eq!(open, entry_of(hash(0), Tick::new(NOW.number() - 100), State::Open, false));
    assert_eq!(table.len(), 8);
}

#[test]
fn a_flow_that_starts_anew_takes_its_own_place() {
    let mut table = full(State::Closing, false);
    let old = table.entry(table.find(hash(3)), hash(3), NOW).unwrap();
    assert_eq!(insert(&mut table, 3), Displaced::Replaced(old));
    assert_eq!(table.len(), 8);
}

#[test]
fn a_move_takes_the_tuple_along() {
    let tuple = |i: u16| Flow {
        source: [10, 0, 0, 1].into(),
        destination: [198, 51, 100, 1].into(),
        source_port: i,
        destination_port: 80,
        protocol: 6,
    };
    let mut table = table(1000);
    let mut moved = 0;
    for i in 0..1000 {
        let entry = entry_of(hash(i), NOW, State::Open, false);
        let inserted = table.insert(hash(i), entry, NOW, &Idle::default());
        table.describe(inserted.slot, &tuple(i as u16));
        moved += u32::from(inserted.moved);
    }
    assert!(moved > 0, "the test moves nothing");
    let view = table.view();
    let listed: Vec<_> = (0..view.buckets()).flat_map(|b| view.entries_of(b, NOW)).collect();
    assert_eq!(listed.len(), 1000);
    for flow in listed {
        let i = (0..1000).find(|&i| hash(i) == flow.hash).unwrap();
        assert_eq!(flow.details, Some(tuple(i as u16)));
    }
}
