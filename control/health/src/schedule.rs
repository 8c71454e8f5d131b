//! Which probe is due when. Pure: instants and random numbers come in.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// Over how long first probes are spread, at most.
const FIRST_SPREAD: Duration = Duration::from_secs(1);

/// As many start within a few milliseconds without anybody noticing.
const FEW: usize = 50;

/// By how much an interval is shortened or lengthened, of itself. Nodes that started together drift
/// apart, and their probes with them.
const JITTER: f64 = 0.03;

/// Who is due when. The longest overdue comes first, so none waits for ever where there is not time
/// enough for all.
#[derive(Debug)]
pub(crate) struct Schedule<T>(BTreeSet<(Instant, T)>);

impl<T: Copy + Ord> Schedule<T> {
    pub(crate) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn add(&mut self, who: T, due: Instant) {
        self.0.insert((due, who));
    }

    /// Takes out who was added with this very instant.
    pub(crate) fn remove(&mut self, who: T, due: Instant) {
        self.0.remove(&(due, who));
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(due, _)| *due)
    }

    /// Takes out who is due, if anyone is.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        if self.next()? <= now { self.0.pop_first() } else { None }
    }
}

/// How long the first of so many new probes waits: next to nothing, but thousands do not start in the
/// same millisecond. `random` is in `0.0..1.0`.
pub(crate) fn first_delay(new: usize, interval: Duration, random: f64) -> Duration {
    let spread = if new < FEW { Duration::from_millis(new as u64) } else { FIRST_SPREAD };
    spread.min(interval).mul_f64(random)
}

/// A start of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// When it was due.
    pub(crate) due: Instant,
    /// When it came.
    pub(crate) started: Instant,
}

/// When a probe starts again: `delay` after it was due, not after it was started, so that a busy moment
/// does not shift the rest. But what was missed is not made up for: half of the delay remains at least,
/// unless the probe itself took longer. `random` is in `0.0..1.0`.
pub(crate) fn next_start(last: Start, delay: Duration, ended: Instant, random: f64) -> Instant {
    let delay = delay.mul_f64(1.0 + JITTER * (2.0 * random - 1.0));
    (last.due + delay).max(last.started + delay / 2).max(ended)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_longest_overdue_comes_first() {
        let start = Instant::now();
        let mut schedule = Schedule::new();
        for (who, due) in [('c', 30), ('a', 10), ('b', 20)] {
            schedule.add(who, start + ms(due));
        }
        assert_eq!(schedule.next(), Some(start + ms(10)));
        assert_eq!(schedule.take_due(start + ms(9)), None);
        assert_eq!(schedule.take_due(start + ms(25)), Some((start + ms(10), 'a')));
        assert_eq!(schedule.take_due(start + ms(25)), Some((start + ms(20), 'b')));
        assert_eq!(schedule.take_due(start + ms(25)), None);
        schedule.remove('c', start + ms(30));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn few_first_probes_start_at_once_and_many_within_a_second() {
        let almost = 1.0 - f64::EPSILON;
        assert!(first_delay(1, ms(2000), almost) <= ms(1));
        assert!(first_delay(49, ms(2000), almost) <= ms(49));
        assert_eq!(first_delay(50, ms(2000), 0.5), ms(500));
        assert_eq!(first_delay(100_000, ms(60_000), 0.5), ms(500));
        assert_eq!(first_delay(100_000, ms(100), 0.5), ms(50));
    }

    #[test]
    fn a_long_probe_is_followed_at_once_and_nothing_is_made_up_for() {
        let due = Instant::now();
        let last = Start { due, started: due + ms(10) };
        assert_eq!(next_start(last, ms(100), due + ms(20), 0.5), due + ms(100));
        assert_eq!(next_start(last, ms(100), due + ms(950), 0.5), due + ms(950));
    }

    #[test]
    fn after_a_late_start_the_next_comes_earlier_but_not_at_once() {
        let due = Instant::now();
        let after = |late| {
            let started = due + ms(late);
            next_start(Start { due, started }, ms(100), started + ms(1), 0.5) - started
        };
        assert_eq!(after(30), ms(70));
        assert_eq!(after(80), ms(50));
        assert_eq!(after(60_000), ms(50));
    }

    proptest! {
        #[test]
        fn intervals_vary_by_a_few_percent_and_not_on_average(delay in 1..100_000u64, random in 0.0..1.0f64) {
            let due = Instant::now();
            let last = Start { due, started: due };
            let after = |random| (next_start(last, ms(delay), due, random) - due).as_secs_f64();
            let exact = ms(delay).as_secs_f64();
            prop_assert!((after(random) / exact - 1.0).abs() <= JITTER + 1e-6);
            prop_assert!((after(random) + after(1.0 - random) - 2.0 * exact).abs() < 1e-6);
        }
    }
}
