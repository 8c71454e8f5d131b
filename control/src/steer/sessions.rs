//! How this node speaks with its routers, for the status.

use std::net::IpAddr;

use admin::{KeptBack, RouteStatus, RouterStatus, SessionStatus};
use bgp::{Attributes, Route, SessionState};

use super::Steer;
use crate::announce::Told;
use crate::clock::{boot, millis};
use crate::neighbors::speakers;

impl Steer {
    /// Every router that this node speaks with.
    pub(super) fn router_status(&self) -> Vec<RouterStatus> {
        let sessions = self.routes.sessions();
        let config = &self.site.config;
        let own = self.site.own();
        speakers(config, own)
            .map(|(router, peer)| RouterStatus {
                name: router.name.clone(),
                sessions: peer
                    .sessions
                    .iter()
                    .map(|session| {
                        let found = sessions.iter().find(|one| one.address == session.address);
                        self.session(session.address, peer, found)
                    })
                    .collect(),
            })
            .collect()
    }

    fn session(
        &self,
        address: IpAddr,
        peer: &config::Peer,
        found: Option<&bgp::SessionStatus>,
    ) -> SessionStatus {
        let (peer_as, internal) = (peer.peer_as, peer.peer_as == peer.local_as);
        let kept_back = match self.routes.told(address) {
            Some(Told { kept_back, .. }) => kept_back
                .iter()
                .map(|(prefix, why)| KeptBack { prefix: prefix.to_string(), why: why.clone() })
                .collect(),
            None => Vec::new(),
        };
        let Some(found) = found else {
            return SessionStatus {
                address,
                peer_as,
                state: format!("{:?}", SessionState::Idle),
                up: false,
                since_ms: 0,
                why: Some(self.why_not(address, peer)),
                hold_time_s: None,
                keepalive_s: None,
                router_id: None,
                graceful_restart: false,
                established: 0,
                dropped: 0,
                messages_in: 0,
                messages_out: 0,
                updates_out: 0,
                notifications_in: 0,
                notifications_out: 0,
                announced: Vec::new(),
                kept_back,
                bfd: self.bfd_status(address),
            };
        };
        SessionStatus {
            address,
            peer_as,
            state: format!("{:?}", found.state),
            up: found.state == SessionState::Established,
            since_ms: millis(boot().saturating_sub(found.since)),
            why: found.why.clone(),
            hold_time_s: found.hold_time.map(|time| time.as_secs()),
            keepalive_s: found.keepalive_time.map(|time| time.as_secs()),
            router_id: found.peer_id.map(|id| id.to_string()),
            graceful_restart: found.graceful_restart,
            established: found.established,
            dropped: found.dropped,
            messages_in: found.counters.messages_in,
            messages_out: found.counters.messages_out,
            updates_out: found.counters.updates_out,
            notifications_in: found.counters.notifications_in,
            notifications_out: found.counters.notifications_out,
            announced: found.announced.iter().map(|one| route(one, internal)).collect(),
            kept_back,
            bfd: self.bfd_status(address),
        }
    }

    /// Why there is no session with a router at all.
    fn why_not(&self, address: IpAddr, peer: &config::Peer) -> String {
        let own = self.site.own();
        if let Some(why) = &self.routes.mute {
            return why.clone();
        }
        if let Some(why) = self.links.why_not(peer, address) {
            return why;
        }
        if own.addresses.iter().all(|own| own.is_ipv4() != address.is_ipv4()) {
            return format!("{} has no address of its family", own.name);
        }
        "no dataplane was found yet".into()
    }
}

/// LOCAL_PREF goes over iBGP alone, a longer path over eBGP alone.
fn route(route: &Route, internal: bool) -> RouteStatus {
    let Attributes { med, local_pref, prepend, communities, large_communities } =
        &*route.attributes;
    let community = |&one: &u32| format!("{}:{}", one >> 16, one & 0xffff);
    let large = |(a, b, c): &(u32, u32, u32)| format!("{a}:{b}:{c}");
    RouteStatus {
        prefix: route.prefix.to_string(),
        med: *med,
        local_preference: local_pref.filter(|_| internal),
        prepend: if internal { 0 } else { *prepend },
        communities: communities.iter().map(community).collect(),
        large_communities: large_communities.iter().map(large).collect(),
    }
}
