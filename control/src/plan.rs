//! What follows from the configuration, from what checks say and from what operators want: the
//! dataplane's Snapshot, and the VIPs to announce. Pure: the same on every node that knows the same.
//!
//! A member of a service has a [`Seat`] at each of the service's VIPs, so that a node whose IPv6 is
//! dead leaves the IPv6 VIPs alone. What was in force [`Before`] matters in four ways: a node that
//! was not asked yet stays what it was; an instant at which flows go is not set anew; a node that is
//! new to a service joins first; one that left it is kept for the flows it has.

mod before;
mod seat;
mod weights;

use std::collections::BTreeSet;
use std::time::Duration;

use admin::States;
use api::{Member, Node, Prefix, Release, Snapshot, State};
use config::{Config, L4, QuorumLoss, Service};
use health::Admin;
use health::quorum::Quorum;

pub use self::before::Before;
use self::before::Was;
pub use self::seat::{Cause, Seat};
use crate::aim::{Aim, probe_ports};

/// What is known now.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The site file.
    pub config: &'a Config,
    /// This node.
    pub own: &'a L4,
    /// Who asks whom: of the same configuration.
    pub aim: &'a Aim,
    /// What each of its probes says, by place.
    pub verdicts: &'a [Verdict],
    /// What operators want.
    pub states: &'a States,
    /// CLOCK_BOOTTIME.
    pub now: Duration,
}

/// What a probe says of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Nothing yet, before the first.
    pub state: Option<health::State>,
    /// What the target wants to be.
    pub admin: Admin,
    /// Percent of the configured weight.
    pub weight: u16,
}

impl Verdict {
    /// Before the first.
    pub const NONE: Self = Self { state: None, admin: Admin::Ready, weight: 100 };
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For the dataplane. Its generation is that of what was before: whoever applies it counts on.
    pub snapshot: Snapshot,
    /// Of each service of the configuration, each VIP.
    pub services: Vec<Vec<Vip>>,
    /// When something changes by itself, if it does.
    pub wake: Option<Duration>,
}

/// A VIP of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// Whether enough nodes are up.
    pub quorum: bool,
    /// Whether it is to be announced, as far as its nodes are concerned.
    pub announce: bool,
    /// Sum of the weights of nodes that are up, in hundredths.
    pub weight: u32,
    /// Each member, in the order of [`Service::nodes`].
    pub seats: Vec<Seat>,
}

impl Plan {
    /// What follows from what is known, and from what was before.
    pub fn of(known: &Known<'_>, before: &Before<'_>) -> Self {
        let mut wake = Wake(None);
        let mut kept = BTreeSet::new();
        let mut services = Vec::with_capacity(known.config.services.len());
        let mut planned = Vec::with_capacity(known.config.services.len());
        for (s, service) in known.config.services.iter().enumerate() {
            let mut groups: Vec<(Vec<Member>, Vec<Prefix>)> = Vec::new();
            let mut vips = Vec::with_capacity(service.vips.len());
            for (v, &prefix) in service.vips.iter().enumerate() {
                let was = before.vip(&service.name, prefix);
                let vip = vip(known, &was, s, v);
                for seat in &vip.seats {
                    wake.at(seat.joining_until);
                }
                let mut members = members(known, service, &vip);
                keep(known, before, &was, &mut members, &mut kept, &mut wake);
                match groups.iter_mut().find(|(others, _)| *others == members) {
                    Some((_, prefixes)) => prefixes.push(prefix),
                    None => groups.push((members, vec![prefix])),
                }
                vips.push(vip);
            }
            services.push(vips);
            planned.extend(groups.into_iter().map(|(nodes, vips)| entry(service, vips, nodes)));
        }
        let snapshot = Snapshot {
            generation: before.generation(),
            hash_key: Some(known.config.site.hash_key),
            addresses: known.own.addresses.clone(),
            tunnel_sources: known.own.tunnel_sources.clone(),
            nodes: nodes(known.config, before, &kept),
            services: planned,
            routers: known
                .config
                .routers
                .iter()
                .flat_map(|router| router.addresses.iter().map(|&address| address.into()))
                .collect(),
            management: known.config.site.management.clone(),
            bfd: Vec::new(),
            limits: known.config.site.limits,
            idle: known.config.site.idle,
        };
        Self { snapshot, services, wake: wake.0 }
    }
}

/// The earliest of some instants.
struct Wake(Option<Duration>);

impl Wake {
    fn at(&mut self, instant: Option<Duration>) {
        self.0 = [self.0, instant].into_iter().flatten().min();
    }
}

fn vip(known: &Known<'_>, was: &Was<'_>, s: usize, v: usize) -> Vip {
    let service = &known.config.services[s];
    let mut seats: Vec<Seat> = (0..service.nodes.len())
        .map(|m| seat::seat(known, service, known.aim.at(s, v, m), m, was))
        .collect();
    // Somebody has to take the flows: if nobody is left but those that join, they have joined.
    if !seats.iter().any(|seat| seat.state == State::Up) {
        for seat in seats.iter_mut().filter(|seat| seat.state == State::Joining) {
            *seat = Seat { state: State::Up, joining_until: None, ..seat.clone() };
        }
    }
    let up = seats.iter().filter(|seat| seat.state == State::Up);
    // Agents may multiply a weight by 256: the sum stops where the type does.
    let weight = up.fold(0, |sum: u32, seat| sum.saturating_add(seat.weight));
    // Quorum and hysteresis are in whole weights, agents speak in percent of one.
    let quorum = Quorum { need: service.quorum * 100, hysteresis: service.hysteresis * 100 }
        .holds(weight, was.quorum());
    let announce = quorum
        || match service.on_quorum_loss {
            QuorumLoss::Withdraw => false,
            // Not before anybody was seen: that is not a loss.
            QuorumLoss::Keep | QuorumLoss::Sorry(_) => {
                !service.alpha || seats.iter().any(|seat| seat.cause != Cause::Unchecked)
            }
        };
    Vip { quorum, announce, weight, seats }
}

/// The members of a service at a VIP, for the dataplane.
fn members(known: &Known<'_>, service: &Service, vip: &Vip) -> Vec<Member> {
    let index = |l7: usize| known.config.l7[l7].index;
    let sorry = match &service.on_quorum_loss {
        QuorumLoss::Sorry(nodes) => nodes.as_slice(),
        QuorumLoss::Withdraw | QuorumLoss::Keep => &[],
    };
    let apologise = !vip.quorum && !sorry.is_empty();
    // Each with its weight in hundredths.
    let mut members: Vec<(Member, u32)> = Vec::with_capacity(vip.seats.len() + sorry.len());
    for (member, seat) in service.nodes.iter().zip(&vip.seats) {
        // Without quorum the sorry nodes take all new flows; the others keep what they have.
        let weight = if apologise { 0 } else { seat.weight };
        let node = index(member.l7);
        let member = Member { node, weight: 0, state: seat.state, release: seat.release };
        members.push((member, weight));
    }
    for member in sorry {
        let node = index(member.l7);
        let wanted = known.states.get(&known.config.l7[member.l7].name);
        let takes = wanted.is_none_or(|entry| entry.state == Admin::Ready);
        let weight = if apologise && takes { u32::from(member.weight) * 100 } else { 0 };
        let up = Member { node, weight: 0, state: State::Up, release: Release::Never };
        match members.iter_mut().find(|(other, _)| other.node == node) {
            // It is one of the ordinary nodes, and down as such: better than nobody.
            Some(other) if apologise => *other = (up, weight),
            Some(_) => {}
            None => members.push((up, weight)),
        }
    }
    weights::scale(&mut members);
    members.sort_unstable_by_key(|(member, _)| member.node);
    members.into_iter().map(|(member, _)| member).collect()
}

/// Adds the nodes that have left the service, for as long as they may have flows of it. Members are in
/// the order of their indexes, before and after.
fn keep(
    known: &Known<'_>,
    before: &Before<'_>,
    was: &Was<'_>,
    members: &mut Vec<Member>,
    kept: &mut BTreeSet<u16>,
    wake: &mut Wake,
) {
    let removal = known.now + known.config.site.times.removal_time;
    let is_there = |node| members.binary_search_by_key(&node, |member| member.node).is_ok();
    let left: Vec<Member> = was
        .members()
        .filter(|member| !is_there(member.node))
        .filter(|member| before.is_still(member.node, known.config))
        .copied()
        .collect();
    for member in left {
        let deadline = match (member.state, member.release) {
            (State::Down | State::Maintenance, Release::At(at)) => Duration::from_millis(at),
            (State::Down | State::Maintenance, Release::Never)
            | (State::Up | State::Joining | State::Drain, _) => removal,
        };
        if deadline > known.now {
            wake.at(Some(deadline));
            kept.insert(member.node);
            members.push(Member {
                node: member.node,
                weight: 0,
                state: State::Maintenance,
                release: Release::At(crate::clock::millis(deadline)),
            });
        }
    }
    members.sort_unstable_by_key(|member| member.node);
}

/// The nodes of the file, and those that are kept though they left it.
fn nodes(config: &Config, before: &Before<'_>, kept: &BTreeSet<u16>) -> Vec<Node> {
    let mut nodes: Vec<Node> = config
        .l7
        .iter()
        .map(|node| Node {
            name: node.name.clone(),
            index: node.index,
            addresses: node.addresses.clone(),
            probe_ports: Some(probe_ports(node.index)),
        })
        .collect();
    let left = before.nodes().filter(|node| kept.contains(&node.index));
    let left = left.filter(|node| config.l7.iter().all(|other| other.index != node.index));
    nodes.extend(left.cloned());
    nodes
}

fn entry(service: &Service, vips: Vec<Prefix>, nodes: Vec<Member>) -> api::Service {
    api::Service {
        name: service.name.clone(),
        vips,
        protocol: service.protocol,
        ports: service.ports.clone(),
        hash: service.hash,
        rows: service.rows,
        track: service.track,
        allow: service.allow.clone(),
        deny: service.deny.clone(),
        source_limit: service.source_limit,
        answer_unknown: service.answer_unknown,
        nodes,
    }
}

#[cfg(test)]
mod tests;
