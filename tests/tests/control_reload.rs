//! A site file comes into force as a whole or not at all, and no packet notices.

use std::fs;
use std::time::Duration;

use admin::{Change, Reply, Status};
use api::Snapshot;
use lab::{L4, Lab};
use system_tests::{Kept, SOON, Steady, VIPS, reload, scrape, text, vip};

/// Connections of each family that live through everything.
const KEPT: usize = 30;
/// New connections and datagrams after a change.
const FRESH: u64 = 20;

/// What the dataplane has, its generation apart.
fn in_force(l4: &L4) -> Snapshot {
    match l4.request(&api::Request::Snapshot) {
        api::Reply::Snapshot(Some(found)) => Snapshot { generation: 0, ..found.snapshot },
        other => panic!("{other:?}"),
    }
}

/// Whether each node has a verdict of each of its checks.
fn no_check_is_open(status: &Status) -> bool {
    let vips = status.services.iter().flat_map(|service| &service.vips);
    let mut checks = vips.flat_map(|vip| &vip.nodes).flat_map(|node| &node.checks);
    checks.all(|check| check.state.is_some())
}

fn refusals(status: &Status) -> u64 {
    status.counters["reloads_refused"]
}

/// The reasons for which a reload is refused.
fn refused(l4: &L4, force: bool) -> Vec<String> {
    match l4.reload(force) {
        Reply::Refused { reasons } => reasons,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_is_told_everywhere() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, KEPT);
    let good = fs::read_to_string(lab.site_path()).unwrap();
    let fingerprint = l4.status().file.fingerprint;
    let before = in_force(l4);
    let half = &good[..good.len() / 2];
    let wrong = [
        ("empty", String::new(), "`site` is missing"),
        ("no TOML", format!("{good}\n[[service"), "site.toml:"),
        ("cut off", half[..half.rfind("\n[[").unwrap()].into(), "service"),
        (
            "an unknown key",
            text::with(&good, "web", "intervall = \"1s\""),
            "`intervall` is unknown",
        ),
        ("two things", text::with(&good, "web", "quorum = -1\nrows = 4"), "rows"),
        ("without this node", text::without(&good, "l4-1"), "l4"),
    ];
    for (count, (what, text, told)) in (1..).zip(wrong) {
        lab.edit_site(|_| text);
        // By turns, whoever asks.
        match count % 3 {
            0 => {
                let (status, said) = l4.ctl(&["reload"]);
                assert_eq!(status.code(), Some(1), "{what}: {said}");
                assert!(said.contains(told), "{what}: {said}");
            }
            1 => l4.hang_up_control(),
            _ => assert!(!refused(l4, false).is_empty(), "{what}"),
        }
        lab.wait_until(&format!("{what} is refused"), SOON, || refusals(&l4.status()) == count);
        let status = l4.status();
        let refusal = status.file.refused.expect("the status tells of it");
        assert!(refusal.reasons.iter().any(|why| why.contains(told)), "{what}: {refusal:?}");
        let alarm = |alarm: &String| alarm.starts_with("reload refused: ");
        assert!(status.alarms.iter().any(alarm), "{what}: {:?}", status.alarms);
        assert_eq!(status.file.fingerprint, fingerprint, "{what}");
        assert_eq!(in_force(l4), before, "{what}");
        let log = l4.control_printed();
        assert_eq!(log.matches("reload refused").count() as u64, count, "{what}: {log}");
        let samples = scrape::samples(&scrape::page(l4));
        assert_eq!(samples["palier_control_reloads_refused_total"], count as f64, "{what}");
        assert_eq!(samples["palier_control_file_refused"], 1.0, "{what}");
    }
    kept.go_on("so many refusals");

    lab.edit_site(|_| text::with(&good, "l7-1", "weight = 2"));
    l4.hang_up_control();
    lab.wait_until("the next good text is in force", SOON, || {
        let status = l4.status();
        status.file.fingerprint != fingerprint && l4.is_settled()
    });
    let status = l4.status();
    assert_eq!((status.file.refused, &status.alarms[..]), (None, &[][..]));
    let samples = scrape::samples(&scrape::page(l4));
    assert_eq!(samples["palier_control_file_refused"], 0.0);
    assert_ne!(in_force(l4), before);
    kept.finish_whole();
}

#[test]
fn a_file_that_is_not_there_is_refused_like_any_other() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let (path, aside) = (lab.site_path(), lab.site_path().with_extension("aside"));
    fs::rename(&path, &aside).unwrap();
    let reasons = refused(l4, true);
    assert!(reasons[0].contains("No such file"), "{reasons:?}");
    fs::rename(&aside, &path).unwrap();
    assert!(matches!(l4.reload(false), Reply::Done(_)));
    assert_eq!(l4.status().file.refused, None);
}

#[test]
fn a_changed_file_is_picked_up_by_itself_if_that_is_wanted() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    // While others ask for the status all the time, as `palierctl top` does.
    let picked_up = |what: &str, last: &str| {
        let mut now = String::new();
        lab.wait_until(&format!("{what} is picked up"), SOON, || {
            now = l4.status().file.fingerprint;
            now != last
        });
        now
    };
    let first = l4.status().file.fingerprint;
    reload(&lab, |site| text::with(&site, "lab", "reload = \"auto\""));
    let last = l4.status().file.fingerprint;
    assert_ne!(first, last);

    lab.edit_site(|site| text::with(&site, "l7-1", "weight = 3"));
    let last = picked_up("a rename", &last);
    let site = fs::read_to_string(lab.site_path()).unwrap();
    fs::write(lab.site_path(), text::replaced(&site, "weight = 3", "weight = 4")).unwrap();
    let last = picked_up("the end of a write", &last);

    lab.edit_site(|site| text::with(&site, "web", "no_such_key = 1"));
    lab.wait_until("a wrong one is refused", SOON, || l4.status().file.refused.is_some());
    assert_eq!(l4.status().file.fingerprint, last);
    lab.edit_site(|site| text::replaced(&site, "no_such_key = 1\n", ""));
    lab.wait_until("the right one is taken", SOON, || l4.status().file.refused.is_none());
}

#[test]
fn what_leaves_nothing_of_something_takes_force() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    // What is refused without, and done with it.
    let forced = |change: &dyn Fn(String) -> String, told: &str| {
        // What the last change brought was checked, too: else a verdict comes between two looks.
        lab.wait_until("the last change is in force", SOON, || {
            no_check_is_open(&l4.status()) && l4.is_settled()
        });
        let before = in_force(l4);
        lab.edit_site(change);
        let (status, said) = l4.ctl(&["reload"]);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(told), "{said}");
        assert!(said.contains("--force"), "{said}");
        assert_eq!(in_force(l4), before, "{told}");
        let (status, said) = l4.ctl(&["reload", "--force"]);
        assert!(status.success(), "{said}");
        lab.wait_until(&format!("{told}: the dataplane has it"), SOON, || {
            l4.is_settled() && in_force(l4) != before
        });
        assert_eq!(l4.status().file.refused, None);
    };
    reload(&lab, |site| text::with(&site, "web", "nodes = [\"l7-1\"]"));
    let others = |site: String| text::replaced(&site, "nodes = [\"l7-1\"]", "nodes = [\"l7-2\"]");
    forced(&others, "service web: none of its nodes is left");
    let vips = "vips = [\"198.51.100.1\", \"2001:db8::c633:6401\"]\nprotocol = \"tcp\"";
    let other = "vips = [\"198.51.100.2\"]\nprotocol = \"tcp\"";
    forced(&|site| text::replaced(&site, vips, other), "service web: none of its VIPs is left");
    forced(&|site| text::without(&site, "echo"), "service echo: it is gone");
    let services: Vec<_> = in_force(l4).services.into_iter().map(|service| service.name).collect();
    assert_eq!(services, ["web"]);
}

#[test]
fn another_hash_key_takes_force_and_comes_into_force() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let key = || l4.status().dataplane.key_fingerprint;
    let of_dataplane = || match l4.request(&api::Request::Snapshot) {
        api::Reply::Snapshot(Some(found)) => Some(found.key_fingerprint),
        other => panic!("{other:?}"),
    };
    let first = key();
    assert_eq!(first, of_dataplane());
    lab.edit_site(|site| {
        let key = "6b6579206f6620746865206c61622121";
        text::replaced(&site, key, "00112233445566778899aabbccddeeff")
    });
    let reasons = refused(l4, false);
    assert_eq!(reasons, ["site: another `hash_key` moves every flow: takes --force"]);
    assert!(matches!(l4.reload(true), Reply::Done(_)));
    lab.wait_until("the dataplane has the new key", SOON, || l4.is_settled() && key() != first);
    assert_eq!(key(), of_dataplane());
}

#[test]
fn a_hundred_reloads_under_traffic_lose_nothing() {
    let lab = Lab::new().l4(1).l7(4).control().start();
    let l4 = lab.l4(1);
    let all = fs::read_to_string(lab.site_path()).unwrap();
    let kept = Kept::open(&lab, KEPT);
    let steady = Steady::start(&lab);
    for turn in 0..100 {
        let weighed = text::with(&all, "l7-1", &format!("weight = {}", 1 + turn % 7));
        // One node after the other leaves and comes back.
        let gone = 2 + turn / 2 % 3;
        let site =
            if turn % 2 == 0 { text::without(&weighed, &format!("l7-{gone}")) } else { weighed };
        reload(&lab, |_| site);
        if turn % 10 == 9 {
            steady.go_on(FRESH, &format!("{turn} reloads"));
        }
    }
    lab.wait_until("the last one is in force", SOON, || l4.is_settled());
    kept.go_on("a hundred reloads");
    let status = l4.status();
    assert_eq!(status.counters["reloads"], 100);
    assert_eq!(status.counters["snapshots_refused"], 0);
    let nodes = steady.finish_whole();
    assert_eq!(nodes.len(), 4, "each node had its share: {nodes:?}");
    kept.finish_whole();
    assert_eq!(l4.counter("rescheduled"), 0, "no flow went to another node");
}

#[test]
fn what_takes_a_restart_is_named_until_it_has_come() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let told = "l4-1: `connections` takes a restart of palier-dataplane";
    lab.edit_site(|site| text::with(&site, "l4-1", "connections = 200000"));
    match l4.reload(false) {
        Reply::Done(Change { notes, .. }) => {
            assert!(notes.contains(&format!("restart needed: {told}")), "{notes:?}");
        }
        other => panic!("{other:?}"),
    }
    let status = l4.status();
    assert_eq!(status.file.restart_needed, [told]);
    assert!(status.alarms.contains(&format!("restart needed: {told}")), "{:?}", status.alarms);
    assert!(vip(&status, "web", VIPS[0]).announced, "it is no reason to stop");

    let ended = l4.terminate(Duration::from_secs(30));
    assert!(ended.success(), "{ended}");
    let flags = lab::Flags { connections: Some(200_000), ..lab::Flags::default() };
    l4.start(&flags).unwrap_or_else(|error| panic!("{error}"));
    lab.wait_until("it is settled", SOON, || l4.is_settled());
    assert_eq!(l4.status().file.restart_needed, [""; 0]);
}
