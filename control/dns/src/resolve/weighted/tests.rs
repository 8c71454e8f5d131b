use std::net::Ipv4Addr;

use super::*;

const TURNS: u64 = 100_000;

fn member(last: usize, weight: u32) -> (Member<Ipv4Addr>, u32) {
    let address = Ipv4Addr::new(198, 51, 100, last as u8);
    (Member { address, checks: vec![last] }, weight)
}

fn members(weights: &[u32], first: usize) -> Vec<(Member<Ipv4Addr>, u32)> {
    (first..).zip(weights).map(|(last, &weight)| member(last, weight)).collect()
}

fn grouped(groups: Vec<Vec<(Member<Ipv4Addr>, u32)>>, multi: bool) -> Weighted<Ipv4Addr> {
    Weighted { groups, multi, enough: 0.5, few: Few::All, most: None, sticky: false }
}

/// Each a group of its own.
fn ungrouped(weights: &[u32], multi: bool) -> Weighted<Ipv4Addr> {
    grouped(members(weights, 0).into_iter().map(|it| vec![it]).collect(), multi)
}

fn health(up: &[bool]) -> Health {
    Health(up.iter().map(|&is_up| Standing { is_up, ttl: 9 }).collect())
}

fn pool(weighted: &Weighted<Ipv4Addr>, up: &[bool]) -> Pool {
    weighted.pool(&Secret::default()).next(weighted.poll(&health(up)))
}

fn draws() -> impl Iterator<Item = Draw> {
    (0..TURNS as u32).map(Draw::by_chance)
}

/// Those that are given, by their places.
fn chosen(weighted: &Weighted<Ipv4Addr>, pool: &Pool, draw: Draw) -> Vec<usize> {
    let mut all = Vec::new();
    weighted.choose(pool, draw, |address| all.push(address.octets()[3].into()));
    all
}

/// Of a hundred, how often each is given, but for one: chance has its share. And how many are, at least and
/// at most.
fn assert_odds(
    weighted: &Weighted<Ipv4Addr>,
    up: &[bool],
    odds: &[u64],
    least: usize,
    most: usize,
) {
    let (found, fewest, greatest) = count(weighted, up);
    assert!(found.iter().zip(odds).all(|(one, other)| one.abs_diff(*other) <= 1), "{found:?}");
    assert_eq!((fewest, greatest), (least, most));
}

fn count(weighted: &Weighted<Ipv4Addr>, up: &[bool]) -> (Vec<u64>, usize, usize) {
    let (pool, mut all) = (pool(weighted, up), vec![0; up.len()]);
    let (mut least, mut most) = (usize::MAX, 0);
    for draw in draws() {
        let chosen = chosen(weighted, &pool, draw);
        (least, most) = (least.min(chosen.len()), most.max(chosen.len()));
        chosen.into_iter().for_each(|at| all[at] += 1);
    }
    (all.into_iter().map(percent).collect(), least, most)
}

fn percent(count: u64) -> u64 {
    (count * 100 + TURNS / 2) / TURNS
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
    let single = grouped(groups, false);
    assert_odds(&single, &[true; 6], &[17, 33, 50, 17, 33, 50], 1, 3);
    let up = [true, true, true, true, true, false];
    // 60 of 90 and 30 of 90; within the second 10 of 20 and 20 of 20.
    assert_odds(&single, &up, &[22, 45, 67, 17, 33, 0], 1, 3);
    let multi = Weighted { multi: true, ..single };
    assert_odds(&multi, &[true; 6], &[17, 33, 50, 17, 33, 50], 2, 2);
    assert_odds(&multi, &up, &[17, 33, 50, 17, 33, 0], 1, 2);
}

#[test]
fn no_more_are_given_than_asked_for() {
    let two = |weighted| Weighted { most: NonZeroUsize::new(2), ..weighted };
    // Of three that are always given each is left out once in three times.
    let multi = two(ungrouped(&[60, 60, 60], true));
    assert_odds(&multi, &[true; 3], &[67, 67, 67], 2, 2);
    // Which of a group is given has nothing to do with which groups are.
    let groups = [0, 2, 4].map(|first| members(&[10, 30], first)).to_vec();
    let of_groups = two(grouped(groups, true));
    assert_odds(&of_groups, &[true; 6], &[17, 50, 17, 50, 17, 50], 2, 2);
    let single =
        Weighted { most: NonZeroUsize::new(1), ..grouped(vec![members(&[5, 5], 0)], false) };
    assert_odds(&single, &[true; 2], &[50, 50], 1, 1);
}

#[test]
fn the_heavier_is_the_likelier_to_come_first() {
    let multi = ungrouped(&[10, 30], true);
    let pool = pool(&multi, &[true; 2]);
    let first = draws().filter(|draw| chosen(&multi, &pool, *draw)[0] == 1).count() as u64;
    // A third of the questions get both; of those 3 of 4 get it first.
    assert!(percent(first).abs_diff(92) <= 1, "{first}");
}

#[test]
fn while_too_little_is_up_what_was_asked_for_is_chosen_among() {
    let groups = vec![members(&[10, 10], 0), members(&[30], 2)];
    let up = [true, false, false];
    for (few, odds) in [
        (Few::All, [40, 40, 60]),
        (Few::Up, [100, 0, 0]),
        (Few::Nothing, [0, 0, 0]),
        (Few::First, [100, 100, 0]),
        (Few::LastKnown, [40, 40, 60]),
    ] {
        let weighted = Weighted { few, ..grouped(groups.clone(), false) };
        let (found, ..) = count(&weighted, &up);
        assert!(
            found.iter().zip(odds).all(|(one, odds)| one.abs_diff(odds) <= 1),
            "{few:?} {found:?}"
        );
        assert!(!weighted.standing(&health(&up)).is_up);
    }
}

#[test]
fn when_one_goes_only_those_move_that_had_it() {
    let groups = vec![members(&[10, 20, 10], 0), members(&[15, 15], 3), members(&[50], 5)];
    let single = grouped(groups, false);
    let before = pool(&single, &[true; 6]);
    let after = pool(&single, &[true, false, true, true, true, true]);
    let mut had = 0;
    for draw in draws() {
        let [before, after] = [&before, &after].map(|pool| chosen(&single, pool, draw));
        assert!(!after.contains(&1) && !after.is_empty());
        if before.contains(&1) {
            had += 1;
        } else {
            assert_eq!(before, after);
        }
    }
    // 40 of 120: it is its group's heaviest.
    assert!(percent(had).abs_diff(33) <= 1, "{had}");
    // Of several groups only its own is given less often.
    let multi = Weighted { multi: true, ..single };
    for draw in draws() {
        let others = |pool| -> Vec<usize> {
            chosen(&multi, pool, draw).into_iter().filter(|&at| at > 2).collect()
        };
        assert_eq!(others(&before), others(&after));
    }
}

#[test]
fn what_changes_first_decides_how_long_it_holds() {
    let weighted = ungrouped(&[1, 2], false);
    let standing = |ttl| Standing { is_up: true, ttl };
    assert_eq!(weighted.standing(&Health(vec![standing(30), standing(20)])).ttl, 20);
    let nobody = grouped(vec![], false);
    assert_eq!(nobody.standing(&Health::default()), Standing::UNCHECKED);
    assert_eq!(chosen(&nobody, &pool(&nobody, &[]), Draw::by_chance(1)), [0; 0]);
}
