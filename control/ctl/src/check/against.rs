//! `--against running`: what a site file would change of what the dataplane has. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{InForce, Prefix, Snapshot, State};
use config::{Config, Service};
use forward::{Hasher, Maglev};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::text::{Cell, Table, Tone, wrap};

/// What would change.
#[derive(Debug, Serialize)]
pub(super) struct Against {
    /// Generation that it is compared with.
    generation: u64,
    /// Whether the file has the key that is in force. Another one moves every flow.
    same_key: bool,
    /// Each service of the file; more than once if the states of its nodes differ between VIPs.
    services: Vec<Change>,
    /// Services that the file does not have any more.
    services_gone: Vec<String>,
    /// VIPs that services of the file do not have any more: service and VIP.
    vips_gone: Vec<(String, Prefix)>,
    /// Nodes that the file does not have any more: they are kept, without rows, for `removal_time`.
    nodes_kept: Vec<String>,
}

/// What would change of a service.
#[derive(Debug, Serialize)]
struct Change {
    service: String,
    vips: Vec<Prefix>,
    what: What,
}

/// What becomes of a table.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// There is none to compare with.
    New,
    /// Rows that get another owner, of how many.
    Moves { rows: u32, of: u32, percent: f64 },
    /// Rows are chosen by something else of a packet: every flow may move.
    OtherHash,
    /// No node takes new flows now.
    NoNodeNow,
    /// No node would take new flows.
    NoNodeThen,
}

impl Against {
    /// Compares with the Snapshot in force. Its nodes' states are taken to last, and those of nodes
    /// that are new to a service to be up; weights are those of the file.
    ///
    /// # Errors
    /// The Snapshot is not valid: another release, or not a dataplane's.
    pub(super) fn running(config: &Config, running: &InForce) -> Result<Self, Failure> {
        let snapshot = &running.snapshot;
        let problems = forward::problems(snapshot);
        if !problems.is_empty() {
            let problem = problems.join("; ");
            return Err(Failure::refused(format!("the running Snapshot is not valid: {problem}")));
        }
        let hasher = Hasher::new(config.site.hash_key.bytes());
        let mut tables = Tables { hasher: &hasher, built: BTreeMap::new() };
        let mut services = Vec::new();
        for service in &config.services {
            for (before, vips) in by_running(service, snapshot) {
                let what = match before {
                    Some(before) => change(config, service, snapshot, before, &mut tables),
                    None => What::New,
                };
                services.push(Change { service: service.name.clone(), vips, what });
            }
        }
        Ok(Self {
            generation: running.generation,
            same_key: running.key_fingerprint == format!("{:016x}", hasher.fingerprint()),
            services,
            services_gone: services_gone(config, snapshot),
            vips_gone: vips_gone(config, snapshot),
            nodes_kept: nodes_kept(config, snapshot),
        })
    }

    /// In words.
    pub(super) fn render(&self, context: &Context) -> String {
        let mut text = format!("Against generation {}, which is running:\n\n", self.generation);
        let mut say = |tone, line: String| {
            for line in wrap(&line, context.width - 2, 2) {
                text += &format!("  {}\n", context.paint.apply(tone, &line));
            }
        };
        if !self.same_key {
            say(Tone::Bad, "another hash key: every flow moves, and it takes --force".into());
        }
        for service in &self.services_gone {
            say(Tone::Bad, format!("service {service} is gone: it takes --force"));
        }
        for (service, vip) in &self.vips_gone {
            say(Tone::Warn, format!("service {service} has {vip} no more"));
        }
        for node in &self.nodes_kept {
            let line = format!("{node} has left: kept, without rows, for removal_time");
            say(Tone::Warn, line);
        }
        let mut table = Table::new(&["SERVICE", "ROWS THAT MOVE", "VIPS"]);
        for Change { service, vips, what } in &self.services {
            let vips: Vec<_> = vips.iter().map(Prefix::to_string).collect();
            table.row([service.as_str().into(), what.cell(), vips.join(", ").into()]);
        }
        text + &table.render(2, context.width, context.paint)
    }
}

impl What {
    fn cell(&self) -> Cell {
        match self {
            Self::New => Cell::new(Tone::Plain, "new"),
            Self::Moves { rows: 0, .. } => Cell::new(Tone::Good, "none"),
            Self::Moves { percent, .. } => Cell::new(Tone::Warn, format!("{percent:.2} %")),
            Self::OtherHash => Cell::new(Tone::Bad, "all: another `hash`"),
            Self::NoNodeNow => Cell::new(Tone::Plain, "no node is up now"),
            Self::NoNodeThen => Cell::new(Tone::Bad, "no node left"),
        }
    }
}

/// The service's VIPs, by the running service of that name that has them.
fn by_running<'a>(
    service: &Service,
    snapshot: &'a Snapshot,
) -> Vec<(Option<&'a api::Service>, Vec<Prefix>)> {
    let mut groups: BTreeMap<Option<usize>, Vec<Prefix>> = BTreeMap::new();
    for vip in &service.vips {
        let has = |before: &api::Service| before.name == service.name && before.vips.contains(vip);
        groups.entry(snapshot.services.iter().position(has)).or_default().push(*vip);
    }
    let group = |(at, vips): (Option<usize>, _)| (at.map(|at| &snapshot.services[at]), vips);
    groups.into_iter().map(group).collect()
}

fn change(
    config: &Config,
    after: &Service,
    snapshot: &Snapshot,
    before: &api::Service,
    tables: &mut Tables<'_>,
) -> What {
    if before.hash != after.hash {
        return What::OtherHash;
    }
    let name = |index: u16| {
        snapshot.nodes.iter().find(|node| node.index == index).map(|node| node.name.clone())
    };
    let states: BTreeMap<String, State> =
        before.nodes.iter().filter_map(|member| Some((name(member.node)?, member.state))).collect();
    let takes = |state: State| match state {
        State::Up => true,
        State::Joining | State::Drain | State::Maintenance | State::Down => false,
    };
    let now = before
        .nodes
        .iter()
        .filter(|member| takes(member.state))
        .filter_map(|member| Some((name(member.node)?, member.node, member.weight)));
    let then = after.nodes.iter().filter_map(|member| {
        let node = &config.l7[member.l7];
        let up = states.get(&node.name).is_none_or(|state| takes(*state));
        up.then(|| (node.name.clone(), node.index, member.weight))
    });
    let (now, then) =
        (tables.table(before.rows, now.collect()), tables.table(after.rows, then.collect()));
    match (now, then) {
        (None, _) => What::NoNodeNow,
        (Some(_), None) => What::NoNodeThen,
        (Some(now), Some(then)) => {
            let (rows, of) = (then.moved(&now), then.rows());
            What::Moves { rows, of, percent: 100.0 * f64::from(rows) / f64::from(of) }
        }
    }
}

/// A node's name, index and weight.
type Taker = (String, u16, u16);

/// Tables that were built: services of equal nodes share one.
struct Tables<'a> {
    hasher: &'a Hasher,
    built: BTreeMap<(u32, Vec<Taker>), Option<Arc<Maglev>>>,
}

impl Tables<'_> {
    fn table(&mut self, rows: u32, mut takers: Vec<Taker>) -> Option<Arc<Maglev>> {
        takers.sort_unstable();
        let hasher = self.hasher;
        let table = self.built.entry((rows, takers)).or_insert_with_key(|(rows, takers)| {
            let takers: Vec<_> = takers.iter().map(|(n, i, w)| (n.as_str(), *i, *w)).collect();
            Maglev::build(hasher, *rows, &takers).map(Arc::new)
        });
        table.clone()
    }
}

fn services_gone(config: &Config, snapshot: &Snapshot) -> Vec<String> {
    let after: BTreeSet<_> = config.services.iter().map(|service| &service.name).collect();
    let before: BTreeSet<_> = snapshot.services.iter().map(|service| &service.name).collect();
    before.difference(&after).map(ToString::to_string).collect()
}

fn vips_gone(config: &Config, snapshot: &Snapshot) -> Vec<(String, Prefix)> {
    let mut gone = Vec::new();
    for before in &snapshot.services {
        let after = config.services.iter().find(|service| service.name == before.name);
        let lost = before.vips.iter().filter(|vip| after.is_some_and(|s| !s.vips.contains(vip)));
        gone.extend(lost.map(|vip| (before.name.clone(), *vip)));
    }
    gone
}

fn nodes_kept(config: &Config, snapshot: &Snapshot) -> Vec<String> {
    let left = |node: &&api::Node| config.l7.iter().all(|after| after.name != node.name);
    snapshot.nodes.iter().filter(left).map(|node| node.name.clone()).collect()
}
