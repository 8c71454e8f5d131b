//! Which probes reach whom they are for: the dataplane has to know the node's block of source ports,
//! and that the address is a VIP. A probe that starts before would be answered by whoever had that
//! block before, or by nobody.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use api::Snapshot;
use config::L7;
use health::Probe;

use crate::aim::probe_ports;

/// What the dataplane has in force, as far as probes through its tunnel are concerned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// First ports of the blocks of nodes whom it knows as the site file does.
    blocks: HashSet<u16>,
    vips: HashSet<IpAddr>,
}

impl Reach {
    /// What this Snapshot, if any, has of these nodes.
    pub fn of(in_force: Option<&Snapshot>, nodes: &[L7]) -> Self {
        let Some(snapshot) = in_force else { return Self::default() };
        let known: HashMap<_, _> = snapshot.nodes.iter().map(|node| (node.index, node)).collect();
        let is_known = |node: &&L7| {
            known.get(&node.index).is_some_and(|known| {
                known.name == node.name
                    && known.addresses == node.addresses
                    && known.probe_ports == Some(probe_ports(node.index))
            })
        };
        let blocks = nodes.iter().filter(is_known).map(|node| probe_ports(node.index).first);
        let vips = snapshot.services.iter().flat_map(|service| &service.vips);
        Self { blocks: blocks.collect(), vips: vips.map(|vip| vip.address()).collect() }
    }

    /// Whether this probe's packets come to its node. Those that do not go through the tunnel always
    /// do, as far as this is concerned.
    pub fn has(&self, probe: &Probe) -> bool {
        probe.target.source.is_none_or(|source| {
            self.blocks.contains(&source.first_port) && self.vips.contains(&probe.target.address)
        })
    }
}
