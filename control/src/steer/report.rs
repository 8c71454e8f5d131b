//! What the loop knows, for the status.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use admin::{DataplaneStatus, PeerStatus, States, Table, Tables};
use api::{Prefix, State};
use health::{Admin, Standing};

use super::{Counters, Starting, Steer};
use crate::admin::status::View;
use crate::clock::boot;
use crate::dataplane::watchdog::Pulse;
use crate::gate::Gate;
use crate::peers::Peers;

impl Steer {
    pub(super) fn view<'a>(&'a self, standing: &'a dyn Fn(u32) -> Option<Standing>) -> View<'a> {
        View {
            site: &self.site,
            path: self.path.display().to_string(),
            refused: self.refused.clone(),
            restart_needed: self.restart_needed(),
            routers: self.router_status(),
            // A site that was loaded a moment ago has no plan yet.
            plan: self
                .plan
                .as_ref()
                .filter(|(config, _)| std::sync::Arc::ptr_eq(config, &self.site.config))
                .map(|(_, plan)| plan),
            standing,
            states: self.store.states(),
            gate: self.gate(),
            served: self.served(),
            dataplane: self.dataplane_status(),
            alarms: self.alarms(),
            peers: &|_| (),
            counters: self.counters(),
            now: boot(),
            started: self.started,
        }
    }

    /// Services and VIPs that the dataplane has. To announce others would send packets to where nobody
    /// takes them.
    pub(super) fn served(&self) -> HashSet<(&str, Prefix)> {
        let services = self.believed().into_iter().flat_map(|snapshot| &snapshot.services);
        services.flat_map(|s| s.vips.iter().map(|&vip| (s.name.as_str(), vip))).collect()
    }

    fn dataplane_status(&self) -> DataplaneStatus {
        let pulse = self.pulse.borrow();
        let (forwards, reason, heartbeat_ms) = match &*pulse {
            Pulse::Beats(oldest) => (true, None, Some(*oldest)),
            Pulse::Silent(why) => (false, Some(why.clone()), None),
        };
        let generation = |snapshot: &Option<std::sync::Arc<api::Snapshot>>| {
            snapshot.as_ref().map(|snapshot| snapshot.generation)
        };
        DataplaneStatus {
            connected: self.dataplane.greeting.is_some() && self.dataplane.lost.is_none(),
            forwards,
            reason,
            generation: generation(&self.dataplane.in_force),
            wanted: generation(&self.dataplane.wanted),
            refused: self.dataplane.refused.clone(),
            key_fingerprint: self.dataplane.key_fingerprint.clone(),
            heartbeat_ms,
        }
    }

    /// How this node is, for the others.
    pub(super) fn peer_status(&self) -> PeerStatus {
        let mut tables = Tables::new();
        let mut announced = Vec::new();
        let open = self.gate().is_empty();
        let served = self.served();
        if let Some((config, plan)) = &self.plan {
            let key = self.dataplane.key_fingerprint.clone().unwrap_or_default();
            let names: HashMap<_, _> =
                plan.snapshot.nodes.iter().map(|node| (node.index, &node.name)).collect();
            let name =
                |index: u16| names.get(&index).map_or_else(|| index.to_string(), |&n| n.clone());
            for group in &plan.snapshot.services {
                let weights = group.nodes.iter().filter(|m| m.state == State::Up && m.weight > 0);
                let weights = weights.map(|m| (name(m.node), m.weight)).collect();
                let table = Arc::new(Table { key: key.clone(), rows: group.rows, weights });
                let names = group.vips.iter().map(|vip| format!("{} {vip}", group.name));
                tables.extend(names.map(|name| (name, table.clone())));
            }
            for (service, vips) in config.services.iter().zip(&plan.services) {
                let vips = service.vips.iter().zip(vips).filter(|(prefix, vip)| {
                    vip.announce && open && served.contains(&(service.name.as_str(), **prefix))
                });
                announced.extend(vips.map(|(prefix, _)| prefix.to_string()));
            }
        }
        PeerStatus {
            node: self.site.own().name.clone(),
            program: env!("CARGO_PKG_VERSION").into(),
            site: self.site.fingerprint.clone(),
            generation: self.dataplane.in_force.as_ref().map(|snapshot| snapshot.generation),
            hash: self.dataplane.greeting.as_ref().map(|greeting| greeting.hash),
            forwards: matches!(*self.pulse.borrow(), Pulse::Beats(_)),
            announced,
            tables_fingerprint: self.site.fingerprint_of(&tables),
            tables: Some(Arc::new(tables)),
            connections: self.census.last().clone(),
            states: States::new(),
        }
    }

    fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if self.store.failing() {
            let path = self.state_file.display();
            alarms
                .push(format!("{path} cannot be written: node states would not survive a restart"));
        }
        alarms.extend(self.mute.clone());
        alarms.extend(self.routes.mute.clone());
        alarms.extend(self.peers.as_ref().and_then(Peers::alarm));
        alarms
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let Counters {
            plans,
            snapshots_sent,
            snapshots_refused,
            dataplane_lost,
            reloads,
            reloads_refused,
            operator_changes,
        } = self.counters;
        let health::monitor::Counters { run, failed, panicked, discarded, forgiven, late, .. } =
            self.checks.counters();
        let own = [
            ("plans", plans),
            ("snapshots_sent", snapshots_sent),
            ("snapshots_refused", snapshots_refused),
            ("dataplane_lost", dataplane_lost),
            ("reloads", reloads),
            ("reloads_refused", reloads_refused),
            ("operator_changes", operator_changes),
            ("hooks_failed", self.hooks.failed()),
            ("probes", run),
            ("probes_failed", failed),
            ("probes_panicked", panicked),
            ("probes_discarded", discarded),
            ("probes_forgiven", forgiven),
            ("probes_late", late),
        ];
        let own = own.into_iter().map(|(name, count)| (name.to_owned(), count));
        own.chain(self.peers.iter().flat_map(Peers::counters)).collect()
    }

    /// What keeps this node from announcing anything.
    pub(super) fn gate(&self) -> Vec<String> {
        let (mut reasons, obstacles) = self.gate_parts();
        reasons.extend(obstacles);
        reasons
    }

    /// The same: what leaves time for a farewell, and what does not.
    pub(super) fn gate_parts(&self) -> (Vec<String>, Vec<String>) {
        let own = &self.site.own().name;
        let checks: Vec<_> = self
            .site
            .aim
            .own
            .iter()
            .map(|&place| {
                let probe = crate::admin::status::describe(&self.site.aim.probes[place as usize]);
                let said = self.checks.standing(place).map(|standing| standing.reason);
                let said = said.unwrap_or_else(|| "not asked yet".into());
                (self.checks.verdicts()[place as usize], format!("check {probe}: {said}"))
            })
            .collect();
        let gate = Gate {
            starting: self.starting != Starting::Over,
            leaving: self.leaving.is_some(),
            pulse: if self.pausing() { &Pulse::Beats(0) } else { &self.pulse.borrow() },
            applied: self.dataplane.follows || self.pausing(),
            operator: self.store.states().get(own).map_or(Admin::Ready, |entry| entry.state),
            checks: &checks,
        };
        (gate.farewells(), gate.obstacles())
    }
}
