//! Traffic of a client to a VIP, through the attached program.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;

use crate::encapsulator::Encapsulator;
use crate::network::{CLIENT, DEADLINE, L4, L7, Network, STRANGER, VIP, WIRE, address, wait_until};
use decap::{Counter, Decap, Hook, Settings};

const FAMILIES: [usize; 2] = [0, 1];

fn attach(network: &Network, hook: Option<Hook>) -> Decap {
    let settings = Settings { interface: WIRE.into(), hook, rules: network.rules() };
    network.l7.enter(|| Decap::attach(&settings).unwrap())
}

/// Its namespace must be entered: a filter is removed where it is.
fn detach(network: &Network, decap: Decap) {
    network.l7.enter(|| drop(decap));
}

fn count(decap: &Decap, counter: Counter) -> u64 {
    let counters = decap.counters().unwrap();
    counters.into_iter().find(|&(other, _)| other == counter).unwrap().1
}

/// A server at the VIP, and a client connected to nothing yet.
fn datagrams(network: &Network, family: usize) -> (UdpSocket, UdpSocket) {
    let server = network.l7.enter(|| UdpSocket::bind((address(VIP[family]), 0)).unwrap());
    let client = network.l4.enter(|| UdpSocket::bind((address(CLIENT[family]), 0)).unwrap());
    client.connect(server.local_addr().unwrap()).unwrap();
    (server, client)
}

/// Sends a datagram, which must arrive as it was sent.
fn datagram_arrives(network: &Network, family: usize, text: &[u8]) {
    let (server, client) = datagrams(network, family);
    client.send(text).unwrap();
    server.set_nonblocking(true).unwrap();
    let mut buffer = [0; 9000];
    let mut arrived = None;
    wait_until("a datagram at the VIP", || {
        arrived = server.recv_from(&mut buffer).ok();
        arrived.is_some()
    });
    let (length, from) = arrived.unwrap();
    assert_eq!(&buffer[..length], text);
    assert_eq!(from, client.local_addr().unwrap());
}

/// A connection to a server that sends back what it gets.
fn connection_works(network: &Network, family: usize) {
    let listener = network.l7.enter(|| TcpListener::bind((address(VIP[family]), 0)).unwrap());
    let vip = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut text = Vec::new();
        connection.read_to_end(&mut text).unwrap();
        connection.write_all(&text).unwrap();
    });

    let text: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let connected = network.l4.enter(|| TcpStream::connect_timeout(&vip, DEADLINE));
    let mut client = connected.unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(&text).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut echo = Vec::new();
    client.read_to_end(&mut echo).unwrap();
    assert!(echo == text);
    server.join().unwrap();
}

fn tcp_and_udp_arrive_by(hook: Hook) {
    let Some(network) = Network::new() else { return };
    let decap = attach(&network, Some(hook));
    let l4 = Encapsulator::start(&network, L4[0], L7[0]);
    for (outer, inner, counter) in [
        (0, 0, Counter::Decap4In4),
        (0, 1, Counter::Decap6In4),
        (1, 0, Counter::Decap4In6),
        (1, 1, Counter::Decap6In6),
    ] {
        l4.use_addresses(L4[outer], L7[outer]);
        connection_works(&network, inner);
        // A jumbo frame: two buffers to an XDP driver.
        datagram_arrives(&network, inner, &[0x5a; 8000]);
        assert!(count(&decap, counter) > 3, "{counter}");
        assert_eq!(count(&decap, Counter::DropShort), 0);
    }
    detach(&network, decap);
}

#[test]
fn tcp_and_udp_arrive_by_tcx() {
    tcp_and_udp_arrive_by(Hook::Tcx);
}

#[test]
fn tcp_and_udp_arrive_by_clsact() {
    tcp_and_udp_arrive_by(Hook::Clsact);
}

#[test]
fn tcp_and_udp_arrive_by_xdp() {
    tcp_and_udp_arrive_by(Hook::Xdp);
}

#[test]
fn tcp_and_udp_arrive_by_generic_xdp() {
    tcp_and_udp_arrive_by(Hook::XdpGeneric);
}

#[test]
fn nothing_arrives_from_a_stranger() {
    let Some(network) = Network::new() else { return };
    let l4 = Encapsulator::start(&network, STRANGER[0], L7[0]);
    for hook in Hook::ALL {
        let decap = attach(&network, Some(hook));
        for outer in FAMILIES {
            for inner in FAMILIES {
                l4.use_addresses(STRANGER[outer], L7[outer]);
                let (server, client) = datagrams(&network, inner);
                let before = count(&decap, Counter::DropSource);
                client.send(b"let me in").unwrap();
                wait_until("the drop", || count(&decap, Counter::DropSource) > before);
                server.set_nonblocking(true).unwrap();
                let error = server.recv(&mut [0; 100]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{hook}");
            }
        }
        detach(&network, decap);
    }
}

#[test]
fn a_second_process_takes_over_without_a_loss() {
    let Some(network) = Network::new() else { return };
    let _l4 = Encapsulator::start(&network, L4[0], L7[0]);
    for hook in [Hook::Tcx, Hook::Clsact] {
        let old = attach(&network, Some(hook));
        datagram_arrives(&network, 0, b"by the old one");
        let new = attach(&network, Some(hook));
        datagram_arrives(&network, 0, b"by either");
        detach(&network, old);
        datagram_arrives(&network, 0, b"by the new one");
        assert!(count(&new, Counter::Decap4In4) > 0, "{hook}");
        detach(&network, new);
    }
}
