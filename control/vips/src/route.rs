//! Routes: what to remember them by, what MSS they have clients told, and how to change that.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use api::Prefix;
use netlink_packet_core::NLM_F_REPLACE;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteProtocol, RouteType,
};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::link::Link;
use crate::loopback::family;
use crate::netlink::{Netlink, Object, is};

/// Number of the table of addresses of this host.
pub(crate) const LOCAL: u8 = 255;

/// What tells a route of the main table from others. Two may share it, and then neither is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The destination; `0.0.0.0/0` and `::/0` are the default routes.
    pub destination: Prefix,
    /// Type of service, 0 if any.
    pub tos: u8,
    /// Priority among routes to the same destination; the least wins.
    pub metric: u32,
}

/// A unicast route through a gateway.
pub(crate) struct Route {
    pub(crate) key: Key,
    message: RouteMessage,
    /// Why it is not to be changed, if it is not.
    fixed: Option<&'static str>,
}

impl Route {
    /// The MSS that clients are told, if one is set.
    pub(crate) fn advmss(&self) -> Option<u32> {
        self.metrics().find_map(|metric| match metric {
            RouteMetric::Advmss(mss) => Some(*mss),
            _ => None,
        })
    }

    /// The nexthop object that it is by, and its MSS. The kernel gives both to routes added later
    /// by the same object.
    pub(crate) fn shared(&self) -> Option<(u32, u32)> {
        Some((object(&self.message)?, self.advmss()?))
    }

    /// The least and greatest MSS that its interfaces' MTUs give, where none is set.
    pub(crate) fn natural(&self, links: &BTreeMap<u32, Link>) -> Option<(u32, u32)> {
        let mtu = self.metrics().find_map(|metric| match metric {
            RouteMetric::Mtu(mtu) => Some(*mtu),
            _ => None,
        });
        let mtus = interfaces(&self.message).filter_map(|index| Some(links.get(&index)?.mtu));
        let headers = headers(self.key.destination.address());
        let segments: Vec<u32> =
            mtus.map(|link| mtu.unwrap_or(link).saturating_sub(headers)).collect();
        Some((*segments.iter().min()?, *segments.iter().max()?))
    }

    /// Sets the MSS, or takes it away. All else of the route stays, and so do its packets.
    pub(crate) fn set_advmss(&self, netlink: &mut Netlink, mss: Option<u32>) -> Result<(), String> {
        if let Some(why) = self.fixed {
            return Err(why.into());
        }
        let request = RouteNetlinkMessage::NewRoute(changed(&self.message, mss));
        match netlink.change(request, NLM_F_REPLACE) {
            // Gone since it was listed.
            Err(error) if [Errno::ENOENT, Errno::ESRCH].iter().any(|&gone| is(&error, gone)) => {
                Ok(())
            }
            result => result.map_err(|error| format!("the kernel refuses: {error}")),
        }
    }

    fn metrics(&self) -> impl Iterator<Item = &RouteMetric> {
        self.message.attributes.iter().filter_map(metrics_of).flatten()
    }
}

/// Bytes of an IP and a TCP header without options: what MTU and MSS differ by.
pub(crate) fn headers(address: IpAddr) -> u32 {
    if address.is_ipv4() { 40 } else { 60 }
}

/// The unicast routes of the main table that lead through a gateway, both families.
pub(crate) fn through_gateways(netlink: &mut Netlink) -> io::Result<Vec<Route>> {
    let mut routes = Vec::new();
    for unspecified in ["0.0.0.0/0", "::/0"].map(str::parse::<Prefix>).into_iter().flatten() {
        let objects = dump(netlink, unspecified.address(), RouteHeader::RT_TABLE_MAIN)?;
        let main: Vec<_> = objects.into_iter().filter_map(route).collect();
        let mut times = BTreeMap::new();
        for route in &main {
            *times.entry(route.key).or_insert(0) += 1;
        }
        routes.extend(main.into_iter().filter(|route| leads_through_gateway(&route.message)).map(
            |route| match times.get(&route.key) {
                Some(1) => route,
                _ => Route { fixed: Some("there are two of the same metric"), ..route },
            },
        ));
    }
    Ok(routes)
}

/// All of a table and a family; that of the address.
pub(crate) fn dump(netlink: &mut Netlink, of: IpAddr, table: u8) -> io::Result<Vec<Object>> {
    let mut request = RouteMessage::default();
    request.header.address_family = family(of);
    request.header.table = table;
    request.attributes = vec![RouteAttribute::Table(table.into())];
    match netlink.dump(&RouteNetlinkMessage::GetRoute(request)) {
        // A table without a route is none, and IPv6 may be off.
        Err(error) if [Errno::ENOENT, Errno::EOPNOTSUPP].iter().any(|&none| is(&error, none)) => {
            Ok(Vec::new())
        }
        result => result,
    }
}

/// The destination of a route.
pub(crate) fn destination(message: &RouteMessage) -> Option<Prefix> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::from(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::from(*address)),
        _ => None,
    });
    let any = match message.header.address_family {
        netlink_packet_route::AddressFamily::Inet => IpAddr::from([0; 4]),
        netlink_packet_route::AddressFamily::Inet6 => IpAddr::from([0; 16]),
        _ => return None,
    };
    Prefix::new(address.unwrap_or(any), message.header.destination_prefix_length)
}

fn route(object: Object) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = object.message else { return None };
    if message.header.kind != RouteType::Unicast
        || message.header.table != RouteHeader::RT_TABLE_MAIN
        || message.header.flags.contains(RouteFlags::Cloned)
    {
        return None;
    }
    let metric = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    let tos = message.header.tos;
    let key = Key { destination: destination(&message)?, tos, metric: metric.unwrap_or(0) };
    let fixed = if !object.is_exact {
        Some("it has attributes that would be lost")
    } else if message.header.source_prefix_length > 0 {
        Some("it is for some sources only")
    } else if message.header.protocol == RouteProtocol::Ra || expires(&message) {
        Some("it comes from router advertisements, which would bring it again")
    } else {
        None
    };
    Some(Route { key, message, fixed })
}

fn expires(message: &RouteMessage) -> bool {
    message
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, RouteAttribute::CacheInfo(info) if info.expires != 0))
}

fn leads_through_gateway(message: &RouteMessage) -> bool {
    let is_gateway = |attribute: &RouteAttribute| {
        matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_))
    };
    message.attributes.iter().any(is_gateway)
        || next_hops(message).any(|hop| hop.attributes.iter().any(is_gateway))
}

fn next_hops(message: &RouteMessage) -> impl Iterator<Item = &RouteNextHop> {
    message
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => Some(hops),
            _ => None,
        })
        .flatten()
}

fn interfaces(message: &RouteMessage) -> impl Iterator<Item = u32> {
    let own = message.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    own.chain(next_hops(message).map(|hop| hop.interface_index))
}

fn object(message: &RouteMessage) -> Option<u32> {
    message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::NhId(id) => Some(*id),
        _ => None,
    })
}

fn metrics_of(attribute: &RouteAttribute) -> Option<&Vec<RouteMetric>> {
    match attribute {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    }
}

/// The route as it was listed, as it has to be asked for with this MSS.
fn changed(route: &RouteMessage, mss: Option<u32>) -> RouteMessage {
    let mut message = route.clone();
    // States of the moment are listed as flags, which a request must not have.
    message.header.flags = RouteFlags::from_bits_retain(
        route.header.flags.bits() & u32::from(RouteNextHopFlags::Onlink.bits()),
    );
    let mut metrics: Vec<_> =
        route.attributes.iter().filter_map(metrics_of).flatten().cloned().collect();
    metrics.retain(|metric| !matches!(metric, RouteMetric::Advmss(_)));
    metrics.extend(mss.map(RouteMetric::Advmss));

    let has_object = object(route).is_some();
    if has_object && metrics.is_empty() {
        // Asked for no metrics at all, the kernel takes any route's of the same nexthop object,
        // so it would keep what there is. Zero is none.
        metrics.push(RouteMetric::Advmss(0));
    }
    message.attributes.retain_mut(|attribute| match attribute {
        RouteAttribute::Metrics(_) | RouteAttribute::CacheInfo(_) => false,
        // Listed for those who do not know nexthop objects; next to one, refused.
        RouteAttribute::MultiPath(_)
        | RouteAttribute::Oif(_)
        | RouteAttribute::Gateway(_)
        | RouteAttribute::Via(_)
            if has_object =>
        {
            false
        }
        RouteAttribute::MultiPath(hops) => {
            for hop in hops {
                hop.flags &= RouteNextHopFlags::Onlink;
            }
            true
        }
        _ => true,
    });
    if !metrics.is_empty() {
        message.attributes.push(RouteAttribute::Metrics(metrics));
    }
    message
}
