//! How the sessions are.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::fsm::State;
use crate::settings::{Families, Neighbor, Route};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The router's name.
    pub name: String,
    /// Its end.
    pub address: IpAddr,
    /// Its autonomous system.
    pub peer_as: u32,
    /// State of the connection that is furthest.
    pub state: State,
    /// Milliseconds of CLOCK_BOOTTIME when that state began.
    pub since_ms: u64,
    /// Why it is not up, or why it last was not.
    pub why: Option<String>,
    /// The router's BGP identifier.
    pub peer_id: Option<Ipv4Addr>,
    /// As agreed: zero is for ever.
    pub hold_time: Option<Duration>,
    /// As agreed.
    pub keepalive: Option<Duration>,
    /// Whose routes both speak of.
    pub families: Families,
    /// Whether the router keeps routes through a restart of this node.
    pub graceful_restart: bool,
    /// Whether IPv4 routes have an IPv6 next hop.
    pub extended_next_hop: bool,
    /// Times that it came up.
    pub established: u64,
    /// Times that it went down again.
    pub dropped: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// UPDATEs received, and not looked into.
    pub updates_in: u64,
    /// UPDATEs sent.
    pub updates_out: u64,
    /// NOTIFICATIONs received.
    pub notifications_in: u64,
    /// NOTIFICATIONs sent.
    pub notifications_out: u64,
    /// What the router was sent, in the order of prefixes.
    pub announced: Arc<[Route]>,
}

impl SessionStatus {
    pub(crate) fn new(neighbor: &Neighbor) -> Self {
        Self {
            name: neighbor.name.clone(),
            address: neighbor.address,
            peer_as: neighbor.peer_as,
            state: State::Idle,
            since_ms: now_ms(),
            why: None,
            peer_id: None,
            hold_time: None,
            keepalive: None,
            families: Families::default(),
            graceful_restart: false,
            extended_next_hop: false,
            established: 0,
            dropped: 0,
            messages_in: 0,
            messages_out: 0,
            updates_in: 0,
            updates_out: 0,
            notifications_in: 0,
            notifications_out: 0,
            announced: Arc::default(),
        }
    }

    pub(crate) fn turn(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.since_ms = now_ms();
        }
    }
}

/// Where each session puts its own.
pub(crate) type Board = watch::Sender<Arc<Vec<SessionStatus>>>;

/// Puts a session's status where all can see it.
pub(crate) fn publish(board: &Board, status: &SessionStatus) {
    board.send_if_modified(|all| {
        match all.iter().position(|one| one.address == status.address) {
            Some(place) if all[place] == *status => return false,
            Some(place) => Arc::make_mut(all)[place] = status.clone(),
            None => Arc::make_mut(all).push(status.clone()),
        }
        true
    });
}

fn now_ms() -> u64 {
    let now: Duration =
        clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since 2.6.39").into();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
