//! What the checks of servers, and of this node itself, say.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admin::{CheckStatus, Effective};
use config::{L7, Pool};
use health::monitor::{Changes, Counters, Monitor, ProbeId, Settings};
use health::{Admin, Kind, Probe, Standing, State, Target};

use super::word::{self, WHOLE, Wanted};
use crate::admin::status::describe;
use crate::clock::millis;

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
}

/// A probe that runs.
#[derive(Clone, Debug)]
struct Aimed {
    id: ProbeId,
    probe: Probe,
}

/// What holds of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The worst of what checks, its agent and operators say.
    pub(super) state: Effective,
    /// Why, if it is not up.
    pub(super) reason: String,
    /// Percent of its configured weight.
    pub(super) weight: u16,
    /// Most connections, if it asked for a limit.
    pub(super) max_connections: Option<u32>,
    /// What it asked for itself.
    pub(super) agent: Admin,
}

impl Servers {
    /// None yet. The other half tells when verdicts change.
    pub(super) fn start() -> (Self, Changes) {
        let (monitor, changes) = Monitor::start(Settings::default());
        let (probes, own, places) = <_>::default();
        (Self { monitor, probes, own, places }, changes)
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
        let ids = self.monitor.set(wanted.clone());
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

    /// What holds of a server of which an operator wants this.
    pub(super) fn verdict(
        &self,
        place: (usize, usize),
        operator: Wanted,
        reachable: bool,
    ) -> Verdict {
        let standings = self.standings(&self.probes[place.0][place.1]);
        judge(&standings, operator, reachable)
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

/// What one check says, whatever others do.
fn alone(probe: &Probe, standing: &Standing) -> Effective {
    let state = match (standing.state, &probe.check.kind) {
        (Some(State::Up), _) => Effective::Up,
        (Some(State::Drain), _) => Effective::Drain,
        (Some(State::Down), _) => Effective::Down,
        // An agent that says nothing has no opinion, as with HAProxy.
        (None, Kind::Agent(_)) => Effective::Up,
        (None, _) => Effective::Down,
    };
    state.max(of_admin(standing.admin))
}

fn of_admin(admin: Admin) -> Effective {
    match admin {
        Admin::Ready => Effective::Up,
        Admin::Drain => Effective::Drain,
        Admin::Maintenance => Effective::Maintenance,
    }
}

fn judge(standings: &[(&Probe, Standing)], operator: Wanted, reachable: bool) -> Verdict {
    let mut verdict = Verdict {
        state: Effective::Up,
        reason: String::new(),
        weight: WHOLE,
        max_connections: None,
        agent: Admin::Ready,
    };
    let mut worst = |state: Effective, reason: String| {
        if state > verdict.state {
            (verdict.state, verdict.reason) = (state, reason);
        }
    };
    for (probe, standing) in standings {
        worst(alone(probe, standing), format!("{}: {}", probe.check.kind.name(), standing.reason));
    }
    worst(of_admin(operator.state), "operator".into());
    if !reachable {
        worst(Effective::Down, "its name has no address".into());
    }
    let weights = standings.iter().map(|(_, standing)| standing.weight);
    let weight = weights.min().unwrap_or(WHOLE);
    if weight == 0 {
        worst(Effective::Drain, "weight 0".into());
    }
    if operator.weight == 0 {
        worst(Effective::Drain, "operator: weight 0".into());
    }
    verdict.weight = word::part(weight, operator.weight);
    verdict.max_connections = standings.iter().filter_map(|(_, one)| one.max_connections).min();
    verdict.agent = standings.iter().map(|(_, one)| one.admin).max().unwrap_or_default();
    verdict
}

#[cfg(test)]
mod tests {
    use health::{Agent, Check, Tcp, Timing};

    use super::*;

    fn said(kind: Kind, state: Option<State>) -> (Probe, Standing) {
        let target = Target {
            node: "s1".into(),
            address: [192, 0, 2, 1].into(),
            port: 80,
            source: None,
            preamble: None,
        };
        let probe = Probe { check: Arc::new(Check { kind, timing: Timing::default() }), target };
        let standing = Standing {
            state,
            admin: Admin::Ready,
            weight: 100,
            max_connections: None,
            reason: "so it is".into(),
            since: Duration::ZERO,
            against: (0, 1),
        };
        (probe, standing)
    }

    fn verdict(all: &[(Probe, Standing)], operator: Admin) -> Verdict {
        weighed(all, Wanted { state: operator, weight: WHOLE })
    }

    fn weighed(all: &[(Probe, Standing)], operator: Wanted) -> Verdict {
        let all: Vec<_> = all.iter().map(|(probe, standing)| (probe, standing.clone())).collect();
        judge(&all, operator, true)
    }

    #[test]
    fn the_worst_that_is_said_holds() {
        let tcp = |state| said(Kind::Tcp(Tcp::default()), state);
        let agent = |state| said(Kind::Agent(Agent::default()), state);
        for (checks, operator, state) in [
            (vec![], Admin::Ready, Effective::Up),
            (vec![tcp(Some(State::Up))], Admin::Ready, Effective::Up),
            (vec![tcp(None)], Admin::Ready, Effective::Down),
            (vec![agent(None)], Admin::Ready, Effective::Up),
            (vec![tcp(Some(State::Up)), agent(Some(State::Down))], Admin::Ready, Effective::Down),
            (vec![tcp(Some(State::Drain))], Admin::Maintenance, Effective::Maintenance),
            (vec![tcp(Some(State::Down))], Admin::Drain, Effective::Down),
        ] {
            assert_eq!(verdict(&checks, operator).state, state, "{checks:?}");
        }
    }

    #[test]
    fn an_agents_words_hold_beside_a_check_that_passes() {
        let up = said(Kind::Tcp(Tcp::default()), Some(State::Up));
        let mut agent = said(Kind::Agent(Agent::default()), Some(State::Up));
        (agent.1.weight, agent.1.max_connections) = (30, Some(7));
        let found = verdict(&[up.clone(), agent.clone()], Admin::Ready);
        assert_eq!((found.state, found.weight), (Effective::Up, 30));
        assert_eq!(found.max_connections, Some(7));

        agent.1.admin = Admin::Drain;
        let found = verdict(&[up.clone(), agent.clone()], Admin::Ready);
        assert_eq!((found.state, found.agent), (Effective::Drain, Admin::Drain));
        assert_eq!(found.reason, "agent: so it is");

        // A third of what its agent wants, and nothing.
        agent.1.admin = Admin::Ready;
        let both = [up.clone(), agent.clone()];
        let third = Wanted { state: Admin::Ready, weight: 33 };
        assert_eq!(weighed(&both, third).weight, 10);
        let nothing = weighed(&both, Wanted { weight: 0, ..third });
        assert_eq!((nothing.state, nothing.weight), (Effective::Drain, 0));
        assert_eq!(nothing.reason, "operator: weight 0");

        agent.1.weight = 0;
        assert_eq!(verdict(&[up, agent], Admin::Ready).state, Effective::Drain);
    }
}
