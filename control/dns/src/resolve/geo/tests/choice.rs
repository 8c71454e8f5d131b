use super::*;
use crate::answer::{Resolve as _, Resolved};
use crate::message::Subnet;
use crate::resolve::{Failover, Health, Member, Resolver, Resolvers, Secret, Sites, Standing};

/// Three datacenters of one address each, whose checks have their numbers, and what chooses among them.
fn resolvers(choosing: impl IntoIterator<Item = Resolver>) -> Resolvers {
    let site = |check: usize| {
        let address = [10, 0, 0, check as u8].into();
        let member = Member { address, checks: vec![check] };
        Resolver::Failover(Some(Failover { primary: member.clone(), secondary: member }), None)
    };
    let all = (0..3).map(site).chain(choosing);
    Resolvers::new(all, Secret::default(), health([true; 3])).unwrap()
}

fn health(up: [bool; 3]) -> Health {
    let ttls = [30, 20, 10];
    Health(up.into_iter().zip(ttls).map(|(is_up, ttl)| Standing { is_up, ttl }).collect())
}

fn geo() -> Geo {
    let places = [("EU", these(&[0, 1])), ("NA", these(&[1, 0, 2])), ("AS", these(&[]))];
    let map = Arc::new(Map::new(&plan(&places), database(&cities(24))).unwrap());
    Geo { datacenters: vec![0, 1, 2], map, ignores_ecs: false, skip_first: false }
}

/// Which datacenter is given, for how long, and for how much of what was told.
fn ask(
    resolvers: &Resolvers,
    number: usize,
    asker: &str,
    told: Option<(&str, u8)>,
) -> (Option<u8>, u32, u8) {
    let subnet =
        |(address, length): (&str, u8)| Subnet { address: address.parse().unwrap(), length };
    let asker = asker.parse().unwrap();
    let question = Question { asker, told: told.map(subnet), turn: 0 };
    let mut into = Resolved::default();
    resolvers.resolve(number, &question, &mut into);
    (into.v4.first().map(|address| address.octets()[3]), into.ttl, into.scope)
}

const FRENCH: &str = "192.0.2.77";
const AMERICAN: &str = "198.51.100.1";

#[test]
fn the_first_that_is_up_of_those_that_the_client_wants_is_given_or_else_the_first() {
    let resolvers = resolvers([Resolver::Geo(geo())]);
    for (up, french, american) in [
        ([true, true, true], (0, 30), (1, 20)),
        ([false, true, true], (1, 20), (1, 20)),
        ([true, false, true], (0, 30), (0, 20)),
        ([true, false, false], (0, 30), (0, 20)),
        ([false, false, true], (0, 20), (2, 10)),
        ([false, false, false], (0, 20), (1, 10)),
    ] {
        let resolvers = resolvers.with_health(health(up));
        for (asker, (given, ttl)) in [(FRENCH, french), (AMERICAN, american)] {
            assert_eq!(ask(&resolvers, 3, asker, None), (Some(given), ttl, 0), "{up:?} {asker}");
        }
        assert_eq!(resolvers.standing(3), Standing { is_up: up.contains(&true), ttl: 10 });
    }
    // Asians are to have nothing, and whoever is unknown wants somebody who is not there.
    assert_eq!(ask(&resolvers, 3, "2001:db8:8000::1", None), (None, u32::MAX, 0));
    assert_eq!(ask(&resolvers, 3, "10.0.0.1", None), (None, u32::MAX, 0));
}

#[test]
fn clients_are_where_they_are_told_to_be() {
    let believing = Resolver::Geo(geo());
    let ignoring = Resolver::Geo(Geo { ignores_ecs: true, ..geo() });
    let resolvers = resolvers([believing, ignoring]);
    let told = Some(("198.51.100.0", 24));
    assert_eq!(ask(&resolvers, 3, FRENCH, told), (Some(1), 20, 25));
    assert_eq!(ask(&resolvers, 4, FRENCH, told), (Some(0), 30, 0));
    assert_eq!(ask(&resolvers, 3, AMERICAN, Some(("2001:db8::", 48))), (Some(0), 30, 36));
    assert_eq!(ask(&resolvers, 3, AMERICAN, Some(("2002:c000:24d::", 48))), (Some(0), 30, 40));
}

#[test]
fn the_second_choice_is_never_the_first_unless_there_is_no_other() {
    let nearest = |list: &[usize]| {
        let plan = Plan { unknown: list.to_vec(), ..Plan::default() };
        let map = Arc::new(Map::new(&plan, None).unwrap());
        Resolver::Geo(Geo { map, skip_first: true, ..geo() })
    };
    let resolvers = resolvers([nearest(&[0, 1]), nearest(&[0]), nearest(&[])]);
    for (up, given) in [([true; 3], 1), ([true, false, true], 1), ([false; 3], 1)] {
        let resolvers = resolvers.with_health(health(up));
        assert_eq!(ask(&resolvers, 3, FRENCH, None).0, Some(given), "{up:?}");
        assert_eq!(ask(&resolvers, 4, FRENCH, None).0, Some(0));
        assert_eq!(ask(&resolvers, 5, FRENCH, None).0, None);
    }
}

#[test]
fn whoever_asks_a_map_fails_over_for_those_whose_datacenters_are_down() {
    let spare = Resolver::Fixed(vec![[10, 0, 0, 99].into()]);
    let first = Resolver::Sites(Sites { order: vec![3, 4], skip_first: false });
    let resolvers = resolvers([Resolver::Geo(geo()), spare, first]);
    let resolvers = resolvers.with_health(health([false, false, true]));
    // Americans want the third, too.
    assert_eq!(ask(&resolvers, 5, AMERICAN, None), (Some(2), 10, 0));
    let told = Some((FRENCH, 32));
    assert_eq!(ask(&resolvers, 5, FRENCH, told), (Some(99), 20, 24));
}

#[test]
fn what_operators_say_of_a_datacenter_counts_wherever_it_is_wanted() {
    let down = Standing { is_up: false, ttl: u32::MAX };
    let resolvers = resolvers([Resolver::Geo(geo())]).with_forced([((3, 0), down)]);
    assert_eq!(ask(&resolvers, 3, FRENCH, None), (Some(1), 20, 0));
    assert_eq!(ask(&resolvers, 3, AMERICAN, None), (Some(1), 20, 0));
    let all = [0, 1, 2].map(|place| ((3, place), down));
    assert!(!resolvers.with_forced(all).standing(3).is_up);
}

#[test]
fn a_map_that_asks_later_resolvers_is_refused() {
    let all = [Resolver::Geo(geo())];
    let refused = Resolvers::new(all, Secret::default(), Health::default()).unwrap_err();
    assert_eq!(refused.to_string(), "resolver 0 asks resolver 0, which is not before it");
}
