//! Control may be killed, stopped and started again, and so may the dataplane beside it: packets,
//! connections and rows do not notice.

use admin::Effective;
use api::{Reply, Request, Snapshot};
use health::Admin;
use lab::{Flags, L4, Lab};
use system_tests::{Kept, SOON, Steady, VIPS, member, reload, text, vip};

/// Connections of each family that live through everything.
const KEPT: usize = 30;
/// New connections and datagrams after a change.
const FRESH: u64 = 50;

/// What the dataplane has, and under which generation.
fn in_force(l4: &L4) -> (u64, Snapshot) {
    match l4.request(&Request::Snapshot) {
        Reply::Snapshot(Some(found)) => {
            (found.generation, Snapshot { generation: 0, ..found.snapshot })
        }
        other => panic!("{other:?}"),
    }
}

/// Fingerprints of the tables of all services.
fn tables(l4: &L4) -> Vec<(String, Vec<String>)> {
    l4.stats().services.into_iter().map(|service| (service.name, service.tables)).collect()
}

fn wait_open(l4: &L4) {
    let what = format!("control of {} has its verdicts", l4.name());
    lab::wait_until(&what, SOON, || l4.status().gate.open && l4.is_settled());
}

#[test]
fn control_that_is_killed_and_started_again_moves_nothing() {
    let lab = Lab::new().control().start();
    reload(&lab, |site| text::with(&site, "web", "down_hold = \"1h\""));
    let kept = Kept::open(&lab, KEPT);
    // A node that an operator drains, and one that is down with an instant of release ahead.
    let (status, said) = lab.l4(1).ctl(&["drain", "l7-1"]);
    assert!(status.success(), "{said}");
    lab.l7(2).server().refuse(true);
    for l4 in lab.l4s() {
        lab::wait_until(&format!("{} knows of both", l4.name()), SOON, || {
            l4.states_of("l7-1") == [Effective::Drain; 2]
                && l4.states_of("l7-2") == [Effective::Down; 2]
                && l4.is_settled()
        });
    }
    let steady = Steady::start(&lab);
    let before: Vec<_> = lab.l4s().iter().map(|l4| (in_force(l4), tables(l4))).collect();

    lab.l4s().iter().for_each(L4::kill_control);
    kept.go_on("control was killed");
    steady.go_on(FRESH, "control was killed");
    for (l4, (before, tables_before)) in lab.l4s().iter().zip(&before) {
        assert_eq!(in_force(l4), *before, "nobody said anything to the dataplane");
        assert_eq!(tables(l4), *tables_before);
    }

    let mut generations: Vec<u64> = before.iter().map(|((generation, _), _)| *generation).collect();
    for (l4, last) in lab.l4s().iter().zip(&mut generations) {
        l4.start_control().unwrap_or_else(|error| panic!("{error}"));
        lab::wait_until("control has its verdicts", SOON, || {
            let (generation, _) = in_force(l4);
            assert!(generation >= *last, "{generation} after {last}");
            *last = generation;
            l4.status().gate.open && l4.is_settled()
        });
    }
    kept.go_on("control was started again");
    steady.go_on(FRESH, "control was started again");
    for (l4, ((_, snapshot), tables_before)) in lab.l4s().iter().zip(&before) {
        // With the instant at which the flows of the node that is down go.
        assert_eq!(in_force(l4).1, *snapshot, "on {}", l4.name());
        assert_eq!(tables(l4), *tables_before, "on {}", l4.name());
        let status = l4.status();
        let drained = member(vip(&status, "web", VIPS[0]), "l7-1");
        assert_eq!((drained.state, drained.operator), (Effective::Drain, Admin::Drain));
    }
    steady.finish_whole();
    kept.finish_whole();
}

#[test]
fn nothing_is_applied_before_the_checks_have_spoken() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    reload(&lab, |site| text::with(&site, "web", "down_hold = \"1h\""));
    let kept = Kept::open(&lab, KEPT);
    lab.l7(2).server().refuse(true);
    l4.wait_state("l7-2", Effective::Down, SOON);
    let (generation, before) = in_force(l4);

    // The next control's checks of `web` are not answered, and do not give up.
    l4.kill_control();
    lab.l7(2).server().refuse(false);
    lab.l7s().iter().for_each(|l7| l7.server().stall(true));
    lab.edit_site(|site| {
        let site = text::with(&site, "lab", "startup_limit = \"3s\"");
        text::replaced(&site, text::WEB_CHECKS, text::PATIENT_WEB_CHECKS)
    });
    l4.start_control().unwrap_or_else(|error| panic!("{error}"));
    let reasons = l4.status().gate.reasons;
    assert!(reasons.iter().any(|why| why.starts_with("starting: ")), "{reasons:?}");
    assert_eq!(in_force(l4), (generation, before.clone()));

    // The limit of a start is over: what nobody has spoken against goes on.
    wait_open(l4);
    let status = l4.status();
    for (node, state) in [("l7-1", Effective::Up), ("l7-2", Effective::Down)] {
        let member = member(vip(&status, "web", VIPS[0]), node);
        assert_eq!((member.state, member.checks[0].state), (state, None), "{member:?}");
    }
    assert_eq!(in_force(l4).1, before);
    kept.go_on("a start without verdicts");

    lab.l7(1).server().set_health(503, None);
    lab.l7s().iter().for_each(|l7| l7.server().stall(false));
    l4.wait_state("l7-1", Effective::Drain, SOON);
    l4.wait_state("l7-2", Effective::Up, SOON);
    kept.finish_whole();
}

#[test]
fn a_dataplane_that_is_killed_gets_everything_again_from_the_control_that_runs() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    l4.ctl(&["drain", "l7-3"]);
    l4.wait_state("l7-3", Effective::Drain, SOON);
    let kept = Kept::open(&lab, KEPT);
    let (generation, snapshot) = in_force(l4);
    let tables_before = tables(l4);
    for _ in 0..2 {
        l4.kill();
        lab::wait_until("control notices", SOON, || {
            let status = l4.status();
            !status.dataplane.connected && !status.dataplane.forwards && !status.gate.open
        });
        let status = l4.status();
        assert!(!vip(&status, "web", VIPS[0]).announced, "{status:?}");
        assert!(status.alarms[0].starts_with("does not forward: "), "{:?}", status.alarms);

        l4.start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
        wait_open(l4);
        let (now, again) = in_force(l4);
        assert_eq!(again, snapshot);
        assert!(now >= generation, "{now} after {generation}");
        assert_eq!(tables(l4), tables_before);
        kept.go_on("the dataplane was killed and started again");
        assert_eq!(l4.counter("new_flow"), 0, "its connections are the old ones");
    }
    kept.finish_whole();
}

#[test]
fn an_orderly_stop_of_control_leaves_the_dataplane_at_work() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, KEPT);
    let steady = Steady::start(&lab);
    let before = in_force(l4);
    let status = l4.terminate_control(SOON);
    assert!(status.success(), "{status}");
    assert!(!l4.control_socket().exists(), "it takes its socket with it");
    steady.go_on(FRESH, "control was stopped");
    kept.go_on("control was stopped");
    assert_eq!(in_force(l4), before);
    steady.finish_whole();
    kept.finish_whole();
}
