//! Operators' words about servers, among the node states: `server/POOL/NAME` is about a server on every
//! L7 node, `server/POOL/NAME@NODE` on one.

use admin::States;
use config::Config;
use health::Admin;

use crate::states::Store;

/// Percent of the configured weight where nobody says otherwise.
pub(super) const WHOLE: u16 = 100;

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

/// What operators want of a server on a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) state: Admin,
    /// Percent of its configured weight.
    pub(super) weight: u16,
}

/// What operators want of a server on this node: the worse of the states that were said of it here and
/// everywhere, and the share of the share.
pub(super) fn wanted(states: &States, pool: &str, server: &str, node: &str) -> Wanted {
    let mut wanted = Wanted { state: Admin::Ready, weight: WHOLE };
    for subject in [word(pool, server, None), word(pool, server, Some(node))] {
        let Some(entry) = states.get(&subject) else { continue };
        wanted.state = wanted.state.max(entry.state);
        wanted.weight = part(wanted.weight, entry.weight.unwrap_or(WHOLE));
    }
    wanted
}

/// Percent of percent. What is more than nothing stays so.
pub(super) fn part(one: u16, other: u16) -> u16 {
    let product = u32::from(one) * u32::from(other);
    product.div_ceil(WHOLE.into()).try_into().unwrap_or(u16::MAX)
}

/// What an operator says of a server.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    /// What it shall be.
    State(Admin),
    /// Percent of its configured weight that it shall have.
    Weight(u16),
}

impl Word {
    /// Remembers it.
    pub fn keep(self, store: &Store, subject: &str, by: &str, now_ms: u64) {
        match self {
            Self::State(state) => store.set(subject, state, by, now_ms),
            Self::Weight(percent) => store.set_weight(subject, percent, by, now_ms),
        };
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::State(Admin::Ready) => "is ready",
            Self::State(Admin::Drain) => "drains",
            Self::State(Admin::Maintenance) => "is in maintenance",
            Self::Weight(percent) => return write!(f, "has {percent}% of its weight"),
        })
    }
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
