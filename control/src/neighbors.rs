//! A session of the site file as the speaker takes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp::{Families, Neighbor, NextHops, Password};
use config::{Bgp, L4, Peer, Router, Session};

/// The neighbor that a router is to this node over one of its sessions; nothing if the node has no
/// address to speak from.
pub(crate) fn neighbor(
    bgp: &Bgp,
    own: &L4,
    router: &Router,
    peer: &Peer,
    session: &Session,
) -> Option<Neighbor> {
    let v4: Option<Ipv4Addr> = own.addresses.iter().find_map(|address| match address {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    });
    let v6: Option<Ipv6Addr> = own.addresses.iter().find_map(|address| match address {
        IpAddr::V6(v6) => Some(*v6),
        IpAddr::V4(_) => None,
    });
    let of_link = matches!(session.address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let link_local = match &peer.interface {
        Some(interface) if of_link => link_local(interface),
        Some(_) | None => None,
    };
    let source = match session.address {
        IpAddr::V4(_) => Some(v4?.into()),
        // The kernel takes the link's own address.
        IpAddr::V6(_) if of_link => None,
        IpAddr::V6(_) => Some(v6?.into()),
    };
    Some(Neighbor {
        name: router.name.clone(),
        address: session.address,
        interface: peer.interface.clone().filter(|_| of_link),
        port: bgp.port,
        source,
        local_as: peer.local_as,
        peer_as: peer.peer_as,
        router_id: own.router_id?,
        next_hops: NextHops { v4, v6, link_local },
        families: Families { ipv4: session.ipv4, ipv6: session.ipv6 },
        extended_next_hop: peer.extended_next_hop,
        password: peer.password.as_ref().map(|password| Password::new(password.reveal())),
        ttl_security: peer.ttl_security,
        passive: peer.passive,
        hold_time: peer.hold_time,
        connect_retry: peer.connect_retry,
        restart_time: bgp.restart_time,
    })
}

/// The link-local address of an interface, if it is there already.
fn link_local(interface: &str) -> Option<Ipv6Addr> {
    let all = nix::ifaddrs::getifaddrs().ok()?;
    all.filter(|one| one.interface_name == interface).find_map(|one| {
        let address = one.address?.as_sockaddr_in6()?.ip();
        address.is_unicast_link_local().then_some(address)
    })
}
