//! What the site file wants of packets that come through tunnels.

use std::net::IpAddr;

use api::Prefix;
use config::Tunnel as Entry;
use decap::Rules;

use super::super::Site;

/// What a node is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::serve) struct Wanted {
    /// Nothing at all, if absent.
    pub(super) entry: Option<Entry>,
    pub(super) allow: Vec<Prefix>,
    pub(super) vips: Vec<Prefix>,
    pub(super) addresses: Vec<IpAddr>,
    /// Bytes of the longest outer header.
    pub(super) outer: u32,
}

impl Wanted {
    /// By the site file.
    pub(in crate::serve) fn of(site: &Site) -> Self {
        let own = site.own();
        let Some(entry) = own.tunnel.clone() else { return Self::default() };
        let addresses = site.config.l4.iter().flat_map(|l4| l4.addresses.iter().copied());
        let sources = site.config.l4.iter().flat_map(|l4| l4.tunnel_sources.iter().copied());
        Self {
            entry: Some(entry),
            allow: addresses.map(Prefix::from).chain(sources).collect(),
            vips: site.vips().into_iter().collect(),
            addresses: own.addresses.clone(),
            outer: outer(site),
        }
    }

    pub(super) fn rules(&self, only: bool) -> Rules {
        Rules {
            allow: self.allow.clone(),
            vips: self.vips.clone(),
            addresses: self.addresses.clone(),
            tunnel_only: only,
        }
    }
}

/// Bytes of the longest outer header that may come.
fn outer(site: &Site) -> u32 {
    let ipv6 = |addresses: &[IpAddr]| addresses.iter().any(IpAddr::is_ipv6);
    let l4 = site.config.l4.iter().any(|l4| ipv6(&l4.addresses));
    if l4 && ipv6(&site.own().addresses) { 40 } else { 20 }
}
