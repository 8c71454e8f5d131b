//! Which tunnels end here, and what may come out of them.

use std::net::IpAddr;

use api::Prefix;

use crate::Error;

/// Which tunnels end here, and what may come out of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Outer sources: the L4 nodes' addresses. Nothing else may send through a tunnel.
    pub allow: Vec<Prefix>,
    /// Inner destinations.
    pub vips: Vec<Prefix>,
    /// Outer destinations: this node. Tunnels to other addresses are left to the kernel, so a host
    /// that ends tunnels of another purpose gives them an address which is not listed here.
    pub addresses: Vec<IpAddr>,
    /// Drops packets that come to a VIP on this interface but not through a tunnel: clients reach
    /// the VIPs by way of the L4 nodes alone. Neighbor discovery, other destinations, and what the
    /// node sends to itself are not touched.
    pub tunnel_only: bool,
}

impl Rules {
    /// Most prefixes in [`allow`](Self::allow), and in [`vips`](Self::vips).
    pub const MOST_PREFIXES: usize = 4096;
    /// Most [`addresses`](Self::addresses).
    pub const MOST_ADDRESSES: usize = 256;

    /// Refuses what the tables have no room for, and VIPs that would open up the node itself.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sizes = [
            ("prefixes in the allow-list", self.allow.len(), Self::MOST_PREFIXES),
            ("VIP prefixes", self.vips.len(), Self::MOST_PREFIXES),
            ("addresses", self.addresses.len(), Self::MOST_ADDRESSES),
        ];
        if let Some((what, count, most)) = sizes.into_iter().find(|(_, count, most)| count > most) {
            return Err(Error::TooMany { what, count, most });
        }
        for &address in &self.addresses {
            if let Some(&vip) = self.vips.iter().find(|vip| vip.contains(address)) {
                return Err(Error::VipIsAddress { vip, address });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vip_that_covers_the_node_itself_is_refused() {
        let rules = Rules {
            vips: vec!["203.0.113.0/24".parse().unwrap()],
            addresses: vec!["203.0.113.9".parse().unwrap()],
            ..Rules::default()
        };
        let error = rules.check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the VIP prefix 203.0.113.0/24 covers 203.0.113.9, an address of this node"
        );
    }

    #[test]
    fn more_than_the_tables_hold_is_refused() {
        let rules =
            Rules { addresses: vec![IpAddr::from([192, 0, 2, 1]); 257], ..Rules::default() };
        let error = rules.check().unwrap_err();
        assert_eq!(error.to_string(), "257 addresses are more than the 256 there is room for");
    }
}
