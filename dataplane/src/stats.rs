//! Everything that is counted, as control is told of it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use api::{
    Heartbeat, Heartbeats, MemberStats, NodeStats, PortStats, ServiceStats, Snapshot, Stats,
    Traffic, WorkerStats,
};
use forward::{Cell, CellNumbers, Counter};

use crate::bfd::{self, Bfd};
use crate::clock::boot_millis;
use crate::connections::Lost;
use crate::ports::OpenPort;
use crate::route::Routes;
use crate::tables::Force;
use crate::team::Team;
use crate::worker::Shared;

/// Whether the workers turn.
pub(crate) fn heartbeats(force: &Force, team: &Team, bfd: &Bfd) -> Heartbeats {
    let now = boot_millis();
    Heartbeats {
        generation: force.tables().map(|tables| tables.generation),
        workers: team.workers().map(|shared| heartbeat(shared, now)).collect(),
        bfd: bfd.status(),
    }
}

fn heartbeat(shared: &Shared, now: u64) -> Heartbeat {
    Heartbeat {
        cpu: shared.cpu,
        heartbeat_ms: now.saturating_sub(shared.heartbeat.load(Relaxed)),
        generation: Some(shared.generation.load(Relaxed))
            .filter(|&generation| generation != Shared::NO_GENERATION),
    }
}

/// All counters, since the process started at `started` (milliseconds since boot).
pub(crate) fn stats(
    force: &Force,
    team: &Team,
    ports: &[OpenPort],
    routes: &Routes,
    capacity: u64,
    started: u64,
    bfd: &Bfd,
) -> Stats {
    let now = boot_millis();
    let generation = force.tables().map(|tables| tables.generation);
    let workers: Vec<_> = team
        .workers()
        .map(|shared| {
            let count =
                |&counter: &Counter| (counter.name().to_owned(), shared.counters.get(counter));
            let Heartbeat { cpu, heartbeat_ms, generation } = heartbeat(shared, now);
            WorkerStats {
                cpu,
                heartbeat_ms,
                generation,
                connections: shared.connections.load(Relaxed),
                capacity,
                counters: Counter::ALL.iter().map(count).collect(),
            }
        })
        .collect();
    let mut counters = BTreeMap::new();
    for (name, count) in workers.iter().flat_map(|worker| &worker.counters) {
        *counters.entry(name.clone()).or_insert(0) += count;
    }
    let overflow = sum(team.workers().map(|shared| shared.cells.get(Cell::OVERFLOW)));
    counters.insert(Counter::CellOverflow.name().into(), overflow.packets);
    let Lost { emptied, connections } = force.connections.lost();
    counters.insert(Counter::TablesEmptied.name().into(), emptied);
    counters.insert(Counter::ConnectionsLost.name().into(), connections);
    let of_bfd = bfd::Counter::ALL.iter();
    counters.extend(of_bfd.map(|&counter| (counter.name().into(), bfd.counters().get(counter))));
    let traffic = traffic(force.cells(), team);
    let in_force = force.snapshot();
    let snapshot = in_force.as_ref().map(|in_force| &in_force.snapshot);
    Stats {
        generation,
        uptime_ms: now.saturating_sub(started),
        counters,
        workers,
        services: snapshot.map(|s| services(s, force, &traffic)).unwrap_or_default(),
        nodes: snapshot.map(|s| nodes(s, routes, &traffic)).unwrap_or_default(),
        ports: ports.iter().map(port).collect(),
    }
}

/// What passed, by index of service and node.
type ByPair = BTreeMap<(u16, u16), Traffic>;

fn traffic(numbers: &CellNumbers, team: &Team) -> ByPair {
    let of_pair = |(service, node, cell)| {
        let all = team.workers().map(|shared| shared.cells.get(cell));
        ((service, node), sum(all))
    };
    numbers.iter().map(of_pair).collect()
}

fn sum(all: impl Iterator<Item = Traffic>) -> Traffic {
    all.fold(Traffic::default(), |sum, one| Traffic {
        packets: sum.packets + one.packets,
        bytes: sum.bytes + one.bytes,
        new_flows: sum.new_flows + one.new_flows,
        // A worker may close what another opened: only the sum means something.
        connections: sum.connections.wrapping_add(one.connections),
    })
}

fn services(snapshot: &Snapshot, force: &Force, traffic: &ByPair) -> Vec<ServiceStats> {
    let Some(tables) = force.tables() else { return Vec::new() };
    let mut stats: Vec<ServiceStats> = Vec::new();
    for (service, built) in snapshot.services.iter().zip(&tables.services) {
        // Groups of VIPs of one service share an entry.
        let known = stats.iter().rposition(|s| s.name == service.name);
        let place = known.unwrap_or_else(|| {
            stats.push(ServiceStats { name: service.name.clone(), ..ServiceStats::default() });
            stats.len() - 1
        });
        let entry = &mut stats[place];
        if let Some(balance) = &built.balance {
            entry.tables.push(format!("{:016x}", balance.maglev.fingerprint()));
        }
        for member in &service.nodes {
            let Some(node) = tables.node(member.node) else { continue };
            // Nobody is named twice in one group: in the first one there is nobody to be found.
            let before = match known {
                Some(_) => entry.nodes.iter_mut().find(|m| m.node == node.name),
                None => None,
            };
            match before {
                Some(before) => before.states.push(member.state),
                None => entry.nodes.push(MemberStats {
                    node: node.name.clone(),
                    states: vec![member.state],
                    traffic: traffic.get(&(built.index, member.node)).copied().unwrap_or_default(),
                }),
            }
        }
        let all_nodes = (built.index, u16::MIN)..=(built.index, u16::MAX);
        entry.total = sum(traffic.range(all_nodes).map(|(_, &traffic)| traffic));
    }
    stats
}

fn nodes(snapshot: &Snapshot, routes: &Routes, traffic: &ByPair) -> Vec<NodeStats> {
    let mut by_node: BTreeMap<u16, Vec<Traffic>> = BTreeMap::new();
    for (&(_, node), &traffic) in traffic {
        by_node.entry(node).or_default().push(traffic);
    }
    let stats = |node: &api::Node| NodeStats {
        name: node.name.clone(),
        index: node.index,
        reachable: node.addresses.iter().map(|&a| routes.is_reachable(a)).collect(),
        traffic: sum(by_node.get(&node.index).into_iter().flatten().copied()),
    };
    snapshot.nodes.iter().map(stats).collect()
}

fn port(port: &OpenPort) -> PortStats {
    let name = port.running.name().to_owned();
    let Ok(stats) = port.running.stats() else { return PortStats { name, ..PortStats::default() } };
    PortStats {
        name,
        rx_packets: stats.ipackets,
        tx_packets: stats.opackets,
        rx_bytes: stats.ibytes,
        tx_bytes: stats.obytes,
        rx_missed: stats.imissed,
        rx_errors: stats.ierrors,
        rx_no_buffer: stats.rx_nombuf,
        tx_errors: stats.oerrors,
    }
}
