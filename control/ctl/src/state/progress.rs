//! What is still to happen before a node is in the state that an operator wants. Pure.

use admin::{Effective, MemberStatus, NodeStatus, Status};
use health::Admin;

use crate::failure::Failure;

/// What is left to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It is done.
    Nothing,
    /// This, in words.
    Something(String),
}

/// Whether there is something to wait for: connections are counted for L7 nodes alone.
pub(super) fn can_wait(status: &Status, name: &str) -> Result<(), Failure> {
    match status.nodes.iter().find(|node| node.name == name) {
        Some(node) if node.role == "l7" => Ok(()),
        Some(node) => {
            let role = &node.role;
            let text = format!(
                "{name} has the role {role}: connections are counted for L7 nodes alone, so there \
                 is nothing to wait for (nothing was changed)"
            );
            Err(Failure::refused(text))
        }
        None => Err(Failure::refused(format!("no node has the name {name}"))),
    }
}

/// What is left.
pub(super) fn left(status: &Status, name: &str, wanted: Admin) -> Left {
    let Some(node) = status.nodes.iter().find(|node| node.name == name) else {
        // Taken out of the file meanwhile: it gets nothing, and nobody counts for it.
        return Left::Something(format!("no node has the name {name} any more"));
    };
    let member = |vip: &admin::VipStatus| vip.nodes.iter().find(|m| m.node == name).cloned();
    let members: Vec<MemberStatus> =
        status.services.iter().flat_map(|s| &s.vips).filter_map(member).collect();
    match wanted {
        Admin::Ready => not_up(status, name),
        Admin::Drain => connections(status, node),
        Admin::Maintenance => {
            // Entries of flows that went to others stay until they are idle for long.
            let gone = |member: &MemberStatus| member.release_in_ms == Some(0);
            if !members.is_empty() && members.iter().all(gone) {
                return Left::Nothing;
            }
            connections(status, node)
        }
    }
}

/// Services that do not use the node.
fn not_up(status: &Status, name: &str) -> Left {
    let mut not_up = Vec::new();
    for service in &status.services {
        for vip in &service.vips {
            for member in vip.nodes.iter().filter(|member| member.node == name) {
                let word = match member.state {
                    Effective::Up => continue,
                    Effective::Joining => "joining",
                    Effective::Drain => "drain",
                    Effective::Maintenance => "maintenance",
                    Effective::Down => "down",
                };
                let reason = match member.reason.as_str() {
                    "" => String::new(),
                    reason => format!(" ({reason})"),
                };
                not_up.push(format!("{word} for {} at {}{reason}", service.name, vip.vip));
            }
        }
    }
    if not_up.is_empty() { Left::Nothing } else { Left::Something(not_up.join("; ")) }
}

/// Connections that this L4 node and the others still remember. Those that cannot tell are named:
/// nobody knows that theirs have ended.
fn connections(status: &Status, node: &NodeStatus) -> Left {
    let mut held = Vec::new();
    let mut unknown = Vec::new();
    match node.connections {
        Some(0) => {}
        Some(count) => held.push(format!("{count} on {}", status.node)),
        None => unknown.push(status.node.as_str()),
    }
    for other in status.nodes.iter().filter(|other| other.role == "l4") {
        match (&other.peer, &other.peer_error) {
            (Some(peer), None) => match peer.connections.get(&node.name) {
                Some(0) => {}
                Some(count) => held.push(format!("{count} on {}", other.name)),
                None => unknown.push(&other.name),
            },
            (_, Some(_)) => unknown.push(&other.name),
            // This node itself, or a site whose nodes do not speak with each other.
            (None, None) => {}
        }
    }
    let mut words = Vec::new();
    if !held.is_empty() {
        words.push(format!("connections: {}", held.join(", ")));
    }
    if !unknown.is_empty() {
        words.push(format!("not known: those of {}", unknown.join(", ")));
    }
    if words.is_empty() { Left::Nothing } else { Left::Something(words.join("; ")) }
}

#[cfg(test)]
mod tests;
