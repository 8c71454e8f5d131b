//! What a site file makes, in words.

use config::{Config, Service};

use super::share::shares;
use crate::context::Context;
use crate::text::{Cell, Table, Tone, wrap};

/// Nodes, services, shares.
pub(super) fn summary(config: &Config, context: &Context) -> String {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        several => format!("{several} {what}s"),
    };
    let counts = [
        count(config.l4.len(), "L4 node"),
        count(config.l7.len(), "L7 node"),
        count(config.services.len(), "service"),
    ];
    let mut text = format!("site {}: {}\n\n", config.site.name, counts.join(", "));
    text += &nodes(config).render(0, context.width, context.paint);
    text += "\n";
    text += &services(config).render(0, context.width, context.paint);
    for share in shares(config) {
        let title = format!("Shares of {} ({} rows)", share.services.join(", "), share.rows);
        let title = wrap(&title, context.width, 2).join("\n");
        text += &format!("\n{title}\n");
        let mut table = Table::new(&["NODE", "WEIGHT", "ROWS", "PERCENT"]);
        for node in share.nodes {
            table.row([
                node.node.into(),
                Cell::number(node.weight),
                Cell::number(node.rows),
                Cell::number(format!("{:.3}", node.percent)),
            ]);
        }
        text += &table.render(2, context.width, context.paint);
    }
    text
}

fn nodes(config: &Config) -> Table {
    let list = |addresses: &[std::net::IpAddr]| join(addresses);
    let mut table = Table::new(&["NODE", "ROLE", "INDEX", "WEIGHT", "ADDRESSES"]);
    for node in &config.l4 {
        let none = || Cell::number('-');
        let addresses = list(&node.addresses);
        table.row([node.name.as_str().into(), "l4".into(), none(), none(), addresses.into()]);
    }
    for node in &config.l7 {
        table.row([
            node.name.as_str().into(),
            "l7".into(),
            Cell::number(node.index),
            Cell::number(node.weight),
            list(&node.addresses).into(),
        ]);
    }
    table
}

fn services(config: &Config) -> Table {
    let mut table = Table::new(&["SERVICE", "PORTS", "NODES", "QUORUM", "CHECKS", "VIPS"]);
    for service in &config.services {
        let mut checks: Vec<_> = service.checks.iter().map(|c| c.check.kind.name()).collect();
        checks.dedup();
        let checks = match checks.as_slice() {
            [] => Cell::new(Tone::Warn, "none"),
            checks => checks.join(",").into(),
        };
        table.row([
            service.name.as_str().into(),
            ports(service).into(),
            Cell::number(service.nodes.len()),
            Cell::number(service.quorum),
            checks,
            join(&service.vips).into(),
        ]);
    }
    table
}

fn ports(service: &Service) -> String {
    format!("{} {}", service.protocol, service.ports)
}

fn join(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
