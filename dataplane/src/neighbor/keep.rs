//! Keeps next hops resolved: what a worker forwards does not tell the kernel that they are in use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use netlink_packet_route::neighbour::NeighbourState;
use nix::errno::Errno;

use super::kernel::{Neighbor, NeighborKey, Neighbors, Resolve};
use super::netlink::{Error, Netlink};

/// Least time between two requests about one neighbor: those that fail at once would be asked for
/// again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// The next hops in use, and when each was last asked for.
pub(super) struct Keeper {
    how: Resolve,
    asked: BTreeMap<NeighborKey, Instant>,
}

impl Keeper {
    /// Keeps nothing yet.
    pub(super) fn new(how: Resolve) -> Self {
        Self { how, asked: BTreeMap::new() }
    }

    /// Has those of `wanted` resolved that need it, and lets go of those that were wanted before.
    pub(super) fn keep(
        &mut self,
        wanted: &BTreeSet<NeighborKey>,
        neighbors: &Neighbors,
        netlink: &mut Netlink,
        now: Instant,
    ) -> Result<(), Error> {
        for key in wanted {
            let is_early = self.asked.get(key).is_some_and(|last| now < *last + PAUSE);
            if is_early || !self.needs_request(neighbors.get(key)) {
                continue;
            }
            self.asked.insert(*key, now);
            self.resolve(*key, netlink)?;
        }
        let unwanted: Vec<_> = self.asked.keys().filter(|k| !wanted.contains(k)).copied().collect();
        for key in unwanted {
            self.asked.remove(&key);
            release(key, neighbors, netlink)?;
        }
        Ok(())
    }

    /// Lets go of all.
    pub(super) fn release_all(
        &mut self,
        neighbors: &Neighbors,
        netlink: &mut Netlink,
    ) -> Result<(), Error> {
        while let Some((key, _)) = self.asked.pop_first() {
            release(key, neighbors, netlink)?;
        }
        Ok(())
    }

    fn resolve(&mut self, key: NeighborKey, netlink: &mut Netlink) -> Result<(), Error> {
        match netlink.resolve(key, self.how) {
            // Linux before 5.16 does not know the attribute.
            Err(Error::Refused(Errno::EINVAL)) if self.how == Resolve::Managed => {
                tracing::info!("this kernel does not keep neighbors by itself: NTF_USE instead");
                self.how = Resolve::Once;
                self.resolve(key, netlink)
            }
            // Its interface is down, or we lack the right: routes and neighbors are followed as they are.
            Err(Error::Refused(errno)) => {
                tracing::debug!(next_hop = %key.1, error = errno.desc(), "cannot resolve");
                Ok(())
            }
            asked => asked,
        }
    }

    fn needs_request(&self, neighbor: Option<&Neighbor>) -> bool {
        let Some(neighbor) = neighbor else { return true };
        match (neighbor.state, self.how) {
            // An operator's word. A request would undo it.
            (NeighbourState::Permanent | NeighbourState::Noarp, _) => false,
            (NeighbourState::Failed | NeighbourState::None, _) => true,
            (_, Resolve::Managed) => !neighbor.is_managed,
            (state, Resolve::Once) => state == NeighbourState::Stale,
        }
    }
}

/// Ends what `Managed` began, unless someone else has.
fn release(key: NeighborKey, neighbors: &Neighbors, netlink: &mut Netlink) -> Result<(), Error> {
    if !neighbors.get(&key).is_some_and(|neighbor| neighbor.is_managed) {
        return Ok(());
    }
    match netlink.resolve(key, Resolve::Once) {
        // The interface is gone, and the neighbor with it.
        Err(Error::Refused(errno)) => {
            tracing::debug!(next_hop = %key.1, error = errno.desc(), "cannot let go");
            Ok(())
        }
        released => released,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbor_is_asked_for_when_the_kernel_would_let_it_lapse() {
        use NeighbourState as S;
        let needs = |how, state, is_managed| {
            Keeper::new(how).needs_request(Some(&Neighbor { state, mac: None, is_managed }))
        };
        for how in [Resolve::Managed, Resolve::Once] {
            assert!(Keeper::new(how).needs_request(None));
            for managed in [false, true] {
                assert!(needs(how, S::Failed, managed));
                assert!(needs(how, S::None, managed));
                assert!(!needs(how, S::Permanent, managed), "an operator's entry would be undone");
                assert!(!needs(how, S::Noarp, managed));
            }
        }
        for state in [S::Incomplete, S::Reachable, S::Stale, S::Delay, S::Probe] {
            assert!(needs(Resolve::Managed, state, false), "{state}");
            assert!(!needs(Resolve::Managed, state, true), "{state}");
            assert_eq!(needs(Resolve::Once, state, false), state == S::Stale, "{state}");
        }
    }
}
