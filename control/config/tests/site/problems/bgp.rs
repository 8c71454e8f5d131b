//! `[bgp]`, and what routers and services say of BGP

use super::{BGP, L4, ROUTER, SERVICE, bad, problems_of};

#[test]
fn keys_of_bgp() {
    bad(
        BGP,
        &[
            (&["local_as = 0"], &["2:12: bgp: local_as: 0 is not a number from 1 to 4294967294"]),
            (
                &["local_as = 23456"],
                &["2:12: bgp: local_as: 23456 is not an autonomous system: it is reserved"],
            ),
            (
                &[r#"hold_time = "2s""#],
                &[r#"3:13: bgp: hold_time: "2s" is not a hold time: it is 0s, or 3s and more"#],
            ),
            (
                &[r#"hold_time = "3500ms""#],
                &[r#"3:13: bgp: hold_time: "3500ms" is not a duration of whole seconds"#],
            ),
            (
                &[r#"connect_retry = "1ms""#],
                &[r#"3:17: bgp: connect_retry: "1ms" is not a duration from 100ms to 10m"#],
            ),
            (&["port = 0"], &["3:8: bgp: port: 0 is not a port from 1 to 65535"]),
            (
                &[r#"restart_time = "2h""#],
                &[r#"3:16: bgp: restart_time: "2h" is not a duration from 0s to 1h 8m 15s"#],
            ),
            (
                &[r#"restart_time = "15s""#],
                &[
                    "1:1: bgp: restart_time: 15s is not above `startup_limit`, 15s: routers would drop the routes of a node whose control is being restarted",
                ],
            ),
            (&["hold = 1"], &["3:1: bgp: `hold` is unknown"]),
        ],
    );
    assert_eq!(problems_of(&["[bgp]\n"]), ["1:1: bgp: `local_as` is missing"]);
}

#[test]
fn keys_of_a_router() {
    let address = r#"address = "192.0.2.254""#;
    let case = |line: &'static str, expected: &'static str| {
        let router = [ROUTER, address, "\npeer_as = 65000\n", line, "\n"].concat();
        assert_eq!(problems_of(&[&router, BGP]), [expected], "{line}");
    };
    case(
        r#"password = """#,
        "5:12: router r1: password: this is not a key of TCP MD5 signatures: 1 to 80 bytes",
    );
    case("local_as = 0", "5:12: router r1: local_as: 0 is not a number from 1 to 4294967294");
    case(
        r#"interface = "a/b""#,
        r#"5:13: router r1: interface: "a/b" is not the name of an interface"#,
    );
    case(
        r#"families = ["ipv5"]"#,
        r#"5:13: router r1: families: "ipv5" is not one of "ipv4" or "ipv6" (did you mean "ipv4"?)"#,
    );
    case(
        r#"nodes = ["l4-9"]"#,
        r#"5:10: router r1: nodes: "l4-9" is not the name of an [[l4]] node (did you mean "l4-1"?)"#,
    );
    case(
        r#"services = ["wob"]"#,
        r#"5:13: router r1: services: "wob" is not the name of a [[service]] (did you mean "web"?)"#,
    );
    case(r#"services = ["x*"]"#, r#"5:13: router r1: services: "x*" matches no [[service]]"#);
    case(
        r#"bfd = { interval = "1ms" }"#,
        r#"5:20: router r1: bfd.interval: "1ms" is not a duration from 50ms to 1m"#,
    );
    case(
        "bfd = { multiplier = 1 }",
        "5:22: router r1: bfd.multiplier: 1 is not a number from 2 to 50",
    );
    let mute = [ROUTER, address, "\npassive = true\n"].concat();
    assert_eq!(
        problems_of(&[&mute]),
        ["4:11: router r1: passive: this is of no use without `peer_as`"]
    );
    let local = [ROUTER, "address = \"fe80::1\"\npeer_as = 65000\n"].concat();
    assert_eq!(
        problems_of(&[&local, BGP]),
        ["3:11: router r1: address: fe80::1 is of a link alone: `interface` says of which"]
    );
    let deaf = [&local, "interface = \"palier0\"\npassive = true\n"].concat();
    assert_eq!(
        problems_of(&[&deaf, BGP]),
        [
            "3:11: router r1: address: fe80::1 is of a link alone: nobody listens for it there, so `passive` cannot be"
        ]
    );
}

#[test]
fn who_speaks_and_from_where() {
    let router = [ROUTER, "address = \"192.0.2.254\"\npeer_as = 65000\n"].concat();
    let v6 = L4.replace("\"192.0.2.132\", ", "");
    let site = [super::SITE, &v6, super::L7, &router, BGP].concat();
    assert_eq!(
        crate::problems(&site),
        [
            "5:8: l4 l4-1: l4-1 speaks BGP with r1 and has no IPv4 address: give it a `router_id`",
            "12:8: router r1: l4-1 has no address of its family, and shall speak BGP with it",
        ]
    );
    bad(
        L4,
        &[(
            &[r#"router_id = "0.0.0.0""#],
            &[
                r#"4:13: l4 l4-1: router_id: "0.0.0.0" is not a BGP identifier: write it like an IPv4 address, not 0.0.0.0"#,
            ],
        )],
    );
}

#[test]
fn what_a_service_says() {
    bad(
        SERVICE,
        &[
            (
                &["bgp = { med = -1 }"],
                &["6:15: service web: bgp.med: -1 is not a number from 0 to 4294967295"],
            ),
            (
                &["bgp = { prepend = 51 }"],
                &["6:19: service web: bgp.prepend: 51 is not a number from 0 to 50"],
            ),
            (
                &[r#"bgp = { communities = ["65536:1"] }"#],
                &[
                    r#"6:24: service web: bgp.communities: "65536:1" is not a community: "65000:100", or "no-export", "no-advertise", "no-export-subconfed" or "blackhole""#,
                ],
            ),
            (
                &[r#"bgp = { communities = ["65535:0"] }"#],
                &[
                    "6:24: service web: bgp.communities: 65535:0 is sent when a node leaves, and only then",
                ],
            ),
            (
                &[r#"bgp = { large_communities = ["1:2"] }"#],
                &[
                    r#"6:30: service web: bgp.large_communities: "1:2" is not a large community, such as "65000:1:100""#,
                ],
            ),
            (
                &[r#"bgp = { aggregate = "198.51.101.0/24" }"#],
                &["6:21: service web: bgp.aggregate: 198.51.100.1 is outside of 198.51.101.0/24"],
            ),
            (&["bgp = { wanted = true }"], &["6:9: service web: bgp: `wanted` is unknown"]),
        ],
    );
}

#[test]
fn services_that_share_a_vip_say_the_same_of_it() {
    let other = SERVICE.replace("\"web\"", "\"dns\"").replace("\"tcp\"", "\"udp\"");
    let with = |service: &str, bgp: &str| format!("{service}bgp = {bgp}\n");
    let fine = with(&other, "{ required = false }");
    assert_eq!(problems_of(&[&fine]), [""; 0]);
    let apart = with(&other, "{ med = 1 }");
    assert_eq!(
        problems_of(&[&apart]),
        [("23:9", "198.51.100.1"), ("23:25", "2001:db8::c633:6401")].map(|(place, vip)| {
            format!(
                "{place}: service web: vips: {vip} is announced for service dns too, with another \
                 `bgp`: only `required` may differ"
            )
        })
    );
}
