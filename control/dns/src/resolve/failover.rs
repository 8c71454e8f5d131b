//! The first of two, and the second while the first is down.

use super::health::{Health, Member, Standing};

/// Two addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover<A> {
    /// The one that is given.
    pub primary: Member<A>,
    /// The one that is given if that is down and this is up.
    pub secondary: Member<A>,
}

impl<A: Copy> Failover<A> {
    /// Whether either is up, until that may change.
    pub(super) fn standing(&self, health: &Health) -> Standing {
        let (first, second) = (self.primary.standing(health), self.secondary.standing(health));
        Standing { is_up: first.is_up || second.is_up, ttl: first.ttl.min(second.ttl) }
    }

    /// The one that is given.
    pub(super) fn choose(&self, health: &Health) -> A {
        let is_second =
            !self.primary.standing(health).is_up && self.secondary.standing(health).is_up;
        if is_second { self.secondary.address } else { self.primary.address }
    }
}
