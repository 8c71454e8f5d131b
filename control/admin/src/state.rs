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
    /// To nodes that serve zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

/// What an operator says to the nodes that serve zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    /// What a pattern matches is as its checks say.
    Auto,
    /// It is up.
    Up {
        /// Seconds that answers live; absent: as the checks have it.
        ttl: Option<u32>,
    },
    /// It is down.
    Down {
        /// The same.
        ttl: Option<u32>,
    },
    /// A text is answered at a name.
    Answered,
    /// It is not any more.
    Withdrawn,
}

/// By node name; what is not about a node has a name with a slash in it.
pub type States = BTreeMap<String, Entry>;
