//! From the settings to running ports, and to each worker's queues.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use capsule::{
    Eal, HugePagesTurn, Memory, Mempool, Port, PortSettings, RssTypes, RunningPort, RxQueue,
    Settings as EalSettings, Started, TxQueue,
};
use crossbeam::queue::ArrayQueue;
use forward::Wire;
use packet::Mac;
use thiserror::Error;

use crate::args::{Bus, Device, Settings};
use crate::exception::{Exception, Link, RING, Ring};
use crate::interface::Given;
use crate::neighbor::{self, keep_without_carrier};
use crate::worker::WorkerPort;

/// Receive and transmit descriptors of a wire queue.
const DESCRIPTORS: u16 = 1024;
/// The same of an exception queue.
const EXCEPTION_DESCRIPTORS: u16 = 256;
/// Queues of an exception port: more than that and `net_tap` fails.
const EXCEPTION_QUEUES: usize = 4;
/// Packets that a worker may hold beside those in rings: bursts, fragments, a mempool cache.
const HELD: u32 = 1280;
/// Packets that it may hold for each port on their way to the kernel.
const HELD_PER_PORT: u32 = 1024;
/// Bytes that a buffer takes: room for data, headroom, DPDK's own.
const BUFFER: u32 = Mempool::DATA_ROOM as u32 + 384;

/// A port that runs.
pub(crate) struct OpenPort {
    pub(crate) running: RunningPort,
    pub(crate) wire: Wire,
    /// Longest IP packet.
    pub(crate) mtu: u16,
    pub(crate) exception: Option<(RunningPort, String)>,
}

/// All ports, and what each worker needs of them.
pub(crate) struct Opened {
    pub(crate) eal: Eal,
    pub(crate) pool: Mempool,
    pub(crate) ports: Vec<OpenPort>,
    pub(crate) workers: Vec<Vec<WorkerPort>>,
}

/// Why there are no ports.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Dpdk(#[from] capsule::Error),
    #[error(
        "port {port} has {has} transmit queues, but each of the {workers} workers needs one: give fewer --cores"
    )]
    TransmitQueues { port: String, has: u16, workers: usize },
    #[error("port {port} has {has} receive queues, not {wanted}: lower its queues=")]
    ReceiveQueues { port: String, has: u16, wanted: u16 },
}

/// Starts EAL, then every port. If it fails, what was opened is closed by the process's end alone: the
/// driver would take the exception interface down, and with it the node's routes and IPv6 addresses.
pub(crate) fn open(settings: &Settings) -> Result<Opened, OpenError> {
    let workers = settings.cores.len();
    let exceptions: Vec<Option<Given>> =
        settings.ports.iter().map(|port| port.exception.as_ref().map(Given::of)).collect();
    let packets = packets(settings);
    let interfaces: Vec<&str> = settings
        .ports
        .iter()
        .filter_map(|port| Some(port.exception.as_ref()?.interface.as_str()))
        .collect();
    let neighbors = neighbor::Memory::of(&interfaces);
    let turn = HugePagesTurn::wait();
    let eal = Eal::init(&eal_settings(settings, &exceptions, packets))?;
    drop(turn); // what it asked for it has
    // Let go if all goes well. Else, without it, nothing shuts the EAL down.
    let kept = ManuallyDrop::new(eal.clone());
    let pool = Mempool::new(&eal, "packets", packets, Mempool::DATA_ROOM)?;
    let mut opened = Opened {
        eal,
        pool,
        ports: Vec::new(),
        workers: (0..workers).map(|_| Vec::new()).collect(),
    };
    match open_ports(settings, &exceptions, &mut opened) {
        Ok(()) => {
            drop(ManuallyDrop::into_inner(kept));
            neighbors.restore();
            Ok(opened)
        }
        Err(error) => {
            std::mem::forget(opened);
            Err(error)
        }
    }
}

/// Starts every port, each with its exception port. `given`: what the latter's interfaces shall have.
fn open_ports(
    settings: &Settings,
    given: &[Option<Given>],
    opened: &mut Opened,
) -> Result<(), OpenError> {
    let workers = settings.cores.len();
    for (port, given) in settings.ports.iter().zip(given) {
        let device = Port::named(&opened.eal, &port.device.name)?;
        let kernel_mtu = kernel_mtu(&port.device);
        let (receive, transmit) = queues(&device, port.queues, workers)?;
        let started = device.start(
            &PortSettings {
                rx_queues: receive,
                tx_queues: transmit,
                rx_descriptors: DESCRIPTORS,
                tx_descriptors: DESCRIPTORS,
                rss: RssTypes::IP | RssTypes::TCP | RssTypes::UDP,
                promiscuous: true,
                mtu: settings.mtu.filter(|_| kernel_mtu.is_none()),
            },
            &opened.pool,
        )?;
        note(&started);
        let mac = given.as_ref().and_then(|given| given.mac).unwrap_or_else(|| started.port.mac());
        let mtu = match kernel_mtu {
            Some(mtu) => settings.mtu.map_or(mtu, |wanted| wanted.min(mtu)),
            None => started.port.mtu()?,
        };
        let wire = Wire { mac, vlan: settings.vlan };
        let (exception, links) = match &port.exception {
            Some(exception) => {
                let (running, links) =
                    open_exception(opened, &exception.device.name, mac, workers)?;
                given.iter().for_each(|given| given.restore(&exception.interface));
                if let Err(error) = keep_without_carrier(&exception.interface) {
                    tracing::debug!(%error, "the kernel forgets its neighbors without carrier");
                }
                (Some((running, exception.interface.clone())), links)
            }
            None => (None, (0..workers).map(|_| Link::None).collect()),
        };
        let Started { port: running, receive, transmit, .. } = started;
        let mut receive = receive.into_iter();
        for ((worker, transmit), link) in opened.workers.iter_mut().zip(transmit).zip(links) {
            let exception = Exception::new(link, workers as u32);
            worker.push(WorkerPort::new(wire, receive.next(), transmit, exception));
        }
        opened.ports.push(OpenPort { running, wire, mtu, exception });
    }
    Ok(())
}

fn note(started: &Started) {
    for note in &started.notes {
        tracing::info!(port = started.port.name(), "{note}");
    }
}

/// The MTU of the kernel's interface that a port is on top of. Its driver says 1500 whatever the
/// interface takes, and what the interface takes the port does too.
fn kernel_mtu(device: &Device) -> Option<u16> {
    if !["net_af_packet", "net_af_xdp"].iter().any(|driver| device.name.starts_with(driver)) {
        return None;
    }
    let text = std::fs::read_to_string(format!("/sys/class/net/{}/mtu", device.argument("iface")?));
    let mtu: u32 = text.ok()?.trim().parse().ok()?;
    Some(mtu.min(u16::MAX.into()) as u16)
}

/// Opens the exception port and shares its queues among the workers.
fn open_exception(
    opened: &Opened,
    name: &str,
    mac: [u8; 6],
    workers: usize,
) -> Result<(RunningPort, Vec<Link>), OpenError> {
    let device = Port::named(&opened.eal, name)?;
    let queues = workers.min(EXCEPTION_QUEUES).min(device.info().max_rx_queues.into()).max(1);
    let mut started = device.start(
        &PortSettings {
            rx_queues: queues as u16,
            tx_queues: queues as u16,
            rx_descriptors: EXCEPTION_DESCRIPTORS,
            tx_descriptors: EXCEPTION_DESCRIPTORS,
            rss: RssTypes::default(),
            promiscuous: true,
            mtu: None,
        },
        &opened.pool,
    )?;
    note(&started);
    if started.port.mac() != mac
        && let Err(error) = started.port.set_mac(mac)
    {
        std::mem::forget(started); // see `open`
        return Err(error.into());
    }
    let Started { port, receive, transmit, .. } = started;
    let rings: Vec<Ring> = (queues..workers).map(|_| Arc::new(ArrayQueue::new(RING))).collect();
    let mut links: Vec<Link> = receive
        .into_iter()
        .zip(transmit)
        .enumerate()
        .map(|(i, pair): (usize, (RxQueue, TxQueue))| Link::Queue {
            receive: pair.0,
            transmit: pair.1,
            rings: rings.iter().skip(i).step_by(queues).cloned().collect(),
        })
        .collect();
    links.extend(rings.into_iter().map(Link::Ring));
    Ok((port, links))
}

/// Receive and transmit queues of a wire port: a transmit queue for every worker.
fn queues(device: &Port, wanted: Option<u16>, workers: usize) -> Result<(u16, u16), OpenError> {
    let info = device.info();
    let has = info.max_tx_queues;
    if usize::from(has) < workers {
        return Err(OpenError::TransmitQueues { port: device.name().into(), has, workers });
    }
    let transmit = workers as u16;
    let receive = match wanted {
        Some(wanted) if wanted > info.max_rx_queues => {
            let (port, has) = (device.name().into(), info.max_rx_queues);
            return Err(OpenError::ReceiveQueues { port, has, wanted });
        }
        Some(wanted) => wanted,
        None => transmit.min(info.max_rx_queues),
    };
    Ok((if info.equal_queues { transmit } else { receive }, transmit))
}

/// Buffers for all rings to be full at once.
fn packets(settings: &Settings) -> u32 {
    let (workers, ports) = (settings.cores.len() as u32, settings.ports.len() as u32);
    let wire = 2 * u32::from(DESCRIPTORS) * workers;
    let exception = 2 * u32::from(EXCEPTION_DESCRIPTORS) * workers.min(EXCEPTION_QUEUES as u32);
    ports * (wire + exception) + workers * (HELD + ports * HELD_PER_PORT)
}

/// What EAL is told of an exception's device. Without `mac=`, `net_tap` would give the interface a
/// random one, which stays if the process ends before the right one is set.
fn exception_value(device: &Device, mac: Option<[u8; 6]>) -> String {
    let value = device.eal_value();
    match mac.filter(|_| device.name.starts_with("net_tap") && device.argument("mac").is_none()) {
        Some(mac) => format!("{value},mac={}", Mac(mac)),
        None => value,
    }
}

fn eal_settings(settings: &Settings, given: &[Option<Given>], packets: u32) -> EalSettings {
    let bytes = u64::from(packets) * u64::from(BUFFER);
    let megabytes = bytes.div_ceil(1 << 20) as u32 + 64;
    let free = capsule::free_huge_pages();
    let memory = if free >= megabytes {
        Memory::HugePages { megabytes }
    } else {
        tracing::warn!(
            "without huge pages: {megabytes} MB wanted, {free} MB free; everything works, at half the \
             rate (hugepages/reserve set {megabytes} reserves them)"
        );
        Memory::Ordinary { megabytes }
    };
    let devices = || settings.ports.iter().map(|port| &port.device);
    let on = |bus: Bus| devices().filter(move |device| device.bus == bus).map(Device::eal_value);
    let exceptions = settings.ports.iter().zip(given).filter_map(|(port, given)| {
        Some(exception_value(&port.exception.as_ref()?.device, given.as_ref()?.mac))
    });
    // The workers' CPUs are in the list so that EAL's own threads stay off them.
    let lcores: Vec<String> = settings.cores.iter().map(usize::to_string).collect();
    EalSettings {
        lcores: lcores.join(","),
        main_lcore: None,
        memory,
        vdevs: on(Bus::Virtual).chain(exceptions).collect(),
        pci: on(Bus::Pci).collect(),
        file_prefix: format!("palier{}", std::process::id()),
        verbose: settings.verbose,
    }
}
