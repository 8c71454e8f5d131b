//! The page of an L7 node.

use std::collections::BTreeSet;
use std::fmt::Display;

use admin::{L7Status, PoolStatus, ServerStatus};
use health::Admin;

use super::{COUNTER, GAUGE, Page, count, seconds};

/// The page.
pub(in crate::admin::metrics) fn render(status: &L7Status) -> String {
    let mut page = Page(String::new());
    control(&mut page, status);
    tunnel(&mut page, status);
    pools(&mut page, status);
    page.0
}

fn control(page: &mut Page, status: &L7Status) {
    let L7Status { alarms, file, own, .. } = status;
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
        (
            "control_node_ready",
            "whether the health URIs have nothing against this node",
            (own.state == Admin::Ready).into(),
        ),
        ("proxy_connections", "connections of clients", count(status.connections)),
    ];
    for (name, help, value) in gauges {
        page.one(name, GAUGE, help, value);
    }
    for (name, value) in &status.counters {
        page.one(&format!("control_{name}_total"), COUNTER, &name.replace('_', " "), count(*value));
    }
}

fn tunnel(page: &mut Page, status: &L7Status) {
    let Some(tunnel) = &status.tunnel else { return };
    page.head("decap_attached", GAUGE, "whether packets are taken out of tunnels");
    for interface in &tunnel.interfaces {
        let attached = interface.hook.is_some();
        page.line("decap_attached", &[("interface", &interface.name)], attached.into());
    }
    let all = tunnel.interfaces.iter().flat_map(|interface| interface.counters.keys());
    for name in all.collect::<BTreeSet<_>>() {
        let metric = format!("decap_{name}_total");
        page.head(&metric, COUNTER, &name.replace('_', " "));
        for interface in &tunnel.interfaces {
            let packets = interface.counters.get(name).copied().unwrap_or(0);
            page.line(&metric, &[("interface", &interface.name)], count(packets));
        }
    }
    page.one("decap_vips", GAUGE, "VIPs on lo", count(tunnel.vips.len() as u64));
    let problems = count(tunnel.problems.len() as u64);
    page.one("decap_problems", GAUGE, "what is not as it should be", problems);
}

fn pools(page: &mut Page, status: &L7Status) {
    page.head("proxy_pool_usable", GAUGE, "servers that take requests");
    for pool in &status.pools {
        page.line("proxy_pool_usable", &[("pool", &pool.name)], pool.usable.into());
    }
    let servers =
        || status.pools.iter().flat_map(|pool| pool.servers.iter().map(move |one| (pool, one)));
    let labels = |pool: &PoolStatus, server: &ServerStatus| {
        [("pool", pool.name.clone()), ("server", server.name.clone())]
    };
    let mut each = |name: &str, kind, help: &str, read: &dyn Fn(&ServerStatus) -> f64| {
        page.head(name, kind, help);
        for (pool, server) in servers() {
            let labels = labels(pool, server);
            let labels: Vec<_> = labels.iter().map(|(k, v)| (*k, v as &dyn Display)).collect();
            page.line(name, &labels, read(server));
        }
    };
    each("proxy_server_busy", GAUGE, "requests that it has", &|one| one.busy.into());
    each("proxy_server_weight", GAUGE, "its share", &|one| one.weight.into());
    each("proxy_server_up", GAUGE, "whether it takes requests", &|one| {
        (one.state == admin::Effective::Up).into()
    });
    let all = servers().flat_map(|(_, server)| server.counters.keys());
    for name in all.collect::<BTreeSet<_>>() {
        let metric = format!("proxy_server_{name}_total");
        let read = |one: &ServerStatus| count(one.counters.get(name).copied().unwrap_or(0));
        each(&metric, COUNTER, &name.replace('_', " "), &read);
    }
}
