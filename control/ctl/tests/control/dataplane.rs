//! What the dataplane is asked, through control or directly.

use std::path::Path;

use serde_json::{Value, json};

use crate::fake::{Fake, palierctl, run};

/// A control that passes questions on to a dataplane that answers them.
fn control(dir: &Path, answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Fake {
    Fake::serve(&dir.join("control-l4.sock"), move |request| {
        json!({ "dataplane": answer(&request["dataplane"]) }).to_string()
    })
}

fn explanation() -> Value {
    json!({ "explain": {
        "why": "a known connection, which stays with its node",
        "service": "web",
        "hash": "31fae4e83a4fd1e6",
        "row": 12795,
        "row_owner": "l7-2",
        "known": { "workers": [0, 3], "node": "l7-1", "state": "open", "age_ms": 1280 },
        "node": "l7-1",
        "node_address": "192.0.2.140",
        "reachable": false
    } })
}

#[test]
fn explain_says_where_a_flow_goes_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let fake = control(dir.path(), |_| explanation());
    let flow = ["explain", "[2001:db8::9]:1000", "[2001:db8::1]:443", "udp"];
    let (code, text, _) = run(dir.path(), &flow);
    assert_eq!(code, 0);
    assert_eq!(
        text,
        "\
goes to  l7-1 at 192.0.2.140, whose link address is not known
because  a known connection, which stays with its node
service  web
known    to l7-1, open, last packet 1s ago, on worker 0, 3
row      12795, of l7-2
hash     31fae4e83a4fd1e6
"
    );
    let asked = json!({ "dataplane": { "explain": {
        "source": "2001:db8::9", "source_port": 1000,
        "destination": "2001:db8::1", "destination_port": 443, "protocol": "udp"
    } } });
    assert_eq!(fake.asked(), [asked]);
}

#[test]
fn without_control_the_dataplane_is_asked_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dataplane.sock");
    let fake = Fake::serve(&path, |_| explanation().to_string());
    let flow = ["explain", "192.0.2.1:1000", "198.51.100.1:443", "--json"];
    let (code, text, _) = run(dir.path(), &flow);
    assert_eq!(code, 0);
    let printed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(printed, explanation()["explain"]);
    assert!(fake.asked()[0].get("explain").is_some());
}

/// Pages of two flows out of ten.
fn page(request: &Value) -> Value {
    let query = &request["flows"];
    let (cursor, limit) = (query["cursor"].as_u64().unwrap(), query["limit"].as_u64().unwrap());
    let end = (cursor + limit.min(2)).min(10);
    let flow = |number: u64| {
        json!({ "hash": format!("{number:016x}"), "worker": 0, "service": "web",
                "node": "l7-1", "state": "open", "age_ms": number })
    };
    let flows: Vec<_> = (cursor..end).map(flow).collect();
    json!({ "flows": { "flows": flows, "next": (end < 10).then_some(end) } })
}

#[test]
fn flows_are_read_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let fake = control(dir.path(), page);
    let (code, text, _) = run(dir.path(), &["flows", "--service", "web", "--node", "l7-1"]);
    assert_eq!((code, text.lines().count()), (0, 11));
    let asked = fake.asked();
    assert_eq!(asked.len(), 5);
    for question in asked {
        let query = &question["dataplane"]["flows"];
        assert_eq!((&query["service"], &query["node"]), (&json!("web"), &json!("l7-1")));
    }
}

#[test]
fn flows_end_at_their_limit() {
    let dir = tempfile::tempdir().unwrap();
    let _control = control(dir.path(), page);
    let (code, text, _) = run(dir.path(), &["flows", "--limit", "3", "--json"]);
    let hashes: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["hash"].to_string())
        .collect();
    let expected = ["\"0000000000000000\"", "\"0000000000000001\"", "\"0000000000000002\""];
    assert_eq!((code, hashes), (0, expected.map(String::from).to_vec()));
}

#[test]
fn a_cursor_that_stands_still_does_not_go_on_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let _control = control(dir.path(), |_| json!({ "flows": { "flows": [], "next": 0 } }));
    assert_eq!(run(dir.path(), &["flows"]).0, 0);
}

#[test]
fn head_of_flows_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    // Without an end, until the reader is gone.
    let _control = control(dir.path(), |request| {
        let flow = page(&json!({ "flows": { "cursor": 0, "limit": 1 } }));
        let flows = vec![flow["flows"]["flows"][0].clone(); 1000];
        let cursor = request["flows"]["cursor"].as_u64().unwrap();
        json!({ "flows": { "flows": flows, "next": cursor + 1 } })
    });
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = palierctl(dir.path(), &["flows"])
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut reader = std::io::BufReader::new(reader);
    std::io::BufRead::read_line(&mut reader, &mut first).unwrap();
    drop(reader);
    let status = child.wait().unwrap();
    let mut errors = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut errors).unwrap();
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    assert!(first.starts_with("SERVICE"));
}

fn packets(request: &Value) -> Value {
    let filter = &request["capture"];
    let count = filter["packets"].as_u64().unwrap().min(2);
    let packet = json!({ "time_ns": 1_795_368_774_000_000_007_u64, "worker": 1,
                         "reason": "drop_no_node", "length": 60, "data": "YWJj" });
    json!({ "capture": { "packets": vec![packet; count as usize], "missed": 4 } })
}

#[test]
fn a_capture_is_a_pcap_file_and_says_what_became_of_each_packet() {
    let dir = tempfile::tempdir().unwrap();
    let fake = control(dir.path(), packets);
    let file = dir.path().join("out.pcap");
    let arguments = [
        "capture",
        "--packets",
        "3",
        "--dropped",
        "--reason",
        "drop_no_node",
        "--source",
        "192.0.2.0/24",
        "--destination-port",
        "80",
        "-o",
    ];
    let (code, text, errors) =
        run(dir.path(), &[&arguments[..], &[file.to_str().unwrap()]].concat());
    assert_eq!((code, text.lines().count()), (0, 3), "{errors}");
    assert!(errors.contains("4 more matched and were missed"), "{errors}");
    assert!(errors.ends_with("        3 drop_no_node\n"), "{errors}");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(bytes.len(), 24 + 3 * (16 + 3));
    assert_eq!(&bytes[..4], &0xa1b2_3c4d_u32.to_le_bytes());
    assert_eq!(&bytes[40..43], b"abc");
    let filter = fake.asked()[1]["dataplane"]["capture"].clone();
    assert_eq!((&filter["packets"], &filter["dropped"]), (&json!(1), &json!(true)));
    assert_eq!(
        (&filter["source"], &filter["reason"]),
        (&json!("192.0.2.0/24"), &json!("drop_no_node"))
    );
    assert_eq!((&filter["destination_port"], &filter["source_port"]), (&json!(80), &json!(null)));
}

#[test]
fn a_capture_to_standard_output_has_nothing_else_there() {
    let dir = tempfile::tempdir().unwrap();
    let _control = control(dir.path(), packets);
    let output = palierctl(dir.path(), &["capture", "--packets", "2", "-o", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout.len(), 24 + 2 * (16 + 3));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("worker 1 60 bytes: drop_no_node"), "{errors}");
}

#[test]
fn a_signal_ends_a_capture_well() {
    let dir = tempfile::tempdir().unwrap();
    let (told, tell) = std::sync::mpsc::channel();
    let _control = control(dir.path(), move |_| {
        let _ = told.send(());
        json!({ "capture": { "packets": [], "missed": 0 } })
    });
    let file = dir.path().join("out.pcap");
    let arguments = ["capture", "-o", file.to_str().unwrap()];
    let mut child = palierctl(dir.path(), &arguments).spawn().unwrap();
    tell.recv().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 24);
}

#[test]
fn a_capture_that_cannot_be_written_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let _control = control(dir.path(), packets);
    let (code, _, errors) = run(dir.path(), &["capture", "-o", "/nonexistent/file"]);
    assert!(code == 1 && errors.contains("/nonexistent/file: No such file"), "{errors}");
}
