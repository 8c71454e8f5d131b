//! A port before it runs, and how it comes to run.

use std::sync::Arc;

use dpdk_sys as ffi;

use crate::device::{self, Claim, Device};
use crate::error::{Errno, Error, check};
use crate::{Eal, Mempool, PortInfo, RssTypes, RunningPort, RxQueue, TxQueue};

/// A network device that is not started yet.
#[derive(Debug)]
pub struct Port {
    claim: Claim,
    name: String,
    info: PortInfo,
}

/// How a port is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Receive queues. One worker polls one of them.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Packets that a receive queue has room for.
    pub rx_descriptors: u16,
    /// Packets that a transmit queue has room for.
    pub tx_descriptors: u16,
    /// How packets are to be spread over the receive queues, as far as the device offers it.
    pub rss: RssTypes,
    /// Whether frames to other MAC addresses are received too.
    pub promiscuous: bool,
    /// Largest IP packet. Default: 1500, or the device's largest if that is less.
    pub mtu: Option<u16>,
}

/// A port that runs.
#[derive(Debug)]
pub struct Started {
    /// What is asked of the port as a whole.
    pub port: RunningPort,
    /// As many receive queues as were asked for, the first with number 0.
    pub receive: Vec<RxQueue>,
    /// As many transmit queues as were asked for.
    pub transmit: Vec<TxQueue>,
    /// The RSS types in use: those asked for and offered. None with one receive queue.
    pub rss: RssTypes,
    /// What was asked for and could not be had, without which the port works all the same.
    pub notes: Vec<String>,
}

impl Port {
    /// The port of a vdev (`net_tap0`) or a PCI device (`0000:3b:00.0`). Arguments behind a comma
    /// are ignored, so that a device can be named as it was in the EAL's [settings](crate::Settings).
    ///
    /// # Errors
    /// There is no such port, or it is in use.
    pub fn named(eal: &Eal, name: &str) -> Result<Self, Error> {
        let name = device::name(name);
        let claim = Claim::new(eal, &name)?;
        let info = PortInfo::of(claim.port()).map_err(|source| Error::Port {
            name: name.clone(),
            attempt: "ask what it can do".to_owned(),
            source,
        })?;
        Ok(Self { claim, name, info })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it can do.
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// Starts it. Every queue receives into packets of `pool`.
    ///
    /// All [offloads](crate::Offloads) that the device has are used. What fails without being
    /// needed is reported in [`Started::notes`].
    ///
    /// # Errors
    /// Numbers of queues or an MTU that the device cannot have; a step that DPDK refuses. The
    /// device may then be used anew.
    pub fn start(self, settings: &PortSettings, pool: &Mempool) -> Result<Started, Error> {
        self.check(settings)?;
        let mut notes = vec![];
        let rss = self.grant_rss(settings, &mut notes);

        self.configure(settings, rss)?;
        self.set_mtu(settings, &mut notes);
        self.set_up_queues(settings, pool, &mut notes)?;

        let Self { claim, name, info } = self;
        let device = Device::start(claim)
            .map_err(|source| failed(&name, "start".to_owned(), source))
            .map(Arc::new)?;
        let port = device.port();
        if settings.promiscuous {
            // SAFETY: the port is there, and claimed.
            let result = check(unsafe { ffi::rte_eth_promiscuous_enable(port) });
            notes.extend(result.err().map(|error| format!("{name} is not promiscuous: {error}")));
        }

        let multi_segment = info.offloads.multi_segment;
        Ok(Started {
            receive: (0..settings.rx_queues).map(|n| RxQueue::new(device.clone(), n)).collect(),
            transmit: (0..settings.tx_queues)
                .map(|n| TxQueue::new(device.clone(), n, multi_segment))
                .collect(),
            port: RunningPort::new(device, name, info),
            rss,
            notes,
        })
    }

    /// Refuses what the device cannot have, before its driver refuses it less clearly, or aborts.
    fn check(&self, settings: &PortSettings) -> Result<(), Error> {
        let (name, driver) = (|| self.name.clone(), || self.info.driver.clone());
        for (direction, asked, max) in [
            ("receive", settings.rx_queues, self.info.max_rx_queues),
            ("transmit", settings.tx_queues, self.info.max_tx_queues),
        ] {
            if asked == 0 || asked > max {
                return Err(Error::Queues {
                    name: name(),
                    driver: driver(),
                    direction,
                    asked,
                    max,
                });
            }
        }
        let (rx, tx) = (settings.rx_queues, settings.tx_queues);
        if self.info.equal_queues && rx != tx {
            return Err(Error::UnequalQueues { name: name(), driver: driver(), rx, tx });
        }
        let (min, max) = (self.info.min_mtu, self.info.max_mtu);
        if let Some(asked) = settings.mtu.filter(|mtu| !(min..=max).contains(mtu)) {
            return Err(Error::Mtu { name: name(), driver: driver(), asked, min, max });
        }
        Ok(())
    }

    /// The RSS types that are asked for and offered.
    fn grant_rss(&self, settings: &PortSettings, notes: &mut Vec<String>) -> RssTypes {
        if settings.rx_queues == 1 {
            return RssTypes::NONE;
        }
        let missing = settings.rss.without(self.info.rss);
        if !missing.is_none() {
            let (name, driver) = (&self.name, &self.info.driver);
            notes.push(format!("{name} ({driver}) does not offer these RSS types: {missing}"));
        }
        settings.rss & self.info.rss
    }

    /// Tells the device about queues, offloads, RSS and MTU.
    fn configure(&self, settings: &PortSettings, rss: RssTypes) -> Result<(), Error> {
        let mut conf = ffi::rte_eth_conf::default();
        conf.rxmode.mtu = settings.mtu.unwrap_or(0).into(); // 0 is the default
        conf.rxmode.offloads = self.info.rx_offloads;
        conf.txmode.offloads = self.info.tx_offloads;
        if !rss.is_none() {
            conf.rxmode.mq_mode = ffi::rte_eth_rx_mq_mode::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = rss.bits(); // with the driver's own key
        }

        let (rx, tx) = (settings.rx_queues, settings.tx_queues);
        // SAFETY: the port is there, claimed and not started; `conf` is good for the call.
        let result = unsafe { ffi::rte_eth_dev_configure(self.claim.port(), rx, tx, &conf) };
        check(result)
            .map_err(|e| self.failed(format!("have {rx} receive, {tx} transmit queues"), e))
    }

    /// Sets the MTU of the interface behind a port that has one: others have taken it from their
    /// configuration, and have no such function.
    fn set_mtu(&self, settings: &PortSettings, notes: &mut Vec<String>) {
        let Some(mtu) = settings.mtu else { return };
        // SAFETY: the port is there, claimed and configured.
        match check(unsafe { ffi::rte_eth_dev_set_mtu(self.claim.port(), mtu) }) {
            Ok(()) | Err(Errno::ENOTSUP) => {}
            Err(error) => notes.push(format!("{}: the MTU is not {mtu}: {error}", self.name)),
        }
    }

    /// Makes the rings, and fills those of the receive queues.
    fn set_up_queues(
        &self,
        settings: &PortSettings,
        pool: &Mempool,
        notes: &mut Vec<String>,
    ) -> Result<(), Error> {
        let port = self.claim.port();
        let asked = (settings.rx_descriptors, settings.tx_descriptors);
        let (mut rx, mut tx) = asked;
        // SAFETY: the port is there; both pointers are good for the call.
        let result = unsafe { ffi::rte_eth_dev_adjust_nb_rx_tx_desc(port, &mut rx, &mut tx) };
        check(result).map_err(|e| self.failed(format!("have {asked:?} descriptors"), e))?;
        if (rx, tx) != asked {
            let name = &self.name;
            notes.push(format!("{name} has {rx} receive and {tx} transmit descriptors a queue"));
        }

        let socket = self.info.socket.unwrap_or(ffi::SOCKET_ID_ANY as u32);
        let pool = pool.as_ptr();
        for queue in 0..settings.rx_queues {
            // SAFETY: the port is claimed and not started; the pool will last as long as the EAL.
            let result = unsafe {
                ffi::rte_eth_rx_queue_setup(port, queue, rx, socket, std::ptr::null(), pool)
            };
            check(result).map_err(|e| self.failed(format!("set up receive queue {queue}"), e))?;
        }
        for queue in 0..settings.tx_queues {
            // SAFETY: the port is claimed and not started.
            let result =
                unsafe { ffi::rte_eth_tx_queue_setup(port, queue, tx, socket, std::ptr::null()) };
            check(result).map_err(|e| self.failed(format!("set up transmit queue {queue}"), e))?;
        }
        Ok(())
    }

    fn failed(&self, attempt: String, source: Errno) -> Error {
        failed(&self.name, attempt, source)
    }
}

fn failed(name: &str, attempt: String, source: Errno) -> Error {
    Error::Port { name: name.to_owned(), attempt, source }
}
