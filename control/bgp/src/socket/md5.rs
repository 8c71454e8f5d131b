//! TCP MD5 signatures (RFC 2385).

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use super::option;
use crate::settings::Password;

/// `struct tcp_md5sig` of linux/tcp.h.
#[derive(Clone, Copy)]
#[repr(C)]
struct Md5Sig {
    address: Address,
    flags: u8,
    prefix_length: u8,
    key_length: u16,
    interface: i32,
    key: [u8; Password::MAX],
}

/// `struct sockaddr_storage`: family, then what the family has.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Address {
    family: libc::sa_family_t,
    rest: [u8; 126],
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        let mut rest = [0; 126];
        // sockaddr_in has the address after the port; sockaddr_in6 after port and flow label.
        let family = match ip {
            IpAddr::V4(v4) => {
                rest[2..6].copy_from_slice(&v4.octets());
                libc::AF_INET
            }
            IpAddr::V6(v6) => {
                rest[6..22].copy_from_slice(&v6.octets());
                libc::AF_INET6
            }
        };
        Self { family: family as libc::sa_family_t, rest }
    }
}

/// Makes a socket sign what goes to an address, and take nothing from there that is not signed; without
/// a password, no more. On a listener it holds for connections to come; the address has to be of the
/// socket's family.
pub(crate) fn set_md5(
    socket: &impl AsFd,
    peer: IpAddr,
    password: Option<&Password>,
) -> io::Result<()> {
    let key = password.map_or(&[][..], Password::key);
    let mut signature = Md5Sig {
        address: peer.into(),
        flags: 0,
        prefix_length: 0,
        key_length: key.len() as u16,
        interface: 0,
        key: [0; Password::MAX],
    };
    signature.key[..key.len()].copy_from_slice(key);
    match option::set(socket, libc::IPPROTO_TCP, libc::TCP_MD5SIG, &signature) {
        // It was not signed before, either.
        Err(error) if password.is_none() && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}
