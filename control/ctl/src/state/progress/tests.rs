use admin::{PeerStatus, Status};

use super::*;

/// A site of two L4 nodes that know each other, and l7-1 in service `web`.
fn status(here: Option<u64>, there: Option<u64>, state: Effective) -> Status {
    let node = |name: &str, role: &str| NodeStatus {
        name: name.into(),
        role: role.into(),
        addresses: vec![],
        state: None,
        operator: None,
        connections: None,
        reachable: None,
        peer: None,
        peer_error: None,
        peer_age_ms: None,
        differences: vec![],
    };
    let mut peer = node("l4-2", "l4");
    let connections = there.map(|count| ("l7-1".to_string(), count)).into_iter().collect();
    peer.peer = Some(PeerStatus { connections, ..PeerStatus::default() });
    let mut l7 = node("l7-1", "l7");
    l7.connections = here;
    let member = MemberStatus {
        node: "l7-1".into(),
        state,
        reason: String::new(),
        since_ms: 0,
        release_in_ms: None,
        weight: 1,
        agent: Admin::Ready,
        operator: Admin::Ready,
        checks: vec![],
    };
    let vip = admin::VipStatus {
        vip: "198.51.100.1".into(),
        announced: true,
        why: String::new(),
        weight: 1,
        quorum: 1,
        fingerprint: None,
        states: Default::default(),
        nodes: vec![member],
    };
    let service =
        admin::ServiceStatus { name: "web".into(), ports: "tcp 80".into(), vips: vec![vip] };
    Status {
        site: "par1".into(),
        node: "l4-1".into(),
        role: "l4".into(),
        program: "0".into(),
        uptime_ms: 0,
        alarms: vec![],
        file: admin::FileStatus {
            path: "site.toml".into(),
            loaded_ms: 0,
            fingerprint: String::new(),
            refused: None,
            restart_needed: vec![],
        },
        dataplane: admin::DataplaneStatus::default(),
        gate: admin::GateStatus::default(),
        nodes: vec![node("l4-1", "l4"), peer, l7],
        routers: vec![],
        services: vec![service],
        counters: Default::default(),
    }
}

fn something(text: &str) -> Left {
    Left::Something(text.into())
}

#[test]
fn a_drain_is_over_when_no_l4_node_remembers_a_connection() {
    for (here, there, expected) in [
        (Some(0), Some(0), Left::Nothing),
        (Some(3), Some(0), something("connections: 3 on l4-1")),
        (Some(3), Some(4), something("connections: 3 on l4-1, 4 on l4-2")),
        (None, Some(0), something("not known: those of l4-1")),
        (Some(0), None, something("not known: those of l4-2")),
    ] {
        let status = status(here, there, Effective::Drain);
        assert_eq!(left(&status, "l7-1", Admin::Drain), expected, "{here:?} {there:?}");
    }
}

#[test]
fn the_old_word_of_a_node_that_does_not_answer_counts_for_nothing() {
    let mut status = status(Some(0), Some(0), Effective::Drain);
    status.nodes[1].peer_error = Some("connection refused".into());
    assert_eq!(left(&status, "l7-1", Admin::Drain), something("not known: those of l4-2"));
}

#[test]
fn a_maintenance_is_over_when_all_flows_were_given_to_others() {
    let mut status = status(Some(7), Some(0), Effective::Maintenance);
    let expected = something("connections: 7 on l4-1");
    assert_eq!(left(&status, "l7-1", Admin::Maintenance), expected);
    status.services[0].vips[0].nodes[0].release_in_ms = Some(1);
    assert_eq!(left(&status, "l7-1", Admin::Maintenance), expected);
    status.services[0].vips[0].nodes[0].release_in_ms = Some(0);
    assert_eq!(left(&status, "l7-1", Admin::Maintenance), Left::Nothing);
    assert_eq!(left(&status, "l7-1", Admin::Drain), expected, "a drain releases nothing");
}

#[test]
fn ready_is_reached_when_every_service_uses_the_node() {
    let mut status = status(Some(7), Some(0), Effective::Up);
    assert_eq!(left(&status, "l7-1", Admin::Ready), Left::Nothing);
    status.services[0].vips[0].nodes[0].state = Effective::Down;
    status.services[0].vips[0].nodes[0].reason = "HTTP 503".into();
    let expected = something("down for web at 198.51.100.1 (HTTP 503)");
    assert_eq!(left(&status, "l7-1", Admin::Ready), expected);
}

#[test]
fn there_is_nothing_to_wait_for_on_l4_nodes_and_strangers() {
    let status = status(Some(7), Some(0), Effective::Up);
    assert!(can_wait(&status, "l7-1").is_ok());
    let refused = can_wait(&status, "l4-2").unwrap_err().to_string();
    assert!(refused.contains("connections are counted for L7 nodes alone"), "{refused}");
    assert_eq!(can_wait(&status, "l7-9").unwrap_err().to_string(), "no node has the name l7-9");
}
