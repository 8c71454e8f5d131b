use crate::Tick;

use super::bucket::{Slot, WAYS, first, second, tag};
use super::details::Details;
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
    /// Its tuple, where tuples are kept; true only if its flow hash is `hash`.
    pub details: Option<Details>,
}

impl View {
    pub(super) fn of_area(area: Area) -> Self {
        Self { area }
    }

    /// What the table knows of a flow.
    ///
    /// An entry that moves is written to its new place before it loses the old one, so it is in one
    /// of the two buckets at any moment. The first is read again: the entry may have
    /// come there from the second after the first was read.
    pub fn find(&self, hash: u64, now: Tick) -> Option<Entry> {
        let tag = tag(hash);
        let buckets = &*self.area.buckets;
        let one = first(tag, buckets.len());
        let two = second(tag, one, buckets.len());
        let value = [one, two, one].into_iter().find_map(|bucket| buckets[bucket].read(tag))?;
        Some(value.entry(now))
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
