//! `[[router]]`

use std::net::IpAddr;

use crate::address;
use crate::bgp::{self, Defaults, Everyone};
use crate::name;
use crate::place::Placed;
use crate::secret::Secrets;
use crate::settings::{Peer, Router};
use crate::table::Table;

/// A router, and where its parts stand.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) addresses: Vec<Placed<IpAddr>>,
    pub(crate) peer: Option<Peer>,
}

impl Entry {
    /// The router.
    pub(crate) fn router(&self) -> Router {
        let addresses = self.addresses.iter().map(|address| address.value).collect();
        Router { name: self.name.value.clone(), addresses, peer: self.peer.clone() }
    }
}

/// Reads one.
pub(crate) fn read(
    table: Table<'_>,
    position: usize,
    defaults: Defaults,
    everyone: &Everyone<'_>,
    secrets: &dyn Secrets,
) -> Entry {
    let (mut table, name) = name::entry(table, "router", position);
    let one = table.take("address");
    let several = table.take("addresses");
    let addresses = match (one, several) {
        (Some(one), None) => address::router(&one)
            .map(|address| vec![Placed { value: address, place: one.place().clone() }]),
        (None, Some(several)) => several.some(address::router),
        (None, None) => {
            table.problem("`address` is missing");
            None
        }
        (Some(_), Some(several)) => {
            several.problem("write `address` or `addresses`, not both");
            None
        }
    };
    let addresses = addresses.unwrap_or_default();
    let peer = bgp::peer(&mut table, &addresses, defaults, everyone, secrets);
    table.finish();
    Entry { name, addresses, peer }
}
