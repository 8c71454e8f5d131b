//! What others think of servers and of this node, and what the proxy tells of itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::stats::Times;

/// What is thought of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerState {
    /// Whether it takes requests.
    pub availability: Availability,
    /// Percent of its configured weight; 0: no new requests.
    pub weight_percent: u16,
    /// Most requests that it wants to have at once, beside what the settings say.
    pub max_connections: Option<u32>,
}

/// Whether a server takes requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// It does.
    #[default]
    Up,
    /// No new ones.
    Drain,
    /// None.
    Maintenance,
    /// It does not answer.
    Down,
}

impl Default for ServerState {
    fn default() -> Self {
        Self { availability: Availability::Up, weight_percent: 100, max_connections: None }
    }
}

impl ServerState {
    pub(crate) fn pack(self) -> u64 {
        // Nobody limits himself to four thousand million.
        let limit = self.max_connections.unwrap_or(u32::MAX);
        u64::from(limit) << 32 | u64::from(self.weight_percent) << 8 | self.availability as u64
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        let availability = match packed & 0xff {
            0 => Availability::Up,
            1 => Availability::Drain,
            2 => Availability::Maintenance,
            _ => Availability::Down,
        };
        let limit = (packed >> 32) as u32;
        let max_connections = (limit != u32::MAX).then_some(limit);
        Self { availability, weight_percent: (packed >> 8) as u16, max_connections }
    }
}

/// What the node's health URIs say, beside what holds of its servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeState {
    /// Nothing.
    #[default]
    Ready,
    /// 503: its own checks speak against it.
    Disabled,
    /// 503, and that it drains: no new flows, those it has stay.
    Drain,
    /// 503, and that it is in maintenance: those it has go, too.
    Maintenance,
}

/// How the proxy is.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Connections of clients that are open.
    pub open: u64,
    /// Lines of the access log that were written.
    pub log_lines: u64,
    /// Lines that it had no room for.
    pub log_lost: u64,
    /// By name.
    pub frontends: Vec<FrontendStatus>,
    /// In the order of the settings.
    pub pools: Vec<PoolStatus>,
}

/// How a frontend is.
#[derive(Clone, Debug)]
pub struct FrontendStatus {
    /// Its name.
    pub name: String,
    /// Connections that are open.
    pub open: u32,
    /// Connections that were accepted.
    pub connections: u64,
    /// Those without a good PROXY header or TLS handshake.
    pub refused: u64,
    /// Answers of 1xx, 2xx, ...
    pub classes: [u64; 5],
    /// From a request's header to the end of its answer.
    pub times: Times,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
}

/// How a pool is.
#[derive(Clone, Debug)]
pub struct PoolStatus {
    /// How many of its servers take new requests.
    pub usable: u32,
    /// Requests that wait for one of them.
    pub waiting: u32,
    /// Tries at another server.
    pub retries: u64,
    /// Requests for which no server was usable.
    pub unserved: u64,
    /// Requests that found the queue full.
    pub queue_full: u64,
    /// Requests that waited for too long.
    pub queue_late: u64,
    /// In the order of the settings.
    pub servers: Vec<ServerStatus>,
}

/// How a server is.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// Where it is, if anybody knows.
    pub address: Option<SocketAddr>,
    /// Requests that it has now.
    pub busy: u32,
    /// Requests and connections that were given to it.
    pub requests: u64,
    /// Those that it did not take, or did not answer.
    pub failed: u64,
    /// Answers of 1xx, 2xx, ...
    pub classes: [u64; 5],
    /// From a request's header to that of the server's answer.
    pub times: Times,
}
