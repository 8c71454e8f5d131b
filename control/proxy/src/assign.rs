//! Which server gets a request or a connection, and the wait for one where all have as many as they may.

use std::sync::Arc;

use tokio::time::timeout;

use crate::core::Core;
use crate::pool::{Lease, Pool, ServerId};
use crate::stats::{OfPool, count};

/// Why nobody gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// No server takes requests.
    Usable,
    /// As many wait already as may.
    QueueFull,
    /// It has waited for as long as it may.
    QueueLate,
}

impl Nobody {
    /// Counts it.
    pub(crate) fn count(self, of: &OfPool) {
        count(match self {
            Self::Usable => &of.unserved,
            Self::QueueFull => &of.queue_full,
            Self::QueueLate => &of.queue_late,
        });
    }
}

/// Who gets it.
pub(crate) struct Assigned {
    /// The pool, if it is another by now than the one that was asked: its settings were replaced.
    pub(crate) newer: Option<Arc<Pool>>,
    /// The server's place in it.
    pub(crate) place: usize,
    /// The server has the request from now on.
    pub(crate) lease: Lease,
}

/// How a look at the servers ended.
enum Look {
    Taken(usize, Lease),
    /// Those who could have no room.
    Full,
    Nobody,
}

/// Who asks, and for what.
pub(crate) struct Asker<'a> {
    pub(crate) core: &'a Core,
    pub(crate) pool: &'a Arc<Pool>,
    /// What chooses the server, if the pool goes by it.
    pub(crate) key: Option<u64>,
    /// The server that the client is to stay with.
    pub(crate) own: Option<ServerId>,
}

impl Asker<'_> {
    /// A server, which is none of those that were `tried`.
    pub(crate) async fn assign(&self, tried: &[ServerId]) -> Result<Assigned, Nobody> {
        let queue = &self.pool.queue;
        // Whoever comes while others wait waits behind them.
        if !self.pool.is_limited() || queue.waiting() == 0 {
            match self.look(self.pool, tried) {
                Look::Taken(place, lease) => return Ok(Assigned { newer: None, place, lease }),
                Look::Nobody => return Err(Nobody::Usable),
                Look::Full => {}
            }
        }
        let settings = self.pool.settings.queue;
        let (waiting, is_first) = queue.enter(settings.length).ok_or(Nobody::QueueFull)?;
        let wait = async {
            let mut looks = is_first;
            loop {
                if looks {
                    // Servers may have come since, for which somebody waits here.
                    let newer = self.core.pool(&self.pool.settings.name);
                    match self.look(newer.as_ref().unwrap_or(self.pool), tried) {
                        Look::Taken(place, lease) => return Ok(Assigned { newer, place, lease }),
                        Look::Nobody => return Err(Nobody::Usable),
                        // It may be one of those that were tried who has room.
                        Look::Full if !tried.is_empty() => waiting.pass_on(),
                        Look::Full => {}
                    }
                }
                waiting.room().await;
                looks = true;
            }
        };
        timeout(settings.timeout, wait).await.unwrap_or(Err(Nobody::QueueLate))
    }

    fn look(&self, pool: &Pool, tried: &[ServerId]) -> Look {
        let take = |place: usize| pool.servers[place].take(&pool.queue);
        if let Some(own) = self.own.filter(|own| !tried.contains(own))
            && let Some(place) = pool.servers.iter().position(|server| server.id == own)
            && pool.servers[place].keeps_its_own()
            && let Some(lease) = take(place)
        {
            return Look::Taken(place, lease);
        }
        // Another core may be quicker: then there is another, or nobody has room any more.
        loop {
            match self.core.choose(pool, tried, self.key) {
                Ok(place) => {
                    if let Some(lease) = take(place) {
                        return Look::Taken(place, lease);
                    }
                }
                Err(full) => return if full { Look::Full } else { Look::Nobody },
            }
        }
    }
}
