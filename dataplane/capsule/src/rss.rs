//! Which packets a NIC spreads over its queues by a hash of their addresses and ports.

use std::fmt;
use std::ops::{BitAnd, BitOr};

use dpdk_sys as ffi;

/// A set of RSS types (receive side scaling).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RssTypes(u64);

impl RssTypes {
    /// None: all packets come to one queue, or the driver has its own way.
    pub const NONE: Self = Self(0);

    /// By addresses: both IP versions, fragments, any protocol that has no ports.
    pub const IP: Self = Self(
        ffi::RTE_ETH_RSS_IPV4
            | ffi::RTE_ETH_RSS_FRAG_IPV4
            | ffi::RTE_ETH_RSS_NONFRAG_IPV4_OTHER
            | ffi::RTE_ETH_RSS_IPV6
            | ffi::RTE_ETH_RSS_FRAG_IPV6
            | ffi::RTE_ETH_RSS_NONFRAG_IPV6_OTHER
            | ffi::RTE_ETH_RSS_IPV6_EX,
    );

    /// TCP by addresses and ports.
    pub const TCP: Self = Self(
        ffi::RTE_ETH_RSS_NONFRAG_IPV4_TCP
            | ffi::RTE_ETH_RSS_NONFRAG_IPV6_TCP
            | ffi::RTE_ETH_RSS_IPV6_TCP_EX,
    );

    /// UDP by addresses and ports.
    pub const UDP: Self = Self(
        ffi::RTE_ETH_RSS_NONFRAG_IPV4_UDP
            | ffi::RTE_ETH_RSS_NONFRAG_IPV6_UDP
            | ffi::RTE_ETH_RSS_IPV6_UDP_EX,
    );

    /// Each type, with testpmd's name for it.
    const NAMES: [(u64, &str); 13] = [
        (ffi::RTE_ETH_RSS_IPV4, "ipv4"),
        (ffi::RTE_ETH_RSS_FRAG_IPV4, "ipv4-frag"),
        (ffi::RTE_ETH_RSS_NONFRAG_IPV4_TCP, "ipv4-tcp"),
        (ffi::RTE_ETH_RSS_NONFRAG_IPV4_UDP, "ipv4-udp"),
        (ffi::RTE_ETH_RSS_NONFRAG_IPV4_OTHER, "ipv4-other"),
        (ffi::RTE_ETH_RSS_IPV6, "ipv6"),
        (ffi::RTE_ETH_RSS_FRAG_IPV6, "ipv6-frag"),
        (ffi::RTE_ETH_RSS_NONFRAG_IPV6_TCP, "ipv6-tcp"),
        (ffi::RTE_ETH_RSS_NONFRAG_IPV6_UDP, "ipv6-udp"),
        (ffi::RTE_ETH_RSS_NONFRAG_IPV6_OTHER, "ipv6-other"),
        (ffi::RTE_ETH_RSS_IPV6_EX, "ipv6-ex"),
        (ffi::RTE_ETH_RSS_IPV6_TCP_EX, "ipv6-tcp-ex"),
        (ffi::RTE_ETH_RSS_IPV6_UDP_EX, "ipv6-udp-ex"),
    ];

    /// Whether the set is empty.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Those of this set that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }
}

impl BitOr for RssTypes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for RssTypes {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for RssTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|&(_, name)| name);
        let names: Vec<&str> = names.collect();
        f.write_str(&if names.is_empty() { "none".to_owned() } else { names.join(" ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_by_name() {
        assert_eq!(RssTypes::NONE.to_string(), "none");
        assert_eq!(RssTypes::TCP.to_string(), "ipv4-tcp ipv6-tcp ipv6-tcp-ex");
    }

    #[test]
    fn every_type_that_can_be_asked_for_has_a_name() {
        let named = RssTypes::NAMES.iter().fold(0, |all, (bit, _)| all | bit);
        assert_eq!(named, (RssTypes::IP | RssTypes::TCP | RssTypes::UDP).bits());
    }

    #[test]
    fn what_is_asked_for_is_what_is_granted_and_what_is_refused() {
        let (asked, offered) = (RssTypes::IP | RssTypes::TCP, RssTypes::IP | RssTypes::UDP);
        assert_eq!(asked & offered, RssTypes::IP);
        assert_eq!(asked.without(offered), RssTypes::TCP);
    }
}
