//! What a change of the site file would break, and what it does not reach.

use std::collections::BTreeSet;

use api::{Hash, Ports};

use crate::settings::{Config, L4, Nics, Service};

/// What moves or breaks flows if `new` takes the place of `old`: what a reload takes only by force. A
/// line each; nothing if it can be taken as it is.
pub fn breaking(old: &Config, new: &Config) -> Vec<String> {
    let mut reasons = Vec::new();
    if old.site.hash_key != new.site.hash_key {
        reasons.push("site: another `hash_key` moves every flow".into());
    }
    for node in &old.l7 {
        let after = new.l7.iter().find(|after| after.name == node.name);
        if let Some(after) = after.filter(|after| after.index != node.index) {
            let (name, from, to) = (&node.name, node.index, after.index);
            reasons.push(format!("{name}: `index` {from} -> {to} breaks its connections"));
        }
    }
    for node in &old.l7 {
        if new.l7.iter().any(|after| after.name == node.name) {
            continue;
        }
        let heir = |address| new.l7.iter().find(|after| after.addresses.contains(address));
        if let Some((address, heir)) = node.addresses.iter().find_map(|a| Some((a, heir(a)?))) {
            let (name, heir) = (&node.name, &heir.name);
            reasons.push(format!("{name}: {address} goes to {heir}: breaks its connections"));
        }
    }
    for service in &old.services {
        match new.services.iter().find(|after| after.name == service.name) {
            None => reasons.push(format!("service {}: it is gone", service.name)),
            Some(after) => {
                let told = lost(old, service, new, after).into_iter().chain(moved(service, after));
                reasons.extend(told.map(|reason| format!("service {}: {reason}", service.name)));
            }
        }
    }
    reasons
}

/// What nothing is left of in a service.
fn lost(old: &Config, before: &Service, new: &Config, after: &Service) -> Vec<String> {
    let names = |config: &Config, service: &Service| -> BTreeSet<String> {
        service.nodes.iter().map(|member| config.l7[member.l7].name.clone()).collect()
    };
    let mut lost = Vec::new();
    if names(old, before).is_disjoint(&names(new, after)) {
        lost.push("none of its nodes is left".into());
    }
    if !before.vips.iter().any(|vip| after.vips.iter().any(|other| other.overlaps(vip))) {
        lost.push("none of its VIPs is left".into());
    }
    if before.protocol != after.protocol {
        lost.push(format!("it is {} no more", before.protocol));
    } else if !overlap(&before.ports, &after.ports) {
        lost.push("none of its ports is left".into());
    }
    lost
}

/// What sends flows to other nodes.
fn moved(before: &Service, after: &Service) -> Vec<String> {
    let mut moved = Vec::new();
    if before.rows != after.rows {
        moved.push(format!("`rows` {} -> {} moves flows", before.rows, after.rows));
    }
    if before.hash != after.hash {
        let name = |hash| match hash {
            Hash::FiveTuple => "five_tuple",
            Hash::Source => "source",
        };
        moved.push(format!("`hash` {} -> {} moves flows", name(before.hash), name(after.hash)));
    }
    moved
}

/// Whether some port is in both.
fn overlap(a: &Ports, b: &Ports) -> bool {
    let ranges = |ports: &Ports| match ports {
        Ports::List(ports) => ports.iter().map(|&port| (port, port)).collect(),
        &Ports::Range(first, last) => vec![(first, last)],
        Ports::Any => vec![(0, u16::MAX)],
    };
    let (a, b): (Vec<_>, Vec<_>) = (ranges(a), ranges(b));
    a.iter().any(|a| b.iter().any(|b| a.0 <= b.1 && b.0 <= a.1))
}

/// What the processes of a node were started with.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// palier-dataplane.
    pub dataplane: &'a Config,
    /// palier-control.
    pub control: &'a Config,
}

/// What `new` says of this node that comes into force only when a process is started anew: a line each,
/// ``l4-1: `cores` takes a restart of palier-dataplane``.
pub fn restart_needed(running: Running<'_>, new: &Config, node: &str) -> Vec<String> {
    let own =
        |config: &Config| -> Option<L4> { config.l4.iter().find(|l4| l4.name == node).cloned() };
    let nics = |config: &Config| -> Option<Nics> { own(config)?.nics };
    let of_node = |key: &str| format!("{node}: `{key}` takes a restart of palier-dataplane");
    let mut needed: Vec<String> = match (nics(running.dataplane), nics(new)) {
        (None, None) => vec![],
        (Some(old), Some(new)) => changed(&old, &new).into_iter().map(of_node).collect(),
        (Some(_), None) | (None, Some(_)) => vec![of_node("nics")],
    };
    let addresses = |config: &Config| own(config).map(|l4| l4.addresses);
    if let (Some(old), Some(new_bgp)) = (&running.control.bgp, &new.bgp) {
        if old.port != new_bgp.port {
            needed.push("bgp: `port` takes a restart of palier-control".into());
        }
        if addresses(running.control) != addresses(new) {
            needed.push(format!(
                "{node}: `addresses` takes a restart of palier-control: BGP listens on the old ones"
            ));
        }
    }
    let of_site = |key: &str| format!("site: `{key}` takes a restart of palier-control");
    match (&running.control.site.peering, &new.site.peering) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            if old.port != new.port {
                needed.push(of_site("peer_port"));
            }
            if old.pki != new.pki {
                needed.push(of_site("pki"));
            }
        }
        (Some(_), None) | (None, Some(_)) => needed.push(of_site("peer_port")),
    }
    needed
}

/// Keys of the forwarder's flags that differ.
fn changed(old: &Nics, new: &Nics) -> Vec<&'static str> {
    let Nics { ports, cores, exceptions, vlan, mtu, connections, flow_details, adaptive } = old;
    let keys = [
        ("nics", *ports != new.ports),
        ("cores", *cores != new.cores),
        ("exception", *exceptions != new.exceptions),
        ("vlan", *vlan != new.vlan),
        ("mtu", *mtu != new.mtu),
        ("connections", *connections != new.connections),
        ("flow_details", *flow_details != new.flow_details),
        ("idle", *adaptive != new.adaptive),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
