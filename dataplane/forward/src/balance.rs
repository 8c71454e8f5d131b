use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::hash::Hasher;
use crate::maglev::{Changes, Maglev};
use crate::tick::Tick;

/// Who gets new flows: a Maglev table, and since when each row has had its owner. What was before the
/// first table of a service nobody knows: all its rows have changed then.
#[derive(Debug)]
pub struct Balance {
    /// The table, which services with equal nodes share.
    pub maglev: Arc<Maglev>,
    changes: Changes,
    key: Key,
}

/// What a table is made of: two of one key are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    rows: u32,
    /// Name, index, weight of every node that takes new flows, in the order of names.
    nodes: Vec<(Arc<str>, u16, u16)>,
}

/// Names of nodes by index, which the keys of all services share.
pub(crate) type Names = HashMap<u16, Arc<str>, RandomState>;

/// Of these nodes.
pub(crate) fn names(nodes: &[api::Node]) -> Names {
    nodes.iter().map(|node| (node.index, node.name.as_str().into())).collect()
}

impl Key {
    /// Of a service, and the names of nodes by index.
    pub(crate) fn of(service: &api::Service, names: &Names) -> Self {
        let mut takers: Vec<_> = service
            .nodes
            .iter()
            .filter(|member| member.state == api::State::Up && member.weight > 0)
            .filter_map(|member| {
                Some((names.get(&member.node)?.clone(), member.node, member.weight))
            })
            .collect();
        takers.sort_unstable();
        Self { rows: service.rows, nodes: takers }
    }
}

impl Key {
    /// The Maglev table of these nodes. `None` if nobody takes new flows.
    pub(crate) fn maglev(&self, hasher: &Hasher) -> Option<Arc<Maglev>> {
        let nodes: Vec<_> = self.nodes.iter().map(|(n, i, w)| (&**n, *i, *w)).collect();
        Maglev::build(hasher, self.rows, &nodes).map(Arc::new)
    }
}

impl Balance {
    /// What its table is made of.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// What takes the place of `previous` for a service of this key. `None` if nobody takes new
    /// flows. Rows whose owner is another than before have changed `now`.
    pub(crate) fn build(
        key: &Key,
        maglev: Option<Arc<Maglev>>,
        previous: Option<&Arc<Self>>,
        now: Tick,
    ) -> Option<Arc<Self>> {
        if let Some(same) = previous.filter(|previous| previous.key == *key) {
            return Some(same.clone());
        }
        let maglev = maglev?;
        let changes =
            Changes::since(&maglev, previous.map(|p| (p.maglev.as_ref(), &p.changes)), now);
        Some(Arc::new(Self { maglev, changes, key: key.clone() }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::row;

    const SERVICE: &str = r#"{"name": "web", "vips": ["198.51.100.1"], "protocol": "tcp",
        "ports": {"list": [80]}, "rows": 1009, "nodes": []}"#;

    /// Nodes `a` to `z` have indices from 1 on; the service has these, by index and weight.
    fn key(members: &[(u16, u16, api::State)]) -> Key {
        let nodes: Vec<api::Node> = (1..=26)
            .map(|index| api::Node {
                name: char::from(b'a' - 1 + index as u8).into(),
                index,
                addresses: vec![],
                probe_ports: None,
            })
            .collect();
        let mut service: api::Service = serde_json::from_str(SERVICE).unwrap();
        service.nodes = members
            .iter()
            .map(|&(node, weight, state)| api::Member {
                node,
                weight,
                state,
                release: api::Release::Never,
            })
            .collect();
        Key::of(&service, &names(&nodes))
    }

    fn up(members: &[u16]) -> Key {
        key(&members.iter().map(|&node| (node, 1, api::State::Up)).collect::<Vec<_>>())
    }

    fn build(key: Key, previous: Option<&Arc<Balance>>, now: u32) -> Option<Arc<Balance>> {
        Balance::build(&key, key.maglev(&Hasher::new([7; 16])), previous, Tick::new(now))
    }

    #[test]
    fn neither_order_nor_nodes_that_take_nothing_matter() {
        use api::State::{Down, Drain, Joining, Maintenance, Up};
        let same = key(&[
            (3, 1, Up),
            (1, 1, Up),
            (2, 0, Up),
            (4, 1, Drain),
            (5, 1, Down),
            (6, 1, Joining),
            (7, 1, Maintenance),
        ]);
        assert_eq!(same, up(&[1, 3]));
        assert_ne!(key(&[(1, 1, Up), (3, 2, Up)]), up(&[1, 3]), "weights do");
    }

    #[test]
    fn without_nodes_there_is_no_table() {
        assert!(build(up(&[]), None, 9).is_none());
        let before = build(up(&[1]), None, 1);
        assert!(build(up(&[]), before.as_ref(), 9).is_none());
    }

    #[test]
    fn an_equal_table_is_kept_with_its_history() {
        let before = build(up(&[1, 2]), None, 5).unwrap();
        let same = build(up(&[2, 1]), Some(&before), 9).unwrap();
        assert!(Arc::ptr_eq(&before, &same));
        assert_eq!(same.changed(0), Tick::new(5));
    }

    #[test]
    fn rows_have_changed_when_they_got_another_owner() {
        let before = build(up(&[1, 2]), None, 5).unwrap();
        let after = build(up(&[1, 2, 3]), Some(&before), 9).unwrap();
        let rows = after.maglev.rows();
        assert_eq!(rows, 1009);
        let mut moved = 0;
        for number in 0..rows {
            let same = before.maglev.owner(number) == after.maglev.owner(number);
            moved += u32::from(!same);
            assert_eq!(after.changed(number), Tick::new(if same { 5 } else { 9 }));
        }
        assert!((336..500).contains(&moved), "{moved} rows have moved for a third node");
        assert!(row(u64::MAX, rows) < rows);
    }
}
