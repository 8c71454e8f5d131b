//! Socket options that no crate wraps for both families.

#![expect(unsafe_code, reason = "setsockopt(2) is one")]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, socklen_t};

/// TTL or hop limit of what is sent; `None`: the system's.
pub(crate) fn set_ttl(socket: &impl AsFd, family: IpAddr, ttl: Option<u8>) -> io::Result<()> {
    let value = ttl.map_or(-1, c_int::from);
    match family {
        IpAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_TTL, &value),
        IpAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, &value),
    }
}

/// Least TTL or hop limit of what is taken in; 0: any.
pub(crate) fn set_min_ttl(socket: &impl AsFd, family: IpAddr, ttl: u8) -> io::Result<()> {
    /// `IPV6_MINHOPCOUNT` of linux/in6.h, which libc does not have.
    const IPV6_MINHOPCOUNT: c_int = 73;
    let value = c_int::from(ttl);
    match family {
        IpAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &value),
        IpAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT, &value),
    }
}

/// Has what is lost sent again at a steady pace: a connection whose path was away goes on soon after that
/// is back, not after as long again. What the kernel does not know is left out.
pub(crate) fn set_steady(socket: &impl AsFd) {
    /// `TCP_RTO_MAX_MS` of linux/tcp.h (Linux 6.15), which libc does not have.
    const TCP_RTO_MAX_MS: c_int = 44;
    const RTO_MAX_MS: c_int = 1_000;
    let _ = set::<c_int>(socket, libc::IPPROTO_TCP, libc::TCP_THIN_LINEAR_TIMEOUTS, &1);
    let _ = set::<c_int>(socket, libc::IPPROTO_TCP, TCP_RTO_MAX_MS, &RTO_MAX_MS);
}

/// Sets an option to a value that is laid out as the kernel has it.
pub(super) fn set<T: Copy>(
    socket: &impl AsFd,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let length = size_of::<T>() as socklen_t;
    // SAFETY: the kernel reads `length` bytes of `value`, which lives as long as the call.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const *value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
