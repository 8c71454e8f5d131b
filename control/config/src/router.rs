//! `[[router]]`

use std::net::IpAddr;

use crate::address;
use crate::name;
use crate::place::Placed;
use crate::settings::Router;
use crate::table::Table;

/// A router, and where its parts stand.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) addresses: Vec<Placed<IpAddr>>,
}

impl Entry {
    /// The router.
    pub(crate) fn router(&self) -> Router {
        let addresses = self.addresses.iter().map(|address| address.value).collect();
        Router { name: self.name.value.clone(), addresses }
    }
}

/// Reads one.
pub(crate) fn read(table: Table<'_>, position: usize) -> Entry {
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
    table.refuse(
        &["peer_as", "local_as", "hold_time", "password", "bfd"],
        "this release does not speak BGP: leave it out",
    );
    table.finish();
    Entry { name, addresses: addresses.unwrap_or_default() }
}
