//! The site file in force, as a node that serves zones reads it.

use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Config, Dns, SiteFile};

use crate::args::Role;
use crate::clock::unix_ms;
use crate::site::{Member, fingerprint};

/// The site file in force.
#[derive(Clone, Debug)]
pub struct Site {
    /// What it says.
    pub config: Arc<Config>,
    /// Place of this node in [`Config::dns`].
    own: usize,
    /// Where it lies: other files are beside it.
    folder: PathBuf,
    /// Equal on nodes that read the same text; tells nothing of what is in it without its key.
    pub fingerprint: String,
    /// When it was read: milliseconds since 1970.
    pub loaded_ms: u64,
}

impl Site {
    /// The file, which lies there, as the node of this name reads it.
    ///
    /// # Errors
    /// It has no such node.
    pub fn new(file: SiteFile, path: &Path, node: &str) -> Result<Self, String> {
        let SiteFile { config, text, .. } = file;
        let own = config.dns.iter().position(|dns| dns.name == node);
        let own = own.ok_or_else(|| Role::missing(&config, node, Some(Role::Dns)))?;
        let fingerprint = fingerprint(&config, "site file", |hasher| hasher.write(text.as_bytes()));
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { config: Arc::new(config), own, folder, fingerprint, loaded_ms: unix_ms() })
    }

    /// This node.
    pub fn own(&self) -> &Dns {
        &self.config.dns[self.own]
    }

    /// This node among the site's.
    pub fn member(&self) -> Member<'_> {
        let Dns { name, addresses, .. } = self.own();
        Member { config: &self.config, role: Role::Dns, name, addresses }
    }

    /// Where a file that the site file names lies.
    pub fn beside(&self, file: &Path) -> PathBuf {
        self.folder.join(file)
    }
}
