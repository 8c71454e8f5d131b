//! `check` of a service

use super::{ANY_PORT, SERVICE, bad};

#[test]
fn timing_and_kinds() {
    bad(
        SERVICE,
        &[
            (&["check = 1"], &["6:9: service web: check: 1 is not a table"]),
            (&["check = [1]"], &["6:10: service web: check: 1 is not a table"]),
            (
                &["check = {}"],
                &[
                    "6:9: service web: check: it names no kind of check: `http`, `https`, `tcp`, `tls`, `agent`, `dns`, `udp`, `icmp`, `file`, `command`",
                ],
            ),
            (
                &[r#"check.interval = "1s""#],
                &[
                    "6:1: service web: check: it names no kind of check: `http`, `https`, `tcp`, `tls`, `agent`, `dns`, `udp`, `icmp`, `file`, `command`",
                ],
            ),
            (
                &["check.tcp = false"],
                &[
                    "6:13: service web: check.tcp: false is not true or a table: leave it out if you do not want it",
                ],
            ),
            (&["check.tcp = 1"], &["6:13: service web: check.tcp: 1 is not a table"]),
            (
                &["check.tcp = true", r#"check.interval = "1ms""#],
                &[
                    r#"7:18: service web: check.interval: "1ms" is not a duration from 10ms to 1day"#,
                ],
            ),
            (
                &[
                    "check.tcp = true",
                    r#"check.interval = "1s""#,
                    r#"check.fast_interval = "2s""#,
                    r#"check.timeout = "3s""#,
                    r#"check.retry_delay = "4s""#,
                ],
                &[
                    "8:23: service web: check.fast_interval: this is longer than the interval, 1s",
                    "9:17: service web: check.timeout: this is longer than the interval, 1s",
                    "10:21: service web: check.retry_delay: this is longer than the interval, 1s",
                ],
            ),
            (
                &[
                    "check.tcp = true",
                    "check.fast_interval = 1",
                    r#"check.timeout = "0s""#,
                    r#"check.retry_delay = "x""#,
                ],
                &[
                    r#"7:23: service web: check.fast_interval: 1 is not a duration with its unit, such as "5s""#,
                    r#"8:17: service web: check.timeout: "0s" is not a duration from 10ms to 1day"#,
                    r#"9:21: service web: check.retry_delay: "x" is not a duration with its unit, such as "5s""#,
                ],
            ),
            (
                &[
                    "check.tcp = true",
                    "check.rise = 0",
                    "check.fall = 1001",
                    r#"check.clear_after = "3""#,
                    r#"check.initial = "unknown""#,
                ],
                &[
                    "7:14: service web: check.rise: 0 is not a number from 1 to 1000",
                    "8:14: service web: check.fall: 1001 is not a number from 1 to 1000",
                    r#"9:21: service web: check.clear_after: "3" is not a number from 1 to 1000"#,
                    r#"10:17: service web: check.initial: "unknown" is not one of "first_check", "up" or "down""#,
                ],
            ),
            (
                &["check.tcp = true", r#"check.direct = "no""#],
                &[r#"7:16: service web: check.direct: "no" is not true or false"#],
            ),
            (
                &["check.icmp = true", "check.direct = false"],
                &[
                    "7:16: service web: check.direct: `icmp` is always direct: move it to a check of its own, or leave this out",
                ],
            ),
            (
                &["check.smtp = true"],
                &[
                    "6:1: service web: check: it names no kind of check: `http`, `https`, `tcp`, `tls`, `agent`, `dns`, `udp`, `icmp`, `file`, `command`",
                    "6:7: service web: check: `smtp` is unknown (did you mean `http`?)",
                ],
            ),
        ],
    );
}

#[test]
fn keys_of_each_kind() {
    bad(
        SERVICE,
        &[
            (&["check.icmp = { port = 1 }"], &["6:16: service web: check.icmp: `port` is unknown"]),
            (
                &["check.tcp = { port = 0 }"],
                &["6:22: service web: check.tcp.port: 0 is not a port from 1 to 65535"],
            ),
            (
                &[r#"check.tcp = { send = 1, expect = "" }"#],
                &[
                    "6:22: service web: check.tcp.send: 1 is not a text of 1 to 4096 bytes",
                    r#"6:34: service web: check.tcp.expect: "" is not a text of 1 to 4096 bytes"#,
                ],
            ),
            (
                &[r#"check.tcp = { sned = "x" }"#],
                &["6:15: service web: check.tcp: `sned` is unknown (did you mean `send`?)"],
            ),
            (
                &[r#"check.http = { path = "healthcheck", method = "get", host = "a b" }"#],
                &[
                    r#"6:23: service web: check.http.path: "healthcheck" is not a path that begins with `/`, without spaces"#,
                    r#"6:47: service web: check.http.method: "get" is not a method in capitals, such as "HEAD""#,
                    r#"6:61: service web: check.http.host: "a b" is not a host name, with a port if need be"#,
                ],
            ),
            (
                &[r#"check.http = { path = "/a b", host = "" }"#],
                &[
                    r#"6:23: service web: check.http.path: "/a b" is not a path that begins with `/`, without spaces"#,
                    r#"6:38: service web: check.http.host: "" is not a host name, with a port if need be"#,
                ],
            ),
            (
                &["check.http = { status = 99 }"],
                &[
                    r#"6:25: service web: check.http.status: 99 is not a status from 100 to 599 or a range of them, such as "200-299""#,
                ],
            ),
            (
                &["check.http = { status = [] }"],
                &["6:25: service web: check.http.status: the list is empty: it needs at least one"],
            ),
            (
                &[r#"check.http = { status = [200, "300-299", "2xx", 600] }"#],
                &[
                    r#"6:31: service web: check.http.status: "300-299" is not a status from 100 to 599 or a range of them, such as "200-299""#,
                    r#"6:42: service web: check.http.status: "2xx" is not a status from 100 to 599 or a range of them, such as "200-299""#,
                    r#"6:49: service web: check.http.status: 600 is not a status from 100 to 599 or a range of them, such as "200-299""#,
                ],
            ),
            (
                &[r#"check.http = { status = "200-599", drain_status = [503] }"#],
                &[
                    "6:51: service web: check.http.drain_status: 503 is in `status` too: it cannot mean both up and drain",
                ],
            ),
            (
                &[r#"check.http = { status = ["200-299", 404], drain_status = "100-250" }"#],
                &[
                    "6:58: service web: check.http.drain_status: 200 is in `status` too: it cannot mean both up and drain",
                ],
            ),
            (
                &[r#"check.http = { drain_status = "x" }"#],
                &[
                    r#"6:31: service web: check.http.drain_status: "x" is not a status from 100 to 599 or a range of them, such as "200-299""#,
                ],
            ),
            (
                &[r#"check.http = { contains = "" }"#],
                &[
                    r#"6:27: service web: check.http.contains: "" is not a text that the body contains"#,
                ],
            ),
            (
                &[r#"check.http = { regex = "(" }"#],
                &[
                    r#"6:24: service web: check.http.regex: "(" is not a regular expression: unclosed group"#,
                ],
            ),
            (
                &[r#"check.http = { regex = "x", contains = "x" }"#],
                &["6:24: service web: check.http.regex: write `contains` or `regex`, not both"],
            ),
            (
                &[r#"check.http = { sni = "x" }"#],
                &["6:16: service web: check.http: `sni` is unknown"],
            ),
            (
                &[r#"check.https = { sni = "192.0.2.1", verify = false, ca = "/etc/ca.pem" }"#],
                &[
                    r#"6:23: service web: check.https.sni: "192.0.2.1" is not the name of a host"#,
                    "6:57: service web: check.https.ca: this is of no use with `verify = false`",
                ],
            ),
            (
                &[r#"check.https = { verify = "no", ca = "ca.pem" }"#],
                &[
                    r#"6:26: service web: check.https.verify: "no" is not true or false"#,
                    r#"6:37: service web: check.https.ca: "ca.pem" is not an absolute path"#,
                ],
            ),
            (
                &[r#"check.tls = { sni = "", alpn = "h2" }"#],
                &[
                    r#"6:21: service web: check.tls.sni: "" is not the name of a host"#,
                    "6:25: service web: check.tls: `alpn` is unknown",
                ],
            ),
            (&["check.agent = true"], &["6:15: service web: check.agent: `port` is missing"]),
            (
                &[r#"check.agent = { port = 5555, send = "" }"#],
                &[r#"6:37: service web: check.agent.send: "" is not a text of 1 to 4096 bytes"#],
            ),
            (
                &[r#"check.dns = { name = "a..b", type = "ANY", rcodes = [], answer = 1 }"#],
                &[
                    r#"6:22: service web: check.dns.name: "a..b" is not a domain name"#,
                    r#"6:37: service web: check.dns.type: "ANY" is not one of "A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA" or "SRV""#,
                    "6:53: service web: check.dns.rcodes: the list is empty: it needs at least one",
                    "6:66: service web: check.dns.answer: 1 is not true or false",
                ],
            ),
            (
                &[r#"check.dns = { type = 0, rcodes = [16, "YES", 0, 0] }"#],
                &[
                    "6:22: service web: check.dns.type: 0 is not a number from 1 to 65535",
                    "6:35: service web: check.dns.rcodes: 16 is not a number from 0 to 15",
                    r#"6:39: service web: check.dns.rcodes: "YES" is not one of "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP" or "REFUSED""#,
                    "6:49: service web: check.dns.rcodes: 0 stands there twice",
                ],
            ),
            (
                &[r#"check.udp = { payload = "0", expect = "" }"#],
                &[
                    r#"6:25: service web: check.udp.payload: "0" is not 0 to 1024 bytes in hexadecimal ("00ff") or { text = "..." }"#,
                    r#"6:39: service web: check.udp.expect: "" is not 1 to 1024 bytes in hexadecimal ("00ff") or { text = "..." }"#,
                ],
            ),
            (
                &[r#"check.udp = { payload = { txt = "x" }, expect = { text = 1 } }"#],
                &[
                    "6:25: service web: check.udp.payload: `text` is missing",
                    "6:27: service web: check.udp.payload: `txt` is unknown (did you mean `text`?)",
                    "6:58: service web: check.udp.expect.text: 1 is not a text",
                ],
            ),
            (
                &[r#"check.command = { argv = ["/bin/true"], port = "x" }"#],
                &[r#"6:48: service web: check.command.port: "x" is not a port from 1 to 65535"#],
            ),
        ],
    );
}

#[test]
fn a_service_of_any_port_names_none_to_check() {
    bad(
        ANY_PORT,
        &[(
            &["check.http = true"],
            &[
                r#"6:14: service all: check.http: `port` is missing: `ports = "any"` names none to check"#,
            ],
        )],
    );
}
