use super::*;

fn knowing(checks: &[&[usize]]) -> Resolvers {
    let v4 = Multi { members: members(checks), few: Few::LastKnown, ..none() };
    resolvers([Resolver::Multi(v4, none())])
}

fn given(resolvers: &Resolvers) -> Vec<u8> {
    let mut given = choose(resolvers, 0).0;
    given.sort_unstable();
    given
}

fn up(all: [bool; 3]) -> Health {
    health(&all.map(|is_up| (is_up, 9)))
}

#[test]
fn what_was_last_known_goes_on_from_state_to_state() {
    let resolvers = knowing(&[&[0], &[1], &[2]]).with_health(up([true, true, false]));
    let resolvers = resolvers.with_health(up([false, true, false]));
    assert!(!resolvers.standing(0).is_up);
    assert_eq!(given(&resolvers), [1, 2]);
    let resolvers = resolvers.with_health(up([false, true, true])).with_health(up([false; 3]));
    assert_eq!(given(&resolvers), [2, 3]);
}

#[test]
fn what_was_last_known_goes_on_after_a_reload() {
    let before = knowing(&[&[0], &[1], &[2]]).with_health(up([true, true, false]));
    let before = before.with_health(up([false; 3]));
    // There is another resolver before it now, and another address behind.
    let other = Resolver::Fixed(vec![]);
    let v4 = Multi { members: members(&[&[0], &[1], &[2], &[2]]), few: Few::LastKnown, ..none() };
    let reloaded = resolvers([Resolver::Multi(v4, none()), other]);
    let after =
        reloaded.after(&before, |number| (number == 0).then_some(0)).with_health(up([false; 3]));
    assert_eq!(given(&after), [1, 2]);
    // In either order.
    let after = reloaded.with_health(up([false; 3])).after(&before, |number| number.checked_sub(0));
    assert_eq!(given(&after), [1, 2]);
    // One that was not there knows nothing.
    let fresh = reloaded.after(&before, |_| None).with_health(up([false; 3]));
    assert_eq!(given(&fresh), [1, 2, 3, 4]);
    let fresh = reloaded.after(&before, |_| Some(7)).with_health(up([false; 3]));
    assert_eq!(given(&fresh), [1, 2, 3, 4]);
}

#[test]
fn what_was_last_known_of_weights_and_names_goes_on_too() {
    let groups = members(&[&[0], &[1], &[2]]).into_iter().map(|member| vec![(member, 1)]).collect();
    let v4 = Weighted { groups, multi: true, few: Few::LastKnown, ..weighted() };
    let all = resolvers([Resolver::Weighted(v4, weighted())]);
    let all = all.with_health(up([true, true, false])).with_health(up([false; 3]));
    assert_eq!(given(&all), [1, 2]);
    let name = |name: &str| Name::parse(name.as_bytes(), None).unwrap();
    let alias = |at, text| vec![(Member { address: name(text), checks: vec![at] }, 1)];
    let groups = vec![alias(0, "a."), alias(1, "b."), alias(2, "c.")];
    let aliases = Weighted { groups, few: Few::LastKnown, enough: 0.3, ..weighted() };
    let all = resolvers([Resolver::Aliases(aliases)]);
    let all = all.with_health(up([false, true, false])).with_health(up([false; 3]));
    for turn in 0..50 {
        let mut into = Resolved::default();
        all.resolve(0, &Question { turn, ..question() }, &mut into);
        assert_eq!(into.alias, Some(name("b.")));
    }
}
