//! What needs more than one file of the table.

mod file;
mod flood;
mod kill;
mod model;
mod recover;
mod stress;

use std::num::NonZeroU32;

use crate::Tick;

use super::{Entry, State, Table};

/// The flow hash of flow `i`: any good mixture will do (SplitMix64).
fn hash(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn table(capacity: u32) -> Table {
    Table::anonymous(NonZeroU32::new(capacity).unwrap(), true).unwrap()
}

/// An entry that tells whose it is.
fn entry_of(hash: u64, seen: Tick, state: State, once: bool) -> Entry {
    Entry {
        node: (hash >> 7) as u16 & 1023,
        service: (hash >> 20) as u16 & 4095,
        seen,
        state,
        once,
    }
}
