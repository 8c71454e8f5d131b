//! How little places are worth, and the one of a flow's two buckets that is worth least.

#![expect(unsafe_code, reason = "vector loads of a bucket's entries, run-time dispatch")]

use crate::Tick;

use super::bucket::{Bucket, Slot, WAYS};
use super::entry::{Packed, State};
use super::rules::Idle;

/// How little a place is worth: what it holds in the high bits, how long it was idle in the low ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u32);

impl Rank {
    const LIVE: Self = Self(0);
    const CLOSING: Self = Self::class(1);
    pub(super) const ONCE: Self = Self::class(2);
    pub(super) const EXPIRED: Self = Self::class(3);
    pub(super) const FREE: Self = Self::class(4);

    /// By state, then by state once more for flows of which one packet was seen.
    const CLASSES: [Self; 8] = {
        let mut classes = [Self::LIVE; 8];
        classes[State::Closing as usize] = Self::CLOSING;
        let mut once = State::ALL.len();
        while once < classes.len() {
            classes[once] = Self::ONCE;
            once += 1;
        }
        classes
    };

    const fn class(number: u8) -> Self {
        Self((number as u32) << Tick::SHORT_BITS)
    }

    fn of(tag: u64, value: Packed, now: Tick, is_stale: impl Fn(Packed) -> bool) -> Self {
        let class = Self::CLASSES[usize::from(value.state_and_once())];
        let class = if is_stale(value) { Self::EXPIRED } else { class };
        let class = if tag == 0 { Self::FREE } else { class };
        Self(class.0 | value.age(now).max(0) as u32)
    }
}

/// A place that may be written to. As small as it is, it stays in a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) rank: Rank,
}

/// The least worth of some buckets' places as one number; in its low bits the place, mixed with `any`,
/// so that of equals any wins, and not always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Best(u32);

const PLACES: u32 = 2 * WAYS as u32;

impl Best {
    const fn new(Rank(rank): Rank, place: u32, any: u32) -> Self {
        Self((rank * PLACES) | ((place ^ any) % PLACES))
    }

    fn place(self, any: u32, buckets: [usize; 2]) -> Place {
        let place = (self.0 ^ any) % PLACES;
        let bucket = buckets[place as usize / WAYS];
        Place { slot: Slot::new(bucket, place as usize % WAYS), rank: Rank(self.0 / PLACES) }
    }
}

/// The place of two buckets that is worth least. For their owner. `is_stale`: whether an entry is as
/// good as not there.
pub(super) fn cheapest_by(
    buckets: [(usize, &Bucket); 2],
    any: u32,
    now: Tick,
    is_stale: impl Fn(Packed) -> bool,
) -> Place {
    let mut best = Best(0);
    for (place, (_, bucket)) in (0..).step_by(WAYS).zip(buckets) {
        for way in 0..WAYS {
            let rank = Rank::of(bucket.tag(way), bucket.value(way), now, &is_stale);
            best = best.max(Best::new(rank, place + way as u32, any));
        }
    }
    best.place(any, buckets.map(|(number, _)| number))
}

/// The same where entries are stale if they were idle for too long, and for no other reason: hardly a
/// branch, as under a flood nothing that a bucket holds is predictable.
#[inline]
pub(super) fn cheapest(buckets: [(usize, &Bucket); 2], any: u32, now: Tick, idle: &Idle) -> Place {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        let best = unsafe { best_avx2(buckets.map(|(_, bucket)| bucket), any, now, idle) };
        return best.place(any, buckets.map(|(number, _)| number));
    }
    cheapest_by(buckets, any, now, |value| value.age(now) > idle.ticks(value.state()) as i32)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn best_avx2(buckets: [&Bucket; 2], any: u32, now: Tick, idle: &Idle) -> Best {
    use std::arch::x86_64::*;
    /// The class of each state as the highest byte of four: a table for a shuffle of bytes.
    const CLASSES: [u8; 32] = {
        let mut table = [0; 32];
        let mut i = 0;
        while i < 8 {
            let class = (Rank::CLASSES[i].0 >> Tick::SHORT_BITS) as u8;
            (table[i], table[16 + i]) = (class, class);
            i += 1;
        }
        table
    };
    const NUMBERS: [u32; PLACES as usize] = [0, 1, 4, 5, 2, 3, 6, 7]; // as `shuffle_ps` leaves them
    let ticks = State::ALL.map(|state| idle.ticks(state));
    let load = |words: &[_; WAYS]| {
        // SAFETY: four words of 64 bits. The owner of the buckets, who alone writes, is in here.
        unsafe { _mm256_loadu_si256(std::ptr::from_ref(words).cast()) }
    };
    let [[tags0, values0], [tags1, values1]] =
        buckets.map(|bucket| [load(bucket.tags()), load(bucket.values())]);
    // SAFETY: it is 32 bytes long.
    let classes = unsafe { _mm256_loadu_si256(CLASSES.as_ptr().cast()) };
    // SAFETY: as above.
    let numbers = unsafe { _mm256_loadu_si256(NUMBERS.as_ptr().cast()) };
    // SAFETY: it is 16 bytes long.
    let ticks = unsafe { _mm_loadu_si128(ticks.as_ptr().cast()) };
    let ticks = _mm256_broadcastsi128_si256(ticks);

    // The halves with tick, state and once of all eight; and whether the places are free.
    let halves = |a, b| {
        let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
        _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(a, b))
    };
    let zero = _mm256_setzero_si256();
    let halves_of_values = halves(values0, values1);
    let free = halves(_mm256_cmpeq_epi64(tags0, zero), _mm256_cmpeq_epi64(tags1, zero));

    const UNUSED: i32 = (u32::BITS - Tick::SHORT_BITS) as i32;
    let age = _mm256_sub_epi32(_mm256_set1_epi32(now.short() as i32), halves_of_values);
    let age = _mm256_srai_epi32::<UNUSED>(_mm256_slli_epi32::<UNUSED>(age));
    let state = _mm256_srli_epi32::<{ Tick::SHORT_BITS as i32 }>(halves_of_values);
    let limit = _mm256_castps_si256(_mm256_permutevar_ps(_mm256_castsi256_ps(ticks), state));
    let expired = _mm256_cmpgt_epi32(age, limit);

    // A byte of 0x80 and more gives 0.
    let state = _mm256_and_si256(halves_of_values, _mm256_set1_epi32(7 << Tick::SHORT_BITS));
    let state = _mm256_or_si256(state, _mm256_set1_epi32(0x0080_8080));
    let class = _mm256_shuffle_epi8(classes, state);
    let of = |mask, rank: Rank| _mm256_and_si256(mask, _mm256_set1_epi32(rank.0 as i32));
    let class = _mm256_max_epu32(class, of(expired, Rank::EXPIRED));
    let class = _mm256_max_epu32(class, of(free, Rank::FREE));

    let rank = _mm256_or_si256(class, _mm256_max_epi32(age, zero));
    let place = _mm256_xor_si256(numbers, _mm256_set1_epi32((any % PLACES) as i32));
    let best =
        _mm256_or_si256(_mm256_slli_epi32::<{ PLACES.trailing_zeros() as i32 }>(rank), place);
    let best = _mm_max_epu32(_mm256_castsi256_si128(best), _mm256_extracti128_si256::<1>(best));
    let best = _mm_max_epu32(best, _mm_shuffle_epi32::<0b01_00_11_10>(best));
    let best = _mm_max_epu32(best, _mm_shuffle_epi32::<0b10_11_00_01>(best));
    Best(_mm_cvtsi128_si32(best) as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::entry::Entry;
    use super::*;

    fn place() -> impl Strategy<Value = Option<(u32, usize, bool)>> {
        prop::option::weighted(0.95, (0..70_000_u32, 0..4_usize, any::<bool>()))
    }

    proptest! {
        /// On a CPU without AVX2 this compares the portable way with itself.
        #[test]
        fn the_vector_way_chooses_what_the_portable_way_chooses(
            places in proptest::collection::vec(place(), 8),
            any: u32,
            now in prop_oneof![Just(3_u32), Just(1 << 24), 60_000..80_000_u32],
        ) {
            let (idle, now) = (Idle::default(), Tick::new(now));
            let buckets = [Bucket::default(), Bucket::default()];
            for (i, place) in places.iter().enumerate() {
                let Some((age, state, once)) = *place else { continue };
                // Some are ahead of now.
                let seen = Tick::new(now.number().wrapping_add(3).wrapping_sub(age));
                let entry = Entry { node: 1, service: 1, seen, state: State::ALL[state], once };
                buckets[i / WAYS].write(i % WAYS, i as u64 + 1, entry.pack());
            }
            let pair = [(10, &buckets[0]), (20, &buckets[1])];
            let vector = cheapest(pair, any, now, &idle);
            let is_stale = |value: Packed| value.age(now) > idle.ticks(value.state()) as i32;
            let portable = cheapest_by(pair, any, now, is_stale);
            prop_assert_eq!(vector.rank, portable.rank);
            prop_assert_eq!(vector.slot, portable.slot);
        }
    }
}
