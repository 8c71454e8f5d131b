//! Which of two entries about a node holds. Pure.
//!
//! The order of entries ([`Entry`]'s own: version, time, then the rest) is total, and the greater
//! one holds. Taking the greater of two is commutative, associative and idempotent, so nodes that
//! have heard the same agree, in whatever order and however often they heard it.
//!
//! A peer is believed within bounds, as one broken clock or one stolen certificate must not take
//! the site from its operators:
//!
//! - **Versions.** They count an operator's changes, so honest ones are small. A peer that sent
//!   `u64::MAX` would have the last word for ever. What is accepted is at most the number of
//!   milliseconds since 1970: that is far above any honest count, and it grows by a thousand a
//!   second, so that what an operator types next can always go one above and be accepted too.
//! - **Times.** They decide between equal versions only. One that is more than [`CLOCK_SLACK`] in the
//!   future is not accepted: it would win all of those.
//! - **Names.** Entries about nodes that the site file does not know are not accepted, nor more than
//!   [`MOST`] of those that it knows by their form alone: they would only grow the memory and the file.
//! - **Texts.** `by` is for people; [`MAX_BY`] bytes are enough.
//!
//! What is not accepted now may be later, as time passes or the site file changes: peers repeat
//! themselves, so nothing has to be remembered for that. Still, a peer within these bounds can put
//! any node into any state: that is what being a node of the site means.

use std::collections::BTreeMap;
use std::time::Duration;

use admin::{Entry, States};
use thiserror::Error;

/// How far a peer's clock may be ahead of ours.
pub const CLOCK_SLACK: Duration = Duration::from_hours(24);

/// Entries that are remembered at most: some of each of a thousand nodes and servers.
pub const MOST: usize = 100_000;

/// Bytes of an entry's `by`.
const MAX_BY: usize = 255;

/// What a peer's entries are measured by.
#[derive(Clone, Copy)]
pub struct Trust<'a> {
    /// Whether an entry may be: of all nodes of the site, those included that left the file and are still
    /// drained.
    pub known: &'a dyn Fn(&str, &Entry) -> bool,
    /// Now: milliseconds since 1970.
    pub now_ms: u64,
}

/// Why an entry is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Mistrust {
    /// The site file here does not know the node.
    #[error("this node's site file has no such node")]
    Unknown,
    /// There are as many as are remembered.
    #[error("this node remembers as many as it can")]
    TooMany,
    /// More changes than an operator can have made.
    #[error("its version cannot be")]
    Version,
    /// Its author's clock, or ours, is wrong.
    #[error("its time is more than a day ahead of this node's")]
    Time,
    /// Its author's name is longer than names are.
    #[error("its author is no name")]
    Author,
}

/// What a merge did. Nodes are named in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Nodes of which something else holds now.
    pub changed: Vec<String>,
    /// Nodes of which the peer's entry would hold, was it accepted.
    pub refused: BTreeMap<String, Mistrust>,
}

/// Takes in what a peer knows, as far as it can be trusted.
pub fn merge(mine: &mut States, theirs: &States, trust: &Trust<'_>) -> Merged {
    let mut merged = Merged::default();
    for (node, entry) in theirs {
        if mine.get(node).is_some_and(|held| held >= entry) {
            continue;
        }
        let is_one_too_many = mine.len() >= MOST && !mine.contains_key(node);
        match trust.judge(node, entry).and_then(|()| room(is_one_too_many)) {
            Ok(()) => {
                mine.insert(node.clone(), entry.clone());
                merged.changed.push(node.clone());
            }
            Err(reason) => {
                merged.refused.insert(node.clone(), reason);
            }
        }
    }
    merged
}

const fn room(is_one_too_many: bool) -> Result<(), Mistrust> {
    if is_one_too_many { Err(Mistrust::TooMany) } else { Ok(()) }
}

impl Trust<'_> {
    fn judge(&self, node: &str, entry: &Entry) -> Result<(), Mistrust> {
        let latest = self.now_ms.saturating_add(CLOCK_SLACK.as_millis() as u64);
        if !(self.known)(node, entry) {
            return Err(Mistrust::Unknown);
        }
        if entry.version > self.now_ms {
            return Err(Mistrust::Version);
        }
        if entry.at_ms > latest {
            return Err(Mistrust::Time);
        }
        if entry.by.len() > MAX_BY {
            return Err(Mistrust::Author);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use health::Admin;
    use proptest::prelude::*;

    use super::*;

    /// 2026.
    const NOW: u64 = 1_790_000_000_000;
    const DAY: u64 = 24 * 3600 * 1000;

    fn entry(version: u64, at_ms: u64, state: Admin) -> Entry {
        Entry { version, at_ms, state, by: "uid 0 on l4-1".into(), weight: None, said: None }
    }

    fn known(node: &str, _: &Entry) -> bool {
        ["l4-1", "l7-1", "l7-2"].contains(&node)
    }

    fn states<const N: usize>(entries: [(&str, Entry); N]) -> States {
        entries.map(|(node, entry)| (node.to_owned(), entry)).into()
    }

    fn merged(mine: &States, theirs: &States) -> States {
        let mut mine = mine.clone();
        merge(&mut mine, theirs, &Trust { known: &known, now_ms: NOW });
        mine
    }

    #[test]
    fn the_later_word_holds() {
        use Admin::{Drain, Maintenance, Ready};
        let held = entry(3, NOW, Drain);
        for (other, holds) in [
            (entry(4, NOW - DAY, Ready), true),
            (entry(3, NOW + 1, Ready), true),
            (entry(3, NOW, Maintenance), true),
            (entry(3, NOW, Drain), false),
            (entry(3, NOW, Ready), false),
            (entry(3, NOW - 1, Maintenance), false),
            (entry(2, NOW + 1, Maintenance), false),
        ] {
            let mut mine = states([("l7-1", held.clone())]);
            let theirs = states([("l7-1", other.clone())]);
            let merged = merge(&mut mine, &theirs, &Trust { known: &known, now_ms: NOW });
            assert_eq!(merged.changed.len(), usize::from(holds), "{other:?}");
            assert_eq!(merged.refused.len(), 0, "{other:?}");
            assert_eq!(mine["l7-1"], if holds { other } else { held.clone() });
        }
    }

    #[test]
    fn only_what_changed_is_named() {
        let mut mine = states([("l7-1", entry(1, NOW, Admin::Drain))]);
        let theirs = states([
            ("l7-1", entry(1, NOW, Admin::Drain)),
            ("l7-2", entry(1, NOW, Admin::Maintenance)),
        ]);
        let merged = merge(&mut mine, &theirs, &Trust { known: &known, now_ms: NOW });
        assert_eq!(merged, Merged { changed: vec!["l7-2".into()], refused: BTreeMap::new() });
        assert_eq!(mine, theirs);
    }

    #[test]
    fn a_peer_is_believed_within_bounds() {
        let author = |length| Entry { by: "a".repeat(length), ..entry(1, NOW, Admin::Drain) };
        for (node, entry, expected) in [
            ("l7-9", entry(1, NOW, Admin::Drain), Some(Mistrust::Unknown)),
            ("l7-1", entry(u64::MAX, NOW, Admin::Drain), Some(Mistrust::Version)),
            ("l7-1", entry(NOW + 1, NOW, Admin::Drain), Some(Mistrust::Version)),
            ("l7-1", entry(NOW, NOW, Admin::Drain), None),
            ("l7-1", entry(1, u64::MAX, Admin::Drain), Some(Mistrust::Time)),
            ("l7-1", entry(1, NOW + DAY + 1, Admin::Drain), Some(Mistrust::Time)),
            ("l7-1", entry(1, NOW + DAY, Admin::Drain), None),
            ("l7-1", author(MAX_BY + 1), Some(Mistrust::Author)),
            ("l7-1", author(MAX_BY), None),
        ] {
            let mut mine = States::new();
            let theirs = states([(node, entry.clone())]);
            let merged = merge(&mut mine, &theirs, &Trust { known: &known, now_ms: NOW });
            assert_eq!(merged.refused.get(node).copied(), expected, "{entry:?}");
            assert_eq!(mine.get(node), expected.is_none().then_some(&entry));
        }
    }

    #[test]
    fn an_operator_can_go_above_the_highest_version_that_a_peer_can_set() {
        let mut mine = States::new();
        let worst = states([("l7-1", entry(NOW, NOW + DAY, Admin::Maintenance))]);
        merge(&mut mine, &worst, &Trust { known: &known, now_ms: NOW });
        assert_eq!(mine, worst);

        let ready = states([("l7-1", entry(NOW + 1, NOW + 1, Admin::Ready))]);
        merge(&mut mine, &ready, &Trust { known: &known, now_ms: NOW + 1 });
        assert_eq!(mine, ready);
    }

    prop_compose! {
        // Few values each, so that equal versions and equal times come up.
        fn some_entry()(
            version in prop_oneof![0u64..4, Just(NOW), Just(NOW + 1), Just(u64::MAX)],
            at_ms in prop_oneof![0u64..3, Just(NOW + DAY + 1)],
            state in prop_oneof![Just(Admin::Ready), Just(Admin::Drain), Just(Admin::Maintenance)],
            by in "[ab]",
        ) -> Entry {
            Entry { version, at_ms, state, by, weight: None, said: None }
        }
    }

    /// States that a node may hold: all of them were accepted.
    fn held() -> impl Strategy<Value = States> {
        heard().prop_map(|states| merged(&States::new(), &states))
    }

    fn heard() -> impl Strategy<Value = States> {
        prop::collection::btree_map("l7-[1-3]", some_entry(), 0..4)
    }

    proptest! {
        #[test]
        fn the_order_in_which_peers_speak_does_not_matter(
            mine in held(), a in heard(), b in heard(),
        ) {
            prop_assert_eq!(merged(&merged(&mine, &a), &b), merged(&merged(&mine, &b), &a));
        }

        #[test]
        fn two_nodes_that_heard_each_other_agree(a in held(), b in held()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        }

        #[test]
        fn hearsay_is_as_good_as_hearing(a in held(), b in held(), c in held()) {
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }

        #[test]
        fn hearing_it_again_changes_nothing(mine in held(), theirs in heard()) {
            let once = merged(&mine, &theirs);
            let mut twice = once.clone();
            let trust = Trust { known: &known, now_ms: NOW };
            prop_assert_eq!(merge(&mut twice, &theirs, &trust).changed.len(), 0);
            prop_assert_eq!(twice, once);
        }

        #[test]
        fn nothing_that_holds_is_ever_lost_to_something_older(mine in held(), theirs in heard()) {
            let after = merged(&mine, &theirs);
            for (node, entry) in &mine {
                prop_assert!(after[node] >= *entry);
            }
        }
    }
}
