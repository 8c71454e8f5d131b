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
    /// What it does besides moving packets. All of it is used.
    pub offloads: Offloads,
    /// NUMA node it is attached to, if it says so.
    pub socket: Option<u32>,
    /// Offloads to ask for: DPDK's bits of `offloads`.
    pub(crate) rx_offloads: u64,
    /// The same for transmission.
    pub(crate) tx_offloads: u64,
}

/// Work that a device takes off the CPU.
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

        let rx = info.rx_offload_capa
            & (ffi::RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | ffi::RTE_ETH_RX_OFFLOAD_SCATTER);
        let tx = info.tx_offload_capa
            & (ffi::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | ffi::RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
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
            rx_offloads: rx,
            tx_offloads: tx,
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
            // What it "receives" is nobody's flow.
            "net_null" => self.rss = RssTypes::NONE,
            // It copies chains, though it does not say so, and wants not to be asked.
            "net_pcap" => self.offloads.multi_segment = true,
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

    #[test]
    fn net_tap_is_not_believed_about_its_queues_nor_rss() {
        let claimed = PortInfo {
            driver: "net_tap".to_owned(),
            mac: [2, 0, 0, 0, 0, 1],
            max_rx_queues: 16,
            max_tx_queues: 16,
            equal_queues: false,
            min_mtu: 68,
            max_mtu: 1504,
            rss: RssTypes::IP,
            offloads: Offloads {
                rx_ipv4_checksum: true,
                tx_ipv4_checksum: true,
                scatter: true,
                multi_segment: true,
            },
            socket: None,
            rx_offloads: 0,
            tx_offloads: 0,
        };
        let mut info = claimed.clone();
        info.correct();
        assert_eq!((info.max_rx_queues, info.max_tx_queues, info.equal_queues), (4, 4, true));
        assert_eq!((info.rss, info.offloads), (RssTypes::NONE, claimed.offloads));

        let mut nic = PortInfo { driver: "net_ice".to_owned(), ..claimed };
        let claimed = nic.clone();
        nic.correct();
        assert_eq!(nic, claimed);
    }
}
