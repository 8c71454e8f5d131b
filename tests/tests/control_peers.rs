//! The L4 nodes of a site agree: what is typed on one is known to all, and who differs is named.

use admin::{Effective, Reply, Request};
use lab::Lab;
use system_tests::{Kept, SOON, nodes_of_new_connections};

#[test]
fn a_drain_typed_on_one_node_reaches_all_and_breaks_nothing() {
    let lab = Lab::new().control().start();
    let kept = Kept::open(&lab, 30);

    let (status, said) = lab.l4(1).ctl(&["drain", "l7-1"]);
    assert!(status.success(), "{said}");
    assert!(said.contains("l4-2 knows"), "{said}");
    for l4 in lab.l4s() {
        l4.wait_state("l7-1", Effective::Drain, SOON);
    }
    assert!(nodes_of_new_connections(&lab, 30).iter().all(|node| node != "l7-1"));
    kept.go_on("a drain");

    // The other node takes it back: whoever spoke last is right.
    let (status, said) = lab.l4(2).ctl(&["ready", "l7-1"]);
    assert!(status.success(), "{said}");
    for l4 in lab.l4s() {
        l4.wait_state("l7-1", Effective::Up, SOON);
    }
    kept.finish_whole();
}

#[test]
fn a_node_that_is_not_reached_is_named_and_learns_it_when_it_is_back() {
    let lab = Lab::new().control().start();
    lab.l4(2).kill_control();
    let (status, said) = lab.l4(1).ctl(&["maintain", "l7-2"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("l4-2: "), "{said}");
    lab.l4(1).wait_state("l7-2", Effective::Maintenance, SOON);

    lab.l4(2).start_control().unwrap();
    lab.l4(2).wait_state("l7-2", Effective::Maintenance, SOON);
    let (status, said) = lab.l4(1).ctl(&["ready", "l7-2"]);
    assert!(status.success(), "{said}");
    lab.l4(2).wait_state("l7-2", Effective::Up, SOON);

    let (status, said) = lab.l4(1).ctl(&["drain", "l7-9"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("no node is named `l7-9`; there are: l4-1, l4-2, l7-1"), "{said}");
}

#[test]
fn a_drained_l4_node_announces_nothing_and_forwards_on() {
    let lab = Lab::new().control().start();
    let kept = Kept::open(&lab, 30);
    let (status, said) = lab.l4(1).ctl(&["drain", "l4-2"]);
    assert!(status.success(), "{said}");
    let announces = |number: usize| {
        let status = lab.l4(number).status();
        (status.gate.open, status.services.iter().flat_map(|s| &s.vips).all(|vip| vip.announced))
    };
    lab.wait_until("l4-2 announces nothing", SOON, || announces(2) == (false, false));
    assert_eq!(lab.l4(2).status().gate.reasons, ["operator: drain"]);
    assert_eq!(announces(1), (true, true));
    kept.go_on("the drain of an L4 node");
    let (status, said) = lab.l4(2).ctl(&["ready", "l4-2"]);
    assert!(status.success(), "{said}");
    lab.wait_until("l4-2 announces again", SOON, || announces(2) == (true, true));
    kept.finish_whole();
}

#[test]
fn a_node_with_another_table_is_an_alarm_that_says_what_differs() {
    let lab = Lab::new().control().start();
    lab.edit_site(|text| text.replacen("index = 1\n", "index = 1\nweight = 3\n", 1));
    let reload = |number: usize| match lab.l4(number).ask_control(&Request::Reload { force: false })
    {
        Reply::Done(_) => {}
        other => panic!("{other:?}"),
    };
    let alarm = |number: usize, text: &str| {
        lab.l4(number).status().alarms.iter().any(|alarm| alarm.contains(text))
    };
    reload(1);
    lab.wait_until("l4-1 tells in what l4-2 differs", SOON, || {
        alarm(1, "differs from l4-2: ") && alarm(1, "l7-1 has weight 3 here, 1 there")
    });
    lab.wait_until("and so does the other", SOON, || alarm(2, "l7-1 has weight 1 here, 3 there"));
    reload(2);
    lab.wait_until("they agree again", SOON, || !alarm(1, "differs") && !alarm(2, "differs"));
}
