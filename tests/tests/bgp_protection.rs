//! Sessions with MD5 signatures and TTL security; over link-local addresses; and those that do not come up.

use lab::{Lab, Router};
use system_tests::routes::wait_spread;
use system_tests::{SOON, reload, text};

/// Has BIRD use further options in its session of this name.
fn with_options(router: &Router, session: &str, options: &str) {
    let mark = format!("# options of {session}\n");
    router.bird().configure(|text| {
        assert!(text.contains(&mark), "{text}");
        text.replace(&mark, &format!("{options} {mark}"))
    });
}

/// Has this node use further keys for its router.
fn with_keys(lab: &Lab, keys: &str) {
    reload(lab, |site| text::with(&site, "router-1", keys));
}

#[test]
fn signed_sessions_come_up_and_those_with_another_key_do_not() {
    let lab = Lab::new().l4(1).bgp().start();
    let router = lab.router();
    for session in ["l4_1_v4", "l4_1_v6"] {
        with_options(router, session, "password \"s3cret\";");
    }
    with_keys(&lab, "password = \"wrong\"\nhold_time = \"3s\"");
    lab.wait_until("the reason is told", SOON, || {
        let status = lab.l4(1).status();
        status.routers[0].sessions.iter().all(|session| {
            let why = session.why.as_deref().unwrap_or_default();
            !session.up && why.contains("does the MD5 password match?")
        })
    });
    wait_spread(&lab, "nothing is announced", [&[], &[]]);
    reload(&lab, |site| text::replaced(&site, "\"wrong\"", "\"s3cret\""));
    wait_spread(&lab, "signed as the router wants it", [&[1], &[1]]);
    let status = lab.l4(1).ctl(&["status", "--json"]).1;
    assert!(!status.contains("s3cret") && !lab.l4(1).control_printed().contains("s3cret"));
}

#[test]
fn ttl_security_works_on_both_sides() {
    let lab = Lab::new().l4(1).bgp().start();
    for session in ["l4_1_v4", "l4_1_v6"] {
        with_options(lab.router(), session, "ttl security on;");
    }
    with_keys(&lab, "ttl_security = true");
    wait_spread(&lab, "both check the TTL", [&[1], &[1]]);
    let sessions = || lab.l4(1).status().routers.remove(0).sessions;
    lab.wait_until("the sessions stay", SOON, || {
        sessions().iter().all(|session| session.up && session.messages_in > 4)
    });
}

#[test]
fn a_reload_resets_the_sessions_whose_settings_changed_and_no_other() {
    let lab = Lab::new().l4(1).routers(2).bgp().start();
    // How often each of a router's two sessions has come up, as the router saw it.
    let ups = |router: usize| {
        let log = lab.routers()[router].bird().log();
        ["v4", "v6"].map(|f| log.matches(&format!("l4_1_{f}: State changed to up")).count())
    };
    assert_eq!([ups(0), ups(1)], [[1, 1], [1, 1]]);
    reload(&lab, |site| text::with(&site, "l7-1", "weight = 3"));
    wait_spread(&lab, "all is there", [&[1], &[1]]);
    with_keys(&lab, "hold_time = \"9s\"");
    lab.wait_until("the first router's sessions have come up anew", SOON, || ups(0) == [2, 2]);
    wait_spread(&lab, "all is there again", [&[1], &[1]]);
    assert_eq!([ups(0), ups(1)], [[2, 2], [1, 1]], "nothing else was reset");
}
