//! Changes: node states and reloads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use admin::{Change, Effective, Failed, Reply};
use serde_json::{Value, json};

use crate::fake::{Fake, run};
use crate::fixture::{line, member, node, status_line, trouble};

fn done(notes: &[&str], failed: &[(&str, &str)]) -> String {
    let notes = notes.iter().map(ToString::to_string).collect();
    let failed = failed
        .iter()
        .map(|(what, reason)| Failed { what: what.to_string(), reason: reason.to_string() })
        .collect();
    line(Reply::Done(Change { notes, failed }))
}

/// One change, answered with this line.
fn change(arguments: &[&str], answer: String) -> (Vec<Value>, (i32, String, String)) {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::lines(&dir.path().join("control-l4.sock"), [answer]);
    let ended = run(dir.path(), arguments);
    (fake.asked(), ended)
}

#[test]
fn each_word_asks_for_its_state() {
    for (word, state) in [("drain", "drain"), ("maintain", "maintenance"), ("ready", "ready")] {
        let (asked, (code, text, _)) =
            change(&[word, "l7-1"], done(&["l7-1 drains, here and on l4-2"], &[]));
        assert_eq!(asked, [json!({ "set_state": { "node": "l7-1", "state": state } })]);
        assert_eq!((code, text.as_str()), (0, "l7-1 drains, here and on l4-2\n"));
    }
}

#[test]
fn a_service_is_withdrawn_and_announced_here_or_everywhere_and_control_is_upgraded() {
    let announce = |announce: bool, all_nodes: bool| json!({ "announce": { "service": "web", "announce": announce, "all_nodes": all_nodes } });
    for (words, wanted) in [
        (&["withdraw", "web"][..], announce(false, false)),
        (&["withdraw", "web", "--all-nodes"], announce(false, true)),
        (&["announce", "web"], announce(true, false)),
        (&["upgrade"], json!({ "upgrade": { "dataplane": false } })),
        (&["upgrade", "--dataplane"], json!({ "upgrade": { "dataplane": true } })),
    ] {
        let (asked, (code, text, _)) = change(words, done(&["done"], &[]));
        assert_eq!(asked, [wanted]);
        assert_eq!((code, text.as_str()), (0, "done\n"));
    }
}

#[test]
fn who_was_not_reached_is_named_and_the_exit_code_is_1() {
    let answer = || done(&["l7-1 drains here"], &[("l4-2", "connection refused")]);
    let (_, (code, text, errors)) = change(&["drain", "l7-1"], answer());
    assert_eq!((code, text.as_str()), (1, "l7-1 drains here\n"));
    assert_eq!(errors, "palierctl: l4-2: connection refused\n");
    let (_, (code, text, _)) = change(&["drain", "l7-1", "--json"], answer());
    assert_eq!((code, text.trim_end()), (1, answer().as_str()), "one object, control's own");
}

#[test]
fn a_refused_reload_gives_every_reason() {
    let reasons = vec!["service[0]: no VIP".to_string(), "l7[2]: no index".into()];
    let answer = || line(Reply::Refused { reasons: reasons.clone() });
    let (asked, (code, text, errors)) = change(&["reload"], answer());
    assert_eq!(asked, [json!({ "reload": { "force": false } })]);
    assert_eq!((code, text.as_str()), (1, ""));
    assert_eq!(errors, "palierctl: service[0]: no VIP\npalierctl: l7[2]: no index\n");
    let (asked, (code, text, _)) = change(&["reload", "--force", "--json"], answer());
    assert_eq!(asked, [json!({ "reload": { "force": true } })]);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, object), (1, json!({ "refused": { "reasons": reasons } })));
}

/// A control whose l7-1 has this many connections at each question, here and on l4-2.
fn counting(path: &std::path::Path, counts: &'static [(u64, u64)]) -> Fake {
    let turn = AtomicU64::new(0);
    Fake::serve(path, move |request| {
        if request.get("set_state").is_some() {
            return done(&["l7-1 drains"], &[]);
        }
        let turn = turn.fetch_add(1, Relaxed) as usize;
        let (here, there) = counts[turn.min(counts.len() - 1)];
        let mut status = trouble();
        status.nodes.remove(2);
        status.nodes[1].peer.as_mut().unwrap().connections.insert("l7-1".into(), there);
        status.nodes[2].connections = Some(here);
        status_line(status)
    })
}

#[test]
fn waiting_ends_when_nobody_remembers_a_connection() {
    let dir = tempfile::tempdir().unwrap();
    // The first is asked before anything is changed.
    let counts = &[(5, 5), (5, 5), (0, 1), (0, 0)];
    let fake = counting(&dir.path().join("control-l4.sock"), counts);
    let (code, text, errors) = run(dir.path(), &["drain", "l7-1", "--wait"]);
    assert_eq!((code, text.as_str(), errors.as_str()), (0, "l7-1 drains\n", ""));
    let asked = fake.asked();
    assert_eq!(asked.len(), 5);
    assert!(asked[1].get("set_state").is_some());
}

#[test]
fn waiting_in_vain_says_for_what() {
    let dir = tempfile::tempdir().unwrap();
    let _fake = counting(&dir.path().join("control-l4.sock"), &[(5, 7)]);
    let arguments = ["drain", "l7-1", "--wait", "--timeout", "10ms"];
    let (code, _, errors) = run(dir.path(), &arguments);
    assert_eq!(code, 1);
    let expected = "palierctl: l7-1: after 10ms: connections: 5 on l4-1, 7 on l4-2\n";
    assert_eq!(errors, expected);
}

#[test]
fn waiting_survives_a_control_that_goes_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let turn = AtomicU64::new(0);
    let _fake = Fake::serve(&dir.path().join("control-l4.sock"), move |request| {
        if request.get("set_state").is_some() {
            return done(&[], &[]);
        }
        match turn.fetch_add(1, Relaxed) {
            1 => String::new(), // closes the connection without a word
            _ => {
                let mut status = trouble();
                status.nodes = vec![node("l7-1", "l7")];
                status.services.truncate(1);
                status.services[0].vips.truncate(1);
                status.services[0].vips[0].nodes = vec![member("l7-1", Effective::Up, "", 0)];
                status_line(status)
            }
        }
    });
    let (code, _, errors) = run(dir.path(), &["ready", "l7-1", "--wait"]);
    assert_eq!((code, errors.as_str()), (0, ""));
}

#[test]
fn waiting_for_an_l4_node_is_refused_before_anything_changes() {
    let dir = tempfile::tempdir().unwrap();
    let fake = counting(&dir.path().join("control-l4.sock"), &[(5, 7)]);
    let (code, _, errors) = run(dir.path(), &["drain", "l4-2", "--wait"]);
    assert!(code == 1 && errors.contains("connections are counted for L7 nodes alone"), "{errors}");
    assert_eq!(fake.asked(), [json!({ "status": { "brief": false } })]);
}
