//! The site file, read again. It comes into force when the names of its servers have been looked up, so that
//! nobody is sent to a server whose address is still to be found.

use std::time::Duration;

use admin::{Change, Refusal, Reply};
use config::SiteFile;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::judge::names_of;
use super::{Serve, Site, frontends, tunnel, word};
use crate::announce;
use crate::clock::unix_ms;
use crate::watch::Watch;

/// How long new names may take: then the file is in force without their addresses.
pub const NAMES: Duration = Duration::from_secs(3);

/// A site file that is to come into force.
pub(super) struct Waiting {
    site: Site,
    /// Who wants to know of it.
    replies: Vec<oneshot::Sender<Reply>>,
    /// When it is waited for no longer.
    pub(super) until: Instant,
}

impl Serve {
    /// Watches the site file, if that is wanted.
    pub(super) fn watch(&self) -> Option<Watch> {
        Watch::wanted(self.site.config.site.reload, &self.path)
    }

    /// Reads the site file again. Nothing changes if anything speaks against it.
    pub(super) fn reload(&mut self, reply: Option<oneshot::Sender<Reply>>) {
        if self.leaving.is_some() {
            return refuse_leaving(reply.into_iter().collect());
        }
        let name = &self.site.own().name;
        let read = SiteFile::read(&self.path)
            .map_err(|error| error.lines())
            .and_then(|file| Site::new(file, name).map_err(|reason| vec![reason]));
        let mut replies: Vec<_> = reply.into_iter().collect();
        match read {
            Ok(site) => {
                // Who waits for the file of before is told of this one.
                replies.extend(self.waiting.take().into_iter().flat_map(|before| before.replies));
                self.names.follow(&[&self.site.config, &site.config]);
                self.waiting = Some(Waiting { site, replies, until: Instant::now() + NAMES });
                self.go_on_with_reload();
            }
            Err(reasons) => {
                self.refuse(&reasons);
                answer(replies, &Reply::Refused { reasons });
            }
        }
        // The folder may be another one by now.
        self.watch = self.watch();
    }

    /// Brings a file into force that has waited for long enough.
    pub(super) fn go_on_with_reload(&mut self) {
        let is_due =
            |waiting: &mut Waiting| self.names.are_answered() || Instant::now() >= waiting.until;
        let Some(Waiting { site, replies, .. }) = self.waiting.take_if(is_due) else { return };
        let reply = match self.bring_into_force(site) {
            Ok(notes) => Reply::Done(Change { notes, failed: Vec::new() }),
            Err(reasons) => {
                self.refuse(&reasons);
                Reply::Refused { reasons }
            }
        };
        self.names.follow(&[&self.site.config]);
        self.watch = self.watch();
        answer(replies, &reply);
    }

    /// A file that waits comes into force no more.
    pub(super) fn forget_reload(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            refuse_leaving(waiting.replies);
        }
    }

    fn refuse(&mut self, reasons: &[String]) {
        tracing::error!(?reasons, "reload refused: the site file before stays in force");
        self.counters.reloads_refused += 1;
        self.refused = Some(Refusal { at_ms: unix_ms(), reasons: reasons.to_vec() });
    }

    fn bring_into_force(&mut self, site: Site) -> Result<Vec<String>, Vec<String>> {
        let settings = frontends::settings(&site, &self.names);
        self.proxy.set(&settings).map_err(|error| vec![error.to_string()])?;
        tracing::info!(fingerprint = site.fingerprint, "the site file is in force");
        self.counters.reloads += 1;
        self.refused = None;
        let mut notes = vec![if site.fingerprint == self.site.fingerprint {
            "the site file has not changed; certificates are read anew, and the access log is opened anew".to_owned()
        } else {
            format!("{} is in force", self.path.display())
        }];
        let before = std::mem::replace(&mut self.site, site);
        self.proxy.reopen_log();
        let restart = self.restart_needed();
        notes.extend(restart.iter().map(|what| format!("restart needed: {what}")));
        self.forget_strangers();
        notes.extend(self.meet_peers());
        self.aim(&names_of(&before.config.pools));
        self.tell_own();
        self.tunnel.set(tunnel::Wanted::of(&self.site));
        Ok(notes)
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

/// It would open listeners that were closed for good.
fn refuse_leaving(replies: Vec<oneshot::Sender<Reply>>) {
    tracing::warn!("not reloaded: control is being stopped");
    answer(replies, &Reply::Refused { reasons: vec!["control is being stopped".into()] });
}

/// Tells all. A caller that is gone needs no answer.
fn answer(replies: Vec<oneshot::Sender<Reply>>, reply: &Reply) {
    for one in replies {
        let _ = one.send(reply.clone());
    }
}
