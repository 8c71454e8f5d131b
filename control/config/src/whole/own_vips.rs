//! A node that serves zones and holds a VIP on `lo` would ask itself how the VIP is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use health::Kind;

use crate::place::Findings;
use crate::settings::{AddressCheck, L7, Plugin, Resolver, Targets};
use crate::{dns, service};

/// Tells of checks that never leave the node.
pub(crate) fn check(
    nodes: &[dns::Entry],
    l7: &[L7],
    services: &[service::Entry],
    resolvers: &[Resolver],
    findings: &Findings,
) {
    for dns::Entry { name, .. } in nodes {
        let Some(own) = l7.iter().position(|node| node.name == name.value) else { continue };
        let has = |entry: &&service::Entry| entry.service.nodes.iter().any(|seat| seat.l7 == own);
        let held: BTreeMap<IpAddr, &str> = services
            .iter()
            .filter(has)
            .flat_map(|entry| {
                entry.vips.iter().map(|vip| (vip.value.address(), entry.name.value.as_str()))
            })
            .collect();
        for resolver in resolvers {
            let asked = asked(resolver).into_iter().find_map(|at| Some((at, held.get(&at)?)));
            if let Some((vip, service)) = asked {
                let text = format!(
                    "resolver {} checks {vip}, a VIP of service {service}, which this node holds on `lo` itself: \
                     it would always be up; serve zones on a node that is no L7 node of that service",
                    resolver.name
                );
                findings.add(&name.place, text);
            }
        }
    }
}

/// Addresses that a resolver asks over the network.
fn asked(resolver: &Resolver) -> Vec<IpAddr> {
    let is_network = |one: &AddressCheck| match one.check.kind {
        Kind::File(_) | Kind::Command(_) => false,
        Kind::Http(_)
        | Kind::Tcp(_)
        | Kind::Tls(_)
        | Kind::Agent(_)
        | Kind::Dns(_)
        | Kind::Udp(_)
        | Kind::Icmp => true,
    };
    match &resolver.plugin {
        Plugin::Multifo(multifo) => of_targets(&multifo.targets, is_network),
        Plugin::Simplefo(targets) => of_targets(targets, is_network),
        Plugin::Weighted(weighted) if weighted.checks.iter().any(is_network) => {
            let addresses = weighted.members.iter().filter_map(|member| member.target.address());
            addresses.collect()
        }
        Plugin::Weighted(_)
        | Plugin::Metafo(_)
        | Plugin::Geoip(_)
        | Plugin::Static(_)
        | Plugin::Reflect(_)
        | Plugin::Null => Vec::new(),
    }
}

fn of_targets(targets: &Targets, is_network: impl Fn(&AddressCheck) -> bool) -> Vec<IpAddr> {
    let is_asked = targets.checks.iter().any(is_network);
    if is_asked { targets.addresses.clone() } else { Vec::new() }
}
