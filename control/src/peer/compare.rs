//! In what two nodes differ that should not. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin::{Entry, PeerStatus, Table, Tables};
use health::Admin;

/// Where another node differs from this one, in words; empty if they send every flow to the same
/// place and know the same.
///
/// What a node announces and whether its dataplane forwards are its own affairs, and its generation
/// counts its own changes: those are not differences. Health checks see the same change a moment
/// apart, and so do readers of a new site file: [`Persistence`] tells what lasts.
pub fn differences(mine: &PeerStatus, theirs: &PeerStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if mine.site != theirs.site {
        lines.push(format!("site file: {} here, {} there", mine.site, theirs.site));
    }
    if let (Some(here), Some(there)) = (mine.hash, theirs.hash)
        && here != there
    {
        lines.push(format!("version of the flow hash: {here} here, {there} there"));
    }
    if let (Some(mine), Some(theirs)) = (&mine.tables, &theirs.tables)
        && !Arc::ptr_eq(mine, theirs)
    {
        keys(mine, theirs, &mut lines);
        for name in union(mine, theirs) {
            match (mine.get(name), theirs.get(name)) {
                (Some(here), Some(there)) => tables(name, here, there, &mut lines),
                (Some(_), None) => lines.push(format!("{name}: no table there")),
                (None, Some(_)) => lines.push(format!("{name}: no table here")),
                (None, None) => {}
            }
        }
    }
    for node in union(&mine.states, &theirs.states) {
        let (here, there) = (mine.states.get(node), theirs.states.get(node));
        if here != there {
            lines.push(format!(
                "operator's state of {node}: {} here, {} there",
                word(here),
                word(there)
            ));
        }
    }
    lines
}

/// The key is the site's, so it is said once.
fn keys(mine: &Tables, theirs: &Tables, lines: &mut Vec<String>) {
    let both = |(name, here): (&String, &Arc<Table>)| {
        Some((here.key.clone(), theirs.get(name)?.key.clone()))
    };
    // Before a dataplane was found nobody knows its key.
    let differ = |(a, b): &(String, String)| a != b && !a.is_empty() && !b.is_empty();
    let pairs: BTreeSet<_> = mine.iter().filter_map(both).filter(differ).collect();
    for (here, there) in pairs {
        lines.push(format!("hash key: {here} here, {there} there"));
    }
}

fn tables(name: &str, here: &Table, there: &Table, lines: &mut Vec<String>) {
    if here.rows != there.rows {
        lines.push(format!("{name}: {} rows here, {} there", here.rows, there.rows));
    }
    for node in union(&here.weights, &there.weights) {
        match (here.weights.get(node), there.weights.get(node)) {
            (Some(a), Some(b)) if a != b => {
                lines.push(format!("{name}: {node} has weight {a} here, {b} there"));
            }
            (Some(_), None) => lines.push(format!("{name}: {node} takes flows here, not there")),
            (None, Some(_)) => lines.push(format!("{name}: {node} takes flows there, not here")),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

fn union<'a, V>(
    a: &'a BTreeMap<String, V>,
    b: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> {
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    keys.into_iter()
}

fn word(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return "none".to_owned() };
    let state = match entry.state {
        Admin::Ready => "ready",
        Admin::Drain => "drain",
        Admin::Maintenance => "maintenance",
    };
    format!("{state} (change {}, {})", entry.version, entry.by)
}

/// Tells what lasts from what passes: one for each other node.
#[derive(Clone, Debug, Default)]
pub struct Persistence {
    since: BTreeMap<String, Instant>,
}

impl Persistence {
    /// How long a difference lasts before it is an alarm: two rounds of questions, a check's
    /// interval, and a file that is copied from node to node.
    pub const ALARM_AFTER: Duration = Duration::from_secs(10);

    /// Takes in all differences that there are now, and returns those that were there each time for
    /// [`ALARM_AFTER`](Self::ALARM_AFTER). Call it whenever one of the two sides may have changed,
    /// and in any case each time the other one has answered.
    pub fn observe(&mut self, differences: &[String], now: Instant) -> Vec<String> {
        let since = |line: &String| (line.clone(), self.since.get(line).copied().unwrap_or(now));
        self.since = differences.iter().map(since).collect();
        let lasting = |line: &&String| now.duration_since(self.since[*line]) >= Self::ALARM_AFTER;
        differences.iter().filter(lasting).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> PeerStatus {
        let weights = [("l7-1", 1), ("l7-2", 2)].map(|(node, weight)| (node.to_owned(), weight));
        let table = Table { key: "ab12".into(), rows: 65537, weights: weights.into() };
        let drain = Entry {
            version: 3,
            at_ms: 1,
            state: Admin::Drain,
            by: "uid 0 on l4-1".into(),
            weight: None,
            said: None,
        };
        PeerStatus {
            node: "l4-1".into(),
            program: "0.1.0".into(),
            site: "c0ffee".into(),
            generation: Some(7),
            hash: Some(1),
            forwards: true,
            announced: vec!["198.51.100.1/32".into()],
            tables_fingerprint: "feed".into(),
            tables: Some(Arc::new(Tables::from(
                ["web 198.51.100.1", "web 2001:db8::1"]
                    .map(|name| (name.to_owned(), Arc::new(table.clone()))),
            ))),
            connections: BTreeMap::new(),
            states: [("l7-9".to_owned(), drain)].into(),
        }
    }

    /// Differences after a change on the other side.
    fn after(change: impl FnOnce(&mut PeerStatus)) -> Vec<String> {
        let mut theirs = status();
        change(&mut theirs);
        differences(&status(), &theirs)
    }

    fn tables(status: &mut PeerStatus) -> &mut Tables {
        Arc::make_mut(status.tables.as_mut().unwrap())
    }

    fn web(status: &mut PeerStatus) -> &mut Table {
        Arc::make_mut(tables(status).get_mut("web 198.51.100.1").unwrap())
    }

    fn each(status: &mut PeerStatus, change: fn(&mut Table)) {
        tables(status).values_mut().for_each(|table| change(Arc::make_mut(table)));
    }

    #[test]
    fn what_is_a_nodes_own_affair_is_no_difference() {
        let other = after(|theirs| {
            theirs.node = "l4-2".into();
            theirs.program = "0.2.0".into();
            theirs.generation = None;
            theirs.hash = None;
            each(theirs, |table| table.key.clear());
            theirs.forwards = false;
            theirs.announced.clear();
        });
        assert_eq!(other, [""; 0]);
    }

    #[test]
    fn each_difference_is_said_with_both_sides() {
        let other = after(|t| t.site = "beef".into());
        assert_eq!(other, ["site file: c0ffee here, beef there"]);
        let other = after(|t| t.hash = Some(2));
        assert_eq!(other, ["version of the flow hash: 1 here, 2 there"]);
        let other = after(|t| web(t).rows = 251);
        assert_eq!(other, ["web 198.51.100.1: 65537 rows here, 251 there"]);
        let other = after(|t| _ = web(t).weights.insert("l7-2".into(), 1));
        assert_eq!(other, ["web 198.51.100.1: l7-2 has weight 2 here, 1 there"]);
        let other = after(|t| _ = web(t).weights.remove("l7-1"));
        assert_eq!(other, ["web 198.51.100.1: l7-1 takes flows here, not there"]);
        let other = after(|t| _ = web(t).weights.insert("l7-3".into(), 1));
        assert_eq!(other, ["web 198.51.100.1: l7-3 takes flows there, not here"]);
        let other = after(|t| _ = tables(t).remove("web 198.51.100.1"));
        assert_eq!(other, ["web 198.51.100.1: no table there"]);
        let other = after(|t| _ = tables(t).insert("dns 198.51.100.2".into(), Arc::default()));
        assert_eq!(other, ["dns 198.51.100.2: no table here"]);
        let other = after(|t| t.states.clear());
        assert_eq!(
            other,
            ["operator's state of l7-9: drain (change 3, uid 0 on l4-1) here, none there"]
        );
        let other = after(|t| t.states.get_mut("l7-9").unwrap().state = Admin::Ready);
        assert_eq!(other.len(), 1);
        assert!(other[0].ends_with("ready (change 3, uid 0 on l4-1) there"), "{}", other[0]);
    }

    #[test]
    fn another_key_is_said_once_and_not_per_table() {
        let other = after(|t| each(t, |table| table.key = "cd34".into()));
        assert_eq!(other, ["hash key: ab12 here, cd34 there"]);
    }

    #[test]
    fn all_differences_are_said() {
        let other = after(|t| {
            t.site = "beef".into();
            web(t).key = "cd34".into();
            web(t).rows = 251;
            web(t).weights.clear();
            t.states.clear();
        });
        assert_eq!(other.len(), 6);
    }

    #[test]
    fn only_a_difference_that_lasts_is_an_alarm() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let mut persistence = Persistence::default();
        let mut observe = |lines: &[&String], seconds| {
            let lines: Vec<_> = lines.iter().map(|line| (*line).clone()).collect();
            persistence.observe(&lines, at(seconds))
        };
        assert_eq!(observe(&[&a], 0), [""; 0]);
        assert_eq!(observe(&[&a, &b], 5), [""; 0]);
        assert_eq!(observe(&[&a, &b], 9), [""; 0]);
        assert_eq!(observe(&[&a, &b], 10), ["a"]);
        assert_eq!(observe(&[&b], 14), [""; 0], "a has passed");
        assert_eq!(observe(&[&a, &b], 15), ["b"], "a starts anew");
        assert_eq!(observe(&[&a, &b], 25), ["a", "b"]);
    }
}
