use std::path::PathBuf;

use crate::Mac;

/// How a dataplane is started. What is not set here follows from the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Receive queues, and so workers.
    pub queues: usize,
    /// `--cores`; by default as many as there are queues, other nodes beginning on other CPUs.
    pub cores: Option<String>,
    /// `--connections`.
    pub connections: Option<u64>,
    /// `--flow-details`.
    pub flow_details: bool,
    /// `--snapshot`.
    pub snapshot: Option<PathBuf>,
    /// `--next-hop`.
    pub next_hop: Option<Mac>,
    /// Polls all the time, instead of `--idle adaptive`.
    pub busy: bool,
    /// Further flags, as they are.
    pub further: Vec<String>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            queues: 1,
            cores: None,
            connections: None,
            flow_details: false,
            snapshot: None,
            next_hop: None,
            busy: false,
            further: Vec::new(),
        }
    }
}
