//! L7 nodes come, drain, fail for a while and go, and no connection breaks.

use std::time::{Duration, Instant};

use api::Release;
use lab::{Lab, Report, release_in};
use system_tests::{Echo, Kept, SOON, VIPS, nodes_of_new_connections};

/// Connections of each family that live through everything.
const KEPT: usize = 100;
/// New connections of each family after a change.
const NEW: usize = 30;

fn has_new_connections(lab: &Lab, number: usize) -> bool {
    let name = lab.l7(number).name();
    nodes_of_new_connections(lab, NEW).iter().any(|node| node == name)
}

#[test]
fn connections_live_through_every_planned_change() {
    let lab = Lab::new().l7(4).start();
    lab.remove(4);
    let kept = Kept::open(&lab, KEPT);

    lab.joining(4);
    assert!(!has_new_connections(&lab, 4), "it has yet to join");
    lab.up(4);
    assert!(has_new_connections(&lab, 4), "it takes its share");
    kept.go_on("a node was added");

    lab.drain(1);
    assert!(!has_new_connections(&lab, 1), "it is draining");
    kept.go_on("a node was drained");

    // Control takes a node out of the rows first, and out of the Snapshot once its flows are gone.
    lab.weight(2, 0);
    assert!(!has_new_connections(&lab, 2), "it has no rows");
    kept.go_on("a node was taken out of the rows");

    let reports = kept.finish_whole();
    for report in &reports {
        assert_eq!(report.nodes.keys().collect::<Vec<_>>(), ["l7-1", "l7-2", "l7-3"]);
    }
    assert_eq!(lab.l4s().iter().map(|l4| l4.counter("rescheduled")).sum::<u64>(), 0);

    lab.wait_until("the last connections of the second node end", SOON, || {
        lab.l7(2).server().connections() == 0
    });
    let kept = Kept::open(&lab, KEPT);
    lab.remove(2);
    kept.go_on("a node without connections was removed");
    kept.finish_whole();
}

#[test]
fn connections_live_through_a_short_outage_of_a_nodes_health() {
    const OUTAGE: Duration = Duration::from_secs(5);
    let lab = Lab::new().start();
    let kept = Kept::open(&lab, KEPT);

    lab.down(2, release_in(2 * OUTAGE));
    let start = Instant::now();
    while start.elapsed() < OUTAGE {
        assert!(!has_new_connections(&lab, 2), "it is down");
    }
    kept.go_on("a node was down for a while");
    lab.up(2);
    assert!(has_new_connections(&lab, 2), "it is back");
    lab.wait_until("the instant of release is over", SOON, || start.elapsed() > 2 * OUTAGE);
    kept.go_on("the release that was called off");

    for Report { nodes, .. } in kept.finish_whole() {
        assert!(nodes.contains_key("l7-2"), "{nodes:?}");
    }
    assert_eq!(lab.l4s().iter().map(|l4| l4.counter("rescheduled")).sum::<u64>(), 0);
}

#[test]
fn a_node_that_stays_down_loses_its_flows_at_the_release_and_no_other_node_does() {
    const FLOWS: usize = 60;
    let lab = Lab::new().start();
    let flows = VIPS.iter().flat_map(|&vip| (0..FLOWS).map(move |_| vip));
    let flows: Vec<_> = flows.map(|vip| Echo::open(&lab, vip)).collect();
    let nodes = || -> Vec<String> {
        let ask = |flow: &Echo| {
            flow.send(b"who?");
            flow.answer().0
        };
        flows.iter().map(ask).collect()
    };
    let rescheduled = || lab.l4s().iter().map(|l4| l4.counter("rescheduled")).sum::<u64>();

    let before = nodes();
    let lost = before.iter().filter(|node| *node == "l7-2").count();
    assert!(lost > 0, "every node has some of {FLOWS} flows");
    lab.down(2, Release::Never);
    assert_eq!(nodes(), before, "a node that is down keeps its flows until their release");
    assert_eq!(rescheduled(), 0);

    lab.down(2, release_in(Duration::ZERO));
    lab.wait_until("the release has come", SOON, || nodes() != before);
    let after = nodes();
    for (before, after) in before.iter().zip(&after) {
        if before == "l7-2" {
            assert_ne!(after, before);
        } else {
            assert_eq!(after, before, "another node's flow");
        }
    }
    assert_eq!(rescheduled(), lost as u64);
    assert_eq!(nodes(), after, "where they went they stay");
}
