//! What others think of servers and of this node, and what the proxy tells of itself.

use std::net::SocketAddr;

/// What is thought of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// Whether it takes requests.
    pub availability: Availability,
    /// Percent of its configured weight; 0: no new requests.
    pub weight_percent: u16,
}

/// Whether a server takes requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        Self { availability: Availability::Up, weight_percent: 100 }
    }
}

impl ServerState {
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.weight_percent) << 8 | self.availability as u64
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        let availability = match packed & 0xff {
            0 => Availability::Up,
            1 => Availability::Drain,
            2 => Availability::Maintenance,
            _ => Availability::Down,
        };
        Self { availability, weight_percent: (packed >> 8) as u16 }
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
    /// In the order of the settings.
    pub pools: Vec<PoolStatus>,
}

/// How a pool is.
#[derive(Clone, Debug)]
pub struct PoolStatus {
    /// How many of its servers take new requests.
    pub usable: u32,
    /// In the order of the settings.
    pub servers: Vec<ServerStatus>,
}

/// How a server is.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// Where it is.
    pub address: SocketAddr,
    /// Requests that it has now.
    pub busy: u32,
    /// Requests and connections that were given to it.
    pub requests: u64,
    /// Those that it did not take, or did not answer.
    pub failed: u64,
}
