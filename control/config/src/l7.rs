//! `[[l7]]`

use std::net::IpAddr;

use crate::address;
use crate::name;
use crate::place::Placed;
use crate::settings::L7;
use crate::table::Table;

/// Highest node index: what the tunnel's header has bits for.
pub(crate) const MAX_INDEX: u16 = 1023;
/// Highest weight: ten thousand times an agent's 256 percent still fits into the Snapshot's 16 bits.
pub(crate) const MAX_WEIGHT: u16 = 10_000;

/// A node, and where its parts stand.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    /// 0 if it has none.
    pub(crate) index: Placed<u16>,
    pub(crate) addresses: Vec<Placed<IpAddr>>,
    weight: u16,
}

impl Entry {
    /// The node.
    pub(crate) fn node(&self) -> L7 {
        L7 {
            name: self.name.value.clone(),
            index: self.index.value,
            addresses: self.addresses.iter().map(|address| address.value).collect(),
            weight: self.weight,
        }
    }
}

/// Reads one.
pub(crate) fn read(table: Table<'_>, position: usize) -> Entry {
    let (mut table, name) = name::entry(table, "l7", position);
    let index = table.take("index");
    if index.is_none() {
        table.problem("`index` is missing: `palierctl check --assign` writes it");
    }
    let index = index.and_then(|value| {
        let index = value.number(1..=MAX_INDEX)?;
        Some(Placed { value: index, place: value.place().clone() })
    });
    let addresses = table.required("addresses", address::of_node).unwrap_or_default();
    let weight = table.or("weight", 1, |value| value.number(0..=MAX_WEIGHT));
    let place = table.place().clone();
    table.finish();
    Entry { name, index: index.unwrap_or(Placed { value: 0, place }), addresses, weight }
}
