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
    Multi { members: vec![], enough: 0.5, few: Few::All, ignores_health: false }
}

fn multi(few: Few, enough: f64, ignores_health: bool) -> Resolvers {
    let members = members(&[&[0], &[1, 2], &[3]]);
    Resolvers::new(
        [Resolver::Multi(Multi { members, enough, few, ignores_health }, none())],
        Health::default(),
    )
    .unwrap()
}

#[test]
fn all_that_are_up_are_given_in_turn_for_as_long_as_the_shortest_of_them() {
    let resolvers = multi(Few::All, 0.5, false);
    let well = resolvers.with_health(health(&[(true, 50), (true, 40), (true, 30), (true, 60)]));
    assert_eq!(choose(&well, 0), (vec![1, 2, 3], 30));
    assert_eq!(choose(&well, 1), (vec![2, 3, 1], 30));
    assert_eq!(choose(&well, 5), (vec![3, 1, 2], 30));
    // One of its two checks is enough to lose it.
    let ill = resolvers.with_health(health(&[(true, 50), (true, 40), (false, 9), (true, 60)]));
    assert_eq!(choose(&ill, 1), (vec![3, 1], 9));
    assert!(ill.standing(0).is_up);
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
    let resolvers = multi(Few::Nothing, 0.1, false);
    assert_eq!(choose(&resolvers, 0), (vec![], 0));
    assert_eq!(choose(&Resolvers::default(), 0), (vec![], u32::MAX));
    // What nobody checks is there for ever.
    let members = members(&[&[]]);
    let always = Multi { members, ..none() };
    let resolvers = Resolvers::new([Resolver::Multi(always, none())], Health::default()).unwrap();
    assert_eq!(choose(&resolvers, 0), (vec![1], u32::MAX));
}

#[test]
fn the_second_is_given_while_the_first_is_down_and_it_is_not() {
    let [primary, secondary]: [_; 2] = members(&[&[0], &[1]]).try_into().unwrap();
    let pair = Failover { primary, secondary };
    let resolvers =
        Resolvers::new([Resolver::Failover(Some(pair), None)], Health::default()).unwrap();
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
        let resolvers = Resolvers::new([Resolver::Reflect(reflect)], Health::default()).unwrap();
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

/// Two sites of one address each, and those who choose the first that is up.
fn sites(skip_first: bool) -> Resolvers {
    let site = |check: usize| {
        let members = members(&[&[][..]; 4])[check..=check].to_vec();
        let members = members.into_iter().map(|it| Member { checks: vec![check], ..it }).collect();
        Resolver::Multi(Multi { members, ..none() }, none())
    };
    let order = Sites { order: vec![0, 1, 2], skip_first };
    let all = [site(0), site(1), site(2), Resolver::Sites(order)];
    Resolvers::new(all, Health::default()).unwrap()
}

#[test]
fn the_first_site_that_is_up_is_given() {
    for (up, given, is_up, ttl) in [
        ([true, true, true], 1, true, 30),
        ([false, true, true], 2, true, 20),
        ([false, false, true], 3, true, 10),
        ([false, false, false], 1, false, 10),
    ] {
        let health = health(&[(up[0], 30), (up[1], 20), (up[2], 10)]);
        let resolvers = sites(false).with_health(health.clone());
        let mut into = Resolved::default();
        resolvers.resolve(3, &question(), &mut into);
        assert_eq!((into.v4[0].octets()[3], into.ttl), (given, ttl), "{up:?}");
        assert_eq!(resolvers.standing(3), Standing { is_up, ttl });
        let skipping = sites(true).with_health(health);
        skipping.resolve(3, &question(), &mut into);
        assert_eq!(into.v4[0].octets()[3], if is_up { given } else { 2 });
    }
}

#[test]
fn resolvers_that_ask_each_other_are_refused() {
    let asking =
        |order: &[usize]| Resolver::Sites(Sites { order: order.to_vec(), skip_first: false });
    let refused = |all: Vec<Resolver>| Resolvers::new(all, Health::default()).unwrap_err();
    assert_eq!(refused(vec![asking(&[0])]), Circular(0, 0));
    assert_eq!(refused(vec![asking(&[]), asking(&[0, 2]), asking(&[1])]), Circular(1, 2));
    let nobody = Resolvers::new([asking(&[])], Health::default()).unwrap();
    assert_eq!(choose(&nobody, 0), (vec![], u32::MAX));
}
