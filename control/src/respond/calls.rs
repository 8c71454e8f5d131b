//! What callers of the admin socket want, done; and the other nodes, told.

use std::collections::BTreeSet;

use admin::{Change, Failed, PeerStatus, Reply, Request, Said};
use tokio::sync::oneshot;

use super::{Respond, words};
use crate::admin::socket::Call;
use crate::clock::unix_ms;
use crate::doors::Sockets;
use crate::handover::UPGRADING;
use crate::peer::Reach;
use crate::peers::{Peers, Subjects};

impl Respond {
    pub(super) fn call(&mut self, call: Call) {
        let Call { request, uid, reply, .. } = call;
        let answer = match request {
            Request::Status { .. } => Reply::Dns(Box::new(self.status())),
            // The other process would not hear of it.
            Request::Force { .. } | Request::Challenge { .. } | Request::Reload { .. }
                if self.upgrade.is_under_way() =>
            {
                Reply::refused(UPGRADING.into())
            }
            Request::Force { pattern, said } => return self.force(&pattern, said, uid, reply),
            Request::Challenge { name, text, answered } => {
                return self.challenge(&name, &text, answered, uid, reply);
            }
            Request::Query { name, rtype, client } => self.explain(&name, &rtype, client),
            Request::Reload { force } => {
                tracing::info!(uid, force, "reload");
                return self.reload(Some(reply));
            }
            Request::Upgrade { dataplane: false } => return self.raise(uid, reply),
            Request::Upgrade { dataplane: true } => {
                Reply::refused("a node that serves zones has no dataplane".into())
            }
            Request::SetState { .. }
            | Request::SetServer { .. }
            | Request::SetWeight { .. }
            | Request::Announce { .. } => Reply::refused(
                "this node serves zones: `palierctl force` has addresses be given or not".into(),
            ),
            Request::Dataplane(_) => Reply::Error("the socket answers that itself".into()),
        };
        // A caller that is gone needs no answer.
        let _ = reply.send(answer);
    }

    fn force(&mut self, pattern: &str, said: Said, uid: u32, reply: oneshot::Sender<Reply>) {
        let subject = match words::force(pattern) {
            Ok(subject) => subject,
            Err(reason) => return drop(reply.send(Reply::refused(reason))),
        };
        let shown = words::pattern(&subject).unwrap_or(pattern);
        let word = match said {
            Said::Auto => "is as its checks say",
            Said::Up { .. } => "is up",
            Said::Down { .. } => "is down",
            Said::Answered | Said::Withdrawn => {
                let reason = "what is forced is `up`, `down` or `auto`".to_owned();
                return drop(reply.send(Reply::refused(reason)));
            }
        };
        let note = format!("{shown} {word}");
        self.keep(subject, said, uid, note, reply);
    }

    fn challenge(
        &mut self,
        name: &str,
        text: &str,
        answered: bool,
        uid: u32,
        reply: oneshot::Sender<Reply>,
    ) {
        let subject = match words::challenge(name, text) {
            Ok(subject) => subject,
            Err(reason) => return drop(reply.send(Reply::refused(reason))),
        };
        let (said, word) = match answered {
            true => (Said::Answered, "is answered for ten minutes"),
            false => (Said::Withdrawn, "is not answered any more"),
        };
        self.keep(subject, said, uid, format!("{name} TXT {text} {word}"), reply);
    }

    /// Notes what an operator wants, acts on it, tells the other nodes, and answers once it is on the disk.
    fn keep(
        &mut self,
        subject: String,
        said: Said,
        uid: u32,
        note: String,
        reply: oneshot::Sender<Reply>,
    ) {
        let by = format!("uid {uid} on {}", self.site.own().name);
        tracing::info!(subject, ?said, by, "operator");
        self.counters.operator_changes += 1;
        self.store.say(&subject, said, &by, unix_ms());
        self.heard();
        let (store, gossip) = (self.store.clone(), self.peers.as_ref().map(|it| it.gossip.clone()));
        tokio::spawn(async move {
            let mut failed: Vec<Failed> = store.flushed().await.into_iter().collect();
            if let Some(gossip) = gossip {
                failed.extend(gossip.spread(&subject, Reach::Everyone).await);
            }
            let _ = reply.send(Reply::Done(Change { notes: vec![note], failed }));
        });
    }

    /// Speaks with the other nodes that serve zones, under the certificate that is there now. Without one it
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
                        self.mute = Some(format!("no other node is spoken with: {why}"));
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

    /// Tells the other nodes how this one is, when they ask.
    fn tell_peers(&self) {
        let Some(peers) = &self.peers else { return };
        let status = PeerStatus {
            node: self.site.own().name.clone(),
            program: env!("CARGO_PKG_VERSION").into(),
            site: self.site.fingerprint.clone(),
            forwards: true,
            ..PeerStatus::default()
        };
        peers.tell(Subjects { names: BTreeSet::new(), of_zones: true }, status);
    }
}
