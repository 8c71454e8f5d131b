//! Names, indexes and addresses, each of which belongs to one.

use std::collections::BTreeMap;

use crate::place::{Findings, Placed};
use crate::whole::Entries;

/// Services that the forwarder's table file has names for.
const MAX_SERVICES: usize = 4096;

pub(super) fn check(entries: &Entries, findings: &Findings) {
    boxes(entries, findings);
    services(entries, findings);
    indexes(entries, findings);
    addresses(entries, findings);
}

/// A box is an L4 node, an L7 node or a router. It cannot be two of them yet: the forwarder tunnels to
/// other boxes only.
fn boxes(entries: &Entries, findings: &Findings) {
    let l4 = entries.l4.iter().map(|node| ("l4", &node.name));
    let l7 = entries.l7.iter().map(|node| ("l7", &node.name));
    let routers = entries.routers.iter().map(|router| ("router", &router.name));
    let mut taken = BTreeMap::new();
    for (kind, Placed { value: name, place }) in l4.chain(l7).chain(routers) {
        if name.is_empty() {
            continue;
        }
        match taken.insert(name, kind) {
            None => {}
            Some(other) if other == kind => {
                findings.add(place, format!("another [[{kind}]] has this name"));
            }
            Some(other) => {
                let text = format!(
                    "an [[{other}]] has this name: a box has one role, as L4 nodes tunnel to other boxes only"
                );
                findings.add(place, text);
            }
        }
    }
}

fn services(entries: &Entries, findings: &Findings) {
    let mut taken = BTreeMap::new();
    for service in &entries.services {
        let Placed { value: name, place } = &service.name;
        if !name.is_empty() && taken.insert(name, ()).is_some() {
            findings.add(place, "another [[service]] has this name");
        }
    }
    if let Some(first_too_many) = entries.services.get(MAX_SERVICES) {
        findings.add(&first_too_many.name.place, format!("at most {MAX_SERVICES} services"));
    }
}

fn indexes(entries: &Entries, findings: &Findings) {
    let mut taken = BTreeMap::new();
    for node in &entries.l7 {
        let Placed { value: index, place } = &node.index;
        if *index == 0 {
            continue;
        }
        if let Some(other) = taken.insert(index, &node.name.value) {
            let text = format!(
                "{index} is the index of {other}: leave it out and `palierctl check --assign` writes a free one"
            );
            findings.add(place, text);
        }
    }
}

fn addresses(entries: &Entries, findings: &Findings) {
    let mut taken = BTreeMap::new();
    for (name, Placed { value: address, place }) in entries.addresses() {
        if let Some(other) = taken.insert(address, name) {
            findings.add(place, format!("{address} is an address of {other}"));
        }
    }
}
