//! Who has to reach whom: tunnels need a common family, and their sources are nobody else's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::Prefix;

use crate::place::{Findings, Placed};
use crate::whole::Entries;

pub(super) fn check(entries: &Entries, findings: &Findings) {
    vips(entries, findings);
    families(entries, findings);
    tunnel_sources(entries, findings);
}

/// A VIP is on lo of the L7 nodes; no box has it for its own.
fn vips(entries: &Entries, findings: &Findings) {
    let boxes: BTreeMap<IpAddr, &str> =
        entries.addresses().map(|(name, address)| (address.value, name)).collect();
    for Placed { value: vip, place } in entries.services.iter().flat_map(|service| &service.vips) {
        let inside =
            boxes.range(vip.address()..).take_while(|(address, _)| vip.contains(**address));
        if let Some((address, name)) = inside.into_iter().next() {
            findings.add(place, format!("{vip}: {address} is an address of {name}, not a VIP"));
        }
    }
}

/// An L4 node tunnels to each L7 node over a family in which both have an address.
fn families(entries: &Entries, findings: &Findings) {
    for l7 in entries.l7.iter().filter(|node| !node.addresses.is_empty()) {
        let common = |l4: &Placed<IpAddr>| {
            l7.addresses.iter().any(|l7| l7.value.is_ipv6() == l4.value.is_ipv6())
        };
        let apart =
            |addresses: &[Placed<IpAddr>]| !addresses.is_empty() && !addresses.iter().any(common);
        if let Some(l4) = entries.l4.iter().find(|l4| apart(&l4.addresses)) {
            let text = format!("it has no address of a family in which {} has one", l4.name.value);
            findings.add(&l7.name.place, text);
        }
    }
}

fn tunnel_sources(entries: &Entries, findings: &Findings) {
    let mut before: Vec<(&str, &Prefix)> = Vec::new();
    for l4 in &entries.l4 {
        for Placed { value: prefix, place } in &l4.tunnel_sources {
            let others = entries.addresses().filter(|(name, _)| *name != l4.name.value);
            for (name, address) in others.filter(|(_, address)| prefix.contains(address.value)) {
                findings
                    .add(place, format!("{prefix} has an address of {name}, {}", address.value));
            }
            for service in &entries.services {
                if service.vips.iter().any(|vip| vip.value.overlaps(prefix)) {
                    let name = &service.name.value;
                    findings.add(place, format!("{prefix} overlaps a VIP of service {name}"));
                }
            }
            for (name, other) in before.iter().filter(|(_, other)| other.overlaps(prefix)) {
                findings
                    .add(place, format!("{prefix} overlaps {other}, which is routed to {name}"));
            }
        }
        before.extend(l4.tunnel_sources.iter().map(|prefix| (&*l4.name.value, &prefix.value)));
    }
}
