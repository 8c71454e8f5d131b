//! Operators' words about announcements, and about this program itself.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use admin::{Change, Reply};
use health::Admin;
use health::program::{Ended, Leftovers, Program, first_line};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::Steer;
use crate::announce::word;
use crate::clock::unix_ms;
use crate::peer::Reach;

/// How long a program may take to tell its release.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// This program.
const CONTROL: &str = "palier-control";
/// How long an operator's answer may take to be written before the program changes.
const TELL: Duration = Duration::from_millis(100);

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
        let does = if announce { "is announced" } else { "is withdrawn" };
        let mut notes = vec![format!("service {service} {does} on {own}")];
        if announce {
            notes.extend(self.still_withdrawn(service, all_nodes));
        }
        // What is about this node alone concerns no other.
        self.carry(subject, all_nodes.then_some(Reach::Everyone), notes, reply);
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

    /// Makes sure that the program in this one's place starts at all; answers, and has the loop end.
    pub(super) fn begin_upgrade(&mut self, uid: u32, reply: oneshot::Sender<Reply>) {
        if self.pause.is_some() || self.leaving.is_some() || self.upgrading {
            let reason = "the dataplane is being restarted, or control: try again";
            let _ = reply.send(Reply::Refused { reasons: vec![reason.into()] });
            return;
        }
        self.upgrading = true;
        let (path, upgrade) = (self.program.clone(), self.upgrade.clone());
        tokio::spawn(async move {
            let release = release_of(&path, CONTROL).await;
            let can = release.is_ok();
            match release {
                Ok(release) => {
                    tracing::info!(uid, release, "upgrade");
                    let notes = vec![format!("{} starts as {release}", path.display())];
                    let _ = reply.send(Reply::Done(Change { notes, failed: Vec::new() }));
                    // The caller's task writes it at the next turn of this runtime.
                    sleep(TELL).await;
                }
                Err(reason) => _ = reply.send(Reply::Refused { reasons: vec![reason] }),
            }
            // The loop ends only with the process.
            let _ = upgrade.send(can);
        });
    }
}

/// What a program says to `--version`.
pub(super) async fn release_of(path: &Path, program: &str) -> Result<String, String> {
    let shown = path.display();
    let mut command = Command::new(path);
    command.arg("--version").stdout(Stdio::piped()).stderr(Stdio::null());
    let running =
        Program::start(command).map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let Ended { status, out, .. } = timeout(PATIENCE, running.end(Leftovers::Kill))
        .await
        .map_err(|_| format!("{shown} --version does not end"))?
        .map_err(|error| format!("{shown}: {error}"))?;
    let said = String::from_utf8_lossy(first_line(&out).unwrap_or_default()).into_owned();
    if status.success() && said.split(' ').next() == Some(program) {
        return Ok(said);
    }
    Err(format!("{shown} is no {program}: {status}"))
}
