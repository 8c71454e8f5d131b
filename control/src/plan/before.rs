//! What was in force before: the last plan, or what a running dataplane was found with.

use std::collections::HashMap;

use api::{Member, Node, Prefix, Service, Snapshot};
use config::Config;

use super::{Plan, Seat, Vip};

/// What was in force before.
#[derive(Debug, Default)]
pub struct Before<'a> {
    snapshot: Option<&'a Snapshot>,
    entries: HashMap<(&'a str, Prefix), &'a Service>,
    vips: HashMap<(&'a str, Prefix), (&'a config::Service, &'a Vip)>,
    config: Option<&'a Config>,
}

impl<'a> Before<'a> {
    /// Nothing: this is the first Snapshot that the dataplane gets.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// What a running dataplane was found with.
    pub fn found(snapshot: &'a Snapshot) -> Self {
        let mut before = Self { snapshot: Some(snapshot), ..Self::default() };
        for service in &snapshot.services {
            let keys = service.vips.iter().map(|&vip| (service.name.as_str(), vip));
            before.entries.extend(keys.map(|key| (key, service)));
        }
        before
    }

    /// The last plan, made of this configuration.
    pub fn planned(config: &'a Config, plan: &'a Plan) -> Self {
        let mut before = Self { config: Some(config), ..Self::found(&plan.snapshot) };
        for (service, vips) in config.services.iter().zip(&plan.services) {
            let keys = service.vips.iter().map(|&vip| (service.name.as_str(), vip));
            before.vips.extend(keys.zip(vips).map(|(key, vip)| (key, (service, vip))));
        }
        before
    }

    pub(super) fn generation(&self) -> u64 {
        self.snapshot.map_or(0, |snapshot| snapshot.generation)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &'a Node> {
        self.snapshot.into_iter().flat_map(|snapshot| &snapshot.nodes)
    }

    /// Whether the node that had this index may keep it: the node is still in the file under it, or
    /// nothing in the file has its index, its name or one of its addresses. A Snapshot in which two
    /// nodes share one of these is refused, and every later one with it.
    pub(super) fn is_still(&self, index: u16, config: &Config) -> bool {
        let Some(then) = self.nodes().find(|node| node.index == index) else { return false };
        let taken = |address| {
            config.l7.iter().any(|node| node.addresses.contains(address))
                || config.l4.iter().any(|node| node.addresses.contains(address))
                || config.services.iter().any(|s| s.vips.iter().any(|vip| vip.contains(*address)))
        };
        match config.l7.iter().find(|node| node.index == index || node.name == then.name) {
            Some(now) => now.index == index && now.name == then.name,
            None => !then.addresses.iter().any(taken),
        }
    }

    /// What was at a VIP of a service.
    pub(super) fn vip(&self, service: &str, vip: Prefix) -> Was<'a> {
        let entry = self.entries.get(&(service, vip)).copied();
        let planned = self.vips.get(&(service, vip)).copied();
        let members = entry.into_iter().flat_map(|entry| &entry.nodes);
        let members = ByIndex::new(members.map(|member| (member.node, member)));
        let mut seats = ByIndex::default();
        if let (Some((service, vip)), Some(config)) = (planned, self.config) {
            let indexes = service.nodes.iter().map(|member| config.l7[member.l7].index);
            seats = ByIndex::new(indexes.zip(&vip.seats));
        }
        // A dataplane that ran had its quorum: a restart of control is no reason to doubt it.
        let quorum = planned.map_or_else(|| entry.is_some(), |(_, vip)| vip.quorum);
        Was { entry, members, seats, quorum }
    }
}

/// What was at a VIP of a service; nothing of it if the service was not there.
#[derive(Debug, Default)]
pub(super) struct Was<'a> {
    entry: Option<&'a Service>,
    members: ByIndex<'a, Member>,
    seats: ByIndex<'a, Seat>,
    quorum: bool,
}

/// What there is of nodes, by their index: in order, as it nearly always comes. A hash table for each
/// VIP of a thousand services takes ten times as long as the rest of a plan.
#[derive(Debug)]
struct ByIndex<'a, T>(Vec<(u16, &'a T)>);

impl<T> Default for ByIndex<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T> ByIndex<'a, T> {
    fn new(items: impl Iterator<Item = (u16, &'a T)>) -> Self {
        let mut items: Vec<_> = items.collect();
        items.sort_unstable_by_key(|(index, _)| *index);
        Self(items)
    }

    fn get(&self, index: u16) -> Option<&'a T> {
        let place = self.0.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        self.0.get(place).map(|(_, item)| *item)
    }
}

impl<'a> Was<'a> {
    /// Whether the service was there.
    pub(super) fn existed(&self) -> bool {
        self.entry.is_some()
    }

    pub(super) fn quorum(&self) -> bool {
        self.quorum
    }

    /// By the node's index.
    pub(super) fn member(&self, node: u16) -> Option<&'a Member> {
        self.members.get(node)
    }

    /// By the node's index; of a plan alone.
    pub(super) fn seat(&self, node: u16) -> Option<&'a Seat> {
        self.seats.get(node)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &'a Member> {
        self.entry.into_iter().flat_map(|entry| &entry.nodes)
    }
}
