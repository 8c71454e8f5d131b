//! What the proxy of a node is to do, as the site file says it. Pure.

use std::net::SocketAddr;

use admin::Effective;
use config::{Address, Pool, Server};
use health::Admin;
use proxy::settings::{self, Frontend, Listen, Settings};
use proxy::tls::TicketSecret;
use proxy::{Availability, NodeState, ServerState};

use super::Site;
use super::verdict::Verdict;
use crate::names::Names;

/// The proxy's settings on this node.
pub(super) fn settings(site: &Site, names: &Names) -> Settings {
    let hash_key = site.config.site.hash_key.bytes();
    Settings {
        frontends: frontends(site),
        pools: pools(site, names),
        hash_key,
        tickets: Some(TicketSecret::new(hash_key)),
        access_log: site.config.proxy.access_log.clone(),
    }
}

/// Where clients come.
///
/// A frontend listens on the VIPs of its service and, for checks that do not go through the tunnel, on the
/// node's own addresses: of several frontends with one port the first has those.
pub(super) fn frontends(site: &Site) -> Vec<Frontend> {
    let config = &site.config;
    let mut taken = std::collections::BTreeSet::new();
    let mut frontends = Vec::new();
    for frontend in &config.frontends {
        let service = &config.services[frontend.service];
        if !site.has(service) {
            continue;
        }
        let vips = service.vips.iter().map(|vip| vip.address());
        let addresses = vips.chain(site.own().addresses.iter().copied());
        let all = frontend.ports.iter().flat_map(|&port| {
            let tls = frontend.tls_ports.contains(&port);
            let at = move |address| SocketAddr::new(address, port);
            addresses.clone().map(move |address| Listen { address: at(address), tls })
        });
        frontends.push(Frontend {
            name: frontend.name.clone(),
            listen: all.filter(|at| taken.insert(at.address)).collect(),
            tls: frontend.tls.clone(),
            accept_proxy: frontend.accept_proxy.clone(),
            mode: frontend.mode.clone(),
            timeouts: frontend.timeouts,
            limits: frontend.limits,
            max_connections: frontend.max_connections,
        });
    }
    frontends
}

/// The pools, with the addresses that servers have now.
pub(super) fn pools(site: &Site, names: &Names) -> Vec<settings::Pool> {
    site.config.pools.iter().map(|one| pool(one, names)).collect()
}

fn server(server: &Server, names: &Names) -> settings::Server {
    settings::Server {
        name: server.name.clone(),
        address: names.address(server),
        host: match &server.address {
            Address::At(_) => None,
            // A name ends in a dot for DNS alone.
            Address::Named(host, _) => Some(host.name.trim_end_matches('.').to_owned()),
        },
        weight: server.weight,
        backup: server.backup,
        max_connections: server.max_connections,
    }
}

fn pool(pool: &Pool, names: &Names) -> settings::Pool {
    settings::Pool {
        name: pool.name.clone(),
        servers: pool.servers.iter().map(|one| server(one, names)).collect(),
        method: pool.method,
        key: pool.key.clone(),
        send_proxy: pool.send_proxy,
        tls: pool.tls.clone(),
        retries: pool.retries,
        retry_budget: pool.retry_budget,
        quorum: pool.quorum,
        affinity: pool.affinity.clone(),
        slow_start: pool.slow_start,
        queue: pool.queue,
        sorry: pool.sorry,
        timeouts: pool.timeouts,
    }
}

/// A server's state, for the proxy.
pub(super) fn server_state(verdict: &Verdict) -> ServerState {
    ServerState {
        availability: match verdict.state {
            Effective::Up | Effective::Joining => Availability::Up,
            Effective::Drain => Availability::Drain,
            Effective::Maintenance => Availability::Maintenance,
            Effective::Down => Availability::Down,
        },
        weight_percent: verdict.weight,
        max_connections: verdict.max_connections,
    }
}

/// What health URIs say: the worst of what an operator wants and what the node's own checks say. A node
/// that leaves drains at least.
pub(super) fn node_state(operator: Admin, own: Effective, leaving: bool) -> NodeState {
    let operator = if leaving { operator.max(Admin::Drain) } else { operator };
    match (operator, own) {
        (Admin::Maintenance, _) | (_, Effective::Maintenance) => NodeState::Maintenance,
        (Admin::Drain, _) | (_, Effective::Drain) => NodeState::Drain,
        (Admin::Ready, Effective::Down) => NodeState::Disabled,
        (Admin::Ready, Effective::Up | Effective::Joining) => NodeState::Ready,
    }
}
