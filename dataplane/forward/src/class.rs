//! What is for the node itself: classes of packets on their way to the kernel, so that a flood of
//! one never starves another.

use std::net::IpAddr;

use packet::Summary;

use crate::counters::Counter;
use crate::tables::Tables;

/// Why the kernel gets a packet. Each class has its own queue and limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// ARP, neighbor discovery and BFD: without them nothing else works.
    Neighbor,
    /// BGP of the routers, and answers to probes.
    Routing,
    /// ICMP errors.
    Errors,
    /// From the management prefixes.
    Management,
    /// The rest.
    Other,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const BGP: u16 = 179;
/// Single hop, echo, multihop, on link aggregates (RFC 5881, 5883, 7130).
const BFD: [u16; 4] = [3784, 3785, 4784, 6784];

impl Class {
    /// Every class, the most urgent first.
    pub const ALL: [Self; 5] =
        [Self::Neighbor, Self::Routing, Self::Errors, Self::Management, Self::Other];

    /// The class of an IP packet; `icmp_type` if it is ICMP.
    pub(crate) fn of(packet: &Summary, icmp_type: Option<u8>, tables: Option<&Tables>) -> Self {
        match (packet.protocol, icmp_type) {
            // Whoever is not on the link cannot have sent it with this hop limit (RFC 4861 section 3.1).
            (ICMPV6, Some(133..=137)) if packet.ttl == 255 => return Self::Neighbor,
            (ICMPV6, Some(1..=127)) | (ICMP, Some(3..=5 | 11 | 12)) => return Self::Errors,
            _ => {}
        }
        let bfd = packet.protocol == UDP && BFD.contains(&packet.destination_port);
        if bfd && packet.ttl == 255 {
            return Self::Neighbor; // RFC 5881 section 5
        }
        let Some(tables) = tables else { return Self::Other };
        if bfd && tables.is_router(packet.source) {
            return Self::Neighbor; // several hops away (RFC 5883)
        }
        let bgp = [packet.source_port, packet.destination_port].contains(&BGP);
        if packet.protocol == TCP && bgp && tables.is_router(packet.source) {
            return Self::Routing;
        }
        if tables.probed(packet.destination_port).is_some() && is_vip(tables, packet.source) {
            return Self::Routing;
        }
        if tables.is_management(packet.source) { Self::Management } else { Self::Other }
    }

    /// What counts the packets that the kernel got.
    pub fn given(self) -> Counter {
        match self {
            Self::Neighbor => Counter::KernelNeighbor,
            Self::Routing => Counter::KernelRouting,
            Self::Errors => Counter::KernelErrors,
            Self::Management => Counter::KernelManagement,
            Self::Other => Counter::KernelOther,
        }
    }

    /// What counts the packets above the limit.
    pub fn limited(self) -> Counter {
        match self {
            Self::Neighbor => Counter::LimitNeighbor,
            Self::Routing => Counter::LimitRouting,
            Self::Errors => Counter::LimitErrors,
            Self::Management => Counter::LimitManagement,
            Self::Other => Counter::LimitOther,
        }
    }

    /// Its limit.
    pub fn rate(self, limits: &api::Limits) -> api::Rate {
        match self {
            Self::Neighbor => limits.neighbor,
            Self::Routing => limits.routing,
            Self::Errors => limits.errors,
            Self::Management => limits.management,
            Self::Other => limits.other,
        }
    }
}

fn is_vip(tables: &Tables, address: IpAddr) -> bool {
    tables.vips.contains(address)
}
