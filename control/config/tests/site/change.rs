//! What a reload breaks, and what it does not reach.

use config::{Config, Running, breaking};

use crate::example::EXAMPLE;
use crate::good;

/// The example with some text replaced.
#[track_caller]
fn with(changes: &[(&str, &str)]) -> Config {
    let mut text = String::from(EXAMPLE);
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    good(&text)
}

#[track_caller]
fn breaks(changes: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(breaking(&good(EXAMPLE), &with(changes)), expected, "{changes:?}");
}

#[test]
fn what_leaves_something_of_a_service_is_taken_as_it_is() {
    breaks(&[], &[]);
    breaks(&[("\"198.51.100.1\", ", "")], &[]);
    let vips = "vips = [\"198.51.100.1\", \"2001:db8::c633:6401\"]";
    breaks(&[(vips, "vips = [\"198.51.100.0/24\"]")], &[]);
    breaks(&[("nodes = [\"l7-*\"]", "nodes = [\"l7-2\"]")], &[]);
    breaks(&[("ports = [80]", "ports = \"any\""), ("path = \"/healthcheck\"", "port = 80")], &[]);
    breaks(&[("ports = [80]", "ports = [443, 80]")], &[]);
    breaks(&[("weight = 2", "weight = 3"), ("interval = \"5s\"", "interval = \"6s\"")], &[]);
    breaks(&[("name = \"par1\"", "name = \"par2\"")], &[]);
}

#[test]
fn what_takes_the_last_of_something_needs_force() {
    breaks(&[("name = \"web\"", "name = \"www\"")], &["service web: it is gone"]);
    breaks(
        &[("vips = [\"198.51.100.1\", \"2001:db8::c633:6401\"]", "vips = [\"198.51.100.2\"]")],
        &["service web: none of its VIPs is left"],
    );
    breaks(
        &[("\"l7-", "\"l8-")],
        &[
            "l7-1: 192.0.2.140 goes to l8-1: breaks its connections",
            "l7-2: 192.0.2.141 goes to l8-2: breaks its connections",
            "l7-3: 192.0.2.142 goes to l8-3: breaks its connections",
            "service web: none of its nodes is left",
        ],
    );
    breaks(&[("ports = [80]", "ports = \"81-90\"")], &["service web: none of its ports is left"]);
    breaks(&[("protocol = \"tcp\"", "protocol = \"udp\"")], &["service web: it is tcp no more"]);
}

#[test]
fn what_moves_flows_needs_force() {
    let inline = "\"000102030405060708090a0b0c0d0e00\"";
    breaks(
        &[("{ file = \"/etc/palier/hash.key\" }", inline)],
        &["site: another `hash_key` moves every flow"],
    );
    breaks(
        &[("ports = [80]", "ports = [80]\nrows = 1009\nhash = \"source\"")],
        &[
            "service web: `rows` 65537 -> 1009 moves flows",
            "service web: `hash` five_tuple -> source moves flows",
        ],
    );
    breaks(&[("index = 2", "index = 5")], &["l7-2: `index` 2 -> 5 breaks its connections"]);
    breaks(
        &[("name = \"l7-2\"", "name = \"l7-9\""), ("index = 2", "index = 9")],
        &["l7-2: 192.0.2.141 goes to l7-9: breaks its connections"],
    );
}

#[test]
fn a_node_is_named_whatever_its_place_in_the_file() {
    let first = EXAMPLE.find("[[l7]]").unwrap();
    let second = EXAMPLE.rfind("[[l7]]").unwrap();
    let end = EXAMPLE.find("[[service]]").unwrap();
    let turned =
        [&EXAMPLE[..first], &EXAMPLE[second..end], &EXAMPLE[first..second], &EXAMPLE[end..]];
    let only = ("nodes = [\"l7-*\"]", "nodes = [\"l7-1\"]");
    let before = with(&[only]);
    let after = good(&turned.concat().replace(only.0, only.1));
    assert_ne!(before.l7, after.l7);
    assert_eq!(breaking(&before, &after), [""; 0]);
}

/// What takes a restart if both processes were started with `old`.
fn restart_needed(old: &Config, new: &Config, node: &str) -> Vec<String> {
    config::restart_needed(Running { dataplane: old, control: old }, new, node)
}

#[test]
fn where_bgp_listens_takes_a_restart() {
    let bgp = |port: &str| good(&format!("{EXAMPLE}\n[bgp]\nlocal_as = 65001\nport = {port}\n"));
    let expected = ["bgp: `port` takes a restart of palier-control"];
    assert_eq!(restart_needed(&bgp("179"), &bgp("1790"), "l4-2"), expected);
    assert_eq!(restart_needed(&good(EXAMPLE), &bgp("1790"), "l4-2"), [""; 0]);
}

#[test]
fn what_takes_a_restart_is_named_for_the_node_it_is_about() {
    let old = good(EXAMPLE);
    let more = "cores = \"2-5\"\nexception = \"lb0\"\nvlan = 5\nmtu = 9000\nconnections = 5\nflow_details = true\nidle = \"adaptive\"";
    let new = with(&[("cores = \"2-5\"", more), ("queues=4", "queues=2"), ("7400", "7500")]);
    let dataplane = |key: &str| format!("l4-2: `{key}` takes a restart of palier-dataplane");
    let mut expected: Vec<_> =
        ["nics", "exception", "vlan", "mtu", "connections", "flow_details", "idle"]
            .map(dataplane)
            .into();
    expected.push("site: `peer_port` takes a restart of palier-control".into());
    assert_eq!(restart_needed(&old, &new, "l4-2"), expected);
    assert_eq!(restart_needed(&old, &new, "l7-1"), expected[7..]);
    assert_eq!(restart_needed(&old, &old, "l4-2"), [""; 0]);

    let new = with(&[("cores = \"2-5\"", "cores = \"2\""), ("= 7400", "= 7400\npki = \"/pki\"")]);
    let expected = [dataplane("cores"), "site: `pki` takes a restart of palier-control".into()];
    assert_eq!(restart_needed(&old, &new, "l4-2"), expected);

    let new = with(&[
        ("nics = [\"0000:3b:00.0,queues=4\"]\n", ""),
        ("cores = \"2-5\"\n", ""),
        ("peer_port = 7400", ""),
    ]);
    let expected =
        [dataplane("nics"), "site: `peer_port` takes a restart of palier-control".into()];
    assert_eq!(restart_needed(&old, &new, "l4-2"), expected);
    assert_eq!(restart_needed(&new, &old, "l4-2"), expected);

    // One of them was started again since.
    let since = Running { dataplane: &new, control: &old };
    assert_eq!(config::restart_needed(since, &new, "l4-2"), expected[1..]);
    let since = Running { dataplane: &old, control: &new };
    assert_eq!(config::restart_needed(since, &new, "l4-2"), expected[..1]);
}
