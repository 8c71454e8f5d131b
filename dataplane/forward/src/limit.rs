//! Token buckets: how often something may happen, in all and per source prefix.
//!
//! Time is passed in, in milliseconds. A bucket's unit is the part of a token that one worker gains
//! in a millisecond at a rate of one per second, so that nothing is divided or rounded.

use std::net::IpAddr;

use ahash::RandomState;

/// A rate as one of several workers has to keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    /// Units gained per millisecond.
    gain: u64,
    /// Units that a bucket holds.
    capacity: u64,
    /// Units in a token.
    token: u64,
}

impl Share {
    fn new(rate: api::Rate, workers: u32) -> Self {
        let token = 1000 * u64::from(workers.max(1));
        let gain = u64::from(rate.per_second);
        // A worker whose share of the burst is less than a token must be able to save one up.
        let capacity = if gain == 0 { 0 } else { token.max(1000 * u64::from(rate.burst)) };
        Self { gain, capacity, token }
    }
}

/// Units at some moment. What it gains later is reckoned when it is asked.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    units: u64,
    /// When `units` was right, in milliseconds.
    at: u64,
}

impl Bucket {
    fn full(share: &Share) -> Self {
        Self { units: share.capacity, at: 0 }
    }

    #[inline]
    fn units(&self, share: &Share, millis: u64) -> u64 {
        let gained = millis.saturating_sub(self.at).saturating_mul(share.gain);
        self.units.saturating_add(gained).min(share.capacity)
    }

    #[inline]
    fn take(&mut self, share: &Share, millis: u64) -> bool {
        self.units = self.units(share, millis);
        self.at = self.at.max(millis);
        match self.units.checked_sub(share.token) {
            Some(rest) => {
                self.units = rest;
                true
            }
            None => false,
        }
    }
}

/// One worker's share of a rate.
#[derive(Debug)]
pub struct Limiter {
    share: Share,
    bucket: Bucket,
}

impl Limiter {
    /// One of `workers` that keep the rate together; its bucket is full. A rate of 0 lets nothing
    /// happen, whatever its burst.
    pub fn new(rate: api::Rate, workers: u32) -> Self {
        let share = Share::new(rate, workers);
        Self { share, bucket: Bucket::full(&share) }
    }

    /// Changes the rate. If it is another one, the bucket is full again.
    pub fn set_rate(&mut self, rate: api::Rate, workers: u32) {
        if Share::new(rate, workers) != self.share {
            *self = Self::new(rate, workers);
        }
    }

    /// Whether it may happen once more, now.
    #[inline]
    pub fn take(&mut self, millis: u64) -> bool {
        self.bucket.take(&self.share, millis)
    }
}

/// One worker's share of a rate per source prefix: 24 bits of IPv4, 64 of IPv6.
///
/// It has a place for 4096 prefixes that used up some of their tokens lately; the others' buckets
/// are full, so that nothing need be known of them. A prefix that finds no place shares one bucket
/// with all that find none.
#[derive(Debug)]
pub(crate) struct SourceLimits {
    share: Share,
    sets: Box<[[Source; WAYS]]>,
    shared: Bucket,
    hasher: RandomState,
}

const SETS: usize = 1024;
/// Places that a prefix may be at.
const WAYS: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Source {
    prefix: u64,
    bucket: Bucket,
}

/// What a source was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    granted: bool,
    shared: bool,
}

impl Taken {
    /// Whether it may happen once more.
    pub(crate) fn is_granted(self) -> bool {
        self.granted
    }

    /// Whether that was decided by the bucket of those that have none of their own.
    pub(crate) fn is_shared(self) -> bool {
        self.shared
    }
}

impl SourceLimits {
    /// One of `workers` that keep the rate together; all buckets are full.
    pub(crate) fn new(rate: api::Rate, workers: u32) -> Self {
        let share = Share::new(rate, workers);
        let bucket = Bucket::full(&share);
        Self {
            share,
            sets: vec![[Source { prefix: 0, bucket }; WAYS]; SETS].into(),
            shared: bucket,
            hasher: RandomState::new(),
        }
    }

    /// Changes the rate. If it is another one, all buckets are full again.
    pub(crate) fn set_rate(&mut self, rate: api::Rate, workers: u32) {
        if Share::new(rate, workers) != self.share {
            *self = Self::new(rate, workers);
        }
    }

    /// Whether it may happen once more for this source, now.
    pub(crate) fn take(&mut self, source: IpAddr, millis: u64) -> Taken {
        let share = &self.share;
        let prefix = prefix(source);
        let set = &mut self.sets[self.hasher.hash_one(prefix) as usize % SETS];

        let own = set.iter_mut().position(|s| s.prefix == prefix);
        let place = own.or_else(|| {
            let free = set.iter().position(|s| s.bucket.units(share, millis) == share.capacity)?;
            set[free] = Source { prefix, bucket: Bucket::full(share) };
            Some(free)
        });
        match place {
            Some(place) => Taken { granted: set[place].bucket.take(share, millis), shared: false },
            None => Taken { granted: self.shared.take(share, millis), shared: true },
        }
    }
}

/// What sources are told apart by. No address of IPv6 is as low as those of IPv4 (RFC 4291
/// section 2.4 reserves 0000::/8), so that the two families do not meet.
fn prefix(source: IpAddr) -> u64 {
    match source {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests;
