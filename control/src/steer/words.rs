//! Operators' words about announcements, and about this program itself.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use admin::{Change, Failed, Reply};
use health::Admin;
use tokio::sync::oneshot;

use super::Steer;
use super::calls::flushed;
use crate::announce::word;
use crate::clock::unix_ms;
use crate::peer::Reach;

/// How long a program may take to tell its release.
const PATIENCE: Duration = Duration::from_secs(5);

impl Steer {
    /// Whether a service is announced, here or on every node, as far as operators are concerned.
    pub(super) fn set_announced(
        &mut self,
        service: &str,
        announce: bool,
        all_nodes: bool,
        uid: u32,
        reply: oneshot::Sender<Reply>,
    ) {
        let config = &self.site.config;
        let refuse = |reply: oneshot::Sender<Reply>, reason| {
            let _ = reply.send(Reply::Refused { reasons: vec![reason] });
        };
        if !config.services.iter().any(|known| known.name == service) {
            let names: Vec<_> = config.services.iter().map(|known| known.name.as_str()).collect();
            let names = names.join(", ");
            return refuse(reply, format!("no service is named `{service}`; there are: {names}"));
        }
        if config.bgp.is_none() {
            let reason = "nothing is announced: the site file has no [bgp]";
            return refuse(reply, reason.into());
        }
        let own = self.site.own().name.clone();
        let by = format!("uid {uid} on {own}");
        tracing::info!(service, announce, all_nodes, by, "operator");
        self.counters.operator_changes += 1;
        let subject = word(service, (!all_nodes).then_some(&own));
        let state = if announce { Admin::Ready } else { Admin::Drain };
        self.store.set(&subject, state, &by, unix_ms());
        self.stale = true;
        let does = if announce { "is announced" } else { "is withdrawn" };
        let mut notes = vec![format!("service {service} {does} on {own}")];
        if announce {
            notes.extend(self.still_withdrawn(service, all_nodes));
        }
        self.tell_peers();
        // What is about this node alone reaches the others in their own time.
        let gossip = self.peers.as_ref().filter(|_| all_nodes).map(|peers| peers.gossip.clone());
        let others: Vec<String> = self.site.peers().map(|peer| peer.name.clone()).collect();
        if let (true, None, Some(_)) = (all_nodes, &gossip, others.first()) {
            let why = self.mute.as_deref().unwrap_or("the site file has no `peer_port`");
            notes.push(format!("the other L4 nodes are not told: {why}"));
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            let mut failed: Vec<Failed> = flushed(store).await.into_iter().collect();
            if let Some(gossip) = gossip {
                let missed = gossip.spread(&subject, Reach::Everyone).await;
                let told = others.iter().filter(|name| missed.iter().all(|m| m.what != **name));
                notes.extend(told.map(|name| format!("{name} knows")));
                failed.extend(missed);
            }
            let _ = reply.send(Reply::Done(Change { notes, failed }));
        });
    }

    /// Who else has withdrawn a service, of which an operator has just said that it be announced.
    fn still_withdrawn(&self, service: &str, all_nodes: bool) -> Vec<String> {
        let states = self.store.states();
        let by = |subject: &str| {
            let entry = states.get(subject)?;
            (entry.state != Admin::Ready).then(|| entry.by.clone())
        };
        if !all_nodes {
            let everywhere = by(&word(service, None));
            let told = |by| {
                format!("it stays withdrawn on all nodes, by {by}: --all-nodes takes that back")
            };
            return everywhere.map(told).into_iter().collect();
        }
        let nodes = self.site.config.l4.iter().map(|node| node.name.as_str());
        let told = |node: &str| {
            by(&word(service, Some(node)))
                .map(|by| format!("it stays withdrawn on {node}, by {by}"))
        };
        nodes.filter_map(told).collect()
    }

    /// Makes sure that the program in this one's place starts at all; it does so after the answer.
    pub(super) fn begin_upgrade(&mut self, uid: u32) -> Result<Vec<String>, String> {
        let path = self.program.clone();
        let release = release_of(&path)?;
        tracing::info!(uid, release, "upgrade");
        self.upgrade = true;
        Ok(vec![format!("{} starts as {release}", path.display())])
    }
}

/// What a program says to `--version`.
fn release_of(path: &std::path::Path) -> Result<String, String> {
    let shown = path.display();
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{shown} --version does not end"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().next() {
        Some(line) if output.status.success() && line.starts_with("palier-control ") => {
            Ok(line.into())
        }
        Some(_) | None => Err(format!("{shown} is no palier-control: {}", output.status)),
    }
}
