use std::collections::BTreeMap;
use std::net::IpAddr;

use api::State as Effective;
use health::{Admin, State};
use serde::{Deserialize, Serialize};

use crate::{Entry, PeerStatus, RouterStatus};

/// How everything stands, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the site.
    pub site: String,
    /// Name of this node.
    pub node: String,
    /// Its role: `l4`.
    pub role: String,
    /// Release of control.
    pub program: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// What an operator should look at, the worst first. Empty when all is well.
    pub alarms: Vec<String>,
    /// The site file.
    pub file: FileStatus,
    /// The forwarder.
    pub dataplane: DataplaneStatus,
    /// What gates this node's announcements.
    pub gate: GateStatus,
    /// Every node of the file, L4 first.
    pub nodes: Vec<NodeStatus>,
    /// Every router that this node speaks BGP with.
    #[serde(default)]
    pub routers: Vec<RouterStatus>,
    /// Every service of the file.
    pub services: Vec<ServiceStatus>,
    /// What control counts: `probes`, `reloads_refused`, ...
    pub counters: BTreeMap<String, u64>,
}

/// The site file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Its path.
    pub path: String,
    /// When what is in force was read: milliseconds since 1970.
    pub loaded_ms: u64,
    /// Keyed fingerprint of its text: equal on nodes that read the same.
    pub fingerprint: String,
    /// The last reload, if it was refused: the text before it stays in force.
    pub refused: Option<Refusal>,
    /// What the file says that takes a restart to come into force: `l4-1: cores (dataplane)`.
    pub restart_needed: Vec<String>,
}

/// A reload that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// Everything that is wrong.
    pub reasons: Vec<String>,
}

/// The forwarder of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataplaneStatus {
    /// Whether its socket answers.
    pub connected: bool,
    /// Whether it answers, every worker turns its loop, and it has a Snapshot.
    pub forwards: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Generation in force there.
    pub generation: Option<u64>,
    /// Generation that control wants; the same when all is well.
    pub wanted: Option<u64>,
    /// Why it refused the last Snapshot.
    pub refused: Vec<String>,
    /// Fingerprint of the hash key in force.
    pub key_fingerprint: Option<String>,
    /// The oldest worker heartbeat in milliseconds.
    pub heartbeat_ms: Option<u64>,
}

/// What gates all of a node's announcements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateStatus {
    /// Whether this node may announce.
    pub open: bool,
    /// Why not: `the dataplane does not forward`, `operator: drain`, `check file: /etc/lb/disable exists`.
    pub reasons: Vec<String>,
}

/// A node of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// `l4` or `l7`.
    pub role: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Of an L7 node: its worst state in any service.
    pub state: Option<Effective>,
    /// What an operator said of it, if anyone did.
    pub operator: Option<Entry>,
    /// Of an L7 node: connections that this node remembers to go there, if the dataplane answers.
    pub connections: Option<u64>,
    /// Of an L7 node: whether its next hop's link address is known.
    pub reachable: Option<bool>,
    /// Of another L4 node: what it last told of itself.
    pub peer: Option<PeerStatus>,
    /// Of another L4 node: why it does not answer.
    pub peer_error: Option<String>,
    /// Of another L4 node: milliseconds since it last answered.
    pub peer_age_ms: Option<u64>,
    /// Of another L4 node: in what it differs from this one.
    pub differences: Vec<String>,
}

/// A service of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// `tcp` or `udp`, and ports: `tcp 80,443`.
    pub ports: String,
    /// Each of its VIPs.
    pub vips: Vec<VipStatus>,
}

/// A VIP of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipStatus {
    /// Address or prefix.
    pub vip: String,
    /// Whether it is to be announced.
    pub announced: bool,
    /// Why: `quorum`, `quorum lost: 0 of 1`, `kept without quorum`, `no verdicts yet`, ...
    pub why: String,
    /// Sum of the weights of nodes that are up.
    pub weight: u32,
    /// What is needed.
    pub quorum: u32,
    /// Fingerprint of its table as the dataplane has it.
    pub fingerprint: Option<String>,
    /// How many of its nodes are in which state.
    pub states: BTreeMap<Effective, u32>,
    /// Each node of the service; none if the status is brief.
    pub nodes: Vec<MemberStatus>,
}

/// A node's part in a service, at one VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its name.
    pub node: String,
    /// What holds: the worst of all that follows.
    pub state: Effective,
    /// Why, if it is not up.
    pub reason: String,
    /// Milliseconds since `state` last changed.
    pub since_ms: u64,
    /// When its flows go to other nodes: milliseconds from now, if they do.
    pub release_in_ms: Option<u64>,
    /// Weight that counts: configured times the agent's.
    pub weight: u32,
    /// What it asked for itself (agent, `Palier-State`).
    pub agent: Admin,
    /// What an operator wants.
    pub operator: Admin,
    /// Each check.
    pub checks: Vec<CheckStatus>,
}

/// A check of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Kind, and to where: `http 198.51.100.1:80 (tunnel)`.
    pub check: String,
    /// Nothing before the first verdict.
    pub state: Option<State>,
    /// The last answer.
    pub reason: String,
    /// Milliseconds since its state last changed.
    pub since_ms: u64,
    /// Answers in a row that speak against the state, and how many change it.
    pub against: (u32, u32),
}
