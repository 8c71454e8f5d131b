//! What the kernel knows of the way to a node: links, routes, neighbors.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
    NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::netlink::{Error, Netlink};

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) mtu: u32,
}

/// Interfaces by index.
pub(super) type Links = BTreeMap<u32, Link>;

/// Where packets to an address go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Out.
    Route {
        /// Index of the interface.
        interface: u32,
        /// Whom to hand them to: a gateway, or the address itself.
        next_hop: IpAddr,
        /// The route's own MTU, or what path MTU discovery found.
        mtu: Option<u32>,
    },
    /// Nowhere, and why.
    Nowhere(String),
}

/// A neighbor on an interface.
pub(super) type NeighborKey = (u32, IpAddr);

/// What is known of a neighbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbor {
    pub(super) state: NeighbourState,
    pub(super) mac: Option<[u8; 6]>,
    /// The kernel keeps it resolved by itself.
    pub(super) is_managed: bool,
}

/// Neighbors by interface and address.
pub(super) type Neighbors = BTreeMap<NeighborKey, Neighbor>;

/// How the kernel is asked to resolve a neighbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolve {
    /// Now, and keep it so (NTF_EXT_MANAGED, Linux 5.16).
    Managed,
    /// Now, as if a packet were sent (NTF_USE). Also ends `Managed`.
    Once,
}

impl Netlink {
    /// All interfaces.
    pub(super) fn links(&mut self) -> Result<Links, Error> {
        let answer = self.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answer.into_iter().filter_map(link).collect())
    }

    /// The kernel's choice for packets to `address`.
    pub(super) fn way(&mut self, address: IpAddr) -> Result<Way, Error> {
        let mut route = RouteMessage::default();
        route.header.address_family = family(address);
        route.header.destination_prefix_length = if address.is_ipv4() { 32 } else { 128 };
        route.attributes = vec![RouteAttribute::Destination(address.into())];
        match self.ask(RouteNetlinkMessage::GetRoute(route), 0) {
            Ok(answer) => Ok(way(address, answer)),
            // How `fib_lookup` says that the best route is a blackhole.
            Err(Error::Refused(Errno::EINVAL)) => Ok(Way::Nowhere("blackhole route".into())),
            Err(Error::Refused(errno)) => Ok(Way::Nowhere(errno.desc().into())),
            Err(Error::Socket(error)) => Err(error.into()),
        }
    }

    /// All neighbors of both families.
    pub(super) fn neighbors(&mut self) -> Result<Neighbors, Error> {
        let answer = self.dump(&RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
        Ok(answer.into_iter().filter_map(neighbor).collect())
    }

    /// Has a neighbor's link address found out.
    pub(super) fn resolve(&mut self, key: NeighborKey, how: Resolve) -> Result<(), Error> {
        let (interface, address) = key;
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = interface;
        message.attributes = vec![NeighbourAttribute::Destination(address.into())];
        match how {
            Resolve::Managed => {
                let managed = NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed);
                message.attributes.push(managed);
            }
            Resolve::Once => message.header.flags = NeighbourFlags::Use,
        }
        self.ask(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)?;
        Ok(())
    }
}

pub(super) fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

// The messages' attributes are another crate's enums, which may grow: what is not listed is not
// asked for.

fn link(message: RouteNetlinkMessage) -> Option<(u32, Link)> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let mut link = Link { name: String::new(), mtu: 0 };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            _ => {}
        }
    }
    Some((message.header.index, link))
}

fn way(address: IpAddr, answer: Vec<RouteNetlinkMessage>) -> Way {
    let route = answer.into_iter().find_map(|message| match message {
        RouteNetlinkMessage::NewRoute(route) => Some(route),
        _ => None,
    });
    let Some(route) = route else { return Way::Nowhere("no answer".into()) };
    match route.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Way::Nowhere("an address of this host".into()),
        RouteType::BlackHole => return Way::Nowhere("blackhole route".into()),
        other => return Way::Nowhere(format!("route of type {}", u8::from(other))),
    }
    let (mut interface, mut next_hop, mut mtu) = (None, address, None);
    for attribute in route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = Some(index),
            RouteAttribute::Gateway(RouteAddress::Inet(gateway))
            | RouteAttribute::Via(RouteVia::Inet(gateway)) => next_hop = gateway.into(),
            RouteAttribute::Gateway(RouteAddress::Inet6(gateway))
            | RouteAttribute::Via(RouteVia::Inet6(gateway)) => next_hop = gateway.into(),
            RouteAttribute::Metrics(metrics) => {
                mtu = metrics.into_iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    match interface {
        Some(interface) => Way::Route { interface, next_hop, mtu },
        None => Way::Nowhere("the route has no interface".into()),
    }
}

fn neighbor(message: RouteNetlinkMessage) -> Option<(NeighborKey, Neighbor)> {
    let RouteNetlinkMessage::NewNeighbour(message) = message else { return None };
    let mut address = None;
    let mut neighbor = Neighbor { state: message.header.state, mac: None, is_managed: false };
    for attribute in message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                address = Some(v4.into());
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                address = Some(v6.into());
            }
            NeighbourAttribute::LinkLayerAddress(mac) => neighbor.mac = mac.try_into().ok(),
            NeighbourAttribute::ExtFlags(flags) => {
                neighbor.is_managed = flags.contains(NeighbourExtFlags::Managed);
            }
            _ => {}
        }
    }
    Some(((message.header.ifindex, address?), neighbor))
}
