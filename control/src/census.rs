//! How many connections each L7 node has, counted while somebody may wait for their end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::dataplane;

/// From one count to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Connections of each L7 node, by name.
pub type Connections = BTreeMap<String, u64>;

/// The last count, and the one that is on its way.
#[derive(Debug, Default)]
pub struct Census {
    last: Connections,
    counting: Option<JoinHandle<Connections>>,
    next: Option<Instant>,
}

impl Census {
    /// Nobody waits: what was counted is forgotten.
    pub fn stop(&mut self) {
        self.last.clear();
        self.next = None;
    }

    /// Counts, if it is time to.
    pub fn go_on(&mut self, dataplane: &Arc<Path>) {
        if self.counting.is_some() || self.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        self.next = Some(Instant::now() + INTERVAL);
        let dataplane = dataplane.clone();
        self.counting = Some(tokio::spawn(async move { count(&dataplane).await }));
    }

    /// When to go on; a count that is on its way wakes by itself.
    pub fn next(&self) -> Option<Instant> {
        self.next.filter(|_| self.counting.is_none())
    }

    /// Waits for the count that is on its way, if there is one, and takes it in.
    pub async fn counted(&mut self) {
        match &mut self.counting {
            // A question that panicked has counted nothing.
            Some(task) => self.last = task.await.unwrap_or_default(),
            None => std::future::pending().await,
        }
        self.counting = None;
    }

    /// The last count; empty while nobody waits.
    pub fn last(&self) -> &Connections {
        &self.last
    }
}

async fn count(socket: &Path) -> Connections {
    match dataplane::ask(socket, &api::Request::Stats, 2 * INTERVAL).await {
        Ok(api::Reply::Stats(stats)) => {
            stats.nodes.into_iter().map(|node| (node.name, node.traffic.connections)).collect()
        }
        Ok(_) | Err(_) => Connections::new(),
    }
}
