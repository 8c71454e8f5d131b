//! A change of the Snapshot loses no packet, and one that is not valid changes nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use api::{Release, Reply, Request, Snapshot, State, Stats};
use lab::{Flags, Lab, VIP};
use system_tests::{Echo, SOON, VIPS, nodes_of_new_connections};

/// Flows of each family, and datagrams that each has on the way: as many as the queues of taps have
/// room for, so that what is lost is lost by the dataplane.
const FLOWS: usize = 8;
const WINDOW: u64 = 12;
const CHANGES: usize = 300;

/// Sends datagrams until told to stop, a window at a time, and returns how many: every one was
/// answered.
fn exchange(flow: &Echo, stop: &AtomicBool) -> u64 {
    let mut sent: u64 = 0;
    while !stop.load(Relaxed) {
        let window = sent..sent + WINDOW;
        window.clone().for_each(|number| flow.send(&number.to_be_bytes()));
        // Where a change moves the flow two nodes answer at once, so the order is no matter.
        let mut missing: BTreeSet<_> = window.map(|number| number.to_be_bytes().to_vec()).collect();
        while !missing.is_empty() {
            let (_, data) = flow.answer();
            assert!(missing.remove(&data), "answered twice: {data:?}");
        }
        sent += WINDOW;
    }
    sent
}

/// Ends the exchange when it is dropped, which a failed assertion does too.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The lab's Snapshot with every service's nodes in the `change`-th of many different states.
fn changed(lab: &Lab, change: usize) -> Snapshot {
    const STATES: [State; 4] = [State::Up, State::Drain, State::Down, State::Joining];
    let mut snapshot = lab.snapshot(1);
    for service in &mut snapshot.services {
        for (position, member) in service.nodes.iter_mut().enumerate().skip(1) {
            member.state = STATES[(change + position) % STATES.len()];
            member.weight = 1 + (change % 7) as u16;
        }
    }
    // Now and then a node leaves, its flows go to others, and it comes back.
    if change % 5 == 4 {
        let gone = snapshot.nodes.pop().expect("there are three").index;
        for service in &mut snapshot.services {
            service.nodes.retain(|member| member.node != gone);
        }
    }
    snapshot
}

/// What became of received packets, drops apart.
fn fates(stats: &Stats) -> u64 {
    let is_fate = |name: &str| {
        name == "forwarded" || name.starts_with("kernel_") || name.ends_with("_replied")
    };
    stats.counters.iter().filter(|(name, _)| is_fate(name)).map(|(_, count)| count).sum()
}

/// Drops, but for frames to other stations: the fabric floods some.
fn drops(stats: &Stats) -> Vec<(&String, &u64)> {
    let is_drop = |name: &str| name.starts_with("drop_") && name != "drop_other_mac";
    stats.counters.iter().filter(|(name, count)| is_drop(name) && **count > 0).collect()
}

#[test]
fn hundreds_of_changes_under_full_load_lose_no_packet() {
    let lab = Lab::new().l4(1).flags(Flags { queues: 2, ..Flags::default() }).start();
    let l4 = lab.l4(1);
    let stop = AtomicBool::new(false);
    let flows = VIPS.iter().flat_map(|&vip| (0..FLOWS).map(move |_| vip));
    let flows: Vec<_> = flows.map(|vip| Echo::open(&lab, vip)).collect();

    let sent: u64 = thread::scope(|scope| {
        let flows: Vec<_> =
            flows.iter().map(|flow| scope.spawn(|| exchange(flow, &stop))).collect();
        let end = End(&stop);
        let forwarded = || l4.counter("forwarded");
        for change in 0..CHANGES {
            let snapshot = changed(&lab, change);
            let reply = l4.apply(&snapshot);
            let Reply::Applied { generation } = reply else { panic!("{reply:?}") };
            assert_eq!(generation, snapshot.generation);
            if change % 10 == 0 {
                let before = forwarded();
                lab.wait_until("packets pass between changes", SOON, || forwarded() > before);
            }
        }
        drop(end);
        flows.into_iter().map(|flow| flow.join().unwrap()).sum()
    });

    let stats = l4.stats();
    let echo = stats.services.iter().find(|service| service.name == "echo").unwrap();
    assert_eq!(echo.total.packets, sent, "every datagram was forwarded, once");
    assert_eq!(drops(&stats), []);
    lab.wait_until("every packet received has a fate", SOON, || {
        let stats = l4.stats();
        stats.counters["received"] == fates(&stats) + stats.counters["drop_other_mac"]
    });
}

#[test]
fn a_snapshot_that_is_not_valid_is_refused_with_every_reason_and_the_old_one_stays() {
    let lab = Lab::new().l4(1).start();
    let l4 = lab.l4(1);
    let in_force = || match l4.request(&Request::Snapshot) {
        Reply::Snapshot(snapshot) => snapshot.expect("the lab has applied one"),
        other => panic!("reply to snapshot: {other:?}"),
    };
    let before = in_force();
    let flows = nodes_of_new_connections(&lab, 10).len() as u64;

    let mut bad = lab.snapshot(1);
    bad.nodes[0].addresses[0] = VIP.into();
    bad.nodes[1].addresses[0] = l4.addresses().v4.into();
    bad.nodes[2].index = bad.nodes[1].index;
    bad.services[0].rows = 65_536;
    bad.services[1].nodes[0].state = State::Up;
    bad.services[1].nodes[0].release = Release::At(0);
    let Reply::Refused { reasons } = l4.apply(&bad) else { panic!("it is not valid") };
    for reason in [
        "nodes[0] (l7-1): 198.51.100.1 is a VIP of service web",
        "nodes[1] (l7-2): 192.0.2.132 is this L4 node's own address",
        "nodes[2] (l7-3): index 2 is that of l7-2",
        "services[0] (web): rows: 65536 is not a prime up to 16777216; use 65537",
        "services[0] (web): no node has index 3",
        "services[1] (echo): node 1: release is for the states down and maintenance",
    ] {
        assert!(reasons.iter().any(|text| text == reason), "`{reason}` is not among {reasons:#?}");
    }

    assert_eq!(in_force(), before);
    nodes_of_new_connections(&lab, 10);
    let stats = l4.stats();
    assert_eq!(stats.generation, Some(before.generation));
    assert_eq!(stats.counters["new_flow"], 2 * flows);
    assert_eq!(drops(&stats), []);
}
