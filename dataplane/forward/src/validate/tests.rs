use api::BfdSession;

use super::*;

/// Two L7 nodes and one service of them: nothing is wrong.
const GOOD: &str = r#"{
        "generation": 1,
        "addresses": ["192.0.2.132", "2001:db8::c000:284"],
        "nodes": [
            {"name": "l7-1", "index": 1, "addresses": ["192.0.2.140"],
             "probe_ports": {"first": 20000, "last": 20009}},
            {"name": "l7-2", "index": 1023, "addresses": ["2001:db8::c000:28d"],
             "probe_ports": {"first": 20010, "last": 20019}}
        ],
        "services": [
            {"name": "web", "vips": ["198.51.100.1", "2001:db8:1::/64"], "protocol": "tcp",
             "ports": {"list": [80, 443]}, "nodes": [{"node": 1}, {"node": 1023}]}
        ]
    }"#;

fn good() -> Snapshot {
    serde_json::from_str(GOOD).unwrap()
}

/// What is wrong after `change`.
fn after(change: impl FnOnce(&mut Snapshot)) -> Vec<String> {
    let mut snapshot = good();
    change(&mut snapshot);
    problems(&snapshot)
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn nothing_is_wrong_with_a_good_snapshot() {
    assert_eq!(problems(&good()), [""; 0]);
    // Nor without services, or with one whose nodes are all elsewhere.
    assert_eq!(after(|s| s.services.clear()), [""; 0]);
    assert_eq!(after(|s| s.services[0].nodes.clear()), [""; 0]);
}

#[test]
fn every_problem_of_an_address_is_reported_with_its_place() {
    for (own, expected) in [
        (&[][..], "addresses: the node needs an address of its own to tunnel from"),
        (&["192.0.2.1", "2001:db8::1", "192.0.2.2"], "addresses: at most one address per family"),
        (&["0.0.0.0", "2001:db8::1"], "addresses: 0.0.0.0 is not an address that a host can have"),
        (&["192.0.2.1", "ff02::1"], "addresses: ff02::1 is not an address that a host can have"),
        (&["192.0.2.1", "::1"], "addresses: ::1 is not an address that a host can have"),
    ] {
        let problems = after(|s| s.addresses = addresses(own));
        assert_eq!(problems.first().unwrap(), expected);
    }
}

#[test]
fn every_problem_of_tunnel_sources_is_reported() {
    let prefixes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let good = after(|s| s.tunnel_sources = prefixes(&["192.0.2.64/26", "2001:db8:5::/64"]));
    assert_eq!(good, [""; 0]);
    for (given, expected) in [
        (&["192.0.2.64/26", "192.0.3.0/24"][..], "tunnel_sources: at most one IPv4 prefix"),
        (&["192.0.2.128/26"], "tunnel_sources: 192.0.2.128/26 has an address of l7-1"),
        (&["127.0.1.0/24"], "tunnel_sources: 127.0.1.0/24 has addresses that no host can have"),
        (&["ff05::/16"], "tunnel_sources: ff05::/16 has addresses that no host can have"),
        (&["198.51.100.0/24"], "tunnel_sources: 198.51.100.0/24 overlaps a VIP of service web"),
        (&["2001:db8:1::/48"], "tunnel_sources: 2001:db8:1::/48 overlaps a VIP of service web"),
    ] {
        assert_eq!(after(|s| s.tunnel_sources = prefixes(given)), [expected]);
    }
    let problems = after(|s| {
        s.addresses.truncate(1);
        s.tunnel_sources = prefixes(&["2001:db8:5::/64"]);
    });
    let expected = "tunnel_sources: 2001:db8:5::/64: there is no own address of its family";
    assert!(problems.iter().any(|problem| problem == expected), "{problems:?}");
}

#[test]
fn every_problem_of_a_node_is_reported_with_its_place() {
    type Change = fn(&mut Node);
    let cases: [(Change, &str); 12] = [
        (|n| n.name = "l7-1".into(), "nodes[1] (l7-1): another node has this name"),
        (|n| n.name = String::new(), "nodes[1] (): a name has 1 to 63 bytes"),
        (|n| n.index = 0, "nodes[1] (l7-2): index 0: it is 1 to 1023"),
        (|n| n.index = 1024, "nodes[1] (l7-2): index 1024: it is 1 to 1023"),
        (|n| n.index = 1, "nodes[1] (l7-2): index 1 is that of l7-1"),
        (
            |n| n.addresses = addresses(&["192.0.2.141", "192.0.2.142"]),
            "nodes[1] (l7-2): at most one address per family",
        ),
        (
            |n| n.addresses = addresses(&["192.0.2.132"]),
            "nodes[1] (l7-2): 192.0.2.132 is this L4 node's own address",
        ),
        (
            |n| n.addresses = addresses(&["2001:db8:1::7"]),
            "nodes[1] (l7-2): 2001:db8:1::7 is a VIP of service web",
        ),
        (
            |n| n.addresses.clear(),
            "nodes[1] (l7-2): it has no address of a family in which this L4 node has one",
        ),
        (
            |n| n.probe_ports = Some(api::ProbePorts { first: 0, last: 9 }),
            "nodes[1] (l7-2): probe_ports: first is at least 1 and not above last",
        ),
        (
            |n| n.probe_ports = Some(api::ProbePorts { first: 9, last: 8 }),
            "nodes[1] (l7-2): probe_ports: first is at least 1 and not above last",
        ),
        (
            |n| n.probe_ports = Some(api::ProbePorts { first: 20009, last: 20009 }),
            "nodes[1] (l7-2): probe_ports overlap those of l7-1",
        ),
    ];
    for (change, expected) in cases {
        let problems = after(|s| {
            s.services[0].nodes.pop();
            change(&mut s.nodes[1]);
        });
        assert_eq!(problems, [expected]);
    }
}

#[test]
fn a_node_must_be_reachable_in_a_family_of_this_node() {
    let problems = after(|s| s.addresses = addresses(&["192.0.2.132"]));
    let text = "nodes[1] (l7-2): it has no address of a family in which this L4 node has one";
    assert_eq!(problems, [text]);
}

#[test]
fn every_problem_of_a_service_is_reported_with_its_place() {
    type Change = fn(&mut Service);
    let cases: [(Change, &str); 15] = [
        (|s| s.name = "x".repeat(64), "a name has 1 to 63 bytes"),
        (|s| s.vips.clear(), "vips: a service needs at least one"),
        (
            |s| s.vips = vec!["192.0.2.132/31".parse().unwrap()],
            "VIP 192.0.2.132/31: 192.0.2.132 is this L4 node's own address",
        ),
        (
            |s| s.vips = vec!["224.0.0.5".parse().unwrap()],
            "VIP 224.0.0.5 is not an address that a host can have",
        ),
        (|s| s.vips = vec!["::".parse().unwrap()], "VIP :: is not an address that a host can have"),
        (
            |s| s.ports = Ports::List(vec![]),
            "ports: the list is empty; write \"any\" for every port",
        ),
        (|s| s.ports = Ports::List(vec![80, 81, 80]), "ports: one is named twice"),
        (|s| s.ports = Ports::List(vec![80, 0]), "ports: there is no port 0"),
        (|s| s.ports = Ports::Range(81, 80), "ports: 81 is above 80"),
        (|s| s.rows = 65_536, "rows: 65536 is not a prime up to 16777216; use 65537"),
        (|s| s.rows = 16_777_259, "rows: 16777259 is not a prime up to 16777216; use 65537"),
        (|s| s.nodes[0].node = 7, "no node has index 7"),
        (|s| s.nodes[1].node = 1, "node 1 is named twice"),
        (
            |s| s.nodes[0].release = Release::At(1),
            "node 1: release is for the states down and maintenance",
        ),
        (
            |s| {
                (s.nodes[1].state, s.nodes[1].release) = (State::Drain, Release::At(1));
            },
            "node 1023: release is for the states down and maintenance",
        ),
    ];
    for (change, expected) in cases {
        let mut snapshot = good();
        change(&mut snapshot.services[0]);
        let name = &snapshot.services[0].name;
        assert_eq!(problems(&snapshot), [format!("services[0] ({name}): {expected}")]);
    }
}

#[test]
fn states_that_end_may_have_a_release() {
    for state in [State::Down, State::Maintenance] {
        let member = Member { node: 1, weight: 1, state, release: Release::At(1) };
        assert_eq!(after(|s| s.services[0].nodes[0] = member), [""; 0]);
    }
}

/// What is wrong with the service and a second one, of these ports.
fn with_second(ports: Ports, change: impl FnOnce(&mut Service)) -> Vec<String> {
    after(|s| {
        let mut second = Service { name: "second".into(), ports, ..s.services[0].clone() };
        change(&mut second);
        s.services.push(second);
    })
}

#[test]
fn two_services_may_not_claim_a_port_in_the_same_way() {
    let both = "web and second both claim port 443 of 198.51.100.1";
    let problems = with_second(Ports::List(vec![22, 443]), |_| {});
    assert_eq!(
        problems,
        [
            format!("services: {both}"),
            "services: web and second both claim port 443 of 2001:db8:1::/64".into(),
        ]
    );
    // In another way, in another protocol, of another VIP or of a longer prefix they may.
    assert_eq!(with_second(Ports::Range(80, 443), |_| {}), [""; 0]);
    assert_eq!(with_second(Ports::Any, |_| {}), [""; 0]);
    let same = Ports::List(vec![80, 443]);
    assert_eq!(with_second(same.clone(), |s| s.protocol = api::Protocol::Udp), [""; 0]);
    for vip in ["198.51.100.2", "198.51.100.0/24", "2001:db8:1::/80"] {
        let other = with_second(same.clone(), |s| s.vips = vec![vip.parse().unwrap()]);
        assert_eq!(other, [""; 0], "{vip}");
    }
}

#[test]
fn ranges_of_one_vip_may_touch_but_not_overlap() {
    for (first, last, expected) in [
        (500, 600, Some("services: ranged and second both claim port 500 of 198.51.100.1")),
        (300, 400, Some("services: second and ranged both claim port 400 of 198.51.100.1")),
        (450, 460, Some("services: ranged and second both claim port 450 of 198.51.100.1")),
        (501, 600, None),
        (300, 399, None),
    ] {
        let problems = after(|s| {
            s.services[0].vips.truncate(1);
            (s.services[0].name, s.services[0].ports) = ("ranged".into(), Ports::Range(400, 500));
            let ports = Ports::Range(first, last);
            let second = Service { name: "second".into(), ports, ..s.services[0].clone() };
            s.services.push(second);
        });
        assert_eq!(problems.first().map(String::as_str), expected, "{first}-{last}");
    }
    let two_any = after(|s| {
        s.services[0].vips.truncate(1);
        s.services[0].ports = Ports::Any;
        let second = Service { name: "second".into(), ..s.services[0].clone() };
        s.services.push(second);
    });
    assert_eq!(two_any, ["services: web and second both claim port 0 of 198.51.100.1"]);
}

#[test]
fn a_range_that_spans_several_others_overlaps_them_all() {
    let problems = after(|s| {
        s.services[0].vips.truncate(1);
        for (name, first, last) in [("wide", 1000, 9000), ("a", 2000, 2001), ("b", 3000, 3001)] {
            let ports = Ports::Range(first, last);
            s.services.push(Service { name: name.into(), ports, ..s.services[0].clone() });
        }
    });
    assert_eq!(
        problems,
        [
            "services: wide and a both claim port 2000 of 198.51.100.1",
            "services: wide and b both claim port 3000 of 198.51.100.1",
        ]
    );
}

#[test]
fn a_vip_named_twice_is_told_once_per_port() {
    let problems = after(|s| {
        let vip = s.services[0].vips[0];
        s.services[0].vips = vec![vip, vip];
    });
    assert_eq!(problems, ["services: web names VIP 198.51.100.1 twice"; 2]);
}

#[test]
fn every_problem_of_a_bfd_session_is_reported_with_its_place() {
    let session = |local: &str, remote: &str| BfdSession {
        router: "r1".into(),
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        interface: None,
        interval_ms: 100,
        multiplier: 3,
    };
    let v4 = || session("192.0.2.132", "192.0.2.130");
    let on = |interface: &str| BfdSession {
        interface: Some(interface.into()),
        ..session("fe80::2", "fe80::1")
    };
    let good = [
        v4(),
        session("2001:db8::c000:284", "2001:db8::82"),
        on("palier0"),
        on("palier1"),
        BfdSession { interval_ms: 10, multiplier: 1, ..session("192.0.2.132", "192.0.2.131") },
        BfdSession {
            interval_ms: 60_000,
            multiplier: 255,
            ..session("192.0.2.132", "192.0.2.129")
        },
    ];
    assert_eq!(after(|s| s.bfd = good.into()), [""; 0]);
    for (wrong, expected) in [
        (BfdSession { router: String::new(), ..v4() }, "(): a name has 1 to 63 bytes"),
        (BfdSession { interval_ms: 9, ..v4() }, "(r1): interval_ms is 10 to 60000, not 9"),
        (BfdSession { interval_ms: 60_001, ..v4() }, "(r1): interval_ms is 10 to 60000, not 60001"),
        (BfdSession { multiplier: 0, ..v4() }, "(r1): multiplier is 1 to 255"),
        (
            session("192.0.2.133", "192.0.2.130"),
            "(r1): 192.0.2.133 is not one of this L4 node's own addresses",
        ),
        (
            session("192.0.2.132", "2001:db8::82"),
            "(r1): 192.0.2.132 and 2001:db8::82 are not of one family",
        ),
        (
            session("192.0.2.132", "224.0.0.1"),
            "(r1): 224.0.0.1 is not an address that a host can have",
        ),
        (session("192.0.2.132", "192.0.2.132"), "(r1): 192.0.2.132 is this L4 node's own address"),
        (session("fe80::2", "fe80::1"), "(r1): fe80::1 is link-local: it needs an interface"),
        (
            BfdSession { local: "2001:db8::c000:284".parse().unwrap(), ..on("palier0") },
            "(r1): of 2001:db8::c000:284 and fe80::1 one alone is link-local",
        ),
        (on("sixteen-letters-"), "(r1): interface: a name has 1 to 15 bytes"),
        (
            BfdSession { interface: Some("palier0".into()), ..v4() },
            "(r1): interface palier0 is for link-local addresses alone",
        ),
    ] {
        assert_eq!(after(|s| s.bfd = vec![wrong]), [format!("bfd[0] {expected}")]);
    }
    let twice = after(|s| s.bfd = vec![v4(), BfdSession { router: "r2".into(), ..v4() }]);
    assert_eq!(twice, ["bfd[1] (r2): 192.0.2.130 is that of r1"]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = after(|s| {
        s.addresses.clear();
        s.nodes[0].index = 0;
        s.services[0].rows = 4;
    });
    assert_eq!(
        problems,
        [
            "addresses: the node needs an address of its own to tunnel from",
            "nodes[0] (l7-1): index 0: it is 1 to 1023",
            "nodes[0] (l7-1): it has no address of a family in which this L4 node has one",
            "nodes[1] (l7-2): it has no address of a family in which this L4 node has one",
            "services[0] (web): rows: 4 is not a prime up to 16777216; use 65537",
            "services[0] (web): no node has index 1",
        ]
    );
}
