use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::State;

/// Counters of everything, since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Generation in force; absent before the first Snapshot.
    pub generation: Option<u64>,
    /// Milliseconds since the process started.
    pub uptime_ms: u64,
    /// Sum of the workers' counters: name -> count.
    pub counters: BTreeMap<String, u64>,
    /// Each worker.
    pub workers: Vec<WorkerStats>,
    /// Each service of the Snapshot, by name.
    pub services: Vec<ServiceStats>,
    /// Each node of the Snapshot.
    pub nodes: Vec<NodeStats>,
    /// Each port, as the NIC and its driver count.
    pub ports: Vec<PortStats>,
}

/// What passed, all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets forwarded.
    pub packets: u64,
    /// Their bytes, from the inner IP header on.
    pub bytes: u64,
    /// Flows that were given to a node.
    pub new_flows: u64,
    /// Connections that are remembered now. One that came to another worker counts for both until it
    /// has been idle in one of them for too long.
    pub connections: u64,
}

/// A worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStats {
    /// CPU it is pinned to.
    pub cpu: usize,
    /// Milliseconds since it last turned its loop. Fresh also while it sleeps.
    pub heartbeat_ms: u64,
    /// Generation it runs with; absent before its first Snapshot.
    pub generation: Option<u64>,
    /// Entries in its connection table.
    pub connections: u64,
    /// Connections it can hold at its rated load.
    pub capacity: u64,
    /// Name -> count.
    pub counters: BTreeMap<String, u64>,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStats {
    /// Its name.
    pub name: String,
    /// All its nodes together.
    pub total: Traffic,
    /// Fingerprints of its Maglev tables (16 hexadecimal digits), to compare L4 nodes.
    pub tables: Vec<String>,
    /// Each node.
    pub nodes: Vec<MemberStats>,
}

/// A node's part in a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStats {
    /// The node's name.
    pub node: String,
    /// Its states there: one for each group of VIPs.
    pub states: Vec<State>,
    /// What it got.
    pub traffic: Traffic,
}

/// An L7 node, over all services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStats {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u16,
    /// Whether its next hop's link address is known, per address.
    pub reachable: Vec<bool>,
    /// What it got.
    pub traffic: Traffic,
}

/// A port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStats {
    /// Device name.
    pub name: String,
    /// Packets received and sent.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Dropped by the NIC: its receive queue was full.
    pub rx_missed: u64,
    /// Received with errors.
    pub rx_errors: u64,
    /// Not received for want of a buffer.
    pub rx_no_buffer: u64,
    /// Not sent.
    pub tx_errors: u64,
}
