//! What BFD says of the routers, and what follows: a router that has lost this node drops its routes, and
//! may take BGP up again without BFD. It is told nothing before BFD is good again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use admin::BfdSessionStatus;
use api::{BfdState, BfdStatus};

use super::Steer;
use crate::clock::{boot, millis};

/// Routers whose session fell, and is not up again.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeSet<IpAddr>);

impl Lost {
    /// Takes in what the dataplane tells. One that was started anew has lost nothing itself.
    pub(super) fn learn(&mut self, sessions: &[BfdStatus]) {
        for session in sessions {
            match session.state {
                BfdState::Up => _ = self.0.remove(&session.remote),
                // Whoever has switched BFD off at the router says nothing of the way there (RFC 5882,
                // 4.2).
                _ if session.remote_admin_down => _ = self.0.remove(&session.remote),
                _ if session.losses > 0 => _ = self.0.insert(session.remote),
                _ => {}
            }
        }
    }

    /// The dataplane is another one than told this last. Routers that saw the end of its sessions may take
    /// BGP up again before BFD: those that go on, or come back, are told by the new one.
    pub(super) fn presume(&mut self, before: &[BfdStatus]) {
        let up = before.iter().filter(|session| session.state == BfdState::Up);
        self.0.extend(up.map(|session| session.remote));
    }

    pub(super) fn routers(&self) -> &BTreeSet<IpAddr> {
        &self.0
    }

    /// Forgets routers with which BFD is not spoken any more.
    pub(super) fn retain(&mut self, wanted: impl Fn(IpAddr) -> bool) {
        self.0.retain(|&router| wanted(router));
    }
}

impl Steer {
    /// What the dataplane tells has changed.
    pub(super) fn learn_liveness(&mut self) {
        let sessions = self.bfd.borrow_and_update().clone();
        self.lost.learn(&sessions);
    }

    /// Routers whose BFD session fell, and is not up again.
    pub(super) fn lost_routers(&mut self) -> BTreeSet<IpAddr> {
        let wanted: BTreeSet<IpAddr> = self
            .plan
            .iter()
            .flat_map(|(_, plan)| &plan.snapshot.bfd)
            .map(|session| session.remote)
            .collect();
        self.lost.retain(|router| wanted.contains(&router));
        self.lost.routers().clone()
    }

    /// What the dataplane tells of the BFD session with a router, if one is wanted.
    pub(super) fn bfd_status(&self, router: IpAddr) -> Option<BfdSessionStatus> {
        let (_, plan) = self.plan.as_ref()?;
        plan.snapshot.bfd.iter().find(|session| session.remote == router)?;
        let sessions = self.bfd.borrow();
        Some(match sessions.iter().find(|session| session.remote == router) {
            Some(session) => BfdSessionStatus {
                state: format!("{:?}", session.state),
                up: session.state == BfdState::Up,
                diagnostic: match session.held {
                    true => "held: a worker does not turn".into(),
                    false => session.diagnostic.clone(),
                },
                since_ms: millis(boot()).saturating_sub(session.since_ms),
                losses: session.losses,
                detection_ms: u32::try_from(session.detection_ms).unwrap_or(u32::MAX),
            },
            None => BfdSessionStatus {
                state: "unknown".into(),
                up: false,
                diagnostic: "the dataplane does not tell".into(),
                since_ms: 0,
                losses: 0,
                detection_ms: 0,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(state: BfdState, losses: u64) -> BfdStatus {
        BfdStatus {
            router: "r1".into(),
            remote: [192, 0, 2, 130].into(),
            state,
            diagnostic: String::new(),
            since_ms: 0,
            losses,
            interval_ms: 300,
            detection_ms: 900,
            held: false,
            remote_admin_down: false,
        }
    }

    #[test]
    fn a_router_is_lost_from_its_fall_until_it_is_up_again() {
        let mut lost = Lost::default();
        let mut learn = |state, losses| {
            lost.learn(&[session(state, losses)]);
            !lost.routers().is_empty()
        };
        // A router without BFD is no reason to announce nothing.
        assert!(!learn(BfdState::Down, 0));
        assert!(!learn(BfdState::Up, 0));
        assert!(learn(BfdState::Down, 1));
        assert!(learn(BfdState::Init, 1));
        // The dataplane was started anew.
        assert!(learn(BfdState::Down, 0));
        assert!(!learn(BfdState::Up, 0));
        // Control was.
        assert!(learn(BfdState::Down, 3));
    }

    #[test]
    fn a_router_whose_bfd_was_switched_off_is_not_lost() {
        let mut lost = Lost::default();
        lost.learn(&[session(BfdState::Down, 1)]);
        let off = BfdStatus { remote_admin_down: true, ..session(BfdState::Down, 1) };
        lost.learn(&[off]);
        assert!(lost.routers().is_empty());
    }

    #[test]
    fn a_router_that_may_have_seen_the_end_of_a_dataplane_is_lost_until_it_is_up_again() {
        let mut lost = Lost::default();
        let other = BfdStatus { remote: [192, 0, 2, 131].into(), ..session(BfdState::Down, 0) };
        lost.presume(&[session(BfdState::Up, 0), other]);
        assert_eq!(lost.routers().len(), 1);
        lost.learn(&[session(BfdState::Down, 0)]);
        assert_eq!(lost.routers().len(), 1);
        lost.learn(&[session(BfdState::Up, 0)]);
        assert!(lost.routers().is_empty());
    }

    #[test]
    fn what_is_not_watched_any_more_is_not_lost() {
        let mut lost = Lost::default();
        lost.learn(&[session(BfdState::Down, 1)]);
        lost.retain(|_| false);
        assert!(lost.routers().is_empty());
    }
}
