//! Prometheus' text format, of a status and the dataplane's counters. Pure.

use std::fmt::{Display, Write as _};

use admin::{SessionStatus, Status};
use api::Stats;

mod dns;
mod l7;

pub(super) use self::dns::render as render_dns;
pub(super) use self::l7::render as render_l7;

/// The page.
pub(super) fn render(status: &Status, stats: Option<&Stats>) -> String {
    let mut page = Page(String::new());
    control(&mut page, status);
    routers(&mut page, status);
    health(&mut page, status);
    page.one("dataplane_up", GAUGE, "whether the dataplane answers", stats.is_some().into());
    if let Some(stats) = stats {
        workers(&mut page, stats);
        traffic(&mut page, stats);
        ports(&mut page, stats);
    }
    page.0
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

struct Page(String);

impl Page {
    /// A metric's head; its lines follow.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = write!(self.0, "# HELP palier_{name} {help}\n# TYPE palier_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: f64) {
        let _ = write!(self.0, "palier_{name}");
        for (i, (label, text)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(&text.to_string()));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }
}

/// A label's value as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Counts above 2^53 lose their last bits, as everywhere in Prometheus.
fn count(value: u64) -> f64 {
    value as f64
}

fn seconds(milliseconds: u64) -> f64 {
    count(milliseconds) / 1000.0
}

fn control(page: &mut Page, status: &Status) {
    let Status { alarms, file, dataplane, gate, .. } = status;
    page.head("control_info", GAUGE, "1, with names and release");
    let labels: [(&str, &dyn Display); 4] = [
        ("site", &status.site),
        ("node", &status.node),
        ("role", &status.role),
        ("release", &status.program),
    ];
    page.line("control_info", &labels, 1.0);
    let gauges = [
        ("control_uptime_seconds", "since control started", seconds(status.uptime_ms)),
        ("control_alarms", "alarms in palierctl status", count(alarms.len() as u64)),
        ("control_file_loaded_seconds", "Unix time of the text in force", seconds(file.loaded_ms)),
        (
            "control_file_refused",
            "whether the last reload was refused",
            file.refused.is_some().into(),
        ),
        (
            "control_restart_needed",
            "settings that wait for a restart",
            count(file.restart_needed.len() as u64),
        ),
        ("control_gate_open", "whether this node may announce VIPs", gate.open.into()),
        ("control_dataplane_forwards", "whether the dataplane forwards", dataplane.forwards.into()),
        (
            "control_dataplane_refused",
            "whether it refused the last Snapshot",
            (!dataplane.refused.is_empty()).into(),
        ),
    ];
    for (name, help, value) in gauges {
        page.one(name, GAUGE, help, value);
    }
    for (name, value) in &status.counters {
        page.one(&format!("control_{name}_total"), COUNTER, &name.replace('_', " "), count(*value));
    }
    page.head("control_peer_reachable", GAUGE, "whether another L4 node answers");
    let peers = status.nodes.iter().filter(|n| n.peer.is_some() || n.peer_error.is_some());
    for peer in peers.clone() {
        let reachable = peer.peer_error.is_none();
        page.line("control_peer_reachable", &[("peer", &peer.name)], reachable.into());
    }
    page.head("control_peer_differences", GAUGE, "in how much it differs from this one");
    for peer in peers {
        let differences = count(peer.differences.len() as u64);
        page.line("control_peer_differences", &[("peer", &peer.name)], differences);
    }
}

fn routers(page: &mut Page, status: &Status) {
    type Read = fn(&SessionStatus) -> f64;
    let kinds: [(&str, &str, &str, Read); 9] = [
        ("bgp_session_up", GAUGE, "whether a session is established", |s| s.up.into()),
        ("bgp_session_established_total", COUNTER, "times that it came up", |s| {
            count(s.established)
        }),
        ("bgp_session_dropped_total", COUNTER, "times that it went down", |s| count(s.dropped)),
        ("bgp_messages_in_total", COUNTER, "messages received", |s| count(s.messages_in)),
        ("bgp_messages_out_total", COUNTER, "messages sent", |s| count(s.messages_out)),
        ("bgp_notifications_in_total", COUNTER, "NOTIFICATIONs received", |s| {
            count(s.notifications_in)
        }),
        ("bgp_notifications_out_total", COUNTER, "NOTIFICATIONs sent", |s| {
            count(s.notifications_out)
        }),
        ("bgp_routes_announced", GAUGE, "routes that the router was told", |s| {
            count(s.announced.len() as u64)
        }),
        ("bgp_routes_kept_back", GAUGE, "routes that it is not told", |s| {
            count(s.kept_back.len() as u64)
        }),
    ];
    let sessions = || status.routers.iter().flat_map(|r| r.sessions.iter().map(move |s| (r, s)));
    if sessions().next().is_none() {
        return;
    }
    for (name, kind, help, read) in kinds {
        page.head(name, kind, help);
        for (router, session) in sessions() {
            let labels: [(&str, &dyn Display); 2] =
                [("router", &router.name), ("address", &session.address)];
            page.line(name, &labels, read(session));
        }
    }
    page.head("bfd_session_up", GAUGE, "whether the BFD session beside it is up");
    for (router, session) in sessions() {
        if let Some(bfd) = &session.bfd {
            let labels: [(&str, &dyn Display); 2] =
                [("router", &router.name), ("address", &session.address)];
            page.line("bfd_session_up", &labels, bfd.up.into());
        }
    }
    page.head("bfd_session_losses_total", COUNTER, "times that it fell");
    for (router, session) in sessions() {
        if let Some(bfd) = &session.bfd {
            let labels: [(&str, &dyn Display); 2] =
                [("router", &router.name), ("address", &session.address)];
            page.line("bfd_session_losses_total", &labels, count(bfd.losses));
        }
    }
}

fn health(page: &mut Page, status: &Status) {
    let vips = || status.services.iter().flat_map(|s| s.vips.iter().map(move |vip| (s, vip)));
    page.head("health_vip_announced", GAUGE, "whether a VIP is to be announced");
    for (service, vip) in vips() {
        let labels: [(&str, &dyn Display); 2] = [("service", &service.name), ("vip", &vip.vip)];
        page.line("health_vip_announced", &labels, vip.announced.into());
    }
    page.head("health_vip_weight", GAUGE, "sum of the weights of nodes that are up");
    for (service, vip) in vips() {
        let labels: [(&str, &dyn Display); 2] = [("service", &service.name), ("vip", &vip.vip)];
        page.line("health_vip_weight", &labels, vip.weight.into());
    }
    page.head("health_vip_nodes", GAUGE, "how many nodes of a VIP are in which state");
    for (service, vip) in vips() {
        for (state, nodes) in &vip.states {
            let labels: [(&str, &dyn Display); 3] =
                [("service", &service.name), ("vip", &vip.vip), ("state", &state.name())];
            page.line("health_vip_nodes", &labels, (*nodes).into());
        }
    }
    page.head("health_node_state", GAUGE, "1 for an L7 node's worst state in any service");
    for node in &status.nodes {
        if let Some(state) = node.state {
            let labels: [(&str, &dyn Display); 2] =
                [("node", &node.name), ("state", &state.name())];
            page.line("health_node_state", &labels, 1.0);
        }
    }
}

fn workers(page: &mut Page, stats: &Stats) {
    page.one(
        "dataplane_uptime_seconds",
        GAUGE,
        "since the dataplane started",
        seconds(stats.uptime_ms),
    );
    let generation = stats.generation.map_or(0.0, count);
    page.one("dataplane_generation", GAUGE, "Snapshot in force", generation);
    page.head("dataplane_worker_heartbeat_seconds", GAUGE, "since a worker last turned its loop");
    for worker in &stats.workers {
        let value = seconds(worker.heartbeat_ms);
        page.line("dataplane_worker_heartbeat_seconds", &[("cpu", &worker.cpu)], value);
    }
    page.head("dataplane_connections", GAUGE, "entries in a worker's connection table");
    for worker in &stats.workers {
        page.line("dataplane_connections", &[("cpu", &worker.cpu)], count(worker.connections));
    }
    page.head("dataplane_connections_capacity", GAUGE, "connections it can hold");
    for worker in &stats.workers {
        let capacity = count(worker.capacity);
        page.line("dataplane_connections_capacity", &[("cpu", &worker.cpu)], capacity);
    }
    // Some are of the process, not of a worker: those have no label.
    for (name, total) in &stats.counters {
        let metric = format!("dataplane_{name}_total");
        page.head(&metric, COUNTER, &name.replace('_', " "));
        let by_worker: u64 = stats.workers.iter().filter_map(|w| w.counters.get(name)).sum();
        let of_workers = stats.workers.iter().any(|w| w.counters.contains_key(name));
        if of_workers && by_worker == *total {
            for worker in &stats.workers {
                let value = worker.counters.get(name).copied().unwrap_or(0);
                page.line(&metric, &[("cpu", &worker.cpu)], count(value));
            }
        } else {
            page.line(&metric, &[], count(*total));
        }
    }
}

fn traffic(page: &mut Page, stats: &Stats) {
    type Read = fn(&api::Traffic) -> u64;
    let kinds: [(&str, &str, &str, Read); 4] = [
        ("packets_total", COUNTER, "packets forwarded", |t| t.packets),
        ("bytes_total", COUNTER, "bytes forwarded, from the inner IP header on", |t| t.bytes),
        ("flows_total", COUNTER, "flows given to a node", |t| t.new_flows),
        ("connections", GAUGE, "connections remembered", |t| t.connections),
    ];
    for (what, kind, help, read) in kinds {
        let name = format!("dataplane_service_{what}");
        page.head(&name, kind, help);
        for service in &stats.services {
            for node in &service.nodes {
                let labels: [(&str, &dyn Display); 2] =
                    [("service", &service.name), ("node", &node.node)];
                page.line(&name, &labels, count(read(&node.traffic)));
            }
        }
    }
    page.head("dataplane_node_reachable", GAUGE, "whether a next hop's link address is known");
    for node in &stats.nodes {
        let reachable = node.reachable.iter().all(|&known| known);
        page.line("dataplane_node_reachable", &[("node", &node.name)], reachable.into());
    }
}

fn ports(page: &mut Page, stats: &Stats) {
    type Read = fn(&api::PortStats) -> u64;
    let kinds: [(&str, Read); 8] = [
        ("rx_packets", |p| p.rx_packets),
        ("tx_packets", |p| p.tx_packets),
        ("rx_bytes", |p| p.rx_bytes),
        ("tx_bytes", |p| p.tx_bytes),
        ("rx_missed", |p| p.rx_missed),
        ("rx_errors", |p| p.rx_errors),
        ("rx_no_buffer", |p| p.rx_no_buffer),
        ("tx_errors", |p| p.tx_errors),
    ];
    for (what, read) in kinds {
        let name = format!("dataplane_port_{what}_total");
        page.head(&name, COUNTER, &what.replace('_', " "));
        for port in &stats.ports {
            page.line(&name, &[("port", &port.name)], count(read(port)));
        }
    }
}
