//! Finding a burst's flows: the first bucket of each in a first pass, the second bucket of those
//! not found, prefetched by then, in a second one.

#![expect(unsafe_code, reason = "vector loads of a bucket's tags, run-time dispatch, prefetch")]

use crate::BURST;

use super::bucket::{Bucket, Slot, WAYS, first, second, tag};

/// Where each flow is, or [`Slot::NONE`]. For the owner of the buckets alone: the vector loads
/// are not atomic, so nobody may write meanwhile.
#[inline]
pub(super) fn find_burst(buckets: &[Bucket], hashes: &[u64], found: &mut [Slot]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { find_burst_avx2(buckets, hashes, found) };
    }
    search(buckets, hashes, found, Bucket::matching);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn find_burst_avx2(buckets: &[Bucket], hashes: &[u64], found: &mut [Slot]) {
    search(buckets, hashes, found, |bucket, tag| matching_avx2(bucket, tag));
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

/// Both passes, for any way to compare. Hardly a branch: what a burst finds is not predictable.
#[inline(always)]
fn search(
    buckets: &[Bucket],
    hashes: &[u64],
    found: &mut [Slot],
    matching: impl Fn(&Bucket, u64) -> u32,
) {
    for (hashes, found) in hashes.chunks(BURST).zip(found.chunks_mut(BURST)) {
        let mut missing = [0_u8; BURST];
        let mut count = 0;
        for (i, (&hash, found)) in hashes.iter().zip(&mut *found).enumerate() {
            let tag = tag(hash);
            let bucket = first(tag, buckets.len());
            let ways = matching(&buckets[bucket], tag);
            *found = Slot::new(bucket, ways.trailing_zeros() as usize % WAYS);
            if ways == 0 {
                let bucket = second(tag, bucket, buckets.len());
                prefetch(&buckets[bucket]);
                missing[count] = i as u8; // less than BURST
                count += 1;
            }
        }
        for &i in &missing[..count] {
            let i = usize::from(i);
            let tag = tag(hashes[i]);
            let bucket = second(tag, first(tag, buckets.len()), buckets.len());
            let ways = matching(&buckets[bucket], tag);
            let slot = Slot::new(bucket, ways.trailing_zeros() as usize % WAYS);
            found[i] = if ways == 0 { Slot::NONE } else { slot };
        }
    }
}

/// Asks for a bucket's line, which arrives while something else is done.
#[inline]
pub(super) fn prefetch(bucket: &Bucket) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect but on caches, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(bucket).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bucket;
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
        let [mut vector, mut portable] = [(); 2].map(|()| vec![Slot::NONE; hashes.len()]);
        find_burst(&buckets, &hashes, &mut vector);
        search(&buckets, &hashes, &mut portable, Bucket::matching);
        assert_eq!(vector, portable);
        assert!(vector.iter().filter(|&&slot| slot != Slot::NONE).count() > 300);

        for &hash in &hashes {
            let one = first(tag(hash), buckets.len());
            let pair = [one, second(tag(hash), one, buckets.len())].map(|i| &buckets[i]);
            assert_eq!(ways(pair, tag(hash)), Ways::of(pair, tag(hash), Bucket::matching));
        }
    }
}
