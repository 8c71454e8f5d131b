//! What only the whole site can tell, and texts that are no site at all.

use super::{L4, L7, OTHER_L7, SERVICE, SITE, bad};
use crate::problems;

/// The good site with more behind it.
fn with(more: &str) -> Vec<String> {
    problems(&[SITE, L4, L7, OTHER_L7, SERVICE, more].concat())
}

#[test]
fn names_indexes_and_addresses_belong_to_one() {
    let more = r#"
[[l7]]
name = "l7-1"
index = 2
addresses = ["192.0.2.132"]
[[l7]]
name = "l4-1"
index = 3
addresses = ["192.0.2.143"]
[[router]]
name = "l7-2"
address = "192.0.2.140"
[[service]]
name = "web"
vips = ["198.51.100.9"]
protocol = "tcp"
ports = 80
"#;
    let expected = [
        "22:8: l7 l7-1: another [[l7]] has this name",
        "23:9: l7 l7-1: index: 2 is the index of l7-2: leave it out and `palierctl check --assign` writes a free one",
        "24:14: l7 l7-1: addresses: 192.0.2.132 is an address of l4-1",
        "26:8: l7 l4-1: an [[l4]] has this name: a box has one role, as L4 nodes tunnel to other boxes only",
        "30:8: router l7-2: an [[l7]] has this name: a box has one role, as L4 nodes tunnel to other boxes only",
        "31:11: router l7-2: address: 192.0.2.140 is an address of l7-1",
        "33:8: service web: another [[service]] has this name",
    ];
    assert_eq!(with(more), expected);
}

#[test]
fn one_port_of_a_vip_is_one_services() {
    let service = |name: &str, protocol: &str, ports: &str| {
        let vips = r#"["198.51.100.1", "198.51.100.0/24"]"#;
        format!(
            "[[service]]\nname = \"{name}\"\nvips = {vips}\nprotocol = \"{protocol}\"\nports = {ports}\n"
        )
    };
    let of = |services: &[(&str, &str, &str)]| {
        let more: String = services.iter().map(|(n, pr, po)| service(n, pr, po)).collect();
        with(&more)
    };
    assert_eq!(
        of(&[("b", "tcp", "[8080, 443]")]),
        ["22:9: service b: vips: service web takes port 443 of 198.51.100.1 already"]
    );
    assert_eq!(
        of(&[("b", "udp", "443"), ("c", "tcp", "\"400-500\""), ("d", "tcp", "\"any\"")]),
        [""; 0]
    );
    assert_eq!(
        of(&[("b", "tcp", "\"80-80\"")]),
        ["22:9: service b: vips: service web takes port 80 of 198.51.100.1 already"]
    );
    assert_eq!(
        of(&[("b", "udp", "\"1-9\""), ("c", "udp", "\"3-4\""), ("d", "udp", "\"9-10\"")]),
        [
            "27:9: service c: vips: service b takes port 3 of 198.51.100.1 already",
            "27:25: service c: vips: service b takes port 3 of 198.51.100.0/24 already",
            "32:9: service d: vips: service b takes port 9 of 198.51.100.1 already",
            "32:25: service d: vips: service b takes port 9 of 198.51.100.0/24 already",
        ]
    );
    assert_eq!(
        of(&[("b", "udp", "\"any\""), ("c", "udp", "\"any\"")]),
        [
            "27:9: service c: vips: service b takes any port of 198.51.100.1 already",
            "27:25: service c: vips: service b takes any port of 198.51.100.0/24 already",
        ]
    );
}

#[test]
fn vips_and_tunnel_sources_are_nobody_elses() {
    let more = r#"
[[service]]
name = "wide"
vips = ["192.0.2.128/25"]
protocol = "udp"
ports = 53
[[l4]]
name = "l4-2"
addresses = ["192.0.2.1"]
tunnel_sources = ["10.0.0.0/8"]
[[l4]]
name = "l4-3"
addresses = ["10.0.0.1"]
tunnel_sources = ["10.1.0.0/16"]
"#;
    let expected = [
        "23:9: service wide: vips: 192.0.2.128/25: 192.0.2.132 is an address of l4-1, not a VIP",
        "29:19: l4 l4-2: tunnel_sources: 10.0.0.0/8 has an address of l4-3, 10.0.0.1",
        "33:19: l4 l4-3: tunnel_sources: 10.1.0.0/16 overlaps 10.0.0.0/8, which is routed to l4-2",
    ];
    assert_eq!(with(more), expected);
    bad(
        L4,
        &[(
            &["addresses = [\"192.0.2.132\"]", "tunnel_sources = [\"2001:db8:1::/64\"]"],
            &[
                "4:19: l4 l4-1: tunnel_sources: the node has no address of the family of 2001:db8:1::/64",
            ],
        )],
    );
}

#[test]
fn every_l4_node_can_tunnel_to_every_l7_node() {
    let more = "[[l4]]\nname = \"l4-6\"\naddresses = [\"2001:db8::6\"]\n";
    assert_eq!(with(more), ["12:8: l7 l7-2: it has no address of a family in which l4-6 has one"]);
}

#[test]
fn services_need_nodes_and_are_not_too_many() {
    assert_eq!(
        problems(&[SITE, L4, SERVICE].concat()),
        ["1:1: there is no [[l7]] node for the services"]
    );
    let many = (0..4096).map(|i| {
        let port = i % 4096 + 1000;
        format!("[[service]]\nname = \"s{i}\"\nvips = [\"198.51.100.1\"]\nprotocol = \"udp\"\nports = {port}\n")
    });
    assert_eq!(with(&many.collect::<String>()), ["20496:8: service s4095: at most 4096 services"]);
}

#[test]
fn tables_are_there_and_in_lists() {
    assert_eq!(problems(""), ["1:1: `site` is missing"]);
    assert_eq!(
        problems("site = 1\nl7 = 1\nl4 = [1]"),
        ["1:8: site: 1 is not a table", "2:6: l7: 1 is not a list", "3:7: l4: 1 is not a table",]
    );
    let one = SERVICE.replace("[[service]]", "[service]");
    assert_eq!(
        problems(&[SITE, &one].concat()),
        ["4:1: service: this is one of a list: write [[service]]"]
    );
    let no_index = L7.replace("index = 1\n", "");
    assert_eq!(
        problems(&[SITE, &no_index].concat()),
        ["4:1: l7 l7-1: `index` is missing: `palierctl check --assign` writes it"]
    );
}

#[test]
fn what_is_to_be_a_list_is_one() {
    let text = ["pool = 1\nfrontend = 1\ndns = 1\nbpg = 1\nservices = 1\n", SITE].concat();
    let expected = [
        "1:8: pool: 1 is not a list",
        "2:12: frontend: 1 is not a list",
        "3:7: dns: 1 is not a list",
        "4:1: `bpg` is unknown (did you mean `bgp`?)",
        "5:1: `services` is unknown (did you mean `service`?)",
    ];
    assert_eq!(problems(&text), expected);
}

#[test]
fn what_is_no_toml_is_told_once_a_line_and_without_what_stands_there() {
    let text = "[site]\nname = par 1\nhash_key = \"0123456789abcdef\nname = \"x\"\n[[l7]\nlist = [,,1,,]\n";
    let told = problems(text);
    let lines: Vec<_> = told.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(lines, ["2", "3", "4", "5", "6"], "{told:#?}");
    assert!(told.iter().all(|line| line.contains(": this is not TOML: ")), "{told:#?}");
    assert!(!told.concat().contains("0123456789abcdef"), "{told:#?}");
    assert!(told[2].ends_with("4:1: this is not TOML: duplicate key"), "{told:#?}");
}

#[test]
fn a_problem_is_one_line_whatever_the_keys_are() {
    let text = [SITE, "\"a\\nb\" = 1\n", L4, L7, SERVICE, "weights.\"x\\ny\" = 2\n"].concat();
    assert_eq!(
        problems(&text),
        [
            r"4:1: site: `a\nb` is unknown",
            r#"17:9: service web: weights.x\ny: "x\ny" is no node of this service"#,
        ]
    );
}
