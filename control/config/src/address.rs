//! Addresses that nodes, routers and VIPs may have.

use std::net::{IpAddr, SocketAddr};

use api::Prefix;

use crate::place::Placed;
use crate::value::Value;

/// Unspecified, loopback, multicast and reserved addresses: no host has them on a network.
const NOBODYS: [&str; 6] =
    ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/128", "::1/128", "ff00::/8"];
/// Addresses that no router forwards packets to.
const LINK_LOCAL: [&str; 2] = ["169.254.0.0/16", "fe80::/10"];

fn prefixes(texts: &'static [&'static str]) -> impl Iterator<Item = Prefix> {
    texts.iter().map(|text| text.parse().expect("the constants above are prefixes"))
}

/// Whether packets to all of `prefix` can be routed.
pub(crate) fn is_routable(prefix: &Prefix) -> bool {
    prefixes(&NOBODYS).chain(prefixes(&LINK_LOCAL)).all(|nobodys| !nobodys.overlaps(prefix))
}

/// A prefix of addresses that packets can be routed to.
pub(crate) fn routable(value: &Value<'_>) -> Option<Prefix> {
    let prefix = value.prefix()?;
    if is_routable(&prefix) {
        return Some(prefix);
    }
    value.is_not("something that routers forward: it has loopback, link-local, multicast or reserved addresses")
}

/// Whether somebody can be spoken to there.
pub(crate) fn is_peer(at: &SocketAddr) -> bool {
    at.port() != 0 && !at.ip().is_unspecified()
}

/// An address of a node.
pub(crate) fn node(value: &Value<'_>) -> Option<IpAddr> {
    let address = value.address()?;
    if is_routable(&address.into()) {
        return Some(address);
    }
    value.is_not("an address that a node can be reached at: it is loopback, link-local, multicast or reserved")
}

/// An address of a router, which may be of the link alone.
pub(crate) fn router(value: &Value<'_>) -> Option<IpAddr> {
    let address = value.address()?;
    if prefixes(&NOBODYS).all(|nobodys| !nobodys.contains(address)) {
        return Some(address);
    }
    value.is_not("an address of a router: it is loopback, multicast or reserved")
}

/// A node's addresses: at least one, at most one per family.
pub(crate) fn of_node(value: &Value<'_>) -> Option<Vec<Placed<IpAddr>>> {
    let addresses = value.some(node)?;
    one_per_family(value, &addresses, IpAddr::is_ipv6, "address");
    Some(addresses)
}

/// Tells if there are several of one family.
pub(crate) fn one_per_family<T>(
    value: &Value<'_>,
    all: &[Placed<T>],
    is_ipv6: fn(&T) -> bool,
    what: &str,
) {
    for (family, ipv6) in [("IPv4", false), ("IPv6", true)] {
        if all.iter().filter(|one| is_ipv6(&one.value) == ipv6).count() > 1 {
            value.problem(format!("at most one {family} {what}"));
        }
    }
}
