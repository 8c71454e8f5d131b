//! A port that runs: what it counts, and the little that can be changed.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use dpdk_sys as ffi;

use crate::PortInfo;
use crate::device::Device;
use crate::error::{Errno, Error, check};

/// A port that runs. It is stopped and closed when this and all its queues are dropped.
#[derive(Debug)]
pub struct RunningPort {
    device: Arc<Device>,
    name: String,
    info: PortInfo,
    /// DPDK's control functions do not bear two threads at once.
    _one_thread: PhantomData<Cell<()>>,
}

/// What a port has counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub ipackets: u64,
    /// Packets sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Packets that arrived and were lost because the receive queue was full.
    pub imissed: u64,
    /// Packets that arrived damaged.
    pub ierrors: u64,
    /// Packets that could not be sent.
    pub oerrors: u64,
    /// Times the receive queues found their pool empty.
    pub rx_nombuf: u64,
}

/// A port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether it is up.
    pub up: bool,
    /// Its speed in Mbit/s, if the driver knows.
    pub speed: Option<u32>,
}

impl RunningPort {
    pub(crate) fn new(device: Arc<Device>, name: String, info: PortInfo) -> Self {
        Self { device, name, info, _one_thread: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it can do.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// Its MAC address.
    pub fn mac(&self) -> [u8; 6] {
        self.info.mac
    }

    /// Gives it another MAC address.
    ///
    /// # Errors
    /// The address is not one of a single station, or the driver refuses.
    pub fn set_mac(&mut self, mac: [u8; 6]) -> Result<(), Error> {
        let mut address = ffi::rte_ether_addr { addr_bytes: mac };
        // SAFETY: the port is there, `&mut self` keeps other threads out; `address` is copied.
        check(unsafe { ffi::rte_eth_dev_default_mac_addr_set(self.device.port(), &mut address) })
            .map_err(|source| self.failed("change the MAC address", source))?;
        self.info.mac = mac;
        Ok(())
    }

    /// The MTU in force: the largest IP packet.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn mtu(&self) -> Result<u16, Error> {
        let mut mtu = 0;
        // SAFETY: the port is there; `mtu` is good for the call.
        check(unsafe { ffi::rte_eth_dev_get_mtu(self.device.port(), &mut mtu) })
            .map_err(|source| self.failed("read the MTU", source))?;
        Ok(mtu)
    }

    /// What it has counted.
    ///
    /// # Errors
    /// The driver does not count.
    pub fn stats(&self) -> Result<PortStats, Error> {
        let mut stats = ffi::rte_eth_stats::default();
        // SAFETY: the port is there, no other thread asks; `stats` is good for the call.
        check(unsafe { ffi::rte_eth_stats_get(self.device.port(), &mut stats) })
            .map_err(|source| self.failed("read the counters", source))?;
        Ok(PortStats {
            ipackets: stats.ipackets,
            opackets: stats.opackets,
            ibytes: stats.ibytes,
            obytes: stats.obytes,
            imissed: stats.imissed,
            ierrors: stats.ierrors,
            oerrors: stats.oerrors,
            rx_nombuf: stats.rx_nombuf,
        })
    }

    /// The state of its link. `net_tap` is wrong about it once its interface has been moved to
    /// another namespace.
    ///
    /// # Errors
    /// The driver does not know.
    pub fn link(&self) -> Result<Link, Error> {
        let mut link = ffi::shim_link::default();
        // SAFETY: the port is there, no other thread asks; `link` is good for the call.
        check(unsafe { ffi::shim_link_get_nowait(self.device.port(), &mut link) })
            .map_err(|source| self.failed("read the state of its link", source))?;
        let known = link.speed != 0 && link.speed != ffi::RTE_ETH_SPEED_NUM_UNKNOWN;
        Ok(Link { up: link.up != 0, speed: known.then_some(link.speed) })
    }

    fn failed(&self, attempt: &str, source: Errno) -> Error {
        Error::Port { name: self.name.clone(), attempt: attempt.to_owned(), source }
    }
}
