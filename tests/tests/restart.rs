//! A dataplane's connections outlive it, however it ends and with whatever size the next begins.

use std::time::Duration;

use lab::{Flags, Lab};
use system_tests::Kept;

const KEPT: usize = 100;

/// One L4 node with connections whose nodes the rows alone would no longer choose: nodes came and
/// went since they began.
fn lab_with_moved_rows() -> (Lab, Kept) {
    let lab = Lab::new().l4(1).l7(5).start();
    lab.remove(4);
    lab.remove(5);
    let kept = Kept::open(&lab, KEPT);
    lab.up(4);
    lab.up(5);
    lab.drain(1);
    kept.go_on("the rows had moved");
    (lab, kept)
}

/// Connections go on, each as the one that it was before the start of this dataplane.
fn assert_known(lab: &Lab, kept: &Kept, after: &str) {
    kept.go_on(after);
    let stats = lab.l4(1).stats();
    assert!(stats.counters["connection_hit"] + stats.counters["sibling_hit"] > 0, "{after}");
    for forgotten in ["new_flow", "rescheduled"] {
        assert_eq!(stats.counters[forgotten], 0, "{forgotten} after {after}");
    }
}

fn assert_old_nodes(kept: Kept) {
    for report in kept.finish_whole() {
        assert_eq!(report.nodes.keys().collect::<Vec<_>>(), ["l7-1", "l7-2", "l7-3"]);
    }
}

#[test]
fn connections_live_through_sigkill_and_a_start_with_another_capacity_or_other_workers() {
    let (lab, kept) = lab_with_moved_rows();
    let same = Flags::default();
    let starts = [
        ("the same start", same.clone()),
        ("a start with a larger table", Flags { connections: Some(3_000_000), ..same.clone() }),
        ("a start with a smaller table", Flags { connections: Some(50_000), ..same.clone() }),
        ("a start with more workers", Flags { queues: 2, ..same.clone() }),
        ("a start with fewer workers", same),
    ];
    for (number, (what, flags)) in starts.into_iter().enumerate() {
        lab.l4(1).kill();
        // Control goes on while it is away.
        if number % 2 == 0 {
            lab.drain(2)
        } else {
            lab.up(2)
        }
        lab.start_dataplane(1, &flags);
        assert_eq!(lab.l4(1).stats().workers.len(), flags.queues);
        assert_known(&lab, &kept, what);
    }
    assert_old_nodes(kept);
}

#[test]
fn sigterm_ends_it_within_a_second_and_the_next_start_goes_on_at_once() {
    let (lab, kept) = lab_with_moved_rows();
    for _ in 0..2 {
        let status = lab.l4(1).terminate(Duration::from_secs(1));
        assert!(status.success(), "{status}");
        lab.start_dataplane(1, &Flags::default());
        assert_known(&lab, &kept, "SIGTERM and a start");
    }
    assert_old_nodes(kept);
}
