//! What the checks of servers, and of this node itself, say.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admin::{CheckStatus, Effective};
use config::{L7, Pool};
use health::monitor::{Changes, Counters, Monitor, ProbeId, Settings};
use health::{Kind, Probe, Standing, Target};
use proxy::ServerState;

use super::verdict::{Verdict, alone, judge};
use super::word::Wanted;
use crate::admin::status::describe;
use crate::clock::millis;
use crate::finding::{self, Finding, Known};

/// The checks of the site in force.
#[derive(Debug)]
pub(super) struct Servers {
    monitor: Monitor,
    /// Of each pool, of each server: its probes.
    probes: Vec<Vec<Vec<Aimed>>>,
    /// Of this node itself.
    own: Vec<Aimed>,
    /// Servers by their probes: places of pool and server.
    places: HashMap<ProbeId, BTreeSet<(usize, usize)>>,
    /// What an older process knew, until it is known what is to be asked.
    known: Known,
}

/// A probe that runs.
#[derive(Clone, Debug)]
struct Aimed {
    id: ProbeId,
    probe: Probe,
}

impl Servers {
    /// None yet. The other half tells when verdicts change.
    pub(super) fn start(known: Vec<Finding>) -> (Self, Changes) {
        let (monitor, changes) = Monitor::start(Settings::default());
        let (probes, own, places) = <_>::default();
        let known = known.into_iter().collect();
        (Self { monitor, probes, own, places, known }, changes)
    }

    /// What checks have found, for another process.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let all = self.probes.iter().flatten().flatten().chain(&self.own);
        finding::findings(&self.monitor, all.map(|aimed| (aimed.id, &aimed.probe)))
    }

    /// Asks what these say, from now on; servers whose address is not known are not asked. What is known
    /// already of the same probes stays.
    pub(super) fn aim(
        &mut self,
        pools: &[Pool],
        own: &L7,
        address: impl Fn(usize, usize) -> Option<SocketAddr>,
    ) {
        let mut wanted = Vec::new();
        let mut counts = Vec::new();
        for (p, pool) in pools.iter().enumerate() {
            let preamble = preamble(pool);
            let checks: Vec<_> =
                pool.checks.iter().map(|one| (Arc::new(one.check.clone()), one.port)).collect();
            let mut of_pool = Vec::new();
            for (s, server) in pool.servers.iter().enumerate() {
                let before = wanted.len();
                if let Some(at) = address(p, s) {
                    wanted.extend(checks.iter().map(|(check, port)| Probe {
                        check: check.clone(),
                        target: Target {
                            node: server.name.as_str().into(),
                            address: at.ip(),
                            port: port.unwrap_or(at.port()),
                            source: None,
                            preamble: preamble.clone(),
                        },
                    }));
                }
                of_pool.push(wanted.len() - before);
            }
            counts.push(of_pool);
        }
        let servers = wanted.len();
        // The agent of a node is on it.
        wanted.extend(own.checks.iter().map(|(check, port)| Probe {
            check: Arc::new(check.clone()),
            target: Target {
                node: own.name.as_str().into(),
                address: std::net::Ipv4Addr::LOCALHOST.into(),
                port: *port,
                source: None,
                preamble: None,
            },
        }));
        let known = std::mem::take(&mut self.known);
        let ids = self.monitor.set_knowing(wanted.clone(), |probe| known.of(probe));
        let mut aimed = ids.into_iter().zip(wanted).map(|(id, probe)| Aimed { id, probe });
        let mut take = |count| aimed.by_ref().take(count).collect::<Vec<_>>();
        self.probes = counts
            .iter()
            .map(|of_pool| of_pool.iter().map(|&count| take(count)).collect())
            .collect();
        self.own = take(usize::MAX);
        debug_assert_eq!(servers, self.probes.iter().flatten().map(Vec::len).sum::<usize>());
        self.places.clear();
        for (p, pool) in self.probes.iter().enumerate() {
            for (s, server) in pool.iter().enumerate() {
                for aimed in server {
                    self.places.entry(aimed.id).or_default().insert((p, s));
                }
            }
        }
    }

    /// The servers of which these probes tell.
    pub(super) fn told_of(&self, ids: &[ProbeId]) -> BTreeSet<(usize, usize)> {
        ids.iter().filter_map(|id| self.places.get(id)).flatten().copied().collect()
    }

    /// Every server.
    pub(super) fn all(&self) -> BTreeSet<(usize, usize)> {
        let pools = self.probes.iter().enumerate();
        pools.flat_map(|(p, servers)| (0..servers.len()).map(move |s| (p, s))).collect()
    }

    /// What holds of a server of which an operator wants this, and of which this is assumed as long as not all
    /// of its checks have said something.
    pub(super) fn verdict(
        &self,
        place: (usize, usize),
        operator: Wanted,
        reachable: bool,
        assumed: Option<&ServerState>,
    ) -> Verdict {
        let mut standings = self.standings(&self.probes[place.0][place.1]);
        let Some(assumed) = assumed else { return judge(&standings, operator, reachable) };
        standings.retain(|(_, standing)| standing.state.is_some());
        judge(&standings, operator, reachable).assuming(assumed)
    }

    /// Whether some check of a server has not been answered yet.
    pub(super) fn is_unknown(&self, place: (usize, usize)) -> bool {
        let standings = self.standings(&self.probes[place.0][place.1]);
        let unknown = |(probe, standing): &(&Probe, Standing)| {
            standing.state.is_none() && !matches!(probe.check.kind, Kind::Agent(_))
        };
        standings.iter().any(unknown)
    }

    /// What the node's own checks say against it: the worst, and each in words.
    pub(super) fn of_own(&self) -> (Effective, Vec<String>) {
        let mut worst = Effective::Up;
        let mut words = Vec::new();
        for aimed in &self.own {
            let Some(standing) = self.monitor.standing(aimed.id) else { continue };
            let state = alone(&aimed.probe, &standing);
            if state != Effective::Up {
                worst = worst.max(state);
                words.push(format!("check {}: {}", describe(&aimed.probe), standing.reason));
            }
        }
        (worst, words)
    }

    /// Each check of a server, for a status.
    pub(super) fn describe(&self, place: (usize, usize), now: Duration) -> Vec<CheckStatus> {
        let standings = self.standings(&self.probes[place.0][place.1]);
        let check = |(probe, standing): (&Probe, Standing)| CheckStatus {
            check: describe(probe),
            state: standing.state,
            reason: standing.reason,
            since_ms: millis(now.saturating_sub(standing.since)),
            against: standing.against,
        };
        standings.into_iter().map(check).collect()
    }

    /// What the monitor counts.
    pub(super) fn counters(&self) -> Counters {
        self.monitor.counters()
    }

    fn standings<'a>(&self, all: &'a [Aimed]) -> Vec<(&'a Probe, Standing)> {
        let standings = self.monitor.standings();
        all.iter()
            .filter_map(|aimed| Some((&aimed.probe, standings.get(aimed.id)?.clone())))
            .collect()
    }
}

/// What a check begins with, if servers expect a PROXY header: one that speaks for nobody (LOCAL).
fn preamble(pool: &Pool) -> Option<Arc<[u8]>> {
    use proxy::proxy_protocol::{Extras, build};
    let version = pool.send_proxy?;
    Some(build(version, None, &Extras::default()).into())
}
