//! Fragments of one datagram reach one L7 node, in whatever order they come.

use std::net::UdpSocket;
use std::time::Duration;

use lab::{ECHO_PORT, Lab, Wire};
use packet::build::Ip;
use packet::protocol;
use system_tests::{RawClient, SOON, VIPS, address_like};

/// One L4 node: routers spread fragments without ports over several as they like. Over taps: a packet
/// socket's fan-out reassembles IPv4 fragments before the dataplane sees them (packet(7)).
fn lab() -> Lab {
    Lab::new().l4(1).wire(Wire::Tap).start()
}

fn data(length: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(length).collect()
}

#[test]
fn datagrams_in_many_fragments_arrive_whole() {
    let lab = lab();
    let l4 = lab.l4(1);
    for vip in VIPS {
        for length in [4000, 9000, 30_000] {
            let sent = data(length);
            let mut answer = None;
            // The client's first IPv6 fragments fill its own network, which is too much for the
            // tunnel: it is told, and sends smaller ones when it is asked again.
            lab.wait_until(&format!("{length} bytes come back from {vip}"), SOON, || {
                answer = lab.client().udp_exchange((vip, ECHO_PORT).into(), &sent).ok();
                answer.is_some()
            });
            let (node, received) = answer.expect("waited for");
            assert!(received == sent, "{node} got something else");
        }
    }
    assert!(l4.counter("too_big_replied") > 0, "IPv6 clients are told");
    assert!(l4.counter("fragmented") > 0, "those of IPv4 are fragmented again");
}

/// Whether the echo of `sent` comes back.
fn echoed(socket: &UdpSocket, sent: &[u8]) -> bool {
    let mut answer = vec![0; 65_536];
    match socket.recv(&mut answer) {
        Ok(length) => answer[..length].ends_with(sent),
        Err(_) => false,
    }
}

#[test]
fn fragments_in_reverse_order_arrive_whole() {
    let lab = lab();
    let raw = RawClient::of(&lab, lab.client());
    for vip in VIPS {
        let socket = lab.client().udp((vip, ECHO_PORT).into()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let sent = data(4500);
        let datagram =
            Ip::new(address_like(lab.client().addresses(), vip), vip).udp(port, ECHO_PORT, &sent);

        let held = lab.l4(1).counter("fragment_held");
        let mut id = 0;
        // A busy machine may take longer between two of them than the first one is waited for.
        lab.wait_until(&format!("{vip} answers"), SOON, || {
            id += 1;
            let mut fragments = datagram.fragments(id, 1024);
            fragments.reverse();
            fragments.iter().for_each(|fragment| raw.send(fragment));
            echoed(&socket, &sent)
        });
        assert!(lab.l4(1).counter("fragment_held") >= held + 4, "all but the first one waited");
    }
}

#[test]
fn fragments_whose_first_one_does_not_come_are_dropped_and_counted() {
    let lab = lab();
    let raw = RawClient::of(&lab, lab.client());
    for (dropped, vip) in (1..).zip(VIPS) {
        let later =
            Ip::new(address_like(lab.client().addresses(), vip), vip).fragment(7, 1024, false);
        raw.send(&later.payload(protocol::UDP, &data(100)).build());
        lab.wait_until("it is dropped", SOON, || {
            lab.l4(1).counter("drop_no_first_fragment") == dropped
        });
        assert_eq!(lab.l4(1).counter("fragment_held"), dropped, "it waited");
    }
    assert_eq!(lab.l4(1).counter("forwarded"), 0);
}
