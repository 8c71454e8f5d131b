//! Whom a node state has to reach. Pure.

use std::collections::BTreeMap;

use admin::Failed;
use config::Config;

/// Whom a state has to reach so that the operator can rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The node that it is about: it runs control, keeps the state, and acts on it. Only if it
    /// does not answer, everyone.
    Itself,
    /// Every L4 node: each of them acts by itself, whether or not the node that it is about runs control.
    Everyone,
    /// Every L7 node, each of which acts by itself, and every L4 node, which keeps it for them.
    L7,
}

impl Reach {
    /// Of a state about `node`. One that is both an L4 and an L7 node is one that every L4 node acts
    /// on.
    pub fn of(config: &Config, node: &str) -> Self {
        if config.l7.iter().any(|l7| l7.name == node) { Self::Everyone } else { Self::Itself }
    }
}

/// Those that a state about `node` should have reached and has not: what an operator is told, and
/// why the exit code is 1. `own` is this node, which has the state; `outcomes` is what became of
/// telling each other node that it has to reach.
pub fn not_carried(
    node: &str,
    reach: Reach,
    own: &str,
    outcomes: &BTreeMap<String, Result<(), String>>,
) -> Vec<Failed> {
    let has_it = |name: &str| name == own || outcomes.get(name).is_some_and(Result::is_ok);
    match reach {
        Reach::Itself if has_it(node) => Vec::new(),
        Reach::Itself | Reach::Everyone | Reach::L7 => outcomes
            .iter()
            .filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?)))
            .map(|(name, reason)| Failed { what: name.clone(), reason: reason.clone() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(node: &str, reach: Reach, outcomes: &[(&str, bool)]) -> Vec<String> {
        let outcomes = outcomes.iter().map(|&(name, reached)| {
            (name.to_owned(), if reached { Ok(()) } else { Err("connection refused".to_owned()) })
        });
        let failed = not_carried(node, reach, "l4-1", &outcomes.collect());
        failed.into_iter().map(|f| format!("{}: {}", f.what, f.reason)).collect()
    }

    #[test]
    fn of_an_l4_node_it_is_enough_that_it_knows_itself() {
        let outcomes = [("l4-2", true), ("l4-3", false)];
        assert_eq!(failed("l4-2", Reach::Itself, &outcomes), [""; 0]);
        assert_eq!(failed("l4-1", Reach::Itself, &outcomes), [""; 0]);
    }

    #[test]
    fn of_an_l4_node_that_does_not_answer_all_have_to_know() {
        let outcomes = [("l4-2", false), ("l4-3", true)];
        assert_eq!(failed("l4-2", Reach::Itself, &outcomes), ["l4-2: connection refused"]);
        let outcomes = [("l4-2", false), ("l4-3", false)];
        assert_eq!(failed("l4-2", Reach::Itself, &outcomes).len(), 2);
    }

    #[test]
    fn of_an_l7_node_all_have_to_know() {
        assert_eq!(failed("l7-1", Reach::Everyone, &[("l4-2", true), ("l4-3", true)]), [""; 0]);
        let outcomes = [("l4-2", true), ("l4-3", false)];
        assert_eq!(failed("l7-1", Reach::Everyone, &outcomes), ["l4-3: connection refused"]);
        // A box that is both: each L4 node acts by itself, so its own knowledge is not enough.
        let outcomes = [("l4-2", true), ("l4-3", false)];
        assert_eq!(failed("l4-2", Reach::Everyone, &outcomes), ["l4-3: connection refused"]);
    }

    #[test]
    fn a_node_alone_has_nobody_to_tell() {
        assert_eq!(failed("l7-1", Reach::Everyone, &[]), [""; 0]);
    }
}
