//! Pauses between attempts: each is about twice as long as the one before, up to a limit.

use std::time::Duration;

/// Longest pause, unless the first is longer.
const LIMIT: Duration = Duration::from_secs(60);

/// The pauses of one neighbor.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    next: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(first: Duration, random: fastrand::Rng) -> Self {
        Self { first, next: first, random }
    }

    /// The pause that is due, 75 to 100 % of it (RFC 4271 10): neighbors that fail together do not
    /// come back together.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LIMIT.max(self.first));
        jittered(pause, &mut self.random)
    }

    /// Something went well: begins anew.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// 75 to 100 % of a time (RFC 4271 10).
pub(crate) fn jittered(time: Duration, random: &mut fastrand::Rng) -> Duration {
    time.mul_f64(0.75 + 0.25 * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), fastrand::Rng::with_seed(7));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (pause, due) = (backoff.next(), Duration::from_secs(seconds));
            assert!(due * 3 / 4 <= pause && pause <= due, "{pause:?} of {due:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }

    #[test]
    fn a_first_pause_beyond_the_limit_stays_as_it_is() {
        let mut backoff = Backoff::new(Duration::from_secs(300), fastrand::Rng::with_seed(7));
        for _ in 0..3 {
            assert!(backoff.next() >= Duration::from_secs(225));
        }
    }
}
