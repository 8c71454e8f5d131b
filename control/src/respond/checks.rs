//! What checks of addresses say, as answers depend on it.

use std::sync::Arc;
use std::time::Duration;

use admin::{CheckStatus, Effective};
use dns::resolve::{Health, Standing};
use health::monitor::{Changes, Counters, Monitor, ProbeId, Settings};
use health::{Probe, State, Target, Timing};

use super::choice::Aim;
use crate::admin::status::describe;
use crate::clock::millis;
use crate::finding::{self, Finding, Known};
use crate::serve::alone;

/// The checks of the resolvers in force, and of those that are to be.
#[derive(Debug)]
pub(super) struct Checks {
    monitor: Monitor,
    in_force: Vec<Option<Aimed>>,
    coming: Vec<Option<Aimed>>,
    /// What an older process knew, until it is known what is to be asked.
    known: Known,
}

/// A check that runs.
#[derive(Clone, Debug)]
struct Aimed {
    id: ProbeId,
    probe: Probe,
}

impl Checks {
    /// None yet. The other half tells when verdicts change.
    pub(super) fn start(known: Vec<Finding>) -> (Self, Changes) {
        let (monitor, changes) = Monitor::start(Settings::default());
        let (in_force, coming) = <_>::default();
        (Self { monitor, in_force, coming, known: known.into_iter().collect() }, changes)
    }

    /// Asks these, too, from now on: they are to come into force.
    pub(super) fn prepare(&mut self, aims: &[Aim]) {
        let probes: Vec<_> = aims.iter().map(probe).collect();
        let running = self.in_force.iter().flatten().map(|aimed| aimed.probe.clone());
        let all = probes.iter().flatten().cloned().chain(running).collect();
        let known = std::mem::take(&mut self.known);
        let mut ids = self.monitor.set_knowing(all, |probe| known.of(probe)).into_iter();
        let mut aimed = |probe| Some(Aimed { probe, id: ids.next()? });
        self.coming = probes.into_iter().map(|probe| aimed(probe?)).collect();
    }

    /// Those that were to come are in force; those of before are not asked any more.
    pub(super) fn come_into_force(&mut self) {
        self.in_force = std::mem::take(&mut self.coming);
        self.forget_coming();
    }

    /// Those that were to come do not.
    pub(super) fn forget_coming(&mut self) {
        self.coming.clear();
        self.monitor.set(self.in_force.iter().flatten().map(|one| one.probe.clone()).collect());
    }

    /// How many of those that are to come have said nothing yet.
    pub(super) fn unknown(&self) -> usize {
        let standings = self.monitor.standings();
        let is_unknown = |aimed: &&Aimed| {
            standings.get(aimed.id).is_none_or(|standing| standing.state.is_none())
        };
        self.coming.iter().flatten().filter(is_unknown).count()
    }

    /// How each of those in force is.
    pub(super) fn health(&self) -> Health {
        let standings = self.monitor.standings();
        let one = |aimed: &Option<Aimed>| {
            let Some(Aimed { id, probe }) = aimed else { return Standing::UNCHECKED };
            standings.get(*id).map_or(Standing::UNKNOWN, |standing| said(probe, standing))
        };
        Health(self.in_force.iter().map(one).collect())
    }

    /// A check, for a status; nothing of what is not asked.
    pub(super) fn describe(&self, place: usize, now: Duration) -> Option<CheckStatus> {
        let Aimed { id, probe } = self.in_force.get(place)?.as_ref()?;
        let standing = self.monitor.standing(*id)?;
        Some(CheckStatus {
            check: describe(probe),
            state: standing.state,
            reason: standing.reason,
            since_ms: millis(now.saturating_sub(standing.since)),
            against: standing.against,
        })
    }

    /// What they have found, for another process.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let all = self.in_force.iter().flatten().map(|aimed| (aimed.id, &aimed.probe));
        finding::findings(&self.monitor, all)
    }

    /// What the monitor counts.
    pub(super) fn counters(&self) -> Counters {
        self.monitor.counters()
    }
}

fn probe(aim: &Aim) -> Option<Probe> {
    let (check, port) = aim.check.as_ref()?;
    let target = Target {
        node: Arc::from(aim.address.to_string()),
        address: aim.address,
        port: *port,
        source: None,
        preamble: None,
    };
    Some(Probe { check: check.clone(), target })
}

/// What answers are made of: whether it is up, and for how long that is so at least.
fn said(probe: &Probe, standing: &health::Standing) -> Standing {
    if standing.state.is_none() {
        return Standing::UNKNOWN;
    }
    let is_up = alone(probe, standing) == Effective::Up && standing.weight > 0;
    let until = until_change(probe.check.counting(), standing);
    Standing { is_up, ttl: u32::try_from(until.as_secs()).unwrap_or(u32::MAX) }
}

/// How long it takes at least until something else is thought of it, if all that it is asked from now on speaks
/// against that: whole intervals, as with gdnsd.
fn until_change(timing: Timing, standing: &health::Standing) -> Duration {
    let Timing { interval, fast_interval, retry_delay, .. } = timing;
    let (against, needed) = standing.against;
    let left = needed.saturating_sub(against);
    let after = match (standing.state, against) {
        (Some(State::Up), 0) if left > 1 => {
            return interval + retry_delay + fast_interval * (left - 2);
        }
        (_, 0) => interval,
        (Some(State::Up), 1) => retry_delay,
        _ => fast_interval,
    };
    after + fast_interval * left.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn an_answer_lives_until_all_that_is_missing_may_have_come() {
        let seconds = Duration::from_secs;
        let five = NonZeroU32::new(5).unwrap();
        let even = Timing {
            interval: seconds(5),
            fast_interval: seconds(5),
            retry_delay: seconds(5),
            rise: five,
            fall: five,
            ..Timing::default()
        };
        let uneven = Timing { fast_interval: seconds(1), retry_delay: seconds(2), ..even };
        for (timing, state, against, expected) in [
            (even, State::Up, (0, 5), 25),
            (even, State::Up, (1, 5), 20),
            (even, State::Up, (4, 5), 5),
            (even, State::Down, (0, 5), 25),
            (even, State::Down, (3, 5), 10),
            (uneven, State::Up, (0, 5), 10),
            (uneven, State::Up, (1, 5), 5),
            (uneven, State::Up, (2, 5), 3),
            (uneven, State::Up, (0, 1), 5),
            (uneven, State::Drain, (0, 5), 9),
            (uneven, State::Down, (1, 5), 4),
        ] {
            let standing = health::Standing {
                state: Some(state),
                admin: health::Admin::Ready,
                weight: 100,
                max_connections: None,
                reason: String::new(),
                since: Duration::ZERO,
                against,
            };
            assert_eq!(until_change(timing, &standing), seconds(expected), "{state:?} {against:?}");
        }
    }
}
