use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::hash::row;
use crate::tick::Tick;

const ROWS: u32 = 65_537;

fn hasher() -> Hasher {
    Hasher::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
}

/// Nodes of these weights, named `l7-1`, `l7-2` and so on, with these numbers as indexes.
#[derive(Clone, Debug)]
struct Nodes {
    names: Vec<String>,
    weights: Vec<u16>,
}

impl Nodes {
    fn new(weights: &[u16]) -> Self {
        let names = (1..=weights.len()).map(|i| format!("l7-{i}")).collect();
        Self { names, weights: weights.to_vec() }
    }

    fn list(&self) -> Vec<(&str, u16, u16)> {
        let nodes = self.names.iter().zip(1..).zip(&self.weights);
        nodes.map(|((name, index), &weight)| (name.as_str(), index, weight)).collect()
    }

    fn build(&self, rows: u32) -> Maglev {
        Maglev::build(&hasher(), rows, &self.list()).unwrap()
    }
}

/// Rows that a change of this node moved beyond the difference of its share.
fn moved_beyond(before: &Maglev, after: &Maglev, node: u16) -> u32 {
    let share = |maglev: &Maglev| {
        maglev.shares().iter().find(|(index, _)| *index == node).map_or(0, |(_, rows)| *rows)
    };
    before.moved(after) - share(before).abs_diff(share(after))
}

/// The specification, word by word: all claims, sorted, one after another.
fn as_specified(rows: u32, nodes: &[(&str, u16, u16)]) -> Vec<u16> {
    let hasher = hasher();
    let mut nodes: Vec<_> = nodes.iter().filter(|node| node.2 > 0).collect();
    nodes.sort();
    let total: u64 = nodes.iter().map(|node| u64::from(node.2)).sum();
    let exact = |weight: u16| u64::from(rows) * u64::from(weight);
    let mut missing: Vec<_> = nodes.iter().map(|node| exact(node.2) / total).collect();
    let mut by_rest: Vec<_> = (0..nodes.len()).collect();
    by_rest.sort_by_key(|&place| (total - exact(nodes[place].2) % total, place));
    let rest = u64::from(rows) - missing.iter().sum::<u64>();
    by_rest[..rest as usize].iter().for_each(|&place| missing[place] += 1);

    let mut claims = Vec::new();
    for (place, (name, _, weight)) in nodes.iter().enumerate() {
        let pace = u128::from(u64::MAX / u64::from(*weight));
        for stream in 0..4 {
            let offset = u64::from(row(hasher.name([b'o', stream], name), rows));
            let step = 1 + u64::from(row(hasher.name([b's', stream], name), rows - 1));
            let mut sum = 0_u128;
            for k in 0..u64::from(rows) {
                sum += (1 << 43) / u128::from(u64::from(rows) - k);
                let row = (offset + k * step) % u64::from(rows);
                claims.push(((sum * pace) >> 64, place, stream, row as usize));
            }
        }
    }
    claims.sort();
    let mut owners = vec![None; rows as usize];
    for (_, place, _, row) in claims {
        if owners[row].is_none() && missing[place] > 0 {
            owners[row] = Some(nodes[place].1);
            missing[place] -= 1;
        }
    }
    owners.into_iter().map(Option::unwrap).collect()
}

#[test]
fn no_node_with_a_weight_no_table() {
    assert_eq!(Maglev::build(&hasher(), ROWS, &[]), None);
    assert_eq!(Maglev::build(&hasher(), ROWS, &[("a", 1, 0), ("b", 2, 0)]), None);
}

#[test]
fn the_test_vectors_hold() {
    let rising: Vec<u16> = (1..=100).collect();
    for (weights, fingerprint) in [
        (&[1][..], 0xc7f5_e93a_4ea3_12d7_u64),
        (&[1, 1, 1], 0xad67_9ac9_e91f_1b7b),
        (&[1, 2, 3], 0xe6bc_e361_d5d2_6fd4),
        (&[1; 100], 0x684e_c7b9_f8a1_cf32),
        (&rising, 0xdcf2_c0ef_d9e2_ce69),
    ] {
        let found = Nodes::new(weights).build(ROWS).fingerprint();
        assert_eq!(found, fingerprint, "{weights:?}: {found:016x}");
    }
    let small = Nodes::new(&[1, 2, 3]).build(19);
    let owners: Vec<_> = (0..19).map(|row| small.owner(row)).collect();
    assert_eq!(owners, [2, 2, 3, 3, 3, 3, 1, 3, 2, 3, 3, 1, 1, 3, 2, 3, 3, 2, 2]);
    assert_eq!(small.fingerprint(), 0x6c94_4187_73d8_fcd0);
}

#[test]
fn a_node_of_weight_0_owns_no_row_and_changes_nothing() {
    let with = Nodes::new(&[3, 0, 1, 0]).build(ROWS);
    assert_eq!(with.shares(), [(1, 49153), (3, 16384)]);
    let without = Maglev::build(&hasher(), ROWS, &[("l7-1", 1, 3), ("l7-3", 3, 1)]).unwrap();
    assert_eq!(with, without);
}

#[test]
fn there_may_be_more_nodes_than_rows() {
    let maglev = Nodes::new(&[1; 50]).build(7);
    assert_eq!(maglev.rows(), 7);
    let owners: std::collections::BTreeSet<_> = (0..7).map(|row| maglev.owner(row)).collect();
    assert_eq!(owners.len(), 7);
    assert_eq!(maglev.shares().iter().map(|share| share.1).sum::<u32>(), 7);
}

#[test]
fn weights_may_be_far_apart() {
    let maglev = Nodes::new(&[1, u16::MAX, 1]).build(ROWS);
    assert_eq!(maglev.shares(), [(1, 1), (2, 65535), (3, 1)]);
}

#[test]
fn the_fingerprint_is_of_names_rows_and_key_but_not_of_indexes() {
    let nodes = [("a", 1, 1), ("b", 2, 1)];
    let fingerprint = |key, rows, nodes: &[_]| {
        Maglev::build(&Hasher::new(key), rows, nodes).unwrap().fingerprint()
    };
    let one = fingerprint([1; 16], 101, &nodes);
    assert_eq!(one, fingerprint([1; 16], 101, &[("b", 9, 1), ("a", 7, 1)]));
    assert_ne!(one, fingerprint([2; 16], 101, &nodes));
    assert_ne!(one, fingerprint([1; 16], 103, &nodes));
    assert_ne!(one, fingerprint([1; 16], 101, &[("a", 1, 1), ("c", 2, 1)]));
    assert_ne!(one, fingerprint([1; 16], 101, &[("a", 1, 2), ("b", 2, 1)]));
}

#[test]
fn rows_of_tables_of_different_size_correspond_by_hash() {
    let nodes = Nodes::new(&[1]);
    assert_eq!(nodes.build(7).moved(&nodes.build(1009)), 0);
    let (small, large) = (Nodes::new(&[1, 1]).build(7), Nodes::new(&[1, 1]).build(1009));
    let differ = (0..7).filter(|&row| {
        let middle = (u64::from(row) * 2 + 1) * (u64::MAX / 14);
        small.owner(row) != large.owner(crate::hash::row(middle, 1009))
    });
    assert_eq!(small.moved(&large), differ.count() as u32);
}

#[test]
fn a_change_is_remembered_by_the_rows_it_moved_alone() {
    let (three, two) = (Nodes::new(&[1, 1, 1]).build(101), Nodes::new(&[1, 1]).build(101));
    let [start, second, third] = [10, 20, 30].map(Tick::new);
    let new = Changes::since(&three, None, start);
    assert!((0..101).all(|row| new.at(row) == start));
    assert_eq!(new.latest(), start);

    let changed = Changes::since(&two, Some((&three, &new)), second);
    for row in 0..101 {
        let moved = three.owner(row) != two.owner(row);
        assert_eq!(changed.at(row), if moved { second } else { start });
    }
    assert_eq!(changed.latest(), second);

    let same = Changes::since(&two, Some((&two, &changed)), third);
    assert_eq!(same, changed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_table_is_as_specified(
        rows in prop::sample::select(vec![2_u32, 3, 5, 31, 101, 499, 1009]),
        weights in btree_map("[a-z]{1,3}", prop_oneof![Just(1_u16), 0..5_u16, any::<u16>()], 1..30),
    ) {
        let nodes: Vec<_> = weights.iter().zip(1..).map(|((n, &w), i)| (n.as_str(), i, w)).collect();
        prop_assume!(nodes.iter().any(|node| node.2 > 0));
        let maglev = Maglev::build(&hasher(), rows, &nodes).unwrap();
        let owners: Vec<_> = (0..rows).map(|row| maglev.owner(row)).collect();
        prop_assert_eq!(owners, as_specified(rows, &nodes));
    }

    #[test]
    fn shares_are_exact_to_the_row(weights in vec(1..=100_u16, 1..=200)) {
        let maglev = Nodes::new(&weights).build(ROWS);
        let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        let mut counted = vec![0; weights.len() + 1];
        (0..ROWS).for_each(|row| counted[usize::from(maglev.owner(row))] += 1);
        for &(index, rows) in maglev.shares() {
            prop_assert_eq!(rows, counted[usize::from(index)]);
            let exact = f64::from(ROWS) * f64::from(weights[usize::from(index) - 1]) / total;
            prop_assert!((f64::from(rows) - exact).abs() < 1.0, "{} rows of {}", rows, exact);
        }
        prop_assert_eq!(maglev.shares().len(), weights.len());
    }

    #[test]
    fn order_and_indexes_do_not_matter(
        weights in vec(1..=100_u16, 2..=50),
        turn in 1..50_usize,
        offset in 1..100_u16,
    ) {
        let nodes = Nodes::new(&weights);
        let plain = nodes.build(ROWS);
        let mut other: Vec<_> = nodes.list();
        other.iter_mut().for_each(|node| node.1 += offset);
        other.rotate_left(turn % weights.len());
        other.swap(0, 1);
        let other = Maglev::build(&hasher(), ROWS, &other).unwrap();
        prop_assert!((0..ROWS).all(|row| plain.owner(row) + offset == other.owner(row)));
        prop_assert_eq!(plain.fingerprint(), other.fingerprint());
    }

    #[test]
    fn a_node_that_comes_or_goes_moves_its_share_and_less_than_a_per_cent(
        count in 2..=200_usize,
        node in any::<prop::sample::Index>(),
    ) {
        let node = node.index(count);
        let mut weights = vec![1; count];
        let before = Nodes::new(&weights).build(ROWS);
        weights[node] = 0;
        let after = Nodes::new(&weights).build(ROWS);
        let moved = moved_beyond(&before, &after, node as u16 + 1);
        prop_assert!(moved < ROWS / 100, "{} rows", moved);
        prop_assert_eq!(before.moved(&after), after.moved(&before));
    }

    #[test]
    fn a_weight_that_changes_moves_its_difference_and_less_than_a_per_cent(
        mut weights in prop_oneof![vec(1..=100_u16, 2..=200), (2..=200_usize).prop_map(|n| vec![100; n])],
        node in any::<prop::sample::Index>(),
        weight in 0..=400_u16,
    ) {
        let node = node.index(weights.len());
        let before = Nodes::new(&weights).build(ROWS);
        weights[node] = weight;
        let after = Nodes::new(&weights).build(ROWS);
        let moved = moved_beyond(&before, &after, node as u16 + 1);
        prop_assert!(moved < ROWS / 100, "{} rows", moved);
    }
}
