//! The table against a map, under any sequence of packets, pauses and sweeps.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::{BURST, Tick};

use super::super::{Displaced, Entry, Idle, Signal, Slot, State, Step, Table, step};
use super::{entry_of, hash, table};

#[derive(Clone, Debug)]
enum Action {
    Packet { flow: u64, signal: Signal },
    Pause { ticks: u32 },
    Sweep { buckets: usize },
    Remove { flow: u64 },
    ForgetNode { flow: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    let signal = prop::sample::select(vec![
        Signal::Syn,
        Signal::Data,
        Signal::Fin,
        Signal::Rst,
        Signal::Udp,
        Signal::Error,
    ]);
    prop_oneof![
        20 => (0..60_u64, signal).prop_map(|(flow, signal)| Action::Packet { flow, signal }),
        3 => prop_oneof![0..50_u32, 200..600_u32, 20_000..40_000_u32].prop_map(|ticks| Action::Pause { ticks }),
        2 => (0..40_usize).prop_map(|buckets| Action::Sweep { buckets }),
        1 => (0..60_u64).prop_map(|flow| Action::Remove { flow }),
        1 => (0..60_u64).prop_map(|flow| Action::ForgetNode { flow }),
    ]
}

/// What the model knows, without what expired.
fn known(model: &HashMap<u64, Entry>, hash: u64, now: Tick, idle: &Idle) -> Option<Entry> {
    model.get(&hash).copied().filter(|entry| !entry.expired(now, idle))
}

fn act(table: &mut Table, model: &mut HashMap<u64, Entry>, action: Action, now: &mut Tick) {
    let idle = Idle::default();
    match action {
        Action::Packet { flow, signal } => {
            let hash = hash(flow);
            let slot = table.find(hash);
            assert_eq!(found(table, &[hash], *now), [table.entry(slot, hash, *now)]);
            let entry = table.entry(slot, hash, *now);
            assert_eq!(entry.filter(|e| !e.expired(*now, &idle)), known(model, hash, *now, &idle));
            if table.is_forgotten(entry_of(hash, *now, State::Open, true).node) {
                assert_eq!(entry, None);
                return;
            }
            match step(entry, signal, *now, &idle) {
                Step::Follow(Some(entry)) => {
                    table.store(slot, entry);
                    model.insert(hash, entry);
                }
                Step::Follow(None) | Step::Schedule { record: None } => {}
                Step::Schedule { record: Some(state) } => {
                    let entry = entry_of(hash, *now, state, true);
                    let inserted = table.insert(hash, entry, *now, &idle);
                    assert_eq!(table.entry(inserted.slot, hash, *now), Some(entry));
                    assert!(!matches!(inserted.displaced, Displaced::Evicted(_)));
                    model.insert(hash, entry);
                }
            }
        }
        Action::Pause { ticks } => *now = Tick::new(now.number() + ticks),
        Action::Sweep { buckets } => table.sweep(*now, &idle, buckets, |_| {}),
        Action::Remove { flow } => {
            let slot = table.find(hash(flow));
            if slot != Slot::NONE {
                table.remove(slot);
            }
            model.remove(&hash(flow));
        }
        Action::ForgetNode { flow } => {
            let node = entry_of(hash(flow), *now, State::Open, true).node;
            table.forget_node(node);
            model.retain(|_, entry| entry.node != node);
        }
    }
}

proptest! {
    /// 60 flows at most in a table for 60: nothing is evicted, so the table is the map, across the
    /// wrap of the short tick.
    #[test]
    fn a_table_below_its_rated_capacity_is_a_map(
        actions in prop::collection::vec(action(), 1..400),
        start in prop_oneof![Just(0), Just((1 << Tick::SHORT_BITS) - 1000), Just(1 << 30)],
    ) {
        let (mut table, mut model) = (table(60), HashMap::new());
        let mut now = Tick::new(start);
        for action in actions {
            act(&mut table, &mut model, action, &mut now);
        }
        table.sweep(now, &Idle::default(), table.buckets(), |_| {});
        model.retain(|_, entry| !entry.expired(now, &Idle::default()));
        prop_assert_eq!(table.len(), model.len());
        for (&hash, &entry) in &model {
            prop_assert_eq!(table.entry(table.find(hash), hash, now), Some(entry));
            prop_assert_eq!(table.view().find(hash, now), Some(entry));
        }
    }
}

#[test]
fn a_burst_finds_what_single_lookups_find() {
    let mut table = table(3000);
    for i in 0..3000 {
        let entry = entry_of(hash(i), Tick::new(9), State::Open, true);
        table.insert(hash(i), entry, Tick::new(9), &Idle::default());
    }
    // Every other one unknown; hash 0 among them.
    let mut hashes: Vec<u64> = (0..3000).flat_map(|i| [hash(i), hash(1 << 40 | i)]).collect();
    hashes.push(0);
    for hashes in hashes.chunks(BURST) {
        let entries = found(&mut table, hashes, Tick::new(9));
        for (i, (&hash, &entry)) in hashes.iter().zip(&entries).enumerate() {
            assert_eq!(entry, table.entry(table.find(hash), hash, Tick::new(9)));
            assert_eq!(entry.is_some(), i % 2 == 0 && hash != 0);
        }
    }
}

/// What a burst's lookup finds of these flows.
fn found(table: &mut Table, hashes: &[u64], now: Tick) -> Vec<Option<Entry>> {
    let mut slots = [Slot::NONE; BURST];
    table.find_burst(hashes, &mut slots);
    hashes.iter().zip(slots).map(|(&hash, slot)| table.entry(slot, hash, now)).collect()
}

#[test]
fn a_slot_whose_flow_has_gone_is_nobodys() {
    let (mut table, idle, now) = (table(1), Idle::default(), Tick::new(9));
    let inserted = table.insert(0, entry_of(0, now, State::Open, true), now, &idle);
    assert!(table.entry(inserted.slot, 0, now).is_some(), "hash 0 is a hash like any other");
    assert!(table.entry(inserted.slot, 2, now).is_none());
    assert!(table.entry(Slot::NONE, 0, now).is_none());
    table.remove(inserted.slot);
    assert!(table.entry(inserted.slot, 0, now).is_none());
    table.remove(inserted.slot);
    assert_eq!(table.len(), 0);
}

#[test]
fn the_sweep_keeps_old_ticks_from_looking_young_again() {
    let (mut table, idle) = (table(100), Idle::default());
    let start = Tick::new(1000);
    for i in 0..100 {
        table.insert(hash(i), entry_of(hash(i), start, State::Open, false), start, &idle);
    }
    let mut removed = 0;
    // Two months, a bucket every three hours.
    let (mut now, wrapped) = (start, Tick::new(start.number() + (1 << Tick::SHORT_BITS)));
    while now < wrapped {
        now = Tick::new(now.number() + 42_000);
        table.sweep(now, &idle, 1, |entry| {
            assert_eq!(entry.seen, start);
            removed += 1;
        });
    }
    assert_eq!((removed, table.len()), (100, 0));
    assert!((0..100).all(|i| table.find(hash(i)) == Slot::NONE));
}

#[test]
fn a_forgotten_node_is_hidden_at_once_and_swept() {
    let (mut table, idle, now) = (table(100), Idle::default(), Tick::new(9));
    for i in 0..100 {
        let entry =
            Entry { node: 1 + (i % 2) as u16, ..entry_of(hash(i), now, State::Open, false) };
        table.insert(hash(i), entry, now, &idle);
    }
    table.forget_node(2);
    let known = |table: &Table, i| table.entry(table.find(hash(i)), hash(i), now).is_some();
    assert!((0..100).all(|i| known(&table, i) == (i % 2 == 0)));
    let mut removed = 0;
    table.sweep(now, &idle, table.buckets() - 1, |_| removed += 1);
    assert!(table.is_forgotten(2));
    table.sweep(now, &idle, 1, |_| removed += 1);
    assert!(!table.is_forgotten(2));
    assert_eq!((removed, table.len()), (50, 50));
}
