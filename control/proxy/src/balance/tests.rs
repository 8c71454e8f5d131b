use super::*;

const METHODS: [Method; 4] =
    [Method::RoundRobin, Method::LeastConnections, Method::RandomTwo, Method::Hash];

fn of_weights(weights: &[u32]) -> Vec<Candidate> {
    let candidate = |(id, &weight): (u64, &u32)| Candidate { id: id * 77 + 1, weight, busy: 0 };
    (0..).zip(weights).map(candidate).collect()
}

/// How often each is chosen in so many turns, if requests end at once.
fn counts(method: Method, candidates: &[Candidate], turns: u64) -> Vec<u64> {
    let mut balance = Balance::new(7);
    let mut counts = vec![0; candidates.len()];
    for turn in 0..turns {
        let key = (method == Method::Hash).then_some(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        counts[balance.choose(method, candidates, key).unwrap()] += 1;
    }
    counts
}

#[test]
fn nobody_is_chosen_where_nobody_has_a_weight() {
    for method in METHODS {
        let mut balance = Balance::new(7);
        assert_eq!(balance.choose(method, &[], Some(1)), None);
        assert_eq!(balance.choose(method, &of_weights(&[0, 0]), Some(1)), None);
        let one = of_weights(&[0, 3, 0]);
        assert!((0..100).all(|key| balance.choose(method, &one, Some(key)) == Some(1)));
    }
}

#[test]
fn turns_follow_the_weights_exactly_and_smoothly() {
    let candidates = of_weights(&[5, 1, 1]);
    assert_eq!(counts(Method::RoundRobin, &candidates, 7_000), [5_000, 1_000, 1_000]);
    let mut balance = Balance::new(3);
    let mut next = || balance.choose(Method::RoundRobin, &candidates, None).unwrap();
    // Whatever they begin with.
    (0..20).for_each(|_| _ = next());
    let turns: Vec<_> = (0..70).map(|_| next()).collect();
    let longest = turns.chunk_by(|a, b| a == b).map(<[_]>::len).max();
    assert!(longest <= Some(3), "{turns:?}");
}

#[test]
fn draws_and_keys_follow_the_weights() {
    let candidates = of_weights(&[6, 3, 1]);
    for (method, tolerance) in [(Method::Hash, 0.01), (Method::RandomTwo, 0.01)] {
        let counts = counts(method, &candidates, 100_000);
        for (count, weight) in counts.iter().zip([0.6, 0.3, 0.1]) {
            let share = *count as f64 / 100_000.0;
            assert!((share - weight).abs() < tolerance, "{method:?}: {counts:?}");
        }
    }
}

#[test]
fn who_is_less_busy_for_his_weight_is_preferred() {
    let mut candidates = of_weights(&[2, 1, 1]);
    for (candidate, busy) in candidates.iter_mut().zip([5, 2, 3]) {
        candidate.busy = busy;
    }
    let mut balance = Balance::new(7);
    let mut seen = [0; 3];
    for _ in 0..1_000 {
        seen[balance.choose(Method::LeastConnections, &candidates, None).unwrap()] += 1;
    }
    // (5 + 1) / 2 = (2 + 1) / 1 < (3 + 1) / 1
    assert!(seen[0] > 400 && seen[1] > 400 && seen[2] == 0, "{seen:?}");
    candidates[1].busy = 1;
    assert_eq!(balance.choose(Method::LeastConnections, &candidates, None), Some(1));
    candidates[1].busy = 100;
    let drawn =
        (0..1_000).filter(|_| balance.choose(Method::RandomTwo, &candidates, None) == Some(1));
    assert_eq!(drawn.count(), 0, "of two one is always less busy than it");
}

#[test]
fn a_key_moves_only_if_its_server_goes_or_to_one_that_comes() {
    let all = of_weights(&[1; 10]);
    let mut less = all.clone();
    less[4].weight = 0;
    let mut more = all.clone();
    more.push(Candidate { id: 4711, weight: 1, busy: 0 });
    let mut balance = Balance::new(7);
    let (mut gone, mut come) = (0, 0);
    for key in 0..10_000 {
        let mut of =
            |candidates: &[Candidate]| balance.choose(Method::Hash, candidates, Some(key)).unwrap();
        let (before, without, with) = (of(&all), of(&less), of(&more));
        assert!(without == before || before == 4, "{key}");
        assert!(with == before || with == 10, "{key}");
        gone += u32::from(before == 4);
        come += u32::from(with == 10);
    }
    assert!((900..1_100).contains(&gone) && (810..1_010).contains(&come), "{gone} {come}");
}

#[test]
fn who_is_new_does_not_get_all_of_the_next_requests() {
    let mut candidates = of_weights(&[1; 4]);
    let mut balance = Balance::new(7);
    (0..1_000).for_each(|_| _ = balance.choose(Method::RoundRobin, &candidates, None));
    candidates.push(Candidate { id: 4711, weight: 1, busy: 0 });
    let mut next = || balance.choose(Method::RoundRobin, &candidates, None).unwrap();
    let turns: Vec<_> = (0..50).map(|_| next()).collect();
    let its = turns.iter().filter(|turn| **turn == 4).count();
    assert!((8..=12).contains(&its), "{turns:?}");
    assert!(!turns.windows(2).any(|pair| pair == [4, 4]), "{turns:?}");
}
