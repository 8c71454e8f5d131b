//! All zones of a server.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::name::suffixes;
use crate::zone::Zone;

/// Zones by their names.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    all: HashMap<Box<[u8]>, Arc<Zone>, ahash::RandomState>,
}

impl Zones {
    /// The zone that a name is within, as it goes over the wire in lower case: the one closest to it.
    pub fn of(&self, name: &[u8]) -> Option<&Arc<Zone>> {
        suffixes(name).find_map(|suffix| self.all.get(suffix))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.all.values()
    }
}

impl FromIterator<Arc<Zone>> for Zones {
    fn from_iter<I: IntoIterator<Item = Arc<Zone>>>(zones: I) -> Self {
        let by_name = |zone: Arc<Zone>| (zone.apex().wire().into(), zone);
        Self { all: zones.into_iter().map(by_name).collect() }
    }
}
