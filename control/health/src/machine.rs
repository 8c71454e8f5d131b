//! From answers to a verdict: what many reports of one target to one check say.
//!
//! ```text
//!          fall x failed or refused, the last refused
//!       ┌──────────────────────────────▶ Drain
//!       │ ◀──────── rise x passed ──────── │ ▲
//!      Up                    fall x failed │ │ fall x refused
//!       │ ◀──────── rise x passed ──────── ▼ │
//!       └──────────────────────────────▶ Down
//!          fall x failed or refused, the last failed
//! ```
//!
//! Pure: reports and time come in, a [`Standing`] and the delay to the next probe go out.

use std::time::Duration;

use crate::{Admin, FallMode, Initial, Outcome, Report, Standing, State, Timing};

/// The state machine of one probe.
#[derive(Clone, Debug)]
pub struct Machine {
    timing: Timing,
    standing: Standing,
    /// Passes in a row.
    passes: u32,
    /// Failures and refusals that speak against the state.
    contrary: u32,
}

impl Machine {
    /// A machine that has seen no report. `now` is CLOCK_BOOTTIME, as everywhere here.
    pub fn new(timing: Timing, now: Duration) -> Self {
        let state = match timing.initial {
            Initial::FirstCheck => None,
            Initial::Up => Some(State::Up),
            Initial::Down => Some(State::Down),
        };
        Self::resume(
            timing,
            Standing {
                state,
                admin: Admin::Ready,
                weight: 100,
                max_connections: None,
                reason: "not asked yet".to_owned(),
                since: now,
                against: (0, 1),
            },
        )
    }

    /// A machine that goes on from what was thought of the target before, but counts anew.
    pub fn resume(timing: Timing, standing: Standing) -> Self {
        let mut machine = Self { timing, standing, passes: 0, contrary: 0 };
        machine.standing.against = machine.against();
        machine
    }

    /// What is thought of the target.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Takes in a report. Says whether anything but the reason changed.
    pub fn observe(&mut self, report: &Report, now: Duration) -> bool {
        let state = self.judge(report.outcome);
        let admin = report.admin.unwrap_or(self.standing.admin);
        let weight = report.weight.unwrap_or(self.standing.weight);

        let limit = report.max_connections.or(self.standing.max_connections);

        let Standing { state: was, admin: old_admin, weight: old_weight, max_connections, .. } =
            self.standing;
        let changed =
            (was, old_admin, old_weight, max_connections) != (state, admin, weight, limit);
        if was != state {
            self.contrary = 0;
        }
        if changed {
            self.standing.since = now;
        }
        (self.standing.state, self.standing.admin) = (state, admin);
        (self.standing.weight, self.standing.max_connections) = (weight, limit);
        self.standing.against = self.against();
        // Answers repeat themselves: mostly there is nothing to copy.
        if self.standing.reason != report.reason {
            self.standing.reason.clone_from(&report.reason);
        }
        changed
    }

    /// Delay from the start of the last probe to the start of the next.
    pub fn next_in(&self) -> Duration {
        match self.standing.state {
            None => self.timing.interval,
            Some(State::Up) => match (self.passes, self.contrary) {
                // One pass in between, and cumulative failures are not about to change anything.
                (1.., _) | (0, 0) => self.timing.interval,
                (0, 1) => self.timing.retry_delay,
                (0, 2..) => self.timing.fast_interval,
            },
            Some(State::Drain | State::Down) => match (self.passes, self.contrary) {
                (0, 0) => self.timing.interval,
                (1.., _) | (0, 1..) => self.timing.fast_interval,
            },
        }
    }

    /// Counts an outcome; the state that follows.
    fn judge(&mut self, outcome: Outcome) -> Option<State> {
        let verdict = match outcome {
            Outcome::Passed => State::Up,
            Outcome::Refused => State::Drain,
            Outcome::Failed => State::Down,
            // An agent has no say until it speaks, and must not hold up the start.
            Outcome::Silent => return self.standing.state.or(Some(State::Up)),
            Outcome::Unasked => return self.standing.state,
        };
        let Some(state) = self.standing.state else {
            self.passes = u32::from(verdict == State::Up);
            return Some(verdict);
        };
        match verdict {
            State::Up => {
                self.passes = self.passes.saturating_add(1);
                let forgets = match self.timing.fall_mode {
                    FallMode::Consecutive => true,
                    FallMode::Cumulative { clear_after } => self.passes >= clear_after.get(),
                };
                if forgets {
                    self.contrary = 0;
                }
                if self.passes >= self.timing.rise.get() {
                    return Some(State::Up);
                }
            }
            State::Drain | State::Down => {
                self.passes = 0;
                self.contrary = if verdict == state { 0 } else { self.contrary.saturating_add(1) };
                if self.contrary >= self.timing.fall.get() {
                    return Some(verdict);
                }
            }
        }
        Some(state)
    }

    /// The count that is shown: that of the change which is under way.
    fn against(&self) -> (u32, u32) {
        let (rise, fall) = (self.timing.rise.get(), self.timing.fall.get());
        match self.standing.state {
            None => (0, 1),
            Some(State::Up) => (self.contrary, fall),
            Some(State::Drain | State::Down) if self.passes == 0 && self.contrary > 0 => {
                (self.contrary, fall)
            }
            Some(State::Drain | State::Down) => (self.passes, rise),
        }
    }
}

#[cfg(test)]
mod tests;
