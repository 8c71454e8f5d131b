//! Readers of a table whose owner moves, evicts and inserts.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
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

/// An entry that moves twice while a reader looks once may escape it, so here every look sees one move,
/// each time with another delay between them.
#[test]
fn a_reader_finds_an_entry_that_moves_while_it_looks() {
    const ROUNDS: u64 = 50_000;
    let table = table(100);
    let (view, hash) = (table.view(), hash(1));
    let pair = table.places(hash);
    let entry = entry_of(hash, NOW, State::Open, false);
    table.bucket(pair[0]).write(0, hash, entry.pack());

    let (begun, looked) = (AtomicU64::new(0), AtomicU64::new(0));
    let reach = |counter: &AtomicU64, round| {
        while counter.load(Acquire) < round {
            thread::yield_now();
        }
    };
    let delay = |spins| (0..spins).for_each(|_| std::hint::spin_loop());
    let missed = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut missed = 0;
            for round in 1..=ROUNDS {
                reach(&begun, round);
                delay(round % 61);
                missed += u32::from(view.find(hash, NOW) != Some(entry));
                looked.store(round, Release);
            }
            missed
        });
        for round in 1..=ROUNDS {
            begun.store(round, Release);
            delay(round % 67);
            let to = round as usize % 2;
            table.bucket(pair[to]).write(0, hash, entry.pack());
            table.bucket(pair[1 - to]).clear(0);
            reach(&looked, round);
        }
        reader.join().unwrap()
    });
    assert_eq!(missed, 0);
}

#[test]
fn a_reader_never_takes_the_entry_of_the_flow_that_comes_after() {
    const ROUNDS: u64 = 20_000;
    let table = table(100);
    let bucket = table.bucket(0);
    let (begun, looked) = (AtomicU64::new(0), AtomicU64::new(0));
    let value = |flow| entry_of(hash(flow), NOW, State::Open, false).pack();
    let reach = |counter: &AtomicU64, round| {
        while counter.load(Acquire) < round {
            thread::yield_now();
        }
    };
    let wrong = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut wrong = 0;
            for round in 1..=ROUNDS {
                reach(&begun, round);
                // Until it has gone: once gone, the flow does not return.
                while let Some(read) = bucket.read(hash(round)) {
                    wrong += u32::from(read != value(round));
                }
                looked.store(round, Release);
            }
            wrong
        });
        for round in 1..=ROUNDS {
            bucket.write(0, hash(round), value(round));
            begun.store(round, Release);
            (0..100 + round % 67).for_each(|_| std::hint::spin_loop());
            bucket.write(0, hash(ROUNDS + round), value(ROUNDS + round));
            reach(&looked, round);
        }
        reader.join().unwrap()
    });
    assert_eq!(wrong, 0);
}
