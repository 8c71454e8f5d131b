//! What callers of the admin socket want, done; and the other nodes, told.

use admin::{Change, Failed, PeerStatus, Reply, Request};
use health::Admin;
use tokio::sync::oneshot;

use super::Serve;
use super::word::{self, Word};
use crate::admin::socket::Call;
use crate::clock::unix_ms;
use crate::doors::Sockets;
use crate::handover::UPGRADING;
use crate::peers::{Peers, Subjects};

impl Serve {
    pub(super) fn call(&mut self, call: Call) {
        let Call { request, uid, reply, .. } = call;
        let answer = match request {
            Request::Status { .. } => return self.tell_status(reply),
            // The other process would not hear of it.
            Request::SetState { .. }
            | Request::SetServer { .. }
            | Request::SetWeight { .. }
            | Request::Reload { .. }
                if self.upgrade.is_under_way() =>
            {
                Reply::refused(UPGRADING.into())
            }
            Request::SetState { node, state } => {
                return self.set_state(&node, state, uid, reply);
            }
            Request::SetServer { all_nodes: true, .. } => Reply::refused(
                "what holds on every L7 node is said on an L4 node, or on each of them".into(),
            ),
            Request::SetServer { pool, server, state, all_nodes: false } => {
                return self.set_server(&pool, &server, Word::State(state), uid, reply);
            }
            Request::SetWeight { pool, server, percent } => {
                return self.set_server(&pool, &server, Word::Weight(percent), uid, reply);
            }
            Request::Reload { force } => {
                tracing::info!(uid, force, "reload");
                return self.reload(Some(reply));
            }
            Request::Announce { .. } => Reply::refused("an L4 node announces VIPs: ask one".into()),
            Request::Upgrade { dataplane: true } => {
                Reply::refused("an L7 node has no dataplane".into())
            }
            Request::Upgrade { dataplane: false } => return self.raise(uid, reply),
            Request::Force { .. } | Request::Challenge { .. } | Request::Query { .. } => {
                Reply::refused("no zones are served here: ask a dns node".into())
            }
            Request::Dataplane(_) => Reply::Error("the socket answers that itself".into()),
        };
        // A caller that is gone needs no answer.
        let _ = reply.send(answer);
    }

    /// Answers with a status, once the tunnel's thread has told of itself.
    fn tell_status(&self, reply: oneshot::Sender<Reply>) {
        let (mut status, tunnel) = (self.status(), self.tunnel.status());
        tokio::spawn(async move {
            status.tunnel = tunnel.await;
            let problems = status.tunnel.iter().flat_map(|tunnel| tunnel.problems.iter().cloned());
            status.alarms = problems.chain(status.alarms).collect();
            // A caller that is gone needs no answer.
            let _ = reply.send(Reply::L7(Box::new(status)));
        });
    }

    fn set_state(&mut self, node: &str, state: Admin, uid: u32, reply: oneshot::Sender<Reply>) {
        let own = &self.site.own().name;
        if node != own {
            let reason =
                format!("this is {own}: what {node} shall be is said there, or on an L4 node");
            let _ = reply.send(Reply::refused(reason));
            return;
        }
        let note = match state {
            Admin::Ready => format!("{own} is ready"),
            Admin::Drain => format!("{own} drains: L4 nodes hear of it at their next check"),
            Admin::Maintenance => {
                format!("{own} is in maintenance: L4 nodes hear of it at their next check")
            }
        };
        self.keep(node, Word::State(state), uid, note, reply);
    }

    fn set_server(
        &mut self,
        pool: &str,
        server: &str,
        said: Word,
        uid: u32,
        reply: oneshot::Sender<Reply>,
    ) {
        if let Err(reason) = word::find(&self.site.config, pool, server) {
            let _ = reply.send(Reply::refused(reason));
            return;
        }
        let own = self.site.own().name.clone();
        let note = format!("{pool}/{server} {said} on {own}");
        self.keep(&word::word(pool, server, Some(&own)), said, uid, note, reply);
    }

    /// Notes what an operator wants, acts on it, and answers once it is on the disk.
    fn keep(
        &mut self,
        subject: &str,
        said: Word,
        uid: u32,
        note: String,
        reply: oneshot::Sender<Reply>,
    ) {
        let by = format!("uid {uid} on {}", self.site.own().name);
        tracing::info!(subject, ?said, by, "operator");
        self.counters.operator_changes += 1;
        said.keep(&self.store, subject, &by, unix_ms());
        self.heard();
        let store = self.store.clone();
        tokio::spawn(async move {
            let failed: Vec<Failed> = store.flushed().await.into_iter().collect();
            let _ = reply.send(Reply::Done(Change { notes: vec![note], failed }));
        });
    }

    /// Speaks with the L4 nodes of the site file, under the certificate that is there now. Without one it
    /// goes on alone, which is an alarm; says what an operator should know.
    pub(super) fn meet_peers(&mut self) -> Option<String> {
        let said = match &self.peers {
            Some(peers) => {
                peers.follow(self.site.member());
                peers.renew().err().map(|why| format!("the certificate in use stays: {why}"))
            }
            None => {
                let learned = self.learned.clone();
                let inherited = &mut self.sockets.others;
                match Peers::start(self.site.member(), self.store.clone(), learned, inherited) {
                    Ok(peers) => {
                        self.peers = peers;
                        self.mute = None;
                        // Those of another port.
                        self.sockets = Sockets::default();
                        None
                    }
                    Err(why) => {
                        self.mute = Some(format!("no L4 node is listened to: {why}"));
                        self.mute.clone()
                    }
                }
            }
        };
        if let Some(said) = &said {
            tracing::error!("{said}");
        }
        self.tell_peers();
        said
    }

    /// Tells the L4 nodes how this one is, when they ask.
    pub(super) fn tell_peers(&self) {
        let Some(peers) = &self.peers else { return };
        let status = PeerStatus {
            node: self.site.own().name.clone(),
            program: env!("CARGO_PKG_VERSION").into(),
            site: self.site.fingerprint.clone(),
            forwards: true,
            ..PeerStatus::default()
        };
        peers.tell(Subjects::of(&self.site.config), status);
    }
}
