//! A site file and its zones, read and ready to come into force.

use std::path::Path;
use std::sync::Arc;

use config::{Config, SiteFile};
use dns::answer::Settings;
use dns::resolve::{Resolvers, Secret};
use dns::{Jar, Zones};
use rustls::ServerConfig;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::Site;
use super::choice::{Aim, Choice};

/// What answers are made of, but for how things are.
#[derive(Debug)]
pub struct Draft {
    pub(super) site: Site,
    pub(super) zones: Zones,
    pub(super) resolvers: Resolvers,
    /// What has to be asked.
    pub(super) aims: Vec<Aim>,
    pub(super) settings: Settings,
    /// How it answers over TLS, if it does.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// What looks odd about the zones.
    pub(super) warnings: Vec<String>,
}

impl Draft {
    /// Reads all of it. Blocks.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(path: &Path, node: &str) -> Result<Self, Vec<String>> {
        let file = SiteFile::read(path).map_err(|error| error.lines())?;
        Self::of(file, path, node)
    }

    /// The same, of a site file that was read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(file: SiteFile, path: &Path, node: &str) -> Result<Self, Vec<String>> {
        let site = Site::new(file, path, node).map_err(|reason| vec![reason])?;
        let (zones, warnings) = site.config.load_zones(&site.beside(Path::new("")))?;
        let zones = zones.into_iter().collect();
        let Choice { resolvers, aims } = Choice::of(&site.config, |path| site.beside(path))?;
        let secret = Secret::new(derived(&site, b"palier dns sticky 1"));
        let resolvers = Resolvers::new(resolvers, secret, dns::resolve::Health::default());
        let resolvers = resolvers.map_err(|error| vec![error.to_string()])?;
        let own = site.own();
        let tls = own.tls.as_ref().map(|tls| proxy::tls::server(&tls.tls, None, &[b"dot"]));
        let tls = tls.transpose().map_err(|error| vec![error.to_string()])?;
        let settings = Settings {
            // Cookies that every node of the site knows (RFC 9018 section 1).
            jar: Jar::new(derived(&site, b"palier dns cookies 1")),
            max_udp: own.max_udp,
            max_nocookie: own.max_nocookie,
            id: own.id.clone(),
            version: own.version.clone(),
        };
        Ok(Self { site, zones, resolvers, aims, settings, tls, warnings })
    }
}

impl Draft {
    /// What the site file says.
    pub fn config(&self) -> &Arc<Config> {
        &self.site.config
    }
}

/// A secret that every node of the site has.
fn derived(site: &Site, what: &[u8]) -> [u8; 16] {
    let mut hasher = SipHasher24::new_with_key(&site.config.site.hash_key.bytes());
    std::hash::Hasher::write(&mut hasher, what);
    hasher.finish128().as_bytes()
}
