//! `[[router]]`, `[[l4]]` and `[[l7]]`

use super::{L4, L7, ROUTER, bad};

#[test]
fn routers() {
    bad(
        ROUTER,
        &[
            (
                &[r#"address = "192.0.2.254""#, r#"addresses = ["192.0.2.254"]"#],
                &["4:13: router r1: addresses: write `address` or `addresses`, not both"],
            ),
            (&[""], &["1:1: router r1: `address` is missing"]),
            (
                &[r#"address = "192.0.2.300""#],
                &[r#"3:11: router r1: address: "192.0.2.300" is not an IPv4 or IPv6 address"#],
            ),
            (
                &[r#"address = "127.0.0.1""#],
                &[
                    r#"3:11: router r1: address: "127.0.0.1" is not an address of a router: it is loopback, multicast or reserved"#,
                ],
            ),
            (
                &["addresses = []"],
                &["3:13: router r1: addresses: the list is empty: it needs at least one"],
            ),
            (
                &[r#"addresses = "192.0.2.254""#],
                &[r#"3:13: router r1: addresses: "192.0.2.254" is not a list"#],
            ),
            (
                &[r#"addresses = ["192.0.2.254", "192.0.2.254"]"#],
                &[r#"3:29: router r1: addresses: "192.0.2.254" stands there twice"#],
            ),
            (
                &[r#"address = "192.0.2.254""#, "peer_as = 65000"],
                &[
                    "4:11: router r1: peer_as: this is of no use without [bgp], which has the site's `local_as`",
                ],
            ),
            (
                &[r#"address = "192.0.2.254""#, "wieght = 1"],
                &["4:1: router r1: `wieght` is unknown"],
            ),
        ],
    );
}

#[test]
fn keys_of_an_l4_node() {
    bad(
        L4,
        &[
            (
                &["addresses = []"],
                &["3:13: l4 l4-1: addresses: the list is empty: it needs at least one"],
            ),
            (
                &[r#"addresses = ["192.0.2.132/24"]"#],
                &[r#"3:14: l4 l4-1: addresses: "192.0.2.132/24" is not an IPv4 or IPv6 address"#],
            ),
            (
                &[r#"addresses = ["192.0.2.132", "192.0.2.133", "fe80::1"]"#],
                &[
                    "3:13: l4 l4-1: addresses: at most one IPv4 address",
                    r#"3:44: l4 l4-1: addresses: "fe80::1" is not an address that a node can be reached at: it is loopback, link-local, multicast or reserved"#,
                ],
            ),
            (
                &[r#"addresses = ["224.0.0.1", "::", "240.0.0.1"]"#],
                &[
                    r#"3:14: l4 l4-1: addresses: "224.0.0.1" is not an address that a node can be reached at: it is loopback, link-local, multicast or reserved"#,
                    r#"3:27: l4 l4-1: addresses: "::" is not an address that a node can be reached at: it is loopback, link-local, multicast or reserved"#,
                    r#"3:33: l4 l4-1: addresses: "240.0.0.1" is not an address that a node can be reached at: it is loopback, link-local, multicast or reserved"#,
                ],
            ),
            (
                &[r#"tunnel_sources = "192.0.2.64/26""#],
                &[r#"4:18: l4 l4-1: tunnel_sources: "192.0.2.64/26" is not a list"#],
            ),
            (
                &[r#"tunnel_sources = ["192.0.2.64/27", "192.0.2.96/27", "ff00::/8"]"#],
                &[
                    "4:18: l4 l4-1: tunnel_sources: at most one IPv4 prefix",
                    r#"4:53: l4 l4-1: tunnel_sources: "ff00::/8" is not something that routers forward: it has loopback, link-local, multicast or reserved addresses"#,
                ],
            ),
            (
                &[r#"tunnel_sources = ["192.0.2.128/26", "198.51.100.0/24", "2001:db8:5::/64"]"#],
                &[
                    "4:18: l4 l4-1: tunnel_sources: at most one IPv4 prefix",
                    "4:19: l4 l4-1: tunnel_sources: 192.0.2.128/26 has an address of l7-1, 192.0.2.140",
                    "4:19: l4 l4-1: tunnel_sources: 192.0.2.128/26 has an address of l7-2, 192.0.2.141",
                    "4:37: l4 l4-1: tunnel_sources: 198.51.100.0/24 overlaps a VIP of service web",
                ],
            ),
            (&[r#"colour = "red""#], &["4:1: l4 l4-1: `colour` is unknown"]),
        ],
    );
}

#[test]
fn what_the_forwarder_starts_with() {
    bad(
        L4,
        &[
            (&[r#"cores = "2-5""#], &["4:9: l4 l4-1: cores: this is of no use without `nics`"]),
            (
                &[r#"exception = "palier0""#],
                &["4:13: l4 l4-1: exception: this is of no use without `nics`"],
            ),
            (
                &["nics = []", r#"cores = "2""#],
                &["4:8: l4 l4-1: nics: the list is empty: it needs at least one"],
            ),
            (
                &[r#"nics = "0000:3b:00.0""#, r#"cores = "2""#],
                &[r#"4:8: l4 l4-1: nics: "0000:3b:00.0" is not a list"#],
            ),
            (
                &[r#"nics = ["eth0", "3b:00", "net_tap0,iface=x y"]"#, r#"cores = "2""#],
                &[
                    r#"4:9: l4 l4-1: nics: "eth0" is not a PCI address (0000:3b:00.0) or a virtual device of DPDK (net_tap0,iface=wire0)"#,
                    r#"4:17: l4 l4-1: nics: "3b:00" is not a PCI address (0000:3b:00.0) or a virtual device of DPDK (net_tap0,iface=wire0)"#,
                    r#"4:26: l4 l4-1: nics: "net_tap0,iface=x y" is not a PCI address (0000:3b:00.0) or a virtual device of DPDK (net_tap0,iface=wire0)"#,
                ],
            ),
            (
                &[r#"nics = ["3b:00.0", "3b:00.0"]"#, r#"cores = "2""#],
                &[r#"4:20: l4 l4-1: nics: "3b:00.0" stands there twice"#],
            ),
            (&[r#"nics = ["3b:00.0"]"#], &["1:1: l4 l4-1: `cores` is missing"]),
            (
                &[r#"nics = ["3b:00.0"]"#, "cores = 2"],
                &[r#"5:9: l4 l4-1: cores: 2 is not a list of CPUs, none twice, such as "2-5,8""#],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "5-2""#],
                &[
                    r#"5:9: l4 l4-1: cores: "5-2" is not a list of CPUs, none twice, such as "2-5,8""#,
                ],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "2-5,4""#],
                &[
                    r#"5:9: l4 l4-1: cores: "2-5,4" is not a list of CPUs, none twice, such as "2-5,8""#,
                ],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "2,""#],
                &[
                    r#"5:9: l4 l4-1: cores: "2," is not a list of CPUs, none twice, such as "2-5,8""#,
                ],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "1024""#],
                &[
                    r#"5:9: l4 l4-1: cores: "1024" is not a list of CPUs, none twice, such as "2-5,8""#,
                ],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "2""#, r#"exception = "an interface""#],
                &[
                    r#"6:13: l4 l4-1: exception: "an interface" is not an interface (palier0), tap:INTERFACE[,mac=MAC] or vdev:DEVICE,iface=INTERFACE,..."#,
                ],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "2""#, r#"exception = "pci:3b:00.1""#],
                &[
                    r#"6:13: l4 l4-1: exception: "pci:3b:00.1" is not an interface (palier0), tap:INTERFACE[,mac=MAC] or vdev:DEVICE,iface=INTERFACE,..."#,
                ],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "2""#, r#"exception = "vdev:net_tap0""#],
                &[
                    r#"6:13: l4 l4-1: exception: "vdev:net_tap0" is not an interface (palier0), tap:INTERFACE[,mac=MAC] or vdev:DEVICE,iface=INTERFACE,..."#,
                ],
            ),
            (
                &[
                    r#"nics = ["3b:00.0"]"#,
                    r#"cores = "2""#,
                    r#"exception = ["palier0", "palier1"]"#,
                ],
                &["6:13: l4 l4-1: exception: 2 for 1 `nics`: the n-th belongs to the n-th"],
            ),
            (
                &[
                    r#"nics = ["3b:00.0", "3b:00.1"]"#,
                    r#"cores = "2""#,
                    r#"exception = ["palier0", "tap:palier0"]"#,
                ],
                &["6:25: l4 l4-1: exception: the interface palier0 stands there twice"],
            ),
            (
                &[r#"nics = ["3b:00.0"]"#, r#"cores = "2""#, "exception = 1"],
                &[
                    "6:13: l4 l4-1: exception: 1 is not an interface (palier0), tap:INTERFACE[,mac=MAC] or vdev:DEVICE,iface=INTERFACE,...",
                ],
            ),
            (
                &[
                    r#"nics = ["3b:00.0"]"#,
                    r#"cores = "2""#,
                    "vlan = 4095",
                    "mtu = 1279",
                    "connections = 0",
                    "flow_details = 1",
                    r#"idle = "lazy""#,
                ],
                &[
                    "6:8: l4 l4-1: vlan: 4095 is not a number from 1 to 4094",
                    "7:7: l4 l4-1: mtu: 1279 is not a number from 1280 to 65535",
                    "8:15: l4 l4-1: connections: 0 is not a number from 1 to 4294967295",
                    "9:16: l4 l4-1: flow_details: 1 is not true or false",
                    r#"10:8: l4 l4-1: idle: "lazy" is not one of "busy" or "adaptive""#,
                ],
            ),
        ],
    );
}

#[test]
fn checks_of_an_l4_node() {
    bad(
        L4,
        &[
            (&[r#"check = "x""#], &[r#"4:9: l4 l4-1: check: "x" is not a table"#]),
            (
                &["check = {}"],
                &["4:9: l4 l4-1: check: it names no kind of check: `file`, `command`"],
            ),
            (
                &["check.http = true", "check.direct = true"],
                &[
                    "4:14: l4 l4-1: check.http: an L4 node is checked by `file` and `command` alone",
                    "5:16: l4 l4-1: check.direct: this is for the checks of a service",
                ],
            ),
            (&["check.file = true"], &["4:14: l4 l4-1: check.file: `path` is missing"]),
            (
                &[r#"check.file = { path = "x", content = "there" }"#],
                &[
                    r#"4:23: l4 l4-1: check.file.path: "x" is not an absolute path"#,
                    r#"4:38: l4 l4-1: check.file.content: "there" is not one of "exists", "absent" or "words""#,
                ],
            ),
            (
                &[r#"check.file = { path = "/x", missing = "up" }"#],
                &[
                    r#"4:39: l4 l4-1: check.file.missing: this is of no use without `content = "words"`"#,
                ],
            ),
            (
                &[r#"check.file = { path = "/x", content = "words", missing = "maybe" }"#],
                &[r#"4:58: l4 l4-1: check.file.missing: "maybe" is not one of "up" or "down""#],
            ),
            (
                &[r#"check.file = { path = "/x", port = 1 }"#],
                &["4:29: l4 l4-1: check.file: `port` is unknown"],
            ),
            (
                &["check.command = { argv = [] }"],
                &[
                    "4:26: l4 l4-1: check.command.argv: the list is empty: it is a program and its arguments",
                ],
            ),
            (
                &[
                    r#"check.command = { argv = ["true"], user = "no body", weight_by_exit_code = 1 }"#,
                ],
                &[
                    r#"4:27: l4 l4-1: check.command.argv: "true" is not the absolute path of a program"#,
                    r#"4:43: l4 l4-1: check.command.user: "no body" is not the name of a user"#,
                    "4:76: l4 l4-1: check.command.weight_by_exit_code: 1 is not true or false",
                ],
            ),
            (
                &[r#"check.command = { argv = "/bin/true" }"#],
                &[r#"4:26: l4 l4-1: check.command.argv: "/bin/true" is not a list"#],
            ),
            (
                &[r#"check.command = { argv = ["/bin/test", 1] }"#],
                &["4:40: l4 l4-1: check.command.argv: 1 is not a text"],
            ),
            (
                &[r#"check = [{ file = { path = "/x" } }, { file = { path = "/y" }, rise = 0 }]"#],
                &["4:71: l4 l4-1: check.rise: 0 is not a number from 1 to 1000"],
            ),
        ],
    );
}

#[test]
fn keys_of_an_l7_node() {
    bad(
        L7,
        &[
            (&["index = 0"], &["4:9: l7 l7-1: index: 0 is not a number from 1 to 1023"]),
            (&["index = 1024"], &["4:9: l7 l7-1: index: 1024 is not a number from 1 to 1023"]),
            (&[r#"index = "1""#], &[r#"4:9: l7 l7-1: index: "1" is not a number from 1 to 1023"#]),
            (&["weight = -1"], &["5:10: l7 l7-1: weight: -1 is not a number from 0 to 10000"]),
            (
                &["weight = 10001"],
                &["5:10: l7 l7-1: weight: 10001 is not a number from 0 to 10000"],
            ),
            (&["weight = 1.0"], &["5:10: l7 l7-1: weight: 1.0 is not a number from 0 to 10000"]),
            (&["wieght = 1"], &["5:1: l7 l7-1: `wieght` is unknown (did you mean `weight`?)"]),
            (
                &[r#"addresses = ["192.0.2.140", "192.0.2.140"]"#],
                &[r#"4:29: l7 l7-1: addresses: "192.0.2.140" stands there twice"#],
            ),
            (&["addresses = 1"], &["4:13: l7 l7-1: addresses: 1 is not a list"]),
        ],
    );
}
