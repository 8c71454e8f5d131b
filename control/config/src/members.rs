//! Which nodes a service has, and the like: names and wildcards become places in a list.

use std::collections::BTreeSet;

use crate::l7::MAX_WEIGHT;
use crate::place::{Place, Placed};
use crate::settings::{L7, Member};
use crate::suggest;
use crate::value::{Value, quoted};
use crate::wildcard;

/// Tables with names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    L4,
    L7,
    Service,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Self::L4 => "[[l4]] node",
            Self::L7 => "[[l7]] node",
            Self::Service => "[[service]]",
        }
    }

    fn one(self) -> String {
        let article = if matches!(self, Self::Service) { "a" } else { "an" };
        format!("{article} {}", self.table())
    }

    fn noun(self) -> &'static str {
        match self {
            Self::L4 | Self::L7 => "node",
            Self::Service => "service",
        }
    }
}

/// Those of `kind` that a list of patterns names, in the order of the file: all that one of them
/// matches, but for those that one with a leading `!` matches; where every pattern has one, all others.
pub(crate) fn select(value: &Value<'_>, names: &[&str], kind: Kind) -> Option<BTreeSet<usize>> {
    let expected = format!("the name of {}, or a pattern", kind.one());
    let patterns = value.some(|pattern| pattern.text(&expected))?;
    let mut chosen = BTreeSet::new();
    let mut left_out = BTreeSet::new();
    let mut known = true;
    for Placed { value: pattern, place } in &patterns {
        let (set, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (&mut left_out, pattern),
            None => (&mut chosen, *pattern),
        };
        let matching = |(_, name): &(usize, &&str)| wildcard::matches(pattern, name);
        let matching: Vec<_> = names.iter().enumerate().filter(matching).map(|(i, _)| i).collect();
        set.extend(&matching);
        if matching.is_empty() && !names.is_empty() {
            value.problem_at(place, unmatched(pattern, names, kind));
            known = false;
        }
    }
    if patterns.iter().all(|pattern| pattern.value.starts_with('!')) {
        chosen = (0..names.len()).collect();
    }
    let chosen: BTreeSet<_> = chosen.difference(&left_out).copied().collect();
    if chosen.is_empty() && known && !names.is_empty() {
        value.problem(format!("this leaves no {}", kind.noun()));
    }
    (known && !chosen.is_empty()).then_some(chosen)
}

/// Why a pattern is of no use.
fn unmatched(pattern: &str, names: &[&str], kind: Kind) -> String {
    let shown = quoted(pattern);
    if wildcard::is_pattern(pattern) {
        return format!("{shown} matches no {}", kind.table());
    }
    let meant = suggest::nearest(pattern, names).map(|name| format!(" (did you mean \"{name}\"?)"));
    format!("{shown} is not the name of {}{}", kind.one(), meant.unwrap_or_default())
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
