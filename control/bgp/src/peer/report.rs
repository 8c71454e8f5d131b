//! How a peer is, for the board.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::Peer;
use crate::fsm::Agreed;
use crate::status::{SessionState, SessionStatus};

impl Peer {
    /// Writes the status down.
    pub(super) fn show(&mut self) {
        let furthest = self.links.iter().max_by_key(|link| link.fsm.state());
        let link = furthest.expect("the own link is always there");
        let state = link.fsm.state();
        if self.shown.0 != state {
            self.shown = (state, boottime());
        }
        if link.rib.is_none() && !self.announced.is_empty() {
            self.announced = [].into();
        }
        let agreed = link.fsm.agreed();
        let established = state == SessionState::Established;
        let status = SessionStatus {
            neighbor: self.neighbor.name.clone(),
            address: self.neighbor.address,
            state,
            since: self.shown.1,
            why: if established { None } else { self.why() },
            peer_as: self.neighbor.peer_as,
            peer_id: agreed.map(|agreed| agreed.id).filter(|id| *id != Ipv4Addr::UNSPECIFIED),
            hold_time: agreed.map(|agreed| agreed.hold_time),
            keepalive_time: agreed.map(Agreed::keepalive_time),
            families: agreed.map(|agreed| agreed.families).unwrap_or_default(),
            graceful_restart: agreed.is_some_and(|agreed| agreed.graceful_restart),
            route_refresh: agreed.is_some_and(|agreed| agreed.route_refresh),
            extended_next_hop: agreed.is_some_and(|agreed| agreed.extended_next_hop),
            established: self.established,
            dropped: self.dropped,
            counters: self.counters,
            announced: Arc::clone(&self.announced),
            withheld: if established { self.withheld } else { 0 },
        };
        self.board.set_status(&self.id, Some(status));
    }

    fn why(&self) -> Option<String> {
        let why = self.why.as_ref()?;
        // Their packets come and ours do not arrive: a router with TTL security drops them unseen.
        if self.silences >= 2 && !self.neighbor.ttl_security {
            return Some(format!("{why}, again and again: does the router want TTL security?"));
        }
        Some(why.to_string())
    }
}

/// CLOCK_BOOTTIME, which counts suspension.
pub(super) fn boottime() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since 2.6.39").into()
}
