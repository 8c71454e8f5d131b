//! All addresses that are up, or some of them.

use std::num::NonZeroUsize;

use super::draw::{self, Given, Secret};
use super::health::{Health, Member, Standing};
use super::pool::{Few, Poll, Pool};
use crate::answer::Question;

/// Addresses of one family, of which those that are up are given.
///
/// There are no groups in it, of which the first with somebody up is given: that is what
/// [`Sites`](super::Sites) over several of these do.
#[derive(Clone, Debug, PartialEq)]
pub struct Multi<A> {
    /// They.
    pub members: Vec<Member<A>>,
    /// The share of them that has to be up, above 0 and up to 1 (`up_thresh`).
    pub enough: f64,
    /// What is given if fewer are.
    pub few: Few,
    /// All are given, whoever is up.
    pub ignores_health: bool,
    /// No more than so many are given.
    pub most: Option<NonZeroUsize>,
    /// A client's network gets the same ones each time, in the same order; otherwise each question begins with
    /// another.
    pub sticky: bool,
}

impl<A: Copy> Multi<A> {
    /// Whether enough are up, until that may change. Of a family without members nothing is wanted.
    pub(super) fn standing(&self, health: &Health) -> Standing {
        let all = self.members.iter().map(|member| member.standing(health));
        let ttl = all.clone().map(|one| one.ttl).min().unwrap_or(u32::MAX);
        let up = all.filter(|one| one.is_up).count();
        Standing { is_up: up as f64 >= (self.enough * self.members.len() as f64).ceil(), ttl }
    }

    /// Nobody of whom anything is known.
    pub(super) fn pool(&self, secret: &Secret) -> Pool
    where
        A: Given,
    {
        Pool::new(self.members.iter().map(|member| secret.of(&member.address)))
    }

    /// How they are.
    pub(super) fn poll(&self, health: &Health) -> Poll {
        let up = self.members.iter().map(|member| member.standing(health).is_up).collect();
        let is_enough = self.standing(health).is_up;
        if self.ignores_health {
            return Poll { up, is_enough: false, few: Few::All, first: 0 };
        }
        Poll { up, is_enough, few: self.few, first: 1 }
    }

    /// Adds those that are given; how many bits of the client's network that goes by.
    pub(super) fn choose(
        &self,
        pool: &Pool,
        question: &Question,
        secret: &Secret,
        into: &mut Vec<A>,
    ) -> u8 {
        let most = self.most.map_or(usize::MAX, NonZeroUsize::get);
        let add = |at: usize| self.members.get(at).map(|member| member.address);
        if self.sticky {
            let (draw, scope) = draw::draw(question, true, secret);
            let scored = |at| Some((draw.score(pool.given(at)?, 1), at));
            let mut all: Vec<(f64, usize)> = pool.iter().filter_map(scored).collect();
            all.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
            into.extend(all.iter().take(most).filter_map(|(_, at)| add(*at)));
            return scope;
        }
        let count = pool.iter().count();
        let turned = pool.iter().cycle().skip(draw::begin(question.turn, count));
        into.extend(turned.take(count.min(most)).filter_map(add));
        0
    }
}
