use std::net::IpAddr;

use crate::counters::{Counter, Counters};
use crate::limit::{Limiter, SourceLimits};

/// How much this node answers itself: in all, and to one source prefix.
pub(crate) struct Replies {
    all: Limiter,
    sources: SourceLimits,
    workers: u32,
}

impl Replies {
    pub(crate) fn new(workers: u32) -> Self {
        let api::Limits { icmp, icmp_source, .. } = api::Limits::default();
        let sources = SourceLimits::new(icmp_source, workers);
        Self { all: Limiter::new(icmp, workers), sources, workers }
    }

    pub(crate) fn limit(&mut self, limits: &api::Limits) {
        self.all.set_rate(limits.icmp, self.workers);
        self.sources.set_rate(limits.icmp_source, self.workers);
    }

    /// Whether one more packet of this source may be answered.
    pub(crate) fn take(&mut self, source: IpAddr, millis: u64, counters: &Counters) -> bool {
        let of_source = self.sources.take(source, millis);
        if of_source.is_shared() {
            counters.add(Counter::SourceTableFull, 1);
        }
        // The source first: one that is above its limit does not use up what is for all.
        of_source.is_granted() && self.all.take(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: (u32, u32), source: (u32, u32)) -> api::Limits {
        let rate = |(per_second, burst)| api::Rate { per_second, burst };
        api::Limits { icmp: rate(all), icmp_source: rate(source), ..api::Limits::default() }
    }

    /// How many of `n` packets of a source are answered.
    fn answered(replies: &mut Replies, source: &str, n: usize, millis: u64) -> usize {
        let counters = Counters::new();
        let source = source.parse().unwrap();
        (0..n).filter(|_| replies.take(source, millis, &counters)).count()
    }

    #[test]
    fn a_source_above_its_limit_does_not_use_up_what_is_for_all() {
        let mut replies = Replies::new(1);
        replies.limit(&limits((10, 10), (10, 3)));
        assert_eq!(answered(&mut replies, "203.0.113.1", 1000, 0), 3);
        assert_eq!(answered(&mut replies, "203.0.114.1", 1000, 0), 3);
        assert_eq!(answered(&mut replies, "2001:db8::1", 1000, 0), 3);
        assert_eq!(answered(&mut replies, "203.0.115.1", 1000, 0), 1);
        assert_eq!(answered(&mut replies, "203.0.113.1", 1000, 100), 1);
    }

    #[test]
    fn workers_share_both_limits() {
        let mut replies = Replies::new(2);
        replies.limit(&limits((100, 12), (100, 8)));
        assert_eq!(answered(&mut replies, "203.0.113.1", 1000, 0), 4);
        assert_eq!(answered(&mut replies, "203.0.114.1", 1000, 0), 2);
    }

    #[test]
    fn a_snapshot_that_does_not_change_the_limits_gives_none_anew() {
        let mut replies = Replies::new(1);
        let limits = limits((10, 10), (10, 3));
        replies.limit(&limits);
        assert_eq!(answered(&mut replies, "203.0.113.1", 5, 0), 3);
        replies.limit(&limits);
        assert_eq!(answered(&mut replies, "203.0.113.1", 5, 0), 0);
    }

    #[test]
    fn sources_without_a_limit_of_their_own_are_counted() {
        let mut replies = Replies::new(1);
        replies.limit(&limits((1_000_000, 1_000_000), (1, 2)));
        let counters = Counters::new();
        for prefix in 0..20_000_u32 {
            replies.take(IpAddr::from((prefix << 8).to_be_bytes()), 0, &counters);
        }
        assert!(counters.get(Counter::SourceTableFull) > 10_000);
    }
}
