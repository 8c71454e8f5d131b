use std::sync::Arc;

use crate::hash::Hasher;
use crate::maglev::{Changes, Maglev};
use crate::tick::Tick;

/// Who gets new flows: a Maglev table, and since when each row has had its owner.
///
/// Services whose nodes, weights, states and rows are equal share one.
#[derive(Debug)]
pub struct Balance {
    /// The table.
    pub maglev: Maglev,
    changes: Changes,
    key: Key,
}

/// What a table is made of: two of one key are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    rows: u32,
    /// Name, index, weight of every node that takes new flows, in the order of names.
    nodes: Vec<(String, u16, u16)>,
}

impl Key {
    pub(crate) fn of(service: &api::Service, nodes: &[api::Node]) -> Self {
        let mut takers: Vec<_> = service
            .nodes
            .iter()
            .filter(|member| member.state == api::State::Up && member.weight > 0)
            .filter_map(|member| {
                let node = nodes.iter().find(|node| node.index == member.node)?;
                Some((node.name.clone(), member.node, member.weight))
            })
            .collect();
        takers.sort_unstable();
        Self { rows: service.rows, nodes: takers }
    }
}

impl Balance {
    /// The table of `key`; rows whose owner is another than in `previous` have changed `now`.
    /// `None` if nobody takes new flows.
    pub(crate) fn build(
        key: Key,
        hasher: &Hasher,
        previous: Option<&Arc<Self>>,
        now: Tick,
    ) -> Option<Arc<Self>> {
        if let Some(same) = previous.filter(|previous| previous.key == key) {
            return Some(same.clone());
        }
        let nodes: Vec<_> = key.nodes.iter().map(|(n, i, w)| (n.as_str(), *i, *w)).collect();
        let maglev = Maglev::build(hasher, key.rows, &nodes)?;
        let changes = Changes::since(&maglev, previous.map(|p| (&p.maglev, &p.changes)), now);
        Some(Arc::new(Self { maglev, changes, key }))
    }

    /// When any row's owner last changed.
    pub fn last_change(&self) -> Tick {
        self.changes.latest()
    }

    /// When the row's owner last changed.
    pub fn changed(&self, row: u32) -> Tick {
        self.changes.at(row)
    }
}
