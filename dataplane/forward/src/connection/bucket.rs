use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::entry::Packed;

/// Entries in a bucket: what one cache line holds.
pub(super) const WAYS: usize = 4;

/// Four entries in one cache line: their flow hashes, then what they say. Tag 0 is a free place.
///
/// One thread writes, others may read at any moment, and the process may be killed at any
/// instruction. So a place is made free first, then gets its value, then its tag: whoever
/// sees a tag sees its value or a later one ([`Bucket::read`]).
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    tags: [AtomicU64; WAYS],
    values: [AtomicU64; WAYS],
}

impl Bucket {
    /// The tags' place in memory, for the owner's SIMD compare.
    #[inline]
    pub(super) fn tags(&self) -> &[AtomicU64; WAYS] {
        &self.tags
    }

    /// The values' place in memory, for the owner's SIMD compare.
    #[inline]
    pub(super) fn values(&self) -> &[AtomicU64; WAYS] {
        &self.values
    }

    /// The places that hold `tag`, a bit each.
    #[inline]
    pub(super) fn matching(&self, tag: u64) -> u32 {
        let [a, b, c, d] = &self.tags;
        let bit = |cell: &AtomicU64, i: u32| u32::from(cell.load(Relaxed) == tag) << i;
        bit(a, 0) | bit(b, 1) | bit(c, 2) | bit(d, 3)
    }

    #[inline]
    pub(super) fn tag(&self, way: usize) -> u64 {
        self.tags[way].load(Relaxed)
    }

    #[inline]
    pub(super) fn value(&self, way: usize) -> Packed {
        Packed(self.values[way].load(Relaxed))
    }

    /// Puts an entry into a place, whatever is there. For the owner.
    #[inline]
    pub(super) fn write(&self, way: usize, tag: u64, value: Packed) {
        for (half, word) in stores(tag, value) {
            match half {
                Half::Tag => self.tags[way].store(word, Release),
                Half::Value => self.values[way].store(word, Release),
            }
        }
    }

    /// Changes what the entry says. For the owner.
    #[inline]
    pub(super) fn set_value(&self, way: usize, value: Packed) {
        self.values[way].store(value.0, Release);
    }

    /// Frees a place. For the owner.
    #[inline]
    pub(super) fn clear(&self, way: usize) {
        self.tags[way].store(0, Release);
    }

    /// What the entry of `tag` says. For any thread: the tag is read again after the value, as
    /// the place may have been given to another flow in between.
    #[inline]
    pub(super) fn read(&self, tag: u64) -> Option<Packed> {
        self.tags.iter().zip(&self.values).find_map(|(place, value)| {
            (place.load(Acquire) == tag).then_some(())?;
            let value = value.load(Acquire);
            (place.load(Relaxed) == tag).then_some(Packed(value))
        })
    }
}

/// A half of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Tag,
    Value,
}

/// What is stored, in this order, to write an entry.
#[inline]
fn stores(tag: u64, value: Packed) -> [(Half, u64); 3] {
    [(Half::Tag, 0), (Half::Value, value.0), (Half::Tag, tag)]
}

/// A place in a table, good until the table's next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Nowhere.
    pub const NONE: Self = Self(u32::MAX);

    #[inline]
    pub(super) fn new(bucket: usize, way: usize) -> Self {
        Self((bucket * WAYS + way) as u32)
    }

    /// The first place of a set: a bit each for the eight of two buckets.
    #[inline]
    pub(super) fn first_of(ways: u32, [one, two]: [usize; 2]) -> Self {
        let way = ways.trailing_zeros() as usize;
        match ways {
            0 => Self::NONE,
            _ if way < WAYS => Self::new(one, way),
            _ => Self::new(two, way - WAYS),
        }
    }

    #[inline]
    pub(super) fn bucket(self) -> usize {
        self.0 as usize / WAYS
    }

    #[inline]
    pub(super) fn way(self) -> usize {
        self.0 as usize % WAYS
    }

    #[inline]
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

/// The tag of a flow: its hash, except that 0 means a free place.
#[inline]
pub(super) fn tag(hash: u64) -> u64 {
    hash.max(1)
}

/// The bucket that a tag is looked for first, of `count`: its high half scaled, so that any count will do.
#[inline]
pub(super) fn first(tag: u64, count: usize) -> usize {
    scale((tag >> 32) as u32, count)
}

/// Its other bucket: a distance of 1 to `count - 1` from the first, scaled from the low half.
#[inline]
pub(super) fn second(tag: u64, first: usize, count: usize) -> usize {
    let bucket = first + 1 + scale(tag as u32, count - 1);
    if bucket < count { bucket } else { bucket - count }
}

/// The other one of a tag's two buckets.
#[inline]
pub(super) fn other(tag: u64, bucket: usize, count: usize) -> usize {
    let first = first(tag, count);
    if bucket == first { second(tag, first, count) } else { first }
}

/// Part of `0..count`, as far as `bits` are of theirs. A vector unit multiplies numbers of 32 bits:
/// no table has more buckets.
#[inline]
pub(super) fn scale(bits: u32, count: usize) -> usize {
    ((u64::from(bits) * u64::from(count as u32)) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_one_cache_line() {
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }

    #[test]
    fn the_two_buckets_of_a_flow_differ_and_lead_to_each_other() {
        for count in [2, 3, 64, 1000, 375_000] {
            for hash in [0, 1, u64::MAX, 1 << 63, 0xffff_ffff, 0x0123_4567_89ab_cdef] {
                let tag = tag(hash);
                let one = first(tag, count);
                let two = second(tag, one, count);
                assert!(one != two && one < count && two < count, "{tag:x} of {count}");
                assert_eq!((other(tag, one, count), other(tag, two, count)), (two, one));
            }
        }
    }

    #[test]
    fn a_reader_finds_what_was_written_and_nothing_else() {
        let bucket = Bucket::default();
        bucket.write(2, 7, Packed(70));
        assert_eq!(bucket.read(7), Some(Packed(70)));
        assert_eq!(bucket.read(8), None);
        assert_eq!(bucket.matching(7), 0b0100);
        assert_eq!(bucket.matching(0), 0b1011);
        bucket.clear(2);
        assert_eq!(bucket.read(7), None);
    }

    /// Every way in which the stores of a write can come between the three loads of [`Bucket::read`].
    #[test]
    fn a_reader_never_takes_the_value_of_the_flow_that_comes_after() {
        let ((old, old_value), (new, new_value)) = ((7, 70), (8, 80));
        let after = |count| {
            let mut place = (old, old_value);
            for (half, word) in stores(new, Packed(new_value)).into_iter().take(count) {
                match half {
                    Half::Tag => place.0 = word,
                    Half::Value => place.1 = word,
                }
            }
            place
        };
        for (first, value, last) in
            (0..=3).flat_map(|i| (i..=3).flat_map(move |j| (j..=3).map(move |k| (i, j, k))))
        {
            for (tag, expected) in [(old, old_value), (new, new_value)] {
                if after(first).0 == tag && after(last).0 == tag {
                    assert_eq!(after(value).1, expected, "{first} {value} {last}");
                }
            }
        }
        assert_eq!(after(3), (new, new_value));
    }
}
