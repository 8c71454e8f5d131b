use std::num::{NonZeroU16, NonZeroU32};

use crate::flow::Flow;
use crate::{BURST, Tick};

use super::bucket::{Bucket, Slot, WAYS, first, second, tag};
use super::details::Row;
use super::entry::{Entry, Kind, Now, Packed, Ticks};
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

/// A flow that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    bucket: &'a Bucket,
    way: usize,
    value: Packed,
}

impl Found<'_> {
    /// The node, if the flow is of this service and state, and was last seen at most `idle` ticks ago.
    /// All other flows are left to [`step`](super::step).
    #[inline(always)]
    pub(crate) fn going_on(&self, kind: Kind, now: Now, idle: Ticks) -> Option<u16> {
        (self.value.is(kind) && self.value.is_recent(now, idle)).then_some(self.value.node())
    }

    /// Stores that it is alive, if that is news: once a tick.
    #[inline(always)]
    pub(crate) fn refresh(&self, now: Now) {
        if let Some(alive) = self.value.alive(now) {
            self.bucket.set_value(self.way, alive);
        }
    }
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

    /// Where the flows of a burst are; [`Slot::NONE`] for those that are not there. All their lines are
    /// asked for before the first is looked at. At most [`BURST`].
    #[inline]
    pub(crate) fn find_burst(&self, hashes: &[u64], slots: &mut [Slot; BURST]) {
        search::find_burst(&self.area.buckets, hashes, slots);
    }

    /// What is at a slot that was found and not written to since.
    #[inline(always)]
    pub(crate) fn found(&mut self, slot: Slot) -> Option<Found<'_>> {
        let (bucket, way) = (self.area.buckets.get(slot.bucket())?, slot.way());
        Some(Found { bucket, way, value: bucket.value(way) })
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

    /// Whether nothing is being forgotten: then what [`Table::find_burst`] shows may be believed.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.forgotten.is_empty()
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
    use crate::connection::{Signal, State, Step, step};

    /// What [`Table::find_burst`] finds of one flow.
    fn found(table: &mut Table, hash: u64) -> Option<Found<'_>> {
        let mut slots = [Slot::NONE; BURST];
        table.find_burst(&[hash], &mut slots);
        table.found(slots[0])
    }

    #[test]
    fn the_short_way_does_what_step_says_and_leaves_the_rest_to_it() {
        const HASH: u64 = 5;
        let (idle, now) = (Idle::default(), Tick::new(1_000_000));
        let ready = Now::new(now);
        let mut table = Table::anonymous(NonZeroU32::new(8).unwrap(), false).unwrap();
        for (signal, going_on) in [(Signal::Data, State::Open), (Signal::Udp, State::Udp)] {
            for (state, once) in State::ALL.into_iter().flat_map(|s| [(s, false), (s, true)]) {
                let limit = idle.ticks(state);
                for seen in [1_000_001, 1_000_000, 999_999, 1_000_000 - limit, 999_999 - limit] {
                    let entry = Entry { node: 7, service: 3, seen: Tick::new(seen), state, once };
                    let slot = table.insert(HASH, entry, now, &idle).slot;
                    let flow = found(&mut table, HASH).unwrap();
                    let ticks = Ticks::new(idle.ticks(going_on));
                    let kind = |service| Kind::service(service).and(Kind::state(going_on));
                    for other in [kind(4), kind(3).and(Kind::NONE)] {
                        assert_eq!(flow.going_on(other, ready, ticks), None);
                    }
                    let node = flow.going_on(kind(3), ready, ticks);
                    let taken =
                        state == going_on && seen <= 1_000_000 && !entry.expired(now, &idle);
                    assert_eq!(node, taken.then_some(7), "{entry:?}");
                    if !taken {
                        continue;
                    }
                    let Step::Follow(changed) = step(Some(entry), signal, now, &idle) else {
                        panic!("{entry:?} is known");
                    };
                    flow.refresh(ready);
                    assert_eq!(table.entry(slot, HASH, now), Some(changed.unwrap_or(entry)));
                }
            }
        }
        assert!(found(&mut table, HASH + 1).is_none());
        assert!(table.is_settled());
        table.forget_node(7);
        assert!(!table.is_settled());
    }
}
