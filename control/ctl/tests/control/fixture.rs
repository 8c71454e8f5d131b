//! A status with something of everything.

use admin::{
    BfdSessionStatus, CheckStatus, DataplaneStatus, Effective, Entry, FileStatus, GateStatus,
    KeptBack, MemberStatus, NodeStatus, PeerStatus, Refusal, Reply, RouteStatus, RouterStatus,
    ServiceStatus, SessionStatus, Status, VipStatus,
};
use health::{Admin, State};

/// Milliseconds since 1970, a while before now.
pub(crate) fn before(milliseconds: u64) -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64 - milliseconds
}

pub(crate) fn node(name: &str, role: &str) -> NodeStatus {
    NodeStatus {
        name: name.into(),
        role: role.into(),
        addresses: vec![],
        state: None,
        operator: None,
        connections: (role == "l7").then_some(0),
        reachable: (role == "l7").then_some(true),
        peer: None,
        peer_error: None,
        peer_age_ms: None,
        differences: vec![],
    }
}

pub(crate) fn member(node: &str, state: Effective, reason: &str, since_ms: u64) -> MemberStatus {
    MemberStatus {
        node: node.into(),
        state,
        reason: reason.into(),
        since_ms,
        release_in_ms: None,
        weight: 1,
        agent: Admin::Ready,
        operator: Admin::Ready,
        checks: vec![],
    }
}

/// A router with a session that is well and one that is not.
fn router() -> RouterStatus {
    let session = |address: &str| SessionStatus {
        address: address.parse().unwrap(),
        peer_as: 65_000,
        state: "Active".into(),
        up: false,
        since_ms: 61_000,
        why: Some("connection timed out: does the MD5 password match?".into()),
        hold_time_s: None,
        keepalive_s: None,
        router_id: None,
        graceful_restart: false,
        established: 1,
        dropped: 1,
        messages_in: 12,
        messages_out: 13,
        updates_out: 3,
        notifications_in: 0,
        notifications_out: 0,
        announced: vec![],
        kept_back: vec![],
        bfd: None,
    };
    let well = SessionStatus {
        state: "Established".into(),
        up: true,
        since_ms: 7_200_000,
        why: None,
        hold_time_s: Some(6),
        keepalive_s: Some(2),
        router_id: Some("192.0.2.130".into()),
        graceful_restart: true,
        dropped: 0,
        announced: vec![RouteStatus {
            prefix: "198.51.100.1/32".into(),
            med: Some(100),
            local_preference: None,
            prepend: 1,
            communities: vec!["65000:7".into()],
            large_communities: vec!["65000:1:2".into()],
        }],
        kept_back: vec![KeptBack {
            prefix: "198.51.100.2".into(),
            why: "service dns: withdrawn by uid 0 on l4-1".into(),
        }],
        bfd: Some(BfdSessionStatus {
            state: "Up".into(),
            up: true,
            diagnostic: String::new(),
            since_ms: 7_100_000,
            losses: 1,
            detection_ms: 300,
        }),
        ..session("192.0.2.130")
    };
    RouterStatus { name: "r1".into(), sessions: vec![well, session("2001:db8::c000:282")] }
}

/// A site in trouble.
pub(crate) fn trouble() -> Status {
    let mut peer = node("l4-2", "l4");
    peer.peer = Some(PeerStatus {
        node: "l4-2".into(),
        program: "0.1.0".into(),
        generation: Some(41),
        forwards: true,
        ..PeerStatus::default()
    });
    peer.peer_age_ms = Some(1_200);
    peer.differences = vec!["web 198.51.100.1: l7-3 weighs 1 here, 2 there".into()];
    let mut silent = node("l4-3", "l4");
    silent.peer_error = Some("connection refused".into());
    let mut drained = node("l7-1", "l7");
    drained.connections = Some(123_456);
    drained.operator = Some(Entry {
        version: 3,
        at_ms: before(11_550_000),
        state: Admin::Drain,
        by: "uid 0 on l4-1".into(),
        weight: None,
        said: None,
    });
    let mut dead = node("l7-2", "l7");
    dead.reachable = Some(false);

    let mut down = member("l7-2", Effective::Down, "no answer within 1s", 3_000);
    down.release_in_ms = Some(7_000);
    down.checks = vec![CheckStatus {
        check: "http 198.51.100.1:80 (tunnel)".into(),
        state: Some(State::Down),
        reason: "no answer within 1s".into(),
        since_ms: 3_000,
        against: (0, 2),
    }];
    let mut wavers = member("l7-3", Effective::Up, "", 5_400_000);
    wavers.checks = vec![CheckStatus {
        check: "http 198.51.100.1:80 (tunnel)".into(),
        state: Some(State::Up),
        reason: "HTTP 500".into(),
        since_ms: 5_400_000,
        against: (2, 3),
    }];
    let vip = |vip: &str, announced, why: &str, weight, nodes| VipStatus {
        vip: vip.into(),
        announced,
        why: why.into(),
        weight,
        quorum: 1,
        fingerprint: announced.then(|| "ad679ac9e91f1b7b".into()),
        states: Default::default(),
        nodes,
    };
    let drain = member("l7-1", Effective::Drain, "operator: drain", 11_550_000);
    let web = ServiceStatus {
        name: "web".into(),
        ports: "tcp 80,443".into(),
        vips: vec![
            vip("198.51.100.1", true, "quorum", 1, vec![drain, down, wavers]),
            vip(
                "2001:db8::c633:6401",
                false,
                "quorum lost: 0 of 1",
                0,
                vec![member("l7-3", Effective::Down, "connection refused", 400)],
            ),
        ],
    };
    let dns = ServiceStatus {
        name: "dns".into(),
        ports: "udp 53".into(),
        vips: vec![vip(
            "198.51.100.2",
            true,
            "quorum",
            1,
            vec![member("l7-3", Effective::Up, "", 1_000)],
        )],
    };
    Status {
        site: "par1".into(),
        node: "l4-1".into(),
        role: "l4".into(),
        program: "0.1.0".into(),
        uptime_ms: 11_520_000,
        alarms: vec![
            "web 2001:db8::c633:6401 is not announced: quorum lost".into(),
            "table of web 198.51.100.1 differs from that of l4-2: l7-3 weighs 1 here, 2 there"
                .into(),
        ],
        file: FileStatus {
            path: "/etc/palier/site.toml".into(),
            loaded_ms: before(7_290_000),
            fingerprint: "0b1c2d3e4f506172".into(),
            refused: Some(Refusal {
                at_ms: before(3_990_000),
                reasons: vec!["service[0].nodes: l7-9 is no L7 node".into()],
            }),
            restart_needed: vec!["l4-1: cores (dataplane)".into()],
        },
        dataplane: DataplaneStatus {
            connected: true,
            forwards: true,
            reason: None,
            generation: Some(42),
            wanted: Some(42),
            refused: vec![],
            key_fingerprint: Some("043172b0f0f4ed6e".into()),
            heartbeat_ms: Some(1),
        },
        gate: GateStatus { open: true, reasons: vec![] },
        nodes: vec![node("l4-1", "l4"), peer, silent, drained, dead, node("l7-3", "l7")],
        routers: vec![router()],
        services: vec![web, dns],
        counters: Default::default(),
    }
}

/// The line that control answers.
pub(crate) fn line(reply: Reply) -> String {
    serde_json::to_string(&reply).unwrap()
}

/// The line of a status.
pub(crate) fn status_line(status: Status) -> String {
    line(Reply::Status(Box::new(status)))
}
