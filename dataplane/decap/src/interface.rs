//! What the system says about an interface, in this process's network namespace.

use std::net::IpAddr;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::SockaddrStorage;

use crate::Error;

/// Ethernet, and the loopback interface, whose frames have an Ethernet header too.
const ETHERNET_HEADERS: [u16; 2] = [nix::libc::ARPHRD_ETHER, nix::libc::ARPHRD_LOOPBACK];

/// The addresses that the interface has now, both families.
///
/// # Errors
/// There is no such interface, or it does not carry Ethernet frames.
pub fn addresses(interface: &str) -> Result<Vec<IpAddr>, Error> {
    index(interface)?;
    let sockets = entries(interface)?.into_iter().filter_map(|entry| entry.address);
    Ok(sockets
        .filter_map(|socket| match (socket.as_sockaddr_in(), socket.as_sockaddr_in6()) {
            (Some(v4), _) => Some(v4.ip().into()),
            (None, Some(v6)) => Some(v6.ip().into()),
            (None, None) => None,
        })
        .collect())
}

/// The number of the interface, which must carry Ethernet frames.
pub(crate) fn index(interface: &str) -> Result<i32, Error> {
    let entries = entries(interface)?;
    if entries.is_empty() {
        return Err(Error::NoInterface(interface.into()));
    }
    let mut addresses = entries.iter().filter_map(|entry| entry.address.as_ref());
    let ethernet = addresses
        .find_map(SockaddrStorage::as_link_addr)
        .filter(|link| ETHERNET_HEADERS.contains(&link.hatype()))
        .ok_or_else(|| Error::NotEthernet(interface.into()))?;
    i32::try_from(ethernet.ifindex()).map_err(|_| Error::NoInterface(interface.into()))
}

fn entries(interface: &str) -> Result<Vec<InterfaceAddress>, Error> {
    let all = getifaddrs().map_err(|errno| Error::Interfaces(errno.into()))?;
    Ok(all.filter(|entry| entry.interface_name == interface).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_its_addresses() {
        assert_eq!(index("lo").unwrap(), 1);
        assert!(addresses("lo").unwrap().iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let error = addresses("nowhere0").unwrap_err();
        assert_eq!(error.to_string(), "there is no interface nowhere0");
    }
}
