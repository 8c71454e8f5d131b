//! Neighbor discovery for IPv6 (RFC 4861): the one message that a node sends without being asked.

use std::net::Ipv6Addr;

use crate::build::{self, Ip};
use crate::{Mac, icmp};

/// All nodes of the link, and the link-layer address that IPv6 gives the group (RFC 2464 section 7).
const ALL_NODES: (Ipv6Addr, Mac) =
    (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), Mac([0x33, 0x33, 0, 0, 0, 1]));
/// A neighbor's older entry for the address gives way (RFC 4861 section 4.4).
const OVERRIDE: u32 = 1 << 29;
/// Option that holds the target's link-layer address, and its length in units of 8 bytes.
const TARGET_LINK_LAYER_ADDRESS: [u8; 2] = [2, 1];
/// Receivers take nothing else: it proves that no router was passed.
const HOP_LIMIT: u8 = 255;

/// A frame that tells every node of the link whose address this is: an unsolicited neighbor
/// advertisement (RFC 4861 section 7.2.6).
pub fn unsolicited_advertisement(mac: Mac, address: Ipv6Addr, vlan: Option<u16>) -> Vec<u8> {
    let (group, group_mac) = ALL_NODES;
    let mut body = address.octets().to_vec();
    body.extend(TARGET_LINK_LAYER_ADDRESS);
    body.extend(mac.0);
    let packet = Ip::new(address.into(), group.into()).ttl(HOP_LIMIT).icmp(
        icmp::v6::NEIGHBOR_ADVERTISEMENT,
        0,
        OVERRIDE,
        &body,
    );
    build::frame(group_mac, mac, vlan, &packet.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Sum;
    use crate::{Ethernet, Icmp, Ipv6, protocol};

    #[test]
    fn an_advertisement_names_its_address_and_mac_to_all_nodes() {
        let node = Mac([2, 0, 0, 0, 0, 1]);
        let address: Ipv6Addr = "2001:db8::c000:284".parse().unwrap();
        for vlan in [None, Some(7)] {
            let bytes = unsolicited_advertisement(node, address, vlan);
            let frame = Ethernet::parse(&bytes).unwrap();
            assert_eq!(frame.destination(), Mac([0x33, 0x33, 0, 0, 0, 1]));
            assert_eq!((frame.source(), frame.vlan()), (node, vlan));

            let ip = Ipv6::parse(frame.payload()).unwrap();
            assert_eq!((ip.source(), ip.destination()), (address, "ff02::1".parse().unwrap()));
            assert_eq!((ip.hop_limit(), ip.next_header()), (255, protocol::ICMPV6));
            let (source, destination) = (ip.source().into(), ip.destination().into());
            let sum = Sum::pseudo(source, destination, protocol::ICMPV6, ip.payload().len());
            assert!(sum.with(ip.payload()).is_valid());

            let message = Icmp::parse_v6(ip.payload()).unwrap();
            assert_eq!((message.message_type(), message.code()), (136, 0));
            assert_eq!(message.kind(), icmp::Kind::NeighborDiscovery);
            let flags = &ip.payload()[4..8];
            assert_eq!(flags, [0x20, 0, 0, 0], "override; neither a router nor solicited");
            let expected = [&address.octets()[..], &[2, 1], &node.0].concat();
            assert_eq!(message.body(), expected);
        }
    }
}
