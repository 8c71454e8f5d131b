//! Finding a burst's flows: the first bucket of each in a first pass, the second bucket of those
//! not found, prefetched by then, in a second one.

#![expect(unsafe_code, reason = "vector loads of a bucket's tags, run-time dispatch, prefetch")]

use crate::BURST;

use super::bucket::{Bucket, Slot, first, second, tag};

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
    use std::arch::x86_64::*;
    search(buckets, hashes, found, |bucket, tag| {
        // SAFETY: a bucket begins with its four tags, 32 bytes, and is aligned to 64. The owner,
        // who alone writes, is in here.
        let tags = unsafe { _mm256_load_si256(bucket.tags().as_ptr().cast()) };
        let equal = _mm256_cmpeq_epi64(tags, _mm256_set1_epi64x(tag as i64));
        _mm256_movemask_pd(_mm256_castsi256_pd(equal)) as u32
    });
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
        let mut missing = [(0, 0); BURST];
        let mut count = 0;

        for (i, (&hash, found)) in hashes.iter().zip(&mut *found).enumerate() {
            let tag = tag(hash);
            let bucket = first(tag, buckets.len());
            let ways = matching(&buckets[bucket], tag);
            *found = Slot::new(bucket, ways.trailing_zeros() as usize % 4);
            if ways == 0 {
                let bucket = second(tag, bucket, buckets.len());
                prefetch(&buckets[bucket]);
                missing[count] = (i, bucket);
                count += 1;
            }
        }

        for &(i, bucket) in &missing[..count] {
            let ways = matching(&buckets[bucket], tag(hashes[i]));
            found[i] = match ways {
                0 => Slot::NONE,
                _ => Slot::new(bucket, ways.trailing_zeros() as usize),
            };
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
