//! What follows from whatever has happened.

use std::time::Duration;

use tokio::time::Instant;

use super::leave::Leaving;
use super::pause::Pause;
use super::{Starting, Steer};
use crate::clock::boot;
use crate::hooks::Family;
use crate::plan::Plan;

/// How often a state file that could not be written is tried again.
const FLUSH: Duration = Duration::from_secs(5);
/// How often a link that lacks an address is looked at.
const LINKS: Duration = Duration::from_secs(2);

impl Steer {
    /// When something is to be done though nothing happened.
    pub(super) fn wake(&self) -> Option<Instant> {
        let planned = self.plan.as_ref().and_then(|(_, plan)| plan.wake);
        let planned = planned.map(|at| Instant::now() + at.saturating_sub(boot()));
        let starting = match self.starting {
            Starting::Waiting { until, .. } => Some(until),
            Starting::Alone | Starting::Over => None,
        };
        let flush = self.flush_at.filter(|_| self.store.dirty());
        let leaving = self.leaving.and_then(Leaving::wake);
        let pause = self.pause.as_ref().map(Pause::wake);
        let counting = self.census.next();
        let (routes, look) = (self.routes.wake(), self.next_look());
        let links = self.links.lack(&self.site.config, self.site.own());
        let links = links.then(|| Instant::now() + LINKS);
        let all = [planned, starting, flush, leaving, pause, counting, routes, look, links];
        all.into_iter().flatten().min()
    }

    /// Draws the conclusions from whatever has happened.
    pub(super) fn conclude(&mut self) {
        self.flush();
        self.look_for_proof();
        self.end_pause();
        // Not at each turn: the kernel is asked.
        let lacking = self.links.lack(&self.site.config, self.site.own());
        if (self.stale || lacking) && self.links.learn(&self.site.config, self.site.own()) {
            self.stale = true;
        }
        if let Starting::Waiting { until, empty } = self.starting {
            // What a dataplane was found with is left alone until then, so what it does not know yet
            // cannot be asked.
            let verdicts = match empty {
                true => self.checks.all_known(),
                false => self.checks.all_within_reach_known(&self.site.aim),
            };
            if verdicts || Instant::now() >= until {
                tracing::info!(verdicts, "the start is over");
                self.starting = Starting::Over;
                self.stale = true;
            }
        }
        let send = match self.starting {
            Starting::Alone => {
                self.leave_on();
                return self.tell_peers();
            }
            Starting::Waiting { empty, .. } => empty,
            Starting::Over => true,
        };
        let due = |(_, plan): &(_, Plan)| plan.wake.is_some_and(|at| boot() >= at);
        if self.stale || self.plan.as_ref().is_some_and(due) {
            self.stale = false;
            self.replan();
            self.tell_hooks();
            // Whoever wants the dataplane to be told again wants a new plan, too.
            if send {
                self.send();
            }
        }
        self.announce();
        self.leave_on();
        self.count();
        self.tell_peers();
    }

    /// Runs the hooks of services that came into quorum or lost it.
    fn tell_hooks(&mut self) {
        let (Starting::Over, Some((config, plan))) = (self.starting, &self.plan) else { return };
        self.hooks.retain(&config.services);
        for (service, vips) in config.services.iter().zip(&plan.services) {
            for family in Family::ALL {
                let mut all = service.vips.iter().zip(vips).filter(|(vip, _)| family.has(vip));
                if service.vips.iter().any(|vip| family.has(vip)) {
                    self.hooks.set(service, family, all.all(|(_, vip)| vip.quorum));
                }
            }
        }
    }

    /// Writes the state file if it is behind; aside, as a disk may take its time.
    fn flush(&mut self) {
        if !self.store.dirty() || self.flush_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.flush_at = Some(Instant::now() + FLUSH);
        let store = self.store.clone();
        // Whoever changed something was told; a later failure is an alarm of the status.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.flush() {
                tracing::error!(%error, "node states hold, but would not survive a restart");
            }
        });
    }
}
