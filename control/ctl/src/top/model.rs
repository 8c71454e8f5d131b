//! Counters become rates: what happened from one sample to the next. Pure; time is passed in.

use std::collections::BTreeMap;
use std::time::Duration;

use admin::Status;
use api::{State, Stats, Traffic};

use super::source::Sample;

/// All that a frame shows.
#[derive(Debug, Default)]
pub(super) struct Model {
    last: Option<(Duration, Stats)>,
    /// Nothing before the second sample, and after the dataplane went.
    pub(super) rates: Option<Rates>,
    /// Why the dataplane does not answer.
    pub(super) dataplane_away: Option<String>,
    /// Control's view; the last one while it is away.
    pub(super) status: Option<Box<Status>>,
    /// Why control does not answer.
    pub(super) control_away: Option<String>,
}

/// Rates, per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Milliseconds since the dataplane started.
    pub(super) uptime_ms: u64,
    /// Its generation.
    pub(super) generation: Option<u64>,
    /// Packets that came.
    pub(super) received: f64,
    /// All that was forwarded.
    pub(super) total: Flow,
    /// Packets that were dropped.
    pub(super) dropped: f64,
    /// By counter, those that drop most first: rate and count since the start.
    pub(super) drops: Vec<(String, f64, u64)>,
    /// By service.
    pub(super) services: Vec<Row>,
    /// By node.
    pub(super) nodes: Vec<Row>,
    /// By worker.
    pub(super) workers: Vec<WorkerRow>,
}

/// What was forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    /// Packets per second.
    pub(super) packets: f64,
    /// Bits per second, from the inner IP header on.
    pub(super) bits: f64,
    /// New flows per second.
    pub(super) new_flows: f64,
    /// Connections remembered.
    pub(super) connections: u64,
}

/// A service or a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Its name.
    pub(super) name: String,
    /// What it got.
    pub(super) flow: Flow,
    /// Whether all is well with it, and a word.
    pub(super) state: (bool, String),
}

/// A worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WorkerRow {
    /// Its CPU.
    pub(super) cpu: usize,
    /// Packets that it received per second.
    pub(super) received: f64,
    /// Packets that it forwarded per second.
    pub(super) forwarded: f64,
    /// Packets that it dropped per second.
    pub(super) dropped: f64,
    /// Entries of its table, and how many it can hold.
    pub(super) table: (u64, u64),
    /// Milliseconds since it last turned its loop.
    pub(super) heartbeat_ms: u64,
}

impl Model {
    /// Takes in what was heard at `now`, on any clock that goes on.
    pub(super) fn observe(&mut self, now: Duration, sample: Sample) {
        match sample.status {
            Ok(status) => (self.status, self.control_away) = (Some(status), None),
            Err(reason) => self.control_away = Some(reason),
        }
        match sample.stats {
            Ok(stats) => {
                self.dataplane_away = None;
                // A process that started meanwhile counts from 0 on.
                let before = self.last.take().filter(|(_, b)| b.uptime_ms <= stats.uptime_ms);
                self.rates = before.and_then(|(then, before)| {
                    let seconds = now.saturating_sub(then).as_secs_f64();
                    (seconds > 0.0).then(|| Rates::between(&before, &stats, seconds))
                });
                self.last = Some((now, stats));
            }
            Err(reason) => {
                (self.last, self.rates) = (None, None);
                self.dataplane_away = Some(reason);
            }
        }
    }
}

impl Rates {
    fn between(before: &Stats, after: &Stats, seconds: f64) -> Self {
        let since = Since { seconds };
        let counter = |name| since.counter(&before.counters, &after.counters, name);
        let mut drops: Vec<_> = after
            .counters
            .iter()
            .filter(|(name, count)| name.starts_with("drop_") && **count > 0)
            .map(|(name, count)| (name.clone(), counter(name), *count))
            .collect();
        drops.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.cmp(&a.2)).then(a.0.cmp(&b.0)));
        let services: Vec<_> = after
            .services
            .iter()
            .map(|service| {
                let then = before.services.iter().find(|then| then.name == service.name);
                let flow = since.flow(then.map(|then| then.total), service.total);
                let states = service.nodes.iter().map(|node| up(&node.states));
                let (up, all) = (states.filter(|up| *up).count(), service.nodes.len());
                let state = (up > 0, format!("{up}/{all} up"));
                Row { name: service.name.clone(), flow, state }
            })
            .collect();
        let mut total = Flow { packets: counter("forwarded"), ..Flow::default() };
        for Row { flow, .. } in &services {
            total.bits += flow.bits;
            total.new_flows += flow.new_flows;
            total.connections += flow.connections;
        }
        Self {
            uptime_ms: after.uptime_ms,
            generation: after.generation,
            received: counter("received"),
            total,
            // (`sum` of nothing is -0.)
            dropped: drops.iter().fold(0.0, |sum, (_, rate, _)| sum + rate),
            drops,
            nodes: since.nodes(before, after),
            services,
            workers: since.workers(before, after),
        }
    }
}

/// Time between two samples.
struct Since {
    seconds: f64,
}

impl Since {
    fn rate(&self, before: u64, after: u64) -> f64 {
        after.saturating_sub(before) as f64 / self.seconds
    }

    fn counter(
        &self,
        before: &BTreeMap<String, u64>,
        after: &BTreeMap<String, u64>,
        name: &str,
    ) -> f64 {
        let of = |counters: &BTreeMap<String, u64>| counters.get(name).copied().unwrap_or(0);
        self.rate(of(before), of(after))
    }

    /// What is new has counted from 0 on.
    fn flow(&self, before: Option<Traffic>, after: Traffic) -> Flow {
        let before = before.unwrap_or_default();
        Flow {
            packets: self.rate(before.packets, after.packets),
            bits: 8.0 * self.rate(before.bytes, after.bytes),
            new_flows: self.rate(before.new_flows, after.new_flows),
            connections: after.connections,
        }
    }

    fn nodes(&self, before: &Stats, after: &Stats) -> Vec<Row> {
        let row = |node: &api::NodeStats| {
            let then = before.nodes.iter().find(|then| then.name == node.name);
            let reachable = node.reachable.iter().all(|reachable| *reachable);
            let members = after.services.iter().flat_map(|service| &service.nodes);
            let states: Vec<State> =
                members.filter(|m| m.node == node.name).flat_map(|m| m.states.clone()).collect();
            let state = match (reachable, worst(&states)) {
                (false, _) => (false, "unreachable".into()),
                (true, State::Up) => (true, "up".into()),
                (true, state) => (false, word(state).into()),
            };
            let flow = self.flow(then.map(|then| then.traffic), node.traffic);
            Row { name: node.name.clone(), flow, state }
        };
        after.nodes.iter().map(row).collect()
    }

    fn workers(&self, before: &Stats, after: &Stats) -> Vec<WorkerRow> {
        let none = BTreeMap::new();
        let row = |worker: &api::WorkerStats| {
            let then = before.workers.iter().find(|then| then.cpu == worker.cpu);
            let then = then.map_or(&none, |then| &then.counters);
            let rate = |name: &str| self.counter(then, &worker.counters, name);
            let drops = worker.counters.keys().filter(|name| name.starts_with("drop_"));
            WorkerRow {
                cpu: worker.cpu,
                received: rate("received"),
                forwarded: rate("forwarded"),
                dropped: drops.fold(0.0, |sum, name| sum + rate(name)),
                table: (worker.connections, worker.capacity),
                heartbeat_ms: worker.heartbeat_ms,
            }
        };
        after.workers.iter().map(row).collect()
    }
}

fn up(states: &[State]) -> bool {
    matches!(worst(states), State::Up)
}

const fn badness(state: State) -> u8 {
    match state {
        State::Up => 0,
        State::Joining => 1,
        State::Drain => 2,
        State::Maintenance => 3,
        State::Down => 4,
    }
}

/// The worst of a node's states; in no service it is none.
fn worst(states: &[State]) -> State {
    states.iter().copied().max_by_key(|state| badness(*state)).unwrap_or_default()
}

const fn word(state: State) -> &'static str {
    match state {
        State::Up => "up",
        State::Joining => "joining",
        State::Drain => "drain",
        State::Maintenance => "maintenance",
        State::Down => "down",
    }
}

#[cfg(test)]
pub(super) mod tests;
