//! What the loop knows, for the status.

use std::collections::BTreeMap;

use admin::{
    Effective, FileStatus, FrontendStatus, L7Status, OwnStatus, PoolStatus, Refusal, ServerStatus,
};
use health::Admin;

use super::leave::Leaving;
use super::{Serve, Tally, word};
use crate::clock::{boot, millis};
use crate::peers::Peers;

impl Serve {
    pub(super) fn status(&self) -> L7Status {
        let config = &self.site.config;
        let proxy = self.proxy.status();
        let mut status = L7Status {
            site: config.site.name.clone(),
            node: self.site.own().name.clone(),
            role: "l7".into(),
            program: env!("CARGO_PKG_VERSION").into(),
            uptime_ms: millis(boot().saturating_sub(self.started)),
            alarms: Vec::new(),
            file: FileStatus {
                path: self.path.display().to_string(),
                loaded_ms: self.site.loaded_ms,
                fingerprint: self.site.fingerprint.clone(),
                refused: self.refused.clone(),
                restart_needed: Vec::new(),
            },
            own: self.own_status(),
            tunnel: self.tunnel.status(),
            connections: proxy.open,
            frontends: self.frontends(&proxy),
            pools: self.pools(&proxy),
            counters: self.tallies(),
        };
        status.alarms = self.alarms(&status);
        status
    }

    fn own_status(&self) -> OwnStatus {
        let (_, disabled) = self.servers.of_own();
        let operator = self.store.states().get(&self.site.own().name).cloned();
        let said = operator.as_ref().map_or(Admin::Ready, |entry| entry.state);
        let away = !disabled.is_empty() || self.leaving.is_some();
        OwnStatus {
            state: if away { said.max(Admin::Drain) } else { said },
            operator,
            disabled,
            leaving: self.leaving.as_ref().map(|leaving| Leaving::word(leaving).to_owned()),
        }
    }
}
