//! What callers of the admin socket want, done.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin::{Change, Failed, Reply, Request};
use api::Stats;
use health::Admin;
use tokio::sync::oneshot;

use super::Steer;
use crate::admin::socket::Call;
use crate::admin::status;
use crate::clock::unix_ms;
use crate::dataplane;
use crate::peer::Reach;
use crate::serve;

/// How long the dataplane may take to tell its counters for a status.
const STATS: Duration = Duration::from_secs(5);

impl Steer {
    pub(super) fn call(&mut self, call: Call) {
        let Call { request, uid, stats, reply } = call;
        let answer = match request {
            Request::Status { brief } => {
                self.tell(brief, stats, reply);
                return;
            }
            Request::SetState { node, state } => {
                self.set_state(&node, state, uid, reply);
                return;
            }
            Request::Reload { force } => {
                tracing::info!(uid, force, "reload");
                match self.reload(force) {
                    Ok(notes) => Reply::Done(Change { notes, failed: Vec::new() }),
                    Err(reasons) => Reply::Refused { reasons },
                }
            }
            Request::SetServer { pool, server, state, .. } => {
                self.set_server(&pool, &server, serve::Word::State(state), uid, reply);
                return;
            }
            Request::SetWeight { pool, server, percent } => {
                self.set_server(&pool, &server, serve::Word::Weight(percent), uid, reply);
                return;
            }
            Request::Announce { service, announce, all_nodes } => {
                self.set_announced(&service, announce, all_nodes, uid, reply);
                return;
            }
            Request::Upgrade { dataplane: true } => {
                self.begin_restart(uid, reply);
                return;
            }
            Request::Upgrade { dataplane: false } => {
                self.begin_upgrade(uid, reply);
                return;
            }
            Request::Force { .. } | Request::Challenge { .. } | Request::Query { .. } => {
                Reply::refused("no zones are served here: ask a dns node".into())
            }
            Request::Dataplane(_) => Reply::Error("the socket answers that itself".into()),
        };
        // A caller that is gone needs no answer.
        let _ = reply.send(answer);
    }

    /// The status, with what the dataplane knows of connections: that is asked for aside.
    fn tell(&self, brief: bool, stats: Option<Arc<Stats>>, reply: oneshot::Sender<Reply>) {
        let standing = |place| self.checks.standing(place);
        let mut view = self.view(&standing);
        let peers = |nodes: &mut [admin::NodeStatus]| {
            if let Some(peers) = &self.peers {
                peers.describe(nodes);
            }
        };
        view.peers = &peers;
        let mut told = status::status(&view, brief);
        let snapshot = self.dataplane.in_force.clone();
        let socket = self.socket.clone();
        tokio::spawn(async move {
            if let Some(snapshot) = snapshot.filter(|_| told.dataplane.connected) {
                let stats = match stats {
                    Some(stats) => Some(stats),
                    None => ask(&socket).await,
                };
                if let Some(stats) = stats {
                    status::enrich(&mut told, &stats, &snapshot);
                }
            }
            let _ = reply.send(Reply::Status(Box::new(told)));
        });
    }

    fn set_state(&mut self, node: &str, state: Admin, uid: u32, reply: oneshot::Sender<Reply>) {
        if !self.site.has_node(node) {
            let config = &self.site.config;
            let l4 = config.l4.iter().map(|node| node.name.as_str());
            let names: Vec<_> = l4.chain(config.l7.iter().map(|node| node.name.as_str())).collect();
            let reason = format!("no node is named `{node}`; there are: {}", names.join(", "));
            let _ = reply.send(Reply::Refused { reasons: vec![reason] });
            return;
        }
        let own = self.site.own().name.clone();
        let by = format!("uid {uid} on {own}");
        tracing::info!(node, ?state, by, "operator");
        self.counters.operator_changes += 1;
        self.store.set(node, state, &by, unix_ms());
        let does = match state {
            Admin::Ready => "is ready",
            Admin::Drain => "drains",
            Admin::Maintenance => "is in maintenance",
        };
        let notes = vec![format!("{node} {does} on {own}")];
        let reach = Reach::of(&self.site.config, node);
        self.carry(node.to_owned(), Some(reach), notes, reply);
    }

    /// What a server shall be, on every L7 node.
    fn set_server(
        &mut self,
        pool: &str,
        server: &str,
        said: serve::Word,
        uid: u32,
        reply: oneshot::Sender<Reply>,
    ) {
        if let Err(reason) = serve::find(&self.site.config, pool, server) {
            let _ = reply.send(Reply::Refused { reasons: vec![reason] });
            return;
        }
        let subject = serve::word(pool, server, None);
        let by = format!("uid {uid} on {}", self.site.own().name);
        tracing::info!(subject, ?said, by, "operator");
        self.counters.operator_changes += 1;
        said.keep(&self.store, &subject, &by, unix_ms());
        let notes = vec![format!("{pool}/{server} {said} on all L7 nodes")];
        self.carry(subject, Some(Reach::L7), notes, reply);
    }

    /// Brings an operator's word to the disk, and to those of the other nodes whom it has to reach, and
    /// answers then. What has to reach nobody at once gets there in its own time.
    pub(super) fn carry(
        &mut self,
        subject: String,
        reach: Option<Reach>,
        mut notes: Vec<String>,
        reply: oneshot::Sender<Reply>,
    ) {
        self.stale = true;
        self.tell_peers();
        let gossip = self.peers.as_ref().map(|peers| peers.gossip.clone());
        let others: Vec<String> = self.site.peers().map(|peer| peer.name.clone()).collect();
        if let (Some(_), None, Some(_)) = (reach, &gossip, others.first()) {
            let why = self.mute.as_deref().unwrap_or("the site file has no `peer_port`");
            notes.push(format!("the other L4 nodes are not told: {why}"));
        }
        let store = self.store.clone();
        // Neither the disk nor the other nodes hold anything up but this answer.
        tokio::spawn(async move {
            let mut failed: Vec<Failed> = store.flushed().await.into_iter().collect();
            if let (Some(gossip), Some(reach)) = (gossip, reach) {
                let missed = gossip.spread(&subject, reach).await;
                let told = others.iter().filter(|name| missed.iter().all(|m| m.what != **name));
                notes.extend(told.map(|name| format!("{name} knows")));
                failed.extend(missed);
            }
            let _ = reply.send(Reply::Done(Change { notes, failed }));
        });
    }
}

async fn ask(dataplane: &Path) -> Option<Arc<Stats>> {
    match dataplane::ask(dataplane, &api::Request::Stats, STATS).await {
        Ok(api::Reply::Stats(stats)) => Some(Arc::new(*stats)),
        Ok(_) | Err(_) => None,
    }
}
