//! What L7 nodes answer decides who takes flows, and no flow breaks that need not.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use admin::{Effective, MemberStatus};
use lab::{Flags, L4, Lab};
use system_tests::{Echo, Kept, SOON, VIPS, member, nodes_of_new_connections, reload, text, vip};

/// Connections of each family that live through everything.
const KEPT: usize = 50;
/// New connections of each family after a change.
const NEW: usize = 30;

fn has_new_connections(lab: &Lab, node: &str) -> bool {
    nodes_of_new_connections(lab, NEW).iter().any(|other| other == node)
}

fn wait_state(lab: &Lab, node: &str, state: Effective) {
    lab.l4s().iter().for_each(|l4| l4.wait_state(node, state, SOON));
}

/// A node's part in `web` at a VIP.
fn member_at(l4: &L4, at: IpAddr, node: &str) -> MemberStatus {
    member(vip(&l4.status(), "web", at), node).clone()
}

/// Whether `web` is to be announced, at the IPv4 and at the IPv6 VIP.
fn announced(l4: &L4) -> [bool; 2] {
    let status = l4.status();
    VIPS.map(|at| vip(&status, "web", at).announced)
}

#[test]
fn a_503_drains_and_a_refused_connection_downs() {
    let lab = Lab::new().control().start();
    let kept = Kept::open(&lab, KEPT);

    lab.l7(1).server().set_health(503, None);
    wait_state(&lab, "l7-1", Effective::Drain);
    assert!(!has_new_connections(&lab, "l7-1"), "it is draining");
    kept.go_on("a node answered 503");

    lab.l7(1).server().set_health(200, None);
    wait_state(&lab, "l7-1", Effective::Up);
    assert!(has_new_connections(&lab, "l7-1"), "it is back");

    lab.l7(2).server().refuse(true);
    wait_state(&lab, "l7-2", Effective::Down);
    assert!(!has_new_connections(&lab, "l7-2"), "it is down");
    let status = lab.l4(1).status();
    let member = status.services[0].vips[0].nodes.iter().find(|m| m.node == "l7-2").unwrap();
    assert_eq!(member.reason, "http: connection refused");
    assert!(member.release_in_ms.is_some_and(|left| left <= 10_000), "{member:?}");
    lab.l7(2).server().refuse(false);
    wait_state(&lab, "l7-2", Effective::Up);
    kept.finish_whole();
}

#[test]
fn a_node_that_asks_to_drain_drains_at_its_next_check() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    // Failures in a row would take ten minutes.
    reload(&lab, |site| text::with(&site, "web", "check.fall = 1000"));
    let kept = Kept::open(&lab, KEPT);
    lab.l7(1).server().set_health(503, Some("drain"));
    l4.wait_state("l7-1", Effective::Drain, SOON);
    let asks = member_at(l4, VIPS[0], "l7-1");
    assert_eq!(asks.agent, health::Admin::Drain, "{asks:?}");
    assert!(!has_new_connections(&lab, "l7-1"));
    kept.go_on("a node asked to drain");
    lab.l7(1).server().set_health(503, Some("maintenance"));
    l4.wait_state("l7-1", Effective::Maintenance, SOON);
    lab.l7(1).server().set_health(200, Some("ready"));
    l4.wait_state("l7-1", Effective::Up, SOON);
    kept.finish_whole();
}

#[test]
fn nothing_is_announced_and_nobody_takes_flows_before_the_first_answers() {
    let lab = Lab::new().l4(1).without_dataplanes().start();
    let l4 = lab.l4(1);
    l4.start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
    // Nobody answers, and none is given up before the test has seen it.
    lab.l7s().iter().for_each(|l7| l7.server().stall(true));
    lab.edit_site(|site| {
        let site = text::with(&site, "lab", "startup_limit = \"5m\"");
        text::replaced(&site, text::WEB_CHECKS, text::PATIENT_WEB_CHECKS)
    });
    l4.start_control().unwrap_or_else(|error| panic!("{error}"));
    let rows = || -> usize { l4.stats().services.iter().map(|service| service.tables.len()).sum() };
    lab.wait_until("the dataplane has the nodes, to probe them", SOON, || {
        l4.is_settled() && l4.stats().nodes.len() == 3
    });
    let status = l4.status();
    assert_eq!(announced(l4), [false, false]);
    assert_eq!(status.gate.reasons, ["starting: not every check has a verdict yet"]);
    for at in VIPS {
        let at = vip(&status, "web", at);
        for member in &at.nodes {
            let told = (member.state, member.reason.as_str(), member.release_in_ms);
            assert_eq!(told, (Effective::Down, "not checked yet", None), "{member:?}");
        }
        assert_eq!(at.weight, 0);
    }
    assert_eq!(rows(), 0, "no node has a row");
    assert!(lab.client().get("http://198.51.100.1/").is_err(), "there is nobody to take it");

    lab.l7s().iter().for_each(|l7| l7.server().stall(false));
    lab.wait_until("all have answered", SOON, || announced(l4) == [true, true] && l4.is_settled());
    assert_eq!(nodes_of_new_connections(&lab, 2).len(), 4);
}

#[test]
fn quorum_is_told_to_hooks_and_to_routers_with_hysteresis() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let ready = l4.control_state().join("ready");
    let log = l4.control_state().join("hooks");
    let site = |site: String| {
        let (ready, log) = (ready.display(), log.display());
        let say = format!("echo $PALIER_SERVICE $PALIER_FAMILY $PALIER_QUORUM >> {log}");
        let hooks = format!(
            "quorum = 2\nhysteresis = 1\nomega = true\n\
             on_quorum_up = [\"/bin/sh\", \"-c\", \"touch {ready}; {say}\"]\n\
             on_quorum_down = [\"/bin/sh\", \"-c\", \"rm -f {ready}; {say}\"]"
        );
        text::with(&site, "web", &hooks)
    };
    let said = |quorum: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        ["ipv4", "ipv6"].map(|family| {
            let last = text.lines().rfind(|line| line.contains(family));
            last == Some(&format!("web {family} {quorum}"))
        })
    };
    reload(&lab, site);
    lab.wait_until("the hooks say up", SOON, || said("up") == [true; 2] && ready.exists());
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    assert_eq!(lines(), 2, "once for each family");

    // 2 of 3 are enough, and so is 1, as quorum less hysteresis.
    for number in [1, 2] {
        lab.l7(number).server().refuse(true);
        l4.wait_state(&format!("l7-{number}"), Effective::Down, SOON);
        assert_eq!(announced(l4), [true, true], "without {number}");
    }
    assert_eq!(lines(), 2);
    lab.l7(3).server().refuse(true);
    lab.wait_until("the VIPs are withdrawn", SOON, || announced(l4) == [false, false]);
    lab.wait_until("the hooks say down", SOON, || said("down") == [true; 2] && !ready.exists());
    assert_eq!(vip(&l4.status(), "web", VIPS[0]).why, "quorum lost: 0 of 2");

    // Back it comes only with quorum and hysteresis, all three.
    for number in [1, 2] {
        lab.l7(number).server().refuse(false);
        l4.wait_state(&format!("l7-{number}"), Effective::Up, SOON);
        assert_eq!(announced(l4), [false, false], "with {number}");
    }
    assert_eq!(lines(), 4);
    lab.l7(3).server().refuse(false);
    lab.wait_until("the VIPs are announced", SOON, || announced(l4) == [true, true]);
    lab.wait_until("the hooks say up again", SOON, || said("up") == [true; 2] && ready.exists());

    // Omega: an orderly stop takes it all back, and waits until the hooks have done so.
    let ended = l4.terminate_control(SOON);
    assert!(ended.success(), "{ended}");
    assert!(!ready.exists());
    assert_eq!((said("down"), lines()), ([true; 2], 8));
}

#[test]
fn a_lost_quorum_may_keep_the_vips_or_say_sorry() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let sorry = "nodes = [\"l7-1\", \"l7-2\"]\ndown_hold = \"1h\"\n\
                 on_quorum_loss = \"sorry\"\nsorry_nodes = [\"l7-3\"]";
    reload(&lab, |site| text::with(&site, "web", sorry));
    lab.wait_until("it is in force", SOON, || l4.is_settled());
    assert!(!has_new_connections(&lab, "l7-3"), "there is no reason to be sorry yet");
    let kept = Kept::open(&lab, KEPT);
    for number in [1, 2] {
        lab.l7(number).server().refuse(true);
        l4.wait_state(&format!("l7-{number}"), Effective::Down, SOON);
    }
    let lost = vip(&l4.status(), "web", VIPS[1]).clone();
    assert_eq!(lost.why, "quorum lost: 0 of 1, sorry nodes answer");
    assert_eq!(announced(l4), [true, true]);
    let nodes = nodes_of_new_connections(&lab, NEW);
    assert!(nodes.iter().all(|node| node == "l7-3"), "{nodes:?}");
    kept.go_on("the quorum was lost: connections stay for down_hold");

    // Without sorry nodes there is nobody, but the VIPs stay.
    reload(&lab, |site| {
        let site = text::replaced(&site, "\"sorry\"", "\"keep\"");
        text::replaced(&site, "sorry_nodes = [\"l7-3\"]\n", "")
    });
    lab.wait_until("it is in force", SOON, || l4.is_settled());
    assert_eq!(vip(&l4.status(), "web", VIPS[1]).why, "quorum lost: 0 of 1, kept");
    assert_eq!(announced(l4), [true, true]);

    lab.l7(1).server().refuse(false);
    l4.wait_state("l7-1", Effective::Up, SOON);
    let nodes = nodes_of_new_connections(&lab, NEW);
    assert!(nodes.iter().all(|node| node == "l7-1"), "{nodes:?}");
    kept.finish_whole();
}

#[test]
fn files_gate_a_nodes_announcements() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let [ready, disable] = ["ready", "disable"].map(|name| l4.control_state().join(name));
    let checks = format!(
        "check = [{{ file = {{ path = \"{}\" }}, interval = \"100ms\", fall = 1, rise = 1 }}, \
         {{ file = {{ path = \"{}\", content = \"absent\" }}, interval = \"100ms\", fall = 1, rise = 1 }}]",
        ready.display(),
        disable.display()
    );
    reload(&lab, |site| text::with(&site, "l4-1", &checks));
    let told = |what: &str, path: &std::path::Path, does: &str| {
        let path = path.display();
        let reason = format!("check file {path}: {path} {does}");
        lab.wait_until(what, SOON, || l4.status().gate.reasons == [reason.as_str()]);
        assert_eq!(announced(l4), [false, false], "{what}");
        assert_eq!(l4.states_of("l7-1"), [Effective::Up; 2], "it is about this node alone");
        nodes_of_new_connections(&lab, 2);
    };
    told("the file that must be there is not", &ready, "does not exist");
    std::fs::write(&ready, "").unwrap();
    lab.wait_until("it may announce", SOON, || announced(l4) == [true, true]);
    std::fs::write(&disable, "").unwrap();
    told("the file that must not be there is", &disable, "exists");
    std::fs::remove_file(&disable).unwrap();
    lab.wait_until("it may announce again", SOON, || announced(l4) == [true, true]);
}

#[test]
fn a_file_under_a_service_speaks_of_its_nodes() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let words = l4.control_state().join("words");
    let per_node = l4.control_state().join("disable-l7-2");
    let checks = format!(
        "[[service.check]]\nfile = {{ path = \"{}\", content = \"words\", missing = \"up\" }}\n\
         interval = \"100ms\"\nrise = 1\nfall = 1\n\
         [[service.check]]\nfile = {{ path = \"{}/disable-{{node}}\", content = \"absent\" }}\n\
         interval = \"100ms\"\nrise = 1\nfall = 1\n",
        words.display(),
        l4.control_state().display()
    );
    reload(&lab, |site| text::replaced(&site, text::WEB_CHECKS, &checks));
    lab.wait_until("all are up without a file", SOON, || {
        [1, 2, 3].iter().all(|n| l4.states_of(&format!("l7-{n}")) == [Effective::Up; 2])
    });
    std::fs::write(&words, "l7-1 => drain\nl7-3 => 50%\n").unwrap();
    l4.wait_state("l7-1", Effective::Drain, SOON);
    lab.wait_until("a weight is heeded", SOON, || {
        member_at(l4, VIPS[0], "l7-3").checks[0].reason.contains("50%")
    });
    std::fs::write(&per_node, "").unwrap();
    l4.wait_state("l7-2", Effective::Down, SOON);
    let nodes = nodes_of_new_connections(&lab, NEW);
    assert!(nodes.iter().all(|node| node == "l7-3"), "{nodes:?}");
    std::fs::remove_file(&per_node).unwrap();
    std::fs::remove_file(&words).unwrap();
    l4.wait_state("l7-1", Effective::Up, SOON);
    l4.wait_state("l7-2", Effective::Up, SOON);
}

#[test]
fn a_flap_shorter_than_down_hold_breaks_nothing() {
    /// Of health alone: the server goes on.
    const OUTAGE: Duration = Duration::from_secs(3);
    let lab = Lab::new().control().start();
    let kept = Kept::open(&lab, KEPT);
    lab.l7(2).server().refuse(true);
    let start = Instant::now();
    wait_state(&lab, "l7-2", Effective::Down);
    while start.elapsed() < OUTAGE {
        kept.go_on("a node went down");
    }
    lab.l7(2).server().refuse(false);
    wait_state(&lab, "l7-2", Effective::Up);
    let hold = Duration::from_secs(10);
    lab.wait_until("the release would have come", SOON, || start.elapsed() > OUTAGE + hold);
    kept.go_on("the release that was called off");
    for report in kept.finish_whole() {
        assert!(report.nodes.contains_key("l7-2"), "{report:?}");
    }
    assert_eq!(lab.l4s().iter().map(|l4| l4.counter("rescheduled")).sum::<u64>(), 0);
}

#[test]
fn a_dead_node_goes_down_and_its_flows_go_to_others_after_down_hold() {
    const FLOWS: usize = 40;
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    reload(&lab, |site| text::with(&site, "lab", "down_hold = \"2s\""));
    let flows = VIPS.iter().flat_map(|&vip| (0..FLOWS).map(move |_| vip));
    let flows: Vec<_> = flows.map(|vip| Echo::open(&lab, vip)).collect();
    let before: Vec<String> = flows.iter().map(Echo::insist).collect();
    let lost = before.iter().filter(|node| *node == "l7-2").count() as u64;
    assert!(lost > 0, "every node has some of {FLOWS} flows");

    lab.cut(2);
    l4.wait_state("l7-2", Effective::Down, SOON);
    let dead = member_at(l4, VIPS[0], "l7-2");
    assert_eq!(dead.reason, "http: no answer within 400ms");
    assert!(dead.release_in_ms.is_some_and(|left| left <= 2000), "{dead:?}");
    let after: Vec<String> = flows.iter().map(Echo::insist).collect();
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(after, "l7-2");
        assert!(before == after || before == "l7-2", "{before} became {after}");
    }
    assert_eq!(l4.counter("rescheduled"), lost);

    lab.mend(2);
    l4.wait_state("l7-2", Effective::Up, SOON);
}

#[test]
fn a_node_without_one_family_leaves_the_vips_of_that_family_alone() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    lab.l7(2).remove_vip(VIPS[1]);
    let states = |wanted| {
        let what = format!("l7-2 is {wanted:?}");
        lab.wait_until(&what, SOON, || l4.states_of("l7-2") == wanted && l4.is_settled());
    };
    states([Effective::Up, Effective::Down]);
    let served = |url: &str| -> Vec<String> {
        let one = |_| lab.client().get(url).unwrap_or_else(|e| panic!("{url}: {e}")).node;
        (0..2 * NEW).map(one).collect()
    };
    assert!(served("http://198.51.100.1/").iter().any(|node| node == "l7-2"));
    assert!(served("http://[2001:db8::c633:6401]/").iter().all(|node| node != "l7-2"));
    let table = |at| vip(&l4.status(), "web", at).fingerprint.clone();
    assert_ne!(table(VIPS[0]), table(VIPS[1]));
    lab.l7(2).add_vip(VIPS[1]);
    states([Effective::Up, Effective::Up]);
    assert_eq!(table(VIPS[0]), table(VIPS[1]));
}
