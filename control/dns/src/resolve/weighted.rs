//! Some of several, the likelier the more weight they have.

use std::num::NonZeroUsize;

use super::draw::{Draw, Given, Purpose, Secret};
use super::health::{Health, Member, Standing};
use super::pool::{Few, Poll, Pool};

/// Members of one kind with weights, in groups.
///
/// gdnsd has four cases. Of one group in which all weigh against each other each member is a group here.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted<A> {
    /// They, and their weights: 1 to 2^20 - 1.
    pub groups: Vec<Vec<(Member<A>, u32)>>,
    /// Of several groups each is asked for one member, instead of one group for several members.
    pub multi: bool,
    /// The share of all weight that has to be up, above 0 and up to 1 (`up_thresh`).
    pub enough: f64,
    /// Among whom is chosen if less is: of [`Few::First`] those of the first group.
    pub few: Few,
    /// No more than so many are given.
    pub most: Option<NonZeroUsize>,
    /// A client's network gets the same ones each time. When one goes only those move that had it; but of those
    /// that are given beside others, which weigh against the heaviest, some come or go with that.
    pub sticky: bool,
}

impl<A> Weighted<A> {
    fn members(&self) -> impl Iterator<Item = &(Member<A>, u32)> {
        self.groups.iter().flatten()
    }

    /// Whether so much weight is up that the rest does not count, until that may change.
    pub(super) fn standing(&self, health: &Health) -> Standing {
        let (mut all, mut up, mut ttl) = (0_u64, 0_u64, u32::MAX);
        for (member, weight) in self.members() {
            let standing = member.standing(health);
            all += u64::from(*weight);
            up += if standing.is_up { u64::from(*weight) } else { 0 };
            ttl = ttl.min(standing.ttl);
        }
        Standing { is_up: up as f64 >= (self.enough * all as f64).ceil(), ttl }
    }

    /// Nobody of whom anything is known.
    pub(super) fn pool(&self, secret: &Secret) -> Pool
    where
        A: Given,
    {
        Pool::new(self.members().map(|(member, _)| secret.of(&member.address)))
    }

    /// How they are.
    pub(super) fn poll(&self, health: &Health) -> Poll {
        let up = self.members().map(|(member, _)| member.standing(health).is_up).collect();
        let first = self.groups.first().map_or(0, Vec::len);
        Poll { up, is_enough: self.standing(health).is_up, few: self.few, first }
    }

    /// Gives those that are chosen among a pool of these, the likeliest first.
    pub(super) fn choose(&self, pool: &Pool, draw: Draw, mut give: impl FnMut(&A)) {
        let mut first = 0;
        let groups = self.groups.iter().map(|members| {
            let group = Group { members, first, pool, draw };
            first += members.len();
            group
        });
        let mut chosen: Vec<(f64, &A)> = if self.multi {
            let groups: Vec<_> = groups.collect();
            let heaviest = groups.iter().map(Group::weight).max().unwrap_or(0);
            groups.iter().filter_map(|group| group.one_if_drawn(heaviest)).collect()
        } else {
            // The group of who is the first of all is the likelier the more its members weigh.
            let scored = groups.filter_map(|group| Some((group.first()?.0, group)));
            let drawn = scored.min_by(|(one, _), (other, _)| one.total_cmp(other));
            match drawn {
                Some((_, Group { members: [(only, _)], .. })) => return give(&only.address),
                Some((_, group)) => group.some(),
                None => return,
            }
        };
        chosen.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
        let most = self.most.map_or(usize::MAX, NonZeroUsize::get);
        chosen.iter().take(most).for_each(|(_, address)| give(address));
    }
}

/// A group, for one question.
struct Group<'g, A> {
    members: &'g [(Member<A>, u32)],
    /// The place of its first member among those of all groups.
    first: usize,
    pool: &'g Pool,
    draw: Draw,
}

impl<'g, A> Group<'g, A> {
    /// Those that count: their numbers, weights and addresses.
    fn iter(&self) -> impl Iterator<Item = (u64, u64, &'g A)> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(at, (member, weight))| {
            Some((self.pool.given(self.first + at)?, u64::from(*weight), &member.address))
        })
    }

    fn weight(&self) -> u64 {
        self.iter().map(|(_, weight, _)| weight).sum()
    }

    /// Whoever is first of them.
    fn first(&self) -> Option<(f64, &'g A)> {
        let scored = self.iter().map(|(number, weight, it)| (self.draw.score(number, weight), it));
        scored.min_by(|(one, _), (other, _)| one.total_cmp(other))
    }

    /// Some of them, each by its share of the heaviest's weight: that one always.
    fn some(&self) -> Vec<(f64, &'g A)> {
        let heaviest = self.iter().map(|(_, weight, _)| weight).max().unwrap_or(0);
        let drawn = self.iter().filter(|(number, weight, _)| {
            self.draw.part(*number, Purpose::Beside) * heaviest as f64 <= *weight as f64
        });
        drawn.map(|(number, weight, it)| (self.draw.score(number, weight), it)).collect()
    }

    /// One of them, by the share of the heaviest group's weight that they have.
    fn one_if_drawn(&self, heaviest: u64) -> Option<(f64, &'g A)> {
        // Not its first member's, which has a draw of its own.
        let (number, weight) = (!self.pool.number(self.first)?, self.weight());
        let (_, one) = self.first()?;
        let is_drawn = self.draw.part(number, Purpose::Beside) * heaviest as f64 <= weight as f64;
        is_drawn.then(|| (self.draw.score(number, weight), one))
    }
}

#[cfg(test)]
mod tests;
