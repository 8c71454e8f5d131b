//! Next hops are the kernel's neighbors: their changes are followed, and packets wait for them.

use std::net::IpAddr;

use lab::{Flags, L4, Lab, Mac, VIP};
use system_tests::{Echo, Kept, SOON, VIPS, nodes_of_new_connections};

const KEPT: usize = 50;
/// What an L7 node's address becomes when the machine is replaced.
const REPLACED: Mac = Mac([0x02, 0xff, 0, 0, 0, 1]);

fn serves_new_connections(lab: &Lab, name: &str) {
    lab.wait_until(&format!("{name} serves new connections"), SOON, || {
        nodes_of_new_connections(lab, 5).iter().any(|node| node == name)
    });
}

#[test]
fn connections_live_through_a_change_of_mac_that_is_announced() {
    let lab = Lab::new().start();
    let node = lab.l7(1);
    let announce =
        [("net.ipv4.conf.eth0.arp_notify", "1"), ("net.ipv6.conf.eth0.ndisc_notify", "1")];
    node.namespace().sysctl(&announce).unwrap();
    let kept = Kept::open(&lab, KEPT);

    node.change_mac(REPLACED);
    kept.go_on("a node's MAC address changed");
    serves_new_connections(&lab, node.name());
    for report in kept.finish_whole() {
        assert!(report.nodes.contains_key(node.name()), "{report:?}");
    }
}

/// Neighbors that nobody asks for are forgotten, but for those that the dataplane has kept: a
/// forwarded packet does not tell the kernel that its next hop is in use.
#[test]
fn connections_live_through_a_change_of_mac_without_a_word() {
    let lab = Lab::new().without_dataplanes().start();
    for l4 in lab.l4s() {
        // By default it takes the kernel up to a minute to doubt a neighbor, which no connection
        // would live through.
        for family in ["ipv4", "ipv6"] {
            let set = |name, value| {
                let name = format!("net.{family}.neigh.exception.{name}");
                l4.namespace().sysctl(&[(&name, value)]).unwrap();
            };
            set("base_reachable_time_ms", "1000");
            set("delay_first_probe_time", "1");
            set("retrans_time_ms", "100");
            set("interval_probe_time_ms", "1000");
        }
        lab.start_dataplane(l4.number(), &Flags::default());
    }
    let kept = Kept::open(&lab, KEPT);

    lab.l7(1).change_mac(REPLACED);
    kept.go_on("a node's MAC address changed");
    serves_new_connections(&lab, "l7-1");
    for report in kept.finish_whole() {
        assert!(report.nodes.contains_key("l7-1"), "{report:?}");
    }
}

/// `count` flows, of each of which one datagram was sent.
fn send(lab: &Lab, vip: IpAddr, count: usize) -> Vec<Echo> {
    let flows: Vec<_> = (0..count).map(|_| Echo::open(lab, vip)).collect();
    flows.iter().for_each(|flow| flow.send(b"first"));
    flows
}

fn assert_answered(flows: &[Echo]) {
    for flow in flows {
        assert_eq!(flow.answer(), ("l7-1".into(), b"first".to_vec()));
    }
}

/// A dataplane with the lab's Snapshot, which may not know any neighbor yet.
fn start(lab: &Lab) -> &L4 {
    let l4 = lab.l4(1);
    l4.start(&Flags::default()).expect("the dataplane starts");
    l4.apply(&lab.snapshot(1));
    l4
}

#[test]
fn the_first_packets_to_a_node_are_not_lost() {
    let lab = Lab::new().l4(1).l7(1).without_dataplanes().start();
    let l4 = start(&lab);
    for vip in VIPS {
        assert_answered(&send(&lab, vip, 10));
    }
    assert_eq!(l4.counter("drop_no_neighbor"), 0);
}

#[test]
fn packets_wait_for_a_neighbor_that_answers_late() {
    const COUNT: usize = 20;
    let lab = Lab::new().l4(1).l7(1).without_dataplanes().start();
    // The kernel asks ten times a second, for a minute.
    let patient = [
        ("net.ipv4.neigh.exception.retrans_time_ms", "100"),
        ("net.ipv4.neigh.exception.mcast_solicit", "600"),
    ];
    lab.l4(1).namespace().sysctl(&patient).unwrap();
    lab.l7(1).namespace().ip("link set eth0 arp off\n").unwrap();
    let l4 = start(&lab);

    let flows = send(&lab, VIP.into(), COUNT);
    lab.wait_until("all wait", SOON, || l4.counter("neighbor_held") == COUNT as u64);
    assert_eq!(l4.counter("forwarded"), 0);
    lab.l7(1).namespace().ip("link set eth0 arp on\n").unwrap();
    assert_answered(&flows);
    assert_eq!((l4.counter("drop_no_neighbor"), l4.counter("forwarded")), (0, COUNT as u64));
}

#[test]
fn packets_to_a_neighbor_that_never_answers_are_dropped_and_counted() {
    const COUNT: usize = 10;
    let lab = Lab::new().l4(1).l7(1).without_dataplanes().start();
    lab.l7(1).namespace().ip("link set eth0 arp off\n").unwrap();
    let l4 = start(&lab);
    drop(send(&lab, VIP.into(), COUNT));
    lab.wait_until("all were given up", SOON, || l4.counter("drop_no_neighbor") == COUNT as u64);
    assert_eq!((l4.counter("neighbor_held"), l4.counter("forwarded")), (COUNT as u64, 0));
}
