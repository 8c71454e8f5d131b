//! Which server gets a request or a connection, and the wait for one where all have as many as they may.

use std::sync::Arc;

use tokio::time::timeout;

use crate::core::Core;
use crate::pool::{Lease, Pool};
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
    pub(crate) own: Option<usize>,
}

impl Asker<'_> {
    /// The place of a server, which has the request from now on. Not one of those that were `tried`.
    pub(crate) async fn assign(&self, tried: &[usize]) -> Result<(usize, Lease), Nobody> {
        let queue = &self.pool.queue;
        // Whoever comes while others wait waits behind them.
        if !self.pool.is_limited() || queue.waiting() == 0 {
            match self.look(tried) {
                Look::Taken(place, lease) => return Ok((place, lease)),
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
                    match self.look(tried) {
                        Look::Taken(place, lease) => return Ok((place, lease)),
                        Look::Nobody => return Err(Nobody::Usable),
                        Look::Full => {}
                    }
                }
                waiting.room().await;
                looks = true;
            }
        };
        timeout(settings.timeout, wait).await.unwrap_or(Err(Nobody::QueueLate))
    }

    fn look(&self, tried: &[usize]) -> Look {
        let take = |place: usize| self.pool.servers[place].take(&self.pool.queue);
        if let Some(place) = self.own.filter(|place| !tried.contains(place))
            && self.pool.servers[place].keeps_its_own()
            && let Some(lease) = take(place)
        {
            return Look::Taken(place, lease);
        }
        // Another core may be quicker: then there is another, or nobody has room any more.
        loop {
            match self.core.choose(self.pool, tried, self.key) {
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
