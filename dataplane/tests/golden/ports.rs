//! Two ports: both are served. With `--next-hop` tunnelled packets leave by the first one, whichever
//! they came by; answers go back by the port of the question.

use std::collections::BTreeMap;

use packet::build::{self, Ip};
use packet::{Mac, icmp};

use crate::case::tunnel;
use crate::process::Dataplane;
use crate::site::{
    CLIENT, CLIENT6, DNS, FAR, Flow, PORT, ROUTER, SECOND_PORT, VIP, VIP6, WEB, snapshot, tcp, udp,
};

fn to(port: Mac, packet: &[u8]) -> Vec<u8> {
    build::frame(port, ROUTER, None, packet)
}

fn echo(from: &str, to: &str, kind: u8) -> Vec<u8> {
    Ip::between(from, to).icmp(kind, 0, 5, b"hello").build()
}

/// What leaves for the flow's packet.
fn tunnelled(dataplane: &mut Dataplane, flow: &Flow) -> Vec<u8> {
    let node = dataplane.explain(flow.query()).node_address.expect("it goes somewhere");
    tunnel(node, 0, &flow.packet(b"some data").build(), None)
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn packets_of_both_ports_are_tunnelled_by_the_first_and_answered_by_their_own() {
    let first = [tcp(CLIENT, 1, VIP, WEB), udp(CLIENT6, 1, VIP6, DNS)];
    let second = [tcp(CLIENT6, 2, VIP6, WEB), udp(CLIENT, 2, VIP, DNS), tcp(CLIENT, 3, VIP, WEB)];
    let packets = |port: Mac, flows: &[Flow]| -> Vec<Vec<u8>> {
        flows.iter().map(|flow| to(port, &flow.packet(b"some data").build())).collect()
    };
    let frames = [(PORT, &first[..], CLIENT), (SECOND_PORT, &second[..], FAR)].map(
        |(port, flows, client)| {
            let mut frames = packets(port, flows);
            frames.push(to(port, &echo(client, VIP, icmp::v4::ECHO_REQUEST)));
            // Each port has an address of its own where there is no exception interface.
            let other = if port == PORT { SECOND_PORT } else { PORT };
            frames.extend(packets(other, &flows[..1]));
            frames
        },
    );
    let [by_first, by_second] = frames;
    let mut dataplane = Dataplane::start_ports(&[&[by_first], &[by_second]], &[], &snapshot());
    dataplane.wait_for(&counts(&[
        ("received", 9),
        ("forwarded", 5),
        ("echo_replied", 2),
        ("drop_other_mac", 2),
    ]));

    let reply = |port: Mac, client: &str| {
        build::frame(ROUTER, port, None, &echo(VIP, client, icmp::v4::ECHO_REPLY))
    };
    let flows = first.iter().chain(&second);
    let mut expected: Vec<_> = flows.map(|flow| tunnelled(&mut dataplane, flow)).collect();
    expected.push(reply(PORT, CLIENT));
    let [mut by_first, by_second] = dataplane.stop().try_into().expect("of two ports");
    by_first.sort();
    expected.sort();
    assert_eq!(by_first, expected);
    assert_eq!(by_second, [reply(SECOND_PORT, FAR)]);
}

#[test]
fn whole_bursts_of_both_ports_leave_by_the_first_in_the_order_of_each() {
    let flows = |ports: std::ops::Range<u16>| -> Vec<Flow> {
        ports.map(|port| tcp(CLIENT, port, VIP, WEB)).collect()
    };
    let (first, second) = (flows(1000..1100), flows(2000..2100));
    let frames = |port: Mac, flows: &[Flow]| -> Vec<Vec<u8>> {
        flows.iter().map(|flow| to(port, &flow.packet(b"some data").build())).collect()
    };
    let ports = [[frames(PORT, &first)], [frames(SECOND_PORT, &second)]];
    let mut dataplane = Dataplane::start_ports(&[&ports[0], &ports[1]], &[], &snapshot());
    dataplane.wait_for(&counts(&[("received", 200), ("forwarded", 200)]));

    let expected = [first, second]
        .map(|flows| flows.iter().map(|flow| tunnelled(&mut dataplane, flow)).collect::<Vec<_>>());
    let [by_first, by_second] = dataplane.stop().try_into().expect("of two ports");
    assert!(by_second.is_empty(), "{by_second:02x?}");
    assert_eq!(by_first.len(), 200);
    for expected in expected {
        let came: Vec<_> = by_first.iter().filter(|frame| expected.contains(frame)).collect();
        assert_eq!(came, expected.iter().collect::<Vec<_>>());
    }
}
