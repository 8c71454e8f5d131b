//! Pools as all cores of this node see them: who may be used, and how busy he is.

mod budget;
mod queue;
mod server;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::server::{Lease, Server, ServerId};

use self::budget::Budget;
use self::queue::Queue;
use crate::balance::Candidate;
use crate::settings;
use crate::stats::OfPool;
use crate::tls::{self, Upstream};

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) settings: settings::Pool,
    pub(crate) servers: Vec<Arc<Server>>,
    /// How TLS is spoken with them, if it is.
    pub(crate) tls: Option<Upstream>,
    /// The same for as long as there is a pool of this name.
    pub(crate) queue: Arc<Queue>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) stats: Arc<OfPool>,
}

impl Pool {
    /// The pools of these settings. Servers that were there before go on as they are.
    ///
    /// # Errors
    /// Authorities cannot be used.
    pub(crate) fn all(
        settings: &[settings::Pool],
        before: &[Arc<Self>],
    ) -> Result<Vec<Arc<Self>>, tls::Error> {
        let known: HashMap<_, _> =
            before.iter().map(|pool| (pool.settings.name.as_str(), pool)).collect();
        let pool = |settings: &settings::Pool| {
            let before = known.get(settings.name.as_str());
            let alike = before.is_some_and(|pool| {
                let settings::Pool { send_proxy, tls, .. } = &pool.settings;
                (send_proxy, tls) == (&settings.send_proxy, &settings.tls)
            });
            let servers = settings.servers.iter().map(|server| {
                let found = before.and_then(|pool| pool.server(&server.name));
                match found {
                    Some(found) if found.settings == *server && alike => found.clone(),
                    Some(found) => found.with(server, alike),
                    None => Server::new(server),
                }
            });
            let tls = settings.tls.as_ref().map(Upstream::new).transpose()?;
            Ok(Arc::new(Self {
                servers: servers.collect(),
                settings: settings.clone(),
                tls,
                queue: before.map(|pool| pool.queue.clone()).unwrap_or_default(),
                budget: before.map(|pool| pool.budget.clone()).unwrap_or_default(),
                stats: before.map(|pool| pool.stats.clone()).unwrap_or_default(),
            }))
        };
        settings.iter().map(pool).collect()
    }

    /// The server of this name.
    pub(crate) fn server(&self, name: &str) -> Option<&Arc<Server>> {
        self.servers.iter().find(|one| one.settings.name == name)
    }

    /// Writes down who may be chosen: those that are usable and have room, without those in `tried`;
    /// backups if nobody else is usable. Says whether somebody is usable but for want of room.
    pub(crate) fn candidates(&self, tried: &[ServerId], into: &mut Vec<Candidate>) -> bool {
        for backup in [false, true] {
            into.clear();
            let (mut any, mut full) = (false, false);
            into.extend(self.servers.iter().map(|server| {
                let fits = server.settings.backup == backup && !tried.contains(&server.id);
                let mut weight = if fits { server.weight(self.settings.slow_start) } else { 0 };
                if weight > 0 && !server.has_room() {
                    (weight, full) = (0, true);
                }
                any |= weight > 0;
                Candidate { id: server.id, weight, busy: server.busy() }
            }));
            if any || full {
                return full && !any;
            }
        }
        false
    }

    /// Whether servers are limited, so that requests may have to wait.
    pub(crate) fn is_limited(&self) -> bool {
        self.servers.iter().any(|server| server.limit().is_some())
    }

    /// How many servers are usable.
    pub(crate) fn usable(&self) -> usize {
        self.servers.iter().filter(|server| server.weight(Duration::ZERO) > 0).count()
    }
}
