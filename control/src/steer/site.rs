//! The site file in force: read anew, and watched.

use admin::Refusal;
use config::SiteFile;

use super::Steer;
use crate::announce;
use crate::clock::unix_ms;
use crate::reload;
use crate::serve;
use crate::watch::Watch;

impl Steer {
    /// Watches the site file, if that is wanted.
    pub(super) fn watch(&self) -> Option<Watch> {
        Watch::wanted(self.site.config.site.reload, &self.path)
    }

    /// Reads the site file again. Nothing changes if anything speaks against it.
    pub(super) fn reload(&mut self, force: bool) -> Result<Vec<String>, Vec<String>> {
        let judged = SiteFile::read(&self.path)
            .map_err(|error| error.lines())
            .and_then(|file| reload::judge(&self.site, file, self.in_force(), force));
        match judged {
            Ok(site) => {
                tracing::info!(fingerprint = site.fingerprint, "the site file is in force");
                self.counters.reloads += 1;
                self.refused = None;
                let mut notes = vec![if site.fingerprint == self.site.fingerprint {
                    "the site file has not changed".to_owned()
                } else {
                    format!("{} is in force", self.path.display())
                }];
                self.site = site;
                self.stale = true;
                let restart = self.restart_needed();
                notes.extend(restart.iter().map(|what| format!("restart needed: {what}")));
                notes.extend(self.meet_peers());
                self.forget_strangers();
                // Until the dataplane has it.
                self.dataplane.force |= force;
                if !self.dataplane.refused.is_empty() {
                    // Asked for again it is offered again, by force if that is what was missing.
                    self.dataplane.wanted = None;
                }
                // First what may be asked: nobody shall answer for another.
                self.allow_probes();
                self.checks.aim(&self.site.aim);
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

    /// What the file says that no process has taken up yet.
    pub(super) fn restart_needed(&self) -> Vec<String> {
        let running = config::Running {
            dataplane: &self.dataplane_started_with,
            control: &self.started_with,
        };
        config::restart_needed(running, &self.site.config, &self.site.own().name)
    }

    /// Forgets what operators wanted of nodes that are no part of the site any more.
    pub(super) fn forget_strangers(&self) {
        let l4 = self.site.config.l4.iter().map(|node| node.name.clone());
        let l7 = self.site.config.l7.iter().map(|node| node.name.clone());
        let kept = self.in_force().into_iter().flat_map(|snapshot| &snapshot.nodes);
        let words = announce::words(&self.site.config);
        let words = words.chain(serve::words(&self.site.config, None));
        let known = l4.chain(l7).chain(kept.map(|node| node.name.clone())).chain(words).collect();
        for node in self.store.retain(&known) {
            tracing::info!(node, "its node state is forgotten: it has left the site");
        }
    }
}
