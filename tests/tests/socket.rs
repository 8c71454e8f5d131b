//! The dataplane's socket, driven as an operator would.

use std::collections::BTreeSet;

use api::{ExplainQuery, FlowsQuery, Protocol, Reply, Request};
use lab::{Flags, HTTP_PORT, L4, Lab, VIP, VIP6};
use system_tests::{Echo, Kept, SOON, URLS, VIPS};

const CONNECTIONS: usize = 20;

#[test]
fn bad_lines_get_an_error_reply_and_good_ones_an_answer_after_them() {
    let lab = Lab::new().l4(1).l7(1).start();
    let l4 = lab.l4(1);
    for line in [
        "",
        "hello",
        "{",
        "[]",
        "{}",
        r#"{"stats": {}, "hello": {}}"#,
        r#"{"stats": 1}"#,
        r#"{"reboot": {}}"#,
        r#"{"explain": {"source": "nowhere"}}"#,
        r#"{"apply": {}}"#,
        r#"{"capture": {"packets": 1000000}}"#,
        "\u{0}\u{1}",
    ] {
        let reply = l4.exchange(line);
        let reply: Reply = serde_json::from_str(&reply).unwrap();
        assert!(matches!(&reply, Reply::Error(text) if !text.is_empty()), "{line}: {reply:?}");
    }
    let Reply::Hello(greeting) = l4.request(&Request::Hello) else { panic!("to hello") };
    assert_eq!(greeting.protocol, api::VERSION);
    assert!(l4.is_running());
}

#[test]
fn a_snapshot_that_is_not_valid_is_refused_with_every_reason_and_changes_nothing() {
    let lab = Lab::new().l4(1).l7(2).start();
    let l4 = lab.l4(1);
    let before = l4.exchange(&Request::Snapshot.to_line());
    let mut bad = lab.snapshot(1);
    bad.nodes[0].addresses[0] = VIP.into();
    bad.nodes[1].addresses[1] = l4.addresses().v6.into();
    bad.services[0].rows = 65_536;
    let Reply::Refused { reasons } = l4.apply(&bad) else { panic!("it is not valid") };
    let all = reasons.join("\n");
    for wanted in [
        format!("{VIP} is a VIP of service web"),
        format!("{} is this L4 node's own address", l4.addresses().v6),
        "rows: 65536 is not a prime".into(),
    ] {
        assert!(all.contains(&wanted), "{wanted} is not in:\n{all}");
    }
    assert_eq!(l4.exchange(&Request::Snapshot.to_line()), before);
    lab.client().get(URLS[0]).unwrap();
}

#[test]
fn the_snapshot_in_force_is_told_without_its_key_and_can_be_applied_again() {
    let lab = Lab::new().l4(1).l7(1).start();
    let l4 = lab.l4(1);
    let given = lab.snapshot(1);
    let key = given.hash_key.unwrap();
    assert!(
        matches!(l4.apply(&given), Reply::Applied { generation } if generation == given.generation)
    );
    let line = l4.exchange(&Request::Snapshot.to_line());
    let secret = serde_json::to_string(&key).unwrap();
    assert!(!line.contains(secret.trim_matches('"')), "{line}");
    let Ok(Reply::Snapshot(Some(in_force))) = serde_json::from_str(&line) else { panic!("{line}") };
    assert_eq!(in_force.generation, given.generation);
    assert_eq!(in_force.snapshot.hash_key, None);
    assert_eq!(in_force.snapshot.services, given.services);
    assert_eq!(in_force.key_fingerprint.len(), 16);

    assert!(matches!(l4.apply(&in_force.snapshot), Reply::Applied { .. }));
    let mut other = given;
    other.hash_key = Some(api::HashKey::new([7; 16]));
    let Reply::Refused { reasons } = l4.apply(&other) else { panic!("it moves every flow") };
    assert!(reasons[0].contains("hash_key"), "{reasons:?}");
}

/// Connections as the workers' tables have them, and as they are counted by service.
fn connections(l4: &L4) -> (u64, u64) {
    let stats = l4.stats();
    let tables = stats.workers.iter().map(|worker| worker.connections).sum();
    (tables, stats.services.iter().map(|service| service.total.connections).sum())
}

#[test]
fn another_hash_key_empties_the_tables_and_the_counts_go_with_them() {
    let lab = Lab::new().l4(1).flags(Flags { queues: 2, ..Flags::default() }).start();
    let l4 = lab.l4(1);
    let answered = |flow: &Echo| {
        flow.send(b"who?");
        assert_eq!(flow.answer().1, b"who?");
    };
    let flows: Vec<_> = (0..40).map(|i| Echo::open(&lab, VIPS[i % 2])).collect();
    flows.iter().for_each(answered);
    lab.wait_until("connections are counted", SOON, || connections(l4) == (40, 40));

    let packets = |name: &str| {
        let stats = l4.stats();
        stats.services.iter().find(|service| service.name == name).map(|s| s.total.packets)
    };
    assert_eq!(packets("echo"), Some(40));
    let mut other = lab.snapshot(1);
    other.services.reverse();
    other.hash_key = Some("ffeeddccbbaa99887766554433221100".parse().unwrap());
    assert!(matches!(l4.apply(&other), Reply::Refused { .. }), "without force");
    let apply = api::Apply { snapshot: other, force: true };
    assert!(matches!(l4.request(&Request::Apply(Box::new(apply))), Reply::Applied { .. }));
    lab.wait_until("nothing is known", SOON, || connections(l4) == (0, 0));
    assert_eq!(l4.counter("tables_emptied"), 1);
    assert_eq!([packets("echo"), packets("web")], [Some(40), Some(0)], "whatever their order");

    flows.iter().take(10).for_each(answered);
    lab.wait_until("ten are known again", SOON, || connections(l4) == (10, 10));
    assert_eq!(l4.counter("no_table"), 0);
}

#[test]
fn pages_of_connections_list_each_once_with_its_tuple() {
    let flags = Flags { flow_details: true, queues: 2, ..Flags::default() };
    let lab = Lab::new().l4(1).flags(flags).start();
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, CONNECTIONS);

    let all = l4.flows(&FlowsQuery::default());
    let small = l4.flows(&FlowsQuery { limit: Some(3), ..FlowsQuery::default() });
    assert_eq!(all.len(), 2 * CONNECTIONS, "{all:?}");
    let hashes = |flows: &[api::Flow]| -> BTreeSet<String> {
        flows.iter().map(|flow| flow.hash.clone()).collect()
    };
    assert_eq!(small.len(), all.len());
    assert_eq!(hashes(&small), hashes(&all));
    assert_eq!(hashes(&all).len(), all.len(), "each once");

    let client = lab.client().addresses().both();
    for flow in &all {
        let tuple = flow.tuple.expect("--flow-details");
        assert!(client.contains(&tuple.source), "{flow:?}");
        assert!([VIP.into(), VIP6.into()].contains(&tuple.destination), "{flow:?}");
        assert_eq!((tuple.destination_port, tuple.protocol), (HTTP_PORT, Protocol::Tcp));
        assert_eq!((flow.service.as_str(), flow.state.as_str()), ("web", "open"), "{flow:?}");

        // What explain knows of this tuple is the same connection.
        let told = l4.explain(ExplainQuery {
            source: tuple.source,
            source_port: tuple.source_port,
            destination: tuple.destination,
            destination_port: tuple.destination_port,
            protocol: tuple.protocol,
        });
        assert_eq!(told.hash.as_ref(), Some(&flow.hash));
        assert_eq!(told.node.as_ref(), Some(&flow.node));
        assert_eq!(told.known.expect("it is known").workers, [flow.worker]);
    }
    let ports: BTreeSet<_> = all
        .iter()
        .map(|flow| (flow.tuple.unwrap().source, flow.tuple.unwrap().source_port))
        .collect();
    assert_eq!(ports.len(), all.len());

    let mut by_node = 0;
    for l7 in lab.l7s() {
        let of_node = FlowsQuery { node: Some(l7.name().into()), ..FlowsQuery::default() };
        let flows = l4.flows(&of_node);
        assert!(flows.iter().all(|flow| flow.node == l7.name()));
        by_node += flows.len();
    }
    assert_eq!(by_node, all.len());
    let of_echo = FlowsQuery { service: Some("echo".into()), ..FlowsQuery::default() };
    assert!(l4.flows(&of_echo).is_empty());
    kept.finish_whole();
}

#[test]
fn explain_tells_known_new_denied_and_foreign_flows_apart() {
    let lab = Lab::new().l4(1).start();
    let l4 = lab.l4(1);
    let client = lab.client().addresses();
    let query = |source_port: u16, destination_port: u16| ExplainQuery {
        source: client.v4.into(),
        source_port,
        destination: VIP.into(),
        destination_port,
        protocol: Protocol::Tcp,
    };
    let new = l4.explain(query(40_000, HTTP_PORT));
    assert_eq!((new.service.as_deref(), new.known.is_none()), (Some("web"), true));
    assert_eq!((&new.node, new.reachable), (&new.row_owner, Some(true)), "{new:?}");

    let mut connection = lab.client().connect(URLS[0], Some(40_000)).unwrap();
    let served = connection.get("/").unwrap().node;
    assert_eq!(new.node.as_ref(), Some(&served), "as foretold");
    let known = l4.explain(query(40_000, HTTP_PORT));
    assert_eq!(known.known.as_ref().map(|known| &known.node), Some(&served));
    assert_eq!((&known.hash, &known.row, &known.node), (&new.hash, &new.row, &new.node));
    assert!(known.why.contains("known"), "{}", known.why);

    let unknown = l4.explain(query(40_000, 81));
    assert_eq!((unknown.service, unknown.node), (None, None));
    assert!(unknown.why.contains("no service takes this port"), "{}", unknown.why);
    let own = l4.explain(ExplainQuery { destination: l4.addresses().v4.into(), ..query(1, 22) });
    assert!(own.why.contains("for the kernel"), "{}", own.why);

    // Drained, the node keeps the connection, and new flows of its rows have another owner.
    let number = lab.l7s().iter().find(|l7| l7.name() == served).unwrap().number();
    lab.drain(number);
    let drained = l4.explain(query(40_000, HTTP_PORT));
    assert_eq!(drained.node.as_ref(), Some(&served));
    assert_ne!(drained.row_owner.as_ref(), Some(&served));
    assert_eq!(connection.get("/").unwrap().node, served);

    let mut denying = lab.snapshot(1);
    denying.services[0].deny = vec!["203.0.113.0/24".parse().unwrap()];
    assert!(matches!(l4.apply(&denying), Reply::Applied { .. }));
    let denied = l4.explain(query(50_000, HTTP_PORT));
    assert_eq!((denied.service.as_deref(), denied.node), (Some("web"), None));
    assert!(denied.why.contains("denied"), "{}", denied.why);
}
