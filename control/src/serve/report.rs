//! What the loop knows, for the status.

use std::collections::BTreeMap;

use admin::{
    Effective, FileStatus, FrontendStatus, Histogram, L7Status, OwnStatus, PoolStatus, Refusal,
    ServerStatus,
};
use health::Admin;

use super::leave::Leaving;
use super::{Serve, Tally, frontends, word};
use crate::clock::{boot, millis};
use crate::peers::Peers;

impl Serve {
    /// All but the tunnel, whose thread has to be asked.
    pub(super) fn status(&self) -> L7Status {
        let config = &self.site.config;
        let proxy = self.proxy.status();
        let mut status = L7Status {
            site: config.site.name.clone(),
            node: self.site.own().name.clone(),
            role: "l7".into(),
            program: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_ms: millis(boot().saturating_sub(self.started)),
            alarms: Vec::new(),
            file: FileStatus {
                path: self.path.display().to_string(),
                loaded_ms: self.site.loaded_ms,
                fingerprint: self.site.fingerprint.clone(),
                refused: self.refused.clone(),
                restart_needed: self.restart_needed(),
            },
            own: self.own_status(),
            tunnel: None,
            connections: proxy.open,
            frontends: self.frontends(&proxy),
            pools: self.pools(&proxy),
            counters: self.tallies(&proxy),
        };
        status.alarms = self.alarms(&status);
        status
    }

    fn own_status(&self) -> OwnStatus {
        let (_, mut disabled) = self.servers.of_own();
        if self.is_unproven {
            disabled.push("some servers have not been asked yet".into());
        }
        let operator = self.store.states().get(&self.site.own().name).cloned();
        let said = operator.as_ref().map_or(Admin::Ready, |entry| entry.state);
        let away = !disabled.is_empty() || self.leaving.is_some();
        OwnStatus {
            state: if away { said.max(Admin::Drain) } else { said },
            operator,
            disabled,
            leaving: self.leaving.as_ref().map(|leaving| Leaving::word(leaving).to_owned()),
        }
    }

    fn frontends(&self, proxy: &proxy::Status) -> Vec<FrontendStatus> {
        let service = |name: &str| {
            let found = self.site.config.frontends.iter().find(|one| one.name == name);
            found.map_or(String::new(), |one| self.site.config.services[one.service].name.clone())
        };
        let frontend = |one: proxy::settings::Frontend| {
            let known = proxy.frontends.iter().find(|known| known.name == one.name);
            let counters = known.map(|known| {
                let own = [
                    ("connections", known.connections),
                    ("refused", known.refused),
                    ("requests", known.classes.iter().sum()),
                    ("bytes_out", known.bytes_out),
                ];
                own.map(|(name, count)| (name.to_owned(), count))
                    .into_iter()
                    .chain(by_class(known.classes))
            });
            FrontendStatus {
                service: service(&one.name),
                listen: one.listen.iter().map(|at| at.address).collect(),
                open: known.map_or(0, |known| known.open),
                max_connections: one.max_connections,
                counters: counters.into_iter().flatten().collect(),
                times: known.map(|known| histogram(&known.times)).unwrap_or_default(),
                name: one.name,
            }
        };
        frontends::frontends(&self.site).into_iter().map(frontend).collect()
    }

    fn pools(&self, proxy: &proxy::Status) -> Vec<PoolStatus> {
        let (states, now) = (self.store.states(), boot());
        let own = &self.site.own().name;
        let pools = self.site.config.pools.iter().zip(&proxy.pools).enumerate();
        pools
            .map(|(p, (pool, known))| PoolStatus {
                name: pool.name.clone(),
                usable: known.usable,
                quorum: pool.quorum,
                waiting: known.waiting,
                counters: [
                    ("retries", known.retries),
                    ("unserved", known.unserved),
                    ("queue_full", known.queue_full),
                    ("queue_late", known.queue_late),
                ]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
                servers: pool
                    .servers
                    .iter()
                    .zip(&known.servers)
                    .enumerate()
                    .map(|(s, (server, known))| {
                        let verdict = self.verdict((p, s), &states);
                        let wanted = word::wanted(&states, &pool.name, &server.name, own);
                        let weight = server.weight * u32::from(verdict.weight);
                        ServerStatus {
                            name: server.name.clone(),
                            address: known.address,
                            state: verdict.state,
                            reason: verdict.reason,
                            weight: weight.div_ceil(100),
                            agent: verdict.agent,
                            operator: wanted.state,
                            operator_weight: wanted.weight,
                            busy: known.busy,
                            checks: self.servers.describe((p, s), now),
                            counters: [("requests", known.requests), ("failed", known.failed)]
                                .map(|(name, count)| (name.to_owned(), count))
                                .into_iter()
                                .chain(by_class(known.classes))
                                .collect(),
                            times: histogram(&known.times),
                        }
                    })
                    .collect(),
            })
            .collect()
    }

    fn alarms(&self, status: &L7Status) -> Vec<String> {
        let mut alarms = Vec::new();
        for pool in status.pools.iter().filter(|pool| pool.usable < pool.quorum) {
            let PoolStatus { name, usable, quorum, .. } = pool;
            alarms.push(format!("pool {name}: {usable} servers take requests, {quorum} needed"));
        }
        alarms.extend(self.names.problems().map(str::to_owned));
        if let Some(Refusal { reasons, .. }) = &status.file.refused {
            let more = reasons.len().saturating_sub(1);
            let first = reasons.first().map_or("", String::as_str);
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            alarms.push(format!("reload refused: {first}{more}"));
        }
        if self.store.failing() {
            let path = self.state_file.display();
            alarms
                .push(format!("{path} cannot be written: node states would not survive a restart"));
        }
        alarms.extend(self.mute.clone());
        alarms.extend(self.peers.as_ref().and_then(Peers::alarm));
        for pool in &status.pools {
            let away = pool.servers.iter().filter(|server| server.state == Effective::Down);
            alarms.extend(away.map(|server| {
                format!("pool {}: {} is down: {}", pool.name, server.name, server.reason)
            }));
        }
        alarms
    }

    fn tallies(&self, proxy: &proxy::Status) -> BTreeMap<String, u64> {
        let Tally { reloads, reloads_refused, operator_changes } = self.counters;
        let health::monitor::Counters { run, failed, panicked, discarded, late, .. } =
            self.servers.counters();
        let own = [
            ("reloads", reloads),
            ("reloads_refused", reloads_refused),
            ("operator_changes", operator_changes),
            ("probes", run),
            ("probes_failed", failed),
            ("probes_panicked", panicked),
            ("probes_discarded", discarded),
            ("probes_late", late),
            ("log_lines", proxy.log_lines),
            ("log_lost", proxy.log_lost),
        ];
        let own = own.into_iter().map(|(name, count)| (name.to_owned(), count));
        own.chain(self.peers.iter().flat_map(Peers::counters)).collect()
    }
}

/// Answers by the first digit of their status.
fn by_class(classes: [u64; 5]) -> impl Iterator<Item = (String, u64)> {
    (1..).zip(classes).map(|(class, count): (u8, u64)| (format!("responses_{class}xx"), count))
}

fn histogram(times: &proxy::Times) -> Histogram {
    let proxy::Times { counts, sum_us } = times.clone();
    Histogram { bounds_ms: proxy::BOUNDS_MS.to_vec(), counts, sum_us }
}
