//! What `palierctl status` shows.

use admin::Status;
use serde_json::json;

use crate::fake::{Fake, palierctl, run};
use crate::fixture::{status_line, trouble};

/// `palierctl status` of a site in trouble, with these flags.
fn shown(flags: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control-l4.sock");
    let fake = Fake::serve(&socket, |_| status_line(trouble()));
    let shown = run(dir.path(), &[&["status"], flags].concat());
    assert_eq!(fake.asked(), [json!({ "status": { "brief": false } })]);
    shown
}

#[test]
fn trouble_comes_first_and_everything_fits_on_80_columns() {
    let (code, text, errors) = shown(&[]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let too_long: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(too_long, [""; 0]);
    assert_eq!(text, include_str!("status.txt"));
}

#[test]
fn a_service_and_a_node_can_be_looked_at_alone_with_their_checks() {
    let (code, text, _) = shown(&["--service", "web", "--node", "l7-2"]);
    assert_eq!(code, 0);
    assert!(text.contains("http 198.51.100.1:80 (tunnel): down for 3s"), "{text}");
    for other in ["dns", "l7-3  up", "l7-1", "2001:db8::c633:6401  not"] {
        assert!(!text.contains(other), "{other}: {text}");
    }
}

#[test]
fn names_that_do_not_exist_are_refused() {
    for flags in [["--service", "none"], ["--node", "none"]] {
        let (code, text, errors) = shown(&flags);
        assert_eq!((code, text.as_str()), (1, ""));
        assert!(errors.ends_with("has the name none\n"), "{errors}");
    }
}

#[test]
fn json_is_the_status_whole_or_narrowed() {
    let (code, text, _) = shown(&["--json"]);
    let status: Status = serde_json::from_str(&text).unwrap();
    assert_eq!((code, status.services.len(), status.alarms.len()), (0, 2, 2));
    let (_, text, _) = shown(&["--json", "--service", "dns"]);
    let status: Status = serde_json::from_str(&text).unwrap();
    assert_eq!(status.services.len(), 1);
}

#[test]
fn colours_are_there_on_demand_alone() {
    assert!(!shown(&[]).1.contains('\u{1b}'));
    assert!(shown(&["--color", "always"]).1.contains("\u{1b}[31m2 alarms\u{1b}[0m"));
}

#[test]
fn what_a_check_said_does_not_reach_the_terminal_raw() {
    let dir = tempfile::tempdir().unwrap();
    let _fake = Fake::serve(&dir.path().join("control-l4.sock"), |_| {
        let mut status = trouble();
        status.services[0].vips[0].nodes[1].reason = "\u{1b}]0;owned\u{7}".into();
        status_line(status)
    });
    let (code, text, _) = run(dir.path(), &["status"]);
    assert!(code == 0 && text.contains("owned") && !text.contains(['\u{1b}', '\u{7}']), "{text}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let _fake = Fake::serve(&dir.path().join("control-l4.sock"), |_| status_line(trouble()));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = palierctl(dir.path(), &["status"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
