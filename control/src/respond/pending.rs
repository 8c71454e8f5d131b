//! The site file, read again, and what it waits for: its zones, which are read elsewhere, and the first word of
//! each check that is new. Nobody is told what nobody knows.

use admin::{Change, Refusal, Reply};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Draft, Respond};
use crate::clock::unix_ms;
use crate::watch::Watch;

/// Who wants to know what becomes of it.
type Replies = Vec<oneshot::Sender<Reply>>;

/// What was read, or what is wrong with it; and who wants to know.
#[derive(Debug)]
pub(super) struct Drafted {
    draft: Result<Draft, Vec<String>>,
    replies: Replies,
}

/// Something that is to come into force.
#[derive(Debug)]
pub(super) struct Pending {
    draft: Draft,
    replies: Replies,
    /// When it is waited for no longer: what nobody knows by then is down.
    pub(super) until: Instant,
}

impl Respond {
    /// Watches the site file, if that is wanted.
    pub(super) fn watch(&self) -> Option<Watch> {
        Watch::wanted(self.site.config.site.reload, &self.path)
    }

    /// Reads the site file and the zones again. Nothing changes if anything speaks against them.
    pub(super) fn reload(&mut self, reply: Option<oneshot::Sender<Reply>>) {
        let (path, name) = (self.path.clone(), self.site.own().name.clone());
        let drafted = self.drafted.clone();
        tokio::task::spawn_blocking(move || {
            let draft = Draft::read(&path, &name);
            // The loop ends only with the process.
            let _ = drafted.send(Drafted { draft, replies: reply.into_iter().collect() });
        });
        // The folder may be another one by now.
        self.watch = self.watch();
    }

    /// Something was read.
    pub(super) fn drafted(&mut self, Drafted { draft, mut replies }: Drafted) {
        match draft {
            Ok(draft) => {
                // Who waits for the file of before is told of this one.
                replies.extend(self.pending.take().into_iter().flat_map(|before| before.replies));
                self.wait_for(draft, replies);
            }
            Err(reasons) => self.refuse(replies, reasons),
        }
    }

    /// Has this come into force once every check has said something.
    pub(super) fn wait_for(&mut self, draft: Draft, replies: Replies) {
        self.checks.prepare(&draft.aims);
        let until = Instant::now() + draft.site.config.site.times.startup_limit;
        self.pending = Some(Pending { draft, replies, until });
        self.go_on();
    }

    /// Brings into force what has waited for long enough.
    pub(super) fn go_on(&mut self) {
        let is_due =
            |pending: &mut Pending| self.checks.unknown() == 0 || Instant::now() >= pending.until;
        let Some(Pending { draft, replies, .. }) = self.pending.take_if(is_due) else { return };
        if let Err(reason) = self.ports.open(draft.site.own(), &mut Default::default()) {
            self.checks.forget_coming();
            return self.refuse(replies, vec![reason]);
        }
        let is_first = self.shared.is_none();
        self.checks.come_into_force();
        let same = draft.site.fingerprint == self.site.fingerprint;
        let mut notes = vec![if same {
            "the site file has not changed; zones and certificates are read anew".to_owned()
        } else {
            format!("{} is in force", self.path.display())
        }];
        if let Err(error) = self.answer_from(draft) {
            // Some threads are missing: those that are there answer.
            tracing::error!(%error, "not all threads could be started");
            notes.push(format!("not all threads could be started: {error}"));
        }
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        self.refused = None;
        if !is_first {
            tracing::info!(fingerprint = self.site.fingerprint, "the site file is in force");
            self.counters.reloads += 1;
            notes
                .extend(self.restart_needed().iter().map(|what| format!("restart needed: {what}")));
            notes.extend(self.meet_peers());
        }
        notes.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        answer(replies, &Reply::Done(Change { notes, failed: Vec::new() }));
    }

    fn refuse(&mut self, replies: Replies, reasons: Vec<String>) {
        tracing::error!(?reasons, "reload refused: what was answered before is answered on");
        self.counters.reloads_refused += 1;
        self.refused = Some(Refusal { at_ms: unix_ms(), reasons: reasons.clone() });
        answer(replies, &Reply::Refused { reasons });
    }

    /// What the file says that comes into force with the next start.
    pub(super) fn restart_needed(&self) -> Vec<String> {
        let own = |config: &config::Config| {
            let name = &self.site.own().name;
            let own = config.dns.iter().find(|node| node.name == *name);
            own.map(|own| (own.workers, own.max_connections))
        };
        let (old, new) = (&self.started_with, &self.site.config);
        let name = &self.site.own().name;
        let mut needed = Vec::new();
        if own(old) != own(new) {
            needed.push(format!(
                "{name}: `workers` and `max_connections` take a restart of palier-control"
            ));
        }
        if self.peers.is_some() && old.site.peering != new.site.peering {
            needed.push("site: `peer_port` and `pki` take a restart of palier-control".into());
        }
        needed
    }
}

fn answer(replies: Replies, reply: &Reply) {
    for to in replies {
        // A caller that is gone needs no answer.
        let _ = to.send(reply.clone());
    }
}
