//! The interfaces' names and MTUs.

use std::collections::BTreeMap;
use std::io;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use crate::netlink::Netlink;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// Bytes of the longest packet.
    pub(crate) mtu: u32,
    pub(crate) is_up: bool,
}

/// All of this network namespace, by number.
pub(crate) fn all(netlink: &mut Netlink) -> io::Result<BTreeMap<u32, Link>> {
    let objects = netlink.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let links = objects.into_iter().filter_map(|object| {
        let RouteNetlinkMessage::NewLink(message) = object.message else { return None };
        let is_up = message.header.flags.contains(LinkFlags::Up);
        let (mut name, mut mtu) = (None, None);
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text),
                LinkAttribute::Mtu(bytes) => mtu = Some(bytes),
                _ => {}
            }
        }
        Some((message.header.index, Link { name: name?, mtu: mtu?, is_up }))
    });
    Ok(links.collect())
}
