//! The first of several sites that is up.

use super::health::Standing;

/// Resolvers, one of each site, in the order in which they are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    /// They, by their numbers.
    pub order: Vec<usize>,
    /// While nobody is up the second is given: the first is there for good times (`skip_first`).
    pub skip_first: bool,
}

impl Sites {
    /// The one that is given, and whether it is up, until that may change. One after those that are looked at
    /// changes nothing.
    pub(super) fn choose(&self, standing: impl Fn(usize) -> Standing) -> (Option<usize>, Standing) {
        let mut ttl = u32::MAX;
        for &site in &self.order {
            let one = standing(site);
            ttl = ttl.min(one.ttl);
            if one.is_up {
                return (Some(site), Standing { is_up: true, ttl });
            }
        }
        let last = self.order.get(usize::from(self.skip_first)).or_else(|| self.order.first());
        (last.copied(), Standing { is_up: false, ttl })
    }
}
