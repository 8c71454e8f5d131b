//! `[[l7]]`

use std::net::IpAddr;

use health::Check;

use crate::address;
use crate::check;
use crate::name;
use crate::place::Placed;
use crate::settings::{Hook, L7, Tunnel};
use crate::table::Table;
use crate::value::Value;

/// Highest node index: what the tunnel's header has bits for.
pub(crate) const MAX_INDEX: u16 = 1023;
/// Highest weight: ten thousand times an agent's 256 percent still fits into the Snapshot's 16 bits.
pub(crate) const MAX_WEIGHT: u16 = 10_000;

/// Most threads of a proxy.
const MAX_WORKERS: u16 = 512;
/// Longest name of an interface (IFNAMSIZ, without its end).
const INTERFACE: usize = 15;

/// A node, and where its parts stand.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    /// 0 if it has none.
    pub(crate) index: Placed<u16>,
    pub(crate) addresses: Vec<Placed<IpAddr>>,
    weight: u16,
    tunnel: Option<Tunnel>,
    workers: Option<u16>,
    checks: Vec<(Check, u16)>,
}

impl Entry {
    /// The node.
    pub(crate) fn node(&self) -> L7 {
        L7 {
            name: self.name.value.clone(),
            index: self.index.value,
            addresses: self.addresses.iter().map(|address| address.value).collect(),
            weight: self.weight,
            tunnel: self.tunnel.clone(),
            workers: self.workers,
            checks: self.checks.clone(),
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
    let tunnel = tunnel(&mut table);
    let workers = table.optional("workers", |value| value.number(1..=MAX_WORKERS));
    let checks = table.take("check").map(|value| check::of_l7(&value)).unwrap_or_default();
    let place = table.place().clone();
    table.finish();
    let index = index.unwrap_or(Placed { value: 0, place });
    Entry { name, index, addresses, weight, tunnel, workers, checks }
}

/// `interfaces`, and the keys that mean nothing without it.
fn tunnel(table: &mut Table<'_>) -> Option<Tunnel> {
    let hooks = [
        ("auto", None),
        ("tcx", Some(Hook::Tcx)),
        ("clsact", Some(Hook::Clsact)),
        ("xdp", Some(Hook::Xdp)),
        ("xdp-generic", Some(Hook::XdpGeneric)),
    ];
    let interfaces = table.take("interfaces");
    let has_some = interfaces.is_some();
    let mut of_tunnel = |key| {
        let value = table.take(key);
        if let (Some(value), false) = (&value, has_some) {
            value.problem("this is of no use without `interfaces`");
        }
        value
    };
    let hook = of_tunnel("decap").and_then(|value| value.choice(&hooks)).flatten();
    let only = of_tunnel("tunnel_only").and_then(|value| value.boolean()).unwrap_or(false);
    let advmss = of_tunnel("advmss").and_then(|value| value.boolean()).unwrap_or(true);
    let names = interfaces?.some(interface)?;
    let interfaces = names.into_iter().map(|name| name.value).collect();
    Some(Tunnel { interfaces, hook, only, advmss })
}

fn interface(value: &Value<'_>) -> Option<String> {
    value.text_that("the name of an interface", |text| {
        let fits = (1..=INTERFACE).contains(&text.len()) && !matches!(text, "." | "..");
        fits && !text
            .contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
    })
}
