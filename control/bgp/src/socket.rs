//! TCP sockets as BGP wants them: signed, near, urgent, and bound to where they belong.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::settings::Neighbor;

mod md5;
mod option;

pub(crate) use md5::set_md5;

/// DSCP CS6, network control.
const TOS: u32 = 0xc0;
/// TTL of a packet that came from one hop away (RFC 5082).
const MAX_TTL: u8 = 255;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A socket that listens.
pub(crate) fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    mark(&SockRef::from(&socket), address.ip())?;
    // A neighbor with TTL security takes no other SYN-ACK, and it is sent before the neighbor is known.
    option::set_ttl(&socket, address.ip(), Some(MAX_TTL))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A listening socket for the current runtime.
pub(crate) fn into_listener(socket: Socket) -> io::Result<TcpListener> {
    TcpListener::from_std(socket.into())
}

/// Connects to a neighbor.
pub(crate) async fn connect(neighbor: &Neighbor) -> io::Result<TcpStream> {
    let to = neighbor.address;
    let domain = if to.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), None)?;
    if let Some(password) = &neighbor.password {
        set_md5(&socket, to, Some(password))?;
    }
    if let Some(interface) = &neighbor.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    prepare(&socket, neighbor)?;
    if let Some(source) = neighbor.source {
        socket.bind(&at(neighbor, source, 0)?.into())?;
    }
    let address = at(neighbor, to, neighbor.port)?;
    TcpSocket::from_std_stream(socket.into()).connect(address).await
}

/// Makes an accepted connection one of this neighbor. The signature's key is that of the listener.
pub(crate) fn adopt(stream: &TcpStream, neighbor: &Neighbor) -> io::Result<()> {
    prepare(stream, neighbor)
}

/// Whether a connection from this address is a neighbor's.
pub(crate) fn is_from(from: SocketAddr, neighbor: &Neighbor) -> bool {
    match from {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            neighbor.address == IpAddr::V6(*v6.ip()) && scope(neighbor).ok() == Some(v6.scope_id())
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => neighbor.address == from.ip(),
    }
}

fn prepare(socket: &impl AsFd, neighbor: &Neighbor) -> io::Result<()> {
    let address = neighbor.address;
    let near = neighbor.ttl_security.then_some(MAX_TTL);
    option::set_ttl(socket, address, near)?;
    option::set_min_ttl(socket, address, near.unwrap_or(0))?;
    option::set_steady(socket);
    let socket = SockRef::from(socket);
    mark(&socket, address)?;
    socket.set_tcp_nodelay(true)?;
    if !neighbor.hold_time.is_zero() {
        // What is not acknowledged for so long is lost. The kernel need not wait for longer than we do.
        socket.set_tcp_user_timeout(Some(neighbor.hold_time))?;
    } else {
        // Without keepalives of BGP those of TCP have to find out that nobody is there.
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
    }
    Ok(())
}

fn mark(socket: &SockRef<'_>, address: IpAddr) -> io::Result<()> {
    match address {
        IpAddr::V4(_) => socket.set_tos_v4(TOS),
        IpAddr::V6(_) => socket.set_tclass_v6(TOS),
    }
}

/// A socket address on the neighbor's network.
fn at(neighbor: &Neighbor, ip: IpAddr, port: u16) -> io::Result<SocketAddr> {
    Ok(match ip {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, scope(neighbor)?).into()
        }
        IpAddr::V4(_) | IpAddr::V6(_) => SocketAddr::new(ip, port),
    })
}

/// The interface's number now: it may come and go.
fn scope(neighbor: &Neighbor) -> io::Result<u32> {
    let interface = neighbor.interface.as_deref().unwrap_or_default();
    Ok(if_nametoindex(interface)?)
}
