//! What callers of the admin socket want, done; and the other nodes, told.

use admin::{Change, Failed, PeerStatus, Refusal, Reply, Request};
use config::SiteFile;
use health::Admin;
use tokio::sync::oneshot;

use super::handover::Thought;
use super::{Ended, Handed, Heir, Serve, Site, frontends, tunnel, word};
use crate::admin::socket::Call;
use crate::announce;
use crate::clock::unix_ms;
use crate::peers::Peers;
use crate::watch::Watch;

impl Serve {
    pub(super) fn call(&mut self, call: Call) {
        let Call { request, uid, reply, .. } = call;
        let answer = match request {
            Request::Status { .. } => Reply::L7(Box::new(self.status())),
            Request::SetState { node, state } => {
                return self.set_state(&node, state, uid, reply);
            }
            Request::SetServer { pool, server, state, all_nodes } => {
                return self.set_server(&pool, &server, state, all_nodes, uid, reply);
            }
            Request::Reload { force } => {
                tracing::info!(uid, force, "reload");
                match self.reload() {
                    Ok(notes) => Reply::Done(Change { notes, failed: Vec::new() }),
                    Err(reasons) => Reply::Refused { reasons },
                }
            }
            Request::Announce { .. } => refused("an L4 node announces VIPs: ask one".into()),
            Request::Upgrade { dataplane: true } => refused("an L7 node has no dataplane".into()),
            Request::Upgrade { dataplane: false } => return self.raise(uid, reply),
            Request::Dataplane(_) => Reply::Error("the socket answers that itself".into()),
        };
        // A caller that is gone needs no answer.
        let _ = reply.send(answer);
    }

    fn set_state(&mut self, node: &str, state: Admin, uid: u32, reply: oneshot::Sender<Reply>) {
        let own = &self.site.own().name;
        if node != own {
            let reason =
                format!("this is {own}: what {node} shall be is said there, or on an L4 node");
            let _ = reply.send(refused(reason));
            return;
        }
        let note = match state {
            Admin::Ready => format!("{own} is ready"),
            Admin::Drain => format!("{own} drains: L4 nodes hear of it at their next check"),
            Admin::Maintenance => {
                format!("{own} is in maintenance: L4 nodes hear of it at their next check")
            }
        };
        self.keep(node, state, uid, note, reply);
    }

    fn set_server(
        &mut self,
        pool: &str,
        server: &str,
        state: Admin,
        all_nodes: bool,
        uid: u32,
        reply: oneshot::Sender<Reply>,
    ) {
        if let Err(reason) = word::find(&self.site.config, pool, server) {
            let _ = reply.send(refused(reason));
            return;
        }
        if all_nodes {
            let reason = "what holds on every L7 node is said on an L4 node, or on each of them";
            let _ = reply.send(refused(reason.into()));
            return;
        }
        let own = self.site.own().name.clone();
        let note = format!("{pool}/{server} {} on {own}", word::does(state));
        self.keep(&word::word(pool, server, Some(&own)), state, uid, note, reply);
    }

    /// Notes what an operator wants, acts on it, and answers once it is on the disk.
    fn keep(
        &mut self,
        subject: &str,
        state: Admin,
        uid: u32,
        note: String,
        reply: oneshot::Sender<Reply>,
    ) {
        let by = format!("uid {uid} on {}", self.site.own().name);
        tracing::info!(subject, ?state, by, "operator");
        self.counters.operator_changes += 1;
        self.store.set(subject, state, &by, unix_ms());
        self.heard();
        let store = self.store.clone();
        tokio::spawn(async move {
            let failed: Vec<Failed> = store.flushed().await.into_iter().collect();
            let _ = reply.send(Reply::Done(Change { notes: vec![note], failed }));
        });
    }

    /// Has another release take over: it is started, gets the listening sockets, and serves.
    fn raise(&mut self, uid: u32, reply: oneshot::Sender<Reply>) {
        let listeners = match (self.leaving.is_some() || self.raising, self.proxy.listeners()) {
            (true, _) => {
                return drop(reply.send(refused("control is being stopped or upgraded".into())));
            }
            (false, Err(error)) => return drop(reply.send(refused(error.to_string()))),
            (false, Ok(listeners)) => listeners,
        };
        let thought = |(pool, server, state): (&str, &str, _)| Thought {
            pool: pool.to_owned(),
            server: server.to_owned(),
            state,
        };
        let servers: Vec<_> = self.proxy.server_states().map(thought).collect();
        let (program, heirs) = (self.program.clone(), self.heirs.clone());
        self.raising = true;
        tracing::info!(uid, "upgrade");
        tokio::task::spawn_blocking(move || {
            let raised = Heir::raise(&program, &listeners, servers);
            let (answer, heir) = match raised {
                Ok(heir) => {
                    let note = format!("process {} of {} serves now", heir.pid, program.display());
                    (Reply::Done(Change { notes: vec![note], failed: Vec::new() }), Some(heir))
                }
                Err(error) => (refused(format!("{}: {error}", program.display())), None),
            };
            // A caller that is gone needs no answer; the loop ends only with the process.
            let _ = reply.send(answer);
            let _ = heirs.send(heir);
        });
    }

    /// Everything but the connections that there are is another process's now.
    pub(super) fn hand_over(self, heir: Heir) -> Ended {
        if let Err(error) = self.store.flush() {
            tracing::error!(%error, "node states are lost with this process");
        }
        let limit = self.limit();
        Ended::HandedOver(Box::new(Handed { heir, proxy: self.proxy, limit }))
    }

    /// Watches the site file, if that is wanted.
    pub(super) fn watch(&self) -> Option<Watch> {
        Watch::wanted(self.site.config.site.reload, &self.path)
    }

    /// Reads the site file again. Nothing changes if anything speaks against it.
    pub(super) fn reload(&mut self) -> Result<Vec<String>, Vec<String>> {
        let name = self.site.own().name.clone();
        let judged = SiteFile::read(&self.path)
            .map_err(|error| error.lines())
            .and_then(|file| Site::new(file, &name).map_err(|reason| vec![reason]))
            .and_then(|site| {
                let settings = frontends::settings(&site);
                self.proxy.set(&settings).map_err(|error| vec![error.to_string()])?;
                Ok(site)
            });
        match judged {
            Ok(site) => {
                tracing::info!(fingerprint = site.fingerprint, "the site file is in force");
                self.counters.reloads += 1;
                self.refused = None;
                let mut notes = vec![if site.fingerprint == self.site.fingerprint {
                    "the site file has not changed; certificates are read anew, and the access log is opened anew".to_owned()
                } else {
                    format!("{} is in force", self.path.display())
                }];
                self.site = site;
                self.proxy.reopen_log();
                let restart = self.restart_needed();
                notes.extend(restart.iter().map(|what| format!("restart needed: {what}")));
                self.forget_strangers();
                notes.extend(self.meet_peers());
                self.aim();
                self.tell_own();
                self.tunnel.set(tunnel::Wanted::of(&self.site));
                Ok(notes)
            }
            Err(reasons) => {
                tracing::error!(?reasons, "reload refused: the site file before stays in force");
                self.counters.reloads_refused += 1;
                self.refused = Some(Refusal { at_ms: unix_ms(), reasons: reasons.clone() });
                Err(reasons)
            }
        }
    }

    /// What the file says that comes into force with the next start.
    pub(super) fn restart_needed(&self) -> Vec<String> {
        let own = |config: &config::Config| {
            let name = &self.site.own().name;
            config.l7.iter().find(|node| node.name == *name).and_then(|node| node.workers)
        };
        let (old, new) = (&self.started_with, &self.site.config);
        let name = &self.site.own().name;
        let mut needed = Vec::new();
        if own(old) != own(new) {
            needed.push(format!("{name}: `workers` takes a restart of palier-control"));
        }
        let peering = |config: &config::Config| config.site.peering.clone();
        if self.peers.is_some() && peering(old) != peering(new) {
            needed.push("site: `peer_port` and `pki` take a restart of palier-control".into());
        }
        needed
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
                match Peers::start(self.site.member(), self.store.clone(), learned) {
                    Ok(peers) => {
                        self.peers = peers;
                        self.mute = None;
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
        peers.tell(&self.site.config, status);
    }

    /// Forgets what operators wanted of what is no part of the site any more.
    fn forget_strangers(&self) {
        let config = &self.site.config;
        let l4 = config.l4.iter().map(|node| node.name.clone());
        let l7 = config.l7.iter().map(|node| node.name.clone());
        let words = announce::words(config).chain(word::words(config, Some(&self.site.own().name)));
        for subject in self.store.retain(&l4.chain(l7).chain(words).collect()) {
            tracing::info!(subject, "its state is forgotten: it has left the site");
        }
    }
}

fn refused(reason: String) -> Reply {
    Reply::Refused { reasons: vec![reason] }
}
