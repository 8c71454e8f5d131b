use super::*;

/// Two sites of one address each, and those who choose the first that is up.
fn sites(skip_first: bool) -> Resolvers {
    let site = |check: usize| {
        let members = members(&[&[][..]; 4])[check..=check].to_vec();
        let members = members.into_iter().map(|it| Member { checks: vec![check], ..it }).collect();
        Resolver::Multi(Multi { members, ..none() }, none())
    };
    let order = Sites { order: vec![0, 1, 2], skip_first };
    let all = [site(0), site(1), site(2), Resolver::Sites(order)];
    resolvers(all)
}

#[test]
fn the_first_site_that_is_up_is_given() {
    for (up, given, is_up, ttl) in [
        ([true, true, true], 1, true, 20),
        ([false, true, true], 2, true, 10),
        ([false, false, true], 3, true, 10),
        ([false, false, false], 1, false, 10),
    ] {
        let health = health(&[(up[0], 20), (up[1], 10), (up[2], 30)]);
        let resolvers = sites(false).with_health(health.clone());
        let mut into = Resolved::default();
        resolvers.resolve(3, &question(), &mut into);
        assert_eq!((into.v4[0].octets()[3], into.ttl), (given, ttl), "{up:?}");
        assert_eq!(resolvers.standing(3), Standing { is_up, ttl });
        let skipping = sites(true).with_health(health);
        // The first is never given: as if it were not there.
        skipping.resolve(3, &question(), &mut into);
        let expected = if up[1] || !up[2] { 2 } else { 3 };
        let is_up = up[1] || up[2];
        assert_eq!((into.v4[0].octets()[3], skipping.standing(3).is_up), (expected, is_up));
    }
}

#[test]
fn an_only_site_is_not_skipped() {
    let one = Sites { order: vec![0], skip_first: true };
    let resolvers = resolvers([Resolver::Fixed(vec![[192, 0, 2, 1].into()]), Resolver::Sites(one)]);
    let mut into = Resolved::default();
    resolvers.resolve(1, &question(), &mut into);
    assert_eq!(into.v4, [Ipv4Addr::new(192, 0, 2, 1)]);
}

#[test]
fn resolvers_that_ask_each_other_are_refused() {
    let asking =
        |order: &[usize]| Resolver::Sites(Sites { order: order.to_vec(), skip_first: false });
    let refused =
        |all: Vec<Resolver>| Resolvers::new(all, Secret::default(), Health::default()).unwrap_err();
    assert_eq!(refused(vec![asking(&[0])]), Circular(0, 0));
    assert_eq!(refused(vec![asking(&[]), asking(&[0, 2]), asking(&[1])]), Circular(1, 2));
    let nobody = resolvers([asking(&[])]);
    assert_eq!(choose(&nobody, 0), (vec![], u32::MAX));
}

#[test]
fn what_operators_say_of_a_site_counts_and_not_what_it_has() {
    let given = |resolvers: &Resolvers| {
        let mut into = Resolved::default();
        resolvers.resolve(3, &question(), &mut into);
        (into.v4[0].octets()[3], into.ttl, resolvers.standing(3).is_up)
    };
    let well = sites(false).with_health(health(&[(true, 20), (true, 10), (true, 30)]));
    assert_eq!(given(&well), (1, 20, true));
    let up = |ttl| Standing { is_up: true, ttl };
    let down = |ttl| Standing { is_up: false, ttl };
    let moved = well.with_forced([((3, 0), down(u32::MAX))]);
    assert_eq!(given(&moved), (2, 10, true));
    // Of another resolver.
    assert_eq!(given(&well.with_forced([((2, 0), down(1))])), (1, 20, true));
    let all = [0, 1, 2].map(|place| ((3, place), down(7)));
    assert_eq!(given(&well.with_forced(all)), (1, 7, false));
    // What is down is up all the same, until that is taken back.
    let ill = moved.with_health(health(&[(false, 20), (false, 10), (false, 30)]));
    assert_eq!(given(&ill), (1, 10, false));
    let forced = ill.with_forced([((3, 1), up(5))]);
    assert_eq!(given(&forced), (2, 5, true));
    assert_eq!(given(&forced.with_forced([])), (1, 10, false));
}
