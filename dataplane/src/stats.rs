//! Everything that is counted, as control is told of it.

use std::collections::BTreeMap;

use api::{MemberStats, NodeStats, PortStats, ServiceStats, Snapshot, Stats, Traffic, WorkerStats};
use forward::{Cell, CellNumbers, Counter};

use crate::clock::boot_millis;
use crate::connections::Lost;
use crate::ports::OpenPort;
use crate::route::Routes;
use crate::tables::Force;
use crate::team::Team;
use crate::worker::Shared;

/// All counters, since the process started at `started` (milliseconds since boot).
pub(crate) fn stats(
    force: &Force,
    team: &Team,
    ports: &[OpenPort],
    routes: &Routes,
    capacity: u64,
    started: u64,
) -> Stats {
    let now = boot_millis();
    let generation = force.tables().map(|tables| tables.generation);
    let workers: Vec<_> = team
        .workers()
        .map(|shared| {
            use std::sync::atomic::Ordering::Relaxed;
            let count =
                |&counter: &Counter| (counter.name().to_owned(), shared.counters.get(counter));
            WorkerStats {
                cpu: shared.cpu,
                heartbeat_ms: now.saturating_sub(shared.heartbeat.load(Relaxed)),
                generation: Some(shared.generation.load(Relaxed))
                    .filter(|&generation| generation != Shared::NO_GENERATION),
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
        let place = stats.iter().position(|s| s.name == service.name).unwrap_or_else(|| {
            stats.push(ServiceStats { name: service.name.clone(), ..ServiceStats::default() });
            stats.len() - 1
        });
        let entry = &mut stats[place];
        if let Some(balance) = &built.balance {
            entry.tables.push(format!("{:016x}", balance.maglev.fingerprint()));
        }
        for member in &service.nodes {
            let Some(node) = tables.node(member.node) else { continue };
            match entry.nodes.iter_mut().find(|m| m.node == node.name) {
                Some(known) => known.states.push(member.state),
                None => entry.nodes.push(MemberStats {
                    node: node.name.clone(),
                    states: vec![member.state],
                    traffic: traffic.get(&(built.index, member.node)).copied().unwrap_or_default(),
                }),
            }
        }
        entry.total = sum(traffic.iter().filter(|((s, _), _)| *s == built.index).map(|(_, &t)| t));
    }
    stats
}

fn nodes(snapshot: &Snapshot, routes: &Routes, traffic: &ByPair) -> Vec<NodeStats> {
    let stats = |node: &api::Node| NodeStats {
        name: node.name.clone(),
        index: node.index,
        reachable: node.addresses.iter().map(|&a| routes.is_reachable(a)).collect(),
        traffic: sum(traffic.iter().filter(|((_, n), _)| *n == node.index).map(|(_, &t)| t)),
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
