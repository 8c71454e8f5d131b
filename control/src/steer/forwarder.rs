//! What the dataplane says, what follows for it, and what it is sent.

use std::sync::Arc;

use api::{Greeting, InForce, Snapshot};
use tokio::time::Instant;

use super::{Starting, Steer};
use crate::clock::boot;
use crate::dataplane::link::{self, Wanted};
use crate::dataplane::watchdog::Pulse;
use crate::neighbors;
use crate::plan::{Before, Known, Plan, Verdict};
use crate::reach::Reach;
use crate::reload;

/// What is known of the dataplane.
#[derive(Debug, Default)]
pub(super) struct Dataplane {
    pub(super) greeting: Option<Greeting>,
    pub(super) key_fingerprint: Option<String>,
    /// What it has, as far as it said.
    pub(super) in_force: Option<Arc<Snapshot>>,
    /// What it was last sent.
    pub(super) wanted: Option<Arc<Snapshot>>,
    pub(super) force: bool,
    /// The first one that was found had something already: it forwarded while there was no control.
    pub(super) resumed: bool,
    pub(super) refused: Vec<String>,
    /// What it has is of this control.
    pub(super) follows: bool,
    pub(super) lost: Option<String>,
}

impl Steer {
    pub(super) fn linked(&mut self, event: link::Event) {
        match event {
            link::Event::Found(greeting, found) => self.found(greeting, found),
            link::Event::Applied(snapshot, key_fingerprint) => {
                let generation = snapshot.generation;
                tracing::info!(generation, "in force");
                self.dataplane.key_fingerprint = Some(key_fingerprint);
                self.dataplane.in_force = Some(snapshot);
                self.dataplane.follows = true;
                self.dataplane.refused.clear();
                if self.is_last(generation) {
                    self.building.send_replace(false);
                    self.dataplane.force = false;
                }
            }
            link::Event::Refused(generation, reasons) => {
                if self.is_last(generation) {
                    self.building.send_replace(false);
                }
                tracing::error!(generation, ?reasons, "the dataplane refused the Snapshot");
                self.counters.snapshots_refused += 1;
                self.dataplane.refused = reasons;
            }
            link::Event::Lost(why) => {
                self.building.send_replace(false);
                if self.pausing() {
                    tracing::info!(%why, "the dataplane has ended");
                } else {
                    tracing::error!(%why, "the dataplane does not answer; it is tried again all the time");
                    self.counters.dataplane_lost += 1;
                }
                self.dataplane.lost = Some(why.to_string());
            }
        }
        self.allow_probes();
    }

    /// Whether nothing newer than this generation is on its way to the dataplane.
    fn is_last(&self, generation: u64) -> bool {
        let wanted = self.dataplane.wanted.as_deref();
        wanted.is_none_or(|wanted| wanted.generation == generation)
    }

    /// Holds the probes for as long as the dataplane is away: as its link says, or as its watchdog
    /// says, for either may notice what the other does not. And those through its tunnel until it
    /// knows their nodes and VIPs as the site file does.
    pub(super) fn allow_probes(&mut self) {
        let silent = matches!(*self.pulse.borrow(), Pulse::Silent(_));
        let reach = Reach::of(self.dataplane.in_force.as_deref(), &self.site.config.l7);
        self.checks.allow(!silent && self.dataplane.lost.is_none(), reach);
    }

    pub(super) fn found(&mut self, greeting: Greeting, found: Option<Box<InForce>>) {
        let started_ms = greeting.started_ms;
        tracing::info!(
            program = greeting.program,
            generation = found.as_ref().map(|found| found.generation),
            "the dataplane answers"
        );
        self.dataplane.lost = None;
        let last = self.dataplane.greeting.replace(greeting).map(|last| last.started_ms);
        if last.is_some_and(|last| last != started_ms) {
            // A new process, which has read the file as it is now.
            self.dataplane_started_with = self.site.config.clone();
            self.ask_for_proof();
            if !self.pausing() {
                self.lost.presume(&self.bfd.borrow());
            }
        }
        self.dataplane.key_fingerprint = found.as_ref().map(|found| found.key_fingerprint.clone());
        let snapshot = found.map(|found| Arc::new(found.snapshot));
        if self.starting == Starting::Alone {
            let until = Instant::now() + self.site.config.site.times.startup_limit;
            self.starting = Starting::Waiting { until, empty: snapshot.is_none() };
            self.dataplane.resumed = snapshot.is_some();
            let reused = reload::reused(&self.site, snapshot.as_deref());
            for reason in reused {
                tracing::error!(reason, "the site file contradicts what the dataplane has");
            }
        } else if let (Starting::Waiting { empty, .. }, None) = (&mut self.starting, &snapshot) {
            // One with nothing took the place of one that was to be left alone.
            *empty = true;
        }
        self.stale = true;
        self.dataplane.in_force = snapshot;
        // Whatever it has, it gets what is wanted, under a generation above its own.
        self.dataplane.wanted = None;
        self.dataplane.follows = false;
    }

    pub(super) fn replan(&mut self) {
        let unasked;
        let verdicts = match self.starting {
            Starting::Over => self.checks.verdicts(),
            Starting::Alone | Starting::Waiting { .. } => {
                unasked = vec![Verdict::NONE; self.checks.verdicts().len()];
                &unasked
            }
        };
        let states = self.store.states();
        let known = Known {
            config: &self.site.config,
            own: self.site.own(),
            aim: &self.site.aim,
            verdicts,
            states: &states,
            now: boot(),
        };
        let before = match (&self.plan, &self.dataplane.in_force) {
            (Some((config, plan)), _) => Before::planned(config, plan),
            (None, Some(found)) => Before::found(found),
            (None, None) => Before::nothing(),
        };
        let mut plan = Plan::of(&known, &before);
        plan.snapshot.bfd = neighbors::watched(&self.site.config, self.site.own(), &self.links);
        self.counters.plans += 1;
        self.plan = Some((self.site.config.clone(), plan));
    }

    /// Sends the plan's Snapshot if it is another than the last.
    pub(super) fn send(&mut self) {
        let Some((_, plan)) = &mut self.plan else { return };
        let Dataplane { wanted, in_force, .. } = &self.dataplane;
        let same =
            |last: &Snapshot| last.generation == plan.snapshot.generation && *last == plan.snapshot;
        if wanted.as_deref().is_some_and(same) {
            return;
        }
        let above = in_force.as_ref().map_or(0, |snapshot| snapshot.generation);
        plan.snapshot.generation = plan.snapshot.generation.max(above) + 1;
        let snapshot = Arc::new(plan.snapshot.clone());
        self.dataplane.wanted = Some(snapshot.clone());
        self.counters.snapshots_sent += 1;
        self.building.send_replace(true);
        self.link.send_replace(Some(Wanted { snapshot, force: self.dataplane.force }));
    }

    /// What the dataplane has, or was last sent.
    pub(super) fn in_force(&self) -> Option<&Snapshot> {
        self.dataplane.wanted.as_deref().or(self.dataplane.in_force.as_deref())
    }
}
