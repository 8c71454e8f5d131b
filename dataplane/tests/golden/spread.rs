//! Many flows: over nodes, over workers, in order; and `explain`, which knows where they go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use packet::build;

use crate::case::tunnel;
use crate::process::{Dataplane, cpus};
use crate::site::{CLIENT, CLIENT6, Flow, PORT, ROUTER, VIP, VIP6, WEB, snapshot, tcp};

fn frame(flow: &Flow) -> Vec<u8> {
    build::frame(PORT, ROUTER, None, &flow.packet(b"").build())
}

fn flows(ports: std::ops::Range<u16>) -> Vec<Flow> {
    let both = |port| [tcp(CLIENT, port, VIP, WEB), tcp(CLIENT6, port, VIP6, WEB)];
    ports.flat_map(both).collect()
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, u64> {
    expected.iter().map(|&(name, count)| (name.to_owned(), count as u64)).collect()
}

/// Where `explain` says that the flow goes.
fn node(dataplane: &mut Dataplane, flow: &Flow) -> IpAddr {
    dataplane.explain(flow.query()).node_address.expect("it goes somewhere")
}

#[test]
fn packets_leave_in_the_order_in_which_they_came() {
    let flows = flows(1000..1200);
    let frames: Vec<_> = flows.iter().map(frame).collect();
    let mut dataplane = Dataplane::start(&[frames], &[], &snapshot());
    dataplane.wait_for(&counts(&[("received", 400), ("forwarded", 400)]));
    let expected: Vec<_> = flows
        .iter()
        .map(|flow| tunnel(node(&mut dataplane, flow), 0, &flow.packet(b"").build(), None))
        .collect();
    // The families of a burst are hashed apart; each flow is of one.
    let [sent] = dataplane.stop().try_into().unwrap();
    assert_eq!(sent, expected);
}

#[test]
fn explain_foretells_the_node_of_a_new_flow() {
    let flows = flows(1000..1100);
    let mut idle = Dataplane::start(&[vec![frame(&flows[0])]], &[], &snapshot());
    let foretold: Vec<_> = flows.iter().map(|flow| node(&mut idle, flow)).collect();
    let known = |told: api::Explanation| told.known.is_some();
    assert!(!known(idle.explain(flows[1].query())));
    idle.stop();
    assert_eq!(foretold.iter().collect::<BTreeSet<_>>().len(), 6, "all nodes, both families");

    let frames = flows.iter().map(frame).collect();
    let mut dataplane = Dataplane::start(&[frames], &[], &snapshot());
    dataplane.wait_for(&counts(&[("received", 200), ("forwarded", 200)]));
    assert!(known(dataplane.explain(flows[1].query())));
    let expected = flows.iter().zip(foretold);
    let expected: Vec<_> =
        expected.map(|(flow, node)| tunnel(node, 0, &flow.packet(b"").build(), None)).collect();
    assert_eq!(dataplane.stop().concat(), expected);
}

#[test]
fn two_workers_take_two_queues_and_agree_on_every_node() {
    let cpus = cpus();
    let queues = cpus.len().min(2); // on a machine with one CPU there is one worker
    let all = flows(1000..1100);
    // Every flow comes to every queue: both have to send it to the same node.
    let frames: Vec<_> = all.iter().map(frame).collect();
    let mut dataplane = Dataplane::start(&vec![frames; queues], &[], &snapshot());
    dataplane.wait_for(&counts(&[("received", 200 * queues), ("forwarded", 200 * queues)]));
    let stats = dataplane.stats();
    for worker in &stats.workers {
        assert_eq!(worker.counters["received"], 200, "{worker:?}");
    }
    assert_eq!(stats.workers.len(), queues);
    let expected: Vec<_> = all
        .iter()
        .map(|flow| tunnel(node(&mut dataplane, flow), 0, &flow.packet(b"").build(), None))
        .collect();
    assert_eq!(dataplane.stop(), vec![expected; queues]);
}

#[test]
fn services_and_nodes_count_their_packets_bytes_and_flows() {
    let flows = flows(1000..1050);
    let frames: Vec<_> = flows.iter().chain(&flows).map(frame).collect();
    let mut dataplane = Dataplane::start(&[frames], &[], &snapshot());
    dataplane.wait_for(&counts(&[("received", 200), ("forwarded", 200)]));
    let stats = dataplane.stats();
    let web = stats.services.iter().find(|service| service.name == "web").unwrap();
    assert_eq!((web.total.packets, web.total.new_flows, web.total.connections), (200, 100, 100));
    assert_eq!(web.total.bytes, 100 * (20 + 20) + 100 * (40 + 20));
    let of_nodes = stats.nodes.iter().map(|node| node.traffic.packets);
    assert_eq!(of_nodes.sum::<u64>(), 200);
    for name in ["l7-1", "l7-2", "l7-3"] {
        let to_node = |flow: &&Flow| dataplane.explain(flow.query()).node.as_deref() == Some(name);
        let flows = flows.iter().filter(to_node).count() as u64;
        let node = stats.nodes.iter().find(|node| node.name == name).unwrap();
        assert_eq!((node.traffic.packets, node.traffic.new_flows), (2 * flows, flows), "{name}");
    }
    assert_eq!((stats.counters["new_flow"], stats.counters["connection_hit"]), (100, 100));
}
