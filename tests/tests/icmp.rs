//! ICMP and the VIPs: echo is answered by the L4 node, errors reach the L7 node that they concern.

use lab::{HTTP_PORT, Lab};
use packet::build::Ip;
use packet::{icmp, tcp};
use system_tests::{RawClient, SOON, URLS, VIPS, address_like, snmp};

const PORT: u16 = 40_000;

#[test]
fn echo_requests_to_a_vip_are_answered_by_the_l4_nodes() {
    let lab = Lab::new().l7(1).start();
    for vip in VIPS {
        lab.wait_until(&format!("{vip} answers"), SOON, || lab.client().ping(vip));
        let answered = || lab.l4s().iter().map(|l4| l4.counter("echo_replied")).sum::<u64>();
        let before = answered();
        // The largest that passes the clients' network.
        let data = if vip.is_ipv4() { 1500 - 28 } else { 1500 - 48 };
        lab.wait_until("a large one too", SOON, || lab.client().ping_sized(vip, data));
        assert!(answered() > before);
    }
    let to_node = [("Icmp", "InEchos"), ("Icmp6", "InEchos")];
    assert_eq!(to_node.map(|(group, name)| snmp(lab.l7(1).namespace(), group, name)), [0, 0]);
}

/// Errors of one name that each L7 node's kernel has had, and those among them for which it found no
/// connection.
fn errors(lab: &Lab, group: &str, name: &str) -> Vec<(u64, u64)> {
    let of = |name: &str| lab.l7s().iter().map(|l7| snmp(l7.namespace(), group, name)).collect();
    let (came, unknown): (Vec<_>, Vec<_>) = (of(name), of("InErrors"));
    came.into_iter().zip(unknown).collect()
}

#[test]
fn errors_about_a_connection_reach_the_l7_node_that_has_it() {
    let lab = Lab::new().start();
    let raw = RawClient::of(&lab, lab.client());
    for (url, vip) in URLS.into_iter().zip(VIPS) {
        let client = address_like(lab.client().addresses(), vip);
        let group = if vip.is_ipv4() { "Icmp" } else { "Icmp6" };
        for port in PORT..PORT + 8 {
            let mut connection = lab.client().connect(url, Some(port)).unwrap();
            let node = connection.get("/").unwrap().node;
            let (kind, code, name) = if vip.is_ipv4() {
                (icmp::v4::UNREACHABLE, icmp::v4::FRAGMENTATION_NEEDED, "InDestUnreachs")
            } else {
                (icmp::v6::TOO_BIG, 0, "InPktTooBigs")
            };
            let before = errors(&lab, group, name);
            let sent = Ip::new(vip, client).tcp(HTTP_PORT, port, tcp::ACK, b"what did not fit");
            raw.send(&Ip::new(client, vip).icmp(kind, code, 1400, &sent.build()).build());

            let mut expected = before.clone();
            let place = lab.l7s().iter().position(|l7| l7.name() == node).unwrap();
            expected[place].0 += 1;
            lab.wait_until("the error arrives", SOON, || errors(&lab, group, name) != before);
            assert_eq!(errors(&lab, group, name), expected, "{url} from {port} on {node}");
            connection.get("/").unwrap();
        }
    }
    let counted = lab.l4s().iter().map(|l4| l4.counter("error_forwarded")).sum::<u64>();
    assert_eq!(counted, 16);
}
