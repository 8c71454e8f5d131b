//! `[site]`

use super::{SITE, bad};

#[test]
fn keys_of_the_site() {
    bad(
        SITE,
        &[
            (
                &["name = 1"],
                &[
                    "3:8: site: name: 1 is not a name: 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit",
                ],
            ),
            (
                &[r#"name = "a b""#],
                &[
                    r#"3:8: site: name: "a b" is not a name: 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit"#,
                ],
            ),
            (
                &[r#"name = """#],
                &[
                    r#"3:8: site: name: "" is not a name: 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit"#,
                ],
            ),
            (&[r#"nam = "x""#], &["4:1: site: `nam` is unknown (did you mean `name`?)"]),
            (
                &[r#"hash_key = "00""#],
                &[
                    "3:12: site: hash_key: a hash key is 32 hexadecimal digits (`openssl rand -hex 16` makes one)",
                ],
            ),
            (
                &["hash_key = 17"],
                &[
                    r#"3:12: site: hash_key: this is not a secret: write { file = "/etc/palier/..." } or { credential = "NAME" }"#,
                ],
            ),
            (
                &["hash_key = {}"],
                &[
                    r#"3:12: site: hash_key: this is not a secret: write { file = "/etc/palier/..." } or { credential = "NAME" }"#,
                ],
            ),
            (
                &[r#"hash_key = { file = "hash.key" }"#],
                &[r#"3:21: site: hash_key.file: "hash.key" is not an absolute path"#],
            ),
            (
                &[r#"hash_key = { file = "/k", credential = "k" }"#],
                &[
                    r#"3:12: site: hash_key: this is not a secret: write { file = "/etc/palier/..." } or { credential = "NAME" }"#,
                ],
            ),
            (
                &[r#"hash_key = { credential = "../k" }"#],
                &[r#"3:27: site: hash_key.credential: "../k" is not the name of a credential"#],
            ),
            (
                &[r#"hash_key = { file = "/etc/palier/hash.key", mode = 1 }"#],
                &["3:45: site: hash_key: `mode` is unknown"],
            ),
            (&["peer_port = 0"], &["4:13: site: peer_port: 0 is not a number from 1 to 65533"]),
            (
                &["peer_port = 65534"],
                &["4:13: site: peer_port: 65534 is not a number from 1 to 65533"],
            ),
            (
                &[r#"peer_port = "7400""#],
                &[r#"4:13: site: peer_port: "7400" is not a number from 1 to 65533"#],
            ),
            (
                &[r#"pki = "/etc/palier/pki""#],
                &["4:7: site: pki: this is of no use without `peer_port`"],
            ),
            (
                &["peer_port = 7400", r#"pki = "pki""#],
                &[r#"5:7: site: pki: "pki" is not an absolute path"#],
            ),
            (
                &[r#"reload = "yes""#],
                &[r#"4:10: site: reload: "yes" is not one of "manual" or "auto""#],
            ),
            (&["reload = true"], &[r#"4:10: site: reload: true is not one of "manual" or "auto""#]),
            (
                &[r#"management = "192.0.2.0/24""#],
                &[r#"4:14: site: management: "192.0.2.0/24" is not a list"#],
            ),
            (
                &[r#"management = ["192.0.2.1/24", "192.0.2.0/33", "x", 1]"#],
                &[
                    "4:15: site: management: `192.0.2.1/24` has bits behind its length: write 192.0.2.0/24",
                    "4:31: site: management: `192.0.2.0/33`: the length of a prefix is at most 32",
                    r#"4:47: site: management: "x" is not an address or ADDRESS/LENGTH"#,
                    "4:52: site: management: 1 is not an address or ADDRESS/LENGTH",
                ],
            ),
            (
                &[r#"management = ["192.0.2.0/24", "192.0.2.0/24"]"#],
                &[r#"4:31: site: management: "192.0.2.0/24" stands there twice"#],
            ),
            (
                &["join_time = 30"],
                &[r#"4:13: site: join_time: 30 is not a duration with its unit, such as "5s""#],
            ),
            (
                &[r#"join_time = "30""#],
                &[r#"4:13: site: join_time: "30" is not a duration with its unit, such as "5s""#],
            ),
            (
                &[r#"join_time = "2 days""#],
                &[r#"4:13: site: join_time: "2 days" is not a duration from 0s to 1day"#],
            ),
            (
                &[r#"removal_time = "31d""#],
                &[r#"4:16: site: removal_time: "31d" is not a duration from 0s to 30days"#],
            ),
            (
                &[r#"startup_limit = "1h""#],
                &[r#"4:17: site: startup_limit: "1h" is not a duration from 0s to 5m"#],
            ),
            (
                &[r#"withdraw_grace = "6m""#],
                &[r#"4:18: site: withdraw_grace: "6m" is not a duration from 0s to 5m"#],
            ),
            (
                &[r#"down_hold = "forever""#],
                &[
                    r#"4:13: site: down_hold: "forever" is not a duration with its unit, such as "5s""#,
                ],
            ),
            (
                &[r#"down_hold = "31d""#],
                &[r#"4:13: site: down_hold: "31d" is not a duration from 0s to 30days"#],
            ),
            (
                &[r#"drain_timeout = "never""#],
                &[
                    r#"4:17: site: drain_timeout: "never" is not a duration with its unit, such as "5s""#,
                ],
            ),
        ],
    );
}

#[test]
fn limits_and_idle_times() {
    bad(
        SITE,
        &[
            (&["limits = 1"], &["4:10: site: limits: 1 is not a table"]),
            (
                &["limits = { icmp = 5, ipcm = { per_second = 1, burst = 1 } }"],
                &[
                    "4:19: site: limits.icmp: 5 is not a table",
                    "4:22: site: limits: `ipcm` is unknown (did you mean `icmp`?)",
                ],
            ),
            (
                &["limits.insertions = { per_second = -1, burst = 4294967296 }"],
                &[
                    "4:36: site: limits.insertions.per_second: -1 is not a number from 0 to 4294967295",
                    "4:48: site: limits.insertions.burst: 4294967296 is not a number from 0 to 4294967295",
                ],
            ),
            (
                &["limits.neighbor = { per_second = 1.5, burst = 1 }"],
                &[
                    "4:34: site: limits.neighbor.per_second: 1.5 is not a number from 0 to 4294967295",
                ],
            ),
            (
                &["limits.routing = { per_second = 1 }"],
                &["4:18: site: limits.routing: `burst` is missing"],
            ),
            (
                &["limits.errors = { burst = 1 }"],
                &["4:17: site: limits.errors: `per_second` is missing"],
            ),
            (
                &["limits.management = []"],
                &["4:21: site: limits.management: a list is not a table"],
            ),
            (&[r#"limits.other = "x""#], &[r#"4:16: site: limits.other: "x" is not a table"#]),
            (
                &["limits.icmp_source = true"],
                &["4:22: site: limits.icmp_source: true is not a table"],
            ),
            (&["idle = 1"], &["4:8: site: idle: 1 is not a table"]),
            (
                &[
                    r#"idle = { embryonic = "0s", open = "22d", closing = "1500ms", udp = 5, upd = "5s" }"#,
                ],
                &[
                    r#"4:22: site: idle.embryonic: "0s" is not a duration from 1s to 21days"#,
                    r#"4:35: site: idle.open: "22d" is not a duration from 1s to 21days"#,
                    r#"4:52: site: idle.closing: "1500ms" is not a duration of whole seconds"#,
                    r#"4:68: site: idle.udp: 5 is not a duration with its unit, such as "5s""#,
                    "4:71: site: idle: `upd` is unknown (did you mean `udp`?)",
                ],
            ),
        ],
    );
}
