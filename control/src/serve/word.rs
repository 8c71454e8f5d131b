//! Operators' words about servers, among the node states: `server/POOL/NAME` is about a server on every
//! L7 node, `server/POOL/NAME@NODE` on one.

use admin::States;
use config::Config;
use health::Admin;

/// The subject of a word about a server, on one node or on all.
pub fn word(pool: &str, server: &str, node: Option<&str>) -> String {
    match node {
        None => format!("server/{pool}/{server}"),
        Some(node) => format!("server/{pool}/{server}@{node}"),
    }
}

/// Every subject that the site file leaves room for: about servers on all nodes, and on `node`.
pub fn words<'a>(config: &'a Config, node: Option<&'a str>) -> impl Iterator<Item = String> {
    let servers = config.pools.iter().flat_map(|pool| {
        pool.servers.iter().map(|server| (pool.name.as_str(), server.name.as_str()))
    });
    servers.flat_map(move |(pool, server)| {
        let here = node.map(|node| word(pool, server, Some(node)));
        here.into_iter().chain([word(pool, server, None)])
    })
}

/// What operators want of a server on this node: the worse of what was said of it here and everywhere.
pub(super) fn wanted(states: &States, pool: &str, server: &str, node: &str) -> Admin {
    let said = |subject: String| states.get(&subject).map_or(Admin::Ready, |entry| entry.state);
    said(word(pool, server, None)).max(said(word(pool, server, Some(node))))
}

/// Whether the site has a server of this name in a pool of this name.
///
/// # Errors
/// It has not; who there is.
pub fn find(config: &Config, pool: &str, server: &str) -> Result<(), String> {
    let Some(found) = config.pools.iter().find(|one| one.name == pool) else {
        let names: Vec<_> = config.pools.iter().map(|one| one.name.as_str()).collect();
        return Err(format!("no pool is named `{pool}`; there are: {}", names.join(", ")));
    };
    if found.servers.iter().any(|one| one.name == server) {
        return Ok(());
    }
    let names: Vec<_> = found.servers.iter().map(|one| one.name.as_str()).collect();
    Err(format!("pool {pool} has no server `{server}`; there are: {}", names.join(", ")))
}

/// A state as a sentence's verb.
pub const fn does(state: Admin) -> &'static str {
    match state {
        Admin::Ready => "is ready",
        Admin::Drain => "drains",
        Admin::Maintenance => "is in maintenance",
    }
}
