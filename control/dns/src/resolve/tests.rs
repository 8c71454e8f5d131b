mod known;
mod sites;
mod sticky;

use std::num::NonZeroUsize;

use super::*;
use crate::message::Subnet;

fn question() -> Question {
    Question { asker: [192, 0, 2, 77].into(), told: None, turn: 0 }
}

/// Members whose checks are these, with addresses that end in 1, 2, ...
fn members(checks: &[&[usize]]) -> Vec<Member<Ipv4Addr>> {
    let member = |(last, checks): (u8, &&[usize])| Member {
        address: Ipv4Addr::new(198, 51, 100, last),
        checks: checks.to_vec(),
    };
    (1..).zip(checks).map(member).collect()
}

fn health(all: &[(bool, u32)]) -> Health {
    Health(all.iter().map(|&(is_up, ttl)| Standing { is_up, ttl }).collect())
}

/// The last bytes of the addresses that are given, and for how long.
fn choose(resolvers: &Resolvers, turn: u32) -> (Vec<u8>, u32) {
    let mut resolved = Resolved::default();
    resolvers.resolve(0, &Question { turn, ..question() }, &mut resolved);
    (resolved.v4.iter().map(|address| address.octets()[3]).collect(), resolved.ttl)
}

fn none<A>() -> Multi<A> {
    Multi {
        members: vec![],
        enough: 0.5,
        few: Few::All,
        ignores_health: false,
        most: None,
        sticky: false,
    }
}

fn weighted<A>() -> Weighted<A> {
    Weighted { groups: vec![], multi: false, enough: 0.5, few: Few::All, most: None, sticky: false }
}

fn resolvers(all: impl IntoIterator<Item = Resolver>) -> Resolvers {
    Resolvers::new(all, Secret::default(), Health::default()).unwrap()
}

fn multi(few: Few, enough: f64, ignores_health: bool) -> Resolvers {
    let members = members(&[&[0], &[1, 2], &[3]]);
    let v4 = Multi { members, enough, few, ignores_health, ..none() };
    resolvers([Resolver::Multi(v4, none())])
}

#[test]
fn all_that_are_up_are_given_in_turn_for_as_long_as_the_shortest_of_them() {
    let resolvers = multi(Few::All, 0.5, false);
    let well = resolvers.with_health(health(&[(true, 50), (true, 40), (true, 30), (true, 60)]));
    let turns = [[1, 2, 3], [2, 3, 1], [3, 1, 2]];
    for turn in 0..20 {
        let (given, ttl) = choose(&well, turn);
        assert_eq!((&given[..], ttl), (&turns[usize::from(given[0]) - 1][..], 30));
    }
    // One of its two checks is enough to lose it.
    let ill = resolvers.with_health(health(&[(true, 50), (true, 40), (false, 9), (true, 60)]));
    // Those that are left come first equally often.
    let firsts: Vec<u8> = (0..100).map(|turn| choose(&ill, turn).0[0]).collect();
    let ones = firsts.iter().filter(|first| **first == 1).count();
    assert!((49..=51).contains(&ones), "{ones}");
    assert!(firsts.iter().all(|first| [1, 3].contains(first)));
    assert!(ill.standing(0).is_up && choose(&ill, 0).1 == 9);
}

#[test]
fn no_more_are_given_than_asked_for_and_each_as_often() {
    let v4 = Multi { members: members(&[&[][..]; 3]), most: NonZeroUsize::new(2), ..none() };
    let resolvers = resolvers([Resolver::Multi(v4, none())]);
    let mut counts = [0; 4];
    for turn in 0..300 {
        let given = choose(&resolvers, turn).0;
        assert!(given.len() == 2 && given[0] != given[1]);
        given.into_iter().for_each(|one| counts[usize::from(one)] += 1);
    }
    assert!(counts[1..].iter().all(|count| (198..=202).contains(count)), "{counts:?}");
}

#[test]
fn while_too_few_are_up_what_was_asked_for_is_given() {
    let one = health(&[(true, 9), (false, 9), (true, 9), (false, 9)]);
    let nobody = health(&[(false, 9); 4]);
    for (few, of_one, of_none) in [
        (Few::All, &[1, 2, 3][..], &[1, 2, 3][..]),
        (Few::Up, &[1], &[]),
        (Few::Nothing, &[], &[]),
        (Few::First, &[1], &[1]),
        (Few::LastKnown, &[1, 2, 3], &[1, 2, 3]),
    ] {
        let resolvers = multi(few, 0.5, false);
        for (health, expected) in [(&one, of_one), (&nobody, of_none)] {
            let resolvers = resolvers.with_health(health.clone());
            assert_eq!(choose(&resolvers, 0).0, expected, "{few:?}");
            assert!(!resolvers.standing(0).is_up, "{few:?}: one of three is less than half");
        }
    }
    // A third is enough where a third is asked for, and all are given where health counts for nothing.
    let third = multi(Few::Nothing, 0.33, false).with_health(one.clone());
    assert!(third.standing(0).is_up && choose(&third, 0).0 == [1]);
    let ignoring = multi(Few::Nothing, 0.5, true).with_health(one);
    assert!(!ignoring.standing(0).is_up && choose(&ignoring, 0).0 == [1, 2, 3]);
}

#[test]
fn nothing_is_given_that_was_not_checked() {
    let unknown = multi(Few::Nothing, 0.1, false);
    assert_eq!(choose(&unknown, 0), (vec![], 0));
    assert_eq!(choose(&Resolvers::default(), 0), (vec![], u32::MAX));
    // What nobody checks is there for ever.
    let members = members(&[&[]]);
    let always = Multi { members, ..none() };
    let always = resolvers([Resolver::Multi(always, none())]);
    assert_eq!(choose(&always, 0), (vec![1], u32::MAX));
}

#[test]
fn the_second_is_given_while_the_first_is_down_and_it_is_not() {
    let [primary, secondary]: [_; 2] = members(&[&[0], &[1]]).try_into().unwrap();
    let pair = Failover { primary, secondary };
    let resolvers = resolvers([Resolver::Failover(Some(pair), None)]);
    for (first, second, given, is_up) in [
        (true, true, 1, true),
        (true, false, 1, true),
        (false, true, 2, true),
        (false, false, 1, false),
    ] {
        let resolvers = resolvers.with_health(health(&[(first, 20), (second, 10)]));
        assert_eq!(
            (choose(&resolvers, 0), resolvers.standing(0).is_up),
            ((vec![given], 10), is_up)
        );
    }
}

#[test]
fn askers_are_shown_to_themselves() {
    let address: IpAddr = "2001:db8::".parse().unwrap();
    let told = Question { told: Some(Subnet { address, length: 48 }), ..question() };
    let zero = IpAddr::from([0, 0, 0, 0]);
    for (name, without, with, scope) in [
        ("dns", vec![question().asker], vec![question().asker], 0),
        ("edns", vec![zero], vec![address], 48),
        ("both", vec![question().asker], vec![question().asker, address], 48),
        ("best", vec![question().asker], vec![address], 48),
        ("", vec![question().asker], vec![address], 48),
    ] {
        let reflect = Reflect::parse(name).unwrap();
        let resolvers = resolvers([Resolver::Reflect(reflect)]);
        for (question, expected, scope) in [(question(), without, 0), (told, with, scope)] {
            let mut into = Resolved::default();
            resolvers.resolve(0, &question, &mut into);
            let v4 = into.v4.into_iter().map(IpAddr::V4);
            let all: Vec<IpAddr> = v4.chain(into.v6.into_iter().map(IpAddr::V6)).collect();
            assert_eq!((all, into.scope), (expected, scope), "{name}");
        }
    }
    assert_eq!(Reflect::parse("other"), None);
}
