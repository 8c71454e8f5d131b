//! What routers are told: by whom, and of prefixes that services share.

use std::collections::BTreeMap;
use std::time::Duration;

use api::Prefix;

use crate::duration::shown;
use crate::place::{Findings, Place};
use crate::service::Entry;
use crate::settings::{Announcement, Bgp};
use crate::whole::Entries;

pub(super) fn check(
    entries: &Entries,
    startup_limit: Duration,
    bgp: Option<&Bgp>,
    findings: &Findings,
) {
    speakers(entries, findings);
    shared(&entries.services, findings);
    if let Some(bgp) = bgp
        && !bgp.restart_time.is_zero()
        && bgp.restart_time <= startup_limit
    {
        let text = format!(
            "bgp: restart_time: {} is not above `startup_limit`, {}: routers would drop the routes of a \
             node whose control is being restarted",
            shown(bgp.restart_time),
            shown(startup_limit)
        );
        findings.add(&Place::root(), text);
    }
}

/// A node speaks from an address of the router's family, under an identifier.
fn speakers(entries: &Entries, findings: &Findings) {
    for router in &entries.routers {
        let Some(peer) = &router.peer else { continue };
        for node in peer.nodes.iter().map(|&l4| &entries.l4[l4]) {
            let name = &node.name.value;
            if node.node().router_id.is_none() && !node.addresses.is_empty() {
                let text = format!(
                    "{name} speaks BGP with {} and has no IPv4 address: give it a `router_id`",
                    router.name.value
                );
                findings.add(&node.name.place, text);
            }
            let reaches = |ipv6: bool| node.addresses.iter().any(|own| own.value.is_ipv6() == ipv6);
            let reached = peer.interface.is_some()
                || router.addresses.iter().any(|address| reaches(address.value.is_ipv6()));
            if !reached && !node.addresses.is_empty() {
                let text =
                    format!("{name} has no address of its family, and shall speak BGP with it");
                findings.add(&router.name.place, text);
            }
        }
    }
}

/// A prefix has one set of attributes, whoever it is announced for.
fn shared(services: &[Entry], findings: &Findings) {
    let mut told: BTreeMap<Prefix, &Entry> = BTreeMap::new();
    for entry in services {
        for vip in &entry.vips {
            let announcement = &entry.service.announcement;
            let first = *told.entry(announcement.prefix(vip.value)).or_insert(entry);
            if !alike(announcement, &first.service.announcement) {
                let text = format!(
                    "{} is announced for service {} too, with another `bgp`: only `required` may differ",
                    announcement.prefix(vip.value),
                    first.name.value
                );
                findings.add(&vip.place, text);
            }
        }
    }
}

fn alike(a: &Announcement, b: &Announcement) -> bool {
    let bare = |one: &Announcement| Announcement { required: true, ..one.clone() };
    bare(a) == bare(b)
}
