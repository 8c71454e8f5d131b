//! What takes long: minutes of changes of every kind, one after the other, under load.

use std::time::{Duration, Instant};

use api::Release;
use lab::{Flags, Lab, release_in};
use system_tests::{Kept, SOON};

/// How long changes go on.
const LENGTH: Duration = Duration::from_secs(300);
/// Connections of each family.
const KEPT: usize = 100;

#[test]
#[ignore = "takes five minutes: scripts/test --long"]
fn connections_live_through_minutes_of_changes_and_restarts() {
    let lab = Lab::new().l7(4).start();
    let kept = Kept::open(&lab, KEPT);
    let start = Instant::now();
    for round in 0_usize.. {
        if start.elapsed() > LENGTH {
            break;
        }
        let node = round % 4 + 1;
        match round % 5 {
            0 => lab.drain(node),
            1 => lab.down(node, release_in(Duration::from_secs(60))),
            2 => lab.weight(node, 0),
            3 => lab.maintenance(node, Release::Never),
            _ => restart(&lab, round / 5 % 2 + 1, round),
        }
        kept.go_on(&format!("change {round}"));
        lab.weight(node, 1);
        lab.up(node);
        kept.go_on(&format!("the end of change {round}"));
    }
    kept.finish_whole();
}

/// Kills an L4 node and starts it anew, with tables of another size every second time.
fn restart(lab: &Lab, number: usize, round: usize) {
    let flags = Flags {
        connections: Some(if round.is_multiple_of(2) { 50_000 } else { 80_000 }),
        ..Flags::default()
    };
    lab.l4(number).kill();
    lab.start_dataplane(number, &flags);
    lab.wait_until("it forwards again", SOON, || lab.l4(number).counter("forwarded") > 0);
}
