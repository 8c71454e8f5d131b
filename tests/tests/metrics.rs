//! What monitoring sees, and who may see and say what: metrics, sockets, a second control.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use lab::{L4, Lab};
use system_tests::{nodes_of_new_connections, scrape, text};

/// A page's samples, read strictly by the text format 0.0.4.
fn strict(page: &str) -> BTreeMap<String, f64> {
    let name = |text: &str| {
        let good = |(at, c): (usize, char)| {
            c.is_ascii_alphabetic() || c == '_' || at > 0 && c.is_ascii_digit()
        };
        !text.is_empty() && text.char_indices().all(good)
    };
    assert!(page.ends_with('\n'));
    let mut kinds = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut current = "";
    let mut samples = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (metric, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(name(metric) && !help.is_empty() && helped.insert(metric), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (metric, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(helped.contains(metric), "{line}");
            assert_eq!(metric.ends_with("_total"), kind == "counter", "{line}");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kinds.insert(metric, kind), None, "{line}");
            current = metric;
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let (metric, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert_eq!(metric, current, "a metric's samples stand together: {line}");
            assert!(metric.starts_with("palier_"), "{line}");
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
            for label in labels.split("\",").filter(|label| !label.is_empty()) {
                let (key, text) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                assert!(name(key) && !text.trim_end_matches('"').contains(['"', '\\']), "{line}");
            }
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(samples.insert(series.to_owned(), value), None, "twice: {line}");
        }
    }
    samples
}

#[test]
fn one_page_has_what_control_and_dataplane_count() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let before = strict(&scrape::page(l4));
    nodes_of_new_connections(&lab, 10);
    let after = strict(&scrape::page(l4));
    for (series, value) in [
        ("palier_control_gate_open", 1.0),
        ("palier_control_dataplane_forwards", 1.0),
        ("palier_control_alarms", 0.0),
        ("palier_control_file_refused", 0.0),
        ("palier_dataplane_up", 1.0),
        ("palier_health_vip_announced{service=\"web\",vip=\"198.51.100.1\"}", 1.0),
        ("palier_dataplane_node_reachable{node=\"l7-1\"}", 1.0),
    ] {
        assert_eq!(after.get(series), Some(&value), "{series}");
    }
    let flows = |samples: &BTreeMap<String, f64>| -> f64 {
        let of_web = samples.iter().filter(|(series, _)| {
            series.starts_with("palier_dataplane_service_flows_total{service=\"web\"")
        });
        of_web.map(|(_, value)| value).sum()
    };
    assert!(flows(&after) >= flows(&before) + 20.0, "{} {}", flows(&before), flows(&after));
    let counter = |name: &str| (before[name], after[name]);
    let (first, then) = counter("palier_control_probes_total");
    assert!(first > 0.0 && then >= first, "{first} {then}");

    l4.kill();
    lab.wait_until("the page says that the dataplane is away", system_tests::SOON, || {
        let page = strict(&scrape::page(l4));
        page["palier_dataplane_up"] == 0.0 && page["palier_control_dataplane_forwards"] == 0.0
    });
}

#[test]
fn the_page_is_for_this_machine_alone_and_read_only() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let own = format!("Host: {}\r\n", scrape::METRICS);
    for (line, host, wanted) in [
        ("GET /metrics", own.as_str(), 200),
        ("GET /metrics", "Host: localhost:9469\r\n", 200),
        ("GET /metrics", "Host: rebound.example:9469\r\n", 403),
        ("GET /metrics", "", 403),
        ("POST /metrics", own.as_str(), 405),
        ("DELETE /metrics", own.as_str(), 405),
        ("GET /", own.as_str(), 404),
        ("GET /metrics/../etc/passwd", own.as_str(), 404),
    ] {
        let request = format!("{line} HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n");
        let (status, body) = scrape::exchange(l4, &request).unwrap();
        assert_eq!(status, wanted, "{line} {host}: {body}");
        assert_eq!(wanted == 200, body.contains("palier_"), "{line} {host}: {body}");
    }
    // It listens on loopback and nowhere else.
    let from_outside = lab
        .l7(1)
        .namespace()
        .enter(|| std::net::TcpStream::connect((l4.addresses().v4, 9469)).map(drop));
    assert_eq!(from_outside.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    // Nor can it be told to.
    let output = control(l4, &["--metrics", "0.0.0.0:9469"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("0.0.0.0 is not a loopback address"), "{}", said(&output));
}

/// A further control of the node, with further flags, run to its end.
fn control(l4: &L4, flags: &[&str]) -> Output {
    let mut command = l4.control_command().unwrap_or_else(|error| panic!("{error}"));
    command.args(flags).output().expect("a program can be run")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn sockets_are_for_those_they_are_for_and_there_is_one_control() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(l4.control_socket()), 0o660);
    assert_eq!(mode(l4.socket()), 0o600);

    let second = control(l4, &["--metrics", "127.0.0.1:9470"]);
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    let text = said(&second);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("another palier-control answers there"), "{text}");
    // The first one still has its socket.
    assert!(l4.is_settled());
    nodes_of_new_connections(&lab, 1);
}

#[test]
fn what_is_wrong_at_the_start_is_told_at_once_and_in_full() {
    let lab = Lab::new().l4(1).control().start();
    let l4 = lab.l4(1);
    l4.kill_control();
    let site = lab.site_path().display().to_string();
    for (flags, told) in [
        (["--site", &site, "--no-such-flag", "1"], "--no-such-flag"),
        (["--site", &site, "--role", "l9"], "l9"),
        (
            ["--site", &site, "--node", "l4-7"],
            "no [[l4]], [[l7]] or [[dns]] is named `l4-7` (there are: l4-1, l7-1",
        ),
        (["--site", "/nonexistent.toml", "--node", "l4-1"], "/nonexistent.toml"),
    ] {
        let program = lab::find("palier-control").unwrap();
        let run = l4.control_socket().with_file_name("");
        let mut command = l4.namespace().command(program);
        command.args(flags).arg("--run-dir").arg(&run).arg("--state-dir").arg(run);
        let output = command.output().expect("a program can be run");
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{flags:?}: {}", said(&output));
    }

    lab.edit_site(|site| {
        let site = text::with(&site, "web", "quorum = -1\nrows = 4\nintervall = \"3s\"");
        text::with(&site, "l7-1", "weight = \"much\"")
    });
    let output = control(l4, &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for (line, told) in lines.iter().zip(["weight", "`intervall` is unknown", "rows", "quorum"]) {
        assert!(line.starts_with("palier-control: ") && line.contains("site.toml:"), "{text}");
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!l4.control_socket().exists() || l4.try_status().is_err());
}
