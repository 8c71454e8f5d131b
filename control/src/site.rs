//! The site file in force, as this node reads it.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use admin::Tables;
use config::{Config, L4, SiteFile};
use siphasher::sip::SipHasher13;

use crate::aim::Aim;
use crate::args::Role;
use crate::clock::unix_ms;

/// A node of a site file.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The file.
    pub config: &'a Config,
    /// What the node is there.
    pub role: Role,
    /// Its name.
    pub name: &'a str,
    /// Its own addresses.
    pub addresses: &'a [IpAddr],
}

/// The site file in force, as an L4 node reads it.
#[derive(Clone, Debug)]
pub struct Site {
    /// What it says.
    pub config: Arc<Config>,
    /// Place of this node in [`Config::l4`].
    own: usize,
    /// The probes that follow.
    pub aim: Arc<Aim>,
    /// Equal on nodes that read the same text; tells nothing of what is in it without its key.
    pub fingerprint: String,
    /// When it was read: milliseconds since 1970.
    pub loaded_ms: u64,
}

impl Site {
    /// The file as the node of this name reads it.
    ///
    /// # Errors
    /// It has no L4 node of this name.
    pub fn new(file: SiteFile, node: &str) -> Result<Self, String> {
        let SiteFile { config, text, .. } = file;
        let own = config.l4.iter().position(|l4| l4.name == node);
        let own = own.ok_or_else(|| Role::missing(&config, node, Some(Role::L4)))?;
        let fingerprint = fingerprint(&config, "site file", |hasher| hasher.write(text.as_bytes()));
        let aim = Arc::new(Aim::of(&config, &config.l4[own]));
        Ok(Self { config: Arc::new(config), own, aim, fingerprint, loaded_ms: unix_ms() })
    }

    /// Equal on nodes of the site if their tables are.
    pub fn fingerprint_of(&self, tables: &Tables) -> String {
        fingerprint(&self.config, "tables", |hasher| tables.hash(hasher))
    }

    /// This node among the site's.
    pub fn member(&self) -> Member<'_> {
        let L4 { name, addresses, .. } = self.own();
        Member { config: &self.config, role: Role::L4, name, addresses }
    }

    /// This node.
    pub fn own(&self) -> &L4 {
        &self.config.l4[self.own]
    }

    /// The other L4 nodes.
    pub fn peers(&self) -> impl Iterator<Item = &L4> {
        self.config.l4.iter().filter(|l4| l4.name != self.own().name)
    }

    /// Whether an L4 or an L7 node has this name.
    pub fn has_node(&self, name: &str) -> bool {
        self.config.l4.iter().any(|node| node.name == name)
            || self.config.l7.iter().any(|node| node.name == name)
    }
}

/// A fingerprint under the site's key, of something of this kind.
pub(crate) fn fingerprint(
    config: &Config,
    kind: &str,
    write: impl FnOnce(&mut SipHasher13),
) -> String {
    let mut hasher = SipHasher13::new_with_key(&config.site.hash_key.bytes());
    hasher.write(kind.as_bytes());
    hasher.write(b"\0");
    write(&mut hasher);
    format!("{:016x}", hasher.finish())
}
