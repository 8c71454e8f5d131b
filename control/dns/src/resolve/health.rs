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
    /// How it is. What was not checked yet is not used: nobody is told what nobody knows.
    pub(super) fn standing(&self, Health(all): &Health) -> Standing {
        self.checks.iter().fold(Standing::UNCHECKED, |worst, &check| {
            let one = all.get(check).copied().unwrap_or(Standing { is_up: false, ttl: 0 });
            Standing { is_up: worst.is_up && one.is_up, ttl: worst.ttl.min(one.ttl) }
        })
    }
}
