//! What zones refer to, and the zones themselves, read from their files.

use std::path::Path;
use std::sync::Arc;

use ::dns::Name;
use ::dns::zone::Zone;

use crate::settings::{Config, Datacenter, Plugin};

/// Zones, and what looks odd about them.
type Loaded = (Vec<Arc<Zone>>, Vec<String>);

impl Config {
    /// The place of what a dynamic record names (`DYNA PLUGIN!RESOURCE`) in [`Config::resolvers`]. Of `metafo` and
    /// `geoip` it may be one of the datacenters: `metafo!www/par1`.
    pub fn resolver(&self, plugin: &str, resource: &str) -> Option<usize> {
        let find = |name: &str| {
            self.resolvers.iter().position(|one| one.plugin.name() == plugin && one.name == name)
        };
        find(resource).or_else(|| {
            let (resolver, datacenter) = resource.split_once('/')?;
            let named = |all: &[Datacenter]| {
                all.iter().find(|one| one.name == datacenter).map(|one| one.resolver)
            };
            match &self.resolvers[find(resolver)?].plugin {
                Plugin::Metafo(metafo) => named(&metafo.datacenters),
                Plugin::Geoip(geoip) => named(&geoip.datacenters),
                Plugin::Multifo(_)
                | Plugin::Simplefo(_)
                | Plugin::Weighted(_)
                | Plugin::Static(_)
                | Plugin::Reflect(_)
                | Plugin::Null => None,
            }
        })
    }

    /// Reads the zones, whose files lie in `folder` unless they say otherwise; and what looks odd about them.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, with file and line.
    pub fn load_zones(&self, folder: &Path) -> Result<Loaded, Vec<String>> {
        let (mut all, mut warnings, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for zone in &self.zones {
            let resolver = |plugin: &str, resource: &str| self.resolver(plugin, resource);
            let loaded = match Name::parse(zone.name.as_bytes(), Some(&Name::root())) {
                Ok(apex) => {
                    let path = folder.join(&zone.file);
                    Zone::load(&apex, &path, zone.default_ttl, &resolver)
                }
                Err(error) => {
                    wrong.push(format!("zone {}: {error}", zone.name));
                    continue;
                }
            };
            match loaded {
                Ok(loaded) if zone.strict && !loaded.warnings.is_empty() => {
                    let told = loaded.warnings.iter();
                    wrong.extend(told.map(|one| format!("{one} (which `strict` refuses)")));
                }
                Ok(loaded) => {
                    all.push(Arc::new(loaded.zone));
                    warnings.extend(loaded.warnings.iter().map(ToString::to_string));
                }
                Err(problems) => wrong.extend(problems.iter().map(ToString::to_string)),
            }
        }
        if wrong.is_empty() { Ok((all, warnings)) } else { Err(wrong) }
    }
}
