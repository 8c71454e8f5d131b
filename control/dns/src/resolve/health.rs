//! How those that resolvers choose among are.

/// What is thought of something that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It may be used.
    pub is_up: bool,
    /// Seconds until something else may be thought of it, at the earliest.
    pub ttl: u32,
}

impl Standing {
    /// Of what nobody checks.
    pub const UNCHECKED: Self = Self { is_up: true, ttl: u32::MAX };
    /// Of what was not checked yet: it is not used, as nobody is told what nobody knows.
    pub const UNKNOWN: Self = Self { is_up: false, ttl: 0 };

    /// As bad as the worse of both, for as long as the shorter.
    pub(super) fn and(self, other: Self) -> Self {
        Self { is_up: self.is_up && other.is_up, ttl: self.ttl.min(other.ttl) }
    }
}

/// What is thought of each thing that is checked, by its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health(pub Vec<Standing>);

/// An address among those that a resolver has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<A> {
    /// It.
    pub address: A,
    /// Numbers of its checks: it is as bad as the worst of them, for as long as the shortest.
    pub checks: Vec<usize>,
}

impl<A> Member<A> {
    /// How it is.
    pub(super) fn standing(&self, Health(all): &Health) -> Standing {
        let one = |check: &usize| all.get(*check).copied().unwrap_or(Standing::UNKNOWN);
        self.checks.iter().map(one).fold(Standing::UNCHECKED, Standing::and)
    }
}
