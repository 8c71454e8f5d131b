//! What is counted of frontends, pools and servers, of all cores together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use crate::admission::Admission;

/// Upper bounds of the buckets of [`Times`], in milliseconds; a last one has no bound.
pub const BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/// How often which time was seen.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

/// A histogram at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many were in each bucket of [`BOUNDS_MS`], and above.
    pub counts: Vec<u64>,
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    pub(crate) fn add(&self, time: Duration) {
        let us = time.as_micros() as u64;
        let bucket = BOUNDS_MS.iter().position(|bound| us <= bound * 1000);
        self.counts[bucket.unwrap_or(BOUNDS_MS.len())].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(crate) fn read(&self) -> Times {
        let counts = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        Times { counts, sum_us: self.sum_us.load(Relaxed) }
    }
}

/// Answers by the first digit of their status.
#[derive(Debug, Default)]
pub(crate) struct Classes([AtomicU64; 6]);

impl Classes {
    pub(crate) fn add(&self, status: StatusCode) {
        self.0[usize::from(status.as_u16() / 100).min(5)].fetch_add(1, Relaxed);
    }

    /// Of 1xx, 2xx, ...
    pub(crate) fn read(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.0[class + 1].load(Relaxed))
    }
}

/// What is counted of a frontend.
#[derive(Debug, Default)]
pub(crate) struct OfFrontend {
    /// Those that are open.
    pub(crate) admission: Arc<Admission>,
    /// Connections accepted.
    pub(crate) connections: AtomicU64,
    /// Those without a good PROXY header or TLS handshake.
    pub(crate) refused: AtomicU64,
    pub(crate) classes: Classes,
    /// From a request's header to the end of its answer.
    pub(crate) times: Histogram,
    /// Bytes of answers' bodies.
    pub(crate) bytes_out: AtomicU64,
}

/// What is counted of a pool.
#[derive(Debug, Default)]
pub(crate) struct OfPool {
    /// Tries at another server.
    pub(crate) retries: AtomicU64,
    /// Requests for which no server was usable.
    pub(crate) unserved: AtomicU64,
    /// Requests that found the queue full.
    pub(crate) queue_full: AtomicU64,
    /// Requests that waited for too long.
    pub(crate) queue_late: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_their_buckets() {
        let histogram = Histogram::default();
        for us in [0, 999, 1000, 1001, 10_000_000, 10_000_001] {
            histogram.add(Duration::from_micros(us));
        }
        let read = histogram.read();
        assert_eq!(
            (read.counts[0], read.counts[1], read.counts[12], read.counts[13]),
            (3, 1, 1, 1)
        );
        assert_eq!(read.sum_us, 20_003_001);
    }
}
