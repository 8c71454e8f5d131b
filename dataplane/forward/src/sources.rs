//! Outer sources that differ from flow to flow, so that an L7 node's NIC, which sees the outer header
//! alone, spreads the tunnel over its queues.

use std::net::IpAddr;

use api::Prefix;

/// A prefix of each family, or none: the host bits of an outer source are its flow's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    v4: Option<(u32, u32)>,
    v6: Option<(u128, u128)>,
}

impl Sources {
    /// Of these prefixes, at most one of each family.
    pub(crate) fn new(prefixes: &[Prefix]) -> Self {
        let mut sources = Self::default();
        for prefix in prefixes {
            let length = prefix.length().into();
            match prefix.address() {
                IpAddr::V4(v4) => {
                    let host = u32::MAX.checked_shr(length).unwrap_or(0);
                    sources.v4 = Some((v4.to_bits(), host));
                }
                IpAddr::V6(v6) => {
                    let host = u128::MAX.checked_shr(length).unwrap_or(0);
                    sources.v6 = Some((v6.to_bits(), host));
                }
            }
        }
        sources
    }

    /// Whether there is a prefix.
    pub(crate) fn any(&self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }

    /// The IPv4 source of the flow of a hash.
    pub(crate) fn v4(&self, hash: u64) -> Option<[u8; 4]> {
        let (network, host) = self.v4?;
        Some((network | hash as u32 & host).to_be_bytes())
    }

    /// The IPv6 source.
    pub(crate) fn v6(&self, hash: u64) -> Option<[u8; 16]> {
        let (network, host) = self.v6?;
        let hash = u128::from(hash) | u128::from(hash) << 64;
        Some((network | hash & host).to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(prefixes: &[&str]) -> Sources {
        Sources::new(&prefixes.iter().map(|p| p.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_source_has_the_prefixs_network_and_the_flows_host_bits() {
        let both = sources(&["192.0.2.16/28", "2001:db8::100/120"]);
        assert_eq!(both.v4(0xabcd_0000_0000_0f37), Some([192, 0, 2, 23]));
        let v6: [u8; 16] = both.v6(0x37).unwrap();
        assert_eq!(IpAddr::from(v6), "2001:db8::137".parse::<IpAddr>().unwrap());
        let wide = sources(&["2001:db8:1::/48"]);
        assert_eq!(wide.v4(1), None);
        let source = IpAddr::from(wide.v6(0x0123_4567_89ab_cdef).unwrap());
        assert_eq!(source, "2001:db8:1:cdef:123:4567:89ab:cdef".parse::<IpAddr>().unwrap());
        assert!(wide.any() && !Sources::default().any());
    }

    #[test]
    fn a_single_address_is_a_prefix_too() {
        assert_eq!(sources(&["192.0.2.9/32"]).v4(u64::MAX), Some([192, 0, 2, 9]));
    }
}
