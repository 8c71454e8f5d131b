use crate::Tick;

use super::bucket::{Slot, WAYS, scale};
use super::insert::Displaced;
use super::rules::Idle;
use super::table::Table;

/// Puts the entries of `old` into `new` tables, which are empty. Returns how many connections are
/// known then, and how many were lost for want of room.
///
/// A worker keeps its own if there are as many as before. Otherwise they are spread by hash: which
/// worker the NIC gives a flow to now nobody knows, but its siblings are asked.
pub(super) fn migrate(old: &[Table], new: &mut [Table], now: Tick) -> (usize, usize) {
    let mut lost = 0;
    for (worker, table) in old.iter().enumerate() {
        for bucket in 0..table.buckets() {
            for way in 0..WAYS {
                let hash = table.bucket(bucket).tag(way);
                if hash != 0 {
                    let worker = if old.len() == new.len() { worker } else { worker_of(hash, new) };
                    lost +=
                        usize::from(carry(table, Slot::new(bucket, way), &mut new[worker], now));
                }
            }
        }
    }
    (new.iter().map(Table::len).sum(), lost)
}

/// By bits of the hash that hardly have a part in the choice of the bucket.
fn worker_of(hash: u64, new: &[Table]) -> usize {
    scale((hash.rotate_right(8) >> 32) as u32, new.len())
}

/// Copies one entry, unless the flow is there already and as fresh. Returns whether another had to go.
fn carry(from: &Table, slot: Slot, to: &mut Table, now: Tick) -> bool {
    let source = from.bucket(slot.bucket());
    let (hash, entry) = (source.tag(slot.way()), source.value(slot.way()).entry(now));
    if to.entry(to.find(hash), hash, now).is_some_and(|known| known.seen >= entry.seen) {
        return false;
    }
    let inserted = to.insert(hash, entry, now, &Idle::NEVER);
    if let Some(flow) = from.rows().and_then(|rows| rows[slot.number()].read()) {
        to.describe(inserted.slot, &flow);
    }
    matches!(inserted.displaced, Displaced::Evicted(_))
}
