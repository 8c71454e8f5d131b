//! Packets to a VIP that come past the L4 node.

use std::net::UdpSocket;

use decap::{Counter, Decap, Hook, Rules, Settings};

use crate::encapsulator::Encapsulator;
use crate::network::{CLIENT, L4, L7, Network, VIP, WIRE, address, command, wait_until};
use crate::traffic::{count, datagram_arrives};

fn settings(network: &Network, hook: Hook, tunnel_only: bool) -> Settings {
    let rules = Rules { tunnel_only, ..network.rules() };
    Settings { interface: WIRE.into(), hook: Some(hook), pin: None, rules }
}

/// Sends a datagram from the L4 node itself to the VIP, over the wire, as it is.
fn send_direct(network: &Network, family: usize, port: u16) {
    let (from, to) = (address(L4[family]), address(VIP[family]));
    network
        .l4
        .enter(|| UdpSocket::bind((from, 0)).unwrap().send_to(b"direct", (to, port)).unwrap());
}

/// Routes the VIPs by the wire, and not into the client's device.
fn route_directly(network: &Network) {
    for family in [0, 1] {
        network.l4.ip(&format!("route replace {} via {}", VIP[family], L7[family]));
    }
}

fn route_by_tunnel(network: &Network) {
    for family in [0, 1] {
        network.l4.ip(&format!("route replace {} dev client src {}", VIP[family], CLIENT[family]));
    }
}

fn server(network: &Network, family: usize) -> UdpSocket {
    let server = network.l7.enter(|| UdpSocket::bind((address(VIP[family]), 0)).unwrap());
    server.set_nonblocking(true).unwrap();
    server
}

fn receives(server: &UdpSocket) -> bool {
    let mut received = false;
    wait_until("the direct datagram", || {
        received = server.recv(&mut [0; 100]).is_ok();
        received
    });
    received
}

#[test]
fn direct_packets_are_dropped_and_counted_and_tunnelled_ones_are_not() {
    let Some(network) = Network::new() else { return };
    let l4 = Encapsulator::start(&network, L4[0], L7[0]);
    for hook in Hook::ALL {
        let settings = settings(&network, hook, true);
        let decap = network.l7.enter(|| Decap::attach(&settings).unwrap());
        for family in [0, 1] {
            route_directly(&network);
            let server = server(&network, family);
            let before = count(&decap, Counter::DropDirect);
            send_direct(&network, family, server.local_addr().unwrap().port());
            wait_until("the drop", || count(&decap, Counter::DropDirect) == before + 1);
            assert!(server.recv(&mut [0; 100]).is_err(), "{hook}");

            route_by_tunnel(&network);
            l4.use_addresses(L4[family], L7[family]);
            datagram_arrives(&network, family, b"by the tunnel");
            assert_eq!(count(&decap, Counter::DropDirect), before + 1, "{hook}");
        }
        network.l7.enter(|| drop(decap));
    }
}

#[test]
fn an_update_switches_it_on_and_off() {
    let Some(network) = Network::new() else { return };
    route_directly(&network);
    for hook in Hook::ALL {
        let settings = settings(&network, hook, false);
        let mut decap = network.l7.enter(|| Decap::attach(&settings).unwrap());
        let server = server(&network, 0);
        let port = server.local_addr().unwrap().port();
        send_direct(&network, 0, port);
        assert!(receives(&server), "{hook}");

        decap.update(&Rules { tunnel_only: true, ..network.rules() }).unwrap();
        send_direct(&network, 0, port);
        wait_until("the drop", || count(&decap, Counter::DropDirect) == 1);
        assert!(server.recv(&mut [0; 100]).is_err(), "{hook}");

        decap.update(&network.rules()).unwrap();
        send_direct(&network, 0, port);
        assert!(receives(&server), "{hook}");
        assert_eq!(count(&decap, Counter::DropDirect), 1, "{hook}");
        network.l7.enter(|| drop(decap));
    }
}

#[test]
fn neighbors_and_the_nodes_own_addresses_are_not_touched() {
    let Some(network) = Network::new() else { return };
    let settings = settings(&network, Hook::Tcx, true);
    let decap = network.l7.enter(|| Decap::attach(&settings).unwrap());
    for family in [0, 1] {
        // Neither knows the other's link-layer address.
        network.l4.ip(&format!("neighbor flush dev {WIRE}"));
        network.l7.ip(&format!("neighbor flush dev {WIRE}"));
        let ping = format!("-n -c 1 -W 5 {}", L7[family]);
        network.l4.enter(|| command("ping", &ping));
        // What the node sends to itself does not come in by the wire.
        let ping = format!("-n -c 1 -W 5 {}", VIP[family]);
        network.l7.enter(|| command("ping", &ping));
    }
    assert_eq!(count(&decap, Counter::DropDirect), 0);
    network.l7.enter(|| drop(decap));
}

/// Two in a row, as of two processes: what the first takes out of the tunnel reaches the second.
#[test]
fn what_another_one_has_decapsulated_is_not_direct() {
    let Some(network) = Network::new() else { return };
    let _l4 = Encapsulator::start(&network, L4[0], L7[0]);
    let settings = settings(&network, Hook::Tcx, true);
    let [first, second] = [(); 2].map(|()| network.l7.enter(|| Decap::attach(&settings).unwrap()));
    datagram_arrives(&network, 0, b"through both");
    assert_eq!(count(&first, Counter::Decap4In4), 1);
    assert_eq!(count(&second, Counter::DropDirect), 0);
}
