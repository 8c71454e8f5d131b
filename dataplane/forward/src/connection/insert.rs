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

use crate::Tick;

use super::bucket::{Slot, WAYS, other, tag};
use super::entry::{Entry, State};
use super::rules::Idle;
use super::search::prefetch;
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

/// How little a place is worth: what it holds in the high bits, how long it was idle in the low ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u32);

impl Rank {
    const CLOSING: Self = Self(1 << Tick::SHORT_BITS);
    const ONCE: Self = Self(2 << Tick::SHORT_BITS);
    const EXPIRED: Self = Self(3 << Tick::SHORT_BITS);
    const FREE: Self = Self(4 << Tick::SHORT_BITS);
}

/// A place that something may be written to.
#[derive(Clone, Copy, Debug)]
struct Place {
    bucket: usize,
    way: usize,
    rank: Rank,
}

impl Table {
    /// Records a flow.
    pub fn insert(&mut self, hash: u64, entry: Entry, now: Tick, idle: &Idle) -> Inserted {
        let tag = tag(hash);
        let pair = self.places(tag);

        for bucket in pair {
            let ways = self.bucket(bucket).matching(tag);
            if ways != 0 {
                return self.replace(Slot::new(bucket, ways.trailing_zeros() as usize), entry, now);
            }
        }
        for bucket in pair {
            let ways = self.bucket(bucket).matching(0);
            if ways != 0 {
                let way = ways.trailing_zeros() as usize;
                return self.put(Place { bucket, way, rank: Rank::FREE }, tag, entry, 0, now);
            }
        }

        let [one, two] = pair.map(|bucket| self.cheapest(bucket, now, idle));
        let cheapest = if two.rank > one.rank { two } else { one };
        if cheapest.rank >= Rank::EXPIRED {
            return self.put(cheapest, tag, entry, 0, now);
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
        self.put(cheapest, tag, entry, 0, now)
    }

    /// The place of a bucket that is worth least.
    #[inline]
    fn cheapest(&self, bucket: usize, now: Tick, idle: &Idle) -> Place {
        let mut cheapest = Place { bucket, way: 0, rank: self.rank(bucket, 0, now, idle) };
        for way in 1..WAYS {
            let rank = self.rank(bucket, way, now, idle);
            if rank > cheapest.rank {
                cheapest = Place { bucket, way, rank };
            }
        }
        cheapest
    }

    #[inline]
    fn rank(&self, bucket: usize, way: usize, now: Tick, idle: &Idle) -> Rank {
        let value = self.bucket(bucket).value(way);
        let class = if self.bucket(bucket).tag(way) == 0 {
            Rank::FREE
        } else if self.is_stale(value, now, idle) {
            Rank::EXPIRED
        } else if value.once() {
            Rank::ONCE
        } else if value.state() == State::Closing {
            Rank::CLOSING
        } else {
            Rank(0)
        };
        Rank(class.0 | value.age(now).max(0) as u32)
    }

    fn replace(&mut self, slot: Slot, entry: Entry, now: Tick) -> Inserted {
        let old = self.bucket(slot.bucket()).value(slot.way()).entry(now);
        self.store(slot, entry);
        Inserted { slot, moved: 0, displaced: Displaced::Replaced(old) }
    }

    /// Writes the entry to its place.
    #[inline]
    fn put(&mut self, place: Place, tag: u64, entry: Entry, moved: u8, now: Tick) -> Inserted {
        let displaced = self.displaced(place, now);
        self.bucket(place.bucket).write(place.way, tag, entry.pack());
        if displaced == Displaced::Nothing {
            self.set_len(self.len + 1);
        }
        Inserted { slot: Slot::new(place.bucket, place.way), moved, displaced }
    }

    #[inline]
    fn displaced(&self, place: Place, now: Tick) -> Displaced {
        let entry = || self.bucket(place.bucket).value(place.way).entry(now);
        if place.rank >= Rank::FREE {
            Displaced::Nothing
        } else if place.rank >= Rank::EXPIRED {
            Displaced::Expired(entry())
        } else {
            Displaced::Evicted(entry())
        }
    }
}

/// A way to make room: the entry in `step` goes to `end`, the one in `start` to `step`'s place, or
/// straight to `end`; the new one to `start`.
#[derive(Clone, Copy, Debug)]
struct Path {
    start: Place,
    step: Option<Place>,
    end: Place,
}

impl Table {
    /// The shortest path from a pair of buckets to a place of at least this rank. 40 buckets are looked
    /// at, at most; nobody can aim at them without the site's key.
    #[inline(never)]
    fn path(&self, pair: [usize; 2], rank: Rank, now: Tick, idle: &Idle) -> Option<Path> {
        let starts = pair.map(|bucket| self.steps(bucket));
        for (start, next) in starts.into_iter().flatten() {
            let end = self.cheapest(next, now, idle);
            if end.rank >= rank {
                return Some(Path { start, step: None, end });
            }
        }
        for (start, next) in starts.into_iter().flatten() {
            for (step, next) in self.steps(next) {
                let end = self.cheapest(next, now, idle);
                if end.rank >= rank {
                    return Some(Path { start, step: Some(step), end });
                }
            }
        }
        None
    }

    /// The entries of a bucket with the other bucket of each, which is on its way into the cache.
    fn steps(&self, bucket: usize) -> [(Place, usize); WAYS] {
        [0, 1, 2, 3].map(|way| {
            let next = other(self.bucket(bucket).tag(way), bucket, self.buckets());
            prefetch(self.bucket(next));
            (Place { bucket, way, rank: Rank(0) }, next)
        })
    }

    /// Moves from the path's end to its start, so that each entry has its new place before it
    /// loses the old one: readers and a process killed in between find it in one of them.
    fn put_by(&mut self, path: Path, tag: u64, entry: Entry, now: Tick) -> Inserted {
        let displaced = self.displaced(path.end, now);
        let moved = match path.step {
            Some(step) => {
                self.copy(step, path.end);
                self.copy(path.start, step);
                2
            }
            None => {
                self.copy(path.start, path.end);
                1
            }
        };
        self.bucket(path.start.bucket).write(path.start.way, tag, entry.pack());
        if displaced == Displaced::Nothing {
            self.set_len(self.len + 1);
        }
        Inserted { slot: Slot::new(path.start.bucket, path.start.way), moved, displaced }
    }

    fn copy(&mut self, from: Place, to: Place) {
        if let Some(rows) = self.rows() {
            let slot = |place: Place| Slot::new(place.bucket, place.way).number();
            rows[slot(to)].copy_from(&rows[slot(from)]);
        }
        let source = self.bucket(from.bucket);
        self.bucket(to.bucket).write(to.way, source.tag(from.way), source.value(from.way));
    }
}
