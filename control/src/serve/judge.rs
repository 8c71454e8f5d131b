//! What is thought of servers and of this node, as the proxy is told.

use config::Pool;
use health::Admin;

use super::verdict::Verdict;
use super::{Serve, frontends, word};

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
            Ok(()) => {
                let config = self.site.config.clone();
                self.aim(Some(&config.pools));
            }
            // Authorities that cannot be read just now.
            Err(error) => tracing::error!(%error, "servers stay where they were"),
        }
    }

    /// Asks what the site file says, of the addresses that servers have now. What is thought of servers that
    /// were there `before` stays until their checks have said something, however they are asked and wherever
    /// they are now; if all servers of a pool are new they are used meanwhile, as there is nobody else to ask.
    /// At a start there is nobody yet who would be sent to them.
    pub(super) fn aim(&mut self, before: Option<&[Pool]>) {
        let address = |pool, server| self.proxy.address(pool, server);
        self.servers.aim(&self.site.config.pools, self.site.own(), address);
        let is_assumed = |place: &(usize, usize)| {
            let stays = |before: &[Pool]| {
                let pool = &self.site.config.pools[place.0];
                let old = before.iter().find(|old| old.name == pool.name);
                let was = |name| old.is_some_and(|old| old.servers.iter().any(|s| s.name == name));
                let mut names = pool.servers.iter().map(|server| &*server.name);
                was(&*pool.servers[place.1].name) || !names.any(was)
            };
            self.assumed.contains(&self.name(*place)) || before.is_some_and(stays)
        };
        let unknown =
            self.servers.all().into_iter().filter(|place| self.servers.is_unknown(*place));
        self.assumed = unknown.filter(is_assumed).map(|place| self.name(place)).collect();
        self.judge(self.servers.all());
    }

    /// A server's pool and name.
    fn name(&self, place: (usize, usize)) -> (String, String) {
        let pool = &self.site.config.pools[place.0];
        (pool.name.clone(), pool.servers[place.1].name.clone())
    }

    /// Has the proxy use these servers as is thought of them.
    pub(super) fn judge(&mut self, servers: impl IntoIterator<Item = (usize, usize)>) {
        let states = self.store.states();
        for place in servers {
            if self.is_as_before(place) {
                continue;
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
    }

    /// Whether what is thought of a server stays, as it has not been asked yet.
    fn is_as_before(&mut self, place: (usize, usize)) -> bool {
        if self.assumed.is_empty() {
            return false;
        }
        let name = self.name(place);
        if self.servers.is_unknown(place) {
            return self.assumed.contains(&name);
        }
        self.assumed.remove(&name);
        false
    }

    pub(super) fn verdict(&self, place: (usize, usize), states: &admin::States) -> Verdict {
        let pool = &self.site.config.pools[place.0];
        let operator =
            word::wanted(states, &pool.name, &pool.servers[place.1].name, &self.site.own().name);
        let reachable = self.proxy.address(place.0, place.1).is_some();
        self.servers.verdict(place, operator, reachable)
    }

    /// What an operator wants of this node.
    fn operator(&self) -> Admin {
        let states = self.store.states();
        states.get(&self.site.own().name).map_or(Admin::Ready, |entry| entry.state)
    }

    /// Has the health URIs say what holds of this node.
    pub(super) fn tell_own(&self) {
        let (own, _) = self.servers.of_own();
        let leaving = self.leaving.is_some();
        self.proxy.set_node(frontends::node_state(self.operator(), own, leaving));
    }
}
