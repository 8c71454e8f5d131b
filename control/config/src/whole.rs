//! What only the whole site can tell: what is there twice, and what does not go together.
//!
//! It refuses at least what the forwarder refuses in a Snapshot, so that whatever is accepted here is
//! accepted there.

mod announced;
mod claims;
pub(crate) mod own_vips;
mod reach;
mod unique;

use std::net::IpAddr;
use std::time::Duration;

use crate::place::{Findings, Place, Placed};
use crate::settings::Bgp;
use crate::{l4, l7, router, service};

/// Everything that was read, with places.
pub(crate) struct Entries {
    pub(crate) l4: Vec<l4::Entry>,
    pub(crate) l7: Vec<l7::Entry>,
    pub(crate) routers: Vec<router::Entry>,
    pub(crate) services: Vec<service::Entry>,
}

impl Entries {
    /// Every address of a box, with the box's name.
    fn addresses(&self) -> impl Iterator<Item = (&str, &Placed<IpAddr>)> {
        let l4 = self.l4.iter().map(|node| (&node.name, &node.addresses));
        let l7 = self.l7.iter().map(|node| (&node.name, &node.addresses));
        let routers = self.routers.iter().map(|router| (&router.name, &router.addresses));
        let all = l4.chain(l7).chain(routers);
        all.flat_map(|(name, addresses)| {
            addresses.iter().map(move |address| (name.value.as_str(), address))
        })
    }
}

/// Tells what is wrong.
pub(crate) fn check(
    entries: &Entries,
    startup_limit: Duration,
    bgp: Option<&Bgp>,
    findings: &Findings,
) {
    unique::check(entries, findings);
    reach::check(entries, findings);
    claims::check(&entries.services, findings);
    announced::check(entries, startup_limit, bgp, findings);
    if entries.l7.is_empty() && !entries.services.is_empty() {
        findings.add(&Place::root(), "there is no [[l7]] node for the services");
    }
}
