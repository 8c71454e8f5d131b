//! The page of an L7 node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use admin::{Effective, FrontendStatus, Histogram, L7Status, ServerStatus};
use health::Admin;

use super::{COUNTER, GAUGE, Page, count, seconds};

/// The page.
pub(in crate::admin::metrics) fn render(status: &L7Status) -> String {
    let mut page = Page(String::new());
    control(&mut page, status);
    tunnel(&mut page, status);
    frontends(&mut page, status);
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

/// What tells a thing from others of its kind.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Counters of things: a metric for each name, a line for each thing.
fn counters(page: &mut Page, what: &str, all: &[(Labels<'_>, &BTreeMap<String, u64>)]) {
    let names: BTreeSet<_> = all.iter().flat_map(|(_, counters)| counters.keys()).collect();
    for name in names {
        let metric = format!("proxy_{what}_{name}_total");
        page.head(&metric, COUNTER, &name.replace('_', " "));
        for (labels, counters) in all {
            page.line(&metric, &shown(labels), count(counters.get(name).copied().unwrap_or(0)));
        }
    }
}

/// Times of things.
fn times(page: &mut Page, metric: &str, help: &str, all: &[(Labels<'_>, &Histogram)]) {
    page.head(metric, "histogram", help);
    for (labels, histogram) in all {
        let mut below = 0;
        let bounds = histogram.bounds_ms.iter().map(|&bound| seconds(bound).to_string());
        for (bound, counted) in bounds.chain(["+Inf".to_owned()]).zip(&histogram.counts) {
            below += counted;
            let mut labels = shown(labels);
            labels.push(("le", &bound));
            page.line(&format!("{metric}_bucket"), &labels, count(below));
        }
        page.line(&format!("{metric}_sum"), &shown(labels), count(histogram.sum_us) / 1e6);
        page.line(&format!("{metric}_count"), &shown(labels), count(below));
    }
}

fn shown<'a>(labels: &'a Labels<'_>) -> Vec<(&'a str, &'a dyn Display)> {
    labels.iter().map(|(name, value)| (*name, value as &dyn Display)).collect()
}

fn frontends(page: &mut Page, status: &L7Status) {
    fn labels(one: &FrontendStatus) -> Labels<'_> {
        vec![("frontend", &one.name), ("service", &one.service)]
    }
    let all = status.frontends.iter();
    let counted: Vec<_> = all.clone().map(|one| (labels(one), &one.counters)).collect();
    counters(page, "frontend", &counted);
    page.head("proxy_frontend_open", GAUGE, "connections that are open");
    for one in all.clone() {
        page.line("proxy_frontend_open", &shown(&labels(one)), one.open.into());
    }
    let timed: Vec<_> = all.map(|one| (labels(one), &one.times)).collect();
    let help = "from a request's header to the end of its answer";
    times(page, "proxy_frontend_request_seconds", help, &timed);
}

fn pools(page: &mut Page, status: &L7Status) {
    page.head("proxy_pool_usable", GAUGE, "servers that take requests");
    for pool in &status.pools {
        page.line("proxy_pool_usable", &[("pool", &pool.name)], pool.usable.into());
    }
    page.head("proxy_pool_waiting", GAUGE, "requests that wait for a server");
    for pool in &status.pools {
        page.line("proxy_pool_waiting", &[("pool", &pool.name)], pool.waiting.into());
    }
    let all = status.pools.iter();
    let counted: Vec<(Labels<'_>, _)> =
        all.map(|pool| (vec![("pool", pool.name.as_str())], &pool.counters)).collect();
    counters(page, "pool", &counted);
    servers(page, status);
}

fn servers(page: &mut Page, status: &L7Status) {
    let mut all: Vec<(Labels<'_>, &ServerStatus)> = Vec::new();
    for pool in &status.pools {
        let labels = |one| vec![("pool", pool.name.as_str()), ("server", one)];
        all.extend(pool.servers.iter().map(|one| (labels(one.name.as_str()), one)));
    }
    let mut each = |name: &str, help: &str, read: &dyn Fn(&ServerStatus) -> f64| {
        page.head(name, GAUGE, help);
        for (labels, server) in &all {
            page.line(name, &shown(labels), read(server));
        }
    };
    each("proxy_server_busy", "requests that it has", &|one| one.busy.into());
    each("proxy_server_weight", "its share", &|one| one.weight.into());
    each("proxy_server_up", "whether it takes requests", &|one| {
        (one.state == Effective::Up).into()
    });
    let counted: Vec<_> = all.iter().map(|(labels, one)| (labels.clone(), &one.counters)).collect();
    counters(page, "server", &counted);
    let timed: Vec<_> = all.iter().map(|(labels, one)| (labels.clone(), &one.times)).collect();
    let help = "from a request's header to that of its answer";
    times(page, "proxy_server_response_seconds", help, &timed);
}
