//! Readers of a table whose owner moves, evicts and inserts.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crate::Tick;

use super::super::{Displaced, Idle, Slot, State, freshest};
use super::{entry_of, hash, table};

const NOW: Tick = Tick::new(70_000);
const LIVE: u64 = 700;

#[test]
fn a_reader_finds_every_live_flow_at_any_moment_and_never_anothers_entry() {
    let mut table = table(1000);
    let idle = Idle::default();
    for i in 0..LIVE {
        table.insert(hash(i), entry_of(hash(i), NOW, State::Open, false), NOW, &idle);
    }
    let (view, done) = (table.view(), AtomicBool::new(false));
    let [mut moved, mut evicted] = [0; 2];

    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    for i in 0..LIVE {
                        let expected = entry_of(hash(i), NOW, State::Open, false);
                        assert_eq!(view.find(hash(i), NOW), Some(expected), "flow {i}");
                        let passing = hash(1 << 40 | i);
                        if let Some(entry) = view.find(passing, NOW) {
                            assert_eq!(entry, entry_of(passing, NOW, State::Udp, true));
                        }
                    }
                }
            });
        }
        // Others come and go: below the rated capacity, so that they push each other and the live
        // ones about, and now and then above it, so that they evict each other.
        let passing = |i: u64| hash((1 << 40) | (i % (4 * LIVE)));
        for i in 0..200_000 {
            let hash = passing(i);
            let inserted = table.insert(hash, entry_of(hash, NOW, State::Udp, true), NOW, &idle);
            moved += u64::from(inserted.moved);
            evicted += u64::from(matches!(inserted.displaced, Displaced::Evicted(_)));
            let kept = if i % 20_000 < 15_000 { 290 } else { 2_000 };
            for old in [i + 4 * LIVE - kept, i + 4 * LIVE - kept - 1] {
                let slot = table.find(passing(old));
                if slot != Slot::NONE {
                    table.remove(slot);
                }
            }
        }
        done.store(true, Relaxed);
    });
    assert!(moved > 1000 && evicted > 1000, "moved {moved}, evicted {evicted}");
}

#[test]
fn the_freshest_of_several_tables_wins() {
    let idle = Idle::default();
    let (mut one, mut two) = (table(10), table(10));
    let old = entry_of(hash(1), Tick::new(5), State::Open, false);
    let new = super::Entry { node: 3, seen: Tick::new(6), ..old };
    one.insert(hash(1), new, NOW, &idle);
    two.insert(hash(1), old, NOW, &idle);
    let views = [one.view(), two.view()];
    assert_eq!(freshest(&views, hash(1), NOW), Some(new));
    assert_eq!(freshest(&views[1..], hash(1), NOW), Some(old));
    assert_eq!(freshest(&views, hash(2), NOW), None);
}
