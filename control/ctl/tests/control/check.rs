//! `palierctl check` and `palierctl dataplane`: what they make of a site file.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fake::{Fake, run};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// Two services that share a table, one of other weights.
const SITE: &str = r#"
[site]
name = "par1"
hash_key = "000102030405060708090a0b0c0d0e0f"
[[l4]]
name = "l4-1"
addresses = ["192.0.2.132", "2001:db8::c000:284"]
nics = ["0000:3b:00.0,queues=4"]
cores = "2-5"
exception = "palier0"
[[l4]]
name = "l4-2"
addresses = ["192.0.2.133"]
[[l7]]
name = "l7-1"
index = 1
addresses = ["192.0.2.140"]
[[l7]]
name = "l7-2"
index = 2
addresses = ["192.0.2.141"]
[[l7]]
name = "l7-3"
index = 3
addresses = ["192.0.2.142"]
weight = 2
[[service]]
name = "web"
vips = ["198.51.100.1"]
protocol = "tcp"
ports = [80, 443]
nodes = ["l7-1", "l7-2"]
[[service]]
name = "mail"
vips = ["198.51.100.2"]
protocol = "tcp"
ports = [25]
nodes = ["l7-1", "l7-2"]
[[service]]
name = "dns"
vips = ["198.51.100.3"]
protocol = "udp"
ports = [53]
"#;

/// The site file, as its owner alone may read it.
fn site(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("site.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

fn check(text: &str, flags: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = site(dir.path(), text);
    run(dir.path(), &[&["check", path.to_str().unwrap()], flags].concat())
}

#[test]
fn every_problem_is_told_and_the_exit_code_is_1() {
    let text = SITE.replace("index = 2", "index = 1").replace("\"udp\"", "\"sctp\"");
    let (code, text, errors) = check(&text, &[]);
    assert_eq!((code, text.as_str()), (1, ""));
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(errors.lines().all(|line| line.contains("site.toml:")), "{errors}");
}

#[test]
fn shares_are_those_of_the_maglev_tables_and_shown_once() {
    let (code, text, errors) = check(SITE, &["--json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&text).unwrap();
    let shares = report["shares"].as_array().unwrap();
    assert_eq!(shares.len(), 2);
    assert_eq!(shares[0]["services"], json!(["web", "mail"]));
    // 65537 rows: one node of two has one more.
    assert_eq!(rows(&shares[0]), [32_769, 32_768]);
    assert_eq!(shares[1]["services"], json!(["dns"]));
    assert_eq!(rows(&shares[1]), [16_384, 16_384, 32_769]);
    let fingerprint = |weights: &[(&str, u16, u16)]| {
        let key: api::HashKey = KEY.parse().unwrap();
        let hasher = forward::Hasher::new(key.bytes());
        let table = forward::Maglev::build(&hasher, 65_537, weights).unwrap();
        json!(format!("{:016x}", table.fingerprint()))
    };
    assert_eq!(shares[0]["fingerprint"], fingerprint(&[("l7-1", 1, 1), ("l7-2", 2, 1)]));
}

fn rows(share: &Value) -> Vec<u64> {
    let nodes = share["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["rows"].as_u64().unwrap()).collect()
}

#[test]
fn the_summary_names_all_that_there_is_and_no_secret() {
    let (code, text, _) = check(SITE, &[]);
    assert_eq!(code, 0);
    for part in [
        "site par1: 2 L4 nodes, 3 L7 nodes, 3 services",
        "Shares of web, mail (65537 rows)",
        "l7-3       2  32769   50.001",
        "tcp 80,443",
        "meta l4proto { 4, 41 } drop",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("Shares of").count(), 2);
    assert!(!text.contains(KEY));
    let rules = check(SITE, &["--edge", "rules"]).1;
    assert!(rules.contains("drop protocol 41 from outside to 192.0.2.140"), "{rules}");
}

#[test]
fn indexes_are_written_in_place_and_not_those_of_nodes_that_left() {
    let dir = tempfile::tempdir().unwrap();
    let _fake = running(dir.path());
    let path = site(dir.path(), &SITE.replace("index = 3\n", ""));
    let arguments = ["check", path.to_str().unwrap(), "--assign"];
    let (code, text, errors) = run(dir.path(), &arguments);
    assert_eq!((code, errors.as_str()), (0, ""));
    // The running Snapshot has l7-9 with index 9.
    assert!(text.starts_with("l7-3 has index 10 now\n"), "{text}");
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, SITE.replace("index = 3\n", "index = 10\n"));
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let (code, text, _) = run(dir.path(), &arguments);
    assert!(code == 0 && text.starts_with("site par1"), "nothing is left to give: {text}");
}

#[test]
fn without_control_indexes_are_given_with_a_warning() {
    let (code, text, errors) = check(&SITE.replace("index = 3\n", ""), &["--assign"]);
    assert!(code == 0 && text.starts_with("l7-3 has index 3 now\n"), "{text}");
    assert!(errors.contains("indexes of nodes that left the file are not known"), "{errors}");
}

/// A control whose dataplane runs: web with l7-1, l7-2 and l7-9, which has left the file; mail with
/// l7-2 down; a service that the file does not have.
fn running(dir: &Path) -> Fake {
    let node = |index: u16| {
        json!({ "name": format!("l7-{index}"), "index": index,
                "addresses": [format!("192.0.2.{}", 139 + index)] })
    };
    let service = |name: &str, vips: Value, protocol: &str, port: u16, nodes: Value| {
        json!({ "name": name, "vips": vips, "protocol": protocol, "ports": { "list": [port] },
                "nodes": nodes })
    };
    let key: api::HashKey = KEY.parse().unwrap();
    let fingerprint = forward::Hasher::new(key.bytes()).fingerprint();
    let snapshot = json!({
        "generation": 42,
        "addresses": ["192.0.2.132"],
        "nodes": [node(1), node(2), node(9)],
        "services": [
            service("web", json!(["198.51.100.1", "198.51.100.9"]), "tcp", 80,
                    json!([{ "node": 1 }, { "node": 2 }, { "node": 9 }])),
            service("mail", json!(["198.51.100.2"]), "tcp", 25,
                    json!([{ "node": 1 }, { "node": 2, "state": "down" }])),
            service("old", json!(["198.51.100.4"]), "tcp", 80, json!([{ "node": 1 }])),
        ]
    });
    let reply = json!({ "dataplane": { "snapshot": {
        "generation": 42, "snapshot": snapshot, "key_fingerprint": format!("{fingerprint:016x}")
    } } });
    Fake::serve(&dir.join("control-l4.sock"), move |request| {
        assert_eq!(request, &json!({ "dataplane": { "snapshot": {} } }));
        reply.to_string()
    })
}

#[test]
fn what_would_change_is_told_service_by_service() {
    let dir = tempfile::tempdir().unwrap();
    let _fake = running(dir.path());
    let path = site(dir.path(), SITE);
    let against = |flags: &[&str]| {
        let path = path.to_str().unwrap();
        run(dir.path(), &[&["check", path, "--against", "running"], flags].concat())
    };
    let (code, text, errors) = against(&["--json"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&text).unwrap();
    let against_running = &report["against"];
    assert_eq!(against_running["generation"], 42);
    assert_eq!(against_running["same_key"], true);
    assert_eq!(against_running["services_gone"], json!(["old"]));
    assert_eq!(against_running["vips_gone"], json!([["web", "198.51.100.9"]]));
    assert_eq!(against_running["nodes_kept"], json!(["l7-9"]));
    let services = against_running["services"].as_array().unwrap();
    assert_eq!(services.len(), 3);
    // A third of the rows was l7-9's, and little else moves.
    let percent = services[0]["what"]["moves"]["percent"].as_f64().unwrap();
    assert!((33.3..34.5).contains(&percent), "{percent}");
    // l7-2 is down, and stays so: the file changes nothing.
    assert_eq!(services[1]["what"]["moves"]["rows"], 0);
    assert_eq!(services[2]["what"], "new");

    let (code, text, _) = against(&[]);
    assert_eq!(code, 0);
    for part in ["l7-9 has left", "service old is gone", "web has 198.51.100.9 no more"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("another hash key"));
}

#[test]
fn another_key_is_an_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let _fake = running(dir.path());
    let path = site(dir.path(), &SITE.replace(KEY, "ff0102030405060708090a0b0c0d0e0f"));
    let arguments = ["check", path.to_str().unwrap(), "--against", "running"];
    let (code, text, _) = run(dir.path(), &arguments);
    assert!(code == 0 && text.contains("another hash key: every flow moves"), "{text}");
}

fn dataplane(flags: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = site(dir.path(), SITE);
    let before = ["dataplane", "--site", path.to_str().unwrap()];
    run(Path::new("/run/x"), &[&before, flags].concat())
}

#[test]
fn the_dataplane_gets_its_flags_from_the_file() {
    let (code, text, _) = dataplane(&["--node", "l4-1", "--print", "--", "--verbose"]);
    assert_eq!(code, 0);
    let (program, flags) = text.split_once(' ').unwrap();
    assert!(program.ends_with("palier-dataplane"), "{program}");
    assert_eq!(
        flags,
        "--port 0000:3b:00.0,queues=4 --cores 2-5 --exception tap:palier0 --run-dir /run/x \
         --verbose\n"
    );
}

#[test]
fn a_node_that_is_none_or_has_no_nics_is_refused() {
    for (node, reason) in
        [("l4-2", "l4-2 names no `nics`"), ("l7-1", "no L4 node has the name l7-1; there are l4-1")]
    {
        let (code, _, errors) = dataplane(&["--node", node, "--print"]);
        assert!(code == 1 && errors.contains(reason), "{errors}");
    }
}

#[test]
fn it_becomes_the_program_beside_itself() {
    // Where the binary is, so that it can be linked there.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = site(dir.path(), SITE);
    let linked = dir.path().join("palierctl");
    std::fs::hard_link(env!("CARGO_BIN_EXE_palierctl"), &linked).unwrap();
    std::os::unix::fs::symlink("/bin/echo", dir.path().join("palier-dataplane")).unwrap();
    let site = path.to_str().unwrap();
    let mut command = std::process::Command::new(linked);
    command.args(["dataplane", "--site", site, "--node", "l4-1", "--", "--verbose"]);
    let (code, text, errors) = crate::fake::ended(command.output().unwrap());
    assert_eq!(code, 0, "{errors}");
    assert!(text.starts_with("--port 0000:3b:00.0") && text.ends_with("--verbose\n"), "{text}");
}
