//! Routers keep the routes while control is restarted or upgraded, and drop them when a node leaves or its
//! forwarder dies.

use std::time::Duration;

use lab::{Bfd, Flags, Lab};
use system_tests::routes::{RouteWatch, spread, wait_spread};
use system_tests::{Kept, SOON, Steady, VIPS};

/// Requests on fresh connections after a change.
const FRESH: u64 = 20;

#[test]
fn no_route_changes_while_control_is_killed_and_started_again() {
    let lab = Lab::new().l4(2).routers(2).bgp().start();
    let (kept, steady) = (Kept::open(&lab, 20), Steady::start(&lab));
    let watches: Vec<_> = lab.routers().iter().map(RouteWatch::of).collect();
    lab.l4(1).kill_control();
    lab.wait_until("the routers have noticed", SOON, || {
        lab.routers().iter().all(|router| router.bird().established(1) == [false; 2])
    });
    steady.go_on(FRESH, "control was killed");
    lab.l4(1).start_control().unwrap_or_else(|error| panic!("{error}"));
    lab.wait_until("all is as before", SOON, || {
        let status = lab.l4(1).status();
        let told = |session: &admin::SessionStatus| session.up && !session.announced.is_empty();
        status.gate.open && status.routers.iter().flat_map(|r| &r.sessions).all(told)
    });
    // What End-of-RIB sweeps is swept by now.
    kept.go_on("control was killed");
    steady.go_on(FRESH, "it was started again");
    wait_spread(&lab, "both nodes are there", [&[1, 2], &[1, 2]]);
    for watch in &watches {
        assert_eq!(watch.changes(), [""; 0]);
    }
    kept.finish_whole();
}

#[test]
fn an_upgrade_keeps_process_id_and_routes() {
    let lab = Lab::new().l4(1).bgp().start();
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, 20);
    let watch = RouteWatch::of(lab.router());
    let pid = l4.control_pid();
    let uptime = l4.status().uptime_ms;
    let (status, said) = l4.ctl(&["upgrade"]);
    assert!(status.success(), "{said}");
    assert!(said.contains("starts as palier-control "), "{said}");
    lab.wait_until("it was started anew, and has told the routers all", SOON, || {
        l4.try_status().is_ok_and(|status| {
            let mut sessions = status.routers.iter().flat_map(|router| &router.sessions);
            status.uptime_ms < uptime && sessions.all(|session| !session.announced.is_empty())
        })
    });
    assert_eq!(l4.control_pid(), pid);
    kept.go_on("the upgrade");
    assert_eq!(watch.changes(), [""; 0]);
    kept.finish_whole();
}

#[test]
fn a_route_that_is_not_announced_any_more_goes_after_the_restart() {
    let lab = Lab::new().l4(1).bgp().start();
    lab.l4(1).kill_control();
    for l7 in lab.l7s() {
        l7.remove_vip(VIPS[1]);
    }
    assert_eq!(spread(&lab, lab.router()), [[1], [1]].map(Vec::from), "it is kept so far");
    lab.l4(1).start_control().unwrap_or_else(|error| panic!("{error}"));
    wait_spread(&lab, "IPv6 was swept", [&[1], &[]]);
}

#[test]
#[ignore = "long: a restart time has to pass"]
fn a_control_that_does_not_come_back_is_forgotten_after_the_restart_time() {
    const RESTART_TIME: Duration = Duration::from_secs(30);
    let lab = Lab::new().l4(1).bgp().start();
    let start = std::time::Instant::now();
    lab.l4(1).kill_control();
    lab.wait_until("the routes are gone", RESTART_TIME * 2, || {
        spread(&lab, lab.router()).iter().all(Vec::is_empty)
    });
    assert!(start.elapsed() > RESTART_TIME.mul_f64(0.9), "{:?}", start.elapsed());
}

#[test]
fn a_node_that_is_cut_off_without_bfd_goes_with_the_hold_time_and_comes_back() {
    const HOLD_TIME: Duration = Duration::from_secs(6);
    let lab = Lab::new().l4(2).bgp().start();
    let start = std::time::Instant::now();
    lab.cut_l4(1);
    wait_spread(&lab, "the one that is cut off is gone", [&[2], &[2]]);
    // The last KEEPALIVE may be a third of the hold time old.
    assert!(start.elapsed() > HOLD_TIME / 2, "{:?}", start.elapsed());
    let log = lab.router().bird().log();
    assert!(log.contains("Hold timer expired"), "{log}");
    lab.mend_l4(1);
    wait_spread(&lab, "it is back", [&[1, 2], &[1, 2]]);
}

#[test]
fn a_node_that_leaves_breaks_nothing() {
    let lab = Lab::new().l4(2).bgp().start();
    let (kept, steady) = (Kept::open(&lab, 20), Steady::start(&lab));
    let status = lab.l4(1).terminate_control(SOON);
    assert!(status.success(), "{status}");
    wait_spread(&lab, "it has left", [&[2], &[2]]);
    // Its forwarder may go now: nobody sends it anything.
    lab.l4(1).kill();
    kept.go_on("a node left");
    steady.go_on(FRESH, "a node left");
    lab.l4(1).start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
    lab.l4(1).start_control().unwrap_or_else(|error| panic!("{error}"));
    wait_spread(&lab, "it is back", [&[1, 2], &[1, 2]]);
    kept.finish_whole();
}

#[test]
fn a_dead_forwarder_is_removed_by_bfd_and_its_vips_stay_away_until_it_is_good_again() {
    let lab = Lab::new().l4(2).bfd(Bfd::CALM).start();
    let l4 = lab.l4(1);
    let up =
        || l4.status().routers[0].sessions.iter().all(|s| s.bfd.as_ref().is_some_and(|b| b.up));
    lab.wait_until("BFD is up", SOON, up);
    let kept = Kept::open(&lab, 20);
    // Nobody is there to withdraw anything.
    l4.kill_control();
    l4.kill();
    wait_spread(&lab, "the dead one is gone", [&[2], &[2]]);
    let log = lab.router().bird().log();
    assert!(log.contains("BFD session down"), "{log}");
    assert!(!log.contains("Hold timer expired"), "{log}");
    l4.start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
    l4.start_control().unwrap_or_else(|error| panic!("{error}"));
    lab.wait_until("BFD is up again", SOON, up);
    wait_spread(&lab, "it is back", [&[1, 2], &[1, 2]]);
    kept.go_on("a forwarder died and came back");
    kept.finish_whole();
}
