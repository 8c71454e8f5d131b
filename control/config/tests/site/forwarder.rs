//! Whatever site is accepted here, the forwarder accepts on each of its L4 nodes.

use api::{Prefix, Snapshot};
use config::{Config, L4, Member};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::example::EXAMPLE;
use crate::{good, parse};

/// The Snapshot of a node, every other node up.
fn snapshot(config: &Config, node: &L4) -> Snapshot {
    let member = |member: &Member| api::Member {
        node: config.l7[member.l7].index,
        weight: member.weight,
        state: api::State::Up,
        release: api::Release::Never,
    };
    let nodes = config.l7.iter().map(|node| api::Node {
        name: node.name.clone(),
        index: node.index,
        addresses: node.addresses.clone(),
        probe_ports: None,
    });
    let services = config.services.iter().map(|service| api::Service {
        name: service.name.clone(),
        vips: service.vips.clone(),
        protocol: service.protocol,
        ports: service.ports.clone(),
        hash: service.hash,
        rows: service.rows,
        track: service.track,
        allow: service.allow.clone(),
        deny: service.deny.clone(),
        source_limit: service.source_limit,
        answer_unknown: service.answer_unknown,
        nodes: service.nodes.iter().map(member).collect(),
    });
    Snapshot {
        generation: 1,
        hash_key: Some(config.site.hash_key),
        addresses: node.addresses.clone(),
        tunnel_sources: node.tunnel_sources.clone(),
        nodes: nodes.collect(),
        services: services.collect(),
        routers: config
            .routers
            .iter()
            .flat_map(|r| r.addresses.iter().map(|&a| Prefix::from(a)))
            .collect(),
        management: config.site.management.clone(),
        bfd: Vec::new(),
        limits: config.site.limits,
        idle: config.site.idle,
    }
}

#[track_caller]
fn accepted(text: &str, config: &Config) {
    for node in &config.l4 {
        assert_eq!(forward::problems(&snapshot(config, node)), [""; 0], "{}\n{text}", node.name);
    }
}

#[test]
fn the_forwarder_accepts_good_sites() {
    for text in [EXAMPLE, include_str!("every_key.toml"), include_str!("least.toml")] {
        accepted(text, &good(text));
    }
}

/// Some of these, in brackets.
fn some(all: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let texts = subsequence(all, 1..=most);
    texts.prop_map(|texts| {
        format!("[{}]", texts.iter().map(|t| format!("{t:?}")).collect::<Vec<_>>().join(", "))
    })
}

/// Few names and addresses, so that sites often are nearly right: one thing twice, one overlapping.
fn sites() -> impl Strategy<Value = String> {
    const L4: &[&str] = &[
        r#"["192.0.2.1"]"#,
        r#"["192.0.2.2", "2001:db8::2"]"#,
        r#"["2001:db8::1", "192.0.2.1"]"#,
        r#"["192.0.2.3"]"#,
        r#"["2001:db8::3"]"#,
        r#"["192.0.2.1", "192.0.2.2"]"#,
        r#"["fe80::1"]"#,
    ];
    const L7: &[&str] = &[
        r#"["192.0.2.3"]"#,
        r#"["192.0.2.4"]"#,
        r#"["192.0.2.5", "2001:db8::5"]"#,
        r#"["2001:db8::6", "192.0.2.6"]"#,
        r#"["2001:db8::7"]"#,
        r#"["127.0.0.1"]"#,
    ];
    const VIPS: &[&str] = &[
        "198.51.100.1",
        "198.51.100.2",
        "198.51.100.0/24",
        "2001:db8:1::1",
        "2001:db8:1::/48",
        "198.51.100.3",
        "203.0.113.0/25",
        "203.0.113.9",
        "192.0.2.2",
        "192.0.2.0/24",
        "239.0.0.1",
    ];
    const SOURCES: &[&str] =
        &["192.0.2.16/28", "192.0.2.0/28", "2001:db8:5::/64", "198.51.100.0/25", "240.0.0.0/8"];
    const PORTS: &[&str] = &[
        "80",
        "[80, 443]",
        "[443]",
        "\"80-90\"",
        "\"80-80\"",
        "\"85-99\"",
        "\"any\"",
        "[80, 80]",
        "0",
    ];
    let l4 = (0..3_u8, select(L4), prop::option::weighted(0.2, some(SOURCES, 2))).prop_map(
        |(name, addresses, sources)| {
            let sources = sources.map(|s| format!("tunnel_sources = {s}\n")).unwrap_or_default();
            format!("[[l4]]\nname = \"l4-{name}\"\naddresses = {addresses}\n{sources}")
        },
    );
    let l7 = (0..9_u8, 0..15_u16, select(L7), 0..3_u16).prop_map(|(name, index, addresses, weight)| {
        format!("[[l7]]\nname = \"l7-{name}\"\nindex = {index}\naddresses = {addresses}\nweight = {weight}\n")
    });
    let service = (0..9_u8, some(VIPS, 2), any::<bool>(), select(PORTS), select(&[65_537, 1009, 7, 11, 13, 1024][..]))
        .prop_map(|(name, vips, tcp, ports, rows)| {
            let protocol = if tcp { "tcp" } else { "udp" };
            format!("[[service]]\nname = \"s{name}\"\nvips = {vips}\nprotocol = \"{protocol}\"\nports = {ports}\nrows = {rows}\n")
        });
    let idle = select(&["60s", "1s", "2m", "21d", "22d"][..]);
    let parts = (
        prop::collection::vec(l4, 1..3),
        prop::collection::vec(l7, 1..3),
        prop::collection::vec(service, 1..4),
    );
    (idle, parts).prop_map(|(idle, (l4, l7, services))| {
        let site = "[site]\nname = \"s\"\nhash_key = { credential = \"key\" }\n";
        format!("{site}idle.udp = \"{idle}\"\n{}{}{}", l4.concat(), l7.concat(), services.concat())
    })
}

#[test]
fn what_is_accepted_here_is_accepted_there() {
    let mut runner = TestRunner::deterministic();
    let sites = sites();
    let mut good = 0;
    for _ in 0..20_000 {
        let text = sites.new_tree(&mut runner).unwrap().current();
        if let Ok(config) = parse(&text) {
            accepted(&text, &config);
            good += 1;
        }
    }
    assert!(good > 100, "only {good} sites were good: the test shows nothing");
}
