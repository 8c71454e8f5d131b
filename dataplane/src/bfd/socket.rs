//! Kernel sockets as RFC 5881 sections 4 and 5 want them.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use bfd::{PORT, SOURCE_PORTS, TTL};
use nix::sys::socket::sockopt::{Ipv4RecvTtl, Ipv6RecvHopLimit};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Internetwork control (DSCP CS6), as of routing protocols.
const TOS: u32 = 0xc0;
/// Source ports that are tried before the next attempt is left for later.
const ATTEMPTS: usize = 16;

/// The address with its interface's number, 0 if it has none.
pub(super) fn scoped(address: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match address {
        IpAddr::V4(_) => SocketAddr::new(address, port),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
    }
}

fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Sends the packets of one session.
pub(super) struct Sender {
    socket: UdpSocket,
    remote: SocketAddr,
}

impl Sender {
    /// From a port that no other socket has.
    ///
    /// # Errors
    /// The address is not there (yet), among other things.
    pub(super) fn open(local: IpAddr, remote: IpAddr, scope: u32) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::AddrInUse.into());
        for _ in 0..ATTEMPTS {
            result = bound(scoped(local, fastrand::u16(SOURCE_PORTS), scope));
            match &result {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Ok(_) | Err(_) => break,
            }
        }
        let socket = result?;
        if local.is_ipv4() {
            socket.set_ttl_v4(TTL.into())?;
            socket.set_tos_v4(TOS)?;
        } else {
            socket.set_unicast_hops_v6(TTL.into())?;
            socket.set_tclass_v6(TOS)?;
        }
        Ok(Self { socket: socket.into(), remote: scoped(remote, PORT, scope) })
    }

    /// Hands a packet to the kernel.
    ///
    /// # Errors
    /// It does not take it.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send_to(bytes, self.remote).map(drop)
    }
}

/// Receives the packets to one address of ours.
pub(super) struct Receiver {
    socket: Socket,
    address: SocketAddr,
}

/// A datagram, beside its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Length of the payload.
    pub(super) len: usize,
    pub(super) source: IpAddr,
    /// TTL or hop limit that it came with.
    pub(super) ttl: Option<u8>,
}

impl Receiver {
    /// # Errors
    /// The address is not there (yet), or another program has its port.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = bound(address)?;
        if address.is_ipv4() {
            setsockopt(&socket, Ipv4RecvTtl, &true)?;
        } else {
            setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
        }
        Ok(Self { socket, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next datagram, if there is one.
    pub(super) fn receive(&self, payload: &mut [u8]) -> io::Result<Option<Arrived>> {
        let mut control = nix::cmsg_space!(i32);
        let mut pieces = [io::IoSliceMut::new(payload)];
        let fd = self.socket.as_raw_fd();
        let message = match recvmsg::<SockaddrStorage>(
            fd,
            &mut pieces,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(message) => message,
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let source = message.address.and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        });
        let ttl = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                u8::try_from(ttl).ok()
            }
            _ => None, // the kernel sends what was asked for, and may add to it
        });
        let source = source.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(Arrived { len: message.bytes, source, ttl }))
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::{Duration, Instant};

    use super::*;

    /// The first datagram.
    fn received(receiver: &Receiver, payload: &mut [u8]) -> Arrived {
        let started = Instant::now();
        loop {
            if let Some(arrived) = receiver.receive(payload).unwrap() {
                return arrived;
            }
            assert!(started.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn packets_leave_and_are_seen_as_the_rfc_has_them_in_both_families() {
        for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let receiver = Receiver::open(SocketAddr::new(address, 0)).unwrap();
            let mut sender = Sender::open(address, address, 0).unwrap();
            assert!(SOURCE_PORTS.contains(&sender.socket.local_addr().unwrap().port()));
            sender.remote = receiver.socket.local_addr().unwrap().as_socket().unwrap();
            sender.send(b"one").unwrap();
            let mut payload = [0; 8];
            let arrived = received(&receiver, &mut payload);
            assert_eq!(arrived, Arrived { len: 3, source: address, ttl: Some(255) });
            assert_eq!(&payload[..3], b"one");

            let socket = Socket::from(sender.socket);
            let tos = if address.is_ipv4() { socket.tos_v4() } else { socket.tclass_v6() };
            assert_eq!(tos.unwrap(), TOS);
            if address.is_ipv4() {
                socket.set_ttl_v4(254).unwrap();
            } else {
                socket.set_unicast_hops_v6(254).unwrap();
            }
            socket.send_to(b"two", &sender.remote.into()).unwrap();
            assert_eq!(received(&receiver, &mut payload).ttl, Some(254));
        }
    }

    #[test]
    fn an_address_that_is_not_there_is_an_error() {
        // Not of IPv4: hosts that run Keepalived may have net.ipv4.ip_nonlocal_bind set.
        let elsewhere = "2001:db8::1".parse().unwrap();
        assert!(Sender::open(elsewhere, elsewhere, 0).is_err());
        assert!(Receiver::open(SocketAddr::new(elsewhere, PORT)).is_err());
    }
}
