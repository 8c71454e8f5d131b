//! Some of several, the likelier the more weight they have.

use super::health::{Health, Member, Standing};

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
}

/// Numbers of no secret, from a seed (SplitMix64: Steele, Lea and Flood, 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below this, which is not 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * u128::from(limit)) >> 64) as u64
    }
}

impl<A> Weighted<A> {
    fn members(&self) -> impl Iterator<Item = &(Member<A>, u32)> {
        self.groups.iter().flatten()
    }

    /// Whether so much weight is up that the rest does not count, until that may change.
    pub(super) fn standing(&self, health: &Health) -> Standing {
        let all: u64 = self.members().map(|(_, weight)| u64::from(*weight)).sum();
        let up: u64 = self.members().map(|member| weigh(member, health, false)).sum();
        let ttls = self.members().map(|(member, _)| member.standing(health).ttl);
        let ttl = ttls.min().unwrap_or(u32::MAX);
        Standing { is_up: up as f64 >= (self.enough * all as f64).ceil(), ttl }
    }

    /// Gives those that are chosen.
    pub(super) fn choose(&self, health: &Health, random: &mut Random, mut give: impl FnMut(&A)) {
        // Where too much is down all count as up.
        let all = !self.standing(health).is_up;
        let group = |group: &[(Member<A>, u32)]| -> u64 {
            group.iter().map(|member| weigh(member, health, all)).sum()
        };
        let member = |member: &(Member<A>, u32)| weigh(member, health, all);
        if self.multi {
            some(
                &self.groups,
                |it| group(it),
                random,
                |group, random| {
                    if let Some((member, _)) = one(group, member, random) {
                        give(&member.address);
                    }
                },
            );
        } else if let Some(group) = one(&self.groups, |it| group(it), random) {
            some(group, member, random, |(member, _), _| give(&member.address));
        }
    }
}

/// What a member weighs now.
fn weigh<A>((member, weight): &(Member<A>, u32), health: &Health, all: bool) -> u64 {
    let Standing { is_up, .. } = member.standing(health);
    if is_up || all { u64::from(*weight) } else { 0 }
}

/// One of several, by its share of all weight; none if there is no weight.
fn one<'a, T>(all: &'a [T], weigh: impl Fn(&T) -> u64, random: &mut Random) -> Option<&'a T> {
    let total: u64 = all.iter().map(&weigh).sum();
    let mut chosen = random.below(total.max(1));
    all.iter().find(|one| {
        let weight = weigh(one);
        let is_chosen = chosen < weight;
        chosen = chosen.saturating_sub(weight);
        is_chosen
    })
}

/// Some of several, each by its share of the heaviest's weight: that one always.
fn some<T>(
    all: &[T],
    weigh: impl Fn(&T) -> u64,
    random: &mut Random,
    mut give: impl FnMut(&T, &mut Random),
) {
    let heaviest = all.iter().map(&weigh).max().unwrap_or(0).max(1);
    for one in all {
        if random.below(heaviest) < weigh(one) {
            give(one, random);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: u64 = 100_000;

    fn members(weights: &[u32], first: usize) -> Vec<(Member<usize>, u32)> {
        let member = |(at, &weight): (usize, &u32)| {
            (Member { address: first + at, checks: vec![first + at] }, weight)
        };
        weights.iter().enumerate().map(member).collect()
    }

    /// Each a group of its own.
    fn ungrouped(weights: &[u32], multi: bool) -> Weighted<usize> {
        let groups = members(weights, 0).into_iter().map(|it| vec![it]).collect();
        Weighted { groups, multi, enough: 0.5 }
    }

    fn health(up: &[bool]) -> Health {
        Health(up.iter().map(|&is_up| Standing { is_up, ttl: 9 }).collect())
    }

    /// Of a hundred, how often each is given, but for one: chance has its share. And how many are, at least and
    /// at most.
    fn assert_odds(
        weighted: &Weighted<usize>,
        up: &[bool],
        odds: &[u64],
        least: usize,
        most: usize,
    ) {
        let (found, fewest, greatest) = count(weighted, up);
        assert!(found.iter().zip(odds).all(|(one, other)| one.abs_diff(*other) <= 1), "{found:?}");
        assert_eq!((fewest, greatest), (least, most));
    }

    fn count(weighted: &Weighted<usize>, up: &[bool]) -> (Vec<u64>, usize, usize) {
        let (health, mut all) = (health(up), vec![0; up.len()]);
        let (mut least, mut most) = (usize::MAX, 0);
        for turn in 0..TURNS {
            let mut count = 0;
            weighted.choose(&health, &mut Random(turn), |at| {
                all[*at] += 1;
                count += 1;
            });
            (least, most) = (least.min(count), most.max(count));
        }
        let percent = |count: u64| (count * 100 + TURNS / 2) / TURNS;
        (all.into_iter().map(percent).collect(), least, most)
    }

    /// The examples of gdnsd's manual.
    #[test]
    fn one_is_given_by_its_share_of_all_weight() {
        let single = ungrouped(&[45, 60, 75], false);
        assert_odds(&single, &[true; 3], &[25, 33, 42], 1, 1);
        assert_odds(&single, &[false, true, true], &[0, 44, 56], 1, 1);
        // Less than half of all weight: as if all were up.
        assert_odds(&single, &[false, false, true], &[25, 33, 42], 1, 1);
        assert!(!single.standing(&health(&[false, false, true])).is_up);
        assert_odds(&single, &[false; 3], &[25, 33, 42], 1, 1);
    }

    #[test]
    fn some_are_given_by_their_share_of_the_heaviest() {
        let multi = ungrouped(&[45, 60, 60], true);
        assert_odds(&multi, &[true; 3], &[75, 100, 100], 2, 3);
        assert_odds(&multi, &[true, true, false], &[75, 100, 0], 1, 2);
        let five = ungrouped(&[30, 30, 30, 20, 20], true);
        assert_odds(&five, &[true; 5], &[100, 100, 100, 67, 67], 3, 5);
    }

    #[test]
    fn groups_are_weighed_before_their_members() {
        let groups = vec![members(&[10, 20, 30], 0), members(&[10, 20, 30], 3)];
        let single = Weighted { groups, multi: false, enough: 0.5 };
        assert_odds(&single, &[true; 6], &[17, 33, 50, 17, 33, 50], 1, 3);
        let up = [true, true, true, true, true, false];
        // 60 of 90 and 30 of 90; within the second 10 of 20 and 20 of 20.
        assert_odds(&single, &up, &[22, 45, 67, 17, 33, 0], 1, 3);
        let multi = Weighted { multi: true, ..single };
        assert_odds(&multi, &[true; 6], &[17, 33, 50, 17, 33, 50], 2, 2);
        assert_odds(&multi, &up, &[17, 33, 50, 17, 33, 0], 1, 2);
    }

    #[test]
    fn what_changes_first_decides_how_long_it_holds() {
        let weighted = ungrouped(&[1, 2], false);
        let standing = |ttl| Standing { is_up: true, ttl };
        assert_eq!(weighted.standing(&Health(vec![standing(30), standing(20)])).ttl, 20);
        let nobody = Weighted::<usize> { groups: vec![], multi: false, enough: 0.5 };
        assert_eq!(nobody.standing(&Health::default()), Standing::UNCHECKED);
        nobody.choose(&Health::default(), &mut Random(1), |_| panic!("there is nobody"));
    }
}
