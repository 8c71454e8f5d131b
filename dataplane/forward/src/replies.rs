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
