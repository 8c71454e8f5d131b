//! What a process finds that comes after one that was killed.

use crate::Tick;

use super::super::entry::Packed;
use super::super::{Idle, Slot, State, Table};
use super::{entry_of, hash, table};

const NOW: Tick = Tick::new(9000);

fn with_flows(flows: u64) -> Table {
    let mut table = table(100);
    for i in 0..flows {
        let entry = entry_of(hash(i), NOW, State::Open, false);
        table.insert(hash(i), entry, NOW, &Idle::default());
    }
    table
}

#[test]
fn of_an_entry_that_was_being_moved_one_copy_is_left() {
    let mut table = with_flows(50);
    let moving = table.find(hash(7));
    let value = table.bucket(moving.bucket()).value(moving.way());
    let other = table.places(hash(7)).into_iter().find(|&b| b != moving.bucket()).unwrap();
    table.bucket(other).write(0, hash(7), value);
    table.recover();
    let listed =
        (0..table.buckets()).flat_map(|b| table.view().entries_of(b, NOW).collect::<Vec<_>>());
    assert_eq!(listed.filter(|flow| flow.hash == hash(7)).count(), 1);
    assert_eq!(table.len() as u64, table.view().len());
    table.remove(table.find(hash(7)));
    assert_eq!(table.find(hash(7)), Slot::NONE);
}

#[test]
fn what_no_table_writes_is_dropped() {
    let mut table = with_flows(0);
    let flow = hash(7);
    let [home, _] = table.places(flow);
    let elsewhere = (0..table.buckets()).find(|b| !table.places(flow).contains(b)).unwrap();
    let good = entry_of(flow, NOW, State::Open, false).pack();
    table.bucket(elsewhere).write(0, flow, good);
    table.recover();
    assert_eq!(table.len(), 0);
    table.bucket(home).write(0, flow, Packed(good.0 | 1 << 63));
    table.recover();
    assert_eq!((table.len(), table.view().find(flow, NOW)), (0, None));

    table.bucket(home).write(0, flow, good);
    table.recover();
    assert_eq!((table.len(), table.view().find(flow, NOW)), (1, Some(good.entry(NOW))));
}
