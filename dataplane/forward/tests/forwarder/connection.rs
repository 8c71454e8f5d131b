//! Flows stay with their nodes, and leave them when they should.

use std::time::Duration;

use api::{Release, State};
use forward::{Counter, Flow, Tick, Verdict};
use packet::{protocol, tcp};

use crate::harness::*;

const SECOND: Duration = Duration::from_secs(1);

/// Opens each flow by SYN and ACK, and says which node has it.
fn open(l4: &mut L4, flows: Vec<Flow>) -> Vec<(Flow, u16)> {
    let mut opened = Vec::new();
    for flow in flows {
        let node = l4.node_of(&flow, tcp::SYN);
        assert_eq!(l4.node_of(&flow, tcp::ACK), node);
        opened.push((flow, node));
    }
    opened
}

/// Those whose row another node owns by now.
fn moved(l4: &L4, flows: Vec<(Flow, u16)>) -> Vec<(Flow, u16)> {
    let moved: Vec<_> =
        flows.into_iter().filter(|(flow, node)| l4.row_owner(flow) != Some(*node)).collect();
    assert!(moved.len() > 10, "too few rows have moved for a test");
    moved
}

/// Open flows whose rows have moved to other nodes since.
fn moved_flows() -> (L4, Vec<(Flow, u16)>) {
    let mut l4 = L4::new(&site(3));
    let flows = open(&mut l4, flows(60));
    l4.apply(&site(6));
    let flows = moved(&l4, flows);
    (l4, flows)
}

#[test]
fn new_flows_are_spread_over_the_nodes_by_their_rows() {
    let mut l4 = L4::new(&site(4));
    let mut flows_of = [0; 5];
    for flow in flows(400) {
        let owner = l4.row_owner(&flow).unwrap();
        assert_eq!(l4.node_of(&flow, tcp::SYN), owner);
        flows_of[usize::from(owner)] += 1;
    }
    assert!(flows_of[1..].iter().all(|&n| (150..250).contains(&n)), "{flows_of:?}");
}

#[test]
fn a_connection_keeps_its_node_when_nodes_come_and_go() {
    let mut l4 = L4::new(&site(6));
    let flows = open(&mut l4, flows(100));
    let mut changed = site(9);
    for node in [1, 2] {
        set(&mut changed, node, State::Drain, Release::Never);
    }
    l4.apply(&changed);
    moved(&l4, flows.clone());
    for (flow, node) in flows {
        assert_eq!(l4.node_of(&flow, tcp::ACK), node);
    }
    assert_eq!(l4.count(Counter::Rescheduled), 0);
}

#[test]
fn a_node_that_is_not_up_gets_no_new_flows_and_keeps_its_own() {
    for state in [State::Joining, State::Drain, State::Maintenance, State::Down] {
        let mut l4 = L4::new(&site(3));
        let known = open(&mut l4, flows(50));
        let mut changed = site(3);
        set(&mut changed, 2, state, Release::Never);
        l4.apply(&changed);
        for (flow, node) in known {
            assert_eq!(l4.node_of(&flow, tcp::ACK), node, "{state:?}");
        }
        for i in 1000..1100 {
            assert_ne!(l4.node_of(&flow4(i), tcp::SYN), 2, "{state:?}");
        }
    }
}

#[test]
fn a_node_without_weight_gets_no_new_flows_and_keeps_its_own() {
    let mut l4 = L4::new(&site(2));
    let known = open(&mut l4, flows(50));
    let mut changed = site(2);
    changed.services[0].nodes[0].weight = 0;
    l4.apply(&changed);
    for (flow, node) in known {
        assert_eq!(l4.node_of(&flow, tcp::ACK), node);
    }
    assert!((1000..1100).all(|i| l4.node_of(&flow4(i), tcp::SYN) == 2));
}

#[test]
fn flows_leave_a_node_at_the_tick_of_its_release_and_not_before() {
    for state in [State::Down, State::Maintenance] {
        let mut l4 = L4::new(&site(3));
        let known = open(&mut l4, flows(50));
        // In the middle of a tick: they go at the next.
        let release = l4.millis() + 40 * Tick::MILLIS + 100;
        let last = l4.millis() + 41 * Tick::MILLIS - 1;
        let mut changed = site(3);
        set(&mut changed, 2, state, Release::At(release));
        l4.apply(&changed);

        l4.pass_until(last);
        for (flow, node) in &known {
            assert_eq!(l4.node_of(flow, tcp::ACK), *node, "{state:?}");
        }
        assert_eq!(l4.count(Counter::Rescheduled), 0);
        l4.pass_until(last + 1);
        let of_two = known.iter().filter(|(_, node)| *node == 2).count();
        for (flow, node) in &known {
            let expected = if *node == 2 { l4.row_owner(flow).unwrap() } else { *node };
            assert_eq!(l4.node_of(flow, tcp::ACK), expected, "{state:?}");
            assert_eq!(l4.node_of(flow, tcp::ACK), expected, "where it went it stays");
        }
        assert_eq!(l4.count(Counter::Rescheduled), of_two as u64);

        // The node comes back: what went stays away.
        l4.apply(&site(3));
        for (flow, node) in known.iter().filter(|(_, node)| *node == 2) {
            assert_ne!(l4.node_of(flow, tcp::ACK), *node);
        }
    }
}

#[test]
fn flows_of_a_node_that_is_gone_from_the_service_go_at_once() {
    let mut l4 = L4::new(&site(3));
    let known = open(&mut l4, flows(50));
    let mut changed = site(3);
    changed.services[0].nodes.retain(|member| member.node != 2);
    l4.apply(&changed);
    for (flow, node) in known {
        let expected = if node == 2 { l4.row_owner(&flow).unwrap() } else { node };
        assert_eq!(l4.node_of(&flow, tcp::ACK), expected);
    }
}

#[test]
fn a_retransmitted_syn_follows_the_first() {
    let mut l4 = L4::new(&site(3));
    let known: Vec<_> =
        flows(60).into_iter().map(|flow| (flow, l4.node_of(&flow, tcp::SYN))).collect();
    l4.apply(&site(6));
    l4.pass(3 * SECOND);
    for (flow, node) in moved(&l4, known) {
        assert_eq!(l4.node_of(&flow, tcp::SYN), node);
    }
    assert_eq!(l4.count(Counter::NewFlow), 120);
}

#[test]
fn a_spoofed_syn_neither_moves_nor_refreshes_a_flow() {
    let (mut l4, flows) = moved_flows();
    let open = Duration::from_secs(site(1).idle.open.into());
    l4.pass(open - SECOND);
    for (flow, node) in &flows {
        assert_eq!(l4.node_of(flow, tcp::SYN), *node, "it does not move");
    }
    l4.pass(2 * SECOND);
    for (flow, node) in &flows {
        assert_ne!(l4.node_of(flow, tcp::ACK), *node, "it is as old as its last data");
    }
}

#[test]
fn a_flow_is_forgotten_after_the_idle_time_of_its_state() {
    let idle = site(1).idle;
    for (flags, seconds) in [
        (&[tcp::SYN][..], idle.embryonic),
        (&[tcp::ACK], idle.open),
        (&[tcp::SYN, tcp::ACK], idle.open),
        (&[tcp::ACK, tcp::FIN | tcp::ACK], idle.closing),
        (&[tcp::ACK, tcp::RST], idle.closing),
    ] {
        for (after, stays) in [(seconds - 1, true), (seconds + 1, false)] {
            let mut l4 = L4::new(&site(3));
            let mut known = Vec::new();
            for flow in flows(40) {
                let nodes: Vec<_> = flags.iter().map(|&flags| l4.node_of(&flow, flags)).collect();
                known.push((flow, nodes[0]));
            }
            l4.apply(&site(6));
            l4.pass(SECOND * after);
            for (flow, node) in moved(&l4, known) {
                assert_eq!(l4.node_of(&flow, tcp::ACK) == node, stays, "{flags:?} {after}");
            }
        }
    }
}

#[test]
fn a_port_used_again_after_fin_is_a_new_flow() {
    for end in [tcp::FIN | tcp::ACK, tcp::RST] {
        let (mut l4, flows) = moved_flows();
        for (flow, node) in flows {
            assert_eq!(l4.node_of(&flow, end), node);
            let owner = l4.row_owner(&flow).unwrap();
            assert_eq!(l4.node_of(&flow, tcp::SYN), owner);
            assert_eq!(l4.node_of(&flow, tcp::ACK), owner);
        }
    }
}

#[test]
fn a_forged_rst_does_not_break_a_flow() {
    let (mut l4, flows) = moved_flows();
    for (flow, node) in &flows {
        assert_eq!(l4.node_of(flow, tcp::RST), *node);
    }
    let closing = Duration::from_secs(site(1).idle.closing.into());
    for _ in 0..5 {
        l4.pass(closing - SECOND);
        for (flow, node) in &flows {
            assert_eq!(l4.node_of(flow, tcp::ACK), *node);
        }
    }
}

#[test]
fn a_half_closed_flow_keeps_its_node() {
    let (mut l4, flows) = moved_flows();
    for (flow, node) in &flows {
        assert_eq!(l4.node_of(flow, tcp::FIN | tcp::ACK), *node);
    }
    for _ in 0..60 {
        l4.pass(60 * SECOND);
        for (flow, node) in &flows {
            assert_eq!(l4.node_of(flow, tcp::ACK), *node);
        }
    }
}

#[test]
fn a_reset_of_an_unknown_flow_follows_its_row_and_is_not_recorded() {
    let mut l4 = L4::new(&site(3));
    for flow in flows(20) {
        let owner = l4.row_owner(&flow).unwrap();
        assert_eq!(l4.node_of(&flow, tcp::RST), owner);
    }
    assert_eq!((l4.connections(), l4.count(Counter::NewFlow)), (0, 0));
}

#[test]
fn data_of_an_unknown_flow_is_scheduled_and_recorded() {
    let mut l4 = L4::new(&site(3));
    let mut known = Vec::new();
    for flow in flows(60) {
        let owner = l4.row_owner(&flow).unwrap();
        assert_eq!(l4.node_of(&flow, tcp::ACK), owner);
        known.push((flow, owner));
    }
    l4.apply(&site(6));
    for (flow, node) in moved(&l4, known) {
        assert_eq!(l4.node_of(&flow, tcp::ACK), node);
    }
}

#[test]
fn udp_flows_are_remembered_as_long_as_datagrams_come() {
    let sized = |nodes| {
        let mut site = site(nodes);
        site.services[0].protocol = api::Protocol::Udp;
        site
    };
    let mut l4 = L4::new(&sized(3));
    let known: Vec<_> = flows(60)
        .into_iter()
        .map(|flow| Flow { protocol: protocol::UDP, ..flow })
        .map(|flow| (flow, l4.send(datagram(&flow, b"ping")).node()))
        .collect();
    l4.apply(&sized(6));
    let known = moved(&l4, known);
    let idle = u64::from(site(1).idle.udp);
    for _ in 0..3 {
        l4.pass(Duration::from_secs(idle - 1));
        for (flow, node) in &known {
            assert_eq!(l4.send(datagram(flow, b"ping")).node(), *node);
        }
    }
    l4.pass(Duration::from_secs(idle + 1));
    for (flow, _) in &known {
        let owner = l4.row_owner(flow).unwrap();
        assert_eq!(l4.send(datagram(flow, b"ping")).node(), owner);
    }
}

#[test]
fn a_service_that_does_not_track_records_nothing() {
    let sized = |nodes| {
        let mut site = site(nodes);
        site.services[0].track = false;
        site
    };
    let mut l4 = L4::new(&sized(3));
    for nodes in [3, 6] {
        l4.apply(&sized(nodes));
        for flow in flows(50) {
            let owner = l4.row_owner(&flow).unwrap();
            for flags in [tcp::SYN, tcp::ACK] {
                assert_eq!(l4.node_of(&flow, flags), owner);
            }
        }
    }
    assert_eq!((l4.connections(), l4.count(Counter::NewFlow)), (0, 0));
}

#[test]
fn without_a_node_new_flows_are_dropped_and_known_ones_stay() {
    let mut l4 = L4::new(&site(2));
    let known = open(&mut l4, flows(20));
    let mut changed = site(2);
    for node in [1, 2] {
        set(&mut changed, node, State::Drain, Release::Never);
    }
    l4.apply(&changed);
    for (flow, node) in known {
        assert_eq!(l4.node_of(&flow, tcp::ACK), node);
    }
    let sent = l4.send(segment(&flow4(1000), tcp::SYN));
    assert_eq!(sent.verdict, Verdict::Drop(Counter::NoNode));
    assert_eq!(l4.count(Counter::NoNode), 1);
}

#[test]
fn a_flow_whose_service_has_another_name_now_keeps_its_node() {
    let mut l4 = L4::new(&site(3));
    let known = open(&mut l4, flows(60));
    let mut renamed = site(6);
    renamed.services[0].name = "shop".into();
    l4.apply(&renamed);
    moved(&l4, known.clone());
    for (flow, node) in &known {
        // It is told before it happens, and is as true afterwards.
        let told = |l4: &L4| l4.explain(flow).node;
        assert_eq!(told(&l4), Some(format!("l7-{node}")));
        assert_eq!(l4.node_of(flow, tcp::ACK), *node);
        assert_eq!(told(&l4), Some(format!("l7-{node}")));
    }
    let connections =
        |l4: &L4, name, nodes| (1..=nodes).map(|n| l4.traffic(name, n).connections).sum::<u64>();
    assert_eq!((connections(&l4, "web", 3), connections(&l4, "shop", 6)), (0, 120));
    assert_eq!(l4.count(Counter::NewFlow), 120);
}

#[test]
fn a_flow_whose_renamed_service_has_lost_its_node_is_explained_as_unknown() {
    let mut l4 = L4::new(&site(3));
    let known = open(&mut l4, flows(60));
    let mut renamed = site(3);
    renamed.services[0].name = "shop".into();
    renamed.services[0].nodes.retain(|member| member.node != 2);
    l4.apply(&renamed);
    for (flow, node) in &known {
        let told = l4.explain(flow);
        assert_eq!(told.known.is_some(), *node != 2);
        assert_eq!(told.node, Some(format!("l7-{}", l4.node_of(flow, tcp::ACK))));
    }
}

#[test]
fn a_flow_that_its_node_released_needs_no_leave_to_be_recorded_anew() {
    let mut capped = site(3);
    capped.limits.insertions = api::Rate { per_second: 1, burst: 20 };
    let mut l4 = L4::new(&capped);
    let known = open(&mut l4, flows(10));
    let release = Release::At(l4.millis());
    set(&mut capped, 2, State::Down, release);
    l4.apply(&capped);
    l4.pass(Duration::from_millis(Tick::MILLIS));
    for (flow, node) in &known {
        let expected = if *node == 2 { l4.row_owner(flow).unwrap() } else { *node };
        assert_eq!(l4.node_of(flow, tcp::ACK), expected);
    }
    assert!(l4.count(Counter::Rescheduled) > 0);
    assert_eq!((l4.count(Counter::InsertionCap), l4.connections()), (0, 20));
}
