//! What one neighbor was told, and what it is to be told next (Adj-RIB-Out, RFC 4271 3.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use crate::message::Encoder;
use crate::settings::{Attributes, Families, Route};

/// The routes that a session has announced.
#[derive(Debug)]
pub(crate) struct AdjRibOut {
    encoder: Encoder,
    told: BTreeMap<IpNet, Arc<Attributes>>,
    /// Families of which everything has to be said again.
    again: Families,
}

/// How to bring a neighbor up to date.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// UPDATEs, in order.
    pub updates: Vec<Vec<u8>>,
    /// How many of the wanted routes cannot be told.
    pub withheld: usize,
}

impl AdjRibOut {
    /// Of a session that has announced nothing.
    pub(crate) fn new(encoder: Encoder) -> Self {
        Self { encoder, told: BTreeMap::new(), again: Families::NONE }
    }

    /// All of these families is to be said again, changed or not (RFC 2918).
    pub(crate) fn refresh(&mut self, families: Families) {
        self.again.ipv4 |= families.ipv4;
        self.again.ipv6 |= families.ipv6;
    }

    /// Whether something has to be said again.
    pub(crate) fn is_asked(&self) -> bool {
        !self.again.is_empty()
    }

    /// What is to be sent so that the neighbor knows these routes and no others. Taken to be sent.
    ///
    /// Withdrawals come first: they are what somebody waits for.
    pub(crate) fn change_to(&mut self, wanted: &[Route]) -> Changes {
        let mut routes = BTreeMap::new();
        let mut changes = Changes::default();
        for route in wanted {
            if self.encoder.can_send(route.prefix, &route.attributes) {
                routes.insert(route.prefix.trunc(), &route.attributes);
            } else {
                changes.withheld += 1;
            }
        }

        let gone: Vec<_> =
            self.told.keys().filter(|prefix| !routes.contains_key(prefix)).copied().collect();
        let (v4, v6): (Vec<_>, Vec<_>) =
            gone.into_iter().partition(|prefix| matches!(prefix, IpNet::V4(_)));
        for prefixes in [v4, v6] {
            changes.updates.extend(self.encoder.withdraw(&prefixes));
        }
        self.told.retain(|prefix, _| routes.contains_key(prefix));

        // Routes that are alike share messages.
        let mut groups: BTreeMap<(bool, &Attributes), Vec<IpNet>> = BTreeMap::new();
        for (&prefix, &attributes) in &routes {
            if self.again.contain(prefix) || self.told.get(&prefix) != Some(attributes) {
                let is_v6 = matches!(prefix, IpNet::V6(_));
                groups.entry((is_v6, attributes)).or_default().push(prefix);
                self.told.insert(prefix, Arc::clone(attributes));
            }
        }
        for ((_, attributes), prefixes) in &groups {
            changes.updates.extend(self.encoder.announce(prefixes, attributes));
        }
        self.again = Families::NONE;
        changes
    }

    /// All that the neighbor knows.
    pub(crate) fn routes(&self) -> Arc<[Route]> {
        let route = |(&prefix, attributes): (&IpNet, &Arc<Attributes>)| Route {
            prefix,
            attributes: Arc::clone(attributes),
        };
        self.told.iter().map(route).collect()
    }
}

#[cfg(test)]
mod tests;
