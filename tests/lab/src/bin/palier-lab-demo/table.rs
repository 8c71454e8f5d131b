//! What is printed every second.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use admin::Effective;
use api::{Reply, Request, Stats};
use lab::Lab;

/// The counts at one moment, to take the next second's difference from.
#[derive(Default)]
pub(crate) struct Moment {
    /// Of each L4 node; `None` while its dataplane is away.
    l4: Vec<Option<Forwarded>>,
    /// Requests of each L7 node.
    l7: Vec<u64>,
    /// Requests of each server behind them.
    servers: Vec<u64>,
    /// State of each L7 node, as the first control sees it.
    states: Vec<Effective>,
    /// Of each router: how many L4 nodes it spreads the IPv4 and the IPv6 VIP over.
    paths: Vec<[usize; 2]>,
}

#[derive(Clone, Default)]
struct Forwarded {
    packets: u64,
    bytes: u64,
    connections: u64,
    drops: BTreeMap<String, u64>,
}

impl From<Stats> for Forwarded {
    fn from(stats: Stats) -> Self {
        let is_drop = |(name, count): &(String, u64)| name.starts_with("drop_") && *count > 0;
        Self {
            packets: stats.counters.get("forwarded").copied().unwrap_or(0),
            bytes: stats.nodes.iter().map(|node| node.traffic.bytes).sum(),
            connections: stats.workers.iter().map(|worker| worker.connections).sum(),
            drops: stats.counters.into_iter().filter(is_drop).collect(),
        }
    }
}

/// The worst state of each L7 node in any service; none where no control answers.
fn states(lab: &Lab) -> Vec<Effective> {
    let Some(status) = lab.l4s().first().and_then(|node| node.try_status().ok()) else {
        return Vec::new();
    };
    let nodes = status.nodes.iter().filter(|node| node.role == "l7");
    nodes.map(|node| node.state.unwrap_or(Effective::Down)).collect()
}

/// What the proxies have sent to each server; less while one of them is away.
fn servers(lab: &Lab) -> Vec<u64> {
    let statuses: Vec<_> = lab.l7s().iter().filter_map(|node| node.try_status().ok()).collect();
    let sent = |name: &str| {
        let pools = statuses.iter().flat_map(|status| &status.pools);
        let servers = pools.flat_map(|pool| &pool.servers).filter(|server| server.name == name);
        servers.filter_map(|server| server.counters.get("requests")).sum()
    };
    lab.backends().iter().map(|server| sent(server.name())).collect()
}

impl Moment {
    pub(crate) fn now(lab: &Lab) -> Self {
        let stats = |node: &lab::L4| match node.try_request(&Request::Stats) {
            Ok(Reply::Stats(stats)) => Some(Forwarded::from(*stats)),
            Ok(_) | Err(_) => None,
        };
        Self {
            l4: lab.l4s().iter().map(stats).collect(),
            l7: lab.l7s().iter().map(lab::L7::requests).collect(),
            servers: servers(lab),
            states: states(lab),
            paths: lab.routers().iter().map(lab::Router::paths).collect(),
        }
    }

    /// One second's table: rates since `earlier`, `elapsed` ago.
    pub(crate) fn table(&self, lab: &Lab, earlier: &Self, elapsed: Duration) -> String {
        let mut text = String::new();
        self.write(&mut text, lab, earlier, elapsed).expect("a String takes all");
        text
    }

    fn write(&self, out: &mut String, lab: &Lab, earlier: &Self, elapsed: Duration) -> fmt::Result {
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / elapsed.as_secs_f64();
        for (router, [v4, v6]) in lab.routers().iter().zip(&self.paths) {
            let number = router.number();
            writeln!(out, "  router-{number} spreads IPv4 over {v4} and IPv6 over {v6}")?;
        }
        if !self.l4.is_empty() {
            writeln!(out, "  L4 node  packets/s    Mbit/s  connections  dropped")?;
        }
        for (index, (node, now)) in lab.l4s().iter().zip(&self.l4).enumerate() {
            let Some(now) = now else {
                writeln!(out, "  {:<7}  does not answer", node.name())?;
                continue;
            };
            let then = earlier.l4.get(index).cloned().flatten().unwrap_or_default();
            let drops: Vec<String> = now
                .drops
                .iter()
                .map(|(name, count)| format!("{} {count}", name.trim_start_matches("drop_")))
                .collect();
            let drops = if drops.is_empty() { "-".into() } else { drops.join(", ") };
            writeln!(
                out,
                "  {:<7}  {:>9.0}  {:>8.2}  {:>11}  {drops}",
                node.name(),
                rate(now.packets, then.packets),
                rate(now.bytes, then.bytes) * 8.0 / 1e6,
                now.connections,
            )?;
        }
        writeln!(out, "  L7 node  state       requests/s  requests  connections")?;
        for (index, (node, requests)) in lab.l7s().iter().zip(&self.l7).enumerate() {
            writeln!(
                out,
                "  {:<7}  {:<10}  {:>10.0}  {requests:>8}  {:>11}",
                node.name(),
                self.states.get(index).map_or("-", |state| state.name()),
                rate(*requests, earlier.l7.get(index).copied().unwrap_or(0)),
                node.connections(),
            )?;
        }
        if !self.servers.is_empty() {
            writeln!(out, "  server    agent       requests/s  requests")?;
        }
        for (index, (server, &requests)) in lab.backends().iter().zip(&self.servers).enumerate() {
            let then = earlier.servers.get(index).copied().unwrap_or(0);
            let rate = rate(requests, then);
            writeln!(
                out,
                "  {:<8}  {:<10}  {rate:>10.0}  {requests:>8}",
                server.name(),
                server.said()
            )?;
        }
        Ok(())
    }
}
