//! What is for the node itself: classes of packets on their way to the kernel, so that a flood of
//! one never starves another.

use std::net::IpAddr;

use packet::Summary;
use packet::protocol::{ICMP, ICMPV6, TCP, UDP};

use crate::counters::Counter;
use crate::tables::Tables;

/// Why the kernel gets a packet. Each class has its own queue and limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// ARP, neighbor discovery and BFD: without them nothing else works.
    Neighbor,
    /// BGP and multihop BFD of the routers, and answers to probes.
    Routing,
    /// ICMP errors.
    Errors,
    /// From the management prefixes.
    Management,
    /// The rest.
    Other,
}

const BGP: u16 = 179;
/// Of the link: single hop, echo, on link aggregates (RFC 5881, 7130).
const BFD: [u16; 3] = [3784, 3785, 6784];
/// Several hops away (RFC 5883).
const BFD_MULTIHOP: u16 = 4784;

impl Class {
    /// Every class, the most urgent first.
    pub const ALL: [Self; 5] =
        [Self::Neighbor, Self::Routing, Self::Errors, Self::Management, Self::Other];

    /// The class of an IP packet; `icmp_type` if it is ICMP.
    pub(crate) fn of(packet: &Summary, icmp_type: Option<u8>, tables: Option<&Tables>) -> Self {
        let ipv6 = packet.source.is_ipv6();
        match (packet.protocol, icmp_type) {
            // Whoever is not on the link cannot have sent it with this hop limit (RFC 4861 section 3.1).
            (ICMPV6, Some(133..=137)) if ipv6 && packet.ttl == 255 => return Self::Neighbor,
            (ICMPV6, Some(1..=127)) if ipv6 => return Self::Errors,
            (ICMP, Some(3..=5 | 11 | 12)) if !ipv6 => return Self::Errors,
            _ => {}
        }
        let is_router = |tables: &Tables| tables.is_router(packet.source);
        let bfd = packet.protocol == UDP && BFD.contains(&packet.destination_port);
        // RFC 5881 section 5: whoever is not on the link cannot have sent it. Others on the link could
        // have: they shall not take from ARP what is its.
        if bfd && packet.ttl == 255 && tables.is_none_or(is_router) {
            return Self::Neighbor;
        }
        let Some(tables) = tables else { return Self::Other };
        let routing = match packet.protocol {
            TCP => [packet.source_port, packet.destination_port].contains(&BGP),
            UDP => packet.destination_port == BFD_MULTIHOP,
            _ => false,
        };
        if routing && is_router(tables) {
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

#[cfg(test)]
mod tests {
    use packet::build::Ip;
    use packet::summarize;

    use super::*;

    /// The class of a packet before the first Snapshot, when no router and no operator is known.
    fn class(packet: Ip) -> Class {
        let bytes = packet.build();
        let summary = summarize(&bytes, 0, bytes.len()).unwrap();
        let icmp = matches!(summary.protocol, ICMP | ICMPV6);
        Class::of(&summary, icmp.then(|| bytes[summary.l4]), None)
    }

    fn v4() -> Ip {
        Ip::between("192.0.2.130", "192.0.2.132")
    }

    fn v6() -> Ip {
        Ip::between("fe80::1", "fe80::2")
    }

    #[test]
    fn neighbor_discovery_comes_from_the_link() {
        for icmp_type in 128..=140 {
            let discovery = (133..=137).contains(&icmp_type);
            let expected = if discovery { Class::Neighbor } else { Class::Other };
            assert_eq!(class(v6().ttl(255).icmp(icmp_type, 0, 0, &[0; 24])), expected);
            assert_eq!(class(v6().ttl(254).icmp(icmp_type, 0, 0, &[0; 24])), Class::Other);
        }
    }

    #[test]
    fn bfd_comes_from_the_link_on_each_of_its_ports() {
        for port in [3784, 3785, 6784] {
            assert_eq!(class(v4().ttl(255).udp(49152, port, &[0; 24])), Class::Neighbor);
            assert_eq!(class(v6().ttl(255).udp(49152, port, &[0; 24])), Class::Neighbor);
            assert_eq!(class(v4().ttl(254).udp(49152, port, &[0; 24])), Class::Other);
            assert_eq!(class(v4().ttl(255).udp(port, 49152, &[0; 24])), Class::Other);
            assert_eq!(class(v4().ttl(255).tcp(49152, port, 2, b"")), Class::Other);
        }
    }

    #[test]
    fn errors_are_those_that_quote_a_packet() {
        let errors4: Vec<u8> =
            (0..=20).filter(|&t| class(v4().icmp(t, 0, 0, &[0; 28])) == Class::Errors).collect();
        assert_eq!(errors4, [3, 4, 5, 11, 12]);
        for icmp_type in [1, 2, 3, 4, 100, 127] {
            assert_eq!(class(v6().icmp(icmp_type, 0, 0, &[0; 48])), Class::Errors);
        }
        assert_eq!(class(v6().icmp(128, 0, 0, &[0; 48])), Class::Other);
    }

    #[test]
    fn every_class_has_counters_and_a_limit_of_its_own() {
        let limits: api::Limits = serde_json::from_str(
            r#"{"neighbor": {"per_second": 1, "burst": 1}, "routing": {"per_second": 2, "burst": 1},
                "errors": {"per_second": 3, "burst": 1}, "management": {"per_second": 4, "burst": 1},
                "other": {"per_second": 5, "burst": 1}}"#,
        )
        .unwrap();
        let names: Vec<_> = Class::ALL
            .map(|class| (class.given().name(), class.limited().name(), class.rate(&limits)))
            .map(|(given, limited, rate)| format!("{given} {limited} {}", rate.per_second))
            .to_vec();
        assert_eq!(
            names,
            [
                "kernel_neighbor drop_limit_neighbor 1",
                "kernel_routing drop_limit_routing 2",
                "kernel_errors drop_limit_errors 3",
                "kernel_management drop_limit_management 4",
                "kernel_other drop_limit_other 5",
            ]
        );
    }
}
