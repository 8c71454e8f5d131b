//! Requests, counted: those that failed, and apart those that had to.

use std::fmt;

use crate::histogram::Histogram;
use crate::load::Seen;
use crate::script::Script;

/// Requests of some time.
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// Failed, and should not have.
    pub(crate) failed: u64,
    /// Failed on connections to a node that was cut off: nobody can save those.
    pub(crate) apart: u64,
    latency: Histogram,
    /// What went wrong first.
    pub(crate) failure: Option<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { answered: 0, failed: 0, apart: 0, latency: Histogram::new(), failure: None }
    }
}

impl Tally {
    /// What the clients saw, judged by what has happened.
    pub(crate) fn of(seen: Seen, script: &Script) -> Self {
        let Seen { answered, latency, failures } = seen;
        let mut tally = Self { answered, latency, ..Self::default() };
        for failure in failures {
            if failure.client.is_some_and(|client| script.had_to_break(client)) {
                tally.apart += 1;
            } else {
                tally.failed += 1;
                let client = failure.client.map_or_else(String::new, |c| format!("{c}: "));
                tally.failure.get_or_insert(client + &failure.why);
            }
        }
        tally
    }

    pub(crate) fn merge(&mut self, later: Self) {
        self.answered += later.answered;
        self.failed += later.failed;
        self.apart += later.apart;
        self.latency.merge(&later.latency);
        self.failure = self.failure.take().or(later.failure);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |percent| {
            let latency = self.latency.percentile(percent);
            latency.map_or_else(|| "-".into(), |ms| format!("{ms:.2} ms"))
        };
        let Self { answered, failed, apart, .. } = self;
        write!(f, "{answered} requests answered, {failed} failed")?;
        if *apart > 0 {
            write!(f, " (and {apart} to a node as it was cut off)")?;
        }
        write!(f, ", latency p50 {}, p99 {}", milliseconds(50), milliseconds(99))
    }
}
