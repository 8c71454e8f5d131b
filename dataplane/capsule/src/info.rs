//! What a device can do, as far as its driver is to be believed.

use std::ffi::CStr;

use dpdk_sys as ffi;

use crate::RssTypes;
use crate::error::{Errno, check};

/// What a device can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// Name of the driver.
    pub driver: String,
    /// Its own MAC address.
    pub mac: [u8; 6],
    /// Most receive queues it can have.
    pub max_rx_queues: u16,
    /// Most transmit queues it can have.
    pub max_tx_queues: u16,
    /// Whether it must have as many transmit queues as receive queues.
    pub equal_queues: bool,
    /// Smallest MTU it can have, in bytes of IP packet.
    pub min_mtu: u16,
    /// Largest MTU it can have.
    pub max_mtu: u16,
    /// RSS types it offers.
    pub rss: RssTypes,
    /// Work it can take off the CPU. All of it is used.
    pub offloads: Offloads,
    /// NUMA node it is attached to, if it says so.
    pub socket: Option<u32>,
}

/// What a device does besides moving packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// Verifies the IPv4 header's checksum of what it receives
    /// ([`has_bad_ipv4_checksum`](packet::Frame::has_bad_ipv4_checksum)).
    pub rx_ipv4_checksum: bool,
    /// Computes it in what it sends ([`offload_ipv4_checksum`](packet::Frame::offload_ipv4_checksum)).
    pub tx_ipv4_checksum: bool,
    /// Receives into several segments what is too large for one.
    pub scatter: bool,
    /// Sends packets of several segments.
    pub multi_segment: bool,
}

impl PortInfo {
    /// Asks the driver. `port` is the number of a port that is there.
    pub(crate) fn of(port: u16) -> Result<Self, Errno> {
        let mut info = ffi::rte_eth_dev_info::default();
        // SAFETY: `info` is good for the call.
        check(unsafe { ffi::rte_eth_dev_info_get(port, &mut info) })?;
        let mut mac = ffi::rte_ether_addr::default();
        // SAFETY: `mac` is good for the call.
        check(unsafe { ffi::rte_eth_macaddr_get(port, &mut mac) })?;
        // SAFETY: no more than a number.
        let socket = unsafe { ffi::rte_eth_dev_socket_id(port) };
        // SAFETY: drivers' names are C strings that are never freed.
        let driver = unsafe { CStr::from_ptr(info.driver_name) };

        let (rx, tx) = (info.rx_offload_capa, info.tx_offload_capa);
        let mut info = Self {
            driver: driver.to_string_lossy().into_owned(),
            mac: mac.addr_bytes,
            max_rx_queues: info.max_rx_queues,
            max_tx_queues: info.max_tx_queues,
            equal_queues: false,
            min_mtu: info.min_mtu,
            max_mtu: max_mtu(info.max_mtu, info.max_rx_pktlen),
            rss: RssTypes::from_bits(info.flow_type_rss_offloads),
            offloads: Offloads {
                rx_ipv4_checksum: rx & ffi::RTE_ETH_RX_OFFLOAD_IPV4_CKSUM != 0,
                tx_ipv4_checksum: tx & ffi::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM != 0,
                scatter: rx & ffi::RTE_ETH_RX_OFFLOAD_SCATTER != 0,
                multi_segment: tx & ffi::RTE_ETH_TX_OFFLOAD_MULTI_SEGS != 0,
            },
            socket: u32::try_from(socket).ok(),
        };
        info.correct();
        Ok(info)
    }

    /// Puts right what drivers are known to say wrongly, or not at all.
    fn correct(&mut self) {
        match self.driver.as_str() {
            // It says 16 queues, and aborts the process at 5: it passes two descriptors of each to
            // itself in a message of eight. The kernel spreads flows over them, not RSS.
            "net_tap" => {
                self.max_rx_queues = self.max_rx_queues.min(4);
                self.max_tx_queues = self.max_tx_queues.min(4);
                self.equal_queues = true;
                self.rss = RssTypes::NONE;
            }
            // They hash nothing, whatever they say, and walk chains, though they do not say so.
            "net_null" | "net_ring" | "net_pcap" => {
                self.rss = RssTypes::NONE;
                self.offloads.multi_segment = true;
            }
            _ => {}
        }
    }
}

/// The largest MTU, given that drivers state it, or the longest frame, or both.
fn max_mtu(stated: u16, max_frame: u32) -> u16 {
    let overhead = ffi::RTE_ETHER_HDR_LEN + ffi::RTE_ETHER_CRC_LEN;
    if stated != u16::MAX && max_frame > stated.into() {
        return stated; // the difference is the driver's own overhead
    }
    let fits = max_frame.saturating_sub(overhead).try_into().unwrap_or(u16::MAX);
    stated.min(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_mtu_is_what_both_limits_allow() {
        assert_eq!(max_mtu(u16::MAX, 1522), 1504); // net_tap
        assert_eq!(max_mtu(9194, 9216), 9194); // a NIC
        assert_eq!(max_mtu(u16::MAX, u32::MAX), u16::MAX); // net_pcap
        assert_eq!(max_mtu(1500, 1500), 1482);
    }
}
