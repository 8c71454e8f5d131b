//! The lab's address plan: who has which address.
//!
//! Every IPv6 address is `2001:db8::` with the node's IPv4 address in the last 32 bits, every MAC
//! address is `02:00` and the IPv4 address, so that a packet dump can be read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First VIP, of IPv4.
pub const VIP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// First VIP, of IPv6.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xc633, 0x6401);

/// Prefixes that outer sources may be out of, `tunnel_sources` of a Snapshot: the L7 nodes take tunnels
/// from them, as from the L4 nodes' addresses.
pub const TUNNEL_SOURCES: [&str; 2] = ["192.0.2.64/26", "2001:db8:0:1::/64"];

/// The prefixes that routers send to the L4 nodes: the VIPs lie in them.
pub(crate) const VIP_PREFIXES: [&str; 2] = ["198.51.100.0/24", "2001:db8::c633:6400/120"];
/// The internet router, between clients and edge routers.
pub(crate) const INTERNET: Addresses = Addresses {
    v4: Ipv4Addr::new(203, 0, 113, 254),
    v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xcb00, 0x71fe),
};

/// Prefix lengths of the fabric and of the outside, IPv4 and IPv6.
pub(crate) const FABRIC_LENGTHS: [u8; 2] = [25, 121];
pub(crate) const OUTSIDE_LENGTHS: [u8; 2] = [24, 120];

/// How many of each the plan has room for.
pub(crate) const MAX_ROUTERS: usize = 2;
pub(crate) const MAX_L4: usize = 8;
pub(crate) const MAX_L7: usize = 100;
pub(crate) const MAX_CLIENTS: usize = 100;
pub(crate) const MAX_SERVERS: usize = 10;

/// The two addresses of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6.
    pub v6: Ipv6Addr,
}

impl Addresses {
    /// An IPv4 address, and the IPv6 address that has it in its last 32 bits.
    pub(crate) fn of(v4: Ipv4Addr) -> Self {
        Self::new(v4)
    }

    fn new(v4: Ipv4Addr) -> Self {
        let [a, b, c, d] = v4.octets().map(u16::from);
        Self { v4, v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, a << 8 | b, c << 8 | d) }
    }

    /// Both, IPv4 first.
    pub fn both(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// The MAC address that goes with them.
    pub fn mac(&self) -> Mac {
        let [a, b, c, d] = self.v4.octets();
        Mac([0x02, 0, a, b, c, d])
    }
}

/// A router's addresses on the fabric; routers are numbered from 1.
pub(crate) fn router_fabric(number: usize) -> Addresses {
    Addresses::new(offset([192, 0, 2, 129], number))
}

/// A router's addresses on the outside.
pub(crate) fn router_outside(number: usize) -> Addresses {
    Addresses::new(offset([203, 0, 113, 0], number))
}

pub(crate) fn l4(number: usize) -> Addresses {
    Addresses::new(offset([192, 0, 2, 131], number))
}

pub(crate) fn l7(number: usize) -> Addresses {
    Addresses::new(offset([192, 0, 2, 139], number))
}

pub(crate) fn server(number: usize) -> Addresses {
    Addresses::new(offset([192, 0, 2, 239], number))
}

pub(crate) fn client(number: usize) -> Addresses {
    Addresses::new(offset([203, 0, 113, 9], number))
}

fn offset(base: [u8; 4], number: usize) -> Ipv4Addr {
    let [a, b, c, d] = base;
    let number = u8::try_from(number).expect("the builder bounds the number of nodes");
    Ipv4Addr::new(a, b, c, d + number)
}

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(
    /// Its bytes in the order of the wire.
    pub [u8; 6],
);

impl Mac {
    /// The same node's wire end: not the node's, or its kernel would answer in the dataplane's place.
    pub(crate) fn of_wire(self) -> Self {
        let mut bytes = self.0;
        bytes[0] = 0x06;
        Self(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_that_of_the_site_file_in_the_manual() {
        assert_eq!(l4(1).v4.to_string(), "192.0.2.132");
        assert_eq!(l4(1).v6.to_string(), "2001:db8::c000:284");
        assert_eq!(l4(1).mac().to_string(), "02:00:c0:00:02:84");
        assert_eq!(l7(1).v4.to_string(), "192.0.2.140");
        assert_eq!(l7(1).v6.to_string(), "2001:db8::c000:28c");
        assert_eq!(router_fabric(1).v4.to_string(), "192.0.2.130");
        assert_eq!(VIP6.to_string(), "2001:db8::c633:6401");
    }

    #[test]
    fn no_two_nodes_share_an_address() {
        let mut all: Vec<_> = (1..=MAX_ROUTERS).map(router_fabric).collect();
        all.extend((1..=MAX_ROUTERS).map(router_outside));
        all.extend((1..=MAX_L4).map(l4));
        all.extend((1..=MAX_L7).map(l7));
        all.extend((1..=MAX_CLIENTS).map(client));
        all.push(INTERNET);
        assert_eq!(INTERNET, Addresses::new(INTERNET.v4));
        let count = all.len();
        all.sort_by_key(|a| a.v4);
        all.dedup_by_key(|a| a.v4);
        assert_eq!(all.len(), count);
        assert!(l7(MAX_L7).v4 < Ipv4Addr::new(192, 0, 2, 255));
    }
}
