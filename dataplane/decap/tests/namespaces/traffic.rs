//! Traffic of a client to a VIP, through the attached program.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;

use crate::encapsulator::Encapsulator;
use crate::network::{CLIENT, DEADLINE, L4, L7, Network, STRANGER, VIP, WIRE, address, wait_until};
use crate::tun;
use decap::{Counter, Decap, Hook, Settings};
use nix::libc::{IFF_TAP, IFF_VNET_HDR};

const FAMILIES: [usize; 2] = [0, 1];

fn attach(network: &Network, hook: Option<Hook>) -> Decap {
    let settings = Settings { interface: WIRE.into(), hook, pin: None, rules: network.rules() };
    network.l7.enter(|| Decap::attach(&settings).unwrap())
}

/// Its namespace must be entered: a filter is removed where it is.
fn detach(network: &Network, decap: Decap) {
    network.l7.enter(|| drop(decap));
}

pub(crate) fn count(decap: &Decap, counter: Counter) -> u64 {
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
pub(crate) fn datagram_arrives(network: &Network, family: usize, text: &[u8]) {
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

/// As some drivers deliver it: only the outer headers are in the first buffer.
#[test]
fn a_header_in_another_buffer_is_found() {
    const OUTER_HEADERS: u8 = 34;
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
    /// Above a page; the kernel copies less into one buffer.
    const LENGTH: u16 = 6000;
    let Some(network) = Network::new() else { return };
    network.l7.ip("tuntap add tap mode tap vnet_hdr");
    network.l7.ip("link set tap address 02:00:00:00:00:07 mtu 9000 up");
    network.l7.write("/proc/sys/net/ipv4/conf/tap/rp_filter", "0");
    let (server, _) = datagrams(&network, 0);
    let port = server.local_addr().unwrap().port().to_be_bytes();

    let octets = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().octets();
    let ipv4 = |protocol, length: u16, from, to| {
        let [high, low] = length.to_be_bytes();
        let mut header = [0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0].to_vec();
        header.extend([octets(from), octets(to)].concat());
        let checksum = !header.chunks(2).fold(0, |sum: u16, word| {
            let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([word[0], word[1]]));
            sum + u16::from(carry)
        });
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    };
    // struct virtio_net_hdr: no offload, and the length of the first buffer.
    let mut frame = vec![0, 0, OUTER_HEADERS, 0, 0, 0, 0, 0, 0, 0];
    frame.extend([&MAC[..], &[2, 0, 0, 0, 0, 1], &[0x08, 0x00]].concat());
    frame.extend(ipv4(4, 20 + 20 + 8 + LENGTH, L4[0], L7[0]));
    frame.extend(ipv4(17, 20 + 8 + LENGTH, CLIENT[0], VIP[0]));
    // A source port, and no checksum.
    frame.extend([&[0xc0, 0x01], &port[..], &(8 + LENGTH).to_be_bytes(), &[0, 0]].concat());
    frame.extend(vec![0x5a; LENGTH.into()]);

    for hook in Hook::ALL {
        let settings = Settings {
            interface: "tap".into(),
            hook: Some(hook),
            pin: None,
            rules: network.rules(),
        };
        let (mut tap, decap) = network.l7.enter(|| {
            (tun::open("tap", IFF_TAP | IFF_VNET_HDR), Decap::attach(&settings).unwrap())
        });
        tap.write_all(&frame).unwrap();
        wait_until("it is counted", || count(&decap, Counter::Decap4In4) == 1);
        server.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(server.recv(&mut [0; 9000]).unwrap(), usize::from(LENGTH), "{hook}");
        detach(&network, decap);
    }
}
