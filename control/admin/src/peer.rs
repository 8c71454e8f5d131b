use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::States;

/// One line from another node, by mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PeerRequest {
    /// How are you? Brings the asker's node states along.
    Hello {
        /// [`crate::VERSION`].
        version: u32,
        /// All that the asker knows.
        states: States,
        /// Fingerprint of the asker's tables: who has the same need not send theirs.
        #[serde(default)]
        tables: String,
    },
}

/// One line back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerReply {
    /// To `hello`.
    Hello(Box<PeerStatus>),
    /// The line was not understood, or is not allowed to this node.
    Error(String),
}

/// What a node tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name.
    pub node: String,
    /// Release of its control.
    pub program: String,
    /// Keyed fingerprint of its site file: equal if the text is.
    pub site: String,
    /// Generation that its dataplane runs with.
    pub generation: Option<u64>,
    /// Version of its dataplane's flow hash and Maglev tables, once that was found.
    #[serde(default)]
    pub hash: Option<u32>,
    /// Whether its dataplane forwards.
    pub forwards: bool,
    /// Prefixes that it announces.
    pub announced: Vec<String>,
    /// Keyed fingerprint of its tables: equal if they are.
    pub tables_fingerprint: String,
    /// Its tables, which are long: absent if they are the asker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Arc<Tables>>,
    /// All node states that it knows.
    pub states: States,
    /// Connections that it remembers, by L7 node: absent for those that it knows nothing of, as all
    /// are while its dataplane does not answer.
    #[serde(default)]
    pub connections: BTreeMap<String, u64>,
}

/// A node's tables: service name and VIP -> table.
pub type Tables = BTreeMap<String, Arc<Table>>;

/// A Maglev table, and what it was made of: enough to say in what two nodes differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    /// Fingerprint of the site's key.
    pub key: String,
    /// Rows.
    pub rows: u32,
    /// Node name -> weight that counts; nodes without rows are absent.
    pub weights: BTreeMap<String, u16>,
}
