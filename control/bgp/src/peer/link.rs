//! A connection and its machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::adj_rib_out::AdjRibOut;
use crate::collision::{Direction, Other};
use crate::fsm::Fsm;
use crate::session::Session;
use crate::settings::Neighbor;

/// For how long they may not read, where no hold time was agreed on (RFC 9687 3).
const SEND_HOLD_TIME: Duration = Duration::from_secs(480);

/// A connection that comes so soon after another was established was opened at the same time: nobody
/// restarts in less.
const SIMULTANEOUS: Duration = Duration::from_millis(500);

/// One of a neighbor's connections, or the attempt at one.
#[derive(Debug)]
pub(super) struct Link {
    /// Who opened it.
    pub direction: Direction,
    /// Its machine.
    pub fsm: Fsm,
    /// The TCP connection, while there is one.
    pub session: Option<Session>,
    /// Since when there is one.
    pub opened: Instant,
    /// What was announced, while it is established.
    pub rib: Option<AdjRibOut>,
    /// The generation of what is wanted that was announced.
    pub told: Option<u64>,
    /// End-of-RIB was sent.
    pub end_of_rib: bool,
}

impl Link {
    /// The one that connects, unless the neighbor is passive.
    pub(super) fn own(neighbor: Arc<Neighbor>, random: fastrand::Rng) -> Self {
        let passive = neighbor.passive;
        Self::new(Direction::Outgoing, Fsm::new(neighbor, passive, random))
    }

    /// One that waits for a connection of theirs.
    pub(super) fn accepted(neighbor: Arc<Neighbor>, random: fastrand::Rng) -> Self {
        Self::new(Direction::Incoming, Fsm::new(neighbor, true, random))
    }

    fn new(direction: Direction, fsm: Fsm) -> Self {
        let opened = Instant::now();
        Self { direction, fsm, session: None, opened, rib: None, told: None, end_of_rib: false }
    }

    /// A session begins, in which nothing was said yet.
    pub(super) fn begin(&mut self, rib: AdjRibOut) {
        self.rib = Some(rib);
        self.told = None;
        self.end_of_rib = false;
    }

    /// As the other one of a collision with a connection that is there since `opened`.
    pub(super) fn as_other(&self, opened: Instant) -> Other {
        let settled = self.fsm.established().is_some_and(|since| opened > since + SIMULTANEOUS);
        Other {
            direction: self.direction,
            state: self.fsm.state(),
            simultaneous: !settled,
            restarts: self.fsm.agreed().is_some_and(|agreed| agreed.restarts),
        }
    }

    /// Whether there may be something to announce.
    pub(super) fn outdated(&self, generation: u64) -> bool {
        self.told != Some(generation) || self.rib.as_ref().is_some_and(AdjRibOut::is_asked)
    }

    /// When something has to be done, if nothing happens until then.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        [self.fsm.next_expiry(), self.send_hold()].into_iter().flatten().min()
    }

    /// Whether they have not read for too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.send_hold().is_some_and(|at| at <= now)
    }

    fn send_hold(&self) -> Option<Instant> {
        let since = self.session.as_ref()?.stalled_since()?;
        let agreed = self.fsm.agreed().map(|agreed| agreed.hold_time);
        Some(since + agreed.filter(|time| !time.is_zero()).unwrap_or(SEND_HOLD_TIME))
    }
}
