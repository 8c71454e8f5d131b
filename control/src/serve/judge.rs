//! What is thought of servers and of this node, as the proxy is told.

use std::collections::BTreeSet;

use admin::Effective;
use config::{Pool, Server};
use health::Admin;
use proxy::Availability;

use super::verdict::Verdict;
use super::{Serve, frontends, word};

/// A server's pool, and its name there.
pub(super) type Name = (String, String);

/// All servers of these pools.
pub(super) fn names_of(pools: &[Pool]) -> BTreeSet<Name> {
    let all = pools.iter().flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)));
    all.map(|(pool, server)| (pool.name.clone(), server.name.clone())).collect()
}

impl Serve {
    /// Has the proxy go to where servers are now, if they are not where they were.
    pub(super) fn move_servers(&mut self) {
        let mut pools = self.site.config.pools.iter().enumerate();
        let is_moved = pools.any(|(p, pool)| {
            let mut servers = pool.servers.iter().enumerate();
            servers.any(|(s, server)| self.names.address(server) != self.proxy.address(p, s))
        });
        if !is_moved {
            return;
        }
        match self.proxy.set_pools(&frontends::pools(&self.site, &self.names)) {
            Ok(()) => self.aim(&names_of(&self.site.config.pools)),
            // Authorities that cannot be read just now.
            Err(error) => tracing::error!(%error, "servers stay where they were"),
        }
    }

    /// Asks what the site file says, of the addresses that servers have now. What is thought of servers that
    /// were there `before` stays until their checks have said something, however they are asked and wherever
    /// they are now; if all servers of a pool are new they are used meanwhile, as there is nobody else to ask.
    pub(super) fn aim(&mut self, before: &BTreeSet<Name>) {
        let address = |pool, server| self.proxy.address(pool, server);
        self.servers.aim(&self.site.config.pools, self.site.own(), address);
        let is_assumed = |place: &(usize, usize)| {
            let pool = &self.site.config.pools[place.0];
            let was = |server: &Server| before.contains(&(pool.name.clone(), server.name.clone()));
            was(&pool.servers[place.1])
                || !pool.servers.iter().any(was)
                || self.assumed.contains_key(&self.name(*place))
        };
        let all = self.servers.all();
        let unknown = all.iter().copied().filter(|place| self.servers.is_unknown(*place));
        let assumed = unknown.filter(is_assumed).filter_map(|place| {
            let state = self.proxy.server_state(place.0, place.1)?;
            Some((self.name(place), state))
        });
        self.assumed = assumed.collect();
        self.judge(all);
    }

    /// A server's pool and name.
    fn name(&self, place: (usize, usize)) -> Name {
        let pool = &self.site.config.pools[place.0];
        (pool.name.clone(), pool.servers[place.1].name.clone())
    }

    /// Has the proxy use these servers as is thought of them.
    pub(super) fn judge(&mut self, servers: impl IntoIterator<Item = (usize, usize)>) {
        let states = self.store.states();
        for place in servers {
            if !self.assumed.is_empty() && !self.servers.is_unknown(place) {
                self.assumed.remove(&self.name(place));
            }
            let verdict = self.verdict(place, &states);
            let pool = &self.site.config.pools[place.0];
            let server = &pool.servers[place.1];
            let state = frontends::server_state(&verdict);
            if self.proxy.set_server(&pool.name, &server.name, state) {
                let Verdict { state, reason, weight, .. } = &verdict;
                let (pool, server) = (&pool.name, &server.name);
                tracing::info!(pool, server, ?state, weight, reason, "verdict");
            }
        }
        self.is_unproven = self.is_unproven && self.has_unproven_pool();
        self.tell_own();
    }

    /// Whether it is still to be learned if some pool has servers enough.
    fn has_unproven_pool(&self) -> bool {
        let mut pools = self.site.config.pools.iter().enumerate();
        pools.any(|(p, pool)| {
            let places = (0..pool.servers.len()).map(|s| (p, s));
            let (assumed, known): (Vec<_>, Vec<_>) =
                places.partition(|place| self.assumed.contains_key(&self.name(*place)));
            let is_up = |&(p, s): &(usize, usize)| {
                let state = self.proxy.server_state(p, s);
                state.is_some_and(|state| state.availability == Availability::Up)
            };
            !assumed.is_empty()
                && known.iter().filter(|&place| is_up(place)).count() < pool.quorum as usize
        })
    }

    pub(super) fn verdict(&self, place: (usize, usize), states: &admin::States) -> Verdict {
        let pool = &self.site.config.pools[place.0];
        let operator =
            word::wanted(states, &pool.name, &pool.servers[place.1].name, &self.site.own().name);
        let reachable = self.proxy.address(place.0, place.1).is_some();
        let assumed = self.assumed.get(&self.name(place));
        self.servers.verdict(place, operator, reachable, assumed)
    }

    /// What an operator wants of this node.
    fn operator(&self) -> Admin {
        let states = self.store.states();
        states.get(&self.site.own().name).map_or(Admin::Ready, |entry| entry.state)
    }

    /// Has the health URIs say what holds of this node; so does whatever is thought of servers anew.
    pub(super) fn tell_own(&self) {
        let (own, _) = self.servers.of_own();
        // L4 nodes send nobody before it is known who is there.
        let own = if self.is_unproven { own.max(Effective::Down) } else { own };
        let leaving = self.leaving.is_some();
        self.proxy.set_node(frontends::node_state(self.operator(), own, leaving));
    }
}
