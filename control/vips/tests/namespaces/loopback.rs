//! VIPs on `lo`, and the ARP settings beside them.

use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};

use vips::{Error, Host, Wanted};

use crate::node::{Node, tunnel, vips};

const OWN: [&str; 2] = ["127.0.0.1/8", "::1/128"];
const VIPS: [&str; 2] = ["203.0.113.10", "2001:db8:ff::10"];
const IGNORE: &str = "net/ipv4/conf/all/arp_ignore";
const ANNOUNCE: &str = "net/ipv4/conf/all/arp_announce";

fn with(addresses: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = OWN.iter().chain(addresses).map(|text| (*text).to_owned()).collect();
    all.sort();
    all
}

fn lo(node: &Node) -> Vec<String> {
    let mut all = node.lo();
    all.sort();
    all
}

#[test]
fn vips_of_both_families_are_put_on_lo_and_listen_at_once() {
    let Some(node) = Node::new() else { return };
    let report = node.set(&vips(&VIPS));
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(report.vips, vips(&VIPS).vips);
    assert_eq!(lo(&node), with(&["203.0.113.10/32", "2001:db8:ff::10/128"]));
    let global = node.ip("address show dev lo scope global");
    assert!(global.contains("inet 203.0.113.10/32 scope global lo"), "{global}");
    assert!(global.contains("inet6 2001:db8:ff::10/128 scope global nodad"), "{global}");
    for vip in VIPS {
        let vip: IpAddr = vip.parse().unwrap();
        node.enter(|| TcpListener::bind((vip, 0)).unwrap());
    }
    // Again: all as it is.
    assert_eq!(node.set(&vips(&VIPS)), report);
}

#[test]
fn a_vip_that_is_wanted_no_more_goes_after_a_crash_too() {
    let Some(node) = Node::new() else { return };
    node.set(&vips(&["203.0.113.10", "203.0.113.11", "2001:db8:ff::10", "203.0.112.0/24"]));
    node.set(&vips(&["203.0.113.11"]));
    assert_eq!(lo(&node), with(&["203.0.113.11/32"]));
    assert!(!node.ip("route show table local").contains("203.0.112.0/24"));
}

#[test]
fn addresses_of_somebody_else_stay_wanted_or_not() {
    let Some(node) = Node::new() else { return };
    node.ip("address add 203.0.113.10/32 dev lo");
    node.ip("address add 198.51.100.1/32 dev lo");
    node.ip("address add 2001:db8:ff::99/128 dev lo");
    let foreign = ["203.0.113.10/32", "198.51.100.1/32", "2001:db8:ff::99/128"];

    let report = node.set(&vips(&VIPS));
    assert_eq!(report.vips, vips(&VIPS).vips);
    node.set(&vips(&[]));
    assert_eq!(lo(&node), with(&foreign));
    node.set(&vips(&VIPS));
    node.leave();
    assert_eq!(lo(&node), with(&foreign));
}

#[test]
fn a_prefix_of_vips_is_a_local_route() {
    let Some(node) = Node::new() else { return };
    let prefixes = ["203.0.112.0/24", "2001:db8:fe::/64"];
    node.ip("route add local 198.51.100.0/24 dev lo");
    let before = node.ip("route show table local");
    let report = node.set(&vips(&prefixes));
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(report.vips, vips(&prefixes).vips);
    let after = node.ip("route show table local");
    assert!(after.contains("local 203.0.112.0/24 dev lo scope host"), "{after}");
    let after = node.ip("-6 route show table local");
    assert!(after.contains("local 2001:db8:fe::/64 dev lo"), "{after}");
    node.enter(|| {
        let server = UdpSocket::bind(("203.0.112.77", 0)).unwrap();
        let client = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        client.send_to(b"x", server.local_addr().unwrap()).unwrap();
        assert_eq!(server.recv(&mut [0; 9]).unwrap(), 1);
    });
    assert_eq!(node.set(&vips(&prefixes)), report);
    node.leave();
    assert_eq!(node.ip("route show table local"), before);
    assert!(!node.ip("-6 route show table local").contains("2001:db8:fe::/64"));
}

#[test]
fn arp_settings_are_raised_and_put_back() {
    let Some(node) = Node::new() else { return };
    node.set(&vips(&[]));
    assert_eq!([node.sysctl(IGNORE), node.sysctl(ANNOUNCE)], ["0", "0"]);
    node.set(&vips(&VIPS));
    assert_eq!([node.sysctl(IGNORE), node.sysctl(ANNOUNCE)], ["1", "2"]);
    node.set(&vips(&VIPS));
    node.leave();
    assert_eq!([node.sysctl(IGNORE), node.sysctl(ANNOUNCE)], ["0", "0"]);
}

#[test]
fn arp_settings_of_somebody_else_are_neither_lowered_nor_put_back() {
    let Some(node) = Node::new() else { return };
    node.set_sysctl(IGNORE, "2");
    node.set(&vips(&VIPS));
    assert_eq!([node.sysctl(IGNORE), node.sysctl(ANNOUNCE)], ["2", "2"]);
    node.set_sysctl(ANNOUNCE, "1");
    node.leave();
    assert_eq!([node.sysctl(IGNORE), node.sysctl(ANNOUNCE)], ["2", "1"]);
}

#[test]
fn what_is_refused_is_reported_and_the_rest_is_done() {
    let Some(node) = Node::new() else { return };
    node.set_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
    let report = node.set(&vips(&VIPS));
    assert_eq!(report.vips, vips(&VIPS[..1]).vips);
    let [problem] = &report.problems[..] else { panic!("{report:?}") };
    assert!(problem.starts_with("cannot put 2001:db8:ff::10 on lo: "), "{problem}");
    // It comes by itself once it can.
    node.set_sysctl("net/ipv6/conf/lo/disable_ipv6", "0");
    assert_eq!(node.set(&vips(&VIPS)).problems, [""; 0]);
    node.ip("link set lo down");
    let report = node.set(&vips(&VIPS));
    assert!(report.problems[0].starts_with("lo is down"), "{report:?}");
}

/// Each step by itself, with those before it done already.
#[test]
fn without_its_memory_nothing_is_changed() {
    let Some(node) = Node::new() else { return };
    let refused = |wanted: &Wanted| {
        let gone = node.state().join("gone");
        fs::create_dir(&gone).unwrap();
        let mut host = Host::new(&gone).unwrap();
        fs::remove_dir(&gone).unwrap();
        let error = node.enter(|| host.set(wanted).unwrap_err());
        assert!(matches!(error, Error::Memory { .. }), "{error}");
    };
    refused(&vips(&VIPS));
    assert_eq!([node.sysctl(IGNORE), node.sysctl(ANNOUNCE)], ["0", "0"]);

    node.set_sysctl(IGNORE, "1");
    node.set_sysctl(ANNOUNCE, "2");
    refused(&vips(&VIPS));
    assert_eq!(lo(&node), with(&[]));

    node.ip("route add default via 192.0.1.1");
    refused(&tunnel(40));
    assert!(!node.routes().contains("advmss"));
}
