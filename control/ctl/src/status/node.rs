//! The nodes of a site, and what other L4 nodes tell.

use admin::NodeStatus;
use health::Admin;

use super::Page;
use crate::text::{Cell, Table, Tone, ago, human_ms};

/// An operator's or agent's wish in a word.
const fn word(state: Admin) -> &'static str {
    match state {
        Admin::Ready => "ready",
        Admin::Drain => "drain",
        Admin::Maintenance => "maintenance",
    }
}

impl Page {
    /// What operators said of each node, and how it does.
    pub(super) fn nodes(&self, nodes: &[NodeStatus]) -> String {
        if nodes.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["NODE", "ROLE", "CONNECTIONS", "REACHABLE", "OPERATOR"]);
        for node in nodes {
            let reachable = match node.reachable {
                Some(true) => Cell::new(Tone::Good, "yes"),
                Some(false) => Cell::new(Tone::Bad, "no"),
                None => Cell::new(Tone::Faint, "-"),
            };
            let connections = match node.connections {
                Some(connections) => Cell::number(connections),
                None => Cell::number('-'),
            };
            let operator = match &node.operator {
                Some(entry) => {
                    let tone = match entry.state {
                        Admin::Ready => Tone::Plain,
                        Admin::Drain | Admin::Maintenance => Tone::Warn,
                    };
                    let (word, since) = (word(entry.state), ago(self.now_ms, entry.at_ms));
                    Cell::new(tone, format!("{word}, by {}, {since}", entry.by))
                }
                None => Cell::new(Tone::Faint, "-"),
            };
            table.row([
                node.name.as_str().into(),
                node.role.as_str().into(),
                connections,
                reachable,
                operator,
            ]);
        }
        table.render(0, self.width, self.paint)
    }

    /// What each other L4 node tells, and in what it differs.
    pub(super) fn peers(&self, nodes: &[NodeStatus]) -> String {
        let mut table = Table::new(&["PEER", "STATE"]);
        let mut any = false;
        for node in nodes {
            if node.peer.is_none() && node.peer_error.is_none() {
                continue;
            }
            any = true;
            let age = node.peer_age_ms.map(|age| format!("{} ago", human_ms(age)));
            let age = age.unwrap_or_else(|| "never".into());
            let (tone, text) = match (&node.peer_error, &node.peer) {
                (Some(error), _) => (Tone::Bad, format!("{error}; last heard: {age}")),
                (None, Some(peer)) => {
                    let (tone, word) = match peer.forwards {
                        true => (Tone::Good, "forwards"),
                        false => (Tone::Bad, "does not forward"),
                    };
                    let generation = peer.generation.map(|number| format!(", generation {number}"));
                    let generation = generation.unwrap_or_default();
                    let program = &peer.program;
                    (tone, format!("{word}{generation}, palier-control {program}, {age}"))
                }
                (None, None) => continue,
            };
            table.row([node.name.as_str().into(), Cell::new(tone, text)]);
            for difference in &node.differences {
                table.row(["".into(), Cell::new(Tone::Bad, format!("differs: {difference}"))]);
            }
        }
        if any { table.render(0, self.width, self.paint) } else { String::new() }
    }
}
