//! Workers ask each other for connections, but only where a row alone could be wrong.

use std::time::Duration;

use api::{Release, State};
use forward::{Counter, Flow, Tick};
use packet::tcp;

use crate::harness::*;
use crate::icmp::error_about;

/// An L4 node of three workers that has run for longer than anything is remembered.
fn settled(nodes: u16) -> L4 {
    let mut l4 = L4::with_workers(3, &site(nodes));
    l4.pass(site(nodes).idle.longest() + Duration::from_secs(1));
    l4
}

/// Sends a segment by a worker: to which node?
fn by(l4: &mut L4, worker: usize, flow: &Flow, flags: u8) -> u16 {
    l4.send_by(worker, segment(flow, flags)).node()
}

/// Flows that the first worker has, open, and whose rows then moved to other nodes.
fn moved(l4: &mut L4) -> Vec<(Flow, u16)> {
    let opened: Vec<_> =
        flows(60).into_iter().map(|flow| (flow, by(l4, 0, &flow, tcp::ACK))).collect();
    l4.apply(&site(6));
    opened.into_iter().filter(|(flow, node)| l4.row_owner(flow) != Some(*node)).collect()
}

#[test]
fn a_flow_that_one_worker_has_is_followed_by_another_after_its_row_moved() {
    let mut l4 = settled(3);
    let moved = moved(&mut l4);
    assert!(moved.len() > 20);
    for (flow, node) in &moved {
        assert_eq!(by(&mut l4, 1, flow, tcp::ACK), *node);
    }
    let found = moved.len() as u64;
    assert_eq!(l4.count(Counter::SiblingAsked), found);
    assert_eq!(l4.count(Counter::SiblingHit), found);
    // It has been copied: nobody is asked again.
    for (flow, node) in &moved {
        assert_eq!(by(&mut l4, 1, flow, tcp::ACK), *node);
    }
    assert_eq!(l4.count(Counter::SiblingAsked), found);
    assert_eq!(l4.count(Counter::NewFlow), 120, "none is new to the second worker");
}

#[test]
fn who_begins_anew_asks_for_every_flow() {
    let mut l4 = L4::with_workers(2, &site(3));
    let flows: Vec<_> =
        flows(20).into_iter().map(|flow| (flow, by(&mut l4, 0, &flow, tcp::ACK))).collect();
    l4.pass(site(3).idle.longest() - Duration::from_secs(1));
    for (flow, node) in &flows {
        assert_eq!(by(&mut l4, 1, flow, tcp::ACK), *node);
    }
    assert_eq!(l4.count(Counter::SiblingHit), 40);
}

#[test]
fn nobody_is_asked_where_no_row_has_moved_for_long() {
    let mut l4 = settled(3);
    let asked = l4.count(Counter::SiblingAsked);
    assert_eq!(asked, 0);
    for flow in flows(100) {
        for worker in 0..3 {
            by(&mut l4, worker, &flow, tcp::ACK);
        }
    }
    assert_eq!(l4.count(Counter::SiblingAsked), 0);

    // Only some rows move: only for their flows others are asked.
    l4.apply(&site(4));
    let new: Vec<Flow> = (1000..1200).map(flow4).collect();
    let of_four = new.iter().filter(|flow| l4.row_owner(flow) == Some(4)).count();
    assert!((20..80).contains(&of_four));
    for flow in &new {
        by(&mut l4, 1, flow, tcp::ACK);
    }
    let asked = l4.count(Counter::SiblingAsked);
    assert!((of_four as u64..100).contains(&asked), "{asked} questions for {of_four} flows");

    // And for as long as a connection of before may live.
    l4.pass(site(4).idle.longest() + Duration::from_secs(1));
    for flow in &new {
        by(&mut l4, 2, flow, tcp::ACK);
    }
    assert_eq!(l4.count(Counter::SiblingAsked), asked);
}

#[test]
fn a_snapshot_that_moves_no_row_makes_nobody_ask() {
    let mut l4 = settled(3);
    let mut same = site(3);
    same.generation = 2;
    same.services.push(service("other", &["198.51.100.2"], api::Protocol::Tcp, api::Ports::Any, 2));
    l4.apply(&same);
    for flow in flows(50) {
        by(&mut l4, 1, &flow, tcp::ACK);
    }
    assert_eq!(l4.count(Counter::SiblingAsked), 0);
}

#[test]
fn a_syn_asks_nobody() {
    let mut l4 = settled(3);
    for (flow, _) in moved(&mut l4) {
        let owner = l4.row_owner(&flow).unwrap();
        assert_eq!(by(&mut l4, 1, &flow, tcp::SYN), owner);
    }
    assert_eq!(l4.count(Counter::SiblingAsked), 0);
}

#[test]
fn of_several_siblings_the_freshest_is_believed() {
    let mut l4 = settled(3);
    let moved = moved(&mut l4);
    l4.pass(Duration::from_secs(1));
    // The second worker sees a SYN: a new connection of the same tuple.
    let fresher: Vec<_> =
        moved.iter().map(|(flow, _)| (*flow, by(&mut l4, 1, flow, tcp::SYN))).collect();
    l4.apply(&site(9));
    for (flow, node) in fresher {
        assert_eq!(by(&mut l4, 2, &flow, tcp::ACK), node);
    }
}

#[test]
fn a_siblings_connection_that_expired_is_not_followed() {
    let mut l4 = settled(3);
    for flow in flows(30) {
        by(&mut l4, 0, &flow, tcp::SYN);
    }
    l4.apply(&site(6));
    l4.pass(Duration::from_secs(u64::from(site(1).idle.embryonic) + 1));
    for flow in flows(30) {
        let owner = l4.row_owner(&flow).unwrap();
        assert_eq!(by(&mut l4, 1, &flow, tcp::ACK), owner);
    }
    assert!(l4.count(Counter::SiblingAsked) > 0);
    assert_eq!(l4.count(Counter::SiblingHit), 0);
}

#[test]
fn a_siblings_connection_whose_node_has_released_it_is_not_followed() {
    let mut l4 = settled(3);
    let known = moved(&mut l4);
    let mut changed = site(6);
    let now = l4.millis();
    for node in 1..=3 {
        set(&mut changed, node, State::Down, Release::At(now));
    }
    l4.apply(&changed);
    l4.pass(Duration::from_millis(Tick::MILLIS));
    for (flow, _) in known {
        let owner = l4.row_owner(&flow).unwrap();
        assert_eq!(by(&mut l4, 1, &flow, tcp::ACK), owner);
    }
    assert!(l4.count(Counter::SiblingAsked) > 0);
    assert_eq!(l4.count(Counter::SiblingHit), 0);
}

#[test]
fn a_siblings_connections_with_a_node_that_is_forgotten_are_not_followed() {
    let mut l4 = settled(3);
    let known = moved(&mut l4);
    for node in 1..=3 {
        l4.forget(node);
    }
    for (flow, _) in known {
        let owner = l4.row_owner(&flow).unwrap();
        // The one that has it comes last, or the others would find what it has made of it.
        for worker in [1, 2, 0] {
            assert_eq!(by(&mut l4, worker, &flow, tcp::ACK), owner);
        }
    }
}

#[test]
fn without_nodes_for_new_flows_a_siblings_connections_still_go_to_theirs() {
    let mut l4 = settled(2);
    let flows: Vec<_> =
        flows(20).into_iter().map(|flow| (flow, by(&mut l4, 0, &flow, tcp::ACK))).collect();
    let mut drained = site(2);
    for node in [1, 2] {
        set(&mut drained, node, State::Drain, Release::Never);
    }
    l4.apply(&drained);
    for (flow, node) in flows {
        assert_eq!(by(&mut l4, 1, &flow, tcp::ACK), node);
    }
}

#[test]
fn a_reset_that_follows_a_siblings_flow_closes_it_here_too() {
    let mut l4 = settled(3);
    for (flow, node) in moved(&mut l4) {
        assert_eq!(by(&mut l4, 1, &flow, tcp::RST), node);
        let told = l4.explain(&flow).known.unwrap();
        assert_eq!(told.workers, [0, 1]);
    }
}

#[test]
fn an_error_finds_its_flow_at_any_worker_however_old_the_flow_is() {
    let mut l4 = settled(3);
    let moved = moved(&mut l4);
    for _ in 0..3 {
        l4.pass(site(1).idle.longest() / 2);
        for (flow, node) in &moved {
            assert_eq!(by(&mut l4, 0, flow, tcp::ACK), *node);
        }
    }
    let before = l4.connections();
    for (flow, node) in &moved {
        let message = if flow.source.is_ipv4() { [3, 1] } else { [1, 0] };
        assert_eq!(l4.send_by(1, error_about(flow, message, 0)).node(), *node);
    }
    assert_eq!(l4.connections(), before, "it brings no entry with it");
}
