//! `[[l4]]`

use std::net::{IpAddr, Ipv4Addr};

use api::Prefix;
use health::Check;

use crate::address;
use crate::check;
use crate::name;
use crate::nics;
use crate::place::Placed;
use crate::settings::{L4, Nics};
use crate::table::Table;
use crate::value::Value;

/// A node, and where its parts stand.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) addresses: Vec<Placed<IpAddr>>,
    pub(crate) tunnel_sources: Vec<Placed<Prefix>>,
    nics: Option<Nics>,
    checks: Vec<Check>,
    router_id: Option<Ipv4Addr>,
}

impl Entry {
    /// The node.
    pub(crate) fn node(&self) -> L4 {
        L4 {
            name: self.name.value.clone(),
            addresses: self.addresses.iter().map(|address| address.value).collect(),
            tunnel_sources: self.tunnel_sources.iter().map(|prefix| prefix.value).collect(),
            nics: self.nics.clone(),
            checks: self.checks.clone(),
            router_id: self.router_id,
        }
    }
}

/// Reads one.
pub(crate) fn read(table: Table<'_>, position: usize) -> Entry {
    let (mut table, name) = name::entry(table, "l4", position);
    let addresses = table.required("addresses", address::of_node).unwrap_or_default();
    let first_v4 = addresses.iter().find_map(|address| match address.value {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    let entry = Entry {
        router_id: table.optional("router_id", router_id).or(first_v4),
        name,
        tunnel_sources: table
            .or("tunnel_sources", vec![], |value| tunnel_sources(value, &addresses)),
        addresses,
        nics: nics::read(&mut table),
        checks: table.take("check").map(|value| check::of_host(&value)).unwrap_or_default(),
    };
    table.finish();
    entry
}

/// A BGP identifier: four bytes, which look like an address and need be none (RFC 6286).
fn router_id(value: &Value<'_>) -> Option<Ipv4Addr> {
    const EXPECTED: &str = "a BGP identifier: write it like an IPv4 address, not 0.0.0.0";
    let id: Option<Ipv4Addr> = value.text(EXPECTED)?.parse().ok();
    id.filter(|id| !id.is_unspecified()).or_else(|| value.is_not(EXPECTED))
}

/// Prefixes that outer sources are taken from: of families in which the node has an address.
fn tunnel_sources(value: &Value<'_>, addresses: &[Placed<IpAddr>]) -> Option<Vec<Placed<Prefix>>> {
    let prefixes = value.distinct(|prefix| {
        let routable = address::routable(prefix)?;
        let is_ipv6 = routable.address().is_ipv6();
        if !addresses.is_empty() && addresses.iter().all(|own| own.value.is_ipv6() != is_ipv6) {
            prefix.problem(format!("the node has no address of the family of {routable}"));
        }
        Some(routable)
    })?;
    address::one_per_family(value, &prefixes, |prefix| prefix.address().is_ipv6(), "prefix");
    Some(prefixes)
}
