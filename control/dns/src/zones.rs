//! All zones of a server.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::name::{Name, suffixes};
use crate::zone::Zone;

/// Zones by their names.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    all: Arc<HashMap<Box<[u8]>, Arc<Zone>, ahash::RandomState>>,
    challenges: Arc<Challenges>,
}

/// Data of TXT records by their names.
type Challenges = HashMap<Box<[u8]>, Vec<Box<[u8]>>, ahash::RandomState>;

impl Zones {
    /// The zone that a name is within, as it goes over the wire in lower case: the one closest to it.
    pub fn of(&self, name: &[u8]) -> Option<&Arc<Zone>> {
        suffixes(name).find_map(|suffix| self.all.get(suffix))
    }

    /// The same, which go on counting where these have stopped.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        // Zones that somebody else has already count for themselves.
        for (name, zone) in Arc::get_mut(&mut self.all).into_iter().flatten() {
            if let (Some(zone), Some(before)) = (Arc::get_mut(zone), before.all.get(name)) {
                zone.count_on(before);
            }
        }
        self
    }

    /// The same, with these texts beside what the zones have: answers to challenges of ACME (RFC 8555 section
    /// 8.4). Of a text no more than 255 bytes are given.
    #[must_use]
    pub fn with_challenges<'t>(&self, all: impl IntoIterator<Item = (Name, &'t str)>) -> Self {
        let mut challenges = Challenges::default();
        for (name, text) in all {
            let text = &text.as_bytes()[..text.len().min(255)];
            let data = [&[text.len() as u8], text].concat();
            challenges.entry(name.wire().into()).or_default().push(data.into());
        }
        Self { all: self.all.clone(), challenges: Arc::new(challenges) }
    }

    /// Data of the TXT records that a name has beside those of its zone; nothing if there are none.
    pub fn challenges(&self, name: &[u8]) -> Option<&[Box<[u8]>]> {
        // Mostly there are none at all.
        if self.challenges.is_empty() {
            return None;
        }
        self.challenges.get(name).map(Vec::as_slice)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.all.values()
    }
}

impl FromIterator<Arc<Zone>> for Zones {
    fn from_iter<I: IntoIterator<Item = Arc<Zone>>>(zones: I) -> Self {
        let by_name = |zone: Arc<Zone>| (zone.apex().wire().into(), zone);
        let all = Arc::new(zones.into_iter().map(by_name).collect());
        Self { all, challenges: Arc::default() }
    }
}
