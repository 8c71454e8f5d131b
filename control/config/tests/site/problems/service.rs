//! `[[service]]`, but for its checks

use super::{SERVICE, bad};

#[test]
fn what_it_takes() {
    bad(
        SERVICE,
        &[
            (
                &[r#"name = "a/b""#],
                &[
                    r#"5:8: service[1]: name: "a/b" is not a name: 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit"#,
                ],
            ),
            (&["vips = []"], &["5:8: service web: vips: the list is empty: it needs at least one"]),
            (
                &[r#"vips = "198.51.100.1""#],
                &[r#"5:8: service web: vips: "198.51.100.1" is not a list"#],
            ),
            (
                &[r#"vips = ["198.51.100.1/24", "127.0.0.1", "198.51.100.1", "198.51.100.1"]"#],
                &[
                    "5:9: service web: vips: `198.51.100.1/24` has bits behind its length: write 198.51.100.0/24",
                    r#"5:28: service web: vips: "127.0.0.1" is not something that routers forward: it has loopback, link-local, multicast or reserved addresses"#,
                    r#"5:57: service web: vips: "198.51.100.1" stands there twice"#,
                ],
            ),
            (
                &[r#"protocol = "sctp""#],
                &[
                    r#"5:12: service web: protocol: "sctp" is not one of "tcp" or "udp" (did you mean "tcp"?)"#,
                ],
            ),
            (
                &["ports = []"],
                &["5:9: service web: ports: the list is empty: it needs at least one"],
            ),
            (
                &[r#"ports = [0, 80, 80, 65536, "80"]"#],
                &[
                    "5:10: service web: ports: 0 is not a port from 1 to 65535",
                    "5:17: service web: ports: 80 stands there twice",
                    "5:21: service web: ports: 65536 is not a port from 1 to 65535",
                    r#"5:28: service web: ports: "80" is not a port from 1 to 65535"#,
                ],
            ),
            (
                &[r#"ports = "80-70""#],
                &[
                    r#"5:9: service web: ports: "80-70" is not a port, a list of ports, a range such as "8000-8999", or "any""#,
                ],
            ),
            (
                &[r#"ports = "all""#],
                &[
                    r#"5:9: service web: ports: "all" is not a port, a list of ports, a range such as "8000-8999", or "any""#,
                ],
            ),
            (&["ports = 0"], &["5:9: service web: ports: 0 is not a port from 1 to 65535"]),
            (
                &["ports = true"],
                &[
                    r#"5:9: service web: ports: true is not a port, a list of ports, a range such as "8000-8999", or "any""#,
                ],
            ),
            (
                &[r#"hash = "source_ip""#],
                &[
                    r#"6:8: service web: hash: "source_ip" is not one of "five_tuple" or "source" (did you mean "source"?)"#,
                ],
            ),
            (&["rows = 65536"], &["6:8: service web: rows: 65536 is not a prime: use 65537"]),
            (&["rows = 1"], &["6:8: service web: rows: 1 is not a number from 2 to 16777216"]),
            (
                &["rows = 16777259"],
                &["6:8: service web: rows: 16777259 is not a number from 2 to 16777216"],
            ),
            (
                &[r#"rows = "many""#],
                &[r#"6:8: service web: rows: "many" is not a number from 2 to 16777216"#],
            ),
            (&[r#"track = "no""#], &[r#"6:9: service web: track: "no" is not true or false"#]),
            (
                &[r#"allow = ["0.0.0.0/0", "10.0.0.1/8"]"#, r#"deny = ["0.0.0.0/0", "::/x"]"#],
                &[
                    "6:23: service web: allow: `10.0.0.1/8` has bits behind its length: write 10.0.0.0/8",
                    "7:9: service web: deny: 0.0.0.0/0 is in `allow` too",
                    r#"7:22: service web: deny: "::/x" is not an address or ADDRESS/LENGTH"#,
                ],
            ),
            (&["source_limit = 100"], &["6:16: service web: source_limit: 100 is not a table"]),
            (
                &["source_limit = { per_second = 100 }"],
                &["6:16: service web: source_limit: `burst` is missing"],
            ),
            (
                &[r#"answer_unknown = "yes""#],
                &[r#"6:18: service web: answer_unknown: "yes" is not true or false"#],
            ),
            (&["alpha = 1"], &["6:9: service web: alpha: 1 is not true or false"]),
            (
                &[r#"down_hold = "-1s""#],
                &[
                    r#"6:13: service web: down_hold: "-1s" is not a duration with its unit, such as "5s""#,
                ],
            ),
            (
                &["drain_timeout = 60"],
                &[
                    r#"6:17: service web: drain_timeout: 60 is not a duration with its unit, such as "5s""#,
                ],
            ),
            (&[r#"colour = "red""#], &["6:1: service web: `colour` is unknown"]),
        ],
    );
}

#[test]
fn who_serves_it_and_when_it_is_lost() {
    bad(
        SERVICE,
        &[
            (
                &["nodes = []"],
                &["6:9: service web: nodes: the list is empty: it needs at least one"],
            ),
            (&[r#"nodes = "l7-1""#], &[r#"6:9: service web: nodes: "l7-1" is not a list"#]),
            (
                &[r#"nodes = ["l7-9", "b*", "!c"]"#],
                &[
                    r#"6:10: service web: nodes: "l7-9" is not the name of an [[l7]] node (did you mean "l7-1"?)"#,
                    r#"6:18: service web: nodes: "b*" matches no [[l7]] node"#,
                    r#"6:24: service web: nodes: "c" is not the name of an [[l7]] node"#,
                ],
            ),
            (&[r#"nodes = ["*", "!l7-?"]"#], &["6:9: service web: nodes: this leaves no node"]),
            (
                &["nodes = [7]"],
                &["6:10: service web: nodes: 7 is not the name of an [[l7]] node, or a pattern"],
            ),
            (
                &[r#"nodes = ["l7-1", "l7-1"]"#],
                &[r#"6:18: service web: nodes: "l7-1" stands there twice"#],
            ),
            (&["weights = 1"], &["6:11: service web: weights: 1 is not a table"]),
            (
                &[r#"weights = { "l7-1" = -1, "l7-3" = 1, "x*" = 1 }"#],
                &[
                    "6:22: service web: weights.l7-1: -1 is not a number from 0 to 10000",
                    r#"6:26: service web: weights.l7-3: "l7-3" is no node of this service"#,
                    r#"6:38: service web: weights.x*: "x*" is no node of this service"#,
                ],
            ),
            (
                &[r#"weights = { "l7-*" = 2, "*-1" = 3 }"#],
                &[
                    r#"6:25: service web: weights.*-1: "l7-*" and "*-1" give l7-1 different weights: give it one by its name"#,
                ],
            ),
            (
                &["quorum = 0"],
                &["6:10: service web: quorum: 0 is not a number from 1 to 2147483647"],
            ),
            (
                &["quorum = 3"],
                &[
                    "6:10: service web: quorum: the weights of all nodes are 2 together: quorum 3 + hysteresis 0 is never reached",
                ],
            ),
            (
                &["quorum = 2", "hysteresis = 2"],
                &[
                    "6:10: service web: quorum: the weights of all nodes are 2 together: quorum 2 + hysteresis 2 is never reached",
                    "7:14: service web: hysteresis: 2 is not below the quorum, 2",
                ],
            ),
            (&["hysteresis = 1"], &["6:14: service web: hysteresis: 1 is not below the quorum, 1"]),
            (
                &["hysteresis = -1"],
                &["6:14: service web: hysteresis: -1 is not a number from 0 to 2147483647"],
            ),
            (
                &[r#"weights = { "*" = 0 }"#],
                &[
                    "1:1: service web: the weights of all nodes are 0 together: quorum 1 + hysteresis 0 is never reached",
                ],
            ),
            (
                &[r#"on_quorum_loss = "sory""#],
                &[
                    r#"6:18: service web: on_quorum_loss: "sory" is not one of "withdraw", "keep" or "sorry" (did you mean "sorry"?)"#,
                ],
            ),
            (
                &[r#"on_quorum_loss = "sorry""#],
                &["1:1: service web: `sorry_nodes` is missing: it says where new flows go then"],
            ),
            (
                &[r#"sorry_nodes = ["l7-2"]"#],
                &[
                    r#"6:15: service web: sorry_nodes: this is of no use without `on_quorum_loss = "sorry"`"#,
                ],
            ),
            (
                &[r#"on_quorum_loss = "sorry""#, r#"sorry_nodes = ["l7-2"]"#],
                &[
                    r#"7:15: service web: sorry_nodes: l7-2 is one of `nodes` too: leave it out there, nodes = ["*", "!l7-2"]"#,
                ],
            ),
            (
                &[
                    r#"on_quorum_loss = "sorry""#,
                    r#"nodes = ["l7-1"]"#,
                    r#"sorry_nodes = ["l7-3"]"#,
                ],
                &[
                    r#"8:16: service web: sorry_nodes: "l7-3" is not the name of an [[l7]] node (did you mean "l7-1"?)"#,
                ],
            ),
            (
                &[
                    r#"on_quorum_loss = "sorry""#,
                    r#"nodes = ["l7-1"]"#,
                    r#"sorry_nodes = ["l7-2"]"#,
                    r#"weights = { "l7-2" = 0 }"#,
                ],
                &[
                    "1:1: service web: the weights of `sorry_nodes` are all 0: nobody would take new flows",
                ],
            ),
            (
                &["omega = true"],
                &["6:9: service web: omega: this is of no use without `on_quorum_down`"],
            ),
            (
                &[r#"omega = "x""#, r#"on_quorum_down = ["rm"]"#],
                &[
                    r#"6:9: service web: omega: "x" is not true or false"#,
                    r#"7:19: service web: on_quorum_down: "rm" is not the absolute path of a program"#,
                ],
            ),
            (
                &[r#"on_quorum_up = "touch /x""#],
                &[r#"6:16: service web: on_quorum_up: "touch /x" is not a list"#],
            ),
            (
                &["on_quorum_up = []"],
                &[
                    "6:16: service web: on_quorum_up: the list is empty: it is a program and its arguments",
                ],
            ),
        ],
    );
}
