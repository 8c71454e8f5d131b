//! Which nodes a service has: names and wildcards become places in the list of L7 nodes.

use std::collections::BTreeSet;

use crate::l7::MAX_WEIGHT;
use crate::place::{Place, Placed};
use crate::settings::{L7, Member};
use crate::suggest;
use crate::value::{Value, quoted};
use crate::wildcard;

/// The nodes that a list of patterns names, in the order of the file: all that one of them matches, but
/// for those that one with a leading `!` matches; where every pattern has one, all others.
pub(crate) fn select(value: &Value<'_>, nodes: &[L7]) -> Option<BTreeSet<usize>> {
    let patterns =
        value.some(|pattern| pattern.text("the name of an [[l7]] node, or a pattern"))?;
    let mut chosen = BTreeSet::new();
    let mut left_out = BTreeSet::new();
    let mut known = true;
    for Placed { value: pattern, place } in &patterns {
        let (set, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (&mut left_out, pattern),
            None => (&mut chosen, *pattern),
        };
        let matching = |(_, node): &(usize, &L7)| wildcard::matches(pattern, &node.name);
        let matching: Vec<_> = nodes.iter().enumerate().filter(matching).map(|(i, _)| i).collect();
        set.extend(&matching);
        if matching.is_empty() && !nodes.is_empty() {
            value.problem_at(place, unmatched(pattern, nodes));
            known = false;
        }
    }
    if patterns.iter().all(|pattern| pattern.value.starts_with('!')) {
        chosen = (0..nodes.len()).collect();
    }
    let chosen: BTreeSet<_> = chosen.difference(&left_out).copied().collect();
    if chosen.is_empty() && known && !nodes.is_empty() {
        value.problem("this leaves no node");
    }
    (known && !chosen.is_empty()).then_some(chosen)
}

/// Why a pattern is of no use.
fn unmatched(pattern: &str, nodes: &[L7]) -> String {
    let shown = quoted(pattern);
    if wildcard::is_pattern(pattern) {
        return format!("{shown} matches no [[l7]] node");
    }
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    let meant =
        suggest::nearest(pattern, &names).map(|name| format!(" (did you mean \"{name}\"?)"));
    format!("{shown} is not the name of an [[l7]] node{}", meant.unwrap_or_default())
}

/// The weights that a service gives its nodes, where they differ from the nodes' own.
pub(crate) struct Weights<'a>(Vec<(Placed<&'a str>, u16)>);

impl<'a> Weights<'a> {
    /// `weights = { "l7-3" = 5, "big-*" = 2 }`
    pub(crate) fn read(value: Option<Value<'a>>) -> Self {
        let table = value.and_then(|value| value.table());
        let entries = table.map(|table| table.into_entries()).unwrap_or_default();
        let weight = |(name, value): (_, Value<'_>)| Some((name, value.number(0..=MAX_WEIGHT)?));
        Self(entries.into_iter().filter_map(weight).collect())
    }

    /// The nodes with their weights: a name goes before a pattern, a pattern before the node's own.
    pub(crate) fn members(&self, chosen: &BTreeSet<usize>, nodes: &[L7]) -> Vec<Member> {
        let member = |&l7: &usize| {
            let weight = self.of(&nodes[l7].name).map(|(_, weight)| *weight);
            Member { l7, weight: weight.unwrap_or(nodes[l7].weight) }
        };
        chosen.iter().map(member).collect()
    }

    fn of(&self, name: &str) -> Option<&(Placed<&'a str>, u16)> {
        let exact = self.0.iter().find(|(pattern, _)| pattern.value == name);
        exact.or_else(|| self.0.iter().find(|(pattern, _)| wildcard::matches(pattern.value, name)))
    }

    /// Tells which of them name no node of the service, and which contradict each other.
    pub(crate) fn check(
        &self,
        chosen: &BTreeSet<usize>,
        nodes: &[L7],
        tell: impl Fn(&Place, String),
    ) {
        for (pattern, weight) in &self.0 {
            let names = chosen.iter().map(|&l7| nodes[l7].name.as_str());
            let mut matching =
                names.filter(|name| wildcard::matches(pattern.value, name)).peekable();
            if matching.peek().is_none() {
                tell(
                    &pattern.place,
                    format!("{} is no node of this service", quoted(pattern.value)),
                );
            }
            let contradicted = matching.find_map(|name| {
                let (other, first) = self.of(name)?;
                let both = wildcard::is_pattern(other.value) && first != weight;
                both.then_some((name, other.value))
            });
            if let Some((name, other)) = contradicted {
                let text = format!(
                    "{} and {} give {name} different weights: give it one by its name",
                    quoted(other),
                    quoted(pattern.value)
                );
                tell(&pattern.place, text);
            }
        }
    }
}
