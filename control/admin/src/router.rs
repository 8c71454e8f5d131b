use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A router, and how this node speaks BGP with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// Its name.
    pub name: String,
    /// Each session with it.
    pub sessions: Vec<SessionStatus>,
}

/// A BGP session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The router's end.
    pub address: IpAddr,
    /// Its autonomous system.
    pub peer_as: u32,
    /// State of RFC 4271: `Established`, `OpenSent`, ...
    pub state: String,
    /// Whether it is established.
    pub up: bool,
    /// Milliseconds since that state began.
    pub since_ms: u64,
    /// Why it is not up, or why it last was not.
    pub why: Option<String>,
    /// As agreed; absent while it is not up.
    pub hold_time_s: Option<u64>,
    /// As agreed.
    pub keepalive_s: Option<u64>,
    /// The router's BGP identifier.
    pub router_id: Option<String>,
    /// Whether the router keeps routes while control is restarted.
    pub graceful_restart: bool,
    /// Times that it came up.
    pub established: u64,
    /// Times that it went down again.
    pub dropped: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// UPDATEs sent.
    pub updates_out: u64,
    /// NOTIFICATIONs received.
    pub notifications_in: u64,
    /// NOTIFICATIONs sent.
    pub notifications_out: u64,
    /// What the router was told.
    pub announced: Vec<RouteStatus>,
    /// What it is not told.
    pub kept_back: Vec<KeptBack>,
    /// The BFD session beside it, if one is wanted.
    pub bfd: Option<BfdSessionStatus>,
}

/// A route that a router was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// What for.
    pub prefix: String,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF, where it is iBGP.
    pub local_preference: Option<u32>,
    /// How often the own autonomous system stands in the path once more.
    pub prepend: u8,
    /// `65000:100`.
    pub communities: Vec<String>,
    /// `65000:1:100`.
    pub large_communities: Vec<String>,
}

/// A prefix that a router is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBack {
    /// Which.
    pub prefix: String,
    /// `service web: the quorum is lost`
    pub why: String,
}

/// A BFD session of the dataplane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdSessionStatus {
    /// `Up`, `Down`, `Init`; `unknown` while the dataplane does not tell.
    pub state: String,
    /// Whether it is up.
    pub up: bool,
    /// Why it is not.
    pub diagnostic: String,
    /// Milliseconds since that state began.
    pub since_ms: u64,
    /// Times that it fell.
    pub losses: u64,
    /// How long a silence ends it, in milliseconds.
    pub detection_ms: u32,
}
