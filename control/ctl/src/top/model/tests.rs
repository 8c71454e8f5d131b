use api::{MemberStats, NodeStats, ServiceStats, WorkerStats};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Counters after so many rounds of the same traffic: 1000 packets of 100 bytes to l7-1, a quarter of
/// that to l7-2, which drains; 60 packets are dropped.
pub(in crate::top) fn stats(rounds: u64) -> Stats {
    let traffic = |share: u64| Traffic {
        packets: share * rounds,
        bytes: 100 * share * rounds,
        new_flows: share / 10 * rounds,
        connections: share,
    };
    let member = |node: &str, state, share| MemberStats {
        node: node.into(),
        states: vec![state],
        traffic: traffic(share),
    };
    let node = |name: &str, index, reachable: &[bool], share| NodeStats {
        name: name.into(),
        index,
        reachable: reachable.to_vec(),
        traffic: traffic(share),
    };
    let count = |name: &str, number: u64| (name.to_string(), number * rounds);
    let counters: BTreeMap<_, _> = [
        count("received", 1_310),
        count("forwarded", 1_250),
        count("drop_no_service", 50),
        count("drop_malformed", 10),
        ("drop_no_node".into(), 7),
        ("drop_too_big".into(), 0),
    ]
    .into();
    Stats {
        generation: Some(42),
        uptime_ms: 3_600_000 + 1_000 * rounds,
        counters: counters.clone(),
        workers: vec![
            WorkerStats { cpu: 2, counters, connections: 500, capacity: 1_000, ..<_>::default() },
            WorkerStats { cpu: 3, heartbeat_ms: 5_000, ..<_>::default() },
        ],
        services: vec![ServiceStats {
            name: "web".into(),
            total: traffic(1_250),
            tables: vec![],
            nodes: vec![member("l7-1", State::Up, 1_000), member("l7-2", State::Drain, 250)],
        }],
        nodes: vec![
            node("l7-1", 1, &[true, true], 1_000),
            node("l7-2", 2, &[true], 250),
            node("l7-3", 3, &[true, false], 0),
        ],
        ports: vec![],
    }
}

pub(in crate::top) fn sample(stats: Stats) -> Sample {
    Sample { stats: Ok(stats), status: Err("is palier-control running?".into()) }
}

pub(in crate::top) fn away() -> Sample {
    Sample { stats: Err("gone".into()), status: Err("gone too".into()) }
}

#[test]
fn rates_are_what_happened_in_a_second() {
    let mut model = Model::default();
    model.observe(SECOND, sample(stats(10)));
    assert!(model.rates.is_none(), "one sample is no rate");
    // Twice the traffic in twice the time.
    model.observe(3 * SECOND, sample(stats(12)));
    let rates = model.rates.unwrap();
    assert_eq!(rates.received, 1_310.0);
    let total = Flow { packets: 1_250.0, bits: 1_000_000.0, new_flows: 125.0, connections: 1_250 };
    assert_eq!(rates.total, total);
    assert_eq!(rates.services[0].flow, total);
    assert_eq!(rates.dropped, 60.0);
    let expected = [
        ("drop_no_service".to_string(), 50.0, 600),
        ("drop_malformed".into(), 10.0, 120),
        ("drop_no_node".into(), 0.0, 7),
    ];
    assert_eq!(rates.drops, expected, "those that drop most first, and none that never did");
    assert_eq!(rates.workers[0].dropped, 60.0);
    assert_eq!(rates.workers[0].table, (500, 1_000));
}

#[test]
fn the_worst_of_a_nodes_states_is_shown_unreachable_above_all() {
    let mut model = Model::default();
    model.observe(SECOND, sample(stats(1)));
    model.observe(2 * SECOND, sample(stats(2)));
    let rates = model.rates.unwrap();
    let states: Vec<_> = rates.nodes.iter().map(|node| node.state.1.as_str()).collect();
    assert_eq!(states, ["up", "drain", "unreachable"]);
    assert_eq!(rates.services[0].state, (true, "1/2 up".into()));
}

#[test]
fn a_restarted_dataplane_has_no_rates_until_its_second_sample() {
    let mut model = Model::default();
    model.observe(SECOND, sample(stats(10)));
    model.observe(2 * SECOND, sample(stats(11)));
    model.observe(3 * SECOND, sample(stats(2)));
    assert!(model.rates.is_none());
    model.observe(4 * SECOND, sample(stats(3)));
    assert_eq!(model.rates.unwrap().received, 1_310.0);
}

#[test]
fn what_goes_away_is_told_and_comes_back() {
    let mut model = Model::default();
    model.observe(SECOND, sample(stats(10)));
    model.observe(2 * SECOND, away());
    assert_eq!(model.dataplane_away.as_deref(), Some("gone"));
    assert_eq!(model.control_away.as_deref(), Some("gone too"));
    model.observe(3 * SECOND, sample(stats(12)));
    assert!(model.dataplane_away.is_none() && model.rates.is_none());
    model.observe(4 * SECOND, sample(stats(13)));
    assert!(model.rates.is_some());
}
