//! Fragments go where their datagram's first fragment goes.

use std::time::Duration;

use api::{Ports, Protocol, Snapshot};
use forward::{Class, Counter, Flow, Verdict};
use packet::build::Ip;
use packet::{protocol, tcp};

use crate::harness::*;

/// A site with a UDP service.
fn udp_site(nodes: u16) -> Snapshot {
    let mut site = site(nodes);
    site.services = vec![service("dns", &[VIP4, VIP6], Protocol::Udp, Ports::Any, nodes)];
    site
}

fn udp(flow: Flow) -> Flow {
    Flow { protocol: protocol::UDP, ..flow }
}

/// A datagram of the flow in six fragments, the first of which alone has ports.
fn fragments(flow: &Flow, id: u32) -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..2900).map(|i| i as u8).collect();
    let pieces = datagram(flow, &data).fragments(id, 512);
    assert_eq!(pieces.len(), 6);
    pieces
}

fn send(l4: &mut L4, packet: &[u8]) -> Sent {
    l4.send_frame(0, framed(packet))
}

#[test]
fn fragments_in_order_follow_their_first() {
    let mut l4 = L4::new(&udp_site(5));
    for (id, flow) in (1..).zip(flows(30).into_iter().map(udp)) {
        let owner = l4.row_owner(&flow).unwrap();
        for piece in fragments(&flow, id) {
            assert_eq!(send(&mut l4, &piece).tunnelled(), (owner, &piece[..]));
        }
    }
    assert_eq!((l4.connections(), l4.count(Counter::NewFlow)), (60, 60));
    assert_eq!(l4.count(Counter::FragmentHeld), 0);
}

#[test]
fn fragments_ahead_of_their_first_wait_for_it() {
    let mut l4 = L4::new(&udp_site(5));
    for (id, flow) in (1..).zip(flows(30).into_iter().map(udp)) {
        let owner = l4.row_owner(&flow).unwrap();
        let pieces = fragments(&flow, id);
        for piece in pieces[1..].iter().rev() {
            assert_eq!(send(&mut l4, piece).verdict, Verdict::Hold);
        }
        assert!(l4.ready().is_empty());
        assert_eq!(send(&mut l4, &pieces[0]).node(), owner);
        let ready = l4.ready();
        assert_eq!(ready.len(), 5);
        for (sent, piece) in ready.iter().zip(pieces[1..].iter().rev()) {
            assert_eq!(sent.tunnelled(), (owner, &piece[..]), "in the order of their arrival");
        }
    }
    assert_eq!(l4.count(Counter::FragmentHeld), 300);
    l4.pass(Duration::from_secs(1));
    assert_eq!(l4.expire(), 0);
}

#[test]
fn fragments_ahead_of_their_first_in_one_burst_are_not_lost() {
    let mut l4 = L4::new(&udp_site(5));
    for (id, flow) in (1..).zip(flows(5).into_iter().map(udp)) {
        let owner = l4.row_owner(&flow).unwrap();
        let reversed: Vec<_> = fragments(&flow, id).iter().rev().map(|p| framed(p)).collect();
        let mut sent = l4.burst(0, reversed);
        assert_eq!(sent.pop().unwrap().node(), owner);
        assert!(sent.iter().all(|sent| sent.verdict == Verdict::Hold));
        let ready = l4.ready();
        assert_eq!(ready.len(), 5);
        assert!(ready.iter().all(|sent| sent.node() == owner));
    }
}

#[test]
fn duplicates_go_where_the_datagram_goes() {
    let mut l4 = L4::new(&udp_site(5));
    for (id, flow) in (1..).zip(flows(10).into_iter().map(udp)) {
        let owner = l4.row_owner(&flow).unwrap();
        let pieces = fragments(&flow, id);
        for i in [0, 0, 3, 3, 1, 0, 5, 4, 2, 2] {
            assert_eq!(send(&mut l4, &pieces[i]).node(), owner);
        }
    }
}

#[test]
fn a_second_first_fragment_with_other_ports_does_not_split_the_datagram() {
    let mut l4 = L4::new(&udp_site(8));
    for flow in flows(1).into_iter().map(udp) {
        let owner = l4.row_owner(&flow).unwrap();
        assert_eq!(send(&mut l4, &fragments(&flow, 9)[0]).node(), owner);
        for source_port in 1..40 {
            let forged = Flow { source_port, ..flow };
            assert_eq!(send(&mut l4, &fragments(&forged, 9)[0]).node(), owner);
        }
        assert_eq!(send(&mut l4, &fragments(&flow, 9)[1]).node(), owner);
    }
}

#[test]
fn fragments_whose_first_does_not_come_are_given_up() {
    let mut l4 = L4::new(&udp_site(5));
    for flow in flows(1).into_iter().map(udp) {
        let pieces = fragments(&flow, 5);
        for piece in &pieces[1..] {
            assert_eq!(send(&mut l4, piece).verdict, Verdict::Hold);
        }
        l4.pass(Duration::from_millis(49));
        assert_eq!(l4.expire(), 0);
        l4.pass(Duration::from_millis(1));
        assert_eq!(l4.expire(), 5);
        send(&mut l4, &pieces[0]).node();
        assert!(l4.ready().is_empty());
    }
}

#[test]
fn datagrams_of_other_numbers_are_not_mixed_up() {
    let mut l4 = L4::new(&udp_site(5));
    for flow in flows(1).into_iter().map(udp) {
        send(&mut l4, &fragments(&flow, 1)[0]).node();
        assert_eq!(send(&mut l4, &fragments(&flow, 2)[1]).verdict, Verdict::Hold);
        send(&mut l4, &fragments(&flow, 1)[1]).node();
    }
}

#[test]
fn fragments_follow_the_flow_that_is_known() {
    let mut l4 = L4::new(&udp_site(3));
    let known: Vec<_> = flows(60)
        .into_iter()
        .map(udp)
        .map(|flow| (flow, l4.send(datagram(&flow, b"small")).node()))
        .collect();
    l4.apply(&udp_site(6));
    assert!(known.iter().any(|(flow, node)| l4.row_owner(flow) != Some(*node)));
    for (id, (flow, node)) in (1..).zip(known) {
        for piece in fragments(&flow, id) {
            assert_eq!(send(&mut l4, &piece).node(), node);
        }
    }
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let mut l4 = L4::new(&site(5));
    for i in 0..20 {
        let flow = flow6(i);
        let node = l4.node_of(&flow, tcp::SYN);
        for id in [0, 7] {
            let atomic = segment(&flow, tcp::ACK).fragment(id, 0, false);
            let bytes = atomic.clone().build();
            assert_eq!(l4.send(atomic).tunnelled(), (node, &bytes[..]));
        }
        // Nothing is remembered of it: a real datagram may have its number.
        let later = segment(&flow, tcp::ACK).fragment(7, 8, true);
        assert_eq!(l4.send(later).verdict, Verdict::Hold);
    }
}

#[test]
fn fragments_of_tcp_segments_follow_their_flow() {
    let mut l4 = L4::new(&site(5));
    for (id, flow) in (1..).zip(flows(10)) {
        let node = l4.node_of(&flow, tcp::SYN);
        for piece in segment(&flow, tcp::ACK).fragments(id, 8) {
            // The first has ports but no flags: it counts as data.
            assert_eq!(send(&mut l4, &piece).node(), node);
        }
    }
}

#[test]
fn a_first_fragment_without_ports_is_dropped() {
    let mut l4 = L4::new(&udp_site(2));
    for flow in flows(1) {
        let empty = Ip::new(flow.source, flow.destination).fragment(1, 0, true);
        let sent = l4.send(empty.payload(protocol::UDP, b""));
        assert_eq!(sent.verdict, Verdict::Drop(Counter::FragmentNoPorts));
    }
}

#[test]
fn a_first_fragment_that_no_service_takes_leads_nobody() {
    let mut l4 = L4::new(&site(2));
    for flow in flows(1).into_iter().map(udp) {
        let pieces = fragments(&flow, 3);
        assert_eq!(send(&mut l4, &pieces[0]).verdict, Verdict::Drop(Counter::NoService));
        assert_eq!(send(&mut l4, &pieces[1]).verdict, Verdict::Hold);
        l4.pass(Duration::from_millis(50));
        assert_eq!(l4.expire(), 1);
    }
}

#[test]
fn only_so_many_fragments_wait() {
    let mut l4 = L4::new(&udp_site(2));
    for id in 0..300 {
        assert_eq!(send(&mut l4, &fragments(&udp(flow4(0)), id)[1]).verdict, Verdict::Hold);
    }
    assert_eq!(l4.count(Counter::FragmentHeld), 256);
    assert_eq!(l4.count(Counter::FragmentsFull), 44);
}

#[test]
fn fragments_for_the_node_itself_are_the_kernels() {
    let mut l4 = L4::new(&udp_site(2));
    for (flow, own) in [(flow4(1), OWN4), (flow6(1), OWN6)] {
        let flow = Flow { destination: address(own), ..udp(flow) };
        for piece in fragments(&flow, 1) {
            assert_eq!(send(&mut l4, &piece).verdict, Verdict::Kernel(Class::Other));
        }
    }
}
