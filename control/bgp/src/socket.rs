//! TCP sockets for BGP, with what protects them: MD5 signatures (RFC 2385) and TTL security (RFC 5082).

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::settings::{Neighbor, Password};

/// DSCP CS6, network control: as routers mark theirs.
const NETWORK_CONTROL: u32 = 0xc0;
/// What packets have that no router has forwarded.
const UNTOUCHED: u32 = 255;
/// Not in libc: linux/in6.h.
const IPV6_MINHOPCOUNT: libc::c_int = 73;
/// TCP_MD5SIG_MAXKEYLEN of linux/tcp.h.
const MAX_KEY: usize = 80;
/// What a socket gives up after that the peer's hold time of zero leaves to nobody.
const NO_HOLD: Duration = Duration::from_secs(120);

/// A socket that is about to connect.
pub(crate) fn dialing(neighbor: &Neighbor) -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = new(neighbor.address)?;
    if let Some(password) = &neighbor.password {
        sign(socket.as_fd(), neighbor, Some(password))?;
    }
    let to = end(neighbor, neighbor.address, neighbor.port)?;
    if let Some(source) = neighbor.source {
        socket.bind(&end(neighbor, source, 0)?.into())?;
    }
    protect(&socket, neighbor)?;
    tune(&socket, neighbor)?;
    socket.set_nonblocking(true)?;
    Ok((TcpSocket::from_std_stream(socket.into()), to))
}

/// The same for a connection that the router has opened.
pub(crate) fn accepted(stream: &TcpStream, neighbor: &Neighbor) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    protect(&socket, neighbor)?;
    tune(&socket, neighbor)
}

/// A listener of one address.
pub(crate) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = new(address.ip())?;
    socket.set_reuse_address(true)?;
    // Answers to routers with TTL security have to be good before it is known whom they are for.
    far(&socket, address.ip())?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(64)?;
    TcpListener::from_std(socket.into())
}

fn new(address: IpAddr) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn end(neighbor: &Neighbor, address: IpAddr, port: u16) -> io::Result<SocketAddr> {
    match (address, &neighbor.interface) {
        (IpAddr::V6(v6), Some(interface)) if v6.is_unicast_link_local() => {
            let scope = nix::net::if_::if_nametoindex(interface.as_str()).map_err(|error| {
                let error = io::Error::from(error);
                io::Error::new(error.kind(), format!("interface {interface}: {error}"))
            })?;
            Ok(SocketAddrV6::new(v6, port, 0, scope).into())
        }
        (address, _) => Ok(SocketAddr::new(address, port)),
    }
}

fn tune(socket: &Socket, neighbor: &Neighbor) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let hold = if neighbor.hold_time.is_zero() { NO_HOLD } else { neighbor.hold_time };
    socket.set_tcp_user_timeout(Some(hold))?;
    if neighbor.address.is_ipv4() {
        socket.set_tos_v4(NETWORK_CONTROL)
    } else {
        socket.set_tclass_v6(NETWORK_CONTROL)
    }
}

/// TTL security, if that is wanted.
fn protect(socket: &Socket, neighbor: &Neighbor) -> io::Result<()> {
    if !neighbor.ttl_security {
        return Ok(());
    }
    far(socket, neighbor.address)?;
    let (level, option) = match neighbor.address {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT),
    };
    let least = libc::c_int::try_from(UNTOUCHED).expect("255 fits");
    set(socket.as_fd(), level, option, &least)
}

fn far(socket: &Socket, address: IpAddr) -> io::Result<()> {
    match address {
        IpAddr::V4(_) => socket.set_ttl_v4(UNTOUCHED),
        IpAddr::V6(_) => socket.set_unicast_hops_v6(UNTOUCHED),
    }
}

/// struct tcp_md5sig of linux/tcp.h.
#[repr(C, align(8))]
struct Signature {
    /// A sockaddr_storage.
    address: [u8; 128],
    flags: u8,
    prefix_length: u8,
    key_length: u16,
    interface: libc::c_int,
    key: [u8; MAX_KEY],
}

/// Signs and checks segments of this neighbor from now on, or no more. For a listener it has to be of the
/// neighbor's family.
pub(crate) fn sign(
    socket: BorrowedFd<'_>,
    neighbor: &Neighbor,
    password: Option<&Password>,
) -> io::Result<()> {
    let key_of = password.map_or(&[][..], Password::bytes);
    let mut key = [0; MAX_KEY];
    let Some(room) = key.get_mut(..key_of.len()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the MD5 password is too long"));
    };
    room.copy_from_slice(key_of);
    let signature = Signature {
        address: storage(end(neighbor, neighbor.address, 0)?),
        flags: 0,
        prefix_length: 0,
        key_length: u16::try_from(key_of.len()).expect("at most 80"),
        interface: 0,
        key,
    };
    match set(socket, libc::IPPROTO_TCP, libc::TCP_MD5SIG, &signature) {
        // There was none to take away.
        Err(error) if password.is_none() && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        outcome => outcome,
    }
}

/// An address as sockaddr_in or sockaddr_in6 has it.
fn storage(address: SocketAddr) -> [u8; 128] {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let family = u16::try_from(family).expect("families are small").to_ne_bytes();
    let mut bytes = [0; 128];
    bytes[..2].copy_from_slice(&family);
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => bytes[4..8].copy_from_slice(&v4.ip().octets()),
        SocketAddr::V6(v6) => {
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
        }
    }
    bytes
}

#[expect(unsafe_code, reason = "setsockopt of options that no crate has")]
fn set<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).expect("an option is small");
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: `value` is valid for reads of `length` bytes, which the kernel copies before it returns.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, pointer, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests;
