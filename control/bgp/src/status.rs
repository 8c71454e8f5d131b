//! What is to be seen of a session.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::settings::{Families, Route};

/// How far a session has come (RFC 4271 8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionState {
    /// Pauses after a failure.
    Idle,
    /// Tries to connect.
    Connect,
    /// Waits for the neighbor to connect, or for the next attempt.
    Active,
    /// Connected; the neighbor's OPEN has not come.
    OpenSent,
    /// Waits for the neighbor to accept our OPEN.
    OpenConfirm,
    /// The session is there.
    Established,
}

impl SessionState {
    /// All of them, from the first to the last.
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Connect,
        Self::Active,
        Self::OpenSent,
        Self::OpenConfirm,
        Self::Established,
    ];
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The RFC writes them like this, too.
        fmt::Debug::fmt(self, f)
    }
}

/// What a session with one neighbor has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The neighbor's name.
    pub neighbor: String,
    /// Its address.
    pub address: IpAddr,
    /// How far it has come; of two connections, the one that has come further.
    pub state: SessionState,
    /// Since when it is in this state: CLOCK_BOOTTIME.
    pub since: Duration,
    /// Why it is not established, as far as is known.
    pub why: Option<String>,
    /// The neighbor's AS, as configured.
    pub peer_as: u32,
    /// The neighbor's BGP identifier, once its OPEN has come.
    pub peer_id: Option<Ipv4Addr>,
    /// Hold time that both agreed on; zero if there are no keepalives. Nothing before that.
    pub hold_time: Option<Duration>,
    /// Time between keepalives, before jitter.
    pub keepalive_time: Option<Duration>,
    /// Families that both offered.
    pub families: Families,
    /// Both offered graceful restart.
    pub graceful_restart: bool,
    /// The neighbor may ask for all routes again.
    pub route_refresh: bool,
    /// Both know IPv6 next hops of IPv4 prefixes (RFC 8950).
    pub extended_next_hop: bool,
    /// How often it was established.
    pub established: u64,
    /// How often it was lost after that.
    pub dropped: u64,
    /// Messages since the neighbor is configured.
    pub counters: Counters,
    /// What the neighbor was told and has not been told otherwise.
    pub announced: Arc<[Route]>,
    /// How many of the wanted routes cannot be told: not of an agreed family, or without a next hop.
    pub withheld: usize,
}

/// Messages of a neighbor, over all its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All messages received.
    pub messages_in: u64,
    /// All messages sent.
    pub messages_out: u64,
    /// UPDATEs received.
    pub updates_in: u64,
    /// UPDATEs sent.
    pub updates_out: u64,
    /// NOTIFICATIONs received.
    pub notifications_in: u64,
    /// NOTIFICATIONs sent.
    pub notifications_out: u64,
}
