//! L4 nodes announce their VIPs to BIRD while there is a quorum, the dataplane forwards, and nobody says
//! otherwise.

use std::time::Duration;

use lab::{Flags, L4, Lab, Router};
use system_tests::routes::{spread, wait_spread};
use system_tests::{Kept, SOON, VIPS, reload, scrape, text};

/// What BIRD knows of the IPv4 VIP from `l4-NUMBER`.
fn heard(router: &Router, l4: usize) -> String {
    router.bird().say(&format!("show route all 198.51.100.1/32 protocol l4_{l4}_v4"))
}

/// Runs `palierctl`, which has to succeed, and returns what it said.
fn ctl(l4: &L4, args: &[&str]) -> String {
    let (status, said) = l4.ctl(args);
    assert!(status.success(), "{said}");
    said
}

#[test]
fn vips_come_and_go_with_their_quorum_a_family_at_a_time() {
    let lab = Lab::new().l4(2).routers(2).bgp().start();
    wait_spread(&lab, "both nodes announce both VIPs", [&[1, 2], &[1, 2]]);
    let kept = Kept::open(&lab, 10);
    for l7 in lab.l7s() {
        l7.remove_vip(VIPS[1]);
    }
    wait_spread(&lab, "IPv6 is withdrawn", [&[1, 2], &[]]);
    for l7 in lab.l7s() {
        l7.add_vip(VIPS[1]);
    }
    wait_spread(&lab, "IPv6 is back", [&[1, 2], &[1, 2]]);
    let [v4, _] = kept.finish();
    assert_eq!((v4.completed, v4.broken), (10, 0), "{v4:?}");
}

/// The site's text, what routers are told of both services being this.
fn telling(site: &str, bgp: &str) -> String {
    let line = format!("bgp = {bgp}");
    text::with(&text::with(site, "web", &line), "echo", &line)
}

#[test]
fn a_drained_node_says_so_before_it_withdraws_and_one_in_maintenance_goes_at_once() {
    const GRACEFUL_SHUTDOWN: &str = "(65535,0)";
    let lab = Lab::new().l4(2).bgp().start();
    let (l4, router) = (lab.l4(1), lab.router());
    let kept = Kept::open(&lab, 20);
    // Long enough to be seen.
    reload(&lab, |site| {
        let site = text::replaced(&site, "drain_time = \"1s\"", "drain_time = \"5s\"");
        telling(&site, "{ med = 10, med_drained = 70, communities = [\"65000:7\"] }")
    });
    lab.wait_until("the router has the attributes", SOON, || {
        let known = heard(router, 1);
        known.contains("BGP.med: 10\n") && known.contains("(65000,7)")
    });
    assert!(!heard(router, 1).contains(GRACEFUL_SHUTDOWN));

    ctl(l4, &["drain", "l4-1"]);
    lab.wait_until("it says that it will go", SOON, || {
        heard(router, 1).contains(GRACEFUL_SHUTDOWN)
    });
    assert!(heard(router, 1).contains("BGP.med: 70\n"), "{}", heard(router, 1));
    // Whoever knows what that means prefers the other node already, and the IPv6 VIP follows.
    wait_spread(&lab, "the other one is preferred", [&[2], &[2]]);
    assert!(heard(router, 1).contains(GRACEFUL_SHUTDOWN), "it was preferred, not withdrawn");
    lab.wait_until("it is withdrawn", SOON, || !heard(router, 1).contains("BGP."));
    ctl(l4, &["ready", "l4-1"]);
    wait_spread(&lab, "it is back", [&[1, 2], &[1, 2]]);

    ctl(l4, &["maintain", "l4-1"]);
    lab.wait_until("it goes at once", Duration::from_secs(3), || {
        spread(&lab, router) == [[2], [2]].map(Vec::from)
    });
    ctl(l4, &["ready", "l4-1"]);
    wait_spread(&lab, "it is back again", [&[1, 2], &[1, 2]]);
    kept.go_on("a node went and came back twice");
    kept.finish_whole();
}

#[test]
fn operators_withdraw_a_service_here_or_everywhere() {
    let lab = Lab::new().l4(2).bgp().start();
    let l4 = lab.l4(1);
    let (status, said) = l4.ctl(&["withdraw", "wob"]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("no service is named `wob`; there are: web, echo"), "{said}");

    ctl(l4, &["withdraw", "web"]);
    wait_spread(&lab, "withdrawn here", [&[2], &[2]]);
    let session = &l4.status().routers[0].sessions[0];
    assert_eq!(session.kept_back[0].prefix, "198.51.100.1");
    let why = &session.kept_back[0].why;
    assert_eq!(why, "service web: withdrawn by uid 0 on l4-1");
    ctl(l4, &["announce", "web"]);
    wait_spread(&lab, "announced again", [&[1, 2], &[1, 2]]);

    let said = ctl(l4, &["withdraw", "echo", "--all-nodes"]);
    assert!(said.contains("l4-2 knows"), "{said}");
    wait_spread(&lab, "withdrawn everywhere", [&[], &[]]);
    let said = ctl(lab.l4(2), &["announce", "echo"]);
    assert!(said.contains("--all-nodes takes that back"), "{said}");
    ctl(lab.l4(2), &["announce", "echo", "--all-nodes"]);
    wait_spread(&lab, "announced everywhere", [&[1, 2], &[1, 2]]);
    // It survives a restart.
    ctl(l4, &["withdraw", "web"]);
    wait_spread(&lab, "withdrawn here again", [&[2], &[2]]);
    l4.kill_control();
    l4.start_control().unwrap_or_else(|error| panic!("{error}"));
    lab.wait_until("it is up again", SOON, || {
        let status = l4.status();
        status.gate.open && status.routers[0].sessions.iter().all(|session| session.up)
    });
    wait_spread(&lab, "still withdrawn", [&[2], &[2]]);
}

#[test]
fn a_service_that_is_not_required_leaves_the_vip_to_others() {
    let lab = Lab::new().l4(1).bgp().start();
    reload(&lab, |site| text::with(&site, "echo", "bgp = { required = false }"));
    ctl(lab.l4(1), &["withdraw", "echo"]);
    ctl(lab.l4(1), &["withdraw", "web"]);
    wait_spread(&lab, "web is required", [&[], &[]]);
    ctl(lab.l4(1), &["announce", "web"]);
    wait_spread(&lab, "web alone is enough", [&[1], &[1]]);
}

#[test]
fn an_aggregate_goes_in_the_place_of_its_vips() {
    let lab = Lab::new().l4(1).bgp().start();
    reload(&lab, |site| {
        telling(&site, "{ aggregate = [\"198.51.100.0/24\", \"2001:db8::c633:6400/120\"] }")
    });
    let router = lab.router();
    lab.wait_until("the aggregates are there, and the VIPs are not", SOON, || {
        let v4 = router.bird().say("show route protocol l4_1_v4");
        let v6 = router.bird().say("show route protocol l4_1_v6");
        v4.contains("198.51.100.0/24")
            && !v4.contains("198.51.100.1/32")
            && v6.contains("2001:db8::c633:6400/120")
            && !v6.contains("6401/128")
    });
}

#[test]
fn a_dead_forwarder_is_withdrawn_by_control_and_comes_back() {
    let lab = Lab::new().l4(2).bgp().start();
    let kept = Kept::open(&lab, 20);
    lab.l4(1).kill();
    wait_spread(&lab, "the dead one is withdrawn", [&[2], &[2]]);
    lab.l4(1).start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
    wait_spread(&lab, "it is back", [&[1, 2], &[1, 2]]);
    kept.go_on("a forwarder died and came back");
    kept.finish_whole();
}

#[test]
fn routers_are_told_all_again_if_they_ask() {
    let lab = Lab::new().l4(1).bgp().start();
    let bird = lab.router().bird();
    // The updates that it has taken, as the router counts them.
    let taken = || {
        let said = bird.say("show protocols all l4_1_v4");
        let line = said.lines().find_map(|line| line.trim().strip_prefix("Import updates:"));
        let count = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        count.unwrap_or_else(|| panic!("{said}"))
    };
    let before = taken();
    assert!(bird.say("reload in l4_1_v4").contains("reloading"));
    lab.wait_until("it is told again", SOON, || taken() > before);
    lab.wait_until("the route stays", SOON, || {
        spread(&lab, lab.router()) == [[1], [1]].map(Vec::from)
    });
}

#[test]
fn each_session_is_told_in_status_and_metrics() {
    let lab = Lab::new().l4(1).bgp().start();
    let l4 = lab.l4(1);
    let router = lab.router().fabric();
    let samples = scrape::samples(&scrape::page(l4));
    for address in router.both() {
        let labels = format!("{{router=\"router-1\",address=\"{address}\"}}");
        assert_eq!(samples[&format!("palier_bgp_session_up{labels}")], 1.0);
        assert_eq!(samples[&format!("palier_bgp_routes_announced{labels}")], 1.0);
    }
    let said = ctl(l4, &["status"]);
    for part in ["ROUTER", "Established, AS 65000, hold 6s, graceful", "198.51.100.1/32"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    lab.router().bird().stop(SOON);
    lab.wait_until("both alarms are there", SOON, || l4.status().alarms.len() == 2);
    let alarm = l4.status().alarms.remove(0);
    let start = format!("router router-1: no session with {}: ", router.v4);
    assert!(alarm.starts_with(&start), "{alarm}");
}

#[test]
fn a_session_comes_back_after_either_side_was_restarted() {
    let lab = Lab::new().l4(1).bgp().start();
    let bird = lab.router().bird();
    bird.stop(SOON);
    lab.wait_until("the session is gone", SOON, || {
        lab.l4(1).status().routers[0].sessions.iter().all(|session| !session.up)
    });
    bird.start();
    wait_spread(&lab, "the router was stopped", [&[1], &[1]]);
    bird.kill();
    bird.start();
    wait_spread(&lab, "the router was killed", [&[1], &[1]]);
    let status = lab.l4(1).terminate_control(SOON);
    assert!(status.success(), "{status}");
    wait_spread(&lab, "the node has left", [&[], &[]]);
    let log = bird.log();
    assert!(log.contains("Administrative shutdown"), "{log}");
    lab.l4(1).start_control().unwrap_or_else(|error| panic!("{error}"));
    wait_spread(&lab, "the node was started again", [&[1], &[1]]);
}
