//! An L7 node: what it tells of itself, how packets come, and where requests go.

use admin::{FrontendStatus, L7Status, PoolStatus, ServerStatus, TunnelStatus};
use health::Admin;

use super::Page;
use super::service::state;
use crate::text::{Cell, Table, Tone, human_ms};

/// Counters of a decapsulator that count packets for VIPs.
const TAKEN: [&str; 4] = ["decap_4in4", "decap_6in4", "decap_4in6", "decap_6in6"];

impl Page {
    /// The whole of it.
    pub(super) fn l7(&self, status: &L7Status) -> String {
        let parts = [
            self.alarms(&status.alarms),
            self.l7_head(status),
            self.frontends(&status.frontends),
            self.pools(&status.pools),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("\n")
    }

    fn l7_head(&self, status: &L7Status) -> String {
        let mut table = Table::plain();
        let mut line = |name: &str, tone, text: String| {
            table.row([Cell::new(Tone::Strong, name), Cell::new(tone, text)]);
        };
        let L7Status { site, node, role, program, uptime_ms, file, own, tunnel, .. } = status;
        let up = human_ms(*uptime_ms);
        let text = format!("{node} ({role}) of {site}, palier-control {program} for {up}");
        line("node", Tone::Plain, text);
        self.file(file, &mut line);

        let (tone, word) = match own.state {
            Admin::Ready => (Tone::Good, "takes new flows"),
            Admin::Drain => (Tone::Warn, "drains"),
            Admin::Maintenance => (Tone::Warn, "is in maintenance"),
        };
        let mut words = vec![word.to_owned()];
        words.extend(own.leaving.iter().map(|step| format!("leaving: {step}")));
        let said = own.operator.iter().filter(|entry| entry.state != Admin::Ready);
        words.extend(said.map(|entry| format!("operator ({})", entry.by)));
        words.extend(own.disabled.iter().cloned());
        line("state", tone, words.join("; "));
        tunnels(tunnel.as_ref(), &mut line);
        line("clients", Tone::Plain, format!("{} connections", status.connections));
        table.render(0, self.width, self.paint)
    }

    fn frontends(&self, frontends: &[FrontendStatus]) -> String {
        if frontends.is_empty() {
            return String::new();
        }
        let mut table =
            Table::new(&["FRONTEND", "SERVICE", "OPEN", "REQUESTS", "5XX", "LISTENS ON"]);
        for frontend in frontends {
            let count = |name: &str| frontend.counters.get(name).copied().unwrap_or(0);
            let listen: Vec<_> = frontend.listen.iter().map(ToString::to_string).collect();
            table.row([
                frontend.name.as_str().into(),
                frontend.service.as_str().into(),
                Cell::number(u64::from(frontend.open)),
                Cell::number(count("requests")),
                Cell::number(count("responses_5xx")),
                listen.join(" ").into(),
            ]);
        }
        table.render(0, self.width, self.paint)
    }

    fn pools(&self, pools: &[PoolStatus]) -> String {
        let texts: Vec<_> = pools.iter().map(|pool| self.pool(pool)).collect();
        texts.join("\n")
    }

    fn pool(&self, pool: &PoolStatus) -> String {
        let tone = if pool.usable >= pool.quorum { Tone::Good } else { Tone::Bad };
        let (usable, all, quorum) = (pool.usable, pool.servers.len(), pool.quorum);
        let usable = format!("{usable} of {all} servers take requests, {quorum} needed");
        let name = self.paint.apply(Tone::Strong, &pool.name);
        let mut text = format!("{name}  {}\n", self.paint.apply(tone, &usable));
        let mut table =
            Table::new(&["SERVER", "STATE", "WEIGHT", "BUSY", "REQUESTS", "FAILED", ""]);
        for server in &pool.servers {
            let count = |name: &str| server.counters.get(name).copied().unwrap_or(0);
            table.row([
                server.name.as_str().into(),
                state(server.state),
                Cell::number(server.weight),
                Cell::number(server.busy),
                Cell::number(count("requests")),
                Cell::number(count("failed")),
                why(server).into(),
            ]);
        }
        text.push_str(&table.render(2, self.width, self.paint));
        text
    }
}

/// How packets come out of tunnels.
fn tunnels(tunnel: Option<&TunnelStatus>, line: &mut dyn FnMut(&str, Tone, String)) {
    let Some(tunnel) = tunnel else {
        return line(
            "tunnel",
            Tone::Faint,
            "not control's: the entry names no `interfaces`".into(),
        );
    };
    for interface in &tunnel.interfaces {
        let count = |names: &[&str]| -> u64 {
            names.iter().filter_map(|name| interface.counters.get(*name)).sum()
        };
        let dropped: u64 = interface
            .counters
            .iter()
            .filter(|(name, _)| name.starts_with("drop_"))
            .map(|(_, packets)| packets)
            .sum();
        let (tone, text) = match &interface.hook {
            Some(hook) => (
                Tone::Good,
                format!(
                    "{} by {hook}: {} packets, {dropped} dropped",
                    interface.name,
                    count(&TAKEN)
                ),
            ),
            None => (Tone::Bad, format!("{}: no packet is taken", interface.name)),
        };
        line("tunnel", tone, text);
    }
    line("VIPs", Tone::Plain, tunnel.vips.join(" "));
    for route in &tunnel.routes {
        line("route", Tone::Plain, route.clone());
    }
}

/// Why a server is what it is, and what comes next.
fn why(server: &ServerStatus) -> String {
    let mut words = Vec::new();
    if !server.reason.is_empty() {
        words.push(server.reason.clone());
    }
    if ![0, 100].contains(&server.operator_weight) {
        words.push(format!("{}% of its weight: operator", server.operator_weight));
    }
    for check in &server.checks {
        let (against, enough) = check.against;
        if against > 0 {
            let answer = &check.reason;
            words.push(format!("{against} of {enough} against it: {}: {answer}", check.check));
        }
    }
    words.join("; ")
}
