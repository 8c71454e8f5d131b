use crate::Tick;
use crate::flow::Flow;

use super::bucket::{Slot, WAYS, first, second, tag};
use super::entry::Entry;
use super::layout::Area;

/// A reader of another thread's table: for siblings, and for the thread that answers questions.
///
/// It may look at any moment and sees each entry as it was at some moment of its look.
#[derive(Clone, Debug)]
pub struct View {
    area: Area,
}

/// A flow as a [`View`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its flow hash.
    pub hash: u64,
    /// What is known of it.
    pub entry: Entry,
    /// The flow itself, where flows are kept: to be believed only if its flow hash is `hash`.
    pub details: Option<Flow>,
}

impl View {
    pub(super) fn of_area(area: Area) -> Self {
        Self { area }
    }

    /// What the table knows of a flow.
    pub fn find(&self, hash: u64, now: Tick) -> Option<Entry> {
        let tag = tag(hash);
        let looks = self.looks(tag).into_iter();
        let value = looks.map(|bucket| &self.area.buckets[bucket]).find_map(|b| b.read(tag))?;
        Some(value.entry(now))
    }

    /// Where a flow is looked for, in this order.
    ///
    /// An entry that moves is written to its new place before it loses the old one, so it is in one
    /// of its two buckets at any moment. The first is read again: the entry may have come there from
    /// the second after the first was read.
    fn looks(&self, tag: u64) -> [usize; 3] {
        let one = first(tag, self.buckets());
        [one, second(tag, one, self.buckets()), one]
    }

    /// Number of its buckets, for [`View::entries_of`].
    pub fn buckets(&self) -> usize {
        self.area.buckets.len()
    }

    /// The flows of one bucket: a whole listing goes through all of them. A flow that moves
    /// meanwhile may be listed twice or not at all.
    pub fn entries_of(&self, bucket: usize, now: Tick) -> impl Iterator<Item = Listed> {
        let place = self.area.buckets.get(bucket);
        (0..WAYS).filter_map(move |way| {
            let hash = place?.tag(way);
            if hash == 0 {
                return None;
            }
            let entry = place?.read(hash)?.entry(now);
            let row = self.area.details.as_ref().map(|rows| &rows[Slot::new(bucket, way).number()]);
            Some(Listed { hash, entry, details: row.and_then(|row| row.read()) })
        })
    }

    /// Entries in the table.
    pub fn len(&self) -> u64 {
        self.area.gauge[0].entries()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What several tables know of a flow: the freshest entry of them.
pub fn freshest(views: &[View], hash: u64, now: Tick) -> Option<Entry> {
    views.iter().filter_map(|view| view.find(hash, now)).max_by_key(|entry| entry.seen)
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Packed, State};
    use super::super::table::Table;
    use super::*;

    #[test]
    fn a_reader_finds_an_entry_that_moves_between_any_two_looks() {
        let table = Table::anonymous(100.try_into().unwrap(), false).unwrap();
        let (view, tag) = (table.view(), 0xfedc_ba98_7654_3210);
        let entry =
            Entry { node: 1, service: 2, seen: Tick::new(3), state: State::Open, once: false };
        let [one, two, _] = view.looks(tag);
        for (from, to) in [(one, two), (two, one)] {
            for moment in 0..=3 {
                table.bucket(from).write(0, tag, entry.pack());
                table.bucket(to).clear(0);
                let found = view.looks(tag).into_iter().enumerate().find_map(|(look, bucket)| {
                    if look == moment {
                        table.bucket(to).write(0, tag, entry.pack());
                        table.bucket(from).write(0, 99, Packed(0));
                    }
                    table.bucket(bucket).read(tag)
                });
                assert_eq!(found, Some(entry.pack()), "moved before look {moment}");
            }
        }
    }
}
