//! The site file in force, as an L7 node reads it.

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::sync::Arc;

use config::{Config, L7, Member as Seat, QuorumLoss, Service, SiteFile};

use crate::args::Role;
use crate::clock::unix_ms;
use crate::site::{Member, fingerprint};

/// The site file in force.
#[derive(Clone, Debug)]
pub struct Site {
    /// What it says.
    pub config: Arc<Config>,
    /// Place of this node in [`Config::l7`].
    own: usize,
    /// Equal on nodes that read the same text; tells nothing of what is in it without its key.
    pub fingerprint: String,
    /// When it was read: milliseconds since 1970.
    pub loaded_ms: u64,
}

impl Site {
    /// The file as the node of this name reads it.
    ///
    /// # Errors
    /// It has no L7 node of this name.
    pub fn new(file: SiteFile, node: &str) -> Result<Self, String> {
        let SiteFile { config, text, .. } = file;
        let own = config.l7.iter().position(|l7| l7.name == node);
        let own = own.ok_or_else(|| Role::missing(&config, node, Some(Role::L7)))?;
        let fingerprint = fingerprint(&config, "site file", |hasher| hasher.write(text.as_bytes()));
        Ok(Self { config: Arc::new(config), own, fingerprint, loaded_ms: unix_ms() })
    }

    /// This node.
    pub fn own(&self) -> &L7 {
        &self.config.l7[self.own]
    }

    /// This node among the site's.
    pub fn member(&self) -> Member<'_> {
        let L7 { name, addresses, .. } = self.own();
        Member { config: &self.config, role: Role::L7, name, addresses }
    }

    /// Whether packets for a service may come here.
    pub fn has(&self, service: &Service) -> bool {
        let has = |seats: &[Seat]| seats.iter().any(|seat| seat.l7 == self.own);
        has(&service.nodes)
            || matches!(&service.on_quorum_loss, QuorumLoss::Sorry(seats) if has(seats))
    }

    /// The VIPs of those services, each once.
    pub fn vips(&self) -> BTreeSet<api::Prefix> {
        let services = self.config.services.iter().filter(|service| self.has(service));
        services.flat_map(|service| service.vips.iter().copied()).collect()
    }
}
