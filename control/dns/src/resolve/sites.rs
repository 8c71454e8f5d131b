//! The first of several sites that is up.

use super::health::Standing;

/// Resolvers, one of each site, in the order in which they are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    /// They, by their numbers.
    pub order: Vec<usize>,
    /// The first is never given, if there are others: these are the second choice (`skip_first`).
    pub skip_first: bool,
}

impl Sites {
    /// Those that may be given, as they are wanted: their places, and their numbers.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (usize, usize)> + Clone {
        let skipped = self.order.len() - without_first(&self.order, self.skip_first).len();
        self.order.iter().copied().enumerate().skip(skipped)
    }
}

/// The same, or the same but the first, unless that is the only one.
pub(super) fn without_first<T>(order: &[T], skip_first: bool) -> &[T] {
    match order {
        [_, others @ ..] if skip_first && !others.is_empty() => others,
        all => all,
    }
}

/// How the first of several is that is up, until that may change: one after it changes nothing. If none is they are
/// not; where there are none nothing is wanted.
pub(super) fn first_up(all: impl IntoIterator<Item = Standing>) -> Standing {
    let mut so_far = Standing::UNCHECKED;
    for one in all {
        so_far = Standing { is_up: one.is_up, ttl: so_far.ttl.min(one.ttl) };
        if one.is_up {
            break;
        }
    }
    so_far
}

/// How it is if anybody wants another of several first: up if one of them is.
pub(super) fn any_up(all: impl IntoIterator<Item = Standing>) -> Standing {
    all.into_iter().fold(Standing { is_up: false, ..Standing::UNCHECKED }, |so_far, one| Standing {
        is_up: so_far.is_up || one.is_up,
        ttl: so_far.ttl.min(one.ttl),
    })
}
