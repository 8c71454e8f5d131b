//! Finding a burst's flows: all first buckets are asked for, then looked at; the second buckets of
//! those not found, asked for meanwhile, last.

#![expect(unsafe_code, reason = "vector loads of a bucket's tags, run-time dispatch")]

use packet::prefetch;

use crate::BURST;

use super::bucket::{Bucket, Slot, WAYS, first, second, tag};

/// Where each flow is, or [`Slot::NONE`]; of at most [`BURST`]. For the owner of the buckets alone: the
/// vector loads are not atomic, so nobody may write meanwhile.
#[inline]
pub(super) fn find_burst(buckets: &[Bucket], hashes: &[u64], slots: &mut [Slot; BURST]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { find_burst_avx2(buckets, hashes, slots) };
    }
    search(buckets, hashes, slots, Bucket::matching);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn find_burst_avx2(buckets: &[Bucket], hashes: &[u64], slots: &mut [Slot; BURST]) {
    search(buckets, hashes, slots, |bucket, tag| matching_avx2(bucket, tag));
}

/// Which of the eight places of two buckets hold a tag, and which are free: a bit each, those of
/// the first bucket in the low four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) same: u32,
    pub(super) free: u32,
}

impl Ways {
    #[inline(always)]
    fn of([one, two]: [&Bucket; 2], tag: u64, matching: impl Fn(&Bucket, u64) -> u32) -> Self {
        let both = |tag| matching(one, tag) | matching(two, tag) << WAYS;
        Self { same: both(tag), free: both(0) }
    }
}

/// Looks at a flow's two buckets. For their owner alone, as [`find_burst`].
#[inline]
pub(super) fn ways(pair: [&Bucket; 2], tag: u64) -> Ways {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { ways_avx2(pair, tag) };
    }
    Ways::of(pair, tag, Bucket::matching)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn ways_avx2(pair: [&Bucket; 2], tag: u64) -> Ways {
    Ways::of(pair, tag, |bucket, tag| matching_avx2(bucket, tag))
}

/// [`Bucket::matching`] in one compare.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn matching_avx2(bucket: &Bucket, tag: u64) -> u32 {
    use std::arch::x86_64::*;
    // SAFETY: a bucket begins with its four tags, 32 bytes, and is aligned to 64. The owner, who alone
    // writes, is in here.
    let tags = unsafe { _mm256_load_si256(bucket.tags().as_ptr().cast()) };
    let equal = _mm256_cmpeq_epi64(tags, _mm256_set1_epi64x(tag as i64));
    _mm256_movemask_pd(_mm256_castsi256_pd(equal)) as u32
}

/// All passes, for any way to compare. Hardly a branch: what a burst finds is not predictable. And
/// nothing between the looks: while one waits for its line, the next ones are under way.
#[inline(always)]
fn search(
    buckets: &[Bucket],
    hashes: &[u64],
    slots: &mut [Slot; BURST],
    matching: impl Fn(&Bucket, u64) -> u32,
) {
    let mut at = [0_u32; BURST];
    for (at, &hash) in at.iter_mut().zip(hashes) {
        *at = first(hash, buckets.len()) as u32; // of hash 0 as of its tag
    }
    for &at in at.iter().take(hashes.len()) {
        prefetch(buckets.as_ptr().wrapping_add(at as usize));
    }
    let mut missing = [0_u8; BURST];
    let mut count = 0;
    for (i, ((&hash, &at), slot)) in hashes.iter().zip(&at).zip(&mut *slots).enumerate() {
        let (tag, bucket) = (tag(hash), at as usize);
        let ways = matching(&buckets[bucket], tag);
        *slot = Slot::new(bucket, ways.trailing_zeros() as usize % WAYS);
        if ways == 0 {
            let bucket = second(tag, bucket, buckets.len());
            prefetch(buckets.as_ptr().wrapping_add(bucket));
            missing[count % BURST] = i as u8; // less than BURST
            count += 1;
        }
    }
    for &i in missing.iter().take(count) {
        let i = usize::from(i) % BURST;
        let tag = tag(hashes[i]);
        let bucket = second(tag, at[i] as usize, buckets.len());
        let ways = matching(&buckets[bucket], tag);
        let slot = Slot::new(bucket, ways.trailing_zeros() as usize % WAYS);
        slots[i] = if ways == 0 { Slot::NONE } else { slot };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tick;
    use crate::connection::entry::{Entry, Packed, State};

    /// On a CPU without AVX2 this compares the portable way with itself.
    #[test]
    fn the_vector_way_finds_what_the_portable_way_finds() {
        let buckets: Vec<Bucket> = (0..300).map(|_| Bucket::default()).collect();
        let mix = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let entry =
            Entry { node: 1, service: 1, seen: Tick::new(1), state: State::Udp, once: true };
        let Packed(value) = entry.pack();
        for i in 0..600 {
            let one = first(mix(i), buckets.len());
            let at = if i % 3 == 0 { second(mix(i), one, buckets.len()) } else { one };
            buckets[at].write(i as usize % WAYS, mix(i), Packed(value));
        }
        let hashes: Vec<u64> = (0..1200).map(mix).chain([0]).collect();
        let mut count = 0;
        for hashes in hashes.chunks(BURST) {
            let [mut vector, mut portable] = [[Slot::NONE; BURST]; 2];
            find_burst(&buckets, hashes, &mut vector);
            search(&buckets, hashes, &mut portable, Bucket::matching);
            assert_eq!(vector, portable);
            count += vector.iter().filter(|&&slot| slot != Slot::NONE).count();
        }
        assert!(count > 300);

        for &hash in &hashes {
            let one = first(tag(hash), buckets.len());
            let pair = [one, second(tag(hash), one, buckets.len())].map(|i| &buckets[i]);
            assert_eq!(ways(pair, tag(hash)), Ways::of(pair, tag(hash), Bucket::matching));
        }
    }
}
