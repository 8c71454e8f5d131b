//! The first of two, and the second while the first is down.

use super::health::{Health, Member};

/// Two addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover<A> {
    /// The one that is given.
    pub primary: Member<A>,
    /// The one that is given if that is down and this is up.
    pub secondary: Member<A>,
}

impl<A: Copy> Failover<A> {
    pub(super) fn is_up(&self, health: &Health) -> bool {
        self.primary.standing(health).is_up || self.secondary.standing(health).is_up
    }

    /// Seconds until this may change.
    pub(super) fn ttl(&self, health: &Health) -> u32 {
        self.primary.standing(health).ttl.min(self.secondary.standing(health).ttl)
    }

    /// The one that is given.
    pub(super) fn choose(&self, health: &Health) -> A {
        let is_second =
            !self.primary.standing(health).is_up && self.secondary.standing(health).is_up;
        if is_second { self.secondary.address } else { self.primary.address }
    }
}
