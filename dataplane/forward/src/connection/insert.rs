//! Where a new entry goes, and which one goes for it.
//!
//! 1. Over an older entry of the same flow.
//! 2. To a free place of its two buckets, else over an expired entry there.
//! 3. Below the rated capacity: an entry of the two buckets moves to its other bucket, where a place is
//!    free or expired, in at most two steps. Live flows evict nobody then.
//! 4. Over an entry of which one packet was seen: under a flood, its own.
//! 5. An entry moves as in 3, but also over those of 4: a flood evicts none of the live flows, even
//!    where eight of them share two buckets.
//! 6. Over a closing entry, then over the one that was idle longest.

use packet::prefetch;

use crate::Tick;

use super::bucket::{Slot, WAYS, other, tag};
use super::entry::{Entry, Packed};
use super::rank::{self, Place, Rank};
use super::rules::Idle;
use super::search::Ways;
use super::table::Table;

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// Where the entry is now.
    pub slot: Slot,
    /// How many entries were moved to their other bucket.
    pub moved: u8,
    /// Which one is no longer there.
    pub displaced: Displaced,
}

/// The entry that an insertion did away with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displaced {
    /// None.
    Nothing,
    /// An older one of the same flow.
    Replaced(Entry),
    /// One that had expired, or whose node is being forgotten.
    Expired(Entry),
    /// One that was still good: the flow goes by Maglev from now on.
    Evicted(Entry),
}

/// Where a flow is in its table, or may be put; good until the table's next insertion or removal.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    tag: u64,
    pair: [usize; 2],
    ways: Ways,
}

impl Look {
    /// Where it is, or [`Slot::NONE`].
    #[inline]
    pub fn slot(&self) -> Slot {
        Slot::first_of(self.ways.same, self.pair)
    }
}

impl Table {
    /// Looks at a flow's two buckets.
    #[inline]
    pub fn look(&self, hash: u64) -> Look {
        let tag = tag(hash);
        let pair = self.places(tag);
        Look { tag, pair, ways: self.ways(pair, tag) }
    }

    /// Records a flow.
    pub fn insert(&mut self, hash: u64, entry: Entry, now: Tick, idle: &Idle) -> Inserted {
        self.insert_at(self.look(hash), entry, now, idle)
    }

    /// The same where its buckets were looked at already.
    pub fn insert_at(&mut self, look: Look, entry: Entry, now: Tick, idle: &Idle) -> Inserted {
        let Look { tag, pair, ways } = look;
        if ways.same != 0 {
            return self.replace(look.slot(), entry, now);
        }
        if ways.free != 0 {
            let slot = Slot::first_of(ways.free, pair);
            return self.put(Place { slot, rank: Rank::FREE }, tag, entry, now);
        }

        // Of equals any, and not always the same: an entry just made shall last a while.
        let cheapest = self.cheapest(pair, tag as u32, now, idle);
        if cheapest.rank >= Rank::EXPIRED {
            return self.put(cheapest, tag, entry, now);
        }
        if self.len < self.capacity
            && let Some(path) = self.path(pair, Rank::EXPIRED, now, idle)
        {
            return self.put_by(path, tag, entry, now);
        }
        if cheapest.rank < Rank::ONCE
            && let Some(path) = self.path(pair, Rank::ONCE, now, idle)
        {
            return self.put_by(path, tag, entry, now);
        }
        self.put(cheapest, tag, entry, now)
    }

    /// The place of two buckets that is worth least.
    #[inline]
    fn cheapest(&self, pair: [usize; 2], any: u32, now: Tick, idle: &Idle) -> Place {
        let buckets = pair.map(|bucket| (bucket, self.bucket(bucket)));
        if self.is_settled() {
            rank::cheapest(buckets, any, now, idle)
        } else {
            rank::cheapest_by(buckets, any, now, |value| self.is_stale(value, now, idle))
        }
    }

    fn replace(&mut self, slot: Slot, entry: Entry, now: Tick) -> Inserted {
        let old = self.value(slot).entry(now);
        self.store(slot, entry);
        Inserted { slot, moved: 0, displaced: Displaced::Replaced(old) }
    }

    /// Writes the entry to its place.
    #[inline]
    fn put(&mut self, place: Place, tag: u64, entry: Entry, now: Tick) -> Inserted {
        let displaced = self.displace(place, now);
        self.write(place.slot, tag, entry.pack());
        Inserted { slot: place.slot, moved: 0, displaced }
    }

    /// What goes when something is written to a place.
    #[inline]
    fn displace(&mut self, place: Place, now: Tick) -> Displaced {
        let entry = self.value(place.slot).entry(now);
        if place.rank >= Rank::FREE {
            self.set_len(self.len + 1);
            Displaced::Nothing
        } else if place.rank >= Rank::EXPIRED {
            Displaced::Expired(entry)
        } else {
            Displaced::Evicted(entry)
        }
    }

    #[inline]
    fn value(&self, slot: Slot) -> Packed {
        self.bucket(slot.bucket()).value(slot.way())
    }

    #[inline]
    fn write(&mut self, slot: Slot, tag: u64, value: Packed) {
        self.bucket(slot.bucket()).write(slot.way(), tag, value);
    }
}

/// A way to make room: the entry in `step` goes to `end`, the one in `start` to `step`'s place, or
/// straight to `end`; the new one to `start`.
#[derive(Clone, Copy, Debug)]
struct Path {
    start: Slot,
    step: Option<Slot>,
    end: Place,
}

impl Table {
    /// The shortest path from a pair of buckets to a place of at least this rank. 40 buckets are looked
    /// at, at most; nobody can aim at them without the site's key. What has expired, or is
    /// being forgotten, is an end, so it is never moved out of the sweep's way.
    #[cold]
    #[inline(never)]
    fn path(&self, pair: [usize; 2], rank: Rank, now: Tick, idle: &Idle) -> Option<Path> {
        let starts = pair.map(|bucket| self.steps(bucket));
        for (start, next) in starts.into_iter().flatten() {
            let end = self.cheapest([next; 2], 0, now, idle);
            if end.rank >= rank {
                return Some(Path { start, step: None, end });
            }
        }
        for (start, next) in starts.into_iter().flatten() {
            for (step, next) in self.steps(next) {
                let end = self.cheapest([next; 2], 0, now, idle);
                if end.rank >= rank {
                    return Some(Path { start, step: Some(step), end });
                }
            }
        }
        None
    }

    /// The entries of a bucket with the other bucket of each, which is on its way into the cache.
    fn steps(&self, bucket: usize) -> [(Slot, usize); WAYS] {
        [0, 1, 2, 3].map(|way| {
            let next = other(self.bucket(bucket).tag(way), bucket, self.buckets());
            prefetch(self.bucket(next));
            (Slot::new(bucket, way), next)
        })
    }

    /// Moves from the path's end to its start, so that each entry has its new place before it
    /// loses the old one: readers and a process killed in between find it in one of them.
    fn put_by(&mut self, path: Path, tag: u64, entry: Entry, now: Tick) -> Inserted {
        let displaced = self.displace(path.end, now);
        let moved = match path.step {
            Some(step) => {
                self.copy(step, path.end.slot);
                self.copy(path.start, step);
                2
            }
            None => {
                self.copy(path.start, path.end.slot);
                1
            }
        };
        self.write(path.start, tag, entry.pack());
        Inserted { slot: path.start, moved, displaced }
    }

    fn copy(&mut self, from: Slot, to: Slot) {
        if let Some(rows) = self.rows() {
            rows[to.number()].copy_from(&rows[from.number()]);
        }
        let tag = self.bucket(from.bucket()).tag(from.way());
        self.write(to, tag, self.value(from));
    }
}
