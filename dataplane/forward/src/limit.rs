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
pub(crate) struct Limiter {
    share: Share,
    bucket: Bucket,
}

impl Limiter {
    /// One of `workers` that keep the rate together; its bucket is full. A rate of 0 lets nothing
    /// happen, whatever its burst.
    pub(crate) fn new(rate: api::Rate, workers: u32) -> Self {
        let share = Share::new(rate, workers);
        Self { share, bucket: Bucket::full(&share) }
    }

    /// Changes the rate. If it is another one, the bucket is full again.
    pub(crate) fn set_rate(&mut self, rate: api::Rate, workers: u32) {
        if Share::new(rate, workers) != self.share {
            *self = Self::new(rate, workers);
        }
    }

    /// Whether it may happen once more, now.
    #[inline]
    pub(crate) fn take(&mut self, millis: u64) -> bool {
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
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn rate(per_second: u32, burst: u32) -> api::Rate {
        api::Rate { per_second, burst }
    }

    /// How often a limiter lets it happen at one moment.
    fn at_once(limiter: &mut Limiter, millis: u64) -> usize {
        (0..1_000_000).take_while(|_| limiter.take(millis)).count()
    }

    #[test]
    fn the_burst_may_come_at_once_and_then_the_rate() {
        let mut limiter = Limiter::new(rate(100, 7), 1);
        assert_eq!(at_once(&mut limiter, 5_000), 7);
        assert_eq!(at_once(&mut limiter, 5_009), 0);
        assert_eq!(at_once(&mut limiter, 5_010), 1);
        assert_eq!(at_once(&mut limiter, 5_060), 5);
        assert_eq!(at_once(&mut limiter, 6_060), 7, "no more than the burst is saved up");
    }

    #[test]
    fn over_a_long_time_no_token_is_lost_to_rounding() {
        for (per_second, workers) in [(7, 1), (1_000, 3), (333, 7), (1, 1), (200_000, 1)] {
            let mut limiter = Limiter::new(rate(per_second, 10_000), workers);
            at_once(&mut limiter, 0);
            let seconds = 60;
            let granted: usize =
                (1..=seconds * 1_000).map(|millis| at_once(&mut limiter, millis)).sum();
            let expected = u64::from(per_second) * seconds / u64::from(workers);
            assert_eq!(granted as u64, expected, "{per_second} per second, {workers} workers");
        }
    }

    #[test]
    fn workers_share_rate_and_burst() {
        let mut limiter = Limiter::new(rate(1_000, 100), 4);
        assert_eq!(at_once(&mut limiter, 0), 25);
        assert_eq!(at_once(&mut limiter, 20), 5);
    }

    #[test]
    fn a_share_of_less_than_one_is_saved_up() {
        let mut limiter = Limiter::new(rate(2, 1), 16);
        assert_eq!(at_once(&mut limiter, 0), 1);
        assert_eq!(at_once(&mut limiter, 7_999), 0);
        assert_eq!(at_once(&mut limiter, 8_000), 1);
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_happen() {
        let mut limiter = Limiter::new(rate(0, 1_000), 1);
        assert_eq!(at_once(&mut limiter, 0), 0);
        assert_eq!(at_once(&mut limiter, u64::MAX), 0);
        let mut sources = SourceLimits::new(rate(0, 1_000), 1);
        assert!(!sources.take(v4(1), u64::MAX).is_granted());
    }

    #[test]
    fn the_longest_gap_and_the_largest_rate_do_not_overflow() {
        let mut limiter = Limiter::new(rate(u32::MAX, u32::MAX), u32::MAX);
        assert_eq!(at_once(&mut limiter, 0), 1);
        assert_eq!(at_once(&mut limiter, u64::MAX), 1);
        let mut limiter = Limiter::new(rate(u32::MAX, 3), 1);
        assert_eq!(at_once(&mut limiter, u64::MAX), 3);
        assert_eq!(at_once(&mut limiter, u64::MAX), 0);
    }

    #[test]
    fn time_that_goes_back_gives_nothing() {
        let mut limiter = Limiter::new(rate(1_000, 5), 1);
        assert_eq!(at_once(&mut limiter, 10_000), 5);
        assert_eq!(at_once(&mut limiter, 9_000), 0);
        assert_eq!(at_once(&mut limiter, 10_000), 0);
        assert_eq!(at_once(&mut limiter, 10_001), 1);
    }

    #[test]
    fn only_another_rate_fills_the_bucket_again() {
        let mut limiter = Limiter::new(rate(1, 5), 1);
        at_once(&mut limiter, 0);
        limiter.set_rate(rate(1, 5), 1);
        assert_eq!(at_once(&mut limiter, 0), 0);
        limiter.set_rate(rate(1, 6), 1);
        assert_eq!(at_once(&mut limiter, 0), 6);

        let mut sources = SourceLimits::new(rate(1, 1), 1);
        assert!(sources.take(v4(1), 0).is_granted());
        sources.set_rate(rate(1, 1), 1);
        assert!(!sources.take(v4(1), 0).is_granted());
        sources.set_rate(rate(2, 1), 1);
        assert!(sources.take(v4(1), 0).is_granted());
    }

    /// An address in the `n`th prefix of 24 bits, from 203.0.0.0 on.
    fn v4(n: u32) -> IpAddr {
        Ipv4Addr::from_bits((203 << 24) + (n << 8) + n % 251).into()
    }

    fn v6(text: &str) -> IpAddr {
        text.parse::<Ipv6Addr>().unwrap().into()
    }

    #[test]
    fn sources_of_one_prefix_share_its_bucket_and_others_have_their_own() {
        let mut limits = SourceLimits::new(rate(1, 2), 1);
        let mut take = |source| limits.take(source, 0).is_granted();
        let [a, b, c] = ["192.0.2.1", "192.0.2.255", "192.0.3.1"].map(|a| a.parse().unwrap());
        assert!(take(a) && take(b) && !take(a) && !take(b));
        assert!(take(c));
        let [a, b, c] = ["2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"].map(v6);
        assert!(take(a) && take(b) && !take(a) && !take(b));
        assert!(take(c));
    }

    #[test]
    fn sources_without_a_place_share_a_bucket_and_it_is_told() {
        let mut limits = SourceLimits::new(rate(1, 3), 1);
        let taken: Vec<Taken> = (0..20_000).map(|n| limits.take(v4(n), 0)).collect();
        let own = taken.iter().filter(|t| !t.is_shared()).count();
        assert!((3_800..=SETS * WAYS).contains(&own), "{own}");
        assert!(taken.iter().all(|t| t.is_shared() || t.is_granted()));
        let shared = taken.iter().filter(|t| t.is_shared() && t.is_granted()).count();
        assert_eq!(shared, 3);
    }

    #[test]
    fn a_place_is_free_again_once_its_bucket_is_full() {
        let mut limits = SourceLimits::new(rate(1, 3), 1);
        for n in 0..20_000 {
            limits.take(v4(n), 0);
        }
        // A token a second: at 1000 ms all are full again that were asked once.
        let later = (20_000..20_004).map(|n| limits.take(v4(n), 1_000));
        assert!(later.into_iter().all(|t| t.is_granted() && !t.is_shared()));
    }

    #[test]
    fn a_prefix_that_is_above_its_limit_keeps_its_place() {
        let mut limits = SourceLimits::new(rate(1, 3), 1);
        let flood = v4(0);
        for millis in 0..900 {
            limits.take(flood, millis);
            limits.take(v4(1 + millis as u32 * 7), millis);
        }
        let refused = limits.take(flood, 900);
        assert!(!refused.is_granted() && !refused.is_shared());
    }
}
