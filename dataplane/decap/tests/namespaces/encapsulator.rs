//! The L4 node.

use std::io::Read;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::libc::IFF_TUN;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    socket,
};

use crate::network::Network;
use crate::tun;

const IPIP: u8 = 4;
const IPV6: u8 = 41;

/// The L4 node: sends what it reads from the client's TUN device to the L7 node, with an outer
/// header. Ends with its network.
pub(crate) struct Encapsulator {
    outer: Arc<Mutex<(IpAddr, IpAddr)>>,
}

impl Encapsulator {
    /// Outer addresses as in [`use_addresses`](Self::use_addresses).
    pub(crate) fn start(network: &Network, source: &str, destination: &str) -> Self {
        let outer = Arc::new(Mutex::new((source.parse().unwrap(), destination.parse().unwrap())));
        let addresses = Arc::clone(&outer);
        let (mut client, wire) = network.l4.enter(|| (tun::open("client", IFF_TUN), Wire::new()));
        network.l4.wait_running("client");
        thread::spawn(move || {
            let mut packet = [0; 9000];
            // An error is the end of the device.
            while let Ok(length) = client.read(&mut packet) {
                let (source, destination) = *addresses.lock().unwrap();
                wire.send(source, destination, &packet[..length]);
            }
        });
        Self { outer }
    }

    /// From now on the outer packets have these addresses, both of one family.
    pub(crate) fn use_addresses(&self, source: &str, destination: &str) {
        *self.outer.lock().unwrap() = (source.parse().unwrap(), destination.parse().unwrap());
    }
}

/// Raw sockets that take packets with their IP header, whatever its source.
struct Wire {
    v4: OwnedFd,
    v6: OwnedFd,
}

impl Wire {
    fn new() -> Self {
        let raw = |family| {
            socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw).unwrap()
        };
        Self { v4: raw(AddressFamily::Inet), v6: raw(AddressFamily::Inet6) }
    }

    fn send(&self, source: IpAddr, destination: IpAddr, inner: &[u8]) {
        let protocol = if inner[0] >> 4 == 4 { IPIP } else { IPV6 };
        let length = inner.len() as u16;
        let (flags, no_port) = (MsgFlags::empty(), 0);
        let sent = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                // The kernel fills in the checksum.
                let mut packet = vec![0x45, 0];
                packet.extend((20 + length).to_be_bytes());
                packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
                packet.extend(inner);
                let to = SockaddrIn::from(SocketAddrV4::new(destination, no_port));
                sendto(self.v4.as_raw_fd(), &packet, &to, flags)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let mut packet = vec![0x60, 0, 0, 0];
                packet.extend(length.to_be_bytes());
                packet.extend([protocol, 64]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
                packet.extend(inner);
                let to = SockaddrIn6::from(SocketAddrV6::new(destination, no_port, 0, 0));
                sendto(self.v6.as_raw_fd(), &packet, &to, flags)
            }
            _ => panic!("outer addresses of two families"),
        };
        sent.unwrap();
    }
}
