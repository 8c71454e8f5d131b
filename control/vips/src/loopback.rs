//! VIPs on `lo`: an address each, or for a whole prefix of them a local route.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::Prefix;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use crate::netlink::{Netlink, is};
use crate::route;

/// Number of the loopback interface in every network namespace.
const LO: u32 = 1;

/// What is on `lo` now, whoever has put it there: addresses, and prefixes by local routes.
pub(crate) fn present(netlink: &mut Netlink) -> io::Result<BTreeSet<Prefix>> {
    let mut present = BTreeSet::new();
    let mut request = AddressMessage::default();
    request.header.index = LO;
    for object in netlink.dump(&RouteNetlinkMessage::GetAddress(request))? {
        let RouteNetlinkMessage::NewAddress(message) = object.message else { continue };
        if message.header.index == LO {
            present.extend(
                address(&message).and_then(|ip| Prefix::new(ip, message.header.prefix_len)),
            );
        }
    }
    for unspecified in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
        for object in route::dump(netlink, unspecified, route::LOCAL)? {
            let RouteNetlinkMessage::NewRoute(message) = object.message else { continue };
            let on_lo = message.attributes.contains(&RouteAttribute::Oif(LO));
            if message.header.kind == RouteType::Local && on_lo {
                // An address has a route as well; one that is a route alone is a prefix.
                present.extend(route::destination(&message).filter(|prefix| !prefix.is_host()));
            }
        }
    }
    Ok(present)
}

/// Puts it on `lo`. One that is there is left alone.
pub(crate) fn add(netlink: &mut Netlink, vip: Prefix) -> io::Result<()> {
    let request = if vip.is_host() {
        RouteNetlinkMessage::NewAddress(address_message(vip))
    } else {
        RouteNetlinkMessage::NewRoute(local_route(vip))
    };
    match netlink.change(request, NLM_F_CREATE | NLM_F_EXCL) {
        Err(error) if is(&error, Errno::EEXIST) => Ok(()),
        result => result,
    }
}

/// Takes it off `lo`. One that is gone is no error.
pub(crate) fn remove(netlink: &mut Netlink, vip: Prefix) -> io::Result<()> {
    let request = if vip.is_host() {
        RouteNetlinkMessage::DelAddress(address_message(vip))
    } else {
        RouteNetlinkMessage::DelRoute(local_route(vip))
    };
    match netlink.change(request, 0) {
        Err(error) if [Errno::EADDRNOTAVAIL, Errno::ESRCH].iter().any(|&gone| is(&error, gone)) => {
            Ok(())
        }
        result => result,
    }
}

fn address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    // IPv6 has no other than this.
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

fn address_message(vip: Prefix) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(vip.address());
    message.header.prefix_len = vip.length();
    message.header.index = LO;
    message.header.scope = AddressScope::Universe;
    let address = vip.address();
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    if address.is_ipv6() {
        // Other nodes have it too: nobody shall be asked.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message
}

fn local_route(vip: Prefix) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(vip.address());
    message.header.destination_prefix_length = vip.length();
    message.header.table = route::LOCAL;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope =
        if vip.address().is_ipv4() { RouteScope::Host } else { RouteScope::Universe };
    message.header.kind = RouteType::Local;
    message.attributes =
        vec![RouteAttribute::Destination(vip.address().into()), RouteAttribute::Oif(LO)];
    message
}

pub(crate) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
