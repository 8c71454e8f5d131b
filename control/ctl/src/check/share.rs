//! How many rows of its Maglev table each node of a service has, while all nodes are up.

use std::collections::BTreeMap;

use config::{Config, Service};
use forward::{Hasher, Maglev};
use serde::Serialize;

/// A table, and the services that have it: those of equal nodes, weights and rows.
#[derive(Debug, Serialize)]
pub(super) struct Share {
    /// Names of the services.
    pub(super) services: Vec<String>,
    /// Rows.
    pub(super) rows: u32,
    /// Its fingerprint while all nodes are up.
    pub(super) fingerprint: String,
    /// Each node, in the order of names.
    pub(super) nodes: Vec<NodeShare>,
}

/// A node's part of a table.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct NodeShare {
    /// Its name.
    pub(super) node: String,
    /// Its weight.
    pub(super) weight: u16,
    /// Its rows.
    pub(super) rows: u32,
    /// The same in percent.
    pub(super) percent: f64,
}

/// Every table, in the order of the first service that has it.
pub(super) fn shares(config: &Config) -> Vec<Share> {
    let hasher = Hasher::new(config.site.hash_key.bytes());
    let mut numbers: BTreeMap<(u32, Vec<Taker<'_>>), usize> = BTreeMap::new();
    let mut shares: Vec<Share> = Vec::new();
    for service in &config.services {
        let takers = takers(config, service);
        let number = *numbers.entry((service.rows, takers.clone())).or_insert_with(|| {
            shares.push(share(&hasher, service.rows, &takers));
            shares.len() - 1
        });
        shares[number].services.push(service.name.clone());
    }
    shares
}

/// A node's name, index and weight.
type Taker<'a> = (&'a str, u16, u16);

/// Every node of a service, in the order of names.
fn takers<'a>(config: &'a Config, service: &Service) -> Vec<Taker<'a>> {
    let taker = |member: &config::Member| {
        let node = &config.l7[member.l7];
        (node.name.as_str(), node.index, member.weight)
    };
    let mut takers: Vec<_> = service.nodes.iter().map(taker).collect();
    takers.sort_unstable();
    takers
}

fn share(hasher: &Hasher, rows: u32, takers: &[Taker<'_>]) -> Share {
    let table = Maglev::build(hasher, rows, takers);
    let of = |index: u16| {
        let shares = table.as_ref().map(Maglev::shares).unwrap_or_default();
        shares.iter().find(|(of, _)| *of == index).map_or(0, |(_, rows)| *rows)
    };
    let nodes = takers.iter().map(|&(name, index, weight)| {
        let own = of(index);
        let percent = 100.0 * f64::from(own) / f64::from(rows);
        NodeShare { node: name.into(), weight, rows: own, percent }
    });
    let fingerprint = table.as_ref().map(|table| format!("{:016x}", table.fingerprint()));
    Share {
        services: Vec::new(),
        rows,
        fingerprint: fingerprint.unwrap_or_default(),
        nodes: nodes.collect(),
    }
}
