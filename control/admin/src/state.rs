//! What operators want of nodes.

use std::collections::BTreeMap;

use health::Admin;
use serde::{Deserialize, Serialize};

/// What an operator last said of a node.
///
/// Entries travel between nodes in any order and more than once; of two about one node the one with
/// the higher `version` holds, of equal versions the later, then the greater: every node that has
/// seen both holds the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// One more than that of the entry that the operator saw.
    pub version: u64,
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// The state. `ready` is kept too, so that it wins over an older `drain`.
    pub state: Admin,
    /// Who and where: `uid 0 on l4-1`.
    pub by: String,
    /// Of a server: percent of the weight that the site file gives it; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
}

/// By node name.
pub type States = BTreeMap<String, Entry>;
