//! What the site's checks say: the monitor that runs them, and the verdict of each probe by its place in
//! the site's [`Aim`].

use std::collections::HashMap;
use std::sync::Arc;

use health::Standing;
use health::monitor::{Changes, Counters, Held, Monitor, ProbeId, Settings};

use crate::admin::status::describe;
use crate::aim::Aim;
use crate::plan::Verdict;
use crate::reach::Reach;

/// The checks of the site in force.
#[derive(Debug)]
pub struct Checks {
    monitor: Monitor,
    /// Of each probe of the aim.
    ids: Vec<ProbeId>,
    places: HashMap<ProbeId, u32>,
    verdicts: Vec<Verdict>,
    /// Whether probes leave this host, and which of those through the tunnel.
    allowed: (bool, Arc<Reach>),
}

impl Checks {
    /// None yet, and held: until the dataplane is known to forward, nothing comes back through its
    /// tunnel. The other half tells when verdicts change.
    pub fn start() -> (Self, Changes) {
        let (monitor, changes) = Monitor::start(Settings::default());
        monitor.hold(Held::all_that_leave());
        let allowed = (false, Arc::default());
        let (ids, places, verdicts) = <_>::default();
        let checks = Self { monitor, ids, places, verdicts, allowed };
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

    /// Whether each probe has one that the dataplane lets through as it is now.
    pub fn all_within_reach_known(&self, aim: &Aim) -> bool {
        let (_, reach) = &self.allowed;
        let of = |(verdict, probe): (&Verdict, _)| verdict.state.is_some() || !reach.has(probe);
        self.verdicts.iter().zip(&aim.probes).all(of)
    }

    /// What is thought of the target of the probe at a place, in full.
    pub fn standing(&self, place: u32) -> Option<Standing> {
        self.monitor.standing(self.ids[place as usize])
    }

    /// Lets those probes go on that reach whom they are for; of those that leave this host none at all
    /// unless the dataplane is there: the host's own packets pass it, too.
    pub fn allow(&mut self, leave: bool, reach: Reach) {
        if (leave, &reach) == (self.allowed.0, &*self.allowed.1) {
            return;
        }
        self.allowed = (leave, Arc::new(reach));
        self.monitor.hold(match leave {
            true => {
                let reach = self.allowed.1.clone();
                Held::those(move |probe| !reach.has(probe))
            }
            false => Held::all_that_leave(),
        });
    }

    /// Whether failures of probes that leave this host count for nothing.
    pub fn forgive(&self, forgiving: bool) {
        self.monitor.forgive(forgiving);
    }

    /// How often somebody beyond this host has answered well; nothing if nobody is asked.
    pub fn answers(&self, aim: &Aim) -> Option<u64> {
        let asked = |probe: &health::Probe| probe.check.kind.leaves_this_host();
        aim.probes.iter().any(asked).then(|| self.monitor.counters().heard)
    }

    /// What the monitor counts.
    pub fn counters(&self) -> Counters {
        self.monitor.counters()
    }
}
