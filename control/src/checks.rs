//! What the site's checks say: the monitor that runs them, and the verdict of each probe by its place in
//! the site's [`Aim`].

use std::collections::HashMap;

use health::Standing;
use health::monitor::{Changes, Counters, Monitor, ProbeId, Settings};

use crate::admin::status::describe;
use crate::aim::Aim;
use crate::plan::Verdict;

/// The checks of the site in force.
#[derive(Debug)]
pub struct Checks {
    monitor: Monitor,
    /// Of each probe of the aim.
    ids: Vec<ProbeId>,
    places: HashMap<ProbeId, u32>,
    verdicts: Vec<Verdict>,
}

impl Checks {
    /// None yet, and held: until the dataplane is known to forward, nothing comes back through its
    /// tunnel. The other half tells when verdicts change.
    pub fn start() -> (Self, Changes) {
        let (monitor, changes) = Monitor::start(Settings::default());
        monitor.freeze(true);
        let checks =
            Self { monitor, ids: Vec::new(), places: HashMap::new(), verdicts: Vec::new() };
        (checks, changes)
    }

    /// Asks what this aim asks, from now on. What is known already of the same probes stays.
    pub fn aim(&mut self, aim: &Aim) {
        let known: HashMap<ProbeId, Verdict> =
            self.ids.iter().copied().zip(self.verdicts.iter().copied()).collect();
        self.ids = self.monitor.set(aim.probes.clone());
        self.places = self.ids.iter().copied().zip(0..).collect();
        let verdict = |id| known.get(id).copied().unwrap_or(Verdict::NONE);
        self.verdicts = self.ids.iter().map(verdict).collect();
        let all = self.ids.clone();
        self.read(&all, aim);
    }

    /// Reads what the monitor thinks of these; whether a verdict is another than before.
    pub fn read(&mut self, ids: &[ProbeId], aim: &Aim) -> bool {
        let mut news = false;
        let standings = self.monitor.standings();
        for id in ids {
            let Some(&place) = self.places.get(id) else { continue };
            let Some(standing) = standings.get(*id) else { continue };
            let Standing { state, admin, weight, .. } = *standing;
            let verdict = Verdict { state, admin, weight };
            if std::mem::replace(&mut self.verdicts[place as usize], verdict) == verdict {
                continue;
            }
            news = true;
            let probe = &aim.probes[place as usize];
            tracing::info!(
                node = %probe.target.node,
                check = describe(probe),
                ?state,
                ?admin,
                weight,
                reason = standing.reason,
                "verdict"
            );
        }
        news
    }

    /// Of each probe, by place.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Whether each probe has one.
    pub fn all_known(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.state.is_some())
    }

    /// What is thought of the target of the probe at a place, in full.
    pub fn standing(&self, place: u32) -> Option<Standing> {
        self.monitor.standing(self.ids[place as usize])
    }

    /// Holds the probes that leave this host, or lets them go on.
    pub fn hold(&self, hold: bool) {
        self.monitor.freeze(hold);
    }

    /// What the monitor counts.
    pub fn counters(&self) -> Counters {
        self.monitor.counters()
    }
}
