//! The dataplane is started anew as planned: routers keep the routes and the BFD sessions.

use std::thread;
use std::time::Duration;

use admin::Effective;
use lab::{Bfd, Flags, L4, Lab};
use system_tests::routes::{RouteWatch, wait_spread};
use system_tests::{Kept, SOON, reload, text};

/// The BFD sessions as the router has them, since when each is Up included.
fn sessions(lab: &Lab) -> Vec<String> {
    let said = lab.router().bird().say("show bfd sessions");
    let rows = said.lines().filter(|line| line.contains(" Up ") || line.contains(" Down "));
    // Address, interface, state, since: the timers after these are what changes.
    rows.map(|row| row.split_whitespace().take(4).collect::<Vec<_>>().join(" ")).collect()
}

fn bfd_is_up(l4: &L4) -> bool {
    let routers = l4.status().routers;
    let mut sessions = routers.iter().flat_map(|router| &router.sessions);
    sessions.all(|session| session.bfd.as_ref().is_some_and(|bfd| bfd.up))
}

/// `palierctl upgrade --dataplane`, with the lab as who watches over the process. `meanwhile` comes after
/// the start of the next one.
fn restart(l4: &L4, meanwhile: impl FnOnce()) -> String {
    thread::scope(|scope| {
        let asked = scope.spawn(|| l4.ctl(&["upgrade", "--dataplane"]));
        let status = l4.wait_ended(SOON);
        assert!(status.success(), "{status}");
        l4.start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
        meanwhile();
        let (status, said) = asked.join().expect("it was run");
        assert!(status.success(), "{said}");
        said
    })
}

/// One node, announced, whose hold time leaves a restart ten seconds.
fn patient_lab() -> Lab {
    let lab = Lab::new().l4(1).bfd(Bfd::CALM).start();
    lab.router().bird().configure(|text| text.replace("hold time 6;", "hold time 30;"));
    reload(&lab, |site| text::with(&site, "router-1", "hold_time = \"30s\""));
    let l4 = lab.l4(1);
    lab.wait_until("the sessions are up anew", SOON, || {
        let routers = l4.status().routers;
        let mut sessions = routers.iter().flat_map(|router| &router.sessions);
        let up = sessions.all(|session| {
            session.up && session.hold_time_s == Some(30) && !session.announced.is_empty()
        });
        up && bfd_is_up(l4)
    });
    wait_spread(&lab, "it is announced", [&[1], &[1]]);
    lab
}

#[test]
fn routers_notice_nothing_of_a_planned_restart() {
    let lab = patient_lab();
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, 20);
    let watch = RouteWatch::of(lab.router());
    let before = sessions(&lab);
    assert_eq!(before.len(), 2, "{before:?}");
    let pid = l4.pid();
    let said = restart(l4, || ());
    assert!(said.contains("forwards again"), "{said}");
    assert!(said.contains("BFD sessions that went on: 2"), "{said}");
    assert_ne!(l4.pid(), pid);
    kept.go_on("the restart");
    assert_eq!(sessions(&lab), before);
    // The timers are the short ones again.
    let detection = Bfd::CALM.interval * u32::from(Bfd::CALM.multiplier);
    lab.wait_until("the timers are those of the site file", SOON, || {
        let routers = l4.status().routers;
        let mut sessions = routers.iter().flat_map(|router| &router.sessions);
        sessions.all(|session| {
            let bfd = session.bfd.as_ref().expect("it is wanted");
            u128::from(bfd.detection_ms) == detection.as_millis() && bfd.losses == 0
        })
    });
    assert_eq!(watch.changes(), [""; 0]);
    assert!(!lab.router().bird().log().contains("BFD session down"));
    // It forwards as it is told: another restart, with a change in between.
    reload(&lab, |site| text::with(&site, "l7-1", "weight = 3"));
    restart(l4, || ());
    kept.go_on("another restart");
    assert_eq!(watch.changes(), [""; 0]);
    kept.finish_whole();
}

#[test]
fn a_port_that_is_slow_to_come_up_is_waited_for() {
    // Checks fail for less, and BFD is down after half of it, unless it is told of the restart.
    const SLOW: Duration = Duration::from_secs(3);
    let lab = patient_lab();
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, 5);
    let watch = RouteWatch::of(lab.router());
    let before = sessions(&lab);
    restart(l4, || {
        lab.cut_l4(1);
        thread::sleep(SLOW); // how slow the port is
        lab.mend_l4(1);
    });
    assert_eq!(sessions(&lab), before);
    assert_eq!(watch.changes(), [""; 0]);
    assert_eq!(l4.states_of("l7-1"), [Effective::Up; 2]);
    kept.go_on("a slow restart");
    kept.finish_whole();
}

#[test]
fn what_operators_say_meanwhile_is_done() {
    let lab = patient_lab();
    let l4 = lab.l4(1);
    thread::scope(|scope| {
        let asked = scope.spawn(|| l4.ctl(&["upgrade", "--dataplane"]));
        assert!(l4.wait_ended(SOON).success());
        for again in [&["upgrade"][..], &["upgrade", "--dataplane"]] {
            let (status, said) = l4.ctl(again);
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains("being restarted"), "{said}");
        }
        let told = || {
            let routers = l4.status().routers;
            routers.iter().flat_map(|r| &r.sessions).all(|s| !s.announced.is_empty())
        };
        assert!(told());
        let (status, said) = l4.ctl(&["withdraw", "web"]);
        assert!(status.success(), "{said}");
        lab.wait_until("it is withdrawn", SOON, || !told());
        assert!(!asked.is_finished(), "the dataplane is still waited for");
        let status = l4.terminate_control(SOON);
        assert!(status.success(), "{status}");
        let (status, said) = asked.join().expect("it was run");
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("it was told to stop"), "{said}");
    });
}

#[test]
fn a_forwarder_that_does_not_come_back_is_withdrawn() {
    let lab = Lab::new().l4(2).bfd(Bfd::CALM).start();
    let l4 = lab.l4(1);
    lab.wait_until("BFD is up", SOON, || bfd_is_up(l4));
    let (status, said) = l4.ctl(&["upgrade", "--dataplane"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("not back within 2s"), "{said}");
    assert!(l4.wait_ended(SOON).success());
    assert!(!l4.status().gate.open);
    wait_spread(&lab, "it is gone", [&[2], &[2]]);
    let (status, said) = l4.ctl(&["upgrade", "--dataplane"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the dataplane does not forward"), "{said}");
    l4.start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
    wait_spread(&lab, "it is back", [&[1, 2], &[1, 2]]);
}
