//! What is thought of a server: the worst of what its checks, its agent and operators say. Pure.

use admin::Effective;
use health::{Admin, Kind, Probe, Standing, State};
use proxy::{Availability, ServerState};

use super::word::{self, WHOLE, Wanted};

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

impl Verdict {
    /// The same, or what was thought before where that was worse.
    pub(super) fn assuming(self, before: &ServerState) -> Self {
        let assumed = match before.availability {
            Availability::Up => Effective::Up,
            Availability::Drain => Effective::Drain,
            Availability::Maintenance => Effective::Maintenance,
            Availability::Down => Effective::Down,
        };
        let (state, reason) = match assumed > self.state {
            true => (assumed, "as before: not asked yet".into()),
            false => (self.state, self.reason),
        };
        let weight = self.weight.min(before.weight_percent);
        let max_connections = self.max_connections.or(before.max_connections);
        Self { state, reason, weight, max_connections, agent: self.agent }
    }
}

/// What one check says, whatever others do.
pub(crate) fn alone(probe: &Probe, standing: &Standing) -> Effective {
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

/// All that is said together.
pub(super) fn judge(
    standings: &[(&Probe, Standing)],
    operator: Wanted,
    reachable: bool,
) -> Verdict {
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
    use std::sync::Arc;
    use std::time::Duration;

    use health::{Agent, Check, Target, Tcp, Timing};

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
    fn what_was_thought_before_holds_where_it_was_worse() {
        let state = |availability| ServerState { availability, ..ServerState::default() };
        let said = |wanted| verdict(&[], wanted);
        let up = said(Admin::Ready).assuming(&state(Availability::Up));
        assert_eq!((up.state, up.weight, &*up.reason), (Effective::Up, WHOLE, ""));
        let down = said(Admin::Drain).assuming(&state(Availability::Down));
        assert_eq!((down.state, &*down.reason), (Effective::Down, "as before: not asked yet"));
        // What an operator says meanwhile is obeyed.
        let drain = said(Admin::Drain).assuming(&state(Availability::Up));
        assert_eq!((drain.state, &*drain.reason), (Effective::Drain, "operator"));
        let light = ServerState { weight_percent: 30, ..ServerState::default() };
        assert_eq!(said(Admin::Ready).assuming(&light).weight, 30);
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
