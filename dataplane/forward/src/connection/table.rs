use std::num::{NonZeroU16, NonZeroU32};

use crate::Tick;
use crate::flow::Flow;

use super::bucket::{Bucket, Slot, WAYS, first, second, tag};
use super::details::Row;
use super::entry::{Entry, Packed, State};
use super::layout::{Area, Geometry};
use super::memory::{Memory, Region};
use super::rules::Idle;
use super::search;
use super::view::View;

/// One worker's connections: as many as memory was set aside for, in buckets of four.
///
/// It is not `Clone`, and whoever has it is alone to write: others look in through [`View`]s.
#[derive(Debug)]
pub struct Table {
    pub(super) area: Area,
    pub(super) capacity: usize,
    pub(super) len: usize,
    /// The bucket that is swept next.
    cursor: usize,
    forgotten: Vec<Forgotten>,
}

/// A flow of which nothing is news but, once a tick, that it is alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoingOn {
    pub(crate) node: u16,
    /// What is to be stored.
    changed: Option<Packed>,
}

/// A node whose entries are hidden and removed, until the sweep has come round.
#[derive(Clone, Copy, Debug)]
struct Forgotten {
    node: u16,
    buckets_left: usize,
}

impl Table {
    /// An empty table that does not outlive the process.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn anonymous(capacity: NonZeroU32, details: bool) -> std::io::Result<Self> {
        let geometry = Geometry { capacity, workers: NonZeroU16::MIN, details };
        if !geometry.fits() {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let memory = Memory::anonymous(geometry.bytes())?;
        let area = Area::of(&memory, &geometry, 0).expect("the memory is as long as it asks for");
        Ok(Self::of_area(area, &geometry))
    }

    /// The table in an area that is empty, or that [`Table::recover`] is called for next.
    pub(super) fn of_area(area: Area, geometry: &Geometry) -> Self {
        let capacity = geometry.capacity.get() as usize;
        Self { area, capacity, len: 0, cursor: 0, forgotten: Vec::new() }
    }

    /// Entries in it, those that expired and were not swept yet included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries it holds at its rated load.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of its buckets: what a whole [`Table::sweep`] goes through.
    pub fn buckets(&self) -> usize {
        self.area.buckets.len()
    }

    /// A reader of it, for other threads.
    pub fn view(&self) -> View {
        View::of_area(self.area.clone())
    }

    /// Asks for the line in which a flow is looked for first.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let buckets = &*self.area.buckets;
        search::prefetch(&buckets[first(tag(hash), buckets.len())]);
    }

    /// Where the flows of a burst are; [`Slot::NONE`] for those that are not there.
    ///
    /// `found` is as long as `hashes`. What was found is looked at by [`Table::entry`], which says
    /// `None` if a later [`Table::insert`] has put something else there.
    #[inline]
    pub fn find_burst(&self, hashes: &[u64], found: &mut [Slot]) {
        search::find_burst(&self.area.buckets, hashes, found);
    }

    /// Where one flow is.
    #[inline]
    pub fn find(&self, hash: u64) -> Slot {
        let tag = tag(hash);
        let pair = self.places(tag);
        Slot::first_of(self.ways(pair, tag).same, pair)
    }

    #[inline]
    pub(super) fn ways(&self, [one, two]: [usize; 2], tag: u64) -> search::Ways {
        search::ways([self.bucket(one), self.bucket(two)], tag)
    }

    /// What is known of a flow that was found at `slot`, if it is still there.
    #[inline]
    pub fn entry(&self, slot: Slot, hash: u64, now: Tick) -> Option<Entry> {
        let bucket = self.area.buckets.get(slot.bucket())?;
        if bucket.tag(slot.way()) != tag(hash) {
            return None;
        }
        let value = bucket.value(slot.way());
        if self.is_forgotten(value.node()) {
            return None;
        }
        Some(value.entry(now))
    }

    /// The same for a flow that goes on: found, of this service, in this state and seen lately. What
    /// [`step`](super::step) would make of it, in a few instructions; `None` leaves it to that.
    #[inline]
    pub(crate) fn going_on(
        &self,
        slot: Slot,
        hash: u64,
        service: u16,
        state: State,
        now: Tick,
        idle: &Idle,
    ) -> Option<GoingOn> {
        let bucket = self.area.buckets.get(slot.bucket())?;
        let value = bucket.value(slot.way());
        let alive = value.alive(service, state, now)?;
        // One whose tick lies ahead has a negative age: taken as unsigned, that is too old.
        let lately = value.age(now) as u32 <= idle.ticks(state);
        (bucket.tag(slot.way()) == tag(hash) && lately && self.forgotten.is_empty())
            .then_some(GoingOn { node: value.node(), changed: (value != alive).then_some(alive) })
    }

    /// Stores that a flow at `slot` goes on.
    #[inline]
    pub(crate) fn refresh(&mut self, slot: Slot, going_on: GoingOn) {
        if let Some(changed) = going_on.changed {
            self.bucket(slot.bucket()).set_value(slot.way(), changed);
        }
    }

    /// Stores what became of the entry at `slot`.
    #[inline]
    pub fn store(&mut self, slot: Slot, entry: Entry) {
        self.bucket(slot.bucket()).set_value(slot.way(), entry.pack());
    }

    /// Whether it keeps flows beside their entries: then each insertion is to be described.
    #[inline]
    pub fn keeps_details(&self) -> bool {
        self.area.details.is_some()
    }

    /// Keeps the flow at `slot` beside its entry, where flows are kept.
    pub fn describe(&mut self, slot: Slot, flow: &Flow) {
        if let Some(rows) = &self.area.details {
            rows[slot.number()].write(flow);
        }
    }

    /// Removes the entry at `slot`.
    pub fn remove(&mut self, slot: Slot) {
        let bucket = self.bucket(slot.bucket());
        if bucket.tag(slot.way()) != 0 {
            bucket.clear(slot.way());
            self.set_len(self.len - 1);
        }
    }

    /// Removes what expired from the next `buckets` buckets, and hands it to `on_removed`.
    ///
    /// The whole table must be gone through at least once a day, or entries whose tick wraps look
    /// young again.
    pub fn sweep(
        &mut self,
        now: Tick,
        idle: &Idle,
        buckets: usize,
        mut on_removed: impl FnMut(Entry),
    ) {
        let buckets = buckets.min(self.buckets());
        for _ in 0..buckets {
            for way in 0..WAYS {
                let bucket = self.bucket(self.cursor);
                let value = bucket.value(way);
                if bucket.tag(way) != 0 && self.is_stale(value, now, idle) {
                    bucket.clear(way);
                    self.len -= 1;
                    on_removed(value.entry(now));
                }
            }
            self.cursor = if self.cursor + 1 < self.buckets() { self.cursor + 1 } else { 0 };
        }
        self.forgotten.retain_mut(|forgotten| {
            forgotten.buckets_left = forgotten.buckets_left.saturating_sub(buckets);
            forgotten.buckets_left > 0
        });
        self.set_len(self.len);
        self.gauge().set_swept(now);
    }

    /// Hides the entries of a node from now on, and has the sweep remove them: its index names
    /// another node now. The new one's flows are forgotten too until the sweep has come round.
    pub fn forget_node(&mut self, node: u16) {
        self.forgotten.retain(|forgotten| forgotten.node != node);
        self.forgotten.push(Forgotten { node, buckets_left: self.buckets() });
    }

    /// Whether entries of this node are being forgotten: then another table's are not to be
    /// believed either.
    #[inline]
    pub fn is_forgotten(&self, node: u16) -> bool {
        !self.forgotten.is_empty() && self.forgotten.iter().any(|forgotten| forgotten.node == node)
    }

    /// Whether an entry is as good as not there.
    #[inline]
    pub(super) fn is_stale(&self, value: Packed, now: Tick, idle: &Idle) -> bool {
        value.age(now) > idle.ticks(value.state()) as i32 || self.is_forgotten(value.node())
    }

    /// The two buckets of a tag.
    #[inline]
    pub(super) fn places(&self, tag: u64) -> [usize; 2] {
        let first = first(tag, self.buckets());
        [first, second(tag, first, self.buckets())]
    }

    #[inline]
    pub(super) fn bucket(&self, bucket: usize) -> &Bucket {
        &self.area.buckets[bucket]
    }

    pub(super) fn rows(&self) -> Option<&Region<Row>> {
        self.area.details.as_ref()
    }

    #[inline]
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len;
        self.gauge().set_entries(len);
    }

    #[inline]
    fn gauge(&self) -> &super::header::Gauge {
        &self.area.gauge[0]
    }

    /// Makes sense of what another process left, at whatever instruction it was killed: drops
    /// what no table writes, and one of the two equal copies of an entry that was being moved.
    pub(super) fn recover(&mut self) {
        let mut len = 0;
        for at in 0..self.buckets() {
            for way in 0..WAYS {
                let (tag, value) = (self.bucket(at).tag(way), self.bucket(at).value(way));
                if tag == 0 {
                    continue;
                }
                if !value.well_formed() || !self.places(tag).contains(&at) || self.has_copy(at, way)
                {
                    self.bucket(at).clear(way);
                } else {
                    len += 1;
                }
            }
        }
        self.set_len(len);
    }

    /// Whether the flow at this place is also elsewhere.
    fn has_copy(&self, at: usize, way: usize) -> bool {
        let tag = self.bucket(at).tag(way);
        self.places(tag).into_iter().any(|bucket| {
            let mut ways = self.bucket(bucket).matching(tag);
            if bucket == at {
                ways &= !(1 << way);
            }
            ways != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Signal, Step, step};

    #[test]
    fn the_short_way_does_what_step_says_and_leaves_the_rest_to_it() {
        const HASH: u64 = 5;
        let (idle, now) = (Idle::default(), Tick::new(1_000_000));
        let mut table = Table::anonymous(NonZeroU32::new(8).unwrap(), false).unwrap();
        for (signal, going_on) in [(Signal::Data, State::Open), (Signal::Udp, State::Udp)] {
            for (state, once) in State::ALL.into_iter().flat_map(|s| [(s, false), (s, true)]) {
                let limit = idle.ticks(state);
                for seen in [1_000_001, 1_000_000, 999_999, 1_000_000 - limit, 999_999 - limit] {
                    let entry = Entry { node: 7, service: 3, seen: Tick::new(seen), state, once };
                    let slot = table.insert(HASH, entry, now, &idle).slot;
                    let of = |table: &Table, service| {
                        table.going_on(slot, HASH, service, going_on, now, &idle)
                    };
                    assert!(of(&table, 4).is_none(), "another service's");
                    let short = of(&table, 3);
                    let taken =
                        state == going_on && seen <= 1_000_000 && !entry.expired(now, &idle);
                    assert_eq!(short.is_some(), taken, "{entry:?}");
                    let Some(short) = short else { continue };
                    let Step::Follow(changed) = step(Some(entry), signal, now, &idle) else {
                        panic!("{entry:?} is known");
                    };
                    assert_eq!(short.changed.is_some(), changed.is_some(), "{entry:?}");
                    table.refresh(slot, short);
                    assert_eq!(table.entry(slot, HASH, now), Some(changed.unwrap_or(entry)));
                }
            }
        }
        table.forget_node(7);
        let entry = Entry { node: 8, service: 3, seen: now, state: State::Open, once: false };
        let slot = table.insert(HASH, entry, now, &idle).slot;
        assert!(table.going_on(slot, HASH, 3, State::Open, now, &idle).is_none());
        assert!(table.going_on(slot, HASH + 1, 3, State::Open, now, &idle).is_none());
    }
}
